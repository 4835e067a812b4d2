"""An issue's past over HTTP: its history, what differs between two moments, and why it is so."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from api import views
from api.asking import differences, explaining, history
from api.changes import FIELDS
from api.wiring import Ledger
from ledger.actors import Role
from ledger.ids import new_id
from ledger.state import sha256_of
from ledger.submission import Provenance, Submission
from projections import folding
from projections.queries import links
from tests.client import Client
from tests.conftest import NewClient
from tests.tour import World, fill
from tests.writing import create, edit, issue_of, submit

Item = dict[str, Any]


@pytest.fixture
async def world(owner: Client) -> World:
    """A company with one of everything."""
    return await fill(owner)


async def read_all(client: Client, path: str, limit: int = 200) -> list[Item]:
    """Every item of a list, page by page."""
    items: list[Item] = []
    following = f"{path}{'&' if '?' in path else '?'}limit={limit}"
    while following:
        reply = await client.get(following)
        assert reply.status == 200, reply
        assert len(reply.json["items"]) <= limit
        items += reply.json["items"]
        cursor = reply.json["next_cursor"]
        assert ("Link" in reply.headers) == (cursor is not None)
        following = f"{path}{'&' if '?' in path else '?'}limit={limit}&cursor={cursor}"
        following = following if cursor else ""
    return items


def plain(items: Iterable[Item]) -> list[tuple[str, Any, Any]]:
    """Changes without who, when and why."""
    return [(item["field"], item["from"], item["to"]) for item in items]


# ── history ────────────────────────────────────────────────────────────────────────────


async def test_each_change_says_who_when_and_why(owner: Client) -> None:
    """Field, from, to; the event and the command; the key, the reason, the correlation."""
    issue = (await owner.post("issues", {"title": "One"})).json["id"]
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    body = {"status": "cancelled", "reason": "Not wanted."}
    done = await owner.post(f"issues/{issue}/transition", body, traceparent=trace)
    assert done.status == 200
    items = (await owner.get(f"issues/{issue}/history")).json["items"]
    assert [item["field"] for item in items[:2]] == ["completed_at", "status"]
    status = items[1]
    event = (await owner.get(f"events?issue_id={issue}")).json["items"][-1]
    assert {name: status[name] for name in ("from", "to", "reason", "type", "actor", "via")} == {
        "from": "todo", "to": "cancelled", "reason": "Not wanted.",
        "type": "issue.transitioned", "actor": "user:alice", "via": "api",
    }  # fmt: skip
    for name in ("position", "event_id", "version", "command_id", "key_id", "run_id",
                 "correlation_id", "causation_id", "recorded_at", "on_behalf_of"):  # fmt: skip
        assert status[name] == event[name], name
    assert status["key_id"]
    assert status["at"] == status["recorded_at"]


async def test_all_changes_together_are_the_issue(owner: Client, world: World) -> None:
    """Whatever happened to it, its changes from the first on lead to how it is shown now."""
    path = f"issues/{world['issue']}"
    await owner.patch(path, {"title": "Now", "external_ref": None, "description": "Other"})
    await owner.delete(f"{path}/labels/{world['label']}")
    await owner.post(f"{path}/pause", {"reason": "Lunch"})
    await owner.post(f"{path}/resume")
    state: Item = {}
    for item in await read_all(owner, f"{path}/history?order=oldest"):
        assert state.get(item["field"]) == item["from"]
        state[item["field"]] = item["to"]
    now = (await owner.get(path)).json
    assert state["description"]["text"] == now["description"]
    for name in set(FIELDS) - {"description", "labels", "blocked_from", "deleted_at"}:
        assert state.get(name) == now[name], name
    assert state["labels"] == now["label_ids"] == []


@pytest.mark.parametrize("limit", [1, 3, 200])
@pytest.mark.parametrize("chunk", [2, 200], ids=["few at a time", "many at a time"])
async def test_pages_are_the_whole_cut_up(
    owner: Client, world: World, monkeypatch: pytest.MonkeyPatch, limit: int, chunk: int
) -> None:
    """In both orders, whatever the size of a page, even in the midst of one event's changes."""
    monkeypatch.setattr(folding, "CHUNK", chunk)
    path = f"issues/{world['issue']}/history"
    newest = await read_all(owner, path, limit)
    oldest = await read_all(owner, f"{path}?order=oldest", limit)
    assert newest == oldest[::-1]
    places = [(item["position"], FIELDS.index(item["field"])) for item in oldest]
    assert places == sorted(set(places))
    assert len(places) > 12


