-- name: forget_old_replies
-- Forgets some of a company's replies that are past their keeping.
UPDATE idempotency_keys AS k SET reply = NULL
FROM (
    SELECT actor, key, item
    FROM idempotency_keys
    WHERE company_id = $1
      AND reply IS NOT NULL
      AND recorded_at < clock_timestamp() - make_interval(days => $2)
    LIMIT $3
) AS old
WHERE k.company_id = $1 AND k.actor = old.actor AND k.key = old.key AND k.item = old.item
RETURNING k.key;
