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

-- name: ancestors
-- The issues above one, from the topmost down; deleted ones and those above them are left out.
WITH RECURSIVE above (issue_id, parent_id, level) AS (
    SELECT i.issue_id, i.parent_id, 0
    FROM issues AS i
    WHERE i.company_id = $1 AND i.issue_id = $2
    UNION ALL
    SELECT i.issue_id, i.parent_id, above.level + 1
    FROM above
    JOIN issues AS i ON i.company_id = $1 AND i.issue_id = above.parent_id
    WHERE i.deleted_at IS NULL AND above.level < 101
)
SELECT i.*
FROM above
JOIN issues AS i ON i.company_id = $1 AND i.issue_id = above.issue_id
WHERE above.level > 0
ORDER BY above.level DESC;

-- name: sub_issues
-- An issue's sub-issues, oldest first.
SELECT *
FROM issues
WHERE company_id = $1 AND parent_id = $2 AND deleted_at IS NULL
ORDER BY created_position
LIMIT $3;

-- name: sub_issue_counts
-- How many of an issue's sub-issues are in each status.
SELECT status, count(*) AS issues
FROM issues
WHERE company_id = $1 AND parent_id = $2 AND deleted_at IS NULL
GROUP BY status;

-- name: entries_by_id
-- Entries by their ids, archived ones too.
SELECT *
FROM directory
WHERE company_id = $1 AND entry_id = ANY ($2::uuid[]);

-- name: with_keys
-- Of these actors, those that were ever given an API key.
SELECT DISTINCT actor FROM api_keys WHERE company_id = $1 AND actor = ANY ($2::text[]);
