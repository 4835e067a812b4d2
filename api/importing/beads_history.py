"""An issue's history as steps: every event at its own time, by its own actor.

An event holds the issue as it was before it. Where that differs from what was told so far,
something changed that no event tells, and a step by nobody makes up for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from api.importing.beads_fields import as_json, keepable
from api.importing.beads_rows import (
    MORE_DESCRIPTION,
    REST,
    TEXTS,
    WHOLE_TITLE,
    EventRow,
    IssueRow,
    issue_row,
)
from api.importing.beads_steps import Began, Labelled, Said
from api.importing.beads_telling import Telling, stated
from api.importing.beads_words import TOMBSTONE

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


def tell_event(telling: Telling, event: EventRow) -> None:
    """Adds what an event says; the creation that the issue was born with says nothing more."""
    if event.before is not None:
        _make_up(telling, event, event.before)
    match event.type:
        case "created":
            _begin_again(telling, event)
        case "label_added" | "label_removed":
            _label(telling, event)
        case "commented":
            _comment(telling, event)
        case "renamed":
            _renamed(telling, event)
        case "closed":
            _closed(telling, event)
        case "reopened":
            after = {"status": "open", **(event.after or {})}
            _change(telling, event, after, event.text or event.comment)
        case "status_changed" if event.after is None and _WORD.fullmatch(event.text):
            _change(telling, event, {"status": event.text})
        case _ if event.after is not None:
            _change(telling, event, event.after)
        case _:
            _other(telling, event)


def label_of(event: EventRow) -> str:
    """The label that an event is about: Beads names it in the comment alone."""
    found = _LABEL.match(event.comment)
    return (found[1] if found else event.text or event.before_text).strip()


def _make_up(telling: Telling, event: EventRow, before: IssueRow) -> None:
    """Tells what changed before an event without an event of its own."""
    telling.rest = before.rest
    untold = {name: x for name, x in stated(before).items() if telling.says[name] != x}
    if untold.get("status") == TOMBSTONE:
        del untold["status"]
    if untold:
        names = ", ".join(sorted(untold))
        telling.note("untold_change", f"A later event shows a change that none tells: {names}.")
        reason = before.close_reason if untold.get("status") == "closed" else ""
        telling.become(untold, event.at, "", ("untold", event.digest), reason)


def _change(
    telling: Telling,
    event: EventRow,
    after: Mapping[str, Any],
    reason: str = "",
    otherwise: str = "",
) -> None:
    """Tells new values: those that the model has, and the others as a comment."""
    row = issue_row({"id": telling.row.id, **after}, event.where, telling.oddities)
    says = stated(row)
    new = {name: says[name] for given in after for name in _STATED_BY.get(given, ())}
    reason = reason or row.close_reason
    _keep_rest(telling, row.rest, after, new)
    changed = {name: value for name, value in new.items() if telling.says[name] != value}
    if "status" in changed:
        otherwise = f"Status in Beads: {telling.says['status']} → {new['status']}"
    elif otherwise:
        changed["status"] = new["status"]
    if not changed:
        names = ", ".join(after)
        telling.note("empty_update", f"An update changes nothing; it is only listed: {names}.")
    telling.become(changed, event.at, event.actor, ("event", event.digest), reason, otherwise)
    if event.comment not in ("", reason):
        telling.add(event.at, event.actor, Said(text=event.comment), "told", event.digest)


def _keep_rest(
    telling: Telling, rest: Mapping[str, Any], after: Mapping[str, Any], new: dict[str, Any]
) -> None:
    """Fields without a place change the comment that keeps them."""
    kept = {name: value for name, value in telling.rest.items() if name not in after}
    now = {**kept, **rest}
    if now == telling.rest:
        return
    for name in rest:
        telling.note("field_without_place", f"{name} changes in the history: a comment.")
    telling.rest = now
    new[REST] = as_json(now)


def _closed(telling: Telling, event: EventRow) -> None:
    after = {"status": "closed", **(event.after or {})}
    reason = event.text or event.comment or keepable(str(after.get("close_reason") or ""))
    again = f"Closed again in Beads: {reason}" if reason else "Closed again in Beads."
    is_again = telling.says["status"] == "closed"
    _change(telling, event, after, reason, again if is_again else "")
    telling.close_reason = reason


def _begin_again(telling: Telling, event: EventRow) -> None:
    telling.note("created_again", "The history creates an issue anew: it is reopened, else told.")
    telling.add(event.at, event.actor, Began(), "event", event.digest)
    if telling.says["status"] == "closed":
        telling.says["status"] = "open"


def _label(telling: Telling, event: EventRow) -> None:
    label = label_of(event)
    if not label:
        _other(telling, event)
        return
    if not event.text and not event.before_text:
        telling.note("label_in_comment", "The history names a label in the comment alone.")
    deed = Labelled(name=label, on=event.type == "label_added")
    telling.add(event.at, event.actor, deed, "event", event.digest)


def _comment(telling: Telling, event: EventRow) -> None:
    text = event.comment or event.text
    if any(c.text == text and c.author == event.actor for c in telling.row.comments):
        telling.note("comment_twice", "A comment is in the history and among the comments: one.")
    elif text:
        telling.add(event.at, event.actor, Said(text=text), "event", event.digest)
    else:
        _other(telling, event)


def _renamed(telling: Telling, event: EventRow) -> None:
    said = f"Renamed in Beads: {event.before_text} → {event.text}"
    telling.note("renamed", f"{said}. The external_ref is the new id.")
    telling.add(event.at, event.actor, Said(text=said), "event", event.digest)


def _other(telling: Telling, event: EventRow) -> None:
    """An event that nothing here is equal to is told in a comment."""
    values = [event.before_text, event.text, event.comment]
    said = " | ".join([f"Beads history: {event.type}", *(value for value in values if value)])
    telling.note("other_event", f"{event.type} has no equal; it is kept as a comment.")
    telling.add(event.at, event.actor, Said(text=said), "event", event.digest)
