"""Another company's ids, in every id field of every route: as if they never were.

The fields are found by walking the route table and its pydantic models, so a new route, or a
new field, is held to this by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson
import pytest

from api.commanding import ITEMS
from api.routes import ROUTES, Route
from ledger.ids import new_id
from tests.client import Client, Reply
from tests.conftest import NewClient
from tests.tour import KINDS, PLACES, World, about, asking, bodies, call, fill, path_of

_NAMES = {
    "lead_agent_id": "agent",
    "agent_ids": "agent",
    "target_id": "issue",
    "parent_id": "issue",
    "issue": "issue",
    "label": "label",
    "labels": "label",
    "assignee": "agent",
    "actor": "agent",
}
"""What a field names whose name does not say it."""

_NO_REFERENCES = {"external_ref"}
"""A name in somebody else's system."""

_ANYBODY = {
    ("create_key", "actor"),
    ("list_activity", "actor"),
    ("list_activity", "run_id"),
    ("list_events", "actor"),
    ("list_events", "run_id"),
    ("export_activity", "actor"),
    ("export_activity", "run_id"),
    ("list_issues", "assignee"),
    ("get_board", "assignee"),
    ("list_costs", "agent_id"),
    ("list_costs", "run_id"),
    ("sum_costs", "agent_id"),
    ("sum_costs", "run_id"),
    ("sum_finished_costs", "agent_id"),
    ("export_costs", "agent_id"),
    ("export_costs", "run_id"),
}
"""Actors need not be in the directory, so naming one that there is not is no error here."""


class Field(NamedTuple):
    """An id field of a route: where it is, and the kind of thing that it names."""

    route: Route
    place: str  # path, query, body or the type of an item of a list of commands
    name: str
    kind: str

    def __str__(self) -> str:
        """As a test's id shows it."""
        return f"{self.route.operation_id}-{self.place}-{self.name}"


def _kind(name: str) -> str | None:
    if name in _NAMES:
        return _NAMES[name]
    return name.removesuffix("_id") if name.endswith("_id") else None


def _fields() -> Iterator[Field]:
    for route in ROUTES:
        for name in PLACES.findall(route.path):
            if name != "company_id":
                yield Field(route, "path", name, name.removesuffix("_id"))
        for place, model in (("query", route.query), ("body", route.body)):
            for name in model.model_fields if model else ():
                if kind := _kind(name):
                    yield Field(route, place, name, kind)
    (commands,) = (route for route in ROUTES if route.operation_id == "carry_out_commands")
    for verb, item in ITEMS.items():
        for name in item.model_fields:
            if kind := _kind(name):
                yield Field(commands, verb, name, kind)


FIELDS = sorted(_fields(), key=lambda field: field.name == "actor")
"""Keys come last: whoever was given one is an actor of the company from then on."""


class Two(NamedTuple):
    """Two companies with one of everything, and an owner's client of the first."""

    mine: World
    theirs: World
    client: Client
    them: Client


@pytest.fixture
async def two(new_client: NewClient, company: str, ledger: Any) -> Two:
    """Two filled companies."""
    client, them = await new_client(company), await new_client(await ledger.create_company("Else"))
    return Two(await fill(client), await fill(them, "there"), client, them)


def test_every_id_field_is_known_to_this_test() -> None:
    """Each field that looks like a reference names a kind of thing that the world has."""
    world = {*KINDS, "key", "issue", "comment", "link", "run"}
    assert {field.kind for field in FIELDS} == world
    models = [model for route in ROUTES for model in (route.body, route.query) if model]
    names = {name for model in [*models, *ITEMS.values()] for name in model.model_fields}
    suspects = {
        name for name in names if re.search(r"_ids?$|_ref$|^issue$|label|assignee|actor", name)
    }
    assert suspects - _NO_REFERENCES == {name for name in names if _kind(name)}


