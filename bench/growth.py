"""Does a command cost more where there is more that it does not change? A ratio answers.

Each case has two sides: the same command where much has happened, and where nothing has. They take
turns in one run, now the one first, now the other, so that whatever else the machine does meets
both; medians are compared. Before every turn another process's committer writes to the company, so
that the measured one knows nothing of it and loads all that it needs. COMMIT does not wait for the
disk here: that wait is the same on both sides, and would make every ratio look better than it is.
"""

from __future__ import annotations

import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from statistics import median
from typing import NamedTuple

from api.wiring import Ledger
from bench import filling as f
from bench.filling import House
from ledger import commands as c
from ledger.state import Issue
from ledger.submission import Outcome

COMMENTS = REPORTS = 5_000
DESCRIPTION = "x" * 100_000
ISSUES, FEW = 20_000, 100
LINKS = 2_000
RENEWALS = 1_000


class Ratio(NamedTuple):
    """A case, and the medians of its two sides in milliseconds."""

    what: str
    much_ms: float
    little_ms: float

    @property
    def ratio(self) -> float:
        """How many times as much it costs where there is much."""
        return self.much_ms / self.little_ms


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a case: `prepare` makes ready, and says what is measured; `after` tidies up."""

    house: House
    prepare: Callable[[House], Awaitable[Sequence[c.Command]]]
    after: Callable[[Outcome], list[c.Command]] = lambda outcome: []


class Case(NamedTuple):
    """The same command where there is much, and where there is little."""

    what: str
    much: Side
    little: Side


@dataclass(frozen=True, slots=True)
class Companies:
    """A company of many issues and one of few; in both an agent at work, and a bystander."""

    many: House
    few: House
    agents: dict[str, str]
    bystanders: dict[str, str]
    issues: dict[str, list[str]]


async def fill(ledger: Ledger) -> Companies:
    """The two companies."""
    many = House(ledger, await ledger.create_company("Many"))
    few = House(ledger, await ledger.create_company("Few"))
    made = Companies(many, few, {}, {}, {})
    for house, count in ((many, ISSUES), (few, FEW)):
        (made.bystanders[house.company],) = await house.issues(1, priority="low")
        agent = made.agents[house.company] = await house.entry("agent", "Coder")
        ours = await house.entry("team", "Engineering", agent_ids=[agent])
        elsewhere = await house.entry("team", "Operations")
        await house.issues(count // 2, team=elsewhere, priority="urgent")
        made.issues[house.company] = await house.issues(count // 2, team=ours)
    return made


async def cases(made: Companies) -> AsyncIterator[Case]:
    """Every case, each with its own past."""
    many, few = made.many, made.few
    yield await _comments(few)
    yield _checkouts(made, many, few)
    yield _claims(made, many, few)
    yield await _costs(made, few)
    yield await _finishes(made, few)
    yield await _renewals(made, few)
    quiet = Side(few, lambda house: _on_new(house, f.comment))
    yield Case("a comment on a new issue ÷ the same (what chance does)", quiet, quiet)


async def measure(case: Case, made: Companies, rival: Ledger, turns: int) -> Ratio:
    """Lets the sides take turns; `rival` is the other process, which prepares and tidies up."""
    gc.collect()
    took: tuple[list[float], list[float]] = ([], [])
    for turn in range(turns):
        for side in (0, 1) if turn % 2 else (1, 0):
            took[side].append(await _turn(case[1:][side], made, rival))
    return Ratio(case.what, median(took[0]) * 1000, median(took[1]) * 1000)


async def _turn(side: Side, made: Companies, rival: Ledger) -> float:
    other = House(rival, side.house.company)
    commands = await side.prepare(other)
    await other.do(f.comment(made.bystanders[other.company]))
    started = time.perf_counter()
    for command in commands:
        outcome = await side.house.do(command)
    took = time.perf_counter() - started
    for command in side.after(outcome):
        await other.do(command)
    return took


# ── the cases ──────────────────────────────────────────────────────────────────────────


async def _comments(house: House) -> Case:
    (issue,) = await house.issues(1, description=DESCRIPTION, priority="low")
    await house.do_all(f.comment(issue) for _ in range(COMMENTS))
    return Case(
        "comment on an issue with 5,000 comments and 100 kB of text ÷ on a new one",
        Side(house, _always(lambda: [f.comment(issue)])),
        Side(house, lambda other: _on_new(other, f.comment)),
    )


def _checkouts(made: Companies, many: House, few: House) -> Case:
    def side(house: House) -> Side:
        issues, agent = cycle(made.issues[house.company]), made.agents[house.company]

        def there_and_back() -> list[c.Command]:
            issue = next(issues)
            return [f.check_out(issue, agent), f.release(issue)]

        return Side(house, _always(there_and_back))

    return Case(
        "checkout and release in a company of 20,000 issues ÷ in one of 100", side(many), side(few)
    )


def _claims(made: Companies, many: House, few: House) -> Case:
    def side(house: House) -> Side:
        agent = made.agents[house.company]
        return Side(house, _always(lambda: [f.claim_next(agent)]), _release)

    return Case("claim-next in a company of 20,000 issues ÷ in one of 100", side(many), side(few))


async def _costs(made: Companies, house: House) -> Case:
    agent = made.agents[house.company]
    issues = await house.issues(1, priority="low")
    ((issue, run),) = zip(issues, await house.check_out_all(issues, agent), strict=True)
    await house.do_all(f.report(issue, run) for _ in range(REPORTS))
    return Case(
        "cost report on an issue with 5,000 reports ÷ on a new one",
        Side(house, _always(lambda: [f.report(issue, run)])),
        Side(house, lambda other: _in_new_run(other, agent, f.report)),
    )


async def _finishes(made: Companies, house: House) -> Case:
    agent = made.agents[house.company]
    chain = await house.issues(LINKS + 1, priority="low")
    await house.do_all(f.block(chain[n + 1], chain[n]) for n in reversed(range(LINKS)))
    unfinished = iter(chain)

    async def next_of_chain(other: House) -> list[c.Command]:
        issue = next(unfinished)
        return [f.finish(issue, (await other.check_out_all([issue], agent))[0])]

    async def one_of_two(other: House) -> list[c.Command]:
        blocker, dependent = await other.issues(2, priority="low")
        await other.do(f.block(dependent, blocker))
        return [f.finish(blocker, (await other.check_out_all([blocker], agent))[0])]

    return Case(
        "finish of a blocker with 1 dependent in a graph of 2,000 links ÷ in one of 1",
        Side(house, next_of_chain),
        Side(house, one_of_two),
    )


async def _renewals(made: Companies, house: House) -> Case:
    agent = made.agents[house.company]
    (issue,) = await house.issues(1, priority="low")
    await house.check_out_all([issue], agent)
    await house.do_all(f.renew(issue) for _ in range(RENEWALS))
    return Case(
        "renewal after 1,000 renewals ÷ the first one",
        Side(house, _always(lambda: [f.renew(issue)])),
        Side(house, lambda other: _in_new_run(other, agent, lambda issue, run: f.renew(issue))),
    )


# ── what is made ready ─────────────────────────────────────────────────────────────────


def _always(
    commands: Callable[[], Sequence[c.Command]],
) -> Callable[[House], Awaitable[Sequence[c.Command]]]:
    """Nothing needs to be made ready."""

    async def prepare(other: House) -> Sequence[c.Command]:
        return commands()

    return prepare


async def _on_new(other: House, command: Callable[[str], c.Command]) -> list[c.Command]:
    """A command on an issue that was just written down."""
    (issue,) = await other.issues(1, priority="low")
    return [command(issue)]


async def _in_new_run(
    other: House, agent: str, command: Callable[[str, str], c.Command]
) -> list[c.Command]:
    """A command in a run that has just begun."""
    issues = await other.issues(1, priority="low")
    runs = await other.check_out_all(issues, agent)
    return [command(issues[0], runs[0])]


def _release(outcome: Outcome) -> list[c.Command]:
    """What was claimed waits again."""
    issue = outcome.results[0].subject
    assert isinstance(issue, Issue)
    return [f.release(issue.id)]
