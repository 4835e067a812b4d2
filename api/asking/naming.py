"""What a query names: issues, entries and actors, by id or by name, and words of a list."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from api import requests
from api.auth import Caller
from api.context import Api
from api.problems import Problem
from api.wire import Nothing, Wire
from ledger.actors import Actor
from ledger.errors import Invalid
from ledger.ids import as_ref
from projections.queries import Row


async def key_reader(api: Api, request: web.Request) -> Caller:
    """A caller who may see API keys; raises a 403 Problem for another."""
    caller = await api.caller(request)
    if not caller.role.sees_keys:
        raise Problem(
            403, "forbidden", f"The role {caller.role} does not see API keys.",
            role=str(caller.role),
        )  # fmt: skip
    return caller


async def issue_of(
    api: Api, request: web.Request, model: type[Wire] = Nothing
) -> tuple[Caller, str]:
    """The caller, and the id of the issue that the path names; raises a 404 Problem."""
    caller = await api.caller(request)
    requests.query(request, model)
    issue_id = await named_issue(api, caller, requests.about(request)["issue_id"])
    assert issue_id is not None
    return caller, issue_id


async def issue_ever_named(api: Api, caller: Caller, ref: str | None) -> str | None:
    """The id of an issue, deleted or not, that a query names; raises a 404 Problem."""
    if ref is None:
        return None
    issue_id = await api.queries.things.issue_ever(caller.company_id, ref)
    if issue_id is None:
        raise Problem(404, "not_found", f"There is no issue {ref!r} in this company.")
    return issue_id


async def named_issue(api: Api, caller: Caller, ref: str | None) -> str | None:
    """The id of an issue that a query names; raises a 404 Problem."""
    if ref is None:
        return None
    row = await api.queries.things.issue(caller.company_id, ref)
    if row is None:
        raise Problem(404, "not_found", f"There is no issue {ref!r} in this company.")
    return str(row["issue_id"])


async def named_entry(api: Api, caller: Caller, kind: str, ref: str | None) -> str | None:
    """The id of an entry that a query names, an archived one too; raises a 404 Problem."""
    if ref is None:
        return None
    row = await api.queries.things.entry(caller.company_id, kind, ref, archived=True)
    if row is None:
        raise Problem(404, "not_found", f"There is no {kind} {ref!r} in this company.")
    return str(row["entry_id"])


async def named_actors(
    api: Api, caller: Caller, text: str | None, pointer: str
) -> list[str] | None:
    """What the actor is called that a filter means, by id or slug; raises Invalid for what is none.

    The log tells of an entry by its id. A key that is older than the entry goes on acting under the
    name that it was given, which is the entry's slug, so an actor may have both names; one that was
    written in capitals, a third one. At most three are returned.
    """
    if text is None:
        return None
    try:
        actor = Actor.parse(text)
    except Invalid as error:
        raise Invalid(error.message, pointer=pointer) from None
    if actor.type == "system":
        return [str(actor)]
    written = as_ref(actor.id)
    row = await api.queries.things.entry(caller.company_id, actor.type, written, archived=True)
    ids = [written] if row is None else [str(row["entry_id"]), written]
    if row is not None and await _goes_by_its_slug(api, caller, row):
        ids.insert(1, row["slug"])
    return list(dict.fromkeys(str(actor._replace(id=known)) for known in ids))


async def _goes_by_its_slug(api: Api, caller: Caller, row: Row) -> bool:
    """Whether an entry's slug means it: that of an archived one may be somebody else's by now."""
    if row["archived_at"] is None:
        return True
    heir = await api.queries.things.entry(
        caller.company_id, row["kind"], row["slug"], archived=False
    )
    return heir is None


async def named_agents(api: Api, caller: Caller, ref: str | None) -> list[str] | None:
    """The names of an agent that a filter means, without their `agent:`; as `named_actors`."""
    text = None if ref is None else f"agent:{ref}"
    actors = await named_actors(api, caller, text, "/agent_id")
    return None if actors is None else [Actor.parse(actor).id for actor in actors]


def listed(text: str | None) -> list[str] | None:
    """Comma-separated words, each once; None for none."""
    words = dict.fromkeys(word.strip() for word in (text or "").split(",") if word.strip())
    return list(words) or None


def listed_among(text: str | None, known: Sequence[str], name: str) -> list[str] | None:
    """Comma-separated words; raises Invalid for one that is not `known`."""
    words = listed(text)
    unknown = [word for word in words or [] if word not in known]
    if unknown:
        raise Invalid(
            f"There is no {name} {', '.join(unknown)}; choose from {', '.join(known)}.",
            pointer=f"/{name}",
        )
    return words
