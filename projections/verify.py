"""Verify: is the log whole, and do the read models say what it says?

The log: positions without gaps up to the head, versions without gaps in each stream, times
that never run backwards, and each leaf computed anew from the row it stands in. The read
models: written anew in a shadow and compared, table by table, at one and the same position.
The walk is in short transactions beside a working server; only the comparison holds the
company's lock. The first difference found is told, in words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import zip_longest

from ledger import log
from ledger.codec import data_hash, leaf
from ledger.database import connect
from ledger.ids import new_id
from ledger.sql import beside
from projections.projector import step
from projections.shadow import Digest, Models, Shadow, digests, rows

_SQL = beside(__file__)

Progress = Callable[[int, int], None]
"""Hears how many events are done, and how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was looked at in one company, and the first difference, if there is one."""

    company_id: str
    events: int
    streams: int
    tables: dict[str, Digest]
    difference: str | None

    def to_json(self) -> dict[str, object]:
        """The findings as JSON."""
        tables = {name: digest._asdict() for name, digest in self.tables.items()}
        return {**asdict(self), "tables": tables, "ok": self.difference is None}


class _Different(Exception):
    """The first difference, in words."""


async def verify(
    url: str,
    models: Models,
    company_id: str,
    *,
    progress: Progress = lambda done, total: None,
) -> Verified:
    """Looks at one company's log and read models; raises nothing for what it finds."""
    shadow = await Shadow.open(url, f"ledger_verify_{new_id().replace('-', '')}", models, models)
    walker = _Walk(company_id)
    tables: dict[str, Digest] = {}
    difference: str | None = None
    try:
        await walker.walk(url, shadow, progress)
        tables = await _compare(shadow, company_id)
    except _Different as found:
        difference = str(found)
    finally:
        await shadow.close(drop=True)
    return Verified(
        company_id=company_id,
        events=walker.position,
        streams=len(walker.versions),
        tables=tables,
        difference=difference,
    )


class _Walk:
    """One walk along the log, checking each event against the one before."""

    def __init__(self, company_id: str) -> None:
        self.company_id = company_id
        self.position = 0
        self.versions: dict[str, int] = {}
        self._last_at: datetime | None = None

    async def walk(self, url: str, shadow: Shadow, progress: Progress) -> None:
        reader = await connect(url, "ledger_owner")
        try:
            head = await log.head(reader, self.company_id)
            if head is None:
                raise _Different("There is no such company.")
            while self.position < head:
                try:
                    events = await log.page(reader, self.company_id, self.position)
                except (ValueError, TypeError, KeyError) as error:
                    raise _Different(
                        f"After position {self.position} there is an event that cannot be read: "
                        f"{error}"
                    ) from error
                if not events:
                    raise _Different(
                        f"The log ends at position {self.position}, its head says {head}."
                    )
                for stored in events:
                    self._check(stored)
                await shadow.page(self.company_id)
                progress(min(self.position, head), head)
        finally:
            await reader.close()

    def _check(self, stored: log.Stored) -> None:
        r = stored.recorded
        if r.position != self.position + 1:
            raise _Different(f"Position {self.position + 1} is missing; {r.position} follows.")
        version = self.versions.get(r.stream_id, 0) + 1
        if r.version != version:
            raise _Different(
                f"Position {r.position}: stream {r.stream_id} goes from version {version - 1} "
                f"to {r.version}."
            )
        if self._last_at is not None and r.recorded_at < self._last_at:
            raise _Different(f"Position {r.position} was recorded before the one before it.")
        if data_hash(stored.salt, stored.canonical_data) != stored.data_hash:
            raise _Different(f"Position {r.position}: the data is not what was hashed.")
        if leaf(r, stored.schema_version, stored.data_hash) != stored.leaf:
            raise _Different(f"Position {r.position}: a column is not what the leaf commits to.")
        self.position, self.versions[r.stream_id], self._last_at = (
            r.position,
            version,
            r.recorded_at,
        )


async def _compare(shadow: Shadow, company_id: str) -> dict[str, Digest]:
    """Live and rebuilt tables at the same position, under the company's lock."""
    connection = shadow.connection
    await shadow.catch_up(company_id)
    async with connection.transaction():
        await connection.fetch(_SQL.lock_head, company_id)
        await connection.fetch(_SQL.lock_checkpoints, company_id)
        await shadow.catch_up(company_id)
        rebuilt = await shadow.digests(company_id)
        await connection.execute(_SQL.see_live_tables)
        for model in shadow.wanted.following:
            while await step(connection, model, company_id):
                pass  # What a projector would do in a moment anyway.
        live = await digests(connection, shadow.wanted.tables, company_id)
        for table in shadow.wanted.tables:
            if live[table] != rebuilt[table]:
                raise _Different(await _first_difference(shadow, table, company_id))
    return dict(live)


async def _first_difference(shadow: Shadow, table: str, company_id: str) -> str:
    live = await rows(shadow.connection, table, company_id)
    async with shadow.connection.transaction():
        await shadow.connection.execute(_SQL.see_tables_of, f"{shadow.schema}, ledger")
        rebuilt = await rows(shadow.connection, table, company_id)
    for a, b in zip_longest(sorted(set(live) - set(rebuilt)), sorted(set(rebuilt) - set(live))):
        return f"Table {table}: the live row is {a}; rebuilt from the log it is {b}."
    return f"Table {table}: the same rows, but {len(live)} live and {len(rebuilt)} rebuilt."
