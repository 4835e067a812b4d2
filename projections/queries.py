"""Questions to the read models, each one statement, each answered as of a position.

An inline model is exact at any moment: its answer carries the head of the log that its own
snapshot saw. A following model is waited for first, so that a query sees every command that
was acknowledged before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import asyncpg

from ledger import log
from ledger.database import Pool
from ledger.errors import ReadModelBehind
from ledger.facts import is_id
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


MOST_CHANGES = 20
"""How many events somebody who has to catch up is told of at once."""

GROUPS = ("day", "agent", "project", "issue", "provider", "model")
"""What costs are summed by."""


class Queries:
    """Every question, over the readers' pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def key(self, company_id: str, secret_sha256: str) -> Row | None:
        """The living API key with this secret."""
        return await self._pool.fetchrow(_SQL.key_by_secret, company_id, secret_sha256)

    async def head(self, company_id: str) -> int:
        """The head of the log; 0 for a company that there is not."""
        return await log.head(self._pool, company_id) or 0

    async def company(self, company_id: str) -> Row | None:
        """The company."""
        return await self._pool.fetchrow(_SQL.company, company_id)

    async def keys(
        self, company_id: str, before: int | None, limit: int, archived: bool
    ) -> list[Row]:
        """API keys, newest first; revoked ones too if asked."""
        return await self._pool.fetch(_SQL.keys, company_id, before, limit, archived)

    async def key_by_id(self, company_id: str, key_id: str, archived: bool) -> Row | None:
        """One API key."""
        if not is_id(key_id):
            return None
        return await self._pool.fetchrow(_SQL.key, company_id, key_id, archived)

    async def entries(
        self, company_id: str, kind: str, before: int | None, limit: int, archived: bool
    ) -> list[Row]:
        """Entries of a kind, newest first; archived ones too if asked."""
        return await self._pool.fetch(_SQL.entries, company_id, kind, before, limit, archived)

    async def entry(self, company_id: str, kind: str, ref: str, archived: bool) -> Row | None:
        """One entry, by id or slug."""
        entry_id, slug = (ref, None) if is_id(ref) else (None, ref)
        return await self._pool.fetchrow(_SQL.entry, company_id, kind, entry_id, slug, archived)

    async def issue(self, company_id: str, ref: str) -> Row | None:
        """One issue with its description, by id or identifier."""
        if is_id(ref):
            return await self._pool.fetchrow(_SQL.issue_by_id, company_id, ref)
        return await self._pool.fetchrow(_SQL.issue_by_identifier, company_id, ref.upper())

    async def issue_ever(self, company_id: str, ref: str) -> str | None:
        """The id of an issue by id or identifier, be it deleted."""
        issue_id, identifier = (ref, None) if is_id(ref) else (None, ref.upper())
        found: str | None = await self._pool.fetchval(
            _SQL.issue_ever, company_id, issue_id, identifier
        )
        return found

    async def issues(
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

    async def comments(
        self, company_id: str, issue_id: str, after: int | None, limit: int
    ) -> list[Row]:
        """An issue's comments, oldest first."""
        return await self._pool.fetch(_SQL.comments, company_id, issue_id, after or 0, limit)

    async def comment(self, company_id: str, issue_id: str, comment_id: str) -> Row | None:
        """One comment of an issue."""
        if not is_id(comment_id):
            return None
        return await self._pool.fetchrow(_SQL.comment, company_id, issue_id, comment_id)

    async def links(
        self, company_id: str, issue_id: str, after: int | None, limit: int
    ) -> list[Row]:
        """An issue's links, from either end, oldest first."""
        return await self._pool.fetch(_SQL.links, company_id, issue_id, after or 0, limit)

    async def runs(
        self, company_id: str, issue_id: str, before: int | None, limit: int
    ) -> list[Row]:
        """An issue's runs, newest first."""
        return await self._pool.fetch(_SQL.runs, company_id, issue_id, before, limit)

    async def run(self, company_id: str, issue_id: str, run_id: str) -> Row | None:
        """One run of an issue."""
        if not is_id(run_id):
            return None
        return await self._pool.fetchrow(_SQL.run, company_id, issue_id, run_id)

    async def leases(
        self, company_id: str, run_id: str, after: int | None, limit: int
    ) -> list[Row]:
        """A run's leases, oldest first."""
        return await self._pool.fetch(_SQL.leases, company_id, run_id, after or 0, limit)

    async def issue_budget(self, company_id: str, issue_id: str) -> Row | None:
        """An issue's limit, and what was spent on it."""
        return await self._pool.fetchrow(_SQL.issue_budget, company_id, issue_id)

    async def agent_budget(self, company_id: str, agent_id: str, month: str) -> Row | None:
        """A listed agent's limit, and what it spent in a month."""
        return await self._pool.fetchrow(_SQL.agent_budget, company_id, agent_id, month)

    async def passed_over(self, company_id: str, assignee: str, now: datetime) -> dict[str, int]:
        """How many of a thousand unfinished issues an agent may not take, by reason."""
        rows = await self._pool.fetch(_SQL.passed_over, company_id, assignee, now)
        return {row["reason"]: row["issues"] for row in rows}

    async def company_budget(self, company_id: str, month: str) -> Row | None:
        """The company's limit, and what it spent in a month."""
        return await self._pool.fetchrow(_SQL.company_budget, company_id, month)

    async def since(self, company_id: str, stream_id: str, version: int) -> list[log.Stored]:
        """What happened first in one stream after a version of it, one more than MOST_CHANGES."""
        return await log.since(self._pool, company_id, stream_id, version, MOST_CHANGES + 1)

    async def activity(
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

    async def cost_entries(
        self, company_id: str, wanted: CostFilter, before: int | None, limit: int
    ) -> list[Row]:
        """Cost reports, newest first."""
        return await self._pool.fetch(
            _SQL.cost_entries, company_id, before, limit, *_cost_filter(wanted)
        )

    async def cost_sums(
        self, company_id: str, wanted: CostFilter, group_by: list[str], limit: int
    ) -> list[Row]:
        """Costs, summed by any of GROUPS; by none of them, the total."""
        groups = [name in group_by for name in GROUPS]
        return await self._pool.fetch(
            _SQL.cost_sums, company_id, *groups, *_cost_filter(wanted), limit
        )

    async def events(
        self,
        company_id: str,
        after: int,
        limit: int,
        stream_id: str | None,
        types: list[str] | None,
        *,
        with_keys: bool,
    ) -> list[log.Stored]:
        """Events of the log after a position, oldest first; those of API keys if asked."""
        return await log.page(
            self._pool,
            company_id,
            after,
            limit=limit,
            stream_id=stream_id,
            types=types,
            with_keys=with_keys,
        )

    async def wait_for(self, company_id: str, model: str, seconds: float = 2.0) -> int:
        """Waits until a following model has reached the head of now; returns the position.

        Raises ReadModelBehind when it has not after `seconds`.
        """
        wanted = await self.head(company_id)
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + seconds, 0.002
        while (position := await self.position(company_id, model)) < wanted:
            if loop.time() > deadline:
                raise ReadModelBehind(
                    f"The read model {model} is at position {position} of {wanted}. Try again, "
                    "or ask with consistency=eventual.",
                    position=position,
                    head=wanted,
                )
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.05)
        return position

    async def position(self, company_id: str, model: str) -> int:
        """How far a following model is."""
        return int(await self._pool.fetchval(_SQL.position, company_id, model) or 0)

    async def health(self) -> Mapping[str, Any]:
        """How the database and the projectors are, in one row."""
        row = await self._pool.fetchrow(_SQL.health)
        assert row is not None
        return dict(row)

    async def lags(self) -> list[Row]:
        """For each following model: events behind the heads, and seconds since its beat."""
        return await self._pool.fetch(_SQL.lags)


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
