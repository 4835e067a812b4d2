"""What holds on every route: problems, versions, positions, traces, keys, lists, health."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from uuid import UUID

import orjson
import pytest

from api.routes import ROUTES
from ledger.ids import new_id
from tests.client import Client, Reply
from tests.tour import World, asking, bodies, call, fill, in_order, path_of

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
PROBLEM_FIELDS = {"type", "title", "status", "code", "detail", "request_id"}


@pytest.fixture
async def world(owner: Client) -> World:
    """A company with one of everything."""
    return await fill(owner)


def _nobody(owner: Client) -> Client:
    return Client(owner.http, owner.base_url, owner.company, None)


# ── problems ───────────────────────────────────────────────────────────────────────────


async def test_every_refusal_is_a_problem_document(owner: Client, world: World) -> None:
    """RFC 9457, with code, a detail that is a sentence, and the request's id."""
    taken = {"title": "x", "external_ref": {"system": "here", "id": "here-1"}}
    replies = [
        await owner.post("issues", b"{"),
        await _nobody(owner).get("issues"),
        await owner.get("issues/ACM-999"),
        await owner.get("/nowhere"),
        await owner.request("PUT", "issues", {}),
        await owner.post("issues", taken),
        await owner.patch("issues/HER-1", {"title": "y"}, If_Match='"999"'),
        await owner.post("issues", b"{}", Content_Type="text/csv"),
        await owner.post("issues", {}),
        await owner.get("issues?no_such=1"),
    ]  # fmt: skip
    statuses = [400, 401, 404, 404, 405, 409, 412, 415, 422, 422]
    assert [reply.status for reply in replies] == statuses
    for reply in replies:
        assert reply.headers["Content-Type"].startswith("application/problem+json")
        assert reply.json.keys() >= PROBLEM_FIELDS
        assert reply.json["status"] == reply.status
        assert reply.json["request_id"] == reply.headers["X-Request-Id"]
        assert reply.json["type"].endswith(reply.json["code"])
        assert reply.json["detail"].endswith(".")
        assert "Traceback" not in str(reply.json)


async def test_every_mistake_in_a_body_is_listed(owner: Client) -> None:
    """Each with pointer, code and message."""
    reply = await owner.post("issues", {"priority": "x", "estimate": -1, "no_such": 1})
    assert reply.status == 422
    errors = {e["pointer"]: e for e in reply.json["errors"]}
    assert errors.keys() == {"/title", "/priority", "/estimate", "/no_such"}
    assert all(e.keys() == {"pointer", "code", "message"} for e in errors.values())


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "issues", {"GET", "POST"}),
        ("DELETE", "issues", {"GET", "POST"}),
        ("POST", "issues/ACM-1", {"GET", "PATCH", "DELETE"}),
        ("GET", "issues/ACM-1/checkout", {"POST"}),
        ("GET", "commands", {"POST"}),
        ("POST", "activity", {"GET"}),
        ("OPTIONS", "issues", {"GET", "POST"}),
        ("POST", "/healthz", {"GET"}),
        ("POST", "/v1/me", {"GET"}),
    ],
)
async def test_a_method_that_there_is_not_is_a_405_with_allow(
    owner: Client, method: str, path: str, allow: set[str]
) -> None:
    """The header says what is allowed."""
    reply = await owner.request(method, path)
    assert (reply.status, reply.json["code"]) == (405, "method_not_allowed")
    assert set(reply.headers["Allow"].split(", ")) - {"HEAD"} == allow


@pytest.mark.parametrize("path", ["/nowhere", "/v1", "nowhere", "issues/ACM-1/nowhere", "/v2/me"])
async def test_a_path_that_there_is_not_is_a_404(owner: Client, path: str) -> None:
    """With or without a key."""
    for client in (owner, _nobody(owner)):
        reply = await client.get(path)
        assert (reply.status, reply.json["code"]) == (404, "not_found")


async def test_the_start_page_leads_to_the_documentation(owner: Client) -> None:
    """`/` is what a browser opens first."""
    async with owner.http.get(owner.base_url + "/", allow_redirects=False) as response:
        assert response.status == 302
        assert response.headers["Location"] == "/docs"


