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

-- name: save_issues
-- Issues as they now are. A description is written with a new issue alone; update_description
-- writes one that changed.
INSERT INTO issues (
    company_id, issue_id, version, identifier, title, status, priority, assignee,
    holder_agent_id, holder_run_id, held_since, lease_seconds, lease_expires_at, fencing_token,
    paused_at, paused_run_id, blocked_from, run_count, per_task_micros,
    team_id, project_id, goal_id, milestone_id,
    parent_id, label_ids, due_at, estimate, sort_order, billing_code,
    external_system, external_id, comment_count, started_at, completed_at, deleted_at,
    description_position, description_sha256,
    created_position, created_at, created_by, updated_at, description
)
SELECT $1, i.*
FROM ROWS FROM (
    jsonb_to_recordset($2) AS (
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
    ),
    unnest($3::text[])
) AS i
ON CONFLICT (company_id, issue_id) DO UPDATE SET
    version = excluded.version,
    title = excluded.title,
    status = excluded.status,
    priority = excluded.priority,
    assignee = excluded.assignee,
    holder_agent_id = excluded.holder_agent_id,
    holder_run_id = excluded.holder_run_id,
    held_since = excluded.held_since,
    lease_seconds = excluded.lease_seconds,
    lease_expires_at = excluded.lease_expires_at,
    fencing_token = excluded.fencing_token,
    paused_at = excluded.paused_at,
    paused_run_id = excluded.paused_run_id,
    blocked_from = excluded.blocked_from,
    run_count = excluded.run_count,
    per_task_micros = excluded.per_task_micros,
    team_id = excluded.team_id,
    project_id = excluded.project_id,
    goal_id = excluded.goal_id,
    milestone_id = excluded.milestone_id,
    parent_id = excluded.parent_id,
    label_ids = excluded.label_ids,
    due_at = excluded.due_at,
    estimate = excluded.estimate,
    sort_order = excluded.sort_order,
    billing_code = excluded.billing_code,
    external_system = excluded.external_system,
    external_id = excluded.external_id,
    comment_count = excluded.comment_count,
    started_at = excluded.started_at,
    completed_at = excluded.completed_at,
    deleted_at = excluded.deleted_at,
    description_position = excluded.description_position,
    description_sha256 = excluded.description_sha256,
    updated_at = excluded.updated_at;

-- name: free_external_ref
-- Lets go of an external_ref, so that in one batch another issue may take it. What the issue has
-- in the end is written by save_issues.
UPDATE issues SET external_system = NULL, external_id = NULL
WHERE company_id = $1 AND issue_id = $2;

-- name: update_description
-- The description of an issue that was there before.
UPDATE issues SET description = $3 WHERE company_id = $1 AND issue_id = $2;
