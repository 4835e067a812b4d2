"""What has been told of one issue so far, and the steps that told it.

The history says what changed, the row says how it is; both are told as differences from what
was told before. Statuses stay Beads' words here, because two of them may be one status of the
ledger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from api.importing.beads_rows import HEADINGS, REST, IssueRow
from api.importing.beads_steps import Become, Deed, Labelled, Step, key_of
from api.importing.beads_words import DEFAULT_TYPE, marks, priority_here, status_here
from api.importing.report import Oddities
from ledger.codec import timestamp

_EDITABLE = ("title", "description", "priority", "due_at", "estimate")


@dataclass(slots=True, kw_only=True)
class Telling:
    """One issue's account. `root` is the first id it had: its keys are made of that."""

    row: IssueRow
    root: str
    oddities: Oddities
    steps: list[Step] = field(default_factory=list)
    says: dict[str, Any] = field(default_factory=dict)
    """What was told so far, by the names of `stated`."""
    rest: Mapping[str, Any] = field(default_factory=dict)
    """What was told of fields without a place."""
    close_reason: str = ""
    until: datetime | None = None
    """No step is later, while something is still to be told that came after."""

    @property
    def last(self) -> datetime:
        """The time of the last step; there is one since the issue was born."""
        return self.steps[-1].at

    def add(self, at: datetime | None, author: str, deed: Deed, *key: str) -> None:
        """Adds a step, not before the last one."""
        if at and self.until:
            at = min(at, self.until)
        if self.steps:
            at = max(at or self.last, self.last)
        assert at is not None, "the first step has a time"
        step = Step(at=at, author=author, issue=self.row.id, key=key_of(*key), deed=deed)
        self.steps.append(step)

    def become(
        self,
        new: Mapping[str, Any],
        at: datetime | None,
        author: str,
        key: tuple[str, ...],
        reason: str = "",
        otherwise: str = "",
    ) -> None:
        """Adds a step to new values, and steps for the labels that stand for some of them."""
        for name, on in _difference(_marks(self.says), _marks({**self.says, **new})):
            self.add(at, author, Labelled(name=name, on=on), *key, "mark", name)
        deed = become_of(new, reason, otherwise)
        if deed != Become():
            self.add(at, author, deed, *key)
        self.says.update(new)

    def note(self, what: str, detail: str) -> None:
        """Adds a remark on this issue to the report."""
        self.oddities.note(what, self.row.id, detail)


def stated(row: IssueRow) -> dict[str, Any]:
    """What a row or snapshot says of what a history can change."""
    return {
        "title": row.title or row.id,
        "description": row.description or None,
        "priority": priority_here(row.priority),
        "due_at": timestamp(row.due_at) if row.due_at else None,
        "estimate": row.estimated_minutes,
        "status": row.status or "open",
        "assignee": row.assignee,
        "issue_type": row.issue_type or DEFAULT_TYPE,
        "ephemeral": row.ephemeral,
        **{heading: row.texts.get(heading, "") for heading in HEADINGS if heading != REST},
    }


def become_of(new: Mapping[str, Any], reason: str = "", otherwise: str = "") -> Become:
    """The deed that makes an issue so; a status without an equal is kept in its reason."""
    word = new.get("status")
    status = status_here(word) if word else None
    reasons = [reason, f"beads status: {word}" if status and not status.equal else ""]
    return Become(
        fields={name: new[name] for name in _EDITABLE if name in new},
        status=status.here if status else None,
        reason="; ".join(filter(None, reasons)) or None,
        otherwise=otherwise if status else "",
        assignee=new.get("assignee"),
        texts={heading: new[heading] for heading in HEADINGS if heading in new},
    )


def _marks(says: Mapping[str, Any]) -> tuple[str, ...]:
    return marks(says["issue_type"], says["ephemeral"])


def _difference(old: Sequence[str], new: Sequence[str]) -> list[tuple[str, bool]]:
    """What to take off (False) and put on (True) to come from one to the other."""
    return [(x, False) for x in old if x not in new] + [(x, True) for x in new if x not in old]
