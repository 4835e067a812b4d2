"""What an agent should work on next, and why: what a claim would come to, without claiming.

The answer is `decide`'s own, from a snapshot; between it and a claim somebody else may be faster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aiohttp import web

from api import requests, views
from api import wire as w
from api.answers import as_json
from api.context import Api
from api.wiring import INLINE
from ledger.actors import Actor, Role
from ledger.codec import timestamp
from ledger.commands import ClaimNextIssue
from ledger.decisions.budgets import budgets
from ledger.errors import LedgerError, NothingToClaim, Refused
from ledger.ids import new_id
from ledger.known import Known
from ledger.preview import preview
from ledger.state import Issue

_ASKING = Actor("system", "next")


async def next_issue(api: Api, request: web.Request) -> web.Response:
    """What an agent should work on next, and why that; or why nothing."""
    caller = await api.caller(request)
    requests.query(request, w.Nothing)
    ref = requests.about(request)["agent_id"]
    claim = ClaimNextIssue(actor=_ASKING, role=Role.AGENT, agent_id=ref, run_id=new_id())
    found = await preview(api.ledger.readers, caller.company_id, INLINE, claim)
    agent = found.known.actor(Actor("agent", ref))
    match found.decision:
        case NothingToClaim() if agent is not None:
            passed_over = await api.queries.things.passed_over(
                caller.company_id, str(agent), found.known.now
            )
            shown, reasons = None, [_NOTHING, *_against(passed_over)]
        case Refused() as refusal:
            shown, reasons = None, [refusal.message]
        case LedgerError() as error:
            raise error
        case decision:
            issue: Issue = found.known[decision.subject]
            assert agent is not None
            shown, reasons = views.issue(issue), list(_reasons(issue, agent, found.known))
    body = {"issue": shown, "reasons": reasons, "as_of_position": found.position}
    return as_json(body, position=found.position)


_NOTHING = "There is nothing that this agent may take now."
_AGAINST = {
    "paused": "Paused",
    "held": "Held by a run",
    "assigned": "Assigned to others",
    "blocked": "Blocked by what is not finished",
    "spent": "With their budgets spent",
    "status": "In a status from which nobody claims",
    "elsewhere": "Of teams or projects in which the agent does not work",
}


def _against(passed_over: Mapping[str, int]) -> Iterator[str]:
    """Why none of the unfinished issues, of a thousand at most."""
    for reason, count in passed_over.items():
        yield f"{_AGAINST[reason]}: {count}."


def _reasons(issue: Issue, agent: Actor, known: Known) -> Iterator[str]:
    """Why this issue: whose it is, how much it matters, and that nothing is in the way."""
    if issue.lease_expires_at is not None:
        yield f"The lease of its last run ran out at {timestamp(issue.lease_expires_at)}."
    elif issue.assignee == str(agent):
        yield "It is assigned to this agent."
    else:
        yield "It is assigned to nobody."
    for kind, entry_id in (("team", issue.team_id), ("project", issue.project_id)):
        if entry_id and (entry := known.peek(("entry", entry_id))):
            yield f"The agent works in its {kind}, {entry.name}."
    yield (
        f"Of what the agent may take, nothing has a higher priority than {issue.priority}, "
        f"and of that nothing is older ({timestamp(issue.created_at)})."
    )
    yield "Nothing unfinished blocks it."
    found = budgets(issue, agent.id, known)
    for budget in found:
        left = budget.limit_micros - budget.spent_micros
        yield f"{budget.called} budget has {left} micro-dollars left."
    if not found:
        yield "No budget limits it."
