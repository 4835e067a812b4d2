"""The log over HTTP: filtered in bounded steps, waited for, and streamed without loss.

Readers are real sockets. What is promised: whoever follows the cursor, or comes back with the id
that it saw last, sees each event once; whoever does not read costs little and not for long.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import orjson
import pytest
import pytest_asyncio

from api.auth import BELIEVED_SECONDS
from api.openapi import document
from api.streams import CUT, OPEN, StreamLimits
from api.wiring import INLINE, Ledger, open_ledger
from ledger.actors import Actor, Role
from ledger.committer import Committer
from ledger.database import committer_pool
from ledger.heads import Heads
from ledger.ids import new_id
from projections.queries import feed
from tests.client import Client, Reply
from tests.conftest import NewClient, _new_database
from tests.proxy import Proxy
from tests.streaming import Reader, at, blocks_of, lengthen, reading, serving
from tests.tour import World, fill
from tests.writing import comment, create, eventually, issue_of, submission, submit, superuser

AWAKE = StreamLimits(heartbeat_seconds=0.05)
IMPATIENT = StreamLimits(slow_seconds=0.3, heartbeat_seconds=0.05)


@pytest.fixture
async def world(owner: Client) -> World:
    """A company with one of everything."""
    return await fill(owner)


@pytest_asyncio.fixture(scope="module")
async def long(server_url: str, http: aiohttp.ClientSession) -> AsyncIterator[Client]:
    """The owner of a company whose log has a quarter of a million events, in a database of its own.

    Three issues, then the same comment again and again, then three more issues.
    """
    url = await _new_database(server_url)
    async with open_ledger(url) as own, serving(own, AWAKE) as base_url:
        company = await own.create_company("Long")
        _, key, actor = await own.create_key(company, Role.OWNER, Actor("user", "alice"))
        for n in range(3):
            outcome = await submit(own, company, create(f"early {n}"))
        issue = issue_of(outcome).id
        await submit(own, company, comment(issue))
        await lengthen(url, company, 250_000)
        await submit(own, company, comment(issue, "again"))
        for n in range(3):
            await submit(own, company, create(f"late {n}"))
        await own.readers.execute("ANALYZE ledger.events")
        yield Client(http, base_url, company, key, actor)


async def everything(client: Client, query: str = "") -> list[Any]:
    """All items of the pages that the cursor leads through."""
    found: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        reply = await client.get(
            f"events?limit=200{query}" + (f"&cursor={cursor}" if cursor else "")
        )
        assert reply.status == 200, reply
        found += reply.json["items"]
        cursor = reply.json["next_cursor"]
        assert (cursor is None) == ("Link" not in reply.headers)
    return found


def positions(events: list[Any]) -> list[int]:
    """Where events are in the log."""
    return [event["position"] for event in events]


# ── filters ────────────────────────────────────────────────────────────────────────────


async def test_events_are_filtered_as_one_would_by_hand(owner: Client, world: World) -> None:
    """By type and kind of types, by issue, by run, by who did it, and by several at once."""
    everybody = await everything(owner)
    run, issue, agent = world["run"], world["issue"], world["agent"]
    bears_on_run = [
        e for e in everybody if run in (e["stream_id"], e["run_id"], e["data"].get("run_id"))
    ]
    expected = {
        "&type=issue.created,run.started": [
            e for e in everybody if e["type"] in ("issue.created", "run.started")
        ],
        "&type=issue.*": [e for e in everybody if e["type"].startswith("issue.")],
        "&type=run.*,issue.created": [
            e for e in everybody if e["type"].startswith("run.") or e["type"] == "issue.created"
        ],
        "&type=issue.no_such": [],
        "&type=issu.*": [],
        "&type=issue_.*": [],
        f"&issue_id={issue}": [e for e in everybody if e["stream_id"] == issue],
        f"&run_id={run}": bears_on_run,
        f"&run_id={new_id()}": [],
        f"&actor={owner.actor}": [
            e for e in everybody if owner.actor in (e["actor"], e["on_behalf_of"])
        ],
        "&actor=system:cli": [e for e in everybody if e["actor"] == "system:cli"],
        f"&actor=agent:{agent}": [
            e for e in everybody if f"agent:{agent}" in (e["actor"], e["on_behalf_of"])
        ],
        f"&issue_id={issue}&type=issue.*&actor={owner.actor}&after=20": [
            e
            for e in everybody
            if e["stream_id"] == issue and e["actor"] == owner.actor and e["position"] > 20
        ],
    }  # fmt: skip
    for query, events in expected.items():
        assert positions(await everything(owner, query)) == positions(events), query
    assert {"run.started", "issue.checked_out"} <= {e["type"] for e in bears_on_run}


async def test_events_are_filtered_by_when_they_were_recorded(owner: Client, world: World) -> None:
    """`since` takes its instant in, `until` leaves it out; together they are a range."""
    events = await everything(owner)
    times = [datetime.fromisoformat(event["recorded_at"]) for event in events]
    assert times == sorted(times)
    for instant in (times[0], times[len(times) // 2], times[-1]):
        for shift in (-1, 0, 1):
            moment = instant + timedelta(microseconds=shift)
            text = quote(moment.isoformat())
            later = [e["position"] for e, t in zip(events, times, strict=True) if t >= moment]
            assert positions(await everything(owner, f"&since={text}")) == later
            assert positions(await everything(owner, f"&until={text}")) == [
                p for p in positions(events) if p not in later
            ]
    first, last = (quote(times[n].isoformat()) for n in (10, -10))
    ranged = await everything(owner, f"&since={first}&until={last}")
    assert positions(ranged) == [
        e["position"] for e, t in zip(events, times, strict=True) if times[10] <= t < times[-10]
    ]
    assert positions(await everything(owner, f"&since={first}&after=25"))[0] == 26


@pytest.mark.parametrize("role", [Role.AGENT, Role.VIEWER], ids=str)
async def test_events_of_keys_stay_hidden(
    role: Role, owner: Client, world: World, new_client: NewClient
) -> None:
    """From roles that do not see keys: in pages, by type or kind of types, and in streams."""
    other = await new_client(owner.company, role, "agent:reader")
    hidden = [e["position"] for e in await everything(owner) if e["type"].startswith("key.")]
    assert len(hidden) >= 2
    visible = [p for p in positions(await everything(owner)) if p not in hidden]
    assert positions(await everything(other)) == visible
    for query in ("&type=key.*", "&type=key.created", "&type=k.*,key.created"):
        assert await everything(other, query) == []
    async with reading(other) as stream:
        assert positions(await stream.events(len(visible))) == visible


@pytest.mark.parametrize(
    ("query", "status", "pointer"),
    [
        ("type=*", 422, "/type"),
        ("type=issue*", 422, "/type"),
        ("type=*.created", 422, "/type"),
        ("type=issue.*.created", 422, "/type"),
        ("actor=nobody", 422, "/actor"),
        ("run_id=ENG-1", 422, "/run_id"),
        ("since=yesterday", 422, "/since"),
        ("until=2026-04-12", 422, "/until"),
        ("wait=31", 422, "/wait"),
        ("wait=-1", 422, "/wait"),
        ("wait=soon", 422, "/wait"),
        ("after=-1", 422, "/after"),
        ("issue_id=NOPE-1", 404, None),
        ("before=7", 422, "/before"),
    ],
)
@pytest.mark.parametrize(
    "accept", ["application/json", "text/event-stream"], ids=["page", "stream"]
)
async def test_bad_filters_are_clear(
    query: str, status: int, pointer: str | None, accept: str, owner: Client
) -> None:
    """A problem document that says where, of a stream too."""
    reply = await owner.get(f"events?{query}", Accept=accept)
    assert reply.status == status
    assert reply.headers["Content-Type"].startswith("application/problem+json")
    if pointer is not None:
        assert reply.json["errors"][0]["pointer"] == pointer


# ── long logs ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("query", ["&type=issue.created", "&type=issue.created&actor=user:alice"])
async def test_a_rare_event_is_found_across_a_long_log(query: str, long: Client) -> None:
    """A page goes along a bounded stretch; an empty one has a cursor that leads on."""
    found: list[Any] = []
    pages, cursor = [], 0
    while True:
        page = (await long.get(f"events?limit=200&after={cursor}{query}")).json
        found += page["items"]
        pages.append(len(page["items"]))
        if page["next_cursor"] is None:
            break
        assert cursor < int(page["next_cursor"]) <= cursor + feed.WINDOW * feed.MOST_WINDOWS
        cursor = int(page["next_cursor"])
    assert [event["data"]["title"] for event in found] == [
        *(f"early {n}" for n in range(3)),
        *(f"late {n}" for n in range(3)),
    ]
    assert 0 in pages
    assert page["as_of_position"] > 250_000


async def test_an_issue_is_found_across_a_long_log_at_once(long: Client) -> None:
    """Its events are looked up by their stream, from wherever one begins."""
    issue = (await long.get("events?type=issue.created&limit=3")).json["items"][-1]["stream_id"]
    page = (await long.get(f"events?issue_id={issue}")).json
    types = [event["type"] for event in page["items"]]
    assert types == ["issue.created", "issue.commented", "issue.commented"]
    assert page["next_cursor"] is None
    some = (await long.get(f"events?issue_id={issue}&limit=1")).json
    assert (positions(some["items"]), some["next_cursor"]) == (
        positions(page["items"])[:1],
        str(page["items"][0]["position"]),
    )
    for n, event in enumerate(page["items"]):
        rest = await everything(long, f"&issue_id={issue}&after={event['position']}")
        assert rest == page["items"][n + 1 :]
    comments = await everything(long, f"&issue_id={issue}&type=issue.comm.*,issue.commented")
    assert comments == page["items"][1:]


async def test_no_statement_reads_more_than_its_stretch(long: Client, server_url: str) -> None:
    """Postgres looks at no more rows of the log than a window has, whatever the filter."""
    databases = await _databases_with(server_url, long.company)
    async with superuser(databases) as connection:
        for name, value in (("plan_cache_mode", "force_generic_plan"), ("jit", "off")):
            await connection.execute(f"SET {name} = {value}")
        wanted = feed.FeedFilter(
            run_id=new_id(), actors=["user:nobody"], types=["issue.created", "run.*"]
        )
        await connection.execute(
            "PREPARE asked (uuid, bigint, bigint, bigint, bigint, uuid, uuid, text[], text[], "
            "text[], boolean, timestamptz) AS "
            + feed._SQL.window.partition("\n")[2].strip().removesuffix(";")
        )
        shown = await connection.fetchval(
            "EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE asked "
            f"('{long.company}', 100000, {100_000 + feed.WINDOW}, 50, 1000000, NULL, "
            f"'{wanted.run_id}', '{{user:nobody}}', '{{issue.created}}', '{{run.%}}', true, NULL)"
        )
    scans = [node for node in _nodes(json.loads(shown)[0]["Plan"]) if "Relation Name" in node]
    assert {node["Relation Name"] for node in scans} == {"events"}
    for node in scans:
        assert "Seq Scan" not in node["Node Type"]
        looked_at = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        assert looked_at <= feed.WINDOW


def _nodes(plan: Any) -> list[Any]:
    return [plan, *(node for child in plan.get("Plans", ()) for node in _nodes(child))]


async def _databases_with(server_url: str, company: str) -> str:
    """The URL of the database that has a company."""
    async with superuser(server_url) as connection:
        rows = await connection.fetch("SELECT datname FROM pg_database WHERE datname LIKE 'test_%'")
    for row in rows:
        url = urlsplit(server_url)._replace(path=f"/{row['datname']}").geturl()
        async with superuser(url) as connection:
            if await connection.fetchval(
                "SELECT count(*) FROM company_heads WHERE company_id = $1", company
            ):
                return url
    raise AssertionError("no database has it")


async def test_large_events_make_short_pages(owner: Client) -> None:
    """A page ends after some megabytes, and the cursor leads on to the rest."""
    text = "x" * 400_000
    for _ in range(14):
        assert (await owner.post("issues", {"title": "x", "description": text})).status == 201
    page = (await owner.get("events?limit=200")).json
    assert page["next_cursor"] == str(page["items"][-1]["position"])
    assert len(orjson.dumps(page)) < feed.PAGE_BYTES + 500_000
    events = await everything(owner)
    assert positions(events) == list(range(1, len(events) + 1))
    assert len(events) > len(page["items"])
    async with reading(owner) as stream:
        assert await stream.events(len(events)) == events


# ── waiting for a page ─────────────────────────────────────────────────────────────────


async def test_a_page_is_waited_for(owner: Client) -> None:
    """Whoever asks after the head hears of the next event when it comes, and not before."""
    head = int((await owner.get("")).headers["Ledger-Position"])
    asked = asyncio.create_task(owner.get(f"events?after={head}&wait=30"))
    await asyncio.sleep(0.3)
    assert not asked.done()
    made = await owner.post("issues", {"title": "new"})
    reply = await asyncio.wait_for(asked, 20)
    assert positions(reply.json["items"]) == [head + 1]
    assert reply.json["as_of_position"] == int(made.headers["Ledger-Position"])


async def test_only_a_fitting_event_ends_the_waiting(owner: Client) -> None:
    """Others go by; what is answered says how far the log was looked through."""
    head = int((await owner.get("")).headers["Ledger-Position"])
    asked = asyncio.create_task(
        owner.get(f"events?after={head}&wait=30&type=directory.entry_created")
    )
    for n in range(3):
        await owner.post("issues", {"title": f"{n}"})
        await asyncio.sleep(0.1)
    assert not asked.done()
    await owner.post("users", {"name": "Bob"})
    (event,) = (await asyncio.wait_for(asked, 20)).json["items"]
    assert (event["type"], event["position"]) == ("directory.entry_created", head + 4)


async def test_waiting_in_vain_ends_with_an_empty_page(owner: Client) -> None:
    """After the seconds asked for; going on after `as_of_position` misses nothing."""
    head = int((await owner.get("")).headers["Ledger-Position"])
    reply = await owner.get(f"events?after={head}&wait=1")
    assert (reply.status, reply.json) == (
        200,
        {"items": [], "next_cursor": None, "as_of_position": head},
    )
    assert (await owner.get(f"events?after={head}&wait=0")).json["items"] == []


async def test_what_is_there_is_not_waited_for(owner: Client) -> None:
    """Neither is what cannot come any more, because it would have to be older."""
    first = (await owner.get("events?limit=1&wait=30")).json["items"][0]
    async with asyncio.timeout(20):
        assert first["position"] == 1
        until = quote(first["recorded_at"])
        assert (await owner.get(f"events?until={until}&wait=30")).json["items"] == []


async def test_who_waits_holds_no_connection(
    owner: Client, ledger: Ledger, database_url: str
) -> None:
    """Fifty wait, on two connections, and others are answered meanwhile."""
    async with open_ledger(database_url, readers=2) as own, serving(own) as url:
        client = at(owner, url)
        head = int((await client.get("")).headers["Ledger-Position"])
        async with AsyncExitStack() as streams:
            pages = [
                asyncio.create_task(client.get(f"events?after={head}&wait=30")) for _ in range(30)
            ]
            readers = [
                await streams.enter_async_context(reading(client, f"?after={head}"))
                for _ in range(20)
            ]
            await asyncio.sleep(0.2)
            for _ in range(20):
                assert (await client.get("issues")).status == 200
            assert own.readers.get_idle_size() == own.readers.get_size()
            assert not any(page.done() for page in pages)
            await owner.post("issues", {"title": "new"})
            for reply in await asyncio.gather(*pages):
                assert positions(reply.json["items"]) == [head + 1]
            for reader in readers:
                assert positions(await reader.events(1)) == [head + 1]


async def test_heads_are_told_by_a_hint(ledger: Ledger, company: str, database_url: str) -> None:
    """Long before anybody would look."""
    heads = Heads(database_url, ledger.readers, poll_seconds=3600)
    heads.start()
    with heads.follow(company) as head:
        position = await head.beyond(0, 20)
        waiting = asyncio.create_task(head.beyond(position, 30))
        await asyncio.sleep(0.5)
        outcome = await submit(ledger, company, create())
        assert await waiting == outcome.position
    await heads.close()


async def test_heads_are_found_without_a_hint(
    ledger: Ledger, company: str, database_url: str
) -> None:
    """A hint that nobody sent costs a moment."""
    pool = await committer_pool(database_url, 1)
    silent = Committer(pool, INLINE)
    heads = Heads(database_url, ledger.readers, poll_seconds=0.05)
    heads.start()
    with heads.follow(company) as head:
        position = await head.beyond(0, 20)
        waiting = asyncio.create_task(head.beyond(position, 20))
        outcome = await silent.submit(company, submission(create()))
        assert await waiting == outcome.position
        assert await head.beyond(outcome.position, 0.1) == outcome.position
    await silent.close()
    await pool.close()
    await heads.close()


async def test_nobody_waits_for_heads_that_nobody_looks_at(
    ledger: Ledger, company: str, database_url: str
) -> None:
    """Closing sends away who waits, and who comes later."""
    heads = Heads(database_url, ledger.readers)
    heads.start()
    with heads.follow(company) as head:
        position = await head.beyond(0, 20)
        waiting = asyncio.create_task(head.beyond(position, 3600))
        await asyncio.sleep(0.05)
        await heads.close()
        async with asyncio.timeout(20):
            assert await waiting == position
    with heads.follow(company) as head:
        async with asyncio.timeout(20):
            assert await head.beyond(position, 3600) == position
    await heads.close()


# ── streams ────────────────────────────────────────────────────────────────────────────


async def test_a_stream_is_server_sent_events(owner: Client, world: World) -> None:
    """Headers that keep proxies from storing it; id, event and one line of data, as in a page."""
    pages = await everything(owner)
    async with reading(owner, X_Request_Id="mine") as stream:
        headers = stream.response.headers
        assert stream.response.content_type == "text/event-stream"
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Accel-Buffering"] == "no"
        assert headers["X-Request-Id"] == "mine"
        assert "Content-Length" not in headers
        first = await stream.block()
        assert first.fields == [("retry", "1000"), ("id", "0")]
        block = await stream.block()
        assert [name for name, _ in block.fields] == ["id", "event", "data"]
        assert block.json == pages[0]
        assert await stream.events(len(pages) - 1) == pages[1:]
        await owner.post("issues", {"title": "and\nthen\r\n\u2028one"})
        (event,) = await stream.events(1)
        assert event["data"]["title"] == "and\nthen\r\n\u2028one"


@pytest.mark.parametrize(
    ("query", "last_seen", "first"),
    [
        ("", None, 1),
        ("?after=5", None, 6),
        ("?cursor=5", None, 6),
        ("?after=5", "7", 8),
        ("?after=9", "7", 8),
        ("?after=9", "0", 1),
    ],
    ids=["from the beginning", "after", "cursor", "later", "earlier", "from nothing"],
)
async def test_a_stream_begins_where_it_is_told_to(
    query: str, last_seen: str | None, first: int, owner: Client, world: World
) -> None:
    """After the position that the reader saw last, else after `after`, else at the beginning."""
    headers = {} if last_seen is None else {"Last_Event_ID": last_seen}
    async with reading(owner, query, **headers) as stream:
        assert positions(await stream.events(3)) == [first, first + 1, first + 2]


async def test_a_stream_shows_nothing_from_before_since(owner: Client, world: World) -> None:
    """Wherever its reader says that it was."""
    events = await everything(owner)
    since = quote(events[12]["recorded_at"])
    first = next(e["position"] for e in events if e["recorded_at"] >= events[12]["recorded_at"])
    for headers in ({}, {"Last_Event_ID": "3"}):
        async with reading(owner, f"?since={since}", **headers) as stream:
            assert positions(await stream.events(1)) == [first]


async def test_what_is_still_to_come_has_to_be_of_since_too(owner: Client) -> None:
    """A time ahead of the clock lets nothing by, in pages, in waiting for one, or in streams."""
    issue = (await owner.post("issues", {"title": "before"})).json["id"]
    head = int((await owner.get("")).headers["Ledger-Position"])
    since = "since=9998-01-01T00:00:00Z"
    waiting = [
        asyncio.create_task(owner.get(f"events?{since}&wait=2{also}"))
        for also in ("", f"&issue_id={issue}", f"&after={head}")
    ]
    async with reading(owner, f"?{since}", Last_Event_ID="1") as stream:
        await stream.block()
        made = await owner.post(f"issues/{issue}/comments", {"body": "now"})
        assert made.status == 201
        for reply in await asyncio.gather(*waiting):
            assert (reply.status, reply.json["items"]) == (200, [])
        with pytest.raises(TimeoutError):
            await stream.events(1, seconds=1.5)


@pytest.mark.parametrize("window", [1, 10_000], ids=["by its stream", "along the log"])
async def test_both_statements_of_an_issues_events_heed_since(
    window: int, owner: Client, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever way they are found, none is from before, though they are after the position."""
    monkeypatch.setattr(feed, "WINDOW", window)
    issue = (await owner.post("issues", {"title": "one"})).json["id"]
    for body in ("two", "three"):
        await owner.post(f"issues/{issue}/comments", {"body": body})
    events = (await owner.get(f"events?issue_id={issue}")).json["items"]
    until = events[-1]["position"]
    for event in events:
        since = datetime.fromisoformat(event["recorded_at"])
        wanted = feed.FeedFilter(issue_id=issue, since=since)
        page = await feed.Feed(ledger.readers).page(owner.company, wanted, 0, until, 50)
        assert [one.recorded.position for one in page.events] == [
            e["position"] for e in events if datetime.fromisoformat(e["recorded_at"]) >= since
        ]


