"""How far the following models are behind, while a committer writes as fast as it can.

The projector is a process of its own, started as `ledger serve` starts it, and another process
looks every few milliseconds how far each model has come. The lag of a command is the time from its
answer, when it is durable, until a model contains its events; beside it stands how long the same
commands waited for their answers. Where a model is written more slowly than the log, its lag grows
for as long as the load lasts: the events a second of both tell, and how long the model took to
come to the end of the log after the last answer.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
import time
from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from statistics import median, quantiles
from typing import NamedTuple

from api.wiring import FOLLOWING, Ledger, open_ledger
from bench.table import Row
from bench.working import Answer, Crew
from ledger.database import connect

IN_FLIGHT = 64
SECONDS = 10.0
"""How long agents work in a turn; then the models are waited for."""
LOOK_SECONDS = 0.005
PATIENCE_SECONDS = 300.0
NAMES = [model.name for model in FOLLOWING]

_POSITIONS = "SELECT model, position FROM checkpoints WHERE company_id = $1"


class Seen(NamedTuple):
    """How far the models had come at a time (`time.monotonic`)."""

    at: float
    positions: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Turn:
    """What agents were answered, and what was seen of the models until they had followed."""

    answers: Sequence[Answer]
    seen: Sequence[Seen]

    def of(self, model: str) -> Iterator[Row]:
        """A model's lag and pace."""
        first, last = self.answers[0], self.answers[-1]
        positions = [seen.positions.get(model, 0) for seen in self.seen]
        passed = [self.seen[bisect_left(positions, a.position)].at for a in self.answers]
        # The projector may have heard of a commit before whoever waits for it.
        lags = [max(at - a.at, 0.0) for at, a in zip(passed, self.answers, strict=True)]
        waits = [a.took_seconds for a in self.answers]
        for percent in (50, 99):
            what = f"{model}: lag of a command ÷ its answer, p{percent}"
            yield Row(what, _percentile(lags, percent), _percentile(waits, percent), "ms")

        took = last.at - first.at
        at_last = positions[bisect_right([seen.at for seen in self.seen], last.at) - 1]
        followed, written = at_last - first.position, last.position - first.position
        yield Row(f"{model}: followed ÷ written", followed / took, written / took, "events/s")
        late = max(passed) - last.at
        yield Row(f"{model}: at the end of the log ÷ writing it", late * 1000, took * 1000, "ms")


async def rows(url: str, turns: int) -> list[Row]:
    """Each model's lag and pace: medians of the turns, before which another one warms up."""
    async with open_ledger(url) as ledger, _projector(url):
        done = [await _turn(ledger, f"Turn {n}") for n in range(turns + 1)]
    measured = [[row for name in NAMES for row in turn.of(name)] for turn in done[1:]]
    return [_median(same) for same in zip(*measured, strict=True)]


def _median(rows: Sequence[Row]) -> Row:
    return rows[0]._replace(
        ours=median(row.ours for row in rows), beside=median(row.beside for row in rows)
    )


def _percentile(seconds: Sequence[float], percent: int) -> float:
    """In milliseconds."""
    return quantiles(seconds, n=100)[percent - 1] * 1000


async def _turn(ledger: Ledger, name: str) -> Turn:
    """A new company, in which agents work while the models follow."""
    crew = await Crew.found(ledger, name)
    async with _watcher(ledger.url, crew.house.company) as watcher:
        until = time.monotonic() + SECONDS
        answers = await crew.work(IN_FLIGHT, lambda answer: answer.at >= until)
        watcher.send(answers[-1].position)
        async with asyncio.timeout(PATIENCE_SECONDS):
            seen = await asyncio.to_thread(watcher.recv)
    return Turn(answers, seen)


# ── the other processes ────────────────────────────────────────────────────────────────


@asynccontextmanager
async def _projector(url: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "api.following",
        env={**os.environ, "LEDGER_DATABASE_URL": url},
        stdin=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def _watcher(url: str, company_id: str) -> AsyncIterator[Connection]:
    """A process that looks; told the last position, it answers with what it saw."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_watch, args=(url, company_id, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        await asyncio.to_thread(ours.recv)  # It is looking.
        yield ours
    finally:
        process.kill()
        process.join()
        ours.close()


def _watch(url: str, company_id: str, pipe: Connection) -> None:
    pipe.send(None)
    pipe.send(asyncio.run(_look(url, company_id, pipe)))


async def _look(url: str, company_id: str, pipe: Connection) -> list[Seen]:
    """Looks until every model has come to the position that the pipe tells."""
    seen: list[Seen] = []
    wanted: int | None = None
    connection = await connect(url)
    try:
        while wanted is None or any(seen[-1].positions.get(name, 0) < wanted for name in NAMES):
            rows = await connection.fetch(_POSITIONS, company_id)
            positions = {row["model"]: row["position"] for row in rows}
            seen.append(Seen(time.monotonic(), positions))
            if wanted is None and pipe.poll():
                wanted = pipe.recv()
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        await connection.close()
    return seen
