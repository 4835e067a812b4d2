"""Over HTTP: the history of one issue, a field's change at a time.

It is read from the log itself, so it is exact at the head, and nobody is waited for. A page costs
what the page costs; a filter that finds little looks at so many events a page, and goes on where it
stopped, so a page may be short or empty and yet have a `next_cursor`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from aiohttp import web

from api import history_asked as a
from api import history_views, requests
from api.answers import as_json, cursor_at, next_link, position_of
from api.asking.moment import Moment, moment_in_log
from api.asking.naming import issue_ever_named, listed_among
from api.changes import FIELDS, Change, changes, shown
from api.context import Api
from ledger.database import Pool
from ledger.events import Recorded
from projections.folding import Step, Stretch, backwards, forwards, version_at

MOST_EVENTS = 5000
"""Events that are looked at for one page."""


class _Entry(NamedTuple):
    """A field's change; `ordinal` counts all that can be, in the order of the log."""

    ordinal: int
    recorded: Recorded
    change: Change


@dataclass(slots=True)
class _Page:
    """What is found so far, and where the next page goes on, if it does."""

    limit: int
    entries: list[_Entry] = field(default_factory=list)
    next_ordinal: int | None = None


async def history(api: Api, request: web.Request) -> web.Response:
    """What changed about an issue, field by field, with who, when and why."""
    caller = await api.caller(request)
    asked = requests.query(request, a.HistoryQuery)
    issue_id = await issue_ever_named(api, caller, requests.about(request)["issue_id"])
    assert issue_id is not None
    after = position_of(asked)
    fields = listed_among(asked.field, FIELDS, "field")
    moment = await moment_in_log(api, caller, asked)
    pool = api.queries.pool
    stretch = await _stretch(pool, caller.company_id, issue_id, moment, asked, after)
    page = await _found(pool, stretch, asked, fields or FIELDS, after)
    shower = await history_views.shower_of(
        pool, caller.company_id, [entry.change for entry in page.entries]
    )
    cursor = None if page.next_ordinal is None else cursor_at(page.next_ordinal)
    body = {
        "items": [
            {**history_views.why(entry.recorded), **shower.changed(entry.change)}
            for entry in page.entries
        ],
        "next_cursor": cursor,
        "as_of_position": moment.position,
    }
    link = {"cursor": cursor} if cursor else None
    return as_json(body, position=moment.position, headers=next_link(request, link))


async def _stretch(
    pool: Pool,
    company_id: str,
    issue_id: str,
    moment: Moment,
    asked: a.HistoryQuery,
    after: int | None,
) -> Stretch:
    """The events that the page may be about: up to the moment, from the cursor on."""
    first, until = 1, moment.position
    if after is not None and asked.order == "newest":
        until = min(until, (after - 1) // len(FIELDS))
    elif after is not None:
        next_position = (after + 1) // len(FIELDS)
        before = await version_at(pool, company_id, issue_id, next_position - 1)
        first = before + 1
    last = await version_at(pool, company_id, issue_id, until)
    return Stretch(company_id, issue_id, first, last, moment.occurred_at)


async def _found(
    pool: Pool, stretch: Stretch, asked: a.HistoryQuery, fields: Sequence[str],
    after: int | None,
) -> _Page:  # fmt: skip
    """The entries of the page, in its order."""
    is_newest = asked.order == "newest"
    page, looked_at = _Page(asked.limit), 0
    steps: AsyncIterator[Step] = (backwards if is_newest else forwards)(pool, stretch)
    async for step in steps:
        for entry in _entries(step, is_newest=is_newest):
            if after is not None and (
                entry.ordinal >= after if is_newest else entry.ordinal <= after
            ):
                continue
            if entry.change.field not in fields or not _is_within(entry.recorded, asked):
                continue
            if len(page.entries) == page.limit:
                page.next_ordinal = page.entries[-1].ordinal
                return page
            page.entries.append(entry)
        looked_at += 1
        if looked_at == MOST_EVENTS:
            page.next_ordinal = _ordinal(step.recorded, 0 if is_newest else len(FIELDS) - 1)
            return page
    return page


def _entries(step: Step, *, is_newest: bool) -> Iterator[_Entry]:
    """An event's changes; newest first, the order is turned round altogether."""
    found = [
        _Entry(_ordinal(step.recorded, FIELDS.index(change.field)), step.recorded, change)
        for change in changes(shown(step.before), shown(step.after))
    ]
    return reversed(found) if is_newest else iter(found)


def _ordinal(recorded: Recorded, field_index: int) -> int:
    return recorded.position * len(FIELDS) + field_index


def _is_within(recorded: Recorded, asked: a.HistoryQuery) -> bool:
    return not (
        (asked.since is not None and recorded.at < asked.since)
        or (asked.until is not None and recorded.at >= asked.until)
    )
