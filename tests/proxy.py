"""A TCP proxy in front of Postgres that cuts or holds a connection at a chosen statement.

It follows the frontend's messages just far enough to know which statement each one executes
(PostgreSQL, chapter "Frontend/Backend Protocol"); what the server says is passed on unread.
"""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

_ENDS_A_GROUP = b"QSHXpcdf"  # Query, Sync, Flush, Terminate, and what is no statement.


class Fate(Enum):
    """What becomes of a statement."""

    CUT_BEFORE = "the server never gets it, and the client hears nothing more"
    CUT_AFTER = "the server gets it, and the client hears nothing more"
    CUT_ANSWERED = "the server gets it, and the client its answer, and then nothing more"
    HOLD = "the server gets it when `let_go` is called"
    HOLD_ANSWER = "the server gets it, and the client its answer when `let_go` is called"


@dataclass(slots=True)
class _Plan:
    fate: Fate
    statement: re.Pattern[str]
    skip: int
    shut: bool


@dataclass(slots=True)
class _Link:
    """One client's connection, and the proxy's own to the server for it."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    statements: dict[bytes, str] = field(default_factory=dict)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    passed_on: asyncio.Event = field(default_factory=asyncio.Event)


class Proxy:
    """Postgres at `url`, as long as the proxy is entered."""

    def __init__(self, database_url: str) -> None:
        self._to = urlsplit(database_url)
        self._plans: list[_Plan] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._go = asyncio.Event()
        self._is_shut = False
        self._arrived = asyncio.Event()
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        login = self._to.netloc.rpartition("@")[0]
        self.url = f"postgresql://{login}@127.0.0.1:{port}{self._to.path}?sslmode=disable"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def arrange(
        self, fate: Fate, statement: str = "^COMMIT$", *, skip: int = 0, shut: bool = False
    ) -> None:
        """Decides the fate of the next statement that matches, after `skip` others that do.

        With `shut`, nobody is let in from then on until `reopen`.
        """
        self._plans.append(_Plan(fate, re.compile(statement), skip, shut))
        self._go.clear()
        self._arrived.clear()

    async def arrives(self) -> None:
        """Returns once a statement has met the fate that was arranged for it."""
        async with asyncio.timeout(30):
            await self._arrived.wait()

    def let_go(self) -> None:
        """Passes on what is held."""
        self._go.set()

    def shut(self) -> None:
        """Cuts every connection, and lets nobody in until `reopen`."""
        self._is_shut = True
        for task in self._tasks:
            task.cancel()

    def reopen(self) -> None:
        """Lets clients in again."""
        self._is_shut = False

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if not self._is_shut:
                await self._pass_on(reader, client)
        except (OSError, asyncio.CancelledError, asyncio.IncompleteReadError):
            pass  # One end is gone, or the test is over: so is the connection.
        finally:
            client.transport.abort()
            self._tasks.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        from_server, server = await self._dial()
        link = _Link(client, server)
        link.may_answer.set()
        ways = [
            asyncio.create_task(self._upwards(reader, link)),
            asyncio.create_task(self._downwards(from_server, link)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            server.transport.abort()

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        folder = parse_qs(self._to.query).get("host")
        port = self._to.port or 5432
        if folder:
            return await asyncio.open_unix_connection(f"{folder[0]}/.s.PGSQL.{port}")
        return await asyncio.open_connection(self._to.hostname, port)

    async def _downwards(self, reader: asyncio.StreamReader, link: _Link) -> None:
        while data := await reader.read(65536):
            link.answered.set()
            await link.may_answer.wait()
            await _send(link.client, data)
            link.passed_on.set()

    async def _upwards(self, reader: asyncio.StreamReader, link: _Link) -> None:
        async for raw, executed in _groups(reader, link.statements):
            plan = self._plan_for(executed)
            if plan is None:
                await _send(link.server, raw)
            elif not await self._carry_out(plan, raw, link):
                return

    def _plan_for(self, executed: list[str]) -> _Plan | None:
        for sql in executed:
            for plan in self._plans:
                if not plan.statement.search(sql):
                    continue
                if plan.skip == 0:
                    self._plans.remove(plan)
                    return plan
                plan.skip -= 1
        return None

    async def _carry_out(self, plan: _Plan, raw: bytes, link: _Link) -> bool:
        """Does to a statement what was arranged; whether the connection goes on."""
        self._is_shut = self._is_shut or plan.shut
        self._arrived.set()
        match plan.fate:
            case Fate.CUT_BEFORE:
                return False
            case Fate.CUT_AFTER:
                link.may_answer.clear()
                link.answered.clear()
                await _send(link.server, raw)
                link.client.transport.abort()
                await asyncio.wait_for(link.answered.wait(), 10)
                return False
            case Fate.CUT_ANSWERED:
                link.passed_on.clear()
                await _send(link.server, raw)
                await asyncio.wait_for(link.passed_on.wait(), 10)
                return False
            case Fate.HOLD:
                await self._go.wait()
                await _send(link.server, raw)
            case Fate.HOLD_ANSWER:
                link.may_answer.clear()
                await _send(link.server, raw)
                await self._go.wait()
                link.may_answer.set()
        return True


async def _send(writer: asyncio.StreamWriter, raw: bytes) -> None:
    writer.write(raw)
    await writer.drain()


async def _groups(
    reader: asyncio.StreamReader, statements: dict[bytes, str]
) -> AsyncIterator[tuple[bytes, list[str]]]:
    """What the client sends, up to each message that asks for an answer, with its statements."""
    (length,) = struct.unpack("!i", start := await reader.readexactly(4))
    yield start + await reader.readexactly(length - 4), []
    raw, executed = b"", []
    while kind := await reader.read(1):
        (length,) = struct.unpack("!i", size := await reader.readexactly(4))
        body = await reader.readexactly(length - 4)
        raw += kind + size + body
        match kind:
            case b"Q":
                executed.append(body.rstrip(b"\0").decode())
            case b"P":
                name, sql, _ = body.split(b"\0", 2)
                statements[name] = sql.decode()
            case b"B":
                executed.append(statements[body.split(b"\0", 2)[1]])
        if kind in _ENDS_A_GROUP:
            yield raw, executed
            raw, executed = b"", []
