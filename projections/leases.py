"""Inline read model: leases, each time for which a run held an issue; and who might hold what next.

What an agent might claim, and how much each has to do, are surveys: they look at many rows as
these were before the batch, so what they find is asked about again when it is decided.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ledger.batch import InlineModel
from ledger.database import Connection
from ledger.events import Recorded
from ledger.facts import FactKey
from ledger.sql import beside
from ledger.state import Lease
from projections.rows import reader

_SQL = beside(__file__)
CANDIDATES = 32
"""How many issues an agent is offered at a time."""

read_lease = reader(Lease, "issue_id")


class Leases:
    """Keeps `leases`."""

    name = "leases"
    tables = ("leases",)
    loads = frozenset({"workload", "claimable"})

    def __init__(self, issues: InlineModel) -> None:
        """`issues` loads the issues that might be claimed."""
        self._issues = issues

    async def load(
        self, connection: Connection, company_id: str, kind: str, keys: Collection[FactKey]
    ) -> Mapping[FactKey, Any]:
        """What agents might claim, and these issues; and how many unfinished ones are whose."""
        if kind == "workload":
            rows = await connection.fetch(_SQL.workloads, company_id, [key[1] for key in keys])
            return {("workload", row["assignee"]): row["issues"] for row in rows}
        found: dict[FactKey, Any] = {}
        agents: dict[tuple[str, ...], list[str]] = {}
        for key in keys:
            agents.setdefault(key[2:], []).append(key[1])
        for passed_over, names in agents.items():
            rows = await connection.fetch(
                _SQL.claimable, company_id, names, list(passed_over), CANDIDATES
            )
            for row in rows:
                ids = tuple(str(one) for one in row["issue_ids"])
                found[("claimable", row["agent_id"], *passed_over)] = ids
        issues = {("issue", one) for ids in found.values() for one in ids}
        return found | dict(await self._issues.load(connection, company_id, "issue", issues))

    def rows(
        self, recorded: Sequence[Recorded], facts: Mapping[FactKey, Any]
    ) -> Mapping[str, Sequence[Any]]:
        """The leases that began, were renewed, or ended."""
        return {"leases": [value for key, value in facts.items() if key[0] == "lease"]}
