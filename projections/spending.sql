-- name: spending
-- The sums of these scopes and months.
SELECT s.scope, s.scope_id, s.month, s.spent_micros
FROM unnest($2::text[], $3::text[], $4::text[]) AS asked (scope, scope_id, month)
CROSS JOIN LATERAL (
    SELECT * FROM spending AS s
    WHERE s.company_id = $1
      AND s.scope = asked.scope
      AND s.scope_id = asked.scope_id
      AND s.month = asked.month
    OFFSET 0
) AS s;

