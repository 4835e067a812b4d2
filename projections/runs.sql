-- name: runs
-- Runs by id, without their checkpoints.
SELECT run_id, version, issue_id, agent_id, paused_at, ended_at, exit_reason, exit_details,
       progress_message, progress_percent, progressed_at, checkpoint_position, checkpointed_at,
       workspace_url, input_tokens, output_tokens, cached_tokens, cost_micros,
       created_position, created_at, created_by, updated_at
FROM runs
WHERE company_id = $1 AND run_id = ANY ($2::uuid[]);

-- name: save_runs
-- Runs as they now are, but for their checkpoints.
INSERT INTO runs (
    company_id, run_id, version, issue_id, agent_id, paused_at, ended_at, exit_reason,
    exit_details, progress_message, progress_percent, progressed_at, checkpoint_position,
    checkpointed_at, workspace_url, input_tokens, output_tokens, cached_tokens, cost_micros,
    created_position, created_at, created_by, updated_at
)
SELECT $1, r.*
FROM unnest(
    $2::uuid[], $3::bigint[], $4::uuid[], $5::text[], $6::timestamptz[], $7::timestamptz[],
    $8::text[], $9::text[], $10::text[], $11::integer[], $12::timestamptz[], $13::bigint[],
    $14::timestamptz[], $15::text[], $16::bigint[], $17::bigint[], $18::bigint[], $19::bigint[],
    $20::bigint[], $21::timestamptz[], $22::text[], $23::timestamptz[]
) AS r
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

-- name: save_checkpoints
-- The last checkpoints of the runs that wrote any.
UPDATE runs SET checkpoint = c.checkpoint
FROM unnest($2::uuid[], $3::text[]) AS c (run_id, checkpoint)
WHERE runs.company_id = $1 AND runs.run_id = c.run_id;
