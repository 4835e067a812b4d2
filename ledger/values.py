"""Values: what never changes once it is made. Events, and the states that they come to.

A value is a `msgspec.Struct`, because a command makes a dozen of them: one is made, copied with
changes or written as JSON in a fraction of the time that a frozen dataclass takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NotRequired, TypeVar, get_type_hints

import msgspec
from pydantic import TypeAdapter
from typing_extensions import TypedDict

V = TypeVar("V", bound="Value")

replace = msgspec.structs.replace
"""A copy with other values in some fields."""


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Equal if its fields are; as JSON it leaves out the fields that have their defaults.

    No value can come to hold itself, so that Python's collector need not look for it.
    """


def reader(cls: type[V]) -> Callable[[Mapping[str, Any]], V]:
    """What makes a value of decoded JSON, or raises pydantic's ValidationError."""
    hints = {name: get_type_hints(cls)[name] for name in cls.__struct_fields__}
    defaults = {f.name for f in msgspec.structs.fields(cls) if not f.required}
    form = TypedDict(  # type: ignore[misc]
        cls.__name__,
        {name: NotRequired[hint] if name in defaults else hint for name, hint in hints.items()},
    )
    validate = TypeAdapter(form).validate_python
    return lambda data: cls(**validate(data))
