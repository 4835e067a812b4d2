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

-- name: append
-- Writes the batch: events, the head, replies, and the rows of the read models.
SELECT ledger.append($1, $2, $3, $4, $5, $6, $7);
