"""What each role may do: exactly what `ledger/actors.py` grants, on every route."""

from __future__ import annotations

import pytest

from api.routes import ROUTES, Route
from ledger.actors import Permission, Role
from ledger.ids import new_id
from tests.client import Client
from tests.conftest import NewClient
from tests.tour import World, call, fill, in_order

_NEEDED = {
    "set_company_budget": Permission.ADMINISTER,
    "pause_agent": Permission.ORGANISE,
    "resume_agent": Permission.ORGANISE,
    "set_agent_budget": Permission.ORGANISE,
    "create_key": Permission.ADMINISTER,
    "rename_key": Permission.ADMINISTER,
    "revoke_key": Permission.ADMINISTER,
    "delete_issue": Permission.MODERATE,
} | {
    f"{verb}_{kind}": permission
    for permission, kinds in (
        (Permission.ORGANISE, ("user", "agent", "team")),
        (Permission.PLAN, ("project", "goal", "milestone", "label", "routine")),
    )
    for kind in kinds
    for verb in ("create", "update", "archive")
}
"""What each command needs; the rest are work on issues."""

_MAY = {
    Role.OWNER: "own administer organise plan moderate work",
    Role.ADMIN: "administer organise plan moderate work",
    Role.MANAGER: "organise plan moderate work",
    Role.EDITOR: "plan moderate work",
    Role.AGENT: "work",
    Role.VIEWER: "",
    Role.AUDITOR: "",
}
_READERS_OF_KEYS = (Role.OWNER, Role.ADMIN, Role.AUDITOR)

_FROM = {
    "submit_issue": "in_progress",
    "accept_issue": "in_review",
    "reject_issue": "in_review",
    "fail_issue": "in_progress",
    "hand_off_issue": "in_progress",
    "take_over_issue": "handoff",
    "cancel_issue": "todo",
    "close_issue": "todo",
    "reopen_issue": "done",
    "pause_issue": "todo",
    "resume_issue": "todo",
    "set_issue_budget": "todo",
    "expire_lease": "todo",
}
"""The status of an issue to which it may happen."""

_IN_A_RUN = {"report_progress", "save_checkpoint", "retain_workspace", "finish_run", "fail_run"}
_FOR_PEOPLE = {"take_over_issue", "resume_issue"}
"""What no agent does, whatever its role."""


def _needed(route: Route) -> Permission:
    return _NEEDED.get(route.operation_id, Permission.WORK)


async def _ready_for(route: Route, owner: Client, world: World) -> dict[str, str]:
    """An issue of its own, and a run, where the command cannot be carried out on the world's."""
    name = route.operation_id
    if name not in _FROM and name not in _IN_A_RUN:
        return {}
    made = await owner.post("issues", {"title": name, "status": _FROM.get(name, "todo")})
    issue_id = made.json["id"]
    if name == "resume_issue":
        assert (await owner.post(f"issues/{issue_id}/pause")).status == 200
    if name in _FROM:
        return {"issue_id": issue_id}
    taken = await owner.post(f"issues/{issue_id}/checkout", {"agent_id": world["agent"]})
    return {"issue_id": issue_id, "run_id": taken.json["run_id"]}


@pytest.mark.parametrize("role", Role)
def test_a_role_is_granted_what_the_table_says(role: Role) -> None:
    """The grants are as documented, from owner down to auditor."""
    assert {str(p) for p in Permission if role.may(p)} == set(_MAY[role].split())


@pytest.mark.parametrize("role", Role)
async def test_a_role_carries_out_what_it_may_and_is_refused_the_rest(
    new_client: NewClient, company: str, owner: Client, role: Role
) -> None:
    """Each command route answers 403 exactly where the role lacks its permission."""
    world = await fill(owner)
    actor = f"agent:{world['agent']}" if role is Role.AGENT else "user:somebody"
    client = await new_client(company, role, actor)
    wrong = []
    for route in in_order():
        if not route.is_command or route.operation_id == "carry_out_commands":
            continue
        reply = await call(client, route, world, **await _ready_for(route, owner, world))
        granted = role.may(_needed(route))
        allowed = granted and not (role is Role.AGENT and route.operation_id in _FOR_PEOPLE)
        if allowed is (reply.status == 403):
            wrong.append((route.operation_id, reply.status, reply.json))
        elif not allowed:
            assert reply.json["code"] == "forbidden"
            assert reply.json.get("role") == (None if granted else str(role))
        elif role in (Role.OWNER, Role.ADMIN, Role.MANAGER) and reply.status >= 400:
            wrong.append((route.operation_id, reply.status, reply.json))
    assert not wrong


@pytest.mark.parametrize("role", Role)
async def test_every_role_reads_everything_but_keys(
    new_client: NewClient, company: str, owner: Client, role: Role
) -> None:
    """Reading is allowed to all; API keys are shown to owner, admin and auditor alone."""
    world = await fill(owner)
    client = await new_client(company, role, "user:somebody")
    for route in ROUTES:
        if route.is_command:
            continue
        reply = await call(client, route, world)
        hidden = route.operation_id in ("list_keys", "get_key") and role not in _READERS_OF_KEYS
        assert reply.status == (403 if hidden else 200), (route.operation_id, reply)


