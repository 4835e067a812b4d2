"""Queries over HTTP: what each asks of the read models, and how it shows what it finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from aiohttp import web

from api import requests, views
from api import wire as w
from api.answers import as_json, next_link, one, page, position_of
from api.auth import Caller
from api.context import Api
from api.problems import Problem
from ledger.actors import Actor
from ledger.errors import Invalid
from ledger.facts import month_of
from ledger.ids import as_ref
from ledger.workflow import STATUSES
from projections.comments import read_comment
from projections.companies import read_company, read_key
from projections.directory import read_entry
from projections.issues import read_issue
from projections.leases import read_lease
from projections.links import read_link
from projections.queries import GROUPS, ActivityFilter, CostFilter, IssueFilter, Row
from projections.runs import read_run

_MOST_SUMS = 10_000


# ── one thing ──────────────────────────────────────────────────────────────────────────


async def me(api: Api, request: web.Request) -> web.Response:
    """Who this key is."""
    caller = await api.caller(request)
    requests.query(request, w.Nothing)
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
    requests.query(request, w.Nothing)
    row = await api.queries.company(caller.company_id)
    return one(request, row, lambda row: views.company(read_company(row)))


async def key(api: Api, request: web.Request) -> web.Response:
    """One API key."""
    caller = await _key_reader(api, request)
    asked = requests.query(request, w.KeyQuery)
    row = await api.queries.key_by_id(
        caller.company_id, request.match_info["key_id"].lower(), asked.revoked
    )
    return one(request, row, lambda row: views.key(read_key(row)))


def entry_of(kind: str) -> Callable[[Api, web.Request], Any]:
    """One entry of a kind."""

    async def entry(api: Api, request: web.Request) -> web.Response:
        caller = await api.caller(request)
        asked = requests.query(request, w.EntryQuery)
        ref = requests.about(request)[f"{kind}_id"]
        row = await api.queries.entry(caller.company_id, kind, ref, asked.archived)
        return one(request, row, lambda row: views.entry(read_entry(row)))

    return entry


async def issue(api: Api, request: web.Request) -> web.Response:
    """One issue, with its description."""
    caller = await api.caller(request)
    requests.query(request, w.Nothing)
    row = await api.queries.issue(caller.company_id, requests.about(request)["issue_id"])
    return one(
        request,
        row,
        lambda row: {**views.issue(read_issue(row)), "description": row["description"]},
    )


async def comment(api: Api, request: web.Request) -> web.Response:
    """One comment."""
    caller, issue_id = await _issue_of(api, request)
    row = await api.queries.comment(
        caller.company_id, issue_id, request.match_info["comment_id"].lower()
    )
    return one(request, row, _comment, versioned=False)


async def run(api: Api, request: web.Request) -> web.Response:
    """One run of an issue."""
    caller, issue_id = await _issue_of(api, request)
    row = await api.queries.run(caller.company_id, issue_id, request.match_info["run_id"].lower())
    return one(request, row, _run)


async def issue_budget(api: Api, request: web.Request) -> web.Response:
    """What the runs of an issue may spend, and what they did."""
    caller, issue_id = await _issue_of(api, request)
    row = await api.queries.issue_budget(caller.company_id, issue_id)
    return one(request, row, lambda row: _budget(row, None), versioned=False)


async def agent_budget(api: Api, request: web.Request) -> web.Response:
    """What an agent may spend in this calendar month, and what it did."""
    caller = await api.caller(request)
    requests.query(request, w.Nothing)
    agent_id = await _entry_id(api, caller, "agent", requests.about(request)["agent_id"])
    assert agent_id is not None
    row = await api.queries.agent_budget(caller.company_id, agent_id, _this_month())
    return one(request, row, lambda row: _budget(row, _this_month()), versioned=False)


async def company_budget(api: Api, request: web.Request) -> web.Response:
    """What the company may spend in this calendar month, and what it did."""
    caller = await api.caller(request)
    requests.query(request, w.Nothing)
    row = await api.queries.company_budget(caller.company_id, _this_month())
    return one(request, row, lambda row: _budget(row, _this_month()), versioned=False)


# ── pages ──────────────────────────────────────────────────────────────────────────────


async def keys(api: Api, request: web.Request) -> web.Response:
    """API keys, newest first."""
    caller = await _key_reader(api, request)
    asked = requests.query(request, w.KeysQuery)
    as_of = await api.queries.head(caller.company_id)
    rows = await api.queries.keys(
        caller.company_id, position_of(asked), asked.limit + 1, asked.revoked
    )
    return page(request, asked, as_of, rows, lambda row: views.key(read_key(row)))


def entries_of(kind: str) -> Callable[[Api, web.Request], Any]:
    """Entries of a kind, newest first."""

    async def entries(api: Api, request: web.Request) -> web.Response:
        caller = await api.caller(request)
        asked = requests.query(request, w.EntriesQuery)
        as_of = await api.queries.head(caller.company_id)
        rows = await api.queries.entries(
            caller.company_id, kind, position_of(asked), asked.limit + 1, asked.archived
        )
        return page(request, asked, as_of, rows, lambda row: views.entry(read_entry(row)))

    return entries


async def issues(api: Api, request: web.Request) -> web.Response:
    """Issues, newest first."""
    caller = await api.caller(request)
    asked = requests.query(request, w.IssuesQuery)
    as_of = await api.queries.head(caller.company_id)
    wanted = await _issue_filter(api, caller, asked)
    rows = await api.queries.issues(caller.company_id, wanted, position_of(asked), asked.limit + 1)
    return page(request, asked, as_of, rows, lambda row: views.issue(read_issue(row)))


async def comments(api: Api, request: web.Request) -> web.Response:
    """An issue's comments, oldest first."""
    caller, issue_id = await _issue_of(api, request, w.PageQuery)
    asked = requests.query(request, w.PageQuery)
    as_of = await api.queries.head(caller.company_id)
    rows = await api.queries.comments(
        caller.company_id, issue_id, position_of(asked), asked.limit + 1
    )
    return page(request, asked, as_of, rows, _comment)


