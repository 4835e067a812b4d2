"""Rebuild: read models made anew from the log, then exchanged for the live ones.

The long part runs in short transactions beside a working server and may be interrupted. The
exchange is one transaction with no company writing: catch up the rest, compare digests, swap
the tables, raise the epochs, so that no process goes on with what it knew. If the lock is not
had quickly, it lets everybody pass and tries again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import asyncpg
import structlog

from ledger import log
from ledger.database import connect
from ledger.ids import new_id
from ledger.sql import beside
from projections.projector import step
from projections.shadow import Models, Shadow, digests

_SQL = beside(__file__)
_LOG = structlog.get_logger(__name__)
SCHEMA = "ledger_rebuild"
LEASE_SECONDS = 60.0

Progress = Callable[[int, int], None]
"""Hears how many events are done, and how many there are."""


class RebuildRefused(Exception):
    """Another rebuild is under way, or the exchange found no quiet moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """One table: its digests before and after, which are equal unless the old one was wrong."""

    table: str
    rows: int
    sha256: str
    was_equal: bool


async def rebuild(
    url: str, models: Models, wanted: Models, *, progress: Progress = lambda done, total: None
) -> list[Rebuilt]:
    """Rebuilds the wanted models of every company; resumes a rebuild that was interrupted.

    Raises RebuildRefused when another one is under way.
    """
    lease = await connect(url, "ledger_owner")
    holder = new_id()
    try:
        await _hold(lease, holder)
        shadow = await Shadow.open(url, SCHEMA, models, wanted)
        try:
            await _write(shadow, lease, holder, progress)
            rebuilt = await _exchange(shadow)
        except BaseException:
            await shadow.close()  # Kept: the next rebuild goes on from here.
            raise
        await shadow.close(drop=True)
        return rebuilt
    finally:
        await lease.execute(_SQL.give_up_lease, holder)
        await lease.close()


async def abandon(url: str) -> None:
    """Takes away what an interrupted rebuild left, so that the next one begins anew."""
    connection = await connect(url, "ledger_owner")
    try:
        await connection.execute(f'DROP SCHEMA IF EXISTS "{SCHEMA}" CASCADE')
    finally:
        await connection.close()


async def _hold(lease: asyncpg.Connection, holder: str) -> None:
    if await lease.fetchval(_SQL.hold_lease, holder, LEASE_SECONDS) is None:
        raise RebuildRefused("Another rebuild is under way; wait for it, or for its lease to end.")


async def _write(
    shadow: Shadow, lease: asyncpg.Connection, holder: str, progress: Progress
) -> None:
    """The long part: page by page, company by company, until the logs' ends of now."""
    ends = await log.ends(shadow.connection)
    total = sum(end.position for end in ends)
    before = 0
    for end in ends:
        while True:
            await _hold(lease, holder)
            more = await shadow.page(end.company_id)
            position = await shadow.position(end.company_id)
            progress(before + min(position, end.position), total)
            if not more or position >= end.position:
                break
        before += end.position


async def _exchange(shadow: Shadow, attempts: int = 30) -> list[Rebuilt]:
    for _ in range(attempts):
        for end in await log.ends(shadow.connection):
            await shadow.catch_up(end.company_id)
        try:
            async with shadow.connection.transaction():
                return await _swap(shadow)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            _LOG.info("exchange_waits")
            await asyncio.sleep(1.0)
    raise RebuildRefused("The exchange found no quiet moment; run the rebuild again to go on.")


async def _swap(shadow: Shadow) -> list[Rebuilt]:
    connection, wanted = shadow.connection, shadow.wanted
    names = [model.name for model in wanted.following]
    await connection.execute(_SQL.short_lock_timeout)
    await connection.execute(_SQL.stop_all_writing)
    await connection.fetch(_SQL.stop_projectors, names)
    ends = await log.ends(connection)
    for end in ends:
        await shadow.catch_up(end.company_id)
    await connection.execute(_SQL.see_live_tables)
    for end in ends:
        for model in wanted.following:
            while await step(connection, model, end.company_id):
                pass
    live = await digests(connection, wanted.tables, None)
    await connection.execute(_SQL.see_shadow_tables)
    new = await shadow.digests(None)
    for table in wanted.tables:
        await connection.execute(getattr(_SQL, f"swap_{table}"))
    await connection.execute(_SQL.raise_model_epochs, names)
    if wanted.inline:
        await connection.execute(_SQL.raise_head_epochs)
    return [
        Rebuilt(
            table=table,
            rows=new[table].rows,
            sha256=new[table].sha256,
            was_equal=live[table] == new[table],
        )
        for table in wanted.tables
    ]
