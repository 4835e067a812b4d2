"""Work over HTTP: who holds an issue, who gets it, what a run cost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ledger.actors import Role
from ledger.ids import new_id
from tests.client import Client
from tests.conftest import NewClient
from tests.tour import cost


@pytest.fixture
async def issue(owner: Client) -> str:
    """The path of a new issue."""
    return f"issues/{(await owner.post('issues', {'title': 'x'})).json['id']}"


@pytest.fixture
async def one(new_client: NewClient, company: str) -> Client:
    """An agent."""
    return await new_client(company, Role.AGENT, "agent:one")


@pytest.fixture
async def two(new_client: NewClient, company: str) -> Client:
    """Another agent."""
    return await new_client(company, Role.AGENT, "agent:two")


async def test_checking_out_gives_a_run(one: Client, issue: str) -> None:
    """200 with the holder, the run on top, the status in progress, and the issue assigned."""
    reply = await one.post(f"{issue}/checkout")
    assert reply.status == 200
    assert reply.json["holder"]["agent_id"] == "one"
    assert reply.json["run_id"] == reply.json["holder"]["run_id"]
    assert (reply.json["status"], reply.json["assignee"]) == ("in_progress", "agent:one")
    assert reply.json["started_at"] is not None
    run = await one.get(f"{issue}/runs/{reply.json['run_id']}")
    assert (run.json["status"], run.json["agent_id"], run.json["ended_at"]) == (
        "active", "one", None,
    )  # fmt: skip


async def test_the_second_to_check_out_is_told_who_holds_it(
    one: Client, two: Client, issue: str
) -> None:
    """409 with status, version, assignee and holder."""
    held = (await one.post(f"{issue}/checkout")).json
    reply = await two.post(f"{issue}/checkout")
    assert (reply.status, reply.json["code"]) == (409, "issue_held")
    current = reply.json["current"]
    assert current["holder"] == held["holder"]
    assert (current["version"], current["status"]) == (held["version"], "in_progress")
    assert "one" in reply.json["detail"]


async def test_of_many_who_race_one_wins(new_client: NewClient, company: str, issue: str) -> None:
    """Sixteen agents at once: one 200, the rest 409 that name the winner."""
    agents = [await new_client(company, Role.AGENT, f"agent:a{n}") for n in range(16)]
    replies = await asyncio.gather(*(agent.post(f"{issue}/checkout") for agent in agents))
    assert sorted(reply.status for reply in replies) == [200] + [409] * 15
    (winner,) = (r.json["holder"]["agent_id"] for r in replies if r.status == 200)
    losers = {r.json["current"]["holder"]["agent_id"] for r in replies if r.status == 409}
    assert losers == {winner}


async def test_checking_out_again_in_the_same_run_is_agreement(one: Client, issue: str) -> None:
    """The same run: 200, and nothing new; another run of the same agent: 409."""
    run_id = new_id()
    first = await one.post(f"{issue}/checkout", Ledger_Run_Id=run_id)
    assert first.json["run_id"] == run_id
    again = await one.post(f"{issue}/checkout", Ledger_Run_Id=run_id)
    assert (again.status, again.json) == (200, first.json)
    unnamed = await one.post(f"{issue}/checkout")
    assert (unnamed.status, unnamed.json["run_id"]) == (200, run_id)
    other = await one.post(f"{issue}/checkout", Ledger_Run_Id=new_id())
    assert (other.status, other.json["code"]) == (409, "issue_held")


async def test_a_run_is_one_attempt_at_one_issue(one: Client, owner: Client, issue: str) -> None:
    """The id of a run of another issue, or of one that is over, is taken."""
    run_id = new_id()
    await one.post(f"{issue}/checkout", Ledger_Run_Id=run_id)
    other = (await owner.post("issues", {"title": "y"})).json["id"]
    elsewhere = await one.post(f"issues/{other}/checkout", Ledger_Run_Id=run_id)
    assert (elsewhere.status, elsewhere.json["code"]) == (409, "taken")
    await one.post(f"{issue}/release")
    again = await one.post(f"{issue}/checkout", Ledger_Run_Id=run_id)
    assert (again.status, again.json["code"]) == (409, "taken")


async def test_a_checkout_may_name_the_statuses_that_it_expects(one: Client, issue: str) -> None:
    """Another status is a 409 that says which it is; an unknown word is a 422."""
    path = f"{issue}/checkout"
    reply = await one.post(path, {"expected_statuses": ["backlog", "blocked"]})
    assert (reply.status, reply.json["code"]) == (409, "status_not_expected")
    assert reply.json["current"]["status"] == "todo"
    assert reply.json["expected"] == ["backlog", "blocked"]
    for wrong in ([], ["nope"], "todo", [None], ["todo"] * 21):
        assert (await one.post(path, {"expected_statuses": wrong})).status == 422
    assert (await one.post(path, {"expected_statuses": ["todo"]})).status == 200


async def test_nobody_begins_work_on_what_is_closed(one: Client, owner: Client) -> None:
    """409 with what may follow."""
    made = (await owner.post("issues", {"title": "x", "status": "closed"})).json
    reply = await one.post(f"issues/{made['id']}/checkout")
    assert (reply.status, reply.json["code"]) == (409, "transition_not_allowed")


async def test_what_is_assigned_to_another_agent_is_not_taken(
    one: Client, two: Client, owner: Client, issue: str
) -> None:
    """409 for agents; a person may send whom they like."""
    assert (await owner.post(f"{issue}/assign", {"agent_id": "two"})).status == 200
    reply = await one.post(f"{issue}/checkout")
    assert (reply.status, reply.json["code"]) == (409, "assigned_elsewhere")
    assert (await owner.post(f"{issue}/checkout", {"agent_id": "one"})).status == 200


async def test_releasing_lets_the_next_one_in(one: Client, two: Client, issue: str) -> None:
    """The run ends, the issue waits again, unassigned; releasing twice is agreement."""
    run_id = (await one.post(f"{issue}/checkout")).json["run_id"]
    released = await one.post(f"{issue}/release", {"reason": "Out of context."})
    assert released.status == 200
    assert (released.json["holder"], released.json["run_id"]) == (None, None)
    assert (released.json["status"], released.json["assignee"]) == ("todo", None)
    run = (await one.get(f"{issue}/runs/{run_id}")).json
    assert (run["status"], run["exit_reason"]) == ("ended", "released")
    again = await one.post(f"{issue}/release")
    assert (again.status, again.json["version"]) == (200, released.json["version"])
    assert (await two.post(f"{issue}/checkout")).status == 200


async def test_an_agent_leaves_alone_what_another_agent_holds(
    one: Client, two: Client, issue: str
) -> None:
    """Releasing, moving, reassigning: 409; commenting and labels are everybody's."""
    await one.post(f"{issue}/checkout")
    for path, body in (
        ("release", None), ("transition", {"status": "done"}), ("reassign", {"agent_id": "two"}),
        ("assign", {"agent_id": "two"}), ("unassign", None),
    ):  # fmt: skip
        reply = await two.post(f"{issue}/{path}", body)
        assert (reply.status, reply.json["code"]) == (409, "issue_held"), path
        assert reply.json["current"]["holder"]["agent_id"] == "one"
    assert (await two.post(f"{issue}/comments", {"body": "May I?"})).status == 201


