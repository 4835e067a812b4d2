"""Whatever happened, every sum of every moment is what a naive fold of the log makes it.

Histories of reports, late ones and corrected ones, told of today or of long ago, of runs that
finished, failed, were reassigned or superseded; moved along by pages of any length. Then groups,
filters and moments, at random, and each alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import Phase, settings
from hypothesis import given as for_all
from hypothesis import strategies as st

from api.wiring import Ledger, open_ledger
from ledger import commands as c
from ledger import events as e
from ledger import log
from ledger.actors import Actor
from ledger.database import connect
from ledger.errors import LedgerError
from ledger.events import Recorded
from ledger.ids import new_id
from ledger.submission import Outcome, Provenance, Submission
from projections.costs import Costs
from projections.projector import step
from projections.queries.costs import (
    FINISHED_GROUPS,
    GROUPS,
    INTERVALS,
    CostFilter,
    is_fine,
)
from projections.queries.costs import Costs as Asking
from projections.versions import Versions
from tests import costs_naively as naively
from tests.conftest import NewDatabase
from tests.costs_naively import Moment
from tests.scenario import alice

AGENTS = ("one", "two")
MODELS = (("anthropic", "opus"), ("anthropic", "haiku"), ("openai", "gpt"))
TIMES = [
    datetime(2025, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(2026, 1, 1, tzinfo=UTC),
    datetime(2026, 2, 15, 12, tzinfo=UTC),
]
"""When something happened that is told of later."""

ENDS = (
    "finish", "fail", "fail for good", "release", "reassign", "put back", "cancel", "pause",
    "submit", "reject", "expire", "reopen", "close",
)  # fmt: skip

numbers = st.integers(0, 9)
amounts = st.sampled_from([0, 1, 7, 1_000_000])
steps = st.one_of(
    st.tuples(st.just("create"), numbers, numbers, st.booleans()),
    st.tuples(st.just("edit"), numbers, numbers),
    st.tuples(st.just("check out"), numbers, st.sampled_from(AGENTS)),
    st.tuples(st.just("check out"), numbers, st.sampled_from(AGENTS)),
    st.tuples(st.just("report"), numbers, st.sampled_from(MODELS), amounts, amounts),
    st.tuples(st.just("report"), numbers, st.sampled_from(MODELS), amounts, amounts),
    st.tuples(st.just("report"), numbers, st.sampled_from(MODELS), amounts, amounts),
    st.tuples(st.just("correct"), numbers, amounts, st.none() | amounts),
    st.tuples(st.just("end"), numbers, st.sampled_from(ENDS)),
    st.tuples(st.just("end"), numbers, st.sampled_from(ENDS)),
    st.tuples(st.just("later"), st.sampled_from([1, 31])),
)
told_of = st.sampled_from([None, None, None, *TIMES])
histories = st.lists(st.tuples(steps, told_of), min_size=12, max_size=45)


@dataclass(frozen=True)
class Question:
    """What is asked: by which groups, of which costs, as of when; numbers choose what there is."""

    groups: tuple[str, ...]
    interval: str
    filters: tuple[tuple[str, int], ...]
    position: int | None
    occurred_at: datetime | None


questions = st.builds(
    Question,
    groups=st.lists(st.sampled_from(GROUPS), unique=True, max_size=4).map(tuple),
    interval=st.sampled_from(INTERVALS),
    filters=st.lists(
        st.tuples(st.sampled_from([*GROUPS, "since", "until"]), numbers), max_size=2
    ).map(tuple),
    position=st.none() | st.integers(0, 100),
    occurred_at=st.none() | st.sampled_from([*TIMES, TIMES[0] - timedelta(days=1)]),
)


class House:
    """A company to which a history happens; what is refused has not happened."""

    def __init__(self, ledger: Ledger, company: str) -> None:
        self.ledger = ledger
        self.company = company
        self.issues: list[str] = []
        self.runs: list[tuple[str, str]] = []
        self.reports: list[tuple[int, str, str]] = []
        self.teams = [new_id(), new_id()]
        self.projects = [new_id(), new_id()]

    async def found(self) -> None:
        """Agents, teams and projects."""
        for n, agent in enumerate(AGENTS):
            await self.does(alice.gives_key(f"agent:{agent}", key=new_id()))
            await self.does(alice.lists("team", f"Team {n}", self.teams[n]))
            await self.does(alice.lists("project", f"Project {n}", self.projects[n]))

    async def does(self, command: c.Command, at: datetime | None = None) -> Outcome | None:
        """Carries a command out, if nothing speaks against it."""
        where = Provenance(via="test", occurred_at=at)
        try:
            return await self.ledger.committer.submit(
                self.company, Submission(commands=(command,), provenance=where)
            )
        except LedgerError:
            return None

    async def takes(self, what: Sequence[Any], at: datetime | None) -> None:
        """One step of a history."""
        match what:
            case "create", team, project, is_done:
                status = "done" if is_done and team == 9 else None
                self.issues.append(new_id())
                await self.does(
                    alice.creates(
                        self.issues[-1],
                        status=status,
                        team=[None, *self.teams][team % 3],
                        project=[None, *self.projects][project % 3],
                    ),
                    at,
                )
            case "edit", n, to if self.issues:
                team, project = [None, *self.teams][to % 3], [None, *self.projects][to // 3 % 3]
                issue = self.issues[n % len(self.issues)]
                await self.does(alice.edits(issue, team_id=team, project_id=project), at)
            case "check out", n, agent if self.issues:
                issue, run = self.issues[n % len(self.issues)], new_id()
                asked = alice.checks_out(issue, agent, run, lease_seconds=3600)
                if await self.does(asked, at):
                    self.runs.append((run, issue))
            case "report", n, (provider, model), micros, tokens if self.runs:
                run, issue = self.runs[n % len(self.runs)]
                used = {
                    "provider": provider, "model": model, "cost_micros": micros,
                    "input_tokens": tokens, "output_tokens": tokens // 2, "cached_tokens": 1,
                }  # fmt: skip
                if outcome := await self.does(alice.reports(run, issue, **used), at):
                    self.reports.append((outcome.position, run, issue))
            case "correct", n, micros, tokens if self.reports:
                position, run, issue = self.reports[n % len(self.reports)]
                said = {"cost_micros": micros, "input_tokens": tokens}
                await self.does(alice.corrects(position, run, issue, **said), at)
            case "end", n, how if self.runs:
                await self.does(self._ending(how, *self.runs[n % len(self.runs)]), at)
            case "later", days:
                await self.later(days)

    def _ending(self, how: str, run: str, issue: str) -> c.Command:
        return {
            "finish": alice.finishes(run, issue, exit_reason="failed"),
            "fail": alice.gives_up(run, issue, exit_reason="enough"),
            "fail for good": alice.gives_up(run, issue, retry=False),
            "release": alice.releases(issue),
            "reassign": alice(c.ReassignIssue, issue=issue, assignee=Actor("agent", "two")),
            "put back": alice.moves("todo", issue),
            "cancel": alice.cancels(issue),
            "pause": alice.pauses(issue),
            "submit": alice.moves("in_review", issue),
            "reject": alice.rejects(issue),
            "expire": alice.expires(issue),
            "reopen": alice.reopens(issue),
            "close": alice.closes(issue, force=True),
        }[how]

    async def later(self, days: int) -> None:
        """Lets the company's time pass, which is never earlier than its last event."""
        connection = await connect(self.ledger.url)
        try:
            await connection.execute(_LATER, self.company, timedelta(days=days))
        finally:
            await connection.close()

    async def recorded(self) -> list[Recorded]:
        """The whole log."""
        walk = log.walk(self.ledger.readers, self.company)
        return [stored.recorded async for stored in walk]


