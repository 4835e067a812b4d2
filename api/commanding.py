"""Commands over HTTP: one verb a route, or up to a hundred in one body.

Whatever the route, the way is the same: caller, body, verb, submission, outcome, reply. What
the reply shows is what the outcome says; nothing is read again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any, Literal, Union

import orjson
from aiohttp import web
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, create_model

from api import requests, shapes, views
from api import wire as w
from api.auth import Caller
from api.context import Api, Context, context_of
from api.problems import Problem, body_of, invalid, problem_of
from api.verbs import VERBS, Ask, Built, Verb
from ledger.codec import MAX_INT
from ledger.errors import IdempotencyKeyReused, LedgerError
from ledger.submission import IdempotencyKey, Outcome, Provenance, Result, Submission


async def carry_out(api: Api, request: web.Request, verb: Verb, status: int) -> web.Response:
    """Carries out one verb; `status` is what its success answers (201, 200 or 204)."""
    context = context_of(request)
    caller = await api.caller(request)
    requests.query(request, w.Nothing)
    raw, given = await requests.body(request)
    version, run_id = requests.expected_version(request), requests.run_id(request)
    ask = Ask(caller, version, run_id, requests.about(request))
    built = verb.build(ask, verb.body.model_validate(given))
    key = _key(request, caller, raw, 0)
    outcome = await _submit(api, context, caller, [built], key, len(raw), ask.run_id)
    return _reply(context, outcome, built, status)


def _reply(context: Context, outcome: Outcome, built: Built, status: int) -> web.Response:
    result = outcome.results[0]
    context.position, context.replayed = outcome.position, outcome.replayed
    headers = {"ETag": f'"{result.version}"', "Ledger-Position": str(outcome.position)}
    if outcome.replayed:
        headers["Idempotent-Replayed"] = "true"
    if status == 204:
        return web.Response(status=204, headers=headers)
    return web.Response(
        status=_status(result, status),
        body=orjson.dumps(_shown(result, built, outcome.replayed)),
        content_type="application/json",
        headers=headers,
    )


def _status(result: Result, status: int) -> int:
    """201 only when something came to be; a link that was there already is 200."""
    return status if result.appended or status != 201 else 200


def _shown(result: Result, built: Built, replayed: bool) -> dict[str, Any]:
    shown = views.subject(result.subject, result.text)
    for name, secret in built.shown_once.items():
        shown[name] = None if replayed else secret
    return shown


def _key(request: web.Request, caller: Caller, raw: bytes, item: int) -> IdempotencyKey | None:
    key = requests.idempotency_key(request)
    if key is None:
        return None
    said = b"\0".join((request.method.encode(), request.raw_path.encode(), raw))
    return IdempotencyKey(str(caller.actor), key, sha256(said).digest(), item)


async def _submit(
    api: Api,
    context: Context,
    caller: Caller,
    built: Sequence[Built],
    key: IdempotencyKey | None,
    size_bytes: int,
    run_id: str | None,
) -> Outcome:
    return await api.ledger.committer.submit(
        caller.company_id,
        Submission(
            commands=tuple(item.command for item in built),
            provenance=Provenance(
                via="api",
                key_id=caller.key_id,
                run_id=run_id,
                correlation_id=context.trace.correlation_id,
                causation_id=context.trace.causation_id,
            ),
            idempotency_key=key,
            size_bytes=256 + size_bytes,
        ),
    )


# ── up to a hundred commands in one body ───────────────────────────────────────────────


def _item_model(verb: Verb) -> type[w.Wire]:
    about: dict[str, Any] = {name: (w.Ref, ...) for name in verb.about}
    return create_model(
        "".join(part.title() for part in verb.name.split("_")),
        __base__=verb.body,
        __doc__=verb.summary,
        type=(Literal[verb.name], ...),  # type: ignore[arg-type]
        expected_version=(Annotated[int, Field(ge=0, le=MAX_INT, strict=True)] | None, None),
        **about,
    )


ITEMS: dict[str, type[w.Wire]] = {name: _item_model(verb) for name, verb in VERBS.items()}
Item = Annotated[Union[tuple(ITEMS.values())], Field(discriminator="type")]  # type: ignore[valid-type] # noqa: UP007


class CommandList(w.Wire):
    """Commands that are carried out in order; `atomic`: all of them, or none."""

    commands: list[Item] = Field(min_length=1, max_length=100)  # type: ignore[valid-type]
    atomic: bool = False


class ProblemView(shapes.View):
    """RFC 9457 problem details, with the reasons that the code has."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str
    detail: str
    request_id: str | None = None
    errors: list[dict[str, str]] | None = None


class CommandOutcome(shapes.View):
    """What became of one command: the resource as it now is, or why not."""

    type: str
    status: int
    version: int | None = None
    position: int | None = None
    replayed: bool | None = None
    resource: dict[str, Any] | None = None
    problem: ProblemView | None = None


class CommandOutcomes(shapes.View):
    """What became of each command, in order."""

    outcomes: list[CommandOutcome]


