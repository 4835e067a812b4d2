"""Exports: files that stream, say for themselves whether they are whole, and end when they must.

What is in a file is held against the list; how it is sent is tried on a server of a few lines,
whose lines fail, never end, or are never taken.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import re
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

import aiohttp
import orjson
import pytest
from aiohttp import web

from api.context import begin, context_of
from api.exports import streaming
from api.exports.cloud_events import ENDED
from api.exports.lines import NDJSON, as_csv, as_ndjson, last_csv, last_ndjson, unguarded
from api.exports.proof import NotWhole, verify_export
from api.exports.streaming import Line, Summary, stream
from api.wiring import Ledger
from ledger import commands as c
from ledger.actors import Role
from ledger.submission import Provenance, Submission
from tests.client import Client
from tests.conftest import NewClient
from tests.test_api_activity import everything, walked
from tests.tour import World, fill
from tests.writing import ALICE, comment, create, eventually, submit

FORMATS = ("ndjson", "csv", "cloudevents")
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HOSTILE = ['=HYPERLINK("x")', "+1", "-1", "@x", "'quoted", 'a "b", c', "two\nlines"]


class File(NamedTuple):
    """An export, as it came."""

    headers: Any
    content: bytes

    @property
    def lines(self) -> list[bytes]:
        """The lines, each with its newline; not the records of a CSV file."""
        return self.content.splitlines(keepends=True)

    @property
    def objects(self) -> list[Any]:
        """The objects on the lines, the last one too."""
        return [orjson.loads(line) for line in self.lines]

    @property
    def records(self) -> list[list[str]]:
        """The records, as the standard library reads CSV."""
        return list(csv.reader(io.StringIO(self.content.decode(), newline=""), strict=True))

    @property
    def said(self) -> Any:
        """What the last line says."""
        if self.headers["Content-Type"].startswith("text/csv"):
            return orjson.loads(self.records[-1][1])
        last = self.objects[-1]
        return last["data"] if last.get("type") == ENDED else last["export"]


async def fetched(client: Client, path: str = "activity/export", **headers: str) -> File:
    """Asks for an export."""
    url = f"{client.base_url}/v1/companies/{client.company}/{path}"
    sent = {"Authorization": f"Bearer {client.key}", **headers}
    async with client.http.get(url, headers=sent) as response:
        content = await response.read()
        assert response.status == 200, content
        return File(response.headers, content)


@pytest.fixture
async def world(owner: Client, ledger: Ledger, company: str) -> World:
    """A company with one of everything, one command that has a trace, and names that do harm."""
    filled = await fill(owner)
    traceparent = f"00-{TRACE}-{SPAN}-01"
    for name in HOSTILE:
        await owner.post("users", {"name": name})
        await owner.post("issues", {"title": name}, traceparent=traceparent)
    long_ago = Provenance(via="import", occurred_at=datetime(2020, 5, 1, tzinfo=UTC))
    commands = (create("Long ago"), comment(filled["issue"], "Then."))
    await ledger.committer.submit(company, Submission(commands=commands, provenance=long_ago))
    return filled


# ── what is in the file ────────────────────────────────────────────────────────────────


async def test_ndjson_is_the_list_oldest_first_and_a_last_line(owner: Client, world: World) -> None:
    """Each entry as the list shows it; then count, positions, and the hash of all before it."""
    items = await everything(owner)
    file = await fetched(owner)
    assert file.headers["Content-Type"] == "application/x-ndjson"
    assert file.headers["Ledger-Position"] == str(len(items))
    name = f"activity-{owner.company}-{len(items)}.ndjson"
    assert file.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert file.headers["X-Request-Id"]
    assert file.objects == [
        *items,
        {
            "export": {
                "of": "activity",
                "company_id": owner.company,
                "as_of_position": len(items),
                "occurred_at": None,
                "query": "",
                "with_keys": True,
                "count": len(items),
                "first_position": 1,
                "last_position": len(items),
                "sha256": sha256(b"".join(file.lines[:-1])).hexdigest(),
            }
        },
    ]


async def test_csv_is_the_same_in_columns(owner: Client, world: World) -> None:
    """RFC 4180 with a header; null is empty, changes are JSON; no field begins a formula."""
    items = await everything(owner)
    file = await fetched(owner, "activity/export?format=csv")
    assert file.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert file.headers["Content-Disposition"].endswith('.csv"')
    header, *records, last = file.records
    assert header == list(items[0])
    assert {len(record) for record in (header, *records, last)} == {len(header)}
    shown = [
        {
            name: orjson.loads(field) if name in ("position", "changes") else
            None if field == "" else unguarded(field)
            for name, field in zip(header, record, strict=True)
        }
        for record in records
    ]  # fmt: skip
    assert shown == items
    assert last[0] == "#export"
    assert (file.said["count"], file.said["sha256"]) == (
        len(items), sha256(file.content[: file.content.rindex(b"#export")]).hexdigest(),
    )  # fmt: skip
    assert not [f for record in records for f in record if re.match(r"[=+\-@\t\r]", f)]
    assert not re.search(rb"(?<!\r)\n(?=\d+,)", file.content)


def test_a_csv_field_says_what_it_was() -> None:
    """Whatever a text begins with, the guard can be taken off again; null is no empty text."""
    texts = ["", *HOSTILE, "''", "'=", "\ttab", "\rreturn", "plain", "1"]
    (record,) = csv.reader(io.StringIO(as_csv(texts).decode(), newline=""), strict=True)
    assert [unguarded(field) for field in record] == texts
    assert as_csv([None, "", 7, True, [1, "a"], {"b": None}, "=1"]) == (
        b',"",7,true,"[1,""a""]","{""b"":null}",\'=1\r\n'
    )


async def test_cloud_events_are_what_the_standard_asks_for(owner: Client, world: World) -> None:
    """One in structured mode a line; the events' ids, times, order, and traces where there are."""
    items = await everything(owner)
    file = await fetched(owner, "activity/export?format=cloudevents")
    *events, last = file.objects
    assert [event["data"] for event in events] == items
    for event, item in zip(events, items, strict=True):
        assert {name: value for name, value in event.items() if name != "traceparent"} == {
            "specversion": "1.0",
            "id": item["event_id"],
            "source": f"/v1/companies/{owner.company}",
            "type": f"dev.issue-ledger.{item['type']}",
            "subject": f"{item['subject_type']}/{item['subject_id']}",
            "time": item["at"],
            "datacontenttype": "application/json",
            "sequence": f"{item['position']:016}",
            "data": item,
        }
    assert [e["sequence"] for e in events] == sorted(e["sequence"] for e in events)
    traced = [e for e in events if "traceparent" in e]
    assert {e["traceparent"] for e in traced} == {f"00-{TRACE}-{SPAN}-00"}
    assert {e["type"] for e in traced} == {"dev.issue-ledger.issue.created"}
    assert len(traced) == len(HOSTILE)
    assert all(re.fullmatch(r"[a-z0-9]+", name) for event in (*events, last) for name in event)
    assert (last["type"], last["data"]["count"]) == (ENDED, len(items))
    assert last["id"] not in {event["id"] for event in events}


