"""One batch: from the company's lock to everything written, short of COMMIT.

    lock → load what the commands need → decide each in order → write

Between lock and commit only the batch's own statements are awaited. Lock and load are
separate statements: a statement's snapshot predates its wait for the lock, so one that did
both would load the state from before the wait.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple, Protocol

import msgspec
from uuid_utils import uuid7

from ledger.codec import data_hash, encode, leaf
from ledger.commands import Command
from ledger.database import Connection, as_bytea
from ledger.decisions import Decision, decide, needs
from ledger.errors import LedgerError, NotFound
from ledger.events import Event, Recorded
from ledger.facts import COMPANY, SURVEYS, FactKey, touched_by
from ledger.known import Known, Missing
from ledger.replies import Asked, Kept, Replies, kept_replies, reply_row
from ledger.sql import beside
from ledger.submission import Outcome, Provenance, Result, Submission, text_of

_SQL = beside(__file__)
SALT_BYTES = 16


class InlineModel(Protocol):
    """A read model that is written in the command's own transaction, and decided from."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that it keeps."""

    @property
    def loads(self) -> frozenset[str]:
        """The kinds of facts (first items of their keys) that it keeps."""

    async def load(
        self, connection: Connection, company_id: str, kind: str, keys: Collection[FactKey]
    ) -> Mapping[FactKey, Any]:
        """The facts of one kind that there are; a key without an answer is no such thing."""

    def rows(
        self, recorded: Sequence[Recorded], facts: Mapping[FactKey, Any]
    ) -> Mapping[str, Sequence[Any]]:
        """What the events changed, as `ledger.write_rows` takes it: one final row a key."""


class Head(NamedTuple):
    """Where a company's log ends: last position, last batch, and the read models' epoch."""

    position: int
    tip: str
    epoch: int


