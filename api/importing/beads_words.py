"""What Beads' words mean here, as tables.

A word without an equal maps to the nearest one and is kept beside it: a status as the reason
of the transition and as a label `status:<word>`, a link's type in a comment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple


class Status(NamedTuple):
    """A status here, and whether it says all that Beads' word says."""

    here: str
    equal: bool


STATUSES: Mapping[str, Status] = {
    "open": Status("todo", True),
    "in_progress": Status("in_progress", True),
    "blocked": Status("blocked", True),
    "closed": Status("closed", True),
    "hooked": Status("in_progress", False),  # claimed by a worker
    "pinned": Status("backlog", False),  # stays open for ever, is never worked on
    "deferred": Status("backlog", False),  # put on ice
}
UNKNOWN_STATUS = Status("backlog", False)
"""Custom statuses: not offered as work until somebody has looked at them."""
TOMBSTONE = "tombstone"

PRIORITIES: Mapping[int, str] = {0: "urgent", 1: "high", 2: "medium", 3: "low", 4: "none"}

PARENT = "parent-child"
DEFAULT_TYPE = "task"
"""The one issue type without a label `type:<word>`: Beads' own default."""


class LinkWord(NamedTuple):
    """A link type here; `turned` if it points from the other end."""

    link_type: str
    turned: bool = False


LINKS: Mapping[str, LinkWord] = {
    "blocks": LinkWord("blocked_by"),  # A "blocks" row of A names what A waits for.
    "related": LinkWord("relates_to"),
    "relates-to": LinkWord("relates_to"),
    "discovered-from": LinkWord("discovered_from"),
    "duplicates": LinkWord("duplicates"),
    # `bd supersede OLD --with NEW` keeps the row at OLD: it points to what replaced it.
    "supersedes": LinkWord("supersedes", turned=True),
    "tracks": LinkWord("tracks"),
    "replies-to": LinkWord("replies_to"),
    "caused-by": LinkWord("caused_by"),
    "validates": LinkWord("validates"),
}
OTHER_LINK = LinkWord("relates_to")

EPHEMERAL = "ephemeral"
"""The label of issues that Beads would not keep."""

FORMER_LINK_FIELDS: Mapping[str, str] = {
    "duplicate_of": "duplicates",
    "superseded_by": "supersedes",
    "replies_to": "replies-to",
    "relates_to": "relates-to",
}
"""Fields of an issue in old files → the dependency type that replaced them."""

BOOKKEEPING = frozenset(
    {
        "_type", "content_hash", "dependency_count", "dependent_count", "comment_count",
        "compaction_level", "compacted_at", "compacted_at_commit", "original_size",
        "dependents", "epic_total_children", "epic_closed_children", "epic_closeable",
    }
)  # fmt: skip
"""Fields that Beads computes from others or keeps about its own storage."""


def status_here(word: str) -> Status:
    """The status here for Beads' word."""
    return STATUSES.get(word, UNKNOWN_STATUS)


def status_label(word: str) -> tuple[str, ...]:
    """The label that keeps a status without an equal."""
    return () if not word or word == TOMBSTONE or status_here(word).equal else (f"status:{word}",)


def priority_here(number: int | None) -> str:
    """The priority here for Beads' number; none for one that it does not know."""
    return PRIORITIES.get(-1 if number is None else number, "none")


def marks(issue_type: str, ephemeral: bool) -> tuple[str, ...]:
    """The labels that stand for an issue's type and for its being ephemeral."""
    typed = (f"type:{issue_type}",) if issue_type not in ("", DEFAULT_TYPE) else ()
    return (*typed, *((EPHEMERAL,) if ephemeral else ()))


def kind_of(name: str) -> Literal["agent", "user"]:
    """Whether a name is a person's: an e-mail address, or with a space in it.

    Beads is a tracker for agents and does not tell; everybody else who acts in it is one.
    """
    return "user" if "@" in name or any(c.isspace() for c in name) else "agent"
