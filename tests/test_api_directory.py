"""The directory over HTTP: eight kinds of entry, one set of rules."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.ids import new_id
from tests.client import Client
from tests.tour import KINDS

FIELDS: dict[str, dict[str, Any]] = {
    "user": {"email": "alice@example.com"},
    "agent": {"description": "Writes code."},
    "team": {"description": "Builds it."},
    "project": {"description": "The website.", "target_date": "2026-12-31"},
    "goal": {"description": "More users.", "target_date": "2027-06-30"},
    "milestone": {"description": "Beta.", "target_date": "2026-11-30"},
    "label": {"description": "Something broke.", "color": "#ff0000"},
    "routine": {"description": "Every morning.", "instructions": "Read the news."},
}
every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
async def test_an_entry_needs_a_name_and_nothing_else(owner: Client, kind: str) -> None:
    """201 with the id on top and a slug made from the name; without a name it is a 422."""
    made = await owner.post(f"{kind}s", {"name": "Über Größe No. 1"})
    assert made.status == 201
    assert made.headers["ETag"] == '"1"'
    assert made.json["slug"] == "über-größe-no.-1"
    read = await owner.get(f"{kind}s/{made.json['id']}")
    assert read.json == made.json
    for body in ({}, {"name": ""}, {"name": "  "}, {"name": None}, {"name": "x" * 201}):
        reply = await owner.post(f"{kind}s", body)
        assert reply.status == 422
        assert reply.json["errors"][0]["pointer"] == "/name"


@every_kind
async def test_an_entry_keeps_the_fields_of_its_kind(owner: Client, kind: str) -> None:
    """What is written comes back, is changed by PATCH, and cleared by null."""
    made = await owner.post(f"{kind}s", {"name": "One", **FIELDS[kind]})
    path = f"{kind}s/{made.json['id']}"
    assert FIELDS[kind].items() <= (await owner.get(path)).json.items()
    name, value = next(iter(FIELDS[kind].items()))
    cleared = await owner.patch(path, {name: None})
    assert (cleared.status, cleared.json[name], cleared.json["version"]) == (200, None, 2)
    again = await owner.patch(path, {name: value, "name": "Two", "slug": "two"})
    assert (again.json[name], again.json["name"], again.json["slug"]) == (value, "Two", "two")
    assert (await owner.get(path)).json == again.json


@every_kind
async def test_a_field_of_another_kind_is_unknown(owner: Client, kind: str) -> None:
    """Unknown body fields are a 422, in POST and PATCH."""
    made = await owner.post(f"{kind}s", {"name": "One"})
    for other in ({"issue_id": "x"}, {"archived_at": None}, {"id": new_id()}):
        assert (await owner.post(f"{kind}s", {"name": "Two", **other})).status == 422
        assert (await owner.patch(f"{kind}s/{made.json['id']}", other)).status == 422


@every_kind
async def test_an_entry_is_found_by_id_or_slug_in_any_case(owner: Client, kind: str) -> None:
    """Wherever an entry's id goes its slug goes: GET, PATCH and DELETE."""
    made = (await owner.post(f"{kind}s", {"name": "Coder Two"})).json
    for ref in (made["id"], "coder-two", "CODER-TWO"):
        reply = await owner.get(f"{kind}s/{ref}")
        assert (reply.status, reply.status == 200 and reply.json["id"]) == (200, made["id"]), ref
        assert (await owner.patch(f"{kind}s/{ref}", {"name": "Coder Two"})).status == 200
    assert (await owner.delete(f"{kind}s/coder-two")).status == 204


