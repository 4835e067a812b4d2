"""The names of facts: what a decision can know, and which facts an event touches.

A fact has a key, a tuple such as `("issue", id)` or `("identifier", "ENG-42")`, and a value,
which is None when there is no such thing: knowing that a name is free is knowledge too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeAlias

from ledger import events as e
from ledger.actors import Actor
from ledger.directory import slug_of
from ledger.events import Event, Recorded

FactKey: TypeAlias = tuple[str, ...]
"""A fact's name; its first item says what kind of fact, and so who loads it."""

Facts: TypeAlias = Mapping[FactKey, Any]
COMPANY: FactKey = ("company",)


class Prefix(NamedTuple):
    """Whose an issue prefix is (None: the company's own), and the last number given out."""

    team_id: str | None
    last_number: int


_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def is_id(ref: str) -> bool:
    """Whether a reference is an id of ours (a UUID, in lower case) rather than a name."""
    return _ID.fullmatch(ref) is not None


def identifier(ref: str) -> FactKey:
    """The issue id of an identifier such as `ENG-42`."""
    return ("identifier", ref.upper())


def external_ref(system: str, external_id: str) -> FactKey:
    """The issue id of another system's id."""
    return ("external_ref", system, external_id)


def slug(kind: str, text: str) -> FactKey:
    """The entry id of a slug."""
    return ("slug", kind, text.lower())


def slugs(kind: str, ref: str) -> list[FactKey]:
    """What a reference may be looked up as; a label may be called by its name as well."""
    if kind != "label":
        return [slug(kind, ref)]
    return [label_named(ref), slug(kind, ref), slug(kind, slug_of(ref))]


def label_named(name: str) -> FactKey:
    """The entry id of a label's name, which is its own in the company."""
    return ("label", name)


def prefix(text: str) -> FactKey:
    """Whose an issue prefix is."""
    return ("prefix", text)


def blockers(issue_id: str) -> FactKey:
    """The issues that an issue is blocked by."""
    return ("blockers", issue_id)


def dependents(issue_id: str) -> FactKey:
    """The issues that an issue blocks."""
    return ("dependents", issue_id)


def spent(scope: str, scope_id: str, month: str) -> FactKey:
    """What was spent on an issue (`month` is ""), or by an agent or the company in a month."""
    return ("spent", scope, scope_id, month)


def month_of(moment: datetime) -> str:
    """The calendar month of a time, in UTC: `2026-04`."""
    utc = moment.astimezone(UTC)
    return f"{utc.year:04}-{utc.month:02}"


def cost(position: int) -> FactKey:
    """The report of costs at a position, as it is corrected by now."""
    return ("cost", str(position))


def spending(company_id: str, issue_id: str, agent_id: str, moment: datetime) -> list[FactKey]:
    """The sums that a cost counts in."""
    return spending_in(company_id, issue_id, agent_id, month_of(moment))


def spending_in(company_id: str, issue_id: str, agent_id: str, month: str) -> list[FactKey]:
    """The sums that a cost of a month counts in."""
    return [
        spent("issue", issue_id, ""),
        spent("agent", agent_id, month),
        spent("company", company_id, month),
    ]


def workload(assignee: str) -> FactKey:
    """How many unfinished issues somebody was assigned before the batch."""
    return ("workload", assignee)


def claimable(agent_id: str, passed_over: tuple[str, ...] = ()) -> FactKey:
    """The issues that an agent might claim, best first, without those that were passed over."""
    return ("claimable", agent_id, *passed_over)


SURVEYS = frozenset({"workload", "claimable"})
"""Kinds of facts that are about many rows: `Known.surveyed`."""


def holder_of_key(actor: Actor) -> FactKey:
    """Whether an actor was ever given an API key."""
    return ("actor", str(actor))


def link_between(issue_id: str, link_type: str, target_id: str) -> FactKey:
    """The link id of a relation."""
    return ("relation", issue_id, link_type, target_id)


_STREAMS = {
    "company": "company",
    "key": "key",
    "agent": "entry",
    "directory": "entry",
    "issue": "issue",
    "run": "run",
}


def stream_of(event: Event, stream_id: str) -> FactKey:
    """The state that an event of this stream changes."""
    kind = _STREAMS[event.type.partition(".")[0]]
    return COMPANY if kind == "company" else (kind, stream_id)


def streams_named(stream_id: str) -> list[FactKey]:
    """The states of which one is there if a stream has this id."""
    return [(kind, stream_id) for kind in ("run", "issue", "entry", "key")]


def touched_by(recorded: Recorded) -> Iterator[FactKey]:
    """The facts that must be known before `Known.record` takes this event."""
    event, stream_id = recorded.event, recorded.stream_id
    yield stream_of(event, stream_id)
    match event:
        case e.CommentEdited() | e.CommentDeleted():
            yield ("comment", event.comment_id)
        case e.IssueCreated():
            yield prefix(event.prefix)
        case (
            e.EntryCreated(fields={"issue_prefix": str(new)})
            | e.EntryUpdated(changes={"issue_prefix": {"to": str(new)}})
        ):
            yield prefix(new)
        case e.IssueLinked() | e.IssueUnlinked() if event.link_type == "blocked_by":
            yield blockers(stream_id)
            yield dependents(event.target_id)
        case e.CostReported():
            yield from spending(
                recorded.company_id, event.issue_id, event.agent_id, recorded.recorded_at
            )
        case e.CostCorrected():
            yield from spending_in(recorded.company_id, event.issue_id, event.agent_id, event.month)
