"""Reading the log: events in position order, in short statements.

Whoever reads long (a rebuild, an export, a proof) reads page by page, because one open
snapshot makes every update of the company's row dearer for as long as it lasts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import NamedTuple

import asyncpg

from ledger.actors import Actor
from ledger.codec import canonical, decode
from ledger.database import Connection, Pool
from ledger.events import Json, Recorded
from ledger.sql import beside

_SQL = beside(__file__)
PAGE = 1000
"""Events a page, unless asked otherwise."""


class Stored(NamedTuple):
    """An event with what proves it; data and schema_version as they were written."""

    recorded: Recorded
    schema_version: int
    data: dict[str, Json]
    salt: bytes
    data_hash: bytes
    leaf: bytes

    @property
    def canonical_data(self) -> bytes:
        """The bytes that data_hash was computed from, made anew from the row."""
        return canonical(self.data)


class End(NamedTuple):
    """Where a company's log ends."""

    company_id: str
    position: int
    epoch: int
    last_at: datetime


async def head(connection: Connection | Pool, company_id: str) -> int | None:
    """The position of the last event; None if there is no such company."""
    position: int | None = await connection.fetchval(_SQL.head, company_id)
    return position


async def position_at(connection: Connection | Pool, company_id: str, moment: datetime) -> int:
    """How many events were recorded by a moment: the position of the last of them, or 0.

    A batch has its time before it commits. So where the moment is not before the last event, the
    batch that is under way is waited for: what comes after it has a later time than this call.
    """
    await connection.fetchval(_SQL.settled, company_id, moment)
    return int(await connection.fetchval(_SQL.position_at, company_id, moment) or 0)


async def ends(connection: Connection | Pool) -> list[End]:
    """Where each company's log ends, in the order in which their locks are taken."""
    return [
        End(row["company_id"], row["head"], row["epoch"], row["last_at"])
        for row in await connection.fetch(_SQL.ends)
    ]


async def page(
    connection: Connection | Pool,
    company_id: str,
    after: int,
    *,
    limit: int = PAGE,
    until: int | None = None,
    stream_id: str | None = None,
    types: list[str] | None = None,
    with_keys: bool = True,
) -> list[Stored]:
    """Events after a position, oldest first; `until` is the last position wanted.

    Those of API keys are left out unless `with_keys`.
    """
    rows = await connection.fetch(
        _SQL.page, company_id, after, limit, until, stream_id, types, with_keys
    )
    return [stored_from(row) for row in rows]


async def since(
    connection: Connection | Pool, company_id: str, stream_id: str, version: int, limit: int
) -> list[Stored]:
    """What happened in one stream after a version of it, oldest first."""
    rows = await connection.fetch(_SQL.since, company_id, stream_id, version, limit)
    return [stored_from(row) for row in rows]


async def walk(
    connection: Connection | Pool,
    company_id: str,
    after: int = 0,
    *,
    until: int | None = None,
    stream_id: str | None = None,
) -> AsyncIterator[Stored]:
    """Every event after a position, page by page, up to `until` or the head at the end."""
    while True:
        events = await page(connection, company_id, after, until=until, stream_id=stream_id)
        for stored in events:
            yield stored
        if len(events) < PAGE:
            return
        after = events[-1].recorded.position


async def first_names(
    connection: Connection | Pool, company_id: str, stream_ids: list[str]
) -> dict[str, str]:
    """What streams were called when they began: an issue's identifier, an entry's name."""
    rows = await connection.fetch(_SQL.first_names, company_id, stream_ids)
    return {row["stream_id"]: row["name"] for row in rows if row["name"]}


class Unreadable(Exception):
    """A row of the log is no event of ours, by its type or by its data."""


def stored_from(row: asyncpg.Record) -> Stored:
    """The event that a row of the log holds; raises Unreadable, naming its position."""
    try:
        return _stored_from(row)
    except (ValueError, TypeError, KeyError) as error:
        raise Unreadable(f"Position {row['position']} cannot be read: {error}") from error


def _stored_from(row: asyncpg.Record) -> Stored:
    behalf = row["on_behalf_of"]
    recorded = Recorded(
        company_id=row["company_id"],
        position=row["position"],
        stream_id=row["stream_id"],
        version=row["version"],
        event_id=row["event_id"],
        event=decode(row["type"], row["schema_version"], row["data"]),
        actor=Actor(row["actor_type"], row["actor_id"]),
        on_behalf_of=Actor.parse(behalf) if behalf else None,
        key_id=row["key_id"],
        command_id=row["command_id"],
        correlation_id=row["correlation_id"],
        causation_id=row["causation_id"],
        run_id=row["run_id"],
        recorded_at=row["recorded_at"],
        occurred_at=row["occurred_at"],
        via=row["via"],
    )
    return Stored(
        recorded, row["schema_version"], row["data"], row["salt"], row["data_hash"], row["leaf"]
    )
