"""How far everything is: the log, the read models that follow it, and who moves them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from ledger import log
from ledger.database import Pool
from ledger.errors import ReadModelBehind
from ledger.sql import beside

_SQL = beside(__file__)
Row = asyncpg.Record


class Freshness:
    """Heads, positions and lags, over the readers' pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def head(self, company_id: str) -> int:
        """The head of the log; 0 for a company that there is not."""
        return await log.head(self._pool, company_id) or 0

    async def wait_for(
        self, company_id: str, model: str, seconds: float = 2.0, *, until: int | None = None
    ) -> int:
        """Waits until a following model has reached the head of now; returns its position.

        Or until it has reached the position `until`. Raises ReadModelBehind when it has not after
        `seconds`.
        """
        wanted = await self.head(company_id) if until is None else until
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

    async def lags(self, models: Sequence[str]) -> list[Row]:
        """For each following model: events and seconds behind the heads, seconds since its beat.

        `beat_seconds` is None for a model that no projector has ever moved.
        """
        return await self._pool.fetch(_SQL.lags, models)
