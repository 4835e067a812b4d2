-- name: kept_replies
-- What became of requests with these keys.
SELECT to_jsonb(k)
FROM unnest($2::text[], $3::text[]) AS asked (actor, key)
CROSS JOIN LATERAL (
    SELECT * FROM idempotency_keys AS k
    WHERE k.company_id = $1 AND k.actor = asked.actor AND k.key = asked.key
    OFFSET 0
) AS k;

