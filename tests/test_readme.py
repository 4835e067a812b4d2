"""The README's examples, run as they stand, one after the other, against a real server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.serving import Server

_ROOT = Path(__file__).parents[1]


def test_the_readmes_examples_work(tmp_path: Path) -> None:
    """Every `sh` block runs in one shell, and none of its commands fails."""
    text = (_ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 7
    with Server(tmp_path / "data") as server:
        script = "\n".join(["set -euo pipefail", *blocks]).replace(
            "http://127.0.0.1:8080", server.url
        )
        script = script.replace("$PWD/.venv/bin", str(Path(sys.executable).parent))
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env={**os.environ, "LEDGER_DATA_DIR": str(tmp_path / "data")},
            capture_output=True,
            text=True,
            timeout=180,
        )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert '"run_id"' in done.stdout
    assert "whole" in done.stdout
