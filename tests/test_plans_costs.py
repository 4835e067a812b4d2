"""Costs are answered from indexes: pages without a sort, sums from what is kept for them.

Two companies of 20,000 entries each. Nothing is timed; what each statement reads is counted,
planned for its values, and planned once for all of them where that could come to pass: a page,
which has a limit, Postgres goes on planning anew however often it is asked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import orjson
import pytest
import pytest_asyncio

from ledger.database import connect
from ledger.ids import new_id
from projections.queries.budgets import Budgets
from projections.queries.costs import CostFilter, Costs
from tests.conftest import NewDatabase
from tests.writing import superuser

ENTRIES = 20_000
DAYS = 100
ISSUES = 500
STATES = 20
PAGE = 51
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
PLANS = ["force_custom_plan", "force_generic_plan"]


class Filled(NamedTuple):
    """A connection to a database with the company in it, and what is rare there."""

    connection: Any
    company: str
    issue: str
    run: str


class Read(NamedTuple):
    """What one statement did: rows that it looked at, rows that it sorted, tables read whole."""

    rows: int
    sorted: int
    whole: tuple[str, ...]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def filled(new_database: NewDatabase) -> AsyncIterator[Filled]:
    """A company, and another one beside it, in a database that is nobody else's."""
    url = await new_database()
    issue, run, companies = new_id(), new_id(), [new_id(), new_id()]
    async with superuser(url) as connection:
        for company in companies:
            await connection.execute(_HEAD, company, ENTRIES)
            await connection.execute(_CHECKPOINT, company, ENTRIES)
            await connection.execute(_ENTRIES, company, ENTRIES, BEGAN, issue, run)
            await connection.execute(_SUMS, company)
            await connection.execute(_REWORK, company)
            await connection.execute(_ISSUES, company, DAYS)
            await connection.execute(_STATES, company, ISSUES, STATES, BEGAN)
            await connection.execute(_SPENDING, company)
        await connection.execute("VACUUM ANALYZE")
    reader = await connect(url)
    yield Filled(reader, companies[0], issue, run)
    await reader.close()


_HEAD = """
INSERT INTO company_heads (company_id, head, tip, epoch, last_at)
VALUES ($1, $2, gen_random_uuid(), 0, now())
"""
_CHECKPOINT = "INSERT INTO checkpoints VALUES ($1, 'costs', $2, 0)"
_ENTRIES = """
INSERT INTO cost_entries
SELECT $1::uuid, n, NULL, ($3::timestamptz + make_interval(days => n::int / 200))::date,
       $3::timestamptz + make_interval(days => n::int / 200), $3::timestamptz,
       to_char($3::timestamptz + make_interval(days => n::int / 200), 'YYYY-MM'),
       CASE WHEN n % 2000 = 7 THEN $5::uuid ELSE md5((n % 4000)::text)::uuid END,
       CASE WHEN n % 1000 = 7 THEN $4::uuid ELSE md5((n % 2000)::text)::uuid END,
       CASE WHEN n < 50 THEN 'old' ELSE 'agent-' || n % 9 END,
       CASE WHEN n % 3 > 0 THEN md5((n % 3)::text)::uuid END,
       CASE WHEN n % 4 > 0 THEN md5((n % 4)::text)::uuid END,
       'provider', 'model-' || n % 5, 10, 5, 1, 7
FROM generate_series(1, $2::bigint) AS n
"""
_SUMS = """
INSERT INTO cost_sums
SELECT $1::uuid, level, day,
       CASE WHEN level IN ('agent', 'each') THEN agent_id ELSE '' END,
       CASE WHEN level IN ('team', 'each') THEN coalesce(team_id::text, '') ELSE '' END,
       CASE WHEN level IN ('project', 'each') THEN coalesce(project_id::text, '') ELSE '' END,
       provider, model, count(*), sum(input_tokens), sum(output_tokens), sum(cached_tokens),
       sum(cost_micros), 0
FROM cost_entries
CROSS JOIN unnest(ARRAY['company', 'agent', 'team', 'project', 'each']) AS level
WHERE company_id = $1 AND position % 10 = 0
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
"""
_REWORK = """
INSERT INTO cost_rework
SELECT company_id, run_id, max(position), max(at)
FROM cost_entries WHERE company_id = $1 AND position % 3 = 0
GROUP BY 1, 2
"""
_ISSUES = """
INSERT INTO cost_issues
SELECT $1::uuid, gen_random_uuid(), '', '', 'agent-' || n % 9, '',
       CASE WHEN n % 2 = 0 THEN date '2026-01-01' + (n % $2)::int END, n, 0
FROM generate_series(1, 10000) AS n
"""
_STATES = """
INSERT INTO issue_versions (
    company_id, issue_id, position, timeline, at, told_until, is_current, version, identifier,
    title, status, priority, run_count, label_ids, comment_count, completed_at, created_position,
    created_at, created_by, updated_at
)
SELECT $1::uuid, md5(n::text)::uuid, n + v * $2, 'both', t.at, t.at, v = $3 - 1, v + 1, 'A-' || n,
       'x', CASE WHEN v > 2 THEN 'done' ELSE 'todo' END, 'none', 1, '{}', 0,
       CASE WHEN v > 2 THEN t.at END, n, t.at, 'user:x', t.at
FROM generate_series(1, $2::bigint) AS n
CROSS JOIN generate_series(0, $3::bigint - 1) AS v
CROSS JOIN LATERAL (
    SELECT $4::timestamptz + make_interval(days => n::int % 100) AS at
) AS t
"""
_SPENDING = """
INSERT INTO spending
SELECT $1::uuid, 'agent', 'agent-' || n, '2026-' || to_char(m, 'FM00'), n * m
FROM generate_series(1, 200) AS n, generate_series(1, 12) AS m
"""


