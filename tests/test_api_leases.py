"""Leases over HTTP: for how long a run holds an issue, and what is written once it does not.

Where a lease must run out, it is one of a second, and the test waits for longer than that.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from api.routes import ROUTES, I
from ledger.actors import Role
from ledger.ids import new_id
from tests.client import Client, Reply
from tests.conftest import NewClient
from tests.tour import body_of, cost, fill, path_of


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


# ── for how long ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seconds", [None, 1, 60, 24 * 3600])
async def test_a_lease_lasts_as_long_as_was_asked_for(
    one: Client, owner: Client, issue: str, seconds: int | None
) -> None:
    """A quarter of an hour when nothing is said; counted from when the log has it."""
    body = {} if seconds is None else {"lease_seconds": seconds}
    taken = await one.post(f"{issue}/checkout", body)
    assert taken.status == 200
    (event,) = await _events(owner, "issue.checked_out")
    assert event["data"]["lease_seconds"] == (seconds or 900)
    holder = taken.json["holder"]
    assert holder["since"] == event["recorded_at"]
    assert _time(holder["expires_at"]) == _time(event["recorded_at"]) + timedelta(
        seconds=seconds or 900
    )


async def test_the_fencing_token_is_the_version_of_the_checkout(
    one: Client, owner: Client, issue: str
) -> None:
    """Each checkout has one of its own, and a later one's is higher."""
    tokens = []
    for _ in range(2):
        taken = await one.post(f"{issue}/checkout")
        tokens.append(taken.json["holder"]["fencing_token"])
        await one.post(f"{issue}/release")
    assert tokens == [event["version"] for event in await _events(owner, "issue.checked_out")]
    assert tokens[0] < tokens[1]


@pytest.mark.parametrize("wrong", [0, -1, 24 * 3600 + 1, 1.5, "60", True, [], 2**53 - 1])
async def test_a_lease_is_of_whole_seconds_up_to_a_day(
    one: Client, owner: Client, issue: str, wrong: Any
) -> None:
    """Anything else is a 422, for a checkout, a claim and a renewal."""
    await owner.post("agents", {"name": "Listed"})
    body = {"lease_seconds": wrong}
    for client, path in (
        (one, f"{issue}/checkout"), (one, f"{issue}/renew"), (owner, "agents/listed/claim-next"),
    ):  # fmt: skip
        reply = await client.post(path, body)
        assert reply.status == 422, path
        assert reply.json["errors"][0]["pointer"] == "/lease_seconds"


async def test_renewing_counts_from_now_and_keeps_the_token(
    one: Client, owner: Client, issue: str
) -> None:
    """For as long as is asked for; for as long as before, when nothing is."""
    taken = (await one.post(f"{issue}/checkout", {"lease_seconds": 60})).json["holder"]
    for body, seconds in ((None, 60), ({"lease_seconds": 600}, 600), ({}, 600)):
        renewed = await one.post(f"{issue}/renew", body)
        assert renewed.status == 200
        event = (await _events(owner, "issue.lease_renewed"))[-1]
        holder = renewed.json["holder"]
        ends = _time(event["recorded_at"]) + timedelta(seconds=seconds)
        assert _time(holder["expires_at"]) == ends
        assert (holder["fencing_token"], holder["since"]) == (
            taken["fencing_token"], taken["since"],
        )  # fmt: skip


async def test_only_the_holder_renews_or_a_person_for_it(
    one: Client, two: Client, owner: Client, issue: str
) -> None:
    """Another agent is told who holds it; where nobody does, there is nothing to renew."""
    nothing = await one.post(f"{issue}/renew")
    assert (nothing.status, nothing.json["code"]) == (409, "not_held")
    run_id = (await one.post(f"{issue}/checkout")).json["run_id"]
    rival = await two.post(f"{issue}/renew")
    assert (rival.status, rival.json["code"]) == (409, "issue_held")
    assert (await owner.post(f"{issue}/renew")).status == 200
    assert (await one.post(f"{issue}/renew", Ledger_Run_Id=run_id)).status == 200


