"""Exports: lines that stream for as long as there are any, and a last line that proves the rest.

    async def lines() -> AsyncGenerator[Line, None]:
        async for row in …:
            yield Line(row["position"], as_ndjson(view(row)))

    return await stream(
        request, media_type=NDJSON, filename="costs.ndjson", lines=lines(),
        last=lambda told: last_ndjson(told, {"of": "costs"}),
    )

Whoever hands in `lines` reads them page after page in short statements, so that nothing is held
while the client is slow: a chunk waits until the one before it is taken, and a client that takes
nothing for a minute, or hangs up, ends the export. The last line says how many lines there are,
their first and last position, and the SHA-256 of every byte before it, those of a header too. What
fails in the middle breaks the connection off: an export without its last line is not whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from aiohttp import web

from api.context import context_of

CHUNK_BYTES = 65_536
STALLED_SECONDS = 60.0
"""How long a client may take nothing before it is taken for gone."""


class Line(NamedTuple):
    """A line with its newline, and the position of the log that it is about."""

    position: int
    text: bytes


@dataclass(frozen=True, slots=True)
class Summary:
    """What the last line says of those before it; the positions are None when there are none."""

    count: int
    first_position: int | None
    last_position: int | None
    sha256: str


async def stream(
    request: web.Request,
    *,
    media_type: str,
    filename: str,
    lines: AsyncGenerator[Line, None],
    last: Callable[[Summary], bytes],
    header: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> web.StreamResponse:
    """Answers with the header, the lines and the last line, each with its own newline.

    Raises what the lines raise before anything is sent, which is answered as a problem like
    anywhere else; what they raise after that stands in the log, and the connection is broken off.
    """
    response = web.StreamResponse(
        headers={
            "Content-Type": media_type,
            "Content-Disposition": f'attachment; filename="{filename}"',
            "Cache-Control": "no-store",
            "X-Request-Id": context_of(request).request_id,
            **(headers or {}),
        }
    )
    async with aclosing(lines):
        first = await anext(lines, None)
        try:
            if await _send(request, response, _chunks(header, first, lines, last)):
                return response
        except Exception as error:
            if not response.prepared:
                raise
            context_of(request).error = error
    if request.transport is not None:
        request.transport.abort()
    return response


async def _send(
    request: web.Request, response: web.StreamResponse, chunks: AsyncIterator[bytes]
) -> bool:
    """Whether the client took it all; raises what the chunks raise."""
    async for chunk in chunks:
        try:
            async with asyncio.timeout(STALLED_SECONDS):
                if not response.prepared:
                    await response.prepare(request)
                await response.write(chunk)
        except (ConnectionError, TimeoutError):
            return False
    return True


async def _chunks(
    header: bytes,
    first: Line | None,
    rest: AsyncIterator[Line],
    last: Callable[[Summary], bytes],
) -> AsyncIterator[bytes]:
    """The whole text in pieces that are worth sending."""
    told = _Telling()
    chunk = bytearray(header)
    if first is not None:
        chunk += told.line(first)
        async for line in rest:
            chunk += told.line(line)
            if len(chunk) >= CHUNK_BYTES:
                yield told.sent(chunk)
                chunk.clear()
    yield told.sent(chunk) + last(told.summary())


class _Telling:
    """Counts lines and hashes what is sent."""

    def __init__(self) -> None:
        self._hash = sha256()
        self._count = 0
        self._first: int | None = None
        self._last: int | None = None

    def line(self, line: Line) -> bytes:
        self._count += 1
        self._last = line.position
        if self._first is None:
            self._first = line.position
        return line.text

    def sent(self, chunk: bytearray) -> bytes:
        self._hash.update(chunk)
        return bytes(chunk)

    def summary(self) -> Summary:
        return Summary(self._count, self._first, self._last, self._hash.hexdigest())
