-- name: take_current
-- Issues as they were at the model's position, with the latest time that was told of them: from now
-- on, what was current is so no longer.
UPDATE issue_versions AS v SET is_current = false
FROM unnest($2::uuid[]) AS asked (issue_id)
CROSS JOIN LATERAL (
    SELECT c.position FROM issue_versions AS c
    WHERE c.company_id = $1 AND c.issue_id = asked.issue_id AND c.is_current
    OFFSET 0
) AS c
WHERE v.company_id = $1
  AND v.issue_id = asked.issue_id
  AND v.position = c.position
  AND v.is_current
RETURNING v.*;

-- name: part_timelines
-- An issue's states of after this time are no longer those that it was in by time.
UPDATE issue_versions SET timeline = 'recorded'
WHERE company_id = $1 AND issue_id = $2 AND timeline = 'both' AND at > $3;

-- name: forget_told
-- Makes room for the states by time of an issue, from a time and position on.
DELETE FROM issue_versions
WHERE company_id = $1
  AND issue_id = $2
  AND timeline = 'occurred'
  AND (at, position) >= ($3::timestamptz, $4::bigint);

-- name: insert_versions
-- Adds states. One that is there already is an error: the checkpoint keeps it from happening.
INSERT INTO issue_versions (
    company_id,
    position, at, told_until, timeline, is_current, issue_id, version, identifier, title, status,
    priority, assignee, holder_agent_id, holder_run_id, held_since, lease_seconds,
    lease_expires_at, fencing_token, paused_at, paused_run_id, blocked_from, run_count,
    per_task_micros, team_id, project_id, goal_id, milestone_id, parent_id, label_ids, due_at,
    estimate, sort_order, billing_code, external_system, external_id, comment_count, started_at,
    completed_at, deleted_at, description_position, description_sha256, created_position,
    created_at, created_by, updated_at
)
SELECT $1, v.*
FROM ROWS FROM (
    jsonb_to_recordset($2) AS (
        position bigint, at timestamptz, told_until timestamptz, timeline text, is_current boolean
    ),
    jsonb_to_recordset($3) AS (
        id uuid, version bigint, identifier text, title text, status text, priority text,
        assignee text, holder_agent_id text, holder_run_id uuid, held_since timestamptz,
        lease_seconds integer, lease_expires_at timestamptz, fencing_token bigint,
        paused_at timestamptz, paused_run_id uuid, blocked_from text, run_count bigint,
        per_task_micros bigint, team_id uuid, project_id uuid, goal_id uuid, milestone_id uuid,
        parent_id uuid, label_ids uuid[], due_at timestamptz, estimate bigint, sort_order text,
        billing_code text, external_system text, external_id text, comment_count bigint,
        started_at timestamptz, completed_at timestamptz, deleted_at timestamptz,
        description_position bigint, description_sha256 text, created_position bigint,
        created_at timestamptz, created_by text, updated_at timestamptz
    )
) AS v;
