-- name: hold_lease
-- Takes or renews the one lease of rebuilds, unless another holder's runs on; that of a holder
-- whose session is gone has ended.
INSERT INTO projector_leases AS l (model, holder, expires_at, beat_at)
SELECT 'rebuild', $1, clock + make_interval(secs => $2), clock
FROM clock_timestamp() AS clock
ON CONFLICT (model) DO UPDATE SET
    holder = excluded.holder,
    expires_at = excluded.expires_at,
    beat_at = excluded.beat_at
WHERE l.holder = excluded.holder
   OR l.expires_at < excluded.beat_at
   OR NOT EXISTS (
       SELECT FROM pg_stat_activity AS a
       WHERE a.application_name = 'ledger-rebuild ' || l.holder::text
   )
RETURNING l.holder;

-- name: lease_holder
-- Who may rebuild, until the end of the transaction.
SELECT holder FROM ledger.projector_leases WHERE model = 'rebuild' FOR UPDATE;

-- name: give_up_lease
-- Lets another rebuild in at once.
DELETE FROM projector_leases WHERE model = 'rebuild' AND holder = $1;

-- name: forget
-- Takes the shadow away.
DROP SCHEMA IF EXISTS ledger_rebuild CASCADE;

-- name: short_lock_timeout
-- Whoever waits for the exchange waits for two seconds at most, and then for the next attempt.
SET LOCAL lock_timeout = '2s';

-- name: stop_all_writing
-- No company takes a command, and none is created, until the end of the transaction.
LOCK TABLE ledger.company_heads IN EXCLUSIVE MODE;

-- name: stop_projectors
-- Nobody moves these models until the end of the transaction.
SELECT model FROM ledger.checkpoints WHERE model = ANY ($1::text[])
ORDER BY company_id, model
FOR NO KEY UPDATE;

-- name: adopt_positions
-- The live models are where the shadow is; whoever was moving them must look again.
INSERT INTO ledger.checkpoints AS live (company_id, model, position, epoch)
SELECT company_id, model, position, 1
FROM ledger_rebuild.checkpoints
WHERE model = ANY ($1::text[])
ON CONFLICT (company_id, model) DO UPDATE SET
    position = excluded.position,
    epoch = live.epoch + 1;

-- name: keep_replies_as_text
-- Replies were jsonb once; nothing but a program reads them.
ALTER TABLE ledger.idempotency_keys ALTER COLUMN reply TYPE text USING reply::text;

-- name: set_version
-- From now on the schema is this program's.
UPDATE ledger.schema_version SET version = $1;

-- name: raise_epochs
-- No process may trust what it knew of any company.
UPDATE ledger.company_heads SET epoch = epoch + 1;

-- name: analyze_companies
-- What the planner must know of the table, from the moment in which it is live.
ANALYZE ledger_rebuild.companies;

-- name: swap_companies
-- The shadow becomes the table, with its indexes and its grants.
DROP TABLE IF EXISTS ledger.companies;
ALTER TABLE ledger_rebuild.companies SET SCHEMA ledger;
GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.companies TO ledger_app;

-- name: analyze_api_keys
-- What the planner must know of the table, from the moment in which it is live.
ANALYZE ledger_rebuild.api_keys;

-- name: swap_api_keys
-- The shadow becomes the table, with its indexes and its grants.
DROP TABLE IF EXISTS ledger.api_keys;
ALTER TABLE ledger_rebuild.api_keys SET SCHEMA ledger;
GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.api_keys TO ledger_app;

-- name: analyze_directory
-- What the planner must know of the table, from the moment in which it is live.
ANALYZE ledger_rebuild.directory;

-- name: swap_directory
-- The shadow becomes the table, with its indexes and its grants.
DROP TABLE IF EXISTS ledger.directory;
ALTER TABLE ledger_rebuild.directory SET SCHEMA ledger;
GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.directory TO ledger_app;

-- name: analyze_issue_prefixes
-- What the planner must know of the table, from the moment in which it is live.
ANALYZE ledger_rebuild.issue_prefixes;

-- name: swap_issue_prefixes
-- The shadow becomes the table, with its indexes and its grants.
DROP TABLE IF EXISTS ledger.issue_prefixes;
ALTER TABLE ledger_rebuild.issue_prefixes SET SCHEMA ledger;
GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.issue_prefixes TO ledger_app;

-- name: analyze_issues
-- What the planner must know of the table, from the moment in which it is live.
ANALYZE ledger_rebuild.issues;

-- name: swap_issues
-- The shadow becomes the table, with its indexes and its grants.
DROP TABLE IF EXISTS ledger.issues;
ALTER TABLE ledger_rebuild.issues SET SCHEMA ledger;
GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.issues TO ledger_app;

-- name: analyze_comments
-- What the planner must know of the table, from the moment in which it is live.
ANALYZE ledger_rebuild.comments;

-- name: swap_comments
-- The shadow becomes the table, with its indexes and its grants.
DROP TABLE IF EXISTS ledger.comments;
ALTER TABLE ledger_rebuild.comments SET SCHEMA ledger;
GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.comments TO ledger_app;

-- name: analyze_links
-- What the planner must know of the table, from the moment in which it is live.
ANALYZE ledger_rebuild.links;

