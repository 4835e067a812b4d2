"""The rules, raced for: real agents over HTTP, through two workers, on one company.

A rule that holds for one command after the other must hold for a hundred at once as well,
whichever worker each comes to. What happened is read from the log, and the read models are
proved equal to it at the end of every test.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
import pytest_asyncio

from api.wiring import Ledger, open_ledger
from ledger.actors import Actor, Role
from ledger.database import install_schema
from ledger.embedded_postgres import postgres
from ledger.events import Recorded
from tests.client import Client, Reply
from tests.serving import Server
from tests.writing import assert_whole, log_of

AGENTS = 100
ROUNDS = 25
_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class House:
    """A company behind two workers; `owner` is its owner's client."""

    server: Server
    ledger: Ledger
    http: aiohttp.ClientSession
    company: str

    async def client(self, actor: str, role: Role = Role.AGENT) -> Client:
        """A key of the company, in somebody's hands."""
        _, key, named = await self.ledger.create_key(self.company, role, Actor.parse(actor))
        return Client(self.http, self.server.url, self.company, key, named)

    async def agents(self, count: int) -> list[Client]:
        """So many agents."""
        return list(await asyncio.gather(*(self.client(f"agent:a{n}") for n in range(count))))

    async def log(self, *types: str) -> list[Recorded]:
        """The events of these types, in the order in which they happened."""
        events = [stored.recorded for stored in await log_of(self.ledger, self.company)]
        return [r for r in events if r.event.type in types]

    async def count(self, *types: str) -> Counter[str]:
        """How many events there are of each of these types."""
        return Counter(r.event.type for r in await self.log(*types))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def served(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Server, Ledger]]:
    """A server of two workers, and beside it a ledger on the same database."""
    data_dir = tmp_path_factory.mktemp("two-workers")
    with postgres(data_dir) as url:
        await install_schema(url)
        with Server(data_dir, "--workers", "2") as server:
            async with open_ledger(url, committers=2, readers=2) as ledger:
                yield server, ledger


