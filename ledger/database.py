"""Connections to Postgres, by purpose, and the schema.

The committer's connections and the readers' are two pools, so that no number of slow
queries keeps a command from being written. Both act as `ledger_app`, which may add events
and never change them; migrations and rebuilds act as `ledger_owner`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import msgspec
import orjson
from asyncpg.pool import PoolConnectionProxy

from ledger.sql import beside

Connection: TypeAlias = "asyncpg.Connection[Any] | PoolConnectionProxy[Any]"
Pool: TypeAlias = "asyncpg.Pool[Any]"

SCHEMA_VERSION = 4
SILENCE_SECONDS = 35.0
"""A server that says nothing for so long is gone; its own limits are shorter."""

_SQL = beside(__file__)
_SEARCH_PATH = "ledger"

LOST = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
)
"""What is raised when a connection, or the server, is gone or has no room."""

UNENCODABLE = (
    asyncpg.exceptions._base.DataError,
    UnicodeEncodeError,
)
"""What is raised, before anything is sent, for a value that Postgres has no form for."""


class SchemaError(Exception):
    """The database is not ours, is newer than this program, or would not keep its word."""


async def connect(url: str, role: str = "ledger_app", **settings: str) -> asyncpg.Connection[Any]:
    """One connection acting as `role`: the ledger's search path, ids as text, JSON as Python."""
    connection = await asyncpg.connect(url, server_settings=_settings(role, settings))
    await _speak_plainly(connection)
    return connection


async def reader_pool(url: str, size: int = 8, **settings: str) -> Pool:
    """A pool for queries; a query that runs for 30 s is stopped."""
    return await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=size,
        init=_speak_plainly,
        command_timeout=SILENCE_SECONDS,
        reset=_nothing,  # Nothing here sets what outlives its transaction.
        server_settings=_settings("ledger_app", {"statement_timeout": "30s", **settings}),
    )


async def committer_pool(url: str, size: int = 8) -> Pool:
    """A pool for command transactions, which may not keep a company's lock for long."""
    return await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=size,
        init=_speak_plainly,
        command_timeout=SILENCE_SECONDS,
        reset=_nothing,  # The committer ends every transaction itself, or the connection.
        server_settings=_settings(
            "ledger_app",
            {
                "idle_in_transaction_session_timeout": "5s",
                "lock_timeout": "10s",
                "statement_timeout": "30s",
                "tcp_keepalives_idle": "10",
                "tcp_keepalives_interval": "5",
                "tcp_keepalives_count": "3",
                # What a command needs is found by its key, however small a table was on the day
                # on which it was planned; and nothing here is worth compiling for.
                "enable_seqscan": "off",
                "jit": "off",
            },
        ),
    )


async def hint_pool(url: str) -> Pool:
    """A connection for hints, which may be lost: nobody waits for the disk for them."""
    return await reader_pool(url, 1, synchronous_commit="off")


async def install_schema(url: str) -> bool:
    """Makes the schema where there is none; True if it did.

    Safe for two programs at once. Raises SchemaError for a schema of another version.
    """
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute(_SQL.one_installer_at_a_time)
            if not await connection.fetchval(_SQL.has_schema):
                # schema.sql is a transaction of its own in psql; here it is part of ours.
                text = schema_path().read_text(encoding="utf-8")
                await connection.execute(text.replace("\nBEGIN;\n", "").replace("\nCOMMIT;\n", ""))
                return True
        if _is_outdated(await connection.fetchval(_SQL.schema_version)):
            raise SchemaError(
                "The database is of an older version of this program; stop its servers, and run "
                "`ledger migrate`."
            )
        return False
    finally:
        await connection.close()


async def is_outdated(url: str) -> bool:
    """Whether there is a schema older than this program's; raises SchemaError for a newer one."""
    connection = await asyncpg.connect(url)
    try:
        if not await connection.fetchval(_SQL.has_schema):
            return False
        return _is_outdated(await connection.fetchval(_SQL.schema_version))
    finally:
        await connection.close()


def _is_outdated(version: int) -> bool:
    if version > SCHEMA_VERSION:
        raise SchemaError(
            f"The database has schema version {version}, this program knows {SCHEMA_VERSION}; "
            "run a newer one."
        )
    return version < SCHEMA_VERSION


async def refuse_unsafe(url: str) -> None:
    """Raises SchemaError for a server that may lose what it has acknowledged."""
    connection = await asyncpg.connect(url)
    try:
        off = [
            str(row["name"])
            for row in await connection.fetch(_SQL.durability)
            if row["setting"] == "off"
        ]
    finally:
        await connection.close()
    if off:
        raise SchemaError(
            f"Postgres runs with {' and '.join(off)} off: a crash could lose acknowledged "
            "commands. Turn it on, or serve with --unsafe."
        )


def schema_path() -> Path:
    """Where schema.sql is: inside an installed package, or at the root of a checkout."""
    here = Path(__file__).parent
    packaged = here / "schema.sql"
    return packaged if packaged.exists() else here.parent / "schema.sql"


def schema_part(name: str) -> str:
    """What schema.sql says between `-- begin NAME` and `-- end NAME`; it may be said again."""
    text = schema_path().read_text(encoding="utf-8")
    return text.partition(f"-- begin {name}\n")[2].partition(f"-- end {name}\n")[0]


def _settings(role: str, settings: dict[str, str]) -> dict[str, str]:
    return {
        "role": role,
        "search_path": _SEARCH_PATH,
        "timezone": "UTC",
        "datestyle": "ISO",
        "bytea_output": "hex",
        "application_name": "ledger",
        **settings,
    }


async def _speak_plainly(connection: Any) -> None:
    """Has ids as text, as all of this program has them, and JSON as Python's own values."""
    await connection.set_type_codec(
        "uuid", schema="pg_catalog", encoder=str, decoder=str, format="text"
    )
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_as_text, decoder=orjson.loads
    )


def _as_text(value: Any) -> str:
    """JSON that is encoded already, or what is to be: a list of states, say, as rows."""
    if isinstance(value, str):
        return value
    return (value if isinstance(value, bytes) else msgspec.json.encode(value)).decode()


def as_bytea(value: bytes) -> str:
    """Bytes as JSON can hold them and Postgres reads them."""
    return "\\x" + value.hex()


async def _nothing(connection: Any) -> None:
    """No reset between uses."""
