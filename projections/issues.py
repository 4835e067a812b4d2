"""Inline read model: issues.

A new issue is inserted with its description. Later changes write the short columns alone; the
description is written again only when it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import asyncpg

from ledger import events as e
from ledger.database import Connection
from ledger.events import Recorded
from ledger.facts import FactKey
from ledger.sql import beside
from ledger.state import Issue
from projections.rows import columns_of, moment, reader, text_of

_SQL = beside(__file__)
_FIELDS = (
    "id", "version", "identifier", "title", "status", "priority", "assignee",
    "holder_agent_id", "holder_run_id", "held_since", "lease_seconds", "lease_expires_at",
    "fencing_token", "paused_at", "paused_run_id", "blocked_from", "run_count",
    "per_task_micros", "team_id", "project_id", "goal_id",
    "milestone_id", "parent_id", "label_ids", "due_at", "estimate", "sort_order",
    "billing_code", "external_system", "external_id", "comment_count", "started_at",
    "completed_at", "deleted_at", "description_position", "description_sha256",
    "created_position", "created_at", "created_by", "updated_at",
)  # fmt: skip
_DUE_AT = _FIELDS.index("due_at")
_read: Callable[[asyncpg.Record], Issue] = reader(Issue, "issue_id", {"due_at": "due_text"})


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

    async def save(
        self,
        connection: Connection,
        company_id: str,
        recorded: Sequence[Recorded],
        facts: Mapping[FactKey, Any],
    ) -> None:
        """Writes the issues that changed, and the descriptions that did."""
        issues: list[Issue] = [value for key, value in facts.items() if key[0] == "issue"]
        if not issues:
            return
        first = recorded[0].position
        texts = _descriptions(recorded)
        new = [issue for issue in issues if issue.created_position >= first]
        old = [issue for issue in issues if issue.created_position < first]
        if freed := _freed_refs(recorded):
            await connection.execute(_SQL.free_external_refs, company_id, freed)
        if new:
            described = [texts.get(issue.id) for issue in new]
            await connection.execute(_SQL.insert_issues, company_id, *issue_columns(new), described)
        if old:
            await connection.execute(_SQL.update_issues, company_id, *issue_columns(old))
        changed = [issue.id for issue in old if issue.id in texts]
        if changed:
            await connection.execute(
                _SQL.update_descriptions, company_id, changed, [texts[i] for i in changed]
            )


def read_issue(row: asyncpg.Record) -> Issue:
    """The state that a row holds."""
    return _read({**row, "due_text": text_of(row["due_at"])})  # type: ignore[arg-type]


def issue_columns(issues: Sequence[Issue]) -> list[list[Any]]:
    """The fields of issues as columns of rows, the id first, without the description."""
    columns = columns_of(issues, _FIELDS)
    columns[_DUE_AT] = [moment(text) for text in columns[_DUE_AT]]
    return columns


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
