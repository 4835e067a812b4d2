"""One worker process: serves HTTP on a socket that it shares with its siblings.

It ends when it is told to (SIGTERM), or when its supervisor is gone, which it notices by its
standard input coming to an end. Either way it drains: it takes no more connections, answers
what it has, and lets the committer finish.
"""

from __future__ import annotations

import socket
import sys

from aiohttp import web

from api.access_log import AccessLog
from api.app import LIMITS, build_app
from api.listener import BACKLOG
from api.process import inherited_database, run_process, until_told_to_stop
from api.wiring import open_ledger

DRAIN_SECONDS = 20.0


async def work(url: str, listener: socket.socket) -> None:
    """Serves until told to stop."""
    async with open_ledger(url) as ledger:
        app = build_app(ledger, access_log=AccessLog(sys.stderr.buffer))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=DRAIN_SECONDS, **LIMITS)
        await runner.setup()
        try:
            await web.SockSite(runner, listener, backlog=BACKLOG).start()
            await until_told_to_stop()
        finally:
            await runner.cleanup()


if __name__ == "__main__":
    with inherited_database() as url:
        run_process(work(url, socket.socket(fileno=int(sys.argv[1]))))
