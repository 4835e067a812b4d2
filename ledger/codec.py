"""How an event is written down, and how its leaf is computed from what is written.

Canonical JSON: keys sorted, no spaces, UTF-8, no floats. Postgres keeps it as jsonb, which
may order keys as it likes; sorting them again gives the bytes that were hashed.

    data_hash = SHA256("ledger/data/v1\\0" ‖ salt ‖ canonical data)
    leaf      = SHA256(0x00 ‖ "ledger/leaf/v1\\0" ‖ each header field, length-prefixed)

The 0x00 is RFC 9162's domain separation between leaves and inner nodes (section 2.1.1). The
salt, 16 random bytes an event, keeps an erased event's data from being guessed from its hash.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any

import orjson

from ledger.events import EVENT_TYPES, MAX_LEASE_SECONDS, Event, Json, Recorded
from ledger.values import reader

MAX_INT = 2**53 - 1
"""The largest integer that every JSON reader keeps whole."""

_READERS = {name: reader(cls) for name, cls in EVENT_TYPES.items()}

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
_UPCASTERS: Mapping[tuple[str, int], Upcaster] = {
    ("issue.created", 1): lambda data: {**data, "per_task_micros": None},
    ("issue.checked_out", 1): lambda data: {**data, "lease_seconds": MAX_LEASE_SECONDS},
    ("run.cost_reported", 1): lambda data: {**data, "team_id": None},
    ("run.ended", 1): lambda data: {**data, "exit_details": None},
}
"""(stored name, old schema_version) → what turns its data into the next version's."""


class Unwritable(Exception):
    """A value that JSON has no form for, such as half of a surrogate pair."""


def canonical(data: Json | Mapping[str, Any]) -> bytes:
    """JSON of one form only, so that equal data has equal bytes; raises Unwritable."""
    try:
        return orjson.dumps(data, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise Unwritable(str(error)) from error


def encode(event: Event) -> bytes:
    """An event's data as canonical JSON."""
    return canonical({name: getattr(event, name) for name in event.__struct_fields__})


def decode(name: str, schema_version: int, data: Mapping[str, Any]) -> Event:
    """The event of a stored name, brought up to today's schema_version."""
    upcast = dict(data)
    while (upcaster := _UPCASTERS.get((name, schema_version))) is not None:
        upcast, schema_version = upcaster(upcast), schema_version + 1
    return _READERS[name](upcast)


def data_hash(salt: bytes, data: bytes) -> bytes:
    """The salted hash of canonical data (32 bytes)."""
    return sha256(b"ledger/data/v1\0" + salt + data).digest()


def leaf(recorded: Recorded, schema_version: int, hashed: bytes) -> bytes:
    """The hash that the audit tree will hold for an event (32 bytes).

    `schema_version` is the one that is stored, `hashed` the data_hash.
    """
    parts = [b"\0ledger/leaf/v1\0"]
    for value in (*_header(recorded, schema_version), hashed):
        if value is None:
            parts.append(b"\xff\xff\xff\xff")
        else:
            raw = value if isinstance(value, bytes) else value.encode()
            parts.append(len(raw).to_bytes(4, "big") + raw)
    return sha256(b"".join(parts)).digest()


def _header(recorded: Recorded, schema_version: int) -> tuple[str | None, ...]:
    """The fixed list of columns that a leaf commits to, as text."""
    on_behalf_of = recorded.on_behalf_of
    return (
        recorded.company_id,
        str(recorded.position),
        recorded.stream_id,
        str(recorded.version),
        recorded.event_id,
        recorded.event.type,
        str(schema_version),
        recorded.actor.type,
        recorded.actor.id,
        None if on_behalf_of is None else str(on_behalf_of),
        recorded.key_id,
        recorded.command_id,
        recorded.correlation_id,
        recorded.causation_id,
        recorded.run_id,
        timestamp(recorded.recorded_at),
        None if recorded.occurred_at is None else timestamp(recorded.occurred_at),
        recorded.via,
    )


@lru_cache(1024)  # All events of a batch have one time.
def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds: the one way in which times are written."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
