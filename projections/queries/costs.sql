-- name: cost_entries
-- Reports of costs and their corrections, newest first, as of a position and of what had happened.
-- With its limit it is planned for its values, and so along the index of what is asked for: a page
-- under each of an agent's names, of which a page is taken.
SELECT position, corrects_position, day, at, run_id, issue_id, agent_id, team_id, project_id,
       provider, model, input_tokens, output_tokens, cached_tokens, cost_micros
FROM unnest(coalesce($8::text[], ARRAY[NULL::text])) AS called (agent_name)
CROSS JOIN LATERAL (
    SELECT e.*
    FROM cost_entries AS e
    WHERE e.company_id = $1
      AND e.position <= $2
      AND ($3::timestamptz IS NULL OR e.at <= $3)
      AND ($4::bigint IS NULL OR e.position < $4)
      AND ($6::uuid IS NULL OR e.issue_id = $6)
      AND ($7::uuid IS NULL OR e.run_id = $7)
      AND ($8::text[] IS NULL OR e.agent_id = called.agent_name)
      AND ($9::uuid IS NULL OR e.team_id = $9)
      AND ($10::uuid IS NULL OR e.project_id = $10)
      AND ($11::text IS NULL OR e.provider = $11)
      AND ($12::text IS NULL OR e.model = $12)
      AND ($13::date IS NULL OR e.day >= $13)
      AND ($14::date IS NULL OR e.day <= $14)
    ORDER BY e.position DESC
    LIMIT $5
) AS found
ORDER BY position DESC
LIMIT $5;

-- name: exported_entries
-- The same, oldest first after a position, with what an export says beside.
SELECT position, corrects_position, day, at, recorded_at, month, run_id, issue_id, agent_id,
       team_id, project_id, provider, model, input_tokens, output_tokens, cached_tokens, cost_micros
FROM unnest(coalesce($8::text[], ARRAY[NULL::text])) AS called (agent_name)
CROSS JOIN LATERAL (
    SELECT e.*
    FROM cost_entries AS e
    WHERE e.company_id = $1
      AND e.position <= $2
      AND ($3::timestamptz IS NULL OR e.at <= $3)
      AND e.position > $4
      AND ($6::uuid IS NULL OR e.issue_id = $6)
      AND ($7::uuid IS NULL OR e.run_id = $7)
      AND ($8::text[] IS NULL OR e.agent_id = called.agent_name)
      AND ($9::uuid IS NULL OR e.team_id = $9)
      AND ($10::uuid IS NULL OR e.project_id = $10)
      AND ($11::text IS NULL OR e.provider = $11)
      AND ($12::text IS NULL OR e.model = $12)
      AND ($13::date IS NULL OR e.day >= $13)
      AND ($14::date IS NULL OR e.day <= $14)
    ORDER BY e.position
    LIMIT $5
) AS found
ORDER BY position
LIMIT $5;

-- name: coarse_sums
-- Costs as they are now by any groups but issue and run, and the position that they are as of; a
-- group that was not asked for is null.
SELECT CASE WHEN $2 THEN date_trunc($8, day::timestamp)::date END AS day,
       CASE WHEN $3 THEN agent_id END AS agent_id,
       CASE WHEN $4 THEN nullif(team, '') END AS team_id,
       CASE WHEN $5 THEN nullif(project, '') END AS project_id,
       CASE WHEN $6 THEN provider END AS provider,
       CASE WHEN $7 THEN model END AS model,
       sum(reports)::bigint AS reports,
       sum(input_tokens)::bigint AS input_tokens,
       sum(output_tokens)::bigint AS output_tokens,
       sum(cached_tokens)::bigint AS cached_tokens,
       sum(cost_micros)::bigint AS cost_micros,
       sum(rework_micros)::bigint AS rework_micros,
       (SELECT c.position FROM checkpoints AS c WHERE c.company_id = $1 AND c.model = 'costs')
           AS as_of_position