@pytest.mark.parametrize(
    ("status", "is_over"),
    [("done", True), ("failed", True), ("blocked", True), ("todo", True),
     ("in_review", False), ("handoff", False)],
)  # fmt: skip
async def test_a_status_in_which_nobody_works_ends_the_run(
    one: Client, issue: str, status: str, is_over: bool
) -> None:
    """The reason is the status; review and handoff go on being held."""
    run_id = (await one.post(f"{issue}/checkout")).json["run_id"]
    moved = await one.post(f"{issue}/transition", {"status": status})
    assert (moved.json["holder"] is None) is is_over
    run = (await one.get(f"{issue}/runs/{run_id}")).json
    assert run["exit_reason"] == (status if is_over else None)


async def test_assigning_takes_exactly_one_who(owner: Client, issue: str) -> None:
    """An agent or a user, in the directory or with a key; none or both is a 422."""
    user = (await owner.post("users", {"name": "Bob"})).json["id"]
    agent = (await owner.post("agents", {"name": "Coder"})).json["id"]
    for body, assignee in (
        ({"user_id": "bob"}, f"user:{user}"),
        ({"agent_id": agent}, f"agent:{agent}"),
        ({"user_id": "alice"}, "user:alice"),
    ):
        reply = await owner.post(f"{issue}/assign", body)
        assert (reply.status, reply.json["assignee"]) == (200, assignee)
    for wrong in ({}, {"user_id": "bob", "agent_id": agent}, {"user_id": None}):
        assert (await owner.post(f"{issue}/assign", wrong)).status == 422
    for missing in ({"user_id": "nobody"}, {"agent_id": "bob"}, {"agent_id": new_id()}):
        reply = await owner.post(f"{issue}/assign", missing)
        assert reply.status == 404
        assert reply.json["errors"][0]["pointer"] == f"/{next(iter(missing))}"