async def test_without_a_key_every_route_is_a_401(owner: Client, world: World) -> None:
    """With WWW-Authenticate, whatever else is wrong, and nothing happens."""
    before = (await owner.get("")).headers["Ledger-Position"]
    unknown = f"ldg_{owner.company.replace('-', '')}_{'x' * 43}"
    for route in ROUTES:
        path, body = path_of(route, world), bodies(world).get(route.operation_id)
        for headers in (
            {}, {"Authorization": f"Basic {owner.key}"}, {"Authorization": f"Bearer {unknown}"},
            {"Authorization": "Bearer"}, {"Authorization": str(owner.key)},
        ):  # fmt: skip
            reply = await _nobody(owner).request(route.method, path, body, **headers)
            assert (reply.status, reply.json["code"]) == (401, "unauthenticated")
            assert reply.headers["WWW-Authenticate"].startswith("Bearer")
    assert (await owner.get("")).headers["Ledger-Position"] == before


async def test_the_word_bearer_is_written_in_any_case(owner: Client) -> None:
    """RFC 9110: schemes are case-insensitive."""
    for word in ("Bearer", "bearer", "BEARER"):
        reply = await _nobody(owner).get("/v1/me", Authorization=f"{word} {owner.key}")
        assert reply.status == 200


# ── ids and traces ─────────────────────────────────────────────────────────────────────


async def test_a_request_id_is_echoed_or_made(owner: Client) -> None:
    """On answers of every kind."""
    for path in ("issues", "issues/ACM-9", "/nowhere", "/healthz"):
        assert (await owner.get(path, X_Request_Id="mine-1")).headers["X-Request-Id"] == "mine-1"
        one, two = [(await owner.get(path)).headers["X-Request-Id"] for _ in range(2)]
        assert UUID(one) != UUID(two)
    for odd in ("x" * 129, "a b", "é"):
        assert (await owner.get("issues", X_Request_Id=odd)).headers["X-Request-Id"] != odd


async def test_a_trace_is_kept_in_the_events_of_its_commands(owner: Client) -> None:
    """The trace is the correlation, the caller's span the causation; else the request's id."""
    await owner.post("issues", {"title": "x"}, traceparent=f"00-{TRACE}-{SPAN}-01")
    await owner.post("issues", {"title": "y"}, X_Request_Id="mine-2")
    await owner.post(
        "commands", {"type": "create_issue", "title": "z"}, traceparent=f"00-{TRACE}-{SPAN}-00"
    )
    events = (await owner.get("events?type=issue.created")).json["items"]
    assert [(e["correlation_id"], e["causation_id"]) for e in events] == [
        (TRACE, SPAN), ("mine-2", None), (TRACE, SPAN),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "header",
    [
        "nonsense", f"00-{TRACE}-{SPAN}", f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-x", f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01", f"ff-{TRACE}-{SPAN}-01",
    ],
)  # fmt: skip
async def test_a_trace_that_is_not_valid_is_passed_over(owner: Client, header: str) -> None:
    """As W3C Trace Context asks: all zeros and version ff are invalid too."""
    reply = await owner.post("issues", {"title": "x"}, traceparent=header)
    assert reply.status == 201
    (event,) = (await owner.get("events?type=issue.created")).json["items"]
    assert event["correlation_id"] == reply.headers["X-Request-Id"]
    assert event["causation_id"] is None


async def test_an_id_goes_in_either_case(owner: Client, world: World) -> None:
    """RFC 9562 reads UUIDs without regard to case; so does every route, or none."""
    answers: dict[str, int] = {}
    for route in ROUTES:
        if route.method != "GET" or route.is_list or "_id}" not in route.path[30:]:
            continue
        upper = {f"{kind}_id": ref.upper() for kind, ref in world.ids.items()}
        answers[route.operation_id] = (await owner.get(path_of(route, world, **upper))).status
    assert set(answers.values()) == {200}, answers


# ── versions and positions ─────────────────────────────────────────────────────────────


