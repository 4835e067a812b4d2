"""Companies of any size, filled through the committer like every other company.

What stands in a measured company was decided, written and folded by the code that is measured;
nothing is put into a table behind its back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from api.wiring import Ledger
from ledger import commands as c
from ledger.actors import Actor, Role
from ledger.ids import new_id
from ledger.submission import Outcome, Provenance, Submission
from projections.projector import FollowingModel, step

ALICE = Actor("user", "alice")
AT_ONCE = 1024
"""Commands under way together while a company is filled."""


@dataclass(frozen=True, slots=True)
class House:
    """A company, and short ways to say what happens in it; whoever acts, Alice asks."""

    ledger: Ledger
    company: str

    async def do(self, command: c.Command) -> Outcome:
        """Carries out one command."""
        submission = Submission(commands=(command,), provenance=Provenance(via="bench"))
        return await self.ledger.committer.submit(self.company, submission)

    async def do_all(self, commands: Iterable[c.Command]) -> None:
        """Carries out many commands, in order, in as few transactions as can be."""
        for some in _chunks(commands):
            await asyncio.gather(*(self.do(command) for command in some))

    async def issues(self, count: int, **fields: Any) -> list[str]:
        """Writes so many issues down; returns their ids."""
        ids = [new_id() for _ in range(count)]
        await self.do_all(create(issue, **fields) for issue in ids)
        return ids

    async def entry(self, kind: str, name: str, **fields: Any) -> str:
        """Lists an agent, a team, a project, …; returns its id."""
        entry_id = new_id()
        await self.do(
            c.CreateEntry(
                **_ALICE, entry_id=entry_id, kind=kind, entry_name=name, slug=None, fields=fields
            )
        )
        return entry_id

    async def check_out_all(self, issues: Sequence[str], agent: str, **fields: Any) -> list[str]:
        """An agent takes issues, each in a run of its own; returns the runs' ids."""
        runs = [new_id() for _ in issues]
        pairs = zip(issues, runs, strict=True)
        await self.do_all(check_out(issue, agent, run, **fields) for issue, run in pairs)
        return runs

    async def finish_all(self, issues: Sequence[str], agent: str) -> None:
        """An agent takes issues and does them."""
        runs = await self.check_out_all(issues, agent)
        await self.do_all(finish(i, run) for i, run in zip(issues, runs, strict=True))

    async def follow(self, *models: FollowingModel) -> None:
        """Moves following read models to the end of the log, as a projector would."""
        async with self.ledger.readers.acquire() as connection:
            for model in models:
                while await step(connection, model, self.company):
                    pass


_ALICE: dict[str, Any] = {"actor": ALICE, "role": Role.OWNER}


def create(issue: str, **fields: Any) -> c.CreateIssue:
    """Writes an issue down."""
    return c.CreateIssue(**{**_ALICE, "issue_id": issue, "title": "An issue", **fields})


def edit(issue: str, **changes: Any) -> c.EditIssue:
    """Changes fields of an issue."""
    return c.EditIssue(**_ALICE, issue=issue, changes=changes)


def comment(issue: str, body: str = "It was the clock.") -> c.CommentOnIssue:
    """Says something about an issue."""
    return c.CommentOnIssue(**_ALICE, issue=issue, comment_id=new_id(), body=body)


def check_out(issue: str, agent: str, run: str | None = None, **fields: Any) -> c.CheckOutIssue:
    """An agent takes an issue."""
    return c.CheckOutIssue(
        **_ALICE, issue=issue, agent_id=agent, run_id=run or new_id(), names_run=True, **fields
    )


def claim_next(agent: str, **fields: Any) -> c.ClaimNextIssue:
    """An agent takes whatever is best."""
    return c.ClaimNextIssue(**_ALICE, agent_id=agent, run_id=new_id(), **fields)


def release(issue: str) -> c.ReleaseIssue:
    """Whoever holds an issue lets go."""
    return c.ReleaseIssue(**_ALICE, issue=issue)


def renew(issue: str) -> c.RenewLease:
    """Whoever holds an issue holds on."""
    return c.RenewLease(**_ALICE, issue=issue)


def finish(issue: str, run: str) -> c.FinishRun:
    """The run that holds an issue is done with it."""
    return c.FinishRun(**_ALICE, issue=issue, run_id=run)


def report(issue: str, run: str) -> c.ReportCost:
    """A run says what it cost."""
    return c.ReportCost(
        **_ALICE, issue=issue, run_id=run, provider="anthropic", model="claude",
        input_tokens=1200, cost_micros=5400,
    )  # fmt: skip


def checkpoint(issue: str, run: str, text: str = '{"step": 1}') -> c.SaveCheckpoint:
    """A run keeps what another attempt would need."""
    return c.SaveCheckpoint(**_ALICE, issue=issue, run_id=run, checkpoint=text)


def block(issue: str, blocker: str) -> c.LinkIssue:
    """An issue waits for another one."""
    return c.LinkIssue(
        **_ALICE, issue=issue, link_id=new_id(), link_type="blocked_by", target=blocker
    )


def transition(issue: str, to_status: str) -> c.TransitionIssue:
    """An issue moves on."""
    return c.TransitionIssue(**_ALICE, issue=issue, to_status=to_status, reason=None)


def assign(issue: str, *, agent: str | None = None, team: str | None = None) -> c.AssignIssue:
    """An issue is given to an agent, or to a team's least busy."""
    assignee = None if agent is None else Actor("agent", agent)
    return c.AssignIssue(**_ALICE, issue=issue, assignee=assignee, team=team)


def _chunks(commands: Iterable[c.Command]) -> Iterator[list[c.Command]]:
    iterator = iter(commands)
    while some := list(islice(iterator, AT_ONCE)):
        yield some
