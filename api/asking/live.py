"""Over HTTP: the log as it grows, as Server-Sent Events.

A stream goes from page to page: it reads one, writes it, and only then reads the next, so it holds
no connection while its reader is slow, and ten thousand events behind are caught up with as fast as
they are taken. Between pages it looks whether the reader's key still counts.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator

import asyncpg
from aiohttp import web

from api import event_stream
from api.auth import Caller
from api.context import Api, context_of
from api.problems import Problem
from api.streams import CUT, PIECE_BYTES, ReaderLeft, SlowReader
from ledger.database import LOST
from ledger.log import Stored
from projections.queries.feed import FeedFilter

PAGE = 100
PAGE_BYTES = 1024 * 1024
RETRY_MILLISECONDS = 1000
_AWAY = (*LOST, asyncpg.PostgresError, TimeoutError)
LOOK_SECONDS = 0.5
"""How often a stream looks at its reader's key, and whether there is a reader at all."""


async def stream(
    api: Api, request: web.Request, caller: Caller, wanted: FeedFilter, after: int
) -> web.StreamResponse:
    """Events after a position, and whatever comes, until the reader or the server leaves.

    Raises a 503 Problem when there are too many streams, of the company or at all; from the first
    byte on, nothing.
    """
    with api.streams.place(caller.company_id):
        context = context_of(request)
        context.is_stream = True
        response = web.StreamResponse(
            headers={
                "Content-Type": event_stream.MEDIA_TYPE,
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
                "X-Request-Id": context.request_id,
            }
        )
        response.force_close()
        api.streams.narrow(request)
        await response.prepare(request)
        try:
            await _Stream(api, request, response, caller, wanted, after).run()
        except SlowReader:
            CUT.inc()
            _abort(request)
        except (ReaderLeft, Problem):
            pass  # Nobody reads, or nobody may read any more: that is the end, and no error.
        except Exception as error:
            context.error = error
            _abort(request)
        return response


def _abort(request: web.Request) -> None:
    """Ends the connection, with what its reader has not taken."""
    if request.transport is not None:
        request.transport.abort()


class _Stream:
    """One open stream."""

    def __init__(
        self,
        api: Api,
        request: web.Request,
        response: web.StreamResponse,
        caller: Caller,
        wanted: FeedFilter,
        after: int,
    ) -> None:
        self._api = api
        self._request = request
        self._response = response
        self._company_id = caller.company_id
        self._wanted = wanted
        self._reached = after
        self._loop = asyncio.get_running_loop()
        self._spoke_at = self._looked_at = self._loop.time()

    async def run(self) -> None:
        """Writes until there is no sense in it any more."""
        await self._write(event_stream.beginning(self._reached, RETRY_MILLISECONDS))
        rest = min(LOOK_SECONDS, self._api.streams.limits.heartbeat_seconds)
        with self._api.heads.follow(self._company_id) as head:
            while self._goes_on:
                end = await head.beyond(self._reached, rest)
                await self._look()
                try:
                    await self._catch_up(end)
                except _AWAY:
                    await asyncio.sleep(rest)  # Until the database is back, there is no news.
                await self._beat()

    @property
    def _goes_on(self) -> bool:
        return not self._api.heads.is_closed and self._request.transport is not None

    async def _catch_up(self, end: int) -> None:
        while self._reached < end and self._goes_on:
            async with self._api.streams.turns:
                page = await self._api.queries.feed.page(
                    self._company_id, self._wanted, self._reached, end, PAGE, most_bytes=PAGE_BYTES
                )
                pieces = list(_pieces(page.events))
            for piece in pieces:
                await self._look()
                await self._write(piece)
            self._reached = page.reached
            await self._look()
            await self._beat()

    async def _look(self) -> None:
        """Now and then, whether the key still counts; raises a Problem when it does not.

        What was read is written even while the database is away: half a page cannot be read again.
        """
        if self._loop.time() - self._looked_at >= LOOK_SECONDS:
            self._looked_at = self._loop.time()
            with contextlib.suppress(*_AWAY):
                await self._api.keys.caller(self._request.headers.get("Authorization"))

    async def _beat(self) -> None:
        silent_seconds = self._loop.time() - self._spoke_at
        if silent_seconds >= self._api.streams.limits.heartbeat_seconds:
            await self._write(event_stream.heartbeat(self._reached))

    async def _write(self, piece: bytes) -> None:
        await self._api.streams.write(self._response, piece)
        self._spoke_at = self._loop.time()


def _pieces(events: Iterable[Stored]) -> Iterator[bytes]:
    """Events as they are written, in pieces of a bounded size."""
    gathered = b""
    for stored in events:
        gathered += event_stream.message_of(stored)
        while len(gathered) >= PIECE_BYTES:
            yield gathered[:PIECE_BYTES]
            gathered = gathered[PIECE_BYTES:]
    if gathered:
        yield gathered
