"""A peer's side of the conversation, for peers in Python: a line asks, a line answers.

`{"in_flight": 64, "seconds": 2}` asks 64 callers to append for two seconds, each again as soon as
it is answered; `{"appends": 9000, "seconds": 2.01}` answers. Before the first, the peer says in a
line what it is. Only the standard library is used: a peer may have an environment of its own.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

EVENT: dict[str, Any] = json.loads(Path(__file__).with_name("event.json").read_bytes())
"""What every peer appends, each time to a new stream: about 230 bytes."""


def greet(versions: str, note: str = "") -> None:
    """Says that the peer is ready, what it is, and what is particular about it."""
    _say({"versions": versions, "note": note})


async def answer(append: Callable[[], Awaitable[object]]) -> None:
    """Works for each line that comes in, with callers that share an event loop."""

    async def caller(until: float) -> int:
        appends = 0
        while time.perf_counter() < until:
            await append()
            appends += 1
        return appends

    while line := await asyncio.to_thread(sys.stdin.readline):
        asked = json.loads(line)
        began = time.perf_counter()
        callers = (caller(began + asked["seconds"]) for _ in range(asked["in_flight"]))
        _say(
            {"appends": sum(await asyncio.gather(*callers)), "seconds": time.perf_counter() - began}
        )


def answer_in_threads(append: Callable[[], object]) -> None:
    """Works for each line that comes in, with callers in a thread each."""

    def caller(until: float) -> int:
        appends = 0
        while time.perf_counter() < until:
            append()
            appends += 1
        return appends

    for line in sys.stdin:
        asked = json.loads(line)
        with ThreadPoolExecutor(asked["in_flight"]) as threads:
            began = time.perf_counter()
            appends = sum(threads.map(caller, [began + asked["seconds"]] * asked["in_flight"]))
        _say({"appends": appends, "seconds": time.perf_counter() - began})


def _say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)
