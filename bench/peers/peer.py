"""A peer, and the process in which it works: kept up for a whole run, so that all take turns."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PYTHON = HERE / ".venv" / "bin" / "python"
PACKAGES = HERE / "node_modules"
END_SECONDS = 10.0


class PeerError(Exception):
    """A peer did not say what it was asked for; why, it has said on standard error."""


@dataclass(frozen=True, slots=True)
class Peer:
    """What is measured: its name, the program that speaks for it, and what that one needs."""

    name: str
    program: tuple[str, ...]
    needs: tuple[Path | str, ...] = ()

    @property
    def database(self) -> str:
        """The database that is its own."""
        return self.name.replace("-", "_")

    @property
    def missing(self) -> str:
        """Which of its needs is not there; empty if all are."""
        for need in self.needs:
            if isinstance(need, Path) and not need.exists():
                return f"{need.relative_to(ROOT)} is not there; `make bench-peers` makes it"
            if isinstance(need, str) and shutil.which(need) is None:
                return f"{need} is not installed"
        return ""


LEDGER = Peer("issue-ledger", (sys.executable, "-m", "bench.peers.ledger"))
EVENTSOURCING = (str(PYTHON), "-m", "bench.peers.eventsourcing")
PEERS = (
    Peer("eventsourcing", (*EVENTSOURCING, "lock"), (PYTHON,)),
    Peer("eventsourcing-by-function", (*EVENTSOURCING, "function"), (PYTHON,)),
    Peer(
        "emmett-postgresql",
        ("node", str(HERE / "emmett.mjs")),
        ("node", "npm", PACKAGES / "@event-driven-io" / "emmett-postgresql"),
    ),
    Peer(
        "message-db",
        (sys.executable, "-m", "bench.peers.message_db"),
        ("npm", PACKAGES / "@eventide" / "message-db"),
    ),
)


class Working:
    """A peer at work: asked in a line, it answers in one."""

    def __init__(self, peer: Peer, process: asyncio.subprocess.Process) -> None:
        self.peer = peer
        self.versions = ""
        self.note = ""
        self._process = process

    async def greet(self) -> None:
        """Waits until the peer is ready, and has said what it is."""
        said = await self._said()
        self.versions, self.note = str(said["versions"]), str(said["note"])

    async def appends_per_second(self, in_flight: int, seconds: float) -> float:
        """Lets it append for so long, and says how many it came to in a second."""
        assert self._process.stdin is not None
        asked = json.dumps({"in_flight": in_flight, "seconds": seconds})
        self._process.stdin.write(f"{asked}\n".encode())
        said = await self._said()
        return float(said["appends"]) / float(said["seconds"])

    async def _said(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise PeerError(f"{self.peer.name} ended before it answered.")
        said: dict[str, Any] = json.loads(line)
        return said


@asynccontextmanager
async def at_work(peer: Peer, url: str) -> AsyncIterator[Working]:
    """Starts a peer on a database of its own, which is empty; it ends when its input does."""
    process = await asyncio.create_subprocess_exec(
        *peer.program,
        url,
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        working = Working(peer, process)
        await working.greet()
        yield working
        assert process.stdin is not None
        process.stdin.close()
        await asyncio.wait_for(process.wait(), END_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