async def links(api: Api, request: web.Request) -> web.Response:
    """An issue's links, from either end, oldest first."""
    caller, issue_id = await _issue_of(api, request, w.PageQuery)
    asked = requests.query(request, w.PageQuery)
    as_of = await api.queries.head(caller.company_id)
    rows = await api.queries.links(caller.company_id, issue_id, position_of(asked), asked.limit + 1)
    return page(request, asked, as_of, rows, lambda row: views.link(read_link(row)))


async def runs(api: Api, request: web.Request) -> web.Response:
    """An issue's runs, newest first."""
    caller, issue_id = await _issue_of(api, request, w.PageQuery)
    asked = requests.query(request, w.PageQuery)
    as_of = await api.queries.head(caller.company_id)
    rows = await api.queries.runs(caller.company_id, issue_id, position_of(asked), asked.limit + 1)
    return page(request, asked, as_of, rows, lambda row: views.run(read_run(row)))


async def leases(api: Api, request: web.Request) -> web.Response:
    """The leases of a run, oldest first."""
    caller, issue_id = await _issue_of(api, request, w.PageQuery)
    asked = requests.query(request, w.PageQuery)
    run_id = request.match_info["run_id"].lower()
    run = await api.queries.run(caller.company_id, issue_id, run_id)
    if run is None:
        raise Problem(404, "not_found", f"There is no run {run_id!r} here.")
    as_of = await api.queries.head(caller.company_id)
    rows = await api.queries.leases(caller.company_id, run_id, position_of(asked), asked.limit + 1)
    return page(
        request, asked, as_of, rows, lambda row: views.lease(read_lease(row)), by="fencing_token"
    )


async def activity(api: Api, request: web.Request) -> web.Response:
    """Activity, newest first."""
    caller = await api.caller(request)
    asked = requests.query(request, w.ActivityQuery)
    as_of = await _reached(api, caller, "activity", asked.consistency)
    wanted = ActivityFilter(
        issue_id=await _issue_in_history(api, caller, asked.issue_id),
        actor=await _actor(api, caller, asked.actor, "/actor"),
        run_id=asked.run_id,
        types=_words(asked.type),
        since=asked.since,
        until=asked.until,
        with_keys=caller.role.sees_keys,
    )
    rows = await api.queries.activity(
        caller.company_id, wanted, position_of(asked), asked.limit + 1
    )
    return page(request, asked, as_of, rows, views.activity, by="position")


