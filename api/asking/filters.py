"""Which issues a query means: its parameters, as the filter that the lists are asked by."""

from __future__ import annotations

import re

from api import asked as a
from api.asking.naming import issue_ever_named, listed_among, named_actors, named_entry
from api.auth import Caller
from api.context import Api
from ledger.errors import Invalid
from ledger.workflow import PRIORITIES, STATUSES
from projections.queries.issues import IssueFilter

MOST_TERMS = 10
_TERM = re.compile(r'-?"[^"]*"|[^\s"]+')
_NO_WORD = re.compile(r"(?<!\w)[^\w\s]+")
"""Signs that do not stand behind a letter or a digit."""


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


async def _assignee(api: Api, caller: Caller, text: str | None) -> str | list[str] | None:
    """By one name, by all of several, or "none"."""
    if text == "none":
        return text
    names = await named_actors(api, caller, text, "/assignee")
    if names is None:
        return None
    first, *others = names  # Work is given to other names than an entry's id if they had a key.
    names = [first, *await api.queries.things.with_keys(caller.company_id, others)]
    return names[0] if len(names) == 1 else names


def _terms(text: str | None) -> tuple[list[str] | None, list[str] | None]:
    """What must be said and what must not, each a word, a phrase, or a choice of them.

    Raises Invalid for nothing to look for, and for more than MOST_TERMS, each of which is a look.
    """
    if text is None:
        return None, None
    wanted: list[str] = []
    unwanted: list[str] = []
    is_choice = False
    for token in _TERM.findall(text):
        term = _term(token.removeprefix("-"))
        if token.lower() == "or":
            is_choice = bool(wanted)
        elif term and token.startswith("-"):
            unwanted.append(term)
        elif term and is_choice:
            wanted[-1] += f" or {term}"
        elif term:
            wanted.append(term)
        is_choice = is_choice and token.lower() == "or"
    wanted, unwanted = list(dict.fromkeys(wanted)), list(dict.fromkeys(unwanted))
    if unwanted and not wanted:
        raise Invalid("Say what to look for, not only what to leave out.", pointer="/q")
    if len(wanted) + len(unwanted) > MOST_TERMS:
        raise Invalid(f"Look for {MOST_TERMS} words or phrases at most.", pointer="/q")
    return wanted, unwanted


def _term(text: str) -> str:
    """A phrase as it is; of a word what is one, so that nothing in it is an operator."""
    return text if text.startswith('"') else _NO_WORD.sub(" ", text).strip()
