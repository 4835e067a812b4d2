"""Following read model: the words of issues' titles, descriptions and comments, for searching.

A text is a row of its own, so that one more comment costs what the comment costs, however much was
said before it. Postgres makes the words: English ones, without their endings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ledger import events as e
from ledger.database import Connection
from ledger.events import Recorded
from ledger.sql import beside

_SQL = beside(__file__)
MOST_CHARACTERS = 100_000
"""How much of a text is searched; the words of more may not fit in a row."""


class Texts:
    """Keeps `issue_texts`."""

    name = "texts"
    tables = ("issue_texts",)

    async def save(
        self, connection: Connection, company_id: str, recorded: Sequence[Recorded]
    ) -> None:
        """Writes the texts that the events set, and takes away those that are gone."""
        texts = {(r.stream_id, part): text for r in recorded for part, text in texts_of(r)}
        kept, gone = [], []
        for (issue_id, part), text in texts.items():
            row = {"issue_id": issue_id, "part": part}
            if text is None:
                gone.append(row)
            else:
                kept.append({**row, "text": text[:MOST_CHARACTERS]})
        if kept:
            await connection.execute(_SQL.save_texts, company_id, kept)
        if gone:
            await connection.execute(_SQL.delete_texts, company_id, gone)


def texts_of(recorded: Recorded) -> Iterator[tuple[str, str | None]]:
    """What an event says, by the part of the issue that it is; None for what is gone."""
    match recorded.event:
        case e.IssueCreated() as event:
            yield "title", event.title
            if event.description is not None:
                yield "description", event.description
        case e.IssueEdited(changes=changes):
            for part in ("title", "description"):
                if part in changes:
                    text = changes[part]["to"]
                    yield part, text if isinstance(text, str) else None
        case e.IssueCommented() | e.CommentEdited() as event:
            yield event.comment_id, event.body
        case e.CommentDeleted(comment_id=comment_id):
            yield comment_id, None
