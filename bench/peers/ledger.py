"""The ledger itself, asked as its peers are: `create issue` through the committer, without HTTP.

It does more for each: it decides, and writes the issue's row, the event, its leaf in the hash tree
and the reply under an idempotency key. All go to one company, which is one lane, on one core.
"""

from __future__ import annotations

import json
import platform
import sys
from hashlib import sha256
from importlib.metadata import version

from api.process import run_process
from api.wiring import open_ledger
from bench.filling import ALICE, create
from bench.peers.answering import EVENT, answer, greet
from ledger.database import install_schema
from ledger.ids import new_id
from ledger.submission import IdempotencyKey, Provenance, Submission

ASKED = {name: EVENT[name] for name in ("title", "description", "status", "priority", "estimate")}


async def main(url: str) -> None:
    """Creates issues whenever it is asked to."""
    await install_schema(url)
    async with open_ledger(url) as ledger:
        company = await ledger.create_company("Peers")

        async def append() -> None:
            body = json.dumps(ASKED, separators=(",", ":")).encode()
            key = IdempotencyKey(str(ALICE), new_id(), sha256(body).digest())
            issue = new_id()
            submission = Submission(
                commands=(create(issue, **ASKED),),
                provenance=Provenance(via="bench"),
                idempotency_key=key,
                new_ids=frozenset({issue}),
                size_bytes=len(body),
            )
            await ledger.committer.submit(company, submission)

        greet(
            f"issue-ledger {version('issue-ledger')} "
            f"(asyncpg {version('asyncpg')}, Python {platform.python_version()})"
        )
        await answer(append)


if __name__ == "__main__":
    run_process(main(sys.argv[1]))
