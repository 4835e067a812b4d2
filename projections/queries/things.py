"""Questions to the inline read models: one thing, or the things of one thing.

They are exact at any moment: an answer carries the head of the log that its own snapshot saw.
"""

from __future__ import annotations

from datetime import datetime

import asyncpg

from ledger import log
from ledger.database import Pool
from ledger.facts import is_id
from ledger.sql import beside

_SQL = beside(__file__)
Row = asyncpg.Record

MOST_CHANGES = 20
"""How many events somebody who has to catch up is told of at once."""


class Things:
    """What there is now, over the readers' pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def key(self, company_id: str, secret_sha256: str) -> Row | None:
        """The living API key with this secret."""
        return await self._pool.fetchrow(_SQL.key_by_secret, company_id, secret_sha256)

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

    async def ancestors(self, company_id: str, issue_id: str) -> list[Row]:
        """The issues above an issue, from the topmost to its parent."""
        return await self._pool.fetch(_SQL.ancestors, company_id, issue_id)

    async def sub_issues(self, company_id: str, issue_id: str, limit: int) -> list[Row]:
        """The issues right below an issue, oldest first."""
        return await self._pool.fetch(_SQL.sub_issues, company_id, issue_id, limit)

    async def sub_issue_counts(self, company_id: str, issue_id: str) -> dict[str, int]:
        """How many issues right below an issue are in each status that there is one in."""
        rows = await self._pool.fetch(_SQL.sub_issue_counts, company_id, issue_id)
        return {row["status"]: row["issues"] for row in rows}

    async def with_keys(self, company_id: str, actors: list[str]) -> list[str]:
        """Of these actors, those that were ever given an API key."""
        if not actors:
            return []
        rows = await self._pool.fetch(_SQL.with_keys, company_id, actors)
        return [row["actor"] for row in rows]

    async def entries_by_id(self, company_id: str, entry_ids: list[str]) -> dict[str, Row]:
        """Entries of the directory by id, archived ones too."""
        rows = await self._pool.fetch(_SQL.entries_by_id, company_id, entry_ids)
        return {str(row["entry_id"]): row for row in rows}

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
