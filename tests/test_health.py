"""Whether the server says that it is ill when it is: dead projectors, stuck ones, and no others.

A projector that is dead cannot say so; what is measured is how old its last sign is and how long
the oldest event has lain that it has not taken. Time is not waited for here: signs and events are
made older instead, in a database of this file's own.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from api.health import BEAT_SECONDS, BEHIND_SECONDS, gauge
from api.wiring import FOLLOWING, Ledger, open_ledger
from ledger.actors import Actor, Role
from ledger.database import Connection, reader_pool
from ledger.embedded_postgres import postgres
from ledger.events import Recorded
from projections.activity import Activity
from projections.projector import Projector
from projections.queries import freshness
from tests.client import Client, Reply
from tests.conftest import _new_database
from tests.serving import Server
from tests.streaming import children_of, lengthen, serving
from tests.writing import create, eventually, submit, superuser

_ROOT = Path(__file__).parents[1]
_MODELS = [model.name for model in FOLLOWING]


@pytest_asyncio.fixture
async def url(server_url: str) -> str:
    """A database of the test's own, that nobody follows unless the test says so."""
    return await _new_database(server_url)


@pytest_asyncio.fixture
async def own(url: str) -> AsyncIterator[Ledger]:
    """A ledger on that database."""
    async with open_ledger(url) as opened:
        yield opened


@pytest_asyncio.fixture
async def acme(own: Ledger, http: aiohttp.ClientSession) -> AsyncIterator[Client]:
    """The owner of a company there, over HTTP."""
    company = await own.create_company("Acme")
    _, key, actor = await own.create_key(company, Role.OWNER, Actor("user", "alice"))
    async with serving(own) as base_url:
        yield Client(http, base_url, company, key, actor)


class Faulty(Activity):
    """Activity, with a bug in it: it cannot take a page that has an event of a company."""

    def __init__(self, company: str) -> None:
        self._company = company

    async def save(
        self, connection: Connection, company_id: str, recorded: Sequence[Recorded]
    ) -> None:
        """Writes the page, and fails for the one company."""
        await super().save(connection, company_id, recorded)
        if company_id == self._company:
            raise RuntimeError("a bug")


@asynccontextmanager
async def followed(url: str, models: Sequence[Any] = FOLLOWING) -> AsyncIterator[None]:
    """A projector follows the database inside the block."""
    pool = await reader_pool(url, 6)
    projector = Projector(pool, models, poll_seconds=0.02)
    following = asyncio.create_task(projector.run())
    try:
        yield
    finally:
        projector.stop()
        await following
        await pool.close()


async def age_beats(url: str, seconds: float) -> None:
    """Makes the last signs of all projectors older."""
    async with superuser(url) as owner:
        await owner.execute(
            "UPDATE projector_leases SET beat_at = beat_at - make_interval(secs => $1), "
            "expires_at = expires_at - make_interval(secs => $1)",
            seconds,
        )


async def age_events(url: str, seconds: float) -> None:
    """Makes everything that was recorded older."""
    async with superuser(url) as owner:
        for table, column in (("events", "recorded_at"), ("company_heads", "last_at")):
            await owner.execute(
                f"UPDATE {table} SET {column} = {column} - make_interval(secs => $1)", seconds
            )


async def ready(client: Client) -> Reply:
    """What /readyz says, which needs no key."""
    nobody = Client(client.http, client.base_url, client.company, None)
    reply = await nobody.get("/readyz")
    assert (reply.status == 200) == (reply.json["status"] == "ready")
    assert (reply.status == 503) == bool(reply.json["problems"]) == ("Retry-After" in reply.headers)
    return reply


async def is_ready(client: Client) -> bool:
    """Whether nothing is wrong."""
    return (await ready(client)).status == 200


async def metric(client: Client, name: str, model: str) -> float:
    """A gauge of a following model, as /metrics shows it."""
    async with client.http.get(client.base_url + "/metrics") as response:
        text = await response.text()
    found = re.search(rf'^{name}{{model="{model}"}} (\S+)$', text, re.MULTILINE)
    assert found is not None, text
    return float(found[1])


# ── readiness ──────────────────────────────────────────────────────────────────────────


async def test_a_model_that_nobody_ever_moved_is_unready(acme: Client) -> None:
    """It gave no sign, so there is none that could be old."""
    reply = await ready(acme)
    assert reply.status == 503
    assert reply.json["problems"] == [
        f"No projector moves {model}; none ever did." for model in sorted(_MODELS)
    ]
    for model in _MODELS:
        assert await metric(acme, "ledger_projector_seconds_since_beat", model) == float("inf")


async def test_a_followed_ledger_is_ready(acme: Client, url: str) -> None:
    """Somebody moves every model, and nothing is behind for long."""
    async with followed(url):
        await eventually(lambda: is_ready(acme))
        for n in range(10):
            await acme.post("issues", {"title": f"{n}"})
            assert (await ready(acme)).status == 200


