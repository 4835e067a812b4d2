"""If-Match: the version that the caller saw must be the one that stands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.commands import Command
from ledger.decisions import Decision
from ledger.errors import NotFound, StaleVersion
from ledger.workflow import WORKFLOWS
from tests.samples import FINISHED, PAUSED, SAMPLES, world, world_for
from tests.scenario import (
    ISSUE,
    NOBODYS,
    RUN,
    SECOND,
    alice,
    bob,
    coder,
    given,
)


def version_for(name: str) -> int:
    """The version of the stream that If-Match is about; 0 for what is not there, or not named."""
    if name == "claim_next_issue":
        return 0
    scenario = world_for(name)
    decision = scenario.when(SAMPLES[name]).decision
    assert isinstance(decision, Decision)
    state = scenario.known[decision.stream]
    return int(state.version) if state else 0


@pytest.mark.parametrize("name", SAMPLES)
def test_the_version_that_stands_changes_nothing(name: str) -> None:
    """Whoever saw the latest is decided like whoever did not say."""
    asked = replace(SAMPLES[name], expected_version=version_for(name))

    assert world_for(name).when(asked).events == world_for(name).when(SAMPLES[name]).events


@pytest.mark.parametrize("off", [-1, 1])
@pytest.mark.parametrize("name", SAMPLES)
def test_any_other_version_is_stale(name: str, off: int) -> None:
    """An older one, and one that never was: the refusal tells the one that stands."""
    version = version_for(name)
    asked = replace(SAMPLES[name], expected_version=version + off)

    refusal = world_for(name).when(asked).then_refused(StaleVersion)

    assert refusal.facts["current"]["version"] == version


@pytest.mark.parametrize(
    "asked",
    [
        bob.edits(SECOND, expected_version=7),
        bob.releases(SECOND, expected_version=7),
        bob.moves("todo", SECOND, expected_version=7),
        bob.unassigns(SECOND, expected_version=7),
        bob.unlabels("label", SECOND, expected_version=7),
        coder.checks_out(expected_version=7),
        alice.changes("goal", "goal", expected_version=7),
        alice.renames_key(None, expected_version=7),
        bob.expires(SECOND, expected_version=7),
        alice.pauses(PAUSED, expected_version=7),
        alice.resumes(SECOND, expected_version=7),
        bob.budgets(None, SECOND, expected_version=7),
        alice.pauses_agent("sleeper", expected_version=7),
        alice.resumes_agent("agent", expected_version=7),
        alice.budgets_agent(None, "agent", expected_version=7),
        alice.budgets_company(None, expected_version=7),
        bob.accepts(FINISHED, expected_version=7),
    ],
    ids=lambda command: command.name,
)
def test_agreement_is_stale_too(asked: Command) -> None:
    """Who decided from an old picture should look again, though nothing would change."""
    scenario = world()
    assert scenario.when(replace(asked, expected_version=None)).events == ()

    scenario.when(asked).then_refused(StaleVersion)


def test_a_stale_version_of_an_issue_tells_how_it_stands() -> None:
    """Status, version, assignee and holder, as every refusal about an issue does."""
    scenario = given(alice.creates(), coder.checks_out())

    refusal = scenario.when(bob.edits(title="x", expected_version=1)).then_refused(StaleVersion)

    assert refusal.facts["current"] == {
        "id": ISSUE,
        "identifier": "ACM-1",
        "status": "in_progress",
        "version": 2,
        "assignee": "agent:coder",
        "holder": {
            "agent_id": "coder",
            "run_id": RUN,
            "since": "2026-04-12T17:07:00.000000Z",
            "expires_at": "2026-04-12T17:22:00.000000Z",
            "fencing_token": 2,
        },
        "paused_at": None,
        "allowed": {
            "statuses": list(WORKFLOWS["default"].steps["in_progress"]),
            "verbs": ["submit", "fail", "hand_off", "cancel", "close"],
        },
    }
    assert refusal.facts["changed_since"] == {"stream_id": ISSUE, "version": 1}


def test_of_two_with_the_same_version_one_passes() -> None:
    """The other one learns that somebody was there before."""
    first = bob.edits(title="First", expected_version=1)
    second = alice.edits(title="Second", expected_version=1)

    given(alice.creates()).given(first).when(second).then_refused(StaleVersion)
    given(alice.creates()).given(second).when(first).then_refused(StaleVersion)


def test_versions_count_the_events_of_a_stream() -> None:
    """One, two, three: whatever else happens in the company meanwhile."""
    scenario = given(
        alice.creates(),
        alice.creates(SECOND),
        coder.checks_out(),
        coder.reports(),
        coder.releases(),
        bob.comments(),
    )

    assert scenario.issue().version == 4
    assert scenario.issue(SECOND).version == 1
    assert scenario.run().version == 3


@pytest.mark.parametrize(
    "asked",
    [
        bob.edits(NOBODYS, title="x", expected_version=3),
        bob.comments(issue="ACM-9", expected_version=3),
        bob.submits(NOBODYS, expected_version=3),
        bob.renews("ACM-9", expected_version=3),
        bob.reports(NOBODYS, expected_version=3),
        bob.finishes(NOBODYS, expected_version=3),
        alice.pauses_agent("nobody", expected_version=3),
        alice.budgets_agent(7, NOBODYS, expected_version=3),
        alice.changes("goal", NOBODYS, expected_version=3),
        alice.archives("goal", NOBODYS, expected_version=3),
        alice.renames_key("x", NOBODYS, expected_version=3),
        alice.revokes_key(NOBODYS, expected_version=3),
    ],
    ids=lambda command: command.name,
)
def test_what_is_not_there_is_not_stale(asked: Command) -> None:
    """Whoever saw a version of it saw something else."""
    world().when(asked).then_refused(NotFound)