@pytest.mark.parametrize("by", ["id", "slug"])
async def test_another_companys_ids_are_as_if_they_never_were(two: Two, by: str) -> None:
    """A 404 with the same body, apart from the echoed name, for every id field."""
    before = await _head(two.them)
    wrong = []
    for field in FIELDS:
        if by == "slug" and field.kind not in KINDS:
            continue
        theirs = two.theirs[field.kind] if by == "id" else two.theirs.slug(field.kind)
        nobodys = new_id() if by == "id" else f"never-{field.kind}"
        answers = [
            _without_names(await _ask(two, field, ref), ref, two.mine) for ref in (theirs, nobodys)
        ]
        never_was = _status(answers[0]) == 404
        expected = (_operation(field), field.name) not in _ANYBODY
        if answers[0] != answers[1] or never_was != expected:
            wrong.append((str(field), *answers))
    assert not wrong
    assert await _head(two.them) == before


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("?dry_run=true", {}),
        ("", {"If_Match": '"1"'}),
        ("", {"Ledger_Fencing_Token": "2"}),
        ("", {"Idempotency_Key": "theirs"}),
    ],
    ids=["tried", "with a version", "with a token", "with a key"],
)
async def test_however_it_is_asked_another_companys_issue_never_was(
    two: Two, query: str, headers: dict[str, str]
) -> None:
    """Neither a dry run, nor a version or a token that would be right there, tells more."""
    before = await _head(two.them)
    for route in ROUTES:
        if not route.is_command or "{issue_id}" not in route.path:
            continue
        answers = []
        for ref in (two.theirs["issue"], new_id()):
            path = path_of(route, two.mine, issue_id=ref) + query
            body = bodies(two.mine).get(route.operation_id) if route.body else None
            reply = await two.client.request(route.method, path, body, **headers)
            answers.append(_without_names(reply, ref, two.mine))
        assert answers[0] == answers[1]
        assert answers[0]["status"] == 404, route.operation_id
    assert await _head(two.them) == before


async def test_another_companys_things_stay_out_of_lists_and_history(two: Two) -> None:
    """No list, and no filter of one, shows a thing of another company."""
    theirs = set(two.theirs.ids.values())
    for route in ROUTES:
        if not route.is_list:
            continue
        reply = await call(two.client, route, two.mine)
        assert reply.status == 200
        assert reply.json["items"]
        assert not theirs & set(re.findall(r"[0-9a-f-]{36}", orjson.dumps(reply.json).decode()))


async def test_a_filter_by_another_companys_actor_or_run_finds_nothing(two: Two) -> None:
    """A filter that needs no entry of the directory finds nothing, as for a made-up name."""
    for query in (
        f"activity?actor=agent:{two.theirs['agent']}",
        f"activity?run_id={two.theirs['run']}",
        f"events?actor=agent:{two.theirs['agent']}",
        f"events?run_id={two.theirs['run']}",
        f"costs?agent_id={two.theirs['agent']}",
        f"costs/sums?agent_id={two.theirs['agent']}&group_by=agent",
        f"issues?assignee=agent:{two.theirs['agent']}",
    ):
        reply = await two.client.get(query)
        assert (reply.status, reply.json["items"]) == (200, [])


async def test_another_companys_key_is_answered_as_if_there_were_no_company(two: Two) -> None:
    """On every path below another company: the 404 of a company that never was."""
    before = await _head(two.them)
    nowhere = Client(two.client.http, two.client.base_url, new_id(), two.client.key)
    abroad = Client(two.client.http, two.client.base_url, two.theirs.company, two.client.key)
    for route in ROUTES:
        if "{company_id}" not in route.path:
            continue
        path = path_of(route, two.theirs)
        body = bodies(two.theirs).get(route.operation_id)
        there = await abroad.request(route.method, path, body)
        never = await nowhere.request(
            route.method, path.replace(two.theirs.company, nowhere.company), body
        )
        assert (there.status, there.json["code"]) == (404, "not_found")
        assert _without_names(there, two.theirs.company, two.mine) == _without_names(
            never, nowhere.company, two.mine
        )
    assert await _head(two.them) == before


async def test_another_companys_run_in_the_header_is_as_good_as_a_new_one(two: Two) -> None:
    """`Ledger-Run-Id` of another company's run neither joins nor betrays that run."""
    before = await _head(two.them)
    shown = []
    for run_id in (two.theirs["run"], new_id()):
        made = await two.client.post("issues", {"title": "Same"})
        path = f"issues/{made.json['id']}/checkout"
        taken = await two.client.post(path, {"agent_id": two.mine["agent"]}, Ledger_Run_Id=run_id)
        assert taken.json["run_id"] == run_id
        shown.append(_without_names(taken, run_id, two.mine))
    assert shown[0] == shown[1]
    assert await _head(two.them) == before
    run = await two.them.get(f"issues/{two.theirs['issue']}/runs/{two.theirs['run']}")
    assert run.json["status"] == "active"


