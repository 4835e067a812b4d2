"""Every answer about issues equals a naive reading of the log.

Random pasts are made through the committer, with much of them told late; then every filter, order,
cursor walk and moment is asked for over HTTP, and compared with what `naive.py` finds in the log.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest

from api.wiring import Ledger
from ledger.codec import timestamp
from ledger.events import Recorded
from ledger.ids import new_id
from ledger.workflow import PRIORITIES, STATUSES
from tests.client import Client
from tests.conftest import NewClient
from tests.naive import Json, Naive, Then, bears_on, counted, in_project
from tests.past import BEGINNING, WORDS, Past
from tests.writing import log_of, superuser

ORDERS = ("newest", "oldest", "priority", "updated", "sort_order")
SEEDS = range(2)


class World(NamedTuple):
    """A company with a past, and who asks."""

    past: Past
    client: Client

    async def naive(self) -> Naive:
        """What the log says."""
        stored = await log_of(self.past.ledger, self.past.company)
        return Naive([one.recorded for one in stored])


Make = Callable[[int], Awaitable[World]]


@pytest.fixture
def make(ledger: Ledger, new_client: NewClient) -> Make:
    """Makes a company with a past of its own for each seed."""

    async def made(seed: int, commands: int = 120) -> World:
        company = await ledger.create_company("Acme")
        past = Past(ledger, company, random.Random(seed))
        await past.found()
        await past.go_on(commands)
        return World(past, await new_client(company))

    return made


async def walked(client: Client, path: str, limit: int) -> tuple[list[Json], int]:
    """All items of a list, page by page, and the position that all pages are as of."""
    items: list[Json] = []
    cursor, as_of = "", None
    while True:
        reply = await client.get(f"{path}&limit={limit}{cursor}")
        assert reply.status == 200, (path, reply)
        assert as_of in (None, reply.json["as_of_position"])
        as_of = reply.json["as_of_position"]
        items += reply.json["items"]
        if reply.json["next_cursor"] is None:
            return items, as_of
        assert len(reply.json["items"]) == limit
        cursor = f"&cursor={reply.json['next_cursor']}"


def moments(past: Past, head: int, dice: random.Random) -> list[tuple[str, Then]]:
    """Now, a few positions and a few times that things happened at."""
    positions = [0, 1, head, *(dice.randrange(head) for _ in range(3))]
    times = [BEGINNING + timedelta(minutes=dice.randrange(70 * 24 * 60)) for _ in range(4)]
    return [
        ("", Then()),
        *((f"&at_position={n}", Then(position=n)) for n in positions),
        *((f"&occurred_at={timestamp(t)}", Then(occurred_at=t)) for t in times),
    ]


def filters(past: Past, naive: Naive, dice: random.Random) -> list[tuple[str, dict[str, Any]]]:
    """Every filter by itself, and some together, as a query and as what it means."""
    found: list[tuple[str, dict[str, Any]]] = [("", {})]
    for kind in ("team", "project", "goal", "milestone"):
        one = dice.choice(past.ids[kind])
        found.append((f"&{kind}_id={one}", {f"{kind}_id": one}))
    label, agent = dice.choice(past.ids["label"]), dice.choice(past.ids["agent"])
    parent = dice.choice(past.issues[:10])
    system, external = dice.choice(["jira", "beads"]), str(dice.randrange(9))
    few = dice.sample(STATUSES, 3)
    urgent = dice.sample(PRIORITIES, 2)
    found += [
        (f"&label={label}", {"label": label}),
        (f"&assignee=agent:{agent}", {"assignee": f"agent:{agent}"}),
        ("&assignee=none", {"assignee": "none"}),
        (f"&external_ref={system}:{external}", {"external_ref": (system, external)}),
        ("&parent_id=none", {"parent_id": "none"}),
        (f"&status={','.join(few)}", {"status": few}),
        (f"&priority={','.join(urgent)}", {"priority": urgent}),
        (
            f"&status={','.join(few)}&priority={urgent[0]}&parent_id=none",
            {"status": few, "priority": urgent[:1], "parent_id": "none"},
        ),
    ]
    if any(issue.id == parent for issue in naive.ever(Then())):
        found.append((f"&parent_id={parent}", {"parent_id": parent}))
    times = sorted(issue.updated_at for issue in naive.ever(Then()))
    for name in ("created", "updated"):
        since, until = sorted(dice.sample(times, 2))
        found.append(
            (
                f"&{name}_since={timestamp(since)}&{name}_until={timestamp(until)}",
                {f"{name}_since": since, f"{name}_until": until},
            )
        )
    return found


@pytest.mark.parametrize("seed", SEEDS)
async def test_lists_equal_the_naive_reading(make: Make, seed: int) -> None:
    """Every filter, in every order, at every kind of moment, walked in pages of any size."""
    world = await make(seed)
    naive, dice = await world.naive(), random.Random(f"asking {seed}")
    head = naive.events[-1].position
    not_empty = 0
    for query, wanted in filters(world.past, naive, dice):
        for at, then in moments(world.past, head, dice):
            order = dice.choice(ORDERS)
            path = f"issues?order={order}{query}{at}"
            items, as_of = await walked(world.client, path, dice.choice([1, 3, 7, 200]))
            assert items == naive.issues(then, wanted, order), path
            assert as_of == (head if then.position is None else then.position)
            not_empty += bool(items)
    assert not_empty > 50


@pytest.mark.parametrize("seed", SEEDS)
async def test_boards_equal_the_naive_reading(make: Make, seed: int) -> None:
    """Counts, first issues, and the list that a column leads to."""
    world = await make(100 + seed)
    naive, dice = await world.naive(), random.Random(f"boards {seed}")
    head = naive.events[-1].position
    asked = filters(world.past, naive, dice)
    for at, then in moments(world.past, head, dice):
        query, wanted = dice.choice(asked)
        order = dice.choice(ORDERS)
        reply = await world.client.get(f"board?order={order}&limit=2{query}{at}")
        assert reply.status == 200, reply
        everything = naive.issues(then, wanted, order)
        shown = {column["status"]: column for column in reply.json["columns"]}
        assert {s: c["count"] for s, c in shown.items() if c["count"]} == counted(everything)
        for status, column in shown.items():
            those = [issue for issue in everything if issue["status"] == status]
            assert column["items"] == those[:2]
            whole = await world.client.get(column["all"])
            assert whole.json["items"] == those[:50], column["all"]


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_issue_equals_the_naive_reading_at_every_moment(make: Make, seed: int) -> None:
    """With its description, be it deleted since; where there was none, there is none."""
    world = await make(200 + seed)
    naive, dice = await world.naive(), random.Random(f"one {seed}")
    head = naive.events[-1].position
    found = 0
    for issue in naive.ever(Then()):
        for at, then in moments(world.past, head, dice)[1:]:
            reply = await world.client.get(f"issues/{issue.identifier}?{at[1:]}")
            expected = naive.one(then, issue.id)
            if expected is None:
                assert reply.status == 404
                continue
            assert reply.status == 200
            assert reply.headers["ETag"] == f'"{expected["version"]}"'
            as_of = reply.json.pop("as_of_position")
            assert as_of == (head if then.position is None else then.position)
            assert reply.json == expected
            found += 1
    assert found > 20


@pytest.mark.parametrize("seed", SEEDS)
async def test_activity_equals_the_naive_reading(make: Make, seed: int) -> None:
    """Every filter, from either end, at every kind of moment, walked in pages of any size."""
    world = await make(600 + seed)
    naive, dice = await world.naive(), random.Random(f"activity {seed}")
    events, past = naive.events, world.past
    issue, agent = dice.choice(past.issues[:9]), f"agent:{dice.choice(past.ids['agent'])}"
    project = dice.choice(past.ids["project"])
    of_project = in_project(events, project)
    since, until = sorted(dice.sample([r.at for r in events], 2))
    runs = [r.stream_id for r in events if r.event.type == "run.started"] or [new_id()]
    run = dice.choice(runs)
    asked: list[tuple[str, Callable[[Recorded], bool]]] = [
        ("", lambda r: True),
        ("&actor=user:alice", lambda r: str(r.actor) == "user:alice"),
        (f"&actor={agent}", lambda r: str(r.actor) == agent),
        ("&type=issue.edited,issue.labelled", lambda r: r.event.type in _TWO),
        ("&type=issue.*", lambda r: r.event.type.startswith("issue.")),
        ("&subject_type=label", lambda r: getattr(r.event, "kind", None) == "label"),
        (f"&run_id={run}", lambda r: run in (r.stream_id, getattr(r.event, "run_id", None))),
        (f"&project_id={project}", lambda r: r.position in of_project),
        (f"&since={timestamp(since)}&until={timestamp(until)}", lambda r: since <= r.at < until),
        (
            f"&project_id={project}&type=issue.*&since={timestamp(since)}",
            lambda r: r.position in of_project and r.event.type[:6] == "issue." and r.at >= since,
        ),
    ]
    if any(r.stream_id == issue for r in events):
        asked.append((f"&issue_id={issue}", lambda r: bears_on(r) == issue))
    for query, fits in asked:
        for at, then in moments(past, events[-1].position, dice):
            order = dice.choice(["newest", "oldest"])
            path = f"activity?order={order}{query}{at}"
            items, _ = await walked(world.client, path, dice.choice([2, 7, 200]))
            expected = [r.position for r in events if then.holds(r) and fits(r)]
            if order == "newest":
                expected.reverse()
            assert [item["position"] for item in items] == expected, path


_TWO = ("issue.edited", "issue.labelled")


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_walk_is_of_one_moment_whatever_happens_meanwhile(make: Make, seed: int) -> None:
    """Issues are changed, moved and deleted between the pages; each is seen once, as it was."""
    world = await make(300 + seed)
    dice = random.Random(f"walk {seed}")
    for order in ORDERS:
        query, wanted = dice.choice(
            [("", {}), ("&status=todo,backlog", {"status": ["todo", "backlog"]})]
        )
        items: list[Json] = []
        cursor, as_of = "", 0
        while True:
            reply = await world.client.get(f"issues?order={order}{query}&limit=3{cursor}")
            as_of = reply.json["as_of_position"]
            items += reply.json["items"]
            if reply.json["next_cursor"] is None:
                break
            cursor = f"&cursor={reply.json['next_cursor']}"
            await world.past.go_on(2)
        naive = await world.naive()
        assert items == naive.issues(Then(position=as_of), wanted, order)
        assert naive.events[-1].position > as_of


@pytest.mark.parametrize("seed", SEEDS)
async def test_searches_equal_asking_postgres_of_each_text(make: Make, seed: int) -> None:
    """All words, each in any of an issue's texts; phrases, alternatives and what is left out."""
    world = await make(400 + seed)
    naive, dice = await world.naive(), random.Random(f"search {seed}")
    one, two, three = (dice.choice(WORDS) for _ in range(3))
    asked: list[tuple[str, list[str], list[str]]] = [
        (one, [one], []),
        (f"{one} {two}", [one, two], []),
        (f"the {two}", [two], []),
        (f'"{one} {two}"', [f'"{one} {two}"'], []),
        (f"{one} -{two}", [one], [two]),
        (f"{one} or {two} {three}", [f"{one} or {two}", three], []),
        ("retry", ["retries"], []),
        ("nowhere", ["nowhere"], []),
    ]
    async with superuser(world.past.ledger.url) as connection:

        async def says(issue_id: str, term: str) -> bool:
            said: bool = await connection.fetchval(_SAYS, naive.texts(issue_id), term)
            return said

        for text, all_of, none_of in asked:
            items, _ = await walked(world.client, f"issues?order=oldest&q={quote(text)}", 4)
            expected = [
                issue
                for issue in naive.issues(Then(), {}, "oldest")
                if any([await says(issue["id"], term) for term in all_of if term != "the"])
                and all([await says(issue["id"], term) for term in all_of if term != "the"])
                and not any([await says(issue["id"], term) for term in none_of])
            ]
            assert items == expected, text


_SAYS = """
SELECT coalesce(bool_or(to_tsvector('english', said) @@ websearch_to_tsquery('english', $2)), false)
FROM unnest($1::text[]) AS said
"""


async def test_at_is_the_last_position_recorded_by_then(make: Make) -> None:
    """Of every event's time, and of a moment before and after all of them."""
    world = await make(500)
    naive = await world.naive()
    times: list[datetime] = [r.recorded_at for r in naive.events]
    for moment in [*times[::7], times[0] - timedelta(seconds=1), times[-1] + timedelta(days=1)]:
        position = sum(at <= moment for at in times)
        reply = await world.client.get(f"issues?limit=1&at={timestamp(moment)}")
        assert reply.json["as_of_position"] == position
