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

