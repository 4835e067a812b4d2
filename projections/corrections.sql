-- name: costs
-- The reports of costs at these positions, with the amounts that corrections gave them.
SELECT e.position, e.stream_id, e.type, e.schema_version, e.data, e.recorded_at,
       coalesce(e.occurred_at, e.recorded_at) AS at,
       c.input_tokens AS corrected_input, c.output_tokens AS corrected_output,
       c.cached_tokens AS corrected_cached, c.cost_micros AS corrected_micros
FROM unnest($2::bigint[]) AS asked (position)
CROSS JOIN LATERAL (
    SELECT * FROM events AS e
    WHERE e.company_id = $1
      AND e.position = asked.position
      AND e.type = 'run.cost_reported'
      AND e.data IS NOT NULL
    OFFSET 0
) AS e
LEFT JOIN LATERAL (
    SELECT * FROM cost_corrections AS c
    WHERE c.company_id = $1 AND c.position = asked.position
    OFFSET 0
) AS c ON true;

