"""Verify: is the log whole, and do the read models say what it says?

The log: positions without gaps up to the head, versions without gaps in each stream, times
that never run backwards, and each leaf computed anew from the row it stands in. The read
models: written anew in a temporary shadow and compared, table by table, in one snapshot in
which both are at the same position. It locks nobody out, so it may run beside a working server
at any hour; models that nobody has moved lately it moves itself, as a projector would. The
first difference found is told, in words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import zip_longest

from ledger import log
from ledger.codec import data_hash, leaf
from ledger.database import Connection, Pool, connect
from ledger.events import Recorded
from ledger.sql import beside
from projections.projector import advance
from projections.shadow import TEMPORARY, Digest, Models, Shadow, rows

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


async def companies(connection: Connection | Pool) -> list[str]:
    """Every company that has a head or an event, in one order."""
    return [str(row["company_id"]) for row in await connection.fetch(_SQL.companies)]


async def verify(
    url: str,
    models: Models,
    company_id: str,
    *,
    progress: Progress = lambda done, total: None,
) -> Verified:
    """Looks at one company's log and read models; raises nothing for what it finds."""
    shadow = await Shadow.open(url, TEMPORARY, models)
    walk = _Walk(company_id)
    tables: dict[str, Digest] = {}
    difference: str | None = None
    try:
        await _walk_along(url, walk, shadow, progress)
        tables = await _compare(walk, shadow)
    except _Different as found:
        difference = str(found)
    finally:
        await shadow.close()
    return Verified(
        company_id=company_id,
        events=walk.position,
        streams=len(walk.versions),
        tables=tables,
        difference=difference,
    )


class _Walk:
    """A walk along the log, checking each event against the one before."""

    def __init__(self, company_id: str) -> None:
        self.company_id = company_id
        self.position = 0
        self.versions: dict[str, int] = {}
        self.last_at: datetime | None = None

    async def page(self, connection: Connection) -> list[Recorded]:
        """Checks the next page of events and returns it."""
        try:
            events = await log.page(connection, self.company_id, self.position)
        except log.Unreadable as error:
            raise _Different(str(error)) from error
        for stored in events:
            self._check(stored)
        return [stored.recorded for stored in events]

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
        if self.last_at is not None and r.recorded_at < self.last_at:
            raise _Different(f"Position {r.position} was recorded before the one before it.")
        if data_hash(stored.salt, stored.canonical_data) != stored.data_hash:
            raise _Different(f"Position {r.position}: the data is not what was hashed.")
        if leaf(r, stored.schema_version, stored.data_hash) != stored.leaf:
            raise _Different(f"Position {r.position}: a column is not what the leaf commits to.")
        self.position, self.last_at = r.position, r.recorded_at
        self.versions[r.stream_id] = version


async def _walk_along(url: str, walk: _Walk, shadow: Shadow, progress: Progress) -> None:
    """Most of the way, in short transactions, the shadow alongside."""
    reader = await connect(url, "ledger_owner")
    try:
        head = await log.head(reader, walk.company_id) or 0
        while walk.position < head and (read := await walk.page(reader)):
            live = await shadow.live_positions(walk.company_id)
            await shadow.page(walk.company_id, live, read)
            progress(min(walk.position, head), head)
        following = shadow.models.following
        ends = {model.name: head for model in following}
        while await advance(reader, following, walk.company_id, until=ends):
            pass
    finally:
        await reader.close()


async def _compare(walk: _Walk, shadow: Shadow) -> dict[str, Digest]:
    """The rest of the way, and the tables, in one snapshot."""
    connection, company_id = shadow.connection, walk.company_id
    async with connection.transaction(isolation="repeatable_read"):
        while await walk.page(connection):
            pass
        end = await connection.fetchrow(_SQL.end, company_id)
        if end is None:
            raise _Different("There is no such company.")
        if (end["head"], end["last_at"]) != (walk.position, walk.last_at or end["last_at"]):
            raise _Different(
                f"The log ends at position {walk.position}, at {walk.last_at}; its head says "
                f"{end['head']}, at {end['last_at']}."
            )
        await shadow.catch_up(company_id, await shadow.live_positions(company_id))
        rebuilt = await shadow.digests(company_id)
        live = await shadow.live_digests(company_id)
        for table in shadow.models.tables:
            if live[table] != rebuilt[table]:
                raise _Different(await _first_difference(shadow, table, company_id))
    return dict(live)


async def _first_difference(shadow: Shadow, table: str, company_id: str) -> str:
    live = await rows(shadow.connection, table, company_id)
    await shadow.see(shadow.schema)
    rebuilt = await rows(shadow.connection, table, company_id)
    for a, b in zip_longest(sorted(set(live) - set(rebuilt)), sorted(set(rebuilt) - set(live))):
        return f"Table {table}: the live row is {a}; rebuilt from the log it is {b}."
    return f"Table {table}: the same rows, but {len(live)} live and {len(rebuilt)} rebuilt."
