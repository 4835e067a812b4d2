"""Corrections: what a report of costs should have said, as a new event beside it.

Who may, of which reports, what it comes to in the run's sums and in the budgets, and what follows.
"""

from __future__ import annotations

from typing import Any

import pytest

from ledger import events as e
from ledger.actors import Role
from ledger.commands import Command
from ledger.errors import Forbidden, NotFound
from ledger.facts import spent
from tests import arbitrary
from tests.scenario import (
    COMPANY_ID,
    ENTRY,
    ISSUE,
    NOBODYS,
    OTHER_RUN,
    RUN,
    SECOND,
    Caller,
    Scenario,
    alice,
    an_id,
    bob,
    coder,
    given,
    operator,
    reviewer,
)

APRIL, MAY = "2026-04", "2026-05"
"""The month in which every scenario begins, and the next one."""

USED: dict[str, Any] = {"input_tokens": 1000, "output_tokens": 200, "cost_micros": 500}


def reported(*before: Command, **used: Any) -> tuple[Scenario, int]:
    """A report of agent:coder's run that holds ISSUE, and the report's position."""
    scenario = given(*before or [alice.creates()], coder.checks_out())
    scenario.given(coder.reports(**(used or USED)))
    positions = [r.position for r in scenario.recorded if isinstance(r.event, e.CostReported)]
    return scenario, positions[-1]


def sums(scenario: Scenario, month: str = APRIL) -> tuple[int, int, int]:
    """What was spent on the issue, and by the agent and the company in a month."""
    return (
        scenario.known.spent(spent("issue", ISSUE, "")),
        scenario.known.spent(spent("agent", "coder", month)),
        scenario.known.spent(spent("company", COMPANY_ID, month)),
    )


# ── what it is ─────────────────────────────────────────────────────────────────────────


def test_a_correction_tells_what_was_said_and_what_is_true() -> None:
    """In the run's stream, naming the report, with all that the report was about."""
    scenario, position = reported(
        alice.lists("team", "Core", ENTRY, issue_prefix="COR"), alice.creates(team="core")
    )
    happened = scenario.recorded[-1].at
    answer = scenario.when(coder.corrects(position, cost_micros=300, output_tokens=20))

    assert answer.streams == (("run", RUN),)
    corrected = answer.then_only(e.CostCorrected)
    assert corrected == e.CostCorrected(
        corrects_position=position,
        issue_id=ISSUE,
        agent_id="coder",
        team_id=ENTRY,
        project_id=None,
        provider="anthropic",
        model="opus",
        reported_at=happened.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        month=APRIL,
        from_input_tokens=1000,
        from_output_tokens=200,
        from_cached_tokens=0,
        from_cost_micros=500,
        input_tokens=1000,
        output_tokens=20,
        cached_tokens=0,
        cost_micros=300,
        reason="Counted twice.",
    )


def test_the_sums_of_the_run_move_by_the_difference() -> None:
    """Of each kind of token, and of the money; in every sum that the report counted in."""
    scenario, position = reported()
    scenario.given(coder.reports(cost_micros=100, cached_tokens=5))
    scenario.given(coder.corrects(position, cost_micros=450, input_tokens=900, cached_tokens=1))

    run = scenario.run()
    assert (run.input_tokens, run.output_tokens, run.cached_tokens) == (900, 200, 6)
    assert run.cost_micros == 550
    assert sums(scenario) == (550, 550, 550)


def test_a_second_correction_is_of_the_same_report() -> None:
    """The new amounts are in place of those before, and what is left out stays as it is."""
    scenario, position = reported()
    scenario.given(coder.corrects(position, cost_micros=450))
    again = scenario.when(coder.corrects(position, input_tokens=1)).then_only(e.CostCorrected)
    assert (again.from_cost_micros, again.cost_micros) == (450, 450)
    assert (again.from_input_tokens, again.input_tokens) == (1000, 1)

    scenario.given(coder.corrects(position, input_tokens=1))
    scenario.given(coder.corrects(position, **{**USED, "cached_tokens": 0}))

    run = scenario.run()
    assert (run.input_tokens, run.output_tokens, run.cost_micros) == (1000, 200, 500)
    assert sums(scenario) == (500, 500, 500)


@pytest.mark.parametrize("said", [{}, USED, {"cost_micros": 500}], ids=["nothing", "all", "one"])
def test_what_is_said_already_is_no_correction(said: dict[str, Any]) -> None:
    """Agreement, without an event."""
    scenario, position = reported()
    scenario.when(coder.corrects(position, **said)).then_nothing()


def test_the_team_and_the_project_are_those_of_the_report() -> None:
    """Moving the issue later does not move what was spent, be it corrected then."""
    scenario, position = reported()
    scenario.given(alice.lists("project", "Apollo"), alice.edits(project_id="apollo"))
    corrected = scenario.when(coder.corrects(position, cost_micros=1))
    assert corrected.then_only(e.CostCorrected).project_id is None


# ── who may, and of what ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "who",
    [coder, bob, operator, *(alice.as_role(r) for r in (Role.EDITOR, Role.MANAGER, Role.ADMIN))],
    ids=["the agent", "person", "system", "editor", "manager", "admin"],
)
def test_the_agent_and_people_correct(who: Caller) -> None:
    """The agent its own run, people any."""
    scenario, position = reported()
    corrected = scenario.when(who.corrects(position, cost_micros=1)).then_only(e.CostCorrected)
    assert corrected.agent_id == "coder"


