"""Everything the ledger can refuse, as one tree.

    LedgerError
    ├── NotFound                 no such thing in this company
    ├── Forbidden                the caller's role does not allow it
    ├── Invalid                  the command contradicts itself
    │   └── IdempotencyKeyReused   the key was used for another request
    ├── StaleVersion             If-Match named an older version
    ├── Refused                  a rule said no; the state says why
    │   ├── IssueHeld              another run, or another agent, is working on it
    │   ├── NotHeld                the caller holds no lease on it
    │   ├── StaleToken             the lease that the caller writes under has ended
    │   ├── RunOver                the run does not hold its issue any more
    │   ├── AssignedElsewhere      it is somebody else's to do
    │   ├── IssuePaused            it waits for somebody to resume it
    │   ├── IssueBlocked           what it is blocked by is not finished
    │   ├── IssueFrozen            the workflow lets nobody change what is over
    │   ├── AgentPaused            the agent takes no work
    │   ├── BudgetExceeded         a budget is spent
    │   ├── BudgetLocked           a run has started: the budget may only be raised
    │   ├── NothingToClaim         there is no work that the agent may take
    │   ├── NobodyAvailable        no member of the team takes work
    │   ├── TeamWithoutLead        the workflow wants a team to have a lead
    │   ├── StatusNotExpected      the caller expected another status
    │   ├── TransitionNotAllowed   the workflow has no such step
    │   ├── NotTheAuthor           only the author, or a manager, edits a comment
    │   ├── Taken                  a name that must be unique is in use
    │   ├── HierarchyCycle         an issue would become its own ancestor
    │   ├── HierarchyTooDeep       more ancestors than the ledger follows
    │   ├── BlockingCycle          an issue would come to block itself
    │   ├── DependentsOpen         what it blocks is not finished
    │   ├── TooMany                a bounded collection is full
    │   └── IdempotencyReplyGone   the key was used, and its reply is past its keeping
    └── Unavailable              nothing wrong with the command; try again
        ├── QueueFull              more is waiting than the ledger lets wait
        ├── DatabaseUnavailable    Postgres could not be reached, nothing was written
        ├── OutcomeUnknown         it may have been written; ask again with the same key
        └── ReadModelBehind        a read model did not catch up in time

Each has a stable `code` and a message that says what to do next. None knows HTTP: the
edge decides how a refusal is told (`api/problems.py`). Anything else that is raised is a
bug of ours.
"""

from __future__ import annotations

from typing import Any, ClassVar


class LedgerError(Exception):
    """A command or query that the ledger will not carry out, and why."""

    code: ClassVar[str] = "ledger_error"

    def __init__(self, message: str, *, pointer: str | None = None, **facts: Any) -> None:
        """`pointer` names the command's field at fault; `facts` are the JSON-able reasons."""
        super().__init__(message)
        self.message = message
        self.pointer = pointer
        self.facts = facts


class NotFound(LedgerError):
    """No such thing in this company."""

    code = "not_found"


class Forbidden(LedgerError):
    """The caller's role does not allow it."""

    code = "forbidden"


class Invalid(LedgerError):
    """The command contradicts itself."""

    code = "invalid"


class IdempotencyKeyReused(Invalid):
    """The key was used for another request."""

    code = "idempotency_key_reused"


class StaleVersion(LedgerError):
    """The caller's If-Match named an older version."""

    code = "stale_version"


class Refused(LedgerError):
    """A rule said no, for the state as it is under the company's lock."""

    code = "refused"


class IssueHeld(Refused):
    """Another run, or another agent, is working on the issue."""

    code = "issue_held"


class NotHeld(Refused):
    """The caller holds no lease on the issue."""

    code = "not_held"


class StaleToken(Refused):
    """The lease that the caller's fencing token is of has ended."""

    code = "stale_token"


class RunOver(Refused):
    """The run has ended, or is paused: it does not hold its issue."""

    code = "run_over"


class AssignedElsewhere(Refused):
    """The issue is assigned to somebody else."""

    code = "assigned_elsewhere"


class IssuePaused(Refused):
    """The issue waits for somebody to resume it."""

    code = "issue_paused"


class IssueBlocked(Refused):
    """What the issue is blocked by is not finished."""

    code = "issue_blocked"


class IssueFrozen(Refused):
    """The company's workflow lets nobody change an issue that is over."""

    code = "issue_frozen"


class AgentPaused(Refused):
    """The agent takes no work until it is resumed."""

    code = "agent_paused"


class BudgetExceeded(Refused):
    """A budget is spent: of the issue, or this month's of the agent or the company."""

    code = "budget_exceeded"


class BudgetLocked(Refused):
    """A run has started: a person may raise the budget, and nobody lower it."""

    code = "budget_locked"


class NothingToClaim(Refused):
    """There is no work that the agent may take now."""

    code = "nothing_to_claim"


class NobodyAvailable(Refused):
    """The team has no member that takes work."""

    code = "nobody_available"


class TeamWithoutLead(Refused):
    """The company's workflow gives issues to teams that have a lead."""

    code = "team_without_lead"


class StatusNotExpected(Refused):
    """The issue is not in a status the caller expected."""

    code = "status_not_expected"


class TransitionNotAllowed(Refused):
    """The company's workflow has no such step."""

    code = "transition_not_allowed"


class NotTheAuthor(Refused):
    """Only the author, or a manager, changes a comment."""

    code = "not_the_author"


class Taken(Refused):
    """A name that must be unique in its company is in use."""

    code = "taken"


class HierarchyCycle(Refused):
    """An issue would become its own ancestor."""

    code = "hierarchy_cycle"


class HierarchyTooDeep(Refused):
    """The issue has more ancestors than the ledger follows."""

    code = "hierarchy_too_deep"


class BlockingCycle(Refused):
    """An issue would come to block itself."""

    code = "blocking_cycle"


class DependentsOpen(Refused):
    """What the issue blocks is not finished."""

    code = "dependents_open"


class TooMany(Refused):
    """A bounded collection is full."""

    code = "too_many"


class IdempotencyReplyGone(Refused):
    """The key was used, and its reply is past its keeping."""

    code = "idempotency_reply_gone"


class Unavailable(LedgerError):
    """Nothing is wrong with the command; try again."""

    code = "unavailable"


class QueueFull(Unavailable):
    """More commands wait for this company than the ledger lets wait."""

    code = "queue_full"


class DatabaseUnavailable(Unavailable):
    """Postgres could not be reached, or stayed locked; nothing was written."""

    code = "database_unavailable"


class OutcomeUnknown(Unavailable):
    """The command may have been written; ask again with the same Idempotency-Key."""

    code = "outcome_unknown"


class ReadModelBehind(Unavailable):
    """A read model did not reach the head of the log in time."""

    code = "read_model_behind"