async def test_a_dead_projector_is_unready_though_nothing_is_behind(
    acme: Client, own: Ledger, url: str
) -> None:
    """Its last sign gets old; that is all there is to see."""
    async with followed(url):
        await eventually(lambda: is_ready(acme))
        for model in _MODELS:
            assert (await acme.get("activity")).status == 200
            assert (await acme.get("costs")).status == 200
            assert await metric(acme, "ledger_projector_events_behind", model) == 0
    assert (await ready(acme)).status == 200
    await age_beats(url, BEAT_SECONDS + 1)
    reply = await ready(acme)
    assert reply.status == 503
    assert len(reply.json["problems"]) == len(_MODELS)
    for model in _MODELS:
        assert any(f"No projector moves {model};" in text for text in reply.json["problems"])
        assert await metric(acme, "ledger_projector_events_behind", model) == 0
        assert await metric(acme, "ledger_projector_seconds_behind", model) == 0
        assert await metric(acme, "ledger_projector_seconds_since_beat", model) > BEAT_SECONDS


async def test_one_model_that_nobody_moves_is_named(acme: Client, url: str) -> None:
    """The others are not."""
    async with followed(url):
        await eventually(lambda: is_ready(acme))
    async with followed(url, FOLLOWING[:1]):
        await age_beats(url, BEAT_SECONDS + 1)

        async def is_told() -> bool:
            problems = (await ready(acme)).json["problems"]
            return [text.split(";")[0] for text in problems] == [
                f"No projector moves {model}" for model in sorted(_MODELS[1:])
            ]

        await eventually(is_told)


async def test_a_stuck_projector_is_unready(acme: Client, own: Ledger, url: str) -> None:
    """It gives signs, it moves all other companies, and one page it never gets past."""
    other = await own.create_company("Other")
    models = [Faulty(acme.company), *FOLLOWING[1:]]
    assert models[0].name == FOLLOWING[0].name
    async with followed(url, models):
        await eventually(lambda: is_ready(acme))  # For it is not long behind.
        await age_events(url, BEHIND_SECONDS + 5)
        await submit(own, other, create())
        head = int((await acme.get("")).headers["Ledger-Position"])

        async def is_told() -> bool:
            problems = (await ready(acme)).json["problems"]
            return len(problems) == 1 and f"activity is {head} events behind" in problems[0]

        await eventually(is_told)
        assert await metric(acme, "ledger_projector_events_behind", "activity") == head
        assert await metric(acme, "ledger_projector_seconds_behind", "activity") > BEHIND_SECONDS
        assert await metric(acme, "ledger_projector_seconds_since_beat", "activity") < BEAT_SECONDS
        await submit(own, acme.company, create("newer"))
        assert (await ready(acme)).status == 503
    async with followed(url):
        await eventually(lambda: is_ready(acme))


async def test_how_long_a_model_is_behind_is_the_age_of_the_oldest_event_it_has_not_taken(
    acme: Client, own: Ledger, url: str
) -> None:
    """Neither of the newest one, nor of one that it has taken."""
    await age_events(url, 1000)
    async with superuser(url) as owner:
        await owner.execute(
            "INSERT INTO checkpoints SELECT company_id, 'activity', head, 0 FROM company_heads"
        )
        assert await metric(acme, "ledger_projector_seconds_behind", "activity") == 0
        await submit(own, acme.company, create("first"))
        await age_events(url, 100)
        await submit(own, acme.company, create("second"))
        assert 100 <= await metric(acme, "ledger_projector_seconds_behind", "activity") < 900
        assert await metric(acme, "ledger_projector_events_behind", "activity") == 2
        assert await metric(acme, "ledger_projector_seconds_behind", "costs") > 1000
        await owner.execute("UPDATE checkpoints SET position = position + 1")
        assert await metric(acme, "ledger_projector_seconds_behind", "activity") < 100


async def test_being_far_behind_is_measured_by_key(acme: Client, url: str) -> None:
    """No event but the first that is behind is read, however many there are."""
    await acme.post("issues", {"title": "x"})
    head = await lengthen(url, acme.company, 50_000)
    assert await metric(acme, "ledger_projector_events_behind", "activity") == head
    async with superuser(url) as owner:
        await owner.execute("ANALYZE")
        await owner.execute(
            "PREPARE asked (text[]) AS "
            + freshness._SQL.lags.partition("\n")[2].strip().removesuffix(";")
        )
        plan = await owner.fetch("EXPLAIN (ANALYZE, TIMING OFF) EXECUTE asked ('{activity,costs}')")
    (scan,) = (
        str(text) for (text,) in plan if re.search(r" on events( |$)", text) and "Scan" in text
    )
    assert "Index Scan" in scan
    assert int(float(re.findall(r"rows=([\d.]+)", scan)[-1])) <= 2


async def test_a_log_ahead_of_the_clock_is_unready(acme: Client, url: str) -> None:
    """More than five seconds: somebody's clock was wrong."""
    async with followed(url):
        await eventually(lambda: is_ready(acme))
        await age_events(url, -60)
        (problem,) = (await ready(acme)).json["problems"]
        assert re.fullmatch(r"The last event is \d+ s ahead of the clock\.", problem)


