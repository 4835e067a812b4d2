"""The projector process: moves the following read models, and prunes old replies.

Any number may run; a lease decides which one works, and the checkpoint keeps the others from
doing harm.
"""

from __future__ import annotations

import asyncio

import asyncpg
import structlog

from api.process import inherited_database, run_process, until_told_to_stop
from api.wiring import FOLLOWING
from ledger.database import LOST, Pool, reader_pool
from ledger.retention import forget_old_replies
from projections.projector import Projector

_LOG = structlog.get_logger(__name__)
PRUNE_SECONDS = 600.0


async def follow(url: str) -> None:
    """Follows until told to stop, with a connection for each model, one to listen, one to prune."""
    pool = await reader_pool(url, len(FOLLOWING) + 2, synchronous_commit="off")
    projector = Projector(pool, FOLLOWING)
    following = asyncio.create_task(projector.run())
    pruning = asyncio.create_task(_prune(pool))
    try:
        stopping = asyncio.create_task(until_told_to_stop())
        await asyncio.wait({stopping, following}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        pruning.cancel()
        projector.stop()
        await asyncio.gather(following, pruning, return_exceptions=True)
        await pool.close()


async def _prune(pool: Pool) -> None:
    while True:
        try:
            await forget_old_replies(pool)
        except (*LOST, asyncpg.PostgresError, TimeoutError) as error:
            _LOG.warning("prune_failed", error=repr(error))
        await asyncio.sleep(PRUNE_SECONDS)


if __name__ == "__main__":
    with inherited_database() as url:
        run_process(follow(url))
