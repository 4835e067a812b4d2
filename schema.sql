-- The whole schema of the ledger, for an empty database: psql -f schema.sql
--
-- Three layers. The log (company_heads, events, idempotency_keys) is the truth. The inline
-- read models are written in a command's own transaction. The following read models are
-- written by a projector afterwards. Everything but the log can be rebuilt from the log.
--
-- Every tenant table begins its primary key, and every unique key, with company_id, so that
-- the schema distributes by company unchanged. No triggers, no sequences, no defaults that
-- depend on the session: times, ids and positions come in as parameters. That the log is
-- append-only is a matter of grants: ledger_app may SELECT and INSERT events, nothing more.

BEGIN;

DO $$
BEGIN
    CREATE ROLE ledger_owner NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
DO $$
BEGIN
    CREATE ROLE ledger_app NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
-- Whoever installs the schema may act as either role.
DO $$
BEGIN
    EXECUTE format('GRANT ledger_owner, ledger_app TO %I', current_user);
EXCEPTION WHEN unique_violation THEN NULL; -- another installer has just done it
END $$;

CREATE SCHEMA ledger AUTHORIZATION ledger_owner;
-- A rebuild makes its shadow tables in schemas of its own.
DO $$
BEGIN
    EXECUTE format('GRANT CREATE ON DATABASE %I TO ledger_owner', current_database());
END $$;

SET LOCAL ROLE ledger_owner;
SET LOCAL search_path = ledger;

CREATE TABLE schema_version (
    version integer PRIMARY KEY
);
INSERT INTO schema_version VALUES (3);

-- ── the log ────────────────────────────────────────────────────────────────────────────

-- One narrow row a company: its lock, the last position, the last batch. Updated by every
-- batch and referred to by nothing; the fill factor keeps its updates on the page.
CREATE TABLE company_heads (
    company_id uuid PRIMARY KEY,
    head       bigint NOT NULL,       -- position of the last event; 0 before the first
    tip        uuid NOT NULL,         -- id of the batch that wrote it
    epoch      bigint NOT NULL,       -- raised when read models are exchanged
    last_at    timestamptz NOT NULL   -- recorded_at of the last event
) WITH (fillfactor = 20);

CREATE TABLE events (
    company_id     uuid NOT NULL,
    position       bigint NOT NULL,   -- 1, 2, 3… without gaps, in commit order
    stream_id      uuid NOT NULL,
    version        bigint NOT NULL,   -- 1, 2, 3… inside the stream
    event_id       uuid NOT NULL,
    type           text NOT NULL,
    schema_version integer NOT NULL,
    actor_type     text NOT NULL,
    actor_id       text NOT NULL,
    on_behalf_of   text,
    key_id         uuid,
    command_id     uuid NOT NULL,
    correlation_id text,
    causation_id   text,
    run_id         uuid,
    recorded_at    timestamptz NOT NULL,
    occurred_at    timestamptz,
    via            text NOT NULL,
    data           jsonb,             -- null once erased
    salt           bytea,             -- null once erased
    data_hash      bytea NOT NULL,
    leaf           bytea NOT NULL,
    PRIMARY KEY (company_id, position),
    UNIQUE (company_id, stream_id, version)
);

-- That a key was used, and by which events, is kept for ever; the reply for seven days.
CREATE TABLE idempotency_keys (
    company_id     uuid NOT NULL,
    actor          text NOT NULL,
    key            text NOT NULL,
    item           integer NOT NULL,  -- 0, or the command's place in a list of commands
    request_sha256 bytea NOT NULL,    -- of method, path and body
    first_position bigint NOT NULL,
    last_position  bigint NOT NULL,   -- before first_position when nothing had to change
    recorded_at    timestamptz NOT NULL,
    reply          jsonb,             -- null once past its keeping
    PRIMARY KEY (company_id, actor, key, item)
);
CREATE INDEX idempotency_keys_kept ON idempotency_keys (company_id, recorded_at)
    WHERE reply IS NOT NULL;

-- ── inline read models: as exact as the log, in the same transaction ───────────────────

CREATE TABLE companies (
    company_id       uuid PRIMARY KEY,
    version          bigint NOT NULL,
    name             text NOT NULL,
    workflow         text NOT NULL,
    issue_prefix     text NOT NULL,
    monthly_micros   bigint,          -- how much may be spent in a calendar month
    created_position bigint NOT NULL,
    created_at       timestamptz NOT NULL,
    created_by       text NOT NULL,
    updated_at       timestamptz NOT NULL
);

