"""Inline read model: issues.

A new issue is inserted with its description. Later changes write the short columns alone; the
description is written again only when it changes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ledger import events as e
from ledger.database import Connection
from ledger.events import Recorded
from ledger.facts import FactKey
from ledger.sql import beside
from ledger.state import Issue
from projections.rows import reader, text_of

_SQL = beside(__file__)
read_issue = reader(Issue, "issue_id", {"due_at": text_of, "label_ids": tuple})
"""The state that a row holds."""


class Issues:
    """Keeps `issues`."""

    name = "issues"
    tables = ("issues",)
    loads = frozenset({"issue", "ancestors", "identifier", "external_ref"})

    async def load(
        self, connection: Connection, company_id: str, kind: str, keys: Collection[FactKey]
    ) -> Mapping[FactKey, Any]:
        """Issues by id, with all their ancestors if asked; ids by identifier or external_ref."""
        names = [key[1] for key in keys]
        match kind:
            case "issue":
                rows = await connection.fetch(_SQL.issues, company_id, names)
                return {("issue", str(row["issue_id"])): read_issue(row) for row in rows}
            case "ancestors":
                rows = await connection.fetch(_SQL.ancestors, company_id, names)
                absent: dict[FactKey, Any] = {("issue", name): None for name in names}
                return absent | {("issue", str(row["issue_id"])): read_issue(row) for row in rows}
            case "identifier":
                rows = await connection.fetch(_SQL.identifiers, company_id, names)
                return {("identifier", row["identifier"]): str(row["issue_id"]) for row in rows}
            case _:
                ids = [key[2] for key in keys]
                rows = await connection.fetch(_SQL.external_refs, company_id, names, ids)
                return {
                    ("external_ref", row["system"], row["id"]): str(row["issue_id"]) for row in rows
                }

    def rows(
        self, recorded: Sequence[Recorded], facts: Mapping[FactKey, Any]
    ) -> Mapping[str, Sequence[Any]]:
        """The issues that changed, and the descriptions that did."""
        issues: list[Issue] = [value for key, value in facts.items() if key[0] == "issue"]
        texts = _descriptions(recorded)
        first = recorded[0].position
        return {
            "freed_external_refs": _freed_refs(recorded),
            "issues": issues,
            "descriptions": [texts.get(issue.id) for issue in issues],
            "changed_descriptions": [
                {"id": issue.id, "text": texts[issue.id]}
                for issue in issues
                if issue.id in texts and issue.created_position < first
            ],
        }


def _freed_refs(recorded: Sequence[Recorded]) -> list[str]:
    """The issues whose external_ref goes or changes: it must be free before others take it."""
    return [
        r.stream_id
        for r in recorded
        if isinstance(r.event, e.IssueDeleted)
        or (isinstance(r.event, e.IssueEdited) and "external_ref" in r.event.changes)
    ]


def _descriptions(recorded: Sequence[Recorded]) -> dict[str, str | None]:
    """The last description that the events set, of each issue that they set one of."""
    texts: dict[str, str | None] = {}
    for r in recorded:
        match r.event:
            case e.IssueCreated(description=text):
                texts[r.stream_id] = text
            case e.IssueEdited(changes={"description": {"to": (str() | None) as text}}):
                texts[r.stream_id] = text
    return texts
