"""Moves following read models along the log.

A step is one transaction: a page of events becomes rows, and the checkpoint moves from where
it was found, compare-and-set on position and epoch. A projector killed anywhere has done a
step or has not; two that move the same model undo each other's second attempt, never double
it. The lease only keeps them from trying, and its beat tells that somebody is alive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

import asyncpg
import structlog

from ledger import log
from ledger.database import LOST, Connection, Pool
from ledger.events import Recorded
from ledger.ids import new_id
from ledger.notify import CHANNEL
from ledger.sql import beside

_SQL = beside(__file__)
_LOG = structlog.get_logger(__name__)
LEASE_SECONDS = 5.0


class FollowingModel(Protocol):
    """A read model that is written after the fact, event page by event page."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that it keeps."""

    async def save(
        self, connection: Connection, company_id: str, recorded: Sequence[Recorded]
    ) -> None:
        """Writes what a page of events adds; called once for each event, in order."""


class Overtaken(Exception):
    """Somebody else moved the model meanwhile; this step must not count."""


async def step(
    connection: Connection,
    model: FollowingModel,
    company_id: str,
    *,
    limit: int = log.PAGE,
    until: int | None = None,
) -> int:
    """Moves a model by one page and returns its new position, or 0 if it was at the end.

    The end is the log's, or the position `until`. Raises Overtaken, having changed nothing,
    when the checkpoint moved under its hands.
    """
    async with connection.transaction():
        await connection.execute(_SQL.begin_checkpoint, company_id, model.name)
        row = await connection.fetchrow(_SQL.checkpoint, company_id, model.name)
        assert row is not None
        events = await log.page(connection, company_id, row["position"], limit=limit, until=until)
        if not events:
            return 0
        recorded = [stored.recorded for stored in events]
        await model.save(connection, company_id, recorded)
        to = recorded[-1].position
        moved = await connection.fetchval(
            _SQL.move_checkpoint, company_id, model.name, row["position"], row["epoch"], to
        )
        if moved is None:
            raise Overtaken(model.name)
        return to


class Projector:
    """Follows every company with every model until it is told to stop."""

    def __init__(
        self, pool: Pool, models: Sequence[FollowingModel], *, poll_seconds: float = 0.5
    ) -> None:
        """`poll_seconds` is how long a hint may be lost without anybody noticing."""
        self._pool = pool
        self._models = tuple(models)
        self._poll_seconds = poll_seconds
        self._id = new_id()
        self._hint = {model.name: asyncio.Event() for model in models}
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Follows until `stop`; survives a database that goes away and comes back."""
        listener = asyncio.create_task(self._listen())
        try:
            await asyncio.gather(*(self._follow(model) for model in self._models))
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)

    def stop(self) -> None:
        """Ends `run` after the steps under way."""
        self._stopping.set()
        self._wake()

    def _wake(self, *_: object) -> None:
        for hint in self._hint.values():
            hint.set()

    async def _follow(self, model: FollowingModel) -> None:
        hint = self._hint[model.name]
        while not self._stopping.is_set():
            hint.clear()
            try:
                if await self._catch_up(model):
                    continue
            except (*LOST, asyncpg.PostgresError, TimeoutError) as error:
                _LOG.warning("projector_stalled", model=model.name, error=repr(error))
                await asyncio.sleep(self._poll_seconds)
            except Exception:
                _LOG.exception("projector_failed", model=model.name)
                await asyncio.sleep(self._poll_seconds)
            await self._rest(hint)
        await self._give_up_lease(model.name)

    async def _rest(self, hint: asyncio.Event) -> None:
        try:
            await asyncio.wait_for(hint.wait(), self._poll_seconds)
        except TimeoutError:
            return

    async def _catch_up(self, model: FollowingModel) -> bool:
        """One step for each company that is behind; whether there was any."""
        async with self._pool.acquire() as connection:
            if not await self._has_lease(connection, model.name):
                return False
            behind = await connection.fetch(_SQL.behind, model.name)
            moved = 0
            for row in behind:
                if self._stopping.is_set():
                    break
                moved += await self._step(connection, model, str(row["company_id"]))
                await self._has_lease(connection, model.name)
        return moved > 0

    async def _step(self, connection: Any, model: FollowingModel, company_id: str) -> int:
        """One step; what goes wrong in one company is not the others' delay."""
        try:
            return await step(connection, model, company_id)
        except Overtaken:
            _LOG.info("projector_overtaken", model=model.name, company_id=company_id)
        except LOST:
            raise
        except Exception:
            _LOG.exception("projector_failed", model=model.name, company_id=company_id)
        return 0

    async def _has_lease(self, connection: Any, model: str) -> bool:
        holder = await connection.fetchval(_SQL.hold_lease, model, self._id, LEASE_SECONDS)
        return str(holder) == self._id

    async def _give_up_lease(self, model: str) -> None:
        try:
            await self._pool.execute(_SQL.give_up_lease, model, self._id)
        except (*LOST, asyncpg.PostgresError) as error:
            _LOG.warning("lease_kept", model=model, error=repr(error))

    async def _listen(self) -> None:
        """Wakes the followers when a log grows; without it they poll."""
        while True:
            try:
                async with self._pool.acquire() as connection:
                    await connection.add_listener(CHANNEL, self._heard)
                    try:
                        while not connection.is_closed():  # noqa: ASYNC110
                            await asyncio.sleep(self._poll_seconds)
                    finally:
                        await connection.remove_listener(CHANNEL, self._heard)
            except (*LOST, asyncpg.PostgresError, TimeoutError):
                await asyncio.sleep(self._poll_seconds)

    def _heard(self, connection: Any, pid: int, channel: str, payload: object) -> None:
        self._wake()
