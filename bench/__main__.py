"""`python -m bench`: measures the ledger on the machine at hand, on a Postgres of its own."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import asyncpg

from api.wiring import open_ledger
from bench import growth
from bench.growth import Ratio
from ledger.database import install_schema
from ledger.embedded_postgres import postgres

TURNS = 200


def main() -> None:
    """Measures, and prints a table."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=growth.__doc__)
    parser.add_argument("--turns", type=int, default=TURNS, help="how often each side is measured")
    turns = parser.parse_args().turns
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="ledger-bench-") as folder,
        postgres(Path(folder) / "data") as url,
    ):
        version, ratios = asyncio.run(_measure(url, turns))
    print("\n".join(_table(ratios)))
    print(
        f"\n{turns} turns a side, {time.monotonic() - started:.0f} s in all; "
        f"Python {platform.python_version()}, Postgres {version}, {os.cpu_count()} cores."
    )


async def _measure(url: str, turns: int) -> tuple[str, list[Ratio]]:
    await install_schema(url)
    superuser = await asyncpg.connect(url)
    try:
        name = await superuser.fetchval("SELECT quote_ident(current_database())")
        await superuser.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
        async with open_ledger(url) as ledger, open_ledger(url) as rival:
            made = await growth.fill(ledger)
            ratios = []
            async for case in growth.cases(made):
                await superuser.execute("VACUUM ANALYZE")
                ratios.append(await growth.measure(case, made, rival, turns))
        return str(await superuser.fetchval("SHOW server_version")), ratios
    finally:
        await superuser.close()


def _table(ratios: Sequence[Ratio]) -> list[str]:
    """As Markdown, so that it can be kept."""
    wide = max(len(one.what) for one in ratios)
    head = ["ms where there is much", "ms where there is little", "ratio"]
    return [
        f"| {'command':{wide}} | {' | '.join(head)} |",
        f"| {'-' * wide} | {' | '.join('-' * (len(title) - 1) + ':' for title in head)} |",
        *(
            f"| {one.what:{wide}} | {one.much_ms:{len(head[0])}.2f} "
            f"| {one.little_ms:{len(head[1])}.2f} | {one.ratio:5.2f} |"
            for one in ratios
        ),
    ]


if __name__ == "__main__":
    main()
