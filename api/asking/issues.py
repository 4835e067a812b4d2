"""Over HTTP: issues, one and many."""

from __future__ import annotations

from aiohttp import web

from api import asked as a
from api import requests, views
from api.answers import one, page, position_of
from api.asking.naming import listed_among, named_actor, named_entry, named_issue
from api.auth import Caller
from api.context import Api
from api.wire import Nothing
from ledger.workflow import STATUSES
from projections.issues import read_issue
from projections.queries.issues import IssueFilter


async def issue(api: Api, request: web.Request) -> web.Response:
    """One issue, with its description."""
    caller = await api.caller(request)
    requests.query(request, Nothing)
    row = await api.queries.things.issue(caller.company_id, requests.about(request)["issue_id"])
    return one(
        request,
        row,
        lambda row: {**views.issue(read_issue(row)), "description": row["description"]},
    )


async def issues(api: Api, request: web.Request) -> web.Response:
    """Issues, newest first."""
    caller = await api.caller(request)
    asked = requests.query(request, a.IssuesQuery)
    as_of = await api.queries.freshness.head(caller.company_id)
    wanted = await _issue_filter(api, caller, asked)
    rows = await api.queries.issues.page(
        caller.company_id, wanted, position_of(asked), asked.limit + 1
    )
    return page(request, asked, as_of, rows, lambda row: views.issue(read_issue(row)))


async def _issue_filter(api: Api, caller: Caller, asked: a.IssuesQuery) -> IssueFilter:
    system, _, external_id = (asked.external_ref or "").partition(":")
    parent = asked.parent_id
    return IssueFilter(
        statuses=listed_among(asked.status, STATUSES, "status"),
        priorities=listed_among(
            asked.priority, ("none", "low", "medium", "high", "urgent"), "priority"
        ),
        assignee=await _assignee(api, caller, asked.assignee),
        team_id=await named_entry(api, caller, "team", asked.team_id),
        project_id=await named_entry(api, caller, "project", asked.project_id),
        goal_id=await named_entry(api, caller, "goal", asked.goal_id),
        milestone_id=await named_entry(api, caller, "milestone", asked.milestone_id),
        parent_id=parent if parent == "none" else await named_issue(api, caller, parent),
        label_id=await named_entry(api, caller, "label", asked.label),
        external_system=system or None,
        external_id=external_id or None,
    )


async def _assignee(api: Api, caller: Caller, text: str | None) -> str | None:
    return text if text in (None, "none") else await named_actor(api, caller, text, "/assignee")
