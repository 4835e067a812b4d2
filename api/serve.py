"""What `ledger serve` does around the supervisor: schema, safety, a demo, a word to the user."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

import asyncpg
import structlog

from api.demo import play
from api.listener import listening
from api.supervisor import supervise
from api.wiring import open_ledger
from ledger import log
from ledger.actors import Actor, Role
from ledger.database import LOST, install_schema, refuse_unsafe
from ledger.embedded_postgres import EmbeddedPostgresError, postgres
from ledger.ids import company_of_key

_LOG = structlog.get_logger(__name__)
WATCH_SECONDS = 1.0


async def serve_database(
    url: str,
    host: str,
    port: int,
    workers: int,
    *,
    data_dir: Path | None,
    demo: bool,
    unsafe: bool,
) -> None:
    """Serves a database until told to stop.

    `data_dir` is the folder of the embedded Postgres, where `url` is its. Raises SchemaError,
    PortTaken, or what connecting raises.
    """
    await install_schema(url)
    if not unsafe:
        await refuse_unsafe(url)
    owner_key = await _begin_demo(url, data_dir) if demo else None
    with listening(host, port) as listener:
        shown = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
        await supervise(
            url,
            listener,
            workers,
            data_dir=data_dir,
            keep_database=(lambda: _keep(url, data_dir)) if data_dir else None,
            started=lambda: _say(shown, owner_key),
        )


async def _keep(url: str, data_dir: Path) -> None:
    """Starts the embedded Postgres again if it dies under a running server."""
    with contextlib.ExitStack() as entered:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                connection = await asyncpg.connect(url, timeout=10)
                await connection.close()
            except LOST as error:
                _LOG.error("database_died", error=repr(error))
                try:
                    again = postgres(data_dir)
                    await asyncio.to_thread(again.__enter__)
                    entered.push(again)
                except EmbeddedPostgresError as failure:
                    _LOG.error("database_not_started", error=str(failure))


async def _begin_demo(url: str, data_dir: Path | None) -> str | None:
    """An owner's key: of a demo company begun now, or the one begun here before."""
    remembered = data_dir / "demo-owner.key" if data_dir else None
    async with open_ledger(url, committers=2, readers=2) as ledger:
        if await log.ends(ledger.readers):
            if remembered is not None and remembered.exists():
                return remembered.read_text(encoding="utf-8").strip()
            return None
        company_id = await ledger.create_company("Demo")
        _, key, _ = await ledger.create_key(company_id, Role.OWNER, Actor("user", "demo"), "demo")
        await play(ledger, company_id)
    if remembered is not None:
        remembered.touch(mode=0o600)
        remembered.write_text(key + "\n", encoding="utf-8")
    return key


def _say(url: str, owner_key: str | None) -> None:
    print(f"The ledger is at {url} (documentation: {url}/docs)", file=sys.stderr)
    if owner_key is None:
        print(
            "Create a key: ledger key create --company ID --role owner --actor user:you "
            "(companies: ledger company list)",
            file=sys.stderr,
        )
        return
    base = f"{url}/v1/companies/{company_of_key(owner_key)}"
    header = f"-H 'Authorization: Bearer {owner_key}'"
    print(
        f"Owner key of the demo company: {owner_key}\n\nTry:\n"
        f"  curl -s {header} '{base}/issues?limit=3'\n"
        f"  curl -s {header} -H 'Content-Type: application/json' "
        f'-d \'{{"title": "My first issue"}}\' {base}/issues\n'
        f"  curl -s {header} '{base}/activity?limit=5'\n",
        file=sys.stderr,
    )
