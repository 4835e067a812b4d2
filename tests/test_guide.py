"""The worked examples of the documentation page, run as they stand against a real server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import orjson

from tests.serving import Server

_KEY = re.compile(r"ldg_[0-9a-f-]+_[\w-]+")


def test_the_documents_examples_work(tmp_path: Path) -> None:
    """Every `sh` block runs in one shell, in the demo company that `make run` begins."""
    with Server(tmp_path / "data", "--demo") as server:
        text = _get(f"{server.url}/openapi.json")["info"]["description"]
        begin, *blocks = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        assert len(blocks) >= 5
        key = next(found[0] for line in server.log if (found := _KEY.search(line)))
        company = _get(f"{server.url}/v1/me", Authorization=f"Bearer {key}")["company_id"]
        begin = re.sub(r"KEY=\S+", f"KEY={key}", begin)
        begin = re.sub(r"API=\S+", f"API={server.url}/v1/companies/{company}", begin)
        done = subprocess.run(
            ["bash", "-c", "\n".join(["set -euo pipefail", begin, *blocks])],
            cwd=tmp_path,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=180,
        )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "The clock was wrong; fixed." in done.stdout
    assert "activity.ndjson  whole" in done.stdout
    assert (tmp_path / "costs.csv").stat().st_size > 100


def _get(url: str, **headers: str) -> Any:
    with urlopen(Request(url, headers=headers)) as reply:
        return orjson.loads(reply.read())
