"""Blocking: what an unfinished blocker does to an issue, and what its end sets free.

A blocker blocks until it is settled: done, closed, cancelled, or deleted. Where the company's
workflow says so, a link to an unfinished blocker moves the issue to `blocked`, and the end of the
last one opens it again, in the same transaction. Only issues that are still blocked are moved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ledger import commands as c
from ledger import events as e
from ledger.actors import Actor
from ledger.decisions.base import Appended, current, workflow_of
from ledger.decisions.leases import end_holding_run, refuse_holders_rivals
from ledger.errors import BlockingCycle, DependentsOpen, IssueBlocked, TooMany
from ledger.events import Json
from ledger.known import Known
from ledger.state import Issue
from ledger.workflow import FINISHED, READY, SETTLED

MAX_BLOCKERS = 1000
"""How many issues may stand above one in the blocking graph: what a decision may cost."""


def blocks(issue: Issue | None) -> bool:
    """Whether an issue keeps others waiting: it is neither settled nor deleted."""
    return issue is not None and issue.deleted_at is None and issue.status not in SETTLED


def open_blockers(issue_id: str, known: Known) -> list[Issue]:
    """The blockers that keep an issue waiting."""
    found = (known[("issue", one)] for one in known.blockers(issue_id))
    return [issue for issue in found if blocks(issue)]


def refuse_blocked(actor: Actor, issue: Issue, known: Known) -> None:
    """Agents leave alone what is blocked; people may send one all the same."""
    if actor.type != "agent" or workflow_of(known).blocking == "recorded":
        return
    if found := open_blockers(issue.id, known):
        raise IssueBlocked(
            f"{issue.identifier} is blocked by {_named(found)}; take another one.",
            blockers=_told(found),
        )


def refuse_cycle(issue: Issue, blocker: Issue, known: Known) -> None:
    """Nothing blocks itself, by however long a way."""
    way: dict[str, str | None] = {blocker.id: None}
    waiting = [blocker.id]
    while waiting:
        at = waiting.pop()
        if at == issue.id:
            raise BlockingCycle(
                f"{blocker.identifier} is blocked by {issue.identifier} already; "
                "an issue cannot come to block itself.",
                pointer="/target_id",
                path=[*_back(at, way), issue.id],  # Each blocks the next.
            )
        for one in known.blockers(at):
            if one not in way:
                way[one] = at
                waiting.append(one)
        if len(way) + len(known.blockers(issue.id)) > MAX_BLOCKERS:
            raise TooMany(
                f"More than {MAX_BLOCKERS} issues would block {issue.identifier}; link further up.",
                pointer="/target_id",
            )


def blocked(
    command: c.IssueCommand, issue: Issue, blocker: Issue, known: Known
) -> Iterator[Appended]:
    """What a new blocker does: where the workflow says so, the issue waits, and its run ends."""
    workflow = workflow_of(known)
    if command.is_history or workflow.blocking != "status":
        return
    if not blocks(blocker) or issue.status in FINISHED:
        return
    if not workflow.allows(issue.status, "blocked"):
        return
    refuse_holders_rivals(command, issue, known)
    yield (
        ("issue", issue.id),
        e.IssueBlocked(
            from_status=issue.status,
            to_status="blocked",
            reason=f"blocked by {blocker.identifier}",
            blocker_id=blocker.id,
        ),
    )
    yield from end_holding_run(issue, "blocked")


def freed(command: c.IssueCommand, ended: Issue, known: Known) -> Iterator[Appended]:
    """What the end of an issue opens: those that it was the last to block."""
    if command.is_history:
        return
    if ended.status in SETTLED:
        return  # It set them free when it was settled.
    for one in known.dependents(ended.id):
        yield from unblocked(command, known[("issue", one)], ended, known)


def unblocked(
    command: c.IssueCommand, issue: Issue | None, blocker: Issue, known: Known
) -> Iterator[Appended]:
    """What becomes of an issue of which `blocker` is a blocker no more."""
    if issue is None or issue.deleted_at or issue.status != "blocked":
        return
    if command.is_history or workflow_of(known).blocking != "status":
        return
    if any(one.id != blocker.id for one in open_blockers(issue.id, known)):
        return
    yield (
        ("issue", issue.id),
        e.IssueUnblocked(
            from_status="blocked",
            to_status="backlog" if issue.blocked_from == "backlog" else READY,
            reason=None,
            blocker_id=blocker.id,
        ),
    )


def refuse_open_dependents(command: c.IssueCommand, issue: Issue, known: Known) -> None:
    """An issue is not closed while others wait for it, unless it is forced."""
    if command.is_history:
        return
    found = [
        one
        for dependent in known.dependents(issue.id)
        if (one := known[("issue", dependent)]) and _is_open(one)
    ]
    if found:
        raise DependentsOpen(
            f"{issue.identifier} blocks {_named(found)}; finish those first, or close it by force.",
            current=current(issue, known),
            dependents=_told(found),
        )


def _is_open(issue: Issue) -> bool:
    return issue.deleted_at is None and issue.status not in FINISHED


def _back(at: str | None, way: dict[str, str | None]) -> Iterator[str]:
    while at is not None:
        yield at
        at = way[at]


def _named(issues: Sequence[Issue]) -> str:
    names = [issue.identifier for issue in issues]
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def _told(issues: Sequence[Issue]) -> list[Json]:
    return [
        {"id": issue.id, "identifier": issue.identifier, "status": issue.status}
        for issue in issues[:100]
    ]
