-- name: links
-- Links by id.
SELECT * FROM links WHERE company_id = $1 AND link_id = ANY ($2::uuid[]);

-- name: relations
-- The links that relate these issues in these ways.
SELECT l.issue_id, l.link_type, l.target_id, l.link_id
FROM unnest($2::uuid[], $3::text[], $4::uuid[]) AS asked (issue_id, link_type, target_id)
JOIN links AS l
  ON l.company_id = $1
 AND l.issue_id = asked.issue_id
 AND l.link_type = asked.link_type
 AND l.target_id = asked.target_id;

-- name: delete_links
-- Takes links away; one that came and went in a batch was never here.
DELETE FROM links WHERE company_id = $1 AND link_id = ANY ($2::uuid[]);

-- name: insert_links
-- New links; a link never changes.
INSERT INTO links (
    company_id, link_id, issue_id, link_type, target_id, created_position, created_at, created_by
)
SELECT $1, l.*
FROM unnest(
    $2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::bigint[], $7::timestamptz[], $8::text[]
) AS l;
