-- name: current
-- Issues as they are at the model's position, with the latest time that was told of them.
SELECT *
FROM issue_versions
WHERE company_id = $1 AND issue_id = ANY ($2::uuid[]) AND is_current;

-- name: past_now
-- What is current of these issues is so no longer.
UPDATE issue_versions SET is_current = false
WHERE company_id = $1 AND issue_id = ANY ($2::uuid[]) AND is_current;

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
SELECT $1,
       v.position, v.at, v.told_until, v.timeline, v.is_current, v.issue_id, v.version,
       v.identifier, v.title, v.status, v.priority, v.assignee, v.holder_agent_id,
       v.holder_run_id, v.held_since, v.lease_seconds, v.lease_expires_at, v.fencing_token,
       v.paused_at, v.paused_run_id, v.blocked_from, v.run_count, v.per_task_micros, v.team_id,
       v.project_id, v.goal_id, v.milestone_id, v.parent_id, v.label_ids::uuid[], v.due_at,
       v.estimate, v.sort_order, v.billing_code, v.external_system, v.external_id,
       v.comment_count, v.started_at, v.completed_at, v.deleted_at, v.description_position,
       v.description_sha256, v.created_position, v.created_at, v.created_by, v.updated_at
FROM unnest(
    $2::bigint[], $3::timestamptz[], $4::timestamptz[], $5::text[], $6::boolean[], $7::uuid[],
    $8::bigint[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[],
    $15::uuid[], $16::timestamptz[], $17::integer[], $18::timestamptz[], $19::bigint[],
    $20::timestamptz[], $21::uuid[], $22::text[], $23::bigint[], $24::bigint[], $25::uuid[],
    $26::uuid[], $27::uuid[], $28::uuid[], $29::uuid[], $30::text[], $31::timestamptz[],
    $32::bigint[], $33::text[], $34::text[], $35::text[], $36::text[], $37::bigint[],
    $38::timestamptz[], $39::timestamptz[], $40::timestamptz[], $41::bigint[], $42::text[],
    $43::bigint[], $44::timestamptz[], $45::text[], $46::timestamptz[]
) AS v (
    position, at, told_until, timeline, is_current, issue_id, version, identifier, title, status,
    priority, assignee, holder_agent_id, holder_run_id, held_since, lease_seconds,
    lease_expires_at, fencing_token, paused_at, paused_run_id, blocked_from, run_count,
    per_task_micros, team_id, project_id, goal_id, milestone_id, parent_id, label_ids, due_at,
    estimate, sort_order, billing_code, external_system, external_id, comment_count, started_at,
    completed_at, deleted_at, description_position, description_sha256, created_position,
    created_at, created_by, updated_at
);
