"""Lists of issues."""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

from ledger.database import Pool
from ledger.sql import beside

_SQL = beside(__file__)
Row = asyncpg.Record


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueFilter:
    """Which issues; None means any. `assignee` and `parent_id` of "none" mean without one."""

    statuses: list[str] | None = None
    priorities: list[str] | None = None
    assignee: str | None = None
    team_id: str | None = None
    project_id: str | None = None
    goal_id: str | None = None
    milestone_id: str | None = None
    parent_id: str | None = None
    label_id: str | None = None
    external_system: str | None = None
    external_id: str | None = None


class Issues:
    """Lists of issues, over the readers' pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def page(
        self, company_id: str, wanted: IssueFilter, before: int | None, limit: int
    ) -> list[Row]:
        """Issues, newest first, without their descriptions."""
        return await self._pool.fetch(
            _SQL.issues,
            company_id,
            before,
            limit,
            wanted.statuses,
            wanted.priorities,
            wanted.assignee,
            wanted.team_id,
            wanted.project_id,
            wanted.goal_id,
            wanted.milestone_id,
            wanted.parent_id,
            wanted.label_id,
            wanted.external_system,
            wanted.external_id,
        )