@pytest.mark.parametrize(
    ("query", "accept", "kind"),
    [
        ("", "text/csv", "text/csv"),
        ("", "application/x-ndjson", "application/x-ndjson"),
        ("", "*/*", "application/x-ndjson"),
        ("", "text/csv;q=0.5, application/x-ndjson", "application/x-ndjson"),
        ("", "application/x-ndjson; q=0.1, TEXT/CSV", "text/csv"),
        ("", "text/html, text/csv;q=0", "application/x-ndjson"),
        ("?format=csv", "application/x-ndjson", "text/csv"),
        ("?format=ndjson", "text/csv", "application/x-ndjson"),
    ],
)
async def test_the_format_is_asked_for_by_name_or_by_accept(
    owner: Client, query: str, accept: str, kind: str
) -> None:
    """The name wins; without either it is NDJSON."""
    file = await fetched(owner, f"activity/export{query}", Accept=accept)
    assert file.headers["Content-Type"].split(";")[0] == kind


@pytest.mark.parametrize(
    "query",
    [
        {"type": "issue.*"},
        {"actor": "user:alice", "subject_type": "issue"},
        {"since": "2020-01-01T00:00:00Z", "until": "2021-01-01T00:00:00Z"},
        {"occurred_at": "2020-06-01T00:00:00Z"},
        {"at_position": 20},
        {"type": "no.such"},
    ],
    ids=lambda query: "-".join(query),
)
async def test_an_export_is_filtered_as_the_list_is(
    owner: Client, world: World, query: dict[str, Any]
) -> None:
    """The same parameters find the same; the last line says what was asked, and of when."""
    items = await walked(owner, {**query, "order": "oldest"})
    file = await fetched(owner, f"activity/export?{urlencode(query)}")
    assert file.objects[:-1] == items
    said = file.said
    assert dict(parse_qsl(said["query"])) == {name: str(value) for name, value in query.items()}
    assert said["count"] == len(items)
    ends = [items[0]["position"], items[-1]["position"]] if items else [None, None]
    assert [said["first_position"], said["last_position"]] == ends
    assert said["as_of_position"] == query.get("at_position", int(file.headers["Ledger-Position"]))
    assert (said["occurred_at"] is not None) is ("occurred_at" in query)


