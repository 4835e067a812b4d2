"""Actors over HTTP by either of their names: the id of an entry, and the name in an older key.

A key that is older than its agent's entry goes on acting under the name that it was given, and an
entry that takes this name as its slug changes nothing of what the log says. Whoever asks for the
agent means both.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

import orjson
import pytest

from ledger.actors import Role
from tests.client import Client
from tests.conftest import NewClient
from tests.tour import cost


class Zed(NamedTuple):
    """An agent that acted under its name, before and after it had an entry, and under its id.

    `by_name` and `by_id` are the issues that it worked on, the first of them created as well.
    """

    id: str
    by_name: list[str]
    by_id: list[str]

    @property
    def issues(self) -> list[str]:
        """All that it worked on."""
        return sorted(self.by_name + self.by_id)


async def work(client: Client, title: str, micros: int) -> str:
    """An issue that an agent creates, works on and finishes, at a cost."""
    issue: str = (await client.post("issues", {"title": title})).json["id"]
    run = (await client.post(f"issues/{issue}/checkout", {})).json["run_id"]
    reported = await client.post(f"issues/{issue}/runs/{run}/costs", cost(cost_micros=micros))
    assert reported.status == 201, reported
    finished = await client.post(f"issues/{issue}/runs/{run}/finish", {"status": "done"})
    assert finished.status == 200, finished
    return issue


@pytest.fixture
async def zed(owner: Client, new_client: NewClient) -> Zed:
    """The report of the reviewer, step by step; and another agent, whom nobody asks for."""
    older = await new_client(owner.company, Role.AGENT, "agent:zed")
    other = await new_client(owner.company, Role.AGENT, "agent:other")
    await work(other, "Another one's", 1000)
    by_name = [await work(older, "Before", 1)]
    entry = (await owner.post("agents", {"slug": "zed", "name": "Zed"})).json["id"]
    newer = await new_client(owner.company, Role.AGENT, "agent:zed")
    by_name.append(await work(older, "After", 10))
    by_id = [await work(newer, "By the entry's id", 100)]
    assert (older.actor, newer.actor) == ("agent:zed", f"agent:{entry}")
    return Zed(entry, by_name, by_id)


@pytest.fixture(params=["slug", "id", "capitals"])
def called(zed: Zed, request: pytest.FixtureRequest) -> str:
    """What somebody who asks calls the agent."""
    return {"slug": "zed", "id": zed.id, "capitals": zed.id.upper()}[request.param]


async def items(client: Client, path: str) -> list[Any]:
    """All that pages of two show."""
    found: list[Any] = []
    cursor = ""
    while True:
        reply = await client.get(f"{path}&limit=2{cursor}")
        assert reply.status == 200, reply
        found += reply.json["items"]
        if reply.json["next_cursor"] is None:
            return found
        cursor = f"&cursor={reply.json['next_cursor']}"


async def lines(client: Client, path: str) -> list[Any]:
    """The lines of an export, but for those that tell of itself."""
    below = f"{client.base_url}/v1/companies/{client.company}/{path}"
    headers = {"Authorization": f"Bearer {client.key}", "Accept": "application/x-ndjson"}
    async with client.http.get(below, headers=headers) as response:
        assert response.status == 200
        read = [orjson.loads(line) for line in (await response.text()).splitlines()]
    return [line for line in read if "position" in line or "BilledCost" in line]


def actors_of(events: list[Any]) -> set[str]:
    """Who acted."""
    return {
        actor if isinstance(actor, str) else f"{actor['type']}:{actor['id']}"
        for actor in (event["actor"] for event in events)
    }


@pytest.mark.parametrize("order", ["newest", "oldest"])
async def test_activity_and_its_export_are_found_by_either_name(
    owner: Client, zed: Zed, called: str, order: str
) -> None:
    """In order, each once, alone and beside another filter."""
    everything = await items(owner, f"activity?order={order}")
    wanted = [a for a in everything if a["actor"] in ("agent:zed", f"agent:{zed.id}")]
    assert actors_of(wanted) == {"agent:zed", f"agent:{zed.id}"}
    assert await items(owner, f"activity?order={order}&actor=agent:{called}") == wanted
    issue = zed.by_name[1]
    assert await items(owner, f"activity?order={order}&actor=agent:{called}&issue_id={issue}") == [
        a for a in wanted if a["issue_id"] == issue
    ]
    exported = await lines(owner, f"activity/export?actor=agent:{called}")
    assert [a["position"] for a in exported] == sorted(a["position"] for a in wanted)


async def test_events_are_found_by_either_name(owner: Client, zed: Zed, called: str) -> None:
    """Of the log, and of one issue's stream."""
    names = {"agent:zed", f"agent:{zed.id}"}
    everything = await items(owner, "events?")
    wanted = [e for e in everything if actors_of([e]) <= names]
    assert actors_of(wanted) == names
    assert await items(owner, f"events?actor=agent:{called}") == wanted
    issue = zed.by_name[0]
    assert await items(owner, f"events?actor=agent:{called}&issue_id={issue}") == [
        e for e in wanted if e["stream_id"] == issue
    ]


