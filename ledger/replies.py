"""What was answered under an Idempotency-Key, so that asking again gets the first reply.

A key is its actor's own. An acceptance is kept, in the command's own transaction; a refusal is
not, and is decided anew. Two submissions of one batch may share a key: the first one counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from ledger.database import Connection, as_bytea
from ledger.errors import IdempotencyKeyReused, IdempotencyReplyGone
from ledger.sql import beside
from ledger.submission import IdempotencyKey, Outcome, Submission

_SQL = beside(__file__)


class Kept(NamedTuple):
    """An acceptance to keep: its key, the first position of its events, and its outcome."""

    key: IdempotencyKey
    first_position: int
    outcome: Outcome


class _Used(NamedTuple):
    request_sha256: bytes
    outcome: Outcome | None
    first_position: int
    last_position: int


class Replies:
    """The keys that were used, before this batch and in it."""

    def __init__(self, kept: Sequence[Mapping[str, Any]]) -> None:
        """`kept` are rows of idempotency_keys, as JSON has them."""
        self._by_key: dict[tuple[str, str], dict[int, _Used]] = {}
        for row in kept:
            used = _Used(
                bytes.fromhex(row["request_sha256"].removeprefix("\\x")),
                _outcome_of(row["reply"]),
                row["first_position"],
                row["last_position"],
            )
            self._put(row["actor"], row["key"], row["item"], used)

    def add(self, key: IdempotencyKey, outcome: Outcome) -> None:
        """Notes that a key was used in this very batch."""
        used = _Used(key.request_sha256, outcome, outcome.position, outcome.position)
        self._put(key.actor, key.key, key.item, used)

    def _put(self, actor: str, key: str, item: int, used: _Used) -> None:
        self._by_key.setdefault((actor, key), {})[item] = used

    def replay(self, key: IdempotencyKey | None) -> Outcome:
        """The first reply; KeyError if there was none, LedgerError if it cannot be given."""
        if key is None:
            raise KeyError
        items = self._by_key[(key.actor, key.key)]
        if any(kept.request_sha256 != key.request_sha256 for kept in items.values()):
            raise IdempotencyKeyReused(
                "This Idempotency-Key was used for another request; take a new one."
            )
        kept = items[key.item]
        if kept.outcome is None:
            raise IdempotencyReplyGone(
                "This Idempotency-Key was used more than seven days ago; its reply is no longer "
                "kept. The events are in the log.",
                first_position=kept.first_position,
                last_position=kept.last_position,
            )
        return Outcome(results=kept.outcome.results, position=kept.outcome.position, replayed=True)


class Asked(NamedTuple):
    """The keys that some submissions have, as the columns of a statement's parameters."""

    actors: list[str]
    keys: list[str]

    @classmethod
    def by(cls, submissions: Sequence[Submission]) -> Asked:
        """Each key once."""
        keys = {s.idempotency_key[:2] for s in submissions if s.idempotency_key}
        return cls([actor for actor, _ in keys], [key for _, key in keys])


async def kept_replies(
    connection: Connection, company_id: str, asked: Asked
) -> list[Mapping[str, Any]]:
    """What is kept of the keys that were used before."""
    if not asked.keys:
        return []
    return [row[0] for row in await connection.fetch(_SQL.kept_replies, company_id, *asked)]


def _outcome_of(reply: str | None) -> Outcome | None:
    """The reply that was kept; one of an older program may be past reading."""
    try:
        return None if reply is None else Outcome.from_json(reply)
    except (ValidationError, ValueError, KeyError, TypeError):
        return None


def reply_row(kept: Kept) -> dict[str, Any]:
    """That a key was used, by which events, and what was answered, as `ledger.append` takes it."""
    return {
        "actor": kept.key.actor,
        "key": kept.key.key,
        "item": kept.key.item,
        "request_sha256": as_bytea(kept.key.request_sha256),
        "first_position": kept.first_position,
        "last_position": kept.outcome.position,
        "reply": kept.outcome.to_json().decode(),
    }
