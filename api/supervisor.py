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
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import structlog

_LOG = structlog.get_logger(__name__)
DRAIN_SECONDS = 30.0


class PortTaken(Exception):
    """Somebody else listens there."""


@contextlib.contextmanager
def reserved_port(host: str, port: int) -> Iterator[int]:
    """Holds a port for the workers to share; 0 means any. Raises PortTaken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortTaken(f"Cannot listen on {host}:{port}: {error.strerror}.") from None
        port = probe.getsockname()[1]
    with socket.socket(family, socket.SOCK_STREAM) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((host, port))
        yield port


async def supervise(
    url: str,
    host: str,
    port: int,
    workers: int,
    *,
    data_dir: Path | None = None,
    keep_database: Callable[[], Awaitable[None]] | None = None,
    started: Callable[[], None] = lambda: None,
) -> None:
    """Runs the children until SIGTERM or SIGINT, then drains them.

    `data_dir` is that of an embedded database, of which the children are users too;
    `keep_database` watches over the database meanwhile; `started` is called once somebody
    answers on the port.
    """
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    with tempfile.TemporaryDirectory(prefix="ledger-metrics-") as metrics:
        env = {**os.environ, "LEDGER_DATABASE_URL": url, "PROMETHEUS_MULTIPROC_DIR": metrics}
        if data_dir is not None:
            env["LEDGER_SERVED_DATA_DIR"] = str(data_dir)
        serve = [sys.executable, "-m", "api.worker", host, str(port)]
        follow = [sys.executable, "-m", "api.following"]
        commands = [*([serve] * workers), follow]
        tasks = [asyncio.create_task(_keep_alive(command, env, stop)) for command in commands]
        if keep_database is not None:
            tasks.append(asyncio.create_task(_until(stop, keep_database())))
        tasks.append(asyncio.create_task(_announce(host, port, started, stop)))
        try:
            await asyncio.gather(*tasks)
        finally:
            stop.set()  # If one task failed, the children of the others drain all the same.
            await asyncio.gather(*tasks, return_exceptions=True)


async def _keep_alive(command: list[str], env: dict[str, str], stop: asyncio.Event) -> None:
    """Runs one child, again and again, until it is time to stop."""
    pause = 0.1
    loop = asyncio.get_running_loop()
    while not stop.is_set():
        born = loop.time()
        child = await asyncio.create_subprocess_exec(
            *command, env=env, stdin=asyncio.subprocess.PIPE, start_new_session=True
        )
        ended = asyncio.create_task(child.wait())
        await _until(stop, asyncio.shield(ended))
        if stop.is_set():
            await _drain(child, ended)
            return
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


async def _announce(host: str, port: int, started: Callable[[], None], stop: asyncio.Event) -> None:
    """Says that the server is up once a worker accepts connections."""
    while not stop.is_set():
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        started()
        return