async def test_every_command_answers_with_a_version_and_a_position(
    owner: Client, world: World
) -> None:
    """ETag and Ledger-Position; what creates answers 201 with an id on top, deleting 204."""
    wrong = []
    for route in in_order():
        if not route.is_command or route.operation_id == "carry_out_commands":
            continue
        reply = await call(owner, route, world)
        sound = (
            reply.status == route.status
            and re.fullmatch(r'"[1-9]\d*"', reply.headers.get("ETag", "")) is not None
            and reply.headers.get("Ledger-Position", "").isdigit()
            and (reply.json is None if route.status == 204 else "id" in reply.json)
        )
        if not sound:
            wrong.append((route.operation_id, reply))
    assert not wrong


async def test_a_position_is_where_the_command_stands_in_the_log(owner: Client) -> None:
    """And every later answer is as of that position or a later one."""
    made = await owner.post("issues", {"title": "x"})
    position = int(made.headers["Ledger-Position"])
    event = (await owner.get(f"events?after={position - 1}&limit=1")).json["items"][0]
    assert event["stream_id"] == made.json["id"]
    for path in ("", "issues", f"issues/{made.json['id']}", "activity", "costs", "events",
                 "costs/sums", "keys", "agents"):  # fmt: skip
        reply = await owner.get(path)
        assert int(reply.headers["Ledger-Position"]) >= position, path


async def test_every_answer_of_a_list_says_as_of_which_position_it_is(
    owner: Client, world: World
) -> None:
    """`as_of_position`, in the body and as a header."""
    for route in ROUTES:
        if not route.is_list:
            continue
        reply = await call(owner, route, world)
        assert reply.json["as_of_position"] == int(reply.headers["Ledger-Position"])


async def test_an_old_version_in_if_match_is_a_412(owner: Client, world: World) -> None:
    """On any command of a stream; the answer says which version it is now."""
    await owner.post(f"issues/{world['issue']}/release")
    for route in in_order():
        if not route.is_command or route.operation_id == "carry_out_commands":
            continue
        before = (await owner.get("")).headers["Ledger-Position"]
        body = bodies(world).get(route.operation_id) if route.body else None
        reply = await owner.request(route.method, path_of(route, world), body, If_Match='"77"')
        assert (reply.status, reply.json["code"]) == (412, "stale_version"), route.operation_id
        assert isinstance(reply.json["current"]["version"], int)
        assert (await owner.get("")).headers["Ledger-Position"] == before


async def test_the_version_that_one_saw_may_be_changed(owner: Client) -> None:
    """The ETag of a reply, or of a GET, is what If-Match takes."""
    made = await owner.post("issues", {"title": "x"})
    path = f"issues/{made.json['id']}"
    seen = (await owner.get(path)).headers["ETag"]
    assert seen == made.headers["ETag"]
    first = await owner.patch(path, {"title": "y"}, If_Match=seen)
    late = await owner.patch(path, {"title": "z"}, If_Match=seen)
    assert (first.status, late.status) == (200, 412)
    assert late.json["current"]["version"] == 2
    assert (await owner.patch(path, {"title": "z"}, If_Match="*")).status == 200
    weak = f"W/{(await owner.get(path)).headers['ETag']}"
    assert (await owner.post(f"{path}/comments", {"body": "x"}, If_Match=weak)).status == 201


async def test_what_one_has_already_is_a_304(owner: Client, world: World) -> None:
    """If-None-Match on everything that has a version; another version is a 200."""
    for route in ROUTES:
        if route.is_command or not route.is_versioned:
            continue
        path = path_of(route, world)
        etag = (await owner.get(path)).headers["ETag"]
        for given in (etag, f'"0", {etag}', f"W/{etag}", "*"):
            reply = await owner.get(path, If_None_Match=given)
            assert (reply.status, reply.json) == (304, None), (route.operation_id, given)
            assert reply.headers["ETag"] == etag
        assert (await owner.get(path, If_None_Match='"99"')).status == 200


# ── idempotency ────────────────────────────────────────────────────────────────────────