async def test_a_page_that_finds_little_goes_on_where_it_stopped(
    owner: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short page, or an empty one, has a cursor until all has been looked at."""
    monkeypatch.setattr(history, "MOST_EVENTS", 1)
    path = f"issues/{world['issue']}/history?field=title"
    first = (await owner.get(path)).json
    assert (first["items"], bool(first["next_cursor"])) == ([], True)
    for order in ("newest", "oldest"):
        found = await read_all(owner, f"{path}&order={order}")
        assert plain(found) == [("title", None, "here issue")]


async def test_history_is_filtered_by_field_and_time(owner: Client, world: World) -> None:
    """Several fields, comma-separated; since a time, and before one."""
    path = f"issues/{world['issue']}/history"
    await owner.patch(f"issues/{world['issue']}", {"title": "Two", "priority": "high"})
    everything = await read_all(owner, path)
    some = await read_all(owner, f"{path}?field=title,%20priority")
    assert some == [item for item in everything if item["field"] in ("title", "priority")]
    assert plain(some)[:2] == [("priority", "none", "high"), ("title", "here issue", "Two")]
    at = some[0]["at"]
    since = await read_all(owner, f"{path}?since={quote(at)}")
    until = await read_all(owner, f"{path}?until={quote(at)}")
    assert since == [item for item in everything if item["at"] >= at]
    assert until == [item for item in everything if item["at"] < at]
    assert since
    assert until


async def test_a_holder_and_labels_are_told_as_people_see_them(owner: Client, world: World) -> None:
    """A checkout and each renewal change the holder; labels come and go by id and name."""
    path = f"issues/{world['issue']}"
    await owner.post(f"{path}/renew", {"lease_seconds": 3600})
    await owner.delete(f"{path}/labels/{world['label']}")
    label, renewed = (await owner.get(f"{path}/history?limit=2")).json["items"]
    assert (label["field"], label["type"]) == ("labels", "issue.unlabelled")
    assert (label["from"], label["to"]) == ([world["label"]], [])
    assert label["removed"] == [{"id": world["label"], "name": "here label"}]
    assert label["added"] == []
    assert (renewed["field"], renewed["type"]) == ("holder", "issue.lease_renewed")
    assert renewed["from"]["run_id"] == renewed["to"]["run_id"] == world["run"]
    assert renewed["from"]["expires_at"] < renewed["to"]["expires_at"]
    assert "added" not in renewed
    first = (await owner.get(f"{path}/history?field=labels&order=oldest")).json["items"][0]
    assert first["added"] == [{"id": world["label"], "name": "here label"}]


async def test_a_description_is_shown_whole_unless_it_is_long(owner: Client) -> None:
    """Always by the event that holds it, its SHA-256 and its length."""
    long = "ü" * 1001
    issue = (await owner.post("issues", {"title": "One", "description": "ü" * 1000})).json["id"]
    await owner.patch(f"issues/{issue}", {"description": long})
    await owner.patch(f"issues/{issue}", {"description": None})
    path = f"issues/{issue}/history?field=description"
    cleared, changed, written = (await owner.get(path)).json["items"]
    assert written["from"] is None
    assert written["to"] == changed["from"]
    assert written["to"]["text"] == "ü" * 1000
    assert changed["to"] == cleared["from"]
    assert changed["to"] == {
        "position": changed["position"], "sha256": sha256_of(long), "characters": 1001,
        "text": None,
    }  # fmt: skip
    assert cleared["to"] is None


async def test_history_is_as_of_a_moment(owner: Client, world: World) -> None:
    """As of a position or a time of recording: what came later is not there."""
    path = f"issues/{world['issue']}/history"
    everything = await read_all(owner, path)
    middle = everything[len(everything) // 2]
    for moment in (f"at_position={middle['position']}", f"at={quote(middle['recorded_at'])}"):
        reply = await owner.get(f"{path}?limit=200&{moment}")
        expected = [item for item in everything if item["position"] <= middle["position"]]
        assert reply.json["items"] == expected
        assert reply.json["as_of_position"] == middle["position"]
        assert reply.headers["Ledger-Position"] == str(middle["position"])
    assert (await owner.get(f"{path}?at_position=0")).json["items"] == []


async def test_history_by_when_it_happened(ledger: Ledger, owner: Client, company: str) -> None:
    """What an import tells late counts from when it is said to have happened."""
    start, issue = datetime(2026, 1, 1, tzinfo=UTC), new_id()
    for command, day in (
        (create("One", issue_id=issue), 1), (edit(issue, title="Three"), 3),
        (edit(issue, priority="low"), 2),
    ):  # fmt: skip
        when = Provenance(via="test", occurred_at=start + timedelta(days=day))
        await ledger.committer.submit(company, Submission(commands=(command,), provenance=when))
    path = f"issues/{issue}/history?field=title,priority&order=oldest&occurred_at="
    begun = [("title", None, "One"), ("priority", None, "none")]
    by_day = {
        1: [], 2: begun, 3: [*begun, ("priority", "none", "low")],
        4: [*begun, ("title", "One", "Three"), ("priority", "none", "low")],
    }  # fmt: skip
    for day, expected in by_day.items():
        moment = quote((start + timedelta(days=day - 0.5)).isoformat())
        assert plain((await owner.get(path + moment)).json["items"]) == expected
        assert plain(await read_all(owner, path + moment, 1)) == expected


async def test_a_deleted_issues_past_is_still_told(owner: Client, world: World) -> None:
    """By id and by identifier; that it was deleted is the last that is told."""
    await owner.request("DELETE", f"issues/{world['issue']}", {"reason": "Done with."})
    for ref in (world["issue"], "her-1"):
        items = (await owner.get(f"issues/{ref}/history")).json["items"]
        deleted = items[0]
        assert (deleted["field"], deleted["from"]) == ("deleted_at", None)
        assert (deleted["to"], deleted["reason"]) == (deleted["at"], "Done with.")
        diff = (await owner.get(f"issues/{ref}/diff")).json
        assert "deleted_at" in [field["field"] for field in diff["fields"]]
        why = (await owner.get(f"explain?issue={ref}&field=deleted_at")).json
        assert why["event"]["type"] == "issue.deleted"


async def test_history_that_cannot_be_asked_for(owner: Client, world: World) -> None:
    """Unknown fields, orders, cursors and moments are a 422; unknown issues a 404."""
    path = f"issues/{world['issue']}/history"
    for query in (
        "field=colour", "order=sideways", "cursor=x", "at_position=99999", "colour=red",
        "at_position=1&at=2026-01-01T00:00:00Z", "limit=0", "since=yesterday",
    ):  # fmt: skip
        assert (await owner.get(f"{path}?{query}")).status == 422, query
    for ref in (new_id(), "HER-999", "no such issue"):
        for path in ("history", "diff"):
            assert (await owner.get(f"issues/{quote(ref)}/{path}")).status == 404
        assert (await owner.get(f"explain?field=title&issue={quote(ref)}")).status == 404


# ── differences ────────────────────────────────────────────────────────────────────────


async def test_a_difference_is_what_is_not_as_it_was(owner: Client, world: World) -> None:
    """Fields with from, to and who set them last; what went back to what it was is none."""
    path = f"issues/{world['issue']}"
    before = int((await owner.get("")).headers["Ledger-Position"])
    for change in ({"title": "Two", "priority": "high"}, {"title": "Three"}, {"priority": "none"}):
        assert (await owner.patch(path, change)).status == 200
    diff = (await owner.get(f"{path}/diff?from={before}")).json
    assert plain(diff["fields"]) == [("title", "here issue", "Three")]
    set_by = diff["fields"][0]["set_by"]
    assert (set_by["position"], set_by["type"]) == (before + 2, "issue.edited")
    assert (set_by["actor"], diff["from_position"]) == ("user:alice", before)
    assert diff["to_position"] == diff["as_of_position"] == before + 3
    assert diff["is_complete"]
    middle = (await owner.get(f"{path}/diff?from={before}&to={before + 1}")).json
    assert plain(middle["fields"]) == [("title", "here issue", "Two"), ("priority", "none", "high")]
    assert (await owner.get(f"{path}/diff?from={before}&to={before}")).json["fields"] == []


async def test_since_before_it_was_there_every_field_comes_from_null(
    owner: Client, world: World
) -> None:
    """All that is set now, each by the event that set it last."""
    path = f"issues/{world['issue']}"
    diff = (await owner.get(f"{path}/diff")).json
    now = (await owner.get(path)).json
    assert all(field["from"] is None for field in diff["fields"])
    told = {field["field"]: field["to"] for field in diff["fields"]}
    for name in set(FIELDS) - {"description", "labels", "blocked_from", "deleted_at"}:
        assert told.get(name) == now[name], name
    status = next(field for field in diff["fields"] if field["field"] == "status")
    assert status["set_by"]["type"] == "issue.checked_out"


async def test_moments_of_a_difference_may_be_times(owner: Client, world: World) -> None:
    """Times of recording, each as good as the position that it means."""
    path = f"issues/{world['issue']}"
    await owner.patch(path, {"title": "Two"})
    events = (await owner.get(f"events?issue_id={world['issue']}")).json["items"]
    first, last = events[0], events[-1]
    by_time = await owner.get(
        f"{path}/diff?from={quote(first['recorded_at'])}&to={quote(last['recorded_at'])}"
    )
    by_position = await owner.get(f"{path}/diff?from={first['position']}&to={last['position']}")
    assert by_time.status == 200
    assert by_time.json == by_position.json
    future = quote((datetime.now(UTC) + timedelta(days=1)).isoformat())
    assert (await owner.get(f"{path}/diff?to={future}")).json == (
        await owner.get(f"{path}/diff")
    ).json


async def test_comments_and_links_that_came_and_went(owner: Client, world: World) -> None:
    """Those that are there at one of the two moments only, and comments with another text."""
    path = f"issues/{world['issue']}"
    linked = await owner.post(
        f"{path}/links", {"link_type": "duplicates", "target_id": world["target"]}
    )
    before = int(linked.headers["Ledger-Position"])

    async def comment(body: str) -> str:
        made: str = (await owner.post(f"{path}/comments", {"body": body})).json["id"]
        return made

    kept, passing = await comment("Kept"), await comment("Passing")
    for one in (kept, passing, world["comment"]):
        await owner.patch(f"{path}/comments/{one}", {"body": "Edited"})
    await owner.delete(f"{path}/comments/{passing}")
    await owner.delete(f"{path}/links/{linked.json['id']}")
    link = await owner.post(f"{path}/links", {"link_type": "tracks", "target_id": world["target"]})
    diff = (await owner.get(f"{path}/diff?from={before}")).json
    ids = {name: [c["comment_id"] for c in found] for name, found in diff["comments"].items()}
    assert ids == {"added": [kept], "edited": [world["comment"]], "removed": []}
    assert [found["link_id"] for found in diff["links"]["added"]] == [link.json["id"]]
    assert [found["link_id"] for found in diff["links"]["removed"]] == [linked.json["id"]]
    assert diff["links"]["added"][0]["link_type"] == "tracks"
    assert plain(diff["fields"]) == [("comment_count", 1, 2)]
    await owner.delete(f"{path}/comments/{world['comment']}")
    removed = (await owner.get(f"{path}/diff?from={before}")).json["comments"]
    assert [found["comment_id"] for found in removed["removed"]] == [world["comment"]]
    assert removed["edited"] == []


async def test_links_that_another_issue_keeps_came_and_went(owner: Client) -> None:
    """`blocks` is kept as the other's `blocked_by`, and yet is a link of both."""
    one, other, third = [
        (await owner.post("issues", {"title": title})).json["id"] for title in ("1", "2", "3")
    ]

    async def link(kind: str, target: str = other) -> tuple[str, int]:
        body = {"link_type": kind, "target_id": target}
        made = await owner.post(f"issues/{one}/links", body)
        assert made.status == 201, made
        return made.json["id"], int(made.headers["Ledger-Position"])

    async def unlink(link_id: str) -> int:
        gone = await owner.delete(f"issues/{one}/links/{link_id}")
        return int(gone.headers["Ledger-Position"])

    start = int((await owner.get("")).headers["Ledger-Position"])
    blocks, blocked = await link("blocks")
    passing, came = await link("blocks", third)
    passed = await unlink(passing)
    after, followed = await link("duplicates")
    gone = await unlink(blocks)

    async def told(issue: str, query: str) -> tuple[list[str], list[str]]:
        diff = (await owner.get(f"issues/{issue}/diff?{query}")).json
        assert diff["is_complete"]
        added, removed = ([x["link_id"] for x in diff["links"][n]] for n in ("added", "removed"))
        return added, removed

    for issue in (one, other):
        assert await told(issue, f"from={start}&to={blocked}") == ([blocks], [])
        assert await told(issue, f"from={start}&to={followed}") == ([blocks, after], [])
        assert await told(issue, f"from={start}&to={gone}") == ([after], [])
        assert await told(issue, f"from={blocked}&to={gone}") == ([after], [blocks])
    assert await told(third, f"from={start}&to={passed}") == ([], [])
    assert await told(third, f"from={start}&to={came}") == ([passing], [])
    diff = (await owner.get(f"issues/{one}/diff?to={blocked}")).json
    (shown,) = diff["links"]["added"]
    ends = shown["issue_id"], shown["link_type"], shown["target_id"]
    assert ends == (other, "blocked_by", one)


@pytest.mark.parametrize("reached", [0, 1], ids=["nowhere", "at the beginning"])
async def test_links_are_told_before_the_activity_has_them(
    owner: Client, ledger: Ledger, company: str, reached: int
) -> None:
    """What the read model has not reached is in the log."""
    one, other = [(await owner.post("issues", {"title": t})).json["id"] for t in ("1", "2")]
    body = {"link_type": "blocks", "target_id": other}
    made = await owner.post(f"issues/{one}/links", body)
    head = int(made.headers["Ledger-Position"])
    statement = links._SQL.to_issue
    rows = await ledger.readers.fetch(statement, company, one, 0, head, reached, 100)
    assert [row["type"] for row in rows] == ["issue.linked"]
    for most, is_complete in ((head, True), (head - reached, True), (head - reached - 1, False)):
        found = await ledger.readers.fetchval(
            links._SQL.are_all_read, company, 0, head, reached, most
        )
        assert found == is_complete


async def test_a_company_of_very_many_links_is_not_told_completely(
    owner: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of so many events of links alone, the newest."""
    one, *others = [(await owner.post("issues", {"title": t})).json["id"] for t in "1234"]
    for other in others:
        body = {"link_type": "blocks", "target_id": other}
        made = await owner.post(f"issues/{one}/links", body)
    assert (await owner.get("activity?limit=1")).status == 200  # It has reached the head.
    monkeypatch.setattr(links, "MOST_EVENTS", 2)
    diff = (await owner.get(f"issues/{one}/diff")).json
    newest = [x["issue_id"] for x in diff["links"]["added"]]
    assert (newest, diff["is_complete"]) == (others[1:], False)
    assert made.json["id"] == diff["links"]["added"][-1]["link_id"]
    monkeypatch.setattr(links, "MOST_EVENTS", 3)
    assert (await owner.get(f"issues/{one}/diff")).json["is_complete"]


async def test_a_long_difference_says_that_it_is_not_complete(
    owner: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which fields differ is always told; who set them, only of the last so many events."""
    monkeypatch.setattr(differences, "MOST_EVENTS", 1)
    path = f"issues/{world['issue']}"
    await owner.patch(path, {"title": "Two"})
    diff = (await owner.get(f"{path}/diff")).json
    assert not diff["is_complete"]
    found = {field["field"]: field["set_by"] for field in diff["fields"]}
    assert found["title"]["type"] == "issue.edited"
    assert found["status"] is None


async def test_differences_that_cannot_be_asked_for(owner: Client, world: World) -> None:
    """What is neither a position nor a time, is still to come, or ends before it begins."""
    path = f"issues/{world['issue']}/diff"
    for query, pointer in (
        ("from=yesterday", "/from"), ("from=99999", "/from"), ("to=99999", "/to"),
        ("from=3&to=2", "/from"), ("from=-1", "/from"), ("to=1.5", "/to"), ("from=", "/from"),
        ("to=" + "9" * 39, "/to"), ("from=" + quote("٣"), "/from"), ("from_=1", "/from_"),
        ("to=" + "9" * 50, "/to"), ("from=0001-01-01T00:00:00Z", "/from"),
    ):  # fmt: skip
        reply = await owner.get(f"{path}?{query}")
        assert (reply.status, query) == (422, query)
        assert reply.json["errors"][0]["pointer"] == pointer, query


# ── explanations ───────────────────────────────────────────────────────────────────────


async def test_a_value_is_explained_by_its_event_and_command(owner: Client) -> None:
    """The value now and before, the event with its data, and all that its command appended."""
    issue = (await owner.post("issues", {"title": "One"})).json["id"]
    await owner.patch(f"issues/{issue}", {"title": "Two"})
    await owner.patch(f"issues/{issue}", {"priority": "high"})
    why = (await owner.get(f"explain?issue={issue}&field=title")).json
    assert (why["value"], why["former"], why["identifier"]) == ("Two", "One", "ACM-1")
    event = (await owner.get(f"events?issue_id={issue}")).json["items"][1]
    assert why["event"] == event
    assert why["command"]["command_id"] == event["command_id"]
    assert why["command"]["is_complete"]
    assert [e["position"] for e in why["command"]["events"]] == [event["position"]]
    assert why["cause"] is None


async def test_what_was_done_elsewhere_is_the_cause(owner: Client) -> None:
    """A blocker's end opens what it blocked: one command, and its first event is the cause."""
    blocker = (await owner.post("issues", {"title": "First"})).json["id"]
    waiting = (await owner.post("issues", {"title": "Then"})).json["id"]
    link = {"link_type": "blocked_by", "target_id": blocker}
    await owner.post(f"issues/{waiting}/links", link)
    blocked = (await owner.get(f"explain?issue={waiting}&field=blocked_from")).json
    assert (blocked["value"], blocked["event"]["type"]) == ("todo", "issue.blocked")
    assert blocked["cause"]["type"] == "issue.linked"
    await owner.post(f"issues/{blocker}/cancel", {"reason": "Not wanted."})
    await owner.post("issues", {"title": "Later"})
    why = (await owner.get(f"explain?issue={waiting}&field=status")).json
    assert (why["value"], why["former"], why["event"]["type"]) == (
        "todo", "blocked", "issue.unblocked",
    )  # fmt: skip
    assert [e["type"] for e in why["command"]["events"]] == ["issue.cancelled", "issue.unblocked"]
    assert why["cause"] == why["command"]["events"][0]
    assert why["cause"]["stream_id"] == blocker
    assert why["cause"]["data"]["reason"] == "Not wanted."


async def test_every_field_is_explained(owner: Client, world: World) -> None:
    """Any field that is told, set or not; what was never set is explained by the beginning."""
    for name in FIELDS:
        reply = await owner.get(f"explain?issue=her-1&field={name}")
        assert reply.status == 200, (name, reply)
        found = reply.json
        assert found["event"]["stream_id"] == world["issue"]
        if found["value"] is None:
            assert (found["former"], found["event"]["type"]) == (None, "issue.created")
    held = (await owner.get("explain?issue=her-1&field=holder")).json
    assert held["value"]["run_id"] == world["run"]
    types = [event["type"] for event in held["command"]["events"]]
    assert types == ["issue.checked_out", "run.started"]
    counted = (await owner.get("explain?issue=her-1&field=comment_count")).json
    assert counted["event"]["data"] == {"comment_id": world["comment"], "body": "here comment"}


@pytest.mark.parametrize("is_begun", [False, True], ids=["new", "worked on"])
async def test_every_name_that_an_issue_shows_is_explained(
    is_begun: bool, owner: Client, world: World, ledger: Ledger, company: str
) -> None:
    """With the value that it has there, whether it was ever set or not."""
    new = issue_of(await submit(ledger, company, create("New")))
    ref = "her-1" if is_begun else new.id
    now = (await owner.get(f"issues/{ref}")).json
    events = (await owner.get(f"events?issue_id={ref}&limit=200")).json["items"]
    names = set(views.issue(new))
    assert names < set(now)
    for name in sorted(names):
        reply = await owner.get(f"explain?issue={ref}&field={name}")
        assert reply.status == 200, (name, reply)
        why = reply.json
        assert (why["field"], why["value"]) == (name, now[name])
        assert why["event"] in events
        if name in ("id", "identifier", "created_at", "created_by"):
            assert (why["event"], why["former"]) == (events[0], None)
        if name in ("version", "updated_at"):
            assert why["event"] == events[-1]


async def test_other_names_of_a_field_have_its_event(owner: Client, world: World) -> None:
    """`label_ids` are the labels; `run_id` is the holder's, and stays when a lease is renewed."""
    for name, field in (("label_ids", "labels"), ("run_id", "holder")):
        found = (await owner.get(f"explain?issue=her-1&field={name}")).json
        same = (await owner.get(f"explain?issue=her-1&field={field}")).json
        assert found["event"] == same["event"]
    labels = (await owner.get("explain?issue=her-1&field=label_ids")).json
    assert labels["value"] == [world["label"]]
    await owner.delete(f"issues/her-1/labels/{world['label']}")
    labels = (await owner.get("explain?issue=her-1&field=label_ids")).json
    assert (labels["value"], labels["former"]) == ([], [world["label"]])
    assert labels["event"]["type"] == "issue.unlabelled"
    run = (await owner.get("explain?issue=her-1&field=run_id")).json
    assert (run["value"], run["former"]) == (world["run"], None)
    assert (await owner.post("issues/her-1/renew", {"lease_seconds": 3600})).status == 200
    holder = (await owner.get("explain?issue=her-1&field=holder")).json
    assert holder["event"]["type"] == "issue.lease_renewed"
    later = (await owner.get("explain?issue=her-1&field=run_id")).json
    assert (later["value"], later["event"]) == (world["run"], run["event"])


async def test_the_creation_is_found_however_far_back(
    owner: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is where the stream begins, and not looked for."""
    monkeypatch.setattr(explaining, "MOST_EVENTS", 1)
    for name in ("id", "identifier", "created_at", "created_by"):
        found = (await owner.get(f"explain?issue=her-1&field={name}")).json
        assert found["event"]["type"] == "issue.created"


async def test_a_value_of_then_is_explained(owner: Client) -> None:
    """As of a position or a time; before the issue was written down it is a 404."""
    made = await owner.post("issues", {"title": "One"})
    issue, position = made.json["id"], int(made.headers["Ledger-Position"])
    await owner.patch(f"issues/{issue}", {"title": "Two"})
    path = f"explain?issue={issue}&field=title"
    for moment in (f"at_position={position}", f"at={quote(made.json['created_at'])}"):
        then = (await owner.get(f"{path}&{moment}")).json
        assert (then["value"], then["former"], then["as_of_position"]) == ("One", None, position)
        assert then["event"]["type"] == "issue.created"
    assert (await owner.get(f"{path}&at_position={position - 1}")).status == 404
    assert (await owner.get(f"{path}&occurred_at=2020-01-01T00:00:00Z")).status == 404


async def test_what_is_too_far_back_is_not_looked_for(
    owner: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The value is told all the same; the event is null."""
    monkeypatch.setattr(explaining, "MOST_EVENTS", 1)
    found = (await owner.get("explain?issue=her-1&field=title")).json
    assert (found["value"], found["event"], found["command"]) == ("here issue", None, None)


async def test_explanations_that_cannot_be_asked_for(owner: Client, world: World) -> None:
    """An unknown field is a 422 that lists them; both parameters must be there."""
    unknown = await owner.get("explain?issue=her-1&field=colour")
    assert unknown.status == 422
    assert unknown.json["errors"][0]["pointer"] == "/field"
    assert all(name in unknown.json["detail"] for name in FIELDS)
    for query in ("", "?issue=her-1", "?field=title", "?issue=her-1&field=title&at_position=9999"):
        assert (await owner.get(f"explain{query}")).status == 422, query


async def test_whoever_may_read_may_read_the_past(
    new_client: NewClient, company: str, owner: Client, world: World
) -> None:
    """Viewers, auditors and agents as well as owners."""
    for role in (Role.VIEWER, Role.AUDITOR, Role.AGENT):
        reader = await new_client(company, role, f"agent:{world['agent']}")
        for path in (
            "issues/her-1/history",
            "issues/her-1/diff",
            "explain?issue=her-1&field=status",
        ):
            assert (await reader.get(path)).json == (await owner.get(path)).json
