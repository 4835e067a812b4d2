"""A demo company: simulated agents at work, the same work for the same seed.

A small company works before your eyes: agents race, and are refused (`lively.py`). A large one
has half a year behind it: what its agents did in those days is told to the ledger as fast as it
takes it (`telling.py`), by the same commands, under the same rules. Nothing is put into the log
or a table behind the ledger's back.

The same seed gives the same titles, counts and statuses; ids and times are new each time.
"""

from __future__ import annotations

from collections.abc import Callable

from api.demo.lively import work_live
from api.demo.telling import tell_history
from api.wiring import Ledger

MOST_LIVE = 1000
"""Issues up to which a company works live; a larger one has a past instead."""


async def play(
    ledger: Ledger,
    company_id: str,
    *,
    agents: int | None = None,
    issues: int = 30,
    seed: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, int]:
    """Lets `agents` work on `issues`; 6 of them without a number, or 40 in a large company.

    Returns how many commands were accepted and refused, and how many events that made.
    """
    if issues <= MOST_LIVE:
        return await work_live(
            ledger, company_id, agents=agents or 6, issues=issues, seed=seed, progress=progress
        )
    return await tell_history(
        ledger, company_id, agents=agents or 40, issues=issues, seed=seed, progress=progress
    )