async def costs(api: Api, request: web.Request) -> web.Response:
    """Cost reports, newest first."""
    caller = await api.caller(request)
    asked = requests.query(request, w.CostsQuery)
    as_of = await _reached(api, caller, "costs", asked.consistency)
    wanted = await _cost_filter(api, caller, asked)
    rows = await api.queries.cost_entries(
        caller.company_id, wanted, position_of(asked), asked.limit + 1
    )
    return page(request, asked, as_of, rows, views.cost_entry, by="position")


async def cost_sums(api: Api, request: web.Request) -> web.Response:
    """Costs, summed by any of day, agent, project, issue, provider and model."""
    caller = await api.caller(request)
    asked = requests.query(request, w.CostSumsQuery)
    groups = _words(asked.group_by) or []
    unknown = [name for name in groups if name not in GROUPS]
    if unknown:
        raise Invalid(
            f"Costs are summed by {', '.join(GROUPS)}, not by {', '.join(unknown)}.",
            pointer="/group_by",
        )
    as_of = await _reached(api, caller, "costs", asked.consistency)
    wanted = await _cost_filter(api, caller, asked)
    rows = await api.queries.cost_sums(caller.company_id, wanted, groups, _MOST_SUMS + 1)
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


async def events(api: Api, request: web.Request) -> web.Response:
    """The log itself, oldest first, after a position."""
    caller = await api.caller(request)
    asked = requests.query(request, w.EventsQuery)
    as_of = await api.queries.head(caller.company_id)
    stream_id = await _issue_in_history(api, caller, asked.issue_id)
    after = max(asked.after, asked.cursor)
    stored = await api.queries.events(
        caller.company_id,
        after,
        asked.limit + 1,
        stream_id,
        _words(asked.type),
        with_keys=caller.role.sees_keys,
    )
    shown, more = stored[: asked.limit], len(stored) > asked.limit
    cursor = str(shown[-1].recorded.position) if more else None
    body = {
        "items": [views.event(item) for item in shown],
        "next_cursor": cursor,
        "as_of_position": as_of,
    }
    link = {"cursor": cursor} if cursor else None
    return as_json(body, position=as_of, headers=next_link(request, link))


# ── helpers ────────────────────────────────────────────────────────────────────────────


async def _key_reader(api: Api, request: web.Request) -> Caller:
    caller = await api.caller(request)
    if not caller.role.sees_keys:
        raise Problem(
            403, "forbidden", f"The role {caller.role} does not see API keys.",
            role=str(caller.role),
        )  # fmt: skip
    return caller


async def _issue_of(
    api: Api, request: web.Request, model: type[w.Wire] = w.Nothing
) -> tuple[Caller, str]:
    caller = await api.caller(request)
    requests.query(request, model)
    issue_id = await _issue_id(api, caller, requests.about(request)["issue_id"])
    assert issue_id is not None
    return caller, issue_id


async def _issue_in_history(api: Api, caller: Caller, ref: str | None) -> str | None:
    """The id of an issue, deleted or not, that a query names; raises a 404 Problem."""
    if ref is None:
        return None
    issue_id = await api.queries.issue_ever(caller.company_id, ref)
    if issue_id is None:
        raise Problem(404, "not_found", f"There is no issue {ref!r} in this company.")
    return issue_id


async def _issue_id(api: Api, caller: Caller, ref: str | None) -> str | None:
    """The id of an issue that a query names; raises a 404 Problem."""
    if ref is None:
        return None
    row = await api.queries.issue(caller.company_id, ref)
    if row is None:
        raise Problem(404, "not_found", f"There is no issue {ref!r} in this company.")
    return str(row["issue_id"])


