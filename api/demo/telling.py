"""A large demo company's past, told to the ledger as fast as it takes it.

Every issue has a story, and the stories are woven into one by time: position order is the order
in which things happened. What happened is said to have happened then (`occurred_at`, as an import
does). Hundreds of submissions are always under way, so that batches are full; they are accepted
in the order in which they were sent, so the same seed makes the same log. However many issues
there are, only those whose stories are not over yet are in memory.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush

from api.demo.founding import Directory, found
from api.demo.plans import Planner, growing
from api.demo.stories import Step, Teller
from api.demo.words import Words
from api.wiring import Ledger
from ledger.errors import LedgerError, Unavailable
from ledger.submission import Outcome, Provenance, Submission, text_of

DAYS = 180
"""How far back the past begins."""

AT_ONCE = 1024
"""Submissions under way together: a few full batches, and well within the queue's bounds."""


@dataclass(slots=True)
class _Tally:
    """What came of the commands."""

    accepted: int = 0
    refused: int = 0
    events: int = 0

    def count(self, submission: Submission, outcome: Outcome | None) -> None:
        if outcome is None:
            self.refused += len(submission.commands)
            return
        self.accepted += len(submission.commands)
        self.events += sum(result.appended for result in outcome.results)


async def tell_history(
    ledger: Ledger,
    company_id: str,
    *,
    agents: int,
    issues: int,
    seed: int,
    progress: Callable[[int, int], None],
) -> dict[str, int]:
    """Tells what `agents` did about `issues` in half a year; returns what came of it, counted."""
    end = datetime.now(UTC)
    start = end - timedelta(days=DAYS)
    directory = Directory()
    founded = (Step(start, (command,)) for command in found(directory, agents))
    tally = _Tally()
    await _carry_out(ledger, company_id, founded, tally)
    steps = _woven(directory, issues, seed, start, end, progress)
    await _carry_out(ledger, company_id, steps, tally)
    return {"accepted": tally.accepted, "refused": tally.refused, "events": tally.events}


def _woven(
    directory: Directory,
    issues: int,
    seed: int,
    start: datetime,
    end: datetime,
    progress: Callable[[int, int], None],
) -> Iterator[Step]:
    """The steps of all stories in the order of their times, up to now."""
    dice = random.Random(seed)
    planner, teller = Planner(directory, dice), Teller(directory, Words(seed), dice)
    written_at = growing(start, end, issues)
    coming: list[tuple[datetime, int, Step, Iterator[Step]]] = []

    def until(moment: datetime) -> Iterator[Step]:
        while coming and coming[0][0] <= moment:
            _, n, step, story = heappop(coming)
            yield step
            if (after := next(story, None)) is not None:
                at = max(after.at, step.at)
                heappush(coming, (at, n, after._replace(at=at), story))

    for n in range(issues):
        at = written_at(n)
        yield from until(at)
        story = teller.story(planner.plan(at))
        heappush(coming, (at, n, next(story), story))
        progress(n + 1, issues)
    yield from until(end)


async def _carry_out(ledger: Ledger, company_id: str, steps: Iterable[Step], tally: _Tally) -> None:
    """Submits steps in their order, so many at once, and counts what comes of each.

    Raises Unavailable when the ledger is; refusals are counted.
    """
    waiting: deque[tuple[Submission, asyncio.Task[Outcome | None]]] = deque()

    async def submit(submission: Submission) -> Outcome | None:
        try:
            return await ledger.committer.submit(company_id, submission)
        except Unavailable:
            raise
        except LedgerError:
            return None

    try:
        for step in steps:
            if len(waiting) >= AT_ONCE:
                sent, answer = waiting.popleft()
                tally.count(sent, await answer)
            submission = _submission(step)
            waiting.append((submission, asyncio.create_task(submit(submission))))
        while waiting:
            sent, answer = waiting.popleft()
            tally.count(sent, await answer)
    finally:
        for _, answer in waiting:
            answer.cancel()
        await asyncio.gather(*(answer for _, answer in waiting), return_exceptions=True)


def _submission(step: Step) -> Submission:
    return Submission(
        commands=step.commands,
        provenance=Provenance(via="demo", occurred_at=step.at),
        size_bytes=sum(256 + len(text_of(command) or "") for command in step.commands),
    )
