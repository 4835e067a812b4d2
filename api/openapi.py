"""The OpenAPI 3.1 document, made from the route table and the pydantic models."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.commanding import ITEMS, CommandList, ProblemView
from api.routes import ROUTES, Route
from api.shapes import DryRunView

_GUIDE = Path(__file__).with_name("guide.md")
_REF = "#/components/schemas/{model}"
_COMMAND_HEADERS = {
    "Idempotency-Key": (
        "The same key with the same request answers the first reply again.",
        {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
    ),
    "If-Match": (
        'The version that you saw, such as `"7"`; another one is a 412.',
        {"type": "string", "pattern": '^"[0-9]{1,15}"$'},
    ),
    "Ledger-Run-Id": ("The run in which you act.", {"type": "string", "format": "uuid"}),
    "Ledger-Fencing-Token": (
        "The `fencing_token` of the lease under which you write; once it has ended, a 409.",
        {"type": "string", "pattern": "^[0-9]{1,15}$"},
    ),
}
_STREAM_HEADERS = {
    "Last-Event-ID": (
        "Where the reader of a stream goes on: the `id` that it got last. Wins over `after`; an "
        "empty one is none.",
        {"type": "string", "pattern": "^([0-9]{1,15})?$"},
    ),
}
_PAGE_OR_STREAM = (
    "A page. A page may be short, or empty, and yet have a `next_cursor`; without one, all up to "
    "`as_of_position` was looked at. Or, for `Accept: text/event-stream`, Server-Sent Events that "
    "go on and on: `id` is the position, `event` the type, `data` the event as JSON on one line; a "
    "comment with an `id` tells how far a quiet stretch has been looked through."
)
_EXPORT = (
    "A file that streams, oldest first. Its last line says how many lines are before it, their "
    "first and last position, and the SHA-256 of all bytes before it: NDJSON as "
    '`{"export": {…}}`, CSV as a record whose first field is `#export` and whose second is that '
    "object, CloudEvents as an event of the type `dev.issue-ledger.export.ended`. A file without "
    "it was broken off. In CSV, a text that begins with one of `= + - @ '`, a tab or a carriage "
    "return has a `'` before it."
)
_REFUSALS = {
    "400": "Malformed: not JSON, or a header that cannot be read",
    "401": "No API key, or one that is not known",
    "403": "The key's role does not allow it",
    "404": "There is no such thing in this company",
    "422": "Invalid: the form is wrong, and `errors` says where",
    "503": "Try again after Retry-After",
}
_COMMAND_REFUSALS = {
    "409": "A rule said no; `code` and `current` say why",
    "412": "If-Match named an older version",
    "413": "The body is over 1 MiB",
    "415": "The body is not application/json",
}


def document() -> dict[str, Any]:
    """The whole document, as JSON-able dicts."""
    models = _models()
    refs, definitions = models_json_schema(
        [(model, mode) for model, mode in models.items()],  # type: ignore[misc]
        ref_template=_REF,
    )
    names = {key[0]: value["$ref"] for key, value in refs.items()}
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, names)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Issue ledger",
            "version": version("issue-ledger"),
            "description": _GUIDE.read_text(encoding="utf-8"),
        },
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _models() -> dict[type[BaseModel], str]:
    """Every model with the mode of its schema."""
    models: dict[type[BaseModel], str] = {
        ProblemView: "serialization",
        DryRunView: "serialization",
    }
    models.update(dict.fromkeys([CommandList, *ITEMS.values()], "validation"))
    for route in ROUTES:
        if route.body is not None:
            models[route.body] = "validation"
        if route.view is not None:
            models[route.view] = "serialization"
    return models


def _operation(route: Route, names: dict[Any, str]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.operation_id,
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": list(_parameters(route)),
        "responses": _responses(route, names),
    }
    if route.body is not None:
        schema: dict[str, Any] = {"$ref": names[route.body]}
        if route.body is CommandList:
            items = [{"$ref": names[item]} for item in ITEMS.values()]
            schema = {
                "anyOf": [
                    schema,
                    {"type": "array", "minItems": 1, "maxItems": 100, "items": {"anyOf": items}},
                    *items,
                ]
            }
        operation["requestBody"] = {
            "required": any(f.is_required() for f in route.body.model_fields.values()),
            "content": {"application/json": {"schema": schema}},
        }
    return operation


def _parameters(route: Route) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", route.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    schema = route.query.model_json_schema(ref_template=_REF)
    for name, field in schema.get("properties", {}).items():
        shown = {key: value for key, value in field.items() if key != "title"}
        if "anyOf" in shown and shown["anyOf"][-1] == {"type": "null"}:
            shown = {**shown.pop("anyOf")[0], **shown}
            shown.pop("default", None)
        description = shown.pop("description", None)
        required = name in schema.get("required", ())
        parameter = {"name": name, "in": "query", "required": required, "schema": shown}
        yield parameter | ({"description": description} if description else {})
    headers = _COMMAND_HEADERS if route.is_command else _STREAM_HEADERS if route.is_stream else {}
    for name, (description, header) in headers.items():
        if name == "If-Match" and route.body is CommandList:
            continue
        yield {
            "name": name, "in": "header", "required": False, "schema": header,
            "description": description,
        }  # fmt: skip


def _responses(route: Route, names: dict[Any, str]) -> dict[str, Any]:
    found: dict[str, Any] = {str(route.status): _success(route, names)}
    if route.is_command and route.body is not CommandList:
        found["200"] = _success_or_dry_run(route, names)
    if route.is_versioned and not route.is_command:
        found["304"] = {"description": "If-None-Match named this version"}
    refusals = _REFUSALS | (_COMMAND_REFUSALS if route.is_command else {})
    problem = {"application/problem+json": {"schema": {"$ref": names[ProblemView]}}}
    for status, description in refusals.items():
        found[status] = {"description": description, "content": problem}
    return dict(sorted(found.items()))


def _success_or_dry_run(route: Route, names: dict[Any, str]) -> dict[str, Any]:
    """What a command answers that changed, or made, nothing new; or that was only tried."""
    shown = _success(route, names)
    schemas = [{"$ref": names[DryRunView]}]
    if route.view is not None:
        schemas.insert(0, {"$ref": names[route.view]})
    headers = {"Ledger-Position": shown["headers"]["Ledger-Position"]}
    if "ETag" in shown["headers"]:
        headers["ETag"] = {**shown["headers"]["ETag"], "required": False}
    return {
        "description": "Done, or what `dry_run` would do",
        "headers": headers,
        "content": {"application/json": {"schema": {"anyOf": schemas}}},
    }


def _success(route: Route, names: dict[Any, str]) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if route.operation_id not in ("get_me", "carry_out_commands"):
        headers["Ledger-Position"] = {
            "description": "The position of the log that the answer is as of",
            "schema": {"type": "string", "pattern": "^[0-9]+$"},
        }
    if route.is_versioned:
        headers["ETag"] = {
            "description": "The version, for If-Match and If-None-Match",
            "schema": {"type": "string"},
        }
    if route.exports_as:
        kinds: dict[str, Any] = {kind: {"schema": {}} for kind in route.exports_as}
        return {"description": _EXPORT, "headers": headers, "content": kinds}
    if route.view is None:
        return {"description": "Done", "headers": headers}
    schema: dict[str, Any] = {"$ref": names[route.view]}
    if route.is_list:
        schema = {
            "type": "object",
            "required": ["items", "next_cursor", "as_of_position"],
            "properties": {
                "items": {"type": "array", "items": schema},
                "next_cursor": {"type": ["string", "null"]},
                "as_of_position": {"type": "integer"},
            },
        }
    content = {"application/json": {"schema": schema}}
    if not route.is_stream:
        return {"description": "Done", "headers": headers, "content": content}
    content["text/event-stream"] = {"schema": {"type": "string"}}
    headers["Ledger-Position"]["required"] = False  # Of a page alone.
    return {"description": _PAGE_OR_STREAM, "headers": headers, "content": content}