CREATE TABLE api_keys (
    company_id       uuid NOT NULL,
    key_id           uuid NOT NULL,
    version          bigint NOT NULL,
    role             text NOT NULL,
    actor            text NOT NULL,
    name             text,
    secret_sha256    text NOT NULL,
    revoked_at       timestamptz,
    created_position bigint NOT NULL,
    created_at       timestamptz NOT NULL,
    created_by       text NOT NULL,
    updated_at       timestamptz NOT NULL,
    PRIMARY KEY (company_id, key_id)
);
CREATE UNIQUE INDEX api_keys_secret ON api_keys (company_id, secret_sha256);
CREATE INDEX api_keys_actor ON api_keys (company_id, actor);

CREATE TABLE directory (
    company_id       uuid NOT NULL,
    entry_id         uuid NOT NULL,
    version          bigint NOT NULL,
    kind             text NOT NULL,   -- user, agent, team, project, goal, milestone, label, routine
    name             text NOT NULL,
    slug             text NOT NULL,
    fields           jsonb NOT NULL,
    archived_at      timestamptz,
    created_position bigint NOT NULL,
    created_at       timestamptz NOT NULL,
    created_by       text NOT NULL,
    updated_at       timestamptz NOT NULL,
    PRIMARY KEY (company_id, entry_id)
);
CREATE UNIQUE INDEX directory_slug ON directory (company_id, kind, slug)
    WHERE archived_at IS NULL;
CREATE INDEX directory_label ON directory (company_id, name)
    WHERE kind = 'label' AND archived_at IS NULL;
CREATE INDEX directory_newest ON directory (company_id, kind, created_position);

CREATE TABLE issue_prefixes (
    company_id  uuid NOT NULL,
    prefix      text NOT NULL,
    team_id     uuid,                 -- null: the company's own
    last_number bigint NOT NULL,
    PRIMARY KEY (company_id, prefix)
);

CREATE TABLE issues (
    company_id           uuid NOT NULL,
    issue_id             uuid NOT NULL,
    version              bigint NOT NULL,
    identifier           text NOT NULL,
    title                text NOT NULL,
    status               text NOT NULL,
    priority             text NOT NULL,  -- none, low, medium, high, urgent
    assignee             text,           -- agent:ID or user:ID
    holder_agent_id      text,           -- the agent whose run holds the issue
    holder_run_id        uuid,
    held_since           timestamptz,
    lease_seconds        integer,
    lease_expires_at     timestamptz,    -- from then on somebody else may claim the issue
    fencing_token        bigint,         -- version of the event that began the lease
    paused_at            timestamptz,
    paused_run_id        uuid,           -- a run that may take the issue again
    blocked_from         text,           -- the status it had before it was blocked
    run_count            bigint NOT NULL,
    per_task_micros      bigint,         -- how much all its runs may spend
    team_id              uuid,
    project_id           uuid,
    goal_id              uuid,
    milestone_id         uuid,
    parent_id            uuid,
    label_ids            uuid[] NOT NULL,
    due_at               timestamptz,
    estimate             bigint,
    sort_order           text,           -- decimal, as text
    billing_code         text,
    external_system      text,
    external_id          text,
    comment_count        bigint NOT NULL,
    started_at           timestamptz,
    completed_at         timestamptz,
    deleted_at           timestamptz,
    description_position bigint,         -- the event that last set the description
    description_sha256   text,
    description          text,           -- written only when it changes
    created_position     bigint NOT NULL,
    created_at           timestamptz NOT NULL,
    created_by           text NOT NULL,
    updated_at           timestamptz NOT NULL,
    PRIMARY KEY (company_id, issue_id)
) WITH (fillfactor = 85);
CREATE UNIQUE INDEX issues_identifier ON issues (company_id, identifier);
CREATE UNIQUE INDEX issues_external_ref ON issues (company_id, external_system, external_id)
    WHERE external_id IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX issues_newest ON issues (company_id, created_position) WHERE deleted_at IS NULL;
CREATE INDEX issues_assignee ON issues (company_id, assignee, created_position)
    WHERE deleted_at IS NULL AND assignee IS NOT NULL;
