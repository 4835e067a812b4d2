-- name: issues
-- Issues by id, deleted ones too, without their descriptions.
SELECT issue_id, version, identifier, title, status, priority, assignee,
       holder_agent_id, holder_run_id, held_since, lease_seconds, lease_expires_at, fencing_token,
       paused_at, paused_run_id, blocked_from, run_count, per_task_micros,
       team_id, project_id, goal_id, milestone_id,
       parent_id, label_ids, due_at, estimate, sort_order, billing_code,
       external_system, external_id, comment_count, started_at, completed_at, deleted_at,
       description_position, description_sha256,
       created_position, created_at, created_by, updated_at
FROM issues
WHERE company_id = $1 AND issue_id = ANY ($2::uuid[]);

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
SELECT issue_id, version, identifier, title, status, priority, assignee,
       holder_agent_id, holder_run_id, held_since, lease_seconds, lease_expires_at, fencing_token,
       paused_at, paused_run_id, blocked_from, run_count, per_task_micros,
       team_id, project_id, goal_id, milestone_id,
       parent_id, label_ids, due_at, estimate, sort_order, billing_code,
       external_system, external_id, comment_count, started_at, completed_at, deleted_at,
       description_position, description_sha256,
       created_position, created_at, created_by, updated_at
FROM issues
WHERE company_id = $1 AND issue_id IN (SELECT chain.issue_id FROM chain);

-- name: identifiers
-- The ids of identifiers such as ENG-42.
SELECT identifier, issue_id
FROM issues
WHERE company_id = $1 AND identifier = ANY ($2::text[]);

-- name: external_refs
-- The living issues that stand for these ids of other systems.
SELECT i.external_system AS system, i.external_id AS id, i.issue_id
FROM unnest($2::text[], $3::text[]) AS asked (system, id)
JOIN issues AS i
  ON i.company_id = $1
 AND i.external_system = asked.system
 AND i.external_id = asked.id
 AND i.deleted_at IS NULL;

-- name: insert_issues
-- New issues, with their descriptions.
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
SELECT $1, i.issue_id, i.version, i.identifier, i.title, i.status, i.priority, i.assignee,
       i.holder_agent_id, i.holder_run_id, i.held_since, i.lease_seconds, i.lease_expires_at,
       i.fencing_token, i.paused_at, i.paused_run_id, i.blocked_from, i.run_count,
       i.per_task_micros, i.team_id, i.project_id, i.goal_id,
       i.milestone_id, i.parent_id, i.label_ids::uuid[], i.due_at, i.estimate, i.sort_order,
       i.billing_code, i.external_system, i.external_id, i.comment_count, i.started_at,
       i.completed_at, i.deleted_at, i.description_position, i.description_sha256,
       i.created_position, i.created_at, i.created_by, i.updated_at, i.description
FROM unnest(
    $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::uuid[], $11::timestamptz[], $12::integer[], $13::timestamptz[],
    $14::bigint[], $15::timestamptz[], $16::uuid[], $17::text[], $18::bigint[], $19::bigint[],
    $20::uuid[], $21::uuid[], $22::uuid[], $23::uuid[], $24::uuid[], $25::text[],
    $26::timestamptz[], $27::bigint[], $28::text[], $29::text[], $30::text[], $31::text[],
    $32::bigint[], $33::timestamptz[], $34::timestamptz[], $35::timestamptz[], $36::bigint[],
    $37::text[], $38::bigint[], $39::timestamptz[], $40::text[], $41::timestamptz[], $42::text[]
) AS i (
    issue_id, version, identifier, title, status, priority, assignee,
    holder_agent_id, holder_run_id, held_since, lease_seconds, lease_expires_at, fencing_token,
    paused_at, paused_run_id, blocked_from, run_count, per_task_micros,
    team_id, project_id, goal_id,
    milestone_id, parent_id, label_ids, due_at, estimate, sort_order,
    billing_code, external_system, external_id, comment_count, started_at,
    completed_at, deleted_at, description_position, description_sha256,
    created_position, created_at, created_by, updated_at, description
);

-- name: update_issues
-- Issues as they now are, but for what never changes and the description.
UPDATE issues SET
    version = i.version,
    title = i.title,
    status = i.status,
    priority = i.priority,
    assignee = i.assignee,
    holder_agent_id = i.holder_agent_id,
    holder_run_id = i.holder_run_id,
    held_since = i.held_since,
    lease_seconds = i.lease_seconds,
    lease_expires_at = i.lease_expires_at,
    fencing_token = i.fencing_token,
    paused_at = i.paused_at,
    paused_run_id = i.paused_run_id,
    blocked_from = i.blocked_from,
    run_count = i.run_count,
    per_task_micros = i.per_task_micros,
    team_id = i.team_id,
    project_id = i.project_id,
    goal_id = i.goal_id,
    milestone_id = i.milestone_id,
    parent_id = i.parent_id,
    label_ids = i.label_ids::uuid[],
    due_at = i.due_at,
    estimate = i.estimate,
    sort_order = i.sort_order,
    billing_code = i.billing_code,
    external_system = i.external_system,
    external_id = i.external_id,
    comment_count = i.comment_count,
    started_at = i.started_at,
    completed_at = i.completed_at,
    deleted_at = i.deleted_at,
    description_position = i.description_position,
    description_sha256 = i.description_sha256,
    updated_at = i.updated_at
FROM unnest(
    $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::uuid[], $11::timestamptz[], $12::integer[], $13::timestamptz[],
    $14::bigint[], $15::timestamptz[], $16::uuid[], $17::text[], $18::bigint[], $19::bigint[],
    $20::uuid[], $21::uuid[], $22::uuid[], $23::uuid[], $24::uuid[], $25::text[],
    $26::timestamptz[], $27::bigint[], $28::text[], $29::text[], $30::text[], $31::text[],
    $32::bigint[], $33::timestamptz[], $34::timestamptz[], $35::timestamptz[], $36::bigint[],
    $37::text[], $38::bigint[], $39::timestamptz[], $40::text[], $41::timestamptz[]
) AS i (
    issue_id, version, identifier, title, status, priority, assignee,
    holder_agent_id, holder_run_id, held_since, lease_seconds, lease_expires_at, fencing_token,
    paused_at, paused_run_id, blocked_from, run_count, per_task_micros,
    team_id, project_id, goal_id,
    milestone_id, parent_id, label_ids, due_at, estimate, sort_order,
    billing_code, external_system, external_id, comment_count, started_at,
    completed_at, deleted_at, description_position, description_sha256,
    created_position, created_at, created_by, updated_at
)
WHERE issues.company_id = $1 AND issues.issue_id = i.issue_id;

-- name: free_external_refs
-- Lets go of external_refs, so that in one batch others may take them. What the issues have in
-- the end is written by update_issues.
UPDATE issues SET external_system = NULL, external_id = NULL
WHERE company_id = $1 AND issue_id = ANY ($2::uuid[]);

-- name: update_descriptions
-- The descriptions that changed.
UPDATE issues SET description = d.description
FROM unnest($2::uuid[], $3::text[]) AS d (issue_id, description)
WHERE issues.company_id = $1 AND issues.issue_id = d.issue_id;
