"""Rebuild: read models made anew from the log, then exchanged for the live ones.

The long part runs in short transactions beside a working server and may be interrupted. Then
the digests are compared in one snapshot, which holds no lock. The exchange itself is short: no
company writes while the rest is caught up, the tables are swapped and the epochs raised, so
that no process goes on with what it knew. If its locks are not had quickly, it lets everybody
pass and tries again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import asyncpg
import structlog

from ledger import log
from ledger.database import SCHEMA_VERSION, connect, is_outdated, schema_part
from ledger.ids import new_id
from ledger.sql import beside
from projections.analytics import drop_views, make_roles, make_views
from projections.projector import advance
from projections.shadow import Digest, Models, Shadow

_SQL = beside(__file__)
_LOG = structlog.get_logger(__name__)
SCHEMA = "ledger_rebuild"
LEASE_SECONDS = 60.0
EXCHANGES = 30
"""How often the exchange is tried."""

Progress = Callable[[int, int], None]
"""Hears how many events are done, and how many there are."""


class RebuildRefused(Exception):
    """Another rebuild is under way, or the exchange found no quiet moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """One table, over all companies: equal before and after, unless the old one was wrong."""

    table: str
    rows: int
    was_equal: bool


async def rebuild(
    url: str,
    models: Models,
    names: Sequence[str],
    *,
    restart: bool = False,
    progress: Progress = lambda done, total: None,
) -> list[Rebuilt]:
    """Rebuilds the named models of every company; resumes a rebuild that was interrupted.

    `restart` forgets what an interrupted one did. Raises RebuildRefused when another one is
    under way, KeyError for a model that there is not.
    """
    written = models.written_for(names)
    tables = [t for t in written.tables if _is_wanted(t, models, names)]
    async with _lease(url) as lease:
        if restart:
            await lease.connection.execute(_SQL.forget)
        shadow = await Shadow.open(url, SCHEMA, written)
        try:
            await _write(shadow, lease, progress)
            compared = await _compare(url, shadow)
            await _exchange(shadow, lease, tables)
        finally:
            await shadow.close()  # Interrupted, its tables stay: the next rebuild goes on.
    return [rebuilt for rebuilt in compared if rebuilt.table in tables]


async def migrate(
    url: str, models: Models, *, progress: Progress = lambda done, total: None
) -> bool:
    """Brings the database to this program's schema; False if it is there already.

    The log stays as it is: every read model is written anew from it, in the tables of now, and
    exchanged for the old one together with the schema's version. No server may run meanwhile.
    Raises SchemaError for a schema that is newer than the program, or RebuildRefused.
    """
    if not await is_outdated(url):
        return False
    await make_roles(url)
    async with _lease(url) as lease:
        await lease.connection.execute(schema_part("writing"))
        shadow = await Shadow.open(url, SCHEMA, models)
        try:
            await _write(shadow, lease, progress)
            await _exchange(shadow, lease, shadow.models.tables, SCHEMA_VERSION)
        finally:
            await shadow.close()
    return True


def _is_wanted(table: str, models: Models, names: Sequence[str]) -> bool:
    inline = any(table in m.tables and m.name in names for m in models.inline)
    return inline or any(table in m.tables and m.name in names for m in models.following)


# ── one at a time ──────────────────────────────────────────────────────────────────────


class _Lease:
    """The right to rebuild, renewed for as long as it is held."""

    def __init__(self, connection: asyncpg.Connection, holder: str) -> None:
        self.connection = connection
        self.holder = holder
        self._using = asyncio.Lock()

    async def renew(self) -> None:
        """Takes or renews the lease; raises RebuildRefused when another one has it."""
        async with self._using:
            held = await self.connection.fetchval(_SQL.hold_lease, self.holder, LEASE_SECONDS)
        if held is None:
            raise RebuildRefused("Another rebuild is under way; wait for it to end.")

    async def keep(self) -> None:
        """Renews the lease for ever."""
        while True:
            await asyncio.sleep(LEASE_SECONDS / 6)
            await self.renew()


@contextlib.asynccontextmanager
async def _lease(url: str) -> AsyncIterator[_Lease]:
    holder = new_id()
    connection = await connect(url, "ledger_owner", application_name=f"ledger-rebuild {holder}")
    lease = _Lease(connection, holder)
    try:
        await lease.renew()
        keeping = asyncio.create_task(lease.keep())
        try:
            yield lease
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await connection.execute(_SQL.give_up_lease, lease.holder)
    finally:
        await connection.close()


