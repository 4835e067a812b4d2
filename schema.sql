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

-- begin analyst roles
-- An analyst is a role that `ledger analyst-role create` makes: a member of ledger_analyst, which may
-- read the views of schema analytics and nothing else.
DO $$
BEGIN
    CREATE ROLE ledger_analyst NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
-- What Postgres lets everybody write in any database: temporary tables, and large objects.
DO $$
BEGIN
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO ledger_owner', current_database());
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        REVOKE EXECUTE ON FUNCTION
            pg_catalog.lo_creat(integer), pg_catalog.lo_create(oid),
            pg_catalog.lo_from_bytea(oid, bytea)
        FROM PUBLIC;
    END IF;
END $$;
-- end analyst roles

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
INSERT INTO schema_version VALUES (4);

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
    reply          text,              -- JSON; null once past its keeping
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
-- Where Postgres knows too little to tell, it takes the index that was made last.
CREATE INDEX directory_newest ON directory (company_id, kind, created_position);
CREATE UNIQUE INDEX directory_slug ON directory (company_id, kind, slug)
    WHERE archived_at IS NULL;
CREATE INDEX directory_label ON directory (company_id, name)
    WHERE kind = 'label' AND archived_at IS NULL;

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

-- What corrected reports of costs come to; those that nobody corrected say so in the log.
CREATE TABLE cost_corrections (
    company_id    uuid NOT NULL,
    position      bigint NOT NULL,    -- of the report
    input_tokens  bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cached_tokens bigint NOT NULL,
    cost_micros   bigint NOT NULL,
    PRIMARY KEY (company_id, position)
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
    project_id   uuid,                -- the project that this was in, once it had happened
    former_project_id uuid,           -- the project that this took it out of
    actor        text NOT NULL,
    on_behalf_of text,
    via          text NOT NULL,
    key_id       uuid,
    run_id       uuid,
    command_id   uuid NOT NULL,
    at           timestamptz NOT NULL, -- when it happened: occurred_at, else recorded_at
    occurred_at  timestamptz,         -- null: when it was recorded
    recorded_at  timestamptz NOT NULL,
    sentence     text NOT NULL,
    changes      jsonb NOT NULL,      -- [{"field", "from", "to"}]
    PRIMARY KEY (company_id, position)
);
CREATE INDEX activity_of_issue ON activity (company_id, issue_id, position)
    WHERE issue_id IS NOT NULL;
CREATE INDEX activity_of_actor ON activity (company_id, actor, position);
CREATE INDEX activity_of_run ON activity (company_id, run_id, position) WHERE run_id IS NOT NULL;
CREATE INDEX activity_on_behalf_of ON activity (company_id, on_behalf_of, position)
    WHERE on_behalf_of IS NOT NULL;
CREATE INDEX activity_of_project ON activity (company_id, project_id, position)
    WHERE project_id IS NOT NULL;
CREATE INDEX activity_of_former_project ON activity (company_id, former_project_id, position)
    WHERE former_project_id IS NOT NULL;
CREATE INDEX activity_of_type ON activity (company_id, type, position);
CREATE INDEX activity_of_subject_type ON activity (company_id, subject_type, position);
-- What was recorded when it happened is in the order of positions; this is the rest.
CREATE INDEX activity_imported ON activity (company_id, position) WHERE occurred_at IS NOT NULL;
CREATE INDEX activity_imported_at ON activity (company_id, occurred_at, position)
    WHERE occurred_at IS NOT NULL;

-- The project that an issue, or a milestone, is in: what the activity's projector remembers.
CREATE TABLE activity_projects (
    company_id uuid NOT NULL,
    subject_id uuid NOT NULL,
    project_id uuid NOT NULL,
    PRIMARY KEY (company_id, subject_id)
);

-- Reports of costs, and corrections of them: each has the difference, so that the rows up to a
-- position add up to what was known by then.
CREATE TABLE cost_entries (
    company_id    uuid NOT NULL,
    position      bigint NOT NULL,
    corrects_position bigint,         -- the report that is corrected; null for a report
    day           date NOT NULL,      -- on which the report happened, in UTC
    at            timestamptz NOT NULL, -- when it happened: occurred_at, else recorded_at
    recorded_at   timestamptz NOT NULL,
    month         text NOT NULL,      -- 2026-04: the one of the budgets in which it counts
    run_id        uuid NOT NULL,
    issue_id      uuid NOT NULL,
    agent_id      text NOT NULL,
    team_id       uuid,               -- the issue's team when it was reported
    project_id    uuid,               -- and its project
    provider      text NOT NULL,
    model         text NOT NULL,
    input_tokens  bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cached_tokens bigint NOT NULL,
    cost_micros   bigint NOT NULL,
    PRIMARY KEY (company_id, position)
);
CREATE INDEX cost_entries_of_issue ON cost_entries (company_id, issue_id, position);
CREATE INDEX cost_entries_of_run ON cost_entries (company_id, run_id, position);
CREATE INDEX cost_entries_of_agent ON cost_entries (company_id, agent_id, position);
CREATE INDEX cost_entries_of_day ON cost_entries (company_id, day, position);
CREATE INDEX cost_entries_of_month ON cost_entries (company_id, month, position);

-- Sums by all that is coarse: of the whole company, by each of agent, team and project, and by all of
-- them together; every coarser one is a sum of one of these. Those of an issue or of a run are sums of
-- its entries.
CREATE TABLE cost_sums (
    company_id    uuid NOT NULL,
    level         text NOT NULL,      -- company, agent, team, project, or each; '' in what it is not by
    day           date NOT NULL,
    agent_id      text NOT NULL,
    team          text NOT NULL,      -- a team's id, or '' for none
    project       text NOT NULL,      -- a project's id, or '' for none
    provider      text NOT NULL,
    model         text NOT NULL,
    reports       bigint NOT NULL,
    input_tokens  bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cached_tokens bigint NOT NULL,
    cost_micros   bigint NOT NULL,
    rework_micros bigint NOT NULL,    -- of these, what runs cost whose work must be done again
    PRIMARY KEY (company_id, level, day, agent_id, team, project, provider, model)
);

-- Runs whose work must be done again, since the event that said so.
CREATE TABLE cost_rework (
    company_id    uuid NOT NULL,
    run_id        uuid NOT NULL,
    position      bigint NOT NULL,    -- of the run's end
    at            timestamptz NOT NULL,
    PRIMARY KEY (company_id, run_id)
);

-- What each issue cost, and when it was finished.
CREATE TABLE cost_issues (
    company_id    uuid NOT NULL,
    issue_id      uuid NOT NULL,
    team          text NOT NULL,      -- a team's id, or '' for none
    project       text NOT NULL,      -- a project's id, or '' for none
    agent_id      text NOT NULL,      -- who worked on it last, or '' for nobody
    last_moved    text NOT NULL,      -- what last happened to who holds it, or to its status
    finished_on   date,               -- since when it has been done or closed, in UTC
    cost_micros   bigint NOT NULL,
    rework_micros bigint NOT NULL,
    PRIMARY KEY (company_id, issue_id)
);
CREATE INDEX cost_issues_finished ON cost_issues (company_id, finished_on)
    WHERE finished_on IS NOT NULL;

