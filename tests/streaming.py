"""Reading the live feed in tests: a plain reader of Server-Sent Events, and servers to read from.

The reader is written from the WHATWG standard and not with the code that it tests.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from api.app import LIMITS, build_app
from api.streams import StreamLimits
from api.wiring import Ledger
from ledger.ids import new_id
from tests.client import Client
from tests.serving import Server
from tests.writing import superuser


@dataclass(slots=True)
class Block:
    """What stands between two empty lines: fields, and comments under the empty name."""

    fields: list[tuple[str, str]] = field(default_factory=list)

    def __getitem__(self, name: str) -> str | None:
        """The last value of a field."""
        return dict(self.fields).get(name)

    @property
    def json(self) -> Any:
        """The data; None for a block that is no event."""
        data = self["data"]
        return None if data is None else orjson.loads(data)


def blocks_of(text: str) -> list[Block]:
    """The blocks of a stream that are complete."""
    found, block = [], Block()
    for line in text.split("\n")[:-1]:
        if line:
            name, _, value = line.partition(":")
            block.fields.append((name, value.removeprefix(" ")))
        else:
            found.append(block)
            block = Block()
    return found


class Reader:
    """An open stream."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self._text = b""

    async def block(self) -> Block:
        """The next block; raises EOFError at the end of the stream."""
        while b"\n\n" not in self._text:
            piece = await self.response.content.readany()
            if not piece:
                raise EOFError
            self._text += piece
        text, _, self._text = self._text.partition(b"\n\n")
        (block,) = blocks_of(text.decode() + "\n\n")
        return block

    async def events(self, count: int, seconds: float = 60) -> list[Any]:
        """The next events, as JSON."""
        found: list[Any] = []
        async with asyncio.timeout(seconds):
            while len(found) < count:
                block = await self.block()
                if block.json is not None:
                    assert (block["id"], block["event"]) == (
                        str(block.json["position"]),
                        block.json["type"],
                    )
                    found.append(block.json)
        return found

    async def until_the_end(self) -> list[Block]:
        """All that is left, once the server has ended the stream."""
        found = []
        try:
            while True:
                found.append(await self.block())
        except EOFError:
            return found


@asynccontextmanager
async def reading(client: Client, query: str = "", **headers: str) -> AsyncIterator[Reader]:
    """A stream of a client's company."""
    sent = {"Authorization": f"Bearer {client.key}", "Accept": "text/event-stream"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{client.base_url}/v1/companies/{client.company}/events{query}"
    async with client.http.get(url, headers=sent) as response:
        assert response.status == 200, await response.text()
        yield Reader(response)


@asynccontextmanager
async def serving(
    ledger: Ledger, limits: StreamLimits | None = None, seen: list[web.BaseRequest] | None = None
) -> AsyncIterator[str]:
    """The URL of a server over a ledger; `seen` gathers the requests that it answers."""
    app = build_app(ledger, limits)
    if seen is not None:

        async def see(request: web.Request, response: web.StreamResponse) -> None:
            seen.append(request)

        app.on_response_prepare.append(see)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=20, **LIMITS)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def at(client: Client, url: str) -> Client:
    """The same client, of another server."""
    return Client(client.http, url, client.company, client.key, client.actor)


async def lengthen(url: str, company: str, events: int) -> int:
    """Makes a company's log longer by copies of its last event, each a stream of its own.

    So a long log is made in a moment. Nothing else is written, and nobody is told. Returns the
    new head.
    """
    async with superuser(url) as owner, owner.transaction():
        head: int = await owner.fetchval(
            "SELECT head FROM company_heads WHERE company_id = $1 FOR UPDATE", company
        )
        await owner.execute(
            """
            INSERT INTO events
            SELECT company_id, position + n, gen_random_uuid(), 1, gen_random_uuid(), type,
                   schema_version, actor_type, actor_id, on_behalf_of, key_id, command_id,
                   correlation_id, causation_id, run_id, recorded_at, occurred_at, via, data, salt,
                   data_hash, leaf
            FROM events CROSS JOIN generate_series(1, $3::bigint) AS n
            WHERE company_id = $1 AND position = $2
            """,
            company, head, events,
        )  # fmt: skip
        await owner.execute(
            "UPDATE company_heads SET head = $2, tip = $3 WHERE company_id = $1",
            company, head + events, new_id(),
        )  # fmt: skip
    return head + events


def children_of(server: Server) -> list[tuple[int, str]]:
    """The processes that a server's supervisor keeps alive, and their command lines."""
    shown = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    )
    rows = [line.split(maxsplit=2) for line in shown.stdout.splitlines()]
    return [
        (int(pid), command)
        for pid, parent, command in (row for row in rows if len(row) == 3)
        if int(parent) == server.process.pid and "-m api." in command
    ]
