"""Leases: for how long a run holds an issue, and what its time running out permits.

A lease that has run out is not over: it only *permits* somebody else to claim the issue, and
whoever does ends it. Until then its holder may go on, and renew. The fencing token is good for
exactly as long as the lease: once that has ended, however it did, what is written under the
token is refused, so that a holder who slept through its own end does no harm.
"""

from __future__ import annotations

from ledger import commands as c
from ledger import events as e
from ledger.actors import Actor
from ledger.codec import timestamp
from ledger.decisions.agents import refuse_paused_agent
from ledger.decisions.base import Appended, Decision, current, on_issue, the_issue
from ledger.errors import IssueHeld, NotHeld, StaleToken
from ledger.known import Known
from ledger.state import Issue
from ledger.workflow import READY


def renew(command: c.RenewLease, known: Known) -> Decision:
    """The holder holds on, counted from now; also when its time has passed and nobody came."""
    issue = the_issue(command, known)
    refuse_unless_holder(command, issue, known)
    assert issue.holder_agent_id is not None
    assert issue.holder_run_id is not None
    assert issue.lease_seconds is not None
    refuse_paused_agent(Actor("agent", issue.holder_agent_id), known)
    return on_issue(issue, renewed(issue, command.lease_seconds or issue.lease_seconds))


def expire(command: c.ExpireLease, known: Known) -> Decision:
    """Anybody may put back what a holder let run out; the issue waits for the next attempt."""
    issue = the_issue(command, known)
    if issue.holder_run_id is None:
        return on_issue(issue)
    if has_live_lease(issue, known):
        raise IssueHeld(f"{held(issue, known)} It has not run out.")
    first, *others = lease_expired(issue, to_status=waiting(issue), to_assignee=None)
    return on_issue(issue, first[1], also=others)


def refuse_stale_token(command: c.Command, token: int, known: Known) -> None:
    """What is written under a lease is refused once the lease has ended.

    But for what is a fact about the world, refused or not: what was spent, and what is kept where.
    """
    if not isinstance(command, c.IssueCommand):
        return
    if isinstance(command, c.ReportCost | c.CorrectCost | c.RetainWorkspace):
        return
    issue = the_issue(command, known)
    if issue.fencing_token != token:
        raise StaleToken(
            f"The lease of fencing token {token} has ended. {held(issue, known)} "
            "Stop this attempt: what it still has to say belongs in a new one.",
            changed_since={"stream_id": issue.id, "version": token},
        )


def refuse_holders_rivals(command: c.IssueCommand, issue: Issue, known: Known) -> None:
    """Agents keep their hands off what another agent, or another run, holds; people may step in."""
    if issue.holder_agent_id is None or command.actor.type != "agent":
        return
    if command.actor.id != issue.holder_agent_id:
        raise IssueHeld(
            f"{held(issue, known)} {what_to_do(issue, known)}", current=current(issue, known)
        )
    if command.in_run not in (None, issue.holder_run_id):
        raise StaleToken(
            f"Your run {command.in_run} does not hold {issue.identifier}. {held(issue, known)}",
            current=current(issue, known),
        )


def refuse_unless_holder(command: c.IssueCommand, issue: Issue, known: Known) -> None:
    """Only the run that holds an issue, or a person for it."""
    refuse_holders_rivals(command, issue, known)
    if issue.holder_run_id is None:
        raise NotHeld(f"You do not hold {issue.identifier}. {held(issue, known)}")


def has_live_lease(issue: Issue, known: Known) -> bool:
    """Whether a run holds the issue, and its time has not run out."""
    return issue.lease_expires_at is not None and known.now < issue.lease_expires_at


def renewed(issue: Issue, lease_seconds: int) -> e.IssueLeaseRenewed:
    """The holder holds on for so many seconds."""
    assert issue.holder_agent_id is not None
    assert issue.holder_run_id is not None
    return e.IssueLeaseRenewed(
        agent_id=issue.holder_agent_id, run_id=issue.holder_run_id, lease_seconds=lease_seconds
    )


def lease_expired(issue: Issue, *, to_status: str, to_assignee: str | None) -> tuple[Appended, ...]:
    """The end of a lease that ran out, and of its run; nothing where nobody holds the issue."""
    if issue.holder_run_id is None or issue.holder_agent_id is None:
        return ()
    expired = e.IssueLeaseExpired(
        agent_id=issue.holder_agent_id,
        run_id=issue.holder_run_id,
        from_assignee=issue.assignee,
        to_assignee=to_assignee,
        from_status=issue.status,
        to_status=to_status,
    )
    return (("issue", issue.id), expired), *end_holding_run(issue, "expired")


def end_holding_run(
    issue: Issue, exit_reason: str, exit_details: str | None = None
) -> tuple[Appended, ...]:
    """The end of the run that holds an issue, for the stream of that run."""
    if issue.holder_run_id is None or issue.holder_agent_id is None:
        return ()
    return (ended(issue.id, issue.holder_run_id, issue.holder_agent_id, exit_reason, exit_details),)


def end_run(
    issue: Issue, exit_reason: str, known: Known, exit_details: str | None = None
) -> tuple[Appended, ...]:
    """The end of the run that holds an issue, or that was paused on it."""
    return (
        *end_holding_run(issue, exit_reason, exit_details),
        *end_paused_run(issue, exit_reason, known),
    )


def end_paused_run(issue: Issue, exit_reason: str, known: Known) -> tuple[Appended, ...]:
    """The end of the run that was paused on an issue."""
    run = known.run(issue.paused_run_id) if issue.paused_run_id else None
    return (ended(issue.id, run.id, run.agent_id, exit_reason),) if run else ()


def ended(
    issue_id: str, run_id: str, agent_id: str, exit_reason: str, exit_details: str | None = None
) -> Appended:
    """The end of a run."""
    return ("run", run_id), e.RunEnded(
        issue_id=issue_id, agent_id=agent_id, exit_reason=exit_reason, exit_details=exit_details
    )


def waiting(issue: Issue) -> str:
    """The status of an issue whose work is taken away: not in progress, else as it was."""
    return READY if issue.status == "in_progress" else issue.status


def held(issue: Issue, known: Known) -> str:
    """Who holds an issue and until when, in a sentence."""
    if issue.lease_expires_at is None:
        return f"Nobody holds {issue.identifier}; it is {issue.status}."
    ends = "until" if has_live_lease(issue, known) else "under a lease that ran out at"
    return (
        f"{issue.identifier} is held by agent {issue.holder_agent_id} in run "
        f"{issue.holder_run_id} {ends} {timestamp(issue.lease_expires_at)}."
    )


def what_to_do(issue: Issue, known: Known) -> str:
    """What somebody who wants a held issue may do."""
    if has_live_lease(issue, known):
        return "Do not retry; take another one."
    return "Check it out to take it over."
