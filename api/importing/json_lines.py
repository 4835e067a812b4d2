"""A file of JSON objects, one a line, however damaged.

A line that cannot be read costs that line alone and is reported with its number. Git leaves
conflict markers in such files, editors a byte order mark, Windows its line ends.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from api.importing.report import ImportFailed, Oddities

_CONFLICT = (b"<<<<<<<", b"=======", b">>>>>>>", b"|||||||")


def lines_of(file: Path, name: str) -> list[tuple[str, bytes]]:
    """The lines that are not empty, each with where it stands; raises ImportFailed."""
    try:
        raw = file.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise ImportFailed(f"{file} cannot be read: {error.strerror}.") from error
    lines = enumerate(raw.split(b"\n"), 1)
    return [(f"{name}:{number}", line.strip()) for number, line in lines if line.strip()]


def objects_of(
    lines: list[tuple[str, bytes]], oddities: Oddities
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The lines' objects, each with where it stands."""
    for where, line in lines:
        data = _object(line, where, oddities)
        if data is not None:
            yield where, data


def _object(line: bytes, where: str, oddities: Oddities) -> dict[str, Any] | None:
    if line.startswith(_CONFLICT):
        oddities.note("conflict_marker", where, "A git conflict marker; both sides are read.")
        return None
    try:
        text = line.decode()
    except UnicodeDecodeError:
        oddities.note("not_utf8", where, "A line is not UTF-8; what is not is replaced.")
        text = line.decode(errors="replace")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = str(error).partition(":")[0]
        oddities.note("unreadable_line", where, f"Not JSON ({reason}): {text[:60]}")
        return None
    if not isinstance(data, dict):
        oddities.note("unreadable_line", where, f"Not a JSON object: {text[:60]}")
        return None
    return data
