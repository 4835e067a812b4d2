"""What an event changed of an issue, as the issue is shown: field by field, from → to.

Pure. An issue is compared before and after an event as people see it, so what is shown is all that
can have changed, whichever event did it. Left out is what every event changes (version and
updated_at) and what says the same twice (run_id is the holder's). Shown beside it are the
description, the status that a blocked issue had before, and when it was deleted. Of a description
there is which text it is, by the event that holds it and its SHA-256, never the text: texts are
long, and who shows a change looks up those that are short.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from api import views
from ledger.codec import timestamp
from ledger.events import Json
from ledger.state import Issue

Shown: TypeAlias = Mapping[str, Json]
"""The fields of an issue; one that there is not, yet, has none of them set."""

FIELDS: Sequence[str] = (
    "identifier", "title", "description", "status", "priority", "assignee", "holder", "paused_at",
    "blocked_from", "run_count", "per_task_micros", "team_id", "project_id", "goal_id",
    "milestone_id", "parent_id", "labels", "due_at", "estimate", "sort_order", "billing_code",
    "external_ref", "comment_count", "created_at", "created_by", "started_at", "completed_at",
    "deleted_at",
)  # fmt: skip
"""Whose changes are told, in the order in which those of one event are."""

NOTHING: Shown = dict.fromkeys(FIELDS)
"""How an issue is shown before it was written down."""


class Change(NamedTuple):
    """A field that differs; `before` is null of a field that was not set."""

    field: str
    before: Json
    after: Json


def shown(issue: Issue | None) -> Shown:
    """The fields of an issue whose changes are told."""
    if issue is None:
        return NOTHING
    fields: dict[str, Json] = {
        **views.issue(issue),
        "labels": list(issue.label_ids),
        "description": description(issue),
        "blocked_from": issue.blocked_from,
        "deleted_at": None if issue.deleted_at is None else timestamp(issue.deleted_at),
    }
    return {name: fields[name] for name in FIELDS}


def description(issue: Issue) -> Json:
    """Which text the description is: the event that holds it, and its SHA-256."""
    if issue.description_position is None:
        return None
    return {"position": issue.description_position, "sha256": issue.description_sha256}


def changes(before: Shown, after: Shown) -> list[Change]:
    """The fields that differ between two states, in the order of FIELDS."""
    return [
        Change(name, before[name], after[name]) for name in FIELDS if before[name] != after[name]
    ]


def applied(before: Shown, changed: Iterable[Change]) -> Shown:
    """The state that changes lead to."""
    return {**before, **{change.field: change.after for change in changed}}
