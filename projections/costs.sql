-- name: insert_entries
-- Adds reports. One that is there already is an error: the checkpoint keeps it from happening.
INSERT INTO cost_entries (
    company_id, position, day, at, run_id, issue_id, agent_id, project_id, provider, model,
    input_tokens, output_tokens, cached_tokens, cost_micros
)
SELECT $1, c.*
FROM unnest(
    $2::bigint[], $3::date[], $4::timestamptz[], $5::uuid[], $6::uuid[], $7::text[], $8::uuid[],
    $9::text[], $10::text[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[]
) AS c;

-- name: add_sums
-- Adds amounts to the sums.
INSERT INTO cost_sums (
    company_id, day, agent_id, project, issue_id, provider, model,
    reports, input_tokens, output_tokens, cached_tokens, cost_micros
)
SELECT $1, c.*
FROM unnest(
    $2::date[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::text[],
    $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[]
) AS c
ON CONFLICT (company_id, day, agent_id, project, issue_id, provider, model) DO UPDATE SET
    reports = cost_sums.reports + excluded.reports,
    input_tokens = cost_sums.input_tokens + excluded.input_tokens,
    output_tokens = cost_sums.output_tokens + excluded.output_tokens,
    cached_tokens = cost_sums.cached_tokens + excluded.cached_tokens,
    cost_micros = cost_sums.cost_micros + excluded.cost_micros;
