-- name: head
-- The last position of a company's log.
SELECT head FROM company_heads WHERE company_id = $1;

-- name: settled
-- Waits for the batch that is under way, if what it writes may have been recorded by this time.
SELECT last_at FROM company_heads WHERE company_id = $1 AND last_at <= $2
FOR SHARE;

-- name: position_at
-- The last position that was recorded by a time, found by halving: time in a company's log never
-- runs backwards.
WITH RECURSIVE halves (low, high) AS (
    SELECT 0::bigint, h.head FROM company_heads AS h WHERE h.company_id = $1
    UNION ALL
    SELECT CASE WHEN e.recorded_at <= $2 THEN e.position ELSE halves.low END,
           CASE WHEN e.recorded_at <= $2 THEN halves.high ELSE e.position - 1 END
    FROM halves
    JOIN events AS e ON e.company_id = $1 AND e.position = (halves.low + halves.high + 1) / 2
    WHERE halves.low < halves.high
)
SELECT low FROM halves WHERE low = high;

-- name: ends
-- Every company's end of the log, in lock order.
SELECT company_id, head, epoch, last_at FROM company_heads ORDER BY company_id;

-- name: page
-- Events after a position, oldest first, optionally of one stream or of some types.
SELECT company_id, position, stream_id, version, event_id, type, schema_version,
       actor_type, actor_id, on_behalf_of, key_id, command_id, correlation_id, causation_id,
       run_id, recorded_at, occurred_at, via, data, salt, data_hash, leaf
FROM events
WHERE company_id = $1
  AND position > $2
  AND ($4::bigint IS NULL OR position <= $4)
  AND ($5::uuid IS NULL OR stream_id = $5)
  AND ($6::text[] IS NULL OR type = ANY ($6))
  AND ($7 OR type NOT LIKE 'key.%')
ORDER BY position
LIMIT $3;

-- name: since
-- Events of one stream after a version, oldest first.
SELECT company_id, position, stream_id, version, event_id, type, schema_version,
       actor_type, actor_id, on_behalf_of, key_id, command_id, correlation_id, causation_id,
       run_id, recorded_at, occurred_at, via, data, salt, data_hash, leaf
FROM events
WHERE company_id = $1 AND stream_id = $2 AND version > $3
ORDER BY version
LIMIT $4;

-- name: first_names
-- What streams were called by their first events, which never change.
SELECT e.stream_id, coalesce(e.data ->> 'identifier', e.data ->> 'name') AS name
FROM unnest($2::uuid[]) AS asked (stream_id)
CROSS JOIN LATERAL (
    SELECT * FROM events AS e
    WHERE e.company_id = $1 AND e.stream_id = asked.stream_id AND e.version = 1
    OFFSET 0
) AS e;
