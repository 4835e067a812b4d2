"""`python -m bench.breakdown`: where the time of a `create` goes, with 64 in flight, without HTTP.

Prints microseconds of one command: what this process computes, and how long it waits for each
statement; then, of the statement that writes a batch, how long each part of it takes alone. A
profiler says more of what is computed: `py-spy record -- python -m bench.breakdown`.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

import uvloop

from api.wiring import INLINE, open_ledger
from bench.committing import Operation, operations, submission
from bench.filling import House
from ledger.committer import Committer
from ledger.database import committer_pool, connect, install_schema
from ledger.embedded_postgres import postgres

IN_FLIGHT, SECONDS = 64, 4.0
PARTS: dict[str, Callable[[Sequence[Any]], tuple[Any, Any, Any]]] = {
    "nothing": lambda batch: ([], [], {}),
    "events": lambda batch: (batch[0], [], {}),
    "replies": lambda batch: ([], batch[1], {}),
    "rows of read models": lambda batch: ([], [], batch[2]),
    "everything": lambda batch: (batch[0], batch[1], batch[2]),
}


class Timed:
    """A connection that keeps account of how long each statement takes, and of what it writes."""

    took: ClassVar[dict[str, list[float]]] = defaultdict(list)
    batches: ClassVar[list[tuple[Any, ...]]] = []

    def __init__(self, connection: Any) -> None:
        self.own = connection

    def __getattr__(self, name: str) -> Any:
        """Everything else is the connection's own."""
        return getattr(self.own, name)

    async def fetch(self, statement: str, *values: Any, **options: Any) -> Any:
        """Rows."""
        return await self._timed(self.own.fetch, statement, *values, **options)

    async def fetchrow(self, statement: str, *values: Any, **options: Any) -> Any:
        """One row."""
        return await self._timed(self.own.fetchrow, statement, *values, **options)

    async def execute(self, statement: str, *values: Any, **options: Any) -> Any:
        """No rows."""
        if "ledger.append" in statement and len(values[4]) == IN_FLIGHT:
            self.batches.append(values)
        return await self._timed(self.own.execute, statement, *values, **options)

    async def _timed(self, send: Any, statement: str, *values: Any, **options: Any) -> Any:
        started = time.perf_counter()
        try:
            return await send(statement, *values, **options)
        finally:
            lines = (line for line in statement.splitlines() if line and line[:2] != "--")
            self.took[next(lines)[:60]].append(time.perf_counter() - started)


class TimedPool:
    """A pool whose connections are timed."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    def __getattr__(self, name: str) -> Any:
        """Everything else is the pool's own."""
        return getattr(self._pool, name)

    async def acquire(self, **options: Any) -> Timed:
        """A timed connection."""
        return Timed(await self._pool.acquire(**options))

    async def release(self, connection: Timed) -> None:
        """Gives it back."""
        await self._pool.release(connection.own)


def main() -> None:
    """Measures on a Postgres of its own, and prints."""
    with (
        tempfile.TemporaryDirectory(prefix="ledger-bench-") as folder,
        postgres(Path(folder) / "data") as url,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(_measure(url))


async def _measure(url: str) -> None:
    await install_schema(url)
    pool = await committer_pool(url)
    committer = Committer(TimedPool(pool), INLINE)  # type: ignore[arg-type]
    async with open_ledger(url) as ledger:
        house = House(ledger, await ledger.create_company("Measured"))
        create = (await operations(house))["create"]
        await _work(committer, house.company, create, 1.0)
        Timed.took.clear()
        started, computed = time.perf_counter(), time.process_time()
        done = await _work(committer, house.company, create, SECONDS)
        took, computed = time.perf_counter() - started, time.process_time() - computed
    print(f"{done / took:,.0f} creates a second, {took / done * 1e6:.0f} µs each:")
    print(f"  {computed / done * 1e6:6.1f} µs computed by this process (its callers included)")
    for name, waits in sorted(Timed.took.items(), key=lambda item: -sum(item[1])):
        print(f"  {sum(waits) / done * 1e6:6.1f} µs until answered: {name}")
    await committer.close()
    await pool.close()
    await _print_parts(url)


async def _work(committer: Committer, company: str, operation: Operation, seconds: float) -> int:
    done, until = 0, time.perf_counter() + seconds

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() < until:
            for command in operation():
                await committer.submit(company, submission(command))
            done += 1

    await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))
    return done


async def _print_parts(url: str) -> None:
    """What each part of the last batches takes, in transactions that are taken back."""
    batches = Timed.batches[-40:]
    connection = await connect(url, "ledger_owner")
    try:
        for forget in _FORGET:  # They are written once more.
            await connection.execute(forget, batches[0][1] - IN_FLIGHT)
        print(f"Of a batch of {IN_FLIGHT}, alone, in microseconds of one command:")
        for name, part in PARTS.items():
            times = []
            for batch in batches:
                transaction = connection.transaction()
                await transaction.start()
                started = time.perf_counter()
                await connection.execute(_APPEND, *batch[:4], *part(batch[4:]))
                times.append(time.perf_counter() - started)
                await transaction.rollback()
            print(f"  {median(times) / IN_FLIGHT * 1e6:6.1f} µs {name}")
    finally:
        await connection.close()


_APPEND = "SELECT ledger.append($1, $2, $3, $4, $5, $6, $7)"
_FORGET = (
    "DELETE FROM events WHERE position > $1",
    "DELETE FROM idempotency_keys WHERE last_position > $1",
    "DELETE FROM issues WHERE created_position > $1",
)


if __name__ == "__main__":
    main()
