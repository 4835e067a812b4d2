"""What happened, entry by entry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from ledger.database import Pool
from ledger.sql import beside

_SQL = beside(__file__)
Row = asyncpg.Record


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityFilter:
    """Which activity; None means any. That of API keys only `with_keys`."""

    issue_id: str | None = None
    actor: str | None = None
    run_id: str | None = None
    types: list[str] | None = None
    since: datetime | None = None
    until: datetime | None = None
    with_keys: bool = False


class Activity:
    """Activity, over the readers' pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def page(
        self, company_id: str, wanted: ActivityFilter, before: int | None, limit: int
    ) -> list[Row]:
        """Activity, newest first."""
        return await self._pool.fetch(
            _SQL.activity,
            company_id,
            before,
            limit,
            wanted.issue_id,
            wanted.actor,
            wanted.run_id,
            wanted.types,
            wanted.since,
            wanted.until,
            wanted.with_keys,
        )
