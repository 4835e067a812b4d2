"""Over HTTP: what happened."""

from __future__ import annotations

from datetime import datetime, timedelta

from aiohttp import web

from api import asked as a
from api import requests, views
from api.answers import page, position_of
from api.asking.moment import Moment, moment_of
from api.asking.naming import issue_ever_named, listed, named_actors, named_entry
from api.auth import Caller
from api.context import Api
from ledger.errors import Invalid
from ledger.events import EVENT_TYPES
from projections.queries.activity import ActivityFilter, Span

_INSTANT = timedelta(microseconds=1)


async def activity(api: Api, request: web.Request) -> web.Response:
    """Activity, newest or oldest first."""
    caller = await api.caller(request)
    asked = requests.query(request, a.ActivityQuery)
    moment = await moment_of(api, caller, asked, "activity")
    wanted = await filter_of(api, caller, asked, moment)
    newest, cursor = asked.order == "newest", position_of(asked)
    span = Span(before=moment.position + 1)
    if cursor is not None:
        span = span.within(Span(before=cursor) if newest else Span(after=cursor))
    rows = await api.queries.activity.page(
        caller.company_id, wanted, span, asked.limit + 1, newest=newest
    )
    return page(request, asked, moment.position, rows, views.activity, by="position")


async def filter_of(
    api: Api, caller: Caller, asked: a.ActivityFilterQuery, moment: Moment
) -> ActivityFilter:
    """Which activity a query asks for; raises Invalid, or a 404 Problem for what it names."""
    return ActivityFilter(
        issue_id=await issue_ever_named(api, caller, asked.issue_id),
        run_id=asked.run_id,
        actors=await named_actors(api, caller, asked.actor, "/actor"),
        project_id=await named_entry(api, caller, "project", asked.project_id),
        types=_types(asked.type),
        subject_types=listed(asked.subject_type),
        first_at=asked.since,
        last_at=_last_at(asked.until, moment.occurred_at),
        with_keys=caller.role.sees_keys,
    )


def _types(text: str | None) -> list[str] | None:
    """The event types that a filter means; raises Invalid for a `*` that is not a whole word."""
    words = listed(text)
    return None if words is None else list(dict.fromkeys(t for word in words for t in _meant(word)))


def _meant(word: str) -> list[str]:
    prefix = word.removesuffix("*")
    if "*" in prefix or (prefix != word and not prefix.endswith(".")):
        raise Invalid(
            f"{word!r} is no event type; `*` stands for all that follows a dot, as in `issue.*`.",
            pointer="/type",
        )
    return [word] if prefix == word else [t for t in EVENT_TYPES if t.startswith(prefix)]


def _last_at(until: datetime | None, occurred_at: datetime | None) -> datetime | None:
    """The last moment that is wanted: before `until`, and not after `occurred_at`."""
    limits = [*([until - _INSTANT] if until else []), *([occurred_at] if occurred_at else [])]
    return min(limits, default=None)
