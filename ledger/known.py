"""What is known under the company's lock: states and look-ups, loaded once, changed by the batch.

A fact has a key, a tuple such as `("issue", id)` or `("identifier", "ENG-42")`, and a value,
which is None when there is no such thing: knowing that a name is free is knowledge too. The
committer loads the keys that `needs` names, and what the batch itself appends is laid over
what was loaded, so two commands in one batch see each other exactly as two batches would.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeAlias

from ledger import events as e
from ledger.actors import Actor
from ledger.directory import slug_of
from ledger.events import Event, Recorded
from ledger.state import (
    Comment,
    Company,
    Entry,
    Issue,
    Key,
    Lease,
    Link,
    Run,
    State,
    evolve,
    sha256_of,
)
from ledger.workflow import FINISHED

FactKey: TypeAlias = tuple[str, ...]
"""A fact's name; its first item says what kind of fact, and so who loads it."""

Facts: TypeAlias = Mapping[FactKey, Any]
COMPANY: FactKey = ("company",)
NEVER = datetime.min.replace(tzinfo=UTC)
"""What time it is where nothing is decided."""


class Prefix(NamedTuple):
    """Whose an issue prefix is (None: the company's own), and the last number given out."""

    team_id: str | None
    last_number: int


class Missing(LookupError):
    """A fact was asked for that nobody loaded: the next round of loading fetches it."""

    def __init__(self, key: FactKey) -> None:
        """`key` is the fact that is missing."""
        super().__init__(key)
        self.key = key


@dataclass(slots=True)
class Known:
    """Facts that were loaded, and over them the facts that this batch made; and what time it is.

    The time is the database's, under the company's lock. What was surveyed is known in this batch
    alone: it is about many rows, as they were before it.
    """

    loaded: Facts
    staged: dict[FactKey, Any]
    now: datetime = NEVER
    surveyed: dict[FactKey, Any] = field(default_factory=dict)

    def __contains__(self, key: object) -> bool:
        """Whether the fact is known, be it that there is no such thing."""
        return key in self.staged or key in self.surveyed or key in self.loaded

    def __getitem__(self, key: FactKey) -> Any:
        """The fact; raises Missing when it was never loaded."""
        try:
            return self._layer(key)[key]
        except KeyError:
            raise Missing(key) from None

    def peek(self, key: FactKey) -> Any:
        """The fact, or None when it is not known yet."""
        return self._layer(key).get(key)

    def _layer(self, key: FactKey) -> Facts:
        if key in self.staged:
            return self.staged
        return self.surveyed if key in self.surveyed else self.loaded

    @property
    def company(self) -> Company | None:
        """The tenant itself; None before its first event."""
        company: Company | None = self[COMPANY]
        return company

    def issue(self, ref: str, *, deleted: bool = False) -> Issue | None:
        """The issue with this id or identifier; a deleted one only if asked."""
        issue_id = ref if is_id(ref) else self[identifier(ref)]
        issue: Issue | None = self[("issue", issue_id)] if issue_id else None
        return issue if issue and (deleted or issue.deleted_at is None) else None

    def entry(self, kind: str, ref: str, *, archived: bool = False) -> Entry | None:
        """The entry of this kind with this id or slug; an archived one only if asked."""
        ids = [ref] if is_id(ref) else [self[key] for key in slugs(kind, ref)]
        entry_id = next(filter(None, ids), None)
        entry: Entry | None = self[("entry", entry_id)] if entry_id else None
        if entry is None or entry.kind != kind:
            return None
        return entry if archived or entry.archived_at is None else None

    def actor(self, named: Actor) -> Actor | None:
        """The actor that `named` means: one with an API key, or one in the directory."""
        if self[holder_of_key(named)]:
            return named
        entry = self.entry(named.type, named.id)
        return Actor(named.type, entry.id) if entry else None

    def run(self, run_id: str) -> Run | None:
        """The run with this id."""
        run: Run | None = self[("run", run_id)]
        return run

    def key(self, key_id: str) -> Key | None:
        """The API key with this id."""
        key: Key | None = self[("key", key_id)]
        return key

    def comment(self, comment_id: str) -> Comment | None:
        """The comment with this id, unless it was deleted."""
        comment: Comment | None = self[("comment", comment_id)]
        return comment if comment and comment.deleted_at is None else None

    def link(self, link_id: str) -> Link | None:
        """The link with this id."""
        link: Link | None = self[("link", link_id)]
        return link

    def blockers(self, issue_id: str) -> tuple[str, ...]:
        """The ids of the issues that this one is blocked by, be they finished or deleted."""
        return self[blockers(issue_id)] or ()

    def dependents(self, issue_id: str) -> tuple[str, ...]:
        """The ids of the issues that this one blocks, be they finished or deleted."""
        return self[dependents(issue_id)] or ()

    def spent(self, key: FactKey) -> int:
        """What was spent, in micro-dollars; `key` is one of `spent`."""
        return self[key] or 0

    def workloads(
        self, assignees: Iterable[str], *, without: Issue | None = None
    ) -> dict[str, int]:
        """How many unfinished issues but this one each is assigned, as of this command."""
        counts = {one: self[workload(one)] or 0 for one in assignees}
        changed = [(after, 1) for key, after in self.staged.items() if key[0] == "issue"] + [
            (self.loaded.get(key), -1) for key in self.staged if key[0] == "issue"
        ]
        for issue, sign in (*changed, (without, -1)):
            if issue is not None and issue.assignee in counts and _is_unfinished(issue):
                counts[issue.assignee] += sign
        return counts

    def record(self, recorded: Recorded) -> None:
        """Stages what an event changes: the state of its stream, and every look-up."""
        key = stream_of(recorded.event, recorded.stream_id)
        before = self[key]
        after = evolve(before, recorded)
        self.staged[key] = after
        self.staged.update(_lookups(recorded, before, after, self))


