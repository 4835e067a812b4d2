-- name: insert_entries
-- Adds reports and corrections. One that is there already is an error: the checkpoint keeps it
-- from happening.
INSERT INTO cost_entries (
    company_id, position, corrects_position, day, at, recorded_at, month, run_id, issue_id,
    agent_id, team_id, project_id, provider, model, input_tokens, output_tokens, cached_tokens,
    cost_micros
)
SELECT $1, c.*
FROM unnest(
    $2::bigint[], $3::bigint[], $4::date[], $5::timestamptz[], $6::timestamptz[],
    $7::text[], $8::uuid[], $9::uuid[], $10::text[], $11::uuid[], $12::uuid[],
    $13::text[], $14::text[], $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[]
) AS c;

-- name: add_sums
-- Adds amounts to the sums.
INSERT INTO cost_sums (
    company_id, level, day, agent_id, team, project, provider, model,
    reports, input_tokens, output_tokens, cached_tokens, cost_micros, rework_micros
)
SELECT $1, c.*
FROM unnest(
    $2::text[], $3::date[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[]
) AS c
ON CONFLICT (company_id, level, day, agent_id, team, project, provider, model) DO UPDATE SET
    reports = cost_sums.reports + excluded.reports,
    input_tokens = cost_sums.input_tokens + excluded.input_tokens,
    output_tokens = cost_sums.output_tokens + excluded.output_tokens,
    cached_tokens = cost_sums.cached_tokens + excluded.cached_tokens,
    cost_micros = cost_sums.cost_micros + excluded.cost_micros,
    rework_micros = cost_sums.rework_micros + excluded.rework_micros;

-- name: rework
-- Those of these runs whose work must be done again.
SELECT run_id FROM cost_rework WHERE company_id = $1 AND run_id = ANY ($2::uuid[]);

-- name: insert_rework
-- Runs whose work must be done again, since an event. A run ends once.
INSERT INTO cost_rework (company_id, run_id, position, at)
SELECT $1, r.* FROM unnest($2::uuid[], $3::bigint[], $4::timestamptz[]) AS r;

-- name: costs_of_runs
-- All that these runs cost so far, by what the sums are kept by.
SELECT day, agent_id, coalesce(team_id::text, '') AS team,
       coalesce(project_id::text, '') AS project, provider, model, issue_id,
       sum(cost_micros)::bigint AS cost_micros
FROM cost_entries
WHERE company_id = $1 AND run_id = ANY ($2::uuid[])
GROUP BY 1, 2, 3, 4, 5, 6, 7;
