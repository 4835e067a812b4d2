-- name: lock_head
-- Takes the company's lock and says where its log ends. The time is the database's alone and
-- never earlier than that of the last event. What was kept of these idempotency keys is as it was
-- before the wait for the lock: it holds if the head is the one that was known by then.
SELECT h.head, h.tip, h.epoch, greatest(clock_timestamp(), h.last_at) AS now, ARRAY(
    SELECT to_jsonb(k)
    FROM unnest($2::text[], $3::text[]) AS asked (actor, key)
    CROSS JOIN LATERAL (
        SELECT * FROM idempotency_keys AS k
        WHERE k.company_id = $1 AND k.actor = asked.actor AND k.key = asked.key
        OFFSET 0
    ) AS k
) AS kept
FROM company_heads AS h
WHERE h.company_id = $1
FOR NO KEY UPDATE;

-- name: insert_events
-- Appends the batch's events. A position or a version that is there already is an error, never
-- a change.
INSERT INTO events (
    company_id, position, stream_id, version, event_id, type, schema_version,
    actor_type, actor_id, on_behalf_of, key_id, command_id, correlation_id, causation_id,
    run_id, recorded_at, occurred_at, via, data, salt, data_hash, leaf
)
SELECT $1, e.*
FROM jsonb_to_recordset($2) AS e (
    position bigint, stream_id uuid, version bigint, event_id uuid, type text,
    schema_version integer, actor_type text, actor_id text, on_behalf_of text, key_id uuid,
    command_id uuid, correlation_id text, causation_id text, run_id uuid,
    recorded_at timestamptz, occurred_at timestamptz, via text, data jsonb, salt bytea,
    data_hash bytea, leaf bytea
);

-- name: move_head
-- The log ends here now.
UPDATE company_heads SET head = $2, tip = $3, last_at = $4 WHERE company_id = $1;
