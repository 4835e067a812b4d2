"""Inline read model: the directory, and the prefixes that number issues."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import asyncpg

from ledger import events as e
from ledger.database import Connection
from ledger.events import Recorded
from ledger.facts import FactKey, Prefix
from ledger.sql import beside
from ledger.state import Entry
from projections.rows import reader

_SQL = beside(__file__)
read_entry = reader(Entry, "entry_id")


class Directory:
    """Keeps `directory` and `issue_prefixes`."""

    name = "directory"
    tables = ("directory", "issue_prefixes")
    loads = frozenset({"entry", "slug", "label", "prefix"})

    async def load(
        self, connection: Connection, company_id: str, kind: str, keys: Collection[FactKey]
    ) -> Mapping[FactKey, Any]:
        """Entries by id, ids by slug or label name, and prefixes with their counters."""
        match kind:
            case "entry":
                rows = await connection.fetch(_SQL.entries, company_id, [key[1] for key in keys])
                return {("entry", str(row["entry_id"])): read_entry(row) for row in rows}
            case "slug":
                kinds, slugs = [key[1] for key in keys], [key[2] for key in keys]
                rows = await connection.fetch(_SQL.slugs, company_id, kinds, slugs)
                return {("slug", r["kind"], r["slug"]): str(r["entry_id"]) for r in rows}
            case "label":
                rows = await connection.fetch(_SQL.labels, company_id, [key[1] for key in keys])
                return {("label", r["name"]): str(r["entry_id"]) for r in rows}
            case _:
                rows = await connection.fetch(_SQL.prefixes, company_id, [key[1] for key in keys])
                return {("prefix", row["prefix"]): _prefix(row) for row in rows}

    def rows(
        self, recorded: Sequence[Recorded], facts: Mapping[FactKey, Any]
    ) -> Mapping[str, Sequence[Any]]:
        """The entries and the counters that changed."""
        prefixes = [
            {"prefix": key[1], **value._asdict()}
            for key, value in facts.items()
            if key[0] == "prefix"
        ]
        return {
            "freed_slugs": _freed_slugs(recorded),
            "directory": [value for key, value in facts.items() if key[0] == "entry"],
            "issue_prefixes": prefixes,
        }


def _freed_slugs(recorded: Sequence[Recorded]) -> list[str]:
    """The entries whose slug goes or changes: it must be free before others take it."""
    return [
        r.stream_id
        for r in recorded
        if isinstance(r.event, e.EntryArchived)
        or (isinstance(r.event, e.EntryUpdated) and "slug" in r.event.changes)
    ]


def _prefix(row: asyncpg.Record) -> Prefix:
    team_id = row["team_id"]
    return Prefix(None if team_id is None else str(team_id), row["last_number"])
