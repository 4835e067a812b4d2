"""Over HTTP: what happened."""

from __future__ import annotations

from aiohttp import web

from api import asked as a
from api import requests, views
from api.answers import page, position_of
from api.asking.moment import reached_by
from api.asking.naming import issue_ever_named, listed, named_actor
from api.context import Api
from projections.queries.activity import ActivityFilter


async def activity(api: Api, request: web.Request) -> web.Response:
    """Activity, newest first."""
    caller = await api.caller(request)
    asked = requests.query(request, a.ActivityQuery)
    as_of = await reached_by(api, caller, "activity", asked.consistency)
    wanted = ActivityFilter(
        issue_id=await issue_ever_named(api, caller, asked.issue_id),
        actor=await named_actor(api, caller, asked.actor, "/actor"),
        run_id=asked.run_id,
        types=listed(asked.type),
        since=asked.since,
        until=asked.until,
        with_keys=caller.role.sees_keys,
    )
    rows = await api.queries.activity.page(
        caller.company_id, wanted, position_of(asked), asked.limit + 1
    )
    return page(request, asked, as_of, rows, views.activity, by="position")