_LATER = """
UPDATE company_heads SET last_at = greatest(clock_timestamp(), last_at) + $2 WHERE company_id = $1
"""


async def test_every_sum_is_what_the_log_says(new_database: NewDatabase) -> None:
    """For any history, pages of any length, groups, filters and moments."""
    url, loop = await new_database(), asyncio.get_running_loop()
    connection = await connect(url)
    async with open_ledger(url) as ledger:

        async def holds(history: list[Any], pages: list[int], asked: list[Question]) -> None:
            house = House(ledger, await ledger.create_company("Acme"))
            await house.found()
            for what, at in history:
                await house.takes(what, at)
            for model in (Costs(), Versions()):
                while await step(connection, model, house.company, limit=_next(pages)):
                    pass
            recorded = await house.recorded()
            costs = Asking(ledger.readers)
            for question in [*asked, *_ALONE]:
                await _sums_agree(costs, house, recorded, question)
            for question in [*asked, _ALONE[0]]:
                await _finished_agree(costs, house, recorded, question)

        @settings(
            max_examples=25,
            deadline=None,
            print_blob=True,
            phases=(Phase.explicit, Phase.reuse, Phase.generate),
        )
        @for_all(
            histories,
            st.lists(st.integers(1, 30), min_size=1, max_size=5),
            st.lists(questions, min_size=5, max_size=12),
        )
        def example(history: list[Any], pages: list[int], asked: list[Question]) -> None:
            held = holds(history, pages, asked)
            asyncio.run_coroutine_threadsafe(held, loop).result()

        await asyncio.to_thread(example)
    await connection.close()


