"""The peer `eventsourcing` (Python), by its recorder: the lowest way in, beneath its aggregates.

It writes in one of two ways. By default it locks the table, so that ids become visible in their
order. By a function in the database, as in its own speed run, it does not: that is faster, and a
reader that goes on after the last id it saw misses some. It is synchronous, so each caller is a
thread; psycopg is the one in C.
"""

from __future__ import annotations

import json
import platform
import sys
from importlib.metadata import version
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from eventsourcing.persistence import (  # type: ignore[import-not-found]
    InfrastructureFactory,
    StoredEvent,
)
from eventsourcing.utils import Environment  # type: ignore[import-not-found]

from bench.peers.answering import EVENT, answer_in_threads, greet

CONNECTIONS = 4
"""The best of 4, 16 and 32 with 64 in flight, by a function: more only wait for one another."""


def main(way: str, url: str) -> None:
    """Appends whenever it is asked to, by a `lock` or by a `function`."""
    parts = urlsplit(url)
    settings = {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_HOST": parse_qs(parts.query)["host"][0],
        "POSTGRES_DBNAME": parts.path.removeprefix("/"),
        "POSTGRES_USER": parts.username,
        "POSTGRES_PASSWORD": "",
        "POSTGRES_POOL_SIZE": str(CONNECTIONS),
        "POSTGRES_ENABLE_DB_FUNCTIONS": "y" if way == "function" else "n",
    }
    factory = InfrastructureFactory.construct(Environment("Peer", settings))
    recorder = factory.application_recorder()

    def append() -> None:
        state = json.dumps(EVENT, separators=(",", ":")).encode()
        recorder.insert_events([StoredEvent(uuid4(), 1, "peer:Issue.Created", state)])

    greet(
        f"eventsourcing {version('eventsourcing')} "
        f"(psycopg {version('psycopg')}, Python {platform.python_version()})"
    )
    try:
        answer_in_threads(append)
    finally:
        factory.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
