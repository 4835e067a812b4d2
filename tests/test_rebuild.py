"""Rebuild: read models made anew beside a working server, and exchanged for the live ones."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from api.demo import play
from api.wiring import FOLLOWING, INLINE, MODELS, Ledger, open_ledger
from ledger.actors import Role
from ledger.database import LOST, reader_pool
from ledger.errors import IssueHeld
from projections.projector import Projector
from projections.queries import Queries
from projections.rebuild import SCHEMA, RebuildRefused, rebuild
from tests.conftest import NewDatabase, _new_database
from tests.proxy import Fate, Proxy
from tests.writing import (
    ALICE,
    assert_whole,
    check_out,
    comment,
    create,
    entry,
    eventually,
    issue_of,
    link,
    locked,
    someone_waits,
    submit,
    superuser,
    titles,
)

_ROOT = Path(__file__).parents[1]
ALL = MODELS.names


@pytest_asyncio.fixture(scope="module")
async def url(server_url: str) -> str:
    """A database of this file's own, that nobody follows unless a test says so."""
    return await _new_database(server_url)


@pytest_asyncio.fixture(scope="module")
async def own(url: str) -> AsyncIterator[Ledger]:
    """A ledger on that database."""
    async with open_ledger(url) as opened:
        yield opened


@pytest_asyncio.fixture
async def alone(new_database: NewDatabase) -> AsyncIterator[Ledger]:
    """A ledger on a database of the test's own."""
    async with open_ledger(await new_database()) as opened:
        yield opened


@pytest_asyncio.fixture
async def acme(own: Ledger) -> str:
    """A company of the test's own, with something in every table, and no rebuild begun."""
    async with superuser(own.url) as owner:
        await owner.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    company = await own.create_company("Acme")
    await own.create_key(company, Role.OWNER, ALICE)
    await play(own, company, agents=4, issues=20, seed=1)
    await submit(own, company, link("ENG-1", "ENG-2"))
    await be_followed(own, company)
    return company


async def long_company(own: Ledger, issues: int = 2000) -> str:
    """A company whose log has several pages."""
    company = await own.create_company("Long")
    for begin in range(0, issues, 500):
        await asyncio.gather(
            *(submit(own, company, create(str(n))) for n in range(begin, begin + 500))
        )
    await be_followed(own, company)
    return company


class Interrupted(Exception):
    """What stops a rebuild in these tests, as Ctrl-C would."""


def interrupted_after(events: int) -> Callable[[int, int], None]:
    """A progress bar that interrupts the rebuild once so many events are done."""

    def progress(done: int, total: int) -> None:
        if done >= events:
            raise Interrupted

    return progress


# ── beside a working server ────────────────────────────────────────────────────────────


async def test_a_rebuild_of_right_models_changes_nothing(url: str, own: Ledger, acme: str) -> None:
    """Every table is exchanged for an equal one, with the same rights and indexes."""
    async with superuser(url) as owner:
        before = await shape(owner)
        rebuilt = await rebuild(url, MODELS, ALL)
        assert await shape(owner) == before
        assert await owner.fetchval("SELECT to_regnamespace($1)", SCHEMA) is None
    assert {r.table for r in rebuilt} == set(MODELS.tables)
    assert all(r.was_equal for r in rebuilt)
    await submit(own, acme, create("after"))
    await assert_whole(own, acme)


async def test_progress_says_how_many_events_are_done(url: str, own: Ledger, acme: str) -> None:
    """It grows to the number of all events."""
    seen: list[tuple[int, int]] = []
    await rebuild(url, MODELS, ALL, progress=lambda done, total: seen.append((done, total)))
    total = await own.readers.fetchval("SELECT count(*) FROM events")
    assert seen == sorted(seen)
    assert seen[-1] == (total, total)


async def test_commands_go_on_while_models_are_rebuilt(url: str, own: Ledger, acme: str) -> None:
    """Two processes write and one projects all the while: no event and no answer is lost."""
    stop = asyncio.Event()
    async with following(url), open_ledger(url) as other:
        writing = asyncio.gather(
            *(keep_writing((own, other)[n % 2], acme, f"{n}/", stop) for n in range(8))
        )
        await asyncio.sleep(0.2)
        for _ in range(3):
            rebuilt = await rebuild(url, MODELS, ALL)
            assert all(r.was_equal for r in rebuilt)
        stop.set()
        acknowledged = [title for written in await writing for title in written]
        for model in FOLLOWING:
            await Queries(own.readers).freshness.wait_for(acme, model.name, 30)
    assert len(acknowledged) > 100
    there = (await titles(own, acme))[20:]  # Those of the agents came first.
    assert sorted(there) == sorted(acknowledged)
    await assert_whole(own, acme)


