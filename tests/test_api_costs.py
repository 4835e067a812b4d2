"""What analysts ask of costs, over HTTP: sums of anything at any time, rework, finished issues.

That the numbers are right whatever happened is `test_costs_differential.py`'s to say; here is what
each question is like, and what it refuses.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ledger.actors import Role
from ledger.ids import new_id
from tests.client import Client, Reply
from tests.conftest import NewClient
from tests.tour import World, cost, fill

TODAY = "%Y-%m-%d"


@pytest.fixture
async def world(owner: Client) -> World:
    """One of everything; a run of the agent that reported 3 micro-dollars."""
    return await fill(owner)


def run_path(world: World) -> str:
    """Where the costs of the world's run are reported."""
    return f"issues/{world['issue']}/runs/{world['run']}/costs"


async def report(owner: Client, world: World, **used: Any) -> int:
    """Reports costs of the world's run; returns the position of the report."""
    reply = await owner.post(run_path(world), cost(**used))
    assert reply.status == 201, reply
    return int(reply.headers["Ledger-Position"])


async def correct(owner: Client, world: World, position: int, **amounts: Any) -> Reply:
    """Corrects what the world's run reported."""
    said = {"corrects_position": position, "reason": "Counted twice.", **amounts}
    return await owner.post(f"{run_path(world)}/correct", said)


async def sums(owner: Client, query: str = "") -> list[dict[str, Any]]:
    """The sums that a query asks for."""
    reply = await owner.get(f"costs/sums?{query}")
    assert reply.status == 200, reply
    assert reply.headers["Ledger-Position"] == str(reply.json["as_of_position"])
    items: list[dict[str, Any]] = reply.json["items"]
    return items


async def total(owner: Client, query: str = "") -> dict[str, int]:
    """All costs in one sum; nothing for none."""
    found = await sums(owner, query)
    return found[0] if found else dict.fromkeys(("reports", "cost_micros", "rework_micros"), 0)


def quoted(at: datetime | str) -> str:
    """A time as a query takes it."""
    text = at if isinstance(at, str) else at.isoformat()
    return text.replace("+", "%2B")


# ── groups, filters, intervals ─────────────────────────────────────────────────────────


async def test_costs_are_summed_by_team_and_run_too(owner: Client, world: World) -> None:
    """The team is the issue's at the time of the report; moving the issue moves no costs."""
    other = (await owner.post("teams", {"name": "Other", "slug": "other"})).json["id"]
    edited = await owner.patch(f"issues/{world['issue']}", {"team_id": other})
    assert edited.status == 200
    await report(owner, world, cost_micros=40)

    by_team = {item["team_id"]: item["cost_micros"] for item in await sums(owner, "group_by=team")}
    assert by_team == {world["team"]: 3, other: 40}
    by_run = await sums(owner, "group_by=run,issue")
    assert [(item["run_id"], item["issue_id"]) for item in by_run] == [
        (world["run"], world["issue"])
    ]
    for query, micros in {
        f"team_id={other}": 40,
        "team_id=here-team": 3,
        f"run_id={world['run']}": 43,
        f"run_id={new_id()}": 0,
        f"run_id={world['run']}&team_id=other": 40,
        "issue_id=her-1&model=claude": 43,
    }.items():
        assert (await total(owner, query))["cost_micros"] == micros, query
        listed = (await owner.get(f"costs?{query}")).json["items"]
        assert sum(item["cost_micros"] for item in listed) == micros, query


async def test_a_series_is_told_by_day_week_or_month(owner: Client, world: World) -> None:
    """What a `day` stands for is the first day of it."""
    today = datetime.now(UTC).date()
    firsts = {
        "day": today,
        "week": today - timedelta(days=today.weekday()),
        "month": today.replace(day=1),
    }
    for interval, first in firsts.items():
        for groups in ("day", "day,issue"):
            found = await sums(owner, f"group_by={groups}&interval={interval}")
            assert [item["day"] for item in found] == [first.isoformat()]
    assert (await owner.get("costs/sums?group_by=day&interval=hour")).status == 422


