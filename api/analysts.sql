-- name: powers
-- What the database's user may do with roles: anything, make some, or nothing.
SELECT r.rolsuper AS is_superuser, r.rolsuper OR r.rolcreaterole AS may_create
FROM pg_roles AS r WHERE r.rolname = current_user;

-- name: companies_that_are
-- Those of the ids that are companies.
SELECT company_id FROM ledger.company_heads WHERE company_id = ANY ($1::uuid[]);

-- name: role
-- Whether a role is an analyst's: one that we made; no row for a role that there is not.
SELECT r.rolcanlogin AND NOT r.rolsuper AND EXISTS (
    SELECT FROM pg_auth_members AS m
    WHERE m.member = r.oid AND m.roleid = (SELECT oid FROM pg_roles WHERE rolname = 'ledger_analyst')
) AS is_analyst
FROM pg_roles AS r WHERE r.rolname = $1;

-- name: making
-- The statements that make an analyst's role, quoted by Postgres itself; a verifier is what Postgres
-- keeps of a password, so no log of statements ever has one.
SELECT format(
    'CREATE ROLE %I LOGIN CONNECTION LIMIT %s PASSWORD %L', $1::text, $3::integer, $2::text
)
UNION ALL SELECT format('GRANT ledger_analyst TO %I', $1::text)
UNION ALL
SELECT format('ALTER ROLE %I SET %I = %L', $1::text, s.name, s.value)
FROM (VALUES
    ('default_transaction_read_only', 'on'),
    ('statement_timeout', $4::text),
    ('idle_in_transaction_session_timeout', '60s'),
    ('search_path', 'analytics')
) AS s (name, value);

-- name: bounding
-- The statement that keeps an analyst's sorts and joins from filling the disk; a superuser's to send.
SELECT format('ALTER ROLE %I SET temp_file_limit = %L', $1::text, '2GB');

-- name: act_as_owner
-- Until the end of the transaction, what is written is written by the owner of the tables.
SET LOCAL ROLE ledger_owner;

-- name: let_see
-- The role sees these companies, and no other.
INSERT INTO ledger.analysts (company_id, role_name)
SELECT company_id, $2 FROM unnest($1::uuid[]) AS company_id;

-- name: blind
-- The role sees no company any more, not even in a session that is open.
DELETE FROM ledger.analysts WHERE role_name = $1 RETURNING company_id;

-- name: end_sessions
-- Ends the sessions of the role, of whomever the database's user may end them.
SELECT count(pg_terminate_backend(a.pid)) FROM pg_stat_activity AS a
WHERE a.usename = $1 AND pg_has_role(current_user, a.usesysid, 'USAGE');

-- name: removing
-- The statement that removes the role.
SELECT format('DROP ROLE %I', $1::text);

-- name: analysts
-- Every analyst's role with the companies that it sees, and with what bounds it.
SELECT a.role_name, array_agg(a.company_id ORDER BY a.company_id) AS company_ids,
       r.rolname IS NOT NULL AS is_there, r.rolconnlimit AS connection_limit,
       (SELECT split_part(setting, '=', 2) FROM unnest(s.setconfig) AS setting
        WHERE setting LIKE 'statement\_timeout=%') AS statement_timeout
FROM ledger.analysts AS a
LEFT JOIN pg_roles AS r ON r.rolname = a.role_name
LEFT JOIN pg_db_role_setting AS s ON s.setrole = r.oid AND s.setdatabase = 0
GROUP BY a.role_name, r.rolname, r.rolconnlimit, s.setconfig
ORDER BY a.role_name;