class Explaining:
    """A pool whose statements are prepared, explained and counted before they are answered."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.read: list[Read] = []

    async def fetch(self, statement: str, *values: Any) -> Any:
        """Rows."""
        await self._connection.execute(f"PREPARE asked AS {statement}")
        given = ", ".join(_literal(value) for value in values)
        for _ in range(7):  # From the sixth on, it might be planned once for all.
            await self._connection.execute(f"EXPLAIN EXECUTE asked ({given})")
        explained = await self._connection.fetchval(
            f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE asked ({given})"
        )
        await self._connection.execute("DEALLOCATE asked")
        self.read.append(_read(orjson.loads(explained)[0]["Plan"]))
        return await self._connection.fetch(statement, *values)


def _literal(value: Any) -> str:
    match value:
        case None:
            return "NULL"
        case bool() | int():
            return str(value)
        case list():
            return f"ARRAY[{', '.join(_literal(item) for item in value)}]"
    return f"'{value}'"


def _read(plan: dict[str, Any]) -> Read:
    nodes = list(_nodes(plan))
    scans = [node for node in nodes if "Relation Name" in node]
    sorts = [node["Plans"][0] for node in nodes if "Sort" in node["Node Type"]]
    return Read(
        rows=round(sum(_looked_at(node) for node in scans)),
        sorted=round(sum(node["Actual Rows"] * node["Actual Loops"] for node in sorts)),
        whole=tuple(n["Relation Name"] for n in scans if n["Node Type"] == "Seq Scan"),
    )


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def _looked_at(scan: dict[str, Any]) -> float:
    passed_over = scan.get("Rows Removed by Filter", 0)
    passed_over += scan.get("Rows Removed by Index Recheck", 0)
    return float((scan["Actual Rows"] + passed_over) * scan["Actual Loops"])


@pytest.fixture(params=PLANS)
async def asking(filled: Filled, request: pytest.FixtureRequest) -> AsyncIterator[Explaining]:
    """Somebody who asks, and counts."""
    connection = filled.connection
    await connection.execute("SELECT set_config('plan_cache_mode', $1, false)", request.param)
    yield Explaining(connection)
    await connection.execute("RESET plan_cache_mode")


def costs_over(asking: Explaining) -> Costs:
    """The questions, asked over a connection that counts."""
    pool: Any = asking
    return Costs(pool)


def wanted(filled: Filled, **given: Any) -> CostFilter:
    """A filter that names the issue and the run there is a little of."""
    names = {"issue_id": filled.issue, "run_id": filled.run}
    return CostFilter(**{key: names.get(key, value) for key, value in given.items()})


def all_read(read: Sequence[Read]) -> Read:
    """The one statement's."""
    (only,) = read
    return only


PAGES: dict[str, tuple[dict[str, Any], int]] = {
    "everything": ({}, PAGE),
    "an issue": ({"issue_id": "an issue"}, 2 * PAGE),
    "a run": ({"run_id": "a run"}, 2 * PAGE),
    "an agent": ({"agent_ids": ["agent-3"]}, PAGE),
    "an agent of long ago": ({"agent_ids": ["old"]}, PAGE),
    "an agent of two names": ({"agent_ids": ["agent-3", "agent-4"]}, 2 * PAGE),
    "one of long ago, of two names": ({"agent_ids": ["unused", "old"]}, PAGE),
    "a model": ({"model": "model-3"}, 10 * PAGE),
    "a run's of a model": ({"run_id": "a run", "model": "model-2"}, 2 * PAGE),
}
"""Which page, and how many rows it may look at."""


@pytest.mark.parametrize("asking", ["auto"], indirect=True)
@pytest.mark.parametrize("oldest", [False, True], ids=["list", "export"])
@pytest.mark.parametrize("name", PAGES)
async def test_a_page_is_read_along_an_index(
    filled: Filled, asking: Explaining, name: str, oldest: bool
) -> None:
    """No sort, and no more rows than the page has, or than there are of its issue or run."""
    given, most = PAGES[name]
    costs, of = costs_over(asking), wanted(filled, **given)
    if oldest:
        rows = await costs.exported(filled.company, of, 0, PAGE, ENTRIES)
    else:
        rows = await costs.entries(filled.company, of, None, PAGE, ENTRIES)
    read = all_read(asking.read)
    assert rows
    assert read.whole == ()
    assert read.sorted <= PAGE * len(given.get("agent_ids", ["any"]))
    assert read.rows <= most