-- Every state that an issue was in: one row an event of it. What lists are answered from: those of
-- now from the current states, those of a moment from the last states before it.
CREATE TABLE issue_versions (
    company_id           uuid NOT NULL,
    issue_id             uuid NOT NULL,
    position             bigint NOT NULL, -- the event that made this state
    timeline             text NOT NULL,   -- both; or recorded or occurred, where those differ
    at                   timestamptz NOT NULL, -- when it happened: occurred_at, else recorded_at
    told_until           timestamptz NOT NULL, -- the latest `at` of the issue up to here
    is_current           boolean NOT NULL,     -- the state after all events, in log order
    version              bigint NOT NULL,
    identifier           text NOT NULL,
    title                text NOT NULL,
    status               text NOT NULL,
    priority             text NOT NULL,
    assignee             text,
    holder_agent_id      text,
    holder_run_id        uuid,
    held_since           timestamptz,
    lease_seconds        integer,
    lease_expires_at     timestamptz,
    fencing_token        bigint,
    paused_at            timestamptz,
    paused_run_id        uuid,
    blocked_from         text,
    run_count            bigint NOT NULL,
    per_task_micros      bigint,
    team_id              uuid,
    project_id           uuid,
    goal_id              uuid,
    milestone_id         uuid,
    parent_id            uuid,
    label_ids            uuid[] NOT NULL,
    due_at               timestamptz,
    estimate             bigint,
    sort_order           text,
    billing_code         text,
    external_system      text,
    external_id          text,
    comment_count        bigint NOT NULL,
    started_at           timestamptz,
    completed_at         timestamptz,
    deleted_at           timestamptz,
    description_position bigint,
    description_sha256   text,
    created_position     bigint NOT NULL,
    created_at           timestamptz NOT NULL,
    created_by           text NOT NULL,
    updated_at           timestamptz NOT NULL,
    priority_rank        smallint NOT NULL GENERATED ALWAYS AS (
        CASE priority WHEN 'urgent' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2
                      WHEN 'low' THEN 3 ELSE 4 END
    ) STORED,
    sort_number          numeric NOT NULL GENERATED ALWAYS AS (
        coalesce(sort_order::numeric, 'Infinity'::numeric)
    ) STORED,
    PRIMARY KEY (company_id, issue_id, position, timeline)
);
CREATE INDEX issue_versions_at ON issue_versions (company_id, issue_id, at, position)
    WHERE timeline <> 'recorded';
CREATE UNIQUE INDEX issue_versions_current ON issue_versions (company_id, issue_id)
    WHERE is_current;
CREATE INDEX issue_versions_failed ON issue_versions (company_id, issue_id)
    WHERE status IN ('failed', 'cancelled');
CREATE INDEX issue_versions_changed ON issue_versions (company_id, position) WHERE is_current;
CREATE INDEX issue_versions_created ON issue_versions (company_id, created_at, created_position)
    WHERE is_current; -- Those that are deleted were there then.
CREATE INDEX issue_versions_priority ON issue_versions
    (company_id, priority_rank, created_at, created_position)
    WHERE is_current AND deleted_at IS NULL;
CREATE INDEX issue_versions_updated ON issue_versions (company_id, updated_at, created_position)
    WHERE is_current AND deleted_at IS NULL;
CREATE INDEX issue_versions_sorted ON issue_versions (company_id, sort_number, created_position)
    WHERE is_current AND deleted_at IS NULL;
CREATE INDEX issue_versions_status ON issue_versions
    (company_id, status, priority_rank, created_at, created_position) INCLUDE (position)
    WHERE is_current AND deleted_at IS NULL;
CREATE INDEX issue_versions_assignee ON issue_versions
    (company_id, assignee, created_at, created_position)
    WHERE is_current AND deleted_at IS NULL;
CREATE INDEX issue_versions_team ON issue_versions
    (company_id, team_id, created_at, created_position)
    WHERE is_current AND deleted_at IS NULL AND team_id IS NOT NULL;
CREATE INDEX issue_versions_project ON issue_versions
    (company_id, project_id, created_at, created_position)
    WHERE is_current AND deleted_at IS NULL AND project_id IS NOT NULL;
CREATE INDEX issue_versions_goal ON issue_versions
    (company_id, goal_id, created_at, created_position)
    WHERE is_current AND deleted_at IS NULL AND goal_id IS NOT NULL;
CREATE INDEX issue_versions_milestone ON issue_versions
    (company_id, milestone_id, created_at, created_position)
    WHERE is_current AND deleted_at IS NULL AND milestone_id IS NOT NULL;
CREATE INDEX issue_versions_parent ON issue_versions
    (company_id, parent_id, created_at, created_position)
    WHERE is_current AND deleted_at IS NULL AND parent_id IS NOT NULL;
CREATE INDEX issue_versions_external ON issue_versions (company_id, external_system, external_id)
    WHERE is_current AND deleted_at IS NULL AND external_id IS NOT NULL;
CREATE INDEX issue_versions_labels ON issue_versions USING gin (label_ids)
    WHERE is_current AND deleted_at IS NULL;

-- The words of an issue's texts. The company's id is one of them, so that a search for others looks
-- at this company's texts alone.
CREATE TABLE issue_texts (
    company_id uuid NOT NULL,
    issue_id   uuid NOT NULL,
    part       text NOT NULL,         -- title, description, or a comment's id
    words      tsvector NOT NULL,
    PRIMARY KEY (company_id, issue_id, part)
);
CREATE INDEX issue_texts_words ON issue_texts USING gin (words);

-- ── what lists of issues are asked by ──────────────────────────────────────────────────

-- begin questions
-- Whether an issue is wanted: by its status and priority, and by what `wanted` names. The planner
-- reads this text in place of a call, and leaves out what is not asked for.
CREATE OR REPLACE FUNCTION ledger.issue_matches(
    status text, priority text, assignee text, team_id uuid, project_id uuid, goal_id uuid,
    milestone_id uuid, parent_id uuid, label_ids uuid[], external_system text, external_id text,
    created_at timestamptz, updated_at timestamptz,
    statuses text[], priorities text[], wanted jsonb
) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN statuses IS NULL THEN true
            WHEN cardinality(statuses) = 1 THEN status = statuses[1] -- may keep an index's order
            ELSE status = ANY (statuses) END
    AND CASE WHEN priorities IS NULL THEN true
             WHEN cardinality(priorities) = 1 THEN priority = priorities[1]
             ELSE priority = ANY (priorities) END
    AND CASE WHEN wanted ->> 'assignee' IS NULL THEN true
             WHEN wanted ->> 'assignee' = 'none' THEN assignee IS NULL
             WHEN wanted #>> '{assignee,1}' IS NULL THEN assignee = wanted ->> 'assignee'
             ELSE assignee = ANY (ARRAY[ -- somebody of two or three names
                 wanted #>> '{assignee,0}', wanted #>> '{assignee,1}', wanted #>> '{assignee,2}'
             ]) END
    AND (wanted ->> 'team_id' IS NULL OR team_id = (wanted ->> 'team_id')::uuid)
    AND (wanted ->> 'project_id' IS NULL OR project_id = (wanted ->> 'project_id')::uuid)
    AND (wanted ->> 'goal_id' IS NULL OR goal_id = (wanted ->> 'goal_id')::uuid)
    AND (wanted ->> 'milestone_id' IS NULL OR milestone_id = (wanted ->> 'milestone_id')::uuid)
    AND CASE WHEN wanted ->> 'parent_id' IS NULL THEN true
             WHEN wanted ->> 'parent_id' = 'none' THEN parent_id IS NULL
             ELSE parent_id = (wanted ->> 'parent_id')::uuid END
    AND (wanted ->> 'label_id' IS NULL OR label_ids @> ARRAY[(wanted ->> 'label_id')::uuid])
    AND (wanted ->> 'external_system' IS NULL OR external_system = wanted ->> 'external_system')
    AND (wanted ->> 'external_id' IS NULL OR external_id = wanted ->> 'external_id')
    AND (wanted ->> 'created_since' IS NULL
         OR created_at >= (wanted ->> 'created_since')::timestamptz)
    AND (wanted ->> 'created_until' IS NULL
         OR created_at < (wanted ->> 'created_until')::timestamptz)
    AND (wanted ->> 'updated_since' IS NULL
         OR updated_at >= (wanted ->> 'updated_since')::timestamptz)
    AND (wanted ->> 'updated_until' IS NULL
         OR updated_at < (wanted ->> 'updated_until')::timestamptz);

