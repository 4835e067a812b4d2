"""Budgets: who sets them, what is recorded when they are reached, and what is refused then.

Of an issue, an agent and the company: one rule with three places. Money is micro-dollars.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import pytest

from ledger import events as e
from ledger.actors import Role
from ledger.commands import Command
from ledger.errors import AssignedElsewhere, BudgetExceeded, BudgetLocked, Forbidden, NotFound
from ledger.events import Event
from ledger.facts import COMPANY, FactKey, month_of, spent
from tests.scenario import (
    COMPANY_ID,
    ENTRY,
    ISSUE,
    NOBODYS,
    OTHER_RUN,
    RUN,
    SECOND,
    Answer,
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
from tests.workflows import TOLD, company_of

APRIL, MAY = "2026-04", "2026-05"
"""The month in which every scenario begins, and the next one."""
THIRD_RUN = an_id(13)


def costing(limit: int | None, *commands: Command) -> Scenario:
    """An issue with this budget, which agent:coder holds."""
    return given(alice.creates(per_task_micros=limit), coder.checks_out(), *commands)


def spends(*amounts: int, run: str = RUN) -> list[Command]:
    """Reports of an agent:coder's run."""
    return [coder.reports(run, cost_micros=amount) for amount in amounts]


def follows(answer: Answer) -> list[Event]:
    """What a report brings about, beside being written down."""
    first, *others = answer.events
    assert isinstance(first, e.CostReported)
    return others


# ── setting an issue's budget ──────────────────────────────────────────────────────────

EVERYBODY = [alice, bob, coder, reviewer]


@pytest.mark.parametrize("who", EVERYBODY)
@pytest.mark.parametrize("limit", [None, 0, 1, 1_500_000])
def test_an_issue_is_created_with_a_budget(who: Caller, limit: int | None) -> None:
    """By anybody at work, or without one."""
    answer = given().when(who.creates(per_task_micros=limit))

    assert answer.then_only(e.IssueCreated).per_task_micros == limit
    assert answer.scenario.given(answer.command).issue().per_task_micros == limit


@pytest.mark.parametrize("who", EVERYBODY)
@pytest.mark.parametrize(("before", "after"), [(None, 5), (5, 9), (9, 5), (5, 0), (5, None)])
def test_anybody_at_work_sets_a_budget_until_the_first_run_starts(
    who: Caller, before: int | None, after: int | None
) -> None:
    """Higher, lower, for the first time, or none again."""
    scenario = given(alice.creates(per_task_micros=before))

    answer = scenario.when(who.budgets(after))

    assert answer.streams == (("issue", ISSUE),)
    then = answer.then(e.IssueBudgetSet(from_micros=before, to_micros=after))
    assert then.issue().per_task_micros == after


@pytest.mark.parametrize("limit", [None, 5])
@pytest.mark.parametrize("who", EVERYBODY)
def test_setting_the_budget_that_stands_is_agreement(who: Caller, limit: int | None) -> None:
    """Before the first run, and after it has started."""
    given(alice.creates(per_task_micros=limit)).when(who.budgets(limit)).then_nothing()
    costing(limit).when(who.budgets(limit)).then_nothing()


STARTED: Mapping[str, list[Command]] = {
    "at work": [],
    "released": [coder.releases()],
    "finished": [coder.finishes()],
    "paused": [alice.pauses()],
}


@pytest.mark.parametrize("then", STARTED.values(), ids=STARTED)
@pytest.mark.parametrize("who", EVERYBODY)
@pytest.mark.parametrize(("before", "after"), [(9, 5), (5, 0), (None, 5), (None, 10**9)])
def test_once_a_run_has_started_a_budget_is_not_lowered(
    then: list[Command], who: Caller, before: int | None, after: int
) -> None:
    """By nobody, be that run over; any limit is less than none."""
    refusal = costing(before, *then).when(who.budgets(after)).then_refused(BudgetLocked)

    assert refusal.code == "budget_locked"
    assert refusal.pointer == "/per_task_micros"


