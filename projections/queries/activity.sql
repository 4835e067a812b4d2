-- name: newest_of_all
-- Positions between two, newest first.
SELECT position
FROM activity
WHERE company_id = $1 AND position > $2 AND position < $3
ORDER BY position DESC
LIMIT $4;

-- name: newest_of_issue
-- Positions of what bears on an issue, newest first.
SELECT position
FROM activity
WHERE company_id = $1 AND issue_id IS NOT NULL
  AND (issue_id, position) > ($5::uuid, $2) AND (issue_id, position) < ($5::uuid, $3)
ORDER BY issue_id DESC, position DESC
LIMIT $4;

-- name: newest_of_run
-- Positions of what bears on a run, newest first.
SELECT position
FROM activity
WHERE company_id = $1 AND run_id IS NOT NULL
  AND (run_id, position) > ($5::uuid, $2) AND (run_id, position) < ($5::uuid, $3)
ORDER BY run_id DESC, position DESC
LIMIT $4;

-- name: newest_of_actor
-- Positions of what somebody did, or had done, newest first: a page of each of its names.
SELECT position
FROM (
    (
        SELECT found.position
        FROM unnest($5::text[]) AS called (name)
        CROSS JOIN LATERAL (
            SELECT a.position
            FROM activity AS a
            WHERE a.company_id = $1
              AND (a.actor, a.position) > (called.name, $2)
              AND (a.actor, a.position) < (called.name, $3)
            ORDER BY a.actor DESC, a.position DESC
            LIMIT $4
        ) AS found
    )
    UNION
    (
        SELECT found.position
        FROM unnest($5::text[]) AS called (name)
        CROSS JOIN LATERAL (
            SELECT a.position
            FROM activity AS a
            WHERE a.company_id = $1 AND a.on_behalf_of IS NOT NULL
              AND (a.on_behalf_of, a.position) > (called.name, $2)
              AND (a.on_behalf_of, a.position) < (called.name, $3)
            ORDER BY a.on_behalf_of DESC, a.position DESC
            LIMIT $4
        ) AS found
    )
) AS found
ORDER BY position DESC
LIMIT $4;

-- name: newest_of_project
-- Positions of what happened in a project, or took something out of it, newest first.
SELECT position
FROM (
    (
        SELECT position
        FROM activity
        WHERE company_id = $1 AND project_id IS NOT NULL
          AND (project_id, position) > ($5::uuid, $2) AND (project_id, position) < ($5::uuid, $3)
        ORDER BY project_id DESC, position DESC
        LIMIT $4
    )
    UNION
    (
        SELECT position
        FROM activity
        WHERE company_id = $1 AND former_project_id IS NOT NULL
          AND (former_project_id, position) > ($5::uuid, $2) AND (former_project_id, position) < ($5::uuid, $3)
        ORDER BY former_project_id DESC, position DESC
        LIMIT $4
    )
) AS found
ORDER BY position DESC
LIMIT $4;

-- name: newest_of_type
-- Positions of events of some types, newest first: a page of each, of which a page is taken.
SELECT found.position
FROM unnest($5::text[]) AS wanted (word)
CROSS JOIN LATERAL (
    SELECT a.position
    FROM activity AS a
    WHERE a.company_id = $1
      AND (a.type, a.position) > (wanted.word, $2) AND (a.type, a.position) < (wanted.word, $3)
    ORDER BY a.type DESC, a.position DESC
    LIMIT $4
) AS found
ORDER BY found.position DESC
LIMIT $4;

-- name: newest_of_subject_type
-- Positions of what happened to some kinds of things, newest first: a page of each, of which a page is taken.
SELECT found.position
FROM unnest($5::text[]) AS wanted (word)
CROSS JOIN LATERAL (
    SELECT a.position
    FROM activity AS a
    WHERE a.company_id = $1
      AND (a.subject_type, a.position) > (wanted.word, $2) AND (a.subject_type, a.position) < (wanted.word, $3)
    ORDER BY a.subject_type DESC, a.position DESC
    LIMIT $4
) AS found
ORDER BY found.position DESC
LIMIT $4;

-- name: newest_imported
-- Positions of what was recorded later than it happened, newest first.
SELECT position
FROM activity
WHERE company_id = $1 AND occurred_at IS NOT NULL AND position > $2 AND position < $3
ORDER BY position DESC
LIMIT $4;

-- name: newest_imported_at
-- Positions of the same as far as it happened between two times, both included, newest first.
WITH imported AS MATERIALIZED (
    SELECT position
    FROM activity
    WHERE company_id = $1 AND occurred_at >= $5 AND occurred_at <= $6
      AND position > $2 AND position < $3
)
SELECT position FROM imported ORDER BY position DESC LIMIT $4;

-- name: oldest_of_all
-- Positions between two, oldest first.
SELECT position
FROM activity
WHERE company_id = $1 AND position > $2 AND position < $3
ORDER BY position
LIMIT $4;

-- name: oldest_of_issue
-- Positions of what bears on an issue, oldest first.
SELECT position
FROM activity
WHERE company_id = $1 AND issue_id IS NOT NULL
  AND (issue_id, position) > ($5::uuid, $2) AND (issue_id, position) < ($5::uuid, $3)
ORDER BY issue_id, position
LIMIT $4;

