"""From rows to states: a state's fields are its row's columns.

The one difference is the id, whose column says what it is an id of (`issue_id`), and times
that events hold as text, which are timestamps in a row. The other way, states are written as
they are: many together are one JSON parameter, which their statement reads as rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import asyncpg

from ledger.codec import timestamp
from ledger.values import Value

S = TypeVar("S", bound=Value)


def reader(
    cls: type[S], id_column: str, columns: Mapping[str, str] | None = None
) -> Callable[[asyncpg.Record], S]:
    """What turns a row into a state; `columns` names those that differ from their fields."""
    sources = [(name, name) for name in cls.__struct_fields__]
    renamed = {"id": id_column, **(columns or {})}
    pairs = [(name, renamed.get(name, column)) for name, column in sources]

    def read(row: asyncpg.Record) -> S:
        return cls(**{name: _plain(row[column]) for name, column in pairs})

    return read


def text_of(moment: datetime | None) -> str | None:
    """The text in which events hold a time."""
    return None if moment is None else timestamp(moment)


def _plain(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, list):
        return tuple(_plain(item) for item in value)
    return value