@pytest.mark.parametrize("then", STARTED.values(), ids=STARTED)
@pytest.mark.parametrize("who", [alice, bob, operator])
@pytest.mark.parametrize("after", [6, 10**9, None])
def test_once_a_run_has_started_a_person_raises_the_budget(
    then: list[Command], who: Caller, after: int | None
) -> None:
    """A little, a lot, or to as much as it takes."""
    costing(5, *then).when(who.budgets(after)).then(
        e.IssueBudgetSet(from_micros=5, to_micros=after)
    )


@pytest.mark.parametrize("who", [coder, reviewer, coder.as_role(Role.OWNER)])
@pytest.mark.parametrize("after", [6, None])
def test_once_a_run_has_started_no_agent_raises_the_budget(who: Caller, after: int | None) -> None:
    """Whatever its role: it would spend what it gives itself."""
    costing(5).when(who.budgets(after)).then_refused(Forbidden)


@pytest.mark.parametrize("ref", [NOBODYS, "ACM-9"])
def test_a_budget_of_what_is_not_there(ref: str) -> None:
    """Like anything else that is asked of it."""
    given().when(alice.budgets(5, ref)).then_refused(NotFound)


# ── the warning, and the end ───────────────────────────────────────────────────────────


def _warned(limit: int, spent_micros: int) -> e.IssueBudgetWarned:
    return e.IssueBudgetWarned(month=None, limit_micros=limit, spent_micros=spent_micros)


def _exceeded(limit: int, spent_micros: int) -> e.IssueBudgetExceeded:
    return e.IssueBudgetExceeded(month=None, limit_micros=limit, spent_micros=spent_micros)


STOPPED: list[Event] = [
    e.IssueInterrupted(from_status="in_progress", to_status="todo", reason="budget_exceeded"),
    e.RunPaused(issue_id=ISSUE, agent_id="coder", reason="budget_exceeded"),
]
"""What happens to an issue, and to its run, on a budget that is spent."""


@pytest.mark.parametrize(
    ("limit", "before", "cost", "then"),
    [
        (100, [], 79, []),
        (100, [], 80, [_warned(100, 80)]),
        (100, [79], 1, [_warned(100, 80)]),
        (100, [79], 20, [_warned(100, 99)]),
        (100, [80], 1, []),
        (100, [80], 19, []),
        (100, [80], 20, [_exceeded(100, 100), *STOPPED]),
        (100, [99], 1, [_exceeded(100, 100), *STOPPED]),
        (100, [99], 500, [_exceeded(100, 599), *STOPPED]),
        (100, [], 100, [_warned(100, 100), _exceeded(100, 100), *STOPPED]),
        (100, [79], 21, [_warned(100, 100), _exceeded(100, 100), *STOPPED]),
        (100, [], 1_000, [_warned(100, 1_000), _exceeded(100, 1_000), *STOPPED]),
        (100, [30, 30], 19, []),
        (100, [30, 30], 20, [_warned(100, 80)]),
        (101, [], 80, []),
        (101, [], 81, [_warned(101, 81)]),
        (4, [], 3, []),
        (4, [3], 1, [_warned(4, 4), _exceeded(4, 4), *STOPPED]),
        (1, [], 1, [_warned(1, 1), _exceeded(1, 1), *STOPPED]),
        (100, [], 0, []),
        (100, [80], 0, []),
        (None, [10**9], 10**9, []),
    ],
)
def test_a_report_warns_at_four_fifths_and_stops_at_the_limit(
    limit: int | None, before: list[int], cost: int, then: list[Event]
) -> None:
    """Once each, at the very micro-dollar, and both when one report crosses both."""
    scenario = costing(limit, *spends(*before))

    assert follows(scenario.when(coder.reports(cost_micros=cost))) == then


