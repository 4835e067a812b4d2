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

-- name: free_slug
-- Lets go of a slug, so that in one batch another entry may take it. What the entry has in the end
-- is written by save_entries.
UPDATE directory SET slug = entry_id::text WHERE company_id = $1 AND entry_id = $2;

-- name: save_entries
-- Entries as they now are.
INSERT INTO directory (
    company_id, entry_id, version, kind, name, slug, fields, archived_at,
    created_position, created_at, created_by, updated_at
)
SELECT $1, e.*
FROM jsonb_to_recordset($2) AS e (
    id uuid, version bigint, kind text, name text, slug text, fields jsonb,
    archived_at timestamptz, created_position bigint, created_at timestamptz, created_by text,
    updated_at timestamptz
)
ON CONFLICT (company_id, entry_id) DO UPDATE SET
    version = excluded.version,
    name = excluded.name,
    slug = excluded.slug,
    fields = excluded.fields,
    archived_at = excluded.archived_at,
    updated_at = excluded.updated_at;

-- name: save_prefixes
-- Counters as they now stand.
INSERT INTO issue_prefixes (company_id, prefix, team_id, last_number)
SELECT $1, p.prefix, p.team_id, p.last_number
FROM unnest($2::text[], $3::uuid[], $4::bigint[]) AS p (prefix, team_id, last_number)
ON CONFLICT (company_id, prefix) DO UPDATE SET last_number = excluded.last_number;
