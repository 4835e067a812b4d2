-- name: key_by_secret
-- The living API key with this secret.
SELECT key_id, role, actor
FROM api_keys
WHERE company_id = $1 AND secret_sha256 = $2 AND revoked_at IS NULL;

-- name: company
-- The company.
SELECT c.*, (SELECT h.head FROM company_heads AS h WHERE h.company_id = $1) AS as_of_position
FROM companies AS c
WHERE c.company_id = $1;

-- name: keys
-- API keys, newest first.
SELECT *
FROM api_keys
WHERE company_id = $1
  AND ($2::bigint IS NULL OR created_position < $2)
  AND ($4 OR revoked_at IS NULL)
ORDER BY created_position DESC
LIMIT $3;

-- name: key
-- One API key.
SELECT k.*, (SELECT h.head FROM company_heads AS h WHERE h.company_id = $1) AS as_of_position
FROM api_keys AS k
WHERE k.company_id = $1 AND k.key_id = $2 AND ($3 OR k.revoked_at IS NULL);

-- name: entries
-- Entries of a kind, newest first.
SELECT *
FROM directory
WHERE company_id = $1
  AND kind = $2
  AND ($3::bigint IS NULL OR created_position < $3)
  AND ($5 OR archived_at IS NULL)
ORDER BY created_position DESC
LIMIT $4;

-- name: entry
-- One entry by id, or the living one by slug, or a label by its name.
SELECT d.*, (SELECT h.head FROM company_heads AS h WHERE h.company_id = $1) AS as_of_position
FROM directory AS d
WHERE d.company_id = $1
  AND d.kind = $2
  AND (
      d.entry_id = $3::uuid
      OR (d.slug = lower($4::text) AND d.archived_at IS NULL)
      OR (d.kind = 'label' AND d.name = $4 AND d.archived_at IS NULL)
  )
  AND ($5 OR d.archived_at IS NULL)
ORDER BY d.name = $4 DESC
LIMIT 1;

-- name: issue_by_id
-- One issue, by id.
SELECT i.*, (SELECT h.head FROM company_heads AS h WHERE h.company_id = $1) AS as_of_position
FROM issues AS i
WHERE i.company_id = $1 AND i.issue_id = $2 AND i.deleted_at IS NULL;

-- name: issue_by_identifier
-- One issue, by identifier.
SELECT i.*, (SELECT h.head FROM company_heads AS h WHERE h.company_id = $1) AS as_of_position
FROM issues AS i
WHERE i.company_id = $1 AND i.identifier = $2 AND i.deleted_at IS NULL;

-- name: issue_ever
-- An issue's id, deleted or not.
SELECT issue_id::text FROM issues
WHERE company_id = $1 AND (issue_id = $2::uuid OR identifier = $3::text);

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

-- name: comments
-- An issue's comments, oldest first.
SELECT *
FROM comments
WHERE company_id = $1 AND issue_id = $2 AND created_position > $3 AND deleted_at IS NULL
ORDER BY created_position
LIMIT $4;

-- name: comment
-- One comment.
SELECT c.*, (SELECT h.head FROM company_heads AS h WHERE h.company_id = $1) AS as_of_position
FROM comments AS c
WHERE c.company_id = $1 AND c.issue_id = $2 AND c.comment_id = $3 AND c.deleted_at IS NULL;

-- name: links
-- An issue's links, from either end, oldest first.
SELECT *
FROM links
WHERE company_id = $1 AND (issue_id = $2 OR target_id = $2) AND created_position > $3
ORDER BY created_position
LIMIT $4;

-- name: runs
-- An issue's runs, newest first.
SELECT *
FROM runs
WHERE company_id = $1
  AND issue_id = $2
  AND ($3::bigint IS NULL OR created_position < $3)
ORDER BY created_position DESC
LIMIT $4;

-- name: run
-- One run.
SELECT r.*, (SELECT h.head FROM company_heads AS h WHERE h.company_id = $1) AS as_of_position
FROM runs AS r
WHERE r.company_id = $1 AND r.issue_id = $2 AND r.run_id = $3;

-- name: leases
-- A run's leases, oldest first.
SELECT *
FROM leases
WHERE company_id = $1 AND run_id = $2 AND fencing_token > $3
ORDER BY fencing_token
LIMIT $4;

-- name: issue_budget
-- An issue's limit, and what was spent on it.
SELECT i.per_task_micros AS limit_micros,
       coalesce(s.spent_micros, 0) AS spent_micros,
       (SELECT h.head FROM company_heads AS h WHERE h.company_id = $1) AS as_of_position
FROM issues AS i
LEFT JOIN spending AS s
  ON s.company_id = $1 AND s.scope = 'issue' AND s.scope_id = i.issue_id::text AND s.month = ''
WHERE i.company_id = $1 AND i.issue_id = $2;

-- name: agent_budget
-- An agent's limit, and what it spent in a month, by its id or under a key that is older than that.
SELECT (d.fields ->> 'monthly_micros')::bigint AS limit_micros,
       coalesce(
           (
               SELECT sum(s.spent_micros)::bigint
               FROM spending AS s
               WHERE s.company_id = $1
                 AND s.scope = 'agent'
                 AND s.scope_id IN (d.entry_id::text, d.slug)
                 AND s.month = $3
           ),
           0
       ) AS spent_micros,
       (SELECT h.head FROM company_heads AS h WHERE h.company_id = $1) AS as_of_position
FROM directory AS d
WHERE d.company_id = $1 AND d.entry_id = $2;

