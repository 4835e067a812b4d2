"""One JSON object from outside, read field by field and leniently.

Real files hold nulls, numbers where text should be, dates in four spellings and characters
that Postgres cannot keep. A value that can be understood is; one that cannot is reported and
treated as absent, so that one bad field never costs the row it is in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from api.importing.report import Oddities
from ledger.codec import MAX_INT

_MOMENT = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)"
    r"(?:[Tt ](?P<time>\d\d:\d\d(?::\d\d)?)(?:[.,](?P<fraction>\d+))?)?"
    r"\s*(?P<zone>[Zz]|[+-]\d\d:?\d\d)?(?: [A-Z]{3,5})?(?: m=\S+)?"
)
_UNKEPT = re.compile("[\0\ud800-\udfff]")
_YEAR_ONE = 1000
"""Before this year a date is no date: Go writes 0001-01-01 where it has none."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Fields:
    """An object's fields; each is taken once, and `rest` is what nobody took."""

    def __init__(self, data: Mapping[str, Any], where: str, oddities: Oddities) -> None:
        self._data = dict(data)
        self._where = where
        self._oddities = oddities

    def __contains__(self, name: str) -> bool:
        """Whether the object has the field and nobody took it yet."""
        return name in self._data

    def text(self, name: str) -> str:
        """A text; empty when there is none. Numbers and objects are written out."""
        value = self._data.pop(name, None)
        if value is None:
            return ""
        if not isinstance(value, str):
            self._note("odd_type", f"{name} is no text; it is kept as its JSON.")
            value = as_json(value)
        return self._kept(value, name)

    def word(self, name: str) -> str:
        """A name, an id or a word: a text without white space around it."""
        value = self._data.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            self._data[name] = f"{value:g}" if isinstance(value, float) else str(value)
            self._note("odd_type", f"{name} is a number; it is read as text.")
        return self.text(name).strip()

    def words(self, name: str) -> tuple[str, ...]:
        """A list of words, without empty ones and repetitions; one alone is a list too."""
        value = self._data.get(name)
        if isinstance(value, str):
            self._data[name] = [value]
        items = (Fields({name: item}, self._where, self._oddities) for item in self.items(name))
        return tuple(dict.fromkeys(word for item in items if (word := item.word(name))))

    def integer(self, name: str) -> int | None:
        """A whole number; None when there is none."""
        value = self._data.pop(name, None)
        if value is None or value == "":
            return None
        try:
            number = int(value)
            exact = not isinstance(value, bool) and float(value) == number
        except (TypeError, ValueError, OverflowError):
            exact = False
        if not exact or abs(number) > MAX_INT:
            self._note("bad_number", f"{name} is no whole number: {as_json(value)[:60]}.")
            return None
        return number

    def flag(self, name: str) -> bool:
        """Whether it is set: true, 1 and "true" are."""
        return self._data.pop(name, None) in (True, "1", "true", "True")

    def moment(self, name: str) -> datetime | None:
        """A time in UTC; None when there is none. Without a zone it is UTC already."""
        value = self._data.pop(name, None)
        if value is None or value == "":
            return None
        try:
            return _moment(value)
        except (ValueError, OverflowError, OSError):
            self._note("bad_date", f"{name} is no date: {as_json(value)[:60]}.")
            return None

    def items(self, name: str) -> list[Any]:
        """A list; empty when there is none."""
        value = self._data.pop(name, None)
        if value is None:
            return []
        if isinstance(value, list):
            return value
        self._note("odd_type", f"{name} is no list; it is left out: {as_json(value)[:60]}.")
        return []

    def objects(self, name: str) -> list[dict[str, Any]]:
        """A list of objects; items that are none are reported."""
        items = self.items(name)
        for item in items:
            if not isinstance(item, dict):
                self._note("odd_type", f"{name} holds no object: {as_json(item)[:60]}.")
        return [item for item in items if isinstance(item, dict)]

    def rest(self) -> dict[str, Any]:
        """The fields that nobody took and that say something."""
        return {name: value for name, value in self._data.items() if not _is_default(value)}

    def drop(self, names: frozenset[str]) -> list[str]:
        """Takes fields away; returns those that said something."""
        said = [name for name in sorted(names) if not _is_default(self._data.get(name))]
        for name in names:
            self._data.pop(name, None)
        return said

    def _kept(self, text: str, name: str) -> str:
        kept = keepable(text)
        if kept != text:
            self._note("unkept_characters", f"{name} has characters that cannot be kept.")
        return kept

    def _note(self, what: str, detail: str) -> None:
        self._oddities.note(what, self._where, detail)


def as_json(value: Any) -> str:
    """A value as JSON, always in the same order, and with nothing that cannot be kept."""
    return keepable(json.dumps(value, ensure_ascii=False, sort_keys=True))


def keepable(text: str) -> str:
    """The text as Postgres can hold it: without NUL, lone surrogates replaced."""
    return _UNKEPT.sub(lambda found: "" if found[0] == "\0" else "\ufffd", text)


def _is_default(value: Any) -> bool:
    return value in (None, "", 0, False, [], {}, "{}", "[]", "null", ".")


def _moment(value: Any) -> datetime | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = value / 1000 if abs(value) > 1e11 else value
        return _unless_zero(datetime.fromtimestamp(seconds, UTC))
    found = _MOMENT.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError("no date")
    moment = datetime.fromisoformat(f"{found['date']}T{found['time'] or '00:00'}")
    moment = moment.replace(
        microsecond=int((found["fraction"] or "")[:6].ljust(6, "0")), tzinfo=_zone(found["zone"])
    )
    return None if moment.year < _YEAR_ONE else _unless_zero(moment.astimezone(UTC))


def _unless_zero(moment: datetime) -> datetime | None:
    """Beads writes the epoch where its database has no date."""
    return None if moment == _EPOCH else moment


def _zone(text: str | None) -> timezone:
    if text is None or text in "Zz":
        return UTC
    sign = -1 if text[0] == "-" else 1
    hours, minutes = int(text[1:3]), int(text[-2:])
    return timezone(sign * timedelta(hours=hours, minutes=minutes))
