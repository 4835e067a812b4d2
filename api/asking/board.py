"""Over HTTP: a board, which has a column for each status."""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web

from api import asked as a
from api import requests
from api.answers import as_json
from api.asking.filters import issue_filter
from api.asking.issues import moment_of_issues, shown_issue
from api.asking.moment import Moment
from api.auth import Caller
from api.context import Api
from ledger.workflow import STATUSES, WORKFLOWS
from projections.companies import read_company
from projections.queries import Row
from projections.queries.issues import START, IssueFilter


async def board(api: Api, request: web.Request) -> web.Response:
    """The first issues of each status and how many there are, all as of one moment."""
    caller = await api.caller(request)
    asked = requests.query(request, a.BoardQuery)
    wanted = await issue_filter(api, caller, asked)
    moment = await moment_of_issues(api, caller, asked)
    is_dear = asked.is_of_then or wanted.words is not None
    look = _in_one_look if is_dear else _by_index
    counts, rows = await look(api, caller, wanted, asked, moment)
    columns = [
        {
            "status": status,
            "count": counts.get(status, 0),
            "items": [shown_issue(row) for row in rows.get(status, [])[: asked.limit]],
            "all": _all_of(request, status, moment),
        }
        for status in wanted.statuses or await _statuses(api, caller, counts)
    ]
    body = {"columns": columns, "as_of_position": moment.position}
    return as_json(body, position=moment.position)


async def _by_index(
    api: Api, caller: Caller, wanted: IssueFilter, asked: a.BoardQuery, moment: Moment
) -> tuple[dict[str, int], dict[str, list[Row]]]:
    """How many issues there are by status, and the first ones, each column by itself."""
    position = moment.position
    counts = await api.queries.issues.counts(caller.company_id, wanted, position=position)
    start, limit = START[asked.order], asked.limit
    rows = {}
    for status in counts if limit else ():
        column = replace(wanted, statuses=[status])
        rows[status] = await api.queries.issues.page(
            caller.company_id, column, asked.order, start, limit, position=position
        )
    return counts, rows


async def _in_one_look(
    api: Api, caller: Caller, wanted: IssueFilter, asked: a.BoardQuery, moment: Moment
) -> tuple[dict[str, int], dict[str, list[Row]]]:
    """The same, from one look at all the issues."""
    found = await api.queries.issues.board(
        caller.company_id,
        wanted,
        asked.order,
        max(asked.limit, 1),
        position=moment.position,
        occurred_at=moment.occurred_at,
    )
    rows: dict[str, list[Row]] = {}
    for row in found:
        rows.setdefault(row["status"], []).append(row)
    return {status: column[0]["issues"] for status, column in rows.items()}, rows


async def _statuses(api: Api, caller: Caller, counts: dict[str, int]) -> list[str]:
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
