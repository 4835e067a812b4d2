"""Budgets over HTTP: of an issue, and of an agent and the company in a calendar month."""

from __future__ import annotations

import asyncio
import re
from typing import Any, NamedTuple

import pytest

from ledger.actors import Role
from ledger.codec import MAX_INT
from tests.client import Client, Reply
from tests.conftest import NewClient
from tests.tour import cost


class Place(NamedTuple):
    """A budget's routes: where it is, and what its limit is called."""

    path: str
    limit: str
    kind: str


ISSUE = Place("issues/ACM-1/budget", "per_task_micros", "issue")
AGENT = Place("agents/coder/budget", "monthly_micros", "agent")
COMPANY = Place("budget", "monthly_micros", "company")
PLACES = (ISSUE, AGENT, COMPANY)


@pytest.fixture
async def coder(new_client: NewClient, company: str, owner: Client) -> Client:
    """An agent that is listed, in a company with an issue."""
    agent = (await owner.post("agents", {"name": "Coder"})).json["id"]
    await owner.post("issues", {"title": "x"})
    return await new_client(company, Role.AGENT, f"agent:{agent}")


async def _limit(client: Client, place: Place, micros: int | None) -> Reply:
    return await client.post(place.path, {place.limit: micros})


async def _begun(agent: Client, issue: str = "issues/ACM-1") -> str:
    taken = await agent.post(f"{issue}/checkout")
    assert taken.status == 200, taken
    return f"{issue}/runs/{taken.json['run_id']}"


async def _spend(agent: Client, run: str, micros: int) -> None:
    assert (await agent.post(f"{run}/costs", cost(cost_micros=micros))).status == 201


async def _logged(owner: Client, kind: str) -> list[Any]:
    return [event["data"] for event in (await owner.get(f"events?type={kind}")).json["items"]]


# ── set, and shown ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.kind)
async def test_a_budget_is_set_and_shown_with_what_was_spent_of_it(
    coder: Client, owner: Client, place: Place
) -> None:
    """Without a limit nothing runs out; what was spent before it was set counts."""
    unlimited = await owner.get(place.path)
    assert unlimited.status == 200
    month = unlimited.json.pop("month")
    assert month is None if place is ISSUE else re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month)
    assert unlimited.json.pop("as_of_position") == int(unlimited.headers["Ledger-Position"])
    assert unlimited.json == {
        "limit_micros": None, "spent_micros": 0, "remaining_micros": None, "is_exceeded": False,
    }  # fmt: skip
    set_to = await _limit(owner, place, 100)
    assert (set_to.status, set_to.json[place.limit]) == (200, 100)
    run = await _begun(coder)
    for spent, left in ((30, 70), (60, 40), (100, 0), (130, 0)):
        await _spend(coder, run, spent - (await owner.get(place.path)).json["spent_micros"])
        shown = (await owner.get(place.path)).json
        assert (shown["limit_micros"], shown["spent_micros"]) == (100, spent)
        assert (shown["remaining_micros"], shown["is_exceeded"]) == (left, spent >= 100)
    assert (await _limit(owner, place, None)).json[place.limit] is None
    assert (await owner.get(place.path)).json["is_exceeded"] is False


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.kind)
@pytest.mark.parametrize("wrong", [-1, 1.5, "5", True, MAX_INT + 1, [], {}])
async def test_a_budget_is_of_whole_micro_dollars(
    coder: Client, owner: Client, place: Place, wrong: Any
) -> None:
    """Anything else is refused; so is no word about it at all."""
    reply = await _limit(owner, place, wrong)
    assert reply.status == (400 if wrong == MAX_INT + 1 else 422)
    assert (await owner.post(place.path, {})).status == 422
    assert (await owner.get(place.path)).json["limit_micros"] is None


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.kind)
async def test_setting_a_budget_to_what_it_is_appends_nothing(
    coder: Client, owner: Client, place: Place
) -> None:
    """The log tells changes, from what to what."""
    for micros in (5, 5, 9, None, None):
        assert (await _limit(owner, place, micros)).status == 200
    changes = [
        (e["from_micros"], e["to_micros"]) for e in await _logged(owner, f"{place.kind}.budget_set")
    ]
    assert changes == [(None, 5), (5, 9), (9, None)]


async def test_an_issue_may_be_written_down_with_its_budget(coder: Client, owner: Client) -> None:
    """`per_task_micros`, which the issue shows."""
    made = await owner.post("issues", {"title": "y", "per_task_micros": 7})
    assert (made.status, made.json["per_task_micros"]) == (201, 7)
    assert (await owner.get(f"issues/{made.json['id']}/budget")).json["limit_micros"] == 7
    for wrong in (-1, 1.5, "7"):
        reply = await owner.post("issues", {"title": "y", "per_task_micros": wrong})
        assert (reply.status, reply.json["errors"][0]["pointer"]) == (422, "/per_task_micros")


async def test_a_budget_of_what_there_is_not_is_a_404(owner: Client) -> None:
    """To set as to read."""
    for path in ("issues/ACM-9/budget", "agents/nobody/budget"):
        name = "per_task_micros" if path.startswith("issues") else "monthly_micros"
        for reply in (await owner.get(path), await owner.post(path, {name: 5})):
            assert (reply.status, reply.json["code"]) == (404, "not_found")


