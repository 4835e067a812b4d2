-- name: window
-- Events of a stretch of positions, oldest first: so many at most, and no further one after so
-- many bytes of data. Reads no more of the log than the stretch.
SELECT * FROM (
    SELECT company_id, position, stream_id, version, event_id, type, schema_version,
           actor_type, actor_id, on_behalf_of, key_id, command_id, correlation_id, causation_id,
           run_id, recorded_at, occurred_at, via, data, salt, data_hash, leaf,
           sum(coalesce(octet_length(data::text), 0))
               OVER (ORDER BY position ROWS UNBOUNDED PRECEDING) AS bytes_through,
           coalesce(octet_length(data::text), 0) AS own_bytes
    FROM events
    WHERE company_id = $1
      AND position > $2
      AND position <= $3
      AND ($6::uuid IS NULL OR stream_id = $6)
      AND ($7::uuid IS NULL OR run_id = $7 OR stream_id = $7 OR data ->> 'run_id' = $7::text)
      AND ($8::text[] IS NULL
           OR on_behalf_of = ANY ($8) OR actor_type || ':' || actor_id = ANY ($8))
      AND ($9::text[] IS NULL OR type = ANY ($9) OR type LIKE ANY ($10::text[]))
      AND ($11 OR type NOT LIKE 'key.%')
      AND ($12::timestamptz IS NULL OR recorded_at >= $12)
    ORDER BY position
    LIMIT $4
) AS found
WHERE bytes_through - own_bytes < $5::bigint
ORDER BY position;

-- name: version_at
-- The last version that a stream had at a position, found by halving: inside a stream, positions
-- only rise.
WITH RECURSIVE halves (low, high) AS (
    SELECT 0::bigint, coalesce(max(version), 0)
    FROM events WHERE company_id = $1 AND stream_id = $2
    UNION ALL
    SELECT CASE WHEN e.position <= $3 THEN e.version ELSE halves.low END,
           CASE WHEN e.position <= $3 THEN halves.high ELSE e.version - 1 END
    FROM halves
    JOIN events AS e ON e.company_id = $1 AND e.stream_id = $2
        AND e.version = (halves.low + halves.high + 1) / 2
    WHERE halves.low < halves.high
)
SELECT low FROM halves WHERE low = high;

-- name: of_stream
-- Events of one stream after a version of it and up to a position, otherwise as `window`. Reads no
-- more of the log than the stream.
SELECT * FROM (
    SELECT company_id, position, stream_id, version, event_id, type, schema_version,
           actor_type, actor_id, on_behalf_of, key_id, command_id, correlation_id, causation_id,
           run_id, recorded_at, occurred_at, via, data, salt, data_hash, leaf,
           sum(coalesce(octet_length(data::text), 0))
               OVER (ORDER BY version ROWS UNBOUNDED PRECEDING) AS bytes_through,
           coalesce(octet_length(data::text), 0) AS own_bytes
    FROM events
    WHERE company_id = $1
      AND version > $2
      AND position <= $3
      AND stream_id = $6::uuid
      AND ($7::uuid IS NULL OR run_id = $7 OR stream_id = $7 OR data ->> 'run_id' = $7::text)
      AND ($8::text[] IS NULL
           OR on_behalf_of = ANY ($8) OR actor_type || ':' || actor_id = ANY ($8))
      AND ($9::text[] IS NULL OR type = ANY ($9) OR type LIKE ANY ($10::text[]))
      AND ($11 OR type NOT LIKE 'key.%')
      AND ($12::timestamptz IS NULL OR recorded_at >= $12)
    ORDER BY version
    LIMIT $4
) AS found
WHERE bytes_through - own_bytes < $5::bigint
ORDER BY version;
