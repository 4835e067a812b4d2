-- name: lock_head
-- Takes the company's lock and says where its log ends. The time is the database's alone and
-- never earlier than that of the last event.
SELECT head, tip, epoch, greatest(clock_timestamp(), last_at) AS now
FROM company_heads
WHERE company_id = $1
FOR NO KEY UPDATE;

-- name: kept_replies
-- What became of requests with these keys.
SELECT k.actor, k.key, k.item, k.request_sha256, k.first_position, k.last_position, k.reply
FROM unnest($2::text[], $3::text[]) AS asked (actor, key)
JOIN idempotency_keys AS k
  ON k.company_id = $1 AND k.actor = asked.actor AND k.key = asked.key;

-- name: insert_events
-- Appends the batch's events. A position or a version that is there already is an error, never
-- a change.
INSERT INTO events (
    company_id, position, stream_id, version, event_id, type, schema_version,
    actor_type, actor_id, on_behalf_of, key_id, command_id, correlation_id, causation_id,
    run_id, recorded_at, occurred_at, via, data, salt, data_hash, leaf
)
SELECT $1, e.position, e.stream_id, e.version, e.event_id, e.type, e.schema_version,
       e.actor_type, e.actor_id, e.on_behalf_of, e.key_id, e.command_id, e.correlation_id,
       e.causation_id, e.run_id, e.recorded_at, e.occurred_at, e.via, e.data::jsonb, e.salt,
       e.data_hash, e.leaf
FROM unnest(
    $2::bigint[], $3::uuid[], $4::bigint[], $5::uuid[], $6::text[], $7::integer[],
    $8::text[], $9::text[], $10::text[], $11::uuid[], $12::uuid[], $13::text[], $14::text[],
    $15::uuid[], $16::timestamptz[], $17::timestamptz[], $18::text[], $19::text[], $20::bytea[],
    $21::bytea[], $22::bytea[]
) AS e (
    position, stream_id, version, event_id, type, schema_version,
    actor_type, actor_id, on_behalf_of, key_id, command_id, correlation_id, causation_id,
    run_id, recorded_at, occurred_at, via, data, salt, data_hash, leaf
);

-- name: move_head
-- The log ends here now.
UPDATE company_heads SET head = $2, tip = $3, last_at = $4 WHERE company_id = $1;

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