FROM cost_sums
WHERE company_id = $1
  AND level = $17
  AND day >= coalesce($9::date, '-infinity')
  AND day <= coalesce($10::date, 'infinity')
  AND ($11::text[] IS NULL OR agent_id = ANY ($11))
  AND ($12::text IS NULL OR team = $12)
  AND ($13::text IS NULL OR project = $13)
  AND ($14::text IS NULL OR provider = $14)
  AND ($15::text IS NULL OR model = $15)
GROUP BY 1, 2, 3, 4, 5, 6
ORDER BY 1, 2, 3, 4, 5, 6
LIMIT $16;

-- name: entry_sums
-- Costs by any groups as of a position and of what had happened: the sums of the entries by then,
-- of which those are rework whose run had ended so by then. Those of a run or an issue are found
-- by it.
SELECT CASE WHEN $4 THEN date_trunc($12, e.day::timestamp)::date END AS day,
       CASE WHEN $5 THEN e.agent_id END AS agent_id,
       CASE WHEN $6 THEN e.team_id END AS team_id,
       CASE WHEN $7 THEN e.project_id END AS project_id,
       CASE WHEN $8 THEN e.issue_id END AS issue_id,
       CASE WHEN $9 THEN e.run_id END AS run_id,
       CASE WHEN $10 THEN e.provider END AS provider,
       CASE WHEN $11 THEN e.model END AS model,
       count(*) FILTER (WHERE e.corrects_position IS NULL) AS reports,
       sum(e.input_tokens)::bigint AS input_tokens,
       sum(e.output_tokens)::bigint AS output_tokens,
       sum(e.cached_tokens)::bigint AS cached_tokens,
       sum(e.cost_micros)::bigint AS cost_micros,
       coalesce(sum(e.cost_micros) FILTER (WHERE r.run_id IS NOT NULL), 0)::bigint
           AS rework_micros,
       $2::bigint AS as_of_position
FROM (
    SELECT * FROM cost_entries WHERE company_id = $1 AND run_id = $16::uuid
    UNION ALL
    SELECT * FROM cost_entries
    WHERE company_id = $1 AND issue_id = $15::uuid AND $16::uuid IS NULL
    UNION ALL
    SELECT * FROM cost_entries
    WHERE company_id = $1 AND agent_id = ANY ($17::text[])
      AND $15::uuid IS NULL AND $16::uuid IS NULL
    UNION ALL
    SELECT * FROM cost_entries
    WHERE company_id = $1 AND $15::uuid IS NULL AND $16::uuid IS NULL AND $17::text[] IS NULL
      AND day >= coalesce($13::date, '-infinity')
      AND day <= coalesce($14::date, 'infinity')
) AS e
LEFT JOIN cost_rework AS r
  ON r.company_id = $1
 AND r.run_id = e.run_id
 AND r.position <= $2
 AND ($3::timestamptz IS NULL OR r.at <= $3)
WHERE e.position <= $2
  AND ($3::timestamptz IS NULL OR e.at <= $3)
  AND ($13::date IS NULL OR e.day >= $13)
  AND ($14::date IS NULL OR e.day <= $14)
  AND ($15::uuid IS NULL OR e.issue_id = $15)
  AND ($17::text[] IS NULL OR e.agent_id = ANY ($17))
  AND ($18::uuid IS NULL OR e.team_id = $18)
  AND ($19::uuid IS NULL OR e.project_id = $19)
  AND ($20::text IS NULL OR e.provider = $20)
  AND ($21::text IS NULL OR e.model = $21)
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
ORDER BY 1, 2, 3, 4, 5, 6, 7, 8
LIMIT $22;

-- name: finished
-- What finished issues cost, by the group $2: how many, together, on average, in the middle. The
-- shares are whole micro-dollars, rounded down.
SELECT CASE $2 WHEN 'agent' THEN nullif(agent_id, '')
               WHEN 'team' THEN nullif(team, '')
               WHEN 'project' THEN nullif(project, '')
               WHEN 'day' THEN to_char(finished_on, 'YYYY-MM-DD')
               WHEN 'month' THEN to_char(finished_on, 'YYYY-MM') END AS of_group,
       count(*) AS issues,
       sum(cost_micros)::bigint AS cost_micros,
       sum(rework_micros)::bigint AS rework_micros,
       floor(sum(cost_micros) / count(*))::bigint AS mean_micros,
       floor(percentile_cont(0.5) WITHIN GROUP (ORDER BY cost_micros))::bigint AS median_micros,
       floor(sum(rework_micros) / count(*))::bigint AS mean_rework_micros,
       (SELECT c.position FROM checkpoints AS c WHERE c.company_id = $1 AND c.model = 'costs')
           AS as_of_position
