"""`python -m bench.peers`: what the ledger and its peers append a second, on one Postgres.

One event of about 230 bytes at a time, each to a new stream, durable: COMMIT waits for the disk.
All take turns in one run, so that whatever else the machine does meets each of them alike.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from bench.peers.peer import LEDGER, PEERS, Working, at_work
from bench.table import Row, table
from bench.turns import Turn, medians
from ledger.embedded_postgres import postgres

IN_FLIGHT = (1, 16, 64)
AIM = "≥ 10"
"""Beside the best of the peers, where there are as many in flight as there ever are."""


def main() -> None:
    """Measures, and prints a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--turns", type=int, default=5, help="how often each is measured")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long a turn takes")
    options = parser.parse_args()
    for peer in PEERS:
        if peer.missing:
            print(f"Without {peer.name}: {peer.missing}.")
    with (
        tempfile.TemporaryDirectory(prefix="ledger-bench-") as folder,
        postgres(Path(folder) / "data") as url,
    ):
        asyncio.run(_measure(url, options.turns, options.seconds))


async def _measure(url: str, turns: int, seconds: float) -> None:
    started = time.monotonic()
    measured = [LEDGER, *(peer for peer in PEERS if not peer.missing)]
    superuser = await asyncpg.connect(url)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(superuser.close)
        for peer in measured:
            await superuser.execute(f'CREATE DATABASE "{peer.database}"')
        working = [
            await stack.enter_async_context(at_work(peer, _url_of(url, peer.database)))
            for peer in measured
        ]
        rows: list[Row] = []
        for in_flight in IN_FLIGHT:
            sides = [_turn(one, in_flight, seconds) for one in working]
            rows += _rows(in_flight, working, await medians(turns, *sides))
        settings = await superuser.fetch(
            "SELECT name, setting FROM pg_settings"
            " WHERE name IN ('fsync', 'server_version', 'synchronous_commit') ORDER BY name"
        )
    print(table("Create issue beside appending one event", "the peer", rows))
    fsync, version, commit = (str(row["setting"]) for row in settings)
    for note in filter(None, (one.note for one in working)):
        print(note)
    print(
        f"{turns} turns a side of {seconds:g} s, {time.monotonic() - started:.0f} s in all; "
        f"{', '.join(dict.fromkeys(one.versions for one in working))}; Postgres {version} "
        f"(fsync {fsync}, synchronous_commit {commit}), {os.cpu_count()} cores."
    )


def _turn(working: Working, in_flight: int, seconds: float) -> Turn:
    return lambda: working.appends_per_second(in_flight, seconds)


def _rows(in_flight: int, working: Sequence[Working], rates: Sequence[float]) -> list[Row]:
    """The ledger is the first; the others are its peers."""
    ours, *theirs = rates
    return [
        Row(
            f"{in_flight} in flight beside {one.peer.name}",
            ours,
            rate,
            "/s",
            AIM if in_flight == max(IN_FLIGHT) and rate == max(theirs) else "",
        )
        for one, rate in zip(working[1:], theirs, strict=True)
    ]


def _url_of(url: str, database: str) -> str:
    return urlsplit(url)._replace(path=f"/{database}").geturl()


if __name__ == "__main__":
    main()
