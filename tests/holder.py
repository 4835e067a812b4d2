"""A run of an agent's as a process of its own: it checks an issue out and then writes, and writes.

    python -m tests.holder ISSUE_URL KEY LEASE_SECONDS

Every write carries the fencing token of its checkout. It prints one line of JSON for each answer,
and after the first refusal it tries everything else that a holder can say, and ends.
"""

from __future__ import annotations

import sys
import time
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import orjson

PAUSE_SECONDS = 0.02


def main(issue_url: str, key: str, lease_seconds: str) -> None:
    """Holds the issue until it is told that it does not."""
    held = post(issue_url, key, "checkout", {"lease_seconds": int(lease_seconds)})
    token, run = held["holder"]["fencing_token"], held["run_id"]
    number = 0
    while "code" not in post(issue_url, key, "comments", {"body": f"Word {number}."}, token):
        number += 1
        time.sleep(PAUSE_SECONDS)
    for path, body in last_words(run):
        post(issue_url, key, path, body, token)


def last_words(run: str) -> list[tuple[str, dict[str, Any]]]:
    """What else a holder can say, and what a run can."""
    return [
        ("renew", {}),
        (f"runs/{run}/progress", {"message": "Nearly there.", "percent": 99}),
        (f"runs/{run}/checkpoint", {"checkpoint": {"word": "last"}}),
        ("transition", {"status": "done"}),
        (f"runs/{run}/finish", {}),
        (f"runs/{run}/fail", {}),
        ("release", {}),
        (f"runs/{run}/costs", {"provider": "anthropic", "model": "claude", "cost_micros": 7}),
    ]


def post(
    issue_url: str, key: str, path: str, body: dict[str, Any], token: int | None = None
) -> dict[str, Any]:
    """Says something below the issue, prints what came of it, and returns the answer."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    if token is not None:
        headers["Ledger-Fencing-Token"] = str(token)
    request = Request(f"{issue_url}/{path}", orjson.dumps(body), headers)
    try:
        with urlopen(request) as reply:
            status, raw, position = reply.status, reply.read(), reply.headers["Ledger-Position"]
    except HTTPError as error:
        status, raw, position = error.code, error.read(), "0"
    answer: dict[str, Any] = orjson.loads(raw)
    told = {"path": path, "status": status, "position": int(position)}
    print(orjson.dumps({**told, "code": answer.get("code")}).decode(), flush=True)
    return answer


if __name__ == "__main__":
    main(*sys.argv[1:])
