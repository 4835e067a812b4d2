"""The peer `message-db`: its SQL function `write_message`, called by the driver the ledger uses.

Its npm package carries SQL only. It is installed here as it is, in the order of its `install.sh`;
where Postgres has no pgcrypto, that one statement is left out: nothing in it uses more than
`gen_random_uuid()`, which Postgres itself has had since version 13. All streams are of one
category, as all issues are of one company; it takes a lock for each category.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg

from api.process import run_process
from bench.peers.answering import EVENT, answer, greet

PACKAGE = Path(__file__).parent / "node_modules" / "@eventide" / "message-db"
FOLDERS = (
    "roles", "schema", "extensions", "tables", "types",
    "functions", "indexes", "views", "privileges",
)  # fmt: skip
SEARCH_PATH = "message_store, public"
CONNECTIONS = 2
"""The best of 1, 2, 4 and 16 with 64 in flight: more only wait for the same lock."""
WRITE = "SELECT write_message($1::varchar, $2::varchar, $3::varchar, $4::jsonb, NULL, -1)"
WITHOUT = (
    "message-db is installed without its CREATE EXTENSION pgcrypto, which this Postgres has not; "
    "its functions do not use it."
)


async def main(url: str) -> None:
    """Appends whenever it is asked to, as the user that message-db makes for this."""
    has_pgcrypto = await install(url)
    pool = await asyncpg.create_pool(
        url,
        user="message_store",
        min_size=CONNECTIONS,
        max_size=CONNECTIONS,
        reset=_nothing,  # As with the ledger's pool: no round trip after each use.
        server_settings={"search_path": SEARCH_PATH},
    )

    async def append() -> None:
        data = json.dumps(EVENT, separators=(",", ":"))
        await pool.fetchval(WRITE, str(uuid4()), f"issue-{uuid4()}", "IssueCreated", data)

    package = json.loads((PACKAGE / "package.json").read_bytes())
    greet(
        f"message-db {package['version']} (asyncpg {version('asyncpg')})",
        "" if has_pgcrypto else WITHOUT,
    )
    try:
        await answer(append)
    finally:
        await pool.close()


async def install(url: str) -> bool:
    """Installs message-db into an empty database; False if that was without pgcrypto."""
    connection = await asyncpg.connect(url, server_settings={"search_path": SEARCH_PATH})
    try:
        has_pgcrypto = bool(
            await connection.fetchval(
                "SELECT count(*) FROM pg_available_extensions WHERE name = 'pgcrypto'"
            )
        )
        for folder in FOLDERS:
            if folder != "extensions" or has_pgcrypto:
                for file in sorted((PACKAGE / "database" / folder).glob("*.sql")):
                    await connection.execute(file.read_text(encoding="utf-8"))
        return has_pgcrypto
    finally:
        await connection.close()


async def _nothing(connection: Any) -> None:
    """No reset between uses."""


if __name__ == "__main__":
    run_process(main(sys.argv[1]))