async def test_the_same_idempotency_key_in_two_companies_is_two_keys(two: Two) -> None:
    """A key used elsewhere neither replays nor refuses."""
    one = await two.client.post("issues", {"title": "Mine"}, Idempotency_Key="same")
    other = await two.them.post("issues", {"title": "Theirs"}, Idempotency_Key="same")
    assert (one.status, other.status) == (201, 201)
    assert "Idempotent-Replayed" not in other.headers


async def test_names_may_be_the_same_in_two_companies(two: Two) -> None:
    """Slugs, prefixes, external references and identifiers are a company's own."""
    mine = await two.client.post("agents", {"name": "x", "slug": two.theirs.slug("agent")})
    assert mine.status == 201
    ref = {"system": "there", "id": "there-1"}
    assert (await two.client.post("issues", {"title": "x", "external_ref": ref})).status == 201
    theirs = await two.them.get(f"issues/{two.theirs['issue']}")
    reply = await two.client.get(f"issues/{theirs.json['identifier']}")
    assert reply.status == 404 or reply.json["id"] != two.theirs["issue"]


# ── helpers ────────────────────────────────────────────────────────────────────────────


async def _head(client: Client) -> str:
    return (await client.get("")).headers["Ledger-Position"]


async def _ask(two: Two, field: Field, ref: str) -> Reply:
    """A request that is all right but for the one field that names `ref`."""
    route, mine = field.route, two.mine
    body = dict(bodies(mine).get(route.operation_id, {})) if route.body else None
    match field.place:
        case "path":
            path = path_of(route, mine, **{field.name: ref})
        case "query":
            path = asking(path_of(route, mine), **{field.name: _written(field, ref)})
        case "body":
            path = path_of(route, mine)
            body = _without_rival(body or {}, field.name) | {field.name: _written(field, ref)}
        case verb:
            path = path_of(route, mine)
            places = about(verb, mine)
            needed = {
                name: places[name]
                for name, model in ITEMS[verb].model_fields.items()
                if name in places and model.is_required()
            }
            item = {"type": verb, **needed, **bodies(mine).get(verb, {})}
            body = {**_without_rival(item, field.name), field.name: _written(field, ref)}
    return await two.client.request(route.method, path, body)


def _written(field: Field, ref: str) -> Any:
    """The reference as the field wants it: plain, in a list, or as an actor."""
    if field.name in ("labels", "agent_ids"):
        return [ref]
    return f"agent:{ref}" if field.name in ("assignee", "actor") else ref


def _without_rival(body: dict[str, Any], name: str) -> dict[str, Any]:
    """Without the others of whom an issue is given to exactly one."""
    whom = {"agent_id", "user_id", "team_id"}
    rivals = whom - {name} if name in whom else set()
    return {key: value for key, value in body.items() if key not in rivals}


def _operation(field: Field) -> str:
    return field.place if field.place in ITEMS else field.route.operation_id


def _without_names(reply: Reply, ref: str, mine: World) -> dict[str, Any]:
    """An answer with all that may differ taken out: names, fresh ids, times, positions."""
    text = orjson.dumps(reply.json).decode().replace(ref, "REF")
    for kind, own in mine.ids.items():
        text = text.replace(own, kind)
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}", "ID", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", text)
    text = re.sub(r"ldg_[\w-]+", "SECRET", text)
    text = re.sub(r"\b([A-Z]{1,5})-\d+", r"\1-N", text)
    text = re.sub(r'"((?:as_of_)?position)":\d+', r'"\1":0', text)
    return {"status": reply.status, "body": orjson.loads(text)}


def _status(answer: dict[str, Any]) -> int:
    outcomes = (answer["body"] or {}).get("outcomes") if answer["status"] == 200 else None
    return int(outcomes[0]["status"] if outcomes else answer["status"])
