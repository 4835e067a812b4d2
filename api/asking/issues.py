"""Over HTTP: an issue, and lists of issues, as they are or as they were."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from api import asked as a
from api import requests, views
from api.answers import as_json, next_link, one
from api.asking.expanding import around
from api.asking.filters import issue_filter
from api.asking.moment import Moment, moment_of, reached_by
from api.asking.naming import issue_ever_named, listed
from api.asking.walk import Place, cursor_of, place_of_cursor
from api.auth import Caller
from api.context import Api
from api.problems import Problem
from ledger.errors import Invalid
from projections.issues import read_issue
from projections.queries import Row
from projections.queries.issues import START, place_of

MODEL = "versions"
"""The read model that all but the issue of now is read from."""


async def issue(api: Api, request: web.Request) -> web.Response:
    """One issue, with its description; as it was, or with what is around it, if asked."""
    caller = await api.caller(request)
    asked = requests.query(request, a.IssueQuery)
    if asked.is_of_then:
        return await _issue_then(api, request, caller, asked)
    row = await api.queries.things.issue(caller.company_id, requests.about(request)["issue_id"])
    words = listed(asked.expand)
    more = {"expanded": await around(api, caller, row, words)} if row and words else {}

    def show(row: Row) -> dict[str, Any]:
        return {**shown_issue(row), "description": row["description"], **more}

    return one(request, row, show, versioned=not words)


async def _issue_then(
    api: Api, request: web.Request, caller: Caller, asked: a.IssueQuery
) -> web.Response:
    if asked.expand:
        raise Invalid("What is around an issue is told of now alone.", pointer="/expand")
    ref = requests.about(request)["issue_id"]
    issue_id = await issue_ever_named(api, caller, ref)
    assert issue_id is not None
    moment = await moment_of(api, caller, asked, MODEL)
    row = await api.queries.issues.one(
        caller.company_id, issue_id, position=moment.position, occurred_at=moment.occurred_at
    )
    if row is None or row["deleted_at"] is not None:
        raise Problem(404, "not_found", f"There was no issue {ref!r} at that moment.")
    headers = {"ETag": f'"{row["version"]}"', "Ledger-Position": str(moment.position)}
    if requests.unless_changed(request, row["version"]):
        return web.Response(status=304, headers=headers)
    text = await api.queries.issues.description(caller.company_id, row["description_position"])
    body = {**shown_issue(row), "description": text, "as_of_position": moment.position}
    return as_json(body, headers=headers)


async def issues(api: Api, request: web.Request) -> web.Response:
    """Issues in an order, page by page, every page as of the first one's moment."""
    caller = await api.caller(request)
    asked = requests.query(request, a.IssuesQuery)
    wanted = await issue_filter(api, caller, asked)
    moment, after = await _place(api, request, caller, asked)
    rows = await api.queries.issues.page(
        caller.company_id,
        wanted,
        asked.order,
        after,
        asked.limit + 1,  # One more, so that it is known whether there are more.
        position=moment.position,
        occurred_at=moment.occurred_at,
        is_past=asked.is_of_then,
    )
    shown = rows[: asked.limit]
    cursor = None
    if len(rows) > asked.limit:
        cursor = cursor_of(request, Place(moment.position, place_of(shown[-1], asked.order)))
    body = {
        "items": [shown_issue(row) for row in shown],
        "next_cursor": cursor,
        "as_of_position": moment.position,
    }
    link = {"cursor": cursor} if cursor else None
    return as_json(body, position=moment.position, headers=next_link(request, link))


async def _place(
    api: Api, request: web.Request, caller: Caller, asked: a.IssuesQuery
) -> tuple[Moment, tuple[Any, ...]]:
    """The moment of the walk, and where it goes on.

    A walk by what had happened is of what is known at each page: it may be told late.
    """
    start = START[asked.order]
    if asked.cursor is None:
        return await moment_of_issues(api, caller, asked), start
    position, after = place_of_cursor(request, asked.cursor, start)
    if asked.occurred_at is not None:
        return await moment_of_issues(api, caller, asked), after
    if position > await api.queries.freshness.position(caller.company_id, MODEL):
        raise Invalid("This cursor is of a moment that is still to come.", pointer="/cursor")
    return Moment(position), after


async def moment_of_issues(api: Api, caller: Caller, asked: a.IssueFilterQuery) -> Moment:
    """The moment that is asked for; what is searched for words has been waited for as well."""
    if asked.q is not None:
        await reached_by(api, caller, "texts", asked.consistency)
    return await moment_of(api, caller, asked, MODEL)


def shown_issue(row: Row) -> dict[str, Any]:
    """An issue of a list."""
    return views.issue(read_issue(row))