async def test_a_decision_after_a_rebuild_rests_on_the_new_tables(
    url: str, own: Ledger, acme: str
) -> None:
    """What a process knew before is not what it decides from."""
    agent, rival, issue = entry("agent", "First"), entry("agent", "Late"), create()
    await submit(own, acme, agent, rival, issue)
    await submit(own, acme, check_out(issue.issue_id, agent.entry_id))
    async with superuser(url) as owner:
        await owner.execute("UPDATE issues SET holder_agent_id = NULL, holder_run_id = NULL")
    await rebuild(url, MODELS, ALL)
    async with open_ledger(url) as other:
        for through in (own, other):
            with pytest.raises(IssueHeld):
                await submit(through, acme, check_out(issue.issue_id, rival.entry_id))
    await assert_whole(own, acme)


@pytest.mark.parametrize("name", MODELS.names)
async def test_any_model_can_be_rebuilt_alone(url: str, own: Ledger, acme: str, name: str) -> None:
    """A wrong row of it is mended; the others stay as they are."""
    tables = {m.name: m.tables for m in INLINE} | {m.name: m.tables for m in FOLLOWING}
    wrong, *right = tables[name]
    async with superuser(url) as owner:
        await owner.execute(f"DELETE FROM {wrong}")
        if name != "companies":
            await owner.execute("UPDATE companies SET name = 'left alone'")
        rebuilt = await rebuild(url, MODELS, [name])
        if name != "companies":
            assert await owner.fetchval("SELECT name FROM companies") == "left alone"
            await owner.execute("UPDATE companies SET name = 'Acme'")
    assert {r.table: r.was_equal for r in rebuilt} == {wrong: False} | dict.fromkeys(right, True)
    await submit(own, acme, create("after"))
    await assert_whole(own, acme)


async def test_a_model_that_there_is_not_is_no_model(url: str) -> None:
    """Nothing is rebuilt under a name that nobody knows."""
    with pytest.raises(KeyError):
        await rebuild(url, MODELS, ["isues"])


# ── interrupted ────────────────────────────────────────────────────────────────────────


async def test_an_interrupted_rebuild_goes_on_where_it_was(alone: Ledger) -> None:
    """The rows that the first one wrote are the rows that the second one puts in place."""
    company = await long_company(alone)
    with pytest.raises(Interrupted):
        await rebuild(alone.url, MODELS, ALL, progress=interrupted_after(1000))
    async with superuser(alone.url) as owner:
        query = "SELECT position, xmin::text FROM {}.activity WHERE position <= 1000 ORDER BY 1"
        written = await owner.fetch(query.format(SCHEMA))
        assert len(written) == 1000
        first = []
        await rebuild(alone.url, MODELS, ALL, progress=lambda done, total: first.append(done))
        assert first[0] > 1000
        assert await owner.fetch(query.format("ledger")) == written
    await assert_whole(alone, company)


async def test_a_rebuild_that_is_cut_off_again_and_again_comes_to_its_end(alone: Ledger) -> None:
    """Its database sessions are ended at any moment; each one that follows gets further."""
    company = await long_company(alone)
    async with superuser(alone.url) as administrator:
        for n in range(8):
            rebuilding = asyncio.create_task(rebuild(alone.url, MODELS, ALL))
            await asyncio.sleep(0.03 * n)
            await administrator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE usename IS NOT NULL AND pid <> pg_backend_pid() "
                "AND query LIKE '%ledger%' AND datname = current_database()"
            )
            await asyncio.gather(rebuilding, return_exceptions=True)
            await administrator.execute("DELETE FROM projector_leases")
    assert all(r.was_equal for r in await rebuild(alone.url, MODELS, ALL))
    await assert_whole(alone, company)


LAST_STATEMENTS = {
    "the locks": "LOCK TABLE ledger.company_heads",
    "the swap": "ALTER TABLE ledger_rebuild.links",
    "the epochs": "SET epoch = epoch \\+ 1",
    "taking the shadow away": "DROP SCHEMA IF EXISTS ledger_rebuild",
    "giving up the lease": "DELETE FROM projector_leases",
}


