"""What is known under the company's lock: states and look-ups, loaded once, changed by the batch.

The committer loads the facts that `needs` names, and what the batch itself appends is laid over
what was loaded, so two commands in one batch see each other exactly as two batches would.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ledger.actors import Actor
from ledger.events import Recorded
from ledger.facts import (
    COMPANY,
    FactKey,
    Facts,
    blockers,
    cost,
    dependents,
    holder_of_key,
    identifier,
    is_id,
    slugs,
    stream_of,
    workload,
)
from ledger.lookups import lookups
from ledger.state import Comment, Company, Cost, Entry, Issue, Key, Link, Run, evolve
from ledger.workflow import FINISHED

NEVER = datetime.min.replace(tzinfo=UTC)
"""What time it is where nothing is decided."""


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
    alone: it is about many rows, as they were before it. Of new ids it is known that there is
    nothing by them.
    """

    loaded: Facts
    staged: dict[FactKey, Any]
    now: datetime = NEVER
    surveyed: dict[FactKey, Any] = field(default_factory=dict)
    new_ids: frozenset[str] = frozenset()

    def __contains__(self, key: FactKey) -> bool:
        """Whether the fact is known, be it that there is no such thing."""
        return key in self.staged or key in self.surveyed or key in self.loaded or self._is_new(key)

    def __getitem__(self, key: FactKey) -> Any:
        """The fact; raises Missing when it was never loaded."""
        try:
            return self._layer(key)[key]
        except KeyError:
            if self._is_new(key):
                return None
            raise Missing(key) from None

    def peek(self, key: FactKey) -> Any:
        """The fact, or None when it is not known yet."""
        return self._layer(key).get(key)

    def _is_new(self, key: FactKey) -> bool:
        return len(key) > 1 and key[1] in self.new_ids

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

    def cost(self, position: int) -> Cost | None:
        """The report of costs at this position, as it is corrected by now."""
        found: Cost | None = self[cost(position)]
        return found

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
        self.staged.update(lookups(recorded, before, after, self))


def _is_unfinished(issue: Issue) -> bool:
    return issue.deleted_at is None and issue.status not in FINISHED
