"""Runs: what an attempt at an issue reports while it lasts."""

from __future__ import annotations

from ledger import commands as c
from ledger import events as e
from ledger.decisions.base import Decision, not_found
from ledger.errors import Forbidden
from ledger.known import Known
from ledger.state import Run


def report_cost(command: c.ReportCost, known: Known) -> Decision:
    """Every report counts, late ones too, of what is deleted too: it was spent."""
    run = the_run(command, known)
    issue = known.issue(run.issue_id, deleted=True)
    assert issue is not None
    if command.actor.type == "agent" and command.actor.id != run.agent_id:
        raise Forbidden(f"That run is agent {run.agent_id}'s; report on runs of your own.")
    reported = e.CostReported(
        issue_id=run.issue_id,
        agent_id=run.agent_id,
        project_id=issue.project_id,
        provider=command.provider,
        model=command.model,
        input_tokens=command.input_tokens,
        output_tokens=command.output_tokens,
        cached_tokens=command.cached_tokens,
        cost_micros=command.cost_micros,
    )
    stream = ("run", run.id)
    return Decision(stream, stream, ((stream, reported),))


def the_run(command: c.ReportCost, known: Known) -> Run:
    """The run that a command is about, of an issue that may be deleted; raises NotFound."""
    issue = known.issue(command.issue, deleted=True)
    if issue is None:
        raise not_found("issue", command.issue)
    run = known.run(command.run_id)
    if run is None or run.issue_id != issue.id:
        raise not_found("run", command.run_id)
    return run
