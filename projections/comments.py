"""Inline read model: comments on issues."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ledger import events as e
from ledger.database import Connection
from ledger.events import Recorded
from ledger.facts import FactKey
from ledger.sql import beside
from ledger.state import Comment
from projections.rows import reader

_SQL = beside(__file__)
read_comment = reader(Comment, "comment_id")


class Comments:
    """Keeps `comments`."""

    name = "comments"
    tables = ("comments",)
    loads = frozenset({"comment"})

    async def load(
        self, connection: Connection, company_id: str, kind: str, keys: Collection[FactKey]
    ) -> Mapping[FactKey, Any]:
        """Comments by id, deleted ones too, without their texts."""
        rows = await connection.fetch(_SQL.comments, company_id, [key[1] for key in keys])
        return {("comment", str(row["comment_id"])): read_comment(row) for row in rows}

    def rows(
        self, recorded: Sequence[Recorded], facts: Mapping[FactKey, Any]
    ) -> Mapping[str, Sequence[Any]]:
        """The comments that changed, with the texts that the events set."""
        comments: list[Comment] = [value for key, value in facts.items() if key[0] == "comment"]
        texts = {
            r.event.comment_id: r.event.body
            for r in recorded
            if isinstance(r.event, e.IssueCommented | e.CommentEdited)
        }
        bodies = [None if c.deleted_at else texts.get(c.id) for c in comments]
        return {"comments": comments, "bodies": bodies}