def test_a_spent_budget_stops_the_work() -> None:
    """The report is written down; the lease is over, the run paused, the issue waits."""
    scenario = costing(100, *spends(85))

    answer = scenario.when(coder.reports(cost_micros=15))

    issue, run = ("issue", ISSUE), ("run", RUN)
    assert answer.streams == (run, issue, issue, run)
    after = scenario.given(answer.command)
    assert after.issue().status == "todo"
    assert after.issue().assignee == "agent:coder"
    assert (after.issue().holder_agent_id, after.issue().holder_run_id) == (None, None)
    assert (after.issue().fencing_token, after.issue().lease_expires_at) == (None, None)
    assert after.issue().paused_run_id == RUN
    assert after.run().paused_at is not None
    assert after.run().ended_at is None
    assert after.run().cost_micros == 100


@pytest.mark.parametrize("workflow", TOLD)
def test_a_spent_budget_stops_the_work_in_every_workflow(workflow: str) -> None:
    """It is no step of the workflow: nobody asked for it."""
    scenario = company_of(workflow, alice.creates(per_task_micros=5), coder.checks_out())

    scenario.given(coder.reports(cost_micros=5))

    assert scenario.issue().status == "todo"
    assert scenario.run().paused_at is not None


@pytest.mark.parametrize("status", ["in_review", "handoff"])
def test_a_spent_budget_leaves_an_issue_before_its_reviewer(status: str) -> None:
    """What was in review stays there, held by nobody."""
    scenario = costing(100, coder.moves(status))

    stopped = scenario.when(coder.reports(cost_micros=100)).then_also(e.IssueInterrupted)

    assert (stopped.from_status, stopped.to_status) == (status, status)
    assert scenario.given(coder.reports(cost_micros=100)).issue().holder_run_id is None


def test_all_runs_of_an_issue_count_together() -> None:
    """Of whichever agent."""
    scenario = costing(100, *spends(50), coder.releases(), reviewer.checks_out(run=OTHER_RUN))

    answer = scenario.when(reviewer.reports(OTHER_RUN, cost_micros=30))
    assert follows(answer) == [_warned(100, 80)]

    scenario.given(answer.command)
    last = follows(scenario.when(reviewer.reports(OTHER_RUN, cost_micros=20)))
    assert last[0] == _exceeded(100, 100)


def test_another_issues_runs_do_not_count() -> None:
    """Each has a budget of its own."""
    scenario = costing(
        100, alice.creates(SECOND, per_task_micros=100), coder.checks_out(SECOND, run=OTHER_RUN)
    )

    scenario.given(coder.reports(OTHER_RUN, SECOND, cost_micros=70))

    assert follows(scenario.when(coder.reports(cost_micros=70))) == []


@pytest.mark.parametrize("who", [coder, bob, alice])
def test_whoever_reports_it_is_spent(who: Caller) -> None:
    """People may tell of an agent's costs; the same rule holds."""
    scenario = costing(100)

    assert follows(scenario.when(who.reports(cost_micros=100)))[-2:] == STOPPED


def test_what_is_reported_under_an_old_token_is_spent() -> None:
    """Costs are facts about the world, and no lease makes them untrue."""
    scenario = costing(100)
    token = scenario.issue().fencing_token
    scenario.given(coder.releases())

    answer = scenario.when(coder.reports(cost_micros=100, fencing_token=token))

    assert follows(answer) == [_warned(100, 100), _exceeded(100, 100)]


def test_a_holder_whose_time_has_passed_is_stopped_too() -> None:
    """Nobody came, so it still holds the issue."""
    scenario = costing(100).later(hours=3)

    assert follows(scenario.when(coder.reports(cost_micros=100)))[-2:] == STOPPED


# ── late reports ───────────────────────────────────────────────────────────────────────

ENDED: Mapping[str, Command] = {
    "released": coder.releases(),
    "submitted": coder.submits(),
    "given up": coder.gives_up(),
    "finished": coder.finishes(),
    "reassigned": alice.reassigns("user:bob"),
    "cancelled": alice.cancels(),
    "deleted": alice.deletes(),
}


