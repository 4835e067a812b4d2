"""Budgets: what an issue, an agent and the company may spend, and what happens when it is spent.

The three are one rule with three places. Of an issue, all its runs count together; of an agent
and of the company, what is reported in a calendar month (UTC). A report is always written down,
for it was spent; but when four fifths are gone there is a warning, and when all is gone the run
that reported it is paused, and nobody checks out until a person raises the budget or the month
is over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ledger import commands as c
from ledger import events as e
from ledger.decisions.base import (
    Appended,
    Decision,
    on_issue,
    refuse_frozen,
    the_entry,
    the_issue,
)
from ledger.decisions.leases import waiting
from ledger.errors import BudgetExceeded, BudgetLocked, Forbidden
from ledger.events import Json
from ledger.known import COMPANY, FactKey, Known, month_of, spending
from ledger.state import Issue, Run


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit and what was spent of it, in micro-dollars, before this command."""

    whose: str
    stream: FactKey
    month: str | None
    limit_micros: int
    spent_micros: int

    @property
    def called(self) -> str:
        """Whose it is, and for which month."""
        return self.whose if self.month is None else f"{self.whose} {self.month}"

    @property
    def is_spent(self) -> bool:
        """Whether there is nothing left of it."""
        return self.spent_micros >= self.limit_micros


def set_issue_budget(command: c.SetIssueBudget, known: Known) -> Decision:
    """Anybody at work sets it until the first run starts; then a person may raise it."""
    issue = the_issue(command, known)
    refuse_frozen(issue, known)
    if command.per_task_micros == issue.per_task_micros:
        return on_issue(issue)
    if issue.run_count and not _raises(issue.per_task_micros, command.per_task_micros):
        raise BudgetLocked(
            f"A run of {issue.identifier} has started; its budget may only be raised now.",
            pointer="/per_task_micros",
        )
    if issue.run_count:
        _permit_people(command)
    changed = e.IssueBudgetSet(from_micros=issue.per_task_micros, to_micros=command.per_task_micros)
    return on_issue(issue, changed)


def set_agent_budget(command: c.SetAgentBudget, known: Known) -> Decision:
    """A person says what an agent may spend in a month."""
    _permit_people(command)
    agent = the_entry("agent", command.agent, known)
    key, before = ("entry", agent.id), _limit(agent.fields.get("monthly_micros"))
    if before == command.monthly_micros:
        return Decision(key, key, ())
    changed = e.AgentBudgetSet(from_micros=before, to_micros=command.monthly_micros)
    return Decision(key, key, ((key, changed),))


def set_company_budget(command: c.SetCompanyBudget, known: Known) -> Decision:
    """A person says what the company may spend in a month."""
    _permit_people(command)
    assert known.company is not None
    before = known.company.monthly_micros
    if before == command.monthly_micros:
        return Decision(COMPANY, COMPANY, ())
    changed = e.CompanyBudgetSet(from_micros=before, to_micros=command.monthly_micros)
    return Decision(COMPANY, COMPANY, ((COMPANY, changed),))


def refuse_spent_budgets(issue: Issue, agent_id: str, known: Known) -> None:
    """No run begins, or goes on, on a budget that is spent."""
    for budget in budgets(issue, agent_id, known):
        if budget.is_spent:
            raise BudgetExceeded(
                f"{budget.called} budget of {budget.limit_micros} micro-dollars is spent "
                f"({budget.spent_micros}). A person may raise it.",
                budget={
                    "of": "agent" if budget.stream[0] == "entry" else budget.stream[0],
                    "month": budget.month,
                    "limit_micros": budget.limit_micros,
                    "spent_micros": budget.spent_micros,
                },
            )


def reported(run: Run, issue: Issue, cost_micros: int, known: Known) -> Iterator[Appended]:
    """What a report of costs brings about, beside being written down.

    An issue's budget stops whichever run holds it, a month's only the run that reported.
    """
    before = budgets(issue, run.agent_id, known)
    for budget in before:
        yield from _reached(budget, budget.spent_micros + cost_micros)
    if issue.holder_run_id is None or issue.holder_agent_id is None:
        return
    spent = [b for b in before if b.spent_micros + cost_micros >= b.limit_micros]
    if any(b.month is None or issue.holder_run_id == run.id for b in spent):
        yield (
            ("issue", issue.id),
            e.IssueInterrupted(
                from_status=issue.status, to_status=waiting(issue), reason="budget_exceeded"
            ),
        )
        yield (
            ("run", issue.holder_run_id),
            e.RunPaused(
                issue_id=issue.id, agent_id=issue.holder_agent_id, reason="budget_exceeded"
            ),
        )


def budgets(issue: Issue, agent_id: str, known: Known) -> Sequence[Budget]:
    """The budgets there are: of the issue, and of this month's of the agent and the company."""
    company, month = known.company, month_of(known.now)
    assert company is not None
    found: list[Budget] = []

    def add(whose: str, stream: FactKey, month: str | None, limit: Json, key: FactKey) -> None:
        if isinstance(limit, int):
            found.append(Budget(whose, stream, month, limit, known.spent(key)))

    of_issue, of_agent, of_company = spending(company.id, issue.id, agent_id, known.now)
    add(f"{issue.identifier}'s", ("issue", issue.id), None, issue.per_task_micros, of_issue)
    if agent := known.entry("agent", agent_id, archived=True):
        limit = agent.fields.get("monthly_micros")
        add(f"{agent.name}'s", ("entry", agent.id), month, limit, of_agent)
    add("The company's", COMPANY, month, company.monthly_micros, of_company)
    return found


def _reached(budget: Budget, spent_micros: int) -> Iterator[Appended]:
    """The warning at four fifths, and the end."""
    warned, exceeded = _REACHED[budget.stream[0]]
    if budget.spent_micros * 5 < budget.limit_micros * 4 <= spent_micros * 5:
        yield (
            budget.stream,
            warned(month=budget.month, limit_micros=budget.limit_micros, spent_micros=spent_micros),
        )
    if budget.spent_micros < budget.limit_micros <= spent_micros:
        yield (
            budget.stream,
            exceeded(
                month=budget.month, limit_micros=budget.limit_micros, spent_micros=spent_micros
            ),
        )


_REACHED: dict[str, tuple[type[e.BudgetReached], type[e.BudgetReached]]] = {
    "issue": (e.IssueBudgetWarned, e.IssueBudgetExceeded),
    "entry": (e.AgentBudgetWarned, e.AgentBudgetExceeded),
    "company": (e.CompanyBudgetWarned, e.CompanyBudgetExceeded),
}


def _limit(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _raises(before: int | None, after: int | None) -> bool:
    return before is not None and (after is None or after > before)


def _permit_people(command: c.Command) -> None:
    if command.actor.type == "agent":
        raise Forbidden("Agents do not raise budgets; ask a person to.")