@pytest.mark.parametrize("kind", FORMATS)
async def test_asked_for_again_as_of_its_position_it_is_the_same(
    owner: Client, world: World, kind: str
) -> None:
    """Whatever was recorded since: the same bytes, apart from the last line."""
    first = await fetched(owner, f"activity/export?format={kind}")
    await owner.post("issues", {"title": "Later"})
    position = first.headers["Ledger-Position"]
    again = await fetched(owner, f"activity/export?format={kind}&at_position={position}")
    assert again.said["sha256"] == first.said["sha256"]
    assert (await fetched(owner)).said["last_position"] == int(position) + 1


async def test_who_does_not_see_keys_is_told_so(
    owner: Client, new_client: NewClient, company: str, world: World
) -> None:
    """What happened to keys is left out, and the last line says that it is."""
    viewer = await new_client(company, Role.VIEWER, "user:viewer")
    file = await fetched(viewer)
    assert file.said["with_keys"] is False
    assert "key" not in {entry["subject_type"] for entry in file.objects[:-1]}
    assert file.said["count"] < file.said["as_of_position"]


async def test_a_long_export_is_read_page_by_page(
    owner: Client, ledger: Ledger, company: str
) -> None:
    """Across the ends of pages, nothing is left out and nothing is told twice."""
    commands = tuple(create(f"{n}") for n in range(450))
    provenance = Provenance(via="test")
    await ledger.committer.submit(company, Submission(commands=commands, provenance=provenance))
    for query in ("", "?type=issue.created", "?occurred_at=2999-01-01T00:00:00Z"):
        file = await fetched(owner, f"activity/export{query}")
        positions = [entry["position"] for entry in file.objects[:-1]]
        assert positions == sorted(set(positions))
        assert len(positions) == file.said["count"] >= 450


# ── how it is sent ─────────────────────────────────────────────────────────────────────


class Sending(NamedTuple):
    """A server whose only route exports `lines`, and what it knows of each request."""

    url: str
    made: list[int]
    ended: list[int]
    contexts: list[Any]


