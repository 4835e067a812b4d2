"""Questions to the read models, each one statement, each answered as of a position.

An inline model is exact at any moment: its answer carries the head of the log that its own
snapshot saw. A following model is waited for first, so that a query sees every command that
was acknowledged before it.
"""

from __future__ import annotations

import asyncpg

from ledger.database import Pool
from projections.queries.activity import Activity
from projections.queries.budgets import Budgets
from projections.queries.costs import Costs
from projections.queries.feed import Feed
from projections.queries.freshness import Freshness
from projections.queries.issues import Issues
from projections.queries.things import Things

Row = asyncpg.Record


class Queries:
    """Every question there is, over the readers' pool, by what it is about."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.things = Things(pool)
        self.issues = Issues(pool)
        self.activity = Activity(pool)
        self.costs = Costs(pool)
        self.budgets = Budgets(pool)
        self.feed = Feed(pool)
        self.freshness = Freshness(pool)
