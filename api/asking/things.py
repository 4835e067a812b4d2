"""Over HTTP: one thing as it is now, and the things of one thing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from api import asked as a
from api import requests, views
from api.answers import as_json, one, page, position_of
from api.asking.naming import issue_of, key_reader
from api.context import Api
from api.problems import Problem
from api.wire import Nothing
from projections.comments import read_comment
from projections.companies import read_company, read_key
from projections.directory import read_entry
from projections.leases import read_lease
from projections.links import read_link
from projections.queries import Row
from projections.runs import read_run


async def me(api: Api, request: web.Request) -> web.Response:
    """Who this key is."""
    caller = await api.caller(request)
    requests.query(request, Nothing)
    return as_json(
        {
            "company_id": caller.company_id,
            "key_id": caller.key_id,
            "actor": str(caller.actor),
            "role": str(caller.role),
        }
    )


async def company(api: Api, request: web.Request) -> web.Response:
    """The company."""
    caller = await api.caller(request)
    requests.query(request, Nothing)
    row = await api.queries.things.company(caller.company_id)
    return one(request, row, lambda row: views.company(read_company(row)))


async def key(api: Api, request: web.Request) -> web.Response:
    """One API key."""
    caller = await key_reader(api, request)
    asked = requests.query(request, a.KeyQuery)
    row = await api.queries.things.key_by_id(
        caller.company_id, request.match_info["key_id"].lower(), asked.revoked
    )
    return one(request, row, lambda row: views.key(read_key(row)))


def entry_of(kind: str) -> Callable[[Api, web.Request], Any]:
    """One entry of a kind."""

    async def entry(api: Api, request: web.Request) -> web.Response:
        caller = await api.caller(request)
        asked = requests.query(request, a.EntryQuery)
        ref = requests.about(request)[f"{kind}_id"]
        row = await api.queries.things.entry(caller.company_id, kind, ref, asked.archived)
        return one(request, row, lambda row: views.entry(read_entry(row)))

    return entry


async def comment(api: Api, request: web.Request) -> web.Response:
    """One comment."""
    caller, issue_id = await issue_of(api, request)
    row = await api.queries.things.comment(
        caller.company_id, issue_id, request.match_info["comment_id"].lower()
    )
    return one(request, row, _comment, versioned=False)


async def run(api: Api, request: web.Request) -> web.Response:
    """One run of an issue."""
    caller, issue_id = await issue_of(api, request)
    row = await api.queries.things.run(
        caller.company_id, issue_id, request.match_info["run_id"].lower()
    )
    return one(request, row, _run)


async def keys(api: Api, request: web.Request) -> web.Response:
    """API keys, newest first."""
    caller = await key_reader(api, request)
    asked = requests.query(request, a.KeysQuery)
    as_of = await api.queries.freshness.head(caller.company_id)
    rows = await api.queries.things.keys(
        caller.company_id, position_of(asked), asked.limit + 1, asked.revoked
    )
    return page(request, asked, as_of, rows, lambda row: views.key(read_key(row)))


def entries_of(kind: str) -> Callable[[Api, web.Request], Any]:
    """Entries of a kind, newest first."""

    async def entries(api: Api, request: web.Request) -> web.Response:
        caller = await api.caller(request)
        asked = requests.query(request, a.EntriesQuery)
        as_of = await api.queries.freshness.head(caller.company_id)
        rows = await api.queries.things.entries(
            caller.company_id, kind, position_of(asked), asked.limit + 1, asked.archived
        )
        return page(request, asked, as_of, rows, lambda row: views.entry(read_entry(row)))

    return entries


async def comments(api: Api, request: web.Request) -> web.Response:
    """An issue's comments, oldest first."""
    caller, issue_id = await issue_of(api, request, a.PageQuery)
    asked = requests.query(request, a.PageQuery)
    as_of = await api.queries.freshness.head(caller.company_id)
    rows = await api.queries.things.comments(
        caller.company_id, issue_id, position_of(asked), asked.limit + 1
    )
    return page(request, asked, as_of, rows, _comment)


async def links(api: Api, request: web.Request) -> web.Response:
    """An issue's links, from either end, oldest first."""
    caller, issue_id = await issue_of(api, request, a.PageQuery)
    asked = requests.query(request, a.PageQuery)
    as_of = await api.queries.freshness.head(caller.company_id)
    rows = await api.queries.things.links(
        caller.company_id, issue_id, position_of(asked), asked.limit + 1
    )
    return page(request, asked, as_of, rows, lambda row: views.link(read_link(row)))


async def runs(api: Api, request: web.Request) -> web.Response:
    """An issue's runs, newest first."""
    caller, issue_id = await issue_of(api, request, a.PageQuery)
    asked = requests.query(request, a.PageQuery)
    as_of = await api.queries.freshness.head(caller.company_id)
    rows = await api.queries.things.runs(
        caller.company_id, issue_id, position_of(asked), asked.limit + 1
    )
    return page(request, asked, as_of, rows, lambda row: views.run(read_run(row)))


async def leases(api: Api, request: web.Request) -> web.Response:
    """The leases of a run, oldest first."""
    caller, issue_id = await issue_of(api, request, a.PageQuery)
    asked = requests.query(request, a.PageQuery)
    run_id = request.match_info["run_id"].lower()
    run = await api.queries.things.run(caller.company_id, issue_id, run_id)
    if run is None:
        raise Problem(404, "not_found", f"There is no run {run_id!r} here.")
    as_of = await api.queries.freshness.head(caller.company_id)
    rows = await api.queries.things.leases(
        caller.company_id, run_id, position_of(asked), asked.limit + 1
    )
    return page(
        request, asked, as_of, rows, lambda row: views.lease(read_lease(row)), by="fencing_token"
    )


def _run(row: Row) -> dict[str, Any]:
    kept = row["checkpoint"]
    return {**views.run(read_run(row)), "checkpoint": None if kept is None else orjson.loads(kept)}


def _comment(row: Row) -> dict[str, Any]:
    return {**views.comment(read_comment(row)), "body": row["body"]}
