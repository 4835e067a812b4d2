"""The projector: whatever kills it, whoever else moves the model, each event counts once.

Activity has a row for each event; cost_sums are sums, where an event that counted twice would
show.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from api.demo import play
from api.wiring import FOLLOWING, Ledger, open_ledger
from ledger.database import LOST, Connection, connect, reader_pool
from ledger.errors import ReadModelBehind
from ledger.events import Recorded
from projections.activity import Activity
from projections.costs import Costs
from projections.projector import (
    LEASE_SECONDS,
    FollowingModel,
    Overtaken,
    Projector,
    step,
    steps,
)
from projections.queries import Queries
from projections.queries.activity import ActivityFilter, Span
from projections.queries.costs import CostFilter
from tests.conftest import _new_database
from tests.proxy import Fate, Proxy
from tests.writing import create, eventually, someone_waits, submit, superuser

_ROOT = Path(__file__).parents[1]


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
async def acme(own: Ledger) -> str:
    """A company of the test's own, whose agents have worked: two hundred events, and costs."""
    company = await own.create_company("Acme")
    await play(own, company, agents=4, issues=20, seed=1)
    return company


# ── killed anywhere ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("fate", [Fate.CUT_BEFORE, Fate.CUT_AFTER], ids=["before", "after"])
@pytest.mark.parametrize("model", FOLLOWING, ids=lambda model: str(model.name))
async def test_a_step_that_is_cut_at_any_statement_has_happened_or_has_not(
    url: str, own: Ledger, acme: str, model: FollowingModel, fate: Fate
) -> None:
    """From BEGIN to COMMIT, each statement in turn is the last one of a connection."""
    async with Proxy(url) as proxy:
        for n in range(12):
            connection = await connect(proxy.url)
            proxy.arrange(fate, "", skip=n)
            try:
                while await step(connection, model, acme, limit=7):
                    pass
            except (*LOST, asyncpg.PostgresError):
                pass
            finally:
                connection.terminate()
    await catch_up(url, acme)
    await assert_exact(own, acme)


async def test_a_projector_whose_sessions_are_ended_all_the_time_is_exact(
    url: str, own: Ledger
) -> None:
    """An administrator ends its backends every few milliseconds while agents work."""
    company = await own.create_company("Acme")
    pool = await reader_pool(url, 6, application_name="victim")
    projector = Projector(pool, FOLLOWING, poll_seconds=0.02)
    following = asyncio.create_task(projector.run())
    working = asyncio.create_task(play(own, company, agents=4, issues=40, seed=2))
    dice = random.Random(2)
    async with superuser(url) as administrator:
        for _ in range(40):
            await asyncio.sleep(dice.random() / 20)
            await administrator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'victim' AND datname = current_database()"
            )
    await working
    await follow_to_the_head(own, company)
    assert not following.done()
    projector.stop()
    await following
    await pool.close()
    await assert_exact(own, company)


async def test_a_projector_that_is_cancelled_anywhere_is_exact(url: str, own: Ledger) -> None:
    """Tasks are cancelled in the middle of whatever they do, and others take over."""
    company = await own.create_company("Acme")
    working = asyncio.create_task(play(own, company, agents=4, issues=40, seed=3))
    dice = random.Random(3)
    for _ in range(25):
        pool = await reader_pool(url, 6)
        following = asyncio.create_task(Projector(pool, FOLLOWING, poll_seconds=0.01).run())
        await asyncio.sleep(dice.random() / 20)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        pool.terminate()
        await let_leases_run_out(url)
    await working
    await catch_up(url, company)
    await assert_exact(own, company)


async def test_a_projector_process_that_is_killed_again_and_again_is_exact(
    url: str, own: Ledger
) -> None:
    """Six times kill -9, at any moment, while agents work."""
    company = await own.create_company("Acme")
    working = asyncio.create_task(keep_playing(own, company))
    dice = random.Random(4)
    for _ in range(6):
        before = await positions(own, company)
        process = projector_process(url)
        try:
            await eventually(lambda before=before: has_moved(own, company, before))  # type: ignore[misc]
            await asyncio.sleep(dice.random() / 5)
        finally:
            process.kill()
            process.communicate()
        await let_leases_run_out(url)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    await catch_up(url, company)
    await assert_exact(own, company)


