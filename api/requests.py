"""What a request says beside its path: headers, body and query, each read in one place."""

from __future__ import annotations

import functools
import re
from typing import Any, NamedTuple, TypeVar

from aiohttp import web

from api import gate
from api.problems import Problem
from api.wire import Wire
from ledger.codec import MAX_INT
from ledger.facts import is_id
from ledger.ids import as_ref, new_id

W = TypeVar("W", bound=Wire)
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_KEY = re.compile(r"[\x20-\x7e]{1,255}")
_VERSION = re.compile(r'(?:W/)?"([0-9]{1,16})"')
_TOKEN = re.compile(r"[0-9]{1,16}", re.ASCII)
_POSITION = re.compile(r"[0-9]{1,16}", re.ASCII)
_WEIGHT = re.compile(r"[01](\.[0-9]{0,3})?", re.ASCII)
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}"
)


class Trace(NamedTuple):
    """What a request belongs to: the caller's trace and span, else the request itself."""

    correlation_id: str
    causation_id: str | None


def request_id(request: web.Request) -> str:
    """The caller's X-Request-Id, or one made for this request."""
    given = request.headers.get("X-Request-Id", "")
    return given if _REQUEST_ID.fullmatch(given) else new_id()


def trace(request: web.Request, request_id: str) -> Trace:
    """W3C Trace Context's traceparent, where there is a valid one."""
    found = _TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
    return Trace(found[1], found[2]) if found else Trace(request_id, None)


def expected_version(request: web.Request) -> int | None:
    """The version that If-Match names; None for none and for `*`."""
    given = request.headers.get("If-Match")
    if given is None or given.strip() == "*":
        return None
    found = _VERSION.fullmatch(given.strip())
    if found is None or int(found[1]) > MAX_INT:
        raise Problem(400, "malformed", 'If-Match takes one version, such as "7".')
    return int(found[1])


def unless_changed(request: web.Request, version: int) -> bool:
    """Whether If-None-Match says that the caller has this version already."""
    given = request.headers.get("If-None-Match")
    if given is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in given.split(",")]
    return "*" in tags or f'"{version}"' in tags


def idempotency_key(request: web.Request) -> str | None:
    """The caller's Idempotency-Key."""
    given = request.headers.get("Idempotency-Key")
    if given is not None and not _KEY.fullmatch(given):
        raise Problem(
            400, "malformed", "Idempotency-Key takes 1 to 255 printable ASCII characters."
        )
    return given


def run_id(request: web.Request) -> str | None:
    """The run in which the caller acts."""
    given = request.headers.get("Ledger-Run-Id")
    if given is not None and not is_id(given.lower()):
        raise Problem(400, "malformed", "Ledger-Run-Id takes a run's id (a UUID).")
    return given.lower() if given else None


def fencing_token(request: web.Request) -> int | None:
    """The token of the lease under which the caller writes."""
    given = request.headers.get("Ledger-Fencing-Token")
    if given is None:
        return None
    if not _TOKEN.fullmatch(given) or int(given) > MAX_INT:
        raise Problem(400, "malformed", "Ledger-Fencing-Token takes a lease's fencing_token.")
    return int(given)


def last_event_id(request: web.Request) -> int | None:
    """The position after which the reader of a stream goes on."""
    given = request.headers.get("Last-Event-ID")
    if not given:
        return None
    if not _POSITION.fullmatch(given) or int(given) > MAX_INT:
        raise Problem(400, "malformed", "Last-Event-ID takes the id of an event of this stream.")
    return int(given)


def wants_stream(request: web.Request) -> bool:
    """Whether Accept would rather have text/event-stream than anything else that it names."""
    best, most = "", 0.0
    for part in ",".join(request.headers.getall("Accept", [])).split(","):
        kind, *parameters = (word.strip().lower() for word in part.split(";"))
        weights = [word[2:] for word in parameters if word.startswith("q=")]
        weight = float(weights[0]) if weights and _WEIGHT.fullmatch(weights[0]) else 1.0
        if weight > most:
            best, most = kind, weight
    return best == "text/event-stream"


async def body(request: web.Request) -> tuple[bytes, Any]:
    """The body's bytes, and the JSON that they are; no body is an empty object."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Problem(
            415, "unsupported_media_type", "Send the body as it is, without Content-Encoding."
        )
    raw = await request.read()
    if raw and "Content-Type" in request.headers:
        kind = request.content_type
        if kind != "application/json" and not kind.endswith("+json"):
            raise Problem(
                415, "unsupported_media_type", f"Send application/json, not {kind}.",
                headers={"Accept": "application/json"},
            )  # fmt: skip
    value = gate.parse(raw)
    return raw, {} if not raw else value


def about(request: web.Request) -> dict[str, str]:
    """What the path names: its segments, as they are looked up."""
    return {name: as_ref(segment) for name, segment in request.match_info.items()}


def query(request: web.Request, model: type[W]) -> W:
    """The query's parameters; an unknown one, or one given twice, is a 422."""
    if not request.query_string:
        found: W = _without(model)
        return found
    parameters = request.query
    given = dict(parameters)
    if len(given) != len(parameters):
        raise Problem(422, "invalid", "A query parameter is given twice.")
    for text in (*given.keys(), *given.values()):
        gate.refuse_bad_string(text)
    return model.model_validate(given)


@functools.cache
def _without(model: type[Any]) -> Any:
    """What a query without parameters comes to."""
    return model.model_validate({})