# ── keys ───────────────────────────────────────────────────────────────────────────────


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
    return moment.astimezone(UTC).strftime("%Y-%m")


def spending(company_id: str, issue_id: str, agent_id: str, moment: datetime) -> list[FactKey]:
    """The sums that a cost counts in."""
    month = month_of(moment)
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


# ── what an event changes beside its own stream ────────────────────────────────────────


def _lookups(
    recorded: Recorded, before: State | None, after: State, known: Known
) -> dict[FactKey, Any]:
    event = recorded.event
    match event, after:
        case e.CostReported(), Run():
            when = recorded.recorded_at
            sums = spending(recorded.company_id, after.issue_id, after.agent_id, when)
            return {key: known.spent(key) + event.cost_micros for key in sums}
        case e.CompanyCreated(), Company():
            return {prefix(after.issue_prefix): Prefix(None, 0)}
        case e.KeyCreated(), Key():
            return {("actor", after.actor): True}
        case ((e.EntryCreated() | e.EntryUpdated() | e.EntryArchived()), Entry()):
            return _entry_lookups(before, after, known)
        case ((e.IssueCreated() | e.IssueEdited() | e.IssueDeleted()), Issue()):
            return {
                **_issue_lookups(event, before, after, known),
                **_leases(recorded, before, after),
            }
        case ((e.IssueCommented() | e.CommentEdited() | e.CommentDeleted()), _):
            return {("comment", event.comment_id): _comment(recorded, known)}
        case e.IssueLinked(), _:
            return {
                ("link", event.link_id): Link(
                    id=event.link_id,
                    issue_id=recorded.stream_id,
                    link_type=event.link_type,
                    target_id=event.target_id,
                    created_position=recorded.position,
                    created_at=recorded.at,
                    created_by=recorded.author,
                ),
                link_between(recorded.stream_id, event.link_type, event.target_id): event.link_id,
                **_blocking(recorded.stream_id, event, known),
            }
        case e.IssueUnlinked(), _:
            return {
                ("link", event.link_id): None,
                link_between(recorded.stream_id, event.link_type, event.target_id): None,
                **_blocking(recorded.stream_id, event, known),
            }
        case _, Issue():
            return _leases(recorded, before, after)
        case _:
            return {}