@pytest.mark.parametrize(
    "query", ["group_by=colour", "group_by=day,issue_id", "team=x", "run_id=x"]
)
async def test_what_there_is_not_to_sum_by_is_a_422(owner: Client, query: str) -> None:
    """Said clearly."""
    assert (await owner.get(f"costs/sums?{query}")).status == 422


# ── as of when ─────────────────────────────────────────────────────────────────────────


async def test_sums_and_reports_are_as_they_were(owner: Client, world: World) -> None:
    """By position and by time, of what is coarse and of what is fine, list and sums alike."""
    first = await report(owner, world, cost_micros=40)
    at = (await owner.get("costs?limit=1")).json["items"][0]["at"]
    await report(owner, world, cost_micros=500)
    assert (await correct(owner, world, first, cost_micros=20)).status == 200

    for query in ("", "group_by=issue", "group_by=run,day", "group_by=team,model"):
        for moment, micros in {
            "": 523,
            f"at_position={first}": 43,
            f"at_position={first - 1}": 3,
            f"at={quoted(at)}": 43,
            f"occurred_at={quoted(at)}": 43,
            "at_position=0": 0,
        }.items():
            found = await sums(owner, f"{query}&{moment}")
            assert sum(item["cost_micros"] for item in found) == micros, (query, moment)
    reply = await owner.get(f"costs/sums?at_position={first}")
    assert reply.json["as_of_position"] == first
    listed = await owner.get(f"costs?at_position={first}")
    assert [item["cost_micros"] for item in listed.json["items"]] == [40, 3]
    assert listed.json["as_of_position"] == first


@pytest.mark.parametrize(
    "path",
    ["costs", "costs/sums", "costs/export", "costs/finished", "costs/budgets", "budget"],
)
async def test_a_moment_that_is_none_is_a_422(owner: Client, path: str) -> None:
    """Two at once, or one that is still to come."""
    for query in ("at_position=999999", "at_position=1&at=2026-01-01T00:00:00Z", "at=yesterday"):
        assert (await owner.get(f"{path}?{query}")).status == 422, query


# ── corrections ────────────────────────────────────────────────────────────────────────


async def test_a_correction_is_an_entry_with_the_difference(owner: Client, world: World) -> None:
    """On the day of its report; the sums, the run and the budgets are right from then on."""
    position = await report(owner, world, cost_micros=40, output_tokens=9)
    reply = await correct(owner, world, position, cost_micros=25, output_tokens=10)
    assert reply.status == 200
    assert (reply.json["id"], reply.json["cost_micros"]) == (world["run"], 28)
    assert "ETag" in reply.headers

    newest, its_report, _ = (await owner.get("costs")).json["items"]
    assert (newest["corrects_position"], its_report["corrects_position"]) == (position, None)
    assert (newest["cost_micros"], newest["output_tokens"], newest["input_tokens"]) == (-15, 1, 0)
    assert newest["day"] == its_report["day"]
    assert await total(owner) == {
        "reports": 2, "input_tokens": 14, "output_tokens": 10, "cached_tokens": 0,
        "cost_micros": 28, "rework_micros": 0,
    }  # fmt: skip
    assert (await owner.get("budget")).json["spent_micros"] == 28
    told = (await owner.get("activity?type=run.cost_corrected")).json["items"][0]
    assert "from 0.000040 USD to 0.000025 USD (Counted twice.)" in told["sentence"]
    assert {"field": "cost_micros", "from": 40, "to": 25} in told["changes"]
    assert {"field": "input_tokens"} not in [{"field": one["field"]} for one in told["changes"]]


