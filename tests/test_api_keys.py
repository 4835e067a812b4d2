"""API keys over HTTP: given out once, listed without their secret, revoked for good."""

from __future__ import annotations

import asyncio
import time
from hashlib import sha256
from typing import Any

import pytest

from ledger.actors import Role
from ledger.ids import new_id
from tests.client import Client
from tests.conftest import NewClient


async def test_a_key_is_shown_once(owner: Client) -> None:
    """The creating reply has it, with 256 random bits; no other reply has it, nor its hash."""
    made = await owner.post("keys", {"role": "agent", "actor": "agent:coder", "name": "laptop"})
    assert made.status == 201
    key = made.json["key"]
    prefix, company, secret = key.split("_", 2)
    assert (prefix, company) == ("ldg", owner.company.replace("-", ""))
    assert len(secret) >= 43
    read = await owner.get(f"keys/{made.json['id']}")
    assert "key" not in read.json
    assert {**read.json, "key": key} == made.json
    shown = [
        (await owner.get(path)).json
        for path in ("keys", f"keys/{made.json['id']}", "activity", "events?type=key.created")
    ]
    assert secret not in str(shown)
    assert sha256(key.encode()).hexdigest() not in str(shown[:3])


async def test_a_replayed_reply_shows_no_key(owner: Client) -> None:
    """The same request again gets the same reply, but for the secret, which is null."""
    body = {"role": "agent", "actor": "agent:coder"}
    first = await owner.post("keys", body, Idempotency_Key="once")
    again = await owner.post("keys", body, Idempotency_Key="once")
    assert (again.status, again.headers["Idempotent-Replayed"]) == (201, "true")
    assert again.json == {**first.json, "key": None}
    assert len((await owner.get("keys")).json["items"]) == 2


async def test_a_key_acts_as_its_actor_in_its_role(owner: Client) -> None:
    """The actor need not be in the directory; what it does is signed with it."""
    made = await owner.post("keys", {"role": "editor", "actor": "user:bob"})
    bob = Client(owner.http, owner.base_url, owner.company, made.json["key"])
    me = (await bob.get("/v1/me")).json
    assert me == {
        "company_id": owner.company, "key_id": made.json["id"], "actor": "user:bob",
        "role": "editor",
    }  # fmt: skip
    assert (await bob.post("issues", {"title": "x"})).json["created_by"] == "user:bob"
    event = (await bob.get("events?type=issue.created")).json["items"][0]
    assert (event["actor"], event["key_id"]) == ("user:bob", made.json["id"])


async def test_a_key_of_an_agent_in_the_directory_is_that_agents(owner: Client) -> None:
    """Named by slug, the key's actor is the entry's id."""
    agent = (await owner.post("agents", {"name": "Coder"})).json
    for name in ("coder", "CODER", agent["id"]):
        made = await owner.post("keys", {"role": "agent", "actor": f"agent:{name}"})
        assert made.json["actor"] == f"agent:{agent['id']}"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/role"),
        ({"role": "agent"}, "/actor"),
        ({"actor": "agent:x"}, "/role"),
        ({"role": "king", "actor": "agent:x"}, "/role"),
        ({"role": "agent", "actor": "x"}, "/actor"),
        ({"role": "agent", "actor": "agent:"}, "/actor"),
        ({"role": "agent", "actor": "robot:x"}, "/actor"),
        ({"role": "agent", "actor": "agent:" + "x" * 300}, "/actor"),
        ({"role": "agent", "actor": None}, "/actor"),
        ({"role": "agent", "actor": "agent:x", "name": ""}, "/name"),
        ({"role": "agent", "actor": "agent:x", "key": "ldg_mine"}, "/key"),
    ],
)
async def test_a_key_needs_a_role_and_an_actor(
    owner: Client, body: dict[str, Any], pointer: str
) -> None:
    """Anything else is a 422 that points to it."""
    reply = await owner.post("keys", body)
    assert reply.status == 422
    assert pointer in [e["pointer"] for e in reply.json["errors"]]


async def test_a_key_is_renamed_and_nothing_else_of_it_changes(owner: Client) -> None:
    """PATCH takes a name, or null for none."""
    made = (await owner.post("keys", {"role": "agent", "actor": "agent:x"})).json
    path = f"keys/{made['id']}"
    assert (await owner.patch(path, {"name": "ci"})).json["name"] == "ci"
    same = await owner.patch(path, {"name": "ci"})
    assert (same.json["version"], same.headers["ETag"]) == (2, '"2"')
    assert (await owner.patch(path, {"name": None})).json["name"] is None
    assert (await owner.patch(path, {"role": "owner"})).status == 422


async def test_a_revoked_key_stops_within_five_seconds(
    owner: Client, new_client: NewClient, company: str
) -> None:
    """Even one that was used a moment ago; it leaves the list, and is kept."""
    used = await new_client(company, Role.EDITOR, "user:bob")
    assert (await used.get("/v1/me")).status == 200
    key_id = (await used.get("/v1/me")).json["key_id"]
    assert (await owner.delete(f"keys/{key_id}")).status == 204
    started = time.monotonic()
    while (reply := await used.get("/v1/me")).status == 200:
        assert time.monotonic() - started < 5
        await asyncio.sleep(0.1)
    assert (reply.status, reply.json["code"]) == (401, "unauthenticated")
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")
    assert key_id not in [item["id"] for item in (await owner.get("keys")).json["items"]]
    assert (await owner.get(f"keys/{key_id}")).status == 404
    kept = await owner.get(f"keys/{key_id}?revoked=true")
    assert kept.json["revoked_at"] is not None
    assert key_id in [i["id"] for i in (await owner.get("keys?revoked=true")).json["items"]]
    assert (await owner.delete(f"keys/{key_id}")).status == 204


async def test_an_id_of_a_key_goes_in_either_case(owner: Client) -> None:
    """A key that never was is a 404."""
    made = (await owner.post("keys", {"role": "agent", "actor": "agent:x"})).json
    assert (await owner.get(f"keys/{made['id'].upper()}")).json["id"] == made["id"]
    for ref in (new_id(), "nothing"):
        assert (await owner.get(f"keys/{ref}")).status == 404
        assert (await owner.patch(f"keys/{ref}", {"name": "x"})).status == 404
        assert (await owner.delete(f"keys/{ref}")).status == 404
