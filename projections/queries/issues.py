"""Lists of issues, as they are or were, in one of five orders.

Each list is of one moment, a position of the log or a time. A page goes on where the one
before it ended, at the same moment, so a walk shows each issue once, whatever changes meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal, TypeAlias

import asyncpg
import orjson

from ledger.codec import MAX_INT
from ledger.database import Pool
from ledger.sql import beside

_SQL = beside(__file__)
Row = asyncpg.Record
Order: TypeAlias = Literal["newest", "oldest", "priority", "updated", "sort_order"]
Place: TypeAlias = tuple[Any, ...]
"""Where an issue stands in an order: the values of KEYS."""

_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
KEYS: dict[Order, tuple[str, ...]] = {
    "newest": ("created_at", "created_position"),
    "oldest": ("created_at", "created_position"),
    "priority": ("priority_rank", "created_at", "created_position"),
    "updated": ("updated_at", "created_position"),
    "sort_order": ("sort_number", "created_position"),
}
"""The columns by which each order goes; the last one tells issues apart."""

START: dict[Order, Place] = {
    "newest": (_LAST, MAX_INT),
    "oldest": (_FIRST, 0),
    "priority": (0, _FIRST, 0),
    "updated": (_LAST, MAX_INT),
    "sort_order": (Decimal("-Infinity"), 0),
}
"""Before the first issue of each order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueFilter:
    """Which issues; None means any. `assignee` and `parent_id` of "none" mean without one.
    An assignee of two or three names is a list of them.

    `words` are all said in the texts, `unsaid` are not. Times are from `since` on, and before
    `until`.
    """

    statuses: list[str] | None = None
    priorities: list[str] | None = None
    assignee: str | list[str] | None = None
    team_id: str | None = None
    project_id: str | None = None
    goal_id: str | None = None
    milestone_id: str | None = None
    parent_id: str | None = None
    label_id: str | None = None
    external_system: str | None = None
    external_id: str | None = None
    created_since: datetime | None = None
    created_until: datetime | None = None
    updated_since: datetime | None = None
    updated_until: datetime | None = None
    words: list[str] | None = None
    unsaid: list[str] | None = None


_APART = ("statuses", "priorities", "words", "unsaid")
DEAR_AT_ONCE = 3
"""Searches, and lists of then, which a process asks at the same time."""

MOST_NAMED = 2000
"""Of the issues that say something: so many are looked up one by one; more are met on the way."""

_PAGES: dict[Order, tuple[str, str]] = {
    "newest": (_SQL.newest, _SQL.occurred_newest),
    "oldest": (_SQL.oldest, _SQL.occurred_oldest),
    "priority": (_SQL.priority, _SQL.occurred_priority),
    "updated": (_SQL.updated, _SQL.occurred_updated),
    "sort_order": (_SQL.sort_order, _SQL.occurred_sort_order),
}
"""Of each order, how a page is asked for as of a position, and as of a time."""


class Issues:
    """Lists of issues, over the readers' pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._dear = asyncio.Semaphore(DEAR_AT_ONCE)

    @asynccontextmanager
    async def _turn(self, *, is_dear: bool) -> AsyncIterator[None]:
        """Dear questions take turns, so that there are connections for all others."""
        if not is_dear:
            yield
            return
        async with self._dear:
            yield

    async def page(
        self,
        company_id: str,
        wanted: IssueFilter,
        order: Order,
        after: Place,
        limit: int,
        *,
        position: int,
        occurred_at: datetime | None = None,
        is_past: bool = False,
    ) -> list[Row]:
        """Issues after a place in an order, as of a position, or by what had happened by a time."""
        now, then = _PAGES[order]
        async with self._turn(is_dear=wanted.words is not None or is_past):
            return await self._pool.fetch(
                now if occurred_at is None else then,
                company_id,
                position if occurred_at is None else occurred_at,
                limit,
                *await self._matching(company_id, wanted),
                *after,
            )

    async def counts(
        self, company_id: str, wanted: IssueFilter, *, position: int
    ) -> dict[str, int]:
        """How many issues are in each status, as of a position not long ago."""
        rows = await self._pool.fetch(
            _SQL.counts, company_id, position, *await self._matching(company_id, wanted)
        )
        return {row["status"]: row["issues"] for row in rows}

    async def board(
        self,
        company_id: str,
        wanted: IssueFilter,
        order: Order,
        limit: int,
        *,
        position: int,
        occurred_at: datetime | None = None,
    ) -> list[Row]:
        """The first issues of each status, by status, with how many `issues` there are in it.

        All in one look at every issue: for boards of then, and of what is searched for.
        """
        async with self._turn(is_dear=True):
            return await self._pool.fetch(
                _SQL.board if occurred_at is None else _SQL.board_occurred,
                company_id,
                position if occurred_at is None else occurred_at,
                order,
                limit,
                *await self._matching(company_id, wanted),
            )

    async def one(
        self,
        company_id: str,
        issue_id: str,
        *,
        position: int,
        occurred_at: datetime | None = None,
    ) -> Row | None:
        """One issue as it was, be it deleted by then; None before it had been created."""
        if occurred_at is not None:
            return await self._pool.fetchrow(_SQL.at_time, company_id, issue_id, occurred_at)
        return await self._pool.fetchrow(_SQL.at_position, company_id, issue_id, position)

    async def _matching(self, company_id: str, wanted: IssueFilter) -> tuple[Any, ...]:
        """The filter as the statements take it; issues that say the words by id, if few do."""
        rest = {
            name: value
            for name in IssueFilter.__dataclass_fields__
            if name not in _APART and (value := getattr(wanted, name)) is not None
        }
        words, unsaid = wanted.words, wanted.unsaid or []
        said: list[str] | None = None
        if words is not None:
            rows = await self._pool.fetch(_SQL.said, company_id, words, unsaid, MOST_NAMED + 1)
            if len(rows) <= MOST_NAMED:
                said, words = [row["issue_id"] for row in rows], None
        return (
            wanted.statuses,
            wanted.priorities,
            orjson.dumps(rest).decode(),
            said,
            words,
            unsaid,
        )

    async def description(self, company_id: str, position: int | None) -> str | None:
        """The description that the event at a position set; None for no position."""
        if position is None:
            return None
        text: str | None = await self._pool.fetchval(_SQL.description, company_id, position)
        return text


def place_of(row: Row, order: Order) -> Place:
    """Where an issue stands in an order."""
    return tuple(row[name] for name in KEYS[order])