async def _entry_id(api: Api, caller: Caller, kind: str, ref: str | None) -> str | None:
    """The id of an entry that a query names, an archived one too; raises a 404 Problem."""
    if ref is None:
        return None
    row = await api.queries.entry(caller.company_id, kind, ref, archived=True)
    if row is None:
        raise Problem(404, "not_found", f"There is no {kind} {ref!r} in this company.")
    return str(row["entry_id"])


async def _issue_filter(api: Api, caller: Caller, asked: w.IssuesQuery) -> IssueFilter:
    system, _, external_id = (asked.external_ref or "").partition(":")
    parent = asked.parent_id
    return IssueFilter(
        statuses=_known_words(asked.status, STATUSES, "status"),
        priorities=_known_words(
            asked.priority, ("none", "low", "medium", "high", "urgent"), "priority"
        ),
        assignee=await _assignee(api, caller, asked.assignee),
        team_id=await _entry_id(api, caller, "team", asked.team_id),
        project_id=await _entry_id(api, caller, "project", asked.project_id),
        goal_id=await _entry_id(api, caller, "goal", asked.goal_id),
        milestone_id=await _entry_id(api, caller, "milestone", asked.milestone_id),
        parent_id=parent if parent == "none" else await _issue_id(api, caller, parent),
        label_id=await _entry_id(api, caller, "label", asked.label),
        external_system=system or None,
        external_id=external_id or None,
    )


async def _cost_filter(
    api: Api, caller: Caller, asked: w.CostsQuery | w.CostSumsQuery
) -> CostFilter:
    return CostFilter(
        issue_id=await _issue_in_history(api, caller, asked.issue_id),
        agent_id=await _agent_id(api, caller, asked.agent_id),
        project_id=await _entry_id(api, caller, "project", asked.project_id),
        provider=asked.provider,
        model=asked.model,
        since=asked.since,
        until=asked.until,
    )


async def _reached(api: Api, caller: Caller, model: str, consistency: w.Consistency) -> int:
    """The position that a following model answers as of."""
    if consistency == "eventual":
        return await api.queries.position(caller.company_id, model)
    return await api.queries.wait_for(caller.company_id, model)


def _run(row: Row) -> dict[str, Any]:
    kept = row["checkpoint"]
    return {**views.run(read_run(row)), "checkpoint": None if kept is None else orjson.loads(kept)}


def _budget(row: Row, month: str | None) -> dict[str, Any]:
    shown = views.budget(row["limit_micros"], row["spent_micros"], month)
    return {**shown, "as_of_position": row["as_of_position"]}


def _this_month() -> str:
    return month_of(datetime.now(UTC))


def _comment(row: Row) -> dict[str, Any]:
    return {**views.comment(read_comment(row)), "body": row["body"]}


def _words(text: str | None) -> list[str] | None:
    words = [word.strip() for word in (text or "").split(",") if word.strip()]
    return words or None


def _known_words(text: str | None, known: Sequence[str], name: str) -> list[str] | None:
    words = _words(text)
    unknown = [word for word in words or [] if word not in known]
    if unknown:
        raise Invalid(
            f"There is no {name} {', '.join(unknown)}; choose from {', '.join(known)}.",
            pointer=f"/{name}",
        )
    return words


async def _assignee(api: Api, caller: Caller, text: str | None) -> str | None:
    return text if text in (None, "none") else await _actor(api, caller, text, "/assignee")


async def _actor(api: Api, caller: Caller, text: str | None, pointer: str) -> str | None:
    """The actor that a filter means, by id or slug; raises Invalid for what is none."""
    if text is None:
        return None
    try:
        actor = Actor.parse(text)
    except Invalid as error:
        raise Invalid(error.message, pointer=pointer) from None
    if actor.type == "system":
        return str(actor)
    row = await api.queries.entry(caller.company_id, actor.type, as_ref(actor.id), archived=True)
    return str(actor._replace(id=str(row["entry_id"]))) if row else str(actor)


async def _agent_id(api: Api, caller: Caller, ref: str | None) -> str | None:
    actor = await _actor(api, caller, None if ref is None else f"agent:{ref}", "/agent_id")
    return None if actor is None else Actor.parse(actor).id
