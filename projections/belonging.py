"""In which project things were when something happened to them, for the activity.

An issue's project comes from the events that created and edited it; its runs, comments and costs
are where it is. A milestone has a project in the same way, and a project is in itself. An event
that moves a thing from one project to another is told in both: it happened in the new one, and took
the thing out of the former one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ledger import events as e
from ledger.database import Connection
from ledger.events import Json, Recorded
from ledger.sql import beside

_SQL = beside(__file__)


class Belonging(NamedTuple):
    """The project that an event happened in, and the one that it took its subject out of."""

    project_id: str | None
    former_project_id: str | None


async def belongings(
    connection: Connection, company_id: str, recorded: Sequence[Recorded]
) -> list[Belonging]:
    """Where each event of a page happened, the events before it included; remembers the rest."""
    subjects = sorted({_subject(r) for r in recorded})
    known = await connection.fetch(_SQL.projects, company_id, subjects)
    before = {str(row["subject_id"]): str(row["project_id"]) for row in known}
    now = dict(before)
    found = [_belonging(r, now) for r in recorded]
    moved = [subject for subject in now if now[subject] != before.get(subject)]
    left = [subject for subject in before if subject not in now]
    if moved:
        await connection.execute(
            _SQL.remember, company_id, moved, [now[subject] for subject in moved]
        )
    if left:
        await connection.execute(_SQL.forget, company_id, left)
    return found


def _belonging(r: Recorded, projects: dict[str, str]) -> Belonging:
    """Where an event happened; moves its subject on in `projects`."""
    subject, event = _subject(r), r.event
    before = projects.get(subject)
    match event:
        case (
            e.EntryCreated(kind="project")
            | e.EntryUpdated(kind="project")
            | e.EntryArchived(kind="project")
        ):
            return Belonging(r.stream_id, None)
        case e.IssueCreated():
            after = event.project_id
        case e.EntryCreated(kind="milestone"):
            after = _id(event.fields.get("project_id"))
        case e.IssueEdited() | e.EntryUpdated(kind="milestone") if "project_id" in event.changes:
            after = _id(event.changes["project_id"]["to"])
        case _:
            after = before
    if after is None:
        projects.pop(subject, None)
    else:
        projects[subject] = after
    return Belonging(after, before if before != after else None)


def _subject(r: Recorded) -> str:
    """What is in a project: the issue that an event bears on, else what it happened to."""
    issue_id: str | None = getattr(r.event, "issue_id", None)
    return issue_id or r.stream_id


def _id(value: Json) -> str | None:
    return value if isinstance(value, str) else None
