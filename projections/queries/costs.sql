-- name: cost_entries
-- Cost reports, newest first.
SELECT *
FROM cost_entries
WHERE company_id = $1
  AND ($2::bigint IS NULL OR position < $2)
  AND ($4::uuid IS NULL OR issue_id = $4)
  AND ($5::text IS NULL OR agent_id = $5)
  AND ($6::uuid IS NULL OR project_id = $6)
  AND ($7::text IS NULL OR provider = $7)
  AND ($8::text IS NULL OR model = $8)
  AND ($9::date IS NULL OR day >= $9)
  AND ($10::date IS NULL OR day <= $10)
ORDER BY position DESC
LIMIT $3;

-- name: cost_sums
-- Costs by any of the groups ($2 to $7); a group that was not asked for is null.
SELECT CASE WHEN $2 THEN day END AS day,
       CASE WHEN $3 THEN agent_id END AS agent_id,
       CASE WHEN $4 THEN project END AS project_id,
       CASE WHEN $5 THEN issue_id END AS issue_id,
       CASE WHEN $6 THEN provider END AS provider,
       CASE WHEN $7 THEN model END AS model,
       sum(reports)::bigint AS reports,
       sum(input_tokens)::bigint AS input_tokens,
       sum(output_tokens)::bigint AS output_tokens,
       sum(cached_tokens)::bigint AS cached_tokens,
       sum(cost_micros)::bigint AS cost_micros
FROM cost_sums
WHERE company_id = $1
  AND ($8::uuid IS NULL OR issue_id = $8)
  AND ($9::text IS NULL OR agent_id = $9)
  AND ($10::text IS NULL OR project = $10)
  AND ($11::text IS NULL OR provider = $11)
  AND ($12::text IS NULL OR model = $12)
  AND ($13::date IS NULL OR day >= $13)
  AND ($14::date IS NULL OR day <= $14)
GROUP BY 1, 2, 3, 4, 5, 6
ORDER BY 1, 2, 3, 4, 5, 6
LIMIT $15;
