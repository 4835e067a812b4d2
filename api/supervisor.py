"""The supervisor: keeps the workers and the projector of one server alive.

Each child is a process of its own, started with a pipe as its standard input; when the
supervisor is gone, however it went, the pipe ends and the children drain and leave. A child
that dies is started again, after a pause that grows while it keeps dying.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog
from prometheus_client import multiprocess

_LOG = structlog.get_logger(__name__)
DRAIN_SECONDS = 30.0


async def supervise(
    url: str,
    listener: socket.socket,
    workers: int,
    *,
    data_dir: Path | None = None,
    keep_database: Callable[[], Awaitable[None]] | None = None,
    started: Callable[[], None] = lambda: None,
) -> None:
    """Runs the children until SIGTERM or SIGINT, then drains them.

    `data_dir` is that of an embedded database, of which the children are users too;
    `keep_database` watches over the database meanwhile; `started` is called once a worker
    answers.
    """
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    with tempfile.TemporaryDirectory(prefix="ledger-metrics-") as metrics:
        env = {**os.environ, "LEDGER_DATABASE_URL": url, "PROMETHEUS_MULTIPROC_DIR": metrics}
        if data_dir is not None:
            env["LEDGER_SERVED_DATA_DIR"] = str(data_dir)
        serve = [sys.executable, "-m", "api.worker", str(listener.fileno())]
        follow = [sys.executable, "-m", "api.following"]
        work = [
            *(_keep_alive(serve, env, stop, listener.fileno()) for _ in range(workers)),
            _keep_alive(follow, env, stop),
            _close(listener, stop),
            _until(stop, _announce(listener, started)),
        ]
        if keep_database is not None:
            work.append(_until(stop, keep_database()))
        tasks = [asyncio.create_task(each) for each in work]
        try:
            await asyncio.gather(*tasks)
        finally:
            stop.set()  # If one task failed, the children of the others drain all the same.
            await asyncio.gather(*tasks, return_exceptions=True)


async def _keep_alive(
    command: list[str], env: dict[str, str], stop: asyncio.Event, *files: int
) -> None:
    """Runs one child, which gets these open files, again and again, until it is time to stop."""
    pause = 0.1
    loop = asyncio.get_running_loop()
    while not stop.is_set():
        born = loop.time()
        child = await asyncio.create_subprocess_exec(
            *command,
            env=env,
            stdin=asyncio.subprocess.PIPE,
            pass_fds=files,
            start_new_session=True,
        )
        ended = asyncio.create_task(child.wait())
        await _until(stop, asyncio.shield(ended))
        if stop.is_set():
            await _drain(child, ended)
            return
        # What it had open is open no more.
        multiprocess.mark_process_dead(child.pid, env["PROMETHEUS_MULTIPROC_DIR"])  # type: ignore[no-untyped-call]
        pause = 0.1 if loop.time() - born > 10 else min(pause * 2, 5.0)
        _LOG.error("child_died", child=command[2], pid=child.pid, status=child.returncode)
        await _until(stop, asyncio.sleep(pause))


async def _drain(child: asyncio.subprocess.Process, ended: asyncio.Task[int]) -> None:
    with contextlib.suppress(ProcessLookupError):
        child.terminate()
    try:
        await asyncio.wait_for(ended, DRAIN_SECONDS)
    except TimeoutError:
        _LOG.error("child_killed", pid=child.pid)
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


async def _until(stop: asyncio.Event, work: Awaitable[object]) -> None:
    """Waits for work, or for the time to stop."""
    working = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    for task in (working, stopping):
        task.cancel()
    await asyncio.gather(working, stopping, return_exceptions=True)


async def _close(listener: socket.socket, stop: asyncio.Event) -> None:
    """Once it is time to stop, who comes is refused instead of being left to wait."""
    await stop.wait()
    listener.close()


async def _announce(listener: socket.socket, started: Callable[[], None]) -> None:
    """Says that the server is up once a worker answers; connections are taken before that."""
    host, port = listener.getsockname()[:2]
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(host, port)
            with contextlib.closing(writer):
                writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
                if await reader.read(1):
                    break
        await asyncio.sleep(0.05)
    started()
