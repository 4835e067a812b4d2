"""Who works on an issue: assigned to somebody, held by one run of one agent.

The rule for "who may check out an issue" is `check_out`, top to bottom. Everything else here
keeps two things true: nobody but its holder, or a person, takes a held issue from a run; and
whenever an issue is held no longer, the run that held it ends in the same decision.
"""

from __future__ import annotations

from ledger import commands as c
from ledger import events as e
from ledger.actors import Actor
from ledger.decisions.base import Decision, current, on_issue, the_actor, the_issue
from ledger.errors import (
    AssignedElsewhere,
    Forbidden,
    Invalid,
    IssueHeld,
    StatusNotExpected,
    Taken,
    TransitionNotAllowed,
)
from ledger.known import FactKey, Known, streams_named
from ledger.state import Issue
from ledger.workflow import WORKFLOWS


def check_out(command: c.CheckOutIssue, known: Known) -> Decision:
    """An agent takes an issue that nobody holds, for a run of its own."""
    agent = _agent_taking(command, known)
    issue = the_issue(command, known)
    if issue.holder_agent_id is not None:
        _refuse_unless_same_run(command, agent, issue)
        return on_issue(issue)  # The same run again: it holds the issue already.
    _refuse_unexpected_status(command, issue)
    _refuse_unworkable_status(issue, known)
    _refuse_assigned_elsewhere(command, agent, issue)
    taken = any(known[key] is not None for key in streams_named(command.run_id))
    if taken or (known.company is not None and command.run_id == known.company.id):
        raise Taken("This run id is in use; every attempt is a new run.", pointer="/run_id")
    checked_out = e.IssueCheckedOut(
        agent_id=agent.id,
        run_id=command.run_id,
        from_assignee=issue.assignee,
        from_status=issue.status,
        to_status="in_progress",
    )
    started = e.RunStarted(issue_id=issue.id, agent_id=agent.id)
    return on_issue(issue, checked_out, also=(("run", command.run_id), started))


def release(command: c.ReleaseIssue, known: Known) -> Decision:
    """The holder, or a person, lets go: the issue waits again, for anybody."""
    issue = the_issue(command, known)
    if issue.holder_agent_id is None or issue.holder_run_id is None:
        return on_issue(issue)  # Releasing twice is agreement, not an error.
    refuse_holders_rivals(command, issue)
    released = e.IssueReleased(
        agent_id=issue.holder_agent_id,
        run_id=issue.holder_run_id,
        from_assignee=issue.assignee,
        to_assignee=None,
        from_status=issue.status,
        to_status=_waiting(issue, known),
        reason=command.reason,
    )
    return on_issue(issue, released, also=end_run(issue, "released"))


def assign(command: c.AssignIssue, known: Known) -> Decision:
    """Give an issue that nobody is at work on to somebody."""
    issue = the_issue(command, known)
    assignee = str(the_assignee(command.assignee, known, f"/{command.assignee.type}_id"))
    if issue.assignee == assignee:
        return on_issue(issue)
    if issue.holder_agent_id is not None:
        raise IssueHeld(
            f"{_held(issue)} To move it all the same, reassign it.", current=current(issue)
        )
    return on_issue(issue, e.IssueAssigned(from_assignee=issue.assignee, to_assignee=assignee))


def unassign(command: c.UnassignIssue, known: Known) -> Decision:
    """Make an issue nobody's; one at work must be released first."""
    issue = the_issue(command, known)
    if issue.assignee is None:
        return on_issue(issue)
    if issue.holder_agent_id is not None:
        raise IssueHeld(f"{_held(issue)} Release it first.", current=current(issue))
    return on_issue(issue, e.IssueUnassigned(from_assignee=issue.assignee))


