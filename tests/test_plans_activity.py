"""Every filter of the activity is answered from an index, however its matches are spread.

Two companies of 50,000 entries each. What is asked for lies where a planner that believes in even
spreads would look last: at the far end of the log from where the question begins. Nothing is timed;
what each statement reads is counted, planned for its values and planned once for all of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson
import pytest
import pytest_asyncio

from ledger.database import connect
from ledger.ids import new_id
from projections.queries.activity import MOST_AT_ONCE, Activity, ActivityFilter, Span
from tests.conftest import NewDatabase
from tests.writing import superuser

ENTRIES = 50_000
OLD = 4000
"""Up to this position, every other entry is of somebody, something and somewhere else."""

LATE = range(40_001, 45_001)
"""The positions at which something older than the log was imported."""

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
LONG_AGO = datetime(2010, 1, 1, tzinfo=UTC)
PAGE = 51


class Filled(NamedTuple):
    """A connection to a database with the company in it, and what is rare there."""

    connection: Any
    company: str
    issue: str
    run: str
    project: str
    former: str


class Read(NamedTuple):
    """What one statement did: rows that it looked at, rows that it sorted, tables read whole."""

    rows: int
    sorted: int
    whole: tuple[str, ...]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def filled(new_database: NewDatabase) -> AsyncIterator[Filled]:
    """A company, and another one beside it, in a database that is nobody else's."""
    url = await new_database()
    ids = [new_id() for _ in range(4)]
    companies = [new_id(), new_id()]
    async with superuser(url) as connection:
        for company in companies:
            await connection.execute(_HEAD, company, ENTRIES)
            await connection.execute(_EVENTS, company, ENTRIES, BEGAN)
            await connection.execute(
                _ENTRIES, company, ENTRIES, BEGAN, OLD, LATE.start, LATE.stop, LONG_AGO, *ids
            )
        await connection.execute("VACUUM ANALYZE")
    reader = await connect(url)
    yield Filled(reader, companies[0], *ids)
    await reader.close()


_HEAD = """
INSERT INTO company_heads (company_id, head, tip, epoch, last_at)
VALUES ($1, $2, gen_random_uuid(), 0, now())
"""
_EVENTS = r"""
INSERT INTO events (company_id, position, stream_id, version, event_id, type, schema_version,
                    actor_type, actor_id, command_id, recorded_at, via, data, data_hash, leaf)
SELECT $1, n, gen_random_uuid(), 1, gen_random_uuid(), 'issue.edited', 1, 'user', 'alice',
       gen_random_uuid(), $3::timestamptz + make_interval(secs => n), 'test', '{}', '\x', '\x'
FROM generate_series(1, $2::bigint) AS n
"""
_ENTRIES = """
INSERT INTO activity (company_id, position, event_id, type, subject_type, subject_id, issue_id,
                      project_id, former_project_id, actor, on_behalf_of, via, run_id, command_id,
                      at, occurred_at, recorded_at, sentence, changes)
SELECT $1, n, gen_random_uuid(),
       CASE WHEN n IN (7, 70, 700) THEN 'issue.deleted'
            WHEN is_old THEN 'issue.handed_off'
            WHEN n % 3 = 0 THEN 'issue.commented' ELSE 'issue.edited' END,
       CASE WHEN is_old THEN 'milestone' ELSE 'issue' END,
       gen_random_uuid(),
       CASE WHEN is_old THEN $8::uuid ELSE gen_random_uuid() END,
       CASE WHEN is_old THEN $10::uuid END,
       CASE WHEN n = 9 THEN $11::uuid END,
       CASE WHEN n IN (8, 80) THEN 'user:rare' WHEN is_old THEN 'user:old'
            ELSE 'agent:' || n % 20 END,
       CASE WHEN is_old THEN 'user:boss' WHEN n % 5 = 0 THEN 'user:' || n % 50 END,
       'test',
       CASE WHEN is_old THEN $9::uuid ELSE gen_random_uuid() END,
       gen_random_uuid(),
       coalesce(occurred_at, recorded_at), occurred_at, recorded_at,
       'Somebody did something.', '[]'
FROM (
    SELECT n, n <= $4 AND n % 2 = 0 AS is_old,
           CASE WHEN n >= $5 AND n < $6 THEN $7::timestamptz + make_interval(hours => n::int % 1000)
               END AS occurred_at,
           $3::timestamptz + make_interval(secs => n) AS recorded_at
    FROM generate_series(1, $2::bigint) AS n
) AS told
"""