@pytest.mark.parametrize("place", ["after", "cursor", "Last-Event-ID"])
async def test_a_position_that_the_log_has_not_is_refused(place: str, owner: Client) -> None:
    """It is of another log, or of one that was restored; the head itself is none such."""
    head = int((await owner.get("")).headers["Ledger-Position"])

    async def ask(position: int, accept: str) -> Reply:
        if place == "Last-Event-ID":
            return await owner.get("events", Accept=accept, Last_Event_ID=str(position))
        return await owner.get(f"events?{place}={position}", Accept=accept)

    is_header = place == "Last-Event-ID"
    for accept in ("text/event-stream",) if is_header else ("text/event-stream", "*/*"):
        for position in (head + 1, 9007199254740991):
            reply = await ask(position, accept)
            assert (reply.status, reply.json["code"]) == (422, "invalid")
            assert f"position {head}" in reply.json["detail"]
            assert str(position) in reply.json["detail"]
            if is_header:
                assert "Last-Event-ID" in reply.json["detail"]
            else:
                assert reply.json["errors"][0]["pointer"] == f"/{place}"
    assert (await owner.get(f"events?after={head}")).json["items"] == []
    query = "" if is_header else f"?{place}={head}"
    headers = {"Last_Event_ID": str(head)} if is_header else {}
    async with reading(owner, query, **headers) as stream:
        assert (await stream.block())["id"] == str(head)
    # Of a stream the header wins, and a page has no use for it.
    async with reading(owner, f"?after={head + 1}", Last_Event_ID=str(head)) as stream:
        assert (await stream.block())["id"] == str(head)
    assert (await owner.get("events", Last_Event_ID=str(head + 1))).status == 200


