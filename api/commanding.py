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

from api import asked as a
from api import requests, shapes, views
from api import wire as w
from api.auth import Caller
from api.context import Api, Context, context_of
from api.problems import Problem, body_of, invalid, problem_of
from api.verbs import VERBS, Ask, Built, Verb
from ledger.codec import MAX_INT
from ledger.errors import IdempotencyKeyReused, LedgerError
from ledger.submission import IdempotencyKey, Outcome, Provenance, Result, Submission
from projections.queries.things import MOST_CHANGES


async def carry_out(api: Api, request: web.Request, verb: Verb, status: int) -> web.Response:
    """Carries out one verb; `status` is what its success answers (201, 200 or 204)."""
    context = context_of(request)
    caller = await api.caller(request)
    dry_run = requests.query(request, a.CommandQuery).dry_run
    raw, given = await requests.body(request)
    ask = Ask(
        caller,
        requests.expected_version(request),
        requests.run_id(request),
        requests.fencing_token(request),
        requests.about(request),
    )
    built = verb.build(ask, verb.body.model_validate(given))
    asked = Asked(api, request, context, caller, raw, ask.run_id, dry_run)
    try:
        outcome = await asked.submit([built], 0, len(raw))
    except LedgerError as error:
        await asked.tell_changes(error)
        raise
    if dry_run:
        return _tried(context, outcome, built)
    return _reply(context, outcome, built, status)


def _tried(context: Context, outcome: Outcome, built: Built) -> web.Response:
    """What a dry run would have appended, and the thing as it would be; no secret."""
    context.position = outcome.position
    shown = {
        "dry_run": True,
        "events": [views.planned(recorded) for recorded in outcome.events],
        "resource": _shown(outcome.results[0], built, True),
    }
    headers = {"Ledger-Position": str(outcome.position)}
    return web.Response(body=orjson.dumps(shown), content_type="application/json", headers=headers)


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


def _shown(result: Result, built: Built, hides: bool) -> dict[str, Any]:
    shown = views.subject(result.subject, result.text)
    for name, secret in built.shown_once.items():
        shown[name] = None if hides else secret
    return shown


@dataclass(frozen=True, slots=True)
class Asked:
    """One request for commands: who, what they sent, in which run, and whether it is only tried."""

    api: Api
    request: web.Request
    context: Context
    caller: Caller
    raw: bytes
    run_id: str | None
    dry_run: bool

    async def submit(self, built: Sequence[Built], item: int, size_bytes: int) -> Outcome:
        """Submits commands together; `item` is their place in a list that shares one key."""
        key = self._key(item)
        return await self.api.ledger.committer.submit(
            self.caller.company_id,
            Submission(
                commands=tuple(one.command for one in built),
                provenance=Provenance(
                    via="api",
                    key_id=self.caller.key_id,
                    run_id=self.run_id,
                    correlation_id=self.context.trace.correlation_id,
                    causation_id=self.context.trace.causation_id,
                ),
                idempotency_key=None if self.dry_run else key,
                new_ids=frozenset(new_id for one in built for new_id in one.new_ids),
                size_bytes=256 + size_bytes,
                dry_run=self.dry_run,
            ),
        )

    async def tell_changes(self, error: LedgerError) -> None:
        """Adds to a refusal what happened since the version that the caller saw."""
        since = error.facts.pop("changed_since", None)
        if since is not None and since["stream_id"] is not None:
            found = await self.api.queries.things.since(self.caller.company_id, **since)
            error.facts["changed"] = [views.change(stored) for stored in found[:MOST_CHANGES]]
            error.facts["changed_is_all"] = len(found) <= MOST_CHANGES

    def _key(self, item: int) -> IdempotencyKey | None:
        key = requests.idempotency_key(self.request)
        if key is None:
            return None
        said = b"\0".join((self.request.method.encode(), self.request.raw_path.encode(), self.raw))
        return IdempotencyKey(str(self.caller.actor), key, sha256(said).digest(), item)


# ── up to a hundred commands in one body ───────────────────────────────────────────────