@pytest_asyncio.fixture
async def house(served: tuple[Server, Ledger]) -> AsyncIterator[House]:
    """A company of the test's own; every request to it is a connection, so to any worker."""
    server, ledger = served
    connector = aiohttp.TCPConnector(limit=AGENTS, force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        made = House(server, ledger, session, await ledger.create_company("Acme"))
        yield made
        await assert_whole(ledger, made.company)


@pytest_asyncio.fixture
async def owner(house: House) -> Client:
    """The company's owner."""
    return await house.client("user:alice", Role.OWNER)


# ── claims ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("issues", [100, 60])
async def test_a_hundred_agents_claiming_at_once_get_as_many_different_issues_as_there_are(
    issues: int, house: House, owner: Client
) -> None:
    """A hundred get a hundred; of sixty, sixty get one and forty are told that nothing is left."""
    agents = await house.agents(AGENTS)
    waiting = await created(owner, issues)
    replies = await at_once(*(agent.post(claim_of(agent), {}) for agent in agents))
    got = {agent.actor: r.json["id"] for agent, r in zip(agents, replies, strict=True) if ok(r)}
    assert sorted(got.values()) == sorted(waiting)
    refused = [(r.status, r.json["code"]) for r in replies if not ok(r)]
    assert refused == [(409, "nothing_to_claim")] * (AGENTS - issues)
    taken = {f"agent:{r.event.agent_id}": r.stream_id for r in await house.log("issue.checked_out")}  # type: ignore[attr-defined]
    assert taken == got
    assert len({r.json["run_id"] for r in replies if ok(r)}) == issues


async def test_agents_that_claim_and_finish_until_nothing_is_left_do_each_issue_once(
    house: House, owner: Client
) -> None:
    """No issue is forgotten, none is done twice, and all hear in the end that it is over."""
    agents = await house.agents(8)
    waiting = await created(owner, 80)

    async def work(agent: Client) -> list[str]:
        done: list[str] = []
        while ok(claimed := await agent.post(claim_of(agent), {})):
            issue, run = claimed.json["id"], claimed.json["run_id"]
            assert ok(await agent.post(f"issues/{issue}/runs/{run}/finish", {}))
            done.append(issue)
        assert (claimed.status, claimed.json["code"]) == (409, "nothing_to_claim")
        return done

    finished = await asyncio.gather(*(work(agent) for agent in agents))
    assert sorted(issue for mine in finished for issue in mine) == sorted(waiting)
    assert await house.count("run.started", "run.ended") == {"run.started": 80, "run.ended": 80}


# ── identifiers ────────────────────────────────────────────────────────────────────────


async def test_identifiers_count_without_gaps_or_repeats_in_two_teams_and_the_company(
    house: House, owner: Client
) -> None:
    """Each prefix counts 1, 2, 3… in the order of the log; what is refused uses no number up."""
    for name, prefix in (("Engineering", "ENG"), ("Research", "RES")):
        team = {"name": name, "issue_prefix": prefix}
        assert (await owner.post("teams", team)).status == 201
    bodies: list[dict[str, Any]] = [
        {"title": "An issue", **team}
        for _ in range(60)
        for team in ({}, {"team_id": "engineering"}, {"team_id": "research"})
    ]
    wrong: list[dict[str, Any]] = [{"title": "Nobody's", "team_id": "nowhere"}] * 20
    replies = await at_once(*(owner.post("issues", body) for body in bodies + wrong))
    assert [r.status for r in replies] == [201] * len(bodies) + [404] * len(wrong)
    counted: dict[str, list[int]] = {}
    for recorded in await house.log("issue.created"):
        prefix, number = recorded.event.identifier.split("-")  # type: ignore[attr-defined]
        counted.setdefault(prefix, []).append(int(number))
    assert counted == {prefix: list(range(1, 61)) for prefix in ("ACM", "ENG", "RES")}
    told = sorted(r.json["identifier"] for r in replies if r.status == 201)
    assert told == sorted(f"{prefix}-{n}" for prefix in counted for n in range(1, 61))


# ── cycles ─────────────────────────────────────────────────────────────────────────────


Halves = Callable[[Client, str, str], Awaitable[Reply]]


async def blocked_by(client: Client, issue: str, other: str) -> Reply:
    """One issue waits for another."""
    return await client.post(
        f"issues/{issue}/links", {"link_type": "blocked_by", "target_id": other}
    )


async def below(client: Client, issue: str, other: str) -> Reply:
    """One issue becomes another's child."""
    return await client.patch(f"issues/{issue}", {"parent_id": other})


@pytest.mark.parametrize("length", [2, 3])
@pytest.mark.parametrize(
    ("relate", "code"), [(blocked_by, "blocking_cycle"), (below, "hierarchy_cycle")]
)
async def test_of_the_parts_of_a_cycle_asked_for_at_once_exactly_one_is_refused(
    relate: Halves, code: str, length: int, house: House, owner: Client
) -> None:
    """Whichever comes last; the others stand, so that as much is linked as can be."""
    for _ in range(ROUNDS):
        ring = await created(owner, length)
        replies = await at_once(
            *(relate(owner, ring[n], ring[(n + 1) % length]) for n in range(length))
        )
        refused = [(r.status, r.json["code"]) for r in replies if not ok(r)]
        assert refused == [(409, code)]


# ── blockers ───────────────────────────────────────────────────────────────────────────


ENDS: list[tuple[str, str, dict[str, Any] | None]] = [
    ("POST", "/transition", {"status": "done"}),
    ("POST", "/cancel", {}),
    ("POST", "/close", {"force": True}),
    ("DELETE", "", None),
]
"""The ways in which a blocker comes to its end."""


async def test_the_last_two_blockers_settled_at_once_unblock_their_dependent_once(
    house: House, owner: Client
) -> None:
    """Not never, for each saw the other one open; and not twice."""
    for n in range(ROUNDS):
        dependent, *blockers = await created(owner, 3)
        for blocker in blockers:
            assert ok(await blocked_by(owner, dependent, blocker))
        replies = await at_once(
            *(
                owner.request(method, f"issues/{blocker}{path}", body)
                for blocker, (method, path, body) in zip(
                    blockers, (ENDS[n % 4], ENDS[(n // 4) % 4]), strict=True
                )
            )
        )
        assert all(ok(r) for r in replies)
        assert (await owner.get(f"issues/{dependent}")).json["status"] == "todo"
    opened = Counter(r.stream_id for r in await house.log("issue.unblocked"))
    assert len(opened) == ROUNDS
    assert set(opened.values()) == {1}


async def test_a_blocker_settled_while_another_is_linked_leaves_nothing_behind(
    house: House, owner: Client
) -> None:
    """The dependent ends up blocked by the new blocker, in whichever order the two came."""
    for _ in range(ROUNDS):
        dependent, settled, new = await created(owner, 3)
        assert ok(await blocked_by(owner, dependent, settled))
        replies = await at_once(
            owner.post(f"issues/{settled}/transition", {"status": "done"}),
            blocked_by(owner, dependent, new),
        )
        assert all(ok(r) for r in replies)
        assert (await owner.get(f"issues/{dependent}")).json["status"] == "blocked"


# ── budgets ────────────────────────────────────────────────────────────────────────────

RUNS = 12
COSTS = [1 + 37 * n % 101 for n in range(10)]
"""What each run reports, in micro-dollars, one report after the other but beside the others."""
SPENT = RUNS * sum(COSTS)
LIMIT = SPENT * 6 // 10


async def runs_of_one_issue(house: House, owner: Client) -> tuple[str, list[tuple[str, str]]]:
    """An issue that many agents had in turn, the last of whom holds it."""
    (issue,) = await created(owner, 1, per_task_micros=LIMIT)
    runs = []
    for agent in await house.agents(RUNS):
        assert ok(await owner.post(f"issues/{issue}/release", {}))
        runs.append((issue, await checked_out(agent, issue)))
    return f"issues/{issue}/budget", runs


async def runs_of_one_agent(house: House, owner: Client) -> tuple[str, list[tuple[str, str]]]:
    """An agent who works on many issues at once."""
    entry = (await owner.post("agents", {"name": "Coder"})).json["id"]
    agent = await house.client(f"agent:{entry}")
    assert ok(await owner.post(f"agents/{entry}/budget", {"monthly_micros": LIMIT}))
    issues = await created(owner, RUNS)
    return f"agents/{entry}/budget", [(one, await checked_out(agent, one)) for one in issues]


async def runs_of_one_company(house: House, owner: Client) -> tuple[str, list[tuple[str, str]]]:
    """Many agents, each on an issue of its own."""
    assert ok(await owner.post("budget", {"monthly_micros": LIMIT}))
    pairs = zip(await house.agents(RUNS), await created(owner, RUNS), strict=True)
    return "budget", [(issue, await checked_out(agent, issue)) for agent, issue in pairs]


@pytest.mark.parametrize(
    ("whose", "begun"),
    [
        ("issue", runs_of_one_issue),
        ("agent", runs_of_one_agent),
        ("company", runs_of_one_company),
    ],
)
async def test_costs_reported_at_once_by_many_runs_sum_exactly_and_cross_each_line_once(
    whose: str,
    begun: Callable[[House, Client], Awaitable[tuple[str, list[tuple[str, str]]]]],
    house: House,
    owner: Client,
) -> None:
    """One warning, one end, whatever is under way; and every report counts, before and after."""
    budget, runs = await begun(house, owner)

    async def report(issue: str, run: str) -> None:
        for micros in COSTS:
            cost = {"provider": "anthropic", "model": "claude", "cost_micros": micros}
            reply = await owner.post(f"issues/{issue}/runs/{run}/costs", cost)
            assert reply.status == 201, reply

    await asyncio.gather(*(report(issue, run) for issue, run in runs))
    stands = (await owner.get(budget)).json
    assert (stands["spent_micros"], stands["is_exceeded"]) == (SPENT, True)
    for issue, run in runs:
        shown = (await owner.get(f"issues/{issue}/runs/{run}")).json
        assert shown["cost_micros"] == sum(COSTS)
    assert (await owner.get("costs/sums")).json["items"][0]["cost_micros"] == SPENT
    warned, exceeded = await house.log(f"{whose}.budget_warned", f"{whose}.budget_exceeded")
    assert (warned.event.type, exceeded.event.type) == (
        f"{whose}.budget_warned",
        f"{whose}.budget_exceeded",
    )
    await assert_crossed_where_the_log_says(house, warned, LIMIT * 4 // 5)
    await assert_crossed_where_the_log_says(house, exceeded, LIMIT)
    holding = 1 if whose == "issue" else RUNS
    assert await house.count("run.paused") == {"run.paused": holding}


async def assert_crossed_where_the_log_says(house: House, crossed: Recorded, line: int) -> None:
    """The reports before it come to less than the line, and with the last one to what it says."""
    costs: list[int] = [
        r.event.cost_micros  # type: ignore[attr-defined]
        for r in await house.log("run.cost_reported")
        if r.position < crossed.position
    ]
    assert sum(costs[:-1]) < line <= sum(costs)
    assert crossed.event.spent_micros == sum(costs)  # type: ignore[attr-defined]


# ── a holder that sleeps ───────────────────────────────────────────────────────────────


async def test_a_holder_stopped_past_its_lease_and_overtaken_is_refused_when_it_wakes(
    house: House, owner: Client
) -> None:
    """It gets 409 stale_token for whatever it says; of all that, the log has only what it cost."""
    (issue,) = await created(owner, 1)
    sleeper, rival = await house.agents(2)
    with holding(sleeper, issue) as holder:
        said = [await answer_of(holder) for _ in range(5)]
        assert [told["status"] for told in said] == [200, 201, 201, 201, 201]
        holder.send_signal(signal.SIGSTOP)
        overtaken = await check_out_once_it_may_be(rival, issue)
        holder.send_signal(signal.SIGCONT)
        said += [told async for told in rest_of(holder)]
        assert await asyncio.to_thread(holder.wait, 60) == 0
    accepted = [told["position"] for told in said if told["code"] is None]
    cost = accepted.pop()
    assert all(position < overtaken for position in accepted)  # Said before, be it heard after.
    refused = said[len(accepted) : -1]
    assert {(told["status"], told["code"]) for told in refused} == {(409, "stale_token")}
    assert [re.sub(r"runs/[^/]+/", "", told["path"]) for told in refused] == [
        "comments", "renew", "progress", "checkpoint", "transition", "finish", "fail", "release",
    ]  # fmt: skip
    written = [
        stored.recorded
        for stored in await log_of(house.ledger, house.company)
        if stored.recorded.actor == Actor.parse(sleeper.actor)
    ]
    assert [r.position for r in written if r.position > overtaken] == [cost]
    assert written[-1].event.type == "run.cost_reported"
    comments = [r.position for r in written if r.event.type == "issue.commented"]
    assert comments == accepted[1:]
    held = (await owner.get(f"issues/{issue}")).json
    assert (held["holder"]["agent_id"], held["status"]) == ("a1", "in_progress")


@contextmanager
def holding(agent: Client, issue: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds an issue for two seconds, and writes."""
    assert agent.key is not None
    url = f"{agent.base_url}/v1/companies/{agent.company}/issues/{issue}"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.holder", url, agent.key, "2"],
        cwd=_ROOT, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        with process:
            yield process
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()


async def answer_of(holder: subprocess.Popen[bytes]) -> Any:
    """The next answer that the holder got; None once it has ended."""
    assert holder.stdout is not None
    line = await asyncio.wait_for(asyncio.to_thread(holder.stdout.readline), 60)
    return orjson.loads(line) if line else None


async def rest_of(holder: subprocess.Popen[bytes]) -> AsyncIterator[Any]:
    """Every further answer, until the holder ends."""
    while told := await answer_of(holder):
        yield told


async def check_out_once_it_may_be(agent: Client, issue: str) -> int:
    """Asks for a held issue until its lease has run out; the position of the checkout."""
    async with asyncio.timeout(60):
        while not ok(reply := await agent.post(f"issues/{issue}/checkout", {})):
            assert (reply.status, reply.json["code"]) == (409, "issue_held")
            await asyncio.sleep(0.1)
    return int(reply.headers["Ledger-Position"])


# ── helpers ────────────────────────────────────────────────────────────────────────────


def ok(reply: Reply) -> bool:
    """Whether it was accepted."""
    return reply.status < 300


async def at_once(*calls: Awaitable[Reply]) -> list[Reply]:
    """Every answer, to calls that are all under way together."""
    return list(await asyncio.gather(*calls))


async def created(owner: Client, count: int, **fields: Any) -> list[str]:
    """So many issues, written down at once."""
    body = {"title": "An issue", **fields}
    return [
        r.json["id"] for r in await at_once(*(owner.post("issues", body) for _ in range(count)))
    ]


async def checked_out(agent: Client, issue: str) -> str:
    """The run in which an agent now holds an issue."""
    reply = await agent.post(f"issues/{issue}/checkout", {})
    assert ok(reply), reply
    return str(reply.json["run_id"])


def claim_of(agent: Client) -> str:
    """Where an agent asks for work."""
    return f"agents/{Actor.parse(agent.actor).id}/claim-next"
