"""Nothing on the way of a command grows with what the command does not change.

Nothing is timed here; it is counted. The same commands are carried out in a company that is new
and in one that is full: 20,000 issues and more, an issue with 5,000 comments and a text of 100 kB,
a run with 500 checkpoints and 5,000 reports, an agent who has finished 5,000 issues, a chain of
2,000 blockers, 1,000 leases that live and 1,000 that nobody came for. They must send as many
statements, and those must read as many rows and touch as many pages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from api.wiring import MODELS, open_ledger
from ledger.commands import Command
from ledger.database import committer_pool
from projections.rebuild import rebuild
from tests.conftest import NewDatabase
from tests.crowd import COMMANDS, Place, fill
from tests.explaining import Asked, accepted_batch, asked_by, undone
from tests.writing import eventually, superuser

TIMES = 100


class Both(NamedTuple):
    """The two companies, in one database that is nobody else's."""

    url: str
    new: Place
    full: Place


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def both(new_database: NewDatabase) -> AsyncIterator[Both]:
    """Fills both, and lets the planner look at them."""
    url = await new_database()
    async with open_ledger(url, committers=2, readers=2) as ledger:
        made = Both(url, await fill(ledger, 1), await fill(ledger, TIMES))
        async with superuser(url) as connection:

            async def nobody_comes_for_the_leases() -> bool:
                return not await connection.fetchval(
                    "SELECT count(*) FROM issues WHERE lease_seconds = 1 "
                    "AND lease_expires_at > clock_timestamp()"
                )

            await eventually(nobody_comes_for_the_leases)
            await connection.execute("ANALYZE")
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def committer(both: Both) -> AsyncIterator[Any]:
    """A connection as the committer's are."""
    pool = await committer_pool(both.url, 1)
    async with pool.acquire() as connection:
        yield connection
    await pool.close()


# ── what is asked ──────────────────────────────────────────────────────────────────────


async def test_the_full_company_is_full(both: Both) -> None:
    """Else all that follows would hold for nothing."""
    async with superuser(both.url) as connection:
        new, full = [
            dict((await connection.fetch(_COUNTS, place.house.company, place["talk"]))[0])
            for place in (both.new, both.full)
        ]
    assert full["issues"] > 20_000
    assert full["finished"] == full["comments"] == 5_000
    assert full["links"] > 2_000
    assert full["held"] == full["left_behind"] == 1_000
    assert full["entries"] > 500
    assert full["of_one_run"] > 5_500
    assert full["description"] == 100_000
    assert all(10 * new[name] < full[name] for name in full)


_COUNTS = """
    SELECT count(*) AS issues,
           count(*) FILTER (WHERE status = 'done') AS finished,
           count(*) FILTER (WHERE lease_seconds > 1) AS held,
           count(*) FILTER (WHERE lease_seconds = 1) AS left_behind,
           max(comment_count) FILTER (WHERE issue_id = $2) AS comments,
           max(length(description)) FILTER (WHERE issue_id = $2) AS description,
           (SELECT count(*) FROM links AS l WHERE l.company_id = $1) AS links,
           (SELECT max(r.version) FROM runs AS r WHERE r.company_id = $1) AS of_one_run,
           (SELECT count(*) FROM directory AS d WHERE d.company_id = $1) AS entries
    FROM issues
    WHERE company_id = $1
"""


@pytest.mark.parametrize("name", COMMANDS)
async def test_a_command_asks_as_much_in_a_full_company_as_in_a_new_one(
    name: str, both: Both, committer: Any
) -> None:
    """The same statements, none of which reads more rows, or any table from end to end.

    Where rows are few they share pages; where there are many, each may have a page of its own.
    """
    commands = COMMANDS[name]
    new, full = [
        await at_the_least(committer, place.house.company, commands(place))
        for place in (both.new, both.full)
    ]
    assert [one.name for one in full] == [one.name for one in new]
    for before, after in zip(new, full, strict=True):
        assert after.read_whole == (), after
        assert after.rows <= before.rows + 10, (before, after)
        scattered = max(before.pages, before.rows)
        assert after.pages <= before.pages + scattered + 20, (before, after)


@pytest.mark.parametrize("plans", ["force_generic_plan", "force_custom_plan"])
async def test_a_command_reads_as_much_however_its_statements_are_planned(
    plans: str, both: Both, committer: Any
) -> None:
    """Postgres plans a statement for its values, or once for all of them: it is all the same."""
    await committer.execute("SELECT set_config('plan_cache_mode', $1, false)", plans)
    for name, commands in COMMANDS.items():
        new, full = [
            await rows_read(committer, place.house.company, commands(place))
            for place in (both.new, both.full)
        ]
        more = full - new
        assert more.total() <= 10, (name, more)
    await committer.execute("RESET plan_cache_mode")


async def test_commands_are_cheap_before_anybody_looked_at_the_tables(
    both: Both, committer: Any
) -> None:
    """A company that grows faster than Postgres can tell finds all it needs by the same keys."""
    async with undone(committer):
        await committer.execute("SET LOCAL ROLE NONE")
        await committer.execute("DELETE FROM pg_statistic WHERE starelid >= 16384")
        await committer.execute("SET LOCAL ROLE ledger_app")
        await committer.execute("DISCARD PLANS")
        for name, commands in COMMANDS.items():
            new, full = [
                await rows_read(committer, place.house.company, commands(place))
                for place in (both.new, both.full)
            ]
            more = full - new
            # Other tests have left dead rows behind; and a full company has candidates to look at.
            few = 500 if name.startswith("claim") else 50 + 4 * len(commands(both.full))
            assert more.total() <= few, (name, more)
    await committer.execute("DISCARD PLANS")


async def test_the_planner_knows_a_rebuilt_table_from_its_first_moment(
    new_database: NewDatabase,
) -> None:
    """A rebuild exchanges tables that were analyzed, not tables that the planner must guess at."""
    url = await new_database()
    async with open_ledger(url, committers=1, readers=1) as ledger:
        await fill(ledger, 1)
    await rebuild(url, MODELS, MODELS.names)
    async with superuser(url) as connection:
        tables = await connection.fetch(
            "SELECT relname, reltuples FROM pg_class "
            "WHERE relnamespace = 'ledger'::regnamespace AND relname = ANY ($1::text[])",
            MODELS.tables,
        )
    assert {row["relname"] for row in tables} == set(MODELS.tables)
    assert [row["relname"] for row in tables if row["reltuples"] < 0] == []


# ── helpers ────────────────────────────────────────────────────────────────────────────


async def at_the_least(
    connection: Any, company: str, commands: Sequence[Command]
) -> tuple[Asked, ...]:
    """What is asked, of three times the one that found the least to tidy up after the others."""
    found = [await asked_by(connection, company, commands) for _ in range(3)]
    return min(found, key=lambda asked: sum(one.pages for one in asked))


async def rows_read(connection: Any, company: str, commands: Sequence[Command]) -> Counter[str]:
    """How many rows of each table a batch of commands reads, as Postgres counts them."""
    await connection.execute("SELECT pg_stat_force_next_flush()")
    async with undone(connection):
        await accepted_batch(connection, company, commands)
        return Counter({row["relname"]: row["rows"] for row in await connection.fetch(_ROWS_READ)})


_ROWS_READ = """
    SELECT relname, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) AS rows
    FROM pg_stat_xact_user_tables
    WHERE schemaname = 'ledger'
"""
