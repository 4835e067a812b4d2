-- name: snapshot
-- Where the log ends for this transaction, and what time it is.
SELECT head, greatest(clock_timestamp(), last_at) AS now FROM company_heads WHERE company_id = $1;
