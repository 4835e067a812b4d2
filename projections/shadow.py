"""Read models written anew from the log, in shadow tables of a schema of their own.

The shadow has the very tables of schema.sql, and is written by the very code that writes the
live ones. Its connection sees nothing but the shadow: the log is a view in it, so that no name
can ever mean a live table. Each page of events moves the shadow's own checkpoint in the same
transaction, and work that was interrupted goes on where it was. What a rebuild exchanges and
what a verification compares is such a shadow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from ledger.batch import InlineModel, load_facts, written
from ledger.database import Connection, connect, schema_path
from ledger.events import Recorded
from ledger.facts import touched_by
from ledger.known import Known
from ledger.sql import beside
from projections.projector import FollowingModel, advance

_SQL = beside(__file__)
_STATEMENT = re.compile(
    r"^CREATE (?:UNIQUE )?(?:TABLE|INDEX) (?:\w+ ON )?(\w+).*?;$", re.DOTALL | re.MULTILINE
)
_LIVE = "ledger, pg_temp"
"""Live tables before temporary ones, which Postgres would look at first if it were not told."""
TEMPORARY = "pg_temp"
"""The schema of a shadow that goes when its connection does, however that ends."""


@dataclass(frozen=True, slots=True)
class Models:
    """The read models there are; `inline` in the order in which they are written."""

    inline: Sequence[InlineModel]
    following: Sequence[FollowingModel]

    def written_for(self, names: Sequence[str]) -> Models:
        """What must be written to have these models; raises KeyError for one that there is not.

        The inline models are one fold, which decides from all of them, so they go together.
        """
        unknown = set(names) - set(self.names)
        if unknown:
            raise KeyError(", ".join(sorted(unknown)))
        return Models(
            self.inline if any(model.name in names for model in self.inline) else (),
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
    """Shadow tables in one schema, and the connection that sees nothing else."""

    def __init__(self, connection: Any, schema: str, models: Models) -> None:
        self.connection = connection
        self.schema = schema
        self.models = models

    @classmethod
    async def open(cls, url: str, schema: str, models: Models) -> Shadow:
        """Makes the shadow's tables, or finds those that this very program left."""
        connection = await connect(
            url, "ledger_owner", search_path=schema, synchronous_commit="off"
        )
        try:
            async with connection.transaction():
                await _prepare(connection, schema, models)
        except BaseException:
            await connection.close()
            raise
        return cls(connection, schema, models)

    async def close(self) -> None:
        """Ends the connection; a temporary shadow is gone then."""
        await self.connection.close()

    async def page(
        self,
        company_id: str,
        until: Mapping[str, int] | None = None,
        read: Sequence[Recorded] = (),
    ) -> bool:
        """Writes one more page of each model; whether there was any.

        `until` says how far a model may go; one that it does not name goes to the log's end. `read`
        is a page of the log that was read before.
        """
        movers: list[FollowingModel] = list(self.models.following)
        if self.models.inline:
            movers.append(_AllInline(self.models.inline))
        return await advance(self.connection, movers, company_id, until=until, read=read)

    async def catch_up(self, company_id: str, until: Mapping[str, int] | None = None) -> None:
        """Writes pages until there are no more."""
        while await self.page(company_id, until):
            pass

    async def position(self, company_id: str) -> int:
        """The last event that all of the shadow's models contain."""
        return int(await self.connection.fetchval(_SQL.position, company_id) or 0)

    async def live_positions(self, company_id: str) -> dict[str, int]:
        """How far the live following models are."""
        found = await self.connection.fetch(_SQL.live_positions, company_id)
        positions = {row["model"]: row["position"] for row in found}
        return {model.name: positions.get(model.name, 0) for model in self.models.following}

    async def digests(self, company_id: str) -> Mapping[str, Digest]:
        """The digest of each table of the shadow."""
        return await digests(self.connection, self.models.tables, company_id)

    async def live_digests(self, company_id: str) -> Mapping[str, Digest]:
        """The digest of each live table; for the rest of the transaction names mean those."""
        await self.see(_LIVE)
        return await digests(self.connection, self.models.tables, company_id)

    async def see(self, schema: str) -> None:
        """For the rest of the transaction, names mean the tables of this schema."""
        await self.connection.execute(_SQL.see, schema)


class _AllInline:
    """The inline models as one that follows: they share what is known, and so one fold."""

    name = "inline"
    tables: tuple[str, ...] = ()

    def __init__(self, models: Sequence[InlineModel]) -> None:
        self._models = models

    async def save(
        self, connection: Connection, company_id: str, recorded: Sequence[Recorded]
    ) -> None:
        known = Known({}, {})
        keys = {key for r in recorded for key in touched_by(r)}
        await load_facts(connection, company_id, self._models, keys, known)
        for r in recorded:
            known.record(r)
        rows = written(self._models, recorded, known.staged)
        await connection.execute(_SQL.write_rows, company_id, rows)


async def digests(
    connection: Connection, tables: Sequence[str], company_id: str
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


async def _prepare(connection: Connection, schema: str, models: Models) -> None:
    """The tables, empty, unless they are what this program left here, for these models."""
    if schema != TEMPORARY:
        mark = f"{_fingerprint()} {' '.join(models.tables)}"
        if await connection.fetchval(_SQL.mark_of, schema) == mark:
            return
        await connection.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')
        await connection.execute(f'CREATE SCHEMA "{schema}"')
        await connection.execute(f"COMMENT ON SCHEMA \"{schema}\" IS '{mark}'")
    for table in ["checkpoints", *models.tables]:
        for statement in _statements_of(table):
            await connection.execute(statement)
    await connection.execute(_SQL.view_events)
    await connection.execute(_SQL.view_heads)


def _statements_of(table: str) -> list[str]:
    """The statements of schema.sql that make a table and its indexes."""
    text = schema_path().read_text(encoding="utf-8")
    return [match[0] for match in _STATEMENT.finditer(text) if match[1] == table]


def _fingerprint() -> str:
    """What wrote a shadow: the schema and the code, as hex."""
    hashed = sha256(schema_path().read_bytes())
    for package in ("ledger", "projections"):
        folder = Path(__file__).parents[1] / package
        for file in sorted(p for p in folder.rglob("*") if p.suffix in (".py", ".sql")):
            hashed.update(file.read_bytes())
    return hashed.hexdigest()
