-- name: newest
-- Issues, the last created first. As of a position: those that did not change since are as they are
-- now, the others as they were.
SELECT i.*
FROM (
    (SELECT v.*
    FROM issue_versions AS v
    WHERE v.company_id = $1
      AND v.is_current
      AND v.deleted_at IS NULL
      AND v.position <= $2
      AND issue_matches(
          v.status, v.priority, v.assignee, v.team_id, v.project_id, v.goal_id,
          v.milestone_id, v.parent_id, v.label_ids, v.external_system, v.external_id,
          v.created_at, v.updated_at, $4, $5, $6
      )
      AND ($7::uuid[] IS NULL OR v.issue_id = ANY ($7))
      AND ($8::text[] IS NULL OR v.issue_id IN (SELECT issues_saying($1, $8, $9)))
      AND (v.created_at, v.created_position) < ($10::timestamptz, $11::bigint)
    ORDER BY v.created_at DESC, v.created_position DESC
    LIMIT $3)
    UNION ALL
    (SELECT v.*
    FROM issue_versions AS now
    CROSS JOIN LATERAL (
        SELECT *
        FROM issue_versions AS p
        WHERE p.company_id = $1
          AND p.issue_id = now.issue_id
          AND p.position <= $2
          AND p.timeline <> 'occurred'
        ORDER BY p.position DESC
        LIMIT 1
    ) AS v
    WHERE now.company_id = $1
      AND now.is_current
      AND now.position > $2
      AND now.created_position <= $2
      AND v.deleted_at IS NULL
      AND issue_matches(
          v.status, v.priority, v.assignee, v.team_id, v.project_id, v.goal_id,
          v.milestone_id, v.parent_id, v.label_ids, v.external_system, v.external_id,
          v.created_at, v.updated_at, $4, $5, $6
      )
      AND ($7::uuid[] IS NULL OR v.issue_id = ANY ($7))
      AND ($8::text[] IS NULL OR v.issue_id IN (SELECT issues_saying($1, $8, $9)))
      AND (v.created_at, v.created_position) < ($10::timestamptz, $11::bigint)
    ORDER BY v.created_at DESC, v.created_position DESC
    LIMIT $3)
) AS i
ORDER BY i.created_at DESC, i.created_position DESC
LIMIT $3;

-- name: oldest
-- Issues, the first created first. As of a position: those that did not change since are as they are
-- now, the others as they were.
SELECT i.*
FROM (
    (SELECT v.*
    FROM issue_versions AS v
    WHERE v.company_id = $1
      AND v.is_current
      AND v.deleted_at IS NULL
      AND v.position <= $2
      AND issue_matches(
          v.status, v.priority, v.assignee, v.team_id, v.project_id, v.goal_id,
          v.milestone_id, v.parent_id, v.label_ids, v.external_system, v.external_id,
          v.created_at, v.updated_at, $4, $5, $6
      )
      AND ($7::uuid[] IS NULL OR v.issue_id = ANY ($7))
      AND ($8::text[] IS NULL OR v.issue_id IN (SELECT issues_saying($1, $8, $9)))
      AND (v.created_at, v.created_position) > ($10::timestamptz, $11::bigint)
    ORDER BY v.created_at, v.created_position
    LIMIT $3)
    UNION ALL
    (SELECT v.*
    FROM issue_versions AS now
    CROSS JOIN LATERAL (
        SELECT *
        FROM issue_versions AS p
        WHERE p.company_id = $1
          AND p.issue_id = now.issue_id
          AND p.position <= $2
          AND p.timeline <> 'occurred'
        ORDER BY p.position DESC
        LIMIT 1
    ) AS v
    WHERE now.company_id = $1
      AND now.is_current
      AND now.position > $2
      AND now.created_position <= $2
      AND v.deleted_at IS NULL
      AND issue_matches(
          v.status, v.priority, v.assignee, v.team_id, v.project_id, v.goal_id,
          v.milestone_id, v.parent_id, v.label_ids, v.external_system, v.external_id,
          v.created_at, v.updated_at, $4, $5, $6
      )
      AND ($7::uuid[] IS NULL OR v.issue_id = ANY ($7))
      AND ($8::text[] IS NULL OR v.issue_id IN (SELECT issues_saying($1, $8, $9)))
      AND (v.created_at, v.created_position) > ($10::timestamptz, $11::bigint)
    ORDER BY v.created_at, v.created_position
    LIMIT $3)
) AS i
ORDER BY i.created_at, i.created_position
LIMIT $3;

