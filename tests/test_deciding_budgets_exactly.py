"""Budgets, whatever is reported: what is spent is the sum, and events stand at crossings alone.

A naive book keeps every report as it was made, and adds all of them up whenever it is asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from typing import TypeAlias

from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from ledger import events as e
from ledger.commands import Command
from ledger.errors import BudgetExceeded
from ledger.events import Event
from ledger.facts import spent
from tests.scenario import (
    COMPANY_ID,
    ISSUE,
    SECOND,
    Caller,
    Scenario,
    alice,
    an_id,
    coder,
    given,
    reviewer,
)

Limit: TypeAlias = int | None
AGENTS: dict[str, Caller] = {"coder": coder, "reviewer": reviewer}
MONTHS = ["2026-04", "2026-05", "2026-06"]
REACHED: dict[str, tuple[type[e.BudgetReached], type[e.BudgetReached]]] = {
    "issue": (e.IssueBudgetWarned, e.IssueBudgetExceeded),
    "agent": (e.AgentBudgetWarned, e.AgentBudgetExceeded),
    "company": (e.CompanyBudgetWarned, e.CompanyBudgetExceeded),
}


@dataclass
class Report:
    """One report, as it was made."""

    issue: str
    agent: str
    month: str
    cost: int


@dataclass
class Attempt:
    """One run, and whether it is holding its issue, stopped, or over."""

    id: str
    issue: str
    agent: str
    is_at_work: bool = True
    is_stopped: bool = False


@dataclass
class Book:
    """Every report, every limit; agent:coder alone is listed, and so has a budget."""

    limits: dict[str, Limit]
    """Of an issue by its id, of `coder`, and of the `company`."""
    month: str = MONTHS[0]
    reports: list[Report] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)

    def spent(self, kind: str, whose: str, month: str | None = None) -> int:
        """What was spent, added up anew."""
        return sum(
            one.cost
            for one in self.reports
            if (kind == "company" or getattr(one, kind) == whose) and month in (None, one.month)
        )

    def budgets(self, issue: str, agent: str) -> list[tuple[str, str | None, int, int]]:
        """The kind, the month, the limit, and what is spent, of each budget that there is."""
        found = [("issue", issue, None), ("agent", agent, self.month)]
        found.append(("company", "company", self.month))
        return [
            (kind, month, limit, self.spent(kind, whose, month))
            for kind, whose, month in found
            if (limit := self.limits.get(whose)) is not None
        ]

    def report(self, attempt: Attempt, cost: int) -> list[Event]:
        """Keeps a report, and says what follows from it."""
        before = self.budgets(attempt.issue, attempt.agent)
        self.reports.append(Report(attempt.issue, attempt.agent, self.month, cost))
        after = self.budgets(attempt.issue, attempt.agent)
        events: list[Event] = []
        for (kind, month, limit, old), (*_, new) in zip(before, after, strict=True):
            warned, exceeded = REACHED[kind]
            if old < Fraction(4, 5) * limit <= new:
                events.append(warned(month=month, limit_micros=limit, spent_micros=new))
            if old < limit <= new:
                events.append(exceeded(month=month, limit_micros=limit, spent_micros=new))
        stops = [kind for kind, _, limit, new in after if new >= limit]
        holding = self.at_work(attempt.issue)
        if holding is not None and stops and ("issue" in stops or holding is attempt):
            holding.is_at_work, holding.is_stopped = False, True
            events += [
                e.IssueInterrupted(
                    from_status="in_progress", to_status="todo", reason="budget_exceeded"
                ),
                e.RunPaused(
                    issue_id=holding.issue, agent_id=holding.agent, reason="budget_exceeded"
                ),
            ]
        return events

    def at_work(self, issue: str) -> Attempt | None:
        """The attempt that holds an issue."""
        return next((one for one in self.attempts if one.issue == issue and one.is_at_work), None)

    def take(self, issue: str, agent: str, run: str) -> bool:
        """Takes an issue that nobody holds, in the run that was stopped or in a new one."""
        if any(spent >= limit for *_, limit, spent in self.budgets(issue, agent)):
            return False
        stopped = next((o for o in self.attempts if o.issue == issue and o.is_stopped), None)
        if stopped is not None:
            stopped.is_stopped = False
            stopped.is_at_work = stopped.agent == agent
        if stopped is None or stopped.agent != agent:
            self.attempts.append(Attempt(run, issue, agent))
        return True


@dataclass(frozen=True)
class Step:
    """One thing that happens."""

    kind: str
    issue: str
    agent: str
    amount: int
    which: int
    whose: str


steps = st.builds(
    Step,
    kind=st.sampled_from(["report"] * 5 + ["check out"] * 2 + ["release", "raise", "next month"]),
    issue=st.sampled_from([ISSUE, SECOND]),
    agent=st.sampled_from(sorted(AGENTS)),
    amount=st.integers(0, 60),
    which=st.integers(0, 20),
    whose=st.sampled_from([ISSUE, SECOND, "coder", "company"]),
)
limits = st.none() | st.integers(1, 150)


def _raises(whose: str, limit: Limit) -> Command:
    match whose:
        case "coder":
            return alice.budgets_agent(limit, "coder")
        case "company":
            return alice.budgets_company(limit)
        case _:
            return alice.budgets(limit, whose)


def _take(step: Step, number: int, book: Book, scenario: Scenario) -> None:
    """A person sends an agent to an issue, unless somebody is at work on it."""
    if book.at_work(step.issue) is not None:
        return
    run = an_id(100 + number)
    asked = alice.checks_out(step.issue, step.agent, run, names_run=False)
    if book.take(step.issue, step.agent, run):
        scenario.given(asked)
        taken = book.at_work(step.issue)
        assert taken is not None
        assert scenario.issue(step.issue).holder_run_id == taken.id
    else:
        scenario.when(asked).then_refused(BudgetExceeded)


def _happens(step: Step, number: int, book: Book, scenario: Scenario) -> None:
    """Does a step, in the book and in the ledger, and compares what follows."""
    match step.kind:
        case "report" if book.attempts:
            attempt = book.attempts[step.which % len(book.attempts)]
            who = AGENTS[attempt.agent]
            answer = scenario.when(who.reports(attempt.id, attempt.issue, cost_micros=step.amount))
            reported, *others = answer.events
            assert isinstance(reported, e.CostReported)
            assert others == book.report(attempt, step.amount)
            scenario.given(answer.command)
        case "check out":
            _take(step, number, book, scenario)
        case "release" if holding := book.at_work(step.issue):
            holding.is_at_work = False
            scenario.given(AGENTS[holding.agent].releases(step.issue))
        case "raise" if (limit := book.limits[step.whose]) is not None:
            book.limits[step.whose] = limit + step.amount
            scenario.given(_raises(step.whose, limit + step.amount))
        case "next month" if book.month != MONTHS[-1]:
            book.month = MONTHS[MONTHS.index(book.month) + 1]
            begins = datetime.fromisoformat(f"{book.month}-01").replace(tzinfo=UTC)
            scenario.later(seconds=(begins - scenario.known.now).total_seconds())


@settings(max_examples=300, deadline=None)
@for_all(
    of_first=limits,
    of_second=limits,
    of_coder=limits,
    of_company=limits,
    steps=st.lists(steps, min_size=5, max_size=50),
)
def test_whatever_is_reported_the_sums_are_exact_and_events_stand_at_crossings_alone(
    of_first: Limit, of_second: Limit, of_coder: Limit, of_company: Limit, steps: list[Step]
) -> None:
    """By several runs of two agents on two issues, at work, stopped or over, over months."""
    scenario = given(
        alice.lists("agent", "Coder"),
        *(_raises(whose, limit) for whose, limit in (("coder", of_coder), ("company", of_company))),
        alice.creates(ISSUE, per_task_micros=of_first),
        alice.creates(SECOND, per_task_micros=of_second),
        alice.checks_out(ISSUE, "coder", an_id(11)),
    )
    book = Book({ISSUE: of_first, SECOND: of_second, "coder": of_coder, "company": of_company})
    book.attempts.append(Attempt(an_id(11), ISSUE, "coder"))

    for number, step in enumerate(steps):
        _happens(step, number, book, scenario)

    known = scenario.known
    for issue in (ISSUE, SECOND):
        assert known.spent(spent("issue", issue, "")) == book.spent("issue", issue)
    for month in MONTHS:
        for agent in AGENTS:
            of_agent = known.spent(spent("agent", agent, month))
            assert of_agent == book.spent("agent", agent, month)
        of_all = known.spent(spent("company", COMPANY_ID, month))
        assert of_all == book.spent("company", "company", month)
    for attempt in book.attempts:
        run = scenario.run(attempt.id)
        assert (run.paused_at is not None) == attempt.is_stopped
