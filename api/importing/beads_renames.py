"""Which ids are one issue's: the history tells of renames, and the old id may still be used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

from api.importing.beads_rows import EventRow


class Renames:
    """Which ids are one issue's. An id that still has a row of its own was not renamed away."""

    def __init__(self, events: Iterable[EventRow], rows: Collection[str]) -> None:
        self._next: dict[str, str] = {}
        for event in events:
            old, new = event.before_text.strip(), event.text.strip()
            if event.type == "renamed" and old and new and old != new and old not in rows:
                self._next[old] = new
        self._former: dict[str, list[str]] = defaultdict(list)
        for old in self._next:
            self._former[self.last(old)].append(old)

    def last(self, issue_id: str) -> str:
        """The id that the issue has now."""
        seen = {issue_id}
        while (later := self._next.get(issue_id)) and later not in seen:
            seen.add(issue_id := later)
        return issue_id

    def all(self, issue_id: str) -> tuple[str, ...]:
        """Every id that the issue had, the first one first, this one last."""
        return (*(i for i in self._former.get(issue_id, ()) if i != issue_id), issue_id)

    def first(self, issue_id: str) -> str:
        """The id that the issue had at first."""
        return self.all(self.last(issue_id))[0]
