"""History over HTTP: the activity, the costs and their sums, and the log itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import pytest

from ledger.actors import Role
from ledger.codec import canonical
from ledger.ids import new_id
from tests.client import Client
from tests.conftest import NewClient
from tests.tour import World, cost, fill


@pytest.fixture
async def world(owner: Client) -> World:
    """A company with one of everything."""
    return await fill(owner)


# ── activity ───────────────────────────────────────────────────────────────────────────


async def test_activity_says_who_did_what_through_what(owner: Client, world: World) -> None:
    """One entry an event, newest first, with a sentence for people and changes for machines."""
    await owner.patch(f"issues/{world['issue']}", {"priority": "high", "title": "Now"})
    newest = (await owner.get("activity?limit=1")).json["items"][0]
    assert newest["type"] == "issue.edited"
    assert newest["sentence"].startswith("user:alice changed priority, title of HER-1")
    assert newest["sentence"].endswith(".")
    assert newest["changes"] == [
        {"field": "priority", "from": "none", "to": "high"},
        {"field": "title", "from": "here issue", "to": "Now"},
    ]
    assert newest["actor"] == "user:alice"
    assert (newest["via"], newest["on_behalf_of"]) == ("api", None)
    assert (newest["subject_type"], newest["subject_id"]) == ("issue", world["issue"])
    assert newest["issue_id"] == world["issue"]
    assert newest["key_id"]


async def test_activity_has_every_event_once(owner: Client, world: World) -> None:
    """Positions from the head down to 1 without gaps."""
    items = (await owner.get("activity?limit=200")).json["items"]
    head = int((await owner.get("")).headers["Ledger-Position"])
    assert [item["position"] for item in items] == list(range(head, 0, -1))
    assert all(item["sentence"] for item in items)


async def test_activity_is_filtered(owner: Client, world: World) -> None:
    """By issue, actor, run, type and time; by identifier and slug as well."""
    everything = (await owner.get("activity?limit=200")).json["items"]
    await owner.post("keys", {"role": "agent", "actor": f"agent:{world['agent']}"})

    async def positions(query: str) -> list[int]:
        reply = await owner.get(f"activity?limit=200&{query}")
        assert reply.status == 200, reply
        return [item["position"] for item in reply.json["items"]]

    def those(**wanted: Any) -> list[int]:
        return [
            item["position"]
            for item in everything
            if all(item[name] == value for name, value in wanted.items())
        ]

    of_issue = those(issue_id=world["issue"])
    assert len(of_issue) > 4
    assert await positions(f"issue_id={world['issue']}") == of_issue
    assert await positions("issue_id=her-1") == of_issue
    assert await positions("actor=system:cli") == those(actor="system:cli")
    assert await positions("actor=user:nobody") == []
    assert await positions(f"run_id={world['run']}") == those(run_id=world["run"])
    assert await positions("type=issue.commented,issue.linked") == sorted(
        those(type="issue.commented") + those(type="issue.linked"), reverse=True
    )
    assert await positions("type=no.such") == []
    middle = everything[5]
    at = quote(middle["at"])
    since, until = await positions(f"since={at}"), await positions(f"until={at}")
    assert middle["position"] in since
    assert middle["position"] not in until
    assert not set(since) & set(until)


async def test_activity_of_a_run_is_what_was_done_in_it(
    owner: Client, new_client: NewClient, company: str, world: World
) -> None:
    """A comment that the agent writes with `Ledger-Run-Id` belongs to the run."""
    agent = await new_client(company, Role.AGENT, f"agent:{world['agent']}")
    path = f"issues/{world['issue']}/comments"
    assert (await agent.post(path, {"body": "x"}, Ledger_Run_Id=world["run"])).status == 201
    items = (await owner.get(f"activity?run_id={world['run']}")).json["items"]
    assert items[0]["type"] == "issue.commented"
    assert {"run.started", "run.cost_reported", "issue.checked_out"} <= {i["type"] for i in items}


async def test_activity_of_an_agent_is_asked_for_by_slug_too(
    owner: Client, new_client: NewClient, world: World
) -> None:
    """Wherever an entry's id goes its slug goes, in `agent:SLUG` as well."""
    key = (await owner.post("keys", {"role": "agent", "actor": "agent:here-agent"})).json["key"]
    agent = Client(owner.http, owner.base_url, owner.company, key)
    await agent.post("issues", {"title": "By the agent"})
    by_id = await owner.get(f"activity?actor=agent:{world['agent']}")
    by_slug = await owner.get("activity?actor=agent:here-agent")
    assert by_id.json["items"]
    assert by_slug.json["items"] == by_id.json["items"]


