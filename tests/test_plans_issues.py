"""Lists of issues are answered from indexes: no table is read whole, no company put in order.

Two companies of 30,000 issues stand in one table, each issue with former states. The rows are made
in the table itself; what is tested is how Postgres goes about the questions.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from ledger.database import reader_pool
from ledger.ids import new_id
from projections.queries.issues import START, IssueFilter, Issues, Order
from tests.conftest import NewDatabase
from tests.explaining import Asked, Explaining
from tests.writing import superuser

ISSUES = 30_000
STATES = 3
NOW = ISSUES * STATES
PAGE = 51
ORDERS: tuple[Order, ...] = ("newest", "oldest", "priority", "updated", "sort_order")
FEW = 60
"""How many issues one of the rare things has."""


class Full(NamedTuple):
    """The company, a connection as the readers' are, and the ids of rare things."""

    company: str
    connection: Any
    rare: str

    async def page(self, wanted: IssueFilter, order: Order, **moment: Any) -> Asked:
        """How a page is asked for."""
        explaining = Explaining(self.connection)
        lists = Issues(explaining)  # type: ignore[arg-type]
        moment = {"position": NOW, **moment}
        found = await lists.page(self.company, wanted, order, START[order], PAGE, **moment)
        assert found
        return explaining.asked[-1]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def full(new_database: NewDatabase) -> AsyncIterator[Full]:
    """Fills the table, and lets the planner look at it."""
    url = await new_database()
    company, other, rare = new_id(), new_id(), new_id()
    async with superuser(url) as owner:
        for one in (company, other):
            await owner.execute(_FILL, one, ISSUES, STATES, rare, FEW)
            await owner.execute(_SAY, one, ISSUES, FEW)
        await owner.execute("VACUUM ANALYZE ledger.issue_versions")
        await owner.execute("VACUUM ANALYZE ledger.issue_texts")
    pool = await reader_pool(url, 1)
    async with pool.acquire() as connection:
        yield Full(company, connection, rare)
    await pool.close()


# Positions go round the issues, so that each has its last state among the last ISSUES positions.
_FILL = """
INSERT INTO ledger.issue_versions (
    company_id, issue_id, position, timeline, at, told_until, is_current, version, identifier,
    title, status, priority, assignee, run_count, team_id, project_id, goal_id, milestone_id,
    parent_id, label_ids, sort_order, external_system, external_id, comment_count,
    created_position, created_at, created_by, updated_at
)
SELECT $1::uuid, md5($1::uuid::text || n)::uuid, s * $2::integer + n, 'both', t, t,
       s = $3::integer - 1, s + 1, 'A-' || n,
       'Issue ' || n, (ARRAY['todo', 'todo', 'done', 'backlog'])[1 + n % 4],
       (ARRAY['low', 'medium', 'high', 'none'])[1 + n / 4 % 4],
       CASE WHEN n % 3 = 0 THEN 'agent:' || n % 40 END, 0,
       CASE WHEN few THEN $4::uuid ELSE md5('team' || n % 5)::uuid END,
       CASE WHEN few THEN $4::uuid ELSE md5('project' || n % 20)::uuid END,
       CASE WHEN few THEN $4::uuid END,
       CASE WHEN few THEN $4::uuid END,
       CASE WHEN few THEN $4::uuid END,
       CASE WHEN few THEN ARRAY[$4::uuid] ELSE ARRAY[md5('label' || n % 9)::uuid] END,
       CASE WHEN n % 5 = 0 THEN n::text END, 'jira', n::text, 0,
       n, timestamptz '2026-01-01' + n * interval '1 minute', 'user:alice', t
FROM generate_series(1, $2::integer) AS n
CROSS JOIN generate_series(0, $3::integer - 1) AS s
CROSS JOIN LATERAL (
    SELECT timestamptz '2026-01-01' + (s * $2::integer + n) * interval '1 minute' AS t,
           n % ($2::integer / $5::integer) = 1 AS few
) AS this
"""
_SAY = """
INSERT INTO ledger.issue_texts (company_id, issue_id, part, words)
SELECT $1::uuid, md5($1::uuid::text || n)::uuid, 'title',
       to_tsvector(
           'english',
           'every word' || CASE WHEN n % ($2::integer / $3::integer) = 1 THEN ' seldom' ELSE '' END
       )
           || array_to_tsvector(ARRAY[$1::uuid::text])
FROM generate_series(1, $2::integer) AS n
"""


