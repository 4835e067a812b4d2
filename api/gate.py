"""The input gate: what a body must be before anything looks at what it says.

At most 1 MiB of UTF-8 JSON, nested at most 32 deep, integers that every JSON reader keeps
whole, no NUL, no lone surrogates, no key twice, no NaN. Postgres or some other reader of the
log would choke on each of these later; here it is one clear 400 instead.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from ledger.codec import MAX_INT

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
_BAD_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_MANY_DIGITS = re.compile(rb"\d{16}")


class Malformed(Exception):
    """The body is not JSON that the ledger takes; `message` says why."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def parse(body: bytes) -> Any:
    """The JSON value of a body; raises Malformed. An empty body is None."""
    if not body:
        return None
    try:
        value = (_WITH_LONG_NUMBERS if _MANY_DIGITS.search(body) else _DECODER).decode(
            body.decode()
        )
    except UnicodeDecodeError as error:
        raise Malformed(f"The body is not UTF-8: {error.reason} at byte {error.start}.") from None
    except json.JSONDecodeError as error:
        raise Malformed(
            f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from None
    except RecursionError:
        raise Malformed(_TOO_DEEP) from None
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        _refuse_depth(value)
    if _BAD_ESCAPE.search(body):
        _refuse_bad_text(value)
    return value


_TOO_DEEP = f"The body is nested deeper than {MAX_DEPTH} levels."


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise Malformed(f"An object has the key {name[:100]!r} twice.")
            seen.add(name)
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise Malformed(f"{name} is not JSON.")


def _integer(text: str) -> int:
    if len(text) > 17 or abs(int(text)) > MAX_INT:
        raise Malformed(f"The integer {text[:40]} is beyond ±{MAX_INT}.")
    return int(text)


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse_constant)
_WITH_LONG_NUMBERS = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_refuse_constant, parse_int=_integer
)


def _refuse_depth(value: Any) -> None:
    level, here = 0, [value]
    while here:
        here = [item for item in here if isinstance(item, list | dict)]
        level += bool(here)
        if level > MAX_DEPTH:
            raise Malformed(_TOO_DEEP)
        here = [
            inner for item in here for inner in (item.values() if isinstance(item, dict) else item)
        ]


def _refuse_bad_text(value: Any) -> None:
    here = [value]
    while here:
        item = here.pop()
        if isinstance(item, str):
            refuse_bad_string(item)
        elif isinstance(item, dict):
            here += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            here += item


def refuse_bad_string(text: str) -> None:
    """Raises Malformed for a text that Postgres cannot keep."""
    if "\0" in text:
        raise Malformed("A text contains NUL (U+0000), which the ledger does not keep.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Malformed("A text contains half of a surrogate pair.") from None
