"""The log itself, filtered: a page at a time, and never more than a stretch of it a statement.

No filter may make one statement read a log of a million events. So a page goes along the log in
windows of positions, each a short range of the primary key, and says how far it came: a reader goes
on from there, whether it was shown anything or not. The events of one issue are found by the
index of streams instead, where the stretch is long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import asyncpg

from ledger import log
from ledger.database import Pool
from ledger.sql import beside

_SQL = beside(__file__)
WINDOW = 10_000
"""Positions that one statement goes along."""

MOST_WINDOWS = 10
"""Statements for one page."""

PAGE_BYTES = 4 * 1024 * 1024
"""After this much data a page ends; one event may be larger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedFilter:
    """Which events; None means any. Those of API keys only `with_keys`.

    Those of a run are those of its own stream, those that were done in it, and those that name it,
    such as the checkout that began it. An actor's are those that it did, under any of its names,
    and those that were done on its behalf. A type ends in `.*` to mean all of a kind. `since` holds
    for what is still to come too: it may be a time that no event has reached.
    """

    issue_id: str | None = None
    run_id: str | None = None
    actors: Sequence[str] | None = None
    types: Sequence[str] | None = None
    since: datetime | None = None
    with_keys: bool = False

    @property
    def arguments(self) -> tuple[object, ...]:
        """As the statements take it, after what else they take."""
        exact = [name for name in self.types or () if not name.endswith(".*")]
        kinds = [name.removesuffix("*") for name in self.types or () if name.endswith(".*")]
        return (
            self.issue_id,
            self.run_id,
            self.actors,
            None if self.types is None else exact,
            [_escaped(kind) + "%" for kind in kinds],
            self.with_keys,
            self.since,
        )


class FeedPage(NamedTuple):
    """Events, and the position up to which there are no others."""

    events: list[log.Stored]
    reached: int


class Feed:
    """The log, over the readers' pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def page(
        self,
        company_id: str,
        wanted: FeedFilter,
        after: int,
        until: int,
        limit: int,
        *,
        most_bytes: int = PAGE_BYTES,
    ) -> FeedPage:
        """Events after a position and up to another one, oldest first.

        `limit` of them, or fewer when they are large or rare; what is left of the stretch then
        begins after `reached`.
        """
        events: list[log.Stored] = []
        reached = after
        for _ in range(MOST_WINDOWS):
            room, size = limit - len(events), 0
            if reached >= until or room <= 0 or most_bytes <= 0:
                break
            rows, end = await self._rows(company_id, wanted, reached, until, room, most_bytes)
            if rows:
                size = rows[-1]["bytes_through"]
                events += [log.stored_from(row) for row in rows]
            most_bytes -= size
            is_cut = len(rows) == room or most_bytes <= 0
            reached = events[-1].recorded.position if is_cut else end
        return FeedPage(events, reached)

    async def _rows(
        self, company_id: str, wanted: FeedFilter, after: int, until: int, room: int, size: int
    ) -> tuple[list[asyncpg.Record], int]:
        """What one statement finds, and the position at which it ends when it finds little."""
        end = min(after + WINDOW, until)
        if wanted.issue_id is not None and end < until:
            version = await self._pool.fetchval(_SQL.version_at, company_id, wanted.issue_id, after)
            return await self._pool.fetch(
                _SQL.of_stream, company_id, version, until, room, size, *wanted.arguments
            ), until
        return await self._pool.fetch(
            _SQL.window, company_id, after, end, room, size, *wanted.arguments
        ), end


def _escaped(text: str) -> str:
    """Text that LIKE takes as it is."""
    return text.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%")