@pytest.mark.parametrize("ended", ENDED.values(), ids=ENDED)
def test_a_late_report_counts_and_stops_nobody(ended: Command) -> None:
    """It was spent, though the run is over; there is no work to stop."""
    scenario = costing(100, ended)

    late = scenario.when(coder.reports(cost_micros=85))
    assert follows(late) == [_warned(100, 85)]
    scenario.given(late.command)
    later = scenario.when(coder.reports(cost_micros=15))
    assert follows(later) == [_exceeded(100, 100)]

    scenario.given(later.command)
    assert scenario.run().cost_micros == 100
    assert scenario.known.spent(spent("issue", ISSUE, "")) == 100


def test_a_late_report_keeps_the_next_run_from_beginning() -> None:
    """The budget is spent, whenever that is told."""
    scenario = costing(100, coder.releases(), *spends(100))

    scenario.when(coder.checks_out(run=OTHER_RUN)).then_refused(BudgetExceeded)


def test_a_run_that_was_stopped_reports_what_it_had_begun() -> None:
    """It counts, and the end is not recorded twice."""
    scenario = costing(100, *spends(100))

    assert follows(scenario.when(coder.reports(cost_micros=50))) == []
    scenario.given(*spends(50))
    assert scenario.known.spent(spent("issue", ISSUE, "")) == 150
    assert scenario.run().cost_micros == 150


# ── checking out, and raising ──────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "asked",
    [
        coder.checks_out(),
        coder.checks_out(run=OTHER_RUN),
        coder.checks_out(run=OTHER_RUN, names_run=False),
        alice.checks_out(agent="coder", run=OTHER_RUN),
        bob.checks_out(agent="reviewer", run=OTHER_RUN),
    ],
)
def test_nobody_checks_out_on_a_spent_budget(asked: Command) -> None:
    """Not the run that was stopped, and nobody whom a person sends."""
    refusal = costing(100, *spends(120)).when(asked).then_refused(BudgetExceeded)

    assert refusal.code == "budget_exceeded"
    assert refusal.facts["budget"] == {
        "of": "issue",
        "month": None,
        "limit_micros": 100,
        "spent_micros": 120,
    }
    assert refusal.facts["current"]["status"] == "todo"


def test_another_agent_is_told_whose_it_is_first() -> None:
    """What was stopped is still its agent's."""
    costing(100, *spends(100)).when(reviewer.checks_out(run=OTHER_RUN)).then_refused(
        AssignedElsewhere
    )


def test_claiming_passes_over_an_issue_whose_budget_is_spent() -> None:
    """And takes the next one."""
    scenario = costing(100, coder.releases(), *spends(100), alice.creates(SECOND))

    scenario.given(reviewer.claims_next(run=OTHER_RUN))

    assert scenario.issue(SECOND).holder_run_id == OTHER_RUN


def test_a_budget_of_nothing_lets_no_run_begin() -> None:
    """It is spent from the beginning."""
    given(alice.creates(per_task_micros=0)).when(coder.checks_out()).then_refused(BudgetExceeded)


@pytest.mark.parametrize("limit", [101, 120])
def test_a_raise_that_is_spent_already_lets_nobody_begin(limit: int) -> None:
    """The refusal tells the new limit."""
    scenario = costing(100, *spends(120), alice.budgets(limit))

    refusal = scenario.when(coder.checks_out()).then_refused(BudgetExceeded)

    assert refusal.facts["budget"]["limit_micros"] == limit


@pytest.mark.parametrize("limit", [121, None])
@pytest.mark.parametrize(
    "asked",
    [
        coder.checks_out(),
        coder.checks_out(run=OTHER_RUN, names_run=False),
        alice.checks_out(agent="coder"),
    ],
)
def test_after_a_raise_the_same_agent_goes_on_in_the_same_run(
    limit: int | None, asked: Command
) -> None:
    """It was the same attempt all along."""
    scenario = costing(100, *spends(120), alice.budgets(limit))

    after = scenario.when(asked).then(
        e.IssueCheckedOut(
            agent_id="coder",
            run_id=RUN,
            from_assignee="agent:coder",
            from_status="todo",
            to_status="in_progress",
            lease_seconds=900,
        ),
        e.RunResumed(issue_id=ISSUE, agent_id="coder"),
    )

    assert (after.issue().holder_run_id, after.issue().paused_run_id) == (RUN, None)
    assert (after.issue().run_count, after.run().paused_at) == (1, None)
    assert after.given(*spends(1)).run().cost_micros == 121


