"""Corrections: what a report of costs should have said.

A report is never edited. Its correction is an event of its own in the run's stream, which tells
what the report said so far and what it says from now on; a second correction names the same
report again. The run's sums and the budgets' move by the difference, those of a month in the month
of the report.

Where more was spent than was told, budgets of now are warned of and reached as by a report. A month
that is over stops nobody, and what turns out to have been less gives nothing back that was paused.
"""

from __future__ import annotations

from ledger import commands as c
from ledger import events as e
from ledger.amounts import AMOUNTS, amounts_of
from ledger.codec import timestamp
from ledger.decisions.base import Decision
from ledger.decisions.budgets import reported
from ledger.decisions.runs import own_run
from ledger.errors import NotFound
from ledger.known import Known
from ledger.state import Cost, Run


def correct_cost(command: c.CorrectCost, known: Known) -> Decision:
    """By the agent whose run it is, or by people; late ones too, of what is deleted too."""
    run = own_run(command, known)
    cost = _the_cost(command, run, known)
    amounts = _amounts(command, cost)
    stream = ("run", run.id)
    if amounts == amounts_of(cost):
        return Decision(stream, stream, ())  # It says so already.
    corrected = _corrected(command, run, cost, amounts)
    issue = known.issue(run.issue_id, deleted=True)
    assert issue is not None
    more = corrected.cost_micros - corrected.from_cost_micros
    follows = reported(run, issue, more, known, cost.month) if more > 0 else ()
    return Decision(stream, stream, ((stream, corrected), *follows))


def _the_cost(command: c.CorrectCost, run: Run, known: Known) -> Cost:
    cost = known.cost(command.corrects_position)
    if cost is None or cost.run_id != run.id:
        raise NotFound(
            f"This run reported no costs at position {command.corrects_position}. Name the report "
            "itself, also where it was corrected before.",
            pointer="/corrects_position",
        )
    return cost


def _amounts(command: c.CorrectCost, cost: Cost) -> tuple[int, ...]:
    """The amounts from now on: those that are named, and the others as they are."""
    named = [getattr(command, name) for name in AMOUNTS]
    return tuple(
        before if given is None else given
        for given, before in zip(named, amounts_of(cost), strict=True)
    )


def _corrected(
    command: c.CorrectCost, run: Run, cost: Cost, amounts: tuple[int, ...]
) -> e.CostCorrected:
    before = {f"from_{name}": getattr(cost, name) for name in AMOUNTS}
    return e.CostCorrected(
        corrects_position=command.corrects_position,
        issue_id=run.issue_id,
        agent_id=run.agent_id,
        team_id=cost.team_id,
        project_id=cost.project_id,
        provider=cost.provider,
        model=cost.model,
        reported_at=timestamp(cost.at),
        month=cost.month,
        **before,
        **dict(zip(AMOUNTS, amounts, strict=True)),
        reason=command.reason,
    )
