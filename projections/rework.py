"""What is rework: what was spent on attempts whose work somebody has to do again.

A run's costs are rework from the event on that ends it, when that leaves the issue's work undone:

    issue.released          the run failed and may be tried again, or somebody let the issue go
    issue.failed            the run failed, and the issue with it
    issue.reassigned        the issue was given to somebody else in mid-run
    issue.taken_over        a person took it
    issue.lease_expired     the run let its time pass, and somebody else could claim the issue
    issue.rejected          somebody looked at the work while the run held it: do it again
    issue.transitioned      back to where work waits (backlog, todo), or to failed
    superseded              the run was paused, and another one took the issue

Whatever is told of such a run later is rework at once. Not rework are runs that finished, or handed
their work on (submitted, accepted, handed off, done, closed), that wait (blocked), or whose work
nobody wants any more (cancelled, deleted). A run that ended well stays so, though its work may be
rejected or reopened later: what counts is how the run itself ended.

Why a run ended stands in its own words in `exit_reason`; what became of the issue is a fact, which
is the event of the issue before the run's end. So that is what is asked.
"""

from __future__ import annotations

from ledger import events as e
from ledger.events import Event

SUPERSEDED = "superseded"
"""The exit reason of a paused run whose issue another run took."""

_UNDONE = frozenset(
    {
        e.IssueReleased.type,
        e.IssueFailed.type,
        e.IssueReassigned.type,
        e.IssueTakenOver.type,
        e.IssueLeaseExpired.type,
        e.IssueRejected.type,
        *(f"{e.IssueTransitioned.type} {status}" for status in ("backlog", "todo", "failed")),
    }
)


def moved_by(event: Event) -> str | None:
    """How an event changes who holds an issue, or its status; None if it does neither."""
    match event:
        case e.IssueTransitioned():
            return f"{event.type} {event.to_status}"
        case (
            e.IssueMoved()
            | e.IssueReleased()
            | e.IssueReassigned()
            | e.IssueLeaseExpired()
            | e.IssueCheckedOut()
            | e.IssueDeleted()
        ):
            return event.type
        case _:
            return None


def is_rework(ended: e.RunEnded, last_moved: str) -> bool:
    """Whether a run's work must be done again; `last_moved` is what happened to its issue."""
    return ended.exit_reason == SUPERSEDED or last_moved in _UNDONE
