-- name: insert_activity
-- Adds entries. One that is there already is an error: the checkpoint keeps it from happening.
INSERT INTO activity (
    company_id, position, event_id, type, subject_type, subject_id, issue_id, project_id,
    former_project_id, actor, on_behalf_of, via, key_id, run_id, command_id, at, occurred_at,
    recorded_at, sentence, changes
)
SELECT $1, a.position, a.event_id, a.type, a.subject_type, a.subject_id, a.issue_id, a.project_id,
       a.former_project_id, a.actor, a.on_behalf_of, a.via, a.key_id, a.run_id, a.command_id, a.at,
       a.occurred_at, a.recorded_at, a.sentence, a.changes::jsonb
FROM unnest(
    $2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::uuid[], $7::uuid[], $8::uuid[],
    $9::uuid[], $10::text[], $11::text[], $12::text[], $13::uuid[], $14::uuid[], $15::uuid[],
    $16::timestamptz[], $17::timestamptz[], $18::timestamptz[], $19::text[], $20::text[]
) AS a (
    position, event_id, type, subject_type, subject_id, issue_id, project_id, former_project_id,
    actor, on_behalf_of, via, key_id, run_id, command_id, at, occurred_at, recorded_at, sentence,
    changes
);
