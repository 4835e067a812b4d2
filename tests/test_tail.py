"""`ledger tail`, and the server's processes around a stream: real ones, cut and killed.

Every event is printed once, in order, whatever happens between the server and the terminal.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
import pytest

from api.event_stream import Message, Reading
from api.wiring import open_ledger
from ledger.actors import Actor, Role
from ledger.database import install_schema
from ledger.embedded_postgres import postgres
from ledger.ids import new_id
from tests.client import Client
from tests.serving import Server
from tests.streaming import children_of, reading
from tests.writing import superuser

_ROOT = Path(__file__).parents[1]
_TAIL = [sys.executable, "-m", "api.cli", "tail"]
_CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("LEDGER_")}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for this file's servers."""
    return tmp_path_factory.mktemp("tail") / "data"


@pytest.fixture(scope="module")
def server(data_dir: Path) -> Iterator[Server]:
    """A server of one worker, which no test stops."""
    with Server(data_dir) as running:
        yield running


@asynccontextmanager
async def owner_in(data_dir: Path, http: aiohttp.ClientSession, url: str) -> AsyncIterator[Client]:
    """The owner of a new company there."""
    with postgres(data_dir) as database:
        await install_schema(database)
        async with open_ledger(database, committers=1, readers=2) as ledger:
            company = await ledger.create_company("Acme")
            _, key, actor = await ledger.create_key(company, Role.OWNER, Actor("user", "alice"))
    yield Client(http, url, company, key, actor)


@pytest.fixture
async def owner(
    data_dir: Path, server: Server, http: aiohttp.ClientSession
) -> AsyncIterator[Client]:
    """The owner of a company of the test's own."""
    async with owner_in(data_dir, http, server.url) as client:
        yield client


class Tail:
    """A running `ledger tail`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self, seconds: float = 60) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), seconds)
        assert line.endswith(b"\n"), await self.said()
        return line.decode()[:-1]

    async def events(self, count: int) -> list[Any]:
        """The next events, of one that prints JSON."""
        return [orjson.loads(await self.line()) for _ in range(count)]

    async def said(self) -> str:
        """What it said on standard error, once it has ended."""
        assert self.process.stderr is not None
        return (await asyncio.wait_for(self.process.stderr.read(), 60)).decode()

    async def stop(self, sign: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Ends it; its exit status, and what it said."""
        self.process.send_signal(sign)
        said = await self.said()
        return await asyncio.wait_for(self.process.wait(), 60), said


@asynccontextmanager
async def tailing(client: Client, *words: str, url: str | None = None) -> AsyncIterator[Tail]:
    """`ledger tail` of a client's company."""
    process = await asyncio.create_subprocess_exec(
        *_TAIL, "--company", client.company, "--url", url or client.base_url, *words,
        cwd=_ROOT, env={**_CLEAN, "LEDGER_KEY": client.key or ""},
        stdin=DEVNULL, stdout=PIPE, stderr=PIPE, limit=4 * 1024 * 1024,
    )  # fmt: skip
    try:
        yield Tail(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def refused(client: Client, *words: str, key: str | None = None) -> tuple[int, str]:
    """The exit status of one that cannot work, and what it says."""
    process = await asyncio.create_subprocess_exec(
        *_TAIL, *words, cwd=_ROOT,
        env={**_CLEAN, "COLUMNS": "200"} | ({} if key is None else {"LEDGER_KEY": key}),
        stdin=DEVNULL, stdout=PIPE, stderr=PIPE,
    )  # fmt: skip
    out, said = await asyncio.wait_for(process.communicate(), 60)
    assert out == b""
    assert b"Traceback" not in said
    assert process.returncode is not None
    return process.returncode, said.decode()


async def head_of(client: Client) -> int:
    """Where the log ends."""
    return int((await client.get("")).headers["Ledger-Position"])


async def keep_writing(client: Client) -> None:
    """Writes an issue now and then, whether or not the server is there."""
    while True:
        try:
            await client.post("issues", {"title": "x"}, Idempotency_Key=new_id())
        except (aiohttp.ClientError, TimeoutError, OSError):
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.01)


# ── what it prints ─────────────────────────────────────────────────────────────────────


async def test_events_are_printed_as_json_from_a_position_on(owner: Client) -> None:
    """One a line, as the API shows them."""
    await owner.post("issues", {"title": "and\nthen\u2028"})
    items = (await owner.get("events")).json["items"]
    async with tailing(owner, "--after", "0", "--json") as tail:
        assert await tail.events(len(items)) == items
        await owner.post("issues", {"title": "live"})
        (event,) = await tail.events(1)
        assert event["position"] == len(items) + 1