-- name: priority
-- Issues, the most urgent first, and of those the first created. As of a position: those that did not change since are as they are
-- now, the others as they were.
SELECT i.*
FROM (
    (SELECT v.*
    FROM issue_versions AS v
    WHERE v.company_id = $1
      AND v.is_current
      AND v.deleted_at IS NULL
      AND v.position <= $2
      AND issue_matches(
          v.status, v.priority, v.assignee, v.team_id, v.project_id, v.goal_id,
          v.milestone_id, v.parent_id, v.label_ids, v.external_system, v.external_id,
          v.created_at, v.updated_at, $4, $5, $6
      )
      AND ($7::uuid[] IS NULL OR v.issue_id = ANY ($7))
      AND ($8::text[] IS NULL OR v.issue_id IN (SELECT issues_saying($1, $8, $9)))
      AND (v.priority_rank, v.created_at, v.created_position)
          > ($10::smallint, $11::timestamptz, $12::bigint)
    ORDER BY v.priority_rank, v.created_at, v.created_position
    LIMIT $3)
    UNION ALL
    (SELECT v.*
    FROM issue_versions AS now
    CROSS JOIN LATERAL (
        SELECT *
        FROM issue_versions AS p
        WHERE p.company_id = $1
          AND p.issue_id = now.issue_id
          AND p.position <= $2
          AND p.timeline <> 'occurred'
        ORDER BY p.position DESC
        LIMIT 1
    ) AS v
    WHERE now.company_id = $1
      AND now.is_current
      AND now.position > $2
      AND now.created_position <= $2
      AND v.deleted_at IS NULL
      AND issue_matches(
          v.status, v.priority, v.assignee, v.team_id, v.project_id, v.goal_id,
          v.milestone_id, v.parent_id, v.label_ids, v.external_system, v.external_id,
          v.created_at, v.updated_at, $4, $5, $6
      )
      AND ($7::uuid[] IS NULL OR v.issue_id = ANY ($7))
      AND ($8::text[] IS NULL OR v.issue_id IN (SELECT issues_saying($1, $8, $9)))
      AND (v.priority_rank, v.created_at, v.created_position)
          > ($10::smallint, $11::timestamptz, $12::bigint)
    ORDER BY v.priority_rank, v.created_at, v.created_position
    LIMIT $3)
) AS i
ORDER BY i.priority_rank, i.created_at, i.created_position
LIMIT $3;

-- name: updated
-- Issues, the last changed first. As of a position: those that did not change since are as they are
-- now, the others as they were.
SELECT i.*
FROM (
    (SELECT v.*
    FROM issue_versions AS v
    WHERE v.company_id = $1
      AND v.is_current
      AND v.deleted_at IS NULL
      AND v.position <= $2
      AND issue_matches(
          v.status, v.priority, v.assignee, v.team_id, v.project_id, v.goal_id,
          v.milestone_id, v.parent_id, v.label_ids, v.external_system, v.external_id,
          v.created_at, v.updated_at, $4, $5, $6
      )
      AND ($7::uuid[] IS NULL OR v.issue_id = ANY ($7))
      AND ($8::text[] IS NULL OR v.issue_id IN (SELECT issues_saying($1, $8, $9)))
      AND (v.updated_at, v.created_position) < ($10::timestamptz, $11::bigint)
    ORDER BY v.updated_at DESC, v.created_position DESC
    LIMIT $3)
    UNION ALL
    (SELECT v.*
    FROM issue_versions AS now
    CROSS JOIN LATERAL (
        SELECT *
        FROM issue_versions AS p
        WHERE p.company_id = $1
          AND p.issue_id = now.issue_id
          AND p.position <= $2
          AND p.timeline <> 'occurred'
        ORDER BY p.position DESC
        LIMIT 1
    ) AS v
    WHERE now.company_id = $1
      AND now.is_current
      AND now.position > $2
      AND now.created_position <= $2
      AND v.deleted_at IS NULL
      AND issue_matches(
          v.status, v.priority, v.assignee, v.team_id, v.project_id, v.goal_id,
          v.milestone_id, v.parent_id, v.label_ids, v.external_system, v.external_id,
          v.created_at, v.updated_at, $4, $5, $6
      )
      AND ($7::uuid[] IS NULL OR v.issue_id = ANY ($7))
      AND ($8::text[] IS NULL OR v.issue_id IN (SELECT issues_saying($1, $8, $9)))
      AND (v.updated_at, v.created_position) < ($10::timestamptz, $11::bigint)
    ORDER BY v.updated_at DESC, v.created_position DESC
    LIMIT $3)
) AS i
ORDER BY i.updated_at DESC, i.created_position DESC
LIMIT $3;

