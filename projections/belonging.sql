-- name: projects
-- The projects that things are in, as far as the activity has come.
SELECT p.subject_id, p.project_id
FROM unnest($2::uuid[]) AS asked (subject_id)
CROSS JOIN LATERAL (
    SELECT * FROM activity_projects AS p
    WHERE p.company_id = $1 AND p.subject_id = asked.subject_id
    OFFSET 0
) AS p;

-- name: remember
-- Says in which projects things are from now on.
INSERT INTO activity_projects (company_id, subject_id, project_id)
SELECT $1, p.subject_id, p.project_id
FROM unnest($2::uuid[], $3::uuid[]) AS p (subject_id, project_id)
ON CONFLICT (company_id, subject_id) DO UPDATE SET project_id = excluded.project_id;

-- name: forget
-- These things are in no project any more.
DELETE FROM activity_projects WHERE company_id = $1 AND subject_id = ANY ($2::uuid[]);
