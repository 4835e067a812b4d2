-- name: entries
-- Entries by id, archived ones too.
SELECT * FROM directory WHERE company_id = $1 AND entry_id = ANY ($2::uuid[]);

-- name: slugs
-- Whose slugs these are among the living entries of their kind.
SELECT d.kind, d.slug, d.entry_id
FROM unnest($2::text[], $3::text[]) AS asked (kind, slug)
JOIN directory AS d
  ON d.company_id = $1 AND d.kind = asked.kind AND d.slug = asked.slug AND d.archived_at IS NULL;

-- name: labels
-- The living labels of these names.
SELECT name, entry_id
FROM directory
WHERE company_id = $1
  AND kind = 'label'
  AND archived_at IS NULL
  AND name = ANY ($2::text[]);

-- name: prefixes
-- Whose prefixes these are, and the last number each gave out.
SELECT prefix, team_id, last_number
FROM issue_prefixes
WHERE company_id = $1 AND prefix = ANY ($2::text[]);

-- name: free_slugs
-- Lets go of slugs, so that in one batch others may take them. What the entries have in the end
-- is written by save_entries.
UPDATE directory SET slug = entry_id::text
WHERE company_id = $1 AND entry_id = ANY ($2::uuid[]);

-- name: save_entries
-- Entries as they now are.
INSERT INTO directory (
    company_id, entry_id, version, kind, name, slug, fields, archived_at,
    created_position, created_at, created_by, updated_at
)
SELECT $1, e.entry_id, e.version, e.kind, e.name, e.slug, e.fields::jsonb, e.archived_at,
       e.created_position, e.created_at, e.created_by, e.updated_at
FROM unnest(
    $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[],
    $9::bigint[], $10::timestamptz[], $11::text[], $12::timestamptz[]
) AS e (
    entry_id, version, kind, name, slug, fields, archived_at,
    created_position, created_at, created_by, updated_at
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