async def test_a_held_issue_is_reassigned_not_assigned(
    one: Client, two: Client, owner: Client, issue: str
) -> None:
    """Assigning is refused while somebody is at work; reassigning ends the run."""
    run_id = (await one.post(f"{issue}/checkout")).json["run_id"]
    for path, body in (("assign", {"agent_id": "two"}), ("unassign", None)):
        refused = await owner.post(f"{issue}/{path}", body)
        assert (refused.status, refused.json["code"]) == (409, "issue_held")
    moved = await owner.post(f"{issue}/reassign", {"agent_id": "two", "reason": "Urgent."})
    assert moved.status == 200
    assert (moved.json["assignee"], moved.json["holder"]) == ("agent:two", None)
    assert moved.json["status"] == "todo"
    assert (await one.get(f"{issue}/runs/{run_id}")).json["exit_reason"] == "reassigned"
    assert (await one.post(f"{issue}/checkout")).status == 409
    assert (await two.post(f"{issue}/checkout")).status == 200


async def test_unassigning_makes_it_nobodys(owner: Client, issue: str) -> None:
    """Twice is agreement."""
    await owner.post(f"{issue}/assign", {"user_id": "alice"})
    for _ in range(2):
        reply = await owner.post(f"{issue}/unassign")
        assert (reply.status, reply.json["assignee"], reply.json["version"]) == (200, None, 3)


async def test_costs_add_up_on_the_run(one: Client, issue: str) -> None:
    """201 with the run and its sums; late reports count too."""
    run_id = (await one.post(f"{issue}/checkout")).json["run_id"]
    path = f"{issue}/runs/{run_id}/costs"
    first = await one.post(path, cost(output_tokens=2, cached_tokens=1))
    assert first.status == 201
    assert first.json["id"] == run_id
    await one.post(f"{issue}/release")
    late = await one.post(path, cost())
    assert late.status == 201
    run = (await one.get(f"{issue}/runs/{run_id}")).json
    assert run == {**late.json, "checkpoint": None}
    assert (run["input_tokens"], run["output_tokens"], run["cached_tokens"]) == (14, 2, 1)
    assert run["cost_micros"] == 6


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"provider": ""}, "/provider"), ({"provider": None}, "/provider"),
        ({"model": "x" * 201}, "/model"), ({"input_tokens": -1}, "/input_tokens"),
        ({"output_tokens": 1.5}, "/output_tokens"), ({"cached_tokens": "1"}, "/cached_tokens"),
        ({"cost_micros": 10**12 + 1}, "/cost_micros"), ({"cost_usd": 1}, "/cost_usd"),
        ({"agent_id": "two"}, "/agent_id"),
    ],
)  # fmt: skip
async def test_a_cost_that_is_wrong_is_a_422(
    one: Client, issue: str, change: dict[str, Any], pointer: str
) -> None:
    """With a pointer; whose it is comes from the run, never from the body."""
    run_id = (await one.post(f"{issue}/checkout")).json["run_id"]
    reply = await one.post(f"{issue}/runs/{run_id}/costs", cost(**change))
    assert reply.status == 422
    assert reply.json["errors"][0]["pointer"] == pointer


async def test_a_cost_is_of_a_run_of_that_issue(one: Client, owner: Client, issue: str) -> None:
    """A run that is not, or is of another issue, is a 404."""
    run_id = (await one.post(f"{issue}/checkout")).json["run_id"]
    other = (await owner.post("issues", {"title": "y"})).json["id"]
    for path in (f"{issue}/runs/{new_id()}", f"issues/{other}/runs/{run_id}", f"{issue}/runs/x"):
        assert (await one.post(f"{path}/costs", cost())).status == 404
        assert (await one.get(path)).status == 404


async def test_the_longest_names_of_everything_stop_no_projector(
    owner: Client, new_client: NewClient, company: str, issue: str
) -> None:
    """Whatever the API takes, the read models that follow can keep."""
    long = "".join(chr(0x10000 + n * 37) for n in range(200))
    agent = await new_client(company, Role.AGENT, f"agent:{long}")
    run_id = (await agent.post(f"{issue}/checkout")).json["run_id"]
    report = cost(provider=long, model=long[::-1])
    assert (await agent.post(f"{issue}/runs/{run_id}/costs", report)).status == 201
    for path in ("costs", "costs/sums?group_by=agent,provider,model", "activity"):
        reply = await owner.get(path)
        assert reply.status == 200, reply
        assert reply.json["items"]


async def test_runs_are_listed_newest_first(one: Client, two: Client, issue: str) -> None:
    """Every attempt, with how it ended."""
    for agent in (one, two, one):
        assert (await agent.post(f"{issue}/checkout")).status == 200
        await agent.post(f"{issue}/release")
    runs = (await one.get(f"{issue}/runs")).json["items"]
    assert [run["agent_id"] for run in runs] == ["one", "two", "one"]
    assert {run["exit_reason"] for run in runs} == {"released"}


async def test_deleting_ends_the_run(one: Client, owner: Client, issue: str) -> None:
    """The log says so."""
    await one.post(f"{issue}/checkout")
    assert (await owner.delete(issue)).status == 204
    ended = (await owner.get("events?type=run.ended")).json["items"]
    assert [event["data"]["exit_reason"] for event in ended] == ["deleted"]
