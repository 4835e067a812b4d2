"""How refusals are told over HTTP: RFC 9457 problem details, always with a stable code.

The tree of `ledger/errors.py` maps to statuses here and nowhere else. Everything that is not
in it is a bug of ours: one 500, one traceback in the log, and nothing about it to the client.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson
from aiohttp import web
from aiohttp.web import RequestPayloadError
from pydantic import ValidationError

from api.gate import Malformed
from ledger import errors
from ledger.database import LOST

STATUSES: dict[type[errors.LedgerError], int] = {
    errors.NotFound: 404,
    errors.Forbidden: 403,
    errors.Invalid: 422,
    errors.StaleVersion: 412,
    errors.Refused: 409,
    errors.Unavailable: 503,
}
TITLES = {
    400: "Malformed request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Refused",
    412: "Precondition failed",
    413: "Body too large",
    415: "Unsupported media type",
    422: "Invalid request",
    500: "Internal error",
    503: "Unavailable",
}


class Problem(Exception):
    """A refusal of the edge itself, with the status to tell it by."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[dict[str, str]] = (),
        headers: dict[str, str] | None = None,
        **facts: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = list(errors)
        self.headers = headers or {}
        self.facts = facts


def problem_of(error: Exception) -> Problem | None:
    """The problem that an exception means; None for a bug of ours."""
    match error:
        case Problem():
            return error
        case errors.LedgerError():
            status = next(code for kind, code in STATUSES.items() if isinstance(error, kind))
            return Problem(
                status,
                error.code,
                error.message,
                errors=_at(error),
                headers={"Retry-After": "1"} if status == 503 else {},
                **error.facts,
            )
        case Malformed():
            return Problem(400, "malformed", error.message)
        case ValidationError():
            return invalid(error)
        case RequestPayloadError():
            return Problem(400, "malformed", "The body did not arrive whole.")
        case Exception() if isinstance(error, LOST):
            return Problem(
                503,
                "database_unavailable",
                "The database does not answer; nothing was changed. Try again in a moment.",
                headers={"Retry-After": "1"},
            )
        case web.HTTPRequestEntityTooLarge():
            return Problem(413, "body_too_large", "A body may have 1 MiB at most.")
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            return Problem(
                405,
                "method_not_allowed",
                f"{error.method} is not allowed here; allowed: {allowed}.",
                headers={"Allow": allowed},
            )
        case web.HTTPNotFound():
            return Problem(404, "not_found", "There is no such path; see /docs.")
        case web.HTTPException() if 400 <= error.status < 500:
            return Problem(error.status, "malformed", error.reason)
        case _:
            return None


def response_of(problem: Problem, request_id: str) -> web.Response:
    """The problem as application/problem+json."""
    return web.Response(
        status=problem.status,
        body=orjson.dumps({**body_of(problem), "request_id": request_id}),
        content_type="application/problem+json",
        headers=problem.headers,
    )


def body_of(problem: Problem) -> dict[str, Any]:
    """The problem's members, but for the request's id."""
    body: dict[str, Any] = {
        "type": f"urn:ledger:problem:{problem.code}",
        "title": TITLES.get(problem.status, "Refused"),
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        **problem.facts,
    }
    if problem.errors:
        body["errors"] = problem.errors
    return body


def _at(error: errors.LedgerError) -> list[dict[str, str]]:
    if error.pointer is None:
        return []
    return [{"pointer": error.pointer, "code": error.code, "message": error.message}]


_MOST_ERRORS = 20
"""However much is wrong with a body, the answer stays readable."""


def _escaped(part: int | str) -> str:
    """A step of a JSON Pointer (RFC 6901, section 3)."""
    return str(part)[:100].replace("~", "~0").replace("/", "~1")


Loc = tuple[int | str, ...]


def invalid(error: ValidationError, at: Callable[[Loc], Loc] = lambda loc: loc) -> Problem:
    """The 422 of a body that has not the form; `at` says where the body has a location."""
    found = [
        {
            "pointer": "".join(f"/{_escaped(part)}" for part in at(item["loc"])),
            "code": str(item["type"]),
            "message": str(item["msg"]),
        }
        for item in error.errors(include_url=False, include_context=False, include_input=False)[
            :_MOST_ERRORS
        ]
    ]
    first = found[0]
    where = first["pointer"] or "the body"
    return Problem(422, "invalid", f"{where}: {first['message']}.", errors=found)