-- name: swap_links
-- The shadow becomes the table, with its indexes and its grants.
DROP TABLE IF EXISTS ledger.links;
ALTER TABLE ledger_rebuild.links SET SCHEMA ledger;
GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.links TO ledger_app;

-- name: analyze_runs
-- What the planner must know of the table, from the moment in which it is live.
ANALYZE ledger_rebuild.runs;

-- name: swap_runs
-- The shadow becomes the table, with its indexes and its grants.
DROP TABLE IF EXISTS ledger.runs;
ALTER TABLE ledger_rebuild.runs SET SCHEMA ledger;
GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.runs TO ledger_app;

-- name: analyze_leases
-- What the planner must know of the table, from the moment in which it is live.
ANALYZE ledger_rebuild.leases;

-- name: swap_leases
-- The shadow becomes the table, with its indexes and its grants.
DROP TABLE IF EXISTS ledger.leases;
ALTER TABLE ledger_rebuild.leases SET SCHEMA ledger;
GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.leases TO ledger_app;

-- name: analyze_spending
-- What the planner must know of the table, from the moment in which it is live.
ANALYZE ledger_rebuild.spending;

-- name: swap_spending
-- The shadow becomes the table, with its indexes and its grants.
DROP TABLE IF EXISTS ledger.spending;
ALTER TABLE ledger_rebuild.spending SET SCHEMA ledger;
GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.spending TO ledger_app;

-- name: analyze_activity
-- What the planner must know of the table, from the moment in which it is live.
ANALYZE ledger_rebuild.activity;

-- name: swap_activity
-- The shadow becomes the table, with its indexes and its grants.
DROP TABLE IF EXISTS ledger.activity;
ALTER TABLE ledger_rebuild.activity SET SCHEMA ledger;
GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.activity TO ledger_app;

-- name: analyze_activity_projects
-- What the planner must know of the table, from the moment in which it is live.
ANALYZE ledger_rebuild.activity_projects;

-- name: swap_activity_projects
-- The shadow becomes the table, with its indexes and its grants.
DROP TABLE IF EXISTS ledger.activity_projects;
ALTER TABLE ledger_rebuild.activity_projects SET SCHEMA ledger;
GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.activity_projects TO ledger_app;

-- name: analyze_cost_entries
-- What the planner must know of the table, from the moment in which it is live.
ANALYZE ledger_rebuild.cost_entries;

-- name: swap_cost_entries
-- The shadow becomes the table, with its indexes and its grants.
DROP TABLE IF EXISTS ledger.cost_entries;
ALTER TABLE ledger_rebuild.cost_entries SET SCHEMA ledger;
GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.cost_entries TO ledger_app;

-- name: analyze_cost_sums
-- What the planner must know of the table, from the moment in which it is live.
ANALYZE ledger_rebuild.cost_sums;

-- name: swap_cost_sums
-- The shadow becomes the table, with its indexes and its grants.
DROP TABLE IF EXISTS ledger.cost_sums;
ALTER TABLE ledger_rebuild.cost_sums SET SCHEMA ledger;
GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.cost_sums TO ledger_app;

-- name: analyze_issue_versions
-- What the planner must know of the table, from the moment in which it is live.
ANALYZE ledger_rebuild.issue_versions;

-- name: swap_issue_versions
-- The shadow becomes the table, with its indexes and its grants.
DROP TABLE IF EXISTS ledger.issue_versions;
ALTER TABLE ledger_rebuild.issue_versions SET SCHEMA ledger;
GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.issue_versions TO ledger_app;

-- name: analyze_issue_texts
-- What the planner must know of the table, from the moment in which it is live.
ANALYZE ledger_rebuild.issue_texts;

-- name: swap_issue_texts
-- The shadow becomes the table, with its indexes and its grants.
DROP TABLE IF EXISTS ledger.issue_texts;
ALTER TABLE ledger_rebuild.issue_texts SET SCHEMA ledger;
GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.issue_texts TO ledger_app;

-- name: analyze_cost_corrections
-- What the planner must know of the table, from the moment in which it is live.
ANALYZE ledger_rebuild.cost_corrections;

-- name: swap_cost_corrections
-- The shadow becomes the table, with its indexes and its grants.
DROP TABLE IF EXISTS ledger.cost_corrections;
ALTER TABLE ledger_rebuild.cost_corrections SET SCHEMA ledger;
GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.cost_corrections TO ledger_app;

-- name: analyze_cost_rework
-- What the planner must know of the table, from the moment in which it is live.
ANALYZE ledger_rebuild.cost_rework;

-- name: swap_cost_rework
-- The shadow becomes the table, with its indexes and its grants.
DROP TABLE IF EXISTS ledger.cost_rework;
ALTER TABLE ledger_rebuild.cost_rework SET SCHEMA ledger;
GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.cost_rework TO ledger_app;

-- name: analyze_cost_issues
-- What the planner must know of the table, from the moment in which it is live.
ANALYZE ledger_rebuild.cost_issues;

-- name: swap_cost_issues
-- The shadow becomes the table, with its indexes and its grants.
DROP TABLE IF EXISTS ledger.cost_issues;
ALTER TABLE ledger_rebuild.cost_issues SET SCHEMA ledger;
GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.cost_issues TO ledger_app;
