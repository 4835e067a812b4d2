-- name: issue_with_identifier
-- The stream of an issue, deleted or not.
SELECT issue_id::text FROM issues WHERE company_id = $1 AND identifier = $2;
