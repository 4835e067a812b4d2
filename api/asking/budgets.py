"""Over HTTP: budgets, each alone, and those of a month: the company's, then its agents' by id.

An agent is listed that has a limit, or that spent anything in the month. A limit is the one that is
set now, also for a month that is over; of another moment, the one that was set then, with what had
been spent by then.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from api import asked as a
from api import requests, views
from api.answers import as_json, next_link, one
from api.asking.moment import prefix_of
from api.asking.naming import issue_ever_named, named_entry, named_issue
from api.auth import Caller
from api.context import Api
from api.problems import Problem
from ledger.errors import Invalid
from ledger.facts import month_of
from projections.queries import Row


async def issue_budget(api: Api, request: web.Request) -> web.Response:
    """What the runs of an issue may spend, and what they did."""
    caller = await api.caller(request)
    asked = requests.query(request, a.PrefixQuery)
    ref = requests.about(request)["issue_id"]
    issue_id = await issue_ever_named(api, caller, ref)
    assert issue_id is not None
    position = await prefix_of(api, caller, asked, "versions", "costs")
    if position is None:
        issue_id = await named_issue(api, caller, ref)
        assert issue_id is not None
        row = await api.queries.things.issue_budget(caller.company_id, issue_id)
        return one(request, row, lambda row: _shown(row, None), versioned=False)
    then = await api.queries.issues.one(caller.company_id, issue_id, position=position)
    if then is None or then["deleted_at"] is not None:
        raise Problem(404, "not_found", f"There was no issue {ref!r} at that moment.")
    spent = await api.queries.budgets.spent_on_issue(caller.company_id, issue_id, position)
    shown = views.budget(then["per_task_micros"], spent, None)
    return as_json({**shown, "as_of_position": position}, position=position)


async def agent_budget(api: Api, request: web.Request) -> web.Response:
    """What an agent may spend in a calendar month, and what it did."""
    caller = await api.caller(request)
    asked = requests.query(request, a.BudgetQuery)
    ref = requests.about(request)["agent_id"]
    agent_id = await named_entry(api, caller, "agent", ref)
    assert agent_id is not None
    position = await prefix_of(api, caller, asked, "costs")
    month = await _month(api, caller, asked, position)
    if position is None:
        row = await api.queries.things.agent_budget(caller.company_id, agent_id, month)
        return one(request, row, lambda row: _shown(row, month), versioned=False)
    then = await api.queries.budgets.of_agent(caller.company_id, agent_id, month, position)
    if then is None:
        raise Problem(404, "not_found", f"There was no agent {ref!r} at that moment.")
    return _of_then(then, month, position)


async def company_budget(api: Api, request: web.Request) -> web.Response:
    """What the company may spend in a calendar month, and what it did."""
    caller = await api.caller(request)
    asked = requests.query(request, a.BudgetQuery)
    position = await prefix_of(api, caller, asked, "costs")
    month = await _month(api, caller, asked, position)
    if position is None:
        row = await api.queries.things.company_budget(caller.company_id, month)
        return one(request, row, lambda row: _shown(row, month), versioned=False)
    then = await api.queries.budgets.of_company(caller.company_id, month, position)
    return _of_then(then, month, position)


async def budgets(api: Api, request: web.Request) -> web.Response:
    """What the company and each agent may spend in a calendar month, and what they did."""
    caller = await api.caller(request)
    asked = requests.query(request, a.BudgetsQuery)
    after = _after(asked.cursor)
    position = await prefix_of(api, caller, asked, "costs")
    month = await _month(api, caller, asked, position)
    company = await _company(api, caller, month, position)
    as_of = company["as_of_position"] if position is None else position
    shown = []
    if after is None:
        limit, spent = company["limit_micros"], company["spent_micros"]
        shown.append(views.listed_budget(None, limit, spent, month))
    most = asked.limit - len(shown)
    rows = await _agents(api, caller, month, position, after or "", most + 1)
    for row in rows[:most]:
        limit, spent = row["limit_micros"], row["spent_micros"]
        shown.append(views.listed_budget(row["agent_id"], limit, spent, month))
    cursor = None
    if len(rows) > most:
        cursor = _cursor(rows[most - 1]["agent_id"] if most else "")
    body = {"items": shown, "next_cursor": cursor, "as_of_position": as_of}
    link = next_link(request, {"cursor": cursor} if cursor else None)
    return as_json(body, position=as_of, headers=link)


async def _company(api: Api, caller: Caller, month: str, position: int | None) -> Row:
    if position is not None:
        return await api.queries.budgets.of_company(caller.company_id, month, position)
    row = await api.queries.things.company_budget(caller.company_id, month)
    assert row is not None
    return row


async def _agents(
    api: Api, caller: Caller, month: str, position: int | None, after: str, limit: int
) -> Sequence[Row]:
    company_id = caller.company_id
    if position is None:
        return await api.queries.costs.agent_budgets(company_id, month, after, limit)
    return await api.queries.budgets.of_agents(company_id, month, position, after, limit)


async def _month(api: Api, caller: Caller, asked: a.BudgetQuery, position: int | None) -> str:
    """The month that is asked for, or else the one of the moment."""
    now = datetime.now(UTC)
    if asked.month is not None:
        return asked.month
    if asked.at is not None:
        return month_of(min(asked.at, now))
    if not position:
        return month_of(now)
    return month_of(await api.queries.budgets.recorded_at(caller.company_id, position) or now)


def _shown(row: Row, month: str | None) -> dict[str, Any]:
    shown = views.budget(row["limit_micros"], row["spent_micros"], month)
    return {**shown, "as_of_position": row["as_of_position"]}


def _of_then(row: Row, month: str, position: int) -> web.Response:
    shown = views.budget(row["limit_micros"], row["spent_micros"], month)
    return as_json({**shown, "as_of_position": position}, position=position)


def _cursor(agent_id: str) -> str:
    return base64.urlsafe_b64encode(f"a{agent_id}".encode()).decode().rstrip("=")


def _after(cursor: str | None) -> str | None:
    """The agent after whom a page begins; raises Invalid for a cursor that was not ours."""
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        text = base64.urlsafe_b64decode(padded.encode()).decode()
    except (binascii.Error, ValueError):
        text = ""
    if not text.startswith("a") or "\0" in text or _cursor(text[1:]) != cursor:
        raise Invalid("This cursor is not one that a list gave out.", pointer="/cursor")
    return text[1:]
