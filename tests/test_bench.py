"""The company that growth is measured in is large, and all that a command reads in it agrees."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import NamedTuple

import pytest
import pytest_asyncio

from api.wiring import open_ledger
from bench import filling as f
from bench import growth
from bench.enlarging import enlarged
from bench.filling import House
from bench.growth import EVENTS, ISSUES, Template
from ledger.ids import new_id
from ledger.state import Issue
from projections.queries import Queries
from projections.queries.issues import START, IssueFilter
from projections.texts import Texts
from projections.versions import Versions
from tests.conftest import NewDatabase
from tests.writing import superuser

COPIES = 3
TABLES = (
    "events", "companies", "directory", "issue_prefixes", "issues", "comments", "links", "runs",
    "leases", "spending", "issue_versions", "issue_texts", "checkpoints", "company_heads",
)  # fmt: skip


class Made(NamedTuple):
    """A template, a single copy of it, and a company of several copies, in one database."""

    url: str
    template: Template
    copy: str
    large: str


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def made(new_database: NewDatabase) -> Made:
    """Fills the template, and enlarges it."""
    url = await new_database()
    template = await growth.fill(url)
    copy, large = [await enlarged(url, template.company, copies) for copies in (1, COPIES)]
    return Made(url, template, copy, large)


async def test_the_template_has_ten_events_an_issue(made: Made) -> None:
    """Exactly as many as the rows of the benchmark say."""
    async with superuser(made.url) as connection:
        counts = [
            await connection.fetchval(
                f"SELECT count(*) FROM {table} WHERE company_id = $1", made.template.company
            )
            for table in ("events", "issues")
        ]

    assert counts == [EVENTS, ISSUES]


@pytest.mark.parametrize("table", TABLES)
async def test_a_single_copy_is_the_template_under_another_id(made: Made, table: str) -> None:
    """Row by row and column by column: nothing is forgotten, nothing in the wrong place."""
    async with superuser(made.url) as connection:
        template, copy = [
            sorted(
                _under_one_id(row["whole"], company)
                for row in await connection.fetch(
                    f"SELECT to_jsonb(t)::text AS whole FROM {table} AS t WHERE company_id = $1",
                    company,
                )
            )
            for company in (made.template.company, made.copy)
        ]

    assert copy == template


@pytest.mark.parametrize("table", ["events", "issues", "comments", "runs", "leases"])
async def test_many_copies_are_as_many_times_as_large(made: Made, table: str) -> None:
    """Each with ids of its own."""
    async with superuser(made.url) as connection:
        one, many = [
            await connection.fetchval(
                f"SELECT count(*) FROM {table} WHERE company_id = $1", company
            )
            for company in (made.template.company, made.large)
        ]

    assert many == COPIES * one > 0


async def test_the_copies_are_one_log(made: Made) -> None:
    """Positions have no gaps, no id is there twice, time never runs backwards."""
    async with superuser(made.url) as connection:
        log = await connection.fetch(_LOG, made.large)
        head = await connection.fetchval(
            "SELECT head FROM company_heads WHERE company_id = $1", made.large
        )

    assert [row["position"] for row in log] == list(range(1, COPIES * EVENTS + 1))
    assert len({row["event_id"] for row in log}) == len(log)
    assert all(earlier["recorded_at"] <= later["recorded_at"] for earlier, later in pairwise(log))
    assert head == COPIES * EVENTS


_LOG = """
    SELECT position, recorded_at, event_id FROM events WHERE company_id = $1 ORDER BY position
