"""`dry_run=true`: what a command would do, decided as if it were meant, and nothing of it kept."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest

from api.routes import ROUTES
from api.wiring import Ledger
from ledger.actors import Role
from ledger.ids import new_id
from tests.client import Client, Reply
from tests.conftest import NewClient
from tests.tour import World, asking, body_of, call, cost, fill, in_order, path_of
from tests.writing import assert_whole, batches, eventually, locked, someone_waits


def _create(title: str = "x", **fields: Any) -> dict[str, Any]:
    return {"type": "create_issue", "title": title, **fields}


async def _head(owner: Client) -> int:
    return int((await owner.get("")).headers["Ledger-Position"])


# ── one command ────────────────────────────────────────────────────────────────────────


async def test_what_a_dry_run_shows_is_what_then_happens(owner: Client) -> None:
    """On every route: the same events of the same versions, and the same resource."""
    world = await fill(owner)
    wrong = []
    for route in in_order():
        if not route.is_command or route.operation_id == "carry_out_commands":
            continue
        before = await _head(owner)
        path, body = path_of(route, world), body_of(route, world)
        tried = await owner.request(route.method, f"{path}?dry_run=true", body)
        unchanged = await _head(owner) == before == int(tried.headers["Ledger-Position"])
        done = await call(owner, route, world)
        events = (await owner.get(f"events?after={before}")).json["items"]
        same = _plain(tried.json["events"], world) == _plain(events, world)
        if done.json is not None:
            same &= _plain(tried.json["resource"], world) == _plain(done.json, world)
        if (tried.status, tried.json["dry_run"], unchanged, same) != (200, True, True, True):
            wrong.append((route.operation_id, tried, done, events))
    assert not wrong


async def test_a_dry_run_of_what_is_so_already_shows_no_events(owner: Client) -> None:
    """Agreement appends nothing, tried or done."""
    made = (await owner.post("issues", {"title": "x"})).json
    tried = await owner.post(f"issues/{made['id']}/release?dry_run=true")
    assert (tried.status, tried.json["events"]) == (200, [])
    assert tried.json["resource"]["version"] == 1
    command = {"type": "release_issue", "issue_id": made["id"]}
    listed = await owner.post("commands?dry_run=true", command)
    assert listed.json["outcomes"][0]["events"] == []


async def test_a_dry_run_is_refused_as_the_command_would_be(
    new_client: NewClient, company: str, owner: Client
) -> None:
    """403, 404, 409, 412 and 422, with the same words."""
    made = (await owner.post("issues", {"title": "x"})).json
    path = f"issues/{made['id']}"
    viewer = await new_client(company, Role.VIEWER, "user:viewer")
    wrong = []
    for status, client, route, body, headers in (
        (403, viewer, f"{path}/cancel", None, {}),
        (404, owner, f"issues/{new_id()}/cancel", None, {}),
        (404, owner, "issues", {"title": "x", "team_id": "nowhere"}, {}),
        (409, owner, f"{path}/accept", None, {}),
        (412, owner, f"{path}/cancel", None, {"If_Match": '"9"'}),
        (422, owner, f"{path}/checkout", {}, {}),
        (422, owner, "issues", {"title": ""}, {}),
        (400, owner, "issues", b"{", {}),
    ):
        before = await _head(owner)
        tried = await client.post(f"{route}?dry_run=true", body, **headers)
        done = await client.post(route, body, **headers)
        if not (tried.status == done.status == status) or _said(tried) != _said(done):
            wrong.append((route, tried, done))
        assert await _head(owner) == before
    assert not wrong


async def test_a_dry_run_keeps_no_idempotency_key(owner: Client) -> None:
    """The key is free afterwards, for another request as well."""
    tried = await owner.post("issues?dry_run=true", {"title": "x"}, Idempotency_Key="k")
    again = await owner.post("issues?dry_run=true", {"title": "y"}, Idempotency_Key="k")
    assert (tried.status, again.status) == (200, 200)
    done = await owner.post("issues", {"title": "z"}, Idempotency_Key="k")
    assert (done.status, done.json["identifier"]) == (201, "ACM-1")
    assert "Idempotent-Replayed" not in done.headers
    for atomic in (False, True):
        listed = {"commands": [_create()], "atomic": atomic}
        key = {"Idempotency_Key": f"list-{atomic}"}
        await owner.post("commands?dry_run=true", listed, **key)
        reply = await owner.post("commands", {**listed, "commands": [_create("y")]}, **key)
        assert [o["replayed"] for o in reply.json["outcomes"]] == [False]


async def test_a_key_that_cannot_be_one_is_refused_in_a_dry_run_too(owner: Client) -> None:
    """What is wrong with a request is wrong with trying it."""
    for path, body in (("issues", {"title": "x"}), ("commands", [_create()])):
        tried = await owner.post(f"{path}?dry_run=true", body, Idempotency_Key="k" * 256)
        assert (tried.status, tried.json["code"]) == (400, "malformed"), path


async def test_a_dry_run_of_creating_a_key_shows_no_secret(owner: Client) -> None:
    """It would be nobody's: `key` is null, and no key comes to be."""
    before = (await owner.get("keys")).json["items"]
    body = {"role": "agent", "actor": "agent:x"}
    item = {"type": "create_key", **body}
    tried = await owner.post("keys?dry_run=true", body)
    assert (tried.status, tried.json["resource"]["key"]) == (200, None)
    listed = await owner.post("commands?dry_run=true", item)
    atomic = await owner.post("commands?dry_run=true", {"commands": [item], "atomic": True})
    for reply in (listed, atomic):
        assert reply.json["outcomes"][0]["resource"]["key"] is None
    assert b"ldg_" not in orjson.dumps([tried.json, listed.json, atomic.json])
    assert (await owner.get("keys")).json["items"] == before