async def test_every_command_with_a_key_happens_once(owner: Client, world: World) -> None:
    """The same request answers the same again, and says so; another one is a 422."""
    wrong = []
    for n, route in enumerate(in_order()):
        if not route.is_command or route.operation_id == "carry_out_commands":
            continue
        path, body = path_of(route, world), bodies(world).get(route.operation_id)
        body = body if route.body else None
        first = await owner.request(route.method, path, body, Idempotency_Key=f"k{n}")
        head = (await owner.get("")).headers["Ledger-Position"]
        again = await owner.request(route.method, path, body, Idempotency_Key=f"k{n}")
        other = await owner.post("issues", {"title": "other"}, Idempotency_Key=f"k{n}")
        expected = {**first.json, "key": None} if "key" in (first.json or {}) else first.json
        same = (
            (again.status, again.json) == (first.status, expected)
            and again.headers.get("Idempotent-Replayed") == "true"
            and "Idempotent-Replayed" not in first.headers
            and again.headers["ETag"] == first.headers["ETag"]
            and again.headers["Ledger-Position"] == first.headers["Ledger-Position"]
            and (other.status, other.json["code"]) == (422, "idempotency_key_reused")
            and (await owner.get("")).headers["Ledger-Position"] == head
        )
        if not same:
            wrong.append((route.operation_id, first, again, other))
    assert not wrong


async def test_twins_sent_at_once_happen_once(owner: Client) -> None:
    """Eight of the same: one issue, and one reply for all."""
    replies = await asyncio.gather(
        *(owner.post("issues", {"title": "x"}, Idempotency_Key="twin") for _ in range(8))
    )
    assert {reply.status for reply in replies} == {201}
    assert len({reply.json["id"] for reply in replies}) == 1
    assert sum("Idempotent-Replayed" in reply.headers for reply in replies) == 7
    assert len((await owner.get("issues")).json["items"]) == 1


async def test_a_refusal_is_decided_anew(owner: Client) -> None:
    """A key that was refused may be used again, for the same or for something else."""
    made = (await owner.post("issues", {"title": "x", "status": "closed"})).json
    path = f"issues/{made['id']}/transition"
    assert (await owner.post(path, {"status": "done"}, Idempotency_Key="k")).status == 409
    assert (await owner.post(path, {"status": "todo"})).status == 200
    assert (await owner.post(path, {"status": "done"}, Idempotency_Key="k")).status == 200


# ── lists ──────────────────────────────────────────────────────────────────────────────


async def _pages(owner: Client, path: str) -> list[Reply]:
    """A list from the first page to the last, by its Link headers alone."""
    pages = [await owner.get(path)]
    while link := pages[-1].headers.get("Link"):
        found = re.fullmatch(r'<([^>]+)>; rel="next"', link)
        assert found, link
        pages.append(await owner.get(found[1]))
        assert len(pages) < 100
    return pages


async def test_every_list_is_walked_by_its_links(owner: Client, world: World) -> None:
    """Page by page it is what one large page is, and `next_cursor` is null at the end."""
    for n in range(3):
        await owner.post(f"issues/{world['issue']}/comments", {"body": f"{n}"})
        for kind in ("user", "agent", "team", "project", "goal", "milestone", "label", "routine"):
            await owner.post(f"{kind}s", {"name": f"{kind} {n}"})
        await owner.post("issues", {"title": f"{n}"})
        await owner.post("keys", {"role": "viewer", "actor": "user:x"})
        link = {"link_type": ("tracks", "caused_by", "validates")[n], "target_id": world["target"]}
        await owner.post(f"issues/{world['issue']}/links", link)
        report = {"provider": "p", "model": f"m{n}"}
        await owner.post(f"issues/{world['issue']}/runs/{world['run']}/costs", report)
    for route in ROUTES:
        if not route.is_list or route.operation_id.startswith("sum_"):
            continue
        path = path_of(route, world)
        whole = (await owner.get(f"{path}?limit=200")).json["items"]
        for limit in (1, 2, 200):
            pages = await _pages(owner, f"{path}?limit={limit}")
            assert [item for page in pages for item in page.json["items"]] == whole
            assert all(len(page.json["items"]) <= limit for page in pages)
            assert all(page.json["next_cursor"] for page in pages[:-1])
            assert pages[-1].json["next_cursor"] is None


