"""What runs cost, report by report and in sums; what finished issues cost; budgets of a month.

What is coarse is summed from `cost_sums`, unless it is asked as of another moment than now. All
else is summed from the entries: of a run, an issue or an agent by their index, and of all of them
in a range of positions and days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import asyncpg

from ledger.database import Pool
from ledger.sql import beside

_SQL = beside(__file__)
Row = asyncpg.Record

GROUPS = ("day", "agent", "team", "project", "issue", "run", "provider", "model")
"""What costs are summed by."""

INTERVALS = ("day", "week", "month")
"""How long the days of a series are; a week begins on Monday."""

FINISHED_GROUPS = ("agent", "team", "project", "day", "month")
"""What the costs of finished issues are told by: who worked last, and when they were finished."""

_FINE = frozenset({"issue", "run"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CostFilter:
    """Which costs; None means any. Days are UTC days, both included; an agent has several ids."""

    issue_id: str | None = None
    run_id: str | None = None
    agent_ids: Sequence[str] | None = None
    team_id: str | None = None
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
        self,
        company_id: str,
        wanted: CostFilter,
        before: int | None,
        limit: int,
        position: int,
        occurred_at: datetime | None = None,
    ) -> list[Row]:
        """Reports and corrections up to a position, newest first."""
        return await self._pool.fetch(
            _SQL.cost_entries, company_id, position, occurred_at, before, limit, *_named(wanted)
        )

    async def exported(
        self,
        company_id: str,
        wanted: CostFilter,
        after: int,
        limit: int,
        position: int,
        occurred_at: datetime | None = None,
    ) -> list[Row]:
        """Reports and corrections after one position and up to another, oldest first."""
        return await self._pool.fetch(
            _SQL.exported_entries, company_id, position, occurred_at, after, limit, *_named(wanted)
        )

    async def sums(
        self,
        company_id: str,
        wanted: CostFilter,
        group_by: Sequence[str],
        limit: int,
        *,
        interval: str = "day",
    ) -> list[Row]:
        """Costs as they are now, by any of GROUPS but issue and run; by none of them, the total."""
        assert not _FINE & {*group_by}
        groups = [name in group_by for name in GROUPS if name not in _FINE]
        return await self._pool.fetch(
            _SQL.coarse_sums,
            *(company_id, *groups, interval, wanted.since, wanted.until, wanted.agent_ids),
            *(wanted.team_id, wanted.project_id, wanted.provider, wanted.model, limit),
            _level(wanted, group_by),
        )

    async def sums_as_of(
        self,
        company_id: str,
        wanted: CostFilter,
        group_by: Sequence[str],
        limit: int,
        position: int,
        occurred_at: datetime | None = None,
        *,
        interval: str = "day",
    ) -> list[Row]:
        """Costs up to a position, by any of GROUPS; by none of them, the total."""
        groups = [name in group_by for name in GROUPS]
        return await self._pool.fetch(
            _SQL.entry_sums,
            *(company_id, position, occurred_at, *groups, interval, wanted.since, wanted.until),
            *(wanted.issue_id, wanted.run_id, wanted.agent_ids, wanted.team_id, wanted.project_id),
            *(wanted.provider, wanted.model, limit),
        )

    async def finished(
        self, company_id: str, wanted: CostFilter, group_by: str | None, limit: int
    ) -> list[Row]:
        """What issues cost that were finished in the days that are wanted, by a group."""
        return await self._pool.fetch(
            _SQL.finished,
            *(company_id, group_by, wanted.since, wanted.until, wanted.agent_ids),
            *(wanted.team_id, wanted.project_id, limit),
        )

    async def finished_as_of(
        self,
        company_id: str,
        wanted: CostFilter,
        group_by: str | None,
        limit: int,
        position: int,
        occurred_at: datetime | None = None,
    ) -> list[Row]:
        """The same as of a position, or by what had happened by a time."""
        return await self._pool.fetch(
            _SQL.finished_as_of,
            *(company_id, position, occurred_at, group_by, wanted.since, wanted.until),
            *(wanted.agent_ids, wanted.team_id, wanted.project_id, limit),
        )

    async def agent_budgets(self, company_id: str, month: str, after: str, limit: int) -> list[Row]:
        """Agents with a limit, or who spent anything in a month, by id after another one's."""
        return await self._pool.fetch(_SQL.agent_budgets, company_id, month, after, limit)


def is_fine(wanted: CostFilter, group_by: Sequence[str]) -> bool:
    """Whether it takes the entries to tell, because sums are not kept by issue and run."""
    return bool(_FINE & {*group_by} or wanted.issue_id or wanted.run_id)


def _level(wanted: CostFilter, group_by: Sequence[str]) -> str:
    """Which sums have all that is asked: the fewest that do."""
    asked = {
        "agent": wanted.agent_ids is not None,
        "team": wanted.team_id is not None,
        "project": wanted.project_id is not None,
    }
    by = [name for name, is_filtered in asked.items() if is_filtered or name in group_by]
    return {0: "company", 1: "".join(by)}.get(len(by), "each")


def _named(wanted: CostFilter) -> tuple[Any, ...]:
    return (
        wanted.issue_id,
        wanted.run_id,
        wanted.agent_ids,
        wanted.team_id,
        wanted.project_id,
        wanted.provider,
        wanted.model,
        wanted.since,
        wanted.until,
    )
