"""The activity over HTTP: who asks for some of it gets that, in order, as of any moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from api.wiring import Ledger
from ledger.actors import Actor, Role
from ledger.ids import new_id
from ledger.submission import Provenance, Submission
from tests.client import Client
from tests.conftest import NewClient
from tests.tour import World, cost, fill
from tests.writing import assert_whole, comment, create

Item = dict[str, Any]
LONG_AGO = datetime(2020, 5, 1, 12, tzinfo=UTC)
BOB = Actor("user", "bob")


@pytest.fixture
async def world(owner: Client, ledger: Ledger, company: str) -> World:
    """A company with one of everything, which then imports what happened long ago.

    The import goes back and forth in time, and Bob did half of it; work goes on after it.
    """
    filled = await fill(owner)
    for n, days in enumerate((0, 1, 2, 3, 4, 0, 2, 1, 5)):
        provenance = Provenance(
            via="import",
            on_behalf_of=BOB if n % 2 else None,
            occurred_at=LONG_AGO + timedelta(days=days),
        )
        commands = (create(f"Imported {n}"), comment(filled["issue"], f"Said {n}"))
        await ledger.committer.submit(company, Submission(commands=commands, provenance=provenance))
    for n in range(5):
        await owner.post("issues", {"title": f"Afterwards {n}"})
    return filled


async def everything(client: Client) -> list[Item]:
    """The whole activity, oldest first."""
    return await walked(client, {"order": "oldest"}, limit=200)


async def walked(client: Client, query: Mapping[str, Any], limit: int = 7) -> list[Item]:
    """What a question finds, from page to page."""
    items: list[Item] = []
    given = {**query, "limit": limit}
    while True:
        reply = await client.get(f"activity?{urlencode(given)}")
        assert reply.status == 200, reply
        items += reply.json["items"]
        if reply.json["next_cursor"] is None:
            assert "Link" not in reply.headers
            return items
        assert len(reply.json["items"]) == limit
        given["cursor"] = reply.json["next_cursor"]


def shown(items: list[Item]) -> list[int]:
    """The positions of what was found."""
    return [item["position"] for item in items]


# ── filters ────────────────────────────────────────────────────────────────────────────


_SOMEBODY: dict[str, tuple[dict[str, str], Callable[[Item, World], bool]]] = {
    "everything": ({}, lambda item, world: True),
    "issue": (
        {"issue_id": "issue"},
        lambda item, world: item["issue_id"] == world["issue"],
    ),
    "run": ({"run_id": "run"}, lambda item, world: item["run_id"] == world["run"]),
    "actor": ({"actor": "user:alice"}, lambda item, world: item["actor"] == "user:alice"),
    "acted-for": ({"actor": "user:bob"}, lambda item, world: item["on_behalf_of"] == "user:bob"),
    "nobody": ({"actor": "user:nobody"}, lambda item, world: False),
    "type": (
        {"type": "issue.commented"},
        lambda item, world: item["type"] == "issue.commented",
    ),
    "types": (
        {"type": "issue.commented, run.started,no.such"},
        lambda item, world: item["type"] in ("issue.commented", "run.started"),
    ),
    "prefix": (
        {"type": "run.*,issue.linked"},
        lambda item, world: item["type"].startswith("run.") or item["type"] == "issue.linked",
    ),
    "unknown-prefix": ({"type": "no.*"}, lambda item, world: False),
    "subject": (
        {"subject_type": "issue"},
        lambda item, world: item["subject_type"] == "issue",
    ),
    "subjects": (
        {"subject_type": "milestone,run"},
        lambda item, world: item["subject_type"] in ("milestone", "run"),
    ),
    "project": (
        {"project_id": "project"},
        lambda item, world: item["project_id"] == world["project"],
    ),
    "actor-and-type": (
        {"actor": "user:alice", "type": "issue.commented", "subject_type": "issue"},
        lambda item, world: item["actor"] == "user:alice" and item["type"] == "issue.commented",
    ),
    "issue-and-acted-for": (
        {"issue_id": "issue", "actor": "user:bob"},
        lambda item, world: (
            item["issue_id"] == world["issue"] and item["on_behalf_of"] == "user:bob"
        ),
    ),
}  # fmt: skip
"""What is asked, by what it is about; and which items that means."""

_WHEN: dict[str, tuple[datetime | None, datetime | None]] = {
    "always": (None, None),
    "since-the-third-day": (LONG_AGO + timedelta(days=2), None),
    "until-the-third-day": (None, LONG_AGO + timedelta(days=2)),
    "on-two-days": (LONG_AGO + timedelta(days=1), LONG_AGO + timedelta(days=3)),
    "never": (LONG_AGO + timedelta(days=3), LONG_AGO + timedelta(days=1)),
    "not-long-ago": (LONG_AGO + timedelta(days=100), None),
    "before-the-last-ones": (None, None),
}


@pytest.mark.parametrize("when", _WHEN)
async def test_a_filter_finds_what_it_says_and_nothing_else(
    owner: Client, world: World, when: str
) -> None:
    """Each filter alone and with a time, from either end, whatever the pages' ends are."""
    items = await everything(owner)
    since, until = _WHEN[when]
    if when == "before-the-last-ones":
        until = datetime.fromisoformat(items[-3]["at"])
    times = {
        name: moment.isoformat()
        for name, moment in (("since", since), ("until", until))
        if moment is not None
    }
    for name, (query, is_wanted) in _SOMEBODY.items():
        wanted = [
            item["position"]
            for item in items
            if is_wanted(item, world)
            and (since is None or datetime.fromisoformat(item["at"]) >= since)
            and (until is None or datetime.fromisoformat(item["at"]) < until)
        ]
        named = {
            key: world[value] if key.endswith("_id") else value for key, value in query.items()
        }
        given = named | times
        oldest = await walked(owner, {**given, "order": "oldest"})
        assert shown(oldest) == wanted, name
        assert shown(await walked(owner, given)) == wanted[::-1], name