async def test_a_lease_that_lasts_is_not_made_to_expire(
    one: Client, owner: Client, issue: str
) -> None:
    """409 while it lasts; where nobody holds the issue it is agreement."""
    free = await owner.post(f"{issue}/expire-lease")
    assert (free.status, free.json["version"]) == (200, 1)
    await one.post(f"{issue}/checkout")
    live = await owner.post(f"{issue}/expire-lease")
    assert (live.status, live.json["code"]) == (409, "issue_held")
    assert live.json["current"]["holder"]["agent_id"] == "one"


# ── once it has run out ────────────────────────────────────────────────────────────────


async def test_a_lease_that_ran_out_only_permits_another_claim(one: Client, issue: str) -> None:
    """Until somebody comes, its holder goes on: it writes, and renews, under the same token."""
    taken = await _run_out(one, issue)
    token = str(taken.json["holder"]["fencing_token"])
    late = await one.post(f"{issue}/comments", {"body": "x"}, Ledger_Fencing_Token=token)
    assert late.status == 201
    renewed = await one.post(
        f"{issue}/renew", {"lease_seconds": 60}, Ledger_Fencing_Token=token
    )  # fmt: skip
    assert renewed.status == 200
    assert renewed.json["run_id"] == taken.json["run_id"]
    held = await one.post(f"{issue}/expire-lease")
    assert (held.status, held.json["code"]) == (409, "issue_held")


async def test_whoever_claims_what_was_left_ends_the_lease_and_the_run(
    one: Client, two: Client, owner: Client, issue: str
) -> None:
    """One decision: the lease expires, the run ends, and another one begins."""
    left = await _run_out(one, issue)
    before = int((await owner.get("")).headers["Ledger-Position"])
    taken = await two.post(f"{issue}/checkout")
    assert (taken.status, taken.json["holder"]["agent_id"]) == (200, "two")
    events = (await owner.get(f"events?after={before}")).json["items"]
    assert [event["type"] for event in events] == [
        "issue.lease_expired", "run.ended", "issue.checked_out", "run.started",
    ]  # fmt: skip
    assert len({event["command_id"] for event in events}) == 1
    run = (await one.get(f"{issue}/runs/{left.json['run_id']}")).json
    assert (run["status"], run["exit_reason"]) == ("ended", "expired")


async def test_anybody_may_put_back_what_was_left(one: Client, two: Client, issue: str) -> None:
    """The issue waits again, and is nobody's."""
    left = await _run_out(one, issue)
    back = await two.post(f"{issue}/expire-lease")
    assert back.status == 200
    assert (back.json["status"], back.json["assignee"], back.json["holder"]) == (
        "todo", None, None,
    )  # fmt: skip
    run = (await one.get(f"{issue}/runs/{left.json['run_id']}")).json
    assert run["exit_reason"] == "expired"


async def test_a_holder_that_slept_is_told_what_happened_meanwhile(
    one: Client, two: Client, owner: Client, issue: str
) -> None:
    """409 `stale_token`, with who holds it now and every event since its own checkout."""
    left = await _run_out(one, issue)
    await two.post(f"{issue}/checkout")
    await two.post(f"{issue}/comments", {"body": "Mine now."})
    token = left.json["holder"]["fencing_token"]
    before = (await owner.get("")).headers["Ledger-Position"]
    woken = await one.post(
        f"{issue}/transition", {"status": "done"}, Ledger_Fencing_Token=str(token)
    )
    assert (woken.status, woken.json["code"]) == (409, "stale_token")
    assert woken.json["current"]["holder"]["agent_id"] == "two"
    assert [(event["version"], event["type"]) for event in woken.json["changed"]] == [
        (token + 1, "issue.lease_expired"),
        (token + 2, "issue.checked_out"),
        (token + 3, "issue.commented"),
    ]
    assert woken.json["changed"][-1]["data"]["body"] == "Mine now."
    assert (await owner.get("")).headers["Ledger-Position"] == before


# ── fencing ────────────────────────────────────────────────────────────────────────────


