"""The text of an export: what a line is in each format, and what the last one looks like.

NDJSON: a JSON object a line, and as the last one `{"export": {…}}`.

CSV: as RFC 4180 has it, in UTF-8, with a header line. Null is an empty field, an empty text is
`""`, lists and objects are JSON text. A text that a spreadsheet would calculate, because it begins
with `=`, `+`, `-`, `@`, a tab or a carriage return, has a `'` before it, and so has one that begins
with `'` itself: take one `'` off the front of any field, and it is what it was. The last record
has as many fields as the others; its first is `#export`, its second the JSON object that is the
value of `export` in NDJSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import orjson
from aiohttp import web

from api.exports.streaming import Summary

NDJSON = "application/x-ndjson"
CSV = "text/csv; charset=utf-8; header=present"
CSV_MARK = "#export"
"""The first field of the last record of a CSV file."""

_WEIGHT = re.compile(r"q=[01](\.[0-9]{0,3})?", re.ASCII)
_CALCULATED = re.compile(r"[=+\-@\t\r']")
_QUOTED = re.compile(r'[",\r\n]')


def preferred(request: web.Request, offered: Sequence[str]) -> str:
    """The media type that Accept weighs most, the first one offered where it names none of them."""
    best, most = offered[0], 0.0
    for part in ",".join(request.headers.getall("Accept", [])).split(","):
        kind, *parameters = (word.strip().lower() for word in part.split(";"))
        weights = [word[2:] for word in parameters if _WEIGHT.fullmatch(word)]
        weight = float(weights[0]) if weights else 1.0
        if kind in offered and weight > most:
            best, most = kind, weight
    return best


def as_ndjson(shown: Mapping[str, Any]) -> bytes:
    """An object on a line of its own."""
    return orjson.dumps(shown) + b"\n"


def last_ndjson(told: Summary, more: Mapping[str, Any]) -> bytes:
    """The last line of an NDJSON file; `more` is said beside the sums."""
    return as_ndjson({"export": {**more, **asdict(told)}})


def as_csv(values: Iterable[Any]) -> bytes:
    """A record; raises TypeError for what is neither text, number, list, object nor null."""
    return (",".join(_field(value) for value in values) + "\r\n").encode()


def last_csv(told: Summary, more: Mapping[str, Any], columns: int) -> bytes:
    """The last record of a CSV file of so many columns; `more` is said beside the sums."""
    about = {**more, **asdict(told)}
    return as_csv([CSV_MARK, about, *[None] * (columns - 2)])


def unguarded(field: str) -> str:
    """A text field of a CSV file, as a CSV reader gives it, as it was before it was guarded."""
    return field.removeprefix("'")


def _field(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return _quoted(f"'{value}" if _CALCULATED.match(value) else value)
        case list() | dict():
            return _quoted(orjson.dumps(value).decode())
    raise TypeError(f"{type(value).__name__} has no form in CSV")


def _quoted(text: str) -> str:
    if text and not _QUOTED.search(text):
        return text
    return '"' + text.replace('"', '""') + '"'