async def test_a_cursor_goes_back_into_the_list_that_gave_it(owner: Client, world: World) -> None:
    """Every list takes as `cursor` what it gave as `next_cursor`, `events` among them."""
    for path in ("issues", "activity", "agents", "events"):
        await owner.post("agents", {"name": "One more"})
        first = await owner.get(f"{path}?limit=1")
        second = await owner.get(f"{path}?limit=1&cursor={first.json['next_cursor']}")
        assert (second.status, path) == (200, path)
        assert second.json["items"] != first.json["items"]


@pytest.mark.parametrize("path", ["issues", "issues/ACM-1/comments", "activity", "events"])
async def test_a_list_neither_skips_nor_repeats_while_rows_are_added(
    owner: Client, path: str
) -> None:
    """What was there when one began is seen exactly once."""
    await owner.post("issues", {"title": "0"})
    commands = [
        command
        for n in range(20)
        for command in (
            {"type": "create_issue", "title": f"{n}"},
            {"type": "comment_on_issue", "issue_id": "ACM-1", "body": f"{n}"},
        )
    ]
    await owner.post("commands", commands)
    name = "position" if path in ("activity", "events") else "id"
    there = {item[name] for item in (await owner.get(f"{path}?limit=200")).json["items"]}
    seen: list[Any] = []
    reply = await owner.get(f"{path}?limit=3")
    for n in range(200):
        seen += [item[name] for item in reply.json["items"]]
        if (link := reply.headers.get("Link")) is None:
            break
        if n < 5:
            await owner.post("issues", {"title": "meanwhile"})
            await owner.post("issues/ACM-1/comments", {"body": "meanwhile"})
        reply = await owner.get(link[1 : link.index(">")])
    assert len(seen) == len(set(seen))
    assert there <= set(seen)


async def test_a_link_keeps_the_filters(owner: Client) -> None:
    """The next page is of the same question."""
    for n in range(3):
        await owner.post("issues", {"title": f"{n}", "priority": "high"})
        await owner.post("issues", {"title": f"{n}"})
    pages = await _pages(owner, "issues?limit=1&priority=high&status=todo,backlog")
    assert [page.json["items"][0]["priority"] for page in pages] == ["high"] * 3


@pytest.mark.parametrize("limit", ["0", "-1", "201", "x", "1.5", "", "9" * 30])
async def test_a_limit_is_1_to_200(owner: Client, world: World, limit: str) -> None:
    """On every list; 50 when nothing is said."""
    for route in ROUTES:
        if route.is_list and "limit" in route.query.model_fields:
            reply = await owner.get(f"{path_of(route, world)}?limit={limit}")
            assert reply.status == 422, route.operation_id
            assert reply.json["errors"][0]["pointer"] == "/limit"


async def test_a_page_has_fifty_items_unless_asked(owner: Client) -> None:
    """And two hundred at most."""
    for _ in range(3):
        commands = [{"type": "create_issue", "title": "x"}] * 70
        assert (await owner.post("commands", commands)).status == 200
    assert len((await owner.get("issues")).json["items"]) == 50
    assert len((await owner.get("issues?limit=200")).json["items"]) == 200


@pytest.mark.parametrize("cursor", ["x", "", "cDA=", "cC0x", "p1", "YWJj", "x" * 201, "%C3%A9"])
async def test_a_cursor_that_no_list_gave_is_a_422(owner: Client, cursor: str) -> None:
    """With a pointer."""
    for path in ("issues", "agents", "keys", "activity", "costs"):
        reply = await owner.get(f"{path}?cursor={cursor}")
        assert reply.status == 422
        assert reply.json["errors"][0]["pointer"] == "/cursor"