async def test_every_command_on_an_issue_is_refused_under_a_token_of_the_past(
    owner: Client,
) -> None:
    """But for what is a fact, refused or not: what was spent, and what is kept where."""
    world = await fill(owner)
    wrong = []
    for route in ROUTES:
        if not route.is_command or not route.path.startswith(I):
            continue
        path, body = path_of(route, world), body_of(route, world)
        before = (await owner.get("")).headers["Ledger-Position"]
        reply = await owner.request(route.method, path, body, Ledger_Fencing_Token="1")
        if route.operation_id in ("report_cost", "correct_cost", "retain_workspace"):
            assert reply.status == route.status
            continue
        unchanged = (await owner.get("")).headers["Ledger-Position"] == before
        if (reply.status, reply.json["code"], unchanged) != (409, "stale_token", True):
            wrong.append((route.operation_id, reply))
        versions = [event["version"] for event in reply.json["changed"]]
        assert versions == list(range(2, reply.json["current"]["version"] + 1))
    assert not wrong


async def test_the_holder_writes_under_its_token(one: Client, owner: Client, issue: str) -> None:
    """Renewing keeps it good; whatever ends the lease ends the token too."""
    taken = (await one.post(f"{issue}/checkout")).json
    token = str(taken["holder"]["fencing_token"])
    run = f"{issue}/runs/{taken['run_id']}"
    for path, body in (
        (f"{issue}/renew", None),
        (f"{issue}/comments", {"body": "x"}),
        (f"{run}/progress", {"message": "Half-way."}),
        (f"{run}/checkpoint", {"checkpoint": {}}),
        (f"{issue}/transition", {"status": "in_review"}),
    ):
        reply = await one.post(path, body, Ledger_Fencing_Token=token)
        assert reply.status in (200, 201), (path, reply)
    assert (await one.post(f"{issue}/release", Ledger_Fencing_Token=token)).status == 200
    late = await one.post(f"{issue}/comments", {"body": "x"}, Ledger_Fencing_Token=token)
    assert (late.status, late.json["code"]) == (409, "stale_token")
    assert late.json["current"]["holder"] is None
    assert late.json["changed"][-1]["type"] == "issue.released"
    spent = await one.post(f"{run}/costs", cost(), Ledger_Fencing_Token=token)
    assert spent.status == 201


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("pause", None), ("submit", None), ("hand-off", None), ("cancel", None), ("fail", None),
        ("close", None), ("release", None), ("reassign", {"agent_id": "two"}),
        ("transition", {"status": "blocked"}), ("transition", {"status": "done"}),
    ],
)  # fmt: skip
async def test_whatever_ends_the_lease_ends_its_token(
    one: Client, two: Client, owner: Client, issue: str, path: str, body: Any
) -> None:
    """A person steps in, and what the run writes from then on is refused."""
    taken = (await one.post(f"{issue}/checkout")).json
    token = taken["holder"]["fencing_token"]
    ended = await owner.post(f"{issue}/{path}", body)
    assert (ended.status, ended.json["holder"]) == (200, None)
    late = await one.post(
        f"{issue}/runs/{taken['run_id']}/progress", {"message": "x"},
        Ledger_Fencing_Token=str(token),
    )  # fmt: skip
    assert (late.status, late.json["code"]) == (409, "stale_token")
    assert [event["version"] for event in late.json["changed"]] == [token + 1]


async def test_an_agents_former_run_is_as_stale_as_its_token(one: Client, issue: str) -> None:
    """`Ledger-Run-Id` of a run that holds the issue no more does nothing to the one that does."""
    former = (await one.post(f"{issue}/checkout")).json["run_id"]
    await one.post(f"{issue}/release")
    holder = (await one.post(f"{issue}/checkout")).json["holder"]
    for path, body in (
        ("renew", None), ("release", None), ("pause", None), ("submit", None),
        ("transition", {"status": "done"}),
    ):  # fmt: skip
        late = await one.post(f"{issue}/{path}", body, Ledger_Run_Id=former)
        assert (late.status, late.json["code"]) == (409, "stale_token"), path
        assert late.json["current"]["holder"] == holder
    own = await one.post(f"{issue}/submit", Ledger_Run_Id=holder["run_id"])
    assert own.status == 200