@pytest.mark.parametrize(
    "asked",
    [coder.checks_out(run=OTHER_RUN), alice.checks_out(agent="reviewer", run=OTHER_RUN)],
    ids=["another run", "another agent"],
)
def test_after_a_raise_another_attempt_ends_the_one_that_was_stopped(asked: Command) -> None:
    """It is superseded, and what it cost still counts."""
    scenario = costing(100, *spends(120), alice.budgets(130))

    answer = scenario.when(asked)

    assert answer.then_also(e.RunEnded).exit_reason == "superseded"
    answer.then_also(e.RunStarted)
    after = scenario.given(asked)
    assert after.run().ended_at is not None
    assert (after.issue().holder_run_id, after.issue().run_count) == (OTHER_RUN, 2)
    assert after.known.spent(spent("issue", ISSUE, "")) == 120


def test_after_a_raise_the_crossing_is_recorded_anew() -> None:
    """Four fifths of the new limit, and then all of it."""
    scenario = costing(100, *spends(100), alice.budgets(200), coder.checks_out())

    assert follows(scenario.when(coder.reports(cost_micros=59))) == []
    scenario.given(*spends(59))
    assert follows(scenario.when(coder.reports(cost_micros=1))) == [_warned(200, 160)]
    scenario.given(*spends(1))
    assert follows(scenario.when(coder.reports(cost_micros=40))) == [_exceeded(200, 200), *STOPPED]


def test_after_a_raise_past_which_four_fifths_are_spent_there_is_no_second_warning() -> None:
    """It was crossed under the old limit; the end is recorded when it comes."""
    scenario = costing(100, *spends(95), alice.budgets(110))

    assert follows(scenario.when(coder.reports(cost_micros=5))) == []
    assert follows(scenario.when(coder.reports(cost_micros=15))) == [_exceeded(110, 110), *STOPPED]


def test_a_raise_does_not_end_a_pause_that_a_person_made() -> None:
    """Stopping for money and pausing are two things: each is undone by itself."""
    scenario = costing(100, *spends(100), alice.pauses(), alice.budgets(200))
    assert scenario.issue().paused_run_id == RUN

    scenario.given(alice.resumes(), coder.checks_out())

    assert scenario.issue().holder_run_id == RUN


# ── a month's budgets ──────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Monthly:
    """A budget of a calendar month: agent:coder's, or the company's."""

    of: str
    stream: FactKey
    key: Callable[[str], FactKey]
    sets: Callable[[Caller, int | None], Command]
    was_set: type[e.BudgetSet]
    warned: type[e.BudgetReached]
    exceeded: type[e.BudgetReached]

    def reached(self, month: str, limit: int, spent_micros: int) -> list[Event]:
        """Both events of a report that crosses four fifths and all of it."""
        return [
            kind(month=month, limit_micros=limit, spent_micros=spent_micros)
            for kind in (self.warned, self.exceeded)
        ]


MONTHLY = [
    Monthly(
        of="agent",
        stream=("entry", ENTRY),
        key=lambda month: spent("agent", "coder", month),
        sets=lambda who, limit: who.budgets_agent(limit),
        was_set=e.AgentBudgetSet,
        warned=e.AgentBudgetWarned,
        exceeded=e.AgentBudgetExceeded,
    ),
    Monthly(
        of="company",
        stream=COMPANY,
        key=lambda month: spent("company", COMPANY_ID, month),
        sets=lambda who, limit: who.budgets_company(limit),
        was_set=e.CompanyBudgetSet,
        warned=e.CompanyBudgetWarned,
        exceeded=e.CompanyBudgetExceeded,
    ),
]
monthly = pytest.mark.parametrize("budget", MONTHLY, ids=lambda one: one.of)


