"""The input gate: whatever a client sends, it is told what is wrong, and never breaks us."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api.gate import MAX_BYTES, MAX_DEPTH, Malformed, parse
from ledger.codec import MAX_INT
from ledger.facts import is_id
from tests.client import Client
from tests.scenario import NOBODYS

# ── the gate by itself ─────────────────────────────────────────────────────────────────

BAD_BODIES = {
    "not JSON": b"{title: x}",
    "half of it": b'{"title": "x"',
    "two values": b"{} {}",
    "a control character in a text": b'{"title": "a\x01b"}',
    "NUL as an escape": b'{"title": "a\\u0000b"}',
    "NUL as it is": b'{"title": "a\x00b"}',
    "NUL in a key": b'{"a\\u0000": 1}',
    "NUL deep inside": b'{"a": [{"b": ["\\u0000"]}]}',
    "half of a surrogate pair": b'{"title": "\\ud800"}',
    "the other half": b'{"title": "\\uDFFF"}',
    "halves in the wrong order": b'{"title": "\\udc00\\ud800"}',
    "a surrogate in a key": b'{"\\ud800": 1}',
    "a surrogate in UTF-8": b'{"title": "\xed\xa0\x80"}',
    "invalid UTF-8": b'{"title": "\xff"}',
    "overlong UTF-8": b'{"title": "\xc0\xaf"}',
    "UTF-16": '{"title": "x"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"title": "x"}',
    "a key twice": b'{"title": "a", "title": "b"}',
    "a key twice, once as an escape": b'{"title": "a", "\\u0074itle": "b"}',
    "a key twice, deep inside": b'{"a": [{"b": {"c": 1, "c": 1}}]}',
    "NaN": b'{"estimate": NaN}',
    "Infinity": b'{"estimate": Infinity}',
    "-Infinity": b'{"a": [-Infinity]}',
    "an integer beyond": b'{"estimate": 9007199254740992}',
    "an integer below": b'{"estimate": -9007199254740992}',
    "very many digits": b'{"estimate": ' + b"9" * 100_000 + b"}",
    "very many digits, negative": b"[-" + b"1" * 5000 + b"]",
    "one level too deep": b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
    "far too deep": b"[" * 200_000 + b"]" * 200_000,
    "far too deep, objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "too deep, and not closed": b"[" * 500_000,
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
def test_what_another_reader_would_choke_on_is_malformed(body: bytes) -> None:
    """Each is refused, with a message that says what is wrong."""
    with pytest.raises(Malformed) as refused:
        parse(body)
    assert len(refused.value.message) < 300
    refused.value.message.encode()


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"{}", {}),
        (b" [1, 2.5, -0, true, null] ", [1, 2.5, 0, True, None]),
        (b'{"a": 9007199254740991, "b": -9007199254740991}', {"a": MAX_INT, "b": -MAX_INT}),
        (b'{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
        (b'{"a": "\\\\u0000"}', {"a": "\\u0000"}),
        (b'{"a": {"b": 1}, "c": {"b": 1}}', {"a": {"b": 1}, "c": {"b": 1}}),
        (b'{"a": "99999999999999999999"}', {"a": "9" * 20}),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, json.loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)),
    ],
)
def test_what_every_reader_keeps_whole_passes(body: bytes, value: Any) -> None:
    """The gate changes nothing of what it lets through."""
    assert parse(body) == value


def test_no_body_is_no_value() -> None:
    """An empty body is None, which the edge takes as an empty object."""
    assert parse(b"") is None


def test_very_many_shallow_brackets_are_not_deep() -> None:
    """Depth is counted, not brackets."""
    assert parse(b"[" + b"[]," * 100_000 + b"[]]") == [[]] * 100_001


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({f"k{n}": 1 for n in range(75_000)}, separators=(",", ":"))[:-1].encode()
        + b', "last": 1, "last": 2}',
        b"[" + b"[]," * 340_000 + b"[]]",
        b'{"a": [' + b'"\\u0041",' * 110_000 + b'"\\u0000"]}',
        b'{"a": "' + b"\\u0041" * 170_000 + b'"}',
        b"[" + b"1234567890123456," * 60_000 + b"1]",
    ],
    ids=["a late duplicate", "brackets", "escapes in texts", "one text", "integers"],
)
def test_no_body_of_a_megabyte_takes_long_to_judge(body: bytes) -> None:
    """A worker serves everybody from one thread: judging costs some times what reading costs."""
    assert len(body) <= MAX_BYTES

    def judge() -> None:
        with contextlib.suppress(Malformed):
            parse(body)

    assert _seconds(judge) < 200 * _seconds(lambda: json.loads(body))


def _seconds(work: Callable[[], object]) -> float:
    """How much of the processor it takes, at best."""
    taken = []
    for _ in range(3):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return min(taken)


@given(st.binary(max_size=200))
@example(b"\xef\xbb\xbf")
@example(b"null")
@example(b'"\\ud800"')
def test_any_bytes_are_a_value_or_malformed(body: bytes) -> None:
    """Nothing but Malformed is ever raised, whatever comes in."""
    try:
        parse(body)
    except Malformed as refused:
        refused.message.encode()


@given(st.text(alphabet='{}[]",:0123456789-+.eE\\ud800nulltrueNaN\0 ', max_size=80))
def test_anything_that_looks_like_json_is_a_value_or_malformed(text: str) -> None:
    """The same for bytes that are nearly JSON."""
    try:
        parse(text.encode())
    except Malformed as refused:
        refused.message.encode()


_TEXTS = st.text().filter(lambda text: "\0" not in text)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INT, MAX_INT) | _TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(_TEXTS, inner),
    max_leaves=20,
)


@given(_JSON, st.booleans())
def test_every_sound_value_comes_through_as_it_is(value: Any, escaped: bool) -> None:
    """Sound JSON is never refused, however it is escaped."""
    assert parse(json.dumps(value, ensure_ascii=escaped).encode()) == value


# ── the gate over HTTP ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
async def test_a_malformed_body_is_a_400(owner: Client, body: bytes) -> None:
    """It is told as a problem, and nothing is written."""
    before = (await owner.get("")).headers["Ledger-Position"]
    for path in ("issues", "commands"):
        reply = await owner.post(path, body)
        assert (reply.status, reply.json["code"]) == (400, "malformed")
    assert (await owner.get("")).headers["Ledger-Position"] == before


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"x"', b"true", b"[{}]"])
async def test_a_body_that_is_no_object_is_invalid(owner: Client, body: bytes) -> None:
    """Well-formed JSON of the wrong shape is 422."""
    for path in ("issues", "agents", "keys"):
        assert (await owner.post(path, body)).status == 422


async def test_no_body_is_an_empty_object(owner: Client) -> None:
    """A command that needs nothing takes no body; one that needs a field says which."""
    made = await owner.post("issues", {"title": "x"})
    assert (await owner.post(f"issues/{made.json['id']}/release")).status == 200
    reply = await owner.post("issues")
    assert reply.status == 422
    assert reply.json["errors"][0]["pointer"] == "/title"


@pytest.mark.parametrize(
    "estimate", ["1e400", "-1e400", "1.5", "1.0", "1e3", '"1"', "true", "[]", "{}", "-1"]
)
async def test_an_amount_is_a_whole_number_and_nothing_like_it(
    owner: Client, estimate: str
) -> None:
    """What is no integer in JSON is none here."""
    for path, field in (("issues", "title"),):
        body = f'{{"{field}": "x", "estimate": {estimate}}}'.encode()
        reply = await owner.post(path, body)
        assert reply.status == 422
        assert reply.json["errors"][0]["pointer"] == "/estimate"


async def test_the_largest_whole_number_is_kept_whole(owner: Client) -> None:
    """2^53 − 1 goes in and comes back."""
    made = await owner.post("issues", {"title": "x", "estimate": MAX_INT})
    assert (await owner.get(f"issues/{made.json['id']}")).json["estimate"] == MAX_INT


@pytest.mark.parametrize(
    "body",
    [
        b'{"title": "' + b"x" * MAX_BYTES + b'"}',
        gzip.compress(b'{"title": "' + b"x" * 20 * MAX_BYTES + b'"}'),
    ],
    ids=["plain", "compressed"],
)
async def test_a_body_over_a_mebibyte_is_413(owner: Client, body: bytes) -> None:
    """However it is packed; packing it at all may be refused before."""
    packed = [("Content-Encoding", b"gzip")] if body[:2] == b"\x1f\x8b" else []
    path = f"/v1/companies/{owner.company}/issues"
    status, answer = await _raw(owner, "POST", path, body, *packed)
    assert status in ((413, 415) if packed else (413,)), answer


async def test_a_body_of_nothing_but_unknown_fields_gets_a_short_answer(owner: Client) -> None:
    """A hundred thousand mistakes are not answered by a hundred thousand messages."""
    body = json.dumps({f"f{n}": 1 for n in range(70_000)}).encode()
    status, answer = await _raw(owner, "POST", f"/v1/companies/{owner.company}/issues", body)
    assert status == 422
    assert len(answer) < 100_000


async def test_a_pointer_escapes_what_a_pointer_must(owner: Client) -> None:
    """RFC 6901: `~` is `~0` and `/` is `~1`, so that a client finds the field."""
    reply = await owner.post("issues", {"title": "x", "a/b~c": 1})
    assert reply.json["errors"][0]["pointer"] == "/a~1b~0c"


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "x"],
)
async def test_a_body_that_is_not_called_json_is_415(owner: Client, kind: str) -> None:
    """The answer says what would do."""
    reply = await owner.post("issues", b'{"title": "x"}', Content_Type=kind)
    assert (reply.status, reply.json["code"]) == (415, "unsupported_media_type")


# ── paths, queries and headers, byte for byte ──────────────────────────────────────────

WEIRD = [
    "%00", "A%00B", "%ff", "%ff%fe", "%ed%a0%80", "..%2f..%2fetc", "%2e%2e", "%2f", "%", "%zz",
    "%25", "%0a", "%0d%0aX:y", "%F0%9F%98%80", "%E2%80%AE", "~", "*", "'%20or%201=1--", "{}", "@",
    ";", "=", "+", "null", "None", "-1", "0", "9" * 400, "ENG-", "-1-", "ENG-" + "9" * 300,
    "x" * 3000, "%20", "ldg_x", "none",
    NOBODYS.upper(), f"{{{NOBODYS}}}", NOBODYS.replace("-", ""), f"urn:uuid:{NOBODYS}"[:36],
    # UUID() takes all of these, though Postgres takes none of them:
    "0x345678-1234-7234-8234-123456789012",
    "%2B1234567-1234-7234-8234-123456789012",
    "1_345678-1234-7234-8234-123456789012",
    "%201234567-1234-7234-8234-123456789012",
    "01234567-1234-7234-8234-12345678901%0a",
    "%D9%A1%D9%A2345678-1234-7234-8234-123456789012",
]  # fmt: skip

LOOKALIKES = [
    "0x345678-1234-7234-8234-123456789012",
    "+1234567-1234-7234-8234-123456789012",
    "1_345678-1234-7234-8234-123456789012",
    " 1234567-1234-7234-8234-123456789012",
    "01234567-1234-7234-8234-12345678901\n",
    "\u0661\u0662345678-1234-7234-8234-123456789012",
]

WRITES = {"POST", "PATCH", "DELETE", "PUT"}


@pytest.mark.parametrize("text", LOOKALIKES)
def test_what_python_reads_as_a_uuid_is_no_id_unless_it_is_written_as_one(text: str) -> None:
    """An id is 32 hexadecimal digits in five groups, and nothing that resembles it."""
    assert not is_id(text)


@pytest.mark.parametrize("ref", WEIRD)
async def test_no_id_in_a_path_is_too_weird(owner: Client, ref: str) -> None:
    """On every path: 400, 404 or 422 as a problem, and never a 500."""
    issue = (await owner.post("issues", {"title": "x"})).json["id"]
    below = f"/v1/companies/{owner.company}"
    wrong = []
    for method, path in [
        ("GET", f"/v1/companies/{ref}"),
        ("GET", f"/v1/companies/{ref}/issues"),
        *((m, f"{below}/issues/{ref}") for m in ("GET", "PATCH", "DELETE")),
        *((m, f"{below}/agents/{ref}") for m in ("GET", "PATCH", "DELETE")),
        *((m, f"{below}/labels/{ref}") for m in ("GET", "PATCH", "DELETE")),
        *((m, f"{below}/keys/{ref}") for m in ("GET", "PATCH", "DELETE")),
        *((m, f"{below}/issues/{issue}/comments/{ref}") for m in ("GET", "DELETE")),
        ("GET", f"{below}/issues/{issue}/runs/{ref}"),
        ("DELETE", f"{below}/issues/{issue}/links/{ref}"),
        ("DELETE", f"{below}/issues/{issue}/labels/{ref}"),
        ("GET", f"{below}/issues/{ref}/comments"),
        ("POST", f"{below}/issues/{ref}/release"),
        ("POST", f"{below}/issues/{ref}/unassign"),
        ("POST", f"{below}/issues/{ref}/resume"),
        ("POST", f"{below}/issues/{ref}/expire-lease"),
        ("GET", f"{below}/issues/{ref}/budget"),
        ("GET", f"{below}/issues/{issue}/runs/{ref}/leases"),
        ("POST", f"{below}/issues/{issue}/runs/{ref}/finish"),
        ("GET", f"{below}/agents/{ref}/next"),
        ("GET", f"{below}/agents/{ref}/budget"),
        ("POST", f"{below}/agents/{ref}/claim-next"),
        ("POST", f"{below}/agents/{ref}/resume"),
    ]:
        status, answer = await _raw(owner, method, path)
        if status not in (400, 404, 405, 422) or b'"invalid input for' in answer:
            wrong.append((method, path[-60:], status, answer[-200:]))
    assert not wrong


@pytest.mark.parametrize("ref", WEIRD)
async def test_no_value_of_a_query_is_too_weird(owner: Client, ref: str) -> None:
    """On every list: an answer, or 400, 404 or 422."""
    wrong = []
    for query in [
        *(
            f"issues?{name}={ref}"
            for name in (
                "cursor", "limit", "status", "priority", "assignee", "team_id", "project_id",
                "goal_id", "milestone_id", "parent_id", "label", "external_ref",
            )
        ),
        f"issues?assignee=agent:{ref}",
        f"issues?external_ref=a:{ref}",
        f"issues?{ref}=1",
        f"agents?archived={ref}",
        f"agents/x/next?{ref}=1",
        *(
            f"activity?{name}={ref}"
            for name in ("issue_id", "actor", "run_id", "type", "since", "until", "cursor")
        ),
        *(
            f"costs?{name}={ref}"
            for name in ("issue_id", "agent_id", "project_id", "provider", "model", "since")
        ),
        f"costs/sums?group_by={ref}",
        *(
            f"events?{name}={ref}"
            for name in ("after", "issue_id", "actor", "run_id", "type", "since", "wait", "limit")
        ),
    ]:  # fmt: skip
        status, answer = await _raw(owner, "GET", f"/v1/companies/{owner.company}/{query}")
        if status not in (200, 400, 404, 422):
            wrong.append((query[:80], status, answer[-200:]))
    assert not wrong


@pytest.mark.parametrize("ref", LOOKALIKES)
async def test_no_reference_in_a_body_is_too_weird(owner: Client, ref: str) -> None:
    """What only looks like an id is a name that nobody has: 404, with a pointer."""
    for field in ("team_id", "project_id", "goal_id", "milestone_id", "parent_id"):
        reply = await owner.post("issues", {"title": "x", field: ref})
        assert (reply.status, reply.json["code"]) == (404, "not_found")
        assert reply.json["errors"][0]["pointer"] == f"/{field}"


@pytest.mark.parametrize(
    "path",
    [
        "/v1", "/v1/", "/v1/companies", "/v1/companies/", "//", "/v1//companies", "/v2/me",
        "/v1/companies//issues", "{below}/", "{below}/issues/", "{below}/issues//",
        "{below}//issues", "{below}/issues/../issues", "{below}/issues/%2e%2e/issues",
        "{below}/nothing", "/.git/config", "/docs/../api", "/docs/%2e%2e/app.py",
    ],
)  # fmt: skip
async def test_a_path_that_there_is_not_is_a_404(owner: Client, path: str) -> None:
    """Empty segments and dots lead nowhere."""
    status, answer = await _raw(owner, "GET", path.format(below=f"/v1/companies/{owner.company}"))
    assert (status, b'"not_found"' in answer) == (404, True)


HEADERS: list[tuple[str, bytes, set[int]]] = [
    ("If-Match", b"7", {400}),
    ("If-Match", b"", {400}),
    ("If-Match", b'"x"', {400}),
    ("If-Match", b'"-1"', {400}),
    ("If-Match", b'"1", "2"', {400}),
    ("If-Match", b'"99999999999999999999"', {400}),
    ("If-Match", b'"9007199254740992"', {400}),
    ("If-Match", b"\xff", {400}),
    ("If-Match", '"٣"'.encode(), {400}),
    ("If-Match", b"*", {201}),
    ("If-Match", b'"0"', {201}),
    ("If-Match", b'"9007199254740991"', {412}),
    ("Idempotency-Key", b"", {400}),
    ("Idempotency-Key", b"k" * 255, {201}),
    ("Idempotency-Key", b"k" * 256, {400}),
    ("Idempotency-Key", b"\xff", {400}),
    ("Idempotency-Key", "ключ".encode(), {400}),
    ("Idempotency-Key", b"a\tb", {400}),
    ("Ledger-Run-Id", b"", {400}),
    ("Ledger-Run-Id", b"x", {400}),
    ("Ledger-Run-Id", b"\xff" * 36, {400}),
    ("Ledger-Run-Id", b"0x345678-1234-7234-8234-123456789012", {400}),
    ("Ledger-Run-Id", b"+1234567-1234-7234-8234-123456789012", {400}),
    ("Ledger-Run-Id", NOBODYS.upper().encode(), {404}),
    ("Ledger-Fencing-Token", b"", {400}),
    ("Ledger-Fencing-Token", b"x", {400}),
    ("Ledger-Fencing-Token", b"-1", {400}),
    ("Ledger-Fencing-Token", b'"1"', {400}),
    ("Ledger-Fencing-Token", b"1.0", {400}),
    ("Ledger-Fencing-Token", b"\xff", {400}),
    ("Ledger-Fencing-Token", "٣".encode(), {400}),
    ("Ledger-Fencing-Token", b"9007199254740992", {400}),
    ("Ledger-Fencing-Token", b"99999999999999999999", {400}),
    ("Ledger-Fencing-Token", b"9007199254740991", {201}),
    ("traceparent", b"", {201}),
    ("traceparent", b"\xff", {201}),
    ("traceparent", b"x" * 4000, {201}),
    ("X-Request-Id", b"\xff", {201}),
    ("X-Request-Id", b"x" * 4000, {201}),
    ("X-Request-Id", b"a b", {201}),
    ("Accept", b"\xff", {201}),
    ("Content-Type", b"\xff", {201, 400, 415}),
    ("Content-Encoding", b"gzip", {400, 415}),
    ("Content-Encoding", b"deflate", {400, 415}),
    ("Content-Encoding", b"br", {400, 415}),
    ("Content-Encoding", b"nonsense", {201, 400, 415}),
    ("Expect", b"nonsense", {201, 417}),
    ("Cookie", b"\xff=\xff", {201}),
    ("Host", b"\xff", {201, 400}),
]


@pytest.mark.parametrize(("name", "value", "statuses"), HEADERS)
async def test_no_header_is_too_weird(
    owner: Client, name: str, value: bytes, statuses: set[int]
) -> None:
    """A header that cannot be read is a 400; one that need not be is passed over."""
    status, answer = await _raw(
        owner, "POST", f"/v1/companies/{owner.company}/issues", b'{"title": "x"}', (name, value)
    )
    assert status in statuses, answer


@pytest.mark.parametrize(
    "value",
    [
        b"", b"Bearer", b"Bearer ", b"Basic x", b"Bearer \xff", b"Bearer ldg_\xff",
        b"Bearer ldg_" + b"0" * 32 + b"_\xff", b"Bearer ldg_" + b"0" * 32 + b"_",
        b"Bearer ldg_" + b"g" * 32 + b"_x", b"Bearer ldg_0x" + b"0" * 30 + b"_x",
        b"Bearer ldg_+" + b"0" * 31 + b"_x", b"Bearer " + b"x" * 4000, b"\xff", b"Bearer ldg__",
        "Bearer ldg_００_x".encode(),
    ],
)  # fmt: skip
async def test_no_key_is_too_weird(owner: Client, value: bytes) -> None:
    """Whatever stands in Authorization, it is a 401."""
    nobody = Client(owner.http, owner.base_url, owner.company, None)
    for header in (value, value.replace(b"0" * 32, owner.company.replace("-", "").encode())):
        status, answer = await _raw(nobody, "GET", "/v1/me", None, ("Authorization", header))
        assert (status, b'"unauthenticated"' in answer) == (401, True), answer


@pytest.mark.parametrize(
    "junk", [b"\x00", b"GET", b"\r\n\r\n", b"\xff" * 100, b"GET / HTTP/9.9\r\n\r\n"]
)
async def test_bytes_that_are_no_request_do_no_harm(owner: Client, junk: bytes) -> None:
    """The server answers the next one."""
    host, port = owner.base_url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(junk)
    await writer.drain()
    writer.close()
    assert (await owner.get("/v1/me")).status == 200


async def _raw(
    client: Client,
    method: str,
    path: str,
    body: bytes | None = None,
    *headers: tuple[str, bytes],
) -> tuple[int, bytes]:
    """A request byte for byte, which no client library tidies; its status and all of the answer."""
    host, port = client.base_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    sent = {"Host": b"localhost", "Connection": b"close"}
    if client.key:
        sent["Authorization"] = f"Bearer {client.key}".encode()
    if method in WRITES:
        sent |= {"Content-Type": b"application/json"}
        sent |= {"Content-Length": str(len(body or b"")).encode()}
    sent |= dict(headers)
    lines = [f"{name}: ".encode() + value for name, value in sent.items()]
    target = quote(path, safe="%/?&=:;@*~'+{}!-._,")
    writer.write(b"\r\n".join([f"{method} {target} HTTP/1.1".encode(), *lines, b"", body or b""]))
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return int(answer.split(b" ", 2)[1]), answer
