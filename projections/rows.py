"""From rows to states: a state's fields are its row's columns.

The one difference is the id, whose column says what it is an id of (`issue_id`), and times
that events hold as text, which are timestamps in a row. The other way, states are written as
they are: many together are one JSON parameter, which their statement reads as rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from operator import itemgetter
from typing import Any, TypeVar

import asyncpg

from ledger.codec import timestamp
from ledger.values import Value

S = TypeVar("S", bound=Value)


def reader(
    cls: type[S], id_column: str, made: Mapping[str, Callable[[Any], Any]] | None = None
) -> Callable[[asyncpg.Record], S]:
    """What turns a row into a state; `made` says how a field is made of its column's value."""
    names = cls.__struct_fields__
    values_of = itemgetter(*(id_column if name == "id" else name for name in names))
    made = made or {}

    def read(row: asyncpg.Record) -> S:
        values = dict(zip(names, values_of(row), strict=True))
        for name, make in made.items():
            values[name] = make(values[name])
        return cls(**values)

    return read


def text_of(moment: datetime | None) -> str | None:
    """The text in which events hold a time."""
    return None if moment is None else timestamp(moment)
