-- name: issues
-- Issues by id, deleted ones too, without their descriptions.
SELECT i.issue_id, i.version, i.identifier, i.title, i.status, i.priority, i.assignee,
       i.holder_agent_id, i.holder_run_id, i.held_since, i.lease_seconds, i.lease_expires_at,
       i.fencing_token, i.paused_at, i.paused_run_id, i.blocked_from, i.run_count,
       i.per_task_micros, i.team_id, i.project_id, i.goal_id, i.milestone_id, i.parent_id,
       i.label_ids, i.due_at, i.estimate, i.sort_order, i.billing_code, i.external_system,
       i.external_id, i.comment_count, i.started_at, i.completed_at, i.deleted_at,
       i.description_position, i.description_sha256, i.created_position, i.created_at,
       i.created_by, i.updated_at
FROM unnest($2::uuid[]) AS asked (issue_id)
CROSS JOIN LATERAL (
    SELECT * FROM issues AS i
    WHERE i.company_id = $1
      AND i.issue_id = asked.issue_id
    OFFSET 0
) AS i;

-- name: ancestors
-- Issues by id with every issue above them, at most a hundred and one levels of them.
WITH RECURSIVE chain (issue_id, level) AS (
    SELECT asked, 0 FROM unnest($2::uuid[]) AS asked
    UNION
    SELECT i.parent_id, chain.level + 1
    FROM chain
    JOIN issues AS i ON i.company_id = $1 AND i.issue_id = chain.issue_id
    WHERE i.parent_id IS NOT NULL AND chain.level < 101
)
SELECT i.issue_id, i.version, i.identifier, i.title, i.status, i.priority, i.assignee,
       i.holder_agent_id, i.holder_run_id, i.held_since, i.lease_seconds, i.lease_expires_at,
       i.fencing_token, i.paused_at, i.paused_run_id, i.blocked_from, i.run_count,
       i.per_task_micros, i.team_id, i.project_id, i.goal_id, i.milestone_id, i.parent_id,
       i.label_ids, i.due_at, i.estimate, i.sort_order, i.billing_code, i.external_system,
       i.external_id, i.comment_count, i.started_at, i.completed_at, i.deleted_at,
       i.description_position, i.description_sha256, i.created_position, i.created_at,
       i.created_by, i.updated_at
FROM (SELECT DISTINCT chain.issue_id FROM chain) AS asked
CROSS JOIN LATERAL (
    SELECT * FROM issues AS i
    WHERE i.company_id = $1
      AND i.issue_id = asked.issue_id
    OFFSET 0
) AS i;

-- name: identifiers
-- The ids of identifiers such as ENG-42.
SELECT i.identifier, i.issue_id
FROM unnest($2::text[]) AS asked (identifier)
CROSS JOIN LATERAL (
    SELECT * FROM issues AS i
    WHERE i.company_id = $1
      AND i.identifier = asked.identifier
    OFFSET 0
) AS i;

-- name: external_refs
-- The living issues that stand for these ids of other systems.
SELECT i.external_system AS system, i.external_id AS id, i.issue_id
FROM unnest($2::text[], $3::text[]) AS asked (system, id)
CROSS JOIN LATERAL (
    SELECT * FROM issues AS i
    WHERE i.company_id = $1
      AND i.external_system = asked.system
      AND i.external_id = asked.id
      AND i.deleted_at IS NULL
    OFFSET 0
) AS i;

