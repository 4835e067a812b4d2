"""How queries answer: one thing with its version, or a page of things with a cursor.

A page asks for one row more than it shows, and its cursor is the position of the last row
shown, so rows that come or go meanwhile neither repeat nor hide others.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from aiohttp import web

from api import asked as a
from api import requests
from api.problems import Problem
from ledger.codec import MAX_INT
from ledger.errors import Invalid
from projections.queries import Row

Show = Callable[[Row], dict[str, Any]]


def one(
    request: web.Request, row: Row | None, show: Show, *, versioned: bool = True
) -> web.Response:
    """One thing, or 304 when the caller has this version; raises a 404 Problem for None."""
    if row is None:
        name = list(request.match_info.values())[-1]
        raise Problem(404, "not_found", f"There is no {name!r} here.")
    headers = {}
    if versioned:
        headers["ETag"] = f'"{row["version"]}"'
        if requests.unless_changed(request, row["version"]):
            headers["Ledger-Position"] = str(row["as_of_position"])
            return web.Response(status=304, headers=headers)
    return as_json(show(row), position=row["as_of_position"], headers=headers)


def page(
    request: web.Request,
    asked: a.PageQuery,
    as_of: int,
    rows: Sequence[Row],
    show: Show,
    *,
    by: str = "created_position",
) -> web.Response:
    """A page of `asked.limit` rows, of which one more was asked for; `by` orders them."""
    shown = rows[: asked.limit]
    cursor = cursor_at(shown[-1][by]) if len(rows) > asked.limit else None
    body = {
        "items": [show(row) for row in shown],
        "next_cursor": cursor,
        "as_of_position": as_of,
    }
    link = {"cursor": cursor} if cursor else None
    return as_json(body, position=as_of, headers=next_link(request, link))


def next_link(request: web.Request, changed: dict[str, str] | None) -> dict[str, str]:
    """The header that leads to the next page, if there is one."""
    if changed is None:
        return {}
    return {"Link": f'<{request.rel_url.update_query(changed)}>; rel="next"'}


def cursor_at(position: int) -> str:
    """The cursor that leads on from a position."""
    return base64.urlsafe_b64encode(f"p{position}".encode()).decode().rstrip("=")


def position_of(asked: a.PageQuery) -> int | None:
    """The position that a cursor names; raises Invalid for one that was not ours."""
    if asked.cursor is None:
        return None
    try:
        padded = asked.cursor + "=" * (-len(asked.cursor) % 4)
        text = base64.urlsafe_b64decode(padded.encode()).decode()
        position = int(text.removeprefix("p"))
    except (binascii.Error, ValueError):
        position = -1
    if not 0 <= position <= MAX_INT or cursor_at(position) != asked.cursor:
        raise Invalid("This cursor is not one that a list gave out.", pointer="/cursor")
    return position


def as_json(
    body: Any, *, position: int | None = None, headers: dict[str, str] | None = None
) -> web.Response:
    """A body as JSON, and the position of the log that it is as of."""
    shown = dict(headers or {})
    if position is not None:
        shown["Ledger-Position"] = str(position)
    return web.Response(body=orjson.dumps(body), content_type="application/json", headers=shown)
