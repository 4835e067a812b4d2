"""The server as it is run: races over HTTP, and what kill -9 leaves behind.

Everything here is real: the supervisor, its workers and projector, an embedded Postgres, and
signals. What was acknowledged must be there once, whatever was killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from api.wiring import open_ledger
from ledger.actors import Actor, Role
from ledger.database import install_schema
from ledger.embedded_postgres import postgres
from ledger.ids import new_id
from tests.client import Client, Reply
from tests.serving import Server

AGENTS = 64


@asynccontextmanager
async def _clients(
    data_dir: Path, http: aiohttp.ClientSession, actors: list[str]
) -> AsyncIterator[tuple[str, list[Client]]]:
    """A company, and a client without a server's URL for each actor."""
    with postgres(data_dir) as url:
        await install_schema(url)
        async with open_ledger(url, committers=2, readers=2) as ledger:
            company = await ledger.create_company("Acme")
            clients = []
            for actor in actors:
                role = Role.OWNER if actor.startswith("user") else Role.AGENT
                _, key, named = await ledger.create_key(company, role, Actor.parse(actor))
                clients.append(Client(http, "", company, key, named))
        yield company, clients


def _at(client: Client, url: str) -> Client:
    return Client(client.http, url, client.company, client.key, client.actor)


@pytest.mark.parametrize("workers", [1, 2])
async def test_of_64_agents_racing_one_wins_and_the_others_are_told_who(
    workers: int, tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    """One 200 and sixty-three 409 that name the holder, through one worker and through two."""
    actors = ["user:alice", *(f"agent:a{n}" for n in range(AGENTS))]
    async with _clients(tmp_path / "data", http, actors) as (_, made):
        with Server(tmp_path / "data", "--workers", str(workers)) as server:
            owner, *agents = [_at(client, server.url) for client in made]
            for _ in range(5):
                issue = (await owner.post("issues", {"title": "race"})).json["id"]
                replies = await asyncio.gather(
                    *(agent.post(f"issues/{issue}/checkout") for agent in agents)
                )
                winners = [n for n, reply in enumerate(replies) if reply.status == 200]
                assert len(winners) == 1
                for reply in replies:
                    if reply.status != 200:
                        assert (reply.status, reply.json["code"]) == (409, "issue_held")
                        holder = reply.json["current"]["holder"]
                        assert holder["agent_id"] == f"a{winners[0]}"
                        assert holder["agent_id"] in reply.json["detail"]


async def test_of_twins_through_two_workers_exactly_one_passes(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    """The same external_ref, the same slug, the two halves of a parent cycle."""
    async with _clients(tmp_path / "data", http, ["user:alice"]) as (_, made):
        with Server(tmp_path / "data", "--workers", "2") as server:
            owner = _at(made[0], server.url)
            for n in range(8):
                a = (await owner.post("issues", {"title": "a"})).json["id"]
                b = (await owner.post("issues", {"title": "b"})).json["id"]
                ref = {"system": "s", "id": str(n)}
                pairs = await asyncio.gather(
                    *(owner.post("issues", {"title": "x", "external_ref": ref}) for _ in "ab"),
                    *(owner.post("projects", {"name": "P", "slug": f"p{n}"}) for _ in "ab"),
                    owner.patch(f"issues/{a}", {"parent_id": b}),
                    owner.patch(f"issues/{b}", {"parent_id": a}),
                )
                for pair, passed in zip(
                    (pairs[0:2], pairs[2:4], pairs[4:6]), (201, 201, 200), strict=True
                ):
                    assert sorted(reply.status for reply in pair) == [passed, 409]


@pytest.mark.parametrize("workers", [2])
async def test_a_server_killed_five_times_under_load_loses_and_doubles_nothing(
    workers: int, tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    """Each acknowledged command is there once, and its Idempotency-Key answers as before."""
    data_dir = tmp_path / "data"
    acknowledged: dict[str, str] = {}
    sent: set[str] = set()
    async with _clients(data_dir, http, ["user:alice"]) as (company, made):
        client = made[0]
    for turn in range(5):
        with Server(data_dir, "--workers", str(workers)) as server:
            owner = _at(client, server.url)
            for key in sorted(acknowledged)[-20:]:
                again = await _create(owner, key)
                assert (again.status, again.json["id"]) == (201, acknowledged[key])
                assert again.headers["Idempotent-Replayed"] == "true"
            enough = len(acknowledged) + 120
            writing = [
                asyncio.create_task(_write(owner, acknowledged, sent, enough)) for _ in range(8)
            ]
            while len(acknowledged) < enough and not all(t.done() for t in writing):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            _kill(server.process.pid, data_dir, with_postgres=turn % 2 == 1)
            server.process.wait(timeout=60)
            await asyncio.gather(*writing)
    with Server(data_dir) as server:
        owner = _at(client, server.url)
        for key in sorted(sent):
            reply = await _create(owner, key)
            assert reply.status == 201
            if key in acknowledged:
                assert reply.json["id"] == acknowledged[key]
                assert reply.headers["Idempotent-Replayed"] == "true"
        assert await _titles(owner) == sorted(sent)
    done = _ledger(data_dir, "verify", "--company", company, "--json")
    assert json.loads(done.stdout)["ok"], done.stdout


async def test_a_killed_worker_and_a_killed_projector_are_started_again(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    """Commands are taken again, and following models follow again."""
    async with _clients(tmp_path / "data", http, ["user:alice"]) as (_, made):
        with Server(tmp_path / "data") as server:
            owner = _at(made[0], server.url)
            for child in _children(server.process.pid):
                os.kill(child, signal.SIGKILL)
            async with asyncio.timeout(60):
                while True:
                    with suppress(aiohttp.ClientError):
                        if (await _create(owner, "after")).status == 201:
                            break
                    await asyncio.sleep(0.1)
                while (await owner.get("activity")).status != 200:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)


async def test_sigterm_answers_what_is_under_way_and_exits_with_0(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    """Nobody who was connected is left without an answer that can be trusted."""
    async with _clients(tmp_path / "data", http, ["user:alice"]) as (_, made):
        with Server(tmp_path / "data") as server:
            owner = _at(made[0], server.url)
            await _create(owner, "warm")
            under_way = [asyncio.create_task(_create(owner, f"k{n}")) for n in range(50)]
            await asyncio.sleep(0.02)
            status = await asyncio.to_thread(server.stop)
            replies = await asyncio.gather(*under_way, return_exceptions=True)
        assert status == 0
        answered = [r.json["title"] for r in replies if isinstance(r, Reply) and r.status == 201]
        with Server(tmp_path / "data") as server:
            assert set(answered) <= set(await _titles(_at(made[0], server.url)))


async def test_a_port_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    """And the exit status is 1."""
    with Server(tmp_path / "data") as server:
        port = server.url.rpartition(":")[2]
        done = _ledger(tmp_path / "data", "serve", "--port", port)
    assert done.returncode == 1
    assert done.stderr.startswith("ledger: Cannot listen on")
    assert done.stderr.count("\n") == 1


# ── helpers ────────────────────────────────────────────────────────────────────────────


async def _create(client: Client, key: str) -> Reply:
    return await client.post("issues", {"title": key}, Idempotency_Key=key)


async def _write(client: Client, acknowledged: dict[str, str], sent: set[str], enough: int) -> None:
    """Creates issues until the server is gone."""
    with suppress(aiohttp.ClientError, OSError):
        while len(acknowledged) < enough + 200:
            key = new_id()
            sent.add(key)
            reply = await _create(client, key)
            if reply.status == 201:
                acknowledged[key] = reply.json["id"]


async def _listed(client: Client, path: str) -> Any:
    """A page, as soon as there is a projector again: one that was killed has its lease for 5 s."""
    async with asyncio.timeout(30):
        while (reply := await client.get(path)).status == 503:
            assert reply.json["code"] == "read_model_behind"
            await asyncio.sleep(0.2)
    assert reply.status == 200, reply
    return reply.json


async def _titles(client: Client) -> list[str]:
    titles: list[str] = []
    path = "issues?limit=200"
    while path:
        page = await _listed(client, path)
        titles += [item["title"] for item in page["items"]]
        cursor = page["next_cursor"]
        path = f"issues?limit=200&cursor={cursor}" if cursor else ""
    return sorted(titles)


def _kill(supervisor: int, data_dir: Path, *, with_postgres: bool) -> None:
    """Kills the supervisor and its children with -9, and Postgres too if asked."""
    pids = [supervisor, *_children(supervisor)]
    if with_postgres:
        pids.append(int((data_dir / "pg" / "postmaster.pid").read_text().split()[0]))
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _children(parent: int) -> list[int]:
    """The supervisor's own processes; not the guardian, which outlives it by design."""
    if Path("/proc/self/stat").exists():
        rows = [_stat(path) for path in Path("/proc").glob("[0-9]*")]
        return [pid for pid, ppid, args in rows if ppid == parent and b"api." in args]
    shown = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True)
    lines = [line.split(maxsplit=2) for line in shown.stdout.splitlines()]
    return [int(p) for p, ppid, args in lines if int(ppid) == parent and " api." in args]


def _stat(process: Path) -> tuple[int, int, bytes]:
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        return int(process.name), int(fields[1]), (process / "cmdline").read_bytes()
    except OSError:
        return 0, 0, b""


def _ledger(data_dir: Path, *args: str) -> subprocess.CompletedProcess[Any]:
    return subprocess.run(
        [sys.executable, "-m", "api.cli", *args, "--data-dir", str(data_dir)],
        capture_output=True,
        text=True,
        timeout=120,
    )
