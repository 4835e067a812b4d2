"""Budgets as they were: limits from the log, and what was spent from the reports up to a position.

Those of now are kept (`things.py`, `costs.py`). What was spent by then is a sum of the entries of
the issue, or of the month; what the limit was, the last event that set it says.
"""

from __future__ import annotations

from datetime import datetime

import asyncpg

from ledger.database import Pool
from ledger.sql import beside

_SQL = beside(__file__)
Row = asyncpg.Record


class Budgets:
    """Budgets as of a position that the costs have reached, over the readers' pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def spent_on_issue(self, company_id: str, issue_id: str, position: int) -> int:
        """What was spent on an issue."""
        return int(await self._pool.fetchval(_SQL.spent_on_issue, company_id, issue_id, position))

    async def of_agent(
        self, company_id: str, agent_id: str, month: str, position: int
    ) -> Row | None:
        """A listed agent's limit, and what it had spent of a month; None before it was listed."""
        return await self._pool.fetchrow(_SQL.of_agent, company_id, agent_id, month, position)

    async def of_company(self, company_id: str, month: str, position: int) -> Row:
        """The company's limit, and what it had spent of a month."""
        row: Row | None = await self._pool.fetchrow(_SQL.of_company, company_id, month, position)
        assert row is not None
        return row

    async def of_agents(
        self, company_id: str, month: str, position: int, after: str, limit: int
    ) -> list[Row]:
        """Agents who had a limit, or had spent anything of a month, by id after another one's."""
        return await self._pool.fetch(_SQL.of_agents, company_id, month, position, after, limit)

    async def recorded_at(self, company_id: str, position: int) -> datetime | None:
        """When an event was recorded; None before the first."""
        found: datetime | None = await self._pool.fetchval(_SQL.recorded_at, company_id, position)
        return found
