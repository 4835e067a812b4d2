-- name: version_at
-- The version of a stream's last event up to a position, found by halving: positions of a stream
-- rise with its versions.
WITH RECURSIVE halves (low, high) AS (
    SELECT 0::bigint,
           (SELECT max(e.version) FROM events AS e WHERE e.company_id = $1 AND e.stream_id = $2)
    UNION ALL
    SELECT CASE WHEN e.position <= $3 THEN e.version ELSE halves.low END,
           CASE WHEN e.position <= $3 THEN halves.high ELSE e.version - 1 END
    FROM halves
    JOIN events AS e
      ON e.company_id = $1
     AND e.stream_id = $2
     AND e.version = (halves.low + halves.high + 1) / 2
    WHERE halves.low < halves.high
)
SELECT low FROM halves WHERE low = high;

-- name: events
-- Events of one issue from a version to another one, oldest first, without what comments say.
SELECT company_id, position, stream_id, version, event_id, type, schema_version,
       actor_type, actor_id, on_behalf_of, key_id, command_id, correlation_id, causation_id,
       run_id, recorded_at, occurred_at, via,
       CASE WHEN data ? 'body' THEN data || '{"body": ""}' ELSE data END AS data,
       salt, data_hash, leaf
FROM events
WHERE company_id = $1 AND stream_id = $2 AND version BETWEEN $3 AND $4
ORDER BY version;

-- name: kept_state
-- The latest kept state of an issue up to a version, in the order of the log.
SELECT *
FROM issue_versions
WHERE company_id = $1
  AND issue_id = $2
  AND timeline IN ('both', 'recorded')
  AND position <= (
      SELECT e.position
      FROM events AS e
      WHERE e.company_id = $1 AND e.stream_id = $2 AND e.version = $3
  )
ORDER BY position DESC
LIMIT 1;

-- name: texts
-- Descriptions by the positions of the events that set them, those that are not too long, with
-- how long each is.
SELECT t.position,
       CASE WHEN length(t.text) <= $3 THEN t.text END AS text,
       length(t.text) AS characters
FROM (
    SELECT e.position,
           coalesce(e.data ->> 'description', e.data #>> '{changes,description,to}') AS text
    FROM events AS e
    WHERE e.company_id = $1 AND e.position = ANY ($2::bigint[])
) AS t
WHERE t.text IS NOT NULL;

-- name: around
-- The events of one command around a position, oldest first: a step at a time in each direction,
-- for as long as the neighbour is of the same command, and no more than so many.
WITH RECURSIVE before (position, steps) AS (
    SELECT $2::bigint, 0
    UNION ALL
    SELECT e.position, before.steps + 1
    FROM before
    JOIN events AS e ON e.company_id = $1 AND e.position = before.position - 1
    WHERE before.steps < $4 AND e.command_id = $3
),
after (position, steps) AS (
    SELECT $2::bigint, 0
    UNION ALL
    SELECT e.position, after.steps + 1
    FROM after
    JOIN events AS e ON e.company_id = $1 AND e.position = after.position + 1
    WHERE after.steps < $4 AND e.command_id = $3
)
SELECT company_id, position, stream_id, version, event_id, type, schema_version,
       actor_type, actor_id, on_behalf_of, key_id, command_id, correlation_id, causation_id,
       run_id, recorded_at, occurred_at, via, data, salt, data_hash, leaf
FROM events
WHERE company_id = $1
  AND position BETWEEN (SELECT min(b.position) FROM before AS b)
                   AND (SELECT max(a.position) FROM after AS a)
ORDER BY position;