async def test_what_is_asked_for_wrongly_is_refused(owner: Client, world: World) -> None:
    """A 422 that says where; a 404 for a project that there is not."""
    for query, status, pointer in (
        ("type=iss*", 422, "/type"),
        ("type=*.created", 422, "/type"),
        ("type=issue.**", 422, "/type"),
        ("order=sideways", 422, "/order"),
        ("since=yesterday", 422, "/since"),
        ("actor=alice", 422, "/actor"),
        ("run_id=x", 422, "/run_id"),
        ("cursor=x", 422, "/cursor"),
        ("colour=red", 422, "/colour"),
        (f"project_id={new_id()}", 404, None),
        ("project_id=no-such-project", 404, None),
    ):
        for path in ("activity", "activity/export"):
            if path == "activity/export" and query.startswith(("order", "cursor")):
                pointer = f"/{query.partition('=')[0]}"  # An export has neither.
            reply = await owner.get(f"{path}?{query}")
            assert (reply.status, query) == (status, query)
            if pointer:
                assert [error["pointer"] for error in reply.json["errors"]] == [pointer], query


async def test_who_does_not_see_keys_does_not_see_what_happened_to_them(
    owner: Client, new_client: NewClient, company: str, world: World
) -> None:
    """Not in the list, not by type, not by subject; the positions have gaps there."""
    items = await everything(owner)
    keys = {item["position"] for item in items if item["subject_type"] == "key"}
    assert keys
    viewer = await new_client(company, Role.VIEWER, "user:viewer")
    seen = shown(await everything(viewer))
    assert not keys & set(seen)
    assert set(shown(items)) - keys <= set(seen)
    for query in ({"type": "key.*"}, {"type": "key.created"}, {"subject_type": "key"}):
        assert await walked(viewer, query) == []
        assert set(shown(await walked(owner, query))) >= keys or query["type"] == "key.created"


# ── projects ───────────────────────────────────────────────────────────────────────────


