"""Does a command, or a list, cost more where there is more that it does not touch? A ratio answers.

Each case has two sides: the same where much has happened, and where nothing has. They take turns
in one run, so that whatever else the machine does meets both; medians are compared. Where there is
much is a company of 2,000,000 events; where there is little, the one that it was enlarged from, in
a database of its own. Before every command another process's committer writes to the company, so
that the measured one knows nothing of it and loads all that it needs. COMMIT does not wait for the
disk here: that wait is the same on both sides, and would make every ratio look better than it is.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from api.wiring import open_ledger
from bench import filling as f
from bench.databases import database_of_its_own, execute
from bench.enlarging import enlarged
from bench.filling import House
from bench.table import Row
from bench.turns import Turn, medians
from ledger import commands as c
from ledger import log
from ledger.ids import new_id
from ledger.state import Issue
from ledger.submission import Outcome
from projections.queries import Queries
from projections.queries.issues import START, IssueFilter
from projections.texts import Texts
from projections.versions import Versions

ISSUES, EVENTS = 1_000, 10_000
COPIES = 200
COMMENTS = REPORTS = 5_000
DESCRIPTION, LONG_DESCRIPTION = "What was seen, where and when. " * 8, "x" * 100_000
LINKS = 2_000
RENEWALS = 1_000
PAGE = 100


class Case(NamedTuple):
    """The same where there is much, and where there is little; each turn returns milliseconds."""

    what: str
    much: Turn
    little: Turn
    aim: str = ""


@dataclass(frozen=True, slots=True)
class Template:
    """A company with a past of ten events an issue, and what is worked on in it."""

    company: str
    agent: str
    bystander: str
    waiting: Sequence[str]
    """Issues that the agent may take."""


@dataclass(frozen=True, slots=True)
class Place:
    """A company like the template, as the measured process knows it and as another one does."""

    house: House
    other: House
    made: Template


Prepare = Callable[[House], Awaitable[Sequence[c.Command]]]
"""Makes ready through the other process, and says which commands are measured."""


async def rows(url: str, turns: int) -> list[Row]:
    """Every case, with so many turns a side, in a database that has the schema.

    It leaves that database full, and drops the one beside it in which there is little.
    """
    url = _not_waiting(url)
    async with database_of_its_own(url) as small_url, AsyncExitStack() as opened:
        few = await _place(opened, small_url, await fill(small_url))
        made = await fill(url)
        company = await enlarged(url, made.company, COPIES)
        many = await _place(opened, url, replace(made, company=company))
        await execute(url, "VACUUM ANALYZE")
        await execute(url, "CHECKPOINT")  # So that nobody writes two gigabytes meanwhile.
        measured = []
        async for case in cases(many, few):
            await execute(small_url, "VACUUM ANALYZE")
            much, little = await medians(turns, case.much, case.little)
            measured.append(Row(case.what, much, little, "ms", case.aim))
        return measured


async def fill(url: str) -> Template:
    """A company of ISSUES and EVENTS: half of the issues are done, the others were begun and wait.

    Half of what waits is another team's than the agent's, and more urgent.
    """
    async with open_ledger(url) as ledger:
        house = House(ledger, await ledger.create_company("Acme"))
        agent = await house.entry("agent", "Coder")
        elsewhere = await house.entry("team", "Operations")
        ours = await house.entry("team", "Engineering", agent_ids=[agent])
        await _live(house, agent, team=elsewhere, priority="urgent")
        bystander, *waiting = await _live(house, agent, team=ours, priority="high")
        events = await log.head(ledger.readers, house.company) or 0
        await house.do_all(f.comment(bystander) for _ in range(EVENTS - events))
        await house.follow(Versions(), Texts())
        return Template(house.company, agent, bystander, waiting)


async def _live(house: House, agent: str, **fields: Any) -> Sequence[str]:
    """A team's issues, of nine or ten events each; returns those that are left to do."""
    issues = await house.issues(ISSUES // 2, description=DESCRIPTION, **fields)
    await house.do_all(f.edit(issue, estimate=3) for issue in issues)
    await house.do_all(f.comment(issue) for issue in issues)
    runs = await house.check_out_all(issues, agent)
    await house.do_all(f.report(i, run) for i, run in zip(issues, runs, strict=True))
    half = len(issues) // 2
    done, left = issues[:half], issues[half:]
    await house.do_all(f.comment(issue) for issue in done)
    await house.do_all(f.finish(i, run) for i, run in zip(done, runs, strict=False))
    await house.do_all(f.release(issue) for issue in left)
    for status in ("backlog", "todo"):
        await house.do_all(f.transition(issue, status) for issue in left)
    return left


async def cases(many: Place, few: Place) -> AsyncIterator[Case]:
    """Every case, each with its own past. Lists come first, while nothing follows behind."""
    yield _pages(many, few)
    yield _creates(many, few)
    yield await _comments(few)
    yield _checkouts(many, few)
    yield _claims(many, few)
    yield await _costs(few)
    yield await _finishes(few)
    yield await _renewals(few)
    quiet = _command(few, lambda other: _on_new(other, f.comment))
    yield Case("a comment on a new issue beside the same (what chance does)", quiet, quiet)


# ── the cases ──────────────────────────────────────────────────────────────────────────


def _creates(many: Place, few: Place) -> Case:
    def turn(place: Place) -> Turn:
        return _command(place, _always(lambda: [f.create(new_id(), priority="low")]))

    return Case(
        f"create at {COPIES * EVENTS:,} events beside at {EVENTS:,}",
        turn(many),
        turn(few),
        "≤ 1.2",
    )


def _pages(many: Place, few: Place) -> Case:
    def turn(place: Place) -> Turn:
        queries, company = Queries(place.house.ledger.readers), place.house.company

        async def page() -> float:
            started = time.perf_counter()
            position = await queries.freshness.wait_for(company, Versions().name)
            issues = await queries.issues.page(
                company, IssueFilter(), "newest", START["newest"], PAGE + 1, position=position
            )
            took = time.perf_counter() - started
            assert len(issues) == PAGE + 1
            return took * 1000

        return page

    return Case(
        f"list of {PAGE}, newest first, at {COPIES * ISSUES:,} issues beside at {ISSUES:,}",
        turn(many),
        turn(few),
        "≤ 1.2",
    )


async def _comments(few: Place) -> Case:
    (issue,) = await few.house.issues(1, description=LONG_DESCRIPTION, priority="low")
    await few.house.do_all(f.comment(issue) for _ in range(COMMENTS))
    return Case(
        "comment on an issue with 5,000 comments and a 100 kB description beside on a new one",
        _command(few, _always(lambda: [f.comment(issue)])),
        _command(few, lambda other: _on_new(other, f.comment)),
        "≤ 1.1",
    )


def _checkouts(many: Place, few: Place) -> Case:
    def turn(place: Place) -> Turn:
        issues, agent = cycle(place.made.waiting), place.made.agent

        def there_and_back() -> list[c.Command]:
            issue = next(issues)
            return [f.check_out(issue, agent), f.release(issue)]

        return _command(place, _always(there_and_back))

    return Case(
        f"checkout and release at {COPIES * ISSUES:,} issues beside at {ISSUES:,}",
        turn(many),
        turn(few),
    )


def _claims(many: Place, few: Place) -> Case:
    def turn(place: Place) -> Turn:
        return _command(place, _always(lambda: [f.claim_next(place.made.agent)]), _release)

    return Case(
        f"claim-next at {COPIES * ISSUES:,} issues beside at {ISSUES:,}", turn(many), turn(few)
    )


async def _costs(few: Place) -> Case:
    agent = few.made.agent
    (issue,) = issues = await few.house.issues(1, priority="low")
    (run,) = await few.house.check_out_all(issues, agent)
    await few.house.do_all(f.report(issue, run) for _ in range(REPORTS))
    return Case(
        "cost report on an issue with 5,000 reports beside one on a new issue",
        _command(few, _always(lambda: [f.report(issue, run)])),
        _command(few, lambda other: _in_new_run(other, agent, f.report)),
    )


async def _finishes(few: Place) -> Case:
    agent = few.made.agent
    chain = await few.house.issues(LINKS + 1, priority="low")
    await few.house.do_all(f.block(chain[n + 1], chain[n]) for n in reversed(range(LINKS)))
    unfinished = iter(chain)

    async def next_of_chain(other: House) -> list[c.Command]:
        issue = next(unfinished)
        return [f.finish(issue, (await other.check_out_all([issue], agent))[0])]

    async def one_of_two(other: House) -> list[c.Command]:
        blocker, dependent = await other.issues(2, priority="low")
        await other.do(f.block(dependent, blocker))
        return [f.finish(blocker, (await other.check_out_all([blocker], agent))[0])]

    return Case(
        "finish of a blocker with 1 dependent in a graph of 2,000 links beside in one of 1",
        _command(few, next_of_chain),
        _command(few, one_of_two),
    )


async def _renewals(few: Place) -> Case:
    agent = few.made.agent
    (issue,) = issues = await few.house.issues(1, priority="low")
    await few.house.check_out_all(issues, agent)
    await few.house.do_all(f.renew(issue) for _ in range(RENEWALS))
    return Case(
        "renewal after 1,000 renewals beside the first one",
        _command(few, _always(lambda: [f.renew(issue)])),
        _command(few, lambda other: _in_new_run(other, agent, lambda new, run: f.renew(new))),
    )


# ── what is made ready ─────────────────────────────────────────────────────────────────


def _command(
    place: Place, prepare: Prepare, after: Callable[[Outcome], list[c.Command]] = lambda outcome: []
) -> Turn:
    """Times commands; the other process makes ready, then writes something, and tidies up."""

    async def turn() -> float:
        commands = await prepare(place.other)
        await place.other.do(f.comment(place.made.bystander))
        started = time.perf_counter()
        for command in commands:
            outcome = await place.house.do(command)
        took = time.perf_counter() - started
        for command in after(outcome):
            await place.other.do(command)
        return took * 1000

    return turn


def _always(commands: Callable[[], Sequence[c.Command]]) -> Prepare:
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


# ── databases ──────────────────────────────────────────────────────────────────────────


async def _place(opened: AsyncExitStack, url: str, made: Template) -> Place:
    """Opens a database twice, as two processes would."""
    ours, theirs = [await opened.enter_async_context(open_ledger(url)) for _ in range(2)]
    return Place(House(ours, made.company), House(theirs, made.company), made)


def _not_waiting(url: str) -> str:
    """The URL of connections whose COMMIT does not wait for the disk."""
    return f"{url}{'&' if urlsplit(url).query else '?'}synchronous_commit=off"
