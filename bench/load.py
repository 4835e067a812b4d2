"""Callers over HTTP: each has a connection and one request under way at a time.

No client library is in the way: both sides of a measurement are asked by the same few lines, which
cost little beside what they ask.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson


class Reply(NamedTuple):
    """What was answered."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return orjson.loads(self.body)


class Connection(asyncio.Protocol):
    """One connection of HTTP/1.1, kept open."""

    def __init__(self) -> None:
        self._buffer = b""
        self._answer: asyncio.Future[Reply] | None = None

    @classmethod
    async def to(cls, port: int) -> Connection:
        """A connection to a server on this machine."""
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(cls, "127.0.0.1", port)
        return connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Is called by the event loop."""
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Is called by the event loop."""
        self._buffer += data
        head, parted, rest = self._buffer.partition(b"\r\n\r\n")
        if not parted:
            return
        _, found, length = head.lower().partition(b"content-length: ")
        size = int(length.partition(b"\r\n")[0]) if found else 0
        if len(rest) >= size and self._answer is not None:
            self._buffer = rest[size:]
            self._answer.set_result(Reply(int(head[9:12]), rest[:size]))

    def connection_lost(self, error: Exception | None) -> None:
        """Is called by the event loop."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionError("the server hung up"))

    async def ask(self, request: bytes) -> Reply:
        """Sends a request; returns the answer to it."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Hangs up."""
        self._transport.close()


def request(
    method: str, path: str, key: str, body: Any = None, idempotency_key: str | None = None
) -> bytes:
    """A request, as it goes over the wire."""
    raw = b"" if body is None else orjson.dumps(body)
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {key}",
        "Content-Type: application/json",
        f"Content-Length: {len(raw)}",
    ]
    if idempotency_key is not None:
        lines.append(f"Idempotency-Key: {idempotency_key}")
    return "\r\n".join((*lines, "", "")).encode() + raw


Requests = Callable[[], list[bytes]]
"""The requests of one operation, which one caller sends one after the other."""


async def rate(port: int, operation: Requests, in_flight: int, seconds: float) -> float:
    """Operations a second, with so many callers; raises AssertionError for a refusal."""
    connections = [await Connection.to(port) for _ in range(in_flight)]
    done = 0

    async def caller(connection: Connection) -> None:
        nonlocal done
        while time.perf_counter() < until:
            for each in operation():
                reply = await connection.ask(each)
                assert reply.status in (200, 201), reply
            done += 1

    started = time.perf_counter()
    until = started + seconds
    await asyncio.gather(*map(caller, connections))
    took = time.perf_counter() - started
    for connection in connections:
        connection.close()
    return done / took
