-- name: lock_head
-- The company takes no command until the end of the transaction.
SELECT head FROM ledger.company_heads WHERE company_id = $1 FOR NO KEY UPDATE;

-- name: lock_checkpoints
-- Nobody moves the company's following models until the end of the transaction.
SELECT model FROM ledger.checkpoints WHERE company_id = $1 FOR UPDATE;

-- name: see_live_tables
-- From here on, names mean the live tables.
SET LOCAL search_path = ledger;

-- name: see_tables_of
-- From here on, names mean the tables of these schemas.
SELECT set_config('search_path', $1, true);