async def test_without_a_position_it_begins_now(owner: Client) -> None:
    """What was before is not printed."""
    await owner.post("issues", {"title": "before"})
    async with tailing(owner, "--json") as tail:
        waiting = asyncio.create_task(tail.line())
        while not waiting.done():
            await owner.post("issues", {"title": "after"})
            await asyncio.sleep(0.1)
        assert orjson.loads(await waiting)["data"]["title"] == "after"


async def test_a_line_for_people_names_what_happened(owner: Client) -> None:
    """Position, time, actor, type, the issue's identifier, and what the event says."""
    await owner.post("agents", {"name": "Coder", "slug": "coder"})
    issue = (await owner.post("issues", {"title": "A title"})).json["id"]
    begun = await head_of(owner)
    await owner.post(f"issues/{issue}/comments", {"body": "\u009b31m red \u202e" + "x" * 500})
    taken = await owner.post(f"issues/{issue}/checkout", {"agent_id": "coder"})
    assert taken.status == 200
    async with tailing(owner, "--after", str(begun - 1)) as tail:
        words = (await tail.line()).split("  ")
        assert next(word for word in words if word).strip() == str(begun)
        assert words[-4:-1] == ["user:alice", "issue.created", "ACM-1"]
        assert '"title":"A title"' in words[-1]
        commented = await tail.line()
        assert "  ACM-1  " in commented
        assert commented.isprintable()
        assert commented.endswith("…")
        lines = [await tail.line() for _ in range(2)]
        assert all("  ACM-1  " in line for line in lines)
        assert {line.split("  ")[-3] for line in lines} == {"run.started", "issue.checked_out"}


async def test_it_prints_what_it_is_asked_for(owner: Client) -> None:
    """Some types, and one issue by its identifier."""
    for title in ("one", "two"):
        issue = (await owner.post("issues", {"title": title})).json["id"]
        await owner.post(f"issues/{issue}/comments", {"body": title})
    async with tailing(owner, "--after", "0", "--type", "issue.comm.*,issue.commented", "--json",
                       "--issue", "acm-2") as tail:  # fmt: skip
        (event,) = await tail.events(1)
        assert (event["type"], event["data"]["body"]) == ("issue.commented", "two")


async def test_an_event_larger_than_any_buffer_is_one_line(owner: Client) -> None:
    """Half a million characters arrive as they were sent."""
    await owner.post("issues", {"title": "x", "description": "y" * 500_000})
    async with tailing(owner, "--after", "0", "--json", "--type", "issue.created") as tail:
        (event,) = await tail.events(1)
        assert event["data"]["description"] == "y" * 500_000


# ── cuts ───────────────────────────────────────────────────────────────────────────────


