"""Writing to the ledger without HTTP, and reading what the log and the tables say about it.

For tests of what is below the API: commands made short, and claims that hold for every
company, whatever happened to it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import asyncpg

from api.wiring import MODELS, Ledger
from ledger import commands as c
from ledger import log
from ledger.actors import Actor, Role
from ledger.database import connect
from ledger.ids import new_id
from ledger.state import Issue
from ledger.submission import IdempotencyKey, Outcome, Provenance, Submission
from projections.verify import verify

ALICE = Actor("user", "alice")
PATIENCE_SECONDS = 30.0


def create(title: str = "An issue", **fields: Any) -> c.CreateIssue:
    """Alice writes an issue down."""
    given = {"actor": ALICE, "role": Role.OWNER, "issue_id": new_id(), "title": title}
    return c.CreateIssue(**{**given, **fields})


def edit(issue: str, **changes: Any) -> c.EditIssue:
    """Alice changes fields of an issue."""
    return c.EditIssue(actor=ALICE, role=Role.OWNER, issue=issue, changes=changes)


def check_out(issue: str, agent: str, **fields: Any) -> c.CheckOutIssue:
    """An agent takes an issue."""
    given = {"actor": Actor("agent", agent), "role": Role.AGENT, "issue": issue,
             "agent_id": agent, "run_id": new_id()}  # fmt: skip
    return c.CheckOutIssue(**{**given, **fields})


def release(issue: str) -> c.ReleaseIssue:
    """Alice takes an issue away from its holder."""
    return c.ReleaseIssue(actor=ALICE, role=Role.OWNER, issue=issue)


def comment(issue: str, body: str = "A comment.", **fields: Any) -> c.CommentOnIssue:
    """Alice says something about an issue."""
    given = {"actor": ALICE, "role": Role.OWNER, "issue": issue, "comment_id": new_id(),
             "body": body}  # fmt: skip
    return c.CommentOnIssue(**{**given, **fields})


def link(issue: str, target: str, link_type: str = "blocks") -> c.LinkIssue:
    """Alice relates an issue to another one."""
    return c.LinkIssue(
        actor=ALICE, role=Role.OWNER, issue=issue, link_id=new_id(), link_type=link_type,
        target=target,
    )  # fmt: skip


def entry(kind: str, name: str, slug: str | None = None, **fields: Any) -> c.CreateEntry:
    """Alice lists a label, an agent, a team, …"""
    return c.CreateEntry(
        actor=ALICE, role=Role.OWNER, entry_id=new_id(), kind=kind, entry_name=name, slug=slug,
        fields=fields,
    )  # fmt: skip


def key(name: str, request: str = "request", actor: str = "user:alice") -> IdempotencyKey:
    """An Idempotency-Key of Alice's, for a request."""
    return IdempotencyKey(actor, name, sha256(request.encode()).digest())


def submission(
    *commands: c.Command, key: IdempotencyKey | None = None, size_bytes: int = 256
) -> Submission:
    """Commands that are accepted together."""
    return Submission(
        commands=commands,
        provenance=Provenance(via="test"),
        idempotency_key=key,
        size_bytes=size_bytes,
    )


async def submit(
    ledger: Ledger, company: str, *commands: c.Command, key: IdempotencyKey | None = None
) -> Outcome:
    """Submits commands together, and returns what came of them."""
    async with asyncio.timeout(PATIENCE_SECONDS * 2):
        return await ledger.committer.submit(company, submission(*commands, key=key))


async def all_at_once(*calls: Awaitable[Outcome]) -> list[Outcome | BaseException]:
    """Submits everything in one turn of the loop, so in as few batches as the bounds allow."""
    return list(await asyncio.gather(*calls, return_exceptions=True))


def issue_of(outcome: Outcome) -> Issue:
    """The issue that an outcome's last result shows."""
    subject = outcome.results[-1].subject
    assert isinstance(subject, Issue)
    return subject


def accepted(answers: list[Outcome | BaseException]) -> list[Outcome]:
    """The outcomes among answers."""
    return [answer for answer in answers if isinstance(answer, Outcome)]


def refused(answers: list[Outcome | BaseException]) -> list[BaseException]:
    """The errors among answers."""
    return [answer for answer in answers if isinstance(answer, BaseException)]


async def log_of(ledger: Ledger, company: str) -> list[log.Stored]:
    """The whole log of a company."""
    return [stored async for stored in log.walk(ledger.readers, company)]


async def titles(ledger: Ledger, company: str) -> list[str]:
    """The titles of a company's issues, in the order in which they were written down."""
    rows = await ledger.readers.fetch(
        "SELECT title FROM issues WHERE company_id = $1 ORDER BY created_position", company
    )
    return [row["title"] for row in rows]


async def batches(ledger: Ledger, company: str) -> list[int]:
    """How many events each transaction appended, in order."""
    rows = await ledger.readers.fetch(
        "SELECT count(*) FROM events WHERE company_id = $1 GROUP BY xmin::text "
        "ORDER BY min(position)",
        company,
    )
    return [row["count"] for row in rows]


async def assert_whole(ledger: Ledger, company: str) -> None:
    """No gap, no double, no time that runs backwards, and read models that say the same."""
    assert (await verify(ledger.url, MODELS, company)).difference is None


@asynccontextmanager
async def locked(url: str, company: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """Holds a company's lock, as a batch of another process would."""
    connection = await connect(url)
    try:
        async with connection.transaction():
            await connection.fetchval(
                "SELECT head FROM company_heads WHERE company_id = $1 FOR NO KEY UPDATE", company
            )
            yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def superuser(url: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A connection that may do everything, to do what nobody should."""
    connection = await asyncpg.connect(url, server_settings={"search_path": "ledger"})
    try:
        yield connection
    finally:
        await connection.close()


async def someone_waits(url: str) -> None:
    """Returns once a session of the database waits for a lock."""
    async with superuser(url) as connection:

        async def waits() -> bool:
            return bool(
                await connection.fetchval(
                    "SELECT count(*) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
            )

        await eventually(waits)


async def eventually(
    claim: Callable[[], Awaitable[bool]], seconds: float = PATIENCE_SECONDS
) -> None:
    """Waits until a claim is true."""
    deadline = time.monotonic() + seconds
    while not await claim():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.02)
