"""What was answered under an Idempotency-Key, so that asking again gets the first reply.

A key is its actor's own. An acceptance is kept, in the command's own transaction; a refusal is
not, and is decided anew. Two submissions of one batch may share a key: the first one counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import ValidationError

from ledger.database import Connection
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

    def __init__(self) -> None:
        self._by_key: dict[tuple[str, str], dict[int, _Used]] = {}

    def put(self, actor: str, key: str, item: int, kept: _Used) -> None:
        """Notes that a key was used."""
        self._by_key.setdefault((actor, key), {})[item] = kept

    def add(self, key: IdempotencyKey, outcome: Outcome) -> None:
        """Notes that a key was used in this very batch."""
        kept = _Used(key.request_sha256, outcome, outcome.position, outcome.position)
        self.put(key.actor, key.key, key.item, kept)

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


async def kept_replies(
    connection: Connection, company_id: str, submissions: Sequence[Submission]
) -> Replies:
    """The keys of these submissions that were used before, with what was answered."""
    replies = Replies()
    keys = {s.idempotency_key[:2] for s in submissions if s.idempotency_key}
    if keys:
        actors, names = zip(*keys, strict=True)
        for row in await connection.fetch(_SQL.kept_replies, company_id, list(actors), list(names)):
            outcome = _outcome_of(row["reply"])
            replies.put(
                row["actor"],
                row["key"],
                row["item"],
                _Used(row["request_sha256"], outcome, row["first_position"], row["last_position"]),
            )
    return replies


def _outcome_of(reply: Mapping[str, Any] | None) -> Outcome | None:
    """The reply that was kept; one of an older program may be past reading."""
    try:
        return None if reply is None else Outcome.from_json(reply)
    except (ValidationError, KeyError, TypeError):
        return None


async def keep_replies(
    connection: Connection, company_id: str, kept: Sequence[Kept], now: datetime
) -> None:
    """Writes down that these keys were used, by which events, and what was answered."""
    await connection.execute(
        _SQL.keep_replies,
        company_id,
        [one.key.actor for one in kept],
        [one.key.key for one in kept],
        [one.key.item for one in kept],
        [one.key.request_sha256 for one in kept],
        [one.first_position for one in kept],
        [one.outcome.position for one in kept],
        now,
        [one.outcome.to_json().decode() for one in kept],
    )