async def test_activity_of_a_deleted_issue_can_still_be_asked_for(
    owner: Client, world: World
) -> None:
    """Deleting an issue takes it off the lists; an auditor still finds its history."""
    assert (await owner.delete(f"issues/{world['issue']}")).status == 204
    for path in ("activity", "events", "costs"):
        reply = await owner.get(f"{path}?issue_id={world['issue']}")
        assert (reply.status, path) == (200, path)
        assert reply.json["items"]


# ── costs ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def spent(owner: Client, world: World) -> World:
    """Costs of two agents on two issues, of one project and none, with three models."""
    other = (await owner.post("agents", {"name": "Other"})).json["id"]
    target = f"issues/{world['target']}"
    run = (await owner.post(f"{target}/checkout", {"agent_id": other})).json["run_id"]
    mine = f"issues/{world['issue']}/runs/{world['run']}/costs"
    for path, report in (
        (mine, cost(provider="openai", model="gpt", input_tokens=100, cost_micros=50)),
        (mine, cost(provider="openai", model="gpt", output_tokens=10, cost_micros=20)),
        (f"{target}/runs/{run}/costs", cost(model="opus", cached_tokens=5, cost_micros=900)),
    ):
        assert (await owner.post(path, report)).status == 201
    world.ids["other"] = other
    return world


async def test_costs_are_listed_newest_first_and_filtered(owner: Client, spent: World) -> None:
    """Every report with agent, issue, project and run."""
    items = (await owner.get("costs")).json["items"]
    assert [item["cost_micros"] for item in items] == [900, 20, 50, 3]
    assert items[1]["project_id"] == spent["project"]
    assert items[0]["project_id"] is None
    assert items[0]["agent_id"] == spent["other"]
    today, tomorrow = (datetime.now(UTC).date() + timedelta(days=n) for n in (0, 1))
    for query, micros in {
        f"issue_id={spent['issue']}": [20, 50, 3],
        "issue_id=her-1": [20, 50, 3],
        f"agent_id={spent['other']}": [900],
        "project_id=here-project": [20, 50, 3],
        "provider=openai": [20, 50],
        "model=opus": [900],
        "provider=openai&model=opus": [],
        f"since={today - timedelta(days=1)}&until={tomorrow}": [900, 20, 50, 3],
        f"since={tomorrow}": [],
        "until=2020-01-01": [],
    }.items():
        found = (await owner.get(f"costs?{query}")).json["items"]
        assert [item["cost_micros"] for item in found] == micros, query


async def test_costs_of_an_agent_are_asked_for_by_slug_too(owner: Client, spent: World) -> None:
    """Wherever an entry's id goes its slug goes."""
    for path in ("costs", "costs/sums"):
        by_id = await owner.get(f"{path}?agent_id={spent['other']}")
        by_slug = await owner.get(f"{path}?agent_id=other")
        assert by_id.json["items"]
        assert by_slug.json["items"] == by_id.json["items"]