@pytest.mark.parametrize("fate", [Fate.CUT_BEFORE, Fate.CUT_AFTER], ids=["before", "after"])
@pytest.mark.parametrize("statement", LAST_STATEMENTS.values(), ids=LAST_STATEMENTS)
async def test_a_rebuild_that_is_lost_at_the_exchange_is_gone_on_with(
    url: str, own: Ledger, acme: str, statement: str, fate: Fate
) -> None:
    """Whatever was the last statement that the server got, the next rebuild finds its way."""
    async with Proxy(url) as proxy:
        proxy.arrange(fate, statement)
        with suppress(*LOST, asyncpg.PostgresError):
            await rebuild(proxy.url, MODELS, ALL)
        await proxy.arrives()
    assert [r.table for r in await rebuild(url, MODELS, ALL) if not r.was_equal] == []
    async with superuser(url) as owner:
        assert await owner.fetchval("SELECT to_regnamespace($1)", SCHEMA) is None
    await submit(own, acme, create("after"))
    await assert_whole(own, acme)


async def test_an_interrupted_rebuild_of_other_models_is_begun_anew(alone: Ledger) -> None:
    """What was left belongs to another rebuild, and is not mixed with this one."""
    company = await long_company(alone)
    with pytest.raises(Interrupted):
        await rebuild(alone.url, MODELS, ["activity"], progress=interrupted_after(1000))
    assert all(r.was_equal for r in await rebuild(alone.url, MODELS, ["issues"]))
    await assert_whole(alone, company)


async def test_what_an_interrupted_rebuild_left_can_be_forgotten(alone: Ledger) -> None:
    """The next one then begins at the first event."""
    await long_company(alone)
    for restart, first in ((False, 1000), (True, 1000), (False, 2000)):
        seen: list[int] = []

        def progress(done: int, total: int, seen: list[int] = seen) -> None:
            seen.append(done)
            raise Interrupted

        with pytest.raises(Interrupted):
            await rebuild(alone.url, MODELS, ALL, restart=restart, progress=progress)
        assert seen == [first]


async def test_a_killed_rebuild_is_gone_on_with_at_once(alone: Ledger) -> None:
    """Nobody has to wait for the lease of a process that is dead."""
    company = await long_company(alone, 3000)
    process = rebuilding_process(alone.url)
    try:
        await eventually(lambda: has_rows(alone.url, "issues"))
    finally:
        process.kill()
        process.wait()
    began = time.monotonic()
    while True:
        try:
            rebuilt = await rebuild(alone.url, MODELS, ALL)
            break
        except RebuildRefused:
            assert time.monotonic() < began + 10, "still waiting for a dead one"
            await asyncio.sleep(0.5)
    assert all(r.was_equal for r in rebuilt)
    await assert_whole(alone, company)


async def test_a_rebuild_interrupted_at_the_exchange_goes_on_without_a_false_alarm(
    url: str, own: Ledger, acme: str
) -> None:
    """Its shadow may be further than the live models; that is no difference between them."""
    for _ in range(5):
        await submit(own, acme, create())  # Which nobody follows.
    async with locked(url, acme):
        rebuilding = asyncio.create_task(rebuild(url, MODELS, ALL))
        await someone_waits(url)
        rebuilding.cancel()
        await asyncio.gather(rebuilding, return_exceptions=True)
    rebuilt = await rebuild(url, MODELS, ALL)
    assert [r.table for r in rebuilt if not r.was_equal] == []
    await assert_whole(own, acme)


# ── two at once ────────────────────────────────────────────────────────────────────────


async def test_of_two_rebuilds_at_once_one_is_refused(url: str, own: Ledger, acme: str) -> None:
    """The other one is not disturbed."""
    answers = await asyncio.gather(
        rebuild(url, MODELS, ALL), rebuild(url, MODELS, ALL), return_exceptions=True
    )
    assert [type(answer) for answer in answers].count(RebuildRefused) == 1
    assert [type(answer) for answer in answers].count(list) == 1
    assert all(r.was_equal for r in await rebuild(url, MODELS, ALL))
    await assert_whole(own, acme)