async def test_a_projector_process_leaves_when_it_is_told_to(url: str, own: Ledger) -> None:
    """Closing its standard input ends it, with its lease given up and everything exact."""
    company = await own.create_company("Acme")
    process = projector_process(url)
    try:
        await play(own, company, agents=2, issues=5)
        await follow_to_the_head(own, company)
        assert process.stdin is not None
        process.stdin.close()
        assert await asyncio.to_thread(process.wait, 30) == 0
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()
    leases = await own.readers.fetchval(
        "SELECT count(*) FROM projector_leases WHERE expires_at > clock_timestamp()"
    )
    assert leases == 0
    await assert_exact(own, company)


async def test_a_projector_survives_a_database_that_goes_away(
    url: str, own: Ledger, acme: str
) -> None:
    """It waits, and goes on where it was when the database is back."""
    async with Proxy(url) as proxy:
        pool = await reader_pool(proxy.url, 6)
        projector = Projector(pool, FOLLOWING, poll_seconds=0.02)
        following = asyncio.create_task(projector.run())
        await follow_to_the_head(own, acme)
        proxy.shut()
        await submit(own, acme, create("meanwhile"))
        await asyncio.sleep(0.3)
        proxy.reopen()
        await follow_to_the_head(own, acme)
        projector.stop()
        await following
        await pool.close()
    await assert_exact(own, acme)


# ── two at once ────────────────────────────────────────────────────────────────────────


async def test_two_projectors_at_once_are_exact(url: str, own: Ledger) -> None:
    """The lease lets one work; the other takes over when that one leaves."""
    company = await own.create_company("Acme")
    pools = [await reader_pool(url, 6) for _ in range(2)]
    first, second = (Projector(pool, FOLLOWING, poll_seconds=0.02) for pool in pools)
    tasks = [asyncio.create_task(projector.run()) for projector in (first, second)]
    await play(own, company, agents=4, issues=20, seed=5)
    await follow_to_the_head(own, company)
    first.stop()
    await tasks[0]
    await play(own, company, agents=4, issues=20, seed=6)
    await follow_to_the_head(own, company, LEASE_SECONDS * 3)
    second.stop()
    await tasks[1]
    for pool in pools:
        await pool.close()
    await assert_exact(own, company)


async def test_movers_without_a_lease_do_each_other_no_harm(
    url: str, own: Ledger, acme: str
) -> None:
    """Four move the same model in small steps: each page is written by one of them."""
    connections = [await connect(url) for _ in range(4)]

    async def move(connection: Connection, model: FollowingModel) -> None:
        while await step(connection, model, acme, limit=5):
            pass

    for model in FOLLOWING:
        await asyncio.gather(*(move(connection, model) for connection in connections))
    for connection in connections:
        await connection.close()
    await assert_exact(own, acme)


@pytest.mark.parametrize("meanwhile", ["epoch = epoch + 1", "position = 20"])
async def test_a_mover_goes_on_from_where_the_model_is_now(
    url: str, own: Ledger, acme: str, meanwhile: str
) -> None:
    """A step that had to wait for a rebuild, or for another mover, does not write its pages."""
    mover = await connect(url)
    assert await step(mover, Activity(), acme, limit=10) == 10
    async with superuser(url) as owner:
        async with owner.transaction():
            await owner.execute(f"UPDATE checkpoints SET {meanwhile} WHERE company_id = $1", acme)
            moving = asyncio.create_task(step(mover, Activity(), acme, limit=10))
            await someone_waits(url)
            at = await owner.fetchval(
                "SELECT position FROM checkpoints WHERE company_id = $1", acme
            )
        try:
            assert await moving == at + 10
        except Overtaken:
            assert await step(mover, Activity(), acme, limit=10) == at + 10
        written = await owner.fetch(
            "SELECT position FROM activity WHERE company_id = $1 ORDER BY position", acme
        )
    await mover.close()
    assert [row["position"] for row in written] == [*range(1, 11), *range(at + 1, at + 11)]


