"""Over HTTP: the log itself, in pages, waiting for what is not there yet, or as a stream."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timedelta

from aiohttp import web

from api import asked as a
from api import requests, views
from api.answers import as_json, next_link
from api.asking.live import stream
from api.asking.naming import issue_ever_named, listed, named_actors
from api.auth import Caller
from api.context import Api
from ledger import log
from ledger.errors import Invalid
from projections.queries.feed import FeedFilter, FeedPage

_TYPE = re.compile(r"[^*]+|[^*]+\.\*")
_INSTANT = timedelta(microseconds=1)


async def events(api: Api, request: web.Request) -> web.StreamResponse:
    """The log itself, oldest first, after a position; or, as text/event-stream, as it grows."""
    caller = await api.caller(request)
    asked = requests.query(request, a.EventsQuery)
    last_seen, is_stream = requests.last_event_id(request), requests.wants_stream(request)
    if is_stream and asked.until is not None:
        raise Invalid("A stream has no end; leave `until` out.", pointer="/until")
    wanted = await _filter(api, caller, asked)
    after = await _begun_after(api, caller, asked, last_seen if is_stream else None)
    if asked.since is not None:
        after = max(after, await _recorded_before(api, caller, asked.since))
    if is_stream:
        return await stream(api, request, caller, wanted, after)
    page, end, as_of = await _page_or_wait(api, request, caller, asked, wanted, after)
    cursor = str(page.reached) if page.reached < end else None
    body = {
        "items": [views.event(item) for item in page.events],
        "next_cursor": cursor,
        "as_of_position": as_of,
    }
    link = {"cursor": cursor} if cursor else None
    return as_json(body, position=as_of, headers=next_link(request, link))


async def _filter(api: Api, caller: Caller, asked: a.EventsQuery) -> FeedFilter:
    return FeedFilter(
        issue_id=await issue_ever_named(api, caller, asked.issue_id),
        run_id=asked.run_id,
        actors=await named_actors(api, caller, asked.actor, "/actor"),
        types=_types(asked.type),
        since=asked.since,
        with_keys=caller.role.sees_keys,
    )


async def _begun_after(
    api: Api, caller: Caller, asked: a.EventsQuery, last_seen: int | None
) -> int:
    """The position that a reader has come to; raises Invalid for one that the log has not.

    Such a position is of another log, or of this one before it was restored from a backup: to wait
    there would be to miss what comes until then.
    """
    given = {"/after": asked.after, "/cursor": asked.cursor}
    pointer = max(given, key=given.__getitem__)
    after = given[pointer] if last_seen is None else last_seen
    if not after:
        return 0
    head = await api.queries.freshness.head(caller.company_id)
    if after <= head:
        return after
    if last_seen is None:
        raise Invalid(
            f"The log ends at position {head}; {after} is still to come.", pointer=pointer
        )
    raise Invalid(
        f"The log ends at position {head}, before the Last-Event-ID {after}: that is of another "
        "log, or of this one before it was restored. Go on after a position that there is."
    )


def _types(text: str | None) -> list[str] | None:
    """The types that a filter means; raises Invalid for a `*` that is not a whole last word."""
    types = listed(text)
    for name in types or ():
        if not _TYPE.fullmatch(name):
            raise Invalid(
                f"{name!r} is no event type; `*` stands for all that follows a dot, as in "
                "`issue.*`.",
                pointer="/type",
            )
    return types


async def _page_or_wait(
    api: Api,
    request: web.Request,
    caller: Caller,
    asked: a.EventsQuery,
    wanted: FeedFilter,
    after: int,
) -> tuple[FeedPage, int, int]:
    """A page, the end of what was asked for, and the head; after a while, the page may be empty."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + asked.wait
    while True:
        head = await api.queries.freshness.head(caller.company_id)
        end = head
        if asked.until is not None:
            end = min(head, await _recorded_before(api, caller, asked.until))
        page = await api.queries.feed.page(caller.company_id, wanted, after, end, asked.limit)
        seconds = deadline - loop.time()
        if page.events or seconds <= 0 or end < head or api.heads.is_closed:
            return page, end, head
        after = page.reached
        if after >= end:
            with api.heads.follow(caller.company_id) as growing:
                await growing.beyond(after, seconds)
            await api.caller(request)  # The key may have been revoked meanwhile.


async def _recorded_before(api: Api, caller: Caller, moment: datetime) -> int:
    """The position of the last event that was recorded before a moment, or 0."""
    return await log.position_at(api.queries.pool, caller.company_id, moment - _INSTANT)
