"""Cursors of walks through lists of one moment.

A cursor holds the position of the log that the walk is as of, and where in the order it goes on. It
belongs to the question that it was given out for; with another filter or order it means nothing.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from typing import Any, NamedTuple

import orjson
from aiohttp import web

from ledger.codec import MAX_INT, timestamp
from ledger.errors import Invalid

_MOST_DIGITS = 70
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_NOT_OF_THE_QUESTION = ("cursor", "limit", "consistency")


class Place(NamedTuple):
    """The position that a walk is as of, and the values after which it goes on."""

    position: int
    after: tuple[Any, ...]


def cursor_of(request: web.Request, place: Place) -> str:
    """The cursor that leads on from a place."""
    shown = [place.position, _question(request), *(_text(value) for value in place.after)]
    return base64.urlsafe_b64encode(orjson.dumps(shown)).decode().rstrip("=")


def place_of_cursor(request: web.Request, cursor: str, like: Sequence[Any]) -> Place:
    """Where a cursor leads; `like` are values of the types that it holds.

    Raises Invalid for one that was not ours, or was given out for another question.
    """
    try:
        raw = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4))
        position, question, *texts = orjson.loads(raw)
        after = tuple(_value(text, one) for text, one in zip(texts, like, strict=True))
    except (binascii.Error, ValueError, TypeError, OverflowError, InvalidOperation):
        raise _unknown() from None
    if question != _question(request):
        raise Invalid(
            "This cursor is of another list; ask with the filters and the order that it was given "
            "out for.",
            pointer="/cursor",
        )
    if type(position) is not int or not 0 <= position <= MAX_INT:
        raise _unknown()
    place = Place(position, after)
    if cursor_of(request, place) != cursor:
        raise _unknown()
    return place


def _unknown() -> Invalid:
    return Invalid("This cursor is not one that a list gave out.", pointer="/cursor")


def _question(request: web.Request) -> str:
    asked = sorted((k, v) for k, v in request.query.items() if k not in _NOT_OF_THE_QUESTION)
    return sha256(orjson.dumps([request.path, asked])).hexdigest()[:12]


def _text(value: Any) -> Any:
    match value:
        case datetime():
            return timestamp(value)
        case Decimal():
            return f"{value:f}"
        case _:
            return value


def _value(text: Any, like: Any) -> Any:
    match like:
        case datetime():
            moment = datetime.fromisoformat(text)
            if timestamp(moment) != text:
                raise ValueError(text)
            return moment
        case Decimal():
            if len(text) > _MOST_DIGITS or (text != "Infinity" and not _DECIMAL.fullmatch(text)):
                raise ValueError(text)
            return Decimal(text)
        case _:
            if type(text) is not int or not 0 <= text <= MAX_INT:
                raise ValueError(text)
            return text
