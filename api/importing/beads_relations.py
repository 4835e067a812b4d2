"""What relates issues to each other: parents, links, and relations to issues not there.

An issue has one parent here; the first that exists is it, and further ones are links. What
has no equal among the links is one of no direction with a comment that says what it was, and
so is a relation to an issue that is nowhere: the comment alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from api.importing.beads_rows import DependencyRow, IssueRow
from api.importing.beads_steps import ChildOf, Deed, Linked, Said, key_of, written
from api.importing.beads_words import LINKS, OTHER_LINK, PARENT
from api.importing.report import Oddities


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A deed at `issue`, which is possible once `other` exists too."""

    issue: str
    other: str
    at: datetime | None
    author: str
    key: str
    deed: Deed


@dataclass(slots=True)
class Relations:
    """All relations of an export, and for each issue what it is related to in which way."""

    steps: list[Relation] = field(default_factory=list)
    parents: dict[str, str] = field(default_factory=dict)
    links: dict[str, set[tuple[str, str]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ids:
    """What an issue is called: its last id, its first one, and whether it is anywhere."""

    last: Callable[[str], str]
    first: Callable[[str], str]
    exists: Callable[[str], bool]


def relations_of(rows: Mapping[str, IssueRow], ids: Ids, oddities: Oddities) -> Relations:
    """The relations of all rows, in their order."""
    relating = _Relating(ids, oddities)
    for row in rows.values():
        for dependency in _dependencies(row):
            relating.relate(row, dependency)
    return relating.found


def _dependencies(row: IssueRow) -> list[DependencyRow]:
    """The row's dependencies; its own word on who its parent is comes before the others."""
    named = [d for d in row.dependencies if d.type == PARENT and d.target == row.parent]
    if row.parent and not named:
        named = [DependencyRow(target=row.parent, type=PARENT)]
    return [*named, *(d for d in row.dependencies if d not in named)]


class _Relating:
    """Finds the relations of one row after the other."""

    def __init__(self, ids: Ids, oddities: Oddities) -> None:
        self.found = Relations()
        self._ids = ids
        self._oddities = oddities

    def relate(self, row: IssueRow, d: DependencyRow) -> None:
        """Adds what a dependency of a row means."""
        target = self._ids.last(d.target)
        if not self._ids.exists(target):
            detail = f"{d.type} names an issue that is not here: a comment."
            self._say(row, d, "dangling_link", detail, ", which is not in this import")
        elif target == row.id:
            detail = f"{d.type} names the issue itself: a comment."
            self._say(row, d, "self_link", detail, ", which is itself")
        elif d.type != PARENT:
            self._link(row, d, target)
        elif self.found.parents.setdefault(row.id, target) == target:
            self._add(row, d, "parent", (row.id, target), ChildOf(parent=target))
        else:
            self._link(row, d, target)
            detail = "A second parent becomes relates_to and a comment."
            self._say(row, d, "second_parent", detail)

    def _link(self, row: IssueRow, d: DependencyRow, target: str) -> None:
        word = LINKS.get(d.type, OTHER_LINK)
        ends = (target, row.id) if word.turned else (row.id, target)
        self._add(row, d, "link", ends, Linked(link_type=word.link_type, target=ends[1]))
        self.found.links.setdefault(ends[0], set()).add((word.link_type, ends[1]))
        if word.link_type == "relates_to":
            self.found.links.setdefault(ends[1], set()).add((word.link_type, ends[0]))
        if d.type not in LINKS and d.type != PARENT:
            self._say(row, d, "other_link", f"{d.type} becomes relates_to and a comment.")
        elif d.extra and d.type != PARENT:
            self._say(row, d, "link_extra", "What a link cannot hold is kept in a comment.")

    def _say(self, row: IssueRow, d: DependencyRow, what: str, detail: str, more: str = "") -> None:
        """Keeps a dependency in a comment."""
        self._oddities.note(what, row.id, detail)
        extra = f" {d.extra}" if d.extra else ""
        deed = Said(text=f"beads dependency: {d.type} {d.target}{extra}{more}")
        self._add(row, d, what, (row.id, row.id), deed)

    def _add(
        self, row: IssueRow, d: DependencyRow, kind: str, ends: tuple[str, str], deed: Deed
    ) -> None:
        key = [self._ids.first(row.id), d.type, self._ids.first(d.target), written(d.created_at)]
        if d.created_at is None and not isinstance(deed, Said):
            # Without a date of its own it may be stated anew whenever its row has changed.
            key.append(written(row.updated_at))
        self.found.steps.append(
            Relation(
                issue=ends[0],
                other=ends[1],
                at=d.created_at,
                author=d.created_by,
                key=key_of(kind, *key),
                deed=deed,
            )
        )