async def test_an_unknown_query_parameter_is_a_422(owner: Client, world: World) -> None:
    """On every route, commands too, with a pointer; so is one that is given twice."""
    for route in in_order():
        body = bodies(world).get(route.operation_id) if route.body else None
        path = path_of(route, world)
        reply = await owner.request(route.method, asking(path, no_such="1"), body)
        assert reply.status == 422, route.operation_id
        assert reply.json["errors"][0]["pointer"] == "/no_such"
    twice = await owner.get("issues?limit=1&limit=2")
    assert twice.status == 422


async def test_an_unknown_field_of_a_body_is_a_422(owner: Client, world: World) -> None:
    """On every command, those without fields of their own too."""
    for route in in_order():
        if not route.is_command or route.method == "DELETE":
            continue
        body = {**(bodies(world).get(route.operation_id) or {}), "actor_id": "x"}
        reply = await owner.request(route.method, path_of(route, world), body)
        assert reply.status == 422, route.operation_id
        assert "/actor_id" in [e["pointer"] for e in reply.json["errors"]], route.operation_id


async def test_a_query_may_do_without_waiting(owner: Client, world: World) -> None:
    """`consistency=eventual` answers as of where the model is; other words are a 422."""
    head = int((await owner.get("")).headers["Ledger-Position"])
    for path in ("activity", "costs", "costs/sums"):
        strong = await owner.get(f"{path}?consistency=strong")
        assert strong.json["as_of_position"] >= head
        eventual = await owner.get(f"{path}?consistency=eventual")
        assert (eventual.status, eventual.json["as_of_position"] <= head) == (200, True)
        assert (await owner.get(f"{path}?consistency=maybe")).status == 422


async def test_a_query_sees_every_command_that_was_acknowledged(owner: Client) -> None:
    """Read models that follow are waited for, so what was answered is there."""
    for n in range(20):
        made = (await owner.post("issues", {"title": f"{n}"})).json
        newest = (await owner.get("activity?limit=1")).json["items"][0]
        assert newest["subject_id"] == made["id"]


# ── health and documentation ───────────────────────────────────────────────────────────


async def test_health_readiness_and_metrics_need_no_key(owner: Client) -> None:
    """200 each, and the metrics are Prometheus text with the requests that were made."""
    nobody = _nobody(owner)
    assert (await nobody.get("/healthz")).json == {"status": "ok"}
    ready = await nobody.get("/readyz")
    assert (ready.status, ready.json) == (200, {"status": "ready", "problems": []})
    await owner.get("issues")
    async with owner.http.get(owner.base_url + "/metrics") as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        text = await response.text()
    assert 'route="/v1/companies/{company_id}/issues"' in text
    assert owner.company not in text
    for line in text.splitlines():
        assert re.fullmatch(r"#.*|[a-zA-Z_:][\w:]*({.*})? \S+", line), line
    assert "ledger_projector_events_behind" in text


async def test_a_metric_has_as_many_series_as_there_are_routes(owner: Client) -> None:
    """Made-up paths do not make series."""
    await asyncio.gather(*(owner.get(f"/nowhere/{new_id()}") for _ in range(20)))
    async with owner.http.get(owner.base_url + "/metrics") as response:
        assert "/nowhere/" not in await response.text()


async def test_the_documentation_needs_no_network(owner: Client) -> None:
    """The page and all that it loads come from this server."""
    async with owner.http.get(owner.base_url + "/docs") as response:
        assert response.status == 200
        assert response.content_type == "text/html"
        page = await response.text()
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page)
    assert "http" not in re.sub(r"<!doctype[^>]*>", "", page)
    assets = re.findall(r"""(?:src|href)=["']([^"']+)""", page)
    assert assets
    for asset in assets:
        async with owner.http.get(owner.base_url + asset) as response:
            assert response.status == 200, asset
            assert await response.read()


async def test_json_is_written_as_everybody_reads_it(owner: Client, world: World) -> None:
    """snake_case names, ids as strings, times in UTC with microseconds."""
    for route in ROUTES:
        if route.is_command:
            continue
        text = orjson.dumps((await call(owner, route, world)).json).decode()
        assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in re.findall(r'"([^"]+)":', text))
        for time in re.findall(r'"(\d{4}-\d\d-\d\dT[^"]*)"', text):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", time)