async def test_who_corrects_and_what(
    owner: Client, new_client: NewClient, company: str, world: World
) -> None:
    """The agent its own run's; a report of that run; with a reason, and amounts that may be."""
    mine = await new_client(company, Role.AGENT, f"agent:{world['agent']}")
    others = await new_client(company, Role.AGENT, "agent:other")
    viewer = await new_client(company, Role.VIEWER, "user:eve")
    position = world.report
    assert (await correct(mine, world, position, cost_micros=4)).status == 200
    assert (await correct(others, world, position, cost_micros=5)).status == 403
    assert (await correct(viewer, world, position, cost_micros=5)).status == 403
    for at in (position + 1, 1, 10**9):
        refused = await correct(owner, world, at, cost_micros=5)
        assert (refused.status, refused.json["code"]) == (404, "not_found")
    wrongs: list[dict[str, Any]] = [
        {"cost_micros": -1}, {"reason": " "}, {"tokens": 1}, {"corrects_position": 0},
    ]  # fmt: skip
    for wrong in wrongs:
        refused = await correct(owner, world, **{"position": position, **wrong})
        assert refused.status == 422, wrong
    listed = {
        "type": "correct_cost", "issue_id": world["issue"], "run_id": world["run"],
        "corrects_position": position, "cost_micros": 6, "reason": "In a list.",
    }  # fmt: skip
    outcome = (await owner.post("commands", listed)).json["outcomes"][0]
    assert (outcome["status"], outcome["resource"]["cost_micros"]) == (200, 6)


# ── rework ─────────────────────────────────────────────────────────────────────────────

_ENDS: Mapping[str, tuple[str, dict[str, Any], bool]] = {
    "finished": ("runs/{run}/finish", {"exit_reason": "failed"}, False),
    "submitted": ("submit", {}, False),
    "cancelled": ("cancel", {}, False),
    "failed": ("runs/{run}/fail", {"exit_reason": "out of context"}, True),
    "failed for good": ("runs/{run}/fail", {"retry": False}, True),
    "released": ("release", {}, True),
    "reassigned": ("reassign", {"user_id": "USER"}, True),
    "put back": ("transition", {"status": "todo"}, True),
}


@pytest.mark.parametrize("end", _ENDS)
async def test_rework_is_what_runs_cost_whose_work_is_undone(
    owner: Client, world: World, end: str
) -> None:
    """From the run's end on, and whatever is told of it later; before, nobody could know."""
    path, body, is_rework = _ENDS[end]
    body = {name: world["user"] if value == "USER" else value for name, value in body.items()}
    path = path.format(run=world["run"])
    before = await report(owner, world, cost_micros=40)
    ended = await owner.post(f"issues/{world['issue']}/{path}", body)
    assert ended.status == 200, ended
    await report(owner, world, cost_micros=500)
    await correct(owner, world, before, cost_micros=50)

    rework = 553 if is_rework else 0
    for query in ("", "group_by=agent,day", "group_by=issue", f"run_id={world['run']}"):
        (item,) = await sums(owner, query)
        assert (item["cost_micros"], item["rework_micros"]) == (553, rework), query
    (item,) = await sums(owner, f"at_position={before}")
    assert (item["cost_micros"], item["rework_micros"]) == (43, 0)
    (item,) = await sums(owner, f"at_position={ended.headers['Ledger-Position']}")
    assert (item["cost_micros"], item["rework_micros"]) == (43, 43 if is_rework else 0)


# ── finished issues ────────────────────────────────────────────────────────────────────


async def finished(owner: Client, query: str = "") -> list[dict[str, Any]]:
    """What finished issues cost."""
    reply = await owner.get(f"costs/finished?{query}")
    assert reply.status == 200, reply
    items: list[dict[str, Any]] = reply.json["items"]
    return items


async def spend_and_finish(owner: Client, world: World, *micros: int, fails: bool = False) -> str:
    """An issue of the world's project that runs of its agent worked on; all but the last failed."""
    issue = (await owner.post("issues", {"title": "Work", "project_id": world["project"]})).json
    path = f"issues/{issue['id']}"
    for n, spent in enumerate(micros):
        taken = await owner.post(f"{path}/checkout", {"agent_id": world["agent"]})
        run = f"{path}/runs/{taken.json['run_id']}"
        await owner.post(f"{run}/costs", cost(cost_micros=spent))
        last = n == len(micros) - 1 and not fails
        assert (await owner.post(f"{run}/{'finish' if last else 'fail'}", {})).status == 200
    return str(issue["id"])