-- The issues whose texts say all of `wanted` (words, or phrases in quotes, as people write them to
-- search engines; each may stand in another text), and nothing of `unwanted`. What is no word to
-- search for, such as "the", is passed over.
CREATE OR REPLACE FUNCTION ledger.issues_saying(company_id uuid, wanted text[], unwanted text[])
RETURNS SETOF uuid LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
AS $$
    WITH ours AS MATERIALIZED (
        SELECT $1::text::tsquery AS query
    ),
    terms AS MATERIALIZED (
        SELECT asked.query
        FROM unnest($2) AS term
    CROSS JOIN LATERAL websearch_to_tsquery('english', term) AS asked (query)
        WHERE numnode(asked.query) > 0
    )
    SELECT t.issue_id
    FROM terms
    CROSS JOIN ours
    CROSS JOIN LATERAL (
        SELECT DISTINCT x.issue_id
        FROM ledger.issue_texts AS x
        WHERE x.company_id = $1 AND x.words @@ (terms.query && ours.query)
    ) AS t
    GROUP BY t.issue_id
    HAVING count(*) = (SELECT count(*) FROM terms)
    EXCEPT
    SELECT x.issue_id
    FROM unnest($3) AS term
    CROSS JOIN ours
    JOIN ledger.issue_texts AS x
      ON x.company_id = $1 AND x.words @@ (websearch_to_tsquery('english', term) && ours.query)
$$;

-- end questions

-- ── the way in ─────────────────────────────────────────────────────────────────────────

-- begin writing
-- Rows of the inline read models as they now are, by table; each row has all its columns. What
-- was let go of comes before what others may take, in one batch. Rows are found by their keys, one
-- by one, whatever the planner believes of a table.
CREATE OR REPLACE FUNCTION ledger.write_rows(company uuid, given jsonb)
RETURNS void LANGUAGE plpgsql
AS $$
DECLARE
    one jsonb;
