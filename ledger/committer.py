"""Group commit: the one way into the log.

Each company has a lane. While one batch of a lane commits, the next gathers, so a batch
grows with the load and a lone caller waits for nobody. A batch is one transaction under the
company's lock: lock, load, decide, write, commit, then answer (`batch.py`). Lanes share
nothing, and any number of processes may have a lane for the same company.

What can go wrong is decided here, in one place:

- A refusal is one submission's own; its neighbours do not notice.
- A value that Postgres will not take, or a bug of ours, poisons a transaction: it is rolled
  back, and its submissions run one by one.
- A deadlock or a serialisation failure is tried again.
- A connection lost before COMMIT was sent: nothing was written, try again.
- A connection lost at COMMIT: it may have been written. The lock is taken anew, which waits
  the old backend out, and the log is asked. Nothing is ever guessed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import asyncpg
import structlog

from ledger.batch import Batch, InlineModel, LaneCache, run_batch
from ledger.codec import Unwritable
from ledger.database import LOST, UNENCODABLE, Connection, Pool
from ledger.errors import DatabaseUnavailable, Invalid, LedgerError, OutcomeUnknown, QueueFull
from ledger.sql import beside
from ledger.submission import Outcome, Submission

_SQL = beside(__file__)
_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much may gather, and how long the committer tries."""

    batch_commands: int = 256
    batch_bytes: int = 4 * 1024 * 1024
    queue_submissions: int = 2048
    queue_bytes: int = 32 * 1024 * 1024
    attempts: int = 5
    commit_seconds: float = 20.0
    resolve_seconds: float = 60.0
    cached_facts: int = 50_000


class _Waiting(NamedTuple):
    submission: Submission
    answer: asyncio.Future[Outcome]


@dataclass(slots=True)
class _Lane:
    """One company's queue, its cache, and the task that works it off."""

    company_id: str
    waiting: deque[_Waiting] = field(default_factory=deque)
    waiting_bytes: int = 0
    cache: LaneCache = field(default_factory=LaneCache)
    task: asyncio.Task[None] | None = None


