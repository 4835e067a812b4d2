"""What the committer adds to writing its events down: durable commands a second, without HTTP.

So many callers are in flight, each with one command at a time and an Idempotency-Key of its own.
Beside it stands what no event store on Postgres goes below: the same event rows, already decided,
hashed and encoded, in batches of the same size, each a single `INSERT … SELECT FROM unnest`.
Nobody is locked out by it, nothing is decided, no read model is written and no reply is kept.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from hashlib import sha256
from itertools import cycle
from typing import Any

import asyncpg

from api.wiring import open_ledger
from bench import filling as f
from bench.filling import ALICE, House
from bench.table import Row
from bench.turns import medians
from ledger import commands as c
from ledger.ids import new_id
from ledger.submission import IdempotencyKey, Provenance, Submission

IN_FLIGHT = (1, 16, 64, 256)
SECONDS = 0.7
"""How long a turn takes."""
AIM_AT, AIM = 64, "≥ 0.5"
LATENCY_AIM = "≤ 2"
BODY = "It was the clock, once more. " * 3

Operation = Callable[[], list[c.Command]]
"""The commands of one operation, which one caller sends one after the other."""


async def rows(url: str, turns: int) -> list[Row]:
    """Every operation at every number of callers in flight."""
    async with _both(url) as (house, raw_schema):
        return [
            Row(
                f"{name}, {in_flight} in flight",
                *await _rates(turns, _Sides(house, raw_schema, operation, in_flight)),
                "/s",
                AIM if in_flight == AIM_AT else "",
            )
            for name, operation in (await operations(house)).items()
            for in_flight in IN_FLIGHT
        ]


async def latency_rows(url: str, turns: int) -> list[Row]:
    """How long one caller waits, beside BEGIN, one INSERT of the same events, and COMMIT."""
    async with _both(url) as (house, raw_schema):
        found = []
        for name, operation in (await operations(house)).items():
            sides = _Sides(house, raw_schema, operation, 1, in_transactions=True)
            ours, raw = await _rates(turns, sides)
            found.append(Row(f"{name}, one caller", 1000 / ours, 1000 / raw, "ms", LATENCY_AIM))
        return found


@asynccontextmanager
async def _both(url: str) -> AsyncIterator[tuple[House, asyncpg.Connection[Any]]]:
    raw_schema = await asyncpg.connect(url)
    try:
        await raw_schema.execute(_RAW_SCHEMA)
        async with open_ledger(url) as ledger:
            yield House(ledger, await ledger.create_company("Measured")), raw_schema
    finally:
        await raw_schema.close()


async def _rates(turns: int, sides: _Sides) -> tuple[float, float]:
    ours, raw = await medians(turns, sides.ledger, sides.raw)
    return ours, raw


async def operations(house: House) -> dict[str, Operation]:
    """What is measured: by name, what makes the next one's commands."""
    agent = await house.entry("agent", "Coder")
    commented = cycle(await house.issues(1_000))
    taken = cycle(await house.issues(1_000))

    def check_out_and_release() -> list[c.Command]:
        issue = next(taken)
        return [f.check_out(issue, agent), f.release(issue)]

    return {
        "create": lambda: [f.create(new_id(), description=BODY)],
        "comment": lambda: [f.comment(next(commented), BODY)],
        "checkout and release": check_out_and_release,
    }


