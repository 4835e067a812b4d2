"""What HTTP costs: the whole server, beside an aiohttp handler that does next to nothing.

The server is `ledger serve`, as users run it: one or two workers, a projector, a log line a
request. The callers, the server and Postgres share the machine's cores. Beside it stands
`bench.bare`, with as many processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from api.wiring import OPERATOR, Ledger, open_ledger
from bench.filling import House
from bench.load import Connection, Requests, rate, request
from bench.table import Row
from bench.turns import Turn, medians
from ledger.actors import Role
from ledger.ids import new_id

WORKERS = (1, 2)
IN_FLIGHT = (1, 64)
SECONDS = 0.5
"""How long a turn takes."""
ISSUES = 1_000
AIM = "≥ 0.5"
BODY = "It was the clock, once more. " * 3


async def rows(url: str, turns: int) -> list[Row]:
    """Every operation, by as many workers and callers."""
    async with open_ledger(url) as ledger:
        made = await Measured.made(ledger)
    return [row async for row in _rows(url, made, turns)]


async def _rows(url: str, made: Measured, turns: int) -> AsyncIterator[Row]:
    for workers in WORKERS:
        async with _served(url, workers) as ours, _bare(url, workers) as bare:
            for name, operation in made.operations().items():
                for in_flight in IN_FLIGHT:
                    ledger, other = await medians(
                        turns,
                        _turn(ours, operation, in_flight),
                        _turn(bare, operation, in_flight),
                    )
                    what = f"{name}, {workers} worker{'s' * (workers > 1)}, {in_flight} in flight"
                    aim = AIM if workers == 1 and name != "list of 100" else ""
                    yield Row(what, ledger, other, "/s", aim)


def _turn(port: int, operation: Requests, in_flight: int) -> Turn:
    return lambda: rate(port, operation, in_flight, SECONDS)


@dataclass(frozen=True, slots=True)
class Measured:
    """A company to ask about: its key, issues to change, and runs to report of."""

    company: str
    key: str
    agent: str
    issues: list[str]
    runs: list[tuple[str, str]]

    @classmethod
    async def made(cls, ledger: Ledger) -> Measured:
        """A company of some issues, half of which an agent holds."""
        house = House(ledger, await ledger.create_company("Served"))
        _, key, _ = await ledger.create_key(house.company, Role.OWNER, OPERATOR)
        agent = await house.entry("agent", "Coder")
        issues, held = await house.issues(ISSUES), await house.issues(ISSUES)
        runs = await house.check_out_all(held, agent, lease_seconds=3600)
        return cls(house.company, key, agent, issues, list(zip(held, runs, strict=True)))

    def operations(self) -> dict[str, Requests]:
        """What is measured: by name, what makes the next one's requests."""
        base = f"/v1/companies/{self.company}/issues"
        issues, taken, runs = cycle(self.issues), cycle(self.issues), cycle(self.runs)

        def command(path: str, body: dict[str, Any]) -> bytes:
            return request("POST", base + path, self.key, body, new_id())

        def check_out_and_release() -> list[bytes]:
            issue = next(taken)
            return [
                command(f"/{issue}/checkout", {"agent_id": self.agent}),
                command(f"/{issue}/release", {}),
            ]

        def report() -> list[bytes]:
            issue, run = next(runs)
            return [command(f"/{issue}/runs/{run}/costs", _COST)]

        return {
            "create": lambda: [command("", {"title": "An issue", "description": BODY})],
            "comment": lambda: [command(f"/{next(issues)}/comments", {"body": BODY})],
            "checkout and release": check_out_and_release,
            "cost report": report,
            "get": lambda: [request("GET", f"{base}/{next(issues)}", self.key)],
            "list of 100": lambda: [request("GET", f"{base}?limit=100", self.key)],
        }


_COST = {"provider": "anthropic", "model": "claude", "input_tokens": 1200, "cost_micros": 5400}


# ── the two servers ────────────────────────────────────────────────────────────────────


@contextlib.asynccontextmanager
async def _served(url: str, workers: int) -> AsyncIterator[int]:
    port = _free_port()
    command = ("api.cli", "serve", "--port", str(port), "--workers", str(workers))
    async with _running(command, url, port):
        yield port


@contextlib.asynccontextmanager
async def _bare(url: str, processes: int) -> AsyncIterator[int]:
    port = _free_port()
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(processes):
            await stack.enter_async_context(_running(("bench.bare", str(port)), url, port))
        yield port


@contextlib.asynccontextmanager
async def _running(command: Sequence[str], url: str, port: int) -> AsyncIterator[None]:
    """A server of ours, until it has drained; what it logs goes where nobody reads it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *command,
        env={**os.environ, "LEDGER_DATABASE_URL": url},
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await _until_it_answers(process, port)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _until_it_answers(process: asyncio.subprocess.Process, port: int) -> None:
    async with asyncio.timeout(60):
        while process.returncode is None:
            with contextlib.suppress(OSError):
                (await Connection.to(port)).close()
                return
            await asyncio.sleep(0.05)
    raise RuntimeError("The server ended before it answered.")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])
