"""The wire format of `text/event-stream`, both ways: Server-Sent Events as WHATWG has them.

An event's id is its position in the log, its name is its type, and its data is its JSON on one
line. A block without data is no event to a reader, but its id still counts: that is how a reader
learns how far a stretch without any event of its own has been looked through.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import orjson

from api import views
from ledger.log import Stored

MEDIA_TYPE = "text/event-stream"
_LINE_END = re.compile(rb"\r\n|\n|\r")


class Message(NamedTuple):
    """One event as a reader gets it."""

    position: str
    name: str
    data: str


def message_of(stored: Stored) -> bytes:
    """An event of the log as a block."""
    name, position = stored.recorded.event.type, stored.recorded.position
    data = orjson.dumps(views.event(stored))
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (position, name.encode(), data)


def beginning(position: int, retry_milliseconds: int) -> bytes:
    """What a stream opens with: how soon to come back after a cut, and from where."""
    return b"retry: %d\nid: %d\n\n" % (retry_milliseconds, position)


def heartbeat(position: int) -> bytes:
    """A sign of life, and how far the log has been looked through."""
    return b": still here\nid: %d\n\n" % position


class Reading:
    """A stream as it is read, in pieces of any size; `position` is the id that came last."""

    def __init__(self, position: str = "") -> None:
        self.position = position
        self.retry_milliseconds: int | None = None
        self._rest = b""
        self._id = position
        self._name = ""
        self._data: list[str] = []

    def feed(self, piece: bytes) -> Iterator[Message]:
        """The events that a piece completes."""
        self._rest += piece
        held = self._rest[-1:] if self._rest.endswith(b"\r") else b""  # Half of a CRLF, perhaps.
        *lines, rest = _LINE_END.split(self._rest[: len(self._rest) - len(held)])
        self._rest = rest + held
        for line in lines:
            if (message := self._take(line.decode(errors="replace"))) is not None:
                yield message

    def _take(self, line: str) -> Message | None:
        if not line:
            return self._end_of_block()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "id" if "\0" not in value:
                self._id = value
            case "event":
                self._name = value
            case "data":
                self._data.append(value)
            case "retry" if value.isascii() and value.isdigit():
                self.retry_milliseconds = int(value)
        return None

    def _end_of_block(self) -> Message | None:
        self.position = self._id
        data, name = self._data, self._name
        self._data, self._name = [], ""
        return Message(self._id, name or "message", "\n".join(data)) if data else None
