-- name: checkpoints
-- How far models are; every model begins before the first event.
SELECT m.model, coalesce(c.position, 0) AS position, coalesce(c.epoch, 0) AS epoch
FROM unnest($2::text[]) AS m (model)
LEFT JOIN checkpoints AS c ON c.company_id = $1 AND c.model = m.model;

-- name: move_checkpoint
-- Moves the model on from where it was found; nothing if somebody moved or rebuilt it. Another
-- mover of it waits until the end of the transaction.
INSERT INTO checkpoints AS c (company_id, model, position, epoch)
VALUES ($1, $2, $5, $4)
ON CONFLICT (company_id, model) DO UPDATE SET position = excluded.position
WHERE c.position = $3 AND c.epoch = $4
RETURNING position;

-- name: behind
-- The companies whose logs go on where one of these models ends.
SELECT DISTINCT h.company_id
FROM company_heads AS h
CROSS JOIN unnest($1::text[]) AS m (model)
LEFT JOIN checkpoints AS c ON c.company_id = h.company_id AND c.model = m.model
WHERE h.head > coalesce(c.position, 0)
LIMIT 1000;

-- name: hold_leases
-- Takes or renews the leases of models, unless another holder's runs on; those that are ours.
INSERT INTO projector_leases AS l (model, holder, expires_at, beat_at)
SELECT m.model, $2, clock + make_interval(secs => $3), clock
FROM unnest($1::text[]) AS m (model)
CROSS JOIN clock_timestamp() AS clock
ORDER BY m.model
ON CONFLICT (model) DO UPDATE SET
    holder = excluded.holder,
    expires_at = excluded.expires_at,
    beat_at = excluded.beat_at
WHERE l.holder = excluded.holder OR l.expires_at < excluded.beat_at
RETURNING l.model;

-- name: give_up_leases
-- Lets another holder in at once.
UPDATE projector_leases SET expires_at = beat_at WHERE holder = $1;
