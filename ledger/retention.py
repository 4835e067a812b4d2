"""How long replies are kept for a repeated Idempotency-Key: seven days.

That a key was used, and by which events, is kept for ever; so a key that comes back late is
refused with the positions of what it did, and never carried out twice.
"""

from __future__ import annotations

from ledger import log
from ledger.database import Pool
from ledger.sql import beside

_SQL = beside(__file__)
KEPT_DAYS = 7
_AT_ONCE = 1000


async def forget_old_replies(pool: Pool, kept_days: int = KEPT_DAYS) -> int:
    """Forgets replies older than `kept_days`, company by company; returns how many."""
    forgotten = 0
    for end in await log.ends(pool):
        while True:
            keys = await pool.fetch(_SQL.forget_old_replies, end.company_id, kept_days, _AT_ONCE)
            forgotten += len(keys)
            if len(keys) < _AT_ONCE:
                break
    return forgotten