@pytest.mark.parametrize("value", ["maybe", "", "2", "null"])
async def test_a_command_is_tried_or_it_is_not(owner: Client, value: str) -> None:
    """Another word is a 422 on every command, and no query takes it."""
    world = await fill(owner)
    before = await _head(owner)
    for route in ROUTES:
        path = asking(path_of(route, world), dry_run=value if route.is_command else "true")
        reply = await owner.request(route.method, path, body_of(route, world))
        assert reply.status == 422, route.operation_id
        assert reply.json["errors"][0]["pointer"] == "/dry_run"
    assert await _head(owner) == before


async def test_not_to_try_is_to_do(owner: Client) -> None:
    """`dry_run=false` is the command itself."""
    assert (await owner.post("issues?dry_run=false", {"title": "x"})).status == 201


# ── a list of commands ─────────────────────────────────────────────────────────────────


async def test_each_command_of_a_list_is_tried_on_its_own(owner: Client) -> None:
    """None sees what the others would do; each has its own events, or its own refusal."""
    before = await _head(owner)
    commands = [
        _create("a"),
        _create("b"),
        {"type": "comment_on_issue", "issue_id": "ACM-1", "body": "x"},
        {"type": "create_label", "name": "bug"},
        {"type": "create_label", "name": "bug"},
    ]
    tried = await owner.post("commands?dry_run=true", commands)
    assert tried.status == 200
    outcomes = tried.json["outcomes"]
    assert [o["status"] for o in outcomes] == [201, 201, 404, 201, 201]
    assert [o["resource"]["identifier"] for o in outcomes[:2]] == ["ACM-1", "ACM-1"]
    assert [[event["type"] for event in o.get("events", [])] for o in outcomes] == [
        ["issue.created"], ["issue.created"], [], ["directory.entry_created"],
        ["directory.entry_created"],
    ]  # fmt: skip
    assert {o["position"] for o in outcomes if "position" in o} == {before}
    assert await _head(owner) == before
    assert (await owner.get("issues")).json["items"] == []


async def test_an_atomic_list_is_tried_as_a_whole(owner: Client) -> None:
    """Later commands see what earlier ones would have done; the events are each one's own."""
    before = await _head(owner)
    commands = [
        _create("a"),
        _create("b"),
        {"type": "link_issue", "issue_id": "ACM-1", "link_type": "blocks", "target_id": "ACM-2"},
        {"type": "release_issue", "issue_id": "ACM-1"},
        {"type": "transition_issue", "issue_id": "ACM-1", "status": "done"},
    ]
    body = {"commands": commands, "atomic": True}
    tried = await owner.post("commands?dry_run=true", body)
    assert [o["status"] for o in tried.json["outcomes"]] == [201, 201, 201, 200, 200]
    assert [[event["type"] for event in o["events"]] for o in tried.json["outcomes"]] == [
        ["issue.created"],
        ["issue.created"],
        ["issue.linked", "issue.blocked"],
        [],
        ["issue.transitioned", "issue.unblocked"],
    ]
    assert await _head(owner) == before
    done = await owner.post("commands", body)
    assert [o["version"] for o in done.json["outcomes"]] == [
        o["version"] for o in tried.json["outcomes"]
    ]
    planned = [event for o in tried.json["outcomes"] for event in o["events"]]
    happened = (await owner.get(f"events?after={before}")).json["items"]
    named = [(event["type"], event["version"]) for event in planned]
    assert named == [(event["type"], event["version"]) for event in happened]


async def test_an_atomic_list_is_refused_as_it_would_be(owner: Client) -> None:
    """The first refusal refuses all, with its place."""
    before = await _head(owner)
    commands = [_create("a"), {"type": "accept_issue", "issue_id": "ACM-1"}, _create("b")]
    body = {"commands": commands, "atomic": True}
    tried, done = [await owner.post(path, body) for path in ("commands?dry_run=true", "commands")]
    assert (tried.status, tried.json["code"]) == (409, "transition_not_allowed")
    assert tried.json["errors"] == done.json["errors"]
    assert tried.json["errors"][0]["pointer"].startswith("/commands/1")
    assert await _head(owner) == before
    assert (await owner.get("issues")).json["items"] == []


# ── in one batch with what is meant ────────────────────────────────────────────────────