async def test_costs_are_summed_by_anything(owner: Client, spent: World) -> None:
    """By day, agent, project, issue, provider, model, and by all of them together."""

    async def sums(group_by: str, query: str = "") -> dict[Any, int]:
        reply = await owner.get(f"costs/sums?group_by={group_by}{query}")
        assert reply.status == 200, reply
        names = {
            name: f"{name}_id" if name in ("agent", "project", "issue") else name
            for name in group_by.split(",")
        }
        return {
            tuple(item[names[name]] for name in group_by.split(",")): item["cost_micros"]
            for item in reply.json["items"]
        }

    ids = spent.ids
    days = await sums("day")
    assert sum(days.values()) == 973
    assert all(len(day) == 10 for (day,) in days)
    assert await sums("agent") == {(ids["agent"],): 73, (ids["other"],): 900}
    assert await sums("project") == {(ids["project"],): 73, (None,): 900}
    assert await sums("issue") == {(ids["issue"],): 73, (ids["target"],): 900}
    assert await sums("provider") == {("anthropic",): 903, ("openai",): 70}
    assert await sums("model") == {("claude",): 3, ("gpt",): 70, ("opus",): 900}
    assert await sums("provider,model", "&agent_id=" + ids["agent"]) == {
        ("anthropic", "claude"): 3, ("openai", "gpt"): 70,
    }  # fmt: skip
    assert len(await sums("day,agent,project,issue,provider,model")) >= 3


async def test_the_sum_of_everything_is_one_item(owner: Client, spent: World) -> None:
    """Without groups: reports, tokens of each kind, and money, with no field of a group."""
    (total,) = (await owner.get("costs/sums")).json["items"]
    assert total == {
        "reports": 4, "input_tokens": 121, "output_tokens": 10, "cached_tokens": 5,
        "cost_micros": 973, "rework_micros": 0,
    }  # fmt: skip
    nothing = (await owner.get("costs/sums?provider=nobody")).json["items"]
    assert nothing == [] or nothing[0]["reports"] == 0


async def test_an_unknown_group_is_a_422(owner: Client) -> None:
    """With a pointer, and the groups that there are."""
    reply = await owner.get("costs/sums?group_by=day,colour")
    assert reply.status == 422
    assert reply.json["errors"][0]["pointer"] == "/group_by"
    assert "provider" in reply.json["detail"]


# ── events ─────────────────────────────────────────────────────────────────────────────


async def test_the_log_is_read_from_the_beginning_to_the_head(owner: Client, world: World) -> None:
    """Positions 1, 2, 3 … and versions without gaps in every stream; hashes recompute."""
    events: list[dict[str, Any]] = []
    path = "events?limit=7"
    while path:
        reply = await owner.get(path)
        assert reply.status == 200
        events += reply.json["items"]
        cursor = reply.json["next_cursor"]
        path = f"events?limit=7&after={cursor}" if cursor else ""
    assert [e["position"] for e in events] == list(range(1, len(events) + 1))
    assert len(events) == reply.json["as_of_position"]
    versions: dict[str, int] = {}
    for event in events:
        versions[event["stream_id"]] = versions.get(event["stream_id"], 0) + 1
        assert event["version"] == versions[event["stream_id"]]
        assert event["company_id"] == owner.company
        salted = b"ledger/data/v1\0" + bytes.fromhex(event["salt"]) + canonical(event["data"])
        assert sha256(salted).hexdigest() == event["data_hash"]
        assert len(event["leaf"]) == 64


async def test_events_are_filtered_by_issue_and_type(owner: Client, world: World) -> None:
    """An issue's own stream, by id or identifier; some types; after a position."""
    of_issue = (await owner.get(f"events?issue_id={world['issue']}")).json["items"]
    assert {event["stream_id"] for event in of_issue} == {world["issue"]}
    assert of_issue == (await owner.get("events?issue_id=her-1")).json["items"]
    some = (await owner.get("events?type=issue.created,run.started")).json["items"]
    assert {event["type"] for event in some} == {"issue.created", "run.started"}
    after = some[1]["position"]
    rest = (await owner.get(f"events?type=issue.created,run.started&after={after}")).json["items"]
    assert rest == some[2:]
    assert (await owner.get(f"events?issue_id={new_id()}")).status == 404


async def test_at_the_head_there_is_nothing(owner: Client) -> None:
    """An empty page, not an error; a position beyond it is one, as it is not of this log."""
    head = (await owner.get("")).headers["Ledger-Position"]
    reply = await owner.get(f"events?after={head}")
    assert (reply.status, reply.json["items"], reply.json["next_cursor"]) == (200, [], None)
    assert (await owner.get("events?after=9007199254740991")).status == 422