-- name: sort_order
-- Issues in the order that people gave them; those without one come last. As of a position: those that did not change since are as they are
-- now, the others as they were.
SELECT i.*
FROM (
    (SELECT v.*
    FROM issue_versions AS v
    WHERE v.company_id = $1
      AND v.is_current
      AND v.deleted_at IS NULL
      AND v.position <= $2
      AND issue_matches(
          v.status, v.priority, v.assignee, v.team_id, v.project_id, v.goal_id,
          v.milestone_id, v.parent_id, v.label_ids, v.external_system, v.external_id,
          v.created_at, v.updated_at, $4, $5, $6
      )
      AND ($7::uuid[] IS NULL OR v.issue_id = ANY ($7))
      AND ($8::text[] IS NULL OR v.issue_id IN (SELECT issues_saying($1, $8, $9)))
      AND (v.sort_number, v.created_position) > ($10::numeric, $11::bigint)
    ORDER BY v.sort_number, v.created_position
    LIMIT $3)
    UNION ALL
    (SELECT v.*
    FROM issue_versions AS now
    CROSS JOIN LATERAL (
        SELECT *
        FROM issue_versions AS p
        WHERE p.company_id = $1
          AND p.issue_id = now.issue_id
          AND p.position <= $2
          AND p.timeline <> 'occurred'
        ORDER BY p.position DESC
        LIMIT 1
    ) AS v
    WHERE now.company_id = $1
      AND now.is_current
      AND now.position > $2
      AND now.created_position <= $2
      AND v.deleted_at IS NULL
      AND issue_matches(
          v.status, v.priority, v.assignee, v.team_id, v.project_id, v.goal_id,
          v.milestone_id, v.parent_id, v.label_ids, v.external_system, v.external_id,
          v.created_at, v.updated_at, $4, $5, $6
      )
      AND ($7::uuid[] IS NULL OR v.issue_id = ANY ($7))
      AND ($8::text[] IS NULL OR v.issue_id IN (SELECT issues_saying($1, $8, $9)))
      AND (v.sort_number, v.created_position) > ($10::numeric, $11::bigint)
    ORDER BY v.sort_number, v.created_position
    LIMIT $3)
) AS i
ORDER BY i.sort_number, i.created_position
LIMIT $3;

-- name: occurred
-- Issues as they were by what had happened until a time, in one of the orders ($10); $11 to $14 are
-- where a page goes on, of which an order uses its own.
SELECT v.*
FROM issue_versions AS now
CROSS JOIN LATERAL (
    SELECT *
    FROM issue_versions AS p
    WHERE p.company_id = $1
      AND p.issue_id = now.issue_id
      AND p.at <= $2
      AND p.timeline <> 'recorded'
    ORDER BY p.at DESC, p.position DESC
    LIMIT 1
) AS v
WHERE now.company_id = $1
  AND now.is_current
  AND v.deleted_at IS NULL
  AND issue_matches(
      v.status, v.priority, v.assignee, v.team_id, v.project_id, v.goal_id,
      v.milestone_id, v.parent_id, v.label_ids, v.external_system, v.external_id,
      v.created_at, v.updated_at, $4, $5, $6
  )
  AND ($7::uuid[] IS NULL OR v.issue_id = ANY ($7))
  AND ($8::text[] IS NULL OR v.issue_id IN (SELECT issues_saying($1, $8, $9)))
  AND CASE $10
          WHEN 'newest' THEN (v.created_at, v.created_position) < ($11::timestamptz, $14::bigint)
          WHEN 'oldest' THEN (v.created_at, v.created_position) > ($11::timestamptz, $14::bigint)
          WHEN 'updated' THEN (v.updated_at, v.created_position) < ($11::timestamptz, $14::bigint)
          WHEN 'sort_order' THEN (v.sort_number, v.created_position) > ($12::numeric, $14::bigint)
          ELSE (v.priority_rank, v.created_at, v.created_position)
              > ($13::smallint, $11::timestamptz, $14::bigint)
      END