class Committer:
    """Accepts submissions for any company and answers each once it is durable."""

    def __init__(
        self,
        pool: Pool,
        models: Sequence[InlineModel],
        *,
        bounds: Bounds | None = None,
        on_commit: Callable[[str, int], None] = lambda company_id, head: None,
    ) -> None:
        """`models` are written in the command's transaction; `on_commit` hears of new heads."""
        self._pool = pool
        self._models = tuple(models)
        self._bounds = bounds or Bounds()
        self._on_commit = on_commit
        self._lanes: dict[str, _Lane] = {}
        self._appended = 0
        self._closing = False

    async def open_company(self, company_id: str) -> None:
        """Makes the company's row of locks, before its first command."""
        await self._pool.execute(_SQL.open_company, company_id)

    async def submit(self, company_id: str, submission: Submission) -> Outcome:
        """Carries out a submission; returns once it is durable.

        Raises the LedgerError that refused it, QueueFull, DatabaseUnavailable (nothing was
        written) or OutcomeUnknown (ask again with the same key). Cancelling the caller
        cancels nothing: what was queued is carried out.
        """
        lane = self._lanes.get(company_id)
        if lane is None:
            self._forget_idle_lanes()
            lane = self._lanes[company_id] = _Lane(company_id)
        if self._closing or self._is_full(lane, submission):
            raise QueueFull("The ledger is busy, or about to stop; try again in a moment.")
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        lane.waiting.append(_Waiting(submission, answer))
        lane.waiting_bytes += submission.size_bytes
        if lane.task is None:
            lane.task = asyncio.create_task(self._work(lane))
        return await answer

    async def close(self) -> None:
        """Takes no more, and returns once everything that was queued is answered."""
        self._closing = True
        tasks = [lane.task for lane in self._lanes.values() if lane.task is not None]
        await asyncio.gather(*tasks)

    @property
    def queued(self) -> int:
        """Submissions that wait, over all companies."""
        return sum(len(lane.waiting) for lane in self._lanes.values())

    def _is_full(self, lane: _Lane, submission: Submission) -> bool:
        return (
            len(lane.waiting) >= self._bounds.queue_submissions
            or lane.waiting_bytes + submission.size_bytes > self._bounds.queue_bytes
        )

    def _forget_idle_lanes(self, most: int = 1000) -> None:
        if len(self._lanes) > most:
            idle = [key for key, lane in self._lanes.items() if lane.task is None]
            for key in idle[: most // 2]:
                del self._lanes[key]

    async def _work(self, lane: _Lane) -> None:
        """Works the lane off, batch by batch, until nobody waits."""
        try:
            while lane.waiting:
                await self._commit(lane, self._gather(lane))
        finally:
            lane.task = None

    def _gather(self, lane: _Lane) -> list[_Waiting]:
        """The next batch: first come, first served, within the bounds."""
        gathered: list[_Waiting] = []
        size = commands = 0
        while lane.waiting:
            size += lane.waiting[0].submission.size_bytes
            commands += len(lane.waiting[0].submission.commands)
            full = size > self._bounds.batch_bytes or commands > self._bounds.batch_commands
            if gathered and full:
                break
            gathered.append(lane.waiting.popleft())
        lane.waiting_bytes -= sum(waiting.submission.size_bytes for waiting in gathered)
        return gathered

    async def _commit(self, lane: _Lane, gathered: list[_Waiting]) -> None:
        """Commits a batch and answers everybody in it."""
        try:
            answers: Sequence[Outcome | Exception] = await self._attempts(
                lane, [waiting.submission for waiting in gathered]
            )
        except LedgerError as error:
            answers = [error] * len(gathered)
        except Exception as error:
            if len(gathered) > 1:
                for waiting in gathered:
                    await self._commit(lane, [waiting])
                return
            answers = [_alone(lane, error)]
        for waiting, answer in zip(gathered, answers, strict=True):
            if waiting.answer.done():
                continue  # The caller hung up; what it asked for is done all the same.
            if isinstance(answer, Outcome):
                waiting.answer.set_result(answer)
            else:
                waiting.answer.set_exception(answer)

    async def _attempts(
        self, lane: _Lane, submissions: list[Submission]
    ) -> Sequence[Outcome | Exception]:
        """Runs a batch until it is committed, or certainly is not."""
        for attempt in range(self._bounds.attempts):
            await asyncio.sleep(0.05 * attempt * attempt)
            try:
                return await self._attempt(lane, submissions)
            except _TryAgain as again:
                reason = again.__cause__
        _LOG.warning("gave_up", company_id=lane.company_id, reason=repr(reason))
        raise DatabaseUnavailable("The database could not be reached; nothing was written.")

    async def _attempt(
        self, lane: _Lane, submissions: list[Submission]
    ) -> Sequence[Outcome | Exception]:
        try:
            connection = await self._pool.acquire(timeout=self._bounds.commit_seconds)
        except (*LOST, asyncpg.PostgresError, TimeoutError) as error:
            raise _TryAgain from error
        try:
            batch = await self._write(connection, lane, submissions)
            if batch.is_empty:
                await connection.execute("ROLLBACK")
            else:
                await self._finish(connection, lane, batch)
        except BaseException as error:
            lane.cache.clear()
            if meaning := _meaning_of(error):
                raise meaning from error
            raise
        finally:
            await self._give_back(connection)
        await self._after_commit(lane, batch)
        return batch.answers

    async def _after_commit(self, lane: _Lane, batch: Batch) -> None:
        """What is committed stays so, whatever fails now."""
        try:
            lane.cache.keep(batch, self._bounds.cached_facts)
            if batch.recorded:
                self._on_commit(lane.company_id, batch.head)
            await self._plan_anew(len(batch.recorded))
        except Exception:
            lane.cache.clear()
            _LOG.exception("after_commit_failed", company_id=lane.company_id)

    async def _plan_anew(self, appended: int) -> None:
        """Opens new connections whenever this process has written twice as much as the last time.

        Postgres plans a connection's statements in its first moments, and keeps to that until
        somebody analyzes the tables. What was planned for ten rows is not for ten thousand.
        """
        before, self._appended = self._appended, self._appended + appended
        if self._appended.bit_length() > max(before.bit_length(), 8):
            await self._pool.expire_connections()

    async def _write(
        self, connection: Connection, lane: _Lane, submissions: list[Submission]
    ) -> Batch:
        await connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        return await run_batch(connection, lane.company_id, submissions, lane.cache, self._models)

    async def _finish(self, connection: Connection, lane: _Lane, batch: Batch) -> None:
        """COMMIT; whatever happens to it, what it did is known when this returns."""
        try:
            await connection.execute("COMMIT", timeout=self._bounds.commit_seconds)
        except Exception as error:
            _LOG.warning("commit_unanswered", company_id=lane.company_id, error=repr(error))
            _cut(connection)
            if not await self._was_committed(batch):
                raise _TryAgain from error

    async def _was_committed(self, batch: Batch) -> bool:
        """Asks the log, under the lock, whether the batch is in it."""
        first = batch.recorded[0] if batch.recorded else None
        if first is None:
            return False  # It only kept replies; keeping them again changes nothing.
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._bounds.resolve_seconds
        while loop.time() < deadline:
            try:
                async with self._pool.acquire(timeout=5) as connection, connection.transaction():
                    await connection.fetchrow(_SQL.wait_for_lock, first.company_id)
                    found = await connection.fetchval(
                        _SQL.event_at, first.company_id, first.position
                    )
                    return bool(found and str(found) == first.event_id)
            except (*LOST, asyncpg.PostgresError, TimeoutError) as error:
                _LOG.warning("commit_unresolved", error=repr(error))
                await asyncio.sleep(0.2)
        raise OutcomeUnknown(
            "The database was lost while it committed, and has not come back. The command may "
            "have been written: ask again with the same Idempotency-Key, or read before you repeat."
        )

    async def _give_back(self, connection: Any) -> None:
        """Returns a connection to the pool with no transaction open, or not at all."""
        try:
            if connection.is_in_transaction():
                await connection.execute("ROLLBACK", timeout=5)
        except Exception:
            _cut(connection)
        try:
            await self._pool.release(connection)
        except Exception:
            _LOG.exception("release_failed")


def _cut(connection: Any) -> None:
    """Ends a connection at once; one that the server ended has left the pool by itself."""
    with contextlib.suppress(asyncpg.InterfaceError):
        connection.terminate()


class _TryAgain(Exception):
    """Nothing was written; another attempt may succeed."""


class _Poisoned(Exception):
    """Nothing was written; some value in the batch cannot be."""


_TRANSIENT = ("08", "40", "53", "55", "57", "58", "25006", "25P03")
"""Beginnings of SQLSTATEs that are nobody's fault: connections, deadlocks, locks not had in
time, resources, an operator, the system, a read-only replica, a session that sat too long."""


def _meaning_of(error: BaseException) -> _TryAgain | _Poisoned | None:
    """What an error in a transaction means for the attempt; None for a bug of ours."""
    code = str(getattr(error, "sqlstate", None) or "")
    if code[:2] in ("22", "54") or isinstance(error, (*UNENCODABLE, Unwritable)):
        return _Poisoned(str(error))
    if code.startswith(_TRANSIENT) or isinstance(error, LOST):
        return _TryAgain()
    return None


def _alone(lane: _Lane, error: Exception) -> Exception:
    """What a submission that failed alone is told: its value's fault, or ours."""
    if isinstance(error, _Poisoned):
        return Invalid(f"The database cannot keep a value of this command: {error}.")
    _LOG.error("command_failed", company_id=lane.company_id, exc_info=error)
    return error
