"""The rows of Beads' files: issues, their dependencies and comments, and history events.

An `IssueRow` comes from `issues.jsonl`, or is the snapshot that a history event holds of the
issue as it was. Fields that have no place in the ledger's model end up in `rest`, so that
the plan can keep them in another way.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from api.importing.beads_fields import Fields, as_json
from api.importing.beads_words import BOOKKEEPING, FORMER_LINK_FIELDS
from api.importing.report import Oddities

MAX_TITLE = 500
MAX_TEXT = 500_000
TEXTS: Mapping[str, str] = {
    "design": "Design",
    "acceptance_criteria": "Acceptance criteria",
    "notes": "Notes",
    "external_ref": "external_ref",
}
"""Fields that are kept as one comment each → its heading."""
WHOLE_TITLE = "Whole title"
MORE_DESCRIPTION = "Description, continued"
"""Headings of the comments that keep what a title or description is too long for."""
REST = "Beads fields without a place here"
"""Heading of the comment that keeps all other fields, as JSON."""
HEADINGS = (*TEXTS.values(), WHOLE_TITLE, MORE_DESCRIPTION, REST)


@dataclass(frozen=True, slots=True, kw_only=True)
class DependencyRow:
    """A relation of the issue it stands at; `extra` is what a link cannot hold, as JSON."""

    target: str
    type: str
    created_at: datetime | None = None
    created_by: str = ""
    extra: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentRow:
    """A comment."""

    author: str
    text: str
    created_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueRow:
    """An issue, as one row or snapshot tells it. Absent texts are empty."""

    where: str
    id: str
    title: str
    description: str
    status: str
    priority: int | None
    issue_type: str
    assignee: str
    created_by: str
    created_at: datetime | None
    updated_at: datetime | None
    started_at: datetime | None
    closed_at: datetime | None
    close_reason: str
    due_at: datetime | None
    estimated_minutes: int | None
    ephemeral: bool
    deleted_at: datetime | None
    deleted_by: str
    delete_reason: str
    texts: Mapping[str, str]
    """Heading → text, of the fields that become comments."""
    rest: Mapping[str, Any]
    labels: tuple[str, ...]
    parent: str
    dependencies: tuple[DependencyRow, ...]
    comments: tuple[CommentRow, ...]
    ghost: bool = False
    """No row of its own: other rows name it."""

    def digest(self) -> str:
        """A hash of what the row says, whichever file said it."""
        return digest(*(str(getattr(self, f.name)) for f in fields(self) if f.name != "where"))


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """An event of the history. `after` and `before` where they hold objects, else `text`."""

    where: str
    id: str
    issue: str
    type: str
    actor: str
    at: datetime | None
    before: IssueRow | None
    before_text: str
    after: Mapping[str, Any] | None
    text: str
    comment: str
    digest: str


@dataclass(slots=True)
class Export:
    """Everything that a file or folder says, each issue once."""

    path: str
    rows: dict[str, int] = field(default_factory=dict)
    issues: dict[str, IssueRow] = field(default_factory=dict)
    events: list[EventRow] = field(default_factory=list)

    def ids(self) -> set[str]:
        """Every issue that is named, be it here or not."""
        named = set(self.issues)
        for row in self.issues.values():
            named |= {row.parent, *(dependency.target for dependency in row.dependencies)}
        for event in self.events:
            renamed = event.type == "renamed"
            named |= {event.issue, *([event.before_text, event.text] if renamed else [])}
        return named - {""}


def digest(*parts: str) -> str:
    """A hash of some texts in their order, as hex."""
    return sha256(json.dumps(parts).encode()).hexdigest()


def issue_row(data: Mapping[str, Any], where: str, oddities: Oddities) -> IssueRow:
    """Reads an issue, or a snapshot of one; its id may be empty."""
    row = Fields(data, where, oddities)
    issue_id = row.word("id")
    texts = {h: text for name, h in TEXTS.items() if (text := row.text(name)).strip()}
    title, texts[WHOLE_TITLE] = _cut_title(row.text("title"))
    description, texts[MORE_DESCRIPTION] = _cut(row.text("description"))
    dependencies = [
        *(dependency_row(item, where, oddities) for item in row.objects("dependencies")),
        *_former_links(row),
    ]
    comments = tuple(comment_row(item, where, oddities) for item in row.objects("comments"))
    read = IssueRow(
        where=where,
        id=issue_id,
        title=title,
        description=description,
        status=row.word("status"),
        priority=row.integer("priority"),
        issue_type=row.word("issue_type") or row.word("type"),
        assignee=row.word("assignee"),
        created_by=row.word("created_by"),
        created_at=row.moment("created_at"),
        updated_at=row.moment("updated_at"),
        started_at=row.moment("started_at"),
        closed_at=row.moment("closed_at"),
        close_reason=row.text("close_reason"),
        due_at=row.moment("due_at"),
        estimated_minutes=row.integer("estimated_minutes"),
        ephemeral=any([row.flag("ephemeral"), row.flag("wisp")]),
        deleted_at=row.moment("deleted_at"),
        deleted_by=row.word("deleted_by"),
        delete_reason=row.text("delete_reason"),
        texts={heading: text for heading, text in texts.items() if text},
        labels=row.words("labels"),
        parent=row.word("parent"),
        dependencies=tuple(d for d in dependencies if d.target),
        comments=tuple(comment for comment in comments if comment.text),
        rest={},
    )
    for name in row.drop(BOOKKEEPING):
        oddities.note("bookkeeping", issue_id or where, f"{name} is Beads' own; it is left out.")
    return replace(read, rest=dict(sorted(row.rest().items())))


def ghost_row(issue_id: str, oddities: Oddities) -> IssueRow:
    """Stands for an issue that has history, labels or a comment, but no row of its own."""
    oddities.note("no_row", issue_id, "Rows name this issue, but none is its own; it is made.")
    return replace(issue_row({"id": issue_id}, issue_id, oddities), ghost=True)


def dependency_row(data: Mapping[str, Any], where: str, oddities: Oddities) -> DependencyRow:
    """Reads a dependency."""
    row = Fields(data, where, oddities)
    row.drop(frozenset({"issue_id", "id"}))
    read = DependencyRow(
        target=row.word("depends_on_id"),
        type=row.word("type") or "blocks",
        created_at=row.moment("created_at"),
        created_by=row.word("created_by"),
    )
    if not read.target:
        oddities.note("no_target", where, "A dependency names no issue; it is left out.")
    rest = row.rest()
    return replace(read, extra=as_json(rest) if rest else "")


def comment_row(data: Mapping[str, Any], where: str, oddities: Oddities) -> CommentRow:
    """Reads a comment."""
    row = Fields(data, where, oddities)
    text = row.text("text") or row.text("body")
    if not text:
        oddities.note("empty_comment", where, "A comment has no text; it is left out.")
    return CommentRow(author=row.word("author"), text=text, created_at=row.moment("created_at"))


def event_row(data: Mapping[str, Any], where: str, oddities: Oddities) -> EventRow:
    """Reads an event of the history; its issue or type may be empty."""
    row = Fields(data, where, oddities)
    row.drop(frozenset({"id"}))  # A number or a text, by Beads' version.
    event_id, issue = str(data.get("id") or ""), row.word("issue_id")
    old, new = row.text("old_value"), row.text("new_value")
    before, after = _object(old), _object(new)
    if before is not None and "title" not in before:
        before = None  # Old versions kept only what changed there; a snapshot has a title.
    read = EventRow(
        where=where,
        id=event_id,
        issue=issue,
        type=row.word("event_type"),
        actor=row.word("actor"),
        at=row.moment("created_at"),
        before=issue_row(before, where, oddities) if before else None,
        before_text="" if before else old,
        after=after,
        text="" if after is not None else new,
        comment=row.text("comment"),
        digest="",
    )
    # A rename in Beads rewrites `issue_id` in the whole history: an event is the same without.
    said = {name: value for name, value in data.items() if name != "issue_id" or not event_id}
    return replace(read, digest=digest(as_json(said)))


def _object(text: str) -> dict[str, Any] | None:
    """The JSON object that a text holds, if it does."""
    if not text.startswith("{"):
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _cut_title(text: str) -> tuple[str, str]:
    """A title that fits, and the whole one if that is another."""
    if len(text) > MAX_TITLE:
        return f"{text[: MAX_TITLE - 1]}…", text
    return (text, "") if text.strip() else ("", "")


def _cut(text: str) -> tuple[str, str]:
    """What fits of a long text, and what does not."""
    return text[:MAX_TEXT], text[MAX_TEXT:]


def _former_links(row: Fields) -> list[DependencyRow]:
    return [
        DependencyRow(target=target, type=type_)
        for name, type_ in FORMER_LINK_FIELDS.items()
        for target in row.words(name)
    ]
