-- name: position
-- How far a following model of a company is.
SELECT position FROM checkpoints WHERE company_id = $1 AND model = $2;

-- name: health
-- The schema's version, and how far the last event is ahead of the clock, in seconds.
SELECT (SELECT max(version) FROM schema_version) AS schema_version,
       coalesce(
           (SELECT extract(epoch FROM max(last_at) - clock_timestamp())::float8
            FROM company_heads WHERE head > 0),
           0
       ) AS ahead_seconds;

-- name: lags
-- For each of some following models: how many events it is behind the heads of the logs, how long
-- the oldest event that it has not taken has been there, and how long ago it gave a sign, both in
-- seconds; a model that never gave one has none. One pass over the heads and the checkpoints; events
-- are looked up by their keys, for the thousand companies that have waited for something to happen
-- the longest.
SELECT m.model, lag.events_behind, lag.seconds_behind,
       extract(epoch FROM clock_timestamp() - l.beat_at)::float8 AS beat_seconds
FROM unnest($1::text[]) AS m (model)
LEFT JOIN projector_leases AS l ON l.model = m.model
CROSS JOIN LATERAL (
    WITH behind AS MATERIALIZED (
        SELECT h.company_id, coalesce(c.position, 0) AS position, h.head, h.last_at
        FROM company_heads AS h
        LEFT JOIN checkpoints AS c ON c.company_id = h.company_id AND c.model = m.model
        WHERE h.head > coalesce(c.position, 0)
    )
    SELECT (SELECT coalesce(sum(b.head - b.position), 0)::bigint FROM behind AS b) AS events_behind,
           (SELECT greatest(extract(epoch FROM clock_timestamp() - min(e.recorded_at)), 0)::float8
            FROM (SELECT company_id, position FROM behind ORDER BY last_at LIMIT 1000) AS b
            JOIN events AS e ON e.company_id = b.company_id AND e.position = b.position + 1
           ) AS seconds_behind
) AS lag
ORDER BY m.model;