CREATE INDEX issues_parent ON issues (company_id, parent_id, created_position)
    WHERE deleted_at IS NULL AND parent_id IS NOT NULL;

-- What agents may claim, best first: what waits for anybody, or for the one it is assigned to; and
-- what was left behind by a run whose lease ran out.
CREATE INDEX issues_ready ON issues (
    company_id, coalesce(assignee, ''), coalesce(team_id, '00000000-0000-0000-0000-000000000000'),
    (CASE priority WHEN 'urgent' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2
                   WHEN 'low' THEN 3 ELSE 4 END),
    created_position
) WHERE (status = 'todo' OR (status = 'in_progress' AND assignee IS NOT NULL))
    AND holder_run_id IS NULL AND paused_at IS NULL AND deleted_at IS NULL;
CREATE INDEX issues_leased ON issues (
    company_id, coalesce(team_id, '00000000-0000-0000-0000-000000000000'),
    (CASE priority WHEN 'urgent' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2
                   WHEN 'low' THEN 3 ELSE 4 END),
    lease_expires_at
) WHERE status = 'in_progress' AND lease_expires_at IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX issues_unfinished ON issues (company_id, assignee)
    WHERE status NOT IN ('done', 'closed', 'failed', 'cancelled') AND deleted_at IS NULL;

CREATE TABLE comments (
    company_id       uuid NOT NULL,
    comment_id       uuid NOT NULL,
    issue_id         uuid NOT NULL,
    author           text NOT NULL,
    body             text,            -- null once deleted; the log keeps the text
    text_position    bigint NOT NULL, -- the event that last set the text
    text_sha256      text NOT NULL,
    created_position bigint NOT NULL,
    created_at       timestamptz NOT NULL,
    edited_at        timestamptz,
    deleted_at       timestamptz,
    PRIMARY KEY (company_id, comment_id)
);
CREATE INDEX comments_of_issue ON comments (company_id, issue_id, created_position)
    WHERE deleted_at IS NULL;

CREATE TABLE links (
    company_id       uuid NOT NULL,
    link_id          uuid NOT NULL,
    issue_id         uuid NOT NULL,   -- the link is in this issue's stream
    link_type        text NOT NULL,
    target_id        uuid NOT NULL,
    created_position bigint NOT NULL,
    created_at       timestamptz NOT NULL,
    created_by       text NOT NULL,
    PRIMARY KEY (company_id, link_id)
);
CREATE UNIQUE INDEX links_relation ON links (company_id, issue_id, link_type, target_id);
CREATE INDEX links_target ON links (company_id, target_id);

CREATE TABLE runs (
    company_id       uuid NOT NULL,
    run_id           uuid NOT NULL,
    version          bigint NOT NULL,
    issue_id         uuid NOT NULL,
    agent_id         text NOT NULL,
    ended_at         timestamptz,
    paused_at        timestamptz,
    exit_reason      text,            -- what the run said, or what ended it, or a status
    exit_details     text,
    progress_message text,
    progress_percent integer,
    progressed_at    timestamptz,
    checkpoint_position bigint,       -- the event that holds the last checkpoint
    checkpointed_at  timestamptz,
    checkpoint       text,            -- JSON of the run's own; written only when it changes
    workspace_url    text,
    input_tokens     bigint NOT NULL,
    output_tokens    bigint NOT NULL,
    cached_tokens    bigint NOT NULL,
    cost_micros      bigint NOT NULL, -- micro-dollars
    created_position bigint NOT NULL,
    created_at       timestamptz NOT NULL,
    created_by       text NOT NULL,
    updated_at       timestamptz NOT NULL,
    PRIMARY KEY (company_id, run_id)
);
CREATE INDEX runs_of_issue ON runs (company_id, issue_id, created_position);

-- Each time for which a run held an issue.
CREATE TABLE leases (
    company_id    uuid NOT NULL,
    issue_id      uuid NOT NULL,
    fencing_token bigint NOT NULL,
    run_id        uuid NOT NULL,
    agent_id      text NOT NULL,
    lease_seconds integer NOT NULL,
    acquired_at   timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    ended_at      timestamptz,
    ended_by      text,               -- type of the event that ended it
    PRIMARY KEY (company_id, issue_id, fencing_token)
);
CREATE INDEX leases_of_run ON leases (company_id, run_id, fencing_token);