FROM cost_issues
WHERE company_id = $1
  AND finished_on >= coalesce($3::date, '-infinity')
  AND finished_on <= coalesce($4::date, 'infinity')
  AND ($5::text[] IS NULL OR agent_id = ANY ($5))
  AND ($6::text IS NULL OR team = $6)
  AND ($7::text IS NULL OR project = $7)
GROUP BY 1
ORDER BY 1
LIMIT $8;

-- name: finished_as_of
-- The same as of a position, or by what had happened by a time: issues that were finished then, with
-- the team, the project and the agent of then, and their costs as they were known. Those that did
-- not change since are as they are now. An issue is finished since it was completed, unless it had
-- failed or been cancelled before: then its events say since when.
WITH settled AS (
    SELECT v.issue_id, v.version, v.team_id, v.project_id, v.completed_at
    FROM issue_versions AS v
    WHERE v.company_id = $1
      AND v.is_current
      AND v.position <= $2
      AND v.status IN ('done', 'closed')
      AND $3::timestamptz IS NULL
    UNION ALL
    SELECT v.issue_id, v.version, v.team_id, v.project_id, v.completed_at
    FROM issue_versions AS now
    CROSS JOIN LATERAL (
        SELECT *
        FROM issue_versions AS p
        WHERE p.company_id = $1
          AND p.issue_id = now.issue_id
          AND p.position <= $2
          AND p.timeline <> 'occurred'
        ORDER BY p.position DESC
        LIMIT 1
    ) AS v
    WHERE now.company_id = $1
      AND now.is_current
      AND now.position > $2
      AND now.created_position <= $2
      AND v.status IN ('done', 'closed')
      AND $3::timestamptz IS NULL
    UNION ALL
    SELECT v.issue_id, now.version, v.team_id, v.project_id, v.completed_at
    FROM issue_versions AS now
    CROSS JOIN LATERAL (
        SELECT *
        FROM issue_versions AS p
        WHERE p.company_id = $1
          AND p.issue_id = now.issue_id
          AND p.at <= $3
          AND p.timeline <> 'recorded'
        ORDER BY p.at DESC, p.position DESC
        LIMIT 1
    ) AS v
    WHERE now.company_id = $1
      AND now.is_current
      AND v.status IN ('done', 'closed')
      AND $3::timestamptz IS NOT NULL
),
ended AS (
    SELECT s.issue_id, s.team_id, s.project_id, worked.agent_id,
           (CASE WHEN EXISTS (
                SELECT FROM issue_versions AS f
                WHERE f.company_id = $1
                  AND f.issue_id = s.issue_id
                  AND f.status IN ('failed', 'cancelled')
                  AND ($3::timestamptz IS NOT NULL OR f.completed_at = s.completed_at)
            ) THEN (
                SELECT coalesce(e.occurred_at, e.recorded_at)
                FROM events AS e
                WHERE e.company_id = $1
                  AND e.stream_id = s.issue_id
                  AND e.version <= s.version
                  AND ($3::timestamptz IS NULL OR coalesce(e.occurred_at, e.recorded_at) <= $3)
                  AND coalesce(e.data ->> 'to_status', e.data ->> 'status') IN ('done', 'closed')
                  AND e.version > coalesce(
                      (SELECT max(b.version)
                       FROM events AS b
                       WHERE b.company_id = $1
                         AND b.stream_id = s.issue_id
                         AND b.version <= s.version
                         AND ($3::timestamptz IS NULL
                              OR coalesce(b.occurred_at, b.recorded_at) <= $3)
                         AND coalesce(b.data ->> 'to_status', b.data ->> 'status')
                             NOT IN ('done', 'closed')),
                      0
                  )
                ORDER BY e.version
                LIMIT 1
            ) ELSE s.completed_at END AT TIME ZONE 'UTC')::date AS finished_on
    FROM settled AS s
    LEFT JOIN LATERAL (
        SELECT l.agent_id
        FROM leases AS l
        WHERE l.company_id = $1
          AND l.issue_id = s.issue_id
          AND l.fencing_token <= s.version
          AND ($3::timestamptz IS NULL OR l.acquired_at <= $3)
        ORDER BY l.fencing_token DESC
        LIMIT 1
    ) AS worked ON true
),
wanted AS MATERIALIZED (
    SELECT *
    FROM ended
    WHERE finished_on >= coalesce($5::date, '-infinity')
      AND finished_on <= coalesce($6::date, 'infinity')
      AND ($7::text[] IS NULL OR agent_id = ANY ($7))
      AND ($8::uuid IS NULL OR team_id = $8)
      AND ($9::uuid IS NULL OR project_id = $9)
)
SELECT CASE $4 WHEN 'agent' THEN w.agent_id
               WHEN 'team' THEN w.team_id::text
               WHEN 'project' THEN w.project_id::text
               WHEN 'day' THEN to_char(w.finished_on, 'YYYY-MM-DD')
               WHEN 'month' THEN to_char(w.finished_on, 'YYYY-MM') END AS of_group,
       count(*) AS issues,
       sum(c.cost_micros)::bigint AS cost_micros,
       sum(c.rework_micros)::bigint AS rework_micros,
       floor(sum(c.cost_micros) / count(*))::bigint AS mean_micros,
       floor(percentile_cont(0.5) WITHIN GROUP (ORDER BY c.cost_micros))::bigint
           AS median_micros,
       floor(sum(c.rework_micros) / count(*))::bigint AS mean_rework_micros,
       $2::bigint AS as_of_position
