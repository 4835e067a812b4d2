"""The shapes of what is told about the past of one issue: changes, differences, explanations.

Like those in `shapes.py` they are for the OpenAPI document; `history_views.py` makes the JSON.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from api.shapes import EventView, View


class LabelChangeView(View):
    """A label that was put on or taken off, under the name that it was made with."""

    id: str
    name: str | None


class WhyView(View):
    """Who did it, when, and by which event and command."""

    position: int
    event_id: str
    version: int
    type: str
    reason: str | None = Field(description="where the event says one")
    actor: str
    on_behalf_of: str | None
    key_id: str | None
    command_id: str
    run_id: str | None
    correlation_id: str | None
    causation_id: str | None
    at: datetime
    recorded_at: datetime
    via: str


class ChangedView(View):
    """A field and its values.

    A description is `{position, sha256, characters, text}`, where `text` is null if it is over
    1,000 characters: the event at that position holds it. `added` and `removed` are of `labels`.
    """

    field: str
    from_: Any = Field(alias="from")
    to: Any
    added: list[LabelChangeView] | None = None
    removed: list[LabelChangeView] | None = None


class HistoryView(WhyView, ChangedView):
    """One field's change, with who, when and why."""


class DifferenceView(ChangedView):
    """A field that differs, and the last event that set it; null if that was not looked for."""

    set_by: WhyView | None


class CommentDifferenceView(View):
    """A comment, and the event that added, removed or last edited it."""

    comment_id: str
    position: int
    actor: str
    at: datetime


class CommentDifferencesView(View):
    """What became of comments in between."""

    added: list[CommentDifferenceView]
    edited: list[CommentDifferenceView]
    removed: list[CommentDifferenceView]


class LinkDifferenceView(View):
    """A link of the issue, from either end, and the event that added or removed it.

    `issue_id` keeps it, and `target_id` is the other end.
    """

    link_id: str
    issue_id: str
    link_type: str
    target_id: str
    position: int
    actor: str
    at: datetime


class LinkDifferencesView(View):
    """What became of links in between."""

    added: list[LinkDifferenceView]
    removed: list[LinkDifferenceView]


class DiffView(View):
    """What is different about an issue between two positions of the log.

    `is_complete` is false where more than 20,000 events of the issue, or so many of the company's
    links, lie between: who set what, comments and links are of the last 20,000 then. The fields
    that differ are all there, always.
    """

    issue_id: str
    from_position: int
    to_position: int
    fields: list[DifferenceView]
    comments: CommentDifferencesView
    links: LinkDifferencesView
    is_complete: bool
    as_of_position: int


class CommandEventView(View):
    """One event that a command appended; `data` is null where it is long."""

    position: int
    stream_id: str
    version: int
    type: str
    data: dict[str, Any] | None


class CommandView(View):
    """A command, by all that it appended; `is_complete` unless that is very much."""

    command_id: str
    events: list[CommandEventView]
    is_complete: bool


class ExplanationView(View):
    """Why a field of an issue has its value.

    `event` set it, or wrote the issue down without it; null if it was not found among the last
    20,000. `cause` is the event with which its command began, where that is another one: what
    was done elsewhere and brought this about.
    """

    issue_id: str
    identifier: str
    field: str
    value: Any
    former: Any
    event: EventView | None
    command: CommandView | None
    cause: CommandEventView | None
    as_of_position: int
