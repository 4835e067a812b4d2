"""One issue's life as steps: born, what its history says, and at last what its row says.

A row states the issue as it was at its `updated_at`: after what had happened by then, and
before what happened since, if the history goes on. Where the row says what the history adds
up to, stating it changes nothing. A row without a history tells when work began and ended, and
those are steps of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from api.importing.beads_fields import as_json
from api.importing.beads_history import label_of, tell_event
from api.importing.beads_rows import HEADINGS, REST, EventRow, IssueRow, digest, issue_row
from api.importing.beads_steps import Become, Born, Deleted, Labelled, Said, Step, written
from api.importing.beads_telling import Telling, become_of, stated
from api.importing.beads_words import TOMBSTONE, marks, status_label
from api.importing.report import Oddities
from ledger.decisions.labels import MAX_LABELS
from ledger.events import Json

_SILENT = ("label_added", "label_removed", "commented", "renamed")
"""Events that do not touch `updated_at`: coming after it, they say nothing of the row's age."""
_ROUNDING = timedelta(seconds=5)


def story_of(
    row: IssueRow,
    events: Sequence[EventRow],
    root: str,
    birth: datetime,
    oddities: Oddities,
) -> list[Step]:
    """The steps of an issue, in their order, the first one at `birth`."""
    telling = Telling(row=row, root=root, oddities=oddities)
    created = _creation(events, birth)
    _bear(telling, events, created, birth)
    since = _since(row, events)
    for event in events[1 if created else 0 : since]:
        tell_event(telling, event)
    if row.ghost:
        _only_labels(telling)
    else:
        _settle(telling, events, since)
    return telling.steps


def _creation(events: Sequence[EventRow], birth: datetime) -> EventRow | None:
    """The event that the issue was born with; one much later than that created it again."""
    for event in events[:1]:
        if event.type == "created" and event.at and event.at <= birth + _ROUNDING:
            return event
    return None


def _since(row: IssueRow, events: Sequence[EventRow]) -> int:
    """Where in the history the row stands: the number of the first event that it knows not of."""
    for number, event in enumerate(events):
        if number and event.type not in _SILENT and _is_after(event, row):
            return number
    return len(events)


def _is_after(event: EventRow, row: IssueRow) -> bool:
    if row.ghost or row.updated_at is None or event.at is None:
        return False
    return event.at > row.updated_at + _ROUNDING


# ── born ───────────────────────────────────────────────────────────────────────────────


def _bear(
    telling: Telling, events: Sequence[EventRow], created: EventRow | None, birth: datetime
) -> None:
    row, first = telling.row, _first_snapshot(telling, events, created)
    says = stated(first)
    labels = (*marks(first.issue_type, first.ephemeral), *_first_labels(row, events))
    born = Born(
        title=says["title"] if first.title else row.title or row.id,
        description=first.description,
        priority=says["priority"],
        labels=tuple(dict.fromkeys(labels))[:MAX_LABELS],
        external_id=row.id,
        due_at=says["due_at"],
        estimate=says["estimate"],
    )
    author = (created.actor if created else "") or first.created_by or row.created_by
    telling.add(birth, author, born, "born", telling.root)
    nothing = {"status": "open", "assignee": "", **dict.fromkeys(HEADINGS, "")}
    telling.says = {**says, **nothing, "title": born.title}


def _first_snapshot(
    telling: Telling, events: Sequence[EventRow], created: EventRow | None
) -> IssueRow:
    """The issue as early as it is known."""
    if created and created.after and "title" in created.after:
        return issue_row(created.after, created.where, telling.oddities)
    return next((event.before for event in events if event.before), telling.row)


def _first_labels(row: IssueRow, events: Sequence[EventRow]) -> tuple[str, ...]:
    """Those that no event puts on: removed before they were added, or never mentioned."""
    first: dict[str, bool] = {}
    for event in events:
        if event.type in ("label_added", "label_removed"):
            first.setdefault(label_of(event), event.type == "label_added")
    had = [label for label, added in first.items() if label and not added]
    return (*had, *(label for label in row.labels if label not in first))


# ── row ────────────────────────────────────────────────────────────────────────────────


def _only_labels(telling: Telling) -> None:
    """Of an issue without a row, its labels are all that is known beside its history."""
    for label in telling.row.labels:
        telling.add(None, "", Labelled(name=label, on=True), "label", telling.root, label)


