"""One issue's life as steps: born, what its history says, and at last what its row says.

Every event of the history is a step at its own time, by its own actor. An event holds the
issue as it was before; where that differs from what was told so far, something changed that
no event tells, and a step by nobody makes up for it. The last step states the whole row, so
that the issue ends as the row says, whatever its history adds up to; where nothing differs
any more it changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from api.importing.beads_fields import as_json
from api.importing.beads_rows import (
    HEADINGS,
    MORE_DESCRIPTION,
    REST,
    TEXTS,
    WHOLE_TITLE,
    EventRow,
    IssueRow,
    digest,
    issue_row,
)
from api.importing.beads_steps import (
    Become,
    Began,
    Born,
    Deed,
    Deleted,
    Labelled,
    Said,
    Step,
    key_of,
    written,
)
from api.importing.beads_words import (
    DEFAULT_TYPE,
    TOMBSTONE,
    marks,
    priority_here,
    status_here,
    status_label,
)
from api.importing.report import Oddities
from ledger.codec import timestamp
from ledger.decisions.labels import MAX_LABELS

_EDITABLE = ("title", "description", "priority", "due_at", "estimate")
_STATED_BY: Mapping[str, tuple[str, ...]] = {
    "title": ("title", WHOLE_TITLE),
    "description": ("description", MORE_DESCRIPTION),
    "priority": ("priority",),
    "due_at": ("due_at",),
    "estimated_minutes": ("estimate",),
    "status": ("status",),
    "assignee": ("assignee",),
    "issue_type": ("issue_type",),
    "ephemeral": ("ephemeral",),
    **{name: (heading,) for name, heading in TEXTS.items()},
}
"""Field of an event's `new_value` → what of `stated` it changes."""
_LABEL = re.compile(r"(?:Added|Removed) label:\s*(.+)", re.DOTALL)
_WORD = re.compile(r"[A-Za-z][\w-]*")


def stated(row: IssueRow) -> dict[str, Any]:
    """What a row or snapshot says of what a history can change; statuses as Beads' words."""
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


