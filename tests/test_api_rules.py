"""What holds for every rule over HTTP: a refusal that helps, and a version that was seen.

Each way to be refused is provoked on an issue, tried and then done; what the refusal says of the
issue must be what a GET says, and the ways out that it names must be open.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest

from api.routes import ROUTES, I, Route
from api.wiring import Ledger
from ledger import errors
from ledger.actors import Role
from ledger.decisions.issues import MAX_DEPTH
from ledger.decisions.labels import MAX_LABELS
from ledger.workflow import WORKFLOWS, Workflow
from tests.client import Client, Reply
from tests.conftest import NewClient
from tests.tour import World, body_of, cost, fill, in_order, path_of


class Desk(NamedTuple):
    """A new issue's path, an owner, and two agents who might want it."""

    issue: str
    owner: Client
    one: Client
    two: Client


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A request that is refused."""

    who: Client
    path: str
    body: Any = None
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=dict)

    async def __call__(self, query: str = "") -> Reply:
        """Makes it."""
        return await self.who.request(self.method, self.path + query, self.body, **self.headers)


Provocation = Callable[[Desk], Awaitable[Attempt]]
PROVOCATIONS: dict[str, Provocation] = {}
"""By the code of the refusal that each comes to."""

WORKFLOW_OF = {"issue_frozen": "ca", "team_without_lead": "crews"}
"""The workflows of which a refusal is."""

ELSEWHERE = {"nothing_to_claim", "idempotency_reply_gone"}
"""Refusals that are about no issue."""


def _provokes(code: str) -> Callable[[Provocation], Provocation]:
    def register(provocation: Provocation) -> Provocation:
        PROVOCATIONS[code] = provocation
        return provocation

    return register


async def _run_of(agent: Client, issue: str) -> str:
    """The path of a run that an agent begins."""
    taken = await agent.post(f"{issue}/checkout")
    assert taken.status == 200, taken
    return f"{issue}/runs/{taken.json['run_id']}"


async def _another(desk: Desk, **fields: Any) -> str:
    """The path of another issue."""
    made = await desk.owner.post("issues", {"title": "Another", **fields})
    assert made.status == 201, made
    return f"issues/{made.json['id']}"


# ── each way to be refused ─────────────────────────────────────────────────────────────


@_provokes("issue_held")
async def _held(desk: Desk) -> Attempt:
    await _run_of(desk.one, desk.issue)
    return Attempt(who=desk.two, path=f"{desk.issue}/checkout")


@_provokes("not_held")
async def _not_held(desk: Desk) -> Attempt:
    return Attempt(who=desk.one, path=f"{desk.issue}/renew")


@_provokes("stale_token")
async def _stale_token(desk: Desk) -> Attempt:
    taken = await desk.one.post(f"{desk.issue}/checkout")
    await desk.owner.post(f"{desk.issue}/release")
    token = {"Ledger_Fencing_Token": str(taken.json["holder"]["fencing_token"])}
    body = {"body": "Late."}
    return Attempt(who=desk.one, path=f"{desk.issue}/comments", body=body, headers=token)


@_provokes("run_over")
async def _run_over(desk: Desk) -> Attempt:
    run = await _run_of(desk.one, desk.issue)
    await desk.one.post(f"{desk.issue}/release")
    return Attempt(who=desk.one, path=f"{run}/progress", body={"message": "Late."})


@_provokes("assigned_elsewhere")
async def _assigned_elsewhere(desk: Desk) -> Attempt:
    await desk.owner.post(f"{desk.issue}/assign", {"agent_id": "two"})
    return Attempt(who=desk.one, path=f"{desk.issue}/checkout")


@_provokes("issue_paused")
async def _issue_paused(desk: Desk) -> Attempt:
    await desk.owner.post(f"{desk.issue}/pause")
    return Attempt(who=desk.one, path=f"{desk.issue}/checkout")


@_provokes("issue_blocked")
async def _issue_blocked(desk: Desk) -> Attempt:
    link = {"link_type": "blocked_by", "target_id": (await _another(desk)).split("/")[1]}
    await desk.owner.post(f"{desk.issue}/links", link)
    return Attempt(who=desk.one, path=f"{desk.issue}/checkout")


@_provokes("issue_frozen")
async def _issue_frozen(desk: Desk) -> Attempt:
    await desk.owner.post(f"{desk.issue}/cancel")
    return Attempt(who=desk.owner, method="PATCH", path=desk.issue, body={"title": "Too late"})


@_provokes("agent_paused")
async def _agent_paused(desk: Desk) -> Attempt:
    made = await desk.owner.post("agents", {"name": "Idle"})
    await desk.owner.post(f"agents/{made.json['id']}/pause")
    return Attempt(who=desk.owner, path=f"{desk.issue}/assign", body={"agent_id": "idle"})


@_provokes("budget_exceeded")
async def _budget_exceeded(desk: Desk) -> Attempt:
    await desk.owner.post(f"{desk.issue}/budget", {"per_task_micros": 1})
    run = await _run_of(desk.one, desk.issue)
    await desk.one.post(f"{run}/costs", cost(cost_micros=1))
    return Attempt(who=desk.one, path=f"{desk.issue}/checkout")


@_provokes("budget_locked")
async def _budget_locked(desk: Desk) -> Attempt:
    await _run_of(desk.one, desk.issue)
    return Attempt(who=desk.owner, path=f"{desk.issue}/budget", body={"per_task_micros": 1})


@_provokes("nobody_available")
async def _nobody_available(desk: Desk) -> Attempt:
    await desk.owner.post("teams", {"name": "Empty"})
    return Attempt(who=desk.owner, path=f"{desk.issue}/assign", body={"team_id": "empty"})


@_provokes("team_without_lead")
async def _team_without_lead(desk: Desk) -> Attempt:
    await desk.owner.post("teams", {"name": "Leaderless"})
    body = {"team_id": "leaderless"}
    return Attempt(who=desk.owner, method="PATCH", path=desk.issue, body=body)


@_provokes("status_not_expected")
async def _status_not_expected(desk: Desk) -> Attempt:
    body = {"expected_statuses": ["backlog"]}
    return Attempt(who=desk.one, path=f"{desk.issue}/checkout", body=body)


@_provokes("transition_not_allowed")
async def _transition_not_allowed(desk: Desk) -> Attempt:
    return Attempt(who=desk.owner, path=f"{desk.issue}/accept")


@_provokes("not_the_author")
async def _not_the_author(desk: Desk) -> Attempt:
    made = await desk.one.post(f"{desk.issue}/comments", {"body": "Mine."})
    path = f"{desk.issue}/comments/{made.json['id']}"
    return Attempt(who=desk.two, method="PATCH", path=path, body={"body": "No, mine."})


@_provokes("taken")
async def _taken(desk: Desk) -> Attempt:
    ref = {"system": "jira", "id": "ABC-1"}
    await _another(desk, external_ref=ref)
    return Attempt(who=desk.owner, method="PATCH", path=desk.issue, body={"external_ref": ref})


@_provokes("hierarchy_cycle")
async def _hierarchy_cycle(desk: Desk) -> Attempt:
    child = (await _another(desk, parent_id=desk.issue.split("/")[1])).split("/")[1]
    return Attempt(who=desk.owner, method="PATCH", path=desk.issue, body={"parent_id": child})


@_provokes("hierarchy_too_deep")
async def _hierarchy_too_deep(desk: Desk) -> Attempt:
    first = {"type": "create_issue", "title": "1", "external_ref": {"system": "chain", "id": "1"}}
    (top,) = (await desk.owner.post("commands", first)).json["outcomes"]
    prefix, number = top["resource"]["identifier"].split("-")
    names = [f"{prefix}-{int(number) + n}" for n in range(MAX_DEPTH + 1)]
    below = [{"type": "create_issue", "title": "x", "parent_id": name} for name in names[:-1]]
    await desk.owner.post("commands", below)
    return Attempt(who=desk.owner, method="PATCH", path=desk.issue, body={"parent_id": names[-1]})


@_provokes("blocking_cycle")
async def _blocking_cycle(desk: Desk) -> Attempt:
    other = (await _another(desk)).split("/")[1]
    body = {"link_type": "blocks", "target_id": other}
    await desk.owner.post(f"{desk.issue}/links", body)
    return Attempt(
        who=desk.owner, path=f"{desk.issue}/links", body={**body, "link_type": "blocked_by"}
    )


@_provokes("dependents_open")
async def _dependents_open(desk: Desk) -> Attempt:
    body = {"link_type": "blocks", "target_id": (await _another(desk)).split("/")[1]}
    await desk.owner.post(f"{desk.issue}/links", body)
    return Attempt(who=desk.owner, path=f"{desk.issue}/close")


@_provokes("too_many")
async def _too_many(desk: Desk) -> Attempt:
    labels = [f"l{n}" for n in range(MAX_LABELS + 1)]
    for names in (labels[:-1], labels[-1:]):
        made = [{"type": "create_label", "name": name} for name in names]
        assert (await desk.owner.post("commands", {"commands": made, "atomic": True})).status == 200
    own = desk.issue.split("/")[1]
    put = [{"type": "label_issue", "issue_id": own, "label": name} for name in labels[:-1]]
    assert (await desk.owner.post("commands", {"commands": put, "atomic": True})).status == 200
    return Attempt(who=desk.owner, path=f"{desk.issue}/labels", body={"label": labels[-1]})


def test_every_way_to_be_refused_is_provoked_here() -> None:
    """Each refusal of the tree but those that are about no issue."""
    codes = {kind.code for kind in errors.Refused.__subclasses__()}
    assert set(PROVOCATIONS) == codes - ELSEWHERE


# ── a refusal that helps ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize("code", PROVOCATIONS)
async def test_a_refusal_says_how_the_issue_stands(
    ledger: Ledger, new_client: NewClient, code: str
) -> None:
    """`current` is what a GET would show, and what may follow; a dry run is refused alike."""
    workflow = WORKFLOW_OF.get(code, "default")
    company = await ledger.create_company("Acme", workflow)
    owner = await new_client(company)
    one = await new_client(company, Role.AGENT, "agent:one")
    two = await new_client(company, Role.AGENT, "agent:two")
    made = await owner.post("issues", {"title": "Wanted"})
    attempt = await PROVOCATIONS[code](Desk(f"issues/{made.json['id']}", owner, one, two))
    before = await _head(owner)
    tried, refused = await attempt("?dry_run=true"), await attempt()
    assert (refused.status, refused.json["code"]) == (409, code)
    assert (tried.status, _said(tried)) == (refused.status, _said(refused))
    assert await _head(owner) == before
    issue = (await owner.get("/".join(attempt.path.split("/")[:2]))).json
    seen = ("id", "identifier", "version", "status", "assignee", "holder", "paused_at")
    assert refused.json["current"] == {name: issue[name] for name in seen} | {
        "allowed": {
            "statuses": list(WORKFLOWS[workflow].steps[issue["status"]]),
            "verbs": WORKFLOWS[workflow].verbs_from(issue["status"]),
        }
    }
    assert refused.json["detail"].endswith(".")


@pytest.mark.parametrize("workflow", WORKFLOWS.values(), ids=WORKFLOWS)
async def test_what_a_refusal_calls_allowed_is_accepted_and_nothing_else(
    ledger: Ledger, new_client: NewClient, workflow: Workflow
) -> None:
    """Of every status of every workflow: the statuses that may follow, and the verbs."""
    owner = await new_client(await ledger.create_company("Acme", workflow.name))
    await owner.post("agents", {"name": "One"})
    ways = _ways(workflow)
    assert set(ways) == set(workflow.steps)
    wrong = []
    for status, way in ways.items():
        issue = await _issue(owner)
        for step in way:
            assert (await owner.post(f"{issue}/{step.path}", step.body)).status == 200, way
        refused = await owner.post(f"{issue}/release", If_Match='"99"')
        current = refused.json["current"]
        assert (refused.status, current["status"]) == (412, status)
        accepted: dict[str, set[str]] = {"statuses": set(), "verbs": set()}
        for kind, step in _steps(workflow):
            tried = await owner.post(f"{issue}/{step.path}?dry_run=true", step.body)
            if tried.status == 200 and step.to_status != status:
                accepted[kind].add(step.name)
        if accepted != {kind: set(names) for kind, names in current["allowed"].items()}:
            wrong.append((status, accepted, current["allowed"]))
    assert not wrong


class Step(NamedTuple):
    """A request that moves an issue to another status."""

    name: str
    to_status: str
    path: str
    body: Any = None


def _steps(workflow: Workflow) -> list[tuple[str, Step]]:
    """Everything that might move an issue: naming each status, and each verb."""
    named = [Step(to, to, "transition", {"status": to}) for to in workflow.steps]
    verbs = [
        Step(name, verb.to_status, name.replace("_", "-")) for name, verb in workflow.verbs.items()
    ]
    return [*(("statuses", step) for step in named), *(("verbs", step) for step in verbs)]


def _ways(workflow: Workflow) -> dict[str, list[Step]]:
    """The shortest way to each status, from where new issues begin."""
    checkout = Step("checkout", "in_progress", "checkout", {"agent_id": "one"})
    ways: dict[str, list[Step]] = {workflow.initial: []}
    reached = [workflow.initial]
    for status in reached:  # It grows meanwhile.
        leading = {"statuses": workflow.steps[status], "verbs": workflow.verbs_from(status)}
        steps = [step for kind, step in _steps(workflow) if step.name in leading[kind]]
        for step in [checkout, *steps] if status in workflow.workable else steps:
            if step.to_status not in ways:
                ways[step.to_status] = [*ways[status], step]
                reached.append(step.to_status)
    return ways


async def test_a_refusal_that_is_about_no_issue_has_no_current(owner: Client) -> None:
    """There is nothing to claim: no issue is to blame."""
    await owner.post("agents", {"name": "Idle"})
    refused = await owner.post("agents/idle/claim-next")
    assert (refused.status, refused.json["code"]) == (409, "nothing_to_claim")
    assert "current" not in refused.json


# ── a version that was seen ────────────────────────────────────────────────────────────


def _on_an_issue() -> list[Route]:
    return [route for route in in_order() if route.is_command and route.path.startswith(I)]


def test_if_match_is_asked_of_every_command_on_an_issue() -> None:
    """All of them, be they of its runs, its comments, its labels or its links."""
    assert len(_on_an_issue()) == sum(r.is_command and r.path.startswith(I) for r in ROUTES) > 30


async def test_a_command_on_an_issue_takes_the_version_that_stands_alone(owner: Client) -> None:
    """The one before is a 412 that tells the one event since; the one that stands is accepted."""
    world = await fill(owner)
    wrong = []
    for route in _on_an_issue():
        path, body = path_of(route, world), body_of(route, world)
        stream, version = await _seen(owner, route, world)
        before = await _head(owner)
        late = await owner.request(route.method, path, body, If_Match=f'"{version - 1}"')
        unchanged = await _head(owner) == before
        last = (await _events(owner, stream))[-1]
        told = (late.status, late.json["code"], late.json["current"]["version"], unchanged)
        if told != (412, "stale_version", version, True) or late.json["changed"] != [last]:
            wrong.append((route.operation_id, late))
        done = await owner.request(route.method, path, body, If_Match=f'"{version}"')
        if done.status != route.status:
            wrong.append((route.operation_id, done))
    assert not wrong


async def test_a_stale_version_is_told_what_has_changed_since(owner: Client) -> None:
    """The events of the issue since the version that was seen, as the log has them."""
    issue = await _issue(owner)
    await owner.patch(issue, {"priority": "high"})
    await owner.post(f"{issue}/comments", {"body": "x"})
    await owner.post(f"{issue}/transition", {"status": "done"})
    told = (await owner.patch(issue, {"title": "y"}, If_Match='"2"')).json
    assert [event["type"] for event in told["changed"]] == [
        "issue.commented", "issue.transitioned",
    ]  # fmt: skip
    assert told["changed"] == (await _events(owner, issue.split("/")[1]))[2:]
    assert (told["current"]["version"], told["current"]["status"]) == (4, "done")


async def test_a_version_that_is_yet_to_come_has_seen_all(owner: Client) -> None:
    """Nothing has changed since; it is refused all the same."""
    refused = await owner.patch(await _issue(owner), {"title": "y"}, If_Match='"7"')
    assert (refused.status, refused.json["changed"]) == (412, [])


async def test_long_data_is_left_out_of_what_has_changed(owner: Client) -> None:
    """The event is told, its text is not: `data` is null, and the log has it."""
    issue = await _issue(owner)
    await owner.post(f"{issue}/comments", {"body": "x" * 3000})
    await owner.post(f"{issue}/comments", {"body": "x" * 5000})
    await owner.patch(issue, {"description": "é" * 2100})
    told = (await owner.patch(issue, {"title": "y"}, If_Match='"1"')).json["changed"]
    assert [event["data"] is None for event in told] == [False, True, True]
    assert [event["version"] for event in told] == [2, 3, 4]


@pytest.mark.parametrize("count", [1, 20, 21, 30])
async def test_of_very_many_changes_the_first_are_told(owner: Client, count: int) -> None:
    """Twenty, without a gap, and whether that is all."""
    issue = await _issue(owner)
    said = {"type": "comment_on_issue", "issue_id": issue.split("/")[1], "body": "x"}
    await owner.post("commands", [said] * count)
    told = (await owner.patch(issue, {"title": "y"}, If_Match='"1"')).json
    assert [event["version"] for event in told["changed"]] == list(range(2, 2 + min(count, 20)))
    assert told["changed_is_all"] is (count <= 20)
    assert told["current"]["version"] == count + 1


@pytest.mark.parametrize("atomic", [False, True])
async def test_a_list_of_commands_is_told_what_has_changed_too(owner: Client, atomic: bool) -> None:
    """By `expected_version`, as by If-Match."""
    issue = await _issue(owner)
    await owner.patch(issue, {"priority": "high"})
    late = {"type": "edit_issue", "issue_id": issue.split("/")[1], "title": "y",
            "expected_version": 1}  # fmt: skip
    reply = await owner.post("commands", {"commands": [late], "atomic": atomic})
    problem = reply.json if atomic else reply.json["outcomes"][0]["problem"]
    assert (problem["status"], problem["code"]) == (412, "stale_version")
    assert problem["changed"] == (await _events(owner, issue.split("/")[1]))[1:]
    assert problem["current"]["version"] == 2


async def test_what_is_no_issue_is_told_its_changes_too(owner: Client) -> None:
    """An agent, a key, the company: the version that stands, and the events since."""
    agent = (await owner.post("agents", {"name": "Coder"})).json["id"]
    key = (await owner.post("keys", {"role": "agent", "actor": "agent:x"})).json["id"]
    await owner.post(f"agents/{agent}/pause")
    await owner.patch(f"keys/{key}", {"name": "y"})
    await owner.post("budget", {"monthly_micros": 5})
    for stream, method, path, body, last in (
        (agent, "POST", f"agents/{agent}/resume", None, "agent.paused"),
        (key, "PATCH", f"keys/{key}", {"name": "z"}, "key.renamed"),
        (owner.company, "POST", "budget", {"monthly_micros": 6}, "company.budget_set"),
    ):
        told = (await owner.request(method, path, body, If_Match='"1"')).json
        assert told["code"] == "stale_version"
        assert [event["type"] for event in told["changed"]] == [last], path
        assert told["changed"] == (await _events(owner, stream))[1:]
        assert told["current"]["version"] == 2


# ── helpers ────────────────────────────────────────────────────────────────────────────


async def _issue(owner: Client) -> str:
    return f"issues/{(await owner.post('issues', {'title': 'x'})).json['id']}"


async def _head(owner: Client) -> str:
    return (await owner.get("")).headers["Ledger-Position"]


def _said(refused: Reply) -> dict[str, Any]:
    """A problem, but for what is another one with every request."""
    return {name: value for name, value in refused.json.items() if name != "request_id"}


async def _seen(owner: Client, route: Route, world: World) -> tuple[str, int]:
    """The stream that a command's If-Match is about, and the version of it."""
    get = "get_run" if "{run_id}" in route.path else "get_issue"
    reading = next(r for r in ROUTES if r.operation_id == get)
    path = "/".join(path_of(route, world).split("/")[: reading.path.count("/") + 1])
    shown = await owner.get(path)
    assert shown.status == 200, shown
    return shown.json["id"], shown.json["version"]


async def _events(owner: Client, stream: str) -> list[dict[str, Any]]:
    """The events of a stream, as a refusal tells of them."""
    found: list[dict[str, Any]] = []
    path: str | None = "events?limit=200"
    while path is not None:
        page = await owner.get(path)
        found += [event for event in page.json["items"] if event["stream_id"] == stream]
        cursor = page.json["next_cursor"]
        path = None if cursor is None else f"events?limit=200&cursor={cursor}"
    names = ("position", "version", "type", "actor", "recorded_at", "data")
    return [{name: event[name] for name in names} for event in found]
