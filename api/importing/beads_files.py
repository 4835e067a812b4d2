"""A path to what Beads keeps there: one `issues.jsonl`, or a folder with it and `backup/`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from api.importing.beads_fields import Fields
from api.importing.beads_merge import Side, Snapshot, events_of, issues_of
from api.importing.beads_rows import Export, comment_row, dependency_row, event_row, issue_row
from api.importing.json_lines import lines_of, objects_of
from api.importing.report import ImportFailed, Oddities

_ISSUES = "issues.jsonl"
_BESIDE = ("labels.jsonl", "dependencies.jsonl", "comments.jsonl", "events.jsonl")


def read_export(path: Path, oddities: Oddities) -> Export:
    """Reads a file or folder; raises ImportFailed when there is nothing to read."""
    reader = _Reader(_root_of(path), oddities)
    snapshots = reader.snapshots(path)
    lines = sum(reader.rows.values())
    if lines and not any(snapshot.issues or snapshot.events for snapshot in snapshots):
        raise ImportFailed(f"{path} holds no issue: none of its {lines} lines is one.")
    return Export(
        path=str(path),
        rows=reader.rows,
        issues=issues_of(snapshots, oddities),
        events=events_of(snapshots, oddities),
    )


def _root_of(path: Path) -> Path:
    """The folder to read: of a repository, its `.beads`."""
    if not path.exists():
        raise ImportFailed(f"There is no file or folder {path}.")
    if not path.is_dir():
        return path.parent
    hidden = path / ".beads"
    return hidden if hidden.is_dir() and not (path / _ISSUES).is_file() else path


class _Reader:
    """Reads the files under a root, and counts their rows."""

    def __init__(self, root: Path, oddities: Oddities) -> None:
        self.rows: dict[str, int] = {}
        self._root = root
        self._oddities = oddities

    def snapshots(self, path: Path) -> list[Snapshot]:
        """The file alone, or the folder's snapshot and its backup's."""
        if not path.is_dir():
            return [self._issues(path)]
        folders = [at for at in (self._root, self._root / "backup") if at.is_dir()]
        if not any((at / _ISSUES).is_file() for at in folders):
            raise ImportFailed(f"There is no {_ISSUES} in {path}.")
        return [self._folder(at) for at in folders]

    def _folder(self, folder: Path) -> Snapshot:
        file = folder / _ISSUES
        snapshot = self._issues(file) if file.is_file() else Snapshot()
        for name in _BESIDE:
            if (folder / name).is_file():
                for where, data in self._objects(folder / name):
                    self._beside(name, data, where, snapshot)
        for other in sorted(folder.glob("*.jsonl")):
            if other.name not in (_ISSUES, *_BESIDE) and other.stat().st_size:
                where = str(other.relative_to(self._root))
                self._note("file_not_read", where, "This file is no part of the import.")
        return snapshot

    def _issues(self, file: Path) -> Snapshot:
        snapshot = Snapshot()
        for where, data in self._objects(file):
            if self._is_other(data, where):
                continue
            row = issue_row(data, where, self._oddities)
            if row.id:
                snapshot.take(row, self._oddities)
            else:
                self._note("no_id", where, "A row has no id; it cannot be imported.")
        return snapshot

    def _is_other(self, data: dict[str, Any], where: str) -> bool:
        """Newer exports hold records that are no issues: a header, memories of agents."""
        kind = "header" if "_schema" in data else str(data.get("_type", "issue"))
        if kind == "issue":
            return False
        self._note("other_record", where, f"A {kind[:40]} record is no issue; it is left out.")
        return True

    def _beside(self, name: str, data: dict[str, Any], where: str, snapshot: Snapshot) -> None:
        """Adds a row of a file beside `issues.jsonl` to the issue that it names."""
        issue_id = Fields(data, where, self._oddities).word("issue_id")
        is_event = name == "events.jsonl"
        side = Side() if is_event or not issue_id else snapshot.sides.setdefault(issue_id, Side())
        if not issue_id:
            self._note("no_id", where, "A row names no issue; it is left out.")
        elif name == "labels.jsonl":
            side.labels += Fields(data, where, self._oddities).words("label")
        elif name == "dependencies.jsonl":
            dependency = dependency_row(data, where, self._oddities)
            side.dependencies += [dependency] if dependency.target else []
        elif name == "comments.jsonl":
            comment = comment_row(data, where, self._oddities)
            side.comments += [comment] if comment.text else []
        else:
            self._event(data, where, snapshot)

    def _event(self, data: dict[str, Any], where: str, snapshot: Snapshot) -> None:
        event = event_row(data, where, self._oddities)
        if event.type:
            snapshot.events.append(event)
        else:
            self._note("no_type", where, "An event has no type; it is left out.")

    def _objects(self, file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
        name = str(file.relative_to(self._root))
        lines = lines_of(file, name)
        self.rows[name] = len(lines)
        yield from objects_of(lines, self._oddities)

    def _note(self, what: str, where: str, detail: str) -> None:
        self._oddities.note(what, where, detail)