def in_a_month(budget: Monthly, limit: int | None, *commands: Command) -> Scenario:
    """An issue that agent:coder holds, who is listed; with this budget of a month."""
    return given(
        alice.lists("agent", "Coder"),
        budget.sets(alice, limit),
        alice.creates(),
        coder.checks_out(),
        *commands,
    )


def at(scenario: Scenario, moment: datetime) -> Scenario:
    """Lets time pass until then."""
    return scenario.later(seconds=(moment - scenario.known.now).total_seconds())


@monthly
def test_a_person_sets_a_months_budget(budget: Monthly) -> None:
    """In the stream of whose it is; setting it again is agreement, and None takes it away."""
    scenario = given(alice.lists("agent", "Coder"))

    answer = scenario.when(budget.sets(alice, 100))
    assert answer.streams == (budget.stream,)
    answer.then(budget.was_set(from_micros=None, to_micros=100))
    scenario.when(budget.sets(alice, 100)).then_nothing()
    scenario.when(budget.sets(alice, 50)).then(budget.was_set(from_micros=100, to_micros=50))
    scenario.when(budget.sets(alice, None)).then(budget.was_set(from_micros=50, to_micros=None))


@monthly
@pytest.mark.parametrize("who", [coder.as_role(Role.OWNER), bob, reviewer])
def test_nobody_else_sets_a_months_budget(budget: Monthly, who: Caller) -> None:
    """No agent, whatever its role, and no person who may only work."""
    given(alice.lists("agent", "Coder")).when(budget.sets(who, 100)).then_refused(Forbidden)


def test_an_agent_who_is_not_listed_has_no_budget() -> None:
    """A key is enough to work, but there is no entry to keep a budget in."""
    given().when(alice.budgets_agent(100, "coder")).then_refused(NotFound)


@monthly
def test_a_month_that_is_spent_stops_the_run_that_spent_it(budget: Monthly) -> None:
    """The events stand in the stream of whose budget it is, with the month."""
    scenario = in_a_month(budget, 100)

    answer = scenario.when(coder.reports(cost_micros=100))

    assert follows(answer) == [*budget.reached(APRIL, 100, 100), *STOPPED]
    issue, run = ("issue", ISSUE), ("run", RUN)
    assert answer.streams == (run, budget.stream, budget.stream, issue, run)
    assert scenario.given(answer.command).run().paused_at is not None


@monthly
def test_a_month_is_warned_of_once(budget: Monthly) -> None:
    """At the crossing."""
    scenario = in_a_month(budget, 100, *spends(79))

    (warned,) = follows(scenario.when(coder.reports(cost_micros=1)))
    assert warned == budget.warned(month=APRIL, limit_micros=100, spent_micros=80)
    assert follows(scenario.given(*spends(1)).when(coder.reports(cost_micros=1))) == []


@monthly
@pytest.mark.parametrize("issue", [ISSUE, SECOND])
def test_on_a_month_that_is_spent_the_agent_begins_nothing(budget: Monthly, issue: str) -> None:
    """Neither the issue that it worked on nor another one, until a person raises the budget."""
    scenario = in_a_month(budget, 100, alice.creates(SECOND), *spends(100))
    run = RUN if issue == ISSUE else OTHER_RUN
    asked = [coder.checks_out(issue, run=run), alice.checks_out(issue, "coder", run)]

    for command in asked:
        refusal = scenario.when(command).then_refused(BudgetExceeded)
        assert refusal.facts["budget"] == {
            "of": budget.of,
            "month": APRIL,
            "limit_micros": 100,
            "spent_micros": 100,
        }
    scenario.when(coder.claims_next(run=OTHER_RUN)).then_refused(BudgetExceeded)

    scenario.given(budget.sets(alice, 101))
    for command in asked:
        scenario.when(command).then_also(e.IssueCheckedOut)


