"""What a batch asks of Postgres: each statement that it sends, with the plan that it came to.

`Explaining` stands before a real connection. It has every statement explained and carried out
once, takes that back, and then passes it on, so that the batch goes its way.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from api.wiring import INLINE
from ledger.batch import Batch, LaneCache, run_batch
from ledger.commands import Command
from tests.writing import submission

_ROOT = Path(__file__).parents[1]
_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


class Asked(NamedTuple):
    """One statement: the rows that it read, the pages that it touched, the tables it read whole.

    `sorted` is how many rows it put in order at most, `indexes` are those that it went by.
    """

    name: str
    rows: int
    pages: int
    read_whole: tuple[str, ...]
    sorted: int
    indexes: frozenset[str]


class Explaining:
    """A connection that keeps account of what is asked of it."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.asked: list[Asked] = []

    async def fetch(self, statement: str, *values: Any) -> Any:
        """Rows."""
        await self._explain(statement, *values)
        return await self._connection.fetch(statement, *values)

    async def fetchrow(self, statement: str, *values: Any) -> Any:
        """One row."""
        await self._explain(statement, *values)
        return await self._connection.fetchrow(statement, *values)

    async def execute(self, statement: str, *values: Any) -> Any:
        """No rows."""
        await self._explain(statement, *values)
        return await self._connection.execute(statement, *values)

    async def executemany(self, statement: str, each: Iterable[Sequence[Any]]) -> None:
        """No rows, once for each of the values."""
        for values in each:
            await self.execute(statement, *values)

    async def _explain(self, statement: str, *values: Any) -> None:
        async with undone(self._connection):
            explained = await self._connection.fetchval(
                f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", *values
            )
        self.asked.append(_asked(_NAMES[statement], explained))


async def asked_by(
    connection: Any, company_id: str, commands: Sequence[Command]
) -> tuple[Asked, ...]:
    """What the commands ask when they are carried out as one batch, of which nothing stays."""
    explaining = Explaining(connection)
    async with undone(connection):
        await accepted_batch(explaining, company_id, commands)
    return tuple(explaining.asked)


@asynccontextmanager
async def undone(connection: Any) -> AsyncIterator[None]:
    """Takes back what happens inside."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    finally:
        await transaction.rollback()


async def accepted_batch(connection: Any, company_id: str, commands: Sequence[Command]) -> Batch:
    """A batch by a process that knows nothing yet, short of COMMIT; all must be accepted."""
    batch = await run_batch(
        connection, company_id, [submission(one) for one in commands], LaneCache(), INLINE
    )
    for answer in batch.answers:
        if isinstance(answer, Exception):
            raise answer
    return batch


def _statements() -> Iterator[tuple[str, str]]:
    for path in [*_ROOT.glob("ledger/*.sql"), *_ROOT.glob("projections/**/*.sql")]:
        parts = _NAME.split(path.read_text(encoding="utf-8"))
        for name, text in zip(parts[1::2], parts[2::2], strict=True):
            yield text, f"{path.stem}.{name}"


_NAMES = dict(_statements())
"""What the statements are called, by their texts."""


def _asked(name: str, explained: str) -> Asked:
    plan = orjson.loads(explained)[0]["Plan"]
    nodes = list(_nodes(plan))
    scans = [node for node in nodes if "Relation Name" in node and "Scan" in node["Node Type"]]
    return Asked(
        name=name,
        rows=round(sum(_rows(node) for node in scans)),
        pages=plan["Shared Hit Blocks"] + plan["Shared Read Blocks"],
        read_whole=tuple(n["Relation Name"] for n in scans if n["Node Type"] == "Seq Scan"),
        sorted=round(max((_taken_in(n) for n in nodes if n["Node Type"] == "Sort"), default=0.0)),
        indexes=frozenset(n["Index Name"] for n in nodes if "Index Name" in n),
    )


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def _taken_in(sort: dict[str, Any]) -> float:
    return max(float(below["Actual Rows"] * below["Actual Loops"]) for below in sort["Plans"])


def _rows(scan: dict[str, Any]) -> float:
    """What a scan looked at, be it that it passed it over."""
    passed_over = scan.get("Rows Removed by Filter", 0) + scan.get(
        "Rows Removed by Index Recheck", 0
    )
    return float((scan["Actual Rows"] + passed_over) * scan["Actual Loops"])
