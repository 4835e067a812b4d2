"""A path to what Beads keeps there: one `issues.jsonl`, or a folder with it and `backup/`.

Where both files know an issue, the row with the newer `updated_at` wins, with its own labels
and dependencies; comments and history are the union. Lines are read one by one, so that a
conflict marker, half a line or a memory record costs that line alone, and is reported.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from api.importing.beads_fields import Fields
from api.importing.beads_rows import (
    CommentRow,
    DependencyRow,
    EventRow,
    Export,
    IssueRow,
    comment_row,
    dependency_row,
    event_row,
    ghost_row,
    issue_row,
)
from api.importing.report import ImportFailed, Oddities

_ISSUES = "issues.jsonl"
_SIDE_FILES = ("labels.jsonl", "dependencies.jsonl", "comments.jsonl", "events.jsonl")
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class _Side:
    """What the files beside an `issues.jsonl` say of one issue."""

    labels: list[str] = field(default_factory=list)
    dependencies: list[DependencyRow] = field(default_factory=list)
    comments: list[CommentRow] = field(default_factory=list)


@dataclass(slots=True)
class _Folder:
    """One `issues.jsonl` with the files beside it."""

    issues: dict[str, IssueRow] = field(default_factory=dict)
    sides: dict[str, _Side] = field(default_factory=dict)
    events: list[EventRow] = field(default_factory=list)


def read_export(path: Path, oddities: Oddities) -> Export:
    """Reads a file or folder; raises ImportFailed when there is nothing to read."""
    export = Export(path=str(path))
    folders = _folders(path, oddities, export)
    _refuse_unreadable(folders, export)
    export.issues = _merged(folders, oddities)
    export.events = _without_twins([e for f in folders for e in f.events], oddities)
    return export


def _folders(path: Path, oddities: Oddities, export: Export) -> list[_Folder]:
    if not path.exists():
        raise ImportFailed(f"There is no file or folder {path}.")
    if not path.is_dir():
        return [_issues_of(path, path.parent, oddities, export)]
    root = path if (path / _ISSUES).is_file() or not (path / ".beads").is_dir() else path / ".beads"
    found = [at for at in (root, root / "backup") if at.is_dir()]
    if not any((at / _ISSUES).is_file() for at in found):
        raise ImportFailed(f"There is no {_ISSUES} in {path}.")
    return [_folder(at, root, oddities, export) for at in found]


def _folder(at: Path, root: Path, oddities: Oddities, export: Export) -> _Folder:
    file = at / _ISSUES
    folder = _issues_of(file, root, oddities, export) if file.is_file() else _Folder()
    for name in _SIDE_FILES:
        if (at / name).is_file():
            for where, data in _objects(at / name, root, oddities, export):
                _take(name, data, where, folder, oddities)
    for other in sorted(at.glob("*.jsonl")):
        if other.name not in (_ISSUES, *_SIDE_FILES) and other.stat().st_size:
            where = str(other.relative_to(root))
            oddities.note("file_not_read", where, "This file is no part of the import.")
    return folder


def _issues_of(file: Path, root: Path, oddities: Oddities, export: Export) -> _Folder:
    folder = _Folder()
    for where, data in _objects(file, root, oddities, export):
        if _is_no_issue(data, where, oddities):
            continue
        row = issue_row(data, where, oddities)
        if not row.id:
            oddities.note("no_id", where, "A row has no id; it cannot be imported.")
            continue
        twin = folder.issues.get(row.id)
        if twin:
            oddities.note(
                "duplicate_id", f"{twin.where} + {where}",
                "Two rows of one file have the same id; the newer one is taken.",
            )  # fmt: skip
        if twin is None or _age(row) >= _age(twin):
            folder.issues[row.id] = replace(row, comments=_union(twin, row))
        else:
            folder.issues[row.id] = replace(twin, comments=_union(twin, row))
    return folder


def _is_no_issue(data: dict[str, Any], where: str, oddities: Oddities) -> bool:
    record = data.get("_type", "issue")
    if record == "issue" and "_schema" not in data:
        return False
    kind = "header" if "_schema" in data else record
    oddities.note(
        "other_record", where, f"A record of type {str(kind)[:40]!r} is no issue; it is left out."
    )
    return True


def _take(name: str, data: dict[str, Any], where: str, folder: _Folder, oddities: Oddities) -> None:
    """Adds a row of a file beside `issues.jsonl` to the issue that it names."""
    if name == "events.jsonl":
        event = event_row(data, where, oddities)
        if event.issue and event.type:
            folder.events.append(event)
        else:
            oddities.note("no_id", where, "An event names no issue or no type; it is left out.")
        return
    issue_id = Fields(data, where, oddities).word("issue_id")
    if not issue_id:
        oddities.note("no_id", where, "A row names no issue; it is left out.")
        return
    side = folder.sides.setdefault(issue_id, _Side())
    match name:
        case "labels.jsonl":
            side.labels += Fields(data, where, oddities).words("label")
        case "dependencies.jsonl":
            row = dependency_row(data, where, oddities)
            side.dependencies += [row] if row.target else []
        case _:
            comment = comment_row(data, where, oddities)
            side.comments += [comment] if comment.text else []


# ── lines ──────────────────────────────────────────────────────────────────────────────


def _objects(
    file: Path, root: Path, oddities: Oddities, export: Export
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The file's JSON objects, each with where it stands."""
    name = str(file.relative_to(root))
    export.rows[name] = 0
    try:
        raw = file.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise ImportFailed(f"{file} cannot be read: {error.strerror}.") from error
    for number, line in enumerate(raw.split(b"\n"), 1):
        if line.strip():
            export.rows[name] += 1
            data = _object(line.strip(), f"{name}:{number}", oddities)
            if data is not None:
                yield f"{name}:{number}", data


