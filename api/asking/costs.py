"""Over HTTP: what runs cost."""

from __future__ import annotations

from aiohttp import web

from api import asked as a
from api import requests, views
from api.answers import as_json, page, position_of
from api.asking.moment import reached_by
from api.asking.naming import issue_ever_named, listed, named_agent, named_entry
from api.auth import Caller
from api.context import Api
from ledger.errors import Invalid
from projections.queries.costs import GROUPS, CostFilter

_MOST_SUMS = 10_000


async def costs(api: Api, request: web.Request) -> web.Response:
    """Cost reports, newest first."""
    caller = await api.caller(request)
    asked = requests.query(request, a.CostsQuery)
    as_of = await reached_by(api, caller, "costs", asked.consistency)
    wanted = await _cost_filter(api, caller, asked)
    rows = await api.queries.costs.entries(
        caller.company_id, wanted, position_of(asked), asked.limit + 1
    )
    return page(request, asked, as_of, rows, views.cost_entry, by="position")


async def cost_sums(api: Api, request: web.Request) -> web.Response:
    """Costs, summed by any of day, agent, project, issue, provider and model."""
    caller = await api.caller(request)
    asked = requests.query(request, a.CostSumsQuery)
    groups = listed(asked.group_by) or []
    unknown = [name for name in groups if name not in GROUPS]
    if unknown:
        raise Invalid(
            f"Costs are summed by {', '.join(GROUPS)}, not by {', '.join(unknown)}.",
            pointer="/group_by",
        )
    as_of = await reached_by(api, caller, "costs", asked.consistency)
    wanted = await _cost_filter(api, caller, asked)
    rows = await api.queries.costs.sums(caller.company_id, wanted, groups, _MOST_SUMS + 1)
    if len(rows) > _MOST_SUMS:
        raise Invalid(
            f"That makes more than {_MOST_SUMS} sums; group by less, or narrow the days.",
            pointer="/group_by",
        )
    return as_json(
        {
            "items": [views.cost_sum(row, groups) for row in rows],
            "next_cursor": None,
            "as_of_position": as_of,
        },
        position=as_of,
    )


async def _cost_filter(
    api: Api, caller: Caller, asked: a.CostsQuery | a.CostSumsQuery
) -> CostFilter:
    return CostFilter(
        issue_id=await issue_ever_named(api, caller, asked.issue_id),
        agent_id=await named_agent(api, caller, asked.agent_id),
        project_id=await named_entry(api, caller, "project", asked.project_id),
        provider=asked.provider,
        model=asked.model,
        since=asked.since,
        until=asked.until,
    )
