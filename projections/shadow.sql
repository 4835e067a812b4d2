-- name: mark_of
-- What a schema says of itself.
SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = $1;

-- name: view_events
-- The log, as a shadow sees it.
CREATE VIEW events AS SELECT * FROM ledger.events;

-- name: view_heads
-- The ends of the logs, as a shadow sees them.
CREATE VIEW company_heads AS SELECT * FROM ledger.company_heads;

-- name: see
-- For the rest of the transaction, names mean the tables of this schema.
SELECT set_config('search_path', $1, true);

-- name: position
-- How far the shadow of a company is.
SELECT min(position) FROM checkpoints WHERE company_id = $1;

-- name: live_positions
-- How far the live models of a company are.
SELECT model, position FROM ledger.checkpoints WHERE company_id = $1;

-- name: digest_companies
-- A company's rows as one hash that does not depend on their order.
SELECT count(*) AS rows,
       encode(sha256(coalesce(string_agg(r.hash, '' ORDER BY r.hash), '')), 'hex') AS sha256
FROM (
    SELECT sha256(convert_to(t::text, 'UTF8')) AS hash FROM companies AS t WHERE t.company_id = $1
) AS r;

-- name: rows_companies
-- A company's rows, as text.
SELECT t::text AS row FROM companies AS t WHERE t.company_id = $1 ORDER BY t::text COLLATE "C";

-- name: digest_api_keys
-- A company's rows as one hash that does not depend on their order.
SELECT count(*) AS rows,
       encode(sha256(coalesce(string_agg(r.hash, '' ORDER BY r.hash), '')), 'hex') AS sha256
FROM (
    SELECT sha256(convert_to(t::text, 'UTF8')) AS hash FROM api_keys AS t WHERE t.company_id = $1
) AS r;

-- name: rows_api_keys
-- A company's rows, as text.
SELECT t::text AS row FROM api_keys AS t WHERE t.company_id = $1 ORDER BY t::text COLLATE "C";

-- name: digest_directory
-- A company's rows as one hash that does not depend on their order.
SELECT count(*) AS rows,
       encode(sha256(coalesce(string_agg(r.hash, '' ORDER BY r.hash), '')), 'hex') AS sha256
FROM (
    SELECT sha256(convert_to(t::text, 'UTF8')) AS hash FROM directory AS t WHERE t.company_id = $1
) AS r;

-- name: rows_directory
-- A company's rows, as text.
SELECT t::text AS row FROM directory AS t WHERE t.company_id = $1 ORDER BY t::text COLLATE "C";

-- name: digest_issue_prefixes
-- A company's rows as one hash that does not depend on their order.
SELECT count(*) AS rows,
       encode(sha256(coalesce(string_agg(r.hash, '' ORDER BY r.hash), '')), 'hex') AS sha256
FROM (
    SELECT sha256(convert_to(t::text, 'UTF8')) AS hash FROM issue_prefixes AS t WHERE t.company_id = $1
) AS r;

-- name: rows_issue_prefixes
-- A company's rows, as text.
SELECT t::text AS row FROM issue_prefixes AS t WHERE t.company_id = $1 ORDER BY t::text COLLATE "C";

-- name: digest_issues
-- A company's rows as one hash that does not depend on their order.
SELECT count(*) AS rows,
       encode(sha256(coalesce(string_agg(r.hash, '' ORDER BY r.hash), '')), 'hex') AS sha256
FROM (
    SELECT sha256(convert_to(t::text, 'UTF8')) AS hash FROM issues AS t WHERE t.company_id = $1
) AS r;

-- name: rows_issues
-- A company's rows, as text.
SELECT t::text AS row FROM issues AS t WHERE t.company_id = $1 ORDER BY t::text COLLATE "C";

-- name: digest_comments
-- A company's rows as one hash that does not depend on their order.
SELECT count(*) AS rows,
       encode(sha256(coalesce(string_agg(r.hash, '' ORDER BY r.hash), '')), 'hex') AS sha256
FROM (
    SELECT sha256(convert_to(t::text, 'UTF8')) AS hash FROM comments AS t WHERE t.company_id = $1
) AS r;

