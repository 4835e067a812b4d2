"""A company with one of everything in it, and for each route a request that it takes.

What roles, tenancy and the OpenAPI document promise holds for every route; here is what
their tests need to call every route.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from api.routes import ROUTES, Route
from tests.client import Client, Reply

KINDS = ("user", "agent", "team", "project", "goal", "milestone", "label", "routine")
PLACES = re.compile(r"{(\w+)}")


@dataclass(frozen=True, slots=True)
class World:
    """The ids of one of everything in a company; `name` tells it from another company's."""

    company: str
    name: str
    ids: dict[str, str]

    def __getitem__(self, kind: str) -> str:
        """The id of the company's issue, comment, agent, …"""
        return self.ids[kind]

    def slug(self, kind: str) -> str:
        """The slug of the company's entry of a kind."""
        return f"{self.name}-{kind}"


async def fill(client: Client, name: str = "here") -> World:
    """Makes one of everything, in use: a checked-out issue with comment, label, link, cost."""
    ids: dict[str, str] = {}

    async def make(kind: str, path: str, body: dict[str, Any], **headers: str) -> None:
        reply = await client.post(path, body, **headers)
        assert reply.status in (200, 201), (path, reply)
        ids[kind] = reply.json["id"]

    for kind in KINDS:
        await make(kind, f"{kind}s", {"name": f"{name} {kind}", "slug": f"{name}-{kind}"})
    await make("key", "keys", {"role": "agent", "actor": f"agent:{ids['agent']}"})
    await make("parent", "issues", {"title": f"{name} parent"})
    await make("target", "issues", {"title": f"{name} target"})
    await make(
        "issue",
        "issues",
        {
            "title": f"{name} issue",
            "description": f"{name} text",
            "team_id": ids["team"],
            "project_id": ids["project"],
            "goal_id": ids["goal"],
            "milestone_id": ids["milestone"],
            "parent_id": ids["parent"],
            "labels": [ids["label"]],
            "assignee": f"agent:{ids['agent']}",
            "external_ref": {"system": name, "id": f"{name}-1"},
        },
    )
    issue = f"issues/{ids['issue']}"
    checked_out = await client.post(f"{issue}/checkout", {"agent_id": ids["agent"]})
    assert checked_out.status == 200, checked_out
    ids["run"] = checked_out.json["run_id"]
    await make("comment", f"{issue}/comments", {"body": f"{name} comment"})
    await make("link", f"{issue}/links", {"link_type": "blocks", "target_id": ids["target"]})
    await make("run", f"{issue}/runs/{ids['run']}/costs", cost())
    return World(client.company, name, ids)


def cost(**changes: Any) -> dict[str, Any]:
    """A cost report."""
    return {"provider": "anthropic", "model": "claude", "input_tokens": 7, "cost_micros": 3} | (
        changes
    )


def path_of(route: Route, world: World, **other: str) -> str:
    """The route's path below the company, with the world's ids, or with `other`."""
    places = {f"{kind}_id": ref for kind, ref in world.ids.items()}
    filled = PLACES.sub(
        lambda found: (places | {"company_id": world.company} | other)[found[1]], route.path
    )
    return filled


def body_of(route: Route, world: World) -> dict[str, Any] | None:
    """A body that the route takes; None for one that takes none."""
    return bodies(world).get(route.operation_id) if route.body is not None else None


def bodies(world: World) -> dict[str, dict[str, Any]]:
    """For each command, the body of a request that is all right."""
    found: dict[str, dict[str, Any]] = {
        "create_key": {"role": "agent", "actor": f"agent:{world['agent']}"},
        "rename_key": {"name": "Another"},
        "create_issue": {"title": "Another"},
        "edit_issue": {"priority": "high"},
        "delete_issue": {"reason": "Done with."},
        "transition_issue": {"status": "in_review"},
        "check_out_issue": {"agent_id": world["agent"]},
        "release_issue": {"reason": "Enough."},
        "assign_issue": {"agent_id": world["agent"]},
        "reassign_issue": {"user_id": world["user"]},
        "comment_on_issue": {"body": "Another"},
        "edit_comment": {"body": "Better"},
        "label_issue": {"label": world["label"]},
        "link_issue": {"link_type": "relates_to", "target_id": world["target"]},
        "report_cost": cost(),
        "carry_out_commands": {
            "commands": [
                {"type": "comment_on_issue", "issue_id": world["issue"], "body": "In a list"}
            ]
        },
    }
    for kind in KINDS:
        found[f"create_{kind}"] = {"name": f"Another {kind}"}
        found[f"update_{kind}"] = {"name": f"{world.name} {kind}, renamed"}
    return found


def in_order() -> list[Route]:
    """Every route, in an order in which each finds what it is about still there."""

    def place(route: Route) -> tuple[bool, bool, bool]:
        return (
            route.operation_id == "delete_issue",
            route.operation_id.startswith("archive_"),
            route.method == "DELETE",
        )

    return sorted(ROUTES, key=place)


async def call(client: Client, route: Route, world: World, **other: str) -> Reply:
    """Calls a route with what it takes."""
    return await client.request(route.method, path_of(route, world, **other), body_of(route, world))
