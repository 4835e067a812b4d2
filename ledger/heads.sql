-- name: heads
-- Where the logs of some companies end.
SELECT company_id, head FROM company_heads WHERE company_id = ANY ($1::uuid[]);