def _settle(telling: Telling, events: Sequence[EventRow], since: int) -> None:
    """What no event tells but the row does, the row itself, and what has happened since."""
    row, before, later = telling.row, events[:since], events[since:]
    telling.until = later[0].at if later else None
    if row.started_at:
        _start(telling, row.started_at, has_history=bool(events))
    if row.status in ("closed", TOMBSTONE) and row.closed_at:
        _finish(telling, row.closed_at)
    elif row.status == "closed":
        telling.note("no_date", "A closed row has no closed_at; its updated_at is taken.")
    if before and not later:
        _note_difference(telling)
    _state(telling, before)
    telling.until = None
    if later:
        telling.note("history_newer", "The history goes on after the row; it has the last word.")
    for event in later:
        tell_event(telling, event)
    _state_labels(telling, events)
    if row.status == TOMBSTONE:
        _delete(telling)


def _start(telling: Telling, at: datetime, *, has_history: bool) -> None:
    row = telling.row
    if has_history or (row.closed_at and row.closed_at < at):
        telling.note("started_at", "Its history or closed_at tells otherwise: it is left out.")
        return
    new = {"status": "in_progress", "assignee": row.assignee}
    telling.become(new, at, "", ("started", telling.root, written(at)))


def _finish(telling: Telling, at: datetime) -> None:
    row = telling.row
    if telling.says["status"] == "closed" and row.close_reason in ("", telling.close_reason):
        return
    new = {"status": "closed", "assignee": row.assignee}
    key = ("closed", telling.root, written(at), row.close_reason)
    otherwise = f"Close reason in Beads: {row.close_reason}" if row.close_reason else ""
    telling.become(new, at, "", key, row.close_reason, otherwise)


def _note_difference(telling: Telling) -> None:
    says = stated(telling.row).items()
    names = sorted(name for name, x in says if x not in (telling.says[name], TOMBSTONE))
    if names:
        telling.note(
            "reconciled",
            f"The history adds up to something else than the row, which is taken: "
            f"{', '.join(names)}.",
        )


def _state(telling: Telling, history: Sequence[EventRow]) -> None:
    """States the row, but for its labels and relations, after the history so far."""
    row = telling.row
    says = stated(row)
    if row.status == TOMBSTONE:
        del says["status"]
    rest = {**row.rest, **_contradicting(row)}
    telling.rest = row.rest
    new = {**says, REST: as_json(rest) if rest else ""}
    become = become_of(new, row.close_reason if row.status == "closed" else "")
    fields: dict[str, Json] = {**become.fields, "external_ref": {"system": "beads", "id": row.id}}
    key = ("stated", telling.root, row.digest(), _digest(history))
    telling.add(row.updated_at, "", replace(become, fields=fields), *key)
    telling.says.update(new)


def _state_labels(telling: Telling, history: Sequence[EventRow]) -> None:
    """States all labels; with them the plan states the relations."""
    row = telling.row
    labels = _labels(telling, history)
    if beyond := labels[MAX_LABELS:]:
        telling.note("too_many_labels", f"Labels beyond {MAX_LABELS} are kept in a comment.")
        text = f"Labels beyond the first {MAX_LABELS}: {', '.join(beyond)}"
        telling.add(row.updated_at, "", Said(text=text), "labels", telling.root, *beyond)
    key = ("settled", telling.root, row.digest(), _digest(history))
    telling.add(row.updated_at, "", Become(labels=labels[:MAX_LABELS]), *key)


def _labels(telling: Telling, history: Sequence[EventRow]) -> tuple[str, ...]:
    """The row's labels, those that stand for its fields, and what the history did to them since."""
    row, says = telling.row, telling.says
    word = row.status if row.status == TOMBSTONE else says["status"]
    marked = (*marks(says["issue_type"], says["ephemeral"]), *status_label(word))
    labels = dict.fromkeys((*marked, *row.labels))
    for event in history:
        if event.type == "label_added" and _is_after(event, row):
            labels[label_of(event)] = None
        elif event.type == "label_removed" and _is_after(event, row):
            labels.pop(label_of(event), None)
    return tuple(label for label in labels if label)


def _digest(history: Sequence[EventRow]) -> str:
    return digest(*(event.digest for event in history))


def _delete(telling: Telling) -> None:
    row = telling.row
    telling.note("tombstone", "A deleted issue: made with its history, then deleted.")
    # Bulk deletions name no person: Beads writes the reason in both places.
    author = row.deleted_by if row.deleted_by != row.delete_reason else ""
    key = ("deleted", telling.root, written(row.deleted_at))
    telling.add(row.deleted_at, author, Deleted(reason=row.delete_reason), *key)


def _contradicting(row: IssueRow) -> Mapping[str, Any]:
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