@pytest.mark.parametrize("role", Role)
async def test_a_list_of_commands_asks_for_the_same_permissions(
    new_client: NewClient, company: str, owner: Client, role: Role
) -> None:
    """`POST …/commands` is no way round a role: each outcome is as its own route's."""
    world = await fill(owner)
    client = await new_client(company, role, "user:somebody")
    commands = [
        {"type": "create_issue", "title": "Work"},
        {"type": "create_label", "name": "Plan"},
        {"type": "create_agent", "name": "Organise"},
        {"type": "create_key", "role": "viewer", "actor": "user:administer"},
        {"type": "create_key", "role": "owner", "actor": "user:own"},
        {"type": "delete_issue", "issue_id": world["target"]},
        {"type": "set_company_budget", "monthly_micros": 10**12},
        {"type": "set_agent_budget", "agent_id": world["agent"], "monthly_micros": 10**12},
        {"type": "pause_agent", "agent_id": world["agent"]},
        {"type": "close_issue", "issue_id": world["free"]},
    ]
    needed = (
        Permission.WORK, Permission.PLAN, Permission.ORGANISE, Permission.ADMINISTER,
        Permission.OWN, Permission.MODERATE, Permission.ADMINISTER, Permission.ORGANISE,
        Permission.ORGANISE, Permission.WORK,
    )  # fmt: skip
    reply = await client.post("commands", commands)
    assert reply.status == 200
    refused = [outcome["status"] == 403 for outcome in reply.json["outcomes"]]
    assert refused == [not role.may(permission) for permission in needed]


async def test_only_an_owner_makes_revokes_and_renames_an_owners_key(
    new_client: NewClient, company: str, owner: Client
) -> None:
    """An admin administers keys, but not those of owners."""
    admin = await new_client(company, Role.ADMIN, "user:admin")
    made = await owner.post("keys", {"role": "owner", "actor": "user:boss"})
    assert made.status == 201
    other = await admin.post("keys", {"role": "admin", "actor": "user:deputy"})
    assert other.status == 201
    assert (await admin.post("keys", {"role": "owner", "actor": "user:me"})).status == 403
    assert (await admin.patch(f"keys/{made.json['id']}", {"name": "x"})).status == 403
    assert (await admin.delete(f"keys/{made.json['id']}")).status == 403
    assert (await admin.delete(f"keys/{other.json['id']}")).status == 204
    assert (await owner.delete(f"keys/{made.json['id']}")).status == 204


async def test_an_agent_checks_out_for_itself_alone(
    new_client: NewClient, company: str, owner: Client
) -> None:
    """An agent's key takes an issue for that agent; for another one it is 403."""
    world = await fill(owner)
    me = await new_client(company, Role.AGENT, "agent:me")
    path = f"issues/{world['free']}/checkout"
    refused = await me.post(path, {"agent_id": world["agent"]})
    assert (refused.status, refused.json["code"]) == (403, "forbidden")
    taken = await me.post(path)
    assert (taken.status, taken.json["holder"]["agent_id"]) == (200, "me")


async def test_a_person_checks_out_for_an_agent_that_they_name(owner: Client) -> None:
    """A user is no agent: they say which agent is to work, or it is a 422."""
    world = await fill(owner)
    path = f"issues/{world['target']}/checkout"
    unsaid = await owner.post(path)
    assert unsaid.status == 422
    assert unsaid.json["errors"][0]["pointer"] == "/agent_id"
    said = await owner.post(path, {"agent_id": world["agent"]})
    assert said.json["holder"]["agent_id"] == world["agent"]


async def test_an_agent_reports_costs_of_its_own_runs_alone(
    new_client: NewClient, company: str, owner: Client
) -> None:
    """Another agent's run is not for it to report on."""
    world = await fill(owner)
    other = await new_client(company, Role.AGENT, "agent:other")
    path = f"issues/{world['issue']}/runs/{world['run']}/costs"
    reply = await other.post(path, {"provider": "p", "model": "m"})
    assert (reply.status, reply.json["code"]) == (403, "forbidden")


async def test_a_comment_is_its_authors_and_a_moderators_to_change(
    new_client: NewClient, company: str, owner: Client
) -> None:
    """Another agent is told whose it is; an editor may."""
    world = await fill(owner)
    path = f"issues/{world['issue']}/comments/{world['comment']}"
    agent = await new_client(company, Role.AGENT, "agent:other")
    for reply in (await agent.patch(path, {"body": "Mine"}), await agent.delete(path)):
        assert (reply.status, reply.json["code"]) == (409, "not_the_author")
    editor = await new_client(company, Role.EDITOR, "user:editor")
    assert (await editor.patch(path, {"body": "Moderated"})).status == 200


async def test_what_a_role_may_not_do_does_not_tell_what_there_is(
    new_client: NewClient, company: str, owner: Client
) -> None:
    """A viewer's 403 is the same for an issue that is and for one that never was."""
    world = await fill(owner)
    viewer = await new_client(company, Role.VIEWER, "user:viewer")
    there = await viewer.post(f"issues/{world['issue']}/release")
    nowhere = await viewer.post(f"issues/{new_id()}/release")
    assert there.status == nowhere.status == 403
    assert there.json["detail"] == nowhere.json["detail"]
