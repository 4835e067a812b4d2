"""Over HTTP: what is different about an issue between two moments.

The fields that differ are told from the two states alone. Who set them last, and what became of
comments and links in between, is looked up in the events between, newest first. A link belongs to
both of its issues: those that other issues keep to this one are in their streams, and looked up
there.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from api import history_asked as a
from api import requests
from api.answers import as_json
from api.asking.naming import issue_ever_named
from api.auth import Caller
from api.changes import Change, changes, shown
from api.context import Api
from api.history_views import Json, shower_of, when, why
from api.wire import Moment
from ledger import events as e
from ledger import log
from ledger.codec import MAX_INT
from ledger.database import Pool
from ledger.errors import Invalid
from ledger.events import Recorded
from projections.folding import Stretch, backwards, state_at, version_at
from projections.queries.links import linkings_to

MOST_EVENTS = 20_000
"""Events between the two moments that are looked at."""

_READ_TIME = TypeAdapter(Moment).validate_python


@dataclass(slots=True)
class _Between:
    """What the events between say, newest first."""

    set_by: dict[str, Recorded] = field(default_factory=dict)
    """Field → the last event that set it."""
    added: dict[str, Json] = field(default_factory=dict)
    """Comments and links that came, by id."""
    edited: dict[str, Json] = field(default_factory=dict)
    removed: dict[str, Json] = field(default_factory=dict)
    is_complete: bool = True

    def take(self, recorded: Recorded, changed: Collection[Change]) -> None:
        """One event more, older than those before."""
        for change in changed:
            self.set_by.setdefault(change.field, recorded)
        match recorded.event:
            case e.IssueCommented(comment_id=comment_id):
                self._came(comment_id, _comment(comment_id, recorded))
            case e.CommentEdited(comment_id=comment_id):
                self.edited.setdefault(comment_id, _comment(comment_id, recorded))
            case e.CommentDeleted(comment_id=comment_id):
                self.removed[comment_id] = _comment(comment_id, recorded)
            case e.IssueLinked() as event:
                self._came(event.link_id, _link(event, recorded))
            case e.IssueUnlinked() as event:
                self.removed[event.link_id] = _link(event, recorded)

    def _came(self, one: str, shown: Json) -> None:
        """What came and went in between is neither added nor removed."""
        self.edited.pop(one, None)
        if self.removed.pop(one, None) is None:
            self.added[one] = shown

    def of(self, what: dict[str, Json], name: str) -> list[Json]:
        """Comments (`comment_id`) or links (`link_id`), oldest first."""
        found = (shown for shown in what.values() if name in shown)
        return sorted(found, key=lambda shown: int(shown["position"]))


async def diff(api: Api, request: web.Request) -> web.Response:
    """What is different about an issue between two moments, who did it, and when."""
    caller = await api.caller(request)
    asked = requests.query(request, a.DiffQuery)
    issue_id = await issue_ever_named(api, caller, requests.about(request)["issue_id"])
    assert issue_id is not None
    head = await api.queries.freshness.head(caller.company_id)
    start = await _position(api, caller, asked.from_, head, "/from")
    end = head if asked.to is None else await _position(api, caller, asked.to, head, "/to")
    if start > end:
        raise Invalid("`from` is after `to`; exchange them.", pointer="/from")
    body = await _differences(api.queries.pool, caller.company_id, issue_id, start, end)
    return as_json({**body, "as_of_position": head}, position=head)


async def _position(api: Api, caller: Caller, text: str, head: int, pointer: str) -> int:
    """The position that a parameter means; raises Invalid for what is neither one nor a time."""
    if text.isascii() and text.isdigit():
        position = int(text)
        if position > head:
            raise Invalid(
                f"The log ends at position {head}; {min(position, MAX_INT)} is still to come.",
                pointer=pointer,
            )
        return position
    try:
        moment = _READ_TIME(text)
    except ValidationError:
        raise Invalid(
            "Give a position of the log, or a time such as 2026-01-31T12:00:00Z.", pointer=pointer
        ) from None
    return min(head, await log.position_at(api.queries.pool, caller.company_id, moment))


async def _differences(
    pool: Pool, company_id: str, issue_id: str, start: int, end: int
) -> dict[str, Any]:
    first = await version_at(pool, company_id, issue_id, start)
    last = await version_at(pool, company_id, issue_id, end)
    before = await state_at(pool, Stretch(company_id, issue_id, 1, first))
    after = await state_at(pool, Stretch(company_id, issue_id, 1, last))
    differing = changes(shown(before), shown(after))
    between = await _between(pool, Stretch(company_id, issue_id, first + 1, last))
    elsewhere = await linkings_to(pool, company_id, issue_id, start, end)
    for recorded in elsewhere.events:
        between.take(recorded, ())
    between.is_complete &= elsewhere.is_complete
    shower = await shower_of(pool, company_id, differing)
    fields = []
    for change in differing:
        set_by = between.set_by.get(change.field)
        fields.append({**shower.changed(change), "set_by": why(set_by) if set_by else None})
    return {
        "issue_id": issue_id,
        "from_position": start,
        "to_position": end,
        "fields": fields,
        "comments": {
            "added": between.of(between.added, "comment_id"),
            "edited": between.of(between.edited, "comment_id"),
            "removed": between.of(between.removed, "comment_id"),
        },
        "links": {
            "added": between.of(between.added, "link_id"),
            "removed": between.of(between.removed, "link_id"),
        },
        "is_complete": between.is_complete,
    }


async def _between(pool: Pool, stretch: Stretch) -> _Between:
    between = _Between()
    nearest = max(stretch.first, stretch.last - MOST_EVENTS + 1)
    between.is_complete = nearest == stretch.first
    async for step in backwards(pool, stretch._replace(first=nearest)):
        between.take(step.recorded, changes(shown(step.before), shown(step.after)))
    for one in between.removed:
        between.edited.pop(one, None)
    return between


def _comment(comment_id: str, recorded: Recorded) -> Json:
    return {"comment_id": comment_id, **when(recorded)}


def _link(event: e.IssueLinked | e.IssueUnlinked, recorded: Recorded) -> Json:
    return {
        "link_id": event.link_id,
        "issue_id": recorded.stream_id,
        "link_type": event.link_type,
        "target_id": event.target_id,
        **when(recorded),
    }
