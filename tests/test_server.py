"""The whole server, with all its processes: what `test_serving.py` leaves open.

Two workers share one company and one port and nobody else's, they outlive nobody whom they
should not, and a request that was under way when the end came is answered.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
import pytest_asyncio

from ledger.embedded_postgres import postgres
from tests.client import Client, Reply
from tests.conftest import NewDatabase
from tests.serving import Server
from tests.writing import eventually, locked, someone_waits, superuser

_ROOT = Path(__file__).parents[1]
_CLI = [sys.executable, "-m", "api.cli"]


@dataclass(frozen=True, slots=True)
class Tenant:
    """A data dir, and the one company in it with an owner's key."""

    data_dir: Path
    company: str
    key: str

    def client(self, http: aiohttp.ClientSession, server: Server) -> Client:
        """The owner, as a client of a server on the data dir."""
        return Client(http, server.url, self.company, self.key)


@pytest.fixture(scope="module")
def tenant(tmp_path_factory: pytest.TempPathFactory) -> Tenant:
    """A data dir for this file's servers."""
    data_dir = tmp_path_factory.mktemp("tenant")
    with postgres(data_dir):  # So that it is started once for both commands.
        company = ledger(data_dir, "company", "create", "Acme")["id"]
        owner = ("--company", company, "--role", "owner", "--actor", "user:alice")
        return Tenant(data_dir, company, ledger(data_dir, "key", "create", *owner)["key"])


@pytest_asyncio.fixture
async def strangers() -> AsyncIterator[aiohttp.ClientSession]:
    """A session that connects anew for every request, so that each goes to any worker."""
    connector = aiohttp.TCPConnector(limit=100, force_close=True)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield session


# ── two workers, one company ───────────────────────────────────────────────────────────


@pytest.fixture
def two_workers(tenant: Tenant) -> Iterator[Server]:
    """A server of two workers."""
    with Server(tenant.data_dir, "--workers", "2") as server:
        yield server


async def test_two_workers_write_one_gapless_log(
    two_workers: Server, tenant: Tenant, strangers: aiohttp.ClientSession
) -> None:
    """Everything is accepted, whoever takes it, and stands in one order without gaps."""
    owner = tenant.client(strangers, two_workers)

    async def write(writer: int) -> list[int]:
        replies = [await ask_for(owner, f"gapless/{writer}/{n}") for n in range(10)]
        assert {reply.status for reply in replies} == {201}
        return [int(reply.headers["Ledger-Position"]) for reply in replies]

    written = [p for mine in await asyncio.gather(*(write(n) for n in range(30))) for p in mine]
    positions = [event["position"] for event in await all_events(owner)]
    assert positions == list(range(1, len(positions) + 1))
    assert len(written) == len(set(written)) == 300
    assert set(written) <= set(positions)


async def test_twins_of_one_key_through_two_workers_are_carried_out_once(
    two_workers: Server, tenant: Tenant, strangers: aiohttp.ClientSession
) -> None:
    """A client that sends its request four times at once has it done once, and hears of it."""
    owner = tenant.client(strangers, two_workers)
    for n in range(20):
        replies = await asyncio.gather(*(ask_for(owner, f"twins/{n}") for _ in range(4)))
        assert {reply.status for reply in replies} == {201}
        assert len({reply.json["id"] for reply in replies}) == 1
        assert [reply.headers.get("Idempotent-Replayed") for reply in replies].count("true") == 3


async def test_nobody_is_refused_while_the_only_worker_is_dead(
    tenant: Tenant, strangers: aiohttp.ClientSession
) -> None:
    """Who comes meanwhile waits for the next one."""
    with Server(tenant.data_dir) as server:
        children = children_of(server)
        kill(*children)
        await eventually(lambda: are_gone(children))
        assert (await ask_for(tenant.client(strangers, server), "restarted")).status == 201


# ── the end ────────────────────────────────────────────────────────────────────────────


async def test_sigterm_answers_what_waits_for_the_lock(
    two_workers: Server, tenant: Tenant, strangers: aiohttp.ClientSession
) -> None:
    """Requests that are under way are carried out, later ones refused; it exits with 0."""
    owner = tenant.client(strangers, two_workers)
    with postgres(tenant.data_dir) as url:
        async with locked(url, tenant.company):
            calls = [asyncio.create_task(ask_for(owner, f"waits/{n}")) for n in range(40)]
            await someone_waits(url)
            await asyncio.sleep(0.5)
            two_workers.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.5)
            assert not any(call.done() for call in calls)
            with pytest.raises(aiohttp.ClientConnectorError):
                await ask_for(owner, "late")
        replies = await asyncio.gather(*calls)
    assert {reply.status for reply in replies} == {201}
    assert await asyncio.to_thread(two_workers.stop) == 0
    assert len(await titles_of(tenant, "waits")) == 40


