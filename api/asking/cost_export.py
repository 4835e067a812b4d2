"""Over HTTP: costs as a file in the columns of FOCUS, as CSV or NDJSON.

The file is what was known at the position at which it began, so it ends, and asked for again as of
that position it has the same rows, byte for byte. What the columns hold is in `api/focus.py`; money
is decimal text, in CSV without the guard that texts have, for a sum below zero is a number there.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from aiohttp import web

from api import asked as a
from api import requests
from api.asking.costs import filter_of
from api.asking.moment import Moment, moment_of
from api.auth import Caller
from api.context import Api
from api.exports.focus import COLUMNS, VERSION, focus_row
from api.exports.lines import CSV, NDJSON, as_csv, as_ndjson, last_csv, last_ndjson, preferred
from api.exports.streaming import Line, Summary, stream
from ledger import log
from ledger.codec import timestamp
from ledger.facts import is_id
from projections.queries import Row
from projections.queries.costs import CostFilter

PAGE = 500
"""Entries read at once, after the caller's key was looked at again."""


async def export(api: Api, request: web.Request) -> web.StreamResponse:
    """Costs as a file in FOCUS 1.2 columns, a row a report or correction, oldest first."""
    caller = await api.caller(request)
    asked = requests.query(request, a.CostExportQuery)
    is_csv = preferred(request, ("text/csv", NDJSON)) == "text/csv"
    moment = await moment_of(api, caller, asked, "costs")
    wanted = await filter_of(api, caller, asked)
    about = {
        "of": "costs",
        "focus_version": VERSION,
        "company_id": caller.company_id,
        "as_of_position": moment.position,
        "occurred_at": timestamp(moment.occurred_at) if moment.occurred_at else None,
        "query": request.query_string,
    }

    def last(told: Summary) -> bytes:
        return last_csv(told, about, len(COLUMNS)) if is_csv else last_ndjson(told, about)

    ending = "csv" if is_csv else "ndjson"
    return await stream(
        request,
        media_type=CSV if is_csv else NDJSON,
        filename=f"costs-{caller.company_id}-{moment.position}.focus.{ending}",
        header=as_csv(COLUMNS) if is_csv else b"",
        lines=_lines(api, request, caller, wanted, moment, is_csv),
        last=last,
        headers={"Ledger-Position": str(moment.position)},
    )


async def _lines(
    api: Api,
    request: web.Request,
    caller: Caller,
    wanted: CostFilter,
    moment: Moment,
    is_csv: bool,
) -> AsyncGenerator[Line, None]:
    """Page after page, each in statements of its own, for as long as the key is good."""
    after, as_line = 0, _as_csv if is_csv else _as_ndjson
    company = caller.company_id
    named: dict[str, str] = await log.first_names(api.queries.pool, company, [company])
    while True:
        await api.caller(request)
        rows = await api.queries.costs.exported(
            company, wanted, after, PAGE, moment.position, moment.occurred_at
        )
        await _name(api, company, rows, named)
        for row in rows:
            shown = focus_row(row, company, named.get(company, company), named)
            yield Line(row["position"], as_line(shown))
        if len(rows) < PAGE:
            return
        after = rows[-1]["position"]


async def _name(api: Api, company_id: str, rows: Sequence[Row], named: dict[str, str]) -> None:
    """Learns what the rows' issues, agents, teams and projects are called."""
    fields = ("issue_id", "agent_id", "team_id", "project_id")
    refs = {str(row[field]) for row in rows for field in fields if row[field] is not None}
    unknown = [ref for ref in refs - named.keys() if is_id(ref)]
    if unknown:
        named.update(await log.first_names(api.queries.pool, company_id, unknown))


def _as_ndjson(shown: Mapping[str, Any]) -> bytes:
    return as_ndjson(
        {name: _decimal(v) if isinstance(v, Decimal) else v for name, v in shown.items()}
    )


def _as_csv(shown: Mapping[str, Any]) -> bytes:
    return b",".join(_field(value) for value in shown.values()) + b"\r\n"


def _field(value: Any) -> bytes:
    if isinstance(value, Decimal):
        return _decimal(value).encode()
    return as_csv([value]).removesuffix(b"\r\n")


def _decimal(value: Decimal) -> str:
    return format(value, "f")
