-- name: kept_replies
-- What became of requests with these keys.
SELECT k.actor, k.key, k.item, k.request_sha256, k.first_position, k.last_position, k.reply
FROM unnest($2::text[], $3::text[]) AS asked (actor, key)
JOIN idempotency_keys AS k
  ON k.company_id = $1 AND k.actor = asked.actor AND k.key = asked.key;

-- name: keep_replies
-- That these keys were used, by which events, and what was answered.
INSERT INTO idempotency_keys (
    company_id, actor, key, item, request_sha256, first_position, last_position, recorded_at, reply
)
SELECT $1, k.actor, k.key, k.item, k.request_sha256, k.first_position, k.last_position, $8,
       k.reply::jsonb
FROM unnest(
    $2::text[], $3::text[], $4::integer[], $5::bytea[], $6::bigint[], $7::bigint[], $9::text[]
) AS k (actor, key, item, request_sha256, first_position, last_position, reply)
ON CONFLICT DO NOTHING;