_Version = Annotated[int, Field(ge=0, le=MAX_INT, strict=True)]


def _item_model(verb: Verb) -> type[w.Wire]:
    about: dict[str, Any] = {name: (w.Ref, ...) for name in verb.about}
    return create_model(
        "".join(part.title() for part in verb.name.split("_")),
        __base__=verb.body,
        __doc__=verb.summary,
        type=(Literal[verb.name], ...),  # type: ignore[arg-type]
        expected_version=(_Version | None, None),
        fencing_token=(_Version | None, None),
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
    """What became of one command: the resource as it now is, or why not; and the events of one
    that was only tried.
    """

    type: str
    status: int
    version: int | None = None
    position: int | None = None
    replayed: bool | None = None
    resource: dict[str, Any] | None = None
    events: list[shapes.PlannedEventView] | None = None
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
    dry_run = requests.query(request, a.CommandQuery).dry_run
    if "If-Match" in request.headers:
        raise Problem(
            400, "malformed", "If-Match is for one thing; give commands an expected_version."
        )
    raw, given = await requests.body(request)
    items, atomic = _items_of(given)
    run_id, token = requests.run_id(request), requests.fencing_token(request)
    many = _Many(Asked(api, request, context, caller, raw, run_id, dry_run), token)
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
    """The commands of one body, which share its key, its trace, its run and its token."""

    asked: Asked
    fencing_token: int | None

    async def one(self, item: Any, place: int, of: int) -> dict[str, Any]:
        """Carries out one command on its own; a refusal is its outcome."""
        try:
            built = self._built(item)
            outcome = await self.asked.submit([built], place, len(self.asked.raw) // of)
        except LedgerError as error:
            await self.asked.tell_changes(error)
            return _refusal(item.type, error)
        return self._acceptance(item.type, built, outcome, 0)

    async def all_or_none(self, items: list[Any]) -> list[dict[str, Any]]:
        """Carries out all commands; raises the first refusal, and then none is."""
        built: list[Built] = []
        try:
            for item in items:
                built.append(self._built(item))
            outcome = await self.asked.submit(built, 0, len(self.asked.raw))
        except LedgerError as error:
            await self.asked.tell_changes(error)
            place = error.facts.pop("command_index", len(built) if len(built) < len(items) else 0)
            error.pointer = f"/commands/{place}{error.pointer or ''}"
            raise
        return [
            self._acceptance(item.type, one, outcome, number)
            for number, (item, one) in enumerate(zip(items, built, strict=True))
        ]

    def _built(self, item: Any) -> Built:
        verb = VERBS[item.type]
        fields = _BODY_FIELDS[verb.name]
        body = verb.body.model_construct(
            _fields_set=item.model_fields_set & fields,
            **{name: getattr(item, name) for name in fields},
        )
        about = {name: getattr(item, name) for name in verb.about}
        token = self.fencing_token if item.fencing_token is None else item.fencing_token
        ask = Ask(self.asked.caller, item.expected_version, self.asked.run_id, token, about)
        return verb.build(ask, body)

    def _acceptance(self, name: str, built: Built, outcome: Outcome, number: int) -> dict[str, Any]:
        """The outcome of the command of this number in its submission."""
        result = outcome.results[number]
        created = name.startswith(("create_", "comment_", "link_", "report_cost"))
        accepted = {
            "type": name,
            "status": _status(result, 201 if created else 200),
            "version": result.version,
            "position": outcome.position,
            "replayed": outcome.replayed,
            "resource": _shown(result, built, outcome.replayed or self.asked.dry_run),
        }
        if self.asked.dry_run:
            before = sum(one.appended for one in outcome.results[:number])
            own = outcome.events[before : before + result.appended]
            accepted["events"] = [views.planned(recorded) for recorded in own]
        return accepted


def _refusal(name: str, error: LedgerError) -> dict[str, Any]:
    problem = problem_of(error)
    assert problem is not None
    return {"type": name, "status": problem.status, "problem": body_of(problem)}
