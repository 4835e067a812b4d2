"""What runs cost, report by report and in sums."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import asyncpg

from ledger.database import Pool
from ledger.sql import beside

_SQL = beside(__file__)
Row = asyncpg.Record

GROUPS = ("day", "agent", "project", "issue", "provider", "model")
"""What costs are summed by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostFilter:
    """Which costs; None means any. Days are UTC days, both included."""

    issue_id: str | None = None
    agent_id: str | None = None
    project_id: str | None = None
    provider: str | None = None
    model: str | None = None
    since: date | None = None
    until: date | None = None


class Costs:
    """Costs, over the readers' pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def entries(
        self, company_id: str, wanted: CostFilter, before: int | None, limit: int
    ) -> list[Row]:
        """Cost reports, newest first."""
        return await self._pool.fetch(
            _SQL.cost_entries, company_id, before, limit, *_cost_filter(wanted)
        )

    async def sums(
        self, company_id: str, wanted: CostFilter, group_by: list[str], limit: int
    ) -> list[Row]:
        """Costs, summed by any of GROUPS; by none of them, the total."""
        groups = [name in group_by for name in GROUPS]
        return await self._pool.fetch(
            _SQL.cost_sums, company_id, *groups, *_cost_filter(wanted), limit
        )


def _cost_filter(wanted: CostFilter) -> tuple[Any, ...]:
    return (
        wanted.issue_id,
        wanted.agent_id,
        wanted.project_id,
        wanted.provider,
        wanted.model,
        wanted.since,
        wanted.until,
    )
