-- name: tables
-- The tables of a schema.
SELECT tablename FROM pg_tables WHERE schemaname = $1;

-- name: position
-- How far the shadow of a company is.
SELECT min(position) FROM checkpoints WHERE company_id = $1;

-- name: digest_companies
-- The rows of one company, or of all, as one hash that does not depend on their order.
SELECT count(*) AS rows, encode(sha256(coalesce(string_agg(r.hash, '' ORDER BY r.hash), '')), 'hex') AS sha256
FROM (
    SELECT sha256(convert_to(t::text, 'UTF8')) AS hash
    FROM companies AS t
    WHERE $1::uuid IS NULL OR t.company_id = $1
) AS r;

-- name: rows_companies
-- The rows of one company, as text.
SELECT t::text AS row FROM companies AS t WHERE t.company_id = $1 ORDER BY t::text COLLATE "C";

-- name: digest_api_keys
-- The rows of one company, or of all, as one hash that does not depend on their order.
SELECT count(*) AS rows, encode(sha256(coalesce(string_agg(r.hash, '' ORDER BY r.hash), '')), 'hex') AS sha256
FROM (
    SELECT sha256(convert_to(t::text, 'UTF8')) AS hash
    FROM api_keys AS t
    WHERE $1::uuid IS NULL OR t.company_id = $1
) AS r;

-- name: rows_api_keys
-- The rows of one company, as text.
SELECT t::text AS row FROM api_keys AS t WHERE t.company_id = $1 ORDER BY t::text COLLATE "C";

-- name: digest_directory
-- The rows of one company, or of all, as one hash that does not depend on their order.
SELECT count(*) AS rows, encode(sha256(coalesce(string_agg(r.hash, '' ORDER BY r.hash), '')), 'hex') AS sha256
FROM (
    SELECT sha256(convert_to(t::text, 'UTF8')) AS hash
    FROM directory AS t
    WHERE $1::uuid IS NULL OR t.company_id = $1
) AS r;

-- name: rows_directory
-- The rows of one company, as text.
SELECT t::text AS row FROM directory AS t WHERE t.company_id = $1 ORDER BY t::text COLLATE "C";

-- name: digest_issue_prefixes
-- The rows of one company, or of all, as one hash that does not depend on their order.
SELECT count(*) AS rows, encode(sha256(coalesce(string_agg(r.hash, '' ORDER BY r.hash), '')), 'hex') AS sha256
FROM (
    SELECT sha256(convert_to(t::text, 'UTF8')) AS hash
    FROM issue_prefixes AS t
    WHERE $1::uuid IS NULL OR t.company_id = $1
) AS r;

-- name: rows_issue_prefixes
-- The rows of one company, as text.
SELECT t::text AS row FROM issue_prefixes AS t WHERE t.company_id = $1 ORDER BY t::text COLLATE "C";

-- name: digest_issues
-- The rows of one company, or of all, as one hash that does not depend on their order.
SELECT count(*) AS rows, encode(sha256(coalesce(string_agg(r.hash, '' ORDER BY r.hash), '')), 'hex') AS sha256
FROM (
    SELECT sha256(convert_to(t::text, 'UTF8')) AS hash
    FROM issues AS t
    WHERE $1::uuid IS NULL OR t.company_id = $1
) AS r;

-- name: rows_issues
-- The rows of one company, as text.
SELECT t::text AS row FROM issues AS t WHERE t.company_id = $1 ORDER BY t::text COLLATE "C";

-- name: digest_comments
-- The rows of one company, or of all, as one hash that does not depend on their order.
SELECT count(*) AS rows, encode(sha256(coalesce(string_agg(r.hash, '' ORDER BY r.hash), '')), 'hex') AS sha256
FROM (
    SELECT sha256(convert_to(t::text, 'UTF8')) AS hash
    FROM comments AS t
    WHERE $1::uuid IS NULL OR t.company_id = $1
) AS r;

-- name: rows_comments
-- The rows of one company, as text.
SELECT t::text AS row FROM comments AS t WHERE t.company_id = $1 ORDER BY t::text COLLATE "C";

-- name: digest_links
-- The rows of one company, or of all, as one hash that does not depend on their order.
SELECT count(*) AS rows, encode(sha256(coalesce(string_agg(r.hash, '' ORDER BY r.hash), '')), 'hex') AS sha256
FROM (
    SELECT sha256(convert_to(t::text, 'UTF8')) AS hash
    FROM links AS t
    WHERE $1::uuid IS NULL OR t.company_id = $1
) AS r;

-- name: rows_links
-- The rows of one company, as text.
SELECT t::text AS row FROM links AS t WHERE t.company_id = $1 ORDER BY t::text COLLATE "C";

-- name: digest_runs
-- The rows of one company, or of all, as one hash that does not depend on their order.
SELECT count(*) AS rows, encode(sha256(coalesce(string_agg(r.hash, '' ORDER BY r.hash), '')), 'hex') AS sha256
FROM (
    SELECT sha256(convert_to(t::text, 'UTF8')) AS hash
    FROM runs AS t
    WHERE $1::uuid IS NULL OR t.company_id = $1
) AS r;

-- name: rows_runs
-- The rows of one company, as text.
SELECT t::text AS row FROM runs AS t WHERE t.company_id = $1 ORDER BY t::text COLLATE "C";

-- name: digest_activity
-- The rows of one company, or of all, as one hash that does not depend on their order.
SELECT count(*) AS rows, encode(sha256(coalesce(string_agg(r.hash, '' ORDER BY r.hash), '')), 'hex') AS sha256
FROM (
    SELECT sha256(convert_to(t::text, 'UTF8')) AS hash
    FROM activity AS t
    WHERE $1::uuid IS NULL OR t.company_id = $1
) AS r;

-- name: rows_activity
-- The rows of one company, as text.
SELECT t::text AS row FROM activity AS t WHERE t.company_id = $1 ORDER BY t::text COLLATE "C";

-- name: digest_cost_entries
-- The rows of one company, or of all, as one hash that does not depend on their order.
SELECT count(*) AS rows, encode(sha256(coalesce(string_agg(r.hash, '' ORDER BY r.hash), '')), 'hex') AS sha256
FROM (
    SELECT sha256(convert_to(t::text, 'UTF8')) AS hash
    FROM cost_entries AS t
    WHERE $1::uuid IS NULL OR t.company_id = $1
) AS r;

-- name: rows_cost_entries
-- The rows of one company, as text.
SELECT t::text AS row FROM cost_entries AS t WHERE t.company_id = $1 ORDER BY t::text COLLATE "C";

-- name: digest_cost_sums
-- The rows of one company, or of all, as one hash that does not depend on their order.
SELECT count(*) AS rows, encode(sha256(coalesce(string_agg(r.hash, '' ORDER BY r.hash), '')), 'hex') AS sha256
FROM (
    SELECT sha256(convert_to(t::text, 'UTF8')) AS hash
    FROM cost_sums AS t
    WHERE $1::uuid IS NULL OR t.company_id = $1
) AS r;

-- name: rows_cost_sums
-- The rows of one company, as text.
SELECT t::text AS row FROM cost_sums AS t WHERE t.company_id = $1 ORDER BY t::text COLLATE "C";
