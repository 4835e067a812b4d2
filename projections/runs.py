"""Inline read model: runs, with the sum of what each reported.

A checkpoint may be long: it is written only when there is a new one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ledger.database import Connection
from ledger.events import Recorded, RunCheckpointed
from ledger.facts import FactKey
from ledger.sql import beside
from ledger.state import Run
from projections.rows import reader

_SQL = beside(__file__)
read_run = reader(Run, "run_id")


class Runs:
    """Keeps `runs`."""

    name = "runs"
    tables = ("runs",)
    loads = frozenset({"run"})

    async def load(
        self, connection: Connection, company_id: str, kind: str, keys: Collection[FactKey]
    ) -> Mapping[FactKey, Any]:
        """Runs by id."""
        rows = await connection.fetch(_SQL.runs, company_id, [key[1] for key in keys])
        return {("run", str(row["run_id"])): read_run(row) for row in rows}

    def rows(
        self, recorded: Sequence[Recorded], facts: Mapping[FactKey, Any]
    ) -> Mapping[str, Sequence[Any]]:
        """The runs that changed, and the checkpoints that they wrote."""
        checkpoints = {
            r.stream_id: {"id": r.stream_id, "text": r.event.checkpoint}
            for r in recorded
            if isinstance(r.event, RunCheckpointed)
        }
        return {
            "runs": [value for key, value in facts.items() if key[0] == "run"],
            "run_checkpoints": list(checkpoints.values()),
        }