@every_kind
async def test_a_slug_that_was_chosen_is_refused_when_taken(owner: Client, kind: str) -> None:
    """409 with whose it is, on creating and on changing."""
    first = (await owner.post(f"{kind}s", {"name": "One", "slug": "same"})).json
    second = (await owner.post(f"{kind}s", {"name": "Two", "slug": "other"})).json
    for reply in (
        await owner.post(f"{kind}s", {"name": "Three", "slug": "same"}),
        await owner.patch(f"{kind}s/{second['id']}", {"slug": "same"}),
    ):
        assert (reply.status, reply.json["code"]) == (409, "taken")
        assert reply.json["taken_by"] == first["id"]
        assert reply.json["errors"][0]["pointer"] == "/slug"
    for wrong in ("Same", "a b", "", "-x", "x" * 101, None):
        reply = await owner.patch(f"{kind}s/{second['id']}", {"slug": wrong})
        assert reply.status == 422, wrong


@every_kind
async def test_a_slug_made_from_the_name_gives_way(owner: Client, kind: str) -> None:
    """Two agents may both be called Coder; a label is its name, and there is one of each."""
    first = await owner.post(f"{kind}s", {"name": "Coder"})
    second = await owner.post(f"{kind}s", {"name": "Coder"})
    if kind == "label":
        assert (second.status, second.json["code"]) == (409, "taken")
        return
    assert second.status == 201
    assert second.json["slug"] != first.json["slug"]


@every_kind
async def test_an_archived_entry_leaves_the_lists(owner: Client, kind: str) -> None:
    """Gone unless asked for; its slug is free again, and it is changed no more."""
    made = (await owner.post(f"{kind}s", {"name": "One"})).json
    path = f"{kind}s/{made['id']}"
    gone = await owner.delete(path)
    assert (gone.status, gone.json) == (204, None)
    assert (await owner.get(path)).status == 404
    kept = await owner.get(f"{path}?archived=true")
    assert (kept.status, kept.json["archived_at"] is not None) == (200, True)
    assert (await owner.get(f"{kind}s")).json["items"] == []
    listed = (await owner.get(f"{kind}s?archived=true")).json["items"]
    assert [item["id"] for item in listed] == [made["id"]]
    assert (await owner.patch(path, {"name": "Two"})).status == 404
    assert (await owner.delete(path)).status == 404
    assert (await owner.post(f"{kind}s", {"name": "One"})).json["slug"] == "one"


async def test_an_entry_of_another_kind_is_not_there(owner: Client) -> None:
    """An agent's id is nobody's among the projects."""
    made = (await owner.post("agents", {"name": "Coder"})).json
    for kind in KINDS[2:]:
        assert (await owner.get(f"{kind}s/{made['id']}")).status == 404
        assert (await owner.patch(f"{kind}s/{made['id']}", {"name": "x"})).status == 404
        assert (await owner.delete(f"{kind}s/{made['id']}")).status == 404


async def test_a_team_has_a_prefix_a_lead_and_agents(owner: Client) -> None:
    """Agents are named by id or slug; a prefix is made from the name when none is given."""
    lead = (await owner.post("agents", {"name": "Lead"})).json["id"]
    coder = (await owner.post("agents", {"name": "Coder"})).json["id"]
    made = await owner.post(
        "teams",
        {"name": "Engineering", "lead_agent_id": "lead", "agent_ids": ["coder", lead, coder]},
    )
    assert made.status == 201, made
    assert made.json["issue_prefix"] == "ENG"
    assert made.json["lead_agent_id"] == lead
    assert made.json["agent_ids"] == [coder, lead]
    path = f"teams/{made.json['id']}"
    assert (await owner.patch(path, {"agent_ids": []})).json["agent_ids"] == []
    assert (await owner.patch(path, {"agent_ids": None})).json["agent_ids"] == []
    assert (await owner.patch(path, {"lead_agent_id": None})).json["lead_agent_id"] is None
    assert (await owner.patch(path, {"issue_prefix": None})).status == 422
    missing = await owner.patch(path, {"agent_ids": ["coder", "nobody"]})
    assert missing.status == 404
    assert missing.json["errors"][0]["pointer"] == "/agent_ids/1"