BEGIN
    IF given ? 'companies' THEN
        INSERT INTO companies (
            company_id, version, name, workflow, issue_prefix, monthly_micros,
            created_position, created_at, created_by, updated_at
        )
        SELECT company, c.*
        FROM jsonb_to_recordset(given -> 'companies') AS c (
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
    END IF;
    IF given ? 'api_keys' THEN
        INSERT INTO api_keys (
            company_id, key_id, version, role, actor, name, secret_sha256, revoked_at,
            created_position, created_at, created_by, updated_at
        )
        SELECT company, k.*
        FROM jsonb_to_recordset(given -> 'api_keys') AS k (
            id uuid, version bigint, role text, actor text, name text, secret_sha256 text,
            revoked_at timestamptz, created_position bigint, created_at timestamptz, created_by text,
            updated_at timestamptz
        )
        ON CONFLICT (company_id, key_id) DO UPDATE SET
            version = excluded.version,
            name = excluded.name,
            revoked_at = excluded.revoked_at,
            updated_at = excluded.updated_at;
    END IF;
    IF given ? 'freed_slugs' THEN
        FOR one IN SELECT * FROM jsonb_array_elements(given -> 'freed_slugs') LOOP
            UPDATE directory SET slug = entry_id::text
            WHERE company_id = company AND entry_id = (one #>> '{}')::uuid;
        END LOOP;
    END IF;
    IF given ? 'directory' THEN
        INSERT INTO directory (
            company_id, entry_id, version, kind, name, slug, fields, archived_at,
            created_position, created_at, created_by, updated_at
        )
        SELECT company, e.*
        FROM jsonb_to_recordset(given -> 'directory') AS e (
            id uuid, version bigint, kind text, name text, slug text, fields jsonb,
            archived_at timestamptz, created_position bigint, created_at timestamptz, created_by text,
            updated_at timestamptz
        )
        ON CONFLICT (company_id, entry_id) DO UPDATE SET
            version = excluded.version,
            name = excluded.name,
            slug = excluded.slug,
            fields = excluded.fields,
            archived_at = excluded.archived_at,
            updated_at = excluded.updated_at;
    END IF;
    IF given ? 'issue_prefixes' THEN
        INSERT INTO issue_prefixes (company_id, prefix, team_id, last_number)
        SELECT company, p.prefix, p.team_id, p.last_number
        FROM jsonb_to_recordset(given -> 'issue_prefixes') AS p (
            prefix text, team_id uuid, last_number bigint
        )
        ON CONFLICT (company_id, prefix) DO UPDATE SET last_number = excluded.last_number;
    END IF;
    IF given ? 'freed_external_refs' THEN
        FOR one IN SELECT * FROM jsonb_array_elements(given -> 'freed_external_refs') LOOP
            UPDATE issues SET external_system = NULL, external_id = NULL
            WHERE company_id = company AND issue_id = (one #>> '{}')::uuid;
        END LOOP;
    END IF;
    IF given ? 'issues' THEN
        INSERT INTO issues (
            company_id, issue_id, version, identifier, title, status, priority, assignee,
            holder_agent_id, holder_run_id, held_since, lease_seconds, lease_expires_at, fencing_token,
            paused_at, paused_run_id, blocked_from, run_count, per_task_micros,
            team_id, project_id, goal_id, milestone_id,
            parent_id, label_ids, due_at, estimate, sort_order, billing_code,
            external_system, external_id, comment_count, started_at, completed_at, deleted_at,
            description_position, description_sha256,
            created_position, created_at, created_by, updated_at, description
        )
        SELECT company, i.*
        FROM ROWS FROM (
            jsonb_to_recordset(given -> 'issues') AS (
                id uuid, version bigint, identifier text, title text, status text, priority text,
                assignee text, holder_agent_id text, holder_run_id uuid, held_since timestamptz,
                lease_seconds integer, lease_expires_at timestamptz, fencing_token bigint,
                paused_at timestamptz, paused_run_id uuid, blocked_from text, run_count bigint,
                per_task_micros bigint, team_id uuid, project_id uuid, goal_id uuid, milestone_id uuid,
                parent_id uuid, label_ids uuid[], due_at timestamptz, estimate bigint, sort_order text,
                billing_code text, external_system text, external_id text, comment_count bigint,
                started_at timestamptz, completed_at timestamptz, deleted_at timestamptz,
                description_position bigint, description_sha256 text, created_position bigint,
                created_at timestamptz, created_by text, updated_at timestamptz
            ),
            jsonb_array_elements_text(given -> 'descriptions')
        ) AS i
        ON CONFLICT (company_id, issue_id) DO UPDATE SET
            version = excluded.version,
            title = excluded.title,
            status = excluded.status,
            priority = excluded.priority,
            assignee = excluded.assignee,
            holder_agent_id = excluded.holder_agent_id,
            holder_run_id = excluded.holder_run_id,
            held_since = excluded.held_since,
            lease_seconds = excluded.lease_seconds,
            lease_expires_at = excluded.lease_expires_at,
            fencing_token = excluded.fencing_token,
            paused_at = excluded.paused_at,
            paused_run_id = excluded.paused_run_id,
            blocked_from = excluded.blocked_from,
            run_count = excluded.run_count,
            per_task_micros = excluded.per_task_micros,
            team_id = excluded.team_id,
            project_id = excluded.project_id,
            goal_id = excluded.goal_id,
            milestone_id = excluded.milestone_id,
            parent_id = excluded.parent_id,
            label_ids = excluded.label_ids,
            due_at = excluded.due_at,
            estimate = excluded.estimate,
            sort_order = excluded.sort_order,
            billing_code = excluded.billing_code,
            external_system = excluded.external_system,
            external_id = excluded.external_id,
            comment_count = excluded.comment_count,
            started_at = excluded.started_at,
            completed_at = excluded.completed_at,
            deleted_at = excluded.deleted_at,
            description_position = excluded.description_position,
            description_sha256 = excluded.description_sha256,
            updated_at = excluded.updated_at;
    END IF;
    IF given ? 'changed_descriptions' THEN
        FOR one IN SELECT * FROM jsonb_array_elements(given -> 'changed_descriptions') LOOP
            UPDATE issues SET description = one ->> 'text'
            WHERE company_id = company AND issue_id = (one ->> 'id')::uuid;
        END LOOP;
    END IF;
    IF given ? 'comments' THEN
        INSERT INTO comments (
            company_id, comment_id, issue_id, author, text_position, text_sha256, created_position, created_at,
            edited_at, deleted_at, body
        )
        SELECT company, c.*
        FROM ROWS FROM (
            jsonb_to_recordset(given -> 'comments') AS (
                id uuid, issue_id uuid, author text, text_position bigint, text_sha256 text,
                created_position bigint, created_at timestamptz, edited_at timestamptz,
                deleted_at timestamptz
            ),
            jsonb_array_elements_text(given -> 'bodies')
        ) AS c
        ON CONFLICT (company_id, comment_id) DO UPDATE SET
            text_position = excluded.text_position,
            text_sha256 = excluded.text_sha256,
            edited_at = excluded.edited_at,
            deleted_at = excluded.deleted_at,
            body = excluded.body;
    END IF;
    IF given ? 'gone_links' THEN
        FOR one IN SELECT * FROM jsonb_array_elements(given -> 'gone_links') LOOP
            DELETE FROM links WHERE company_id = company AND link_id = (one #>> '{}')::uuid;
        END LOOP;
    END IF;
    IF given ? 'links' THEN
        INSERT INTO links (
            company_id, link_id, issue_id, link_type, target_id, created_position, created_at, created_by
        )
        SELECT company, l.*
        FROM jsonb_to_recordset(given -> 'links') AS l (
            id uuid, issue_id uuid, link_type text, target_id uuid, created_position bigint,
            created_at timestamptz, created_by text
        );
    END IF;
    IF given ? 'runs' THEN
        INSERT INTO runs (
            company_id, run_id, version, issue_id, agent_id, paused_at, ended_at, exit_reason,
            exit_details, progress_message, progress_percent, progressed_at, checkpoint_position,
            checkpointed_at, workspace_url, input_tokens, output_tokens, cached_tokens, cost_micros,
            created_position, created_at, created_by, updated_at
        )
        SELECT company, r.*
        FROM jsonb_to_recordset(given -> 'runs') AS r (
            id uuid, version bigint, issue_id uuid, agent_id text, paused_at timestamptz,
            ended_at timestamptz, exit_reason text, exit_details text, progress_message text,
            progress_percent integer, progressed_at timestamptz, checkpoint_position bigint,
            checkpointed_at timestamptz, workspace_url text, input_tokens bigint, output_tokens bigint,
            cached_tokens bigint, cost_micros bigint, created_position bigint, created_at timestamptz,
            created_by text, updated_at timestamptz
        )
        ON CONFLICT (company_id, run_id) DO UPDATE SET
            version = excluded.version,
            paused_at = excluded.paused_at,
            ended_at = excluded.ended_at,
            exit_reason = excluded.exit_reason,
            exit_details = excluded.exit_details,
            progress_message = excluded.progress_message,
            progress_percent = excluded.progress_percent,
            progressed_at = excluded.progressed_at,
            checkpoint_position = excluded.checkpoint_position,
            checkpointed_at = excluded.checkpointed_at,
            workspace_url = excluded.workspace_url,
            input_tokens = excluded.input_tokens,
            output_tokens = excluded.output_tokens,
            cached_tokens = excluded.cached_tokens,
            cost_micros = excluded.cost_micros,
            updated_at = excluded.updated_at;
    END IF;
    IF given ? 'run_checkpoints' THEN
        FOR one IN SELECT * FROM jsonb_array_elements(given -> 'run_checkpoints') LOOP
            UPDATE runs SET checkpoint = one ->> 'text'
            WHERE company_id = company AND run_id = (one ->> 'id')::uuid;
        END LOOP;
    END IF;
    IF given ? 'leases' THEN
        INSERT INTO leases (
            company_id, issue_id, fencing_token, run_id, agent_id, lease_seconds, acquired_at,
            expires_at, ended_at, ended_by
        )
        SELECT company, l.*
        FROM jsonb_to_recordset(given -> 'leases') AS l (
            issue_id uuid, fencing_token bigint, run_id uuid, agent_id text, lease_seconds integer,
            acquired_at timestamptz, expires_at timestamptz, ended_at timestamptz, ended_by text
        )
        ON CONFLICT (company_id, issue_id, fencing_token) DO UPDATE SET
            lease_seconds = excluded.lease_seconds,
            expires_at = excluded.expires_at,
            ended_at = excluded.ended_at,
            ended_by = excluded.ended_by;
    END IF;
    IF given ? 'spending' THEN
        INSERT INTO spending (company_id, scope, scope_id, month, spent_micros)
        SELECT company, s.*
        FROM jsonb_to_recordset(given -> 'spending') AS s (
            scope text, scope_id text, month text, spent_micros bigint
        )
        ON CONFLICT (company_id, scope, scope_id, month) DO UPDATE SET
            spent_micros = excluded.spent_micros;
    END IF;
    IF given ? 'cost_corrections' THEN
        INSERT INTO cost_corrections (
            company_id, position, input_tokens, output_tokens, cached_tokens, cost_micros
        )
        SELECT company, c.*
        FROM jsonb_to_recordset(given -> 'cost_corrections') AS c (
            position bigint, input_tokens bigint, output_tokens bigint, cached_tokens bigint,
            cost_micros bigint
        )
        ON CONFLICT (company_id, position) DO UPDATE SET
            input_tokens = excluded.input_tokens,
            output_tokens = excluded.output_tokens,
            cached_tokens = excluded.cached_tokens,
            cost_micros = excluded.cost_micros;
    END IF;
END;
$$;

-- A batch: its events, where the log ends now, what was answered under idempotency keys, and the
-- rows of the read models. A position or a version that is there already is an error, never a
-- change.
CREATE OR REPLACE FUNCTION ledger.append(
    company uuid, new_head bigint, new_tip uuid, at timestamptz,
    recorded jsonb, replies jsonb, given jsonb
)
RETURNS void LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO events (
        company_id, position, stream_id, version, event_id, type, schema_version,
        actor_type, actor_id, on_behalf_of, key_id, command_id, correlation_id, causation_id,
        run_id, recorded_at, occurred_at, via, data, salt, data_hash, leaf
    )
    SELECT company, e.*
    FROM jsonb_to_recordset(recorded) AS e (
        position bigint, stream_id uuid, version bigint, event_id uuid, type text,
        schema_version integer, actor_type text, actor_id text, on_behalf_of text, key_id uuid,
        command_id uuid, correlation_id text, causation_id text, run_id uuid,
        recorded_at timestamptz, occurred_at timestamptz, via text, data jsonb, salt bytea,
        data_hash bytea, leaf bytea
    );

    UPDATE company_heads SET head = new_head, tip = new_tip,
        last_at = CASE recorded WHEN '[]' THEN last_at ELSE at END
    WHERE company_id = company;

    INSERT INTO idempotency_keys (
        company_id, actor, key, item, request_sha256, first_position, last_position, recorded_at, reply
    )
    SELECT company, k.actor, k.key, k.item, k.request_sha256, k.first_position, k.last_position, at,
           k.reply
    FROM jsonb_to_recordset(replies) AS k (
        actor text, key text, item integer, request_sha256 bytea, first_position bigint,
        last_position bigint, reply text
    );

    PERFORM ledger.write_rows(company, given);
END;
$$;

REVOKE EXECUTE ON FUNCTION ledger.write_rows, ledger.append FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.write_rows, ledger.append TO ledger_app;
-- end writing

-- ── who may do what ────────────────────────────────────────────────────────────────────

GRANT USAGE ON SCHEMA ledger TO ledger_app;
GRANT SELECT ON ALL TABLES IN SCHEMA ledger TO ledger_app;
GRANT INSERT ON events TO ledger_app;
GRANT INSERT, UPDATE ON company_heads, idempotency_keys, checkpoints, projector_leases TO ledger_app;
GRANT INSERT, UPDATE, DELETE ON
    companies, api_keys, directory, issue_prefixes, issues, comments, links, runs,
    leases, spending, issue_versions, issue_texts, activity, activity_projects, cost_entries, cost_sums,
    cost_corrections, cost_rework, cost_issues
TO ledger_app;

-- ── analysts: what they may read ───────────────────────────────────────────────────────
--
-- A rebuild drops the views and, when it has exchanged the tables, runs this part again.

-- begin analytics
CREATE TABLE IF NOT EXISTS ledger.analysts (
    company_id uuid NOT NULL,
    role_name  text NOT NULL,         -- a role of the database, which sees this company
    PRIMARY KEY (company_id, role_name)
);
CREATE SCHEMA IF NOT EXISTS analytics;
COMMENT ON SCHEMA analytics IS 'Read-only views for analysts, each of the companies they may see.';

-- What all other views are cut down to, before any condition of the asker's is looked at. Who may
-- act as ledger_app sees every company.
CREATE VIEW analytics.visible_companies AS
SELECT a.company_id FROM ledger.analysts AS a WHERE a.role_name = current_user::text
UNION ALL
SELECT h.company_id FROM ledger.company_heads AS h
WHERE pg_has_role(current_user, 'ledger_app', 'USAGE');
COMMENT ON VIEW analytics.visible_companies IS 'The companies of whoever asks.';
COMMENT ON COLUMN analytics.visible_companies.company_id IS 'Id of the company.';

CREATE VIEW analytics.companies WITH (security_barrier) AS
SELECT c.company_id, c.name, c.workflow, c.created_at, h.head AS head_position,
       coalesce(activity.position, 0) AS activity_position,
       coalesce(costs.position, 0) AS costs_position, h.last_at AS last_event_at
FROM ledger.companies AS c
JOIN ledger.company_heads AS h ON h.company_id = c.company_id
LEFT JOIN ledger.checkpoints AS activity
    ON activity.company_id = c.company_id AND activity.model = 'activity'
LEFT JOIN ledger.checkpoints AS costs
    ON costs.company_id = c.company_id AND costs.model = 'costs'
WHERE c.company_id = ANY (ARRAY(SELECT company_id FROM analytics.visible_companies));
COMMENT ON VIEW analytics.companies IS
    'The companies that you may see, and how far their read models are.';
COMMENT ON COLUMN analytics.companies.company_id IS 'Id of the company.';
COMMENT ON COLUMN analytics.companies.name IS 'What it is called.';
COMMENT ON COLUMN analytics.companies.workflow IS 'The workflow that it chose.';
COMMENT ON COLUMN analytics.companies.created_at IS 'When it began.';
COMMENT ON COLUMN analytics.companies.head_position IS
    'Position of the last event of its log; issues, runs and leases are as of it.';
COMMENT ON COLUMN analytics.companies.activity_position IS
    'Position up to which activity, transitions and seconds_in_status are.';
COMMENT ON COLUMN analytics.companies.costs_position IS 'Position up to which costs are.';
COMMENT ON COLUMN analytics.companies.last_event_at IS 'When the last event was recorded.';

CREATE VIEW analytics.issues WITH (security_barrier) AS
SELECT i.company_id, i.issue_id, i.identifier, i.title, i.status, i.priority, i.assignee,
       person.name AS assignee_name, i.holder_agent_id, i.team_id, team.name AS team_name,
       i.project_id, project.name AS project_name, i.goal_id, goal.name AS goal_name,
       i.milestone_id, milestone.name AS milestone_name, i.parent_id,
       ARRAY(
           SELECT label.name FROM ledger.directory AS label
           WHERE label.company_id = i.company_id AND label.entry_id = ANY (i.label_ids)
           ORDER BY label.name
       ) AS label_names,
       i.estimate, i.due_at, i.billing_code, i.external_system, i.external_id, i.comment_count,
       i.run_count, coalesce(spent.spent_micros, 0) AS cost_micros,
       (coalesce(spent.spent_micros, 0) / 1000000.0)::numeric(20, 6) AS cost_usd,
       i.created_at, i.created_by, i.started_at, i.completed_at, i.updated_at,
       extract(epoch FROM coalesce(i.completed_at, now()) - i.created_at)::float8 AS age_seconds,
       extract(epoch FROM i.completed_at - i.created_at)::float8 AS lead_seconds,
       extract(epoch FROM i.completed_at - i.started_at)::float8 AS cycle_seconds
FROM ledger.issues AS i
LEFT JOIN ledger.directory AS person
    ON person.company_id = i.company_id AND person.entry_id = CASE
        WHEN i.assignee ~ '^(agent|user):[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
        THEN split_part(i.assignee, ':', 2)::uuid END
LEFT JOIN ledger.directory AS team
    ON team.company_id = i.company_id AND team.entry_id = i.team_id
LEFT JOIN ledger.directory AS project
    ON project.company_id = i.company_id AND project.entry_id = i.project_id
LEFT JOIN ledger.directory AS goal
    ON goal.company_id = i.company_id AND goal.entry_id = i.goal_id
LEFT JOIN ledger.directory AS milestone
    ON milestone.company_id = i.company_id AND milestone.entry_id = i.milestone_id
LEFT JOIN ledger.spending AS spent
    ON spent.company_id = i.company_id AND spent.scope = 'issue'
   AND spent.scope_id = i.issue_id::text AND spent.month = ''
WHERE i.company_id = ANY (ARRAY(SELECT company_id FROM analytics.visible_companies))
  AND i.deleted_at IS NULL;
COMMENT ON VIEW analytics.issues IS
    'Issues as they are now, without deleted ones and without their long texts.';
COMMENT ON COLUMN analytics.issues.company_id IS 'Id of the company.';
COMMENT ON COLUMN analytics.issues.issue_id IS 'Id of the issue.';
COMMENT ON COLUMN analytics.issues.identifier IS 'Its name for people, such as ENG-42.';
COMMENT ON COLUMN analytics.issues.title IS 'What it is about.';
COMMENT ON COLUMN analytics.issues.status IS 'Where it is in the workflow.';
COMMENT ON COLUMN analytics.issues.priority IS 'none, low, medium, high or urgent.';
COMMENT ON COLUMN analytics.issues.assignee IS 'Who shall do it: agent:ID or user:ID.';
COMMENT ON COLUMN analytics.issues.assignee_name IS 'The name of the assignee in the directory.';
COMMENT ON COLUMN analytics.issues.holder_agent_id IS 'The agent whose run holds it now.';
COMMENT ON COLUMN analytics.issues.team_id IS 'Id of its team.';
COMMENT ON COLUMN analytics.issues.team_name IS 'The name of its team.';
COMMENT ON COLUMN analytics.issues.project_id IS 'Id of its project.';
COMMENT ON COLUMN analytics.issues.project_name IS 'The name of its project.';
COMMENT ON COLUMN analytics.issues.goal_id IS 'Id of its goal.';
COMMENT ON COLUMN analytics.issues.goal_name IS 'The name of its goal.';
COMMENT ON COLUMN analytics.issues.milestone_id IS 'Id of its milestone.';
COMMENT ON COLUMN analytics.issues.milestone_name IS 'The name of its milestone.';
COMMENT ON COLUMN analytics.issues.parent_id IS 'The issue that it is a part of.';
COMMENT ON COLUMN analytics.issues.label_names IS 'The names of its labels, sorted.';
COMMENT ON COLUMN analytics.issues.estimate IS 'How large somebody guessed it to be.';
COMMENT ON COLUMN analytics.issues.due_at IS 'When it is due.';
COMMENT ON COLUMN analytics.issues.billing_code IS 'To which account it is charged.';
COMMENT ON COLUMN analytics.issues.external_system IS 'The system that it came from.';
COMMENT ON COLUMN analytics.issues.external_id IS 'Its id there.';
COMMENT ON COLUMN analytics.issues.comment_count IS 'How many comments it has.';
COMMENT ON COLUMN analytics.issues.run_count IS 'How many runs have held it.';
COMMENT ON COLUMN analytics.issues.cost_micros IS 'What its runs cost so far, in micro-dollars.';
COMMENT ON COLUMN analytics.issues.cost_usd IS 'The same in dollars.';
COMMENT ON COLUMN analytics.issues.created_at IS 'When it was created.';
COMMENT ON COLUMN analytics.issues.created_by IS 'Who created it.';
COMMENT ON COLUMN analytics.issues.started_at IS 'When work on it began for the first time.';
COMMENT ON COLUMN analytics.issues.completed_at IS
    'When it was finished; null while it is not, or is open again.';
COMMENT ON COLUMN analytics.issues.updated_at IS 'When it last changed.';
COMMENT ON COLUMN analytics.issues.age_seconds IS
    'From its creation until it was finished, or until now.';
COMMENT ON COLUMN analytics.issues.lead_seconds IS
    'From its creation until it was finished; null while it is not.';
COMMENT ON COLUMN analytics.issues.cycle_seconds IS
    'From the beginning of the work until it was finished; null while it is not.';

CREATE VIEW analytics.activity WITH (security_barrier) AS
SELECT a.company_id, a.position, a.event_id, a.type, a.subject_type, a.subject_id, a.issue_id,
       i.identifier, a.project_id, project.name AS project_name, a.actor,
       person.name AS actor_name, a.on_behalf_of, a.via, a.run_id, a.at, a.recorded_at,
       a.sentence, a.changes
FROM ledger.activity AS a
LEFT JOIN ledger.issues AS i ON i.company_id = a.company_id AND i.issue_id = a.issue_id
LEFT JOIN ledger.directory AS project
    ON project.company_id = a.company_id AND project.entry_id = a.project_id
LEFT JOIN ledger.directory AS person
    ON person.company_id = a.company_id AND person.entry_id = CASE
        WHEN a.actor ~ '^(agent|user):[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
        THEN split_part(a.actor, ':', 2)::uuid END
WHERE a.company_id = ANY (ARRAY(SELECT company_id FROM analytics.visible_companies))
  AND a.type NOT LIKE 'key.%';
COMMENT ON VIEW analytics.activity IS
    'What happened, one row an event of the log, but for those of API keys.';
COMMENT ON COLUMN analytics.activity.company_id IS 'Id of the company.';
COMMENT ON COLUMN analytics.activity.position IS 'Position of the event in the log.';
COMMENT ON COLUMN analytics.activity.event_id IS 'Id of the event.';
COMMENT ON COLUMN analytics.activity.type IS 'Type of the event, such as issue.checked_out.';
COMMENT ON COLUMN analytics.activity.subject_type IS
    'What it is about: company, key, issue, run, or a kind of the directory.';
COMMENT ON COLUMN analytics.activity.subject_id IS 'Id of that.';
COMMENT ON COLUMN analytics.activity.issue_id IS 'The issue that it bears on, if any.';
COMMENT ON COLUMN analytics.activity.identifier IS 'The name of that issue for people.';
COMMENT ON COLUMN analytics.activity.project_id IS
    'The project that it was in, once it had happened.';
COMMENT ON COLUMN analytics.activity.project_name IS 'The name of that project.';
COMMENT ON COLUMN analytics.activity.actor IS 'Who did it: agent:ID, user:ID or system:ID.';
COMMENT ON COLUMN analytics.activity.actor_name IS 'The name of the actor in the directory.';
COMMENT ON COLUMN analytics.activity.on_behalf_of IS 'For whom it was done.';
COMMENT ON COLUMN analytics.activity.via IS 'Through which channel it came.';
COMMENT ON COLUMN analytics.activity.run_id IS 'The run in which it was done, or that it is about.';
COMMENT ON COLUMN analytics.activity.at IS 'When it happened.';
COMMENT ON COLUMN analytics.activity.recorded_at IS
    'When the log took it; later than `at` for what was imported.';
COMMENT ON COLUMN analytics.activity.sentence IS 'The event in a sentence.';
COMMENT ON COLUMN analytics.activity.changes IS 'What changed, as a list of field, from and to.';

CREATE VIEW analytics.costs WITH (security_barrier) AS
SELECT c.company_id, c.position, c.corrects_position, c.day, c.at, c.run_id, c.issue_id,
       i.identifier, c.agent_id, agent.name AS agent_name, c.team_id, team.name AS team_name,
       c.project_id, project.name AS project_name, c.provider, c.model, c.input_tokens,
       c.output_tokens, c.cached_tokens, c.cost_micros,
       (c.cost_micros / 1000000.0)::numeric(20, 6) AS cost_usd,
       redone.run_id IS NOT NULL AS is_rework
FROM ledger.cost_entries AS c
LEFT JOIN ledger.cost_rework AS redone
    ON redone.company_id = c.company_id AND redone.run_id = c.run_id
LEFT JOIN ledger.issues AS i ON i.company_id = c.company_id AND i.issue_id = c.issue_id
LEFT JOIN ledger.directory AS agent
    ON agent.company_id = c.company_id AND agent.entry_id = CASE
        WHEN c.agent_id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
        THEN c.agent_id::uuid END
LEFT JOIN ledger.directory AS team
    ON team.company_id = c.company_id AND team.entry_id = c.team_id
LEFT JOIN ledger.directory AS project
    ON project.company_id = c.company_id AND project.entry_id = c.project_id
WHERE c.company_id = ANY (ARRAY(SELECT company_id FROM analytics.visible_companies));
COMMENT ON VIEW analytics.costs IS
    'What runs reported to have cost, one row a report or correction: the sum is right.';
COMMENT ON COLUMN analytics.costs.company_id IS 'Id of the company.';
COMMENT ON COLUMN analytics.costs.position IS
    'Position of the report, or of the correction, in the log.';
COMMENT ON COLUMN analytics.costs.corrects_position IS
    'The report that this corrects, by the difference in each number; null for a report.';
COMMENT ON COLUMN analytics.costs.day IS
    'The day of the report that it is, or that it corrects, in UTC.';
COMMENT ON COLUMN analytics.costs.at IS 'When it was reported.';
COMMENT ON COLUMN analytics.costs.run_id IS 'The run that reported it.';
COMMENT ON COLUMN analytics.costs.issue_id IS 'The issue of the run.';
COMMENT ON COLUMN analytics.costs.identifier IS 'The name of that issue for people.';
COMMENT ON COLUMN analytics.costs.agent_id IS 'The agent of the run.';
COMMENT ON COLUMN analytics.costs.agent_name IS 'The name of the agent in the directory.';
COMMENT ON COLUMN analytics.costs.team_id IS 'The team of the issue when it was reported.';
COMMENT ON COLUMN analytics.costs.team_name IS 'The name of that team.';
COMMENT ON COLUMN analytics.costs.project_id IS 'The project of the issue when it was reported.';
COMMENT ON COLUMN analytics.costs.project_name IS 'The name of that project.';
COMMENT ON COLUMN analytics.costs.provider IS 'Whose model was used.';
COMMENT ON COLUMN analytics.costs.model IS 'Which model was used.';
COMMENT ON COLUMN analytics.costs.input_tokens IS 'Tokens that went in.';
COMMENT ON COLUMN analytics.costs.output_tokens IS 'Tokens that came out.';
COMMENT ON COLUMN analytics.costs.cached_tokens IS 'Tokens that were read from a cache.';
COMMENT ON COLUMN analytics.costs.cost_micros IS 'What it cost, in micro-dollars.';
COMMENT ON COLUMN analytics.costs.cost_usd IS 'The same in dollars.';
COMMENT ON COLUMN analytics.costs.is_rework IS
    'Whether the work of the run must be done again: it failed, or lost the issue in mid-run.';

CREATE VIEW analytics.runs WITH (security_barrier) AS
SELECT r.company_id, r.run_id, r.issue_id, i.identifier, r.agent_id, agent.name AS agent_name,
       CASE WHEN r.ended_at IS NOT NULL THEN 'ended'
            WHEN r.paused_at IS NOT NULL THEN 'paused' ELSE 'active' END AS status,
       r.created_at AS started_at, r.ended_at,
       extract(epoch FROM r.ended_at - r.created_at)::float8 AS duration_seconds,
       r.exit_reason AS outcome, r.exit_details AS outcome_details, r.progress_percent,
       r.input_tokens, r.output_tokens, r.cached_tokens, r.cost_micros,
       (r.cost_micros / 1000000.0)::numeric(20, 6) AS cost_usd
FROM ledger.runs AS r
LEFT JOIN ledger.issues AS i ON i.company_id = r.company_id AND i.issue_id = r.issue_id
LEFT JOIN ledger.directory AS agent
    ON agent.company_id = r.company_id AND agent.entry_id = CASE
        WHEN r.agent_id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
        THEN r.agent_id::uuid END
WHERE r.company_id = ANY (ARRAY(SELECT company_id FROM analytics.visible_companies));
COMMENT ON VIEW analytics.runs IS 'Runs, each one attempt of an agent at an issue.';
COMMENT ON COLUMN analytics.runs.company_id IS 'Id of the company.';
COMMENT ON COLUMN analytics.runs.run_id IS 'Id of the run.';
COMMENT ON COLUMN analytics.runs.issue_id IS 'The issue that it is an attempt at.';
COMMENT ON COLUMN analytics.runs.identifier IS 'The name of that issue for people.';
COMMENT ON COLUMN analytics.runs.agent_id IS 'The agent that runs.';
COMMENT ON COLUMN analytics.runs.agent_name IS 'The name of the agent in the directory.';
COMMENT ON COLUMN analytics.runs.status IS 'active, paused or ended.';
COMMENT ON COLUMN analytics.runs.started_at IS 'When it began.';
COMMENT ON COLUMN analytics.runs.ended_at IS 'When it ended.';
COMMENT ON COLUMN analytics.runs.duration_seconds IS
    'From its beginning to its end; null while it goes on.';
COMMENT ON COLUMN analytics.runs.outcome IS
    'How it ended, in the words of the run or of what ended it.';
COMMENT ON COLUMN analytics.runs.outcome_details IS 'What else the run said about its end.';
COMMENT ON COLUMN analytics.runs.progress_percent IS 'How far it said to be.';
COMMENT ON COLUMN analytics.runs.input_tokens IS 'Tokens that went in.';
COMMENT ON COLUMN analytics.runs.output_tokens IS 'Tokens that came out.';
COMMENT ON COLUMN analytics.runs.cached_tokens IS 'Tokens that were read from a cache.';
COMMENT ON COLUMN analytics.runs.cost_micros IS 'What it cost, in micro-dollars.';
COMMENT ON COLUMN analytics.runs.cost_usd IS 'The same in dollars.';

CREATE VIEW analytics.leases WITH (security_barrier) AS
SELECT l.company_id, l.issue_id, i.identifier, l.fencing_token, l.run_id, l.agent_id,
       agent.name AS agent_name, l.lease_seconds, l.acquired_at, l.expires_at, l.ended_at,
       l.ended_by,
       extract(epoch FROM l.ended_at - l.acquired_at)::float8 AS held_seconds
FROM ledger.leases AS l
LEFT JOIN ledger.issues AS i ON i.company_id = l.company_id AND i.issue_id = l.issue_id
LEFT JOIN ledger.directory AS agent
    ON agent.company_id = l.company_id AND agent.entry_id = CASE
        WHEN l.agent_id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
        THEN l.agent_id::uuid END
WHERE l.company_id = ANY (ARRAY(SELECT company_id FROM analytics.visible_companies));
COMMENT ON VIEW analytics.leases IS 'Each time for which a run held an issue.';
COMMENT ON COLUMN analytics.leases.company_id IS 'Id of the company.';
COMMENT ON COLUMN analytics.leases.issue_id IS 'The issue that was held.';
COMMENT ON COLUMN analytics.leases.identifier IS 'The name of that issue for people.';
COMMENT ON COLUMN analytics.leases.fencing_token IS
    'The number under which it was held, higher each time.';
COMMENT ON COLUMN analytics.leases.run_id IS 'The run that held it.';
COMMENT ON COLUMN analytics.leases.agent_id IS 'The agent of the run.';
COMMENT ON COLUMN analytics.leases.agent_name IS 'The name of the agent in the directory.';
COMMENT ON COLUMN analytics.leases.lease_seconds IS 'For how long it was taken or last renewed.';
COMMENT ON COLUMN analytics.leases.acquired_at IS 'Since when it was held.';
COMMENT ON COLUMN analytics.leases.expires_at IS 'From when on somebody else may claim the issue.';
COMMENT ON COLUMN analytics.leases.ended_at IS 'When it was over; null while it is held.';
COMMENT ON COLUMN analytics.leases.ended_by IS 'Type of the event that ended it.';
COMMENT ON COLUMN analytics.leases.held_seconds IS 'For how long it was held; null while it is.';

CREATE VIEW analytics.transitions WITH (security_barrier) AS
SELECT t.company_id, t.issue_id, i.identifier, t.position, t.from_status, t.to_status, t.at,
       t.actor, person.name AS actor_name, t.on_behalf_of, t.run_id,
       t.seconds AS seconds_in_from_status
FROM (
    SELECT a.company_id, a.issue_id, a.position, a.at, a.actor, a.on_behalf_of, a.run_id,
           moved ->> 'from' AS from_status, moved ->> 'to' AS to_status,
           extract(epoch FROM a.at - lag(a.at) OVER of_issue)::float8 AS seconds
    FROM ledger.activity AS a
    CROSS JOIN jsonb_array_elements(a.changes) AS moved
    WHERE a.company_id = ANY (ARRAY(SELECT company_id FROM analytics.visible_companies))
      AND a.issue_id IS NOT NULL
      AND moved ->> 'field' = 'status'
    WINDOW of_issue AS (PARTITION BY a.company_id, a.issue_id ORDER BY a.position)
) AS t
LEFT JOIN ledger.issues AS i ON i.company_id = t.company_id AND i.issue_id = t.issue_id
LEFT JOIN ledger.directory AS person
    ON person.company_id = t.company_id AND person.entry_id = CASE
        WHEN t.actor ~ '^(agent|user):[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
        THEN split_part(t.actor, ':', 2)::uuid END;
COMMENT ON VIEW analytics.transitions IS
    'Each change of an issue''s status, the first one into existence.';
COMMENT ON COLUMN analytics.transitions.company_id IS 'Id of the company.';
COMMENT ON COLUMN analytics.transitions.issue_id IS 'Id of the issue.';
COMMENT ON COLUMN analytics.transitions.identifier IS 'The name of the issue for people.';
COMMENT ON COLUMN analytics.transitions.position IS 'Position of the event that changed it.';
COMMENT ON COLUMN analytics.transitions.from_status IS
    'The status before; null when the issue was created.';
COMMENT ON COLUMN analytics.transitions.to_status IS 'The status after.';
COMMENT ON COLUMN analytics.transitions.at IS 'When it changed.';
COMMENT ON COLUMN analytics.transitions.actor IS 'Who changed it: agent:ID, user:ID or system:ID.';
COMMENT ON COLUMN analytics.transitions.actor_name IS 'The name of the actor in the directory.';
COMMENT ON COLUMN analytics.transitions.on_behalf_of IS 'For whom it was changed.';
COMMENT ON COLUMN analytics.transitions.run_id IS 'The run in which it was changed.';
COMMENT ON COLUMN analytics.transitions.seconds_in_from_status IS
    'For how long the issue had been in the status before.';

CREATE VIEW analytics.cycle_time WITH (security_barrier) AS
SELECT i.company_id, i.issue_id, i.identifier, i.title, i.status, i.team_id,
       team.name AS team_name, i.project_id, project.name AS project_name, i.assignee,
       person.name AS assignee_name, i.created_at, i.started_at, i.completed_at,
       extract(epoch FROM i.completed_at - i.created_at)::float8 AS lead_seconds,
       extract(epoch FROM i.started_at - i.created_at)::float8 AS wait_seconds,
       extract(epoch FROM i.completed_at - i.started_at)::float8 AS cycle_seconds,
       (
           SELECT jsonb_object_agg(spell.status, spell.seconds)
           FROM (
               SELECT t.from_status AS status, sum(t.seconds) AS seconds
               FROM (
                   SELECT moved ->> 'from' AS from_status,
                          extract(epoch FROM a.at - lag(a.at) OVER by_position)::float8 AS seconds
                   FROM ledger.activity AS a
                   CROSS JOIN jsonb_array_elements(a.changes) AS moved
                   WHERE a.company_id = i.company_id AND a.issue_id = i.issue_id
                     AND moved ->> 'field' = 'status'
                   WINDOW by_position AS (ORDER BY a.position)
               ) AS t
               WHERE t.from_status IS NOT NULL
               GROUP BY t.from_status
           ) AS spell
       ) AS seconds_in_status
FROM ledger.issues AS i
LEFT JOIN ledger.directory AS person
    ON person.company_id = i.company_id AND person.entry_id = CASE
        WHEN i.assignee ~ '^(agent|user):[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
        THEN split_part(i.assignee, ':', 2)::uuid END
LEFT JOIN ledger.directory AS team
    ON team.company_id = i.company_id AND team.entry_id = i.team_id
LEFT JOIN ledger.directory AS project
    ON project.company_id = i.company_id AND project.entry_id = i.project_id
WHERE i.company_id = ANY (ARRAY(SELECT company_id FROM analytics.visible_companies))
  AND i.completed_at IS NOT NULL
  AND i.deleted_at IS NULL;
COMMENT ON VIEW analytics.cycle_time IS
    'How long each finished issue took, and where the time went.';
COMMENT ON COLUMN analytics.cycle_time.company_id IS 'Id of the company.';
COMMENT ON COLUMN analytics.cycle_time.issue_id IS 'Id of the issue.';
COMMENT ON COLUMN analytics.cycle_time.identifier IS 'Its name for people.';
COMMENT ON COLUMN analytics.cycle_time.title IS 'What it is about.';
COMMENT ON COLUMN analytics.cycle_time.status IS
    'The status in which it ended: done, closed, failed or cancelled.';
COMMENT ON COLUMN analytics.cycle_time.team_id IS 'Id of its team.';
COMMENT ON COLUMN analytics.cycle_time.team_name IS 'The name of its team.';
COMMENT ON COLUMN analytics.cycle_time.project_id IS 'Id of its project.';
COMMENT ON COLUMN analytics.cycle_time.project_name IS 'The name of its project.';
COMMENT ON COLUMN analytics.cycle_time.assignee IS 'Who did it: agent:ID or user:ID.';
COMMENT ON COLUMN analytics.cycle_time.assignee_name IS
    'The name of the assignee in the directory.';
COMMENT ON COLUMN analytics.cycle_time.created_at IS 'When it was created.';
COMMENT ON COLUMN analytics.cycle_time.started_at IS 'When work on it began; null if it never did.';
COMMENT ON COLUMN analytics.cycle_time.completed_at IS 'When it was finished.';
COMMENT ON COLUMN analytics.cycle_time.lead_seconds IS 'From its creation until it was finished.';
COMMENT ON COLUMN analytics.cycle_time.wait_seconds IS 'From its creation until work on it began.';
COMMENT ON COLUMN analytics.cycle_time.cycle_seconds IS
    'From the beginning of the work until it was finished.';
COMMENT ON COLUMN analytics.cycle_time.seconds_in_status IS
    'For how many seconds it was in each status that it left.';

GRANT USAGE ON SCHEMA analytics TO ledger_analyst, ledger_app;
GRANT SELECT ON
    analytics.companies, analytics.issues, analytics.activity, analytics.costs,
    analytics.runs, analytics.leases, analytics.transitions, analytics.cycle_time
TO ledger_analyst, ledger_app;
-- end analytics

COMMIT;