_ALONE = [Question((), "day", (), None, None)] + [
    Question((group,), "day", (), position, None) for group in GROUPS for position in (None, 40)
]


def _next(pages: list[int]) -> int:
    """The lengths of pages, around and around."""
    pages.append(pages.pop(0))
    return pages[-1]


async def _sums_agree(
    costs: Asking, house: House, recorded: list[Recorded], question: Question
) -> None:
    head = len(recorded)
    wanted = _filter(house, question.filters)
    moment = Moment(min(question.position or head, head), question.occurred_at)
    expected = naively.sums(recorded, moment, wanted, question.groups, question.interval)
    rows = await costs.sums_as_of(
        house.company, wanted, question.groups, 10_000, moment.position, moment.occurred_at,
        interval=question.interval,
    )  # fmt: skip
    assert _by_group(rows, question.groups) == expected
    if moment == Moment(head) and not is_fine(wanted, question.groups):
        kept = await costs.sums(
            house.company, wanted, question.groups, 10_000, interval=question.interval
        )
        assert _by_group(kept, question.groups) == expected
        assert all(row["as_of_position"] == head for row in kept)
    listed = await costs.entries(
        house.company, wanted, None, 10_000, moment.position, moment.occurred_at
    )
    told = naively.wanted_of(naively.entries(recorded, moment), wanted)
    assert [(row["position"], row["cost_micros"]) for row in listed] == [
        (entry.recorded.position, entry.amounts[-1]) for entry in reversed(told)
    ]


def _filter(house: House, filters: Sequence[tuple[str, int]]) -> CostFilter:
    """A filter by what there is in the house."""
    given: dict[str, Any] = {}
    for name, n in filters:
        match name:
            case "day" | "since":
                given["since"] = date(2025, 12, 31) + timedelta(days=30 * (n % 4))
            case "until":
                given["until"] = date(2026, 1, 1) + timedelta(days=30 * (n % 4))
            case "agent":
                given["agent_ids"] = [AGENTS[n % 2]] if n % 3 else [*AGENTS]
            case "team":
                given["team_id"] = house.teams[n % 2]
            case "project":
                given["project_id"] = house.projects[n % 2]
            case "issue" if house.issues:
                given["issue_id"] = house.issues[n % len(house.issues)]
            case "run" if house.runs:
                given["run_id"] = house.runs[n % len(house.runs)][0]
            case "provider":
                given["provider"] = MODELS[n % 3][0]
            case "model":
                given["model"] = MODELS[n % 3][1]
    return CostFilter(**given)


def _by_group(rows: Sequence[Any], groups: Sequence[str]) -> dict[Any, tuple[int, ...]]:
    names = [naively.NAMES[group] for group in groups]
    found: dict[Any, tuple[int, ...]] = {
        tuple(_plain(row[name]) for name in names): (
            row["reports"], row["input_tokens"], row["output_tokens"], row["cached_tokens"],
            row["cost_micros"], row["rework_micros"],
        )
        for row in rows
    }  # fmt: skip
    assert len(found) == len(rows)
    return found


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str | date) else str(value)


