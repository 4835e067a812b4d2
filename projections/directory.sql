-- name: entries
-- Entries by id, archived ones too.
SELECT d.*
FROM unnest($2::uuid[]) AS asked (entry_id)
CROSS JOIN LATERAL (
    SELECT * FROM directory AS d
    WHERE d.company_id = $1
      AND d.entry_id = asked.entry_id
    OFFSET 0
) AS d;

-- name: slugs
-- Whose slugs these are among the living entries of their kind.
SELECT d.kind, d.slug, d.entry_id
FROM unnest($2::text[], $3::text[]) AS asked (kind, slug)
CROSS JOIN LATERAL (
    SELECT * FROM directory AS d
    WHERE d.company_id = $1
      AND d.kind = asked.kind
      AND d.slug = asked.slug
      AND d.archived_at IS NULL
    OFFSET 0
) AS d;

-- name: labels
-- The living labels of these names.
SELECT d.name, d.entry_id
FROM unnest($2::text[]) AS asked (name)
CROSS JOIN LATERAL (
    SELECT * FROM directory AS d
    WHERE d.company_id = $1
      AND d.name = asked.name
      AND d.kind = 'label'
      AND d.archived_at IS NULL
    OFFSET 0
) AS d;

-- name: prefixes
-- Whose prefixes these are, and the last number each gave out.
SELECT p.prefix, p.team_id, p.last_number
FROM unnest($2::text[]) AS asked (prefix)
CROSS JOIN LATERAL (
    SELECT * FROM issue_prefixes AS p
    WHERE p.company_id = $1
      AND p.prefix = asked.prefix
    OFFSET 0
) AS p;

