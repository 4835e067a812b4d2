-- name: company
-- The company, if it has begun.
SELECT * FROM companies WHERE company_id = $1;

-- name: keys
-- API keys by id, revoked ones too.
SELECT * FROM api_keys WHERE company_id = $1 AND key_id = ANY ($2::uuid[]);

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
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
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
FROM unnest(
    $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[],
    $9::bigint[], $10::timestamptz[], $11::text[], $12::timestamptz[]
) AS k
ON CONFLICT (company_id, key_id) DO UPDATE SET
    version = excluded.version,
    name = excluded.name,
    revoked_at = excluded.revoked_at,
    updated_at = excluded.updated_at;
