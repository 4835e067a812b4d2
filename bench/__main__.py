"""`python -m bench`: what the ledger costs on the machine at hand, on a Postgres of its own."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import asyncpg
import uvloop

from bench import committing, following, growth, models, serving
from bench.databases import database_of_its_own
from bench.table import Row, table
from ledger.embedded_postgres import postgres


class Section(NamedTuple):
    """Some rows that are measured alike, and how many turns each side takes."""

    title: str
    beside: str
    rows: Callable[[str, int], Awaitable[list[Row]]]
    turns: int


SECTIONS = {
    "latency": Section("One caller", "INSERT+COMMIT", committing.latency_rows, 5),
    "committer": Section("The committer", "raw INSERT", committing.rows, 3),
    "http": Section("HTTP", "bare aiohttp", serving.rows, 3),
    "models": Section("Rebuild and verify", "beside", models.rows, 1),
    "following": Section("Following", "beside", following.rows, 1),
    "growth": Section("Growth", "where little is", growth.rows, 100),
}


def main() -> None:
    """Measures section by section, each in a database of its own, and prints a table of each."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=main.__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--turns", type=int, help="how often each side is measured")
    options = parser.parse_args()
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="ledger-bench-") as folder,
        postgres(Path(folder) / "data") as url,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        version = runner.run(_measure(url, options.sections or [*SECTIONS], options.turns))
    print(
        f"{time.monotonic() - started:.0f} s in all; Python {platform.python_version()}, "
        f"Postgres {version}, {os.cpu_count()} cores."
    )


async def _measure(url: str, names: Sequence[str], turns: int | None) -> str:
    for name in names:
        section = SECTIONS[name]
        async with database_of_its_own(url) as own:
            rows = await section.rows(own, turns or section.turns)
        print(table(section.title, section.beside, rows), flush=True)
    connection = await asyncpg.connect(url)
    try:
        return str(await connection.fetchval("SHOW server_version"))
    finally:
        await connection.close()


if __name__ == "__main__":
    main()