class Story:
    """Builds the steps of one issue. `root` is the first id it had, which its keys are made of."""

    def __init__(
        self, row: IssueRow, events: Sequence[EventRow], root: str, oddities: Oddities
    ) -> None:
        self.steps: list[Step] = []
        self._row = row
        self._events = events
        self._root = root
        self._oddities = oddities
        self._told: dict[str, Any] = {}
        self._reason = ""
        self._rest: Mapping[str, Any] = {}

    def tell(self, birth: datetime) -> list[Step]:
        """The steps, none before `birth`, each at the time of what came before it or later."""
        self._born(birth)
        for i, event in enumerate(self._events):
            self._event(event, is_birth=i == 0 and event.type == "created")
        if self._row.ghost:
            self._only_labels()
        else:
            self._settle()
        return self.steps

    # ── born ───────────────────────────────────────────────────────────────────────────

    def _born(self, birth: datetime) -> None:
        row = self._row
        first = next((event.before for event in self._events if event.before), row)
        created = self._events[0] if self._events and self._events[0].type == "created" else None
        says = stated(first)
        born = Born(
            title=says["title"] if first.title else row.title or row.id,
            description=first.description,
            priority=says["priority"],
            labels=tuple(dict.fromkeys((*_marks(says), *self._first_labels())))[:MAX_LABELS],
            external_id=row.id,
            due_at=says["due_at"],
            estimate=says["estimate"],
        )
        author = (created.actor if created else "") or first.created_by or row.created_by
        self._add(birth, author, born, "born", self._root)
        nothing = dict.fromkeys(HEADINGS, "")
        self._told = {**says, **nothing, "title": born.title, "status": "open", "assignee": ""}

    def _first_labels(self) -> tuple[str, ...]:
        """Those that no event puts on: removed before they were added, or never mentioned."""
        first: dict[str, bool] = {}
        for event in self._events:
            if event.type in ("label_added", "label_removed"):
                first.setdefault(_label_of(event), event.type == "label_added")
        had = [label for label, added in first.items() if label and not added]
        return tuple(dict.fromkeys([*had, *(x for x in self._row.labels if x not in first)]))

    # ── history ────────────────────────────────────────────────────────────────────────

    def _event(self, event: EventRow, *, is_birth: bool) -> None:
        if event.before is not None:
            self._make_up(event, event.before)
        match event.type:
            case "created":
                if not is_birth:
                    self._begin_again(event)
            case "label_added" | "label_removed":
                self._label(event)
            case "commented":
                self._comment(event)
            case "renamed":
                self._renamed(event)
            case "closed":
                self._closed(event)
            case "reopened":
                self._change(event, {"status": "open", **(event.after or {})})
            case "status_changed" if event.after is None and _WORD.fullmatch(event.text):
                self._change(event, {"status": event.text})
            case _ if event.after is not None:
                self._change(event, event.after)
            case _:
                self._other(event)

    def _make_up(self, event: EventRow, before: IssueRow) -> None:
        """Tells what changed before an event without an event of its own."""
        self._rest = before.rest
        was = stated(before)
        untold = {name: value for name, value in was.items() if self._told[name] != value}
        if untold.get("status") == TOMBSTONE:
            del untold["status"]
        if untold:
            names = ", ".join(sorted(untold))
            self._note("untold_change", f"A later event shows a change that none tells: {names}.")
            self._become(untold, event.at, "", ("untold", event.digest))

    def _change(
        self, event: EventRow, after: Mapping[str, Any], reason: str = "", otherwise: str = ""
    ) -> None:
        """An event with new values: those that the model has, and the others as a comment."""
        row = issue_row({"id": self._row.id, **after}, event.where, self._oddities)
        says = stated(row)
        new = {name: says[name] for given in after for name in _STATED_BY.get(given, ())}
        reason = reason or row.close_reason
        self._keep_rest(row.rest, after, new)
        if "status" in new and new["status"] != self._told["status"]:
            otherwise = f"Status in Beads: {self._told['status']} → {new['status']}"
        if not new:
            names = ", ".join(after)
            self._note("empty_update", f"An update changes nothing; it is only listed: {names}.")
        self._become(new, event.at, event.actor, ("event", event.digest), reason, otherwise)
        if event.comment not in ("", reason):
            self._add(event.at, event.actor, Said(text=event.comment), "told", event.digest)

    def _keep_rest(
        self, rest: Mapping[str, Any], after: Mapping[str, Any], new: dict[str, Any]
    ) -> None:
        """Fields without a place change the comment that keeps them."""
        kept = {name: value for name, value in self._rest.items() if name not in after}
        now = {**kept, **rest}
        if now == self._rest:
            return
        for name in rest:
            self._note("field_without_place", f"{name} changes in the history: a comment.")
        self._rest = now
        new[REST] = as_json(self._rest)

    def _closed(self, event: EventRow) -> None:
        after = {"status": "closed", **(event.after or {})}
        reason = event.text or event.comment or str(after.get("close_reason") or "")
        again = f"Closed again in Beads: {reason}" if reason else "Closed again in Beads."
        self._change(event, after, reason, again if self._told["status"] == "closed" else "")
        self._reason = reason

    def _begin_again(self, event: EventRow) -> None:
        self._note("created_again", "The history creates an issue that is there: it reopens it.")
        self._add(event.at, event.actor, Began(), "event", event.digest)
        if self._told["status"] == "closed":
            self._told["status"] = "open"

    def _label(self, event: EventRow) -> None:
        label = _label_of(event)
        if not label:
            self._other(event)
            return
        if not event.text and not event.before_text:
            self._note("label_in_comment", "The history names a label in the comment alone.")
        deed = Labelled(name=label, on=event.type == "label_added")
        self._add(event.at, event.actor, deed, "event", event.digest)

    def _comment(self, event: EventRow) -> None:
        text = event.comment or event.text
        if any(c.text == text and c.author == event.actor for c in self._row.comments):
            self._note("comment_twice", "A comment is in the history and among the comments: one.")
        elif text:
            self._add(event.at, event.actor, Said(text=text), "event", event.digest)
        else:
            self._other(event)

    def _renamed(self, event: EventRow) -> None:
        said = f"Renamed in Beads: {event.before_text} → {event.text}"
        self._note("renamed", f"{said}. The external_ref is the new id.")
        self._add(event.at, event.actor, Said(text=said), "event", event.digest)

    def _other(self, event: EventRow) -> None:
        """An event that nothing here is equal to is told in a comment."""
        values = [event.before_text, event.text, event.comment]
        said = " | ".join([f"Beads history: {event.type}", *(value for value in values if value)])
        self._note("other_event", f"{event.type} has no equal; it is kept as a comment.")
        self._add(event.at, event.actor, Said(text=said), "event", event.digest)

    # ── row ────────────────────────────────────────────────────────────────────────────

    def _only_labels(self) -> None:
        """Of an issue without a row, its labels are all that is known beside its history."""
        for label in self._row.labels:
            self._add(None, "", Labelled(name=label, on=True), "label", self._root, label)

    def _settle(self) -> None:
        """The steps that no event tells but the row does, and the row itself."""
        row, last = self._row, self.steps[-1].at
        if row.started_at:
            self._started(row.started_at)
        if row.closed_at and row.status in ("closed", TOMBSTONE):
            self._finished(max(row.closed_at, last))
        self._final(max(row.updated_at or last, self.steps[-1].at))
        if row.status == TOMBSTONE:
            self._deleted(row.deleted_at)

    def _started(self, at: datetime) -> None:
        row = self._row
        if self._events or (row.closed_at and row.closed_at < at):
            self._note("started_at", "Its history or closed_at contradicts started_at: left out.")
            return
        new = {"status": "in_progress", "assignee": row.assignee}
        self._become(new, at, "", ("started", self._root, written(at)))

    def _finished(self, at: datetime) -> None:
        row, told = self._row, self._told["status"] == "closed"
        if told and row.close_reason in ("", self._reason):
            return
        new = {"status": "closed", "assignee": row.assignee}
        key = ("closed", self._root, written(row.closed_at), row.close_reason)
        otherwise = f"Close reason in Beads: {row.close_reason}" if row.close_reason else ""
        self._become(new, at, "", key, row.close_reason, otherwise)

    def _final(self, at: datetime) -> None:
        row = self._row
        says = stated(row)
        if self._events:
            self._note_difference(says)
        if row.status == TOMBSTONE:
            del says["status"]
        rest = {**row.rest, **_contradicting(row)}
        become = self._become_of(says | {REST: as_json(rest) if rest else ""})
        history = digest(*(event.digest for event in self._events))
        final = Become(
            fields={**become.fields, "external_ref": {"system": "beads", "id": row.id}},
            status=become.status,
            reason=row.close_reason or become.reason,
            assignee=become.assignee,
            texts=become.texts,
            labels=self._labels(at),
        )
        self._add(at, "", final, "final", self._root, row.digest(), history)

    def _labels(self, at: datetime) -> tuple[str, ...]:
        """All labels of the row; those beyond what an issue may have go into a comment."""
        row = self._row
        marked = (*marks(row.issue_type, row.ephemeral), *status_label(row.status))
        labels = tuple(dict.fromkeys((*marked, *row.labels)))
        if beyond := labels[MAX_LABELS:]:
            self._note("too_many_labels", f"Labels beyond {MAX_LABELS} are kept in a comment.")
            text = f"Labels beyond the first {MAX_LABELS}: {', '.join(beyond)}"
            self._add(at, "", Said(text=text), "labels", self._root, *beyond)
        return labels[:MAX_LABELS]

    def _note_difference(self, says: Mapping[str, Any]) -> None:
        names = sorted(n for n, v in says.items() if v != self._told[n] and v != TOMBSTONE)
        if names:
            self._note(
                "reconciled",
                f"The history adds up to something else than the row, which is taken: "
                f"{', '.join(names)}.",
            )

    def _deleted(self, at: datetime | None) -> None:
        row, last = self._row, self.steps[-1].at
        self._note("tombstone", "A deleted issue: made with its history, then deleted.")
        # Bulk deletions name no person: Beads writes the reason in both places.
        author = row.deleted_by if row.deleted_by != row.delete_reason else ""
        deed = Deleted(reason=row.delete_reason)
        self._add(max(at or last, last), author, deed, "deleted", self._root, written(at))

    # ── steps ──────────────────────────────────────────────────────────────────────────

    def _become(
        self,
        new: Mapping[str, Any],
        at: datetime | None,
        author: str,
        key: tuple[str, ...],
        reason: str = "",
        otherwise: str = "",
    ) -> None:
        """A step to new values, and steps for the labels that stand for some of them."""
        for name, on in _difference(_marks(self._told), _marks({**self._told, **new})):
            self._add(at, author, Labelled(name=name, on=on), *key, "mark", name)
        become = self._become_of(new, reason, otherwise)
        if become != Become():
            self._add(at, author, become, *key)
        self._told.update(new)

    def _become_of(self, new: Mapping[str, Any], reason: str = "", otherwise: str = "") -> Become:
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

    def _add(self, at: datetime | None, author: str, deed: Deed, *key: str) -> None:
        last = self.steps[-1].at if self.steps else at
        assert last is not None
        self.steps.append(
            Step(
                at=max(at or last, last),
                author=author,
                issue=self._row.id,
                key=key_of(*key),
                deed=deed,
            )
        )

    def _note(self, what: str, detail: str) -> None:
        self._oddities.note(what, self._row.id, detail)


def _label_of(event: EventRow) -> str:
    found = _LABEL.match(event.comment)
    return (found[1] if found else event.text or event.before_text).strip()


def _marks(says: Mapping[str, Any]) -> tuple[str, ...]:
    return marks(says["issue_type"], says["ephemeral"])


def _contradicting(row: IssueRow) -> dict[str, str]:
    """What says that an issue is closed or deleted, of one whose status says that it is not."""
    says = {
        "closed_at": written(row.closed_at),
        "close_reason": row.close_reason,
        "deleted_at": written(row.deleted_at),
        "deleted_by": row.deleted_by,
        "delete_reason": row.delete_reason,
    }
    fitting = {"closed": ("close",), TOMBSTONE: ("close", "delete")}.get(row.status, ())
    return {name: value for name, value in says.items() if value and not name.startswith(fitting)}


def _difference(old: Sequence[str], new: Sequence[str]) -> list[tuple[str, bool]]:
    """What to take off (False) and put on (True) to come from one to the other."""
    return [(x, False) for x in old if x not in new] + [(x, True) for x in new if x not in old]
