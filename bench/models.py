"""Read models written anew from the log, and proved: events a second, by one process and by two.

Beside a rebuild and a verification stands reading the same log, page by page, and doing nothing
with it: no process could write a read model faster. The inline models are one fold, which decides
from all of them, so to rebuild any of them is to write all of them: they are one row here.

A rebuild is of all companies, and its lease lets nobody else rebuild meanwhile. A verification is
of one company and holds no lease, so two processes share the companies; beside that stands one
process that verifies the same companies one after the other.

All of it happens in processes of its own, as from the shell. The database must be nobody else's:
whatever it holds would be rebuilt too.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from api.wiring import FOLLOWING, INLINE, MODELS, open_ledger
from bench.table import Row
from bench.turns import medians
from bench.working import Crew
from ledger import log
from ledger.database import connect
from projections.projector import step
from projections.rebuild import rebuild
from projections.verify import verify

PROCESSES = 2
EVENTS = 10_000
"""In each company, of which there is one a process."""
IN_FLIGHT = 256
UNIT = "events/s"

_TOGETHER: Mapping[str, Sequence[str]] = {
    f"the {len(INLINE)} inline models": [model.name for model in INLINE],
    **{model.name: [model.name] for model in FOLLOWING},
}
"""What is written in one go, by what it is called here."""


async def rows(url: str, turns: int) -> list[Row]:
    """The log alone, and then each model."""
    companies = [await _fill(url, f"Company {n}") for n in range(PROCESSES)]
    connection = await connect(url)
    try:
        events = sum(end.position for end in await log.ends(connection))
    finally:
        await connection.close()
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as processes:
        sides = _Sides(url, companies, events, processes)
        return [row async for row in _rows(sides, turns)]


async def _rows(sides: _Sides, turns: int) -> AsyncIterator[Row]:
    read, read_by_two, verified, by_two = await medians(
        turns, sides.read, sides.read_by_two, sides.verify, sides.verify_by_two
    )
    yield Row("reading the log: two processes ÷ one", read_by_two, read, UNIT)
    yield Row("verify the log alone ÷ reading it", verified, read, UNIT)
    yield Row("verify the log alone: two processes ÷ one", by_two, verified, UNIT)
    for title, names in _TOGETHER.items():
        of_model = replace(sides, names=names)
        read, rebuilt, verified, by_two = await medians(
            turns, of_model.read, of_model.rebuild, of_model.verify, of_model.verify_by_two
        )
        yield Row(f"rebuild {title} ÷ reading the log", rebuilt, read, UNIT)
        yield Row(f"verify {title} ÷ reading the log", verified, read, UNIT)
        yield Row(f"verify {title}: two processes ÷ one", by_two, verified, UNIT)


async def _fill(url: str, name: str) -> str:
    """A company that agents worked in, which the following models have followed; its id."""
    async with open_ledger(url) as ledger:
        crew = await Crew.found(ledger, name)
        await crew.work(IN_FLIGHT, lambda answer: answer.position >= EVENTS)
    connection = await connect(url, synchronous_commit="off")
    try:
        for model in FOLLOWING:
            while await step(connection, model, crew.house.company):
                pass
    finally:
        await connection.close()
    return crew.house.company


@dataclass(frozen=True, slots=True)
class _Sides:
    """What is measured; each returns events a second, of all companies together."""

    url: str
    companies: Sequence[str]
    events: int
    processes: Executor
    names: Sequence[str] = ()

    async def read(self) -> float:
        """One process reads the log."""
        return await self._rate(partial(_read, self.url, self.companies))

    async def read_by_two(self) -> float:
        """Each process reads a company's log."""
        return await self._rate(*(partial(_read, self.url, [one]) for one in self.companies))

    async def rebuild(self) -> float:
        """One process rebuilds the models."""
        return await self._rate(partial(_rebuild, self.url, self.names))

    async def verify(self) -> float:
        """One process verifies the models."""
        return await self._rate(partial(_verify, self.url, self.names, self.companies))

    async def verify_by_two(self) -> float:
        """Each process verifies the models of a company."""
        return await self._rate(
            *(partial(_verify, self.url, self.names, [one]) for one in self.companies)
        )

    async def _rate(self, *jobs: Callable[[], None]) -> float:
        loop = asyncio.get_running_loop()
        started = time.perf_counter()
        await asyncio.gather(*(loop.run_in_executor(self.processes, job) for job in jobs))
        return self.events / (time.perf_counter() - started)


# ── what a process does ────────────────────────────────────────────────────────────────


def _read(url: str, companies: Sequence[str]) -> None:
    asyncio.run(_walk(url, companies))


async def _walk(url: str, companies: Sequence[str]) -> None:
    connection = await connect(url)
    try:
        for company_id in companies:
            async for _ in log.walk(connection, company_id):
                pass
    finally:
        await connection.close()


def _rebuild(url: str, names: Sequence[str]) -> None:
    rebuilt = asyncio.run(rebuild(url, MODELS, names))
    assert all(one.was_equal for one in rebuilt), rebuilt


def _verify(url: str, names: Sequence[str], companies: Sequence[str]) -> None:
    for company_id in companies:
        verified = asyncio.run(verify(url, MODELS.written_for(names), company_id))
        assert verified.difference is None, verified.difference
