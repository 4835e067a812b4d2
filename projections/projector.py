"""Moves following read models along the log.

A step is one transaction: a page of events becomes rows, and the checkpoint moves from where
it was found, compare-and-set on position and epoch. A projector killed anywhere has done a
step or has not; two that move the same model undo each other's second attempt, never double
it. The lease only keeps them from trying, and its beat tells that somebody is alive.

What is recorded never changes, so a page is read once for all models that stand before it; each
of them takes it in a transaction of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
BEAT_SECONDS = 1.0
"""How often a lease is renewed."""
PAUSES = 3.0
"""After a short page, the projector pauses for so many times as long as the page took: under load,
pages grow, instead of becoming more."""
LONGEST_PAUSE_SECONDS = 0.05


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


@dataclass(frozen=True, slots=True)
class Step:
    """The page of events that a model takes next, from where it was found."""

    model: FollowingModel
    company_id: str
    position: int
    epoch: int
    events: Sequence[Recorded]

    async def take(self, connection: Connection) -> int:
        """Moves the model and returns its new position.

        Raises Overtaken, having changed nothing, when the model is no longer where it was found.
        """
        to = self.events[-1].position
        here = (self.company_id, self.model.name, self.position, self.epoch)
        async with connection.transaction():
            if await connection.fetchval(_SQL.move_checkpoint, *here, to) is None:
                raise Overtaken(self.model.name)
            await self.model.save(connection, self.company_id, self.events)
        return to


async def steps(
    connection: Connection,
    models: Sequence[FollowingModel],
    company_id: str,
    *,
    limit: int = log.PAGE,
    until: Mapping[str, int] | None = None,
    read: Sequence[Recorded] = (),
) -> list[Step]:
    """The next step of each model that is not at the end of the log, or where `until` says.

    `read` is a page that was read before.
    """
    pages = {read[0].position - 1: read} if read else {}
    ends = until or {}
    of_name = {model.name: model for model in models}
    found = []
    for row in await connection.fetch(_SQL.checkpoints, company_id, list(of_name)):
        name, position, end = row["model"], row["position"], ends.get(row["model"])
        if end is not None and end <= position:
            continue
        if position not in pages:
            page = await log.page(connection, company_id, position, limit=limit)
            pages[position] = [stored.recorded for stored in page]
        events = [r for r in pages[position] if end is None or r.position <= end]
        if events:
            found.append(Step(of_name[name], company_id, position, row["epoch"], events))
    return found


async def advance(
    connection: Connection,
    models: Sequence[FollowingModel],
    company_id: str,
    *,
    until: Mapping[str, int] | None = None,
    read: Sequence[Recorded] = (),
) -> bool:
    """Moves each model by one page, unless somebody else does; whether there was any."""
    found = await steps(connection, models, company_id, until=until, read=read)
    for one in found:
        with contextlib.suppress(Overtaken):
            await one.take(connection)
    return bool(found)


async def step(
    connection: Connection,
    model: FollowingModel,
    company_id: str,
    *,
    limit: int = log.PAGE,
    until: int | None = None,
) -> int:
    """Moves a model by one page and returns its new position, or 0 if it was at the end.

    The end is the log's, or the position `until`. Goes on from where the model is now, when
    somebody else moved it meanwhile.
    """
    ends = {} if until is None else {model.name: until}
    while found := await steps(connection, [model], company_id, limit=limit, until=ends):
        with contextlib.suppress(Overtaken):
            return await found[0].take(connection)
    return 0


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
        self._held: list[FollowingModel] = []
        self._next_beat = 0.0
        self._not_before: dict[tuple[str, str], float] = {}
        self._hint = asyncio.Event()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Follows until `stop`; survives a database that goes away and comes back."""
        listener = asyncio.create_task(self._listen())
        try:
            await self._follow()
        finally:
            self._stopping.set()
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)

    def stop(self) -> None:
        """Ends `run` after the steps under way."""
        self._stopping.set()
        self._hint.set()

    async def _follow(self) -> None:
        while not self._stopping.is_set():
            self._hint.clear()
            began = time.monotonic()
            longest = 0
            try:
                longest = await self._catch_up()
            except (*LOST, asyncpg.PostgresError, TimeoutError) as error:
                _LOG.warning("projector_stalled", error=repr(error))
                await asyncio.sleep(self._poll_seconds)
            except Exception:
                _LOG.exception("projector_failed")
                await asyncio.sleep(self._poll_seconds)
            if not longest:
                await self._rest()
            elif longest < log.PAGE:
                took = time.monotonic() - began
                await asyncio.sleep(min(PAUSES * took, LONGEST_PAUSE_SECONDS))
        await self._give_up_leases()

    async def _rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._hint.wait(), self._poll_seconds)

    async def _catch_up(self) -> int:
        """One step of each model in each company that is behind; how long the longest was."""
        await self._hold_leases()
        names = [model.name for model in self._held]
        longest = 0
        for row in await self._pool.fetch(_SQL.behind, names):
            if self._stopping.is_set():
                break
            longest = max(longest, await self._advance(str(row["company_id"])))
            await self._hold_leases()
        return longest

    async def _advance(self, company_id: str) -> int:
        """The models' next steps, at once; what goes wrong in one is not the others' delay."""
        now = time.monotonic()
        able = [m for m in self._held if self._not_before.get((m.name, company_id), now) <= now]
        try:
            async with self._pool.acquire() as connection:
                found = await steps(connection, able, company_id)
        except LOST:
            raise
        except Exception:
            _LOG.exception("projector_failed", company_id=company_id)
            return 0
        return max(await asyncio.gather(*map(self._take, found)), default=0)

    async def _take(self, one: Step) -> int:
        """How many events a model took."""
        about = {"model": one.model.name, "company_id": one.company_id}
        try:
            async with self._pool.acquire() as connection:
                await one.take(connection)
            self._not_before.pop((one.model.name, one.company_id), None)
            return len(one.events)
        except Overtaken:
            _LOG.info("projector_overtaken", **about)
        except LOST as error:
            _LOG.warning("projector_stalled", **about, error=repr(error))
        except Exception:
            _LOG.exception("projector_failed", **about)
            again = time.monotonic() + self._poll_seconds  # It would hardly do better at once.
            self._not_before[one.model.name, one.company_id] = again
        return 0

    async def _hold_leases(self) -> None:
        """Takes or renews the leases, once in a while; then it is known which models are ours."""
        now = time.monotonic()
        if now < self._next_beat:
            return
        names = [model.name for model in self._models]
        rows = await self._pool.fetch(_SQL.hold_leases, names, self._id, LEASE_SECONDS)
        held = {row["model"] for row in rows}
        self._held = [model for model in self._models if model.name in held]
        self._next_beat = now + BEAT_SECONDS

    async def _give_up_leases(self) -> None:
        try:
            await self._pool.execute(_SQL.give_up_leases, self._id)
        except (*LOST, asyncpg.PostgresError) as error:
            _LOG.warning("leases_kept", error=repr(error))

    async def _listen(self) -> None:
        """Wakes the follower when a log grows; without it, it polls.

        A connection that is lost while this is cancelled may hide that it was.
        """
        while not self._stopping.is_set():
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
        self._hint.set()
