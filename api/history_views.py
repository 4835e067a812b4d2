"""From changes to JSON: how the past of one issue is shown, with who, when and why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, cast

from api import views
from api.changes import Change
from ledger import log
from ledger.codec import timestamp
from ledger.database import Pool
from ledger.events import Recorded
from projections import folding

Json = dict[str, Any]
MOST_TEXT = 1000
"""Characters up to which a description is shown whole."""


class Shower:
    """Shows values of fields, with the names and texts that they refer to."""

    def __init__(
        self, names: Mapping[str, str], texts: Mapping[int, tuple[str | None, int]]
    ) -> None:
        """`names` are of labels, `texts` of descriptions by position, with their lengths."""
        self._names = names
        self._texts = texts

    def changed(self, change: Change) -> Json:
        """A field with its values, and of labels what came and what went."""
        shown = {
            "field": change.field,
            "from": self.value(change.field, change.before),
            "to": self.value(change.field, change.after),
        }
        if change.field == "labels":
            before, after = _ids(change.before), _ids(change.after)
            shown["added"] = [self._label(one) for one in after if one not in before]
            shown["removed"] = [self._label(one) for one in before if one not in after]
        return shown

    def value(self, field: str, value: Any) -> Any:
        """A value; of a description its text too, unless that is long."""
        if field != "description" or value is None:
            return value
        text, characters = self._texts.get(value["position"], (None, None))
        return {**value, "characters": characters, "text": text}

    def _label(self, label_id: str) -> Json:
        return {"id": label_id, "name": self._names.get(label_id)}


async def shower_of(pool: Pool, company_id: str, changes: Collection[Change]) -> Shower:
    """Looks up what the changes refer to: names of labels, descriptions that are not long."""
    labels = {one for c in changes if c.field == "labels" for v in c[1:] for one in _ids(v)}
    positions = set(_positions(changes))
    return Shower(
        await log.first_names(pool, company_id, sorted(labels)) if labels else {},
        await folding.texts(pool, company_id, sorted(positions), MOST_TEXT) if positions else {},
    )


def why(recorded: Recorded) -> Json:
    """Who did it, when, and by which event and command."""
    r = recorded
    return {
        "position": r.position,
        "event_id": r.event_id,
        "version": r.version,
        "type": r.event.type,
        "reason": getattr(r.event, "reason", None),
        "actor": str(r.actor),
        "on_behalf_of": str(r.on_behalf_of) if r.on_behalf_of else None,
        "key_id": r.key_id,
        "command_id": r.command_id,
        "run_id": r.run_id,
        "correlation_id": r.correlation_id,
        "causation_id": r.causation_id,
        "at": timestamp(r.at),
        "recorded_at": timestamp(r.recorded_at),
        "via": r.via,
    }


def when(recorded: Recorded) -> Json:
    """Which event, whose, and when: the short form."""
    return {
        "position": recorded.position,
        "actor": recorded.author,
        "at": timestamp(recorded.at),
    }


def command_event(stored: log.Stored) -> Json:
    """One of the events that a command appended."""
    shown = views.change(stored)
    return {
        "position": shown["position"],
        "stream_id": stored.recorded.stream_id,
        "version": shown["version"],
        "type": shown["type"],
        "data": shown["data"],
    }


def _ids(value: Any) -> list[str]:
    return cast(list[str], value or [])


def _positions(changes: Iterable[Change]) -> Iterator[int]:
    for change in changes:
        if change.field == "description":
            for value in change[1:]:
                if isinstance(value, dict):
                    yield cast(int, value["position"])