@pytest.mark.parametrize("given", [{"issue_id": "an issue"}, {"run_id": "a run"}])
async def test_sums_of_an_issue_or_a_run_read_its_entries(
    filled: Filled, asking: Explaining, given: dict[str, Any]
) -> None:
    """By their index, with the little that is told of their runs."""
    rows = await costs_over(asking).sums_as_of(
        filled.company, wanted(filled, **given), ["run", "day"], 100, ENTRIES
    )
    read = all_read(asking.read)
    assert rows
    assert read.whole == ()
    assert read.rows <= 100


@pytest.mark.parametrize("groups", [[], ["day"], ["day", "team"], ["project", "model"]])
async def test_coarse_sums_read_no_report(
    filled: Filled, asking: Explaining, groups: list[str]
) -> None:
    """Only the sums, of the days that are asked for."""
    first = date(2026, 2, 1)
    of = CostFilter(since=first, until=first + timedelta(days=4))
    rows = await costs_over(asking).sums(filled.company, of, groups, 1000)
    read = all_read(asking.read)
    assert rows
    assert set(read.whole) <= {"checkpoints"}
    assert read.rows <= 5 * 200 // 10 + 5


@pytest.mark.parametrize(
    ("groups", "most"),
    [([], 25), (["day", "model"], 25), (["team"], 75), (["project"], 100), (["agent"], 225)],
    ids=["total", "day and model", "team", "project", "agent"],
)
async def test_what_is_asked_most_is_the_sum_of_few_rows(
    filled: Filled, asking: Explaining, groups: list[str], most: int
) -> None:
    """Five days of five models: a row each of the company's, three by team, four by project."""
    first = date(2026, 2, 1)
    of = CostFilter(since=first, until=first + timedelta(days=4))
    assert await costs_over(asking).sums(filled.company, of, groups, 1000)
    assert all_read(asking.read).rows <= most + 4


async def test_sums_of_a_moment_read_a_range_of_entries(filled: Filled, asking: Explaining) -> None:
    """What is after the position, or on other days, is passed by."""
    costs = costs_over(asking)
    early = await costs.sums_as_of(filled.company, CostFilter(), ["agent"], 100, 500)
    day = date(2026, 3, 1)
    on_a_day = await costs.sums_as_of(
        filled.company, CostFilter(since=day, until=day), ["agent"], 100, ENTRIES
    )
    assert early
    assert on_a_day
    for read in asking.read:
        assert set(read.whole) <= {"cost_rework"}
    if await filled.connection.fetchval("SHOW plan_cache_mode") == PLANS[0]:
        assert all(read.rows <= 6000 for read in asking.read)


async def test_finished_issues_are_found_by_day(filled: Filled, asking: Explaining) -> None:
    """Not among all the issues there ever were."""
    day = date(2026, 1, 11)
    rows = await costs_over(asking).finished(
        filled.company, CostFilter(since=day, until=day), "agent", 100
    )
    read = all_read(asking.read)
    assert sum(row["issues"] for row in rows) == 100
    assert set(read.whole) <= {"checkpoints"}
    assert read.rows <= 110


@pytest.mark.parametrize("position", [ENTRIES, ISSUES * STATES // 2, None])
async def test_finished_issues_of_then_are_found_by_issue(
    filled: Filled, asking: Explaining, position: int | None
) -> None:
    """A state or two of each issue, of the many it was in; and the entries of those of the day."""
    day = date(2026, 1, 11)
    moment = BEGAN + timedelta(days=DAYS) if position is None else None
    rows = await costs_over(asking).finished_as_of(
        *(filled.company, CostFilter(since=day, until=day), "agent", 100),
        *(position or ENTRIES, moment),
    )
    read = all_read(asking.read)
    assert sum(row["issues"] for row in rows) == ISSUES // DAYS
    assert set(read.whole) <= {"leases", "events"}  # There are none.
    assert read.rows <= 3 * ISSUES + ISSUES // DAYS * 2 * ENTRIES // 2000


async def test_budgets_of_then_are_read_of_the_month_or_the_agent(
    filled: Filled, asking: Explaining
) -> None:
    """A month's entries up to the position, and no more of the log than a stream's end."""
    pool: Any = asking
    budgets = Budgets(pool)
    rows = await budgets.of_agents(filled.company, "2026-01", 500, "", PAGE)
    none = await budgets.of_agents(filled.company, "2025-12", ENTRIES, "", PAGE)
    of_month, of_another = asking.read
    assert (len(rows), none) == (10, [])
    assert {*of_month.whole, *of_another.whole} <= {"directory", "events"}  # There are none.
    assert of_month.rows <= 510
    assert of_another.rows <= 10


async def test_budgets_of_a_month_are_read_of_agents_alone(
    filled: Filled, asking: Explaining
) -> None:
    """The agents' sums, of which there are as many as agents and months."""
    rows = await costs_over(asking).agent_budgets(filled.company, "2026-04", "agent-3", PAGE)
    read = all_read(asking.read)
    assert len(rows) == PAGE
    assert "spending" not in read.whole
    assert read.rows <= 200 * 12 + 400