-- name: oldest_of_run
-- Positions of what bears on a run, oldest first.
SELECT position
FROM activity
WHERE company_id = $1 AND run_id IS NOT NULL
  AND (run_id, position) > ($5::uuid, $2) AND (run_id, position) < ($5::uuid, $3)
ORDER BY run_id, position
LIMIT $4;

-- name: oldest_of_actor
-- Positions of what somebody did, or had done, oldest first: a page of each of its names.
SELECT position
FROM (
    (
        SELECT found.position
        FROM unnest($5::text[]) AS called (name)
        CROSS JOIN LATERAL (
            SELECT a.position
            FROM activity AS a
            WHERE a.company_id = $1
              AND (a.actor, a.position) > (called.name, $2)
              AND (a.actor, a.position) < (called.name, $3)
            ORDER BY a.actor, a.position
            LIMIT $4
        ) AS found
    )
    UNION
    (
        SELECT found.position
        FROM unnest($5::text[]) AS called (name)
        CROSS JOIN LATERAL (
            SELECT a.position
            FROM activity AS a
            WHERE a.company_id = $1 AND a.on_behalf_of IS NOT NULL
              AND (a.on_behalf_of, a.position) > (called.name, $2)
              AND (a.on_behalf_of, a.position) < (called.name, $3)
            ORDER BY a.on_behalf_of, a.position
            LIMIT $4
        ) AS found
    )
) AS found
ORDER BY position
LIMIT $4;

-- name: oldest_of_project
-- Positions of what happened in a project, or took something out of it, oldest first.
SELECT position
FROM (
    (
        SELECT position
        FROM activity
        WHERE company_id = $1 AND project_id IS NOT NULL
          AND (project_id, position) > ($5::uuid, $2) AND (project_id, position) < ($5::uuid, $3)
        ORDER BY project_id, position
        LIMIT $4
    )
    UNION
    (
        SELECT position
        FROM activity
        WHERE company_id = $1 AND former_project_id IS NOT NULL
          AND (former_project_id, position) > ($5::uuid, $2) AND (former_project_id, position) < ($5::uuid, $3)
        ORDER BY former_project_id, position
        LIMIT $4
    )
) AS found
ORDER BY position
LIMIT $4;

-- name: oldest_of_type
-- Positions of events of some types, oldest first: a page of each, of which a page is taken.
SELECT found.position
FROM unnest($5::text[]) AS wanted (word)
CROSS JOIN LATERAL (
    SELECT a.position
    FROM activity AS a
    WHERE a.company_id = $1
      AND (a.type, a.position) > (wanted.word, $2) AND (a.type, a.position) < (wanted.word, $3)
    ORDER BY a.type, a.position
    LIMIT $4
) AS found
ORDER BY found.position
LIMIT $4;

-- name: oldest_of_subject_type
-- Positions of what happened to some kinds of things, oldest first: a page of each, of which a page is taken.
SELECT found.position
FROM unnest($5::text[]) AS wanted (word)
CROSS JOIN LATERAL (
    SELECT a.position
    FROM activity AS a
    WHERE a.company_id = $1
      AND (a.subject_type, a.position) > (wanted.word, $2) AND (a.subject_type, a.position) < (wanted.word, $3)
    ORDER BY a.subject_type, a.position
    LIMIT $4
) AS found
ORDER BY found.position
LIMIT $4;

-- name: oldest_imported
-- Positions of what was recorded later than it happened, oldest first.
SELECT position
FROM activity
WHERE company_id = $1 AND occurred_at IS NOT NULL AND position > $2 AND position < $3
ORDER BY position
LIMIT $4;

-- name: oldest_imported_at
-- Positions of the same as far as it happened between two times, both included, oldest first.
WITH imported AS MATERIALIZED (
    SELECT position
    FROM activity
    WHERE company_id = $1 AND occurred_at >= $5 AND occurred_at <= $6
      AND position > $2 AND position < $3
)
SELECT position FROM imported ORDER BY position LIMIT $4;

-- name: rows
-- Of these positions, oldest first, the entries that are wanted.
SELECT *
FROM activity
WHERE company_id = $1
  AND position = ANY ($2::bigint[])
  AND ($3::uuid IS NULL OR issue_id = $3)
  AND ($4::uuid IS NULL OR run_id = $4)
  AND ($5::text[] IS NULL OR actor = ANY ($5) OR on_behalf_of = ANY ($5))
  AND ($6::uuid IS NULL OR project_id = $6 OR former_project_id = $6)
  AND ($7::text[] IS NULL OR type = ANY ($7))
  AND ($8::text[] IS NULL OR subject_type = ANY ($8))
  AND ($9::timestamptz IS NULL OR at >= $9)
  AND ($10::timestamptz IS NULL OR at <= $10)
  AND ($11 OR type NOT LIKE 'key.%')
ORDER BY position;

-- name: imported_at
-- How much was recorded later than it happened, between two times, as far as it matters.
SELECT count(*)
FROM (
    SELECT position
    FROM activity
    WHERE company_id = $1 AND occurred_at >= $2 AND occurred_at <= $3
    ORDER BY occurred_at, position
    LIMIT $4
) AS imported;

-- name: traces
-- The traces that some events belong to.
SELECT position, correlation_id, causation_id
FROM events
WHERE company_id = $1 AND position = ANY ($2::bigint[]);
