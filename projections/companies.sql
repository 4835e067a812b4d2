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

