"""The documentation page, in a real browser that reaches no host but this one."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

_BROWSER = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (found := shutil.which(name))
    ),
    None,
)


@pytest.mark.skipif(_BROWSER is None, reason="no Chromium on this machine")
async def test_the_docs_page_shows_every_operation_without_a_network(
    base_url: str, tmp_path: Path
) -> None:
    """Swagger UI renders the document from the server's own files."""
    assert _BROWSER is not None
    browser = await asyncio.create_subprocess_exec(
        _BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        f"--user-data-dir={tmp_path}",
        "--virtual-time-budget=10000",
        "--dump-dom",
        f"{base_url}/docs",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(120):
        page, _ = await browser.communicate()
    for text in (
        b"Issue ledger",
        b"Check out an issue to work on it",
        b"/v1/me",
        b"An agent, at three in the morning",
        b"An auditor, with a lawyer beside them",
        b"An analyst, with a deadline",
    ):
        assert text in page.replace(b"<wbr>", b"").replace(b"\xe2\x80\x8b", b"")