@pytest.mark.parametrize("order", ["newest", "oldest", "priority", "updated", "sort_order"])
async def test_issues_and_boards_are_found_by_either_name(
    owner: Client, zed: Zed, called: str, order: str
) -> None:
    """As they are now, and as they were."""
    query = f"assignee=agent:{called}"
    head = (await owner.get("activity?limit=1")).json["as_of_position"]
    await owner.patch(f"issues/{zed.by_name[0]}", {"title": "Changed since"})
    last_at = (await owner.get("activity?limit=1")).json["items"][0]["at"].replace("+", "%2B")
    for moment in ("", f"&at_position={head}", f"&occurred_at={last_at}"):
        found = await items(owner, f"issues?order={order}&{query}{moment}")
        assert sorted(issue["id"] for issue in found) == zed.issues, moment
        assert {issue["assignee"] for issue in found} == {"agent:zed", f"agent:{zed.id}"}
        board = (await owner.get(f"board?{query}{moment}")).json
        shown = {column["status"]: column["count"] for column in board["columns"]}
        assert shown["done"] == sum(shown.values()) == len(zed.issues), moment


async def test_costs_are_found_by_either_name(owner: Client, zed: Zed, called: str) -> None:
    """Reports, their export, sums that are kept and sums of entries, and finished issues."""
    query = f"agent_id={called}"
    listed = await items(owner, f"costs?{query}")
    assert [report["cost_micros"] for report in listed] == [100, 10, 1]
    assert {report["agent_id"] for report in listed} == {"zed", zed.id}
    exported = await lines(owner, f"costs/export?{query}")
    billed = [Decimal(report["BilledCost"]) * 1_000_000 for report in exported]
    assert billed == [1, 10, 100]
    head = (await owner.get("activity?limit=1")).json["as_of_position"]
    for how in ("", f"&at_position={head}"):
        (total,) = (await owner.get(f"costs/sums?{query}{how}")).json["items"]
        assert (total["reports"], total["cost_micros"]) == (3, 111), how
    by_issue = (await owner.get(f"costs/sums?{query}&group_by=issue")).json["items"]
    assert sorted(item["issue_id"] for item in by_issue) == zed.issues
    of_issue = f"costs/sums?{query}&issue_id={zed.by_name[1]}"
    assert [item["cost_micros"] for item in (await owner.get(of_issue)).json["items"]] == [10]
    (finished,) = (await owner.get(f"costs/finished?{query}")).json["items"]
    assert (finished["issues"], finished["cost_micros"]) == (3, 111)


async def test_a_name_in_capitals_is_found_as_it_was_written(
    owner: Client, new_client: NewClient
) -> None:
    """A slug is small, and means an entry however it is written; a key keeps what it was given."""
    loud = await new_client(owner.company, Role.AGENT, "agent:Yan")
    issue = await work(loud, "Loud", 5)
    entry = (await owner.post("agents", {"slug": "yan", "name": "Yan"})).json["id"]
    quiet = await new_client(owner.company, Role.AGENT, f"agent:{entry}")
    other = await work(quiet, "Quiet", 7)
    assert [r["cost_micros"] for r in await items(owner, "costs?agent_id=Yan")] == [7, 5]
    found = await items(owner, "issues?assignee=agent:Yan")
    assert sorted(i["id"] for i in found) == sorted([issue, other])


async def test_a_slug_means_whoever_has_it_now(owner: Client, new_client: NewClient) -> None:
    """An archived entry's slug still means it when it is named by id, until another takes it."""
    older = await new_client(owner.company, Role.AGENT, "agent:zoe")
    await work(older, "Before", 3)
    first = (await owner.post("agents", {"slug": "zoe", "name": "Zoe"})).json["id"]
    assert (await owner.delete(f"agents/{first}")).status in (200, 204)
    for name in ("zoe", first):
        assert len(await items(owner, f"costs?agent_id={name}")) == 1, name
    second = (await owner.post("agents", {"slug": "zoe", "name": "Zoe again"})).json["id"]
    for name, reports in {"zoe": 1, second: 1, first: 0}.items():
        assert len(await items(owner, f"costs?agent_id={name}")) == reports, name


async def test_an_actor_without_an_entry_has_one_name(owner: Client, zed: Zed) -> None:
    """And nothing is found of one that there never was."""
    assert [r["cost_micros"] for r in await items(owner, "costs?agent_id=other")] == [1000]
    assert actors_of(await items(owner, "activity?actor=agent:other")) == {"agent:other"}
    assert len(await items(owner, "issues?assignee=agent:other")) == 1
    for path in ("activity?actor=agent:no", "events?actor=agent:no", "issues?assignee=agent:no"):
        assert await items(owner, path) == []