def _blocking(
    issue_id: str, event: e.IssueLinked | e.IssueUnlinked, known: Known
) -> dict[FactKey, Any]:
    """Both ends of a link that blocks; those linked first stand first."""
    if event.link_type != "blocked_by":
        return {}
    ends = (
        (blockers(issue_id), known.blockers(issue_id), event.target_id),
        (dependents(event.target_id), known.dependents(event.target_id), issue_id),
    )
    linked = isinstance(event, e.IssueLinked)
    return {
        key: (*others, other) if linked else tuple(one for one in others if one != other)
        for key, others, other in ends
    }


def _leases(recorded: Recorded, before: State | None, after: Issue) -> dict[FactKey, Any]:
    """The lease that an event began, renewed or ended."""
    facts: dict[FactKey, Any] = {}
    former = _lease(before) if isinstance(before, Issue) else None
    lease = _lease(after)
    if former and (lease is None or lease.fencing_token != former.fencing_token):
        ended = replace(former, ended_at=recorded.at, ended_by=recorded.event.type)
        facts[("lease", former.issue_id, str(former.fencing_token))] = ended
    if lease and lease != former:
        facts[("lease", lease.issue_id, str(lease.fencing_token))] = lease
    return facts


def _lease(issue: Issue) -> Lease | None:
    if issue.fencing_token is None:
        return None
    assert issue.holder_run_id is not None
    assert issue.holder_agent_id is not None
    assert issue.held_since is not None
    assert issue.lease_seconds is not None
    assert issue.lease_expires_at is not None
    return Lease(
        issue_id=issue.id,
        fencing_token=issue.fencing_token,
        run_id=issue.holder_run_id,
        agent_id=issue.holder_agent_id,
        lease_seconds=issue.lease_seconds,
        acquired_at=issue.held_since,
        expires_at=issue.lease_expires_at,
    )


def _is_unfinished(issue: Issue) -> bool:
    return issue.deleted_at is None and issue.status not in FINISHED


def _entry_lookups(before: State | None, entry: Entry, known: Known) -> dict[FactKey, Any]:
    facts: dict[FactKey, Any] = {}
    if isinstance(before, Entry) and before.slug != entry.slug:
        facts[("slug", entry.kind, before.slug)] = None
    facts[("slug", entry.kind, entry.slug)] = None if entry.archived_at else entry.id
    if entry.kind == "label":
        if isinstance(before, Entry):
            facts[label_named(before.name)] = None
        facts[label_named(entry.name)] = None if entry.archived_at else entry.id
    former = before.fields.get("issue_prefix") if isinstance(before, Entry) else None
    match entry.fields.get("issue_prefix"):
        case str(new) if new != former and known[prefix(new)] is None:
            facts[prefix(new)] = Prefix(entry.id, 0)
    return facts


def _issue_lookups(
    event: Event, before: State | None, issue: Issue, known: Known
) -> dict[FactKey, Any]:
    facts: dict[FactKey, Any] = {}
    if isinstance(event, e.IssueCreated):
        facts[identifier(issue.identifier)] = issue.id
        owner: Prefix = known[prefix(event.prefix)]
        facts[prefix(event.prefix)] = owner._replace(last_number=event.number)
    for state, value in ((before, None), (issue, None if issue.deleted_at else issue.id)):
        if isinstance(state, Issue) and state.external_system and state.external_id:
            facts[external_ref(state.external_system, state.external_id)] = value
    return facts


def _comment(recorded: Recorded, known: Known) -> Comment:
    event = recorded.event
    match event:
        case e.IssueCommented():
            return Comment(
                id=event.comment_id,
                issue_id=recorded.stream_id,
                author=recorded.author,
                text_position=recorded.position,
                text_sha256=sha256_of(event.body),
                created_position=recorded.position,
                created_at=recorded.at,
            )
        case e.CommentEdited():
            comment: Comment = known[("comment", event.comment_id)]
            return replace(
                comment,
                edited_at=recorded.at,
                text_position=recorded.position,
                text_sha256=sha256_of(event.body),
            )
        case e.CommentDeleted():
            comment = known[("comment", event.comment_id)]
            return replace(comment, deleted_at=recorded.at)
        case _:
            raise AssertionError(f"{event.type} is not about a comment")
