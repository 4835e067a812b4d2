"""What every process of the server has: an event loop, a log, and an ear for the end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import structlog

from ledger.embedded_postgres import postgres

try:
    import uvloop

    _new_loop: Callable[[], asyncio.AbstractEventLoop] | None = uvloop.new_event_loop
except ImportError:  # Where there is no uvloop, asyncio's own loop does.
    _new_loop = None


def run_process(main: Coroutine[Any, Any, None]) -> None:
    """Runs a process's coroutine to its end."""
    log_as_json()
    # What is there by now stays; what comes and goes with requests is seldom worth looking through.
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=_new_loop) as runner:
        runner.run(main)


def log_as_json() -> None:
    """One JSON object a line on standard error, for people with a terminal too."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )


@contextlib.contextmanager
def inherited_database() -> Iterator[str]:
    """The database that the supervisor passed on; of an embedded one, this process is a user.

    So a server whose supervisor was killed keeps its Postgres until it has drained.
    """
    data_dir = os.environ.get("LEDGER_SERVED_DATA_DIR")
    if data_dir is None:
        yield os.environ["LEDGER_DATABASE_URL"]
        return
    with postgres(Path(data_dir)) as url:
        yield url


async def until_told_to_stop() -> None:
    """Returns on SIGTERM or SIGINT, or when standard input, a pipe from the supervisor, ends."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stop.set)

    def heard() -> None:
        if not os.read(0, 1):
            loop.remove_reader(0)
            stop.set()

    loop.add_reader(0, heard)
    await stop.wait()