async def test_an_empty_last_event_id_is_none(owner: Client) -> None:
    """As in the WHATWG standard, and as the document has it."""
    async with reading(owner, "?after=1", Last_Event_ID="") as stream:
        assert (await stream.block())["id"] == "1"
    operation = document()["paths"]["/v1/companies/{company_id}/events"]["get"]
    (header,) = (p for p in operation["parameters"] if p["name"] == "Last-Event-ID")
    for given, fits in (("", True), ("0", True), ("7", True), ("x", False), ("-1", False)):
        assert bool(re.search(header["schema"]["pattern"], given)) == fits


@pytest.mark.parametrize(
    ("accept", "streams"),
    [
        ("text/event-stream", True),
        ("Text/Event-Stream; charset=utf-8", True),
        ("text/event-stream, application/json;q=0.9", True),
        ("application/json, text/event-stream", False),
        ("application/json;q=0.5, text/event-stream;q=0.6", True),
        ("text/event-stream;q=0", False),
        ("*/*", False),
        ("text/*", False),
    ],
)
async def test_accept_chooses_between_a_page_and_a_stream(
    accept: str, streams: bool, owner: Client
) -> None:
    """What weighs most wins; of equals, what is named first."""
    url = f"{owner.base_url}/v1/companies/{owner.company}/events"
    headers = {"Authorization": f"Bearer {owner.key}", "Accept": accept}
    async with owner.http.get(url, headers=headers) as response:
        assert (response.content_type == "text/event-stream") == streams


