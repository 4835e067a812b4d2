-- name: insert_activity
-- Adds entries. One that is there already is an error: the checkpoint keeps it from happening.
INSERT INTO activity (
    company_id, position, event_id, type, subject_type, subject_id, issue_id, project_id,
    former_project_id, actor, on_behalf_of, via, key_id, run_id, command_id, at, occurred_at,
    recorded_at, sentence, changes
)
SELECT $1, a.*
FROM jsonb_to_recordset($2) AS a (
    position bigint, event_id uuid, type text, subject_type text, subject_id uuid, issue_id uuid,
    project_id uuid, former_project_id uuid, actor text, on_behalf_of text, via text, key_id uuid,
    run_id uuid, command_id uuid, at timestamptz, occurred_at timestamptz, recorded_at timestamptz,
    sentence text, changes jsonb
);