async def test_a_token_is_of_one_issue(one: Client, owner: Client, issue: str) -> None:
    """What is about no issue passes it over; another issue's lease is another one."""
    await one.post(f"{issue}/checkout")
    made = await one.post("issues", {"title": "y"}, Ledger_Fencing_Token="999")
    assert made.status == 201
    other = f"issues/{made.json['id']}"
    late = await one.post(f"{other}/comments", {"body": "x"}, Ledger_Fencing_Token="2")
    assert (late.status, late.json["code"]) == (409, "stale_token")


async def test_commands_of_a_list_are_fenced_each_by_its_own_token(
    one: Client, owner: Client, issue: str
) -> None:
    """The header is for all; an item's own `fencing_token` goes before it."""
    taken = (await one.post(f"{issue}/checkout")).json
    token = taken["holder"]["fencing_token"]
    said = {"type": "comment_on_issue", "issue_id": taken["id"], "body": "x"}
    own = [said, {**said, "fencing_token": token}, {**said, "fencing_token": token + 1}]
    listed = await one.post("commands", own)
    assert [o["status"] for o in listed.json["outcomes"]] == [201, 201, 409]
    assert listed.json["outcomes"][2]["problem"]["code"] == "stale_token"
    fenced = await one.post("commands", own, Ledger_Fencing_Token="1")
    assert [o["status"] for o in fenced.json["outcomes"]] == [409, 201, 409]
    atomic = await one.post("commands", {"commands": own, "atomic": True})
    assert (atomic.status, atomic.json["code"]) == (409, "stale_token")
    assert atomic.json["errors"][0]["pointer"] == "/commands/2"


# ── what there was ─────────────────────────────────────────────────────────────────────


async def test_the_leases_of_a_run_are_listed_oldest_first(
    one: Client, owner: Client, issue: str
) -> None:
    """A run that was paused and goes on has two; each with what ended it."""
    first = (await one.post(f"{issue}/checkout", {"lease_seconds": 60})).json
    await one.post(f"{issue}/renew", {"lease_seconds": 120})
    await owner.post(f"{issue}/pause")
    await owner.post(f"{issue}/resume")
    second = (await one.post(f"{issue}/checkout")).json
    assert second["run_id"] == first["run_id"]
    path = f"{issue}/runs/{first['run_id']}/leases"
    leases = (await one.get(path)).json["items"]
    shown = [(lease["lease_seconds"], lease["ended_by"]) for lease in leases]
    assert shown == [(120, "issue.paused"), (900, None)]
    assert [lease["fencing_token"] for lease in leases] == [
        first["holder"]["fencing_token"], second["holder"]["fencing_token"],
    ]  # fmt: skip
    assert {(lease["agent_id"], lease["run_id"]) for lease in leases} == {("one", first["run_id"])}
    assert leases[0]["acquired_at"] == first["holder"]["since"]
    assert leases[0]["ended_at"] is not None
    assert (leases[1]["expires_at"], leases[1]["ended_at"]) == (
        second["holder"]["expires_at"], None,
    )  # fmt: skip
    page = await one.get(f"{path}?limit=1")
    assert page.json["items"] == leases[:1]
    rest = await one.get(f"{path}?cursor={page.json['next_cursor']}")
    assert (rest.json["items"], rest.json["next_cursor"]) == (leases[1:], None)


async def test_leases_are_those_of_a_run_of_that_issue(
    one: Client, owner: Client, issue: str
) -> None:
    """A run that is not, or is of another issue, is a 404."""
    run_id = (await one.post(f"{issue}/checkout")).json["run_id"]
    other = (await owner.post("issues", {"title": "y"})).json["id"]
    for path in (f"{issue}/runs/{new_id()}", f"issues/{other}/runs/{run_id}", f"{issue}/runs/x"):
        assert (await one.get(f"{path}/leases")).status == 404


# ── helpers ────────────────────────────────────────────────────────────────────────────


async def _run_out(agent: Client, issue: str) -> Reply:
    """A checkout whose lease has run out, and nobody has come."""
    taken = await agent.post(f"{issue}/checkout", {"lease_seconds": 1})
    assert taken.status == 200, taken
    await asyncio.sleep(1.1)
    return taken


async def _events(owner: Client, kind: str) -> list[dict[str, Any]]:
    reply = await owner.get(f"events?type={kind}")
    found: list[dict[str, Any]] = reply.json["items"]
    return found


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
