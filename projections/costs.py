"""Following read model: what runs cost, each report and the sums.

The sums have a row a day, agent, project, issue, provider and model; anything coarser is a
sum of those. They are added to, which is exact because a page of events moves the checkpoint
in the same transaction, and so counts once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import Any

from ledger.database import Connection
from ledger.events import CostReported, Recorded
from ledger.sql import beside

_SQL = beside(__file__)


class Costs:
    """Keeps `cost_entries` and `cost_sums`."""

    name = "costs"
    tables = ("cost_entries", "cost_sums")

    async def save(
        self, connection: Connection, company_id: str, recorded: Sequence[Recorded]
    ) -> None:
        """Adds the reports, and adds them up."""
        reports = [(r, r.event) for r in recorded if isinstance(r.event, CostReported)]
        if not reports:
            return
        entries = [_entry(r, event) for r, event in reports]
        await connection.execute(_SQL.insert_entries, company_id, *_columns(entries))
        await connection.execute(_SQL.add_sums, company_id, *_columns(_summed(reports)))


def _entry(r: Recorded, event: CostReported) -> tuple[Any, ...]:
    return (
        r.position,
        r.at.astimezone(UTC).date(),
        r.at,
        r.stream_id,
        event.issue_id,
        event.agent_id,
        event.project_id,
        event.provider,
        event.model,
        event.input_tokens,
        event.output_tokens,
        event.cached_tokens,
        event.cost_micros,
    )


def _summed(reports: Sequence[tuple[Recorded, CostReported]]) -> list[tuple[Any, ...]]:
    """One row a key of cost_sums: the key, then reports, tokens by kind and micro-dollars."""
    sums: dict[tuple[Any, ...], list[int]] = {}
    for r, event in reports:
        key = (
            r.at.astimezone(UTC).date(),
            event.agent_id,
            event.project_id or "",
            event.issue_id,
            event.provider,
            event.model,
        )
        amounts = (
            1,
            event.input_tokens,
            event.output_tokens,
            event.cached_tokens,
            event.cost_micros,
        )
        sums[key] = [a + b for a, b in zip(sums.get(key, [0] * 5), amounts, strict=True)]
    return [(*key, *amounts) for key, amounts in sums.items()]


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
