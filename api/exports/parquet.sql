-- name: columns
-- The columns of a view with their types, and what it says of them and of itself.
SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
       col_description(a.attrelid, a.attnum) AS comment,
       obj_description(a.attrelid, 'pg_class') AS view_comment
FROM pg_attribute AS a
WHERE a.attrelid = to_regclass('analytics.' || quote_ident($1)) AND a.attnum > 0
ORDER BY a.attnum;

-- name: end_issues
-- Where a page of issues ends: the key of its last row; no row when the page is the last.
SELECT issue_id FROM ledger.issues
WHERE company_id = $1 AND issue_id > $2
ORDER BY issue_id OFFSET $3 LIMIT 1;

-- name: page_issues
-- The issues after one key and up to another.
SELECT * FROM analytics.issues
WHERE company_id = $1 AND issue_id > $2 AND issue_id <= $3 ORDER BY issue_id;

-- name: end_cycle_time
-- Where a page ends; unfinished issues are counted, and make it shorter.
SELECT issue_id FROM ledger.issues
WHERE company_id = $1 AND issue_id > $2
ORDER BY issue_id OFFSET $3 LIMIT 1;

-- name: page_cycle_time
-- What finished issues took, after one key and up to another.
SELECT * FROM analytics.cycle_time
WHERE company_id = $1 AND issue_id > $2 AND issue_id <= $3 ORDER BY issue_id;

-- name: end_runs
-- Where a page of runs ends.
SELECT run_id FROM ledger.runs
WHERE company_id = $1 AND run_id > $2
ORDER BY run_id OFFSET $3 LIMIT 1;

-- name: page_runs
-- The runs after one key and up to another.
SELECT * FROM analytics.runs
WHERE company_id = $1 AND run_id > $2 AND run_id <= $3 ORDER BY run_id;

-- name: end_leases
-- Where a page of leases ends.
SELECT issue_id, fencing_token FROM ledger.leases
WHERE company_id = $1 AND (issue_id, fencing_token) > ($2, $3)
ORDER BY issue_id, fencing_token OFFSET $4 LIMIT 1;

-- name: page_leases
-- The leases after one key and up to another.
SELECT * FROM analytics.leases
WHERE company_id = $1
  AND (issue_id, fencing_token) > ($2, $3) AND (issue_id, fencing_token) <= ($4, $5)
ORDER BY issue_id, fencing_token;

-- name: end_activity
-- Where a page of activity ends.
SELECT position FROM ledger.activity
WHERE company_id = $1 AND position > $2
ORDER BY position OFFSET $3 LIMIT 1;

-- name: page_activity
-- What happened after one position and up to another, and no later than the export's.
SELECT * FROM analytics.activity
WHERE company_id = $1 AND position > $2 AND position <= $3 AND position <= $4 ORDER BY position;

-- name: end_costs
-- Where a page of cost reports ends.
SELECT position FROM ledger.cost_entries
WHERE company_id = $1 AND position > $2
ORDER BY position OFFSET $3 LIMIT 1;

-- name: page_costs
-- What was reported after one position and up to another, and no later than the export's.
SELECT * FROM analytics.costs
WHERE company_id = $1 AND position > $2 AND position <= $3 AND position <= $4 ORDER BY position;

-- name: end_transitions
-- Where a page ends; what else happened to the issues is counted, and makes it shorter.
SELECT issue_id, position FROM ledger.activity
WHERE company_id = $1 AND issue_id IS NOT NULL AND (issue_id, position) > ($2, $3)
ORDER BY issue_id, position OFFSET $4 LIMIT 1;

-- name: page_transitions
-- The transitions after one key and up to another, and no later than the export's position; the
-- issues alone reach the index, for how long a status was had is told from whole issues.
SELECT * FROM analytics.transitions
WHERE company_id = $1 AND issue_id >= $2 AND issue_id <= $4
  AND (issue_id, position) > ($2, $3) AND (issue_id, position) <= ($4, $5) AND position <= $6
ORDER BY issue_id, position;
