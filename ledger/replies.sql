-- name: kept_replies
-- What became of requests with these keys.
SELECT to_jsonb(k)
FROM unnest($2::text[], $3::text[]) AS asked (actor, key)
CROSS JOIN LATERAL (
    SELECT * FROM idempotency_keys AS k
    WHERE k.company_id = $1 AND k.actor = asked.actor AND k.key = asked.key
    OFFSET 0
) AS k;

-- name: keep_replies
-- That these keys were used, by which events, and what was answered.
INSERT INTO idempotency_keys (
    company_id, actor, key, item, request_sha256, first_position, last_position, recorded_at, reply
)
SELECT $1, k.actor, k.key, k.item, k.request_sha256, k.first_position, k.last_position, $2,
       k.reply
FROM jsonb_to_recordset($3) AS k (
    actor text, key text, item integer, request_sha256 bytea, first_position bigint,
    last_position bigint, reply jsonb
)
ON CONFLICT DO NOTHING;
