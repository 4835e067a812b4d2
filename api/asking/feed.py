"""Over HTTP: the log itself."""

from __future__ import annotations

from aiohttp import web

from api import asked as a
from api import requests, views
from api.answers import as_json, next_link
from api.asking.naming import issue_ever_named, listed
from api.context import Api
from ledger import log


async def events(api: Api, request: web.Request) -> web.Response:
    """The log itself, oldest first, after a position."""
    caller = await api.caller(request)
    asked = requests.query(request, a.EventsQuery)
    as_of = await api.queries.freshness.head(caller.company_id)
    stream_id = await issue_ever_named(api, caller, asked.issue_id)
    after = max(asked.after, asked.cursor)
    stored = await log.page(
        api.queries.pool,
        caller.company_id,
        after,
        limit=asked.limit + 1,
        stream_id=stream_id,
        types=listed(asked.type),
        with_keys=caller.role.sees_keys,
    )
    shown, more = stored[: asked.limit], len(stored) > asked.limit
    cursor = str(shown[-1].recorded.position) if more else None
    body = {
        "items": [views.event(item) for item in shown],
        "next_cursor": cursor,
        "as_of_position": as_of,
    }
    link = {"cursor": cursor} if cursor else None
    return as_json(body, position=as_of, headers=next_link(request, link))
