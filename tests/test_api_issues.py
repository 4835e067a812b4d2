"""Issues over HTTP: written down, read, edited, moved, listed, deleted."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.ids import new_id
from tests.client import Client
from tests.tour import fill

FINE = {
    "title": "Fix the token refresh",
    "description": "It expires too early.",
    "status": "backlog",
    "priority": "urgent",
    "due_at": "2026-12-24T18:00:00.123456Z",
    "estimate": 5,
    "sort_order": "-12.50",
    "billing_code": "R&D",
    "external_ref": {"system": "jira", "id": "OLD-7"},
}


async def test_an_issue_needs_a_title_and_nothing_else(owner: Client) -> None:
    """201 with the id on top, an identifier, version 1, and defaults for the rest."""
    reply = await owner.post("issues", {"title": "x"})
    assert reply.status == 201
    assert reply.headers["ETag"] == '"1"'
    assert reply.json["identifier"] == "ACM-1"
    assert reply.json["version"] == 1
    assert reply.json["status"] == "todo"
    assert reply.json["priority"] == "none"
    assert reply.json["assignee"] is None
    assert reply.json["created_by"] == "user:alice"
    missing = await owner.post("issues", {"description": "x"})
    assert missing.status == 422
    assert [e["pointer"] for e in missing.json["errors"]] == ["/title"]


async def test_every_field_comes_back_as_it_was_written(owner: Client) -> None:
    """From the creating reply and from GET alike; long text too."""
    made = await owner.post("issues", FINE)
    assert made.status == 201
    read = await owner.get(f"issues/{made.json['id']}")
    assert FINE.items() <= read.json.items()
    assert made.json == read.json


async def test_references_are_named_by_id_or_by_slug(owner: Client) -> None:
    """Team, project, goal, milestone, labels, parent and assignee resolve to ids."""
    world = await fill(owner)
    named = await owner.post(
        "issues",
        {
            "title": "x",
            "team_id": "here-team",
            "project_id": "HERE-PROJECT",
            "goal_id": "here-goal",
            "milestone_id": "here-milestone",
            "labels": ["here-label", world["label"]],
            "parent_id": "acm-1",
            "assignee": "agent:here-agent",
        },
    )
    assert named.status == 201, named
    for kind in ("team", "project", "goal", "milestone"):
        assert named.json[f"{kind}_id"] == world[kind]
    assert named.json["label_ids"] == [world["label"]]
    assert named.json["parent_id"] == world["parent"]
    assert named.json["assignee"] == f"agent:{world['agent']}"


async def test_a_teams_issues_are_numbered_under_its_prefix(owner: Client) -> None:
    """Each prefix counts for itself, without gaps."""
    await owner.post("teams", {"name": "Engineering", "issue_prefix": "ENG"})
    found = [
        (await owner.post("issues", {"title": "x", **team})).json["identifier"]
        for team in ({"team_id": "engineering"}, {}, {"team_id": "engineering"}, {})
    ]
    assert found == ["ENG-1", "ACM-1", "ENG-2", "ACM-2"]


async def test_an_identifier_goes_wherever_an_id_goes_in_any_case(owner: Client) -> None:
    """`ACM-1`, `acm-1` and the id are the same issue on every route."""
    made = (await owner.post("issues", {"title": "x"})).json
    for ref in (made["id"], "ACM-1", "acm-1", "Acm-1"):
        for path in ("", "/comments", "/links", "/runs"):
            reply = await owner.get(f"issues/{ref}{path}")
            assert reply.status == 200, (ref, path)
        assert (await owner.patch(f"issues/{ref}", {"priority": "low"})).status == 200
        assert (await owner.post(f"issues/{ref}/release")).status == 200
        for query in ("issues?parent_id=", "activity?issue_id=", "events?issue_id=",
                      "costs?issue_id=", "costs/sums?issue_id="):  # fmt: skip
            assert (await owner.get(query + ref)).status == 200, (query, ref)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", ""), ("title", "   "), ("title", "x" * 501), ("title", None), ("title", 5),
        ("description", "x" * 500_001), ("description", 5), ("status", "nope"),
        ("priority", "highest"), ("assignee", "coder"), ("assignee", "system:cli"),
        ("assignee", "agent:"), ("due_at", "tomorrow"), ("due_at", "2026-12-24"),
        ("due_at", "2026-12-24T18:00:00"), ("due_at", 1790000000), ("estimate", -1),
        ("estimate", 1.5), ("sort_order", 1), ("sort_order", "1e5"), ("sort_order", "one"),
        ("labels", "bug"), ("labels", ["x"] * 101), ("team_id", ""), ("parent_id", 5),
        ("billing_code", ""), ("external_ref", "jira:1"), ("external_ref", {"system": "jira"}),
        ("external_ref", {"system": "jira", "id": "1", "url": "x"}), ("unknown", 1),
        ("actor", "user:mallory"), ("created_by", "user:mallory"), ("company_id", "x"),
        ("id", "x"), ("created_at", "2020-01-01T00:00:00Z"), ("occurred_at", None),
    ],
)  # fmt: skip
async def test_a_field_that_is_wrong_is_named(owner: Client, field: str, value: Any) -> None:
    """422 with a pointer to the field; actor, tenant and times never come from a body."""
    reply = await owner.post("issues", {"title": "x", field: value})
    assert (reply.status, reply.json["code"]) == (422, "invalid")
    assert reply.json["errors"][0]["pointer"].startswith(f"/{field}")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"team_id": "none-such"}, "/team_id"),
        ({"project_id": "none-such"}, "/project_id"),
        ({"goal_id": "none-such"}, "/goal_id"),
        ({"milestone_id": "none-such"}, "/milestone_id"),
        ({"parent_id": "NONE-1"}, "/parent_id"),
        ({"labels": ["none-such"]}, "/labels/0"),
        ({"assignee": "agent:none-such"}, "/assignee"),
    ],
)
async def test_a_reference_to_nothing_is_a_404_that_says_which(
    owner: Client, body: dict[str, Any], pointer: str
) -> None:
    """The pointer tells the field whose name nobody has."""
    reply = await owner.post("issues", {"title": "x", **body})
    assert (reply.status, reply.json["code"]) == (404, "not_found")
    assert [e["pointer"] for e in reply.json["errors"]] == [pointer]


async def test_editing_changes_what_is_named_and_clears_what_is_null(owner: Client) -> None:
    """A field that is not named stays."""
    made = (await owner.post("issues", FINE)).json
    path = f"issues/{made['id']}"
    edited = await owner.patch(path, {"title": "Other", "due_at": None, "estimate": 8})
    assert edited.status == 200
    assert (edited.json["title"], edited.json["due_at"], edited.json["estimate"]) == (
        "Other", None, 8,
    )  # fmt: skip
    assert edited.json["billing_code"] == "R&D"
    assert edited.headers["ETag"] == '"2"'
    cleared = await owner.patch(
        path, {"description": None, "external_ref": None, "sort_order": None, "billing_code": None}
    )
    assert cleared.status == 200
    read = (await owner.get(path)).json
    assert read["description"] is None
    assert read["external_ref"] is None


async def test_a_title_cannot_be_cleared(owner: Client) -> None:
    """An issue keeps a title."""
    made = (await owner.post("issues", {"title": "x"})).json
    for wrong in (None, ""):
        assert (await owner.patch(f"issues/{made['id']}", {"title": wrong})).status == 422


async def test_a_reply_leaves_out_long_text_that_the_command_did_not_set(owner: Client) -> None:
    """The description is in the reply of the edit that sets it, and in no other."""
    made = (await owner.post("issues", FINE)).json
    path = f"issues/{made['id']}"
    assert "description" not in (await owner.patch(path, {"title": "Other"})).json
    assert (await owner.patch(path, {"description": "New"})).json["description"] == "New"
    assert "description" not in (await owner.post(f"{path}/release")).json
    listed = (await owner.get("issues")).json["items"][0]
    assert "description" not in listed


async def test_editing_to_what_stands_already_is_no_change(owner: Client) -> None:
    """200 with the same version, and nothing in the log."""
    made = (await owner.post("issues", FINE)).json
    head = (await owner.get("")).headers["Ledger-Position"]
    for body in ({}, {"title": FINE["title"]}, {"description": FINE["description"]}):
        reply = await owner.patch(f"issues/{made['id']}", body)
        assert (reply.status, reply.json["version"]) == (200, 1)
    assert (await owner.get("")).headers["Ledger-Position"] == head


async def test_an_external_ref_is_one_issues_alone(owner: Client) -> None:
    """A second one is a 409 that names the first; a deleted issue gives it free."""
    first = (await owner.post("issues", FINE)).json
    taken = await owner.post("issues", FINE)
    assert (taken.status, taken.json["code"]) == (409, "taken")
    assert taken.json["taken_by"] == first["id"]
    found = await owner.get("issues?external_ref=jira:OLD-7")
    assert [item["id"] for item in found.json["items"]] == [first["id"]]
    assert (await owner.delete(f"issues/{first['id']}")).status == 204
    assert (await owner.post("issues", FINE)).status == 201


async def test_an_external_ref_whose_parts_have_colons_is_found(owner: Client) -> None:
    """What can be written can be asked for: ids with a colon in them are common."""
    ref = {"system": "github", "id": "acme/app:17"}
    made = (await owner.post("issues", {"title": "x", "external_ref": ref})).json
    found = await owner.get("issues?external_ref=github:acme/app:17")
    assert [item["id"] for item in found.json["items"]] == [made["id"]]


async def test_an_issue_is_not_its_own_ancestor(owner: Client) -> None:
    """A parent below the issue, or itself, is a 409."""
    top = (await owner.post("issues", {"title": "top"})).json
    low = (await owner.post("issues", {"title": "low", "parent_id": top["id"]})).json
    for parent in (low["id"], top["id"], "ACM-2"):
        reply = await owner.patch(f"issues/{top['id']}", {"parent_id": parent})
        assert (reply.status, reply.json["code"]) == (409, "hierarchy_cycle")


async def test_a_transition_follows_the_workflow(owner: Client) -> None:
    """A step that there is not is a 409 that says which there are; times are kept."""
    made = (await owner.post("issues", {"title": "x"})).json
    path = f"issues/{made['id']}/transition"
    done = await owner.post(path, {"status": "done", "reason": "Fixed."})
    assert (done.status, done.json["status"]) == (200, "done")
    assert done.json["completed_at"] is not None
    refused = await owner.post(path, {"status": "in_review"})
    assert (refused.status, refused.json["code"]) == (409, "transition_not_allowed")
    assert refused.json["current"]["status"] == "done"
    assert refused.json["current"]["version"] == 2
    assert "in_progress" in refused.json["allowed"]
    same = await owner.post(path, {"status": "done"})
    assert (same.status, same.json["version"]) == (200, 2)
    assert (await owner.post(path, {"status": "nope"})).status == 422
    assert (await owner.post(path)).status == 422


async def test_a_deleted_issue_is_gone(owner: Client) -> None:
    """204, and then a 404 by id and identifier, and on no list."""
    made = (await owner.post("issues", {"title": "x"})).json
    gone = await owner.request("DELETE", f"issues/{made['id']}", {"reason": "Twice."})
    assert (gone.status, gone.json) == (204, None)
    for ref in (made["id"], "ACM-1"):
        assert (await owner.get(f"issues/{ref}")).status == 404
        assert (await owner.patch(f"issues/{ref}", {"title": "y"})).status == 404
        assert (await owner.delete(f"issues/{ref}")).status == 404
    assert (await owner.get("issues")).json["items"] == []
    again = await owner.post("issues", {"title": "x"})
    assert again.json["identifier"] == "ACM-2"


async def test_an_issue_that_moves_to_another_team_keeps_its_identifier(owner: Client) -> None:
    """Its number is never given out again, neither where it came from nor where it went."""
    for name, prefix in (("One", "ONE"), ("Two", "TWO")):
        await owner.post("teams", {"name": name, "issue_prefix": prefix})
    made = (await owner.post("issues", {"title": "x", "team_id": "one"})).json
    assert made["identifier"] == "ONE-1"
    two = (await owner.get("teams/two")).json["id"]
    for team, expected in (("two", two), (None, None), ("two", two)):
        moved = await owner.patch("issues/ONE-1", {"team_id": team})
        assert (moved.status, moved.json["team_id"]) == (200, expected)
        assert (moved.json["id"], moved.json["identifier"]) == (made["id"], "ONE-1")
        assert (await owner.get("issues/one-1")).json["id"] == made["id"]
    assert (await owner.get("issues?team_id=two")).json["items"][0]["identifier"] == "ONE-1"
    numbers = [
        (await owner.post("issues", {"title": "y", "team_id": team})).json["identifier"]
        for team in ("one", "two", None)
    ]
    assert numbers == ["ONE-2", "TWO-1", "ACM-1"]


async def test_an_issue_that_never_was_is_a_404(owner: Client) -> None:
    """By id or identifier, the same."""
    for ref in (new_id(), "ACM-999", "nothing", "ACM-01"):
        reply = await owner.get(f"issues/{ref}")
        assert (reply.status, reply.json["code"]) == (404, "not_found")


async def test_issues_are_listed_newest_first_and_filtered(owner: Client) -> None:
    """Each filter alone, several words at once, and all together."""
    world = await fill(owner)
    plain = (await owner.post("issues", {"title": "plain", "status": "backlog"})).json["id"]
    at_work = {world["issue"], world["tried"], world["begun"]}
    held = {world["issue"], world["tried"]}
    idle = {world["parent"], world["free"], plain}
    others = {world["target"], world["reviewed"], world["handed_off"], world["finished"]}
    everything = at_work | idle | others
    expected: dict[str, set[str]] = {
        "": everything,
        "status=in_progress": at_work,
        "status=backlog,in_progress": {plain, *at_work},
        "status=backlog,%20in_progress": {plain, *at_work},
        "status=blocked": {world["target"]},
        "status=in_review,handoff,done": others - {world["target"]},
        "priority=none": everything,
        "priority=high,urgent": set(),
        f"assignee=agent:{world['agent']}": held,
        "assignee=agent:here-agent": held,
        "assignee=none": everything - held,
        f"team_id={world['team']}": {world["issue"]},
        "team_id=here-team": {world["issue"]},
        "project_id=here-project": {world["issue"]},
        "goal_id=here-goal": {world["issue"]},
        "milestone_id=here-milestone": {world["issue"]},
        f"parent_id={world['parent']}": {world["issue"]},
        "parent_id=none": everything - {world["issue"]},
        "label=here-label": {world["issue"]},
        "label=here%20label": {world["issue"]},
        "external_ref=here:here-1": {world["issue"]},
        "team_id=here-team&project_id=here-project&label=here-label&status=in_progress": {
            world["issue"]
        },
        "team_id=here-team&status=backlog": set(),
    }
    wrong = {}
    for query, ids in expected.items():
        reply = await owner.get(f"issues?{query}")
        found = {item["id"] for item in reply.json["items"]} if reply.status == 200 else reply
        if found != ids:
            wrong[query] = found
    assert not wrong
    newest = [item["id"] for item in (await owner.get("issues")).json["items"]]
    assert newest[0] == plain


async def test_a_filter_that_names_nothing_says_so(owner: Client) -> None:
    """An unknown word is a 422 with a pointer, an unknown reference a 404."""
    for query, status in {
        "status=nope": 422, "priority=nope": 422, "assignee=coder": 422, "team_id=nope": 404,
        "project_id=nope": 404, "label=nope": 404, "parent_id=NOPE-1": 404,
        "external_ref=nope": 422,
    }.items():  # fmt: skip
        reply = await owner.get(f"issues?{query}")
        assert reply.status == status, (query, reply)
        if status == 422:
            pointers = [e["pointer"] for e in reply.json["errors"]]
            assert pointers == [f"/{query.partition('=')[0]}"]
