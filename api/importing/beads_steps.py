"""What an import does, step by step: when, by whom, to which issue, and what.

A step says what the source says, in the source's own words and ids; what commands that takes
is decided when the ledger's state is known (`beads_commands.py`). Its key names the source's
row and not the ids that the ledger made, so that the next import knows the step again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from api.importing.beads_rows import digest
from ledger.codec import timestamp
from ledger.events import Json

MAX_COMMENT = 500_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An agent, a user or a label has a name."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Born:
    """An issue began, with what is known of it at that time."""

    title: str
    description: str
    priority: str
    labels: tuple[str, ...]
    external_id: str
    due_at: str | None = None
    estimate: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Become:
    """An issue is to be so; what is not named stays. An empty assignee is nobody.

    `status` is a status of the ledger; should the issue have it already, `otherwise` is said
    in a comment. `labels`, `links` (each a type and a target) and `has_parent` are all that
    it has, and so say as well what it has no longer.
    """

    fields: Mapping[str, Json] = field(default_factory=dict)
    status: str | None = None
    reason: str | None = None
    otherwise: str = ""
    assignee: str | None = None
    texts: Mapping[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] | None = None
    links: frozenset[tuple[str, str]] | None = None
    has_parent: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Began:
    """An issue was created again under its id: if it was finished it is open again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Somebody wrote a comment, or the import keeps something as one."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A label was put on an issue, or taken off."""

    name: str
    on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildOf:
    """An issue got a parent."""

    parent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """An issue was related to another one."""

    link_type: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """An issue was deleted."""

    reason: str


Deed: TypeAlias = Listed | Born | Become | Began | Said | Labelled | ChildOf | Linked | Deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One deed. `issue` is the source's id, empty for the directory; so is an unknown author."""

    at: datetime
    author: str = ""
    issue: str = ""
    key: str
    deed: Deed

    @property
    def rank(self) -> int:
        """What comes first at the same time: names, then issues, then what is about them."""
        match self.deed:
            case Listed():
                return 0
            case Born():
                return 1
            case Deleted():
                return 3
            case _:
                return 2


def key_of(kind: str, *parts: str) -> str:
    """The Idempotency-Key of what a source's row asks for."""
    return f"beads/v1/{digest(kind, *parts)}"


def in_words(deed: Deed) -> str:
    """What a step would have done, for the comment that stands for it when it is refused."""
    match deed:
        case Listed(kind=kind, name=name):
            return f"there is the {kind} {name}"
        case Born(title=title):
            return f"created: {title}"
        case Began():
            return "created again"
        case Said(text=text):
            return text
        case Labelled(name=name, on=on):
            return f"label {name} {'added' if on else 'removed'}"
        case ChildOf(parent=parent):
            return f"parent {parent}"
        case Linked(link_type=link_type, target=target):
            return f"{link_type} {target}"
        case Deleted(reason=reason):
            return f"deleted: {reason}" if reason else "deleted"
        case Become():
            return _become_in_words(deed)


def _become_in_words(deed: Become) -> str:
    said = [f"{name}: {value}" for name, value in deed.fields.items() if value is not None]
    if deed.status:
        said.append(f"status {deed.status}" + (f" ({deed.reason})" if deed.reason else ""))
    if deed.assignee is not None:
        said.append(f"assignee {deed.assignee or 'nobody'}")
    said += [f"{heading}: {text}" for heading, text in deed.texts.items()]
    if deed.labels:
        said.append(f"labels {', '.join(deed.labels)}")
    return "\n".join(said)


def written(moment: datetime | None) -> str:
    """A time as part of a key."""
    return timestamp(moment) if moment else ""
