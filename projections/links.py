"""Inline read model: links between issues, and the graph of what blocks what."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import asyncpg

from ledger.database import Connection
from ledger.events import IssueUnlinked, Recorded
from ledger.facts import FactKey
from ledger.sql import beside
from ledger.state import Link
from projections.rows import reader

_SQL = beside(__file__)
read_link = reader(Link, "link_id")


class Links:
    """Keeps `links`."""

    name = "links"
    tables = ("links",)
    loads = frozenset({"link", "relation", "blockers", "dependents", "blocking_graph"})

    async def load(
        self, connection: Connection, company_id: str, kind: str, keys: Collection[FactKey]
    ) -> Mapping[FactKey, Any]:
        """Links by id, ids of links by what they relate, and what blocks what."""
        names = [key[1] for key in keys]
        match kind:
            case "link":
                rows = await connection.fetch(_SQL.links, company_id, names)
                return {("link", str(row["link_id"])): read_link(row) for row in rows}
            case "blockers":
                rows = await connection.fetch(_SQL.blockers, company_id, names)
                return _ends("blockers", rows)
            case "dependents":
                rows = await connection.fetch(_SQL.dependents, company_id, names)
                return _ends("dependents", rows)
            case "blocking_graph":
                rows = await connection.fetch(_SQL.blocking_graph, company_id, names)
                return _ends("blockers", rows)
        parts = [[key[i] for key in keys] for i in (1, 2, 3)]
        rows = await connection.fetch(_SQL.relations, company_id, *parts)
        return {
            ("relation", str(r["issue_id"]), r["link_type"], str(r["target_id"])): str(r["link_id"])
            for r in rows
        }

    def rows(
        self, recorded: Sequence[Recorded], facts: Mapping[FactKey, Any]
    ) -> Mapping[str, Sequence[Any]]:
        """The links that are gone, and those that came."""
        return {
            "gone_links": [r.event.link_id for r in recorded if isinstance(r.event, IssueUnlinked)],
            "links": [link for key, link in facts.items() if key[0] == "link" and link is not None],
        }


def _ends(kind: str, rows: Sequence[asyncpg.Record]) -> dict[FactKey, Any]:
    """For each issue, those at the other ends of its links."""
    return {(kind, str(row[0])): tuple(str(one) for one in row[1]) for row in rows}
