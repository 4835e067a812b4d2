"""Lists, boards and issues over HTTP: what is around an issue, other moments, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from api.wiring import Ledger
from ledger.actors import Role
from ledger.ids import new_id
from tests.client import Client
from tests.conftest import NewClient
from tests.tour import World, fill


@pytest.fixture
async def world(owner: Client) -> World:
    """A company with one of everything."""
    return await fill(owner)


async def made(owner: Client, **fields: Any) -> dict[str, Any]:
    """An issue."""
    reply = await owner.post("issues", {"title": "An issue", **fields})
    assert reply.status == 201, reply
    body: dict[str, Any] = reply.json
    return body


# ── around an issue ────────────────────────────────────────────────────────────────────


async def test_what_is_around_an_issue_is_shown_on_request(owner: Client, world: World) -> None:
    """Each part as its own route shows it."""
    issue = await made(
        owner,
        team_id=world["team"],
        project_id=world["project"],
        goal_id=world["goal"],
        milestone_id=world["milestone"],
        labels=[world["label"]],
        assignee=f"agent:{world['agent']}",
        parent_id=world["issue"],
        per_task_micros=5_000_000,
    )
    path = f"issues/{issue['id']}"
    below = [(await made(owner, parent_id=issue["id"]))["id"] for _ in range(3)]
    await owner.post(f"issues/{below[0]}/cancel")
    said = (await owner.post(f"{path}/comments", {"body": "Look."})).json
    await owner.post(f"{path}/links", {"link_type": "relates_to", "target_id": world["target"]})
    parts = "ancestors,sub_issues,comments,links,runs,labels,assignee,team,project,goal,milestone"
    parts += ",budget"
    reply = await owner.get(f"{path}?expand={parts}")
    assert reply.status == 200, reply
    around = reply.json["expanded"]
    assert list(around) == parts.split(",")
    assert [one["id"] for one in around["ancestors"]][-1] == world["issue"]
    assert around["sub_issues"]["count"] == 3
    assert around["sub_issues"]["count_by_status"] == {"cancelled": 1, "todo": 2}
    assert [one["id"] for one in around["sub_issues"]["items"]] == below
    assert [one["id"] for one in around["comments"]["items"]] == [said["id"]]
    assert around["comments"]["items"][0]["body"] == "Look."
    assert around["links"] == {
        "items": (await owner.get(f"{path}/links")).json["items"],
        "next_cursor": None,
    }
    assert around["runs"] == {"items": [], "next_cursor": None}
    for kind in ("team", "project", "goal", "milestone"):
        assert around[kind] == (await owner.get(f"{kind}s/{world[kind]}")).json
    assert around["assignee"] == (await owner.get(f"agents/{world['agent']}")).json
    assert around["labels"] == [(await owner.get(f"labels/{world['label']}")).json]
    assert around["budget"]["limit_micros"] == 5_000_000


async def test_nothing_around_an_issue_is_nothing(owner: Client) -> None:
    """An issue that belongs nowhere says so."""
    issue = await made(owner)
    reply = await owner.get(
        f"issues/{issue['id']}?expand=ancestors,team,assignee,labels,sub_issues"
    )
    assert reply.json["expanded"] == {
        "ancestors": [],
        "team": None,
        "assignee": None,
        "labels": [],
        "sub_issues": {"count": 0, "count_by_status": {}, "items": []},
    }
    assert "expanded" not in (await owner.get(f"issues/{issue['id']}")).json


async def test_a_list_around_an_issue_goes_on_at_its_own_route(owner: Client) -> None:
    """The first fifty, and the cursor to the others."""
    issue = await made(owner)
    path = f"issues/{issue['id']}"
    for n in range(52):
        await owner.post(f"{path}/comments", {"body": str(n)})
    first = (await owner.get(f"{path}?expand=comments")).json["expanded"]["comments"]
    rest = (await owner.get(f"{path}/comments?cursor={first['next_cursor']}")).json
    assert [c["body"] for c in first["items"] + rest["items"]] == [str(n) for n in range(52)]


async def test_ancestors_stop_at_a_deleted_one(owner: Client) -> None:
    """From the topmost to the parent; what hangs below a deleted issue hangs in the air."""
    top = await made(owner)
    middle = await made(owner, parent_id=top["id"])
    low = await made(owner, parent_id=middle["id"])

    async def above() -> list[str]:
        reply = await owner.get(f"issues/{low['id']}?expand=ancestors")
        return [one["id"] for one in reply.json["expanded"]["ancestors"]]

    assert await above() == [top["id"], middle["id"]]
    await owner.delete(f"issues/{top['id']}")
    assert await above() == [middle["id"]]


# ── boards ─────────────────────────────────────────────────────────────────────────────


async def test_a_board_has_the_statuses_of_the_workflow(
    owner: Client, ledger: Ledger, new_client: NewClient
) -> None:
    """In their order, empty ones too; or those that were asked for."""
    await made(owner, priority="low")
    urgent = await made(owner, priority="urgent")
    columns = (await owner.get("board?limit=1")).json["columns"]
    assert [c["status"] for c in columns][:4] == ["backlog", "todo", "in_progress", "blocked"]
    by_status = {c["status"]: c for c in columns}
    assert by_status["todo"]["count"] == 2
    assert [i["id"] for i in by_status["todo"]["items"]] == [urgent["id"]]
    assert (by_status["done"]["count"], by_status["done"]["items"]) == (0, [])
    whole = (await owner.get(by_status["todo"]["all"])).json
    assert [i["priority"] for i in whole["items"]] == ["urgent", "low"]
    some = (await owner.get("board?status=done,todo&limit=0")).json["columns"]
    assert [(c["status"], c["count"], c["items"]) for c in some] == [
        ("done", 0, []),
        ("todo", 2, []),
    ]
    other = await new_client(await ledger.create_company("Crew", "crews"))
    statuses = [c["status"] for c in (await other.get("board")).json["columns"]]
    assert statuses != [c["status"] for c in columns]


# ── moments ────────────────────────────────────────────────────────────────────────────


async def test_an_issue_that_was_deleted_is_there_as_it_was(owner: Client) -> None:
    """At a position before, with the text that it had then."""
    issue = await made(owner, description="First.")
    reply = await owner.patch(f"issues/{issue['id']}", {"description": "Second."})
    position = int(reply.headers["Ledger-Position"])
    await owner.delete(f"issues/{issue['id']}")
    path = f"issues/{issue['identifier']}"
    assert (await owner.get(path)).status == 404
    texts = {}
    for n in range(position - 2, position + 2):
        then = await owner.get(f"{path}?at_position={n}")
        texts[n - position] = then.json["description"] if then.status == 200 else then.status
    assert texts == {-2: 404, -1: "First.", 0: "Second.", 1: 404}


@pytest.mark.parametrize(
    "query",
    [
        "at_position=1&at=2026-01-01T00:00:00Z",
        "at_position=1&occurred_at=2026-01-01T00:00:00Z",
        "at_position=99999999",
        "at_position=-1",
        "at=yesterday",
        "order=sideways",
        "limit=0",
        "status=lost",
        "priority=now",
        "q=-word",
        "q=" + "+".join(f"word{n}" for n in range(11)),
        "q=",
        "external_ref=1",
        "created_since=2026",
        "cursor=!",
        "cursor=WzEsIng",
    ],
)
async def test_a_question_that_makes_no_sense_is_told_so(owner: Client, query: str) -> None:
    """With a 422 that points at what is wrong."""
    reply = await owner.get(f"issues?{query}")
    assert reply.status == 422, reply
    assert reply.json["errors"][0]["pointer"]


async def test_a_cursor_belongs_to_its_question(owner: Client) -> None:
    """Another order or filter is refused, another page size is not."""
    for _ in range(4):
        await made(owner)
    cursor = (await owner.get("issues?limit=2&status=todo")).json["next_cursor"]
    assert (await owner.get(f"issues?limit=1&status=todo&cursor={cursor}")).status == 200
    for query in ("", "&status=done", "&status=todo&order=oldest", "&status=todo&q=x"):
        reply = await owner.get(f"issues?limit=2{query}&cursor={cursor}")
        assert (reply.status, reply.json["errors"][0]["pointer"]) == (422, "/cursor"), query


async def test_what_is_around_an_issue_is_of_now(owner: Client) -> None:
    """Asked for then, it is refused rather than shown as it is now."""
    issue = await made(owner)
    reply = await owner.get(f"issues/{issue['id']}?expand=comments&at_position=3")
    assert (reply.status, reply.json["errors"][0]["pointer"]) == (422, "/expand")
    reply = await owner.get(f"issues/{issue['id']}?expand=everything")
    assert (reply.status, reply.json["errors"][0]["pointer"]) == (422, "/expand")


async def test_an_issue_without_a_moment_needs_no_projector(owner: Client) -> None:
    """It is as exact as the log, with the version for If-None-Match."""
    issue = await made(owner)
    path = f"issues/{issue['id']}"
    assert (await owner.get(path, If_None_Match='"1"')).status == 304
    await owner.patch(path, {"title": "Another"})
    assert (await owner.get(path, If_None_Match='"1"')).json["title"] == "Another"


async def test_another_companys_words_are_not_found(
    owner: Client, ledger: Ledger, new_client: NewClient
) -> None:
    """Nor is a company's id a word that finds anything by itself."""
    word = f"x{new_id().replace('-', '')}"
    await made(owner, title=f"About {word}")
    other = await new_client(await ledger.create_company("Other"), Role.VIEWER)
    assert len((await owner.get(f"issues?q={word}")).json["items"]) == 1
    for text in (word, owner.company, f'"{owner.company}"'):
        assert (await other.get(f"issues?q={text}")).json["items"] == []


@pytest.mark.parametrize("text", ["!!!", "the", "'", '"', "a:*b & (", "\\", "日本", "%00x"])
async def test_any_text_may_be_searched_for(owner: Client, text: str) -> None:
    """What is no word finds nothing; nothing that is written there is an operator."""
    await made(owner, title="日本 and the others")
    reply = await owner.get(f"issues?q={text.replace('&', '%26').replace('%00', '')}")
    assert reply.status == 200, reply
    assert len(reply.json["items"]) == (text == "日本")
