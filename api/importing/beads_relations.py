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
    found = Relations()
    for row in rows.values():
        for dependency in _dependencies(row):
            _relate(row, dependency, ids, found, oddities)
    return found


def _dependencies(row: IssueRow) -> list[DependencyRow]:
    """The row's dependencies; its own word on who its parent is comes before the others."""
    named = [d for d in row.dependencies if d.type == PARENT and d.target == row.parent]
    if row.parent and not named:
        named = [DependencyRow(target=row.parent, type=PARENT)]
    return [*named, *(d for d in row.dependencies if d not in named)]


def _relate(
    row: IssueRow, d: DependencyRow, ids: Ids, found: Relations, oddities: Oddities
) -> None:
    target, said = ids.last(d.target), f"beads dependency: {d.type} {d.target}"
    said = f"{said} {d.extra}" if d.extra else said
    key = (ids.first(row.id), d.type, ids.first(d.target), written(d.created_at))

    def add(kind: str, issue: str, other: str, deed: Deed) -> None:
        step = Relation(
            issue=issue,
            other=other,
            at=d.created_at,
            author=d.created_by,
            key=key_of(kind, *key),
            deed=deed,
        )
        found.steps.append(step)

    if not ids.exists(target):
        oddities.note("dangling_link", row.id, f"{d.type} names an issue not here: a comment.")
        text = f"{said}, which is not in this import"
        add("dangling", row.id, row.id, Said(text=text))
        return
    if d.type == PARENT and found.parents.setdefault(row.id, target) == target:
        add("parent", row.id, target, ChildOf(parent=target))
    else:
        word = LINKS.get(d.type, OTHER_LINK)
        issue, other = (target, row.id) if word.turned else (row.id, target)
        add("link", issue, other, Linked(link_type=word.link_type, target=other))
        found.links.setdefault(issue, set()).add((word.link_type, other))
        if word is LINKS["relates-to"] or word.link_type == "relates_to":
            found.links.setdefault(other, set()).add((word.link_type, issue))
    if d.type not in LINKS and d.type != PARENT:
        oddities.note("other_link", row.id, f"{d.type} becomes relates_to and a comment.")
        add("kept", row.id, row.id, Said(text=said))
    elif d.type == PARENT and found.parents[row.id] != target:
        oddities.note("second_parent", row.id, "A second parent becomes relates_to and a comment.")
        add("kept", row.id, row.id, Said(text=said))
    elif d.extra:
        oddities.note("link_extra", row.id, "What a link cannot hold is kept in a comment.")
        add("kept", row.id, row.id, Said(text=said))
