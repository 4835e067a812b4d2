"""Over HTTP: what happened, as a file: NDJSON, CSV or CloudEvents.

The file is the activity up to the position at which it began, so it ends, and asked for again as of
that position it is the same, byte for byte, apart from what the last line says of the question.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import asdict

from aiohttp import web

from api import asked as a
from api import requests, views
from api.asking.activity import filter_of
from api.asking.moment import moment_of
from api.auth import Caller
from api.context import Api
from api.exports.cloud_events import cloud_event, ended
from api.exports.lines import CSV, NDJSON, as_csv, as_ndjson, last_csv, last_ndjson, preferred
from api.exports.streaming import Line, Summary, stream
from api.shapes import ActivityView
from ledger.codec import timestamp
from projections.queries.activity import ActivityFilter, Row, Span

PAGE = 200
"""Entries read at once, after the caller's key was looked at again."""

_COLUMNS = tuple(ActivityView.model_fields)


async def export(api: Api, request: web.Request) -> web.StreamResponse:
    """Activity as a file, oldest first: NDJSON, CSV or CloudEvents; its end proves it whole."""
    caller = await api.caller(request)
    asked = requests.query(request, a.ActivityExportQuery)
    moment = await moment_of(api, caller, asked, "activity")
    wanted = await filter_of(api, caller, asked, moment)
    kind = asked.format or _preferred(request)
    about = {
        "of": "activity",
        "company_id": caller.company_id,
        "as_of_position": moment.position,
        "occurred_at": timestamp(moment.occurred_at) if moment.occurred_at else None,
        "query": request.rel_url.raw_query_string,
        "with_keys": wanted.with_keys,
    }

    def last(told: Summary) -> bytes:
        match kind:
            case "csv":
                return last_csv(told, about, len(_COLUMNS))
            case "cloudevents":
                return as_ndjson(ended(caller.company_id, {**about, **asdict(told)}))
            case _:
                return last_ndjson(told, about)

    return await stream(
        request,
        media_type=CSV if kind == "csv" else NDJSON,
        filename=f"activity-{caller.company_id}-{moment.position}.{_ENDINGS[kind]}",
        header=as_csv(_COLUMNS) if kind == "csv" else b"",
        lines=_lines(api, request, caller, wanted, moment.position, kind),
        last=last,
        headers={"Ledger-Position": str(moment.position)},
    )


_ENDINGS: Mapping[str, str] = {
    "ndjson": "ndjson", "csv": "csv", "cloudevents": "cloudevents.ndjson",
}  # fmt: skip


def _preferred(request: web.Request) -> str:
    """The format that Accept would rather have, NDJSON where it does not care."""
    kinds = {NDJSON: "ndjson", "text/csv": "csv"}
    return kinds[preferred(request, tuple(kinds))]


async def _lines(
    api: Api,
    request: web.Request,
    caller: Caller,
    wanted: ActivityFilter,
    position: int,
    kind: str,
) -> AsyncGenerator[Line, None]:
    """Page after page, each in statements of its own, for as long as the key is good."""
    span = Span(before=position + 1)
    while True:
        await api.caller(request)
        rows = await api.queries.activity.page(caller.company_id, wanted, span, PAGE, newest=False)
        for line in await _page(api, caller.company_id, rows, kind):
            yield line
        if len(rows) < PAGE:
            return
        span = span.beyond(rows[-1]["position"], newest=False)


async def _page(api: Api, company_id: str, rows: Sequence[Row], kind: str) -> list[Line]:
    entries = [views.activity(row) for row in rows]
    positions = [entry["position"] for entry in entries]
    match kind:
        case "csv":
            texts = [as_csv(entry[name] for name in _COLUMNS) for entry in entries]
        case "cloudevents":
            traces = await api.queries.activity.traces(company_id, positions)
            texts = [
                as_ndjson(cloud_event(company_id, entry, traces.get(entry["position"])))
                for entry in entries
            ]
        case _:
            texts = [as_ndjson(entry) for entry in entries]
    return [Line(position, text) for position, text in zip(positions, texts, strict=True)]
