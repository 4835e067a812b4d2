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

-- name: blockers
-- What each of these issues is blocked by, in the order in which it was linked.
SELECT issue_id, array_agg(target_id ORDER BY created_position)
FROM links
WHERE company_id = $1 AND link_type = 'blocked_by' AND issue_id = ANY ($2::uuid[])
GROUP BY issue_id;

-- name: dependents
-- What each of these issues blocks, in the order in which it was linked.
SELECT target_id, array_agg(issue_id ORDER BY created_position)
FROM links
WHERE company_id = $1 AND link_type = 'blocked_by' AND target_id = ANY ($2::uuid[])
GROUP BY target_id;

-- name: blocking_graph
-- Everything above these issues, as far as a decision would follow: what each is blocked by. Each
-- is looked up by itself, so that links elsewhere in the company cost nothing.
WITH RECURSIVE above (issue_id) AS (
    SELECT asked FROM unnest($2::uuid[]) AS asked
    UNION
    SELECT blocker.issue_id
    FROM above
    CROSS JOIN LATERAL (
        SELECT l.target_id AS issue_id
        FROM links AS l
        WHERE l.company_id = $1 AND l.issue_id = above.issue_id AND l.link_type = 'blocked_by'
        OFFSET 0
    ) AS blocker
)
SELECT a.issue_id, ARRAY(
    SELECT l.target_id
    FROM links AS l
    WHERE l.company_id = $1 AND l.issue_id = a.issue_id AND l.link_type = 'blocked_by'
    ORDER BY l.created_position
)
FROM (SELECT issue_id FROM above LIMIT 2000) AS a;