async def test_children_leave_when_their_supervisor_is_killed(tenant: Tenant) -> None:
    """Nobody tells them; they notice, drain and end, and another server may take over at once."""
    with Server(tenant.data_dir, "--workers", "2") as server:
        children = children_of(server)
        assert len(children) == 3
        try:
            server.process.kill()
            with Server(tenant.data_dir) as successor:
                assert successor.url
            await eventually(lambda: are_gone(children))
        finally:
            kill(*children)


# ── ports ──────────────────────────────────────────────────────────────────────────────


def test_a_port_that_somebody_else_has_is_one_clear_line(tenant: Tenant) -> None:
    """No traceback, and exit status 1."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused = subprocess.run(
            [*_CLI, "serve", "--port", str(taken.getsockname()[1]),
             "--data-dir", str(tenant.data_dir)],
            cwd=_ROOT, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.count("\n") == 1
    assert "Cannot listen on 127.0.0.1:" in refused.stderr


async def test_of_two_servers_started_at_once_on_a_port_one_is_refused(
    new_database: NewDatabase,
) -> None:
    """Two ledgers never share a port: clients would see now the one, now the other."""
    port = free_port()
    servers = [start_on(port, "--database-url", await new_database()) for _ in range(2)]
    try:
        await eventually(lambda: is_up(port))

        async def one_has_left() -> bool:
            return any(server.poll() is not None for server in servers)

        with suppress(AssertionError):
            await eventually(one_has_left, 5)
        assert sorted(server.poll() or 0 for server in servers) == [0, 1]
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            await asyncio.to_thread(server.wait, 60)


async def test_a_server_gets_its_port_back_at_once(
    tenant: Tenant, http: aiohttp.ClientSession
) -> None:
    """Connections that it closed itself linger in the kernel; they keep nobody out."""
    port = free_port()
    for _ in range(2):
        with Server(tenant.data_dir, "--port", str(port)) as server:
            assert server.url.endswith(f":{port}")
            owner = tenant.client(http, server)
            await asyncio.gather(*(owner.get("issues?limit=1") for _ in range(20)))
            assert await asyncio.to_thread(server.stop) == 0


# ── Postgres killed, too ───────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Load:
    """Clients that write as fast as they can, and remember what they were told."""

    name: str
    acknowledged: dict[str, str] = field(default_factory=dict)
    unheard: list[str] = field(default_factory=list)
    stopped: bool = False

    async def run(self, client: Client, writers: int = 8) -> None:
        """Writes until it is stopped."""
        await asyncio.gather(*(self._write(client, writer) for writer in range(writers)))

    async def _write(self, client: Client, writer: int) -> None:
        number = 0
        while not self.stopped:
            title = f"{self.name}/{writer}/{number}"
            number += 1
            try:
                reply = await ask_for(client, title)
            except (aiohttp.ClientError, TimeoutError, OSError):
                reply = None
            if reply is not None and reply.status == 201:
                self.acknowledged[title] = reply.json["id"]
                continue
            assert reply is None or reply.status == 503
            self.unheard.append(title)
            await asyncio.sleep(0.02)

    async def ask_again(self, client: Client) -> None:
        """Each key answers as before; those that were never answered are answered now."""
        titles = [*self.acknowledged, *self.unheard]
        replies = await asyncio.gather(*(ask_for(client, title) for title in titles))
        assert {reply.status for reply in replies} == {201}
        for reply, (title, issue) in zip(replies, self.acknowledged.items(), strict=False):
            assert (reply.json["title"], reply.json["id"]) == (title, issue)
            assert reply.headers["Idempotent-Replayed"] == "true"


@asynccontextmanager
async def under_load(client: Client, name: str) -> AsyncIterator[Load]:
    """Runs clients meanwhile; inside, there are some acknowledged commands already."""
    load = Load(name)
    running = asyncio.create_task(load.run(client))

    async def is_under_way() -> bool:
        return len(load.acknowledged) > 100

    try:
        await eventually(is_under_way)
        yield load
    finally:
        load.stopped = True
        await running


async def test_a_postgres_killed_with_9_comes_back_under_a_running_server(
    two_workers: Server, tenant: Tenant, http: aiohttp.ClientSession
) -> None:
    """The supervisor starts it again; meanwhile clients hear 503, and nobody is lied to."""
    client = tenant.client(http, two_workers)
    async with under_load(client, "postgres") as load:
        kill(postmaster_of(tenant.data_dir))
        so_far = len(load.acknowledged)

        async def goes_on() -> bool:
            return len(load.acknowledged) > so_far + 100

        await eventually(goes_on)
    await load.ask_again(client)
    assert await titles_of(tenant, "postgres") == sorted([*load.acknowledged, *load.unheard])
    assert ledger(tenant.data_dir, "verify", "--company", tenant.company)["ok"] is True


async def test_everything_killed_with_9_at_once_comes_back_as_it_was(
    tenant: Tenant, http: aiohttp.ClientSession
) -> None:
    """Supervisor, workers, projector, Postgres and its guardian: a power cut, but for the disk."""
    victims: list[int] = []
    try:
        with Server(tenant.data_dir, "--workers", "2") as server:
            victims = children_of(server)
            async with under_load(tenant.client(http, server), "everything") as load:
                kill(*victims, postmaster_of(tenant.data_dir), guardian_of(tenant.data_dir))
                server.process.kill()
        with Server(tenant.data_dir) as server:
            await load.ask_again(tenant.client(http, server))
    finally:
        kill(*victims)
    assert await titles_of(tenant, "everything") == sorted([*load.acknowledged, *load.unheard])
    assert ledger(tenant.data_dir, "verify", "--company", tenant.company)["ok"] is True


# ── helpers ────────────────────────────────────────────────────────────────────────────


def ledger(data_dir: Path, *arguments: str) -> Any:
    """What a `ledger` command on the data dir prints as JSON."""
    done = subprocess.run(
        [*_CLI, *arguments, "--data-dir", str(data_dir), "--json"],
        cwd=_ROOT, capture_output=True, check=True, timeout=120,
    )  # fmt: skip
    return orjson.loads(done.stdout)


async def ask_for(client: Client, title: str) -> Reply:
    """Writes an issue down, under a key of its own."""
    return await client.post("issues", {"title": title}, Idempotency_Key=title)


async def all_events(client: Client) -> list[Any]:
    """The company's whole log, page by page."""
    found: list[Any] = []
    cursor = ""
    while True:
        page = (await client.get(f"events?limit=200{cursor}")).json
        found += page["items"]
        if not page["next_cursor"]:
            return found
        cursor = f"&cursor={page['next_cursor']}"


