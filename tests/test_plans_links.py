"""Links that other issues keep to one are found without reading the log of the company.

Two companies of 40,000 events each; one event in ten links an issue or takes a link away. What the
statements read is counted, planned for their values and planned once for all of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import orjson
import pytest
import pytest_asyncio

from ledger.database import connect
from ledger.ids import new_id
from projections.queries import links
from tests.conftest import NewDatabase
from tests.writing import superuser

EVENTS = 40_000
MOST = 500
BEYOND = 200
"""Events that the activity has not yet."""

_LOG = r"""
INSERT INTO events (company_id, position, stream_id, version, event_id, type, schema_version,
                    actor_type, actor_id, command_id, recorded_at, via, data, data_hash, leaf)
SELECT $1, n, gen_random_uuid(), 1, gen_random_uuid(),
       CASE WHEN n % 20 = 0 THEN 'issue.linked' WHEN n % 20 = 10 THEN 'issue.unlinked'
            ELSE 'issue.edited' END,
       1, 'user', 'alice', gen_random_uuid(), now(), 'test',
       jsonb_build_object('target_id', CASE WHEN n % 100 = 0 THEN $3::uuid
                                            ELSE gen_random_uuid() END),
       '\x', '\x'
FROM generate_series(1, $2::bigint) AS n
"""
_ACTIVITY = """
INSERT INTO activity (company_id, position, event_id, type, subject_type, subject_id, actor, via,
                      command_id, at, recorded_at, sentence, changes)
SELECT company_id, position, event_id, type, 'issue', stream_id, 'user:alice', 'test', command_id,
       recorded_at, recorded_at, 'Somebody did something.', '[]'
FROM events
WHERE company_id = $1
"""


class Filled(NamedTuple):
    """A connection to a database with the company in it, and the issue that links go to."""

    connection: Any
    company: str
    issue: str


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def filled(new_database: NewDatabase) -> AsyncIterator[Filled]:
    """A company, and another one beside it, in a database that is nobody else's."""
    url = await new_database()
    companies, issue = [new_id(), new_id()], new_id()
    async with superuser(url) as connection:
        for company in companies:
            await connection.execute(_LOG, company, EVENTS, issue)
            await connection.execute(_ACTIVITY, company)
        await connection.execute("VACUUM ANALYZE")
    reader = await connect(url)
    yield Filled(reader, companies[0], issue)
    await reader.close()


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_so_many_events_of_links_are_read_and_no_more(filled: Filled, mode: str) -> None:
    """Of each type, by the activity's index of types; and the log where the activity is not."""
    reached = EVENTS - BEYOND
    values: tuple[object, ...] = (filled.company, filled.issue, 0, EVENTS, reached, MOST)
    plan = await _explained(filled.connection, links._SQL.to_issue, mode, values)
    _assert_bounded(plan, 4 * MOST + 2 * BEYOND)
    values = (filled.company, 0, EVENTS, reached, MOST)
    plan = await _explained(filled.connection, links._SQL.are_all_read, mode, values)
    _assert_bounded(plan, 2 * (MOST + 1))


def _assert_bounded(plan: Any, most: int) -> None:
    scans = [node for node in _nodes(plan) if "Relation Name" in node]
    assert scans
    assert not [node for node in scans if node["Node Type"] == "Seq Scan"]
    looked_at = sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in scans
    )
    assert looked_at <= most, [(n["Node Type"], n.get("Index Name")) for n in _nodes(plan)]


async def _explained(connection: Any, statement: str, mode: str, values: tuple[Any, ...]) -> Any:
    """The plan of a statement, with what it read when it was carried out."""
    await connection.execute(f"SET plan_cache_mode = {mode}")
    await connection.execute(f"PREPARE asked AS {statement}")
    given = ", ".join(f"'{value}'" for value in values)
    shown = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE asked ({given})")
    await connection.execute("DEALLOCATE asked")
    return orjson.loads(shown)[0]["Plan"]


def _nodes(plan: Any) -> Iterator[Any]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)
