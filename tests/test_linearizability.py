"""Claims are linearizable: eight clients race for one issue, through two workers, and no answer
is one that a single, orderly clerk could not have given.

First the checker itself is checked, on small histories and against every order there is; then the
specification of the claim; then the server's histories, and those of servers with a rule broken.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from itertools import permutations
from random import Random
from typing import Any, TypeAlias

import pytest
import pytest_asyncio
from aiohttp import web
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from api.app import LIMITS, build_app
from api.wiring import Ledger, open_ledger
from ledger import commands as c
from ledger import log
from ledger.actors import Role
from ledger.decisions import Decision, checkout, leases
from ledger.events import IssueLeaseExpired
from ledger.known import Known
from tests import claim_rule
from tests.claim_rule import SECOND, Asked, Claim, Holder, Told
from tests.claimants import Claimant
from tests.client import Client
from tests.conftest import NewClient
from tests.linearizability import Operation, unexplained

# ── the checker ────────────────────────────────────────────────────────────────────────


def register(value: int, operation: Operation[str]) -> Iterator[int]:
    """One number, written and read: `w` with what to write, `r` with what was read."""
    if operation.asked == "w":
        yield operation.answer
    elif operation.answer == value:
        yield value


def said(asked: str, answer: Any, called: int, returned: int) -> Operation[str]:
    """An operation on a register."""
    return Operation(asked, answer, called, returned)


LINEARIZABLE = {
    "nothing": [],
    "one after the other": [said("w", 1, 0, 1), said("r", 1, 2, 3)],
    "a read that overlaps a write sees what was": [said("w", 1, 0, 9), said("r", 0, 1, 2)],
    "or what is": [said("w", 1, 0, 9), said("r", 1, 1, 2)],
    "first what was, then what is": [
        said("w", 1, 0, 9), said("r", 0, 1, 2), said("r", 1, 3, 4),
    ],
    "the later of two that overlap comes first": [
        said("w", 1, 0, 5), said("w", 2, 1, 6), said("r", 1, 7, 8),
    ],
    "an answer that came late": [
        said("w", 1, 0, 20), said("w", 2, 1, 2), said("r", 1, 3, 4), said("r", 1, 5, 6),
    ],
    "at the very same moment": [said("w", 1, 0, 1), said("r", 0, 1, 2)],
}  # fmt: skip
NOT_LINEARIZABLE = {
    "nobody wrote it": ([said("r", 1, 0, 1)], 0),
    "it was overwritten": ([said("w", 1, 0, 1), said("r", 0, 2, 3)], 1),
    "first what is, then what was": (
        [said("w", 1, 0, 9), said("r", 1, 1, 2), said("r", 0, 3, 4)], 2,
    ),
    "two who saw it in different orders": (
        [
            said("w", 1, 0, 20), said("w", 2, 0, 20),
            said("r", 1, 1, 2), said("r", 2, 3, 4), said("r", 1, 5, 6),
        ],
        4,
    ),
}  # fmt: skip


@pytest.mark.parametrize("history", LINEARIZABLE.values(), ids=LINEARIZABLE)
def test_a_history_that_some_order_explains(history: list[Operation[str]]) -> None:
    """Each answer is right at some moment between its call and its return."""
    assert unexplained(history, 0, register) is None


@pytest.mark.parametrize(("history", "culprit"), NOT_LINEARIZABLE.values(), ids=NOT_LINEARIZABLE)
def test_a_history_that_no_order_explains(history: list[Operation[str]], culprit: int) -> None:
    """The first whose answer is wrong at every moment is named."""
    assert unexplained(history, 0, register) is history[culprit]


def dice(_: int, operation: Operation[str]) -> Iterator[int]:
    """Thrown, it shows anything afterwards; looked at, it shows what it shows."""
    if operation.asked == "throw":
        yield from range(1, 7)
    elif operation.answer == _:
        yield _


def test_a_specification_may_leave_open_what_happens() -> None:
    """One of the outcomes must explain all that follows, not each its own."""
    thrown, six, five = said("throw", None, 0, 1), said("look", 6, 2, 3), said("look", 5, 4, 5)

    assert unexplained([thrown, six], 0, dice) is None
    assert unexplained([thrown, six, five], 0, dice) is five


def in_some_order(history: Sequence[Operation[str]]) -> bool:
    """The definition, by trying every order there is."""
    for order in permutations(history):
        in_time = all(
            not later.returned < earlier.called
            for n, earlier in enumerate(order)
            for later in order[n + 1 :]
        )
        values = {0}
        for operation in order:
            values = {after for value in values for after in register(value, operation)}
        if in_time and values:
            return True
    return False


operations = st.builds(
    lambda asked, value, called, lasts: said(asked, value, called, called + lasts),
    st.sampled_from("wr"),
    st.integers(0, 2),
    st.integers(0, 12),
    st.integers(0, 6),
)


@settings(max_examples=400, deadline=None)
@for_all(st.lists(operations, max_size=6))
def test_the_checker_finds_what_trying_every_order_finds(history: list[Operation[str]]) -> None:
    """For any small history."""
    assert (unexplained(history, 0, register) is None) == in_some_order(history)


# ── the specification of a claim ───────────────────────────────────────────────────────

ANN, BOB = Holder("ann", "run 1", 7, "then"), Holder("bob", "run 2", 9, "later")


def by(holder: Holder, verb: str, told: str, at: float, shows: Holder | None) -> Operation[Asked]:
    """What a holder, or who would be one, asks for at a moment, in a tenth of a second."""
    status, assignee = ("in_progress", f"agent:{shows.agent}") if shows else ("todo", None)
    return Operation(
        Asked(verb, holder.agent, holder.run, holder.token, 1),
        Told(told, shows, status, assignee),
        int(at * SECOND),
        int((at + 0.1) * SECOND),
    )


TAKEN = by(ANN, "check_out", "ok", 0, ANN)
RIGHT = {
    "taken, held on to, let go": [
        TAKEN,
        by(ANN, "write", "ok", 0.2, None),
        by(ANN, "renew", "ok", 0.9, ANN),
        by(BOB, "check_out", "issue_held", 1.5, ANN),
        by(ANN, "release", "ok", 1.7, None),
        by(BOB, "check_out", "ok", 1.8, BOB),
    ],
    "overtaken when the time was over": [
        TAKEN,
        by(BOB, "check_out", "ok", 1.2, BOB),
        by(ANN, "write", "stale_token", 1.4, BOB),
    ],
    "late, but nobody came": [
        TAKEN,
        by(ANN, "write", "ok", 5, None),
        by(ANN, "renew", "ok", 6, ANN),
    ],
    "put back when the time was over": [
        TAKEN,
        by(BOB, "expire", "issue_held", 0.5, ANN),
        by(BOB, "expire", "ok", 1.2, None),
        by(BOB, "read", "ok", 1.4, None),
        by(ANN, "check_out", "taken", 1.6, None),
    ],
}
WRONG = {
    "overtaken too soon": [TAKEN, by(BOB, "check_out", "ok", 0.5, BOB)],
    "refused too late": [TAKEN, by(BOB, "check_out", "issue_held", 1.3, ANN)],
    "another run of the same agent": [
        TAKEN, by(BOB._replace(agent="ann"), "check_out", "ok", 0.5, BOB._replace(agent="ann")),
    ],
    "written under a lease that ended": [
        TAKEN, by(BOB, "check_out", "ok", 1.2, BOB), by(ANN, "write", "ok", 1.4, None),
    ],
    "let go twice": [
        TAKEN, by(ANN, "release", "ok", 0.2, None), by(ANN, "release", "ok", 0.4, None),
    ],
    "a token that grew no more": [
        TAKEN, by(BOB, "check_out", "ok", 1.2, BOB._replace(token=7)),
    ],
    "put back too soon": [TAKEN, by(BOB, "expire", "ok", 0.5, None)],
    "read as nobody's": [TAKEN, by(BOB, "read", "ok", 0.5, None)],
    "refused for a holder who was not": [TAKEN, by(BOB, "expire", "issue_held", 0.5, BOB)],
}  # fmt: skip


@pytest.mark.parametrize("history", RIGHT.values(), ids=RIGHT)
def test_what_may_happen_to_a_claim(history: list[Operation[Asked]]) -> None:
    """In this order, with these answers."""
    assert unexplained(history, Claim(), claim_rule.step) is None


@pytest.mark.parametrize("history", WRONG.values(), ids=WRONG)
def test_what_may_not_happen_to_a_claim(history: list[Operation[Asked]]) -> None:
    """The last answer is the one that may not be."""
    assert unexplained(history, Claim(), claim_rule.step) is history[-1]


# ── eight clients and one issue ────────────────────────────────────────────────────────

CLIENTS, OPERATIONS = 8, 100
Race: TypeAlias = Callable[[], Any]


@pytest_asyncio.fixture
async def second_url(database_url: str) -> AsyncIterator[str]:
    """A second worker on the same database, which remembers what it did and not what others do."""
    async with open_ledger(database_url) as ledger:
        runner = web.AppRunner(build_app(ledger), access_log=None, **LIMITS)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        await runner.cleanup()


@pytest.fixture
def race(owner: Client, new_client: NewClient, second_url: str) -> Race:
    """Lets the clients race for a new issue and returns what was said: two of each agent."""

    async def run() -> list[Operation[Asked]]:
        issue = (await owner.post("issues", {"title": "Only one of you"})).json["id"]
        claimants = []
        for n in range(CLIENTS):
            client = await new_client(owner.company, Role.AGENT, f"agent:{n % 4}")
            worker = replace(client, base_url=second_url) if n >= 4 else client
            oversleeps = (2, 4) if n == 5 else (2,) if n == 0 else ()
            claimants.append(Claimant(worker, issue, Random(n), oversleeps))
        await asyncio.gather(*(one.claim(OPERATIONS) for one in claimants))
        return [operation for one in claimants for operation in one.history]

    return run


EXPECTED = {
    *((verb, "ok") for verb in ("check_out", "write", "renew", "release", "expire", "read")),
    *((verb, "issue_held") for verb in ("check_out", "expire")),
    *((verb, "stale_token") for verb in ("write", "renew", "release")),
}
"""What is answered whenever so many race for so long."""


async def test_eight_clients_claim_one_issue_and_every_answer_is_right(
    race: Race, ledger: Ledger, company: str
) -> None:
    """Whoever asks, and at whichever worker: there is one order that explains every answer."""
    history = await race()

    assert len(history) == CLIENTS * OPERATIONS
    assert {(one.asked.verb, one.answer.code) for one in history} >= EXPECTED
    happened = [one.recorded.event async for one in log.walk(ledger.readers, company)]
    assert any(isinstance(event, IssueLeaseExpired) for event in happened)
    assert unexplained(history, Claim(), claim_rule.step) is None


# ── rules that are broken ──────────────────────────────────────────────────────────────

_check_out = checkout.check_out


def _as_if_over(command: c.CheckOutIssue, known: Known) -> Decision:
    """Checks out as if the lease that there is had run out."""
    issue = known.issue(command.issue)
    ends = issue.lease_expires_at if issue else None
    return _check_out(command, replace(known, now=max(known.now, ends or known.now)))


def overruns_other_agents(command: c.CheckOutIssue, known: Known) -> Decision:
    """A mutant: a live lease of another agent is no lease."""
    issue = known.issue(command.issue)
    is_anothers = issue is not None and issue.holder_agent_id != command.agent_id
    return (_as_if_over if is_anothers else _check_out)(command, known)


def overruns_its_own_agent(command: c.CheckOutIssue, known: Known) -> Decision:
    """A mutant: a live lease of the same agent is no lease."""
    issue = known.issue(command.issue)
    is_own = issue is not None and issue.holder_agent_id == command.agent_id
    is_same_run = issue is not None and issue.holder_run_id == command.run_id
    return (_as_if_over if is_own and not is_same_run else _check_out)(command, known)


def accepts_any_token(*_: object) -> None:
    """A mutant: what was written under a lease is taken whenever it comes."""


def never_live(*_: object) -> bool:
    """A mutant: a lease is put back as soon as anybody asks."""
    return False


MUTANTS: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "a live lease of another agent": (checkout, "check_out", overruns_other_agents),
    "a live lease of another run": (checkout, "check_out", overruns_its_own_agent),
    "a stale token": (leases, "refuse_stale_token", accepts_any_token),
    "a lease put back too soon": (leases, "has_live_lease", never_live),
}
"""Which rule is broken → where it is, and what takes its place."""


@pytest.mark.parametrize("mutant", MUTANTS)
async def test_a_server_with_a_broken_rule_is_caught(
    race: Race, monkeypatch: pytest.MonkeyPatch, mutant: str
) -> None:
    """The same clients, the same draws: something is answered that no order explains."""
    module, name, broken = MUTANTS[mutant]
    monkeypatch.setattr(module, name, broken)

    assert unexplained(await race(), Claim(), claim_rule.step) is not None
