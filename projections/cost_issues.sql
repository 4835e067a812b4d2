-- name: cost_issues
-- What these issues cost so far, and how they stand.
SELECT issue_id, team, project, agent_id, last_moved, finished_on, cost_micros, rework_micros
FROM cost_issues
WHERE company_id = $1 AND issue_id = ANY ($2::uuid[]);

-- name: save_cost_issues
-- Issues as they now are.
INSERT INTO cost_issues (
    company_id, issue_id, team, project, agent_id, last_moved, finished_on, cost_micros,
    rework_micros
)
SELECT $1, i.*
FROM unnest(
    $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::date[], $8::bigint[],
    $9::bigint[]
) AS i
ON CONFLICT (company_id, issue_id) DO UPDATE SET
    team = excluded.team,
    project = excluded.project,
    agent_id = excluded.agent_id,
    last_moved = excluded.last_moved,
    finished_on = excluded.finished_on,
    cost_micros = excluded.cost_micros,
    rework_micros = excluded.rework_micros;
