"""Whether a file is a whole export: the same bytes, as many lines, and the last line that says so.

Reads a file of any size line by line. Of which format it is, its last line tells. That proves the
file against its own last line, as an accident or a broken connection would change it; who changes
both on purpose is found out by asking for the export anew, as of the same position.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

import orjson

from api.exports.cloud_events import ENDED
from api.exports.lines import CSV_MARK


class NotWhole(Exception):
    """The file is not what an export sent: broken off, changed, or something else."""


class _Read(NamedTuple):
    """What was found before the last line."""

    last: bytes
    sha256: str
    lines: int
    records: int


def verify_export(lines: Iterable[bytes]) -> Mapping[str, Any]:
    """What the last line of an export says, which is so; raises NotWhole.

    `lines` are as a file opened in binary gives them, each with its newline.
    """
    found = _read(lines)
    said, is_csv = _said(found.last)
    count = found.records - 1 if is_csv else found.lines
    if said.get("sha256") != found.sha256:
        raise NotWhole("The bytes before the last line are not those that were sent.")
    if said.get("count") != count:
        raise NotWhole(f"The last line speaks of {said.get('count')} lines; there are {count}.")
    return said


def _read(lines: Iterable[bytes]) -> _Read:
    """Goes through the file; a record of CSV ends with a line in which no text is open."""
    hashed, count, records, quotes, last = sha256(), 0, 0, 0, b""
    for line in lines:
        if last:
            hashed.update(last)
            count += 1
            quotes += last.count(b'"')
            records += quotes % 2 == 0
        last = line
    if not last.endswith(b"\n"):
        raise NotWhole("The file breaks off in the middle of a line.")
    return _Read(last, hashed.hexdigest(), count, records)


def _said(last: bytes) -> tuple[Mapping[str, Any], bool]:
    """What the last line says, and whether it is one of CSV."""
    try:
        text = last.decode()
        is_csv = text.startswith(CSV_MARK + ",")
        shown = orjson.loads(next(csv.reader([text]))[1] if is_csv else text)
    except (ValueError, csv.Error, StopIteration):
        raise NotWhole("The last line is not one that ends an export.") from None
    if isinstance(shown, dict) and not is_csv:
        shown = shown.get("data") if shown.get("type") == ENDED else shown.get("export")
    if not isinstance(shown, dict):
        raise NotWhole("The last line is not one that ends an export; the file was broken off.")
    return shown, is_csv