async def test_an_issue_prefix_is_one_teams_alone(owner: Client) -> None:
    """409 when taken, also by the company itself; 422 when it has not the form of one."""
    await owner.post("teams", {"name": "Engineering", "issue_prefix": "ENG"})
    for prefix in ("ENG", "ACM"):
        reply = await owner.post("teams", {"name": "Other", "issue_prefix": prefix})
        assert (reply.status, reply.json["code"]) == (409, "taken")
        assert reply.json["errors"][0]["pointer"] == "/issue_prefix"
    for wrong in ("eng", "1A", "", "TOOLONGPREFIX", "E-1", "É"):
        reply = await owner.post("teams", {"name": "Other", "issue_prefix": wrong})
        assert reply.status == 422
    second = await owner.post("teams", {"name": "Engines"})
    assert second.json["issue_prefix"] == "ENG2"


async def test_a_renamed_prefix_numbers_on_under_the_new_one(owner: Client) -> None:
    """Issues keep the identifiers that they have."""
    team = (await owner.post("teams", {"name": "Engineering"})).json
    first = (await owner.post("issues", {"title": "x", "team_id": team["id"]})).json
    await owner.patch(f"teams/{team['id']}", {"issue_prefix": "DEV"})
    second = (await owner.post("issues", {"title": "x", "team_id": team["id"]})).json
    assert (first["identifier"], second["identifier"]) == ("ENG-1", "DEV-1")
    assert (await owner.get("issues/ENG-1")).status == 200


async def test_a_milestone_belongs_to_a_project_by_id_or_slug(owner: Client) -> None:
    """A project that there is not is a 404 with a pointer."""
    project = (await owner.post("projects", {"name": "Website"})).json["id"]
    made = await owner.post("milestones", {"name": "Beta", "project_id": "website"})
    assert made.json["project_id"] == project
    reply = await owner.post("milestones", {"name": "Beta", "project_id": "nope"})
    assert (reply.status, reply.json["errors"][0]["pointer"]) == (404, "/project_id")


@pytest.mark.parametrize(
    "day", ["2026-02-30", "2026-1-1", "soon", 20260101, "2026-01-01T00:00:00Z"]
)
async def test_a_day_is_written_as_a_day(owner: Client, day: Any) -> None:
    """YYYY-MM-DD of a day that there is, or a 422."""
    reply = await owner.post("projects", {"name": "x", "target_date": day})
    assert reply.status == 422
    assert reply.json["errors"][0]["pointer"] == "/target_date"


async def test_a_labels_name_is_its_own_however_its_slug_was_chosen(owner: Client) -> None:
    """A label is its name: a second `bug` is refused though its slug is another."""
    await owner.post("labels", {"name": "bug"})
    chosen = await owner.post("labels", {"name": "bug", "slug": "other"})
    assert (chosen.status, chosen.json["code"] if chosen.status != 201 else "") == (409, "taken")
    idea = (await owner.post("labels", {"name": "idea"})).json
    renamed = await owner.patch(f"labels/{idea['id']}", {"name": "bug"})
    assert renamed.status == 409


async def test_a_directory_is_listed_newest_first(owner: Client) -> None:
    """Kinds do not mix."""
    for n in range(3):
        await owner.post("agents", {"name": f"Agent {n}"})
    await owner.post("projects", {"name": "Other"})
    names = [item["name"] for item in (await owner.get("agents")).json["items"]]
    assert names == ["Agent 2", "Agent 1", "Agent 0"]


async def test_a_company_is_shown_to_its_own_keys(owner: Client) -> None:
    """Its name, workflow and prefix; and `/v1/me` says who the key is."""
    reply = await owner.get("")
    assert reply.json["id"] == owner.company
    assert (reply.json["name"], reply.json["workflow"]) == ("Acme", "default")
    assert reply.json["issue_prefix"] == "ACM"
    me = (await owner.get("/v1/me")).json
    assert (me["company_id"], me["actor"], me["role"]) == (owner.company, "user:alice", "owner")
