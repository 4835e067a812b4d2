"""What is around an issue, shown with it on request: its relatives, its people, its talk, its work.

Each list is the first page of the route of its own, and goes on there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from api import views
from api.answers import cursor_at
from api.auth import Caller
from api.context import Api
from ledger.actors import Actor
from ledger.errors import Invalid
from ledger.facts import is_id
from projections.comments import read_comment
from projections.directory import read_entry
from projections.issues import read_issue
from projections.links import read_link
from projections.queries import Row
from projections.runs import read_run

Json: TypeAlias = dict[str, Any]
FIRST = 50
"""How many of each list are shown."""


async def around(api: Api, caller: Caller, row: Row, words: list[str]) -> Json:
    """What is asked for of an issue's surroundings; raises Invalid for what there is not."""
    unknown = [word for word in words if word not in _PARTS]
    if unknown:
        raise Invalid(
            f"There is no {', '.join(unknown)} around an issue; choose from {', '.join(_PARTS)}.",
            pointer="/expand",
        )
    return {word: await _PARTS[word](api, caller.company_id, row) for word in words}


async def _ancestors(api: Api, company_id: str, row: Row) -> list[Json]:
    above = await api.queries.things.ancestors(company_id, row["issue_id"])
    return [views.issue(read_issue(one)) for one in above]


async def _sub_issues(api: Api, company_id: str, row: Row) -> Json:
    counts = await api.queries.things.sub_issue_counts(company_id, row["issue_id"])
    below = await api.queries.things.sub_issues(company_id, row["issue_id"], FIRST)
    return {
        "count": sum(counts.values()),
        "count_by_status": counts,
        "items": [views.issue(read_issue(one)) for one in below],
    }


async def _comments(api: Api, company_id: str, row: Row) -> Json:
    rows = await api.queries.things.comments(company_id, row["issue_id"], None, FIRST + 1)
    return _first(rows, lambda one: {**views.comment(read_comment(one)), "body": one["body"]})


async def _links(api: Api, company_id: str, row: Row) -> Json:
    rows = await api.queries.things.links(company_id, row["issue_id"], None, FIRST + 1)
    return _first(rows, lambda one: views.link(read_link(one)))


async def _runs(api: Api, company_id: str, row: Row) -> Json:
    rows = await api.queries.things.runs(company_id, row["issue_id"], None, FIRST + 1)
    return _first(rows, lambda one: views.run(read_run(one)))


async def _labels(api: Api, company_id: str, row: Row) -> list[Json]:
    ids = [str(label_id) for label_id in row["label_ids"]]
    found = await api.queries.things.entries_by_id(company_id, ids)
    return [views.entry(read_entry(found[label_id])) for label_id in ids]


async def _assignee(api: Api, company_id: str, row: Row) -> Json | None:
    """The entry of who is assigned; None for nobody, and for who is not in the directory."""
    actor = Actor.parse(row["assignee"]) if row["assignee"] else None
    return await _entry(api, company_id, actor.id if actor and is_id(actor.id) else None)


async def _budget(api: Api, company_id: str, row: Row) -> Json:
    found = await api.queries.things.issue_budget(company_id, row["issue_id"])
    assert found is not None
    return views.budget(found["limit_micros"], found["spent_micros"], None)


def _entry_named(column: str) -> Callable[[Api, str, Row], Awaitable[Json | None]]:
    async def named(api: Api, company_id: str, row: Row) -> Json | None:
        entry_id = row[column]
        return await _entry(api, company_id, None if entry_id is None else str(entry_id))

    return named


async def _entry(api: Api, company_id: str, entry_id: str | None) -> Json | None:
    found = await api.queries.things.entries_by_id(company_id, [entry_id] if entry_id else [])
    return views.entry(read_entry(found[entry_id])) if entry_id in found else None


def _first(rows: list[Row], show: Callable[[Row], Json]) -> Json:
    more = len(rows) > FIRST
    return {
        "items": [show(row) for row in rows[:FIRST]],
        "next_cursor": cursor_at(rows[FIRST - 1]["created_position"]) if more else None,
    }


_PARTS: Mapping[str, Callable[[Api, str, Row], Awaitable[Any]]] = {
    "ancestors": _ancestors,
    "sub_issues": _sub_issues,
    "comments": _comments,
    "links": _links,
    "runs": _runs,
    "labels": _labels,
    "assignee": _assignee,
    "team": _entry_named("team_id"),
    "project": _entry_named("project_id"),
    "goal": _entry_named("goal_id"),
    "milestone": _entry_named("milestone_id"),
    "budget": _budget,
}
