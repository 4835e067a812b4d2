"""The states of issues: the same rows however the log was cut into pages, late events and all."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from api.wiring import open_ledger
from ledger import events as e
from ledger.actors import Actor
from ledger.database import connect
from ledger.events import Event, Recorded
from ledger.ids import new_id
from projections.projector import step
from projections.versions import Versions, by_position, by_time
from tests.conftest import NewDatabase
from tests.naive import Naive, Then
from tests.past import Past
from tests.writing import log_of

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def told(issue_id: str, *minutes: int) -> list[Recorded]:
    """An issue that is created and then renamed, at these minutes, in this order of telling."""
    return [
        Recorded(
            company_id=issue_id, position=n, stream_id=issue_id, version=n, event_id=new_id(),
            event=_created() if n == 1 else _renamed(n), actor=Actor("user", "alice"),
            on_behalf_of=None, key_id=None, command_id=new_id(), correlation_id=None,
            causation_id=None, run_id=None, recorded_at=NOON + timedelta(days=1),
            occurred_at=NOON + timedelta(minutes=minute), via="test",
        )
        for n, minute in enumerate(minutes, 1)
    ]  # fmt: skip


def _created() -> Event:
    return e.IssueCreated(
        identifier="A-1", prefix="A", number=1, title="1", description=None, status="todo",
        priority="none", assignee=None, team_id=None, project_id=None, goal_id=None,
        milestone_id=None, parent_id=None, label_ids=(), due_at=None, estimate=None,
        sort_order=None, billing_code=None, external_system=None, external_id=None,
        per_task_micros=None,
    )  # fmt: skip


def _renamed(n: int) -> Event:
    return e.IssueEdited(changes={"title": {"from": "", "to": str(n)}})


@pytest.mark.parametrize("minutes", list(permutations((1, 2, 3, 4))), ids=str)
def test_both_timelines_equal_folds_of_what_counts(minutes: tuple[int, ...]) -> None:
    """Of four events told in any order, at every position and at every minute."""
    events = told(new_id(), *minutes)
    naive = Naive(events)
    versions = [*by_position(None, events[0].at, events), *by_time(events)]
    for position in range(1, 5):
        (expected,) = naive.ever(Then(position=position))
        assert [
            v.issue for v in versions if v.position == position and v.timeline != "occurred"
        ] == [expected]
    for minute in range(6):
        moment = NOON + timedelta(minutes=minute)
        had = [v for v in versions if v.at <= moment and v.timeline != "recorded"]
        last = max(had, key=lambda v: (v.at, v.position), default=None)
        assert ([last.issue] if last else []) == naive.ever(Then(occurred_at=moment))


def test_what_is_told_in_order_is_on_both_timelines() -> None:
    """One row an event, and at one time as well: then the order of telling is that of time."""
    for minutes in ((1, 2, 3), (1, 1, 1)):
        events = told(new_id(), *minutes)
        assert {v.timeline for v in by_position(None, events[0].at, events)} == {"both"}
        assert by_time(events) == []


@pytest.mark.parametrize("seed", range(2))
async def test_rows_do_not_depend_on_pages(new_database: NewDatabase, seed: int) -> None:
    """Event by event, in small pages, or all at once."""
    url = await new_database()
    async with open_ledger(url) as ledger:
        past = Past(ledger, await ledger.create_company("Acme"), random.Random(seed))
        await past.found()
        await past.go_on(80)
        assert len(await log_of(ledger, past.company)) > 80
    found = [await _rows(url, past.company, limit) for limit in (1, 7, 1000)]
    assert found[0] == found[1] == found[2]
    assert {row["timeline"] for row in found[0]} == {"both", "recorded", "occurred"}


async def _rows(url: str, company: str, limit: int) -> list[Any]:
    """All states, written anew in pages of so many events."""
    connection = await connect(url)
    try:
        await connection.execute("DELETE FROM issue_versions WHERE company_id = $1", company)
        await connection.execute(
            "UPDATE checkpoints SET position = 0 WHERE company_id = $1 AND model = 'versions'",
            company,
        )
        while await step(connection, Versions(), company, limit=limit):
            pass
        return await connection.fetch(
            "SELECT * FROM issue_versions WHERE company_id = $1 "
            "ORDER BY issue_id, position, timeline",
            company,
        )
    finally:
        await connection.close()
