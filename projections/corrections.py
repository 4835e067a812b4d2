"""Inline read model: what corrected reports of costs come to.

A row a report that was ever corrected, and none for the others: those are found in the log by
their position, so that reporting costs no more than it did.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ledger.amounts import AMOUNTS, amounts_of
from ledger.codec import decode
from ledger.database import Connection
from ledger.events import CostReported, Recorded
from ledger.facts import FactKey, cost
from ledger.lookups import reported_cost
from ledger.sql import beside
from ledger.state import Cost
from ledger.values import replace

_SQL = beside(__file__)


class Corrections:
    """Keeps `cost_corrections`."""

    name = "corrections"
    tables = ("cost_corrections",)
    loads = frozenset({"cost"})

    async def load(
        self, connection: Connection, company_id: str, kind: str, keys: Collection[FactKey]
    ) -> Mapping[FactKey, Any]:
        """Reports of costs by their positions, as they are corrected by now."""
        positions = [int(key[1]) for key in keys]
        rows = await connection.fetch(_SQL.costs, company_id, positions)
        return {cost(row["position"]): _read(row) for row in rows}

    def rows(
        self, recorded: Sequence[Recorded], facts: Mapping[FactKey, Any]
    ) -> Mapping[str, Sequence[Any]]:
        """The reports that were corrected."""
        return {
            "cost_corrections": [
                {"position": int(key[1]), **dict(zip(AMOUNTS, amounts_of(value), strict=True))}
                for key, value in facts.items()
                if key[0] == "cost" and value.is_corrected
            ]
        }


def _read(row: Any) -> Cost:
    event = decode(row["type"], row["schema_version"], row["data"])
    assert isinstance(event, CostReported)
    told = reported_cost(event, str(row["stream_id"]), row["at"], row["recorded_at"])
    if row["corrected_micros"] is None:
        return told
    corrected = (
        row["corrected_input"],
        row["corrected_output"],
        row["corrected_cached"],
        row["corrected_micros"],
    )
    return replace(told, is_corrected=True, **dict(zip(AMOUNTS, corrected, strict=True)))
