"""Which issues a query means: its parameters, as the filter that the lists are asked by."""

from __future__ import annotations

import re

from api import asked as a
from api.asking.naming import issue_ever_named, listed_among, named_actor, named_entry
from api.auth import Caller
from api.context import Api
from ledger.errors import Invalid
from ledger.workflow import PRIORITIES, STATUSES
from projections.queries.issues import IssueFilter

_TERM = re.compile(r'-?"[^"]*"|\S+')


async def issue_filter(api: Api, caller: Caller, asked: a.IssueFilterQuery) -> IssueFilter:
    """The filter that the parameters mean; raises Invalid, or a 404 Problem."""
    system, _, external_id = (asked.external_ref or "").partition(":")
    parent = asked.parent_id
    words, unsaid = _terms(asked.q)
    return IssueFilter(
        statuses=listed_among(asked.status, STATUSES, "status"),
        priorities=listed_among(asked.priority, PRIORITIES, "priority"),
        assignee=await _assignee(api, caller, asked.assignee),
        team_id=await named_entry(api, caller, "team", asked.team_id),
        project_id=await named_entry(api, caller, "project", asked.project_id),
        goal_id=await named_entry(api, caller, "goal", asked.goal_id),
        milestone_id=await named_entry(api, caller, "milestone", asked.milestone_id),
        parent_id=parent if parent == "none" else await issue_ever_named(api, caller, parent),
        label_id=await named_entry(api, caller, "label", asked.label),
        external_system=system or None,
        external_id=external_id or None,
        created_since=asked.created_since,
        created_until=asked.created_until,
        updated_since=asked.updated_since,
        updated_until=asked.updated_until,
        words=words,
        unsaid=unsaid,
    )


async def _assignee(api: Api, caller: Caller, text: str | None) -> str | None:
    return text if text in (None, "none") else await named_actor(api, caller, text, "/assignee")


def _terms(text: str | None) -> tuple[list[str] | None, list[str] | None]:
    """What must be said and what must not, each a word, a phrase, or a choice of them."""
    if text is None:
        return None, None
    wanted: list[str] = []
    unwanted: list[str] = []
    tokens = _TERM.findall(text)
    for n, token in enumerate(tokens):
        if token.startswith("-") and len(token) > 1:
            unwanted.append(token[1:])
        elif n and tokens[n - 1].lower() == "or" and wanted:
            wanted[-1] += f" or {token}"
        elif token.lower() != "or":
            wanted.append(token)
    if not wanted:
        raise Invalid("Say what to look for, not only what to leave out.", pointer="/q")
    return wanted, unwanted
