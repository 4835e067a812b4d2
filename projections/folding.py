"""An issue's states, event by event, folded from the log as they are asked for.

The log is exact at its head, so these states are. To get to a state far down a long stream, folding
starts from the nearest state before it that the read model `issue_versions` keeps; where that model
is behind, or has nothing yet, from further up, to the same end. So a page of events costs what the
page costs, however long the stream is.

What comments say is left in the log: no state holds it, and most of a long stream is that.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import NamedTuple

from ledger import events as e
from ledger import log
from ledger.database import Pool
from ledger.events import Recorded
from ledger.sql import beside
from ledger.state import Issue, evolve
from projections.issues import read_issue

_SQL = beside(__file__)
CHUNK = 200
"""Events that are read at once."""


class Step(NamedTuple):
    """An event of an issue, with the states before and after it."""

    recorded: Recorded
    before: Issue | None
    after: Issue


class Stretch(NamedTuple):
    """Events of one issue by version, first and last included.

    Of them those alone, if a time is given, that had happened by it.
    """

    company_id: str
    issue_id: str
    first: int
    last: int
    happened_by: datetime | None = None


async def version_at(pool: Pool, company_id: str, issue_id: str, position: int) -> int:
    """How many of an issue's events are in the log up to a position."""
    version: int | None = await pool.fetchval(_SQL.version_at, company_id, issue_id, position)
    return version or 0


async def state_at(pool: Pool, stretch: Stretch, passed: list[Issue] | None = None) -> Issue | None:
    """The state after the events up to `last`, from the first on; None before it was created.

    States that were `passed` on the way to another one are begun from, and added to.
    """
    if stretch.happened_by is not None:
        state = None
        async for step in forwards(pool, stretch._replace(first=1)):
            state = step.after
        return state
    passed = [] if passed is None else passed
    near = [one for one in passed if one.version <= stretch.last]
    state = max(near, key=lambda one: one.version) if near else await _kept(pool, stretch)
    after = state.version if state else 0
    while after < stretch.last:
        last = min(after + CHUNK, stretch.last)
        for recorded in await _events(pool, stretch._replace(first=after + 1, last=last)):
            state = _evolved(state, recorded)
        after = last
        if state is not None:
            passed.append(state)
    return state


async def forwards(
    pool: Pool, stretch: Stretch, passed: list[Issue] | None = None
) -> AsyncIterator[Step]:
    """The steps of a stretch, oldest first; what happened later than asked for is left out."""
    by_time = stretch.happened_by
    first = 1 if by_time else stretch.first
    state = None
    if first > 1:
        state = await state_at(pool, stretch._replace(last=first - 1), passed)
    while first <= stretch.last:
        last = min(first + CHUNK - 1, stretch.last)
        for recorded in await _events(pool, stretch._replace(first=first, last=last)):
            is_later = by_time is not None and recorded.at > by_time
            if is_later or (state is None and not isinstance(recorded.event, e.IssueCreated)):
                continue
            before, state = state, _evolved(state, recorded)
            if recorded.version >= stretch.first:
                yield Step(recorded, before, state)
        first = last + 1


async def backwards(pool: Pool, stretch: Stretch) -> AsyncIterator[Step]:
    """The steps of a stretch, newest first."""
    if stretch.happened_by is not None:
        for step in reversed([step async for step in forwards(pool, stretch)]):
            yield step
        return
    last, passed = stretch.last, list[Issue]()
    while last >= stretch.first:
        first = max(last - CHUNK + 1, stretch.first)
        chunk = stretch._replace(first=first, last=last)
        for step in reversed([step async for step in forwards(pool, chunk, passed)]):
            yield step
        last = first - 1


async def texts(
    pool: Pool, company_id: str, positions: Sequence[int], most: int
) -> dict[int, tuple[str | None, int]]:
    """Descriptions by the events that set them, with their lengths; None for one over `most`."""
    rows = await pool.fetch(_SQL.texts, company_id, positions, most)
    return {row["position"]: (row["text"], row["characters"]) for row in rows}


async def command_of(pool: Pool, recorded: Recorded, most: int) -> tuple[list[log.Stored], bool]:
    """The events that one command appended, and whether that is all of them.

    They stand together in the log: it is walked from one of them in both directions, no further
    than `most` events each, until another command's are met.
    """
    company_id, position = recorded.company_id, recorded.position
    rows = await pool.fetch(_SQL.around, company_id, position, recorded.command_id, most)
    found = [log.stored_from(row) for row in rows]
    earlier = sum(stored.recorded.position < position for stored in found)
    return found, earlier < most and len(found) - earlier - 1 < most


async def _kept(pool: Pool, stretch: Stretch) -> Issue | None:
    """The latest state of an issue that is kept, of those up to a version."""
    row = await pool.fetchrow(_SQL.kept_state, stretch.company_id, stretch.issue_id, stretch.last)
    return read_issue(row) if row else None


async def _events(pool: Pool, stretch: Stretch) -> list[Recorded]:
    rows = await pool.fetch(
        _SQL.events, stretch.company_id, stretch.issue_id, stretch.first, stretch.last
    )
    return [log.stored_from(row).recorded for row in rows]


def _evolved(state: Issue | None, recorded: Recorded) -> Issue:
    after = evolve(state, recorded)
    assert isinstance(after, Issue)
    return after
