"""The naive reading of a log, which every answer about issues must equal.

No index, no read model and no SQL: all events are taken from the log, those that count are folded
in order, and what was asked for is looked for in all that comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from api import views
from ledger import events as e
from ledger.events import Recorded
from ledger.state import Issue, evolve
from ledger.workflow import PRIORITIES

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Then:
    """A moment: the first events of the log, or those that had happened by a time."""

    position: int | None = None
    occurred_at: datetime | None = None

    def holds(self, r: Recorded) -> bool:
        """Whether an event counts."""
        if self.occurred_at is not None and r.at > self.occurred_at:
            return False
        return self.position is None or r.position <= self.position


@dataclass(frozen=True, slots=True)
class Naive:
    """All events of a company, oldest first."""

    events: list[Recorded] = field(default_factory=list)

    def ever(self, then: Then) -> list[Issue]:
        """Every issue as it was, deleted ones too."""
        found: dict[str, Issue] = {}
        for r in self.events:
            if not then.holds(r) or not r.event.type.startswith("issue."):
                continue
            before = found.get(r.stream_id)
            if before is not None or isinstance(r.event, e.IssueCreated):
                after = evolve(before, r)
                assert isinstance(after, Issue)
                found[r.stream_id] = after
        return list(found.values())

    def issues(self, then: Then, wanted: Mapping[str, Any], order: str = "newest") -> list[Json]:
        """The issues that are asked for, in their order, as they are shown."""
        found = [i for i in self.ever(then) if i.deleted_at is None and _is_wanted(i, wanted)]
        return [views.issue(i) for i in sorted(found, key=_ORDERS[order])]

    def one(self, then: Then, issue_id: str) -> Json | None:
        """One issue with its description, as it is shown; None where there was none."""
        for issue in self.ever(then):
            if issue.id == issue_id and issue.deleted_at is None:
                return {**views.issue(issue), "description": self._description(then, issue_id)}
        return None

    def texts(self, issue_id: str) -> list[str]:
        """What the title, the description and the comments of an issue say now."""
        said: dict[str, str | None] = {}
        for r in self.events:
            if r.stream_id == issue_id:
                match r.event:
                    case e.IssueCreated(title=title, description=description):
                        said |= {"title": title, "description": description}
                    case e.IssueEdited(changes=changes):
                        said |= {
                            name: str(changes[name]["to"]) if changes[name]["to"] else None
                            for name in ("title", "description")
                            if name in changes
                        }
                    case e.IssueCommented(comment_id=one, body=body):
                        said[one] = body
                    case e.CommentEdited(comment_id=one, body=body):
                        said[one] = body
                    case e.CommentDeleted(comment_id=one):
                        said[one] = None
        return [text for text in said.values() if text]

    def _description(self, then: Then, issue_id: str) -> str | None:
        text: str | None = None
        for r in self.events:
            if r.stream_id == issue_id and then.holds(r):
                match r.event:
                    case e.IssueCreated(description=description):
                        text = description
                    case e.IssueEdited(changes={"description": {"to": str() | None as to}}):
                        text = to
        return text


_ORDERS: Mapping[str, Callable[[Issue], Any]] = {
    "newest": lambda i: (-_micros(i.created_at), -i.created_position),
    "oldest": lambda i: (_micros(i.created_at), i.created_position),
    "updated": lambda i: (-_micros(i.updated_at), -i.created_position),
    "priority": lambda i: (
        PRIORITIES.index(i.priority), _micros(i.created_at), i.created_position,
    ),
    "sort_order": lambda i: (
        Decimal(i.sort_order) if i.sort_order is not None else Decimal("Infinity"),
        i.created_position,
    ),
}  # fmt: skip


def _is_wanted(issue: Issue, wanted: Mapping[str, Any]) -> bool:
    return all(_FILTERS[name](issue, value) for name, value in wanted.items())


def _same(field_name: str) -> Callable[[Issue, Any], bool]:
    """Whether a field is as wanted; "none" wants it to be empty."""
    return lambda issue, value: getattr(issue, field_name) == (None if value == "none" else value)


_FILTERS: Mapping[str, Callable[[Issue, Any], bool]] = {
    "status": lambda i, words: i.status in words,
    "priority": lambda i, words: i.priority in words,
    "assignee": _same("assignee"),
    "team_id": _same("team_id"),
    "project_id": _same("project_id"),
    "goal_id": _same("goal_id"),
    "milestone_id": _same("milestone_id"),
    "parent_id": _same("parent_id"),
    "label": lambda i, label_id: label_id in i.label_ids,
    "external_ref": lambda i, ref: (i.external_system, i.external_id) == ref,
    "created_since": lambda i, moment: i.created_at >= moment,
    "created_until": lambda i, moment: i.created_at < moment,
    "updated_since": lambda i, moment: i.updated_at >= moment,
    "updated_until": lambda i, moment: i.updated_at < moment,
}


def counted(issues: Iterable[Json]) -> dict[str, int]:
    """How many issues there are in each status."""
    counts: dict[str, int] = {}
    for issue in issues:
        counts[issue["status"]] = counts.get(issue["status"], 0) + 1
    return counts


def _micros(moment: datetime) -> int:
    since = moment - datetime(1, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 10**6 + since.microseconds


def bears_on(r: Recorded) -> str | None:
    """The issue that an event bears on, if any."""
    if r.event.type.startswith("issue."):
        return r.stream_id
    return getattr(r.event, "issue_id", None) if r.event.type.startswith("run.") else None


def in_project(events: Iterable[Recorded], project_id: str) -> set[int]:
    """The positions of what happened in a project: to its entry, and to what was in it then.

    What moves an issue from one project to another happens in both.
    """
    project_of: dict[str, str | None] = {}
    found = set()
    for r in events:
        issue_id = bears_on(r)
        before = project_of.get(issue_id) if issue_id else None
        match r.event:
            case e.IssueCreated(project_id=after):
                project_of[r.stream_id] = after
            case e.IssueEdited(changes={"project_id": {"to": str() | None as after}}):
                project_of[r.stream_id] = after
        after = project_of.get(issue_id) if issue_id else None
        if project_id in (before, after, r.stream_id):
            found.add(r.position)
    return found
