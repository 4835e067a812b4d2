-- name: one_installer_at_a_time
-- Two programs that start together on an empty database take turns.
SELECT pg_advisory_xact_lock(7236587);

-- name: has_schema
-- Whether schema.sql was run here.
SELECT to_regclass('ledger.schema_version') IS NOT NULL;

-- name: schema_version
-- The version of the schema that is here.
SELECT version FROM ledger.schema_version;

-- name: durability
-- The settings without which an acknowledged command could be lost.
SELECT name, setting FROM pg_settings
WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit');