-- name: rows_comments
-- A company's rows, as text.
SELECT t::text AS row FROM comments AS t WHERE t.company_id = $1 ORDER BY t::text COLLATE "C";

-- name: digest_links
-- A company's rows as one hash that does not depend on their order.
SELECT count(*) AS rows,
       encode(sha256(coalesce(string_agg(r.hash, '' ORDER BY r.hash), '')), 'hex') AS sha256
FROM (
    SELECT sha256(convert_to(t::text, 'UTF8')) AS hash FROM links AS t WHERE t.company_id = $1
) AS r;

-- name: rows_links
-- A company's rows, as text.
SELECT t::text AS row FROM links AS t WHERE t.company_id = $1 ORDER BY t::text COLLATE "C";

-- name: digest_runs
-- A company's rows as one hash that does not depend on their order.
SELECT count(*) AS rows,
       encode(sha256(coalesce(string_agg(r.hash, '' ORDER BY r.hash), '')), 'hex') AS sha256
FROM (
    SELECT sha256(convert_to(t::text, 'UTF8')) AS hash FROM runs AS t WHERE t.company_id = $1
) AS r;

-- name: rows_runs
-- A company's rows, as text.
SELECT t::text AS row FROM runs AS t WHERE t.company_id = $1 ORDER BY t::text COLLATE "C";

-- name: digest_leases
-- A company's rows as one hash that does not depend on their order.
SELECT count(*) AS rows,
       encode(sha256(coalesce(string_agg(r.hash, '' ORDER BY r.hash), '')), 'hex') AS sha256
FROM (
    SELECT sha256(convert_to(t::text, 'UTF8')) AS hash FROM leases AS t WHERE t.company_id = $1
) AS r;

-- name: rows_leases
-- A company's rows, as text.
SELECT t::text AS row FROM leases AS t WHERE t.company_id = $1 ORDER BY t::text COLLATE "C";

-- name: digest_spending
-- A company's rows as one hash that does not depend on their order.
SELECT count(*) AS rows,
       encode(sha256(coalesce(string_agg(r.hash, '' ORDER BY r.hash), '')), 'hex') AS sha256
FROM (
    SELECT sha256(convert_to(t::text, 'UTF8')) AS hash FROM spending AS t WHERE t.company_id = $1
) AS r;

-- name: rows_spending
-- A company's rows, as text.
SELECT t::text AS row FROM spending AS t WHERE t.company_id = $1 ORDER BY t::text COLLATE "C";

-- name: digest_activity
-- A company's rows as one hash that does not depend on their order.
SELECT count(*) AS rows,
       encode(sha256(coalesce(string_agg(r.hash, '' ORDER BY r.hash), '')), 'hex') AS sha256
FROM (
    SELECT sha256(convert_to(t::text, 'UTF8')) AS hash FROM activity AS t WHERE t.company_id = $1
) AS r;

-- name: rows_activity
-- A company's rows, as text.
SELECT t::text AS row FROM activity AS t WHERE t.company_id = $1 ORDER BY t::text COLLATE "C";

-- name: digest_activity_projects
-- A company's rows as one hash that does not depend on their order.
SELECT count(*) AS rows,
       encode(sha256(coalesce(string_agg(r.hash, '' ORDER BY r.hash), '')), 'hex') AS sha256
FROM (
    SELECT sha256(convert_to(t::text, 'UTF8')) AS hash FROM activity_projects AS t
    WHERE t.company_id = $1
) AS r;

-- name: rows_activity_projects
-- A company's rows, as text.
SELECT t::text AS row FROM activity_projects AS t
WHERE t.company_id = $1
ORDER BY t::text COLLATE "C";

-- name: digest_cost_entries
-- A company's rows as one hash that does not depend on their order.
SELECT count(*) AS rows,
       encode(sha256(coalesce(string_agg(r.hash, '' ORDER BY r.hash), '')), 'hex') AS sha256
FROM (
    SELECT sha256(convert_to(t::text, 'UTF8')) AS hash FROM cost_entries AS t WHERE t.company_id = $1
) AS r;