"""


async def test_the_tables_mean_the_same_by_the_same_ids(made: Made) -> None:
    """What one table refers to, in another table or in the log, is there in the same copy."""
    async with superuser(made.url) as connection:
        found = {
            what: await connection.fetchval(statement, made.large)
            for what, statement in _AGREEING.items()
        }

    size = COPIES * ISSUES
    assert found == {
        "issues and how they began": size,
        "issues and their current versions": size,
        "issues and their words": 2 * size,
        "issues and their comments": size,
        "runs, their issues and their leases": size,
        "runs and how they began": size,
        "numbers up to the last one": size,
    }


_AGREEING = {
    "issues and how they began": """
        SELECT count(*) FROM issues AS i
        JOIN events AS e ON e.company_id = $1 AND e.position = i.created_position
        WHERE i.company_id = $1 AND e.type = 'issue.created' AND e.stream_id = i.issue_id
          AND e.recorded_at = i.created_at AND i.description_position = i.created_position
    """,
    "issues and their current versions": """
        SELECT count(*) FROM issues AS i
        JOIN issue_versions AS v ON v.company_id = $1 AND v.issue_id = i.issue_id
        JOIN events AS e ON e.company_id = $1 AND e.position = v.position
        WHERE i.company_id = $1 AND v.is_current
          AND e.stream_id = i.issue_id AND e.version = i.version
          AND (v.version, v.identifier, v.status, v.created_position, v.updated_at)
            = (i.version, i.identifier, i.status, i.created_position, i.updated_at)
    """,
    "issues and their words": """
        SELECT count(*) FROM issues AS i
        JOIN issue_texts AS x ON x.company_id = $1 AND x.issue_id = i.issue_id
        WHERE i.company_id = $1 AND x.part IN ('title', 'description')
          AND x.words @@ $1::uuid::text::tsquery
    """,
    "issues and their comments": """
        SELECT count(*) FROM issues AS i
        WHERE i.company_id = $1 AND i.comment_count = (
            SELECT count(*) FROM comments AS c
            JOIN events AS e ON e.company_id = $1 AND e.position = c.created_position
            JOIN issue_texts AS x ON x.company_id = $1 AND x.issue_id = c.issue_id
                                 AND x.part = c.comment_id::text
            WHERE c.company_id = $1 AND c.issue_id = i.issue_id AND e.stream_id = i.issue_id
              AND c.text_position = c.created_position
        )
    """,
    "runs, their issues and their leases": """
        SELECT count(*) FROM runs AS r
        JOIN issues AS i ON i.company_id = $1 AND i.issue_id = r.issue_id
        JOIN leases AS l ON l.company_id = $1 AND l.run_id = r.run_id AND l.issue_id = r.issue_id
        JOIN spending AS s ON s.company_id = $1 AND s.scope_id = r.issue_id::text
        WHERE r.company_id = $1 AND s.spent_micros = r.cost_micros
    """,
    "runs and how they began": """
        SELECT count(*) FROM runs AS r
        JOIN events AS e ON e.company_id = $1 AND e.position = r.created_position
        WHERE r.company_id = $1 AND e.type = 'run.started' AND e.stream_id = r.run_id
    """,
    "numbers up to the last one": """
        SELECT count(*) FROM issues AS i
        JOIN issue_prefixes AS p ON p.company_id = $1 AND i.identifier LIKE p.prefix || '-%'
        WHERE i.company_id = $1 AND split_part(i.identifier, '-', 2)::bigint <= p.last_number
    """,
}


async def test_the_enlarged_company_goes_on_working(made: Made) -> None:
    """Agents take its issues, new ones are first in its list, and its models follow its log."""
    async with open_ledger(made.url) as ledger:
        house = House(ledger, made.large)
        agent, waiting = made.template.agent, made.template.waiting
        await house.finish_all(waiting[:2], agent)
        claimed = (await house.do(f.claim_next(agent))).results[0].subject
        new = new_id()
        position = (await house.do(f.create(new))).position
        await house.follow(Versions(), Texts())
        page = await Queries(ledger.readers).issues.page(
            made.large, IssueFilter(), "newest", START["newest"], 100, position=position
        )

    assert isinstance(claimed, Issue)
    assert claimed.holder_agent_id == agent
    assert str(page[0]["issue_id"]) == new
    assert len({row["issue_id"] for row in page}) == 100


# ── helpers ────────────────────────────────────────────────────────────────────────────


def _under_one_id(row: str, company: str) -> str:
    return json.dumps(json.loads(row.replace(company, "company")), sort_keys=True)
