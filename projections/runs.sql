-- name: runs
-- Runs by id.
SELECT * FROM runs WHERE company_id = $1 AND run_id = ANY ($2::uuid[]);

-- name: save_runs
-- Runs as they now are.
INSERT INTO runs (
    company_id, run_id, version, issue_id, agent_id, ended_at, exit_reason,
    input_tokens, output_tokens, cached_tokens, cost_micros,
    created_position, created_at, created_by, updated_at
)
SELECT $1, r.*
FROM unnest(
    $2::uuid[], $3::bigint[], $4::uuid[], $5::text[], $6::timestamptz[], $7::text[],
    $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[],
    $12::bigint[], $13::timestamptz[], $14::text[], $15::timestamptz[]
) AS r
ON CONFLICT (company_id, run_id) DO UPDATE SET
    version = excluded.version,
    ended_at = excluded.ended_at,
    exit_reason = excluded.exit_reason,
    input_tokens = excluded.input_tokens,
    output_tokens = excluded.output_tokens,
    cached_tokens = excluded.cached_tokens,
    cost_micros = excluded.cost_micros,
    updated_at = excluded.updated_at;
