"""Two snapshots of the same issues made one: the newer row wins, comments are the union.

Labels and dependencies go with the row that wins, because what it lists no longer was taken
away. A comment never is, and an event has happened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from api.importing.beads_rows import CommentRow, DependencyRow, EventRow, IssueRow, ghost_row
from api.importing.report import Oddities

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class Side:
    """What the files beside an `issues.jsonl` say of one issue."""

    labels: list[str] = field(default_factory=list)
    dependencies: list[DependencyRow] = field(default_factory=list)
    comments: list[CommentRow] = field(default_factory=list)


@dataclass(slots=True)
class Snapshot:
    """One `issues.jsonl` with the files beside it."""

    issues: dict[str, IssueRow] = field(default_factory=dict)
    sides: dict[str, Side] = field(default_factory=dict)
    events: list[EventRow] = field(default_factory=list)

    def take(self, row: IssueRow, oddities: Oddities) -> None:
        """Adds a row; of two with one id the newer one stays, the later one among equals."""
        twin = self.issues.get(row.id)
        if twin is None:
            self.issues[row.id] = row
            return
        where = f"{twin.where} + {row.where}"
        oddities.note("duplicate_id", where, "Two rows of a file have one id; the newer is taken.")
        winner = row if _age(row) >= _age(twin) else twin
        self.issues[row.id] = replace(winner, comments=_union(twin.comments, row.comments))


def issues_of(snapshots: Sequence[Snapshot], oddities: Oddities) -> dict[str, IssueRow]:
    """Each issue once: the newest row, the first snapshot's among equals."""
    merged: dict[str, IssueRow] = {}
    for snapshot in snapshots:
        for issue_id, row in snapshot.issues.items():
            row = _with_side(row, snapshot.sides.get(issue_id, Side()))
            merged[issue_id] = _newer(merged.get(issue_id), row, oddities)
    for snapshot in snapshots:
        for issue_id, side in snapshot.sides.items():
            if issue_id not in snapshot.issues:
                row = merged.get(issue_id) or ghost_row(issue_id, oddities)
                merged[issue_id] = _with_side(row, side)
    return merged


def events_of(snapshots: Sequence[Snapshot], oddities: Oddities) -> list[EventRow]:
    """Each event once, though two snapshots or lines hold it."""
    once: dict[str, EventRow] = {}
    for event in (event for snapshot in snapshots for event in snapshot.events):
        if event.digest in once:
            oddities.note("duplicate_event", event.where, "An event is there twice.")
        once.setdefault(event.digest, event)
    return list(once.values())


def _with_side(row: IssueRow, side: Side) -> IssueRow:
    return replace(
        row,
        labels=tuple(dict.fromkeys([*row.labels, *side.labels])),
        dependencies=tuple(dict.fromkeys([*row.dependencies, *side.dependencies])),
        comments=_union(row.comments, side.comments),
    )


def _newer(first: IssueRow | None, second: IssueRow, oddities: Oddities) -> IssueRow:
    if first is None:
        return second
    union = _union(first.comments, second.comments)
    if _age(second) > _age(first):
        detail = "The backup's row is newer than the other; it is taken."
        oddities.note("in_both_files", second.id, detail)
        return replace(second, comments=union)
    age = "as old as" if _age(second) == _age(first) else "older than"
    detail = f"The backup's row is {age} the other, which is taken."
    oddities.note("in_both_files", second.id, detail)
    return replace(first, comments=union)


def _age(row: IssueRow) -> datetime:
    return row.updated_at or row.closed_at or row.created_at or _NEVER


def _union(first: Sequence[CommentRow], second: Sequence[CommentRow]) -> tuple[CommentRow, ...]:
    """Both sides' comments; one that both have counts as often as where it is oftenest."""
    left = Counter(_said(comment) for comment in first)
    union = list(first)
    for comment in second:
        if left[_said(comment)] > 0:
            left[_said(comment)] -= 1
        else:
            union.append(comment)
    return tuple(union)


def _said(comment: CommentRow) -> tuple[str, str, datetime | None]:
    """What makes two comments one: the files keep their times more and less exactly."""
    at = comment.created_at
    return comment.author, comment.text, at.replace(microsecond=0) if at else None
