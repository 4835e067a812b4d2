"""Telling followers that a log has grown: a hint, sent after the commit.

NOTIFY inside a command's transaction would serialise the commits of all companies, so it is
sent afterwards, coalesced: however many batches commit meanwhile, one statement tells of all
of them. A hint that is lost costs a follower its polling interval and nothing else.

Whoever is connected to the database may listen, an analyst of another company too. So a hint does
not name the company: it is a hash of its id, which tells something to those alone who know the id.
"""

from __future__ import annotations

import asyncio
import contextlib
from hashlib import sha256

import asyncpg

from ledger.database import LOST, Pool
from ledger.sql import beside

_SQL = beside(__file__)
CHANNEL = "ledger_head"


def hint_of(company_id: str) -> str:
    """What is sent when the log of a company has grown."""
    return sha256(company_id.encode()).hexdigest()[:32]


class Notifier:
    """Sends the companies whose logs grew, a few milliseconds after they did."""

    def __init__(self, pool: Pool, pause_seconds: float = 0.01) -> None:
        """`pause_seconds` is how long hints gather before they are sent."""
        self._pool = pool
        self._pause_seconds = pause_seconds
        self._grown: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def tell(self, company_id: str, head: int) -> None:
        """Notes that a company's log ends at `head` now."""
        self._grown.add(company_id)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._send())

    async def close(self) -> None:
        """Returns once nothing is left to send."""
        if self._task is not None:
            await self._task

    async def _send(self) -> None:
        while self._grown:
            await asyncio.sleep(self._pause_seconds)
            grown, self._grown = sorted(map(hint_of, self._grown)), set()
            with contextlib.suppress(*LOST, asyncpg.PostgresError, TimeoutError):
                await self._pool.execute(_SQL.notify, CHANNEL, grown)
