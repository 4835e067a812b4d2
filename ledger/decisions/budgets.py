"""Budgets: what an issue, an agent and the company may spend, and what happens when it is spent.

The three are one rule with three places. Of an issue, all its runs count together; of an agent
and of the company, what is reported in a calendar month (UTC). A report is always written down,
for it was spent; but when four fifths are gone there is a warning, and when all is gone the run
that reported it is paused, and nobody checks out until a person raises the budget or the month
is over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

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
from ledger.facts import COMPANY, FactKey, month_of, spending, spent
from ledger.known import Known
from ledger.state import Issue, Run


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit and what is spent of it, in micro-dollars."""

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
    changed = e.AgentBudgetSet(from_micros=before, to_micros=command.monthly_micros)
    return _monthly(key, changed, known, spent("agent", agent.id, month_of(known.now)))


def set_company_budget(command: c.SetCompanyBudget, known: Known) -> Decision:
    """A person says what the company may spend in a month."""
    _permit_people(command)
    company = known.company
    assert company is not None
    changed = e.CompanyBudgetSet(
        from_micros=company.monthly_micros, to_micros=command.monthly_micros
    )
    return _monthly(COMPANY, changed, known, spent("company", company.id, month_of(known.now)))


def _monthly(key: FactKey, changed: e.BudgetSet, known: Known, sum_key: FactKey) -> Decision:
    """The limit of a month, and what it comes to if so much is spent already."""
    if changed.from_micros == changed.to_micros:
        return Decision(key, key, ())
    month, so_far = sum_key[-1], known.spent(sum_key)
    follows: tuple[Appended, ...] = ()
    if changed.to_micros is not None:
        budget = Budget("", key, month, changed.to_micros, so_far)
        follows = tuple(_reached(budget, _stage(so_far, changed.from_micros)))
    return Decision(key, key, ((key, changed), *follows))


def refuse_spent_budgets(issue: Issue, agent_id: str, known: Known) -> None:
    """No run begins on a budget that is spent."""
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


def reported(
    run: Run, issue: Issue, cost_micros: int, known: Known, month: str | None = None
) -> Iterator[Appended]:
    """What a report of costs brings about, beside being written down.

    An issue's budget stops whichever run holds it, a month's only the run that reported; `month`
    is the one in which it counts, if not this one. Of a month that is over nobody is told.
    """
    found = budgets(issue, run.agent_id, known)
    before = [one for one in found if one.month is None or month in (None, one.month)]
    after = [replace(one, spent_micros=one.spent_micros + cost_micros) for one in before]
    for old, new in zip(before, after, strict=True):
        yield from _reached(new, _stage(old.spent_micros, old.limit_micros))
    if issue.holder_run_id is None or issue.holder_agent_id is None:
        return
    if any(b.is_spent and (b.month is None or issue.holder_run_id == run.id) for b in after):
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


def _stage(spent_micros: int, limit_micros: int | None) -> int:
    """0: there is enough; 1: four fifths are spent; 2: everything is."""
    if limit_micros is None:
        return 0
    return (spent_micros * 5 >= limit_micros * 4) + (spent_micros >= limit_micros)


def _reached(budget: Budget, stage_before: int) -> Iterator[Appended]:
    """The stages that a budget has come to: the warning, and the end."""
    stage = _stage(budget.spent_micros, budget.limit_micros)
    for kind in _REACHED[budget.stream[0]][stage_before:stage]:
        yield (
            budget.stream,
            kind(
                month=budget.month,
                limit_micros=budget.limit_micros,
                spent_micros=budget.spent_micros,
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
