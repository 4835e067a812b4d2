"""Databases that are there for one measurement, on the server that all of them share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from ledger.database import install_schema
from ledger.ids import new_id


@asynccontextmanager
async def database_of_its_own(url: str) -> AsyncIterator[str]:
    """A new database beside that of `url`, with the schema; gone afterwards."""
    name = f"bench_{new_id().replace('-', '')}"
    await execute(url, f'CREATE DATABASE "{name}"')
    try:
        another = urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
        await install_schema(another)
        yield another
    finally:
        await execute(url, f'DROP DATABASE "{name}" WITH (FORCE)')


async def execute(url: str, statement: str) -> None:
    """Carries out one statement on a connection of its own."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
