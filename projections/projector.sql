-- name: begin_checkpoint
-- Every model begins before the first event.
INSERT INTO checkpoints (company_id, model, position, epoch)
VALUES ($1, $2, 0, 0)
ON CONFLICT DO NOTHING;

-- name: checkpoint
-- How far the model is; another mover of it waits until the end of the transaction.
SELECT position, epoch FROM checkpoints WHERE company_id = $1 AND model = $2
FOR NO KEY UPDATE;

-- name: move_checkpoint
-- Moves the model on from where it was found; nothing if somebody moved or rebuilt it.
UPDATE checkpoints SET position = $5
WHERE company_id = $1 AND model = $2 AND position = $3 AND epoch = $4
RETURNING position;

-- name: behind
-- The companies whose logs go on where the model ends.
SELECT h.company_id
FROM company_heads AS h
LEFT JOIN checkpoints AS c ON c.company_id = h.company_id AND c.model = $1
WHERE h.head > coalesce(c.position, 0)
LIMIT 1000;

-- name: hold_lease
-- Takes or renews the lease of a model, unless another holder's runs on; the holder, if it is us.
INSERT INTO projector_leases AS l (model, holder, expires_at, beat_at)
SELECT $1, $2, clock + make_interval(secs => $3), clock
FROM clock_timestamp() AS clock
ON CONFLICT (model) DO UPDATE SET
    holder = excluded.holder,
    expires_at = excluded.expires_at,
    beat_at = excluded.beat_at
WHERE l.holder = excluded.holder OR l.expires_at < excluded.beat_at
RETURNING l.holder;

-- name: give_up_lease
-- Lets another holder in at once.
UPDATE projector_leases SET expires_at = beat_at WHERE model = $1 AND holder = $2;
