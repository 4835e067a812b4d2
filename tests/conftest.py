"""What every test shares: one real Postgres for the session, and a fresh company each.

Tests run on the embedded Postgres, or on LEDGER_TEST_DATABASE_URL where one is given. A
test that needs a database of its own asks for `fresh_database`.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import pytest_asyncio

from api.wiring import Ledger, open_ledger
from ledger.database import install_schema
from ledger.embedded_postgres import postgres
from ledger.ids import new_id


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


@pytest.fixture
def fresh_database(server_url: str) -> Callable[[], object]:
    """Makes databases of their own for tests that rebuild, count or break things."""
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


async def _new_database(server_url: str) -> str:
    name = f"test_{new_id().replace('-', '')}"
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()
    parts = urlsplit(server_url)
    url = urlunsplit(parts._replace(path=f"/{name}"))
    await install_schema(url)
    return url
