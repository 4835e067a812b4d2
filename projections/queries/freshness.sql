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
-- For each following model: how many events it is behind, and how long ago it gave a sign.
SELECT m.model,
       (SELECT coalesce(sum(h.head - coalesce(c.position, 0)), 0)::bigint
        FROM company_heads AS h
        LEFT JOIN checkpoints AS c ON c.company_id = h.company_id AND c.model = m.model
       ) AS events_behind,
       extract(epoch FROM clock_timestamp() - m.beat_at)::float8 AS beat_seconds
FROM projector_leases AS m
WHERE m.model <> 'rebuild';
