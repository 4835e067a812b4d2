-- name: runs
-- Runs by id, without their checkpoints.
SELECT r.run_id, r.version, r.issue_id, r.agent_id, r.paused_at, r.ended_at, r.exit_reason,
       r.exit_details, r.progress_message, r.progress_percent, r.progressed_at,
       r.checkpoint_position, r.checkpointed_at, r.workspace_url, r.input_tokens, r.output_tokens,
       r.cached_tokens, r.cost_micros, r.created_position, r.created_at, r.created_by,
       r.updated_at
FROM unnest($2::uuid[]) AS asked (run_id)
CROSS JOIN LATERAL (
    SELECT * FROM runs AS r
    WHERE r.company_id = $1
      AND r.run_id = asked.run_id
    OFFSET 0
) AS r;

-- name: save_runs
-- Runs as they now are, but for their checkpoints.
INSERT INTO runs (
    company_id, run_id, version, issue_id, agent_id, paused_at, ended_at, exit_reason,
    exit_details, progress_message, progress_percent, progressed_at, checkpoint_position,
    checkpointed_at, workspace_url, input_tokens, output_tokens, cached_tokens, cost_micros,
    created_position, created_at, created_by, updated_at
)
SELECT $1, r.*
FROM jsonb_to_recordset($2) AS r (
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

-- name: save_checkpoint
-- The last checkpoint of a run.
UPDATE runs SET checkpoint = $3 WHERE company_id = $1 AND run_id = $2;
