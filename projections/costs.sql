-- name: insert_entries
-- Adds reports and corrections. One that is there already is an error: the checkpoint keeps it
-- from happening.
INSERT INTO cost_entries (
    company_id, position, corrects_position, day, at, recorded_at, month, run_id, issue_id,
    agent_id, team_id, project_id, provider, model, input_tokens, output_tokens, cached_tokens,
    cost_micros
)
SELECT $1, c.*
FROM jsonb_to_recordset($2) AS c (
    position bigint, corrects_position bigint, day date, at timestamptz, recorded_at timestamptz,
    month text, run_id uuid, issue_id uuid, agent_id text, team_id uuid, project_id uuid,
    provider text, model text, input_tokens bigint, output_tokens bigint, cached_tokens bigint,
    cost_micros bigint
);

-- name: add_sums
-- Adds amounts to the sums.
INSERT INTO cost_sums (
    company_id, level, day, agent_id, team, project, provider, model,
    reports, input_tokens, output_tokens, cached_tokens, cost_micros, rework_micros
)
SELECT $1, c.*
FROM jsonb_to_recordset($2) AS c (
    level text, day date, agent_id text, team text, project text, provider text, model text,
    reports bigint, input_tokens bigint, output_tokens bigint, cached_tokens bigint,
    cost_micros bigint, rework_micros bigint
)
ON CONFLICT (company_id, level, day, agent_id, team, project, provider, model) DO UPDATE SET
    reports = cost_sums.reports + excluded.reports,
    input_tokens = cost_sums.input_tokens + excluded.input_tokens,
    output_tokens = cost_sums.output_tokens + excluded.output_tokens,
    cached_tokens = cost_sums.cached_tokens + excluded.cached_tokens,
    cost_micros = cost_sums.cost_micros + excluded.cost_micros,
    rework_micros = cost_sums.rework_micros + excluded.rework_micros;

-- name: rework
-- Those of these runs whose work must be done again.
SELECT asked.run_id
FROM unnest($2::uuid[]) AS asked (run_id)
CROSS JOIN LATERAL (
    SELECT FROM cost_rework AS r WHERE r.company_id = $1 AND r.run_id = asked.run_id OFFSET 0
) AS r;

-- name: insert_rework
-- Runs whose work must be done again, since an event. A run ends once.
INSERT INTO cost_rework (company_id, run_id, position, at)
SELECT $1, r.*
FROM jsonb_to_recordset($2) AS r (run_id uuid, position bigint, at timestamptz);

-- name: costs_of_runs
-- All that these runs cost so far, by what the sums are kept by.
SELECT c.day, c.agent_id, coalesce(c.team_id::text, '') AS team,
       coalesce(c.project_id::text, '') AS project, c.provider, c.model, c.issue_id,
       sum(c.cost_micros)::bigint AS cost_micros
FROM unnest($2::uuid[]) AS asked (run_id)
CROSS JOIN LATERAL (
    SELECT * FROM cost_entries AS c
    WHERE c.company_id = $1 AND c.run_id = asked.run_id
    OFFSET 0
) AS c
GROUP BY 1, 2, 3, 4, 5, 6, 7;