async def test_what_a_finished_issue_costs(owner: Client, world: World) -> None:
    """Number, total, mean and median, rework apart; open issues and failed ones do not count."""
    for micros in ((10,), (20, 30), (100,)):
        await spend_and_finish(owner, world, *micros)
    await spend_and_finish(owner, world, 1000, fails=True)

    (all_of_them,) = await finished(owner)
    assert all_of_them == {
        "issues": 4, "cost_micros": 160, "mean_micros": 40, "median_micros": 30,
        "rework_micros": 20, "mean_rework_micros": 5,
    }  # fmt: skip
    today = datetime.now(UTC).date()
    for group, keys in {
        "agent": {world["agent"]: 3, None: 1},
        "project": {world["project"]: 3, None: 1},
        "team": {None: 4},
        "day": {today.isoformat(): 4},
        "month": {today.strftime("%Y-%m"): 4},
    }.items():
        name = f"{group}_id" if group in ("agent", "project", "team") else group
        found = {item[name]: item["issues"] for item in await finished(owner, f"group_by={group}")}
        assert found == keys, group
    for query, issues in {
        f"agent_id={world['agent']}": 3,
        "project_id=here-project": 3,
        f"team_id={world['team']}": 0,
        f"since={today + timedelta(days=1)}": 0,
        f"since={today}&until={today}": 4,
        "until=2020-01-01": 0,
    }.items():
        items = await finished(owner, query)
        assert sum(item["issues"] for item in items) == issues, query
    assert (await owner.get("costs/finished?group_by=model")).status == 422


async def test_an_issue_that_is_reopened_is_not_finished(owner: Client, world: World) -> None:
    """Until it is done again; closing what is done does not finish it a second time."""
    issue = await spend_and_finish(owner, world, 10)
    assert (await finished(owner, "group_by=project"))[0]["issues"] == 1
    assert (await owner.post(f"issues/{issue}/reopen", {})).status == 200
    assert [item["project_id"] for item in await finished(owner, "group_by=project")] == [None]
    assert (await owner.post(f"issues/{issue}/transition", {"status": "in_progress"})).status == 200
    assert (await owner.post(f"issues/{issue}/transition", {"status": "done"})).status == 200
    assert (await owner.post(f"issues/{issue}/close", {"force": True})).status == 200
    by_project = {item["project_id"]: item for item in await finished(owner, "group_by=project")}
    assert by_project[world["project"]]["issues"] == 1
    assert by_project[world["project"]]["cost_micros"] == 10


async def test_finished_issues_are_as_they_were(owner: Client, world: World) -> None:
    """With the project, the costs and the rework of then, be they reopened or moved since."""
    issue = await spend_and_finish(owner, world, 20, 30)
    then = (await owner.get("costs?limit=1")).json
    position, at = then["as_of_position"], then["items"][0]["at"]
    here = {"project_id": world["project"], "issues": 1, "cost_micros": 50, "rework_micros": 20}
    before = await finished(owner, f"group_by=project&at_position={position}")
    assert [{name: item[name] for name in here} for item in before if item["project_id"]] == [here]

    run = (await owner.get(f"issues/{issue}/runs?limit=1")).json["items"][0]["id"]
    told = await owner.post(f"issues/{issue}/runs/{run}/costs", cost(cost_micros=400))
    assert told.status == 201
    assert (await owner.post(f"issues/{issue}/reopen", {})).status == 200
    assert (await owner.patch(f"issues/{issue}", {"project_id": None})).status == 200
    assert (
        await owner.post(f"issues/{issue}/checkout", {"agent_id": world["agent"]})
    ).status == 200

    assert await finished(owner, f"group_by=project&at_position={position}") == before
    reply = await owner.get(f"costs/finished?at_position={position}&project_id={world['project']}")
    assert reply.json["as_of_position"] == int(reply.headers["Ledger-Position"]) == position
    assert [item["issues"] for item in reply.json["items"]] == [1]
    (by_now,) = await finished(owner, f"project_id={world['project']}")
    assert by_now["issues"] == 0
    for moment in (f"at={quoted(at)}", f"occurred_at={quoted(at)}"):
        found = await finished(owner, f"group_by=agent&{moment}")
        assert world["agent"] not in [item["agent_id"] for item in found]  # it was still at work