async def test_a_rebuild_beside_another_one_takes_nothing_from_it(alone: Ledger) -> None:
    """`--restart` too is refused, and the one that is under way comes to its end."""
    company = await long_company(alone)
    others: list[asyncio.Task[object]] = []

    def progress(done: int, total: int) -> None:
        if not others:
            again = rebuild(alone.url, MODELS, ALL, restart=True)
            others.append(asyncio.get_running_loop().create_task(again))

    assert all(r.was_equal for r in await rebuild(alone.url, MODELS, ALL, progress=progress))
    with pytest.raises(RebuildRefused):
        await others[0]
    await assert_whole(alone, company)


async def test_a_rebuild_that_lost_its_shadow_leaves_the_live_tables_alone(alone: Ledger) -> None:
    """It slept too long, and another one came and went: it fails, and nothing has changed."""
    company = await long_company(alone)
    agent = entry("agent", "One")
    await submit(alone, company, agent)
    for number in range(1, 6):  # So that the states at the end are not those of the beginning.
        await submit(alone, company, check_out(f"LON-{number}", agent.entry_id))
        await submit(alone, company, comment(f"LON-{number}"))
    lost: list[asyncio.Task[None]] = []

    async def lose() -> None:
        async with superuser(alone.url) as owner:
            await owner.execute(f"DROP SCHEMA {SCHEMA} CASCADE")

    def progress(done: int, total: int) -> None:
        if not lost:
            lost.append(asyncio.get_running_loop().create_task(lose()))

    with pytest.raises(asyncpg.PostgresError):
        await rebuild(alone.url, MODELS, ALL, progress=progress)
    await lost[0]
    async with superuser(alone.url) as owner:
        models = await owner.fetch("SELECT DISTINCT model FROM checkpoints")
    assert {row["model"] for row in models} <= {model.name for model in FOLLOWING}
    await assert_whole(alone, company)


# ── helpers ────────────────────────────────────────────────────────────────────────────


def rebuilding_process(url: str) -> subprocess.Popen[bytes]:
    """`ledger rebuild`."""
    return subprocess.Popen(
        [sys.executable, "-m", "api.cli", "rebuild", "--database-url", url],
        cwd=_ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


async def keep_writing(
    through: Ledger, company: str, prefix: str, stop: asyncio.Event
) -> list[str]:
    """Writes issues down until it is told to stop; the titles of those that were accepted."""
    written: list[str] = []
    while not stop.is_set():
        outcome = await submit(through, company, create(f"{prefix}{len(written)}"))
        written.append(issue_of(outcome).title)
        await submit(through, company, comment(issue_of(outcome).id))
        await asyncio.sleep(0.005)
    return written


@asynccontextmanager
async def following(url: str) -> AsyncIterator[None]:
    """A projector at work."""
    pool = await reader_pool(url, 6)
    projector = Projector(pool, FOLLOWING, poll_seconds=0.05)
    task = asyncio.create_task(projector.run())
    try:
        yield
    finally:
        projector.stop()
        await task
        await pool.close()


async def be_followed(own: Ledger, company: str) -> None:
    """Lets a projector catch up, and leave."""
    async with following(own.url):
        for model in FOLLOWING:
            await Queries(own.readers).freshness.wait_for(company, model.name, 30)


async def has_rows(url: str, table: str) -> bool:
    """Whether the shadow has written rows of a table."""
    async with superuser(url) as owner:
        there = await owner.fetchval("SELECT to_regclass($1)", f"{SCHEMA}.{table}")
        return bool(there) and bool(
            await owner.fetchval(f"SELECT count(*) FROM {SCHEMA}.{table} LIMIT 1")
        )


async def shape(owner: asyncpg.Connection) -> list[tuple[str, ...]]:
    """Everything about the tables but their rows: columns, indexes, constraints, rights."""
    columns = await owner.fetch(
        "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns "
        "WHERE table_schema = 'ledger'"
    )
    indexes = await owner.fetch(
        "SELECT tablename, indexname, indexdef, '' FROM pg_indexes WHERE schemaname = 'ledger'"
    )
    constraints = await owner.fetch(
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), '' "
        "FROM pg_constraint WHERE connamespace = 'ledger'::regnamespace"
    )
    tables = await owner.fetch(
        "SELECT relname, relowner::regrole::text, array_to_string(reloptions, ','), "
        "array_to_string(array(SELECT unnest(relacl)::text ORDER BY 1), ',') FROM pg_class "
        "WHERE relnamespace = 'ledger'::regnamespace AND relkind = 'r'"
    )
    log_rows = (*columns, *indexes, *constraints, *tables)
    return sorted(tuple(str(value) for value in row.values()) for row in log_rows)
