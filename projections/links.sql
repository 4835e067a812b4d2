-- name: links
-- Links by id.
SELECT l.*
FROM unnest($2::uuid[]) AS asked (link_id)
CROSS JOIN LATERAL (
    SELECT * FROM links AS l
    WHERE l.company_id = $1
      AND l.link_id = asked.link_id
    OFFSET 0
) AS l;

-- name: relations
-- The links that relate these issues in these ways.
SELECT l.issue_id, l.link_type, l.target_id, l.link_id
FROM unnest($2::uuid[], $3::text[], $4::uuid[]) AS asked (issue_id, link_type, target_id)
CROSS JOIN LATERAL (
    SELECT * FROM links AS l
    WHERE l.company_id = $1
      AND l.issue_id = asked.issue_id
      AND l.link_type = asked.link_type
      AND l.target_id = asked.target_id
    OFFSET 0
) AS l;

-- name: blockers
-- What each of these issues is blocked by, in the order in which it was linked.
SELECT l.issue_id, array_agg(l.target_id ORDER BY l.created_position)
FROM unnest($2::uuid[]) AS asked (issue_id)
CROSS JOIN LATERAL (
    SELECT * FROM links AS l
    WHERE l.company_id = $1
      AND l.issue_id = asked.issue_id
      AND l.link_type = 'blocked_by'
    OFFSET 0
) AS l
GROUP BY l.issue_id;

-- name: dependents
-- What each of these issues blocks, in the order in which it was linked.
SELECT l.target_id, array_agg(l.issue_id ORDER BY l.created_position)
FROM unnest($2::uuid[]) AS asked (target_id)
CROSS JOIN LATERAL (
    SELECT * FROM links AS l
    WHERE l.company_id = $1
      AND l.target_id = asked.target_id
      AND l.link_type = 'blocked_by'
    OFFSET 0
) AS l
GROUP BY l.target_id;

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
