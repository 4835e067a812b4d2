"""Replay: the log as lines, or the state that a part of it comes to.

State is folded from nothing but events, by the same `evolve`, in memory; the read models are
not asked. That is what makes it a proof of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from api import views
from ledger import events as e
from ledger import log
from ledger.database import Pool
from ledger.events import Recorded
from ledger.facts import FactKey, identifier, is_id
from ledger.known import Known
from ledger.sql import beside
from ledger.state import Comment, Company, Entry, Issue, Key, Link, Run
from ledger.values import Value

_SQL = beside(__file__)
_KINDS: dict[type[Value], str] = {
    Company: "company",
    Key: "key",
    Entry: "entry",
    Issue: "issue",
    Run: "run",
    Comment: "comment",
    Link: "link",
}


class _FromNothing(dict[FactKey, Any]):
    """Facts before the first event: there is no such thing, whatever is asked."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: FactKey) -> None:
        return None


class Fold:
    """The state that events come to, one after the other."""

    def __init__(self) -> None:
        self.known = Known(_FromNothing(), {})
        self._texts: dict[str, str | None] = {}

    def add(self, recorded: Recorded) -> None:
        """Takes one more event."""
        self.known.record(recorded)
        match recorded.event:
            case e.IssueCreated(description=text):
                self._texts[recorded.stream_id] = text
            case e.IssueEdited(changes={"description": {"to": (str() | None) as text}}):
                self._texts[recorded.stream_id] = text
            case e.IssueCommented() | e.CommentEdited() as said:
                self._texts[said.comment_id] = said.body

    def states(self, issue: str | None = None) -> Iterator[dict[str, Any]]:
        """Everything there is, or what there is of one issue (an id or identifier)."""
        issue_id = issue
        if issue is not None and not is_id(issue):
            issue_id = self.known[identifier(issue)]
            if issue_id is None:
                return
        for key, state in self.known.staged.items():
            if key[0] not in ("company", "key", "entry", "issue", "run", "comment", "link"):
                continue
            if state is None or getattr(state, "deleted_at", None) is not None:
                continue
            if issue is None or issue_id in (state.id, getattr(state, "issue_id", None)):
                yield self._shown(state)

    def _shown(self, state: Any) -> dict[str, Any]:
        shown = {"kind": _KINDS[type(state)], **views.subject(state, None)}
        if isinstance(state, Issue):
            shown["description"] = self._texts.get(state.id)
        if isinstance(state, Comment):
            shown["body"] = self._texts.get(state.id)
        return shown


async def events(
    pool: Pool, company_id: str, *, until: int | None = None, issue: str | None = None
) -> AsyncIterator[log.Stored]:
    """The log up to a position, or the part of it in an issue's own stream."""
    stream_id = issue
    if issue is not None and not is_id(issue):
        stream_id = await pool.fetchval(_SQL.issue_with_identifier, company_id, issue.upper())
        if stream_id is None:
            return
    async for stored in log.walk(pool, company_id, until=until, stream_id=stream_id):
        yield stored