ORDER BY CASE $10 WHEN 'newest' THEN v.created_at WHEN 'updated' THEN v.updated_at END DESC,
         CASE $10 WHEN 'sort_order' THEN v.sort_number WHEN 'priority' THEN v.priority_rank END,
         CASE WHEN $10 IN ('oldest', 'priority') THEN v.created_at END,
         CASE WHEN $10 IN ('newest', 'updated') THEN -v.created_position ELSE v.created_position END
LIMIT $3;

-- name: counts
-- How many issues are in each status, as of a position.
SELECT i.status, sum(i.issues)::bigint AS issues
FROM (
    SELECT v.status, count(*) AS issues
    FROM issue_versions AS v
    WHERE v.company_id = $1
      AND v.is_current
      AND v.deleted_at IS NULL
      AND v.position <= $2
      AND issue_matches(
          v.status, v.priority, v.assignee, v.team_id, v.project_id, v.goal_id,
          v.milestone_id, v.parent_id, v.label_ids, v.external_system, v.external_id,
          v.created_at, v.updated_at, $3, $4, $5
      )
      AND ($6::uuid[] IS NULL OR v.issue_id = ANY ($6))
      AND ($7::text[] IS NULL OR v.issue_id IN (SELECT issues_saying($1, $7, $8)))
    GROUP BY v.status
    UNION ALL
    SELECT v.status, count(*) AS issues
    FROM issue_versions AS now
    CROSS JOIN LATERAL (
        SELECT *
        FROM issue_versions AS p
        WHERE p.company_id = $1
          AND p.issue_id = now.issue_id
          AND p.position <= $2
          AND p.timeline <> 'occurred'
        ORDER BY p.position DESC
        LIMIT 1
    ) AS v
    WHERE now.company_id = $1
      AND now.is_current
      AND now.position > $2
      AND now.created_position <= $2
      AND v.deleted_at IS NULL
      AND issue_matches(
          v.status, v.priority, v.assignee, v.team_id, v.project_id, v.goal_id,
          v.milestone_id, v.parent_id, v.label_ids, v.external_system, v.external_id,
          v.created_at, v.updated_at, $3, $4, $5
      )
      AND ($6::uuid[] IS NULL OR v.issue_id = ANY ($6))
      AND ($7::text[] IS NULL OR v.issue_id IN (SELECT issues_saying($1, $7, $8)))
    GROUP BY v.status
) AS i
GROUP BY i.status;

-- name: counts_occurred
-- How many issues were in each status, by what had happened until a time.
SELECT v.status, count(*) AS issues
FROM issue_versions AS now
CROSS JOIN LATERAL (
    SELECT *
    FROM issue_versions AS p
    WHERE p.company_id = $1
      AND p.issue_id = now.issue_id
      AND p.at <= $2
      AND p.timeline <> 'recorded'
    ORDER BY p.at DESC, p.position DESC
    LIMIT 1
) AS v
WHERE now.company_id = $1
  AND now.is_current
  AND v.deleted_at IS NULL
  AND issue_matches(
      v.status, v.priority, v.assignee, v.team_id, v.project_id, v.goal_id,
      v.milestone_id, v.parent_id, v.label_ids, v.external_system, v.external_id,
      v.created_at, v.updated_at, $3, $4, $5
  )
  AND ($6::uuid[] IS NULL OR v.issue_id = ANY ($6))
  AND ($7::text[] IS NULL OR v.issue_id IN (SELECT issues_saying($1, $7, $8)))
GROUP BY v.status;

-- name: at_position
-- One issue as of a position.
SELECT *
FROM issue_versions
WHERE company_id = $1 AND issue_id = $2 AND position <= $3 AND timeline <> 'occurred'
ORDER BY position DESC
LIMIT 1;

-- name: at_time
-- One issue by what had happened until a time.
SELECT *
FROM issue_versions
WHERE company_id = $1 AND issue_id = $2 AND at <= $3 AND timeline <> 'recorded'
ORDER BY at DESC, position DESC
LIMIT 1;

-- name: description
-- The description that an event set.
SELECT coalesce(data ->> 'description', data #>> '{changes,description,to}')
FROM events
WHERE company_id = $1 AND position = $2;

-- name: said
-- Issues whose texts say these words, in no order.
SELECT issues_saying($1, $2, $3) AS issue_id
LIMIT $4;