def test_an_agents_spent_month_is_nobody_elses() -> None:
    """Another agent works on."""
    scenario = in_a_month(MONTHLY[0], 100, alice.creates(SECOND), *spends(100))

    scenario.when(reviewer.checks_out(SECOND, run=OTHER_RUN)).then_also(e.IssueCheckedOut)


def test_the_companys_spent_month_is_everybodys() -> None:
    """No agent begins anything, whoever spent it."""
    scenario = in_a_month(MONTHLY[1], 100, alice.creates(SECOND), *spends(100))

    for asked in (reviewer.checks_out(SECOND, run=OTHER_RUN), reviewer.claims_next(run=OTHER_RUN)):
        assert scenario.when(asked).then_refused(BudgetExceeded)


def test_an_agents_issues_count_together() -> None:
    """And another agent's do not count with them."""
    scenario = in_a_month(
        MONTHLY[0],
        100,
        alice.creates(SECOND),
        reviewer.checks_out(SECOND, run=OTHER_RUN),
        reviewer.reports(OTHER_RUN, SECOND, cost_micros=90),
        reviewer.releases(SECOND),
        coder.checks_out(SECOND, run=THIRD_RUN),
        coder.reports(THIRD_RUN, SECOND, cost_micros=79),
    )

    (warned,) = follows(scenario.when(coder.reports(cost_micros=1)))

    assert warned == e.AgentBudgetWarned(month=APRIL, limit_micros=100, spent_micros=80)


def test_everybodys_costs_count_for_the_company() -> None:
    """Of every agent, on every issue."""
    scenario = in_a_month(
        MONTHLY[1],
        100,
        alice.creates(SECOND),
        reviewer.checks_out(SECOND, run=OTHER_RUN),
        reviewer.reports(OTHER_RUN, SECOND, cost_micros=79),
    )

    (warned,) = follows(scenario.when(coder.reports(cost_micros=1)))

    assert warned == e.CompanyBudgetWarned(month=APRIL, limit_micros=100, spent_micros=80)


@monthly
def test_a_new_month_is_a_new_sum(budget: Monthly) -> None:
    """The agent goes on in the same run, and is warned and stopped anew."""
    scenario = in_a_month(budget, 100, *spends(100))
    at(scenario, datetime(2026, 4, 30, 23, 50, tzinfo=UTC))
    scenario.when(coder.checks_out()).then_refused(BudgetExceeded)

    at(scenario, datetime(2026, 5, 1, 0, 1, tzinfo=UTC))
    scenario.when(coder.checks_out()).then_also(e.RunResumed)
    scenario.given(coder.checks_out())
    assert follows(scenario.when(coder.reports(cost_micros=79))) == []

    last = scenario.when(coder.reports(cost_micros=100))
    assert follows(last) == [*budget.reached(MAY, 100, 100), *STOPPED]
    scenario.given(last.command)
    sums = [scenario.known.spent(budget.key(month)) for month in (APRIL, MAY)]
    assert sums == [100, 100]


@monthly
def test_a_late_report_counts_in_the_month_in_which_it_is_told(budget: Monthly) -> None:
    """A month that is over is not reopened."""
    scenario = in_a_month(budget, 100, *spends(60), coder.releases())
    at(scenario, datetime(2026, 5, 2, tzinfo=UTC))

    assert follows(scenario.when(coder.reports(cost_micros=60))) == []

    scenario.given(*spends(60))
    sums = [scenario.known.spent(budget.key(month)) for month in (APRIL, MAY)]
    assert sums == [60, 60]


def test_an_issues_budget_knows_no_months() -> None:
    """What it may spend, it may spend once."""
    scenario = costing(100, *spends(60))
    at(scenario, datetime(2026, 6, 2, tzinfo=UTC))

    assert follows(scenario.when(coder.reports(cost_micros=20))) == [_warned(100, 80)]


