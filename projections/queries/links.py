"""Links that other issues keep to one: how they came and went, from the log.

A link's events are in the stream of the issue that keeps it, and the table of links forgets those
that are gone. The activity has an index by type, and links are a small part of what happens, so the
log's events of links are found by it. It follows the log: where it is not yet, the log itself is
gone along, and nobody waits. Both are bounded, so that a very old company costs no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ledger import log
from ledger.database import Pool
from ledger.events import Recorded
from ledger.sql import beside
from projections.queries.freshness import Freshness

_SQL = beside(__file__)
MOST_EVENTS = 20_000
"""Events of links of either type that are looked at, and events beyond the activity."""


class Linkings(NamedTuple):
    """Events of links to an issue, newest first, and whether those are all."""

    events: Sequence[Recorded]
    is_complete: bool


async def linkings_to(
    pool: Pool, company_id: str, issue_id: str, after: int, until: int
) -> Linkings:
    """How other issues were linked to one, after a position and up to another one."""
    reached = await Freshness(pool).position(company_id, "activity")
    rows = await pool.fetch(_SQL.to_issue, company_id, issue_id, after, until, reached, MOST_EVENTS)
    is_complete: bool = await pool.fetchval(
        _SQL.are_all_read, company_id, after, until, reached, MOST_EVENTS
    )
    return Linkings([log.stored_from(row).recorded for row in rows], is_complete)