# ── queries of what nobody moves ───────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["activity", "costs", "costs/sums"])
async def test_a_query_of_a_model_that_nobody_moves(path: str, acme: Client) -> None:
    """It waits for a while, and is a 503 that says so; `eventual` answers at once with what is."""
    await acme.post("issues", {"title": "x"})
    head = int((await acme.get("")).headers["Ledger-Position"])
    loop = asyncio.get_running_loop()
    began = loop.time()
    refused = await acme.get(path)
    waited_seconds = loop.time() - began
    assert (refused.status, refused.json["code"]) == (503, "read_model_behind")
    assert int(refused.headers["Retry-After"]) > 0
    assert (refused.json["position"], refused.json["head"]) == (0, head)
    assert waited_seconds >= 2
    began = loop.time()
    eventual = await acme.get(f"{path}?consistency=eventual")
    assert loop.time() - began < waited_seconds
    assert eventual.status == 200
    assert eventual.json["as_of_position"] == int(eventual.headers["Ledger-Position"]) == 0


# ── the text of the metrics ────────────────────────────────────────────────────────────


async def test_every_metric_says_what_it_is(acme: Client) -> None:
    """HELP and TYPE before the first sample of each, once; every sample belongs to one."""
    async with acme.http.get(acme.base_url + "/metrics") as response:
        lines = (await response.text()).splitlines()
    helped = [line.split()[2] for line in lines if line.startswith("# HELP ")]
    typed = {line.split()[2]: line.split()[3] for line in lines if line.startswith("# TYPE ")}
    assert len(helped) == len(set(helped)) == len(typed)
    assert set(helped) == set(typed)
    family = ""
    for line in lines:
        if line.startswith("# TYPE "):
            family = line.split()[2]
        elif not line.startswith("#"):
            assert re.match(family + r"(_\w+)?[ {]", line), line
    for name in ("events_behind", "seconds_behind", "seconds_since_beat"):
        assert typed[f"ledger_projector_{name}"] == "gauge"
    assert typed["ledger_committer_queued"] == "gauge"


def test_labels_are_escaped() -> None:
    """Backslash, quote and line feed, as the text format has them; +Inf is written so."""
    text = gauge("g", "What", [({"model": 'a\\b"c\nd', "x": "y"}, float("inf")), ({}, 3)])
    assert text.decode() == (
        '# HELP g What\n# TYPE g gauge\ng{model="a\\\\b\\"c\\nd",x="y"} +Inf\ng 3\n'
    )


# ── a real server ──────────────────────────────────────────────────────────────────────


async def test_a_server_whose_projector_dies_or_stops_says_so_and_recovers(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    """Killed, it is started again; one that is alive and does nothing is unready."""
    data_dir = tmp_path / "data"
    with postgres(data_dir) as url, Server(data_dir) as server:
        anybody = Client(http, server.url, "", None)
        await eventually(lambda: is_ready(anybody), 60)
        (killed,) = _projectors(server)
        os.kill(killed, signal.SIGKILL)
        await eventually(lambda: _has_another(server, killed), 60)
        await age_beats(url, BEAT_SECONDS + 1)
        await eventually(lambda: is_ready(anybody), 60)

        (stopped,) = _projectors(server)
        with _stopped(stopped):
            await age_beats(url, BEAT_SECONDS + 1)
            problems = (await ready(anybody)).json["problems"]
            assert [text.split(";")[0] for text in problems] == [
                f"No projector moves {model}" for model in sorted(_MODELS)
            ]
            for model in _MODELS:
                assert await metric(anybody, "ledger_projector_events_behind", model) == 0
        await eventually(lambda: is_ready(anybody), 60)


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    """A process does nothing inside the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def _has_another(server: Server, gone: int) -> bool:
    return bool(set(_projectors(server)) - {gone})


def _projectors(server: Server) -> list[int]:
    """The server's projector processes."""
    return [pid for pid, command in children_of(server) if "api.following" in command]


async def test_a_projector_that_cannot_work_makes_the_server_unready(
    acme: Client, url: str
) -> None:
    """The process is there, and even hears; the database does not let it write its lease."""
    async with superuser(url) as owner:
        await owner.execute("REVOKE INSERT, UPDATE ON projector_leases FROM ledger_app")
    projector = _projector_process(url)
    try:
        assert projector.stderr is not None
        line = await asyncio.to_thread(projector.stderr.readline)
        assert b"projector_stalled" in line
        assert projector.poll() is None
        assert (await ready(acme)).status == 503
        async with superuser(url) as owner:
            await owner.execute("GRANT INSERT, UPDATE ON projector_leases TO ledger_app")
        await eventually(lambda: is_ready(acme), 60)
    finally:
        projector.kill()
        projector.communicate()


def _projector_process(url: str) -> subprocess.Popen[bytes]:
    """A projector as the supervisor starts it."""
    return subprocess.Popen(
        [sys.executable, "-m", "api.following"],
        cwd=_ROOT,
        env={**os.environ, "LEDGER_DATABASE_URL": url},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