async def titles_of(tenant: Tenant, name: str) -> list[str]:
    """The titles that begin with a name, sorted, from the company's tables."""
    with postgres(tenant.data_dir) as url:
        async with superuser(url) as connection:
            rows = await connection.fetch(
                "SELECT title FROM issues WHERE company_id = $1 AND title LIKE $2 ORDER BY 1",
                tenant.company,
                f"{name}/%",
            )
    return sorted(row["title"] for row in rows)


def start_on(port: int, *options: str) -> subprocess.Popen[bytes]:
    """`ledger serve` on a port, in the background and without a word."""
    return subprocess.Popen(
        [*_CLI, "serve", "--port", str(port), *options],
        cwd=_ROOT, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def free_port() -> int:
    """A port that nobody had a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def is_up(port: int) -> bool:
    """Whether anybody listens."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def children_of(server: Server) -> list[int]:
    """The server's workers and its projector."""
    found = [line.split(maxsplit=2) for line in _ps("-A", "-o", "pid=,ppid=,args=").splitlines()]
    return sorted(
        int(pid)
        for pid, parent, command in (row for row in found if len(row) == 3)
        if int(parent) == server.process.pid and "-m api." in command
    )


async def are_gone(pids: list[int]) -> bool:
    """Whether none of the processes runs any more; one that waits to be reaped does not."""
    states = await asyncio.to_thread(_ps, "-o", "stat=", "-p", ",".join(map(str, pids)))
    return all(state.startswith("Z") for state in states.split())


def _ps(*options: str) -> str:
    return subprocess.run(["ps", *options], capture_output=True, text=True, check=False).stdout


def postmaster_of(data_dir: Path) -> int:
    """The process number of Postgres."""
    return int((data_dir / "pg" / "postmaster.pid").read_text().split()[0])


def guardian_of(data_dir: Path) -> int:
    """The process number of the guardian."""
    return int((data_dir / "guardian.lock").read_text())


def kill(*pids: int) -> None:
    """Ends processes with -9, those that have not ended."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
