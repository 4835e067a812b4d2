-- name: activity
-- Activity, newest first.
SELECT *
FROM activity
WHERE company_id = $1
  AND ($2::bigint IS NULL OR position < $2)
  AND ($4::uuid IS NULL OR issue_id = $4)
  AND ($5::text IS NULL OR actor = $5 OR on_behalf_of = $5)
  AND ($6::uuid IS NULL OR run_id = $6)
  AND ($7::text[] IS NULL OR type = ANY ($7))
  AND ($8::timestamptz IS NULL OR at >= $8)
  AND ($9::timestamptz IS NULL OR at < $9)
  AND ($10 OR type NOT LIKE 'key.%')
ORDER BY position DESC
LIMIT $3;