@pytest.mark.parametrize("given", ["x", "-1", "1.5", "9007199254740992", "1" * 17])
async def test_a_last_event_id_that_is_none_of_ours_is_refused(given: str, owner: Client) -> None:
    """Rather than to begin somewhere else without a word."""
    reply = await owner.get("events", Accept="text/event-stream", Last_Event_ID=given)
    assert (reply.status, reply.json["code"]) == (400, "malformed")


async def test_a_stream_takes_no_end(owner: Client) -> None:
    """An end would be taken for a cut, and come back to for ever."""
    reply = await owner.get("events?until=2030-01-01T00:00:00Z", Accept="text/event-stream")
    assert (reply.status, reply.json["errors"][0]["pointer"]) == (422, "/until")


async def test_a_quiet_stream_says_that_it_is_there(owner: Client, ledger: Ledger) -> None:
    """A comment, with the position up to which there was nothing for this reader."""
    async with serving(ledger, AWAKE) as url:
        head = int((await owner.get("")).headers["Ledger-Position"])
        async with reading(at(owner, url), f"?after={head}&type=directory.entry_created") as stream:
            assert (await stream.block())["id"] == str(head)
            assert await _beats(stream, head)
            for n in range(5):
                await owner.post("issues", {"title": f"{n}"})
            async with asyncio.timeout(20):
                while not await _beats(stream, head + 5):
                    pass
        async with reading(
            at(owner, url), "?type=directory.entry_created", Last_Event_ID=str(head + 5)
        ) as stream:
            await owner.post("users", {"name": "Bob"})
            assert positions(await stream.events(1)) == [head + 6]


