-- name: save_leases
-- Leases as they now are; who holds what since when never changes.
INSERT INTO leases (
    company_id, issue_id, fencing_token, run_id, agent_id, lease_seconds, acquired_at,
    expires_at, ended_at, ended_by
)
SELECT $1, l.*
FROM unnest(
    $2::uuid[], $3::bigint[], $4::uuid[], $5::text[], $6::integer[], $7::timestamptz[],
    $8::timestamptz[], $9::timestamptz[], $10::text[]
) AS l
ON CONFLICT (company_id, issue_id, fencing_token) DO UPDATE SET
    lease_seconds = excluded.lease_seconds,
    expires_at = excluded.expires_at,
    ended_at = excluded.ended_at,
    ended_by = excluded.ended_by;

-- name: workloads
-- How many unfinished issues each of them is assigned.
SELECT assignee, count(*) AS issues
FROM issues
WHERE company_id = $1
  AND assignee = ANY ($2::text[])
  AND status NOT IN ('done', 'closed', 'failed', 'cancelled')
  AND deleted_at IS NULL
GROUP BY assignee;

-- name: claimable
-- For each agent, at most $4 issues that it might claim, by priority, then by age, but for those
-- that were passed over ($3): its own that wait; those that wait for anybody, of its teams and of
-- none; and those that a run left behind. Never too few: what is left out here, may_claim refuses.
SELECT a.agent_id, ARRAY(
    SELECT c.issue_id
    FROM (
        SELECT i.issue_id, i.priority, i.created_position
        FROM issues AS i
        WHERE i.company_id = $1
          AND i.assignee = 'agent:' || a.agent_id
          AND i.status IN ('todo', 'in_progress')
          AND i.status NOT IN ('done', 'closed', 'failed', 'cancelled')
          AND i.holder_run_id IS NULL
          AND i.paused_at IS NULL
          AND i.deleted_at IS NULL
          AND i.issue_id <> ALL ($3::uuid[])
        UNION ALL
        SELECT i.issue_id, i.priority, i.created_position
        FROM issues AS i
        WHERE i.company_id = $1
          AND i.lease_expires_at <= clock_timestamp()
          AND i.status = 'in_progress'
          AND i.deleted_at IS NULL
          AND i.issue_id <> ALL ($3::uuid[])
        UNION ALL
        SELECT waiting.issue_id, waiting.priority, waiting.created_position
        FROM (
            SELECT '00000000-0000-0000-0000-000000000000'::uuid AS team_id
            UNION ALL
            SELECT t.entry_id
            FROM directory AS t
            WHERE t.company_id = $1
              AND t.kind = 'team'
              AND (t.fields -> 'agent_ids' ? a.agent_id
                   OR t.fields ->> 'lead_agent_id' = a.agent_id)
        ) AS pool
        CROSS JOIN LATERAL (
            SELECT i.issue_id, i.priority, i.created_position
            FROM issues AS i
            WHERE i.company_id = $1
              AND coalesce(i.team_id, '00000000-0000-0000-0000-000000000000') = pool.team_id
              AND i.status = 'todo'
              AND i.assignee IS NULL
              AND i.paused_at IS NULL
              AND i.deleted_at IS NULL
              AND i.issue_id <> ALL ($3::uuid[])
              AND NOT EXISTS (
                  SELECT FROM links AS l
                  JOIN issues AS b ON b.company_id = $1 AND b.issue_id = l.target_id
                  WHERE l.company_id = $1
                    AND l.issue_id = i.issue_id
                    AND l.link_type = 'blocked_by'
                    AND b.deleted_at IS NULL
                    AND b.status NOT IN ('done', 'closed', 'cancelled')
              )
              AND NOT EXISTS (
                  SELECT FROM directory AS p
                  WHERE p.company_id = $1
                    AND p.entry_id = i.project_id
                    AND jsonb_typeof(p.fields -> 'agent_ids') = 'array'
                    AND p.fields -> 'agent_ids' <> '[]'
                    AND NOT p.fields -> 'agent_ids' ? a.agent_id
              )
              AND NOT EXISTS (
                  SELECT FROM spending AS s
                  WHERE s.company_id = $1
                    AND s.scope = 'issue'
                    AND s.scope_id = i.issue_id::text
                    AND s.month = ''
                    AND s.spent_micros >= i.per_task_micros
              )
            ORDER BY CASE i.priority WHEN 'urgent' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2
                                     WHEN 'low' THEN 3 ELSE 4 END,
                     i.created_position
            LIMIT $4
        ) AS waiting
    ) AS c
    ORDER BY CASE c.priority WHEN 'urgent' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2
                             WHEN 'low' THEN 3 ELSE 4 END,
             c.created_position
    LIMIT $4
) AS issue_ids
FROM unnest($2::text[]) AS a (agent_id);