_ITEM: TypeAdapter[Any] = TypeAdapter(Item)  # type: ignore[arg-type]
_BODY_FIELDS = {name: set(verb.body.model_fields) for name, verb in VERBS.items()}


async def carry_out_many(api: Api, request: web.Request) -> web.Response:
    """Carries out one command, a list of them, or a list that stands or falls together."""
    context = context_of(request)
    caller = await api.caller(request)
    requests.query(request, w.Nothing)
    if "If-Match" in request.headers:
        raise Problem(
            400, "malformed", "If-Match is for one thing; give commands an expected_version."
        )
    raw, given = await requests.body(request)
    items, atomic = _items_of(given)
    many = _Many(api, request, context, caller, raw, requests.run_id(request))
    if atomic:
        shown = await many.all_or_none(items)
    else:
        shown = await asyncio.gather(
            *(many.one(item, place, len(items)) for place, item in enumerate(items, start=1))
        )
        _unless_key_reused(shown)
    context.position = max((one.get("position") or 0 for one in shown), default=0)
    context.replayed = all(one.get("replayed") for one in shown)
    headers = {"Idempotent-Replayed": "true"} if context.replayed else {}
    if context.position:
        headers["Ledger-Position"] = str(context.position)
    return web.Response(
        body=orjson.dumps({"outcomes": shown}), content_type="application/json", headers=headers
    )


def _unless_key_reused(shown: list[dict[str, Any]]) -> None:
    """A key of another list is refused once, for all of this one."""
    codes = {one.get("problem", {}).get("code") for one in shown}
    if codes == {IdempotencyKeyReused.code}:
        raise IdempotencyKeyReused(shown[0]["problem"]["detail"])


def _items_of(given: Any) -> tuple[list[Any], bool]:
    try:
        if isinstance(given, dict) and "commands" not in given:
            return [_ITEM.validate_python(given)], False
        listed = CommandList.model_validate(
            {"commands": given} if isinstance(given, list) else given
        )
    except ValidationError as error:
        raise invalid(error, lambda loc: _in_body(loc, given)) from None
    return list(listed.commands), listed.atomic


def _in_body(loc: tuple[int | str, ...], given: Any) -> tuple[int | str, ...]:
    """Where the body itself has it: without the union's tags, and the name that a list lacks."""
    steps = [step for n, step in enumerate(loc) if step not in VERBS or n not in (0, 2)]
    return tuple(steps[1:] if isinstance(given, list) else steps)


@dataclass(frozen=True, slots=True)
class _Many:
    """The commands of one body, which share its key, its trace and its run."""

    api: Api
    request: web.Request
    context: Context
    caller: Caller
    raw: bytes
    run_id: str | None

    async def one(self, item: Any, place: int, of: int) -> dict[str, Any]:
        """Carries out one command on its own; a refusal is its outcome."""
        key = _key(self.request, self.caller, self.raw, place)
        try:
            built = self._built(item)
            outcome = await self._submit([built], key, len(self.raw) // of)
        except LedgerError as error:
            return _refusal(item.type, error)
        return _acceptance(item.type, built, outcome, outcome.results[0])

    async def all_or_none(self, items: list[Any]) -> list[dict[str, Any]]:
        """Carries out all commands; raises the first refusal, and then none is."""
        key = _key(self.request, self.caller, self.raw, 0)
        built: list[Built] = []
        try:
            for item in items:
                built.append(self._built(item))
            outcome = await self._submit(built, key, len(self.raw))
        except LedgerError as error:
            place = error.facts.pop("command_index", len(built) if len(built) < len(items) else 0)
            error.pointer = f"/commands/{place}{error.pointer or ''}"
            raise
        return [
            _acceptance(item.type, one, outcome, result)
            for item, one, result in zip(items, built, outcome.results, strict=True)
        ]

    def _built(self, item: Any) -> Built:
        verb = VERBS[item.type]
        fields = _BODY_FIELDS[verb.name]
        body = verb.body.model_construct(
            _fields_set=item.model_fields_set & fields,
            **{name: getattr(item, name) for name in fields},
        )
        about = {name: getattr(item, name) for name in verb.about}
        return verb.build(Ask(self.caller, item.expected_version, self.run_id, about), body)

    async def _submit(
        self, built: Sequence[Built], key: IdempotencyKey | None, size_bytes: int
    ) -> Outcome:
        return await _submit(
            self.api, self.context, self.caller, built, key, size_bytes, self.run_id
        )


def _acceptance(name: str, built: Built, outcome: Outcome, result: Result) -> dict[str, Any]:
    created = name.startswith(("create_", "comment_", "link_", "report_"))
    return {
        "type": name,
        "status": _status(result, 201 if created else 200),
        "version": result.version,
        "position": outcome.position,
        "replayed": outcome.replayed,
        "resource": _shown(result, built, outcome.replayed),
    }


def _refusal(name: str, error: LedgerError) -> dict[str, Any]:
    problem = problem_of(error)
    assert problem is not None
    return {"type": name, "status": problem.status, "problem": body_of(problem)}
