"""Runs: what an attempt at an issue reports, and who may act in one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ledger import events as e
from ledger.commands import Command
from ledger.decisions import Decision
from ledger.errors import Forbidden, LedgerError, NotFound
from tests.samples import SAMPLES, world
from tests.scenario import (
    ENTRY,
    ISSUE,
    NOBODYS,
    OTHER_RUN,
    RUN,
    SECOND,
    Caller,
    Scenario,
    alice,
    bob,
    coder,
    given,
    operator,
    reviewer,
)

USED: dict[str, Any] = {
    "input_tokens": 1000,
    "output_tokens": 200,
    "cached_tokens": 300,
    "cost_micros": 4500,
}


def at_work() -> Scenario:
    """An issue that agent:coder holds, and another one."""
    return given(alice.creates(), alice.creates(SECOND), coder.checks_out())


def test_reporting_a_cost_writes_into_the_runs_stream() -> None:
    """With the issue and the agent as they are; the run adds it up."""
    scenario = at_work()
    answer = scenario.when(coder.reports(**USED))

    assert answer.streams == (("run", RUN),)
    answer.then(
        e.CostReported(
            issue_id=ISSUE,
            agent_id="coder",
            team_id=None,
            project_id=None,
            provider="anthropic",
            model="opus",
            **USED,
        )
    )
    scenario.given(coder.reports(cost_micros=500))

    run = scenario.run()
    assert (run.input_tokens, run.output_tokens, run.cached_tokens) == (1000, 200, 300)
    assert run.cost_micros == 5000


def test_the_same_report_again_counts_again() -> None:
    """Twins are told apart by their Idempotency-Key, not by what they say."""
    scenario = at_work().given(coder.reports(cost_micros=7), coder.reports(cost_micros=7))

    assert scenario.run().cost_micros == 14


def test_a_report_keeps_the_project_of_its_time() -> None:
    """Moving the issue later does not move what was spent."""
    scenario = at_work().given(alice.lists("project", "Apollo"), alice.edits(project_id="apollo"))

    assert scenario.when(coder.reports()).then_only(e.CostReported).project_id == ENTRY


@pytest.mark.parametrize(
    "ended", [coder.releases(), coder.moves("done"), alice.reassigns("user:bob")]
)
def test_a_late_report_counts(ended: Command) -> None:
    """What was spent was spent, though the run has ended."""
    scenario = at_work().given(ended, coder.reports(cost_micros=7))

    assert scenario.run().cost_micros == 7
    assert scenario.run().ended_at is not None


def test_a_late_report_counts_even_when_the_issue_was_deleted() -> None:
    """What was spent was spent."""
    scenario = at_work().given(alice.deletes())

    assert scenario.when(coder.reports(cost_micros=7)).then_only(e.CostReported).cost_micros == 7


@pytest.mark.parametrize("who", [bob, operator, alice], ids=["person", "system", "owner"])
def test_people_report_for_an_agent(who: Caller) -> None:
    """The cost is the agent's, whoever tells of it."""
    reported = at_work().when(who.reports(cost_micros=7)).then_only(e.CostReported)

    assert reported.agent_id == "coder"


def test_an_agent_reports_on_its_own_runs_alone() -> None:
    """Nobody runs up another agent's bill."""
    at_work().when(reviewer.reports()).then_refused(Forbidden)


@pytest.mark.parametrize(
    ("run", "issue"), [(OTHER_RUN, ISSUE), (NOBODYS, ISSUE), (RUN, SECOND), (RUN, NOBODYS)]
)
def test_a_run_is_found_at_its_own_issue_alone(run: str, issue: str) -> None:
    """An unknown run, and a known one at another issue, are the same answer."""
    at_work().when(coder.reports(run, issue)).then_refused(NotFound)


# ── acting in a run ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("ended", [False, True])
def test_an_agent_acts_in_its_own_run(ended: bool) -> None:
    """While it lasts, and afterwards: what was done in it is known later, too."""
    scenario = at_work()
    if ended:
        scenario.given(coder.releases())

    scenario.when(coder.comments(in_run=RUN)).then_only(e.IssueCommented)


@pytest.mark.parametrize("who", [reviewer, bob, alice, operator])
def test_nobody_acts_in_an_agents_run_but_the_agent(who: Caller) -> None:
    """What the log says of a run is evidence."""
    at_work().when(who.comments(in_run=RUN)).then_refused(Forbidden)


@pytest.mark.parametrize("who", [coder, alice])
def test_nobody_acts_in_a_run_that_is_not_there(who: Caller) -> None:
    """Before it began, or in another company's."""
    at_work().when(who.comments(in_run=OTHER_RUN)).then_refused(NotFound)


def told(decision: Decision | LedgerError) -> object:
    """What a decision comes to, so that two can be compared."""
    if isinstance(decision, LedgerError):
        return type(decision), decision.message, decision.facts
    return decision


@pytest.mark.parametrize("name", sorted(SAMPLES.keys() - {"create_company"}))
def test_whose_run_it_is_is_asked_for_every_command(name: str) -> None:
    """Whatever is done in it, and by whichever role."""
    asked = replace(SAMPLES[name], actor=coder.actor)

    in_its_run = world().when(replace(asked, in_run=RUN)).decision
    refusal = world().when(replace(asked, actor=bob.actor, in_run=RUN)).then_refused(Forbidden)

    assert told(in_its_run) == told(world().when(asked).decision)
    assert "coder" in refusal.message
