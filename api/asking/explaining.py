"""Over HTTP: why a field of an issue has its value: the event, the command, and what began it.

The event is looked for in the issue's own stream, newest first; what only the creation sets is
looked up there at once. Its command's other events stand beside it in the log, in whichever streams
they are: a blocker's end and the opening of what it blocked are one command, so the one explains
the other.

Every field is explained that an issue's JSON has, by the name that it has there, and beside them
those whose changes are told. `version` and `updated_at` are every event's doing, so the last one
explains them.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from api import history_asked as a
from api import requests, views
from api.answers import as_json
from api.asking.moment import moment_in_log
from api.asking.naming import issue_ever_named
from api.changes import FIELDS, Change, shown
from api.context import Api
from api.history_views import command_event, shower_of
from api.problems import Problem
from ledger.database import Pool
from ledger.errors import Invalid
from ledger.events import IssueCreated, Json, Recorded
from ledger.state import Issue
from projections.folding import Stretch, backwards, command_of, forwards, state_at, version_at

MOST_EVENTS = 20_000
"""Events of the issue that are looked at."""

MOST_OF_COMMAND = 500
"""Events of a command that are shown on either side of the one that is explained."""

ASKABLE = (*FIELDS, "id", "version", "updated_at", "label_ids", "run_id")
_OF_CREATION = frozenset({"id", "identifier", "created_at", "created_by"})
_OF_EVERY_EVENT = frozenset({"version", "updated_at"})


async def explain(api: Api, request: web.Request) -> web.Response:
    """Why a field of an issue has its value: the event and the command that made it."""
    caller = await api.caller(request)
    asked = requests.query(request, a.ExplainQuery)
    issue_id = await issue_ever_named(api, caller, asked.issue)
    assert issue_id is not None
    if asked.field not in ASKABLE:
        raise Invalid(
            f"An issue has no field {asked.field!r}; choose one of {', '.join(ASKABLE)}.",
            pointer="/field",
        )
    moment = await moment_in_log(api, caller, asked)
    pool, company_id = api.queries.pool, caller.company_id
    last = await version_at(pool, company_id, issue_id, moment.position)
    stretch = Stretch(company_id, issue_id, 1, last, moment.occurred_at)
    issue = await state_at(pool, stretch)
    if issue is None:
        raise Problem(404, "not_found", f"There was no issue {asked.issue!r} at that moment.")
    value = _value(issue, asked.field)
    set_by, change = await _set_by(pool, stretch, Change(asked.field, None, value))
    shower = await shower_of(pool, company_id, [change])
    body = {
        "issue_id": issue_id,
        "identifier": issue.identifier,
        "field": asked.field,
        "value": shower.value(asked.field, value),
        "former": shower.value(asked.field, change.before),
        **await _command(pool, set_by),
        "as_of_position": moment.position,
    }
    return as_json(body, position=moment.position)


def _value(issue: Issue | None, field: str) -> Json:
    """A field as the issue shows it; null before there was one."""
    if issue is None:
        return None
    told = shown(issue)
    return told[field] if field in told else views.issue(issue)[field]


async def _set_by(pool: Pool, stretch: Stretch, now: Change) -> tuple[Recorded | None, Change]:
    """The event that set a field last, or created the issue without it; None if not found."""
    if now.field in _OF_CREATION:
        async for step in forwards(pool, stretch._replace(last=1)):
            return step.recorded, now
    looked_at = 0
    async for step in backwards(pool, stretch):
        change = Change(now.field, _value(step.before, now.field), _value(step.after, now.field))
        if change.before != change.after or now.field in _OF_EVERY_EVENT:
            return step.recorded, change
        if isinstance(step.recorded.event, IssueCreated):
            return step.recorded, now
        looked_at += 1
        if looked_at == MOST_EVENTS:
            break
    return None, now


async def _command(pool: Pool, set_by: Recorded | None) -> dict[str, Any]:
    """The event, its command's events, and the first of them where that is another one."""
    if set_by is None:
        return {"event": None, "command": None, "cause": None}
    found, is_complete = await command_of(pool, set_by, MOST_OF_COMMAND)
    (own,) = (stored for stored in found if stored.recorded.position == set_by.position)
    first = found[0]
    return {
        "event": views.event(own),
        "command": {
            "command_id": set_by.command_id,
            "events": [command_event(stored) for stored in found],
            "is_complete": is_complete,
        },
        "cause": None if first is own else command_event(first),
    }
