-- name: lock_head
-- Takes the company's lock and says where its log ends. The time is the database's alone and
-- never earlier than that of the last event.
SELECT head, tip, epoch, greatest(clock_timestamp(), last_at) AS now
FROM company_heads
WHERE company_id = $1
FOR NO KEY UPDATE;

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
