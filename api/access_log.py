"""The access log: one JSON object a line for each request, written some lines at a time.

A request leaves its line and goes; a moment later the lines that came together are written. As
many at a time as a pipe takes whole (PIPE_BUF), so that processes which share standard error never
tear each other's. A process that is killed loses the lines of its last moment; what is logged of
failures of ours does not come this way and does not wait.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, BinaryIO

import orjson

PAUSE_SECONDS = 0.05
"""How long a line waits for others at most."""

WHOLE_BYTES = 4096


class AccessLog:
    """Lines for a file such as standard error."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lines: list[bytes] = []

    def tell(self, fields: dict[str, Any]) -> None:
        """Notes one request."""
        if not self._lines:
            asyncio.get_running_loop().call_later(PAUSE_SECONDS, self.write)
        now = datetime.now(UTC)
        line = {**fields, "event": "request", "level": "info", "timestamp": now}
        self._lines.append(orjson.dumps(line, option=_OPTIONS))

    def write(self) -> None:
        """Writes the lines that wait; called once more at the end, so that none is lost."""
        lines, self._lines = self._lines, []
        together = b""
        for line in lines:
            if len(together) + len(line) > WHOLE_BYTES:
                self._send(together)
                together = b""
            together += line
        self._send(together)

    def _send(self, together: bytes) -> None:
        self._file.write(together)
        self._file.flush()


_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z
