"""What each issue cost, and when it was finished: the part of the costs that is kept by issue.

A row an issue, folded from its events: its team and project, who worked on it last, what last
happened to it (which tells whether the end of its run is rework), since when it has been done or
closed, and the sums of its entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date
from typing import NamedTuple

from ledger import events as e
from ledger.database import Connection
from ledger.events import Recorded
from ledger.sql import beside
from projections.rework import is_rework, moved_by

_SQL = beside(__file__)
_FINISHED = ("done", "closed")


@dataclass(slots=True)
class CostIssue:
    """A row; texts are '' where there is nothing."""

    issue_id: str
    team: str = ""
    project: str = ""
    agent_id: str = ""
    last_moved: str = ""
    finished_on: date | None = None
    cost_micros: int = 0
    rework_micros: int = 0


class Redone(NamedTuple):
    """A run whose work must be done again, and the event that said so."""

    run_id: str
    recorded: Recorded


class CostIssues:
    """The rows of the issues that a page of events is about."""

    def __init__(self, company_id: str, rows: dict[str, CostIssue]) -> None:
        self._company_id = company_id
        self._rows = rows

    @classmethod
    async def of(
        cls, connection: Connection, company_id: str, recorded: Sequence[Recorded]
    ) -> CostIssues:
        """The rows as they were before these events."""
        touched = {issue_id for r in recorded if (issue_id := _issue_of(r))}
        rows: dict[str, CostIssue] = {issue_id: CostIssue(issue_id) for issue_id in touched}
        if touched:
            found = await connection.fetch(_SQL.cost_issues, company_id, list(touched))
            for row in found:
                issue_id, *others = row.values()
                rows[str(issue_id)] = CostIssue(str(issue_id), *others)
        return cls(company_id, rows)

    def fold(self, recorded: Sequence[Recorded]) -> list[Redone]:
        """Takes the events in order; returns the runs that turned out to be rework."""
        redone = []
        for r in recorded:
            issue_id = _issue_of(r)
            if issue_id is None:
                continue
            row = self._rows[issue_id]
            if not isinstance(r.event, e.RunEnded):
                _take(row, r)
            elif is_rework(r.event, row.last_moved):
                redone.append(Redone(r.stream_id, r))
        return redone

    def add(self, issue_id: str, cost_micros: int, rework_micros: int) -> None:
        """Adds to what an issue cost."""
        row = self._rows[issue_id]
        row.cost_micros += cost_micros
        row.rework_micros += rework_micros

    async def save(self, connection: Connection) -> None:
        """Writes the rows as they are now."""
        if self._rows:
            rows = list(self._rows.values())
            await connection.execute(_SQL.save_cost_issues, self._company_id, rows)


def _issue_of(r: Recorded) -> str | None:
    """The issue whose row an event may change, or which tells what it is."""
    match r.event:
        case e.CostReported() | e.CostCorrected() | e.RunEnded():
            return r.event.issue_id
        case e.IssueCreated():
            return r.stream_id
        case e.IssueEdited() if r.event.changes.keys() & {"team_id", "project_id"}:
            return r.stream_id
        case _:
            return r.stream_id if moved_by(r.event) else None


def _take(row: CostIssue, r: Recorded) -> None:
    event = r.event
    row.last_moved = moved_by(event) or row.last_moved
    match event:
        case e.IssueCreated():
            row.team, row.project = event.team_id or "", event.project_id or ""
            _become(row, event.status, r)
        case e.IssueEdited():
            row.team = _edited(event, "team_id", row.team)
            row.project = _edited(event, "project_id", row.project)
        case e.IssueCheckedOut():
            row.agent_id = event.agent_id
            _become(row, event.to_status, r)
        case (
            e.IssueTransitioned()
            | e.IssueMoved()
            | e.IssueReassigned()
            | e.IssueReleased()
            | e.IssueLeaseExpired()
        ):
            _become(row, event.to_status, r)


def _become(row: CostIssue, status: str, r: Recorded) -> None:
    """Finished on the day on which it was done first, until it is reopened."""
    if status not in _FINISHED:
        row.finished_on = None
    elif row.finished_on is None:
        row.finished_on = r.at.astimezone(UTC).date()


def _edited(event: e.IssueEdited, field: str, before: str) -> str:
    change = event.changes.get(field)
    return before if change is None else str(change["to"] or "")
