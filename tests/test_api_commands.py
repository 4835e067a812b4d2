"""`POST …/commands`: one command, a list of them, or a list that stands or falls together."""

from __future__ import annotations

from typing import Any

import pytest

from api.verbs import VERBS
from ledger.ids import new_id
from tests.client import Client


def _create(title: str, **fields: Any) -> dict[str, Any]:
    return {"type": "create_issue", "title": title, **fields}


async def _head(owner: Client) -> int:
    return int((await owner.get("")).headers["Ledger-Position"])


async def test_one_command_is_carried_out(owner: Client) -> None:
    """The outcome has type, status, version, position and the resource as it now is."""
    reply = await owner.post("commands", _create("x"))
    assert reply.status == 200
    (outcome,) = reply.json["outcomes"]
    assert (outcome["type"], outcome["status"], outcome["version"]) == ("create_issue", 201, 1)
    assert outcome["position"] == await _head(owner)
    assert outcome["replayed"] is False
    read = await owner.get(f"issues/{outcome['resource']['id']}")
    assert outcome["resource"].items() <= read.json.items()


async def test_a_list_is_carried_out_in_order(owner: Client) -> None:
    """Later commands see what earlier ones did; outcomes come in the order of the commands."""
    commands = [
        _create("one"),
        {"type": "create_label", "name": "bug"},
        {"type": "label_issue", "issue_id": "ACM-1", "label": "bug"},
        {"type": "comment_on_issue", "issue_id": "acm-1", "body": "x"},
        {"type": "transition_issue", "issue_id": "ACM-1", "status": "done"},
        {"type": "delete_issue", "issue_id": "ACM-1"},
    ]
    for body in (commands, {"commands": [_create("other")]}):
        reply = await owner.post("commands", body)
        assert reply.status == 200
    assert [o["type"] for o in (await owner.post("commands", commands)).json["outcomes"]] == [
        command["type"] for command in commands
    ]


async def test_each_outcome_of_a_list_is_its_own(owner: Client) -> None:
    """A refusal among them is told in its place, and the others happen all the same."""
    first = await owner.post("commands", _create("x", external_ref={"system": "s", "id": "1"}))
    issue = first.json["outcomes"][0]["resource"]
    reply = await owner.post(
        "commands",
        [
            _create("a"),
            _create("b", external_ref={"system": "s", "id": "1"}),
            {"type": "edit_issue", "issue_id": new_id(), "title": "x"},
            {"type": "edit_issue", "issue_id": issue["id"], "title": "y", "expected_version": 9},
            {"type": "transition_issue", "issue_id": issue["id"], "status": "done"},
            {"type": "link_issue", "issue_id": "ACM-1", "link_type": "blocks",
             "target_id": "ACM-1"},
        ],
    )  # fmt: skip
    assert reply.status == 200
    outcomes = reply.json["outcomes"]
    assert [o["status"] for o in outcomes] == [201, 409, 404, 412, 200, 422]
    assert [o.get("problem", {}).get("code") for o in outcomes] == [
        None, "taken", "not_found", "stale_version", None, "invalid",
    ]  # fmt: skip
    taken = outcomes[1]["problem"]
    assert taken["taken_by"] == issue["id"]
    assert taken["status"] == 409
    assert taken["title"] == "Refused"
    assert outcomes[3]["problem"]["current"]["version"] == 1
    assert outcomes[5]["problem"]["errors"][0]["pointer"].endswith("/target_id")


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"type": "edit_comment", "issue_id": "ACM-1", "comment_id": "nothing", "body": "x"}, 404),
        ({"type": "check_out_issue", "issue_id": "ACM-1"}, 422),
        ({"type": "revoke_key", "key_id": "nothing"}, 404),
        ({"type": "unlink_issue", "issue_id": "ACM-1", "link_id": "nothing"}, 404),
    ],
)
async def test_what_one_command_cannot_mean_is_its_own_outcome(
    owner: Client, wrong: dict[str, Any], status: int
) -> None:
    """A name that is nobody's refuses the command that has it, not its neighbours."""
    reply = await owner.post("commands", [_create("before"), wrong, _create("after")])
    assert reply.status == 200
    assert [o["status"] for o in reply.json["outcomes"]] == [201, status, 201]