def _object(line: bytes, where: str, oddities: Oddities) -> dict[str, Any] | None:
    if line.startswith((b"<<<<<<<", b"=======", b">>>>>>>", b"|||||||")):
        oddities.note("conflict_marker", where, "A git conflict marker; both sides are read.")
        return None
    try:
        text = line.decode()
    except UnicodeDecodeError:
        oddities.note("not_utf8", where, "A line is not UTF-8; what is not is replaced.")
        text = line.decode(errors="replace")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = str(error).partition(":")[0]
        oddities.note("unreadable_line", where, f"Not JSON ({reason}): {text[:60]}")
        return None
    if not isinstance(data, dict):
        oddities.note("unreadable_line", where, f"Not a JSON object: {text[:60]}")
        return None
    return data


def _refuse_unreadable(folders: list[_Folder], export: Export) -> None:
    lines = sum(export.rows.values())
    if lines and not any(folder.issues or folder.events for folder in folders):
        raise ImportFailed(f"{export.path} holds no issue: none of its {lines} lines is one.")


# ── merging ────────────────────────────────────────────────────────────────────────────


def _merged(folders: list[_Folder], oddities: Oddities) -> dict[str, IssueRow]:
    """Each issue once: the newest row, the first file's among equals."""
    complete = [_with_sides(folder) for folder in folders]
    merged = complete[0]
    for issues in complete[1:]:
        for issue_id, row in issues.items():
            merged[issue_id] = _newer(merged.get(issue_id), row, oddities)
    strays = [(i, side) for f in folders for i, side in f.sides.items() if i not in f.issues]
    for issue_id, side in strays:
        merged[issue_id] = _with_side(merged.get(issue_id) or ghost_row(issue_id, oddities), side)
    return merged


def _with_sides(folder: _Folder) -> dict[str, IssueRow]:
    return {
        issue_id: _with_side(row, folder.sides.get(issue_id, _Side()))
        for issue_id, row in folder.issues.items()
    }


def _with_side(row: IssueRow, side: _Side) -> IssueRow:
    return replace(
        row,
        labels=tuple(dict.fromkeys([*row.labels, *side.labels])),
        dependencies=tuple(dict.fromkeys([*row.dependencies, *side.dependencies])),
        comments=_together(row.comments, tuple(side.comments)),
    )


def _newer(first: IssueRow | None, second: IssueRow, oddities: Oddities) -> IssueRow:
    if first is None:
        return second
    union = _union(first, second)
    if _age(second) > _age(first):
        oddities.note(
            "in_both_files", second.id, "The backup's row is newer than the other; it is taken."
        )
        return replace(second, comments=union)
    same = _age(second) == _age(first)
    oddities.note(
        "in_both_files",
        second.id,
        f"The backup's row is {'as old as' if same else 'older than'} the other, which is taken.",
    )
    return replace(first, comments=union)


def _age(row: IssueRow) -> datetime:
    return row.updated_at or row.closed_at or row.created_at or _NEVER


def _union(first: IssueRow | None, second: IssueRow) -> tuple[CommentRow, ...]:
    return _together(first.comments if first else (), second.comments)


def _together(
    first: tuple[CommentRow, ...], second: tuple[CommentRow, ...]
) -> tuple[CommentRow, ...]:
    """Both files' comments; one that both have counts as often as where it is oftenest."""
    left = Counter(_said(comment) for comment in first)
    together = list(first)
    for comment in second:
        if left[_said(comment)] > 0:
            left[_said(comment)] -= 1
        else:
            together.append(comment)
    return tuple(together)


def _said(comment: CommentRow) -> tuple[str, str, datetime | None]:
    """What makes two comments one: the files keep their times more and less exactly."""
    at = comment.created_at
    return comment.author, comment.text, at.replace(microsecond=0) if at else None


def _without_twins(events: list[EventRow], oddities: Oddities) -> list[EventRow]:
    """Each event once, though two files or lines hold it."""
    once: dict[str, EventRow] = {}
    for event in events:
        if event.digest in once:
            oddities.note("duplicate_event", event.where, "An event is there twice.")
        once.setdefault(event.digest, event)
    return list(once.values())
