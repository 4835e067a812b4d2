"""A team's real history, from the files to the proof: imported, replayed, queried, verified.

What the history says is read here from the raw files, by a few lines of their own, and then
compared with what the ledger replays.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

_DATA = Path(__file__).parents[2] / "shared" / "data" / "beads"
pytestmark = pytest.mark.skipif(not _DATA.exists(), reason="the real data is not on this machine")

_OURS = {
    "open": "todo",
    "in_progress": "in_progress",
    "hooked": "in_progress",
    "blocked": "blocked",
    "pinned": "backlog",
    "deferred": "backlog",
    "closed": "closed",
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory of the module's own."""
    return tmp_path_factory.mktemp("real") / "data"


@pytest.fixture(scope="module")
def imported(data_dir: Path) -> dict[str, Any]:
    """The company into which the folder was imported, and the report."""
    company = json.loads(_ledger(data_dir, "company", "create", "Beads", "--json"))["id"]
    report = json.loads(
        _ledger(data_dir, "import", "beads", str(_DATA), "--company", company, "--json")
    )
    return {"company": company, "report": report}


def _ledger(data_dir: Path, *args: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "api.cli", *args],
        env={**os.environ, "LEDGER_DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    return done.stdout


def _lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def test_import_verify_rebuild_verify(data_dir: Path, imported: dict[str, Any]) -> None:
    """The main job: everything in, proved, written anew, proved again; twice is nothing."""
    company = imported["company"]
    assert imported["report"]["appended"] > 4000
    first = json.loads(_ledger(data_dir, "verify", "--company", company, "--json"))
    assert first["ok"], first["difference"]
    rebuilt = json.loads(_ledger(data_dir, "rebuild", "--json"))
    assert all(table["was_equal"] for table in rebuilt)
    again = json.loads(
        _ledger(data_dir, "import", "beads", str(_DATA), "--company", company, "--json")
    )
    assert again["appended"] == 0
    second = json.loads(_ledger(data_dir, "verify", "--company", company, "--json"))
    assert second["ok"], second["difference"]
    assert second["tables"] == first["tables"]


@pytest.mark.parametrize("part", [0.25, 0.5, 0.75])
def test_replay_half_way_equals_what_the_history_says(
    data_dir: Path, imported: dict[str, Any], part: float
) -> None:
    """The statuses at a position in the middle are those of the files' events until then."""
    company = imported["company"]
    events = _lines(_ledger(data_dir, "replay", "--company", company))
    told = [event for event in events if event["occurred_at"] is not None]
    cut = _boundary(told, int(len(told) * part))
    until = _time(told[cut]["occurred_at"])
    shown = _lines(
        _ledger(
            data_dir, "replay", "--company", company, "--state",
            "--at-position", str(told[cut]["position"]),
        )
    )  # fmt: skip
    ours = {
        state["external_ref"]["id"]: state["status"]
        for state in shown
        if state["kind"] == "issue" and state["external_ref"]
    }
    expected = _statuses_until(until)
    assert len(expected) > 20
    wrong = {
        issue: (ours.get(issue), status)
        for issue, status in expected.items()
        if ours.get(issue) != status
    }
    assert not wrong


def test_the_read_models_say_what_the_replay_says(data_dir: Path, imported: dict[str, Any]) -> None:
    """At the head, the replayed issues are the rows that agents read."""
    import asyncpg

    company = imported["company"]
    replayed = {
        state["id"]: (state["version"], state["status"], state["title"], state["description"])
        for state in _lines(_ledger(data_dir, "replay", "--company", company, "--state"))
        if state["kind"] == "issue"
    }

    async def live() -> dict[str, Any]:
        connection = await asyncpg.connect(url)
        try:
            rows = await connection.fetch(
                "SELECT issue_id, version, status, title, description FROM ledger.issues "
                "WHERE company_id = $1 AND deleted_at IS NULL",
                company,
            )
        finally:
            await connection.close()
        return {str(row[0]): tuple(row)[1:] for row in rows}

    from ledger.embedded_postgres import postgres

    with postgres(data_dir) as url:
        assert asyncio.run(live()) == replayed


def _boundary(told: list[dict[str, Any]], near: int) -> int:
    """The last event of its moment, at or after `near`."""
    while told[near]["occurred_at"] == told[near + 1]["occurred_at"]:
        near += 1
    return near


def _statuses_until(until: datetime) -> dict[str, str]:
    """What the files say of each issue with a history, up to a time.

    The events say it as they happened. Where an issue's newest row was updated after its last
    event, the row has the last word.
    """
    found: dict[str, str] = {}
    last: dict[str, datetime] = {}
    for row in _rows("backup/events.jsonl"):
        last[row["issue_id"]] = _time(row["created_at"])
    for row in _rows("backup/events.jsonl"):
        if _time(row["created_at"]) <= until and (status := _told_status(row)):
            found[row["issue_id"]] = _OURS[status]
    newest: dict[str, dict[str, Any]] = {}
    for row in (*_rows("backup/issues.jsonl"), *_rows("issues.jsonl")):
        known = newest.get(row["id"])
        if known is None or _time(row["updated_at"]) >= _time(known["updated_at"]):
            newest[row["id"]] = row
    for issue in found.keys() & newest.keys():
        updated_at = _time(newest[issue]["updated_at"])
        if last[issue] <= updated_at <= until:
            found[issue] = _OURS[newest[issue]["status"]]
    return found


def _told_status(row: dict[str, Any]) -> str | None:
    match row["event_type"]:
        case "closed":
            return "closed"
        case "created" | "reopened":
            return "open"
        case "status_changed" | "updated":
            status: str | None = json.loads(row["new_value"]).get("status")
            return status
        case _:
            return None


def _rows(name: str) -> list[dict[str, Any]]:
    rows = _lines((_DATA / name).read_text(encoding="utf-8"))
    return sorted(rows, key=lambda row: (_time(row["created_at"]), row["id"]))
