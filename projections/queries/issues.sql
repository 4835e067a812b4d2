-- name: issues
-- Issues, newest first, without their descriptions.
SELECT issue_id, version, identifier, title, status, priority, assignee,
       holder_agent_id, holder_run_id, held_since, lease_seconds, lease_expires_at, fencing_token,
       paused_at, paused_run_id, blocked_from, run_count, per_task_micros,
       team_id, project_id, goal_id, milestone_id,
       parent_id, label_ids, due_at, estimate, sort_order, billing_code,
       external_system, external_id, comment_count, started_at, completed_at, deleted_at,
       description_position, description_sha256,
       created_position, created_at, created_by, updated_at
FROM issues
WHERE company_id = $1
  AND deleted_at IS NULL
  AND ($2::bigint IS NULL OR created_position < $2)
  AND ($4::text[] IS NULL OR status = ANY ($4))
  AND ($5::text[] IS NULL OR priority = ANY ($5))
  AND ($6::text IS NULL OR assignee = $6 OR ($6 = 'none' AND assignee IS NULL))
  AND ($7::uuid IS NULL OR team_id = $7)
  AND ($8::uuid IS NULL OR project_id = $8)
  AND ($9::uuid IS NULL OR goal_id = $9)
  AND ($10::uuid IS NULL OR milestone_id = $10)
  AND ($11::text IS NULL OR parent_id::text = $11 OR ($11 = 'none' AND parent_id IS NULL))
  AND ($12::uuid IS NULL OR $12 = ANY (label_ids))
  AND ($13::text IS NULL OR external_system = $13)
  AND ($14::text IS NULL OR external_id = $14)
ORDER BY created_position DESC
LIMIT $3;