# ── spent ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.kind)
async def test_a_budget_warns_at_four_fifths_and_pauses_the_run_at_the_end(
    coder: Client, owner: Client, place: Place
) -> None:
    """One warning, one end; the report that crosses the limit is written down all the same."""
    await _limit(owner, place, 100)
    run = await _begun(coder)
    for micros, warned, exceeded in ((79, 0, 0), (1, 1, 0), (19, 1, 0), (2, 1, 1), (50, 1, 1)):
        await _spend(coder, run, micros)
        assert len(await _logged(owner, f"{place.kind}.budget_warned")) == warned
        assert len(await _logged(owner, f"{place.kind}.budget_exceeded")) == exceeded
    (end,) = await _logged(owner, f"{place.kind}.budget_exceeded")
    assert (end["limit_micros"], end["spent_micros"]) == (100, 101)
    assert end["month"] == (await owner.get(place.path)).json["month"]
    shown = (await coder.get(run)).json
    assert (shown["status"], shown["cost_micros"]) == ("paused", 151)
    issue = (await coder.get("issues/ACM-1")).json
    assert (issue["status"], issue["holder"], issue["assignee"]) == ("todo", None, coder.actor)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.kind)
async def test_nobody_checks_out_on_a_spent_budget_until_a_person_raises_it(
    coder: Client, owner: Client, place: Place
) -> None:
    """409 that says which budget it is; then the same run goes on."""
    await _limit(owner, place, 100)
    run = await _begun(coder)
    await _spend(coder, run, 100)
    refused = await coder.post("issues/ACM-1/checkout")
    assert (refused.status, refused.json["code"]) == (409, "budget_exceeded")
    month = (await owner.get(place.path)).json["month"]
    assert refused.json["budget"] == {
        "of": place.kind, "month": month, "limit_micros": 100, "spent_micros": 100,
    }  # fmt: skip
    sent = await owner.post("issues/ACM-1/checkout", {"agent_id": "coder"})
    assert (sent.status, sent.json["code"]) == (409, "budget_exceeded")
    assert (await _limit(owner, place, 101)).status == 200
    assert await _begun(coder) == run
    assert (await coder.get(run)).json["status"] == "active"


async def test_a_months_budget_counts_every_issue_and_an_issues_every_run(
    coder: Client, owner: Client
) -> None:
    """Runs that are over count on."""
    await owner.post("issues", {"title": "y"})
    first = await _begun(coder)
    await _spend(coder, first, 10)
    await coder.post(f"{first}/fail")
    await _spend(coder, await _begun(coder), 20)
    await _spend(coder, await _begun(coder, "issues/ACM-2"), 5)
    await _spend(coder, first, 1)
    spent = [
        (await owner.get(path)).json["spent_micros"]
        for path in (ISSUE.path, "issues/ACM-2/budget", AGENT.path, COMPANY.path)
    ]
    assert spent == [31, 5, 36, 36]


async def test_parallel_reports_are_summed_exactly(coder: Client, owner: Client) -> None:
    """Sixty at once: the sum is right, with one warning and one end of each budget."""
    for place in PLACES:
        await _limit(owner, place, 1000)
    run = await _begun(coder)
    await asyncio.gather(*(_spend(coder, run, 17) for _ in range(60)))
    for place in PLACES:
        assert (await owner.get(place.path)).json["spent_micros"] == 1020
        for kind in ("warned", "exceeded"):
            (event,) = await _logged(owner, f"{place.kind}.budget_{kind}")
            assert event["spent_micros"] == {"warned": 816, "exceeded": 1003}[kind]
    assert len(await _logged(owner, "run.paused")) == 1


# ── who may ────────────────────────────────────────────────────────────────────────────


async def test_an_issues_budget_is_only_raised_once_a_run_has_started(
    coder: Client, owner: Client
) -> None:
    """By a person; until then whoever works on it sets it as it should be."""
    for micros in (100, 50, None, 80):
        assert (await _limit(coder, ISSUE, micros)).status == 200
    await _begun(coder)
    for micros in (79, 0):
        lower = await _limit(owner, ISSUE, micros)
        assert (lower.status, lower.json["code"]) == (409, "budget_locked")
        assert lower.json["errors"][0]["pointer"] == "/per_task_micros"
    own = await _limit(coder, ISSUE, 200)
    assert (own.status, own.json["code"]) == (403, "forbidden")
    for micros in (81, None):
        assert (await _limit(owner, ISSUE, micros)).status == 200
    back = await _limit(owner, ISSUE, 10**9)
    assert (back.status, back.json["code"]) == (409, "budget_locked")


async def test_no_agent_raises_a_months_budget(
    coder: Client, new_client: NewClient, company: str
) -> None:
    """Be its key an owner's."""
    boss = await new_client(company, Role.OWNER, "agent:boss")
    for client in (coder, boss):
        for place in (AGENT, COMPANY):
            reply = await _limit(client, place, 10**9)
            assert (reply.status, reply.json["code"]) == (403, "forbidden")