async def _beats(stream: Reader, position: int) -> bool:
    """Whether the next block is a heartbeat at a position."""
    block = await stream.block()
    assert [name for name, _ in block.fields] == ["", "id"]
    return block["id"] == str(position)


async def test_a_stream_says_how_far_it_is_in_a_long_quiet_stretch(long: Client) -> None:
    """So that a reader that is cut there does not begin again."""
    async with reading(long, "?type=issue.created&after=10") as stream:
        seen: list[int] = []
        async with asyncio.timeout(60):
            while (block := await stream.block()).json is None:
                seen.append(int(block["id"] or 0))
        assert block.json["data"]["title"] == "late 0"
        assert seen == sorted(seen)


async def test_ten_thousand_events_behind_are_caught_up_with(owner: Client, ledger: Ledger) -> None:
    """All of them, once each, in order, while more are written; then it goes on live."""
    issue = issue_of(await submit(ledger, owner.company, create())).id
    head = 0
    for _ in range(100):
        outcome = await submit(ledger, owner.company, *(comment(issue) for _ in range(100)))
        head = outcome.position
    async with reading(owner) as stream:
        writing = asyncio.create_task(_write(owner, 20))
        assert positions(await stream.events(head + 20)) == list(range(1, head + 21))
        await writing
        await owner.post("issues", {"title": "live"})
        assert positions(await stream.events(1)) == [head + 21]