@asynccontextmanager
async def sending(count: float, *, fails: bool = False) -> AsyncIterator[Sending]:
    """Serves an export of so many lines, of 1 kB each, which may fail after them."""
    made: list[int] = [0]
    ended: list[int] = []
    contexts: list[Any] = []

    async def lines() -> AsyncGenerator[Line, None]:
        try:
            while made[0] < count:
                made[0] += 1
                yield Line(made[0], as_ndjson({"n": "x" * 1000}))
                if made[0] % 50 == 0:
                    await asyncio.sleep(0)
            if fails:
                raise RuntimeError("the database is gone")
        finally:
            ended.append(made[0])

    async def handler(request: web.Request) -> web.StreamResponse:
        begin(request)
        contexts.append(context_of(request))
        return await stream(
            request,
            media_type=NDJSON,
            filename="x",
            lines=lines(),
            last=lambda told: last_ndjson(told, {}),
        )

    app = web.Application()
    app.router.add_get("/", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield Sending(f"http://127.0.0.1:{runner.addresses[0][1]}/", made, ended, contexts)
    finally:
        await runner.cleanup()


async def test_what_fails_in_the_middle_breaks_the_connection_off(
    http: aiohttp.ClientSession,
) -> None:
    """The client cannot take it for whole, and the error stands in the request's log line."""
    async with sending(500, fails=True) as server:
        async with http.get(server.url) as response:
            assert response.status == 200
            with pytest.raises(aiohttp.ClientError):
                await response.read()
        await eventually(lambda: _is_true(len(server.contexts) == 1))
        assert isinstance(server.contexts[0].error, RuntimeError)
        assert server.ended == [500]


async def test_what_fails_before_anything_is_sent_is_an_answer(
    http: aiohttp.ClientSession,
) -> None:
    """Nothing was promised yet, so it is an error like any other."""
    async with sending(3, fails=True) as server, http.get(server.url) as response:
        assert response.status == 500


async def test_a_client_that_hangs_up_ends_it() -> None:
    """An export without end is given up once nobody listens, and its lines are closed."""
    async with sending(float("inf")) as server:
        async with aiohttp.ClientSession() as session:
            response = await session.get(server.url)
            assert len(await response.content.readexactly(100_000)) == 100_000
            response.close()
        await eventually(lambda: _is_true(bool(server.ended)))
        assert server.contexts[0].error is None


async def test_a_slow_client_is_waited_for_and_one_that_takes_nothing_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No more is made than what fits on the way; after a while the export is given up."""
    monkeypatch.setattr(streaming, "STALLED_SECONDS", 1.0)
    async with sending(float("inf")) as server:
        host, port = server.url.removeprefix("http://").rstrip("/").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=4096)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await reader.readexactly(1000)
        await eventually(lambda: _is_true(bool(server.ended)))
        assert server.made[0] < 20_000
        writer.close()


async def _is_true(claim: bool) -> bool:
    return claim


async def test_an_export_ends_when_its_key_is_revoked(
    owner: Client, ledger: Ledger, company: str, world: World
) -> None:
    """What a revoked key began is broken off before the next page, long as the file may be."""
    said = [
        c.ReportProgress(
            actor=ALICE, role=Role.OWNER, issue=world["issue"], run_id=world["run"],
            message=f"{n}".rjust(2000, "."), percent=None,
        )
        for n in range(4000)
    ]  # fmt: skip
    for n in range(0, len(said), 500):
        await asyncio.gather(*(submit(ledger, company, one) for one in said[n : n + 500]))
    made = await owner.post("keys", {"role": "auditor", "actor": "user:leaving"})
    leaving = Client(owner.http, owner.base_url, company, made.json["key"])
    port = int(owner.base_url.rpartition(":")[2])
    with socket.socket() as taking_little:
        taking_little.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        taking_little.setblocking(False)
        await asyncio.get_running_loop().sock_connect(taking_little, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=taking_little, limit=4096)
        asked = [
            f"GET /v1/companies/{company}/activity/export HTTP/1.1",
            "Host: x",
            f"Authorization: Bearer {leaving.key}",
        ]
        writer.write("\r\n".join([*asked, "", ""]).encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        await owner.delete(f"keys/{made.json['id']}")

        async def is_refused() -> bool:
            return (await leaving.get("activity?limit=1")).status == 401

        await eventually(is_refused)
        content = b""
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(65_536):
                content += piece
        assert not content.endswith(b"0\r\n\r\n")
        assert b'{"export":' not in content
        writer.close()


# ── whether a file is whole ────────────────────────────────────────────────────────────


def lines_of(content: bytes) -> io.BytesIO:
    """A file of these bytes."""
    return io.BytesIO(content)


@pytest.mark.parametrize("kind", FORMATS)
async def test_a_whole_file_proves_itself_and_no_other_does(
    owner: Client, world: World, kind: str
) -> None:
    """Broken off after any line or inside one, a byte changed, a line more, less or elsewhere."""
    file = await fetched(owner, f"activity/export?format={kind}")
    whole, lines = file.content, file.content.splitlines(keepends=True)
    assert verify_export(lines_of(whole)) == file.said
    broken = [b"".join(lines[:n]) for n in range(len(lines))]
    broken += [whole[:-1], whole[:-50], whole[: len(whole) // 2], b"", b"\n"]
    middle = len(whole) // 3
    broken += [
        whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        b"".join([*lines[:3], lines[3], *lines[3:]]),
        b"".join([*lines[:3], *lines[4:]]),
        b"".join([*lines[:3], lines[4], lines[3], *lines[5:]]),
        whole + lines[3],
        whole + lines[-1],
        whole.replace(b'"count":', b'"count":1').replace(b'""count"":', b'""count"":1'),
    ]
    for content in broken:
        with pytest.raises(NotWhole):
            verify_export(lines_of(content))


async def test_an_empty_export_is_whole_too(owner: Client) -> None:
    """Nothing was found, and that is what it says."""
    for kind in FORMATS:
        file = await fetched(owner, f"activity/export?format={kind}&type=no.such")
        said = verify_export(lines_of(file.content))
        assert (said["count"], said["first_position"], said["last_position"]) == (0, None, None)


def test_a_text_that_looks_like_a_last_line_is_none() -> None:
    """Inside quotes, whatever the text pretends to be."""
    about = Summary(0, None, None, sha256(b"").hexdigest())
    fake = "x\r\n" + last_csv(about, {}, 3).decode()
    record = as_csv([1, fake, "y"])
    told = Summary(1, 1, 1, sha256(as_csv("abc") + record).hexdigest())
    content = as_csv("abc") + record + last_csv(told, {}, 3)
    assert verify_export(lines_of(content))["count"] == 1
    cut = content[: content.index(b"#export")]
    for size in range(len(cut), len(content)):
        with pytest.raises(NotWhole):
            verify_export(lines_of(content[:size]))


async def test_the_shell_verifies_a_file(owner: Client, world: World, tmp_path: Path) -> None:
    """`ledger verify-export FILE`: 0 and what it holds, or 1 and why it is not whole."""
    path = tmp_path / "activity.csv"

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "api.cli", "verify-export", str(path), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    file = await fetched(owner, "activity/export?format=csv")
    path.write_bytes(file.content)
    ran = await asyncio.to_thread(run)
    assert (ran.returncode, "whole" in ran.stdout) == (0, True), ran
    ran = await asyncio.to_thread(run, "--json")
    assert orjson.loads(ran.stdout) == file.said
    path.write_bytes(file.content[:-200])
    ran = await asyncio.to_thread(run)
    assert (ran.returncode, ran.stdout, "Traceback" in ran.stderr) == (1, "", False)
    assert "not whole" in ran.stderr