# ── write, compare, exchange ───────────────────────────────────────────────────────────


async def _write(shadow: Shadow, lease: _Lease, progress: Progress) -> None:
    """The long part: page by page, company by company, until the logs' ends of now."""
    ends = await log.ends(shadow.connection)
    total = sum(end.position for end in ends)
    before = 0
    for end in ends:
        while await shadow.page(end.company_id, await shadow.live_positions(end.company_id)):
            await lease.renew()
            position = await shadow.position(end.company_id)
            progress(before + min(position, end.position), total)
            if position >= end.position:
                break
        before += end.position
    progress(total, total)


async def _compare(url: str, shadow: Shadow) -> list[Rebuilt]:
    """Each table's rows, and whether the live ones were the same at the same position.

    A shadow that an interrupted exchange left may be ahead of models that nobody moved since;
    those are moved on first, as a projector would.
    """
    rows = dict.fromkeys(shadow.models.tables, 0)
    equal = dict.fromkeys(shadow.models.tables, True)
    live_connection = await connect(url, "ledger_owner")
    try:
        for end in await log.ends(live_connection):
            following = shadow.models.following
            ends = {model.name: end.position for model in following}
            while await advance(live_connection, following, end.company_id, until=ends):
                pass
    finally:
        await live_connection.close()
    for end in await log.ends(shadow.connection):
        live, new = await compare(shadow, end.company_id)
        for table in shadow.models.tables:
            rows[table] += new[table].rows
            equal[table] &= live[table] == new[table]
    return [Rebuilt(table=t, rows=rows[t], was_equal=equal[t]) for t in shadow.models.tables]


async def compare(shadow: Shadow, company_id: str) -> tuple[dict[str, Digest], dict[str, Digest]]:
    """The live and the shadow's digests in one snapshot, in which both are as far."""
    async with shadow.connection.transaction(isolation="repeatable_read"):
        await shadow.catch_up(company_id, await shadow.live_positions(company_id))
        new = dict(await shadow.digests(company_id))
        return dict(await shadow.live_digests(company_id)), new


async def _exchange(
    shadow: Shadow, lease: _Lease, tables: Sequence[str], to_version: int | None = None
) -> None:
    for table in tables:  # Until its next analysis, a table is read as the planner guesses.
        await shadow.connection.execute(getattr(_SQL, f"analyze_{table}"))
    for _ in range(EXCHANGES):
        await lease.renew()
        for end in await log.ends(shadow.connection):
            await shadow.catch_up(end.company_id)
        try:
            async with shadow.connection.transaction():
                await _swap(shadow, lease, tables, to_version)
            return
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            _LOG.info("exchange_waits")
            await asyncio.sleep(1.0)
        except asyncpg.DependentObjectsStillExistError as error:
            what = str(error.detail).replace("\n", "; ")
            raise RebuildRefused(
                f"Somebody's own view stands on what is to be exchanged: {what}. "
                "Drop it, and run the rebuild again to go on."
            ) from None
    raise RebuildRefused("The exchange found no quiet moment; run the rebuild again to go on.")


async def _swap(
    shadow: Shadow, lease: _Lease, tables: Sequence[str], to_version: int | None
) -> None:
    connection = shadow.connection
    await connection.execute(_SQL.short_lock_timeout)
    await connection.execute(_SQL.stop_all_writing)
    if str(await connection.fetchval(_SQL.lease_holder)) != lease.holder:
        raise RebuildRefused("Another rebuild took over.")
    names = [m.name for m in shadow.models.following if set(m.tables) & set(tables)]
    await connection.fetch(_SQL.stop_projectors, names)
    for end in await log.ends(connection):
        await shadow.catch_up(end.company_id)
    await connection.execute(_SQL.adopt_positions, names)
    await drop_views(connection)
    for table in tables:
        await connection.execute(getattr(_SQL, f"swap_{table}"))
    await make_views(connection)
    if to_version is not None:
        await connection.execute(schema_part("questions"))
        await connection.execute(_SQL.keep_replies_as_text)
        await connection.execute(_SQL.set_version, to_version)
    await connection.execute(_SQL.raise_epochs)
    await connection.execute(_SQL.forget)  # Without its tables it is nothing to go on with.