async def _finished_agree(
    costs: Asking, house: House, recorded: list[Recorded], question: Question
) -> None:
    head = len(recorded)
    moment = Moment(min(question.position or head, head), question.occurred_at)
    wanted = _filter(house, question.filters)
    for group in (None, *FINISHED_GROUPS):

        def key_of(issue: Any, group: str | None = group) -> str | None:
            if group is None:
                return None
            if group in ("day", "month"):
                return str(issue["day"])[: 10 if group == "day" else 7]
            found: str | None = issue[group]
            return found

        expected = naively.finished(recorded, moment, wanted, key_of)
        rows = await costs.finished_as_of(
            house.company, wanted, group, 10_000, moment.position, moment.occurred_at
        )
        assert _finished_by_group(rows) == expected, (group, moment)
        if moment == Moment(head):
            rows = await costs.finished(house.company, wanted, group, 10_000)
            assert _finished_by_group(rows) == expected, group


def _finished_by_group(rows: Sequence[Any]) -> dict[Any, tuple[int, ...]]:
    return {
        row["of_group"]: (
            row["issues"], row["cost_micros"], row["mean_micros"], row["median_micros"],
            row["rework_micros"],
        )
        for row in rows
    }  # fmt: skip


async def test_what_failed_first_is_finished_when_it_is_closed(new_database: NewDatabase) -> None:
    """As of any moment, as it is now: what ended badly had not been finished."""
    url = await new_database()
    connection = await connect(url)
    async with open_ledger(url) as ledger:
        house = House(ledger, await ledger.create_company("Acme"))
        await house.found()
        await house.takes(("create", 1, 1, False), TIMES[0])
        await house.takes(("check out", 0, "one"), TIMES[0])
        await house.takes(("end", 0, "fail for good"), TIMES[0])
        await house.takes(("end", 0, "close"), None)
        await house.takes(("check out", 0, "one"), None)  # There is no issue to be had.
        recorded = await house.recorded()
        closed = recorded[-1]
        assert isinstance(closed.event, e.IssueClosed)
        for model in (Costs(), Versions()):
            await step(connection, model, house.company)
        costs = Asking(ledger.readers)
        moments = [Moment(closed.position), Moment(closed.position, closed.at)]
        for moment in moments:
            (row,) = await costs.finished_as_of(
                house.company, CostFilter(), "day", 10, moment.position, moment.occurred_at
            )
            assert row["of_group"] == closed.at.astimezone(UTC).date().isoformat()
        assert not await costs.finished_as_of(
            house.company, CostFilter(), "day", 10, closed.position - 1
        )
    await connection.close()


async def test_the_histories_hold_what_they_are_about(new_database: NewDatabase) -> None:
    """A history with all of it in it: else the law above would hold for less than it says."""
    url = await new_database()
    async with open_ledger(url) as ledger:
        house = House(ledger, await ledger.create_company("Acme"))
        await house.found()
        opus = MODELS[0]
        history: list[Any] = [
            ("create", 1, 1, False), ("check out", 0, "one"), ("report", 0, opus, 7, 7),
            ("correct", 0, 1, None), ("end", 0, "fail"), ("report", 0, opus, 7, 7),
            ("check out", 0, "two"), ("report", 1, opus, 7, 7), ("end", 1, "pause"),
            ("check out", 0, "one"), ("end", 1, "finish"),
        ]  # fmt: skip
        for what in history:
            await house.takes(what, None)
        recorded = await house.recorded()
    kinds = {type(r.event) for r in recorded}
    assert {e.CostReported, e.CostCorrected, e.RunEnded, e.RunPaused} <= kinds
    moment = Moment(len(recorded))
    assert house.runs[0][0] in naively.rework(recorded, moment)
    assert naively.sums(recorded, moment, CostFilter(), ())[()][:1] == (3,)
