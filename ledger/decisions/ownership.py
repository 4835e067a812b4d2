"""Whose an issue is: assigned, given to a team, released, reassigned.

Two things stay true: nobody but its holder, or a person, takes a held issue from a run; and
whenever an issue is held no longer, the run that held it ends in the same decision, or is paused.
Who may take one is in `checkout.py`, for how long in `leases.py`.
"""

from __future__ import annotations

from ledger import commands as c
from ledger import events as e
from ledger.actors import Actor
from ledger.decisions.agents import least_busy, refuse_paused_agent
from ledger.decisions.base import (
    Decision,
    on_issue,
    refuse_frozen,
    the_actor,
    the_entry,
    the_issue,
)
from ledger.decisions.leases import (
    end_holding_run,
    end_run,
    held,
    refuse_holders_rivals,
    waiting,
)
from ledger.errors import Invalid, IssueHeld
from ledger.known import Known
from ledger.state import Issue


def release(command: c.ReleaseIssue, known: Known) -> Decision:
    """The holder, or a person, lets go: the issue waits again, for anybody."""
    issue = the_issue(command, known)
    if issue.holder_agent_id is None or issue.holder_run_id is None:
        return on_issue(issue)  # Releasing twice is agreement, not an error.
    refuse_holders_rivals(command, issue, known)
    return on_issue(issue, released(issue, command.reason), also=end_holding_run(issue, "released"))


def released(issue: Issue, reason: str | None) -> e.IssueReleased:
    """Whoever holds an issue lets go, and it waits for anybody."""
    assert issue.holder_agent_id is not None
    assert issue.holder_run_id is not None
    return e.IssueReleased(
        agent_id=issue.holder_agent_id,
        run_id=issue.holder_run_id,
        from_assignee=issue.assignee,
        to_assignee=None,
        from_status=issue.status,
        to_status=waiting(issue),
        reason=reason,
    )


def assign(command: c.AssignIssue, known: Known) -> Decision:
    """Give an issue that nobody is at work on to somebody."""
    issue = the_issue(command, known)
    refuse_frozen(issue, known)
    assignee = str(_given_to(command, issue, known))
    if issue.assignee == assignee:
        return on_issue(issue)
    if issue.holder_agent_id is not None:
        raise IssueHeld(f"{held(issue, known)} To move it all the same, reassign it.")
    return on_issue(issue, e.IssueAssigned(from_assignee=issue.assignee, to_assignee=assignee))


def unassign(command: c.UnassignIssue, known: Known) -> Decision:
    """Make an issue nobody's; one at work must be released first."""
    issue = the_issue(command, known)
    refuse_frozen(issue, known)
    if issue.assignee is None:
        return on_issue(issue)
    if issue.holder_agent_id is not None:
        raise IssueHeld(f"{held(issue, known)} Release it first.")
    return on_issue(issue, e.IssueUnassigned(from_assignee=issue.assignee))


def reassign(command: c.ReassignIssue, known: Known) -> Decision:
    """Move an issue to somebody else; in mid-run the run ends and the issue waits again."""
    issue = the_issue(command, known)
    refuse_frozen(issue, known)
    assignee = str(_given_to(command, issue, known))
    if issue.assignee == assignee:
        return on_issue(issue)
    refuse_holders_rivals(command, issue, known)
    reassigned = e.IssueReassigned(
        from_assignee=issue.assignee,
        to_assignee=assignee,
        from_status=issue.status,
        to_status=waiting(issue),
        reason=command.reason,
    )
    return on_issue(issue, reassigned, also=end_run(issue, "reassigned", known))


def the_assignee(named: Actor, known: Known, pointer: str) -> Actor:
    """Who is to do the work: a user, or an agent of the company that is not paused."""
    if named.type == "system":
        raise Invalid("Work is assigned to users and agents.", pointer=pointer)
    actor = the_actor(named, known, pointer)
    if actor.type == "agent":
        refuse_paused_agent(actor, known, pointer)
    return actor


def _given_to(command: c.AssignIssue | c.ReassignIssue, issue: Issue, known: Known) -> Actor:
    """Who gets the issue: the one that is named, or the team's member with the least to do."""
    if command.team is not None:
        return least_busy(the_entry("team", command.team, known, "/team_id"), issue, known)
    if command.assignee is None:
        raise Invalid("Say who gets the issue.")
    return the_assignee(command.assignee, known, f"/{command.assignee.type}_id")
