"""Who may hold an issue, as a sequential specification: what each operation may be answered.

It is written for one issue on which nothing happens but claims: taken, held on to, let go, put
back, written under a token, read. Time is what the clients' clock says: a lease began at some
moment while it was asked for, so its end is known from a moment to a moment, and between these it
may be over or not. That it is over changes nothing by itself; it only permits what follows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from tests.linearizability import Operation

SECOND = 1_000_000_000
TOLERANCE = SECOND // 20
"""How far the database's clock and the clients' may drift apart in the time of a lease."""


class Asked(NamedTuple):
    """An operation on the issue: check_out, renew, release, write, expire or read."""

    verb: str
    agent: str
    run: str
    token: int
    seconds: int = 0


class Holder(NamedTuple):
    """Who holds the issue, as answers tell it."""

    agent: str
    run: str
    token: int
    expires_at: str


class Told(NamedTuple):
    """An answer: `ok` or the code of the refusal; the holder, where it tells one; the rest."""

    code: str
    holder: Holder | None = None
    status: str | None = None
    assignee: str | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """A holder, and from which moment the lease may be over, and from which it must be."""

    holder: Holder
    may_be_over: int
    is_over: int


@dataclass(frozen=True, slots=True)
class Claim:
    """Whose the issue is, the last token that was given out, and every run that ever held it."""

    lease: Lease | None = None
    last_token: int = 0
    runs: frozenset[str] = frozenset()


def step(claim: Claim, operation: Operation[Asked]) -> Iterator[Claim]:
    """What the claim may be after an operation; nothing, if it cannot have been answered so."""
    asked, told, lease = operation.asked, operation.answer, claim.lease
    over = lease is not None and operation.returned >= lease.may_be_over - TOLERANCE
    live = lease is not None and operation.called < lease.is_over + TOLERANCE
    match asked.verb, told.code:
        case "check_out", _:
            yield from _check_out(claim, operation, live=live, over=over)
        case "renew", "ok" if lease and _is_under(lease, asked):
            if told.holder and told.holder[:3] == lease.holder[:3]:
                yield replace(claim, lease=_begun(operation, told.holder))
        case "release", "ok" if lease and _is_under(lease, asked):
            yield replace(claim, lease=None)
        case "write", "ok" if lease and _is_under(lease, asked):
            yield claim
        case (("renew" | "release" | "write"), "stale_token"):
            if not (lease and _is_under(lease, asked)) and _names_holder(claim, told):
                yield claim
        case "expire", "ok" if lease is None or over:
            yield replace(claim, lease=None)
        case "expire", "issue_held" if live and _names_holder(claim, told):
            yield claim
        case "read", "ok" if _names_holder(claim, told) and _reads_well(claim, told):
            yield claim


def _check_out(
    claim: Claim, operation: Operation[Asked], *, live: bool, over: bool
) -> Iterator[Claim]:
    asked, told, lease = operation.asked, operation.answer, claim.lease
    is_same = lease is not None and lease.holder[:2] == (asked.agent, asked.run)
    is_free = lease is None or over
    match told.code:
        case "ok" if is_same and lease:
            if live and told.holder == lease.holder:
                yield claim
            if over and told.holder and told.holder[:3] == lease.holder[:3]:
                yield replace(claim, lease=_begun(operation, told.holder))
        case "ok" if is_free and asked.run not in claim.runs and told.holder:
            is_theirs = told.holder[:2] == (asked.agent, asked.run)
            if is_theirs and told.holder.token > claim.last_token:
                begun = _begun(operation, told.holder)
                yield Claim(begun, told.holder.token, claim.runs | {asked.run})
        case "issue_held" if live and not is_same and _names_holder(claim, told):
            yield claim
        case "taken" if is_free and not is_same and asked.run in claim.runs:
            yield claim


def _begun(operation: Operation[Asked], holder: Holder) -> Lease:
    """It runs from a moment between the call and the return."""
    lasts = operation.asked.seconds * SECOND
    return Lease(holder, operation.called + lasts, operation.returned + lasts)


def _is_under(lease: Lease, asked: Asked) -> bool:
    return lease.holder.token == asked.token


def _names_holder(claim: Claim, told: Told) -> bool:
    return told.holder == (claim.lease.holder if claim.lease else None)


def _reads_well(claim: Claim, told: Told) -> bool:
    if claim.lease is None:
        return (told.status, told.assignee) == ("todo", None)
    return (told.status, told.assignee) == ("in_progress", f"agent:{claim.lease.holder.agent}")
