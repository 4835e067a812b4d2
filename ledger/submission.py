"""What goes into the committer, and what comes out of it.

A submission is one or more commands that happen together or not at all. Its outcome tells,
for each command, the thing it was about as it is right after it. An outcome can be written
down and read again, which is how a repeated Idempotency-Key gets the first reply.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

from ledger.actors import Actor
from ledger.commands import Command, CommentOnIssue, CreateIssue, EditComment, EditIssue
from ledger.events import Recorded
from ledger.state import Comment, Company, Entry, Issue, Key, Link, Run
from ledger.values import Value, reader

Subject: TypeAlias = Company | Key | Entry | Issue | Run | Comment | Link
SubjectKind = Literal["company", "key", "entry", "issue", "run", "comment", "link"]

_CLASSES: Mapping[str, type[Value]] = {
    "company": Company,
    "key": Key,
    "entry": Entry,
    "issue": Issue,
    "run": Run,
    "comment": Comment,
    "link": Link,
}
_READERS = {kind: reader(cls) for kind, cls in _CLASSES.items()}
_SINCE: Mapping[str, Mapping[str, Any]] = {"issue": {"run_count": 0}}
"""Fields that replies do not have which version 0.1.0 has kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a submission comes from: the columns of the log that are not the event's own."""

    via: str
    on_behalf_of: Actor | None = None
    key_id: str | None = None
    run_id: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    occurred_at: datetime | None = None


class IdempotencyKey(NamedTuple):
    """The caller's key, theirs alone, and the SHA-256 of the request that it stands for.

    `item` is the command's place in a list of commands that shares one key, else 0.
    """

    actor: str
    key: str
    request_sha256: bytes
    item: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """Commands of one company that are accepted together; `size_bytes` counts in a batch.

    `new_ids` were made for these very commands: there is nothing by them, and nobody looks.
    Of a dry run nothing is kept, neither its events nor its key: its outcome says what would be.
    """

    commands: tuple[Command, ...]
    provenance: Provenance
    idempotency_key: IdempotencyKey | None = None
    new_ids: frozenset[str] = frozenset()
    size_bytes: int = 256
    dry_run: bool = False


class Result(Value, frozen=True, kw_only=True):
    """What one command was about, as it is now.

    `text` is the long text that the command itself set; others are not loaded to answer.
    `version` is that of the stream that If-Match names; `appended` how many events it took.
    """

    kind: SubjectKind
    subject: Subject
    text: str | None = None
    version: int
    appended: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The results of a submission, as of `position`: its last event, else the log's head.

    `events` are those that a dry run would have appended; others do not tell theirs.
    """

    results: tuple[Result, ...]
    position: int
    replayed: bool = False
    events: tuple[Recorded, ...] = ()

    def to_json(self) -> bytes:
        """The outcome, as it is kept for a repeated Idempotency-Key."""
        return msgspec.json.encode({"results": self.results, "position": self.position})

    @classmethod
    def from_json(cls, text: bytes | str) -> Outcome:
        """The outcome that `to_json` wrote down, marked as replayed."""
        data = msgspec.json.decode(text)
        for result in data["results"]:
            result["subject"] = {**_SINCE.get(result["kind"], {}), **result["subject"]}
        results = tuple(
            Result(**{**result, "subject": _READERS[result["kind"]](result["subject"])})
            for result in data["results"]
        )
        return cls(results=results, position=data["position"], replayed=True)


def text_of(command: Command) -> str | None:
    """The long text that a command sets, for its own reply to repeat."""
    match command:
        case CreateIssue(description=text) | CommentOnIssue(body=text) | EditComment(body=text):
            return text
        case EditIssue(changes={"description": str(text)}):
            return text
        case _:
            return None
