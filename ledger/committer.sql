-- name: open_company
-- A company's row of locks, once, with an empty log.
INSERT INTO company_heads (company_id, head, tip, epoch, last_at)
VALUES ($1, 0, '00000000-0000-0000-0000-000000000000', 0, '-infinity')
ON CONFLICT DO NOTHING;

-- name: wait_for_lock
-- Returns once no other transaction of the company is under way.
SELECT head FROM company_heads WHERE company_id = $1 FOR NO KEY UPDATE;

-- name: event_at
-- Whose event is at a position.
SELECT event_id FROM events WHERE company_id = $1 AND position = $2;