async def _write(client: Client, count: int) -> None:
    for n in range(count):
        assert (await client.post("issues", {"title": f"{n}"})).status == 201


async def test_a_reader_that_is_cut_again_and_again_loses_and_repeats_nothing(
    owner: Client, ledger: Ledger
) -> None:
    """It comes back with the id that it saw last, wherever it was cut."""
    writing = asyncio.create_task(_write(owner, 120))
    seen: list[int] = []
    last = "0"
    while len(seen) < 100:
        async with reading(owner, Last_Event_ID=last) as stream:
            for _ in range(7):
                block = await stream.block()
                last = block["id"] or last
                if block.json is not None:
                    seen.append(block.json["position"])
    await writing
    assert seen == list(range(1, len(seen) + 1))


# ── slow readers ───────────────────────────────────────────────────────────────────────


def _sleeper(url: str, client: Client, after: int = 0) -> socket.socket:
    """A socket that asks for a stream, and never reads."""
    place = urlsplit(url)
    sleeping = socket.socket()
    sleeping.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sleeping.connect((place.hostname, place.port))
    sleeping.sendall(
        f"GET /v1/companies/{client.company}/events HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {client.key}\r\nLast-Event-ID: {after}\r\n"
        "Accept: text/event-stream\r\n\r\n".encode()
    )
    return sleeping


