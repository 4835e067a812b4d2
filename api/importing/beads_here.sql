-- name: workflow
-- The workflow of a company.
SELECT workflow FROM companies WHERE company_id = $1;

-- name: issues
-- Issues that an import made or would make: by their ids, deleted ones too, or by external_ref.
-- `parent_of_beads` tells whether the parent came from Beads too.
SELECT i.issue_id, i.external_id, i.status, i.label_ids, i.deleted_at,
       coalesce(parent.external_system = 'beads', false) AS parent_of_beads
FROM issues AS i
LEFT JOIN issues AS parent
  ON parent.company_id = i.company_id AND parent.issue_id = i.parent_id
WHERE i.company_id = $1
  AND (
    i.issue_id = ANY ($2::uuid[])
    OR (i.external_system = 'beads' AND i.external_id = ANY ($3::text[]) AND i.deleted_at IS NULL)
  );

-- name: entries
-- The agents, users and labels of a company, archived ones too.
SELECT entry_id, kind, name, slug, archived_at
FROM directory
WHERE company_id = $1 AND kind = ANY ('{agent,user,label}'::text[])
ORDER BY created_position;

-- name: taken_steps
-- Which of these steps an earlier import has taken.
SELECT key FROM idempotency_keys
WHERE company_id = $1 AND actor = $2 AND key = ANY ($3::text[]) AND item = 0;

-- name: comments
-- Comments by id, deleted ones too.
SELECT comment_id, body, deleted_at
FROM comments
WHERE company_id = $1 AND comment_id = ANY ($2::uuid[]);

-- name: tally
-- How many comments issues have by now, how many links, and how many of them have a parent.
SELECT
    (SELECT count(*) FROM comments
     WHERE company_id = $1 AND issue_id = ANY ($2::uuid[]) AND deleted_at IS NULL) AS comments,
    (SELECT count(*) FROM links
     WHERE company_id = $1 AND issue_id = ANY ($2::uuid[])) AS links,
    (SELECT count(*) FROM issues
     WHERE company_id = $1 AND issue_id = ANY ($2::uuid[]) AND parent_id IS NOT NULL) AS parents;

-- name: links
-- The links in the streams of these issues.
SELECT link_id, issue_id, link_type, target_id
FROM links
WHERE company_id = $1 AND issue_id = ANY ($2::uuid[]);