@pytest.mark.parametrize(
    ("moment", "month"),
    [
        (datetime(2026, 4, 30, 23, 59, 59, 999_999, tzinfo=UTC), "2026-04"),
        (datetime(2026, 5, 1, tzinfo=UTC), "2026-05"),
        (datetime(2026, 5, 1, 1, 0, tzinfo=timezone(timedelta(hours=2))), "2026-04"),
        (datetime(2026, 4, 30, 23, 0, tzinfo=timezone(timedelta(hours=-2))), "2026-05"),
        (datetime(2027, 1, 1, tzinfo=UTC), "2027-01"),
    ],
)
def test_a_month_is_utcs(moment: datetime, month: str) -> None:
    """Whatever the clock on the wall says."""
    assert month_of(moment) == month


@monthly
def test_after_a_raise_the_crossing_of_a_month_is_recorded_anew(budget: Monthly) -> None:
    """Four fifths of the new limit, and then all of it."""
    scenario = in_a_month(budget, 100, *spends(100), budget.sets(alice, 200), coder.checks_out())

    (warned,) = follows(scenario.when(coder.reports(cost_micros=60)))
    assert warned == budget.warned(month=APRIL, limit_micros=200, spent_micros=160)
    exceeded, *stopped = follows(scenario.given(*spends(60)).when(coder.reports(cost_micros=40)))
    assert exceeded == budget.exceeded(month=APRIL, limit_micros=200, spent_micros=200)
    assert stopped == STOPPED


@monthly
def test_a_months_budget_may_be_lowered_below_what_is_spent(budget: Monthly) -> None:
    """It is crossed without a report; the next one, be it of nothing, stops the work."""
    scenario = in_a_month(budget, 100, alice.creates(SECOND), *spends(50), budget.sets(alice, 40))

    scenario.when(coder.checks_out(SECOND, run=OTHER_RUN)).then_refused(BudgetExceeded)
    assert follows(scenario.when(coder.reports(cost_micros=0))) == STOPPED


def test_an_agent_with_no_entry_spends_no_agents_budget() -> None:
    """Its costs are the issue's, and the company's."""
    scenario = given(
        alice.lists("agent", "Coder"),
        alice.budgets_agent(10),
        alice.creates(),
        reviewer.checks_out(),
    )

    assert follows(scenario.when(reviewer.reports(cost_micros=100))) == []


# ── all at once ────────────────────────────────────────────────────────────────────────


def test_one_report_may_reach_every_budget_and_stops_the_run_once() -> None:
    """Each is recorded in its own stream: the issue's, the agent's, the company's."""
    scenario = given(
        alice.lists("agent", "Coder"),
        alice.budgets_agent(90),
        alice.budgets_company(80),
        alice.creates(per_task_micros=100),
        coder.checks_out(),
    )

    answer = scenario.when(coder.reports(cost_micros=100))

    of_agent, of_company = MONTHLY
    assert follows(answer) == [
        _warned(100, 100),
        _exceeded(100, 100),
        *of_agent.reached(APRIL, 90, 100),
        *of_company.reached(APRIL, 80, 100),
        *STOPPED,
    ]
    issue, run, agent = ("issue", ISSUE), ("run", RUN), ("entry", ENTRY)
    assert answer.streams == (run, issue, issue, agent, agent, COMPANY, COMPANY, issue, run)


def test_a_raise_of_one_budget_leaves_the_others_spent() -> None:
    """Each is asked; the refusal names the one that still stands in the way."""
    scenario = given(
        alice.lists("agent", "Coder"),
        alice.budgets_agent(100),
        alice.budgets_company(100),
        alice.creates(per_task_micros=100),
        coder.checks_out(),
        *spends(100),
    )
    raises = {
        "issue": alice.budgets(200),
        "agent": alice.budgets_agent(200),
        "company": alice.budgets_company(200),
    }

    for of, raised in raises.items():
        refusal = scenario.when(coder.checks_out()).then_refused(BudgetExceeded)
        assert refusal.facts["budget"]["of"] == of
        scenario.given(raised)
    scenario.when(coder.checks_out()).then_also(e.RunResumed)
