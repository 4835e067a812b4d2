"""Streams that stay open: how many there may be, and how they are written without piling up.

What a reader has not taken yet lies in the socket's buffers, which are small: the next piece is
written when there is room. A reader that makes no room for a while is cut; it comes back and goes
on where it was. So a slow reader costs little memory, for a short time, and no connection of the
pool. Streams take turns at making what they write, so that a hundred that catch up leave room for
everybody else, and no company has more than half of the places. When the process is to end, nobody
is waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import prometheus_client as prometheus
from aiohttp import web

from api.problems import Problem

OPEN = prometheus.Gauge(
    "ledger_event_streams_open", "Event streams that are open", multiprocess_mode="livesum"
)
CUT = prometheus.Counter(
    "ledger_event_streams_cut", "Event streams that were cut because their reader was too slow"
)
PIECE_BYTES = 64 * 1024
TURNS = 3
"""Streams that read and write out a page at the same time; a pool has more connections."""

_SOCKET_BYTES = 128 * 1024
"""What the kernel keeps of a stream, where it would keep megabytes."""

_GOODBYE_SECONDS = 0.5
_COME_BACK_SECONDS = "5"


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """What streams may take, and how often they give a sign."""

    most: int = 256
    """Streams that one process keeps open."""

    heartbeat_seconds: float = 15.0
    slow_seconds: float = 4.0
    """For so long a reader may take nothing; not longer, so that a revoked key is noticed."""

    @property
    def most_of_company(self) -> int:
        """Streams that one process keeps open for one company: half of them."""
        return max(self.most // 2, 1)


class ReaderLeft(Exception):
    """Nobody reads the stream any more."""


class SlowReader(ReaderLeft):
    """The reader took nothing for too long."""


class Streams:
    """The streams of one process."""

    def __init__(self, limits: StreamLimits) -> None:
        self.limits = limits
        self.turns = asyncio.Semaphore(TURNS)
        self._open: Counter[str] = Counter()
        self._is_closed = False
        self._writing: set[asyncio.Timeout] = set()

    @contextlib.contextmanager
    def place(self, company_id: str) -> Iterator[None]:
        """Takes one of a company's places for a while; raises a 503 Problem when there is none."""
        if self._open.total() >= self.limits.most:
            raise _too_many(f"{self.limits.most} event streams")
        if self._open[company_id] >= self.limits.most_of_company:
            raise _too_many(f"{self.limits.most_of_company} event streams of this company")
        self._open[company_id] += 1
        OPEN.inc()
        try:
            yield
        finally:
            self._open[company_id] -= 1
            if not self._open[company_id]:
                del self._open[company_id]
            OPEN.dec()

    def narrow(self, request: web.Request) -> None:
        """Makes the kernel keep little of what a reader has not taken."""
        connection = request.get_extra_info("socket")
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BYTES)

    async def write(self, response: web.StreamResponse, piece: bytes) -> None:
        """Writes a piece once there is room for it.

        Raises ReaderLeft, or SlowReader for one that takes nothing.
        """
        try:
            async with asyncio.timeout(self._patience) as patience:
                self._writing.add(patience)
                try:
                    await response.write(piece)
                finally:
                    self._writing.discard(patience)
        except TimeoutError:
            raise SlowReader from None
        except ConnectionError:
            raise ReaderLeft from None

    def close(self) -> None:
        """Waits for no slow reader any more."""
        self._is_closed = True
        soon = asyncio.get_running_loop().time() + _GOODBYE_SECONDS
        for patience in self._writing:
            patience.reschedule(min(soon, patience.when() or soon))

    @property
    def _patience(self) -> float:
        return _GOODBYE_SECONDS if self._is_closed else self.limits.slow_seconds


def _too_many(streams: str) -> Problem:
    return Problem(
        503,
        "too_many_streams",
        f"This server keeps {streams} open already; try again, or ask with wait=30 instead.",
        headers={"Retry-After": _COME_BACK_SECONDS},
    )