-- name: rows_cost_entries
-- A company's rows, as text.
SELECT t::text AS row FROM cost_entries AS t WHERE t.company_id = $1 ORDER BY t::text COLLATE "C";

-- name: digest_cost_sums
-- A company's rows as one hash that does not depend on their order.
SELECT count(*) AS rows,
       encode(sha256(coalesce(string_agg(r.hash, '' ORDER BY r.hash), '')), 'hex') AS sha256
FROM (
    SELECT sha256(convert_to(t::text, 'UTF8')) AS hash FROM cost_sums AS t WHERE t.company_id = $1
) AS r;

-- name: rows_cost_sums
-- A company's rows, as text.
SELECT t::text AS row FROM cost_sums AS t WHERE t.company_id = $1 ORDER BY t::text COLLATE "C";

-- name: digest_issue_versions
-- A company's rows as one hash that does not depend on their order.
SELECT count(*) AS rows,
       encode(sha256(coalesce(string_agg(r.hash, '' ORDER BY r.hash), '')), 'hex') AS sha256
FROM (
    SELECT sha256(convert_to(t::text, 'UTF8')) AS hash FROM issue_versions AS t
    WHERE t.company_id = $1
) AS r;

-- name: rows_issue_versions
-- A company's rows, as text.
SELECT t::text AS row FROM issue_versions AS t WHERE t.company_id = $1 ORDER BY t::text COLLATE "C";

-- name: digest_issue_texts
-- A company's rows as one hash that does not depend on their order.
SELECT count(*) AS rows,
       encode(sha256(coalesce(string_agg(r.hash, '' ORDER BY r.hash), '')), 'hex') AS sha256
FROM (
    SELECT sha256(convert_to(t::text, 'UTF8')) AS hash FROM issue_texts AS t
    WHERE t.company_id = $1
) AS r;

-- name: rows_issue_texts
-- A company's rows, as text.
SELECT t::text AS row FROM issue_texts AS t WHERE t.company_id = $1 ORDER BY t::text COLLATE "C";

-- name: digest_cost_corrections
-- A company's rows as one hash that does not depend on their order.
SELECT count(*) AS rows,
       encode(sha256(coalesce(string_agg(r.hash, '' ORDER BY r.hash), '')), 'hex') AS sha256
FROM (
    SELECT sha256(convert_to(t::text, 'UTF8')) AS hash FROM cost_corrections AS t
    WHERE t.company_id = $1
) AS r;

-- name: rows_cost_corrections
-- A company's rows, as text.
SELECT t::text AS row FROM cost_corrections AS t WHERE t.company_id = $1 ORDER BY t::text COLLATE "C";

-- name: digest_cost_rework
-- A company's rows as one hash that does not depend on their order.
SELECT count(*) AS rows,
       encode(sha256(coalesce(string_agg(r.hash, '' ORDER BY r.hash), '')), 'hex') AS sha256
FROM (
    SELECT sha256(convert_to(t::text, 'UTF8')) AS hash FROM cost_rework AS t
    WHERE t.company_id = $1
) AS r;

-- name: rows_cost_rework
-- A company's rows, as text.
SELECT t::text AS row FROM cost_rework AS t WHERE t.company_id = $1 ORDER BY t::text COLLATE "C";

-- name: digest_cost_issues
-- A company's rows as one hash that does not depend on their order.
SELECT count(*) AS rows,
       encode(sha256(coalesce(string_agg(r.hash, '' ORDER BY r.hash), '')), 'hex') AS sha256
FROM (
    SELECT sha256(convert_to(t::text, 'UTF8')) AS hash FROM cost_issues AS t
    WHERE t.company_id = $1
) AS r;

-- name: rows_cost_issues
-- A company's rows, as text.
SELECT t::text AS row FROM cost_issues AS t WHERE t.company_id = $1 ORDER BY t::text COLLATE "C";

-- name: write_rows
-- Writes rows of the inline models where the connection sees their tables.
SELECT ledger.write_rows($1, $2);
