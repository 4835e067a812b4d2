"""Over HTTP: issues, one and many, as they are or as they were."""

from __future__ import annotations

from dataclasses import replace
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
from ledger.workflow import STATUSES, WORKFLOWS
from projections.companies import read_company
from projections.issues import read_issue
from projections.queries import Row
from projections.queries.issues import START, IssueFilter, Order, place_of

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
        return {**_shown(row), "description": row["description"], **more}

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
    text = await api.queries.issues.description(caller.company_id, row["description_position"])
    body = {**_shown(row), "description": text, "as_of_position": moment.position}
    return as_json(body, position=moment.position, headers={"ETag": f'"{row["version"]}"'})


async def issues(api: Api, request: web.Request) -> web.Response:
    """Issues in an order, page by page, every page as of the first one's moment."""
    caller = await api.caller(request)
    asked = requests.query(request, a.IssuesQuery)
    wanted = await issue_filter(api, caller, asked)
    if asked.cursor is None:
        moment = await _moment(api, caller, asked)
        after = START[asked.order]
    else:
        position, after = place_of_cursor(request, asked.cursor, START[asked.order])
        moment = Moment(position, asked.occurred_at)
    rows = await _rows(api, caller, wanted, asked.order, after, asked.limit, moment)
    shown = rows[: asked.limit]
    cursor = None
    if len(rows) > asked.limit:
        cursor = cursor_of(request, Place(moment.position, place_of(shown[-1], asked.order)))
    body = {
        "items": [_shown(row) for row in shown],
        "next_cursor": cursor,
        "as_of_position": moment.position,
    }
    link = {"cursor": cursor} if cursor else None
    return as_json(body, position=moment.position, headers=next_link(request, link))


async def board(api: Api, request: web.Request) -> web.Response:
    """The first issues of each status and how many there are, all as of one moment."""
    caller = await api.caller(request)
    asked = requests.query(request, a.BoardQuery)
    wanted = await issue_filter(api, caller, asked)
    moment = await _moment(api, caller, asked)
    counts = await api.queries.issues.counts(
        caller.company_id, wanted, position=moment.position, occurred_at=moment.occurred_at
    )
    columns = []
    for status in wanted.statuses or await _columns(api, caller, counts):
        rows: list[Row] = []
        if asked.limit and status in counts:
            one_status = replace(wanted, statuses=[status])
            start = START[asked.order]
            rows = await _rows(api, caller, one_status, asked.order, start, asked.limit, moment)
        columns.append(
            {
                "status": status,
                "count": counts.get(status, 0),
                "items": [_shown(row) for row in rows[: asked.limit]],
                "all": _all_of(request, status, moment),
            }
        )
    body = {"columns": columns, "as_of_position": moment.position}
    return as_json(body, position=moment.position)


async def _moment(api: Api, caller: Caller, asked: a.IssueFilterQuery) -> Moment:
    """The moment that is asked for; what is searched for words has been waited for as well."""
    if asked.q is not None:
        await reached_by(api, caller, "texts", asked.consistency)
    return await moment_of(api, caller, asked, MODEL)


async def _rows(
    api: Api,
    caller: Caller,
    wanted: IssueFilter,
    order: Order,
    after: tuple[Any, ...],
    limit: int,
    moment: Moment,
) -> list[Row]:
    """One issue more than `limit`, so that it is known whether there are more."""
    return await api.queries.issues.page(
        caller.company_id,
        wanted,
        order,
        after,
        limit + 1,
        position=moment.position,
        occurred_at=moment.occurred_at,
    )


async def _columns(api: Api, caller: Caller, counts: dict[str, int]) -> list[str]:
    """The statuses of the company's workflow, and those that an import brought beside them."""
    row = await api.queries.things.company(caller.company_id)
    assert row is not None
    known = WORKFLOWS[read_company(row).workflow].statuses
    return [status for status in STATUSES if status in known or status in counts]


def _all_of(request: web.Request, status: str, moment: Moment) -> str:
    """The list of which a column shows the first issues, as of the same moment."""
    same = {k: v for k, v in request.query.items() if k not in ("limit", "status", "at")}
    if moment.occurred_at is None:
        same["at_position"] = str(moment.position)
    order = {"order": request.query.get("order", "priority")}
    path = request.rel_url.path.removesuffix("board") + "issues"
    return str(request.rel_url.with_path(path).with_query({**same, **order, "status": status}))


def _shown(row: Row) -> dict[str, Any]:
    return views.issue(read_issue(row))