class Explaining:
    """A pool whose statements are prepared, explained and counted before they are answered."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.read: list[Read] = []

    async def fetch(self, statement: str, *values: Any) -> Any:
        """Rows."""
        await self._explain(statement, values)
        return await self._connection.fetch(statement, *values)

    async def fetchval(self, statement: str, *values: Any) -> Any:
        """One value."""
        await self._explain(statement, values)
        return await self._connection.fetchval(statement, *values)

    async def _explain(self, statement: str, values: Sequence[Any]) -> None:
        await self._connection.execute(f"PREPARE asked AS {statement}")
        given = ", ".join(_literal(value) for value in values)
        explained = await self._connection.fetchval(
            f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE asked ({given})"
        )
        await self._connection.execute("DEALLOCATE asked")
        self.read.append(_read(orjson.loads(explained)[0]["Plan"]))


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
        whole=tuple(
            node["Relation Name"]
            for node in scans
            if node["Node Type"] == "Seq Scan" and node["Relation Name"] in ("activity", "events")
        ),
    )


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def _looked_at(scan: dict[str, Any]) -> float:
    passed_over = scan.get("Rows Removed by Filter", 0)
    passed_over += scan.get("Rows Removed by Index Recheck", 0)
    return float((scan["Actual Rows"] + passed_over) * scan["Actual Loops"])


async def _matching(filled: Filled, wanted: ActivityFilter, newest: bool) -> list[int]:
    """The positions of all that is wanted, found by looking at everything."""
    rows = await filled.connection.fetch(
        _MATCHING, filled.company, wanted.issue_id, wanted.run_id, wanted.actors, wanted.project_id,
        wanted.types, wanted.subject_types, wanted.first_at, wanted.last_at,
    )  # fmt: skip
    return sorted((row["position"] for row in rows), reverse=newest)


_MATCHING = """
SELECT position FROM activity
WHERE company_id = $1
  AND ($2::uuid IS NULL OR issue_id = $2)
  AND ($3::uuid IS NULL OR run_id = $3)
  AND ($4::text[] IS NULL OR actor = ANY ($4) OR on_behalf_of = ANY ($4))
  AND ($5::uuid IS NULL OR $5 IN (project_id, former_project_id))
  AND ($6::text[] IS NULL OR type = ANY ($6))
  AND ($7::text[] IS NULL OR subject_type = ANY ($7))
  AND ($8::timestamptz IS NULL OR at >= $8)
  AND ($9::timestamptz IS NULL OR at <= $9)
"""


async def test_page_after_page_finds_everything_once(filled: Filled) -> None:
    """From either end, through what was imported before, then and after: each match, in order."""
    activity = Activity(filled.connection)
    for given in (
        {"first_at": LONG_AGO + timedelta(hours=500), "last_at": _second(3000)},
        {"first_at": _second(39_000), "last_at": _second(46_000), "types": ["issue.edited"]},
        {
            "actors": ["user:boss", "user:old"],
            "subject_types": ["milestone"],
            "last_at": _second(3000),
        },
    ):
        wanted = ActivityFilter(**given, with_keys=True)
        for newest in (True, False):
            found: list[int] = []
            span = Span(before=ENTRIES + 1)
            while rows := await activity.page(filled.company, wanted, span, 700, newest=newest):
                found += [row["position"] for row in rows]
                span = span.beyond(found[-1], newest)
            assert found == await _matching(filled, wanted, newest)
            assert found


def _second(position: int) -> datetime:
    return BEGAN + timedelta(seconds=position)


FILTERS: dict[str, dict[str, Any]] = {
    "everything": {},
    "an issue": {"issue_id": "issue"},
    "a run": {"run_id": "run"},
    "a project": {"project_id": "project"},
    "a project that was left": {"project_id": "former"},
    "an actor": {"actors": ["user:old"]},
    "a rare actor": {"actors": ["user:rare"]},
    "an actor among many": {"actors": ["agent:3"]},
    "an actor of two names": {"actors": ["user:old", "agent:3"]},
    "an actor of two names, one unused": {"actors": ["user:nobody", "user:old"]},
    "somebody acted for": {"actors": ["user:boss"]},
    "nobody": {"actors": ["user:nobody"]},
    "a type": {"types": ["issue.handed_off"]},
    "a rare type": {"types": ["issue.deleted"]},
    "two types, rare and common": {"types": ["issue.deleted", "issue.edited"]},
    "a kind of subject": {"subject_types": ["milestone"]},
    "a time in the past": {"first_at": _second(5000), "last_at": _second(5030)},
    "up to a time in the past": {"last_at": _second(5000)},
    "since a time in the past": {"first_at": _second(5000)},
    "a time before the log": {"first_at": LONG_AGO, "last_at": LONG_AGO + timedelta(hours=30)},
    "an actor in a time": {
        "actors": ["agent:3"],
        "first_at": _second(5000),
        "last_at": _second(6000),
    },
}


@pytest.mark.parametrize("plans", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("newest", [True, False], ids=["newest", "oldest"])
@pytest.mark.parametrize("name", FILTERS)
async def test_a_filter_reads_about_a_page(
    filled: Filled, name: str, newest: bool, plans: str
) -> None:
    """No table whole, no sort of more than a page or two, and few rows that are not shown."""
    await filled.connection.execute("SELECT set_config('plan_cache_mode', $1, false)", plans)
    given = {
        key: getattr(filled, value) if isinstance(value, str) and value in Filled._fields else value
        for key, value in FILTERS[name].items()
    }
    pool: Any = Explaining(filled.connection)
    wanted = ActivityFilter(**given, with_keys=True)
    span = Span(before=ENTRIES + 1)
    rows = await Activity(pool).page(filled.company, wanted, span, PAGE, newest=newest)
    matching = await _matching(filled, wanted, newest)
    assert [row["position"] for row in rows] == matching[:PAGE]
    assert (len(rows) > 0) is (name != "nobody")
    assert [read.whole for read in pool.read] == [()] * len(pool.read)
    assert max(read.sorted for read in pool.read) <= 4 * PAGE, pool.read
    assert max(read.rows for read in pool.read) <= MOST_AT_ONCE, pool.read
    assert len(pool.read) <= 9, pool.read
    if not {"first_at", "last_at"} & set(given):
        assert sum(read.rows for read in pool.read) <= 5 * PAGE, pool.read
