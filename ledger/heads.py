"""Following where logs end: one ear and one look a process, shared by all who follow.

A hint (NOTIFY) says which company's log has grown; one short statement then reads where the logs
that somebody follows end. A hint may be lost, so all of them are looked at once in a while too.
Who waits holds no connection: a thousand who wait cost what one does.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import asyncpg

from ledger.database import LOST, Pool, connect
from ledger.notify import CHANNEL, hint_of
from ledger.sql import beside

_SQL = beside(__file__)
POLL_SECONDS = 1.0
PAUSE_SECONDS = 0.01
"""Between two looks, so that hints gather while commands come fast."""


class Head:
    """Where one log ends, as far as is known, for as long as somebody follows it."""

    def __init__(self) -> None:
        self.position = 0
        self.followers = 0
        self._is_given_up = False
        self._moved = asyncio.Event()

    async def beyond(self, position: int, seconds: float) -> int:
        """The head once it is beyond `position`.

        `position` itself when it is not after so many seconds, or when nobody looks any more.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.position <= position and not self._is_given_up:
                    await self._moved.wait()
        return max(self.position, position)

    def move(self, position: int) -> None:
        """Notes that the log ends at `position` now, and wakes who waits for that."""
        if position > self.position:
            self.position = position
            moved, self._moved = self._moved, asyncio.Event()
            moved.set()

    def give_up(self) -> None:
        """Lets nobody wait any longer."""
        self._is_given_up = True
        self._moved.set()


class Heads:
    """The heads that somebody in this process follows."""

    def __init__(self, url: str, pool: Pool, *, poll_seconds: float = POLL_SECONDS) -> None:
        """`poll_seconds` is how long a hint may be lost without anybody noticing."""
        self._url = url
        self._pool = pool
        self._poll_seconds = poll_seconds
        self._followed: dict[str, Head] = {}
        self._grown: set[str] = set()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.is_closed = False

    def start(self) -> None:
        """Begins to listen and to look."""
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._watch())]

    async def close(self) -> None:
        """Lets nobody wait any longer, now or later; closing twice is no error."""
        self.is_closed = True
        for head in self._followed.values():
            head.give_up()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    @contextlib.contextmanager
    def follow(self, company_id: str) -> Iterator[Head]:
        """The head of a company's log, kept up to date inside the block."""
        head = self._followed.setdefault(company_id, Head())
        head.followers += 1
        if self.is_closed:
            head.give_up()
        self._look_at(company_id)  # It may have grown before anybody followed it here.
        try:
            yield head
        finally:
            head.followers -= 1
            if not head.followers:
                del self._followed[company_id]

    def _look_at(self, company_id: str) -> None:
        if company_id in self._followed:
            self._grown.add(company_id)
            self._wake.set()

    async def _watch(self) -> None:
        """Looks at what hints name as they come, and at all that is followed now and then."""
        loop = asyncio.get_running_loop()
        look_at_all = loop.time() + self._poll_seconds
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(look_at_all):
                    await self._wake.wait()
            self._wake.clear()
            grown, self._grown = self._grown, set()
            if loop.time() >= look_at_all:
                grown, look_at_all = set(self._followed), loop.time() + self._poll_seconds
            with contextlib.suppress(*LOST, asyncpg.PostgresError, TimeoutError):
                await self._look(sorted(grown & self._followed.keys()))
            await asyncio.sleep(PAUSE_SECONDS)

    async def _look(self, company_ids: list[str]) -> None:
        if not company_ids:
            return
        for row in await self._pool.fetch(_SQL.heads, company_ids):
            if (head := self._followed.get(str(row["company_id"]))) is not None:
                head.move(row["head"])

    async def _listen(self) -> None:
        """Hears hints on a connection of its own; without one, looking alone must do."""
        while True:
            with contextlib.suppress(*LOST, asyncpg.PostgresError, TimeoutError):
                connection = await connect(self._url)
                try:
                    await self._hear(connection)
                finally:
                    connection.terminate()
            await asyncio.sleep(self._poll_seconds)

    async def _hear(self, connection: asyncpg.Connection[Any]) -> None:
        """Returns when the connection is gone."""
        gone = asyncio.Event()
        connection.add_termination_listener(lambda _: gone.set())
        await connection.add_listener(CHANNEL, self._heard)
        await gone.wait()

    def _heard(self, connection: Any, pid: int, channel: str, payload: object) -> None:
        for company_id in self._followed:
            if hint_of(company_id) == payload:
                self._look_at(company_id)
