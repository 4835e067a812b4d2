"""Comments, links and labels over HTTP: what is said of an issue, and what it is to others."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.decisions.links import INVERSES, LINK_TYPES
from ledger.ids import new_id
from tests.client import Client


@pytest.fixture
async def issue(owner: Client) -> str:
    """The path of a new issue, ACM-1."""
    return f"issues/{(await owner.post('issues', {'title': 'x'})).json['id']}"


# ── comments ───────────────────────────────────────────────────────────────────────────


async def test_a_comment_comes_back_with_its_author(owner: Client, issue: str) -> None:
    """201 with id, text and author; the issue counts it."""
    made = await owner.post(f"{issue}/comments", {"body": "Found it.\n\nIt was the cache. 🎉"})
    assert made.status == 201
    assert made.json["body"] == "Found it.\n\nIt was the cache. 🎉"
    assert (made.json["author"], made.json["edited_at"]) == ("user:alice", None)
    assert (await owner.get(f"{issue}/comments/{made.json['id']}")).json == made.json
    assert (await owner.get(issue)).json["comment_count"] == 1


async def test_a_comment_is_edited_and_taken_down(owner: Client, issue: str) -> None:
    """The text changes, the time of the edit shows; deleted, it is gone from everywhere."""
    made = (await owner.post(f"{issue}/comments", {"body": "One"})).json
    path = f"{issue}/comments/{made['id']}"
    edited = await owner.patch(path, {"body": "Two"})
    assert (edited.status, edited.json["body"]) == (200, "Two")
    assert edited.json["edited_at"] is not None
    assert (await owner.get(path)).json == edited.json
    gone = await owner.delete(path)
    assert (gone.status, gone.json) == (204, None)
    assert (await owner.get(path)).status == 404
    assert (await owner.get(f"{issue}/comments")).json["items"] == []
    assert (await owner.get(issue)).json["comment_count"] == 0
    assert (await owner.patch(path, {"body": "Three"})).status == 404
    assert (await owner.delete(path)).status == 404


@pytest.mark.parametrize(
    "body", [{}, {"body": ""}, {"body": None}, {"body": 1}, {"body": "x" * 500_001},
             {"body": "x", "author": "user:mallory"}],
)  # fmt: skip
async def test_a_comment_is_a_text(owner: Client, issue: str, body: dict[str, Any]) -> None:
    """Anything else is a 422; the author comes from the key."""
    assert (await owner.post(f"{issue}/comments", body)).status == 422


async def test_comments_are_listed_oldest_first(owner: Client, issue: str) -> None:
    """With their text."""
    for text in ("one", "two", "three"):
        await owner.post(f"{issue}/comments", {"body": text})
    listed = (await owner.get(f"{issue}/comments")).json["items"]
    assert [item["body"] for item in listed] == ["one", "two", "three"]


async def test_a_comment_belongs_to_its_issue(owner: Client, issue: str) -> None:
    """Through another issue it is a 404."""
    made = (await owner.post(f"{issue}/comments", {"body": "x"})).json["id"]
    other = (await owner.post("issues", {"title": "y"})).json["id"]
    path = f"issues/{other}/comments/{made}"
    assert (await owner.get(path)).status == 404
    assert (await owner.patch(path, {"body": "y"})).status == 404
    assert (await owner.delete(path)).status == 404
    for nobody in (new_id(), "nothing", "1"):
        assert (await owner.get(f"{issue}/comments/{nobody}")).status == 404
        assert (await owner.delete(f"{issue}/comments/{nobody}")).status == 404


async def test_a_comment_on_nothing_is_a_404(owner: Client) -> None:
    """There must be an issue."""
    assert (await owner.post(f"issues/{new_id()}/comments", {"body": "x"})).status == 404
    assert (await owner.get(f"issues/{new_id()}/comments")).status == 404


# ── links ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("link_type", [*LINK_TYPES, *INVERSES])
async def test_a_link_is_seen_from_both_ends(owner: Client, issue: str, link_type: str) -> None:
    """201, then 200 for the same again, from either end; and it is taken away from either."""
    other = (await owner.post("issues", {"title": "y"})).json
    body = {"link_type": link_type, "target_id": other["identifier"]}
    made = await owner.post(f"{issue}/links", body)
    assert made.status == 201
    assert {made.json["issue_id"], made.json["target_id"]} == {issue[7:], other["id"]}
    again = await owner.post(f"{issue}/links", body)
    assert (again.status, again.json) == (200, made.json)
    for path in (issue, f"issues/{other['id']}"):
        listed = (await owner.get(f"{path}/links")).json["items"]
        assert listed == [made.json]
    gone = await owner.delete(f"issues/{other['id']}/links/{made.json['id']}")
    assert gone.status == 204
    assert (await owner.get(f"{issue}/links")).json["items"] == []
    assert (await owner.delete(f"{issue}/links/{made.json['id']}")).status == 404


async def test_a_link_and_its_inverse_are_one(owner: Client, issue: str) -> None:
    """`A blocks B` is `B blocked_by A`, and is kept so."""
    await owner.post("issues", {"title": "y"})
    one = await owner.post(f"{issue}/links", {"link_type": "blocks", "target_id": "ACM-2"})
    two = await owner.post("issues/ACM-2/links", {"link_type": "blocked_by", "target_id": "ACM-1"})
    assert (one.status, two.status) == (201, 200)
    assert one.json == two.json
    assert one.json["link_type"] == "blocked_by"
    assert one.json["target_id"] == issue[7:]


async def test_a_link_leads_to_another_issue(owner: Client, issue: str) -> None:
    """Not to itself, not to nothing, and in a way that has a name."""
    for body, status, pointer in (
        ({"link_type": "blocks", "target_id": "ACM-1"}, 422, "/target_id"),
        ({"link_type": "blocks", "target_id": "ACM-9"}, 404, "/target_id"),
        ({"link_type": "hates", "target_id": "ACM-1"}, 422, "/link_type"),
        ({"link_type": "blocks"}, 422, "/target_id"),
    ):
        reply = await owner.post(f"{issue}/links", body)
        assert reply.status == status
        assert reply.json["errors"][0]["pointer"] == pointer


async def test_a_link_is_not_taken_away_from_a_third_issue(owner: Client, issue: str) -> None:
    """It must be one of the ends."""
    for title in ("y", "z"):
        await owner.post("issues", {"title": title})
    made = await owner.post(f"{issue}/links", {"link_type": "tracks", "target_id": "ACM-2"})
    assert (await owner.delete(f"issues/ACM-3/links/{made.json['id']}")).status == 404


# ── labels ─────────────────────────────────────────────────────────────────────────────


async def test_a_label_is_put_on_once_by_id_slug_or_name(owner: Client, issue: str) -> None:
    """Each of its names is the same label; twice is agreement."""
    label = (await owner.post("labels", {"name": "Needs Review"})).json["id"]
    for name in ("Needs Review", "needs-review", "NEEDS REVIEW", label):
        reply = await owner.post(f"{issue}/labels", {"label": name})
        assert (reply.status, reply.json["label_ids"]) == (200, [label])
        assert reply.json["version"] == 2


async def test_a_label_is_taken_off_by_id_or_slug(owner: Client, issue: str) -> None:
    """204; twice is agreement; one that never was is a 404."""
    label = (await owner.post("labels", {"name": "bug"})).json["id"]
    for name in ("bug", label, "BUG"):
        await owner.post(f"{issue}/labels", {"label": "bug"})
        gone = await owner.delete(f"{issue}/labels/{name}")
        assert (gone.status, gone.json) == (204, None)
        assert (await owner.get(issue)).json["label_ids"] == []
        assert (await owner.delete(f"{issue}/labels/{name}")).status == 204
    assert (await owner.delete(f"{issue}/labels/nothing")).status == 404
    missing = await owner.post(f"{issue}/labels", {"label": "nothing"})
    assert (missing.status, missing.json["errors"][0]["pointer"]) == (404, "/label")


async def test_an_archived_label_can_still_be_taken_off(owner: Client, issue: str) -> None:
    """Archiving a label leaves it on its issues, and so it must be possible to take it off."""
    label = (await owner.post("labels", {"name": "bug"})).json["id"]
    await owner.post(f"{issue}/labels", {"label": label})
    assert (await owner.delete(f"labels/{label}")).status == 204
    assert (await owner.get(issue)).json["label_ids"] == [label]
    assert (await owner.delete(f"{issue}/labels/{label}")).status == 204
    assert (await owner.get(issue)).json["label_ids"] == []


async def test_a_label_of_its_own_slug_is_called_by_its_name_too(owner: Client, issue: str) -> None:
    """`label` takes an id, a slug or a name, whatever slug was chosen."""
    label = (await owner.post("labels", {"name": "Needs Review", "slug": "nr"})).json["id"]
    for name in ("nr", "Needs Review"):
        reply = await owner.post(f"{issue}/labels", {"label": name})
        assert (reply.status, name) == (200, name)
        assert reply.json["label_ids"] == [label]


async def test_an_issue_has_a_hundred_labels_at_most(owner: Client, issue: str) -> None:
    """The next one is a 409."""
    commands: list[dict[str, Any]] = [
        {"type": "create_label", "name": f"label {n}"} for n in range(100)
    ]
    assert (await owner.post("commands", commands)).status == 200
    commands = [
        {"type": "label_issue", "issue_id": "ACM-1", "label": f"label {n}"} for n in range(100)
    ]
    assert (await owner.post("commands", commands)).status == 200
    await owner.post("labels", {"name": "one more"})
    reply = await owner.post(f"{issue}/labels", {"label": "one more"})
    assert (reply.status, reply.json["code"]) == (409, "too_many")