-- What was spent on an issue, and by an agent and the company in a calendar month (UTC).
CREATE TABLE spending (
    company_id   uuid NOT NULL,
    scope        text NOT NULL,       -- issue, agent, company
    scope_id     text NOT NULL,
    month        text NOT NULL,       -- 2026-04; '' of an issue
    spent_micros bigint NOT NULL,     -- micro-dollars
    PRIMARY KEY (company_id, scope, scope_id, month)
);

-- ── following read models: a projector's, each as of its checkpoint ────────────────────

CREATE TABLE checkpoints (
    company_id uuid NOT NULL,
    model      text NOT NULL,
    position   bigint NOT NULL,       -- the last event that the model contains
    epoch      bigint NOT NULL,       -- raised when the model is rebuilt; fences old movers
    PRIMARY KEY (company_id, model)
);

-- Which process moves a model: a convenience, for the checkpoint alone keeps it exact.
CREATE TABLE projector_leases (
    model      text PRIMARY KEY,
    holder     uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    beat_at    timestamptz NOT NULL
);

CREATE TABLE activity (
    company_id   uuid NOT NULL,
    position     bigint NOT NULL,
    event_id     uuid NOT NULL,
    type         text NOT NULL,
    subject_type text NOT NULL,       -- company, key, issue, run, or a kind of the directory
    subject_id   uuid NOT NULL,
    issue_id     uuid,                -- the issue it bears on, if any
    actor        text NOT NULL,
    on_behalf_of text,
    via          text NOT NULL,
    key_id       uuid,
    run_id       uuid,
    command_id   uuid NOT NULL,
    at           timestamptz NOT NULL, -- when it happened: occurred_at, else recorded_at
    recorded_at  timestamptz NOT NULL,
    sentence     text NOT NULL,
    changes      jsonb NOT NULL,      -- [{"field", "from", "to"}]
    PRIMARY KEY (company_id, position)
);
CREATE INDEX activity_of_issue ON activity (company_id, issue_id, position)
    WHERE issue_id IS NOT NULL;
CREATE INDEX activity_of_actor ON activity (company_id, actor, position);
CREATE INDEX activity_of_run ON activity (company_id, run_id, position) WHERE run_id IS NOT NULL;

CREATE TABLE cost_entries (
    company_id    uuid NOT NULL,
    position      bigint NOT NULL,
    day           date NOT NULL,      -- of `at`, in UTC
    at            timestamptz NOT NULL,
    run_id        uuid NOT NULL,
    issue_id      uuid NOT NULL,
    agent_id      text NOT NULL,
    project_id    uuid,               -- the issue's project when it was reported
    provider      text NOT NULL,
    model         text NOT NULL,
    input_tokens  bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cached_tokens bigint NOT NULL,
    cost_micros   bigint NOT NULL,
    PRIMARY KEY (company_id, position)
);
CREATE INDEX cost_entries_of_issue ON cost_entries (company_id, issue_id, position);

-- One row a day, agent, project, issue, provider and model: every coarser sum is a sum of these.
CREATE TABLE cost_sums (
    company_id    uuid NOT NULL,
    day           date NOT NULL,
    agent_id      text NOT NULL,
    project       text NOT NULL,      -- a project's id, or '' for none
    issue_id      uuid NOT NULL,
    provider      text NOT NULL,
    model         text NOT NULL,
    reports       bigint NOT NULL,
    input_tokens  bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cached_tokens bigint NOT NULL,
    cost_micros   bigint NOT NULL,
    PRIMARY KEY (company_id, day, agent_id, project, issue_id, provider, model)
);

-- ── who may do what ────────────────────────────────────────────────────────────────────

GRANT USAGE ON SCHEMA ledger TO ledger_app;
GRANT SELECT ON ALL TABLES IN SCHEMA ledger TO ledger_app;
GRANT INSERT ON events TO ledger_app;
GRANT INSERT, UPDATE ON company_heads, idempotency_keys, checkpoints, projector_leases TO ledger_app;
GRANT INSERT, UPDATE, DELETE ON
    companies, api_keys, directory, issue_prefixes, issues, comments, links, runs,
    leases, spending, activity, cost_entries, cost_sums
TO ledger_app;

COMMIT;