async def test_an_atomic_list_happens_together(owner: Client) -> None:
    """One batch: consecutive positions, one command id."""
    before = await _head(owner)
    body = {"commands": [_create("a"), _create("b"), _create("c")], "atomic": True}
    reply = await owner.post("commands", body)
    assert [o["status"] for o in reply.json["outcomes"]] == [201, 201, 201]
    assert await _head(owner) == before + 3
    events = (await owner.get(f"events?after={before}")).json["items"]
    assert len({event["recorded_at"] for event in events}) == 1


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        ({"type": "edit_issue", "issue_id": "ACM-999", "title": "x"}, 404, "not_found"),
        ({"type": "transition_issue", "issue_id": "ACM-1", "status": "handoff"}, 409,
         "transition_not_allowed"),
        ({"type": "edit_issue", "issue_id": "ACM-1", "title": "x", "expected_version": 7}, 412,
         "stale_version"),
        ({"type": "check_out_issue", "issue_id": "ACM-1", "agent_id": "nobody"}, 404, "not_found"),
        ({"type": "edit_comment", "issue_id": "ACM-1", "comment_id": "x", "body": "x"}, 404,
         "not_found"),
    ],
)  # fmt: skip
async def test_an_atomic_list_does_not_happen_in_part(
    owner: Client, wrong: dict[str, Any], status: int, code: str
) -> None:
    """One refusal refuses all; the answer says which one it was, and nothing is written."""
    await owner.post("issues", {"title": "x"})
    before = await _head(owner)
    body = {"commands": [_create("a"), wrong, _create("b")], "atomic": True}
    reply = await owner.post("commands", body)
    assert (reply.status, reply.json["code"]) == (status, code)
    assert await _head(owner) == before
    assert len((await owner.get("issues")).json["items"]) == 1
    pointers = [e["pointer"] for e in reply.json.get("errors", [])]
    assert any(pointer.startswith("/commands/1") for pointer in pointers)


async def test_later_commands_of_an_atomic_list_see_the_earlier_ones(owner: Client) -> None:
    """Twins are refused within it as well."""
    ref = {"system": "s", "id": "1"}
    twins = [_create("a", external_ref=ref), _create("b", external_ref=ref)]
    reply = await owner.post("commands", {"commands": twins, "atomic": True})
    assert (reply.status, reply.json["code"]) == (409, "taken")
    chain = [_create("a"), {"type": "comment_on_issue", "issue_id": "ACM-1", "body": "x"}]
    reply = await owner.post("commands", {"commands": chain, "atomic": True})
    assert [o["status"] for o in reply.json["outcomes"]] == [201, 201]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""),
        ({"type": "fly"}, ""),
        ({"type": None}, ""),
        ({"type": "create_issue"}, "/title"),
        ({"type": "create_issue", "title": 5}, "/title"),
        ({"type": "create_issue", "title": "x", "issue_id": "x"}, "/issue_id"),
        ({"type": "edit_issue", "title": "x"}, "/issue_id"),
        ({"type": "edit_issue", "issue_id": "x", "expected_version": "7"}, "/expected_version"),
        ([], ""),
        ([_create("a"), {"type": "create_issue"}], "/1/title"),
        ([_create("a"), {"type": "fly"}], "/1"),
        ([_create("a"), 5], "/1"),
        ({"commands": []}, "/commands"),
        ({"commands": [_create("a"), {"type": "create_issue"}]}, "/commands/1/title"),
        ({"commands": [_create("a")], "atomic": 7}, "/atomic"),
        ({"commands": [_create("a")], "atomically": True}, "/atomically"),
        ({"commands": [_create("a", labels=["x", 5])]}, "/commands/0/labels/1"),
        ([_create("x")] * 101, ""),
        ({"commands": [_create("x")] * 101}, "/commands"),
        (5, ""),
        (None, ""),
    ],
)
async def test_an_invalid_item_is_pointed_to_where_it_stands_in_the_body(
    owner: Client, body: Any, pointer: str
) -> None:
    """422 before anything happens, with a JSON pointer into the body as it was sent."""
    before = await _head(owner)
    reply = await owner.post("commands", body)
    assert (reply.status, reply.json["code"]) == (422, "invalid")
    assert await _head(owner) == before
    assert pointer in [e["pointer"] for e in reply.json["errors"]]


