-- name: spent_on_issue
-- What was spent on an issue, as of a position.
SELECT coalesce(sum(cost_micros), 0)::bigint AS spent_micros
FROM cost_entries
WHERE company_id = $1 AND issue_id = $2 AND position <= $3;

-- name: of_agent
-- An agent's limit as of a position, and what it had spent by then in a month, by its id or under a
-- key that is older than that; nothing before it was listed. Of its stream, what set the limit last
-- is looked for from the end.
SELECT (
           SELECT (e.data ->> 'to_micros')::bigint
           FROM events AS e
           WHERE e.company_id = $1
             AND e.stream_id = d.entry_id
             AND e.position <= $4
             AND e.type = 'agent.budget_set'
           ORDER BY e.version DESC
           LIMIT 1
       ) AS limit_micros,
       (
           SELECT coalesce(sum(c.cost_micros), 0)::bigint
           FROM cost_entries AS c
           WHERE c.company_id = $1
             AND c.agent_id IN (d.entry_id::text, called.slug)
             AND c.month = $3
             AND c.position <= $4
       ) AS spent_micros
FROM directory AS d
CROSS JOIN LATERAL (
    SELECT coalesce(e.data ->> 'slug', e.data #>> '{changes,slug,to}') AS slug
    FROM events AS e
    WHERE e.company_id = $1
      AND e.stream_id = d.entry_id
      AND e.position <= $4
      AND coalesce(e.data ->> 'slug', e.data #>> '{changes,slug,to}') IS NOT NULL
    ORDER BY e.version DESC
    LIMIT 1
) AS called
WHERE d.company_id = $1 AND d.entry_id = $2;

-- name: of_company
-- The company's limit as of a position, and what it had spent by then in a month.
SELECT (
           SELECT (e.data ->> 'to_micros')::bigint
           FROM events AS e
           WHERE e.company_id = $1
             AND e.stream_id = $1
             AND e.position <= $3
             AND e.type = 'company.budget_set'
           ORDER BY e.version DESC
           LIMIT 1
       ) AS limit_micros,
       (
           SELECT coalesce(sum(c.cost_micros), 0)::bigint
           FROM cost_entries AS c
           WHERE c.company_id = $1 AND c.month = $2 AND c.position <= $3
       ) AS spent_micros;

-- name: of_agents
-- Agents after one, by id, who had a limit as of a position or had spent anything in the month by
-- then: what they might spend in a month, and what they did in this one, by their id or under a key
-- that is older than that.
WITH listed AS MATERIALIZED (
    SELECT d.entry_id::text AS agent_id, called.slug, capped.limit_micros,
           d.archived_at IS NOT NULL AND EXISTS (
               SELECT
               FROM events AS e
               WHERE e.company_id = $1
                 AND e.stream_id = d.entry_id
                 AND e.position <= $3
                 AND e.type = 'directory.entry_archived'
           ) AS is_archived
    FROM directory AS d
    CROSS JOIN LATERAL (
        SELECT coalesce(e.data ->> 'slug', e.data #>> '{changes,slug,to}') AS slug
        FROM events AS e
        WHERE e.company_id = $1
          AND e.stream_id = d.entry_id
          AND e.position <= $3
          AND coalesce(e.data ->> 'slug', e.data #>> '{changes,slug,to}') IS NOT NULL
        ORDER BY e.version DESC
        LIMIT 1
    ) AS called
    LEFT JOIN LATERAL (
        SELECT (e.data ->> 'to_micros')::bigint AS limit_micros
        FROM events AS e
        WHERE e.company_id = $1
          AND e.stream_id = d.entry_id
          AND e.position <= $3
          AND e.type = 'agent.budget_set'
        ORDER BY e.version DESC
        LIMIT 1
    ) AS capped ON true
    WHERE d.company_id = $1 AND d.kind = 'agent' AND d.created_position <= $3
),
spent AS (
    SELECT coalesce(listed.agent_id, s.agent_id) AS agent_id,
           sum(s.spent_micros)::bigint AS spent_micros
    FROM (
        SELECT c.agent_id, sum(c.cost_micros) AS spent_micros
        FROM cost_entries AS c
        WHERE c.company_id = $1 AND c.month = $2 AND c.position <= $3
        GROUP BY 1
    ) AS s
    LEFT JOIN listed ON listed.slug = s.agent_id AND NOT listed.is_archived
    GROUP BY 1
)
SELECT agent_id, listed.limit_micros, coalesce(spent.spent_micros, 0) AS spent_micros
FROM listed
FULL JOIN spent USING (agent_id)
WHERE agent_id > $4
  AND (spent.agent_id IS NOT NULL
       OR (listed.limit_micros IS NOT NULL AND NOT listed.is_archived))
ORDER BY agent_id
LIMIT $5;

-- name: recorded_at
-- When the event at a position was recorded.
SELECT recorded_at FROM events WHERE company_id = $1 AND position = $2;