@dataclass(slots=True)
class LaneCache:
    """Facts that this process knows of a company, exact while nobody else has written."""

    head: Head | None = None
    facts: dict[FactKey, Any] = field(default_factory=dict)

    def clear(self) -> None:
        """Knows nothing any more."""
        self.head = None
        self.facts.clear()

    def keep(self, batch: Batch, most: int) -> None:
        """After the commit: what the batch made is what is known now."""
        self.facts.update(batch.known.staged)
        self.head = Head(batch.head, batch.tip, batch.epoch)
        if len(self.facts) > most:
            for key in list(islice(self.facts, len(self.facts) - most // 2)):
                del self.facts[key]


@dataclass(slots=True)
class Batch:
    """What a batch came to: the events, and an answer for each submission."""

    company_id: str
    head: int
    tip: str
    epoch: int
    now: datetime
    known: Known
    recorded: list[Recorded] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    answers: list[Outcome | LedgerError] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not self.recorded and not self.kept


async def run_batch(
    connection: Connection,
    company_id: str,
    submissions: Sequence[Submission],
    cache: LaneCache,
    models: Sequence[InlineModel],
) -> Batch:
    """Takes the lock, decides every submission in order, and writes what was accepted."""
    asked = Asked.by(submissions)
    row = await connection.fetchrow(_SQL.lock_head, company_id, *asked)
    if row is None:
        gone = NotFound("There is no such company.")
        return _refused(company_id, gone, len(submissions))
    head = Head(row["head"], str(row["tip"]), row["epoch"])
    if cache.head == head:
        kept = row["kept"]
    else:  # Somebody else has written: what was found before the lock may have changed since.
        cache.clear()
        kept = await kept_replies(connection, company_id, asked)
    replies = Replies(kept)
    new_ids = frozenset[str]().union(*(submission.new_ids for submission in submissions))
    known = Known(cache.facts, {}, row["now"], new_ids=new_ids)
    batch = Batch(company_id, head.position, head.tip, head.epoch, known.now, known)
    commands = [command for submission in submissions for command in submission.commands]
    await load_needed(connection, company_id, models, commands, batch.known)
    for submission in submissions:
        try:
            answer: Outcome | LedgerError = replies.replay(submission.idempotency_key)
        except KeyError:
            answer = await _accept(connection, batch, models, submission)
            if isinstance(answer, Outcome) and submission.idempotency_key:
                first = batch.head + 1 - sum(result.appended for result in answer.results)
                batch.kept.append(Kept(submission.idempotency_key, first, answer))
                replies.add(submission.idempotency_key, answer)
        except LedgerError as error:
            answer = error
        batch.answers.append(answer)
    await _write(connection, batch, models)
    return batch


def _refused(company_id: str, error: LedgerError, count: int) -> Batch:
    known = Known({}, {})
    return Batch(company_id, 0, "", -1, datetime.min, known, answers=[error] * count)


# ── load ───────────────────────────────────────────────────────────────────────────────


async def load_needed(
    connection: Connection,
    company_id: str,
    models: Sequence[InlineModel],
    commands: Sequence[Command],
    known: Known,
) -> None:
    """Asks the commands what they need until they lack nothing, a set of facts at a time."""
    asking = list(commands)
    while asking:
        lacking: dict[FactKey, None] = {}
        still: list[Command] = []
        for command in asking:
            missing = [key for key in needs(command, known) if key not in known]
            if missing:
                lacking.update(dict.fromkeys(missing))
                still.append(command)
        await load_facts(connection, company_id, models, lacking, known)
        asking = still


async def decided(
    connection: Connection,
    company_id: str,
    models: Sequence[InlineModel],
    command: Command,
    known: Known,
) -> Decision:
    """What a command comes to; what turns out to be missing is loaded. Raises LedgerError."""
    while True:
        try:
            return decide(command, known)
        except Missing as missing:
            # An earlier command of the batch made this one need something else.
            await load_needed(connection, company_id, models, [command], known)
            await load_missing(connection, company_id, models, [missing.key], known)


async def load_missing(
    connection: Connection,
    company_id: str,
    models: Sequence[InlineModel],
    keys: Iterable[FactKey],
    known: Known,
) -> None:
    """Loads facts that are not known yet: what an event changes may be more than decided it."""
    if missing := [key for key in keys if key not in known]:
        await load_facts(connection, company_id, models, missing, known)


async def load_facts(
    connection: Connection,
    company_id: str,
    models: Sequence[InlineModel],
    keys: Collection[FactKey],
    known: Known,
) -> None:
    """Loads facts into what is known, one query a kind; what there is not becomes None."""
    loaded = known.loaded
    assert isinstance(loaded, dict)
    by_kind: dict[str, list[FactKey]] = {}
    for key in keys:
        by_kind.setdefault(key[0], []).append(key)
    for kind, wanted in by_kind.items():
        model = next(model for model in models if kind in model.loads)
        found = await model.load(connection, company_id, kind, wanted)
        for key, value in {**dict.fromkeys(wanted), **found}.items():
            (known.surveyed if key[0] in SURVEYS else loaded)[key] = value


# ── decide ─────────────────────────────────────────────────────────────────────────────


async def _accept(
    connection: Connection,
    batch: Batch,
    models: Sequence[InlineModel],
    submission: Submission,
) -> Outcome | LedgerError:
    """All commands of a submission, or none of them; none, in the end, of a dry run."""
    undone = submission.dry_run or len(submission.commands) > 1
    saved = dict(batch.known.staged) if undone else batch.known.staged
    length, head = len(batch.recorded), batch.head
    results: list[Result] = []
    try:
        for command in submission.commands:
            results.append(
                await _carry_out(connection, batch, models, command, submission.provenance)
            )
        answer: Outcome | LedgerError = Outcome(
            results=tuple(results),
            position=head if submission.dry_run else batch.head,
            events=tuple(batch.recorded[length:]) if submission.dry_run else (),
        )
    except LedgerError as error:
        if len(submission.commands) > 1:
            error.facts["command_index"] = len(results)
        answer = error
    if submission.dry_run or isinstance(answer, LedgerError):
        batch.known.staged = saved
        del batch.recorded[length:]
        batch.head = head
    return answer


async def _carry_out(
    connection: Connection,
    batch: Batch,
    models: Sequence[InlineModel],
    command: Command,
    provenance: Provenance,
) -> Result:
    known = batch.known
    if known.company is None and command.name != "create_company":
        raise NotFound("There is no such company.")
    decision = await decided(connection, batch.company_id, models, command, known)
    command_id = str(uuid7())
    for stream, event in decision.events:
        await load_missing(connection, batch.company_id, models, [stream], known)
        recorded = _next(batch, stream, event, command, command_id, provenance)
        touched = touched_by(recorded)
        await load_missing(connection, batch.company_id, models, touched, known)
        known.record(recorded)
        batch.recorded.append(recorded)
        batch.head = recorded.position
    stream_state = known[decision.stream]
    return Result(
        kind=decision.subject[0],  # type: ignore[arg-type]
        subject=known[decision.subject],
        text=text_of(command),
        version=stream_state.version,
        appended=len(decision.events),
    )


def _next(
    batch: Batch,
    stream: FactKey,
    event: Event,
    command: Command,
    command_id: str,
    provenance: Provenance,
) -> Recorded:
    before = batch.known[stream]
    return Recorded(
        company_id=batch.company_id,
        position=batch.head + 1,
        stream_id=batch.company_id if stream == COMPANY else stream[1],
        version=before.version + 1 if before else 1,
        event_id=str(uuid7()),
        event=event,
        actor=command.actor,
        on_behalf_of=provenance.on_behalf_of,
        key_id=provenance.key_id,
        command_id=command_id,
        correlation_id=provenance.correlation_id,
        causation_id=provenance.causation_id,
        run_id=provenance.run_id,
        recorded_at=batch.now,
        occurred_at=provenance.occurred_at,
        via=provenance.via,
    )


# ── write ──────────────────────────────────────────────────────────────────────────────


async def _write(connection: Connection, batch: Batch, models: Sequence[InlineModel]) -> None:
    if batch.is_empty:
        return
    # Be it replies alone: who found none of them before the lock sees by the tip to ask again.
    batch.tip = str(uuid7())
    await connection.execute(
        _SQL.append,
        batch.company_id,
        batch.head,
        batch.tip,
        batch.now,
        _rows(batch.recorded),
        [reply_row(kept) for kept in batch.kept],
        written(models, batch.recorded, batch.known.staged),
    )


def written(
    models: Sequence[InlineModel], recorded: Sequence[Recorded], facts: Mapping[FactKey, Any]
) -> dict[str, Sequence[Any]]:
    """The rows that events change in all models, by table; none where nothing changed."""
    if not recorded:
        return {}
    return {
        table: rows
        for model in models
        for table, rows in model.rows(recorded, facts).items()
        if rows
    }


def _rows(recorded: Sequence[Recorded]) -> list[dict[str, Any]]:
    """The events as `ledger.append` takes them, each with a salt of its own."""
    salts = secrets.token_bytes(SALT_BYTES * len(recorded))
    return [_row(r, salts[SALT_BYTES * i : SALT_BYTES * (i + 1)]) for i, r in enumerate(recorded)]


def _row(r: Recorded, salt: bytes) -> dict[str, Any]:
    data = encode(r.event)
    hashed = data_hash(salt, data)
    return {
        "position": r.position,
        "stream_id": r.stream_id,
        "version": r.version,
        "event_id": r.event_id,
        "type": r.event.type,
        "schema_version": r.event.schema_version,
        "actor_type": r.actor.type,
        "actor_id": r.actor.id,
        "on_behalf_of": str(r.on_behalf_of) if r.on_behalf_of else None,
        "key_id": r.key_id,
        "command_id": r.command_id,
        "correlation_id": r.correlation_id,
        "causation_id": r.causation_id,
        "run_id": r.run_id,
        "recorded_at": r.recorded_at,
        "occurred_at": r.occurred_at,
        "via": r.via,
        "data": msgspec.Raw(data),
        "salt": as_bytea(salt),
        "data_hash": as_bytea(hashed),
        "leaf": as_bytea(leaf(r, r.event.schema_version, hashed)),
    }
