"""What happened, entry by entry, in the order of positions.

A page is found in two steps. The first asks an index for positions: that of one filter, the one
that says most, which is in the order of positions by itself. The statements order by the filter's
column as well as by position, and bound both together, because no other index can do that: the
planner would else walk the company's whole activity backwards, hoping for a match soon. The second
step fetches those positions' rows and leaves out what the other filters do not want.

Times are positions too, except of what was imported: what was recorded when it happened lies, for
a span of time, between two positions; what was imported of that time is looked for beyond them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import asyncpg

from ledger import log
from ledger.codec import MAX_INT
from ledger.database import Pool
from ledger.sql import beside

_SQL = beside(__file__)
Row = asyncpg.Record
MOST_AT_ONCE = 2000
"""Positions that one statement finds, however few of them are wanted."""
_ENDLESS = MAX_INT + 1
_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityFilter:
    """Which activity; None means any. That of API keys only `with_keys`.

    `first_at` and `last_at` say when it happened, both included. `actors` are the names of one.
    """

    issue_id: str | None = None
    run_id: str | None = None
    actors: Sequence[str] | None = None
    project_id: str | None = None
    types: Sequence[str] | None = None
    subject_types: Sequence[str] | None = None
    first_at: datetime | None = None
    last_at: datetime | None = None
    with_keys: bool = False


class Span(NamedTuple):
    """The positions between two, neither of them included."""

    after: int = 0
    before: int = _ENDLESS

    @property
    def is_empty(self) -> bool:
        """Whether there is no position in it."""
        return self.before - self.after <= 1

    def within(self, other: Span) -> Span:
        """The positions that are in both."""
        return Span(max(self.after, other.after), min(self.before, other.before))

    def beyond(self, position: int, newest: bool) -> Span:
        """What is left to look at once everything up to a position was."""
        return Span(self.after, position) if newest else Span(position, self.before)


class _Source(NamedTuple):
    """An index to be asked for positions, what for, and between which ones."""

    name: str
    values: tuple[Any, ...]
    span: Span


class Activity:
    """Activity, over the readers' pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def page(
        self, company_id: str, wanted: ActivityFilter, span: Span, limit: int, *, newest: bool
    ) -> list[Row]:
        """The first `limit` entries of a span, from its newest or from its oldest end."""
        sources = await self._sources(company_id, wanted, span)
        found: list[Row] = []
        at_once = limit
        for source in reversed(sources) if newest else sources:
            left = source.span
            while len(found) < limit and not left.is_empty:
                positions = await self._positions(source, company_id, left, at_once, newest)
                rows = await self._rows(company_id, positions, wanted) if positions else []
                found += reversed(rows) if newest else rows
                if len(positions) < at_once:
                    break
                left = left.beyond(positions[-1], newest)
                at_once = min(at_once * 4, MOST_AT_ONCE)
        return found[:limit]

    async def traces(self, company_id: str, positions: Sequence[int]) -> dict[int, tuple[str, str]]:
        """The trace and the span that caused each event which has both."""
        rows = await self._pool.fetch(_SQL.traces, company_id, positions)
        return {
            row["position"]: (row["correlation_id"], row["causation_id"])
            for row in rows
            if row["correlation_id"] and row["causation_id"]
        }

    async def _sources(self, company_id: str, wanted: ActivityFilter, span: Span) -> list[_Source]:
        """Where to look, oldest first; together they have each position that may match once."""
        name, values = _telling_most(wanted)
        timeless = wanted.first_at is None and wanted.last_at is None
        if timeless or name in ("of_issue", "of_run"):
            return [_Source(name, values, span)]
        first, last = wanted.first_at or _FIRST, wanted.last_at or _LAST
        if first > last:
            return []
        low = await self._recorded_before(company_id, wanted.first_at)
        high = _ENDLESS - 1 if wanted.last_at is None else await self._recorded_by(company_id, last)
        then = _Source(name, values, span.within(Span(low, high + 1)))
        before, after = span.within(Span(0, low + 1)), span.within(Span(high))
        if before.is_empty and after.is_empty:
            return [then]
        count = await self._pool.fetchval(_SQL.imported_at, company_id, first, last, MOST_AT_ONCE)
        if not count:
            return [then]
        # Much of one time is looked for where it was recorded, little of it by when it happened.
        if count == MOST_AT_ONCE:
            return [_Source("imported", (), before), then, _Source("imported", (), after)]
        times = (first, last)
        return [_Source("imported_at", times, before), then, _Source("imported_at", times, after)]

    async def _recorded_by(self, company_id: str, moment: datetime) -> int:
        return await log.position_at(self._pool, company_id, moment)

    async def _recorded_before(self, company_id: str, moment: datetime | None) -> int:
        if moment is None:
            return 0
        return await self._recorded_by(company_id, moment - timedelta(microseconds=1))

    async def _positions(
        self, source: _Source, company_id: str, span: Span, limit: int, newest: bool
    ) -> list[int]:
        statement = (
            getattr(_SQL, f"newest_{source.name}")
            if newest
            else getattr(_SQL, f"oldest_{source.name}")
        )
        rows = await self._pool.fetch(statement, company_id, *span, limit, *source.values)
        return [row["position"] for row in rows]

    async def _rows(
        self, company_id: str, positions: Sequence[int], wanted: ActivityFilter
    ) -> list[Row]:
        return await self._pool.fetch(
            _SQL.rows,
            company_id,
            positions,
            wanted.issue_id,
            wanted.run_id,
            wanted.actors,
            wanted.project_id,
            wanted.types,
            wanted.subject_types,
            wanted.first_at,
            wanted.last_at,
            wanted.with_keys,
        )


def _telling_most(wanted: ActivityFilter) -> tuple[str, tuple[Any, ...]]:
    """The filter that leaves the least, as far as one can tell without looking."""
    filters = {
        "of_run": wanted.run_id,
        "of_issue": wanted.issue_id,
        "of_actor": wanted.actors,
        "of_project": wanted.project_id,
        "of_type": wanted.types,
        "of_subject_type": wanted.subject_types,
    }
    for name, value in filters.items():
        if value is not None:
            return name, (value,)
    return "of_all", ()
