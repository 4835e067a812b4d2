-- name: begin
-- What every copy shares in its making: ids are UUIDv7, which begin with their time in milliseconds,
-- so that a copy's ids are as old as its events, and distinct from all others.
CREATE FUNCTION pg_temp.earlier(id uuid, milliseconds bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    lpad(
        to_hex(
            ('x' || substr(id::text, 1, 8) || substr(id::text, 10, 4))::bit(48)::bigint
            - milliseconds
        ),
        12, '0'
    ) || substr(id::text, 15)
)::uuid;
CREATE FUNCTION pg_temp.later(identifier text, numbers bigint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN split_part(identifier, '-', 1) || '-' || (split_part(identifier, '-', 2)::bigint + numbers);
CREATE TEMPORARY TABLE copies (
    template     uuid NOT NULL,
    company      uuid NOT NULL,
    positions    bigint NOT NULL,     -- how far its positions are behind the template's
    numbers      bigint NOT NULL,     -- and its issues' numbers
    milliseconds bigint NOT NULL,     -- how much earlier it all happened; 0 in the last copy
    ago          interval NOT NULL    -- the same
) ON COMMIT DROP;

-- name: plan
-- One row a copy, oldest first: each lies right before the next one, in positions and in time.
INSERT INTO copies (template, company, positions, numbers, milliseconds, ago)
SELECT $1, $2, n * t.events, n * t.issues, ($3 - 1 - n) * t.milliseconds,
       ($3 - 1 - n) * t.milliseconds * interval '1 millisecond'
FROM (
    SELECT count(*) AS events, count(*) FILTER (WHERE e.type = 'issue.created') AS issues,
           ceil(extract(epoch FROM max(e.recorded_at) - min(e.recorded_at)) * 1000)::bigint + 1
               AS milliseconds
    FROM events AS e
    WHERE e.company_id = $1
) AS t
CROSS JOIN generate_series(0, $3::bigint - 1) AS n
ORDER BY n;

-- name: events
-- The log. What the events say, their salts, hashes and leaves stay the template's.
INSERT INTO events (
    company_id, position, stream_id, version, event_id, type, schema_version,
    actor_type, actor_id, on_behalf_of, key_id, command_id, correlation_id, causation_id,
    run_id, recorded_at, occurred_at, via, data, salt, data_hash, leaf
)
SELECT c.company, e.position + c.positions,
       pg_temp.earlier(
           CASE WHEN e.stream_id = c.template THEN c.company ELSE e.stream_id END, c.milliseconds
       ),
       e.version, pg_temp.earlier(e.event_id, c.milliseconds), e.type, e.schema_version,
       e.actor_type, e.actor_id, e.on_behalf_of, e.key_id,
       pg_temp.earlier(e.command_id, c.milliseconds), e.correlation_id, e.causation_id,
       pg_temp.earlier(e.run_id, c.milliseconds), e.recorded_at - c.ago, e.occurred_at - c.ago,
       e.via, e.data, e.salt, e.data_hash, e.leaf
FROM copies AS c
CROSS JOIN LATERAL (
    SELECT * FROM events AS t WHERE t.company_id = c.template ORDER BY t.position
) AS e;

-- name: issues
-- Issues, each with the next numbers of its prefix.
INSERT INTO issues (
    company_id, issue_id, version, identifier, title, status, priority, assignee,
    holder_agent_id, holder_run_id, held_since, lease_seconds, lease_expires_at, fencing_token,
    paused_at, paused_run_id, blocked_from, run_count, per_task_micros,
    team_id, project_id, goal_id, milestone_id,
    parent_id, label_ids, due_at, estimate, sort_order, billing_code,
    external_system, external_id, comment_count, started_at, completed_at, deleted_at,
    description_position, description_sha256, description,
    created_position, created_at, created_by, updated_at
)
SELECT c.company, pg_temp.earlier(i.issue_id, c.milliseconds), i.version,
       pg_temp.later(i.identifier, c.numbers), i.title, i.status, i.priority, i.assignee,
       i.holder_agent_id, pg_temp.earlier(i.holder_run_id, c.milliseconds), i.held_since - c.ago,
       i.lease_seconds, i.lease_expires_at - c.ago, i.fencing_token, i.paused_at - c.ago,
       pg_temp.earlier(i.paused_run_id, c.milliseconds), i.blocked_from, i.run_count,
       i.per_task_micros, i.team_id, i.project_id, i.goal_id, i.milestone_id,
       pg_temp.earlier(i.parent_id, c.milliseconds), i.label_ids, i.due_at, i.estimate,
       i.sort_order, i.billing_code, i.external_system, i.external_id, i.comment_count,
       i.started_at - c.ago, i.completed_at - c.ago, i.deleted_at - c.ago,
       i.description_position + c.positions, i.description_sha256, i.description,
       i.created_position + c.positions, i.created_at - c.ago, i.created_by, i.updated_at - c.ago
FROM copies AS c
CROSS JOIN LATERAL (
    SELECT * FROM issues AS t WHERE t.company_id = c.template ORDER BY t.issue_id
) AS i;

-- name: comments
-- Comments.
INSERT INTO comments (
    company_id, comment_id, issue_id, author, body, text_position, text_sha256,
    created_position, created_at, edited_at, deleted_at
)
SELECT c.company, pg_temp.earlier(m.comment_id, c.milliseconds),
       pg_temp.earlier(m.issue_id, c.milliseconds), m.author, m.body,
       m.text_position + c.positions, m.text_sha256, m.created_position + c.positions,
       m.created_at - c.ago, m.edited_at - c.ago, m.deleted_at - c.ago
FROM copies AS c
CROSS JOIN LATERAL (
    SELECT * FROM comments AS t WHERE t.company_id = c.template ORDER BY t.comment_id
) AS m;

-- name: runs
-- Runs, of the same agents.
INSERT INTO runs (
    company_id, run_id, version, issue_id, agent_id, ended_at, paused_at, exit_reason,
    exit_details, progress_message, progress_percent, progressed_at, checkpoint_position,
    checkpointed_at, checkpoint, workspace_url, input_tokens, output_tokens, cached_tokens,
    cost_micros, created_position, created_at, created_by, updated_at
)
SELECT c.company, pg_temp.earlier(r.run_id, c.milliseconds), r.version,
       pg_temp.earlier(r.issue_id, c.milliseconds), r.agent_id, r.ended_at - c.ago,
       r.paused_at - c.ago, r.exit_reason, r.exit_details, r.progress_message,
       r.progress_percent, r.progressed_at - c.ago, r.checkpoint_position + c.positions,
       r.checkpointed_at - c.ago, r.checkpoint, r.workspace_url, r.input_tokens, r.output_tokens,
       r.cached_tokens, r.cost_micros, r.created_position + c.positions, r.created_at - c.ago,
       r.created_by, r.updated_at - c.ago
FROM copies AS c
CROSS JOIN LATERAL (
    SELECT * FROM runs AS t WHERE t.company_id = c.template ORDER BY t.run_id
) AS r;

-- name: leases
-- Leases; a fencing token is a version, and stays.
INSERT INTO leases (
    company_id, issue_id, fencing_token, run_id, agent_id, lease_seconds, acquired_at,
    expires_at, ended_at, ended_by
)
SELECT c.company, pg_temp.earlier(l.issue_id, c.milliseconds), l.fencing_token,
       pg_temp.earlier(l.run_id, c.milliseconds), l.agent_id, l.lease_seconds,
       l.acquired_at - c.ago, l.expires_at - c.ago, l.ended_at - c.ago, l.ended_by
FROM copies AS c
CROSS JOIN LATERAL (
    SELECT * FROM leases AS t WHERE t.company_id = c.template ORDER BY t.issue_id
) AS l;

-- name: spending
-- What each issue cost; and what the agents and the company spent, as often as there are copies.
INSERT INTO spending (company_id, scope, scope_id, month, spent_micros)
SELECT c.company, s.scope, pg_temp.earlier(s.scope_id::uuid, c.milliseconds)::text, s.month,
       s.spent_micros
FROM copies AS c
JOIN spending AS s ON s.company_id = c.template AND s.scope = 'issue'
UNION ALL
SELECT c.company, s.scope,
       CASE s.scope WHEN 'company' THEN c.company::text ELSE s.scope_id END, s.month,
       s.spent_micros * (SELECT count(*) FROM copies)
FROM copies AS c
JOIN spending AS s ON s.company_id = c.template AND s.scope <> 'issue'
WHERE c.milliseconds = 0;

-- name: issue_versions
-- Every state that an issue was in.
INSERT INTO issue_versions (
    company_id,
    position, at, told_until, timeline, is_current, issue_id, version, identifier, title, status,
    priority, assignee, holder_agent_id, holder_run_id, held_since, lease_seconds,
    lease_expires_at, fencing_token, paused_at, paused_run_id, blocked_from, run_count,
    per_task_micros, team_id, project_id, goal_id, milestone_id, parent_id, label_ids, due_at,
    estimate, sort_order, billing_code, external_system, external_id, comment_count, started_at,
    completed_at, deleted_at, description_position, description_sha256, created_position,
    created_at, created_by, updated_at
)
SELECT c.company, v.position + c.positions, v.at - c.ago, v.told_until - c.ago, v.timeline,
       v.is_current, pg_temp.earlier(v.issue_id, c.milliseconds), v.version,
       pg_temp.later(v.identifier, c.numbers), v.title, v.status, v.priority, v.assignee,
       v.holder_agent_id, pg_temp.earlier(v.holder_run_id, c.milliseconds), v.held_since - c.ago,
       v.lease_seconds, v.lease_expires_at - c.ago, v.fencing_token, v.paused_at - c.ago,
       pg_temp.earlier(v.paused_run_id, c.milliseconds), v.blocked_from, v.run_count,
       v.per_task_micros, v.team_id, v.project_id, v.goal_id, v.milestone_id,
       pg_temp.earlier(v.parent_id, c.milliseconds), v.label_ids, v.due_at, v.estimate,
       v.sort_order, v.billing_code, v.external_system, v.external_id, v.comment_count,
       v.started_at - c.ago, v.completed_at - c.ago, v.deleted_at - c.ago,
       v.description_position + c.positions, v.description_sha256,
       v.created_position + c.positions, v.created_at - c.ago, v.created_by, v.updated_at - c.ago
FROM copies AS c
CROSS JOIN LATERAL (
    SELECT * FROM issue_versions AS t WHERE t.company_id = c.template
    ORDER BY t.issue_id, t.position, t.timeline
) AS v;

-- name: issue_texts
-- The words of texts, each with the company's id among them.
INSERT INTO issue_texts (company_id, issue_id, part, words)
SELECT c.company, pg_temp.earlier(x.issue_id, c.milliseconds),
       CASE WHEN x.part IN ('title', 'description') THEN x.part
            ELSE pg_temp.earlier(x.part::uuid, c.milliseconds)::text END,
       ts_delete(x.words, c.template::text) || array_to_tsvector(ARRAY[c.company::text])
FROM copies AS c
CROSS JOIN LATERAL (
    SELECT * FROM issue_texts AS t WHERE t.company_id = c.template ORDER BY t.issue_id
) AS x;

-- name: companies
-- The company.
INSERT INTO companies (
    company_id, version, name, workflow, issue_prefix, monthly_micros,
    created_position, created_at, created_by, updated_at
)
SELECT c.company, o.version, o.name, o.workflow, o.issue_prefix, o.monthly_micros,
       o.created_position + c.positions, o.created_at, o.created_by, o.updated_at
FROM copies AS c
JOIN companies AS o ON o.company_id = c.template
WHERE c.milliseconds = 0;

-- name: directory
-- Its agents and teams, who are the same in every copy.
INSERT INTO directory (
    company_id, entry_id, version, kind, name, slug, fields, archived_at,
    created_position, created_at, created_by, updated_at
)
SELECT c.company, d.entry_id, d.version, d.kind, d.name, d.slug, d.fields, d.archived_at,
       d.created_position + c.positions, d.created_at, d.created_by, d.updated_at
FROM copies AS c
JOIN directory AS d ON d.company_id = c.template
WHERE c.milliseconds = 0;

-- name: issue_prefixes
-- The last number that each prefix gave out.
INSERT INTO issue_prefixes (company_id, prefix, team_id, last_number)
SELECT c.company, p.prefix, p.team_id, p.last_number + c.numbers
FROM copies AS c
JOIN issue_prefixes AS p ON p.company_id = c.template
WHERE c.milliseconds = 0;

-- name: checkpoints
-- How far the read models are that followed the template.
INSERT INTO checkpoints (company_id, model, position, epoch)
SELECT c.company, m.model, m.position + c.positions, m.epoch
FROM copies AS c
JOIN checkpoints AS m ON m.company_id = c.template
WHERE c.milliseconds = 0;

-- name: company_heads
-- Where the log ends.
INSERT INTO company_heads (company_id, head, tip, epoch, last_at)
SELECT c.company, h.head + c.positions, h.tip, h.epoch, h.last_at
FROM copies AS c
JOIN company_heads AS h ON h.company_id = c.template
WHERE c.milliseconds = 0;
