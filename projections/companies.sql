-- name: company
-- The company, if it has begun.
SELECT * FROM companies WHERE company_id = $1;

-- name: keys
-- API keys by id, revoked ones too.
SELECT k.*
FROM unnest($2::uuid[]) AS asked (key_id)
CROSS JOIN LATERAL (
    SELECT * FROM api_keys AS k
    WHERE k.company_id = $1
      AND k.key_id = asked.key_id
    OFFSET 0
) AS k;

-- name: actors
-- Those of the actors who were ever given a key.
SELECT asked.actor
FROM unnest($2::text[]) AS asked (actor)
WHERE EXISTS (SELECT FROM api_keys AS k WHERE k.company_id = $1 AND k.actor = asked.actor);

-- name: save_company
-- The company as it now is.
INSERT INTO companies (
    company_id, version, name, workflow, issue_prefix, monthly_micros,
    created_position, created_at, created_by, updated_at
)
SELECT $1, c.*
FROM jsonb_to_recordset($2) AS c (
    version bigint, name text, workflow text, issue_prefix text, monthly_micros bigint,
    created_position bigint, created_at timestamptz, created_by text, updated_at timestamptz
)
ON CONFLICT (company_id) DO UPDATE SET
    version = excluded.version,
    name = excluded.name,
    workflow = excluded.workflow,
    issue_prefix = excluded.issue_prefix,
    monthly_micros = excluded.monthly_micros,
    updated_at = excluded.updated_at;

-- name: save_keys
-- Keys as they now are; only their names and their revocation can change.
INSERT INTO api_keys (
    company_id, key_id, version, role, actor, name, secret_sha256, revoked_at,
    created_position, created_at, created_by, updated_at
)
SELECT $1, k.*
FROM jsonb_to_recordset($2) AS k (
    id uuid, version bigint, role text, actor text, name text, secret_sha256 text,
    revoked_at timestamptz, created_position bigint, created_at timestamptz, created_by text,
    updated_at timestamptz
)
ON CONFLICT (company_id, key_id) DO UPDATE SET
    version = excluded.version,
    name = excluded.name,
    revoked_at = excluded.revoked_at,
    updated_at = excluded.updated_at;