def _drained(sleeping: socket.socket) -> bytes:
    """What still comes out of a socket that the server has left."""
    found = b""
    sleeping.settimeout(20)
    try:
        while piece := sleeping.recv(65536):
            found += piece
    except ConnectionError:
        pass
    return found


async def _is_cut(before: float, count: int = 1) -> bool:
    return float(CUT._value.get()) >= before + count


async def test_a_slow_reader_is_cut_and_goes_on_where_it_was(
    ledger: Ledger, database_url: str, owner: Client
) -> None:
    """Its server keeps little for it meanwhile, and reads no more than that from the database."""
    await owner.post("issues", {"title": "x" * 400})
    head = await lengthen(database_url, owner.company, 4_000)
    requests: list[Any] = []
    buffered, before, was_open = [0], CUT._value.get(), OPEN._value.get()
    async with serving(ledger, IMPATIENT, requests) as url:
        with _sleeper(url, owner) as sleeping:

            async def is_cut() -> bool:
                transports = [r.transport for r in requests if r.transport is not None]
                buffered.extend(t.get_write_buffer_size() for t in transports)
                return await _is_cut(before)

            await eventually(is_cut)
            await eventually(lambda: _is(OPEN._value.get() <= was_open))  # Others may end too.
            assert 0 < max(buffered) <= 256 * 1024
            raw = await asyncio.to_thread(_drained, sleeping)
        blocks = blocks_of(_unchunked(raw))
        seen = [block.json["position"] for block in blocks if block.json is not None]
        assert seen == list(range(1, len(seen) + 1))
        assert 0 < len(seen) < head
        async with reading(at(owner, url), Last_Event_ID=str(seen[-1])) as stream:
            rest = positions(await stream.events(head - len(seen)))
    assert rest == list(range(len(seen) + 1, head + 1))


async def _is(claim: bool) -> bool:
    return claim


def _unchunked(raw: bytes) -> str:
    """The whole chunks of a body that was broken off."""
    _, _, rest = raw.partition(b"\r\n\r\n")
    body = b""
    while b"\r\n" in rest:
        size, _, rest = rest.partition(b"\r\n")
        if len(rest) < int(size, 16) + 2:
            body += rest
            break
        body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return body.decode(errors="replace")


async def test_slow_readers_hold_up_nobody(
    ledger: Ledger, database_url: str, owner: Client
) -> None:
    """Twenty sleep; another reads and writes as if it were alone, and all twenty are cut."""
    await owner.post("issues", {"title": "x" * 400})
    head = await lengthen(database_url, owner.company, 4_000)
    before = CUT._value.get()
    async with open_ledger(database_url, readers=2) as own, serving(own, IMPATIENT) as url:
        sleepers = [_sleeper(url, owner) for _ in range(20)]
        try:
            async with reading(at(owner, url)) as stream:
                assert positions(await stream.events(head)) == list(range(1, head + 1))
            await eventually(lambda: _is_cut(before, 20))
        finally:
            for sleeping in sleepers:
                sleeping.close()


# ── the end of a stream ────────────────────────────────────────────────────────────────


async def test_a_revoked_key_ends_its_stream(owner: Client, new_client: NewClient) -> None:
    """Within five seconds, and nobody else's."""
    other = await new_client(owner.company, Role.VIEWER, "user:bob")
    keys = (await owner.get("keys")).json["items"]
    (key,) = (item["id"] for item in keys if item["actor"] == "user:bob")
    head = int((await owner.get("")).headers["Ledger-Position"])
    async with reading(owner) as mine, reading(other) as theirs:
        waiting = asyncio.create_task(other.get(f"events?after={head}&type=run.none&wait=5"))
        await asyncio.sleep(0.1)
        await owner.delete(f"keys/{key}")
        async with asyncio.timeout(6):
            await theirs.until_the_end()
        assert (await waiting).status == 401
        head = int((await owner.get("")).headers["Ledger-Position"])
        assert len(await mine.events(head)) == head
    assert (await other.get("events", Accept="text/event-stream")).status == 401


async def test_no_company_takes_more_than_half_of_the_streams(
    owner: Client, ledger: Ledger, new_client: NewClient
) -> None:
    """One more is a 503 that says when to come back, while another company has its places."""
    others = [await new_client(await ledger.create_company(f"Other {n}")) for n in range(2)]
    async with serving(ledger, StreamLimits(most=4)) as url:
        mine, theirs, late = (at(client, url) for client in (owner, *others))
        async with reading(mine), reading(mine):
            refused = await mine.get("events", Accept="text/event-stream")
            assert (refused.status, refused.json["code"]) == (503, "too_many_streams")
            assert "2 event streams of this company" in refused.json["detail"]
            assert int(refused.headers["Retry-After"]) > 0
            async with reading(theirs), reading(theirs):
                refused = await late.get("events", Accept="text/event-stream")
                assert (refused.status, refused.json["code"]) == (503, "too_many_streams")
                assert "4 event streams open" in refused.json["detail"]