@dataclass(slots=True)
class _Sides:
    """The committer's turn, and a turn that writes down what the committer wrote."""

    house: House
    raw_schema: asyncpg.Connection[Any]
    operation: Operation
    in_flight: int
    in_transactions: bool = False
    written: Sequence[asyncpg.Record] = ()
    operations: int = 0

    async def ledger(self) -> float:
        """Operations a second, each answered once it is durable."""
        head = await self.raw_schema.fetchval(_HEAD, self.house.company)
        self.operations = 0
        started = time.perf_counter()
        await asyncio.gather(*(self._caller(started + SECONDS) for _ in range(self.in_flight)))
        took = time.perf_counter() - started
        self.written = await self.raw_schema.fetch(_WRITTEN, self.house.company, head)
        return self.operations / took

    async def _caller(self, until: float) -> None:
        while time.perf_counter() < until:
            for command in self.operation():
                await self.house.ledger.committer.submit(self.house.company, submission(command))
            self.operations += 1

    async def raw(self) -> float:
        """The same operations a second, as far as their event rows go."""
        batches = len({row["recorded_at"] for row in self.written})
        size = round(len(self.written) / batches)
        columns = [
            [list(column) for column in zip(*self.written[n : n + size], strict=True)]
            for n in range(0, len(self.written), size)
        ]
        company_id = new_id()
        insert = await self.raw_schema.prepare(_INSERT)
        started = time.perf_counter()
        for each in columns:
            async with self.raw_schema.transaction() if self.in_transactions else nullcontext():
                await insert.fetch(company_id, *each)
        return self.operations / (time.perf_counter() - started)


def submission(command: c.Command) -> Submission:
    """The command as a server of ours submits it, with an Idempotency-Key of its own."""
    key = new_id()
    return Submission(
        commands=(command,),
        provenance=Provenance(via="api", key_id=new_id(), correlation_id=key, causation_id=key),
        idempotency_key=IdempotencyKey(str(ALICE), key, sha256(key.encode()).digest()),
        new_ids=_made_for(command),
    )


def _made_for(command: c.Command) -> frozenset[str]:
    match command:
        case c.CreateIssue(issue_id=new) | c.CommentOnIssue(comment_id=new):
            return frozenset({new})
        case c.CheckOutIssue(run_id=new):
            return frozenset({new})
        case _:
            return frozenset()


_INSERT = """
    INSERT INTO events (
        company_id, position, stream_id, version, event_id, type, schema_version,
        actor_type, actor_id, on_behalf_of, key_id, command_id, correlation_id, causation_id,
        run_id, recorded_at, occurred_at, via, data, salt, data_hash, leaf
    )
    SELECT $1, e.position, e.stream_id, e.version, e.event_id, e.type, e.schema_version,
           e.actor_type, e.actor_id, e.on_behalf_of, e.key_id, e.command_id, e.correlation_id,
           e.causation_id, e.run_id, e.recorded_at, e.occurred_at, e.via, e.data::jsonb, e.salt,
           e.data_hash, e.leaf
    FROM unnest(
        $2::bigint[], $3::uuid[], $4::bigint[], $5::uuid[], $6::text[], $7::integer[],
        $8::text[], $9::text[], $10::text[], $11::uuid[], $12::uuid[], $13::text[], $14::text[],
        $15::uuid[], $16::timestamptz[], $17::timestamptz[], $18::text[], $19::text[],
        $20::bytea[], $21::bytea[], $22::bytea[]
    ) AS e (
        position, stream_id, version, event_id, type, schema_version,
        actor_type, actor_id, on_behalf_of, key_id, command_id, correlation_id, causation_id,
        run_id, recorded_at, occurred_at, via, data, salt, data_hash, leaf
    )
"""
_RAW_SCHEMA = """
    CREATE SCHEMA IF NOT EXISTS raw;
    CREATE TABLE IF NOT EXISTS raw.events (LIKE ledger.events INCLUDING ALL);
    SET search_path = raw;
"""
_HEAD = "SELECT head FROM ledger.company_heads WHERE company_id = $1"
_WRITTEN = """
    SELECT position, stream_id, version, event_id, type, schema_version,
           actor_type, actor_id, on_behalf_of, key_id, command_id, correlation_id, causation_id,
           run_id, recorded_at, occurred_at, via, data::text AS data, salt, data_hash, leaf
    FROM ledger.events WHERE company_id = $1 AND position > $2 ORDER BY position
"""
