"""The whole system in one place: which read models there are, and what a process opens.

`ledger` never imports `projections`; it is handed the inline models here. A process that
serves, imports or answers from the shell opens one `Ledger` and closes it again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ledger.actors import Actor, Role
from ledger.batch import InlineModel
from ledger.commands import Command, CreateCompany, CreateKey
from ledger.committer import Bounds, Committer
from ledger.database import Pool, committer_pool, hint_pool, reader_pool
from ledger.ids import new_id, new_secret, prefix_of_name, sha256_hex
from ledger.notify import Notifier
from ledger.submission import Outcome, Provenance, Submission
from projections.activity import Activity
from projections.comments import Comments
from projections.companies import Companies
from projections.corrections import Corrections
from projections.costs import Costs
from projections.directory import Directory
from projections.issues import Issues
from projections.leases import Leases
from projections.links import Links
from projections.projector import FollowingModel
from projections.runs import Runs
from projections.shadow import Models
from projections.spending import Spending
from projections.texts import Texts
from projections.versions import Versions

_ISSUES = Issues()
INLINE: Sequence[InlineModel] = (
    Companies(),
    Directory(),
    _ISSUES,
    Comments(),
    Links(),
    Runs(),
    Leases(_ISSUES),
    Spending(),
    Corrections(),
)
"""Written in the command's own transaction, in this order."""

FOLLOWING: Sequence[FollowingModel] = (Activity(), Costs(), Versions(), Texts())
"""Moved along the log by the projector."""

MODELS = Models(INLINE, FOLLOWING)
"""Every read model there is."""

OPERATOR = Actor("system", "cli")
"""Who acts when somebody with the database at hand uses the shell."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """What a process works with: the way in (committer) and the way out (readers)."""

    url: str
    committer: Committer
    readers: Pool

    async def as_operator(self, company_id: str, command: Command, via: str = "cli") -> Outcome:
        """Carries out a command from the shell; raises what `Committer.submit` raises."""
        return await self.committer.submit(
            company_id, Submission(commands=(command,), provenance=Provenance(via=via))
        )

    async def create_company(self, name: str, workflow: str = "default") -> str:
        """Begins a company and returns its id; raises Invalid for an unknown workflow."""
        company_id = new_id()
        await self.committer.open_company(company_id)
        await self.as_operator(
            company_id,
            CreateCompany(
                actor=OPERATOR,
                role=Role.OWNER,
                company_id=company_id,
                company_name=name,
                workflow=workflow,
                issue_prefix=prefix_of_name(name),
            ),
        )
        return company_id

    async def create_key(
        self, company_id: str, role: Role, actor: Actor, name: str | None = None
    ) -> tuple[str, str, str]:
        """Gives out an API key; returns its id, the key to show once, and the actor's name."""
        key_id = new_id()
        key = new_secret(company_id)
        outcome = await self.as_operator(
            company_id,
            CreateKey(
                actor=OPERATOR,
                role=Role.OWNER,
                key_id=key_id,
                key_role=role,
                key_actor=actor,
                key_name=name,
                secret_sha256=sha256_hex(key),
            ),
        )
        return key_id, key, str(getattr(outcome.results[0].subject, "actor", actor))


@asynccontextmanager
async def open_ledger(
    url: str, *, committers: int = 4, readers: int = 8, bounds: Bounds | None = None
) -> AsyncIterator[Ledger]:
    """Opens the ledger of a database whose schema is installed; closing it drains."""
    read = await reader_pool(url, readers)
    write = await committer_pool(url, committers)
    hints = await hint_pool(url)
    notifier = Notifier(hints)
    committer = Committer(write, INLINE, bounds=bounds, on_commit=notifier.tell)
    try:
        yield Ledger(url, committer, read)
    finally:
        await committer.close()
        await notifier.close()
        await hints.close()
        await write.close()
        await read.close()
