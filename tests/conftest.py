"""What every test shares: one real Postgres for the session, and a fresh company each.

Tests run on the embedded Postgres, or on LEDGER_TEST_DATABASE_URL where one is given. A
test that rebuilds, counts or breaks things asks for a database of its own.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import asyncpg
import pytest
import pytest_asyncio
from aiohttp import web

from api.app import LIMITS, build_app
from api.wiring import FOLLOWING, Ledger, open_ledger
from ledger.actors import Actor, Role
from ledger.database import install_schema, reader_pool
from ledger.embedded_postgres import postgres
from ledger.ids import new_id
from projections.projector import Projector
from projections.queries import Queries
from tests.client import Client
from tests.writing import eventually

NewDatabase = Callable[[], Awaitable[str]]
NewClient = Callable[..., Awaitable[Client]]


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The superuser's URL of a running Postgres."""
    given = os.environ.get("LEDGER_TEST_DATABASE_URL")
    if given:
        yield given
        return
    data_dir: Path = tmp_path_factory.mktemp("postgres")
    with postgres(data_dir) as url:
        yield url


@pytest_asyncio.fixture(scope="session")
async def database_url(server_url: str) -> str:
    """A database with the schema, shared by the session's tests."""
    return await _new_database(server_url)


@pytest.fixture(scope="session")
def new_database(server_url: str) -> NewDatabase:
    """Makes databases, each with the schema and nobody else in it."""
    return lambda: _new_database(server_url)


@pytest_asyncio.fixture(scope="session")
async def ledger(database_url: str) -> AsyncIterator[Ledger]:
    """An open ledger, shared by the session's tests."""
    async with open_ledger(database_url) as opened:
        yield opened


@pytest_asyncio.fixture
async def company(ledger: Ledger) -> str:
    """A company of the test's own."""
    return await ledger.create_company("Acme")


@pytest_asyncio.fixture(scope="session")
async def projector(database_url: str) -> AsyncIterator[Projector]:
    """A projector that follows the shared database, once it has caught up with who was there."""
    pool = await reader_pool(database_url, len(FOLLOWING) + 2, synchronous_commit="off")
    following = Projector(pool, FOLLOWING)
    task = asyncio.create_task(following.run())

    async def is_at_the_end() -> bool:
        lags = await Queries(pool).freshness.lags([model.name for model in FOLLOWING])
        return all(row["events_behind"] == 0 for row in lags)

    await eventually(is_at_the_end, 120)
    yield following
    following.stop()
    await task
    await pool.close()


@pytest_asyncio.fixture(scope="session")
async def base_url(ledger: Ledger, projector: Projector) -> AsyncIterator[str]:
    """The URL of the real HTTP server over the shared ledger, in this process."""
    runner = web.AppRunner(build_app(ledger), access_log=None, **LIMITS)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert runner.addresses
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest_asyncio.fixture(scope="session")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """One client session for all tests."""
    connector = aiohttp.TCPConnector(limit=200)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


@pytest.fixture
def new_client(ledger: Ledger, base_url: str, http: aiohttp.ClientSession) -> NewClient:
    """Makes clients: `await new_client(company, role=Role.AGENT, actor="agent:one")`."""

    async def make(company: str, role: Role = Role.OWNER, actor: str = "user:alice") -> Client:
        _, key, named = await ledger.create_key(company, role, Actor.parse(actor))
        return Client(http, base_url, company, key, named)

    return make


@pytest_asyncio.fixture
async def owner(new_client: NewClient, company: str) -> Client:
    """The client of an owner of the test's company."""
    return await new_client(company)


async def _new_database(server_url: str) -> str:
    name = f"test_{new_id().replace('-', '')}"
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()
    url = urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    await install_schema(url)
    return url