@pytest.mark.parametrize("order", ORDERS)
async def test_a_page_of_everything_reads_a_page(full: Full, order: Order) -> None:
    """In any order: what is shown is what is read."""
    asked = await full.page(IssueFilter(), order)
    assert asked.read_whole == ()
    assert asked.rows <= 2 * PAGE
    assert asked.sorted <= PAGE


@pytest.mark.parametrize("order", ORDERS)
async def test_a_page_of_a_common_status_reads_some_pages(full: Full, order: Order) -> None:
    """Every other issue is to do: it is found on the way, or by its status."""
    asked = await full.page(IssueFilter(statuses=["todo"]), order)
    assert asked.read_whole == ()
    assert asked.rows <= 4 * PAGE
    assert asked.sorted <= PAGE


RARE = ("team_id", "project_id", "goal_id", "milestone_id", "parent_id", "label_id")


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", RARE)
async def test_what_few_issues_have_is_found_by_it(full: Full, name: str, order: Order) -> None:
    """Those few are read and put in order, and no others."""
    wanted: dict[str, Any] = {name: full.rare}
    asked = await full.page(IssueFilter(**wanted), order)
    assert asked.read_whole == ()
    assert asked.rows <= 4 * FEW
    assert asked.sorted <= FEW


@pytest.mark.parametrize(
    "wanted",
    [
        IssueFilter(external_system="jira", external_id="77"),
        IssueFilter(assignee="agent:3", statuses=["backlog"], priorities=["high"]),
        IssueFilter(assignee=["agent:3", "agent:9"]),
        IssueFilter(words=["seldom"]),
        IssueFilter(words=["every", "seldom word"], unsaid=["never"]),
        IssueFilter(created_since=datetime(2026, 1, 21, tzinfo=UTC)),
        IssueFilter(created_until=datetime(2026, 1, 1, 1, tzinfo=UTC)),
        IssueFilter(updated_since=datetime(2026, 3, 4, 11, tzinfo=UTC)),
        IssueFilter(assignee="none"),
        IssueFilter(parent_id="none"),
    ],
    ids=[
        "external",
        "assignee",
        "names",
        "word",
        "words",
        "since",
        "until",
        "updated",
        "nobody",
        "top",
    ],
)
async def test_other_filters_go_by_an_index(full: Full, wanted: IssueFilter) -> None:
    """No table is read whole for them, and little of it is read at all."""
    asked = await full.page(wanted, "newest")
    assert asked.read_whole == ()
    assert asked.rows <= ISSUES / 20


async def test_a_board_is_counted_in_its_index(full: Full) -> None:
    """The counts of a whole company come from the index of statuses, and touch no issue."""
    explaining = Explaining(full.connection)
    lists = Issues(explaining)  # type: ignore[arg-type]
    counts = await lists.counts(full.company, IssueFilter(), position=NOW)
    assert counts == {"todo": ISSUES / 2, "done": ISSUES / 4, "backlog": ISSUES / 4}
    asked = explaining.asked[-1]
    assert asked.read_whole == ()
    assert asked.pages < ISSUES / 40
    of_project = replace(IssueFilter(), project_id=full.rare)
    await lists.counts(full.company, of_project, position=NOW)
    assert explaining.asked[-1].rows <= 4 * FEW


@pytest.mark.parametrize("order", ORDERS)
async def test_a_moment_ago_costs_what_changed_since(full: Full, order: Order) -> None:
    """A hundred issues changed: those are looked up as they were, others are read as they are."""
    asked = await full.page(IssueFilter(), order, position=NOW - 100)
    assert asked.read_whole == ()
    assert asked.rows <= 4 * 100 + 4 * PAGE


@pytest.mark.parametrize("moment", ["position", "time"])
async def test_long_ago_costs_one_look_at_each_issue(full: Full, moment: str) -> None:
    """However many states there were since: it is met, looked up, and found as it was then."""
    asked = await full.page(IssueFilter(), "newest", **(
        {"position": ISSUES} if moment == "position"
        else {"occurred_at": datetime(2026, 1, 10, tzinfo=UTC)}
    ))  # fmt: skip
    assert asked.read_whole == ()
    assert asked.rows <= 3 * ISSUES + PAGE