async def test_a_project_has_what_happened_in_it_while_it_was_there(
    owner: Client, ledger: Ledger, company: str
) -> None:
    """The project itself, its milestones, its issues, their runs, comments and costs.

    What is moved is told in both: it left one, and came into the other. What was before, and what
    comes after, is not.
    """

    async def make(path: str, body: dict[str, Any]) -> str:
        reply = await owner.post(path, body)
        assert reply.status in (200, 201), reply
        return str(reply.json["id"])

    here = await make("projects", {"name": "Here"})
    there = await make("projects", {"name": "There"})
    agent = await make("agents", {"name": "Coder"})
    issue = await make("issues", {"title": "Moves", "project_id": here})
    other = await make("issues", {"title": "Of no project"})
    await owner.post(f"issues/{issue}/comments", {"body": "Here."})
    run = (await owner.post(f"issues/{issue}/checkout", {"agent_id": agent})).json["run_id"]
    await owner.post(f"issues/{issue}/runs/{run}/costs", cost())
    await owner.patch(f"issues/{issue}", {"project_id": there, "title": "Moved"})
    await owner.post(f"issues/{issue}/runs/{run}/costs", cost())
    await owner.post(f"issues/{issue}/comments", {"body": "There."})
    milestone = await make("milestones", {"name": "Beta", "project_id": there})
    await owner.patch(f"milestones/{milestone}", {"name": "Gamma"})
    await owner.patch(f"projects/{there}", {"name": "Yonder"})
    await owner.patch(f"issues/{issue}", {"project_id": None})
    await owner.post(f"issues/{issue}/comments", {"body": "Nowhere."})
    await owner.patch(f"issues/{other}", {"project_id": here})
    await owner.patch(f"milestones/{milestone}", {"project_id": None})
    await owner.delete(f"issues/{other}")
    await owner.delete(f"projects/{here}")

    async def told(project: str) -> list[tuple[str, bool]]:
        items = await walked(owner, {"project_id": project, "order": "oldest"})
        return [(item["type"], item["former_project_id"] == project) for item in items]

    assert await told(here) == [
        ("directory.entry_created", False),
        ("issue.created", False),
        ("issue.commented", False),
        ("issue.checked_out", False),
        ("run.started", False),
        ("run.cost_reported", False),
        ("issue.edited", True),
        ("issue.edited", False),
        ("issue.deleted", False),
        ("directory.entry_archived", False),
    ]
    assert await told(there) == [
        ("directory.entry_created", False),
        ("issue.edited", False),
        ("run.cost_reported", False),
        ("issue.commented", False),
        ("directory.entry_created", False),
        ("directory.entry_updated", False),
        ("directory.entry_updated", False),
        ("issue.edited", True),
        ("directory.entry_updated", True),
    ]  # fmt: skip
    by_slug = await walked(owner, {"project_id": "there"})
    assert by_slug == await walked(owner, {"project_id": there})
    await assert_whole(ledger, company)


# ── moments ────────────────────────────────────────────────────────────────────────────


async def test_a_moment_of_the_log_shows_its_first_events(owner: Client, world: World) -> None:
    """`at_position` and `at`: that prefix, as it is for good, whatever came after."""
    items = await everything(owner)
    for item in items[:: len(items) // 6] + items[-1:]:
        n = item["position"]
        recorded = datetime.fromisoformat(item["recorded_at"])
        by_time = [i for i in items if datetime.fromisoformat(i["recorded_at"]) <= recorded]
        for query, wanted in (
            ({"at_position": n}, items[:n]),
            ({"at": item["recorded_at"]}, by_time),
        ):
            assert await walked(owner, {**query, "order": "oldest"}) == wanted
            assert await walked(owner, query) == wanted[::-1]
            reply = await owner.get(f"activity?{urlencode(query)}&limit=1")
            assert reply.json["as_of_position"] == len(wanted)
            assert reply.headers["Ledger-Position"] == str(len(wanted))
    assert await walked(owner, {"at_position": 0}) == []


@pytest.mark.parametrize("days", [-1, 0, 2, 30])
async def test_a_moment_of_the_world_shows_what_had_happened(
    owner: Client, world: World, days: int
) -> None:
    """`occurred_at`: of all that is recorded, what is said to have happened by then."""
    moment = LONG_AGO + timedelta(days=days)
    wanted = [i for i in await everything(owner) if datetime.fromisoformat(i["at"]) <= moment]
    query = {"occurred_at": moment.isoformat()}
    assert await walked(owner, {**query, "order": "oldest"}) == wanted
    assert await walked(owner, query) == wanted[::-1]
    of_issue = [item for item in wanted if item["issue_id"] == world["issue"]]
    assert await walked(owner, {**query, "issue_id": world["issue"]}) == of_issue[::-1]
    until = {**query, "until": (LONG_AGO + timedelta(days=2)).isoformat()}
    earlier = [i for i in wanted if datetime.fromisoformat(i["at"]) < LONG_AGO + timedelta(days=2)]
    assert await walked(owner, until) == earlier[::-1]


async def test_there_is_one_moment_and_it_has_come(owner: Client, world: World) -> None:
    """Two moments, or a position that is still to come, are a 422."""
    now = quote(datetime.now(UTC).isoformat())
    for query in (f"at={now}&at_position=1", f"at_position=1&occurred_at={now}"):
        assert (await owner.get(f"activity?{query}")).status == 422
    assert (await owner.get("activity?at_position=100000")).status == 422


async def test_a_page_is_as_of_the_position_that_it_says(owner: Client, world: World) -> None:
    """Oldest first, a walk goes on into what is recorded meanwhile, and loses nothing."""
    first = await owner.get("activity?order=oldest&limit=5")
    await owner.post("issues", {"title": "Meanwhile"})
    rest = await walked(owner, {"order": "oldest", "cursor": first.json["next_cursor"]})
    positions = shown(first.json["items"] + rest)
    assert positions == list(range(1, first.json["as_of_position"] + 2))