async def test_only_so_many_streams_are_kept_open(owner: Client, ledger: Ledger) -> None:
    """One more is a 503 that says when to come back; a place that is left is free again."""
    async with serving(ledger, StreamLimits(most=4)) as url:
        client = at(owner, url)
        async with reading(client) as first, reading(client):
            await first.events(1)
            refused = await client.get("events", Accept="text/event-stream")
            assert (refused.status, refused.json["code"]) == (503, "too_many_streams")
            assert int(refused.headers["Retry-After"]) > 0
            assert (await client.get("events")).status == 200

        async def is_free() -> bool:
            reply = client.http.get(
                f"{url}/v1/companies/{client.company}/events",
                headers={"Authorization": f"Bearer {client.key}", "Accept": "text/event-stream"},
            )
            async with reply as response:
                return response.status == 200

        await eventually(is_free)


async def test_the_end_of_the_server_ends_streams_at_once(owner: Client, database_url: str) -> None:
    """Streams end well, waiting pages are answered, and slow readers are not waited for."""
    async with AsyncExitStack() as stack:
        own = await stack.enter_async_context(open_ledger(database_url))
        await lengthen(database_url, owner.company, 4_000)
        server = AsyncExitStack()
        url = await server.enter_async_context(serving(own, StreamLimits(slow_seconds=3600)))
        client = at(owner, url)
        sleeping = stack.enter_context(_sleeper(url, owner))
        head = int((await client.get("")).headers["Ledger-Position"])
        stream = await stack.enter_async_context(reading(client, f"?after={head}"))
        page = asyncio.create_task(client.get(f"events?after={head}&wait=30"))
        await asyncio.sleep(0.5)
        async with asyncio.timeout(10):
            await server.aclose()
            assert [block["data"] for block in await stream.until_the_end()] == [None]
            assert (await page).json["items"] == []
        assert await asyncio.to_thread(_drained, sleeping)


async def test_a_stream_outlives_its_database_for_a_while(
    owner: Client, ledger: Ledger, database_url: str
) -> None:
    """While it is away there is no news, and the reader hears that it is still there."""
    async with (
        Proxy(database_url) as proxy,
        open_ledger(proxy.url, readers=2) as own,
        serving(own, AWAKE) as url,
        reading(at(owner, url)) as stream,
    ):
        head = int((await owner.get("")).headers["Ledger-Position"])
        await stream.events(head)
        proxy.shut()
        await submit(ledger, owner.company, create("meanwhile"))
        async with asyncio.timeout(20):
            for _ in range(3):
                assert await _beats(stream, head)
        proxy.reopen()
        assert positions(await stream.events(1)) == [head + 1]


async def test_a_database_that_goes_away_in_the_middle_costs_no_event(
    owner: Client, database_url: str
) -> None:
    """Nor is one shown twice, though the reader's key is asked for in the middle of a page."""
    head = await lengthen(database_url, owner.company, 4_000)
    async with (
        Proxy(database_url) as proxy,
        open_ledger(proxy.url, readers=2) as own,
        serving(own, AWAKE) as url,
        reading(at(owner, url)) as stream,
    ):
        seen = positions(await stream.events(500))
        proxy.shut()
        await asyncio.sleep(BELIEVED_SECONDS)  # Until the key has to be asked for again.
        proxy.reopen()
        seen += positions(await stream.events(head - 500))
    assert seen == list(range(1, head + 1))


async def test_open_and_cut_streams_are_counted(owner: Client) -> None:
    """In the metrics, with what they mean; a stream's length is no request's duration."""
    async with reading(owner) as stream:
        await stream.events(1)
        async with owner.http.get(owner.base_url + "/metrics") as response:
            text = await response.text()
    for name, kind in (("open", "gauge"), ("cut_total", "counter")):
        family = f"ledger_event_streams_{name}"
        assert f"# TYPE {family} {kind}\n" in text
        assert f"# HELP {family} " in text
    (count,) = (line for line in text.splitlines() if line.startswith("ledger_event_streams_open "))
    assert float(count.split()[1]) >= 1


def test_the_stream_is_documented() -> None:
    """As an answer of its own kind, with the header by which a reader goes on."""
    operation = document()["paths"]["/v1/companies/{company_id}/events"]["get"]
    assert set(operation["responses"]["200"]["content"]) == {
        "application/json",
        "text/event-stream",
    }
    names = {(parameter["in"], parameter["name"]) for parameter in operation["parameters"]}
    assert ("header", "Last-Event-ID") in names
    assert {("query", name) for name in ("wait", "actor", "run_id", "since", "until")} <= names
