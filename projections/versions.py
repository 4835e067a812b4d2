"""Following read model: every state that an issue was in, one row an event of it.

The last row by position is the issue as it is; the last one up to a position is the issue as it was
then. So lists of now and of then are one question.

What had happened by a time is another order of the same events, where an import told them late. A
state is on both timelines when the events before its own had happened before, and those after it
happened after. Where that is not so the timelines differ, and the states by time are written anew
from the issue's events: rarely, and for that issue alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import accumulate
from typing import NamedTuple

from ledger import log
from ledger.database import Connection
from ledger.events import IssueCreated, Recorded
from ledger.sql import beside
from ledger.state import Issue, evolve
from projections.issues import read_issue

_SQL = beside(__file__)


class Version(NamedTuple):
    """A state of an issue, with the event that made it; `told_until` is the latest time so far."""

    issue: Issue
    position: int
    at: datetime
    told_until: datetime
    timeline: str
    is_current: bool


class Versions:
    """Keeps `issue_versions`."""

    name = "versions"
    tables = ("issue_versions",)

    async def save(
        self, connection: Connection, company_id: str, recorded: Sequence[Recorded]
    ) -> None:
        """Adds a state for each event of an issue."""
        by_issue: dict[str, list[Recorded]] = {}
        for r in recorded:
            if r.event.type.startswith("issue."):
                by_issue.setdefault(r.stream_id, []).append(r)
        if not by_issue:
            return
        rows = await connection.fetch(_SQL.take_current, company_id, list(by_issue))
        before = {str(row["issue_id"]): (read_issue(row), row["told_until"]) for row in rows}
        versions: list[Version] = []
        for issue_id, events in by_issue.items():
            issue, told_until = before.get(issue_id, (None, events[0].at))
            versions += by_position(issue, told_until, events)
            if late := _late(told_until, events):
                versions += await self._retold(connection, company_id, issue_id, late, recorded[-1])
        told = [{**v._asdict(), "issue": None} for v in versions]
        issues = [v.issue for v in versions]
        await connection.execute(_SQL.insert_versions, company_id, told, issues)

    async def _retold(
        self,
        connection: Connection,
        company_id: str,
        issue_id: str,
        late: Recorded,
        last: Recorded,
    ) -> list[Version]:
        """The states by time from a late event on, in place of those that were there."""
        events = [
            stored.recorded
            async for stored in log.walk(
                connection, company_id, until=last.position, stream_id=issue_id
            )
        ]
        await connection.execute(_SQL.part_timelines, company_id, issue_id, late.at)
        await connection.execute(_SQL.forget_told, company_id, issue_id, *_when(late))
        return [v for v in by_time(events) if (v.at, v.position) >= _when(late)]


def by_position(
    issue: Issue | None, told_until: datetime, events: Sequence[Recorded]
) -> list[Version]:
    """The states that one more event each comes to, in the order of the log.

    `told_until` is the latest time of the events before them, or of the first.
    """
    following = [*accumulate((r.at for r in reversed(events[1:])), min)][::-1]
    versions = []
    for n, r in enumerate(events):
        changed = evolve(issue, r)
        assert isinstance(changed, Issue)
        in_order = told_until <= r.at and (n >= len(following) or r.at <= following[n])
        issue, told_until = changed, max(told_until, r.at)
        timeline = "both" if in_order else "recorded"
        versions.append(
            Version(issue, r.position, r.at, told_until, timeline, is_current=r is events[-1])
        )
    return versions


def by_time(events: Sequence[Recorded]) -> list[Version]:
    """The states of an issue by time, where they are on no other timeline; of all its events.

    Each is folded, in the order of the log, from what had happened by then. Before the issue had
    been created, there is none.
    """
    on_both = {v.position for v in by_position(None, events[0].at, events) if v.timeline == "both"}
    issue: Issue | None = None
    last, versions = 0, []
    in_time = sorted(events, key=_when)
    for n, r in enumerate(in_time, 1):
        extends = r.position > last and issue is not None
        issue = _fold(issue, [r] if extends else sorted(in_time[:n], key=lambda r: r.position))
        last = max(last, r.position)
        if issue is not None and r.position not in on_both:
            versions.append(Version(issue, r.position, r.at, r.at, "occurred", is_current=False))
    return versions


def _fold(issue: Issue | None, events: Iterable[Recorded]) -> Issue | None:
    for r in events:
        if issue is not None or isinstance(r.event, IssueCreated):
            changed = evolve(issue, r)
            assert isinstance(changed, Issue)
            issue = changed
    return issue


def _late(told_until: datetime, events: Sequence[Recorded]) -> Recorded | None:
    """Of the events that happened before others that were told before them, the first by time."""
    late = []
    for r in events:
        if r.at < told_until:
            late.append(r)
        told_until = max(told_until, r.at)
    return min(late, key=_when, default=None)


def _when(r: Recorded) -> tuple[datetime, int]:
    return r.at, r.position
