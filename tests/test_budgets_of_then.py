"""A budget as of a position is what it was when the log ended there.

Whatever happens next, every budget is asked for, as it is now. When all has happened, each is asked
for again as of the positions that the answers said, and is what it was.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from ledger.actors import Role
from tests.client import Client, Reply
from tests.conftest import NewClient
from tests.tour import cost

Step = Callable[[], Awaitable[Reply]]


def _seen(reply: Reply) -> tuple[int, dict[str, Any] | None]:
    """The status of an answer, and what it says but for the position."""
    if reply.status != 200:
        return reply.status, None
    assert int(reply.headers["Ledger-Position"]) == reply.json["as_of_position"]
    return 200, {key: value for key, value in reply.json.items() if key != "as_of_position"}


@pytest.fixture
async def coder(owner: Client, new_client: NewClient, company: str) -> Client:
    """An agent whose key is older than its entry."""
    return await new_client(company, Role.AGENT, "agent:coder")


async def test_a_budget_of_then_is_what_it_was(owner: Client, coder: Client) -> None:
    """Of issues, agents and the company, through limits, corrections, new names and deletions."""
    ids: dict[str, str] = {}
    first: dict[str, int] = {}

    async def lists(slug: str) -> Reply:
        reply = await owner.post("agents", {"name": slug.title(), "slug": slug})
        ids[slug] = reply.json["id"]
        return reply

    async def begins(client: Client, issue: str, **body: Any) -> Reply:
        reply = await client.post(f"issues/{issue}/checkout", body)
        ids[issue] = f"issues/{issue}/runs/{reply.json['run_id']}"
        return reply

    async def reports(issue: str, micros: int) -> Reply:
        reply = await owner.post(f"{ids[issue]}/costs", cost(cost_micros=micros))
        first.setdefault(issue, int(reply.headers["Ledger-Position"]))
        return reply

    async def corrects(issue: str, micros: int) -> Reply:
        said = {"corrects_position": first[issue], "reason": "Twice.", "cost_micros": micros}
        return await owner.post(f"{ids[issue]}/costs/correct", said)

    async def limits(path: str, micros: int | None) -> Reply:
        name = "per_task_micros" if path.startswith("issues") else "monthly_micros"
        return await owner.post(f"{path}/budget".lstrip("/"), {name: micros})

    steps: list[Step] = [
        lambda: owner.post("issues", {"title": "One", "per_task_micros": 500}),
        lambda: owner.post("issues", {"title": "Two"}),
        lambda: limits("", 10_000),
        lambda: begins(coder, "ACM-1"),
        lambda: reports("ACM-1", 40),
        lambda: lists("coder"),
        lambda: lists("idle"),
        lambda: lists("other"),
        lambda: limits(f"agents/{ids['coder']}", 300),
        lambda: limits(f"agents/{ids['idle']}", 0),
        lambda: limits("issues/ACM-1", 900),
        lambda: begins(owner, "ACM-2", agent_id=ids["other"]),
        lambda: reports("ACM-2", 7),
        lambda: corrects("ACM-1", 25),
        lambda: owner.patch(f"agents/{ids['other']}", {"slug": "another"}),
        lambda: reports("ACM-1", 260),
        lambda: limits("", None),
        lambda: limits(f"agents/{ids['coder']}", None),
        lambda: limits("issues/ACM-1", None),
        lambda: owner.request("DELETE", f"agents/{ids['idle']}"),
        lambda: owner.request("DELETE", f"agents/{ids['coder']}"),
        lambda: corrects("ACM-2", 70),
        lambda: owner.request("DELETE", "issues/ACM-2"),
        lambda: limits("", 5),
    ]
    was: list[tuple[int, str, tuple[int, dict[str, Any] | None]]] = []
    for step in steps:
        reply = await step()
        assert reply.status in (200, 201, 204), reply
        position = (await owner.get("budget")).json["as_of_position"]
        agents = [
            f"agents/{ids[slug]}/budget" for slug in ("coder", "idle", "other") if slug in ids
        ]
        issues = ["issues/ACM-1/budget", "issues/ACM-2/budget"]
        for path in ("budget", "costs/budgets", "costs/budgets?month=2020-01", *agents, *issues):
            was.append((position, path, _seen(await owner.get(path))))

    for position, path, then in was:
        asked = f"{path}{'&' if '?' in path else '?'}at_position={position}"
        assert _seen(await owner.get(asked)) == then, asked
    assert {status for _, _, (status, _) in was} == {200, 404}


async def test_a_list_of_then_goes_on_at_that_moment(owner: Client) -> None:
    """Page by page, whatever limits are set meanwhile."""
    for n in range(5):
        agent = (await owner.post("agents", {"name": f"Agent {n}"})).json["id"]
        assert (await owner.post(f"agents/{agent}/budget", {"monthly_micros": n})).status == 200
    all_of_them = (await owner.get("costs/budgets")).json
    path = f"costs/budgets?limit=2&at_position={all_of_them['as_of_position']}"
    items: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        reply = await owner.get(f"{path}&cursor={cursor}" if cursor else path)
        items += reply.json["items"]
        cursor = reply.json["next_cursor"]
        await owner.post(f"agents/{agent}/budget", {"monthly_micros": 1000 + len(items)})
    assert items == all_of_them["items"]


async def test_the_month_is_the_one_of_the_moment(owner: Client) -> None:
    """Unless another one is asked for; before the first event nothing was spent."""
    now = datetime.now(UTC).strftime("%Y-%m")
    for query, month in {
        "at=2020-05-31T23:59:59Z": "2020-05",
        "at=2020-05-31T23:59:59-01:00": "2020-06",
        "at=2020-05-31T00:00:00Z&month=2021-01": "2021-01",
        "at=2999-01-01T00:00:00Z": now,
        "at_position=0": now,
        "at_position=1": now,
    }.items():
        shown = (await owner.get(f"budget?{query}")).json
        assert (shown["month"], shown["spent_micros"]) == (month, 0), query
        listed = (await owner.get(f"costs/budgets?{query}")).json["items"]
        assert [item["month"] for item in listed] == [month], query


@pytest.mark.parametrize("query", ["at_position=99999", "at_position=-1", "at=x", "occurred_at=x"])
@pytest.mark.parametrize(
    "path", ["budget", "costs/budgets", "agents/coder/budget", "issues/ACM-1/budget"]
)
async def test_a_moment_that_is_none_is_a_422(owner: Client, path: str, query: str) -> None:
    """A budget knows no moment of what had happened: it counts what was recorded in a month."""
    await owner.post("agents", {"name": "Coder"})
    await owner.post("issues", {"title": "One"})
    assert (await owner.get(f"{path}?{query}")).status == 422


async def test_before_it_was_there_a_budget_is_a_404(owner: Client) -> None:
    """An agent that was not listed yet, and an issue that was not written down."""
    agent = (await owner.post("agents", {"name": "Coder"})).json["id"]
    await owner.post("issues", {"title": "One"})
    for path in (f"agents/{agent}/budget", "issues/ACM-1/budget"):
        assert (await owner.get(path)).status == 200
        assert (await owner.get(f"{path}?at_position=1")).status == 404
