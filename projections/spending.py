"""Inline read model: what was spent, per issue, and per agent and company in a calendar month.

Written with the report itself, so that a budget is decided from exact sums. Costs by any other
group are the following model's (`costs.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ledger.database import Connection
from ledger.events import Recorded
from ledger.facts import FactKey
from ledger.sql import beside

_SQL = beside(__file__)


class Spending:
    """Keeps `spending`."""

    name = "spending"
    tables = ("spending",)
    loads = frozenset({"spent"})

    async def load(
        self, connection: Connection, company_id: str, kind: str, keys: Collection[FactKey]
    ) -> Mapping[FactKey, Any]:
        """Micro-dollars; a sum of nothing is not there."""
        parts = [[key[i] for key in keys] for i in (1, 2, 3)]
        rows = await connection.fetch(_SQL.spending, company_id, *parts)
        return {("spent", r["scope"], r["scope_id"], r["month"]): r["spent_micros"] for r in rows}

    def rows(
        self, recorded: Sequence[Recorded], facts: Mapping[FactKey, Any]
    ) -> Mapping[str, Sequence[Any]]:
        """The sums that changed."""
        sums = [(key, value) for key, value in facts.items() if key[0] == "spent"]
        return {
            "spending": [
                {"scope": scope, "scope_id": scope_id, "month": month, "spent_micros": value}
                for (_, scope, scope_id, month), value in sums
            ]
        }
