"""Over HTTP: the budgets of a month, the company's first, then its agents' by id.

An agent is listed that has a limit, or that spent anything in the month. A limit is the one that is
set now: what it was in a month that is over, the log says.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime

from aiohttp import web

from api import asked as a
from api import requests, views
from api.answers import as_json, next_link
from api.context import Api
from ledger.errors import Invalid
from ledger.facts import month_of


async def budgets(api: Api, request: web.Request) -> web.Response:
    """What the company and each agent may spend in a calendar month, and what they did."""
    caller = await api.caller(request)
    asked = requests.query(request, a.BudgetsQuery)
    month = asked.month or month_of(datetime.now(UTC))
    after = _after(asked.cursor)
    company = await api.queries.things.company_budget(caller.company_id, month)
    assert company is not None
    shown = []
    if after is None:
        limit, spent = company["limit_micros"], company["spent_micros"]
        shown.append(views.listed_budget(None, limit, spent, month))
    most = asked.limit - len(shown)
    rows = await api.queries.costs.agent_budgets(caller.company_id, month, after or "", most + 1)
    for row in rows[:most]:
        limit, spent = row["limit_micros"], row["spent_micros"]
        shown.append(views.listed_budget(row["agent_id"], limit, spent, month))
    cursor = None
    if len(rows) > most:
        cursor = _cursor(rows[most - 1]["agent_id"] if most else "")
    body = {
        "items": shown,
        "next_cursor": cursor,
        "as_of_position": company["as_of_position"],
    }
    link = next_link(request, {"cursor": cursor} if cursor else None)
    return as_json(body, position=company["as_of_position"], headers=link)


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
