"""How an issue goes from status to status: by naming one, or by a verb that says what happened.

Which steps there are is the company's workflow's to say. Whatever a step does to the issue, it
does to those that wait for it too: settling the last blocker opens what it blocked.
"""

from __future__ import annotations

from ledger import commands as c
from ledger import events as e
from ledger.decisions.base import Decision, current, on_issue, the_issue, workflow_of
from ledger.decisions.blocking import freed, refuse_open_dependents
from ledger.decisions.leases import (
    end_holding_run,
    end_paused_run,
    end_run,
    refuse_holders_rivals,
    waiting,
)
from ledger.errors import Forbidden, Invalid, NotHeld, TransitionNotAllowed
from ledger.known import Known
from ledger.state import Issue
from ledger.workflow import FINISHED, HOLDABLE, READY, SETTLED, STATUSES


def transition(command: c.TransitionIssue, known: Known) -> Decision:
    """Only along the workflow, and not under the hands of the agent at work on it."""
    issue = the_issue(command, known)
    if command.to_status not in STATUSES:
        raise Invalid(
            f"There is no status {command.to_status!r}; choose one of {', '.join(STATUSES)}.",
            pointer="/status",
        )
    if command.to_status == issue.status:
        return on_issue(issue)
    refuse_holders_rivals(command, issue, known)
    if not workflow_of(known).allows(issue.status, command.to_status):
        raise not_allowed(issue, f"it may not become {command.to_status}", known)
    if command.to_status == "closed" and not command.force:
        refuse_open_dependents(command, issue, known)
    moved = e.IssueTransitioned(
        from_status=issue.status, to_status=command.to_status, reason=command.reason
    )
    ends = end_holding_run(issue, moved.to_status) if moved.to_status not in HOLDABLE else ()
    if moved.to_status in FINISHED:
        ends = (*ends, *end_paused_run(issue, moved.to_status, known))
    opens = freed(command, issue, known) if moved.to_status in SETTLED else ()
    return on_issue(issue, moved, also=(*ends, *opens))


def move(command: c.MoveIssue, known: Known) -> Decision:
    """What happened, and where the workflow moves the issue for it; its run ends."""
    issue = the_issue(command, known)
    verb = workflow_of(known).verbs.get(command.verb)
    if verb and verb.to_status == issue.status and issue.status in FINISHED:
        return on_issue(issue)  # Saying twice how it ended is agreement.
    if not isinstance(command, c.AcceptIssue | c.RejectIssue):
        refuse_holders_rivals(command, issue, known)
    if verb is None or issue.status not in verb.from_statuses:
        raise not_allowed(issue, f"nobody can {command.verb.replace('_', ' ')} it", known)
    if isinstance(command, c.AcceptIssue):
        _refuse_own_work(command, issue)
    if isinstance(command, c.CloseIssue) and not command.force:
        refuse_open_dependents(command, issue, known)
    moved = _moved(command, issue, verb.to_status)
    exit_reason = moved.type.removeprefix("issue.")
    opens = freed(command, issue, known) if verb.to_status in SETTLED else ()
    return on_issue(issue, moved, also=(*end_run(issue, exit_reason, known), *opens))


def pause(command: c.PauseIssue, known: Known) -> Decision:
    """Its holder, or a person, stops the work; the run may go on once the issue is resumed."""
    issue = the_issue(command, known)
    if issue.paused_at is not None:
        return on_issue(issue)
    if issue.status in FINISHED:
        raise not_allowed(issue, "there is nothing to pause", known)
    refuse_holders_rivals(command, issue, known)
    if command.actor.type == "agent" and issue.holder_run_id is None:
        raise NotHeld(f"You do not hold {issue.identifier}; an agent pauses its own work alone.")
    paused = e.IssuePaused(
        from_status=issue.status, to_status=waiting(issue), reason=command.reason
    )
    if issue.holder_run_id is None or issue.holder_agent_id is None:
        return on_issue(issue, paused)
    stopped = e.RunPaused(issue_id=issue.id, agent_id=issue.holder_agent_id, reason="paused")
    return on_issue(issue, paused, also=[(("run", issue.holder_run_id), stopped)])


def resume(command: c.ResumeIssue, known: Known) -> Decision:
    """A person lets the work go on; the agent takes it again by checking it out."""
    issue = the_issue(command, known)
    if issue.paused_at is None:
        return on_issue(issue)
    if command.actor.type == "agent":
        raise Forbidden("Agents do not resume what was paused; ask a person to.")
    goes_on = (
        issue.paused_run_id is not None
        and issue.status == READY
        and workflow_of(known).allows(READY, "in_progress")  # Else by checkout alone.
    )
    resumed = e.IssueResumed(
        from_status=issue.status,
        to_status="in_progress" if goes_on else issue.status,
        reason=None,
    )
    return on_issue(issue, resumed)


def _refuse_own_work(command: c.AcceptIssue, issue: Issue) -> None:
    """Whoever accepts the work, it is not the agent who did it."""
    if command.actor.type == "agent" and str(command.actor) == issue.assignee:
        raise Forbidden(f"{issue.identifier} is your own work; let somebody else look at it.")


def not_allowed(issue: Issue, what: str, known: Known) -> TransitionNotAllowed:
    """The refusal of a step that the workflow has not, with those that it has."""
    workflow = workflow_of(known)
    statuses, verbs = workflow.steps[issue.status], workflow.verbs_from(issue.status)
    ways = [
        f"may become {', '.join(statuses)}" if statuses else "",
        f"takes {', '.join(verbs)}" if verbs else "",
    ]
    can = " and ".join(filter(None, ways)) or "stays as it is"
    return TransitionNotAllowed(
        f"{issue.identifier} is {issue.status}; {what}. From there it {can}.",
        current=current(issue, known),
        allowed=list(statuses),
    )


_EVENTS: dict[type[c.MoveIssue], type[e.IssueMoved]] = {
    c.SubmitIssue: e.IssueSubmitted,
    c.AcceptIssue: e.IssueAccepted,
    c.RejectIssue: e.IssueRejected,
    c.FailIssue: e.IssueFailed,
    c.HandOffIssue: e.IssueHandedOff,
    c.CancelIssue: e.IssueCancelled,
    c.ReopenIssue: e.IssueReopened,
}


def _moved(command: c.MoveIssue, issue: Issue, to_status: str) -> e.IssueMoved:
    match command:
        case c.CloseIssue():
            return e.IssueClosed(
                from_status=issue.status,
                to_status=to_status,
                reason=command.reason,
                forced=command.force,
            )
        case c.TakeOverIssue():
            if command.actor.type != "user":
                raise Forbidden("A person takes over what was handed off; agents check out.")
            return e.IssueTakenOver(
                from_status=issue.status,
                to_status=to_status,
                reason=command.reason,
                from_assignee=issue.assignee,
                to_assignee=str(command.actor),
            )
        case _:
            return _EVENTS[type(command)](
                from_status=issue.status, to_status=to_status, reason=command.reason
            )
