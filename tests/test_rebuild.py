"""Rebuild: read models made anew beside a working server, and exchanged for the live ones."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from api.demo import play
from api.wiring import FOLLOWING, MODELS, Ledger, open_ledger
from ledger.database import LOST, reader_pool
from ledger.errors import IssueHeld, Refused
from projections.projector import Projector
from projections.queries import Queries
from projections.rebuild import LEASE_SECONDS, SCHEMA, RebuildRefused, abandon, rebuild
from tests.conftest import NewDatabase
from tests.writing import (
    assert_whole,
    check_out,
    comment,
    create,
    entry,
    eventually,
    issue_of,
    log_of,
    submit,
    superuser,
    titles,
)

_ROOT = Path(__file__).parents[1]


@pytest_asyncio.fixture
async def url(new_database: NewDatabase) -> str:
    """A database of the test's own."""
    return await new_database()


@pytest_asyncio.fixture
async def own(url: str) -> AsyncIterator[Ledger]:
    """A ledger on that database."""
    async with open_ledger(url) as opened:
        yield opened


@pytest_asyncio.fixture
async def acme(own: Ledger) -> str:
    """A company in it, whose agents have worked."""
    company = await own.create_company("Acme")
    await play(own, company, agents=4, issues=20, seed=1)
    return company


async def long_company(own: Ledger, issues: int = 2500) -> str:
    """A company whose log has several pages."""
    company = await own.create_company("Long")
    await asyncio.gather(*(submit(own, company, create(str(n))) for n in range(issues)))
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
        rebuilt = await rebuild(url, MODELS, MODELS)
        assert await shape(owner) == before
        assert await owner.fetchval("SELECT to_regnamespace($1)", SCHEMA) is None
    assert {r.table for r in rebuilt} == set(MODELS.tables)
    assert all(r.was_equal for r in rebuilt)
    await submit(own, acme, create("after"))
    await assert_whole(own, acme)


async def test_progress_says_how_many_events_are_done(url: str, own: Ledger, acme: str) -> None:
    """It grows to the number of all events of all companies."""
    await own.create_company("Other")
    seen: list[tuple[int, int]] = []
    await rebuild(url, MODELS, MODELS, progress=lambda done, total: seen.append((done, total)))
    total = await own.readers.fetchval("SELECT count(*) FROM events")
    assert seen == sorted(seen)
    assert seen[-1] == (total, total)


async def test_commands_go_on_while_models_are_rebuilt(url: str, own: Ledger, acme: str) -> None:
    """Two processes write and one projects all the while: no event and no answer is lost."""
    async with following(url), open_ledger(url) as other:
        writing = asyncio.gather(
            *(keep_writing(through, acme, f"{n}/") for n, through in enumerate((own, other) * 4))
        )
        await asyncio.sleep(0.2)
        for _ in range(3):
            rebuilt = await rebuild(url, MODELS, MODELS)
            assert all(r.was_equal for r in rebuilt)
        STOP.set()
        acknowledged = [title for written in await writing for title in written]
        STOP.clear()
        for model in FOLLOWING:
            await Queries(own.readers).wait_for(acme, model.name, 30)
    assert len(acknowledged) > 100
    there = await titles(own, acme)
    assert len(there) == len(set(there) | set(acknowledged)) + 20 - len({*there[:20]})
    assert set(acknowledged) <= set(there)
    await assert_whole(own, acme)


async def test_a_decision_after_a_rebuild_rests_on_the_new_tables(
    url: str, own: Ledger, acme: str
) -> None:
    """What a process knew before is not what it decides from."""
    agent = entry("agent", "Late")
    issue = create()
    await submit(own, acme, agent, issue)
    await submit(own, acme, check_out(issue.issue_id, agent.entry_id))
    async with superuser(url) as owner:
        await owner.execute("UPDATE issues SET holder_agent_id = NULL, holder_run_id = NULL")
    await rebuild(url, MODELS, MODELS)
    async with open_ledger(url) as other:
        for through in (own, other):
            with pytest.raises(IssueHeld):
                await submit(through, acme, check_out(issue.issue_id, "late", run_id=ID_OF_A_RUN))
    await assert_whole(own, acme)


@pytest.mark.parametrize("name", MODELS.names)
async def test_any_model_can_be_rebuilt_alone(url: str, own: Ledger, acme: str, name: str) -> None:
    """The others stay as they are."""
    wanted = MODELS.named([name])
    rebuilt = await rebuild(url, MODELS, wanted)
    assert [r.table for r in rebuilt] == wanted.tables
    assert all(r.was_equal for r in rebuilt)
    await submit(own, acme, create("after"))
    await assert_whole(own, acme)


# ── interrupted ────────────────────────────────────────────────────────────────────────


async def test_an_interrupted_rebuild_goes_on_where_it_was(url: str, own: Ledger) -> None:
    """The rows that the first one wrote are the rows that the second one puts in place."""
    company = await long_company(own)
    with pytest.raises(Interrupted):
        await rebuild(url, MODELS, MODELS, progress=interrupted_after(1000))
    async with superuser(url) as owner:
        query = "SELECT position, xmin::text FROM {}.activity WHERE position <= 1000 ORDER BY 1"
        written = await owner.fetch(query.format(SCHEMA))
        assert len(written) == 1000
        first = []
        await rebuild(url, MODELS, MODELS, progress=lambda done, total: first.append(done))
        assert first[0] > 1000
        assert await owner.fetch(query.format("ledger")) == written
    await assert_whole(own, company)


