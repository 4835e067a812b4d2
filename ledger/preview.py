"""What a command would come to now: decided from a snapshot, without the lock and without effect.

For questions that have the same answer as a command would: by the time somebody acts on it, it
may be another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ledger.batch import InlineModel, decided, load_needed
from ledger.commands import Command
from ledger.database import Pool
from ledger.decisions import Decision
from ledger.errors import LedgerError, NotFound
from ledger.known import Known
from ledger.sql import beside

_SQL = beside(__file__)


class Preview(NamedTuple):
    """The decision, or the refusal; what it was decided from, and as of which position."""

    decision: Decision | LedgerError
    known: Known
    position: int


async def preview(
    pool: Pool, company_id: str, models: Sequence[InlineModel], command: Command
) -> Preview:
    """Decides a command in one snapshot; raises NotFound for a company that there is not."""
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        row = await connection.fetchrow(_SQL.snapshot, company_id)
        if row is None:
            raise NotFound("There is no such company.")
        known = Known({}, {}, row["now"])
        await load_needed(connection, company_id, models, [command], known)
        try:
            decision: Decision | LedgerError = await decided(
                connection, company_id, models, command, known
            )
        except LedgerError as error:
            decision = error
        return Preview(decision, known, row["head"])
