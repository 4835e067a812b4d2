"""Over HTTP: what runs cost, and what finished issues do.

Sums are as of one position, which they say. Those of now by what is coarse are kept; the others are
summed from the entries up to that position, rework as it was known there.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from api import asked as a
from api import requests, shapes, views
from api.answers import as_json, page, position_of
from api.asking.moment import Moment, moment_of
from api.asking.naming import issue_ever_named, listed_among, named_agents, named_entry
from api.auth import Caller
from api.context import Api
from ledger.errors import Invalid
from projections.queries import Row
from projections.queries.costs import GROUPS, CostFilter, is_fine

MOST_SUMS = 10_000


async def costs(api: Api, request: web.Request) -> web.Response:
    """Cost reports and their corrections, newest first."""
    caller = await api.caller(request)
    asked = requests.query(request, a.CostsQuery)
    moment = await moment_of(api, caller, asked, "costs")
    wanted = await filter_of(api, caller, asked)
    rows = await api.queries.costs.entries(
        caller.company_id,
        wanted,
        position_of(asked),
        asked.limit + 1,
        moment.position,
        moment.occurred_at,
    )
    return page(request, asked, moment.position, rows, views.cost_entry, by="position")


async def cost_sums(api: Api, request: web.Request) -> web.Response:
    """Costs, summed by any of day, agent, team, project, issue, run, provider and model."""
    caller = await api.caller(request)
    asked = requests.query(request, a.CostSumsQuery)
    groups = listed_among(asked.group_by, GROUPS, "group_by") or []
    moment = await moment_of(api, caller, asked, "costs")
    wanted = await filter_of(api, caller, asked)
    rows = await _sums(api, caller, asked, wanted, groups, moment)
    shown = [views.cost_sum(row, groups) for row in rows]
    if not shown and not groups:
        shown = [views.zeros(shapes.CostSumView)]
    return _all(rows, shown, moment.position)


async def _sums(
    api: Api,
    caller: Caller,
    asked: a.CostSumsQuery,
    wanted: CostFilter,
    groups: list[str],
    moment: Moment,
) -> list[Row]:
    costs, company_id, most = api.queries.costs, caller.company_id, MOST_SUMS + 1
    if moment.is_now and not is_fine(wanted, groups):
        return await costs.sums(company_id, wanted, groups, most, interval=asked.interval)
    return await costs.sums_as_of(
        company_id,
        wanted,
        groups,
        most,
        moment.position,
        moment.occurred_at,
        interval=asked.interval,
    )


async def finished_costs(api: Api, request: web.Request) -> web.Response:
    """What finished issues cost: how many, in total, on average, in the middle, rework apart."""
    caller = await api.caller(request)
    asked = requests.query(request, a.FinishedCostsQuery)
    moment = await moment_of(api, caller, asked, "costs")
    wanted = CostFilter(
        agent_ids=await named_agents(api, caller, asked.agent_id),
        team_id=await named_entry(api, caller, "team", asked.team_id),
        project_id=await named_entry(api, caller, "project", asked.project_id),
        since=asked.since,
        until=asked.until,
    )
    rows = await _finished(api, caller, wanted, asked.group_by, moment)
    shown = [views.finished_cost(row, asked.group_by) for row in rows]
    if not shown and asked.group_by is None:
        shown = [views.zeros(shapes.FinishedCostView)]
    return _all(rows, shown, moment.position)


async def _finished(
    api: Api, caller: Caller, wanted: CostFilter, group: str | None, moment: Moment
) -> list[Row]:
    """Those of now are kept; of another moment, the issues of then are asked about their costs."""
    costs, company_id, most = api.queries.costs, caller.company_id, MOST_SUMS + 1
    if moment.is_now:
        return await costs.finished(company_id, wanted, group, most)
    await api.queries.freshness.wait_for(company_id, "versions", until=moment.position)
    return await costs.finished_as_of(
        company_id, wanted, group, most, moment.position, moment.occurred_at
    )


async def filter_of(api: Api, caller: Caller, asked: a.CostFilterQuery) -> CostFilter:
    """The filter that the parameters mean; raises a 404 Problem for what there is not."""
    return CostFilter(
        issue_id=await issue_ever_named(api, caller, asked.issue_id),
        run_id=asked.run_id,
        agent_ids=await named_agents(api, caller, asked.agent_id),
        team_id=await named_entry(api, caller, "team", asked.team_id),
        project_id=await named_entry(api, caller, "project", asked.project_id),
        provider=asked.provider,
        model=asked.model,
        since=asked.since,
        until=asked.until,
    )


def _all(rows: Sequence[Row], shown: list[dict[str, object]], as_of: int) -> web.Response:
    """All sums at once, as of the position that they themselves saw; raises Invalid for many."""
    if len(rows) > MOST_SUMS:
        raise Invalid(
            f"That makes more than {MOST_SUMS} sums; group by less, or narrow the days.",
            pointer="/group_by",
        )
    position = rows[0]["as_of_position"] if rows else as_of
    return as_json(
        {"items": shown, "next_cursor": None, "as_of_position": position}, position=position
    )
