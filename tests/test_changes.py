"""What an event changed of an issue: every field that differs, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import reduce
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from api import views
from api.changes import FIELDS, NOTHING, Change, applied, changes, shown
from ledger.state import Issue

_TIMES = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))
_TEXTS = st.sampled_from(("a", "b", "c"))


def _maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


@st.composite
def issues(draw: st.DrawFn) -> Issue:
    """An issue in any state, be it one that no command leads to."""
    held, described, external = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    return Issue(
        id="i",
        identifier="ENG-1",
        version=draw(st.integers(1, 9)),
        created_position=1,
        created_at=datetime(2020, 1, 1, tzinfo=UTC),
        created_by="user:a",
        updated_at=draw(_TIMES),
        title=draw(_TEXTS),
        status=draw(_TEXTS),
        priority=draw(_TEXTS),
        assignee=draw(_maybe(_TEXTS)),
        holder_agent_id=draw(_TEXTS) if held else None,
        holder_run_id=draw(_TEXTS) if held else None,
        held_since=draw(_TIMES) if held else None,
        lease_expires_at=draw(_TIMES) if held else None,
        fencing_token=draw(st.integers(1, 3)) if held else None,
        paused_at=draw(_maybe(_TIMES)),
        blocked_from=draw(_maybe(_TEXTS)),
        run_count=draw(st.integers(0, 3)),
        per_task_micros=draw(_maybe(st.integers(0, 3))),
        team_id=draw(_maybe(_TEXTS)),
        project_id=draw(_maybe(_TEXTS)),
        goal_id=draw(_maybe(_TEXTS)),
        milestone_id=draw(_maybe(_TEXTS)),
        parent_id=draw(_maybe(_TEXTS)),
        label_ids=tuple(draw(st.lists(_TEXTS, unique=True))),
        due_at=draw(_maybe(_TEXTS)),
        estimate=draw(_maybe(st.integers(0, 3))),
        sort_order=draw(_maybe(_TEXTS)),
        billing_code=draw(_maybe(_TEXTS)),
        external_system=draw(_TEXTS) if external else None,
        external_id=draw(_TEXTS) if external else None,
        description_position=draw(st.integers(1, 3)) if described else None,
        description_sha256=draw(_TEXTS) if described else None,
        comment_count=draw(st.integers(0, 3)),
        started_at=draw(_maybe(_TIMES)),
        completed_at=draw(_maybe(_TIMES)),
        deleted_at=draw(_maybe(_TIMES)),
    )


@given(issues())
def test_every_field_that_an_issue_is_shown_with_is_told_but_what_says_nothing(
    issue: Issue,
) -> None:
    """A new field of an issue's view has its changes told, or is named here."""
    aside = {"id", "version", "updated_at", "run_id", "label_ids"}
    beside = {"labels", "description", "blocked_from", "deleted_at"}
    assert set(FIELDS) == (set(views.issue(issue)) - aside) | beside
    assert len(FIELDS) == len(set(FIELDS))


@given(st.lists(issues(), min_size=1, max_size=6))
def test_changes_one_after_the_other_lead_to_the_last_state(states: list[Issue]) -> None:
    """From nothing, whatever the states in between; and back, turned round."""
    seen = [NOTHING, *(shown(state) for state in states)]
    steps = [changes(before, after) for before, after in pairwise(seen)]
    assert reduce(applied, steps, NOTHING) == seen[-1]
    back = [[Change(c.field, c.after, c.before) for c in step] for step in reversed(steps)]
    assert reduce(applied, back, seen[-1]) == NOTHING


@given(issues(), issues())
def test_a_change_is_told_of_what_differs_and_of_nothing_else(before: Issue, after: Issue) -> None:
    """Each field at most once, in the order of FIELDS, with two values that are not the same."""
    told = changes(shown(before), shown(after))
    assert [c.field for c in told] == [f for f in FIELDS if shown(before)[f] != shown(after)[f]]
    assert all(change.before != change.after for change in told)
    assert changes(shown(before), shown(before)) == []


@given(issues())
def test_an_issue_that_was_not_there_had_no_field_set(issue: Issue) -> None:
    """Written down, all that is set comes from null; the values are those of the issue's view."""
    told = changes(shown(None), shown(issue))
    assert all(change.before is None for change in told)
    view = views.issue(issue)
    assert all(c.after == view[c.field] for c in told if c.field in view)
