"""A company with one of everything in it, and for each route a request that it takes.

What roles, tenancy and the OpenAPI document promise holds for every route; here is what
their tests need to call every route.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from yarl import URL

from api.routes import ROUTES, Route
from tests.client import Client, Reply

KINDS = ("user", "agent", "team", "project", "goal", "milestone", "label", "routine")
PLACES = re.compile(r"{(\w+)}")


@dataclass(frozen=True, slots=True)
class World:
    """The ids of one of everything in a company; `name` tells it from another company's.

    `report` is the position of a report of costs of its run.
    """

    company: str
    name: str
    ids: dict[str, str]
    report: int = 0

    def __getitem__(self, kind: str) -> str:
        """The id of the company's issue, comment, agent, …"""
        return self.ids[kind]

    def slug(self, kind: str) -> str:
        """The slug of the company's entry of a kind."""
        return f"{self.name}-{kind}"


async def fill(client: Client, name: str = "here") -> World:
    """Makes one of everything, in use: a checked-out issue with comment, label, link, cost.

    Beside it, issues of other statuses, so that every verb has one that it may happen to.
    """
    ids: dict[str, str] = {}

    async def make(kind: str, path: str, body: dict[str, Any], **headers: str) -> None:
        reply = await client.post(path, body, **headers)
        assert reply.status in (200, 201), (path, reply)
        ids[kind] = reply.json["id"]

    async def check_out(kind: str, run: str) -> None:
        reply = await client.post(f"issues/{ids[kind]}/checkout", {"agent_id": ids["agent"]})
        assert reply.status == 200, reply
        ids[run] = reply.json["run_id"]

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
    await check_out("issue", "run")
    await make("comment", f"{issue}/comments", {"body": f"{name} comment"})
    await make("link", f"{issue}/links", {"link_type": "blocks", "target_id": ids["target"]})
    await make("run", f"{issue}/runs/{ids['run']}/costs", cost())
    reports = (await client.get("events?type=run.cost_reported")).json["items"]
    for kind, status in _STATUSES.items():
        await make(kind, "issues", {"title": f"{name} {kind}", "status": status})
    await check_out("tried", "trial")
    return World(client.company, name, ids, reports[0]["position"])


_STATUSES = {
    "begun": "in_progress",
    "reviewed": "in_review",
    "handed_off": "handoff",
    "finished": "done",
    "tried": "todo",
    "free": "todo",
}
"""What kind of issue each is, and the status that it is written down with."""

_HAPPENS_TO: Mapping[str, Mapping[str, str]] = {
    "transition_issue": {"issue_id": "free"},
    "submit_issue": {"issue_id": "begun"},
    "accept_issue": {"issue_id": "reviewed"},
    "reject_issue": {"issue_id": "begun"},
    "fail_issue": {"issue_id": "begun"},
    "hand_off_issue": {"issue_id": "free"},
    "take_over_issue": {"issue_id": "handed_off"},
    "cancel_issue": {"issue_id": "handed_off"},
    "close_issue": {"issue_id": "finished"},
    "reopen_issue": {"issue_id": "finished"},
    "pause_issue": {"issue_id": "finished"},
    "resume_issue": {"issue_id": "finished"},
    "set_issue_budget": {"issue_id": "finished"},
    "check_out_issue": {"issue_id": "free"},
    "expire_lease": {"issue_id": "finished"},
    "release_issue": {"issue_id": "free"},
    "assign_issue": {"issue_id": "free"},
    "unassign_issue": {"issue_id": "free"},
    "reassign_issue": {"issue_id": "free"},
    "fail_run": {"issue_id": "tried", "run_id": "trial"},
}
"""For commands that do not happen to `issue` and its `run`: what they happen to.

In the order of the routes, each finds it as the ones before have left it: `begun` is submitted,
rejected, then failed; `free` is moved to review, handed off, checked out, released, then given
away; `finished` is closed, reopened, paused, then resumed.
"""


def cost(**changes: Any) -> dict[str, Any]:
    """A cost report."""
    return {"provider": "anthropic", "model": "claude", "input_tokens": 7, "cost_micros": 3} | (
        changes
    )


def about(operation: str, world: World) -> dict[str, str]:
    """The ids of what an operation is about, by the names of its path's places."""
    own = _HAPPENS_TO.get(operation, {})
    places = {f"{kind}_id": ref for kind, ref in world.ids.items()}
    return places | {place: world[kind] for place, kind in own.items()}


_QUERIES = {"explain": "?issue={issue_id}&field=status"}
"""What a query must say, of the routes whose query must say something."""


def path_of(route: Route, world: World, **other: str) -> str:
    """The route's path below the company, with the world's ids, or with `other`."""
    places = about(route.operation_id, world) | {"company_id": world.company} | other
    path = route.path + _QUERIES.get(route.operation_id, "")
    return PLACES.sub(lambda found: places[found[1]], path)


def asking(path: str, **query: str) -> str:
    """A path with these query parameters, in place of those of the same name that it has."""
    return str(URL(path).update_query(query))


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
        "set_company_budget": {"monthly_micros": 10**12},
        "set_agent_budget": {"monthly_micros": 10**12},
        "set_issue_budget": {"per_task_micros": 10**12},
        "submit_issue": {"reason": "Look at it."},
        "accept_issue": {},
        "reject_issue": {"reason": "Not yet."},
        "fail_issue": {},
        "hand_off_issue": {},
        "take_over_issue": {},
        "cancel_issue": {},
        "close_issue": {"force": True},
        "reopen_issue": {},
        "pause_issue": {},
        "pause_agent": {"reason": "Holiday."},
        "claim_next_issue": {"lease_seconds": 60},
        "renew_lease": {"lease_seconds": 60},
        "report_progress": {"message": "Half-way.", "percent": 50},
        "save_checkpoint": {"checkpoint": {"step": 1.5}},
        "retain_workspace": {"workspace_url": "https://example.com/w"},
        "finish_run": {},
        "fail_run": {"exit_details": "Out of context."},
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
        "correct_cost": {
            "corrects_position": world.report,
            "cost_micros": 2,
            "reason": "Twice.",
        },
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