FROM wanted AS w
CROSS JOIN LATERAL (
    SELECT coalesce(sum(e.cost_micros), 0)::bigint AS cost_micros,
           coalesce(sum(e.cost_micros) FILTER (WHERE r.run_id IS NOT NULL), 0)::bigint
               AS rework_micros
    FROM cost_entries AS e
    LEFT JOIN cost_rework AS r
      ON r.company_id = $1
     AND r.run_id = e.run_id
     AND r.position <= $2
     AND ($3::timestamptz IS NULL OR r.at <= $3)
    WHERE e.company_id = $1
      AND e.issue_id = w.issue_id
      AND e.position <= $2
      AND ($3::timestamptz IS NULL OR e.at <= $3)
) AS c
GROUP BY 1
ORDER BY 1
LIMIT $10;

-- name: agent_budgets
-- Agents after one, by id, who have a limit or spent anything in the month: what they may spend in
-- a month, and what they did in this one, by their id or under a key that is older than that.
WITH spent AS (
    SELECT coalesce(d.entry_id::text, s.scope_id) AS agent_id,
           sum(s.spent_micros)::bigint AS spent_micros
    FROM spending AS s
    LEFT JOIN directory AS d
      ON d.company_id = $1
     AND d.kind = 'agent'
     AND d.slug = s.scope_id
     AND d.archived_at IS NULL
    WHERE s.company_id = $1 AND s.scope = 'agent' AND s.month = $2
    GROUP BY 1
),
agents AS (
    SELECT agent_id FROM spent
    UNION
    SELECT entry_id::text
    FROM directory
    WHERE company_id = $1
      AND kind = 'agent'
      AND archived_at IS NULL
      AND fields ->> 'monthly_micros' IS NOT NULL
)
SELECT agents.agent_id,
       (d.fields ->> 'monthly_micros')::bigint AS limit_micros,
       coalesce(spent.spent_micros, 0) AS spent_micros
FROM agents
LEFT JOIN spent ON spent.agent_id = agents.agent_id
LEFT JOIN directory AS d
  ON d.company_id = $1 AND d.kind = 'agent' AND d.entry_id::text = agents.agent_id
WHERE agents.agent_id > $3
ORDER BY agents.agent_id
LIMIT $4;