async def test_a_rebuild_that_is_cut_off_again_and_again_comes_to_its_end(
    url: str, own: Ledger
) -> None:
    """Its database sessions are ended at any moment; each one that follows gets further."""
    company = await long_company(own)
    async with superuser(url) as administrator:
        for n in range(12):
            rebuilding = asyncio.create_task(rebuild(url, MODELS, MODELS))
            await asyncio.sleep(0.02 * n)
            await administrator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE usename IS NOT NULL AND pid <> pg_backend_pid() "
                "AND query LIKE '%ledger%' AND datname = current_database()"
            )
            await asyncio.gather(rebuilding, return_exceptions=True)
            await administrator.execute("DELETE FROM projector_leases")
    assert all(r.was_equal for r in await rebuild(url, MODELS, MODELS))
    await assert_whole(own, company)


async def test_an_interrupted_rebuild_of_other_models_is_begun_anew(url: str, own: Ledger) -> None:
    """What was left belongs to another rebuild, and is not mixed with this one."""
    company = await long_company(own)
    with pytest.raises(Interrupted):
        await rebuild(url, MODELS, MODELS.named(["activity"]), progress=interrupted_after(1000))
    assert all(r.was_equal for r in await rebuild(url, MODELS, MODELS.named(["issues"])))
    await assert_whole(own, company)


async def test_what_an_interrupted_rebuild_left_can_be_taken_away(url: str, own: Ledger) -> None:
    """The next one then begins at the first event."""
    await long_company(own)
    with pytest.raises(Interrupted):
        await rebuild(url, MODELS, MODELS, progress=interrupted_after(1000))
    await abandon(url)
    seen: list[int] = []
    await rebuild(url, MODELS, MODELS, progress=lambda done, total: seen.append(done))
    assert seen[0] == 1000


async def test_a_killed_rebuild_is_gone_on_with_at_once(url: str, own: Ledger) -> None:
    """Nobody has to wait for the lease of a process that is dead."""
    company = await long_company(own, 4000)
    process = subprocess.Popen(
        [sys.executable, "-m", "api.cli", "rebuild", "--database-url", url],
        cwd=_ROOT,
        env={**os.environ},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        async with superuser(url) as owner:

            async def has_begun() -> bool:
                there = await owner.fetchval(f"SELECT to_regclass('{SCHEMA}.activity')")
                return bool(there) and bool(
                    await owner.fetchval(f"SELECT count(*) FROM {SCHEMA}.activity")
                )

            await eventually(has_begun)
    finally:
        process.kill()
        process.wait()
    began = time.monotonic()
    while True:
        try:
            rebuilt = await rebuild(url, MODELS, MODELS)
            break
        except RebuildRefused:
            assert time.monotonic() < began + LEASE_SECONDS / 4, "still waiting for a dead one"
            await asyncio.sleep(0.5)
    assert all(r.was_equal for r in rebuilt)
    await assert_whole(own, company)


# ── two at once ────────────────────────────────────────────────────────────────────────


async def test_of_two_rebuilds_at_once_one_is_refused(url: str, own: Ledger, acme: str) -> None:
    """The other one is not disturbed."""
    answers = await asyncio.gather(
        rebuild(url, MODELS, MODELS), rebuild(url, MODELS, MODELS), return_exceptions=True
    )
    assert [type(answer) for answer in answers].count(RebuildRefused) == 1
    assert [type(answer) for answer in answers].count(list) == 1
    assert all(r.was_equal for r in await rebuild(url, MODELS, MODELS))
    await assert_whole(own, acme)


async def test_a_rebuild_whose_shadow_is_taken_away_leaves_the_live_tables_alone(
    url: str, own: Ledger
) -> None:
    """`ledger rebuild --restart` beside a running one may stop it, never harm what is live."""
    company = await long_company(own)
    agent = entry("agent", "One")
    await submit(own, company, agent)
    for number in range(1, 6):  # So that the states at the end are not those of the beginning.
        await submit(own, company, check_out(f"LON-{number}", agent.entry_id))
        await submit(own, company, comment(f"LON-{number}"))
    await assert_whole(own, company)
    loop = asyncio.get_running_loop()
    abandoned: list[asyncio.Future[None]] = []

    def progress(done: int, total: int) -> None:
        if not abandoned:
            abandoned.append(asyncio.ensure_future(abandon(url), loop=loop))

    rebuilding = asyncio.create_task(rebuild(url, MODELS, MODELS, progress=progress))
    result = (await asyncio.gather(rebuilding, return_exceptions=True))[0]
    await asyncio.gather(*abandoned)
    assert isinstance(result, list | RebuildRefused | asyncpg.PostgresError | LOST)
    async with superuser(url) as owner:
        models = await owner.fetch("SELECT DISTINCT model FROM checkpoints ORDER BY 1")
    assert {row["model"] for row in models} <= {model.name for model in FOLLOWING}
    await assert_whole(own, company)


# ── helpers ────────────────────────────────────────────────────────────────────────────

STOP = asyncio.Event()
ID_OF_A_RUN = "00000000-0000-7000-8000-000000000001"


async def keep_writing(through: Ledger, company: str, prefix: str) -> list[str]:
    """Writes issues down until it is told to stop; the titles of those that were accepted."""
    written: list[str] = []
    while not STOP.is_set():
        title = f"{prefix}{len(written)}"
        outcome = await submit(through, company, create(title))
        written.append(issue_of(outcome).title)
        try:
            await submit(through, company, comment(issue_of(outcome).id))
        except Refused as error:
            raise AssertionError("a command was refused beside a rebuild") from error
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
        "SELECT relname, relowner::regrole::text, array_to_string(array(SELECT unnest(relacl)::text "
        "ORDER BY 1), ','), array_to_string(reloptions, ',') FROM pg_class "
        "WHERE relnamespace = 'ledger'::regnamespace AND relkind = 'r'"
    )
    log_rows = (*columns, *indexes, *constraints, *tables)
    return sorted(tuple(str(value) for value in row.values()) for row in log_rows)