def reassign(command: c.ReassignIssue, known: Known) -> Decision:
    """Move an issue to somebody else; in mid-run the run ends and the issue waits again."""
    issue = the_issue(command, known)
    assignee = str(the_assignee(command.assignee, known, f"/{command.assignee.type}_id"))
    if issue.assignee == assignee:
        return on_issue(issue)
    refuse_holders_rivals(command, issue)
    reassigned = e.IssueReassigned(
        from_assignee=issue.assignee,
        to_assignee=assignee,
        from_status=issue.status,
        to_status=_waiting(issue, known),
        reason=command.reason,
    )
    return on_issue(issue, reassigned, also=end_run(issue, "reassigned"))


def end_run(issue: Issue, exit_reason: str) -> tuple[FactKey, e.Event] | None:
    """The end of the run that holds an issue, for the stream of that run."""
    if issue.holder_run_id is None or issue.holder_agent_id is None:
        return None
    ended = e.RunEnded(issue_id=issue.id, agent_id=issue.holder_agent_id, exit_reason=exit_reason)
    return ("run", issue.holder_run_id), ended


def the_assignee(named: Actor, known: Known, pointer: str) -> Actor:
    """Who is to do the work: a user or an agent of the company."""
    if named.type == "system":
        raise Invalid("Work is assigned to users and agents.", pointer=pointer)
    return the_actor(named, known, pointer)


def refuse_holders_rivals(command: c.IssueCommand, issue: Issue) -> None:
    """Agents keep their hands off what another agent holds; people may step in."""
    if issue.holder_agent_id is None or command.actor.type != "agent":
        return
    if command.actor.id != issue.holder_agent_id:
        raise IssueHeld(f"{_held(issue)} Leave it to that agent.", current=current(issue))


def _agent_taking(command: c.CheckOutIssue, known: Known) -> Actor:
    """An agent takes for itself alone; people may send any agent of the company."""
    agent = the_actor(Actor("agent", command.agent_id), known, "/agent_id")
    if command.actor.type == "agent" and agent != command.actor:
        raise Forbidden(
            f"You are {command.actor}; an agent checks out for itself alone.", pointer="/agent_id"
        )
    return agent


def _refuse_unless_same_run(command: c.CheckOutIssue, agent: Actor, issue: Issue) -> None:
    if issue.holder_agent_id != agent.id:
        raise IssueHeld(f"{_held(issue)} Do not retry; take another one.", current=current(issue))
    if command.names_run and command.run_id != issue.holder_run_id:
        raise IssueHeld(
            f"{_held(issue)} That is another run of yours; end it before you begin a new one.",
            current=current(issue),
        )


def _refuse_unexpected_status(command: c.CheckOutIssue, issue: Issue) -> None:
    expected = command.expected_statuses
    if expected is not None and issue.status not in expected:
        raise StatusNotExpected(
            f"{issue.identifier} is {issue.status}; you expected {' or '.join(expected)}.",
            current=current(issue),
            expected=list(expected),
        )


def _refuse_unworkable_status(issue: Issue, known: Known) -> None:
    assert known.company is not None
    workflow = WORKFLOWS[known.company.workflow]
    if issue.status != "in_progress" and not workflow.allows(issue.status, "in_progress"):
        raise TransitionNotAllowed(
            f"{issue.identifier} is {issue.status}; nobody can begin work on it from there.",
            current=current(issue),
            allowed=list(workflow.steps[issue.status]),
        )


def _refuse_assigned_elsewhere(command: c.CheckOutIssue, agent: Actor, issue: Issue) -> None:
    if command.actor.type == "agent" and issue.assignee not in (None, str(agent)):
        raise AssignedElsewhere(
            f"{issue.identifier} is assigned to {issue.assignee}; take another one.",
            current=current(issue),
        )


def _waiting(issue: Issue, known: Known) -> str:
    """The status of an issue whose work is taken away: not in progress, else as it was."""
    if issue.status != "in_progress":
        return issue.status
    assert known.company is not None
    return WORKFLOWS[known.company.workflow].initial


def _held(issue: Issue) -> str:
    since = issue.held_since
    return (
        f"{issue.identifier} is held by agent {issue.holder_agent_id} in run "
        f"{issue.holder_run_id} since {since:%Y-%m-%dT%H:%M:%SZ}."
    )