@pytest.mark.parametrize("moment", ["", "&at_position=0", "&occurred_at=2001-01-01T00:00:00Z"])
async def test_a_total_of_nothing_is_zero(owner: Client, world: World, moment: str) -> None:
    """One row without a group; by a group, there is nothing to tell of."""
    for path, groups in (("sums", "day"), ("finished", "day")):
        nothing = f"costs/{path}?until=2001-01-01{moment}"
        (row,) = (await owner.get(nothing)).json["items"]
        assert set(row.values()) == {0}
        assert row.keys() >= {"cost_micros", "rework_micros"}
        assert (await owner.get(f"{nothing}&group_by={groups}")).json["items"] == []


# ── budgets of a month ─────────────────────────────────────────────────────────────────


async def test_budgets_are_listed_company_first(owner: Client, world: World) -> None:
    """Then every agent with a limit, or who spent anything in the month."""
    idle = (await owner.post("agents", {"name": "Idle"})).json["id"]
    capped = (await owner.post("agents", {"name": "Capped"})).json["id"]
    assert (await owner.post(f"agents/{capped}/budget", {"monthly_micros": 0})).status == 200
    assert (await owner.post("budget", {"monthly_micros": 5})).status == 200
    month = datetime.now(UTC).strftime("%Y-%m")

    items = (await owner.get("costs/budgets")).json["items"]
    assert items[0] == {
        "of": "company", "agent_id": None, "month": month, "limit_micros": 5, "spent_micros": 3,
        "remaining_micros": 2, "is_exceeded": False,
    }  # fmt: skip
    agents = {item["agent_id"]: item for item in items[1:]}
    assert agents.keys() == {world["agent"], capped}
    assert idle not in agents
    assert (agents[world["agent"]]["limit_micros"], agents[world["agent"]]["spent_micros"]) == (
        None, 3,
    )  # fmt: skip
    assert agents[capped]["is_exceeded"]

    paged: list[dict[str, Any]] = []
    path = f"costs/budgets?limit=1&month={month}"
    while path:
        reply = await owner.get(path)
        assert reply.status == 200
        paged += reply.json["items"]
        cursor = reply.json["next_cursor"]
        assert ("Link" in reply.headers) == (cursor is not None)
        path = f"costs/budgets?limit=1&month={month}&cursor={cursor}" if cursor else ""
    assert paged == items


async def test_another_months_budgets_are_another_months(owner: Client, world: World) -> None:
    """Of a month without spending: those with a limit, as it is now."""
    items = (await owner.get("costs/budgets?month=2020-01")).json["items"]
    assert [(item["of"], item["month"], item["spent_micros"]) for item in items] == [
        ("company", "2020-01", 0)
    ]
    for path in ("budget", f"agents/{world['agent']}/budget"):
        assert (await owner.get(path)).json["spent_micros"] == 3
        then = (await owner.get(f"{path}?month=2020-01")).json
        assert (then["month"], then["spent_micros"]) == ("2020-01", 0)
        assert (await owner.get(f"{path}?month=2020-13")).status == 422


@pytest.mark.parametrize("query", ["month=2026-4", "month=april", "cursor=x", "cursor=YQB4", "y=1"])
async def test_a_budgets_query_that_is_none_is_a_422(owner: Client, query: str) -> None:
    """A month is YYYY-MM, a cursor one that the list gave out."""
    assert (await owner.get(f"costs/budgets?{query}")).status == 422