class Faulty(Activity):
    """Activity, with a bug in it: it fails on every page that has an event of a company."""

    def __init__(self, company: str) -> None:
        self._company = company

    async def save(
        self, connection: Connection, company_id: str, recorded: Sequence[Recorded]
    ) -> None:
        """Writes the page, and fails."""
        await super().save(connection, company_id, recorded)
        if company_id == self._company:
            raise RuntimeError("a bug")


async def test_a_page_is_read_once_for_all_models_that_stand_before_it(
    url: str, own: Ledger, acme: str
) -> None:
    """And once more for one that stands elsewhere."""
    connection = await connect(url)
    try:
        reading: Any = Reading(connection)
        found = await steps(reading, FOLLOWING, acme, limit=50)
        assert [len(one.events) for one in found] == [50] * len(FOLLOWING)
        assert reading.pages == 1
        await found[0].take(connection)
        found = await steps(reading, FOLLOWING, acme, limit=50)
        assert sorted({one.position for one in found}) == [0, 50]
        assert reading.pages == 3
    finally:
        await connection.close()


class Reading:
    """A connection that counts the pages that are read from the log."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.pages = 0

    async def fetch(self, statement: str, *values: Any) -> Any:
        """Rows."""
        self.pages += "FROM events" in statement
        return await self._connection.fetch(statement, *values)


async def test_a_model_that_fails_stops_neither_the_others_nor_other_companies(
    url: str, own: Ledger, acme: str
) -> None:
    """A bug is logged and tried again; the page that it spoilt is undone as a whole."""
    other = await own.create_company("Other")
    pool = await reader_pool(url, 6)
    projector = Projector(pool, [Faulty(acme), Costs()], poll_seconds=0.02)
    following = asyncio.create_task(projector.run())
    queries = Queries(own.readers)
    await queries.freshness.wait_for(acme, "costs", 30)
    await queries.freshness.wait_for(other, "activity", 30)
    assert not following.done()
    projector.stop()
    await following
    await pool.close()
    assert (await positions(own, acme)).get("activity", 0) == 0
    await catch_up(url, acme)
    await assert_exact(own, acme)


# ── queries that wait ──────────────────────────────────────────────────────────────────


async def test_a_query_sees_every_command_acknowledged_before_it(url: str, own: Ledger) -> None:
    """It waits until its model has reached the head that it saw when it began."""
    company = await own.create_company("Acme")
    queries = Queries(own.readers)
    pool = await reader_pool(url, 6)
    projector = Projector(pool, FOLLOWING)
    following = asyncio.create_task(projector.run())
    for n in range(30):
        outcome = await submit(own, company, create(str(n)))
        assert await queries.freshness.wait_for(company, "activity", 30) >= outcome.position
        (newest,) = await queries.activity.page(company, ActivityFilter(), Span(), 1, newest=True)
        assert newest["position"] == outcome.position
    projector.stop()
    await following
    await pool.close()


async def test_a_query_does_not_wait_for_ever(own: Ledger, acme: str) -> None:
    """Nobody moves the model: after the bound the caller hears how far it is."""
    queries = Queries(own.readers)
    head = await queries.freshness.head(acme)
    for model in FOLLOWING:
        with pytest.raises(ReadModelBehind) as behind:
            await queries.freshness.wait_for(acme, model.name, 0.2)
        assert behind.value.facts == {"position": 0, "head": head}


async def test_a_query_that_waits_goes_on_when_the_model_is_there(
    url: str, own: Ledger, acme: str
) -> None:
    """A projector that comes in time is in time."""
    queries = Queries(own.readers)
    waiting = asyncio.create_task(queries.freshness.wait_for(acme, "costs", 30))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await catch_up(url, acme)
    assert await waiting == await queries.freshness.head(acme)
    total = (await queries.costs.sums(acme, CostFilter(), [], 1))[0]
    assert total["reports"] == await own.readers.fetchval(
        "SELECT count(*) FROM events WHERE company_id = $1 AND type = 'run.cost_reported'", acme
    )


# ── helpers ────────────────────────────────────────────────────────────────────────────


def projector_process(url: str) -> subprocess.Popen[bytes]:
    """A projector as the supervisor starts it."""
    return subprocess.Popen(
        [sys.executable, "-m", "api.following"],
        cwd=_ROOT,
        env={**os.environ, "LEDGER_DATABASE_URL": url},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


async def keep_playing(own: Ledger, company: str) -> None:
    """Agents at work until they are told to stop."""
    seed = 0
    while True:
        seed += 1
        await play(own, company, agents=2, issues=3, seed=seed)
        await asyncio.sleep(0.01)


async def positions(own: Ledger, company: str) -> dict[str, int]:
    """How far each model is."""
    rows = await own.readers.fetch(
        "SELECT model, position FROM checkpoints WHERE company_id = $1 ORDER BY model", company
    )
    return {row["model"]: row["position"] for row in rows}


async def has_moved(own: Ledger, company: str, before: dict[str, int]) -> bool:
    """Whether every model is further than it was."""
    now = await positions(own, company)
    return all(now.get(m.name, 0) > before.get(m.name, 0) for m in FOLLOWING)


async def let_leases_run_out(url: str) -> None:
    """What five seconds of silence would do."""
    async with superuser(url) as owner:
        await owner.execute("UPDATE projector_leases SET expires_at = beat_at")


async def follow_to_the_head(own: Ledger, company: str, seconds: float = 30) -> None:
    """Returns once both models are where the log ends."""
    for model in FOLLOWING:
        await Queries(own.readers).freshness.wait_for(company, model.name, seconds)


async def catch_up(url: str, company: str) -> None:
    """Moves both models to where the log ends."""
    connection = await connect(url)
    for model in FOLLOWING:
        while await step(connection, model, company):
            pass
    await connection.close()


async def assert_exact(own: Ledger, company: str) -> None:
    """Each event has its one row of activity, each report counts once, sums are sums."""
    pool = own.readers
    assert await pool.fetch(
        "SELECT position, event_id, type FROM activity WHERE company_id = $1 ORDER BY position",
        company,
    ) == await pool.fetch(
        "SELECT position, event_id, type FROM events WHERE company_id = $1 ORDER BY position",
        company,
    )
    told = await pool.fetch(
        "SELECT position, stream_id, data ->> 'model', (data ->> 'input_tokens')::bigint "
        "- coalesce((data ->> 'from_input_tokens')::bigint, 0), (data ->> 'cost_micros')::bigint "
        "- coalesce((data ->> 'from_cost_micros')::bigint, 0) "
        "FROM events WHERE company_id = $1 AND type LIKE 'run.cost\\_%' ORDER BY position",
        company,
    )
    entries = await pool.fetch(
        "SELECT position, run_id, model, input_tokens, cost_micros "
        "FROM cost_entries WHERE company_id = $1 ORDER BY position",
        company,
    )
    assert [tuple(row.values()) for row in entries] == [tuple(row.values()) for row in told]
    assert entries
    added_up = await pool.fetch(
        "SELECT day, agent_id, coalesce(team_id::text, '') AS team, "
        "coalesce(project_id::text, '') AS project, provider, model, "
        "count(*) FILTER (WHERE corrects_position IS NULL) AS reports, "
        "sum(input_tokens)::bigint AS input_tokens, sum(output_tokens)::bigint AS output_tokens, "
        "sum(cached_tokens)::bigint AS cached_tokens, sum(cost_micros)::bigint AS cost_micros, "
        "coalesce(sum(cost_micros) FILTER (WHERE run_id IN "
        "(SELECT run_id FROM cost_rework WHERE company_id = $1)), 0)::bigint AS rework_micros "
        "FROM cost_entries WHERE company_id = $1 GROUP BY 1, 2, 3, 4, 5, 6 "
        "ORDER BY 1, 2, 3, 4, 5, 6",
        company,
    )
    sums = await pool.fetch(
        "SELECT day, agent_id, team, project, provider, model, reports, input_tokens, "
        "output_tokens, cached_tokens, cost_micros, rework_micros "
        "FROM cost_sums WHERE company_id = $1 AND level = 'each' ORDER BY 1, 2, 3, 4, 5, 6",
        company,
    )
    assert sums == added_up
