-- name: cost_issues
-- What these issues cost so far, and how they stand.
SELECT c.issue_id, c.team, c.project, c.agent_id, c.last_moved, c.finished_on, c.cost_micros,
       c.rework_micros
FROM unnest($2::uuid[]) AS asked (issue_id)
CROSS JOIN LATERAL (
    SELECT * FROM cost_issues AS c
    WHERE c.company_id = $1 AND c.issue_id = asked.issue_id
    OFFSET 0
) AS c;

-- name: save_cost_issues
-- Issues as they now are.
INSERT INTO cost_issues (
    company_id, issue_id, team, project, agent_id, last_moved, finished_on, cost_micros,
    rework_micros
)
SELECT $1, i.*
FROM jsonb_to_recordset($2) AS i (
    issue_id uuid, team text, project text, agent_id text, last_moved text, finished_on date,
    cost_micros bigint, rework_micros bigint
)
ON CONFLICT (company_id, issue_id) DO UPDATE SET
    team = excluded.team,
    project = excluded.project,
    agent_id = excluded.agent_id,
    last_moved = excluded.last_moved,
    finished_on = excluded.finished_on,
    cost_micros = excluded.cost_micros,
    rework_micros = excluded.rework_micros;
