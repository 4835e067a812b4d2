-- name: workloads
-- How many unfinished issues each of them is assigned.
SELECT i.assignee, count(*) AS issues
FROM unnest($2::text[]) AS asked (assignee)
CROSS JOIN LATERAL (
    SELECT * FROM issues AS i
    WHERE i.company_id = $1
      AND i.assignee = asked.assignee
      AND i.status NOT IN ('done', 'closed', 'failed', 'cancelled')
      AND i.deleted_at IS NULL
    OFFSET 0
) AS i
GROUP BY i.assignee;

-- name: claimable
-- For each agent, at most $4 issues that it might claim, by priority, then by age, but for those
-- that were passed over ($3): in each of its teams and in none, those that wait for it or for
-- anybody, and those that a run left behind (of each priority the ones that were left first).
-- Each is the beginning of an index, so that it costs nothing how many wait behind them, or in
-- other teams; OFFSET 0 has what is asked of each looked up by its key, whatever the planner knows
-- of the tables. Never too few: what is left out here, may_claim refuses.
SELECT a.agent_id, ARRAY(
    SELECT c.issue_id
    FROM (
        SELECT '00000000-0000-0000-0000-000000000000'::uuid AS team_id
        UNION ALL
        SELECT t.entry_id
        FROM directory AS t
        WHERE t.company_id = $1
          AND t.kind = 'team'
          AND (t.fields -> 'agent_ids' ? a.agent_id OR t.fields ->> 'lead_agent_id' = a.agent_id)
    ) AS pool
    CROSS JOIN LATERAL (
        SELECT waiting.*
        FROM unnest(ARRAY['', 'agent:' || a.agent_id]) AS whose (assignee)
        CROSS JOIN LATERAL (
            SELECT i.issue_id, i.priority, i.created_position
            FROM issues AS i
            WHERE i.company_id = $1
              AND coalesce(i.assignee, '') = whose.assignee
              AND coalesce(i.team_id, '00000000-0000-0000-0000-000000000000') = pool.team_id
              AND (i.status = 'todo' OR (i.status = 'in_progress' AND i.assignee IS NOT NULL))
              AND i.holder_run_id IS NULL
              AND i.paused_at IS NULL
              AND i.deleted_at IS NULL
              AND i.issue_id <> ALL ($3::uuid[])
              AND NOT EXISTS (
                  SELECT FROM links AS l
                  WHERE l.company_id = $1
                    AND l.issue_id = i.issue_id
                    AND l.link_type = 'blocked_by'
                    AND (
                        SELECT b.deleted_at IS NULL AND b.status NOT IN ('done', 'closed', 'cancelled')
                        FROM issues AS b
                        WHERE b.company_id = $1 AND b.issue_id = l.target_id
                    )
                  OFFSET 0
              )
              AND (i.project_id IS NULL OR NOT EXISTS (
                  SELECT FROM directory AS p
                  WHERE p.company_id = $1
                    AND p.entry_id = i.project_id
                    AND coalesce(p.fields -> 'agent_ids', '[]') NOT IN ('[]', 'null')
                    AND NOT p.fields -> 'agent_ids' ? a.agent_id
                  OFFSET 0
              ))
              AND (i.per_task_micros IS NULL OR NOT EXISTS (
                  SELECT FROM spending AS s
                  WHERE s.company_id = $1
                    AND s.scope = 'issue'
                    AND s.scope_id = i.issue_id::text
                    AND s.month = ''
                    AND s.spent_micros >= i.per_task_micros
                  OFFSET 0
              ))
            ORDER BY CASE i.priority WHEN 'urgent' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2
                                     WHEN 'low' THEN 3 ELSE 4 END,
                     i.created_position
            LIMIT $4
        ) AS waiting
        UNION ALL
        SELECT behind.*
        FROM generate_series(0, 4) AS of (priority)
        CROSS JOIN LATERAL (
            SELECT i.issue_id, i.priority, i.created_position
            FROM issues AS i
            WHERE i.company_id = $1
              AND coalesce(i.team_id, '00000000-0000-0000-0000-000000000000') = pool.team_id
              AND CASE i.priority WHEN 'urgent' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2
                                  WHEN 'low' THEN 3 ELSE 4 END = of.priority
              AND i.lease_expires_at <= now.at
              AND i.status = 'in_progress'
              AND i.deleted_at IS NULL
              AND i.issue_id <> ALL ($3::uuid[])
              AND NOT EXISTS (
                  SELECT FROM links AS l
                  WHERE l.company_id = $1
                    AND l.issue_id = i.issue_id
                    AND l.link_type = 'blocked_by'
                    AND (
                        SELECT b.deleted_at IS NULL AND b.status NOT IN ('done', 'closed', 'cancelled')
                        FROM issues AS b
                        WHERE b.company_id = $1 AND b.issue_id = l.target_id
                    )
                  OFFSET 0
              )
              AND (i.project_id IS NULL OR NOT EXISTS (
                  SELECT FROM directory AS p
                  WHERE p.company_id = $1
                    AND p.entry_id = i.project_id
                    AND coalesce(p.fields -> 'agent_ids', '[]') NOT IN ('[]', 'null')
                    AND NOT p.fields -> 'agent_ids' ? a.agent_id
                  OFFSET 0
              ))
              AND (i.per_task_micros IS NULL OR NOT EXISTS (
                  SELECT FROM spending AS s
                  WHERE s.company_id = $1
                    AND s.scope = 'issue'
                    AND s.scope_id = i.issue_id::text
                    AND s.month = ''
                    AND s.spent_micros >= i.per_task_micros
                  OFFSET 0
              ))
            ORDER BY i.lease_expires_at
            LIMIT $4
        ) AS behind
    ) AS c
    ORDER BY CASE c.priority WHEN 'urgent' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2
                             WHEN 'low' THEN 3 ELSE 4 END,
             c.created_position
    LIMIT $4
) AS issue_ids
FROM unnest($2::text[]) AS a (agent_id)
CROSS JOIN (
    SELECT greatest(statement_timestamp(), h.last_at) AS at
    FROM company_heads AS h
    WHERE h.company_id = $1
) AS now;