async def test_a_hundred_commands_are_not_too_many(owner: Client) -> None:
    """All of them are carried out, atomically too."""
    for atomic in (False, True):
        body = {"commands": [_create("x")] * 100, "atomic": atomic}
        reply = await owner.post("commands", body)
        assert [o["status"] for o in reply.json["outcomes"]] == [201] * 100
    identifiers = {o["resource"]["identifier"] for o in reply.json["outcomes"]}
    assert len(identifiers) == 100


async def test_every_command_of_v1_is_there(owner: Client) -> None:
    """An unknown type is answered with those that there are."""
    reply = await owner.post("commands", {"type": "fly"})
    for name in VERBS:
        assert f"'{name}'" in reply.json["detail"]


@pytest.mark.parametrize("atomic", [False, True])
async def test_a_list_with_an_idempotency_key_happens_once(owner: Client, atomic: bool) -> None:
    """Sent again it answers as before, and each outcome says that it is a replay."""
    body = {"commands": [_create("a"), _create("b")], "atomic": atomic}
    first = await owner.post("commands", body, Idempotency_Key="list")
    before = await _head(owner)
    again = await owner.post("commands", body, Idempotency_Key="list")
    assert await _head(owner) == before
    assert [o["replayed"] for o in again.json["outcomes"]] == [True, True]
    assert [o["resource"]["id"] for o in again.json["outcomes"]] == [
        o["resource"]["id"] for o in first.json["outcomes"]
    ]
    assert again.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("atomic", [False, True])
async def test_a_lists_idempotency_key_for_another_list_is_a_422(
    owner: Client, atomic: bool
) -> None:
    """And nothing of the other list happens."""
    body = {"commands": [_create("a"), _create("b")], "atomic": atomic}
    await owner.post("commands", body, Idempotency_Key="list")
    before = await _head(owner)
    other = {"commands": [_create("a"), _create("c"), _create("d")], "atomic": atomic}
    reply = await owner.post("commands", other, Idempotency_Key="list")
    assert await _head(owner) == before
    assert (reply.status, reply.json.get("code")) == (422, "idempotency_key_reused")


async def test_only_what_was_accepted_of_a_list_is_replayed(owner: Client) -> None:
    """A refusal is decided anew: what stood in its way may be gone."""
    ref = {"system": "s", "id": "1"}
    held = (await owner.post("issues", {"title": "x", "external_ref": ref})).json["id"]
    body = [_create("a"), _create("b", external_ref=ref)]
    first = await owner.post("commands", body, Idempotency_Key="list")
    assert [o["status"] for o in first.json["outcomes"]] == [201, 409]
    await owner.delete(f"issues/{held}")
    again = await owner.post("commands", body, Idempotency_Key="list")
    assert [o["status"] for o in again.json["outcomes"]] == [201, 201]
    assert [o["replayed"] for o in again.json["outcomes"]] == [True, False]


async def test_a_key_made_in_a_list_is_shown_once(owner: Client) -> None:
    """As on its own route."""
    body = [{"type": "create_key", "role": "agent", "actor": "agent:x"}]
    first = await owner.post("commands", body, Idempotency_Key="key")
    again = await owner.post("commands", body, Idempotency_Key="key")
    assert first.json["outcomes"][0]["resource"]["key"].startswith("ldg_")
    assert again.json["outcomes"][0]["resource"]["key"] is None


async def test_a_reply_to_commands_says_where_the_log_is(owner: Client) -> None:
    """`Ledger-Position`, as every command's reply has it."""
    reply = await owner.post("commands", [_create("a"), _create("b")])
    assert int(reply.headers["Ledger-Position"]) == await _head(owner)


async def test_an_if_match_on_a_list_is_not_passed_over(owner: Client) -> None:
    """It cannot mean anything for a list (each item has `expected_version`), so it is refused."""
    made = (await owner.post("issues", {"title": "x"})).json
    body = {"type": "edit_issue", "issue_id": made["id"], "title": "y"}
    reply = await owner.post("commands", body, If_Match='"999"')
    assert reply.status in (400, 412, 422)
    assert (await owner.get(f"issues/{made['id']}")).json["title"] == "x"
