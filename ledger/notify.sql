-- name: notify
-- Tells listeners which companies' logs grew.
SELECT pg_notify($1, company) FROM unnest($2::text[]) AS company;