async def test_a_dry_run_leaves_no_trace_in_the_batch_that_it_is_decided_in(
    ledger: Ledger, new_client: NewClient, company: str, owner: Client
) -> None:
    """Neither numbers, names, leases, budgets, deletions nor sums of it are seen by the next."""
    one = await new_client(company, Role.AGENT, "agent:one")
    two = await new_client(company, Role.AGENT, "agent:two")
    await owner.post("issues", {"title": "There already"})
    run_id = new_id()
    ref = {"external_ref": {"system": "jira", "id": "ABC-1"}}
    run = f"issues/ACM-1/runs/{run_id}"
    both = {"commands": [_create(), _create()], "atomic": True}
    asked: list[tuple[Client, str, Any, dict[str, str], int]] = [
        (owner, "labels", {"name": "first"}, {}, 201),
        (owner, "issues?dry_run=true", {"title": "x", **ref}, {}, 200),
        (owner, "issues", {"title": "x", **ref}, {}, 201),
        (one, "issues/ACM-1/checkout?dry_run=true", None, {}, 200),
        (two, "issues/ACM-1/checkout", None, {"Ledger_Run_Id": run_id}, 200),
        (one, "issues/ACM-1/checkout?dry_run=true", None, {}, 409),
        (owner, "labels?dry_run=true", {"name": "bug"}, {}, 200),
        (owner, "issues/ACM-1/labels", {"label": "bug"}, {}, 404),
        (owner, "budget?dry_run=true", {"monthly_micros": 0}, {}, 200),
        (one, "issues/ACM-2/checkout", None, {}, 200),
        (owner, "issues/ACM-2/cancel?dry_run=true", None, {}, 200),
        (two, f"{run}/costs?dry_run=true", cost(cost_micros=5), {}, 200),
        (two, f"{run}/costs", cost(cost_micros=3), {}, 201),
        (owner, "commands?dry_run=true", both, {}, 200),
        (owner, "issues", {"title": "y"}, {}, 201),
        (one, "issues/ACM-2/comments", {"body": "x"}, {}, 201),
    ]
    requests = [_posting(client, path, body, given) for client, path, body, given, _ in asked]
    replies = await _in_one_batch(ledger, company, requests)
    assert [reply.status for reply in replies] == [status for *_, status in asked]
    assert (await batches(ledger, company))[-1] == 8  # What was meant, in one transaction.
    assert [replies[n].json["identifier"] for n in (2, 14)] == ["ACM-2", "ACM-3"]
    assert replies[4].json["holder"]["fencing_token"] == 2
    assert replies[5].json["current"]["holder"]["agent_id"] == "two"
    assert replies[12].json["cost_micros"] == 3
    tried = [outcome["resource"]["identifier"] for outcome in replies[13].json["outcomes"]]
    assert tried == ["ACM-3", "ACM-4"]
    assert (await owner.get("budget")).json["limit_micros"] is None
    assert (await owner.get("issues/ACM-1/budget")).json["spent_micros"] == 3
    assert [entry["slug"] for entry in (await owner.get("labels")).json["items"]] == ["first"]
    await assert_whole(ledger, company)


# ── helpers ────────────────────────────────────────────────────────────────────────────


def _posting(
    client: Client, path: str, body: Any, headers: dict[str, str]
) -> Callable[[], Awaitable[Reply]]:
    return lambda: client.post(path, body, **headers)


async def _in_one_batch(
    ledger: Ledger, company: str, requests: list[Callable[[], Awaitable[Reply]]]
) -> list[Reply]:
    """Sends requests in this order; while the first waits for the lock, the others gather."""
    tasks: list[asyncio.Task[Reply]] = []
    async with locked(ledger.url, company):
        for request in requests:
            tasks.append(asyncio.create_task(_sent(request)))
            if len(tasks) == 1:
                await someone_waits(ledger.url)
            else:
                await eventually(lambda: _are_queued(ledger, len(tasks) - 1))
    return list(await asyncio.gather(*tasks))


async def _sent(request: Callable[[], Awaitable[Reply]]) -> Reply:
    return await request()


async def _are_queued(ledger: Ledger, count: int) -> bool:
    return ledger.committer.queued == count


def _said(refused: Reply) -> dict[str, Any]:
    """A problem, but for what is another one with every request."""
    return {name: value for name, value in refused.json.items() if name != "request_id"}


def _plain(shown: Any, world: World) -> Any:
    """Events or a resource, without what is another one each time: fresh ids, times, secrets."""
    kept = {*world.ids.values(), world.company}
    names = ("type", "stream_id", "version", "data")
    if isinstance(shown, list):
        shown = [{name: event[name] for name in names} for event in shown]
    else:
        shown = {name: value for name, value in shown.items() if name != "key"}
    text = re.sub(
        r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        lambda found: found[0] if found[0] in kept else "ID",
        orjson.dumps(shown).decode(),
    )
    text = re.sub(r'"\d{4}-\d\d-\d\dT[\d:.]+Z"', '"TIME"', text)
    return orjson.loads(re.sub(r'"[0-9a-f]{64}"', '"SHA"', text))
