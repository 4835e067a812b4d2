"""Agents over HTTP: what each should work on next and why, who gets it, and who takes nothing."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from ledger.actors import Role
from ledger.ids import new_id
from tests.client import Client, Reply
from tests.conftest import NewClient
from tests.scenario import NOBODYS
from tests.tour import cost


@pytest.fixture
async def one(new_client: NewClient, company: str) -> Client:
    """An agent, known by its key."""
    return await new_client(company, Role.AGENT, "agent:one")


async def _issue(owner: Client, title: str = "x", **fields: Any) -> str:
    """The id of a new issue."""
    made = await owner.post("issues", {"title": title, **fields})
    assert made.status == 201, made
    return str(made.json["id"])


async def _listed(owner: Client, kind: str, name: str, **fields: Any) -> str:
    """The id of a new entry of the directory."""
    made = await owner.post(f"{kind}s", {"name": name, **fields})
    assert made.status == 201, made
    return str(made.json["id"])


async def _next(client: Client, agent: str = "one") -> Reply:
    reply = await client.get(f"agents/{agent}/next")
    assert reply.status == 200, reply
    return reply


async def _claim(client: Client, agent: str = "one", body: Any = None, **headers: str) -> Reply:
    return await client.post(f"agents/{agent}/claim-next", body, **headers)


# ── what is next, and why ──────────────────────────────────────────────────────────────


async def test_what_is_next_is_what_a_claim_then_gets(one: Client, owner: Client) -> None:
    """By priority, then by age; asking changes nothing, and says as of when."""
    old, low, high, urgent = [
        await _issue(owner, priority=priority) for priority in ("none", "low", "high", "urgent")
    ]
    young = await _issue(owner, priority="urgent")
    for wanted in (urgent, young, high, low, old):
        before = (await owner.get("")).headers["Ledger-Position"]
        found = await _next(one)
        assert found.json["issue"]["id"] == wanted
        assert found.json["as_of_position"] == int(found.headers["Ledger-Position"]) == int(before)
        claimed = await _claim(one)
        assert (claimed.status, claimed.json["id"]) == (200, wanted)
        assert claimed.json["holder"]["agent_id"] == "one"
    assert (await _next(one)).json["issue"] is None
    nothing = await _claim(one)
    assert (nothing.status, nothing.json["code"]) == (409, "nothing_to_claim")


async def test_what_is_next_comes_with_its_reasons(owner: Client) -> None:
    """Whose it is, that the agent works there, how much it matters, what is left to spend."""
    agent = await _listed(owner, "agent", "Coder")
    team = await _listed(owner, "team", "Builders", agent_ids=[agent])
    project = await _listed(owner, "project", "Website", agent_ids=[agent])
    issue = await _issue(
        owner, team_id=team, project_id=project, priority="high", per_task_micros=500,
        assignee="agent:coder",
    )  # fmt: skip
    await owner.post("agents/coder/budget", {"monthly_micros": 900})
    found = (await _next(owner, "coder")).json
    assert found["issue"]["id"] == issue
    said = "\n".join(found["reasons"])
    for part in ("assigned to this agent", "Builders", "Website", "high", "blocks", "500", "900"):
        assert part in said
    assert all(reason.endswith(".") for reason in found["reasons"])
    free = await _issue(owner, priority="urgent")
    found = (await _next(owner, "coder")).json
    assert found["issue"]["id"] == free
    assert "assigned to nobody" in "\n".join(found["reasons"])


async def test_only_what_an_agent_may_take_is_next(one: Client, owner: Client) -> None:
    """Not what is held, paused, blocked, over, somebody's, another team's, or spent."""
    other = await _listed(owner, "agent", "Other")
    team = await _listed(owner, "team", "Others", agent_ids=[other])
    project = await _listed(owner, "project", "Theirs", agent_ids=[other])
    held, paused, blocked, gone = [await _issue(owner, priority="urgent") for _ in range(4)]
    spent = await _issue(owner, priority="urgent", per_task_micros=3)
    for status in ("backlog", "in_review", "handoff", "done", "cancelled"):
        await _issue(owner, priority="urgent", status=status)
    await _issue(owner, priority="urgent", assignee="user:alice")
    await _issue(owner, priority="urgent", assignee="agent:other")
    await _issue(owner, priority="urgent", team_id=team)
    await _issue(owner, priority="urgent", project_id=project)
    last = await _issue(owner, priority="none")
    await owner.post(f"issues/{held}/checkout", {"agent_id": "other"})
    await owner.post(f"issues/{paused}/pause")
    await owner.post(f"issues/{blocked}/links", {"link_type": "blocked_by", "target_id": last})
    taken = await owner.post(f"issues/{spent}/checkout", {"agent_id": "other"})
    await owner.post(f"issues/{spent}/runs/{taken.json['run_id']}/costs", cost(cost_micros=3))
    free = await owner.post(f"issues/{spent}/unassign")
    assert (free.json["status"], free.json["assignee"]) == ("todo", None)
    await owner.delete(f"issues/{gone}")
    assert (await _next(one)).json["issue"]["id"] == last
    assert (await _claim(one)).json["id"] == last
    nothing = (await _next(one)).json
    assert nothing["issue"] is None
    against = {
        word: int(found[1])
        for word in ("paused", "held", "assigned", "blocked", "budgets", "status", "teams")
        for reason in nothing["reasons"]
        if (found := re.fullmatch(r"[^:]*: (\d+)\.", reason)) and word in reason.lower()
    }
    assert against == {
        "paused": 1, "held": 2, "assigned": 2, "blocked": 1, "budgets": 1, "status": 3, "teams": 2,
    }  # fmt: skip


async def test_a_members_issues_are_its_teams_and_everybodys(owner: Client) -> None:
    """A member, or the lead, takes its team's; a project without a list is anybody's."""
    member, lead = await _listed(owner, "agent", "Member"), await _listed(owner, "agent", "Lead")
    team = await _listed(owner, "team", "Ours", agent_ids=[member], lead_agent_id=lead)
    project = await _listed(owner, "project", "Open")
    first = await _issue(owner, team_id=team, priority="high")
    second = await _issue(owner, team_id=team, project_id=project)
    assert (await _claim(owner, "member")).json["id"] == first
    assert (await _claim(owner, "lead")).json["id"] == second


async def test_what_a_run_left_behind_is_next_again(one: Client, owner: Client) -> None:
    """A lease that ran out is a reason, and the claim ends it."""
    issue = await _issue(owner)
    await _listed(owner, "agent", "Sleeper")
    left = await owner.post(f"issues/{issue}/checkout", {"agent_id": "sleeper", "lease_seconds": 1})
    assert (await _next(one)).json["issue"] is None
    await asyncio.sleep(1.1)
    found = (await _next(one)).json
    assert found["issue"]["id"] == issue
    assert "ran out" in found["reasons"][0]
    taken = await _claim(one)
    assert (taken.status, taken.json["holder"]["agent_id"]) == (200, "one")
    run = (await one.get(f"issues/{issue}/runs/{left.json['run_id']}")).json
    assert run["exit_reason"] == "expired"


async def test_where_there_is_nothing_at_all_that_is_said(one: Client) -> None:
    """No issue, and no reason but that."""
    found = (await _next(one)).json
    assert (found["issue"], len(found["reasons"])) == (None, 1)
    nothing = await _claim(one)
    assert (nothing.status, nothing.json["code"]) == (409, "nothing_to_claim")


@pytest.mark.parametrize("why", ["paused", "company", "agent"])
async def test_when_an_agent_may_take_nothing_the_reason_is_that_of_the_refusal(
    owner: Client, why: str
) -> None:
    """It is paused, or a budget is spent: as a claim would be told."""
    await _listed(owner, "agent", "Coder")
    await _issue(owner)
    match why:
        case "paused":
            await owner.post("agents/coder/pause")
        case "company":
            await owner.post("budget", {"monthly_micros": 0})
        case "agent":
            await owner.post("agents/coder/budget", {"monthly_micros": 0})
    found = (await _next(owner, "coder")).json
    refused = await _claim(owner, "coder")
    assert refused.status == 409
    assert (found["issue"], found["reasons"]) == (None, [refused.json["detail"]])
    assert refused.json["code"] == ("agent_paused" if why == "paused" else "budget_exceeded")


@pytest.mark.parametrize("agent", ["nobody", NOBODYS, "x" * 300, "%F0%9F%98%80"])
async def test_nobody_has_nothing_next(owner: Client, agent: str) -> None:
    """An agent that is neither listed nor has a key is a 404, to ask as to claim."""
    for reply in (await owner.get(f"agents/{agent}/next"), await _claim(owner, agent)):
        assert (reply.status, reply.json["code"]) == (404, "not_found")


# ── claiming ───────────────────────────────────────────────────────────────────────────


async def test_a_claim_is_a_checkout(one: Client, owner: Client) -> None:
    """With a run, named or new, a lease as long as was asked for, and the version of the issue."""
    for _ in range(2):
        await _issue(owner)
    run_id = new_id()
    named = await _claim(one, body={"lease_seconds": 60}, Ledger_Run_Id=run_id)
    assert (named.status, named.json["run_id"]) == (200, run_id)
    assert named.headers["ETag"] == f'"{named.json["version"]}"'
    (event,) = (await owner.get("events?type=issue.checked_out")).json["items"]
    assert (event["data"]["lease_seconds"], event["run_id"]) == (60, run_id)
    again = await _claim(one, Ledger_Run_Id=run_id)
    assert (again.status, again.json["code"]) == (409, "taken")
    unnamed = await _claim(one)
    assert unnamed.json["run_id"] not in (None, run_id)


async def test_an_agent_claims_for_itself_alone(
    one: Client, new_client: NewClient, company: str, owner: Client
) -> None:
    """For another one it is a 403; a person may send whom they like."""
    await _issue(owner)
    await new_client(company, Role.AGENT, "agent:two")
    refused = await _claim(one, "two")
    assert (refused.status, refused.json["code"]) == (403, "forbidden")
    assert (await _claim(owner, "two")).json["holder"]["agent_id"] == "two"


async def test_many_who_claim_at_once_get_an_issue_each(
    new_client: NewClient, company: str, owner: Client
) -> None:
    """Twenty agents, sixteen issues: sixteen different ones, and four are told there is nothing."""
    ids = {await _issue(owner) for _ in range(16)}
    names = [f"a{n}" for n in range(20)]
    agents = [await new_client(company, Role.AGENT, f"agent:{name}") for name in names]
    replies = await asyncio.gather(
        *(_claim(agent, name) for agent, name in zip(agents, names, strict=True))
    )
    assert sorted(reply.status for reply in replies) == [200] * 16 + [409] * 4
    assert {reply.json["id"] for reply in replies if reply.status == 200} == ids
    assert {r.json["code"] for r in replies if r.status == 409} == {"nothing_to_claim"}


async def test_a_claim_may_be_asked_for_again(one: Client, owner: Client) -> None:
    """Under its Idempotency-Key it is the same issue, however many there are."""
    for _ in range(2):
        await _issue(owner)
    first, again = [await _claim(one, Idempotency_Key="k") for _ in range(2)]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json == first.json


# ── pausing ────────────────────────────────────────────────────────────────────────────


async def test_a_paused_agent_takes_no_work(new_client: NewClient, owner: Client) -> None:
    """It neither claims, checks out nor is assigned anything; resumed, it does."""
    agent = await _listed(owner, "agent", "Coder")
    coder = await new_client(owner.company, Role.AGENT, f"agent:{agent}")
    issue = await _issue(owner)
    paused = await owner.post("agents/coder/pause", {"reason": "Holiday."})
    assert (paused.status, paused.json["paused_at"] is None) == (200, False)
    assert (await owner.get("agents/coder")).json == paused.json
    again = await owner.post("agents/coder/pause")
    assert (again.status, again.json["version"]) == (200, paused.json["version"])
    for client, path, body in (
        (coder, f"agents/{agent}/claim-next", None),
        (coder, f"issues/{issue}/checkout", None),
        (owner, f"issues/{issue}/checkout", {"agent_id": "coder"}),
        (owner, f"issues/{issue}/assign", {"agent_id": "coder"}),
        (owner, f"issues/{issue}/reassign", {"agent_id": "coder"}),
    ):
        reply = await client.post(path, body)
        assert (reply.status, reply.json["code"]) == (409, "agent_paused"), path
        assert reply.json["errors"][0]["pointer"] == "/agent_id"
    resumed = await owner.post("agents/coder/resume")
    assert (resumed.status, resumed.json["paused_at"]) == (200, None)
    assert (await owner.post("agents/coder/resume")).json["version"] == resumed.json["version"]
    assert (await _claim(coder, agent)).json["id"] == issue
    (event,) = (await owner.get("events?type=agent.paused")).json["items"]
    assert event["data"] == {"name": "Coder", "reason": "Holiday."}


async def test_a_paused_agent_may_finish_what_it_holds_but_not_renew(
    new_client: NewClient, owner: Client
) -> None:
    """Its time runs out, or it is done before."""
    agent = await _listed(owner, "agent", "Coder")
    coder = await new_client(owner.company, Role.AGENT, f"agent:{agent}")
    issue = f"issues/{await _issue(owner)}"
    run = f"{issue}/runs/{(await coder.post(f'{issue}/checkout')).json['run_id']}"
    await owner.post("agents/coder/pause")
    renewed = await coder.post(f"{issue}/renew")
    assert (renewed.status, renewed.json["code"]) == (409, "agent_paused")
    assert (await coder.post(f"{run}/progress", {"message": "Nearly."})).status == 200
    assert (await coder.post(f"{run}/finish")).status == 200


# ── giving an issue to a team ──────────────────────────────────────────────────────────


@pytest.mark.parametrize("way", ["assign", "reassign"])
async def test_an_issue_given_to_a_team_goes_to_who_has_the_least_to_do(
    owner: Client, way: str
) -> None:
    """Unfinished issues count; of equals the first by name; who is paused gets none."""
    ids = {name: await _listed(owner, "agent", name) for name in ("Ann", "Bea", "Cid")}
    await _listed(owner, "team", "Builders", agent_ids=[ids["Cid"], ids["Bea"], ids["Ann"]])
    for name, statuses in (("Ann", ("todo", "blocked")), ("Bea", ("done", "cancelled", "todo"))):
        for status in statuses:
            await _issue(owner, status=status, assignee=f"agent:{ids[name]}")
    got = []
    for _ in range(4):
        given = await owner.post(f"issues/{await _issue(owner)}/{way}", {"team_id": "builders"})
        assert given.status == 200
        got.append(given.json["assignee"])
    assert got == [f"agent:{ids[name]}" for name in ("Cid", "Bea", "Cid", "Ann")]
    await owner.post("agents/bea/pause")
    await owner.delete("agents/cid")
    given = await owner.post(f"issues/{await _issue(owner)}/{way}", {"team_id": "builders"})
    assert given.json["assignee"] == f"agent:{ids['Ann']}"
    await owner.post("agents/ann/pause")
    refused = await owner.post(f"issues/{await _issue(owner)}/{way}", {"team_id": "builders"})
    assert (refused.status, refused.json["code"]) == (409, "nobody_available")


@pytest.mark.parametrize("way", ["assign", "reassign"])
async def test_an_issue_goes_to_exactly_one(owner: Client, way: str) -> None:
    """A team, an agent or a user: none or two is a 422, one that there is not a 404."""
    await _listed(owner, "team", "Builders")
    await _listed(owner, "agent", "Coder")
    path = f"issues/{await _issue(owner)}/{way}"
    for wrong in (
        {}, {"team_id": None}, {"team_id": "builders", "agent_id": "coder"},
        {"team_id": "builders", "user_id": "alice"},
    ):  # fmt: skip
        assert (await owner.post(path, wrong)).status == 422
    missing = await owner.post(path, {"team_id": "nowhere"})
    assert (missing.status, missing.json["errors"][0]["pointer"]) == (404, "/team_id")


async def test_reassigning_to_a_team_in_mid_run_requeues_the_issue(
    one: Client, owner: Client
) -> None:
    """The run ends, and whoever has the least to do may check it out."""
    agent = await _listed(owner, "agent", "Coder")
    await _listed(owner, "team", "Builders", agent_ids=[agent])
    issue = f"issues/{await _issue(owner)}"
    run_id = (await one.post(f"{issue}/checkout")).json["run_id"]
    moved = await owner.post(f"{issue}/reassign", {"team_id": "builders"})
    assert (moved.json["assignee"], moved.json["status"], moved.json["holder"]) == (
        f"agent:{agent}", "todo", None,
    )  # fmt: skip
    assert (await owner.get(f"{issue}/runs/{run_id}")).json["exit_reason"] == "reassigned"
    assert (await _claim(owner, "coder")).json["id"] == moved.json["id"]
