"""Read models written anew from the log, in shadow tables of a schema of their own.

The shadow has the very tables of schema.sql, and is written by the very code that writes the
live ones: the connection's search path finds the shadow first. Each page of events moves the
shadow's own checkpoint in the same transaction, so work that was interrupted goes on where it
was. What a rebuild exchanges and what a verification compares is such a shadow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ledger.batch import InlineModel, load_facts
from ledger.database import Connection, connect, schema_path
from ledger.events import Recorded
from ledger.known import Known, touched_by
from ledger.sql import beside
from projections.projector import FollowingModel, step

_SQL = beside(__file__)
_STATEMENT = re.compile(
    r"^CREATE (?:UNIQUE )?(?:TABLE|INDEX) (?:\w+ ON )?(\w+).*?;$", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Models:
    """The read models there are; `inline` in the order in which they are written."""

    inline: Sequence[InlineModel]
    following: Sequence[FollowingModel]

    def named(self, names: Sequence[str]) -> Models:
        """Those of the names; raises KeyError for one that there is not."""
        unknown = set(names) - set(self.names)
        if unknown:
            raise KeyError(", ".join(sorted(unknown)))
        return Models(
            [model for model in self.inline if model.name in names],
            [model for model in self.following if model.name in names],
        )

    @property
    def names(self) -> list[str]:
        """All names, inline models first."""
        return [m.name for m in self.inline] + [m.name for m in self.following]

    @property
    def tables(self) -> list[str]:
        """All tables that the models keep."""
        kept = [m.tables for m in self.inline] + [m.tables for m in self.following]
        return [table for tables in kept for table in tables]


class Digest(NamedTuple):
    """How many rows a table has of a company, and the SHA-256 over all of them, as hex."""

    rows: int
    sha256: str


class Shadow:
    """Shadow tables in one schema, and the connection that sees them first."""

    def __init__(self, connection: Any, schema: str, models: Models, wanted: Models) -> None:
        """`models` are all there are, for their facts; `wanted` those that are written."""
        self.connection = connection
        self.schema = schema
        self._models = models
        self.wanted = wanted

    @classmethod
    async def open(cls, url: str, schema: str, models: Models, wanted: Models) -> Shadow:
        """Makes the shadow's tables where they are not there yet."""
        connection = await connect(
            url, "ledger_owner", search_path=f"{schema}, ledger", synchronous_commit="off"
        )
        shadow = cls(connection, schema, models, wanted)
        async with connection.transaction():
            await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
            there = {row["tablename"] for row in await connection.fetch(_SQL.tables, schema)}
            needed = {"checkpoints", *wanted.tables}
            if there and there != needed:  # What was interrupted was another rebuild.
                await connection.execute(f'DROP SCHEMA "{schema}" CASCADE')
                await connection.execute(f'CREATE SCHEMA "{schema}"')
            if there != needed:
                for table in sorted(needed):
                    for statement in _statements_of(table):
                        await connection.execute(statement)
        return shadow

    async def close(self, *, drop: bool = False) -> None:
        """Ends the connection; `drop` takes the shadow away with it."""
        try:
            if drop and not self.connection.is_closed():
                await self.connection.execute(f'DROP SCHEMA IF EXISTS "{self.schema}" CASCADE')
        finally:
            await self.connection.close()

    async def page(self, company_id: str) -> bool:
        """Writes one more page of each model; whether there was any."""
        movers: list[FollowingModel] = list(self.wanted.following)
        if self.wanted.inline:
            movers.append(_AllInline(self._models.inline, self.wanted))
        return any([await step(self.connection, model, company_id) for model in movers])

    async def catch_up(self, company_id: str) -> None:
        """Writes pages until the log has no more."""
        while await self.page(company_id):
            pass

    async def position(self, company_id: str) -> int:
        """The last event that all of the shadow's models contain."""
        found = await self.connection.fetchval(_SQL.position, company_id)
        return int(found or 0)

    async def digests(self, company_id: str | None) -> Mapping[str, Digest]:
        """The digest of each table of the shadow, of one company or of all."""
        return await digests(self.connection, self.wanted.tables, company_id)


class _AllInline:
    """The inline models as one that follows: they share what is known, and so one fold."""

    name = "inline"
    tables: tuple[str, ...] = ()

    def __init__(self, models: Sequence[InlineModel], wanted: Models) -> None:
        self._models = models
        self._wanted = wanted

    async def save(
        self, connection: Connection, company_id: str, recorded: Sequence[Recorded]
    ) -> None:
        known = Known({}, {})
        keys = {key for r in recorded for key in touched_by(r.event, r.stream_id)}
        await load_facts(connection, company_id, self._models, keys, known)
        for r in recorded:
            known.record(r)
        for model in self._wanted.inline:
            await model.save(connection, company_id, recorded, known.staged)


async def digests(
    connection: Connection, tables: Sequence[str], company_id: str | None
) -> Mapping[str, Digest]:
    """The digest of each table, as the connection's search path finds it."""
    found = {}
    for table in tables:
        row = await connection.fetchrow(getattr(_SQL, f"digest_{table}"), company_id)
        assert row is not None
        found[table] = Digest(row["rows"], row["sha256"])
    return found


async def rows(connection: Connection, table: str, company_id: str) -> list[str]:
    """The rows of a company as text, in one order, for showing how two tables differ."""
    found = await connection.fetch(getattr(_SQL, f"rows_{table}"), company_id)
    return [str(row["row"]) for row in found]


def _statements_of(table: str) -> list[str]:
    """The statements of schema.sql that make a table and its indexes."""
    text = schema_path().read_text(encoding="utf-8")
    return [match[0] for match in _STATEMENT.finditer(text) if match[1] == table]