-- name: passed_over
-- Of a thousand unfinished issues, how many an agent ($2, as an assignee) may not take at a time
-- ($3), by the first thing that speaks against it.
SELECT u.reason, count(*) AS issues
FROM (
    SELECT CASE
               WHEN i.paused_at IS NOT NULL THEN 'paused'
               WHEN i.lease_expires_at > $3 THEN 'held'
               WHEN i.lease_expires_at IS NULL AND i.assignee <> $2 THEN 'assigned'
               WHEN i.status = 'blocked' OR EXISTS (
                   SELECT FROM links AS l
                   JOIN issues AS b ON b.company_id = $1 AND b.issue_id = l.target_id
                   WHERE l.company_id = $1
                     AND l.issue_id = i.issue_id
                     AND l.link_type = 'blocked_by'
                     AND b.deleted_at IS NULL
                     AND b.status NOT IN ('done', 'closed', 'cancelled')
               ) THEN 'blocked'
               WHEN i.per_task_micros <= coalesce(s.spent_micros, 0) THEN 'spent'
               WHEN i.status NOT IN ('todo', 'in_progress') THEN 'status'
               ELSE 'elsewhere'
           END AS reason
    FROM issues AS i
    LEFT JOIN spending AS s
      ON s.company_id = $1 AND s.scope = 'issue' AND s.scope_id = i.issue_id::text AND s.month = ''
    WHERE i.company_id = $1
      AND i.status NOT IN ('done', 'closed', 'failed', 'cancelled')
      AND i.deleted_at IS NULL
    LIMIT 1000
) AS u
GROUP BY u.reason
ORDER BY u.reason;

-- name: company_budget
-- The company's limit, and what it spent in a month.
SELECT c.monthly_micros AS limit_micros,
       coalesce(s.spent_micros, 0) AS spent_micros,
       (SELECT h.head FROM company_heads AS h WHERE h.company_id = $1) AS as_of_position
FROM companies AS c
LEFT JOIN spending AS s
  ON s.company_id = $1 AND s.scope = 'company' AND s.scope_id = c.company_id::text AND s.month = $2
WHERE c.company_id = $1;

-- name: activity
-- Activity, newest first.
SELECT *
FROM activity
WHERE company_id = $1
  AND ($2::bigint IS NULL OR position < $2)
  AND ($4::uuid IS NULL OR issue_id = $4)
  AND ($5::text IS NULL OR actor = $5 OR on_behalf_of = $5)
  AND ($6::uuid IS NULL OR run_id = $6)
  AND ($7::text[] IS NULL OR type = ANY ($7))
  AND ($8::timestamptz IS NULL OR at >= $8)
  AND ($9::timestamptz IS NULL OR at < $9)
  AND ($10 OR type NOT LIKE 'key.%')
ORDER BY position DESC
LIMIT $3;

-- name: cost_entries
-- Cost reports, newest first.
SELECT *
FROM cost_entries
WHERE company_id = $1
  AND ($2::bigint IS NULL OR position < $2)
  AND ($4::uuid IS NULL OR issue_id = $4)
  AND ($5::text IS NULL OR agent_id = $5)
  AND ($6::uuid IS NULL OR project_id = $6)
  AND ($7::text IS NULL OR provider = $7)
  AND ($8::text IS NULL OR model = $8)
  AND ($9::date IS NULL OR day >= $9)
  AND ($10::date IS NULL OR day <= $10)
ORDER BY position DESC
LIMIT $3;

-- name: cost_sums
-- Costs by any of the groups ($2 to $7); a group that was not asked for is null.
SELECT CASE WHEN $2 THEN day END AS day,
       CASE WHEN $3 THEN agent_id END AS agent_id,
       CASE WHEN $4 THEN project END AS project_id,
       CASE WHEN $5 THEN issue_id END AS issue_id,
       CASE WHEN $6 THEN provider END AS provider,
       CASE WHEN $7 THEN model END AS model,
       sum(reports)::bigint AS reports,
       sum(input_tokens)::bigint AS input_tokens,
       sum(output_tokens)::bigint AS output_tokens,
       sum(cached_tokens)::bigint AS cached_tokens,
       sum(cost_micros)::bigint AS cost_micros
FROM cost_sums
WHERE company_id = $1
  AND ($8::uuid IS NULL OR issue_id = $8)
  AND ($9::text IS NULL OR agent_id = $9)
  AND ($10::text IS NULL OR project = $10)
  AND ($11::text IS NULL OR provider = $11)
  AND ($12::text IS NULL OR model = $12)
  AND ($13::date IS NULL OR day >= $13)
  AND ($14::date IS NULL OR day <= $14)
GROUP BY 1, 2, 3, 4, 5, 6
ORDER BY 1, 2, 3, 4, 5, 6
LIMIT $15;

-- name: position
-- How far a following model of a company is.
SELECT position FROM checkpoints WHERE company_id = $1 AND model = $2;

-- name: health
-- The schema's version, and how far the last event is ahead of the clock, in seconds.
SELECT (SELECT max(version) FROM schema_version) AS schema_version,
       coalesce(
           (SELECT extract(epoch FROM max(last_at) - clock_timestamp())::float8
            FROM company_heads WHERE head > 0),
           0
       ) AS ahead_seconds;

-- name: lags
-- For each following model: how many events it is behind, and how long ago it gave a sign.
SELECT m.model,
       (SELECT coalesce(sum(h.head - coalesce(c.position, 0)), 0)::bigint
        FROM company_heads AS h
        LEFT JOIN checkpoints AS c ON c.company_id = h.company_id AND c.model = m.model
       ) AS events_behind,
       extract(epoch FROM clock_timestamp() - m.beat_at)::float8 AS beat_seconds
FROM projector_leases AS m
WHERE m.model <> 'rebuild';
