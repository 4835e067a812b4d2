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
      AND (now.created_at, now.created_position) < ($10::timestamptz, $11::bigint)
    ORDER BY now.created_at DESC, now.created_position DESC
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
      AND (now.created_at, now.created_position) > ($10::timestamptz, $11::bigint)
    ORDER BY now.created_at, now.created_position
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
          > ($10::bigint, $11::timestamptz, $12::bigint)
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
          > ($10::bigint, $11::timestamptz, $12::bigint)
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

-- name: occurred_newest
-- Issues by what had happened until a time, the last created first.
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
  AND (now.created_at, now.created_position) < ($10::timestamptz, $11::bigint)
ORDER BY now.created_at DESC, now.created_position DESC
LIMIT $3;

-- name: occurred_oldest
-- Issues by what had happened until a time, the first created first.
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
  AND (now.created_at, now.created_position) > ($10::timestamptz, $11::bigint)
ORDER BY now.created_at, now.created_position
LIMIT $3;

-- name: occurred_priority
-- Issues by what had happened until a time, the most urgent first.
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
  AND (v.priority_rank, v.created_at, v.created_position)
      > ($10::bigint, $11::timestamptz, $12::bigint)
ORDER BY v.priority_rank, v.created_at, v.created_position
LIMIT $3;

-- name: occurred_updated
-- Issues by what had happened until a time, the last changed by then first.
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
  AND (v.updated_at, v.created_position) < ($10::timestamptz, $11::bigint)
ORDER BY v.updated_at DESC, v.created_position DESC
LIMIT $3;

-- name: occurred_sort_order
-- Issues by what had happened until a time, in the order that people had given them.
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
  AND (v.sort_number, v.created_position) > ($10::numeric, $11::bigint)
ORDER BY v.sort_number, v.created_position
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

-- name: board
-- Of each status the first issues ($4) in an order ($3), with how many there are, as of a position:
-- all in one look, which a board of long ago, or of what is searched for, is dear enough for.
SELECT v.*, ranked.issues, ranked.place
FROM (
    SELECT r.issue_id, r.position, r.timeline,
           count(*) OVER (PARTITION BY r.status) AS issues,
           row_number() OVER (
               PARTITION BY r.status
               ORDER BY
                   CASE $3 WHEN 'newest' THEN r.created_at WHEN 'updated' THEN r.updated_at END DESC,
                   CASE $3 WHEN 'sort_order' THEN r.sort_number
                           WHEN 'priority' THEN r.priority_rank END,
                   CASE WHEN $3 IN ('oldest', 'priority') THEN r.created_at END,
                   CASE WHEN $3 IN ('newest', 'updated') THEN -r.created_position
                        ELSE r.created_position END
           ) AS place
    FROM (
        SELECT v.issue_id, v.position, v.timeline, v.status, v.priority_rank, v.created_at,
               v.updated_at, v.sort_number, v.created_position
        FROM issue_versions AS v
        WHERE v.company_id = $1
          AND v.is_current
          AND v.deleted_at IS NULL
          AND v.position <= $2
          AND issue_matches(
              v.status, v.priority, v.assignee, v.team_id, v.project_id, v.goal_id,
              v.milestone_id, v.parent_id, v.label_ids, v.external_system, v.external_id,
              v.created_at, v.updated_at, $5, $6, $7
          )
          AND ($8::uuid[] IS NULL OR v.issue_id = ANY ($8))
          AND ($9::text[] IS NULL OR v.issue_id IN (SELECT issues_saying($1, $9, $10)))
        UNION ALL
        SELECT v.issue_id, v.position, v.timeline, v.status, v.priority_rank, v.created_at,
               v.updated_at, v.sort_number, v.created_position
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
              v.created_at, v.updated_at, $5, $6, $7
          )
          AND ($8::uuid[] IS NULL OR v.issue_id = ANY ($8))
          AND ($9::text[] IS NULL OR v.issue_id IN (SELECT issues_saying($1, $9, $10)))
    ) AS r
) AS ranked
JOIN issue_versions AS v
  ON v.company_id = $1
 AND v.issue_id = ranked.issue_id
 AND v.position = ranked.position
 AND v.timeline = ranked.timeline
WHERE ranked.place <= $4
ORDER BY v.status, ranked.place;

-- name: board_occurred
-- Of each status the first issues ($4) in an order ($3), with how many there are, by what had
-- happened until a time.
SELECT v.*, ranked.issues, ranked.place
FROM (
    SELECT r.issue_id, r.position, r.timeline,
           count(*) OVER (PARTITION BY r.status) AS issues,
           row_number() OVER (
               PARTITION BY r.status
               ORDER BY
                   CASE $3 WHEN 'newest' THEN r.created_at WHEN 'updated' THEN r.updated_at END DESC,
                   CASE $3 WHEN 'sort_order' THEN r.sort_number
                           WHEN 'priority' THEN r.priority_rank END,
                   CASE WHEN $3 IN ('oldest', 'priority') THEN r.created_at END,
                   CASE WHEN $3 IN ('newest', 'updated') THEN -r.created_position
                        ELSE r.created_position END
           ) AS place
    FROM (
        SELECT v.issue_id, v.position, v.timeline, v.status, v.priority_rank, v.created_at,
               v.updated_at, v.sort_number, v.created_position
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
              v.created_at, v.updated_at, $5, $6, $7
          )
          AND ($8::uuid[] IS NULL OR v.issue_id = ANY ($8))
          AND ($9::text[] IS NULL OR v.issue_id IN (SELECT issues_saying($1, $9, $10)))
    ) AS r
) AS ranked
JOIN issue_versions AS v
  ON v.company_id = $1
 AND v.issue_id = ranked.issue_id
 AND v.position = ranked.position
 AND v.timeline = ranked.timeline
WHERE ranked.place <= $4
ORDER BY v.status, ranked.place;

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
