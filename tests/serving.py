"""A real server for tests: `ledger serve` as a process of its own, on any free port."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType

_URL = re.compile(r"The ledger is at (http://\S+)")


class Server:
    """Starts on entering, stops with SIGTERM on leaving; `log` is what it said."""

    def __init__(self, data_dir: Path, *options: str) -> None:
        self._command = [
            sys.executable, "-m", "api.cli", "serve", "--port", "0", "--data-dir", str(data_dir),
            *options,
        ]  # fmt: skip
        self.log: list[str] = []
        self.url = ""
        self._is_up = threading.Event()

    def __enter__(self) -> Server:
        self.process = subprocess.Popen(
            self._command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._is_up.wait(timeout=120) or not self.url:
            self.process.kill()
            raise AssertionError("the server did not start:\n" + "".join(self.log[-20:]))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> int:
        """Ends the server and returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(sign)
        status = self.process.wait(timeout=120)
        self._reader.join(timeout=120)
        if self.process.stderr is not None:
            self.process.stderr.close()
        return status

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)
            if found := _URL.search(line):
                self.url = found[1]
                self._is_up.set()
        self._is_up.set()