def test_nobody_corrects_another_agents_costs() -> None:
    """Nor does a role change that: an agent tells of its own runs."""
    scenario, position = reported()
    for who in (reviewer, reviewer.as_role(Role.EDITOR), alice.as_role(Role.VIEWER)):
        scenario.when(who.corrects(position, cost_micros=1)).then_refused(Forbidden)


@pytest.mark.parametrize("off", [-1, 1, 10_000])
def test_only_a_report_is_corrected(off: int) -> None:
    """What is at another position, or nowhere, is no report of costs; nor is a correction."""
    scenario, position = reported()
    scenario.given(coder.corrects(position, cost_micros=1))
    refused = scenario.when(coder.corrects(position + off, cost_micros=2)).then_refused(NotFound)
    assert refused.pointer == "/corrects_position"


def test_another_runs_report_is_not_this_ones() -> None:
    """It is as if it never was."""
    scenario, position = reported(alice.creates(), alice.creates(SECOND))
    scenario.given(coder.checks_out(SECOND, run=OTHER_RUN))
    for run, issue in ((OTHER_RUN, SECOND), (NOBODYS, ISSUE), (RUN, SECOND)):
        asked = coder.corrects(position, run, issue, cost_micros=2)
        scenario.when(asked).then_refused(NotFound)


@pytest.mark.parametrize(
    "ended", [coder.finishes(), coder.gives_up(), alice.reassigns("user:bob"), alice.deletes()],
    ids=["finished", "failed", "reassigned", "deleted"],
)  # fmt: skip
def test_a_late_correction_counts(ended: Command) -> None:
    """What was spent is a fact, whatever became of the run and its issue."""
    scenario, position = reported()
    scenario.given(ended, coder.corrects(position, cost_micros=7))
    assert scenario.run().cost_micros == 7


def test_the_token_of_a_lease_that_ended_does_not_keep_a_fact_out() -> None:
    """As with a report."""
    scenario, position = reported()
    token = scenario.issue().fencing_token
    scenario.given(coder.releases())
    corrected = scenario.when(coder.corrects(position, cost_micros=7, fencing_token=token))
    corrected.then_only(e.CostCorrected)


# ── budgets ────────────────────────────────────────────────────────────────────────────


def test_more_that_was_spent_reaches_budgets_as_a_report_does() -> None:
    """A warning, the end, and the run that holds the issue is paused."""
    scenario, position = reported(alice.creates(per_task_micros=1000))
    warned = scenario.when(coder.corrects(position, cost_micros=800))
    assert [type(one) for one in warned.events] == [e.CostCorrected, e.IssueBudgetWarned]
    stopped = scenario.when(coder.corrects(position, cost_micros=1000))
    assert [type(one) for one in stopped.events] == [
        e.CostCorrected, e.IssueBudgetWarned, e.IssueBudgetExceeded, e.IssueInterrupted,
        e.RunPaused,
    ]  # fmt: skip


def test_less_that_was_spent_resumes_nothing_and_warns_of_nothing() -> None:
    """A person lets the work go on; but a budget with something left lets the next run begin."""
    scenario, position = reported(alice.creates(per_task_micros=500))
    assert scenario.run().paused_at is not None
    scenario.when(coder.corrects(position, cost_micros=100)).then_only(e.CostCorrected)
    scenario.given(coder.corrects(position, cost_micros=100))
    assert scenario.run().paused_at is not None
    scenario.given(coder.checks_out())
    assert scenario.run().paused_at is None


def test_a_budget_that_is_reached_again_is_told_of_again() -> None:
    """For it was not reached meanwhile."""
    scenario, position = reported(alice.creates(per_task_micros=1000), cost_micros=900)
    scenario.given(coder.corrects(position, cost_micros=10))
    again = scenario.when(coder.reports(cost_micros=800))
    again.then_also(e.IssueBudgetWarned)


def test_a_correction_counts_in_the_month_of_its_report() -> None:
    """A month that is over changes its sum, and stops nobody in this one."""
    scenario, position = reported(alice.creates(), alice.budgets_company(600), cost_micros=400)
    scenario.later(days=31)
    scenario.when(coder.corrects(position, cost_micros=900)).then_only(e.CostCorrected)
    scenario.given(coder.corrects(position, cost_micros=900))
    assert sums(scenario) == (900, 900, 900)
    assert sums(scenario, MAY) == (900, 0, 0)
    assert scenario.run().paused_at is None


def test_an_issues_budget_minds_a_correction_of_any_month() -> None:
    """All its runs count together, whenever they were."""
    scenario, position = reported(alice.creates(per_task_micros=800), cost_micros=400)
    scenario.later(days=31)
    scenario.when(coder.corrects(position, cost_micros=900)).then_also(e.IssueBudgetExceeded)


def test_the_arbitrary_corrections_meet_reports() -> None:
    """Where the reports are, of which arbitrary commands correct some."""
    scenario = Scenario().given(operator.begins(), *arbitrary.beginnings())
    positions = [r.position for r in scenario.recorded if isinstance(r.event, e.CostReported)]
    assert tuple(positions) == arbitrary.REPORTED_AT
    assert an_id(11) == scenario.recorded[positions[0] - 1].stream_id
