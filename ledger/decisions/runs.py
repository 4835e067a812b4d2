"""Runs: what an attempt at an issue says while it lasts, how it ends, and what it cost.

A run that has ended says no more, but for what it cost and where its workspace is kept: both are
facts about the world, which it does not help to refuse.
"""

from __future__ import annotations

from ledger import commands as c
from ledger import events as e
from ledger.decisions.base import Decision, not_found, the_issue, workflow_of
from ledger.decisions.blocking import freed
from ledger.decisions.budgets import reported
from ledger.decisions.leases import end_holding_run, held
from ledger.decisions.moves import not_allowed
from ledger.decisions.ownership import released
from ledger.errors import Forbidden, RunOver
from ledger.known import Known
from ledger.state import Issue, Run
from ledger.workflow import SETTLED


def report_progress(command: c.ReportProgress, known: Known) -> Decision:
    """How far it is, for people to see."""
    run = _run_going_on(command, known)
    return _on(run, e.RunProgressed(
        issue_id=run.issue_id, agent_id=run.agent_id, message=command.message,
        percent=command.percent,
    ))  # fmt: skip


def save_checkpoint(command: c.SaveCheckpoint, known: Known) -> Decision:
    """What another attempt would need; the run shows the last one, the log keeps all."""
    run = _run_going_on(command, known)
    return _on(run, e.RunCheckpointed(
        issue_id=run.issue_id, agent_id=run.agent_id, checkpoint=command.checkpoint
    ))  # fmt: skip


def retain_workspace(command: c.RetainWorkspace, known: Known) -> Decision:
    """Where its workspace is kept, be the run over."""
    run = own_run(command, known)
    if run.workspace_url == command.workspace_url:
        return _on(run)
    return _on(run, e.RunWorkspaceRetained(
        issue_id=run.issue_id, agent_id=run.agent_id, workspace_url=command.workspace_url
    ))  # fmt: skip


def finish(command: c.FinishRun, known: Known) -> Decision:
    """The work is done: the run ends, and the issue goes where finished work goes."""
    run, issue = _run_holding(command, known)
    workflow = workflow_of(known)
    to_status = command.to_status or workflow.finish
    if to_status not in (workflow.finish, "in_review") or to_status not in workflow.steps:
        raise not_allowed(issue, f"a finished run does not leave it {to_status}", known)
    to_review = to_status == "in_review"
    kind = e.IssueSubmitted if to_review else e.IssueTransitioned
    moved = kind(from_status=issue.status, to_status=to_status, reason=command.exit_details)
    opens = freed(command, issue, known) if to_status in SETTLED else ()
    ends = end_holding_run(issue, command.exit_reason, command.exit_details)
    key = ("run", run.id)
    return Decision(key, key, ((("issue", issue.id), moved), *ends, *opens))


def fail(command: c.FailRun, known: Known) -> Decision:
    """The attempt is given up: the issue waits for another one, or has failed with it."""
    run, issue = _run_holding(command, known)
    moved: e.Event
    if command.retry:
        moved = released(issue, command.exit_details)
    else:
        verb = workflow_of(known).verbs.get("fail")
        if verb is None or issue.status not in verb.from_statuses:
            raise not_allowed(issue, "nobody can fail it", known)
        moved = e.IssueFailed(
            from_status=issue.status, to_status=verb.to_status, reason=command.exit_details
        )
    ends = end_holding_run(issue, command.exit_reason, command.exit_details)
    key = ("run", run.id)
    return Decision(key, key, ((("issue", issue.id), moved), *ends))


def report_cost(command: c.ReportCost, known: Known) -> Decision:
    """Every report counts, late ones too, of what is deleted too: it was spent."""
    run = own_run(command, known)
    issue = known.issue(run.issue_id, deleted=True)
    assert issue is not None
    cost = e.CostReported(
        issue_id=run.issue_id,
        agent_id=run.agent_id,
        team_id=issue.team_id,
        project_id=issue.project_id,
        provider=command.provider,
        model=command.model,
        input_tokens=command.input_tokens,
        output_tokens=command.output_tokens,
        cached_tokens=command.cached_tokens,
        cost_micros=command.cost_micros,
    )
    stream = ("run", run.id)
    follows = reported(run, issue, command.cost_micros, known)
    return Decision(stream, stream, ((stream, cost), *follows))


def the_run(command: c.RunCommand, known: Known) -> Run:
    """The run that a command is about, of an issue that may be deleted; raises NotFound."""
    issue = the_issue(command, known, deleted=True)
    run = known.run(command.run_id)
    if run is None or run.issue_id != issue.id:
        raise not_found("run", command.run_id)
    return run


def own_run(command: c.RunCommand, known: Known) -> Run:
    """The run that a command tells of: agents tell of their own; raises NotFound or Forbidden."""
    run = the_run(command, known)
    if command.actor.type == "agent" and command.actor.id != run.agent_id:
        raise Forbidden(f"That run is agent {run.agent_id}'s; report on runs of your own.")
    return run


def _run_going_on(command: c.RunCommand, known: Known) -> Run:
    """A run that has not ended; one that is paused may still say where it stopped."""
    run = own_run(command, known)
    if run.ended_at is not None:
        raise RunOver(f"This run is over: {run.exit_reason}. A new attempt is a new run.")
    return run


def _run_holding(command: c.RunCommand, known: Known) -> tuple[Run, Issue]:
    run = _run_going_on(command, known)
    issue = the_issue(command, known)
    if issue.holder_run_id != run.id:
        raise RunOver(f"This run is paused. {held(issue, known)}")
    return run, issue


def _on(run: Run, *events: e.Event) -> Decision:
    key = ("run", run.id)
    return Decision(key, key, tuple((key, event) for event in events))