async def test_a_restart_of_the_server_loses_and_repeats_nothing(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    """Stopped, killed with 9 and started again, while somebody writes."""
    data_dir = tmp_path / "data"
    async with AsyncExitStack() as stack:
        first = stack.enter_context(Server(data_dir))
        port = str(urlsplit(first.url).port)
        owner = await stack.enter_async_context(owner_in(data_dir, http, first.url))
        tail = await stack.enter_async_context(tailing(owner, "--after", "0", "--json"))
        writing = asyncio.create_task(keep_writing(owner))
        seen = [event["position"] for event in await tail.events(20)]
        for sign in (signal.SIGTERM, signal.SIGKILL):
            await asyncio.to_thread(first.stop, sign)
            first = await asyncio.to_thread(stack.enter_context, Server(data_dir, "--port", port))
            behind = await head_of(owner)
            while seen[-1] < behind + 10:
                seen += [event["position"] for event in await tail.events(1)]
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        assert seen == list(range(1, len(seen) + 1))
        status, said = await tail.stop()
        assert status == 0
        assert 2 <= said.count("; trying again\n") <= 4, said


async def test_cuts_at_any_byte_lose_and_repeat_nothing(owner: Client) -> None:
    """A bad network ends each connection somewhere in the middle of what it carries."""
    for n in range(40):
        await owner.post("issues", {"title": f"{n}" * 20})
    head = await head_of(owner)
    async with (
        bad_network(owner.base_url) as url,
        tailing(owner, "--after", "0", "--json", url=url) as tail,
    ):
        seen = [event["position"] for event in await tail.events(head)]
    assert seen == list(range(1, head + 1))


@asynccontextmanager
async def bad_network(url: str) -> AsyncIterator[str]:
    """Another URL of a server, whose connections break off after some bytes of the answer."""
    place = urlsplit(url)
    dice = random.Random(7)
    carrying: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer, question = await asyncio.open_connection(place.hostname, place.port)
        asking = asyncio.create_task(_pass_on(reader, question))
        left = dice.randrange(2_000, 20_000)
        try:
            while left > 0 and (piece := await answer.read(min(left, 1000))):
                left -= len(piece)
                writer.write(piece)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            asking.cancel()
            for end in (writer, question):
                end.transport.abort()
            await asyncio.gather(asking, return_exceptions=True)

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        carrying.add(asyncio.create_task(carry(reader, writer)))

    network = await asyncio.start_server(begin, "127.0.0.1", 0)
    async with network:
        yield f"http://127.0.0.1:{network.sockets[0].getsockname()[1]}"
    for task in carrying:
        task.cancel()
    await asyncio.gather(*carrying, return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65536):
        writer.write(piece)


# ── how it ends ────────────────────────────────────────────────────────────────────────


async def test_ctrl_c_is_a_clean_end(owner: Client) -> None:
    """No traceback, and the exit status of something that is done."""
    async with tailing(owner, "--after", "0") as tail:
        await tail.line()
        assert await tail.stop() == (0, "")


async def test_a_reader_that_goes_away_is_a_clean_end(owner: Client) -> None:
    """As in `ledger tail | head -1`."""
    async with tailing(owner, "--after", "0") as tail:
        await tail.line()
        transport = tail.process._transport  # type: ignore[attr-defined]
        transport.get_pipe_transport(1).close()
        for _ in range(3):
            await owner.post("issues", {"title": "x"})
        assert await asyncio.wait_for(tail.process.wait(), 60) == 0
        assert await tail.said() == ""


async def test_a_key_that_is_revoked_ends_it(owner: Client) -> None:
    """With one line that says why, and no coming back for ever."""
    made = await owner.post("keys", {"role": "viewer", "actor": "user:bob"})
    bob = Client(owner.http, owner.base_url, owner.company, made.json["key"])
    async with tailing(bob, "--after", "0") as tail:
        await tail.line()
        await owner.delete(f"keys/{made.json['id']}")
        assert await asyncio.wait_for(tail.process.wait(), 60) == 1
        said = await tail.said()
        assert said.splitlines()[-1].startswith("ledger: This API key is not known")


async def test_a_log_that_was_restored_ends_it(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    """It has not what was printed already: to wait until it has would be to lose what comes."""
    data_dir = tmp_path / "data"
    async with AsyncExitStack() as stack:
        server = stack.enter_context(Server(data_dir))
        owner = await stack.enter_async_context(owner_in(data_dir, http, server.url))
        backup = await head_of(owner)
        await owner.post("issues", {"title": "lost"})
        tail = await stack.enter_async_context(tailing(owner, "--after", "0", "--json"))
        await tail.events(backup + 1)
        await asyncio.to_thread(server.stop)
        await _set_back(data_dir, owner.company, backup)
        port = str(urlsplit(server.url).port)
        await asyncio.to_thread(stack.enter_context, Server(data_dir, "--port", port))
        assert await asyncio.wait_for(tail.process.wait(), 60) == 1
        last = (await tail.said()).splitlines()[-1]
        assert last.startswith(f"ledger: The log ends at position {backup}, before")


async def _set_back(data_dir: Path, company: str, position: int) -> None:
    """Makes a log end where it ended once, as a backup would."""
    with postgres(data_dir) as database:
        async with superuser(database) as connection:
            await connection.execute(
                "DELETE FROM events WHERE company_id = $1 AND position > $2", company, position
            )
            await connection.execute(
                "UPDATE company_heads SET head = $2 WHERE company_id = $1", company, position
            )


async def test_what_cannot_work_is_one_clear_line(owner: Client) -> None:
    """Refused is 1, nobody there is 3, a wrong command line is 2."""
    company, server = ("--company", owner.company), ("--url", owner.base_url)
    key, stranger = owner.key, f"ldg_{owner.company.replace('-', '')}_x"
    cases: list[tuple[int, tuple[str, ...], str | None]] = [
        (1, (*company, *server), stranger),
        (1, ("--company", new_id(), *server), key),
        (1, (*company, *server, "--issue", "NOPE-1"), key),
        (1, (*company, *server, "--type", "*"), key),
        (1, (*company, *server, "--after", "1000000"), key),
        (3, (*company, "--url", "http://127.0.0.1:9"), key),
        (2, (*company, *server), None),
        (2, (*company, *server), "ldg_\u00e9"),
        (2, (*company, "--url", "nowhere"), key),
        (2, (*company, "--url", "http://["), key),
        (2, ("--company", "x", *server), key),
        (2, (*company, *server, "--after", "-1"), key),
    ]
    said = await asyncio.gather(*(refused(owner, *words, key=given) for _, words, given in cases))
    for (status, words, _), (ended, text) in zip(cases, said, strict=True):
        assert ended == status, (words, text)
        assert status == 2 or text.count("\n") == 1, text


# ── the processes around a stream ──────────────────────────────────────────────────────


async def test_what_one_worker_commits_arrives_at_streams_of_the_other(
    data_dir: Path, http: aiohttp.ClientSession
) -> None:
    """Eight streams and forty writers, each a connection of its own, over two workers."""
    connector = aiohttp.TCPConnector(limit=100, force_close=True)
    async with AsyncExitStack() as stack:
        strangers = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        server = stack.enter_context(Server(data_dir, "--workers", "2"))
        owner = await stack.enter_async_context(owner_in(data_dir, strangers, server.url))
        begun = await head_of(owner)
        streams = [
            await stack.enter_async_context(reading(owner, f"?after={begun}")) for _ in range(8)
        ]
        replies = await asyncio.gather(
            *(owner.post("issues", {"title": f"{n}"}) for n in range(40))
        )
        assert {reply.status for reply in replies} == {201}
        for stream in streams:
            events = await stream.events(40)
            assert [event["position"] for event in events] == list(range(begun + 1, begun + 41))


async def test_sigterm_is_not_held_up_by_streams(
    data_dir: Path, http: aiohttp.ClientSession
) -> None:
    """Streams end well, waiting pages are answered, and the server exits with 0, soon."""
    async with AsyncExitStack() as stack:
        server = stack.enter_context(Server(data_dir))
        owner = await stack.enter_async_context(owner_in(data_dir, http, server.url))
        head = await head_of(owner)
        stream = await stack.enter_async_context(reading(owner, f"?after={head}"))
        await stream.block()
        page = asyncio.create_task(owner.get(f"events?after={head}&wait=30"))
        await asyncio.sleep(0.5)
        async with asyncio.timeout(15):
            stopping = asyncio.create_task(asyncio.to_thread(server.stop))
            await stream.until_the_end()
            assert (await page).json["items"] == []
            assert await stopping == 0


async def test_streams_of_a_worker_that_was_killed_are_not_open_any_more(
    data_dir: Path, http: aiohttp.ClientSession
) -> None:
    """Its successor counts its own."""
    async with AsyncExitStack() as stack:
        server = stack.enter_context(Server(data_dir))
        owner = await stack.enter_async_context(owner_in(data_dir, http, server.url))
        stream = await stack.enter_async_context(reading(owner))
        await stream.block()
        assert await _open_streams(owner) == 1
        (worker,) = (pid for pid, command in children_of(server) if "api.worker" in command)
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(aiohttp.ClientError):
            await stream.until_the_end()
        async with reading(owner) as again:
            await again.block()
            assert await _open_streams(owner) == 1


async def _open_streams(client: Client) -> float:
    async with client.http.get(client.base_url + "/metrics") as response:
        text = await response.text()
    (line,) = (line for line in text.splitlines() if line.startswith("ledger_event_streams_open "))
    return float(line.split()[1])


# ── the wire format ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_a_stream_is_read_in_pieces_of_any_size(end: str, size: int) -> None:
    """With any line end; ids of blocks without data count, unfinished blocks do not."""
    lines = [
        "retry: 250", "id: 1", "", "id: 2", "event: a.b", "data: x: y", "data:  z", "",
        ": comment", "id: 9", "", "data", "", "nothing: known", "event: lost", "id: 10", "",
        "id: 11", "data: half",
    ]  # fmt: skip
    raw = "".join(line + end for line in lines).encode()
    stream = Reading("0")
    found = [
        message
        for begin in range(0, len(raw), size)
        for message in stream.feed(raw[begin : begin + size])
    ]
    assert found == [Message("2", "a.b", "x: y\n z"), Message("9", "message", "")]
    assert (stream.position, stream.retry_milliseconds) == ("10", 250)
