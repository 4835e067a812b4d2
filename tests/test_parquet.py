"""Parquet files of the analysts' views: every row once, typed, explained, as of a stated position.

pyarrow comes with the extra `parquet`, which is not in the lock; without it most is skipped.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import os
import subprocess
import sysconfig
from collections.abc import AsyncIterator
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from api.demo import play
from api.exports import parquet
from api.exports.parquet import VIEWS, ExportRefused, export
from api.wiring import Ledger, open_ledger
from ledger import log
from tests.conftest import NewDatabase
from tests.writing import create, eventually, submit, superuser

LEDGER = Path(sysconfig.get_path("scripts")) / "ledger"
HAS_PYARROW = importlib.util.find_spec("pyarrow") is not None
needs_pyarrow = pytest.mark.skipif(
    not HAS_PYARROW, reason="pyarrow is not installed: pip install 'issue-ledger[parquet]'"
)


@pytest_asyncio.fixture(scope="module")
async def own(new_database: NewDatabase) -> AsyncIterator[Ledger]:
    """A ledger on a database of this file's own, that nobody follows."""
    async with open_ledger(await new_database()) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module")
async def acme(own: Ledger) -> str:
    """A company in which agents were at work, beside another one."""
    company, other = [await own.create_company(name) for name in ("Acme", "Other")]
    for at_work in (company, other):
        await play(own, at_work, agents=3, issues=12, seed=6)
    return company


def read(path: Path) -> Any:
    """The file as an Arrow table."""
    return importlib.import_module("pyarrow.parquet").read_table(path)


def metadata(path: Path) -> dict[str, str]:
    """What a file says of itself."""
    found = importlib.import_module("pyarrow.parquet").read_metadata(path).metadata
    return {
        key.decode(): value.decode() for key, value in found.items() if key.startswith(b"ledger.")
    }


async def rows(own: Ledger, view: str, company: str) -> list[dict[str, Any]]:
    """What the view itself says."""
    async with superuser(own.url) as connection:
        found = await connection.fetch(
            f"SELECT * FROM analytics.{view} WHERE company_id = $1", company
        )
    return [dict(row) for row in found]


def comparable(value: Any) -> Any:
    """A value as a file has it, whichever side it comes from."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        return orjson.dumps(orjson.loads(value), option=orjson.OPT_SORT_KEYS)
    if isinstance(value, str | int | float | Decimal | list) or value is None:
        return value
    if hasattr(value, "astimezone"):
        return value.astimezone(UTC)
    return str(value)


@needs_pyarrow
@pytest.mark.parametrize("page", [1, 3, parquet.PAGE], ids=["ones", "threes", "whole"])
@pytest.mark.parametrize("view", VIEWS)
async def test_a_file_has_every_row_of_the_view_once(
    own: Ledger, acme: str, tmp_path: Path, view: str, page: int
) -> None:
    """Whatever the size of a page, and nothing of another company."""
    (written,) = await export(own, acme, [view], tmp_path, page=page)

    expected = await rows(own, view, acme)
    found = read(tmp_path / f"{view}.parquet").to_pylist()
    assert written.rows == len(found) == len(expected) > 0
    moving = {"age_seconds"}  # Until now, which was a moment ago.

    def as_set(those: list[dict[str, Any]]) -> list[str]:
        return sorted(
            repr({k: comparable(v) for k, v in row.items() if k not in moving}) for row in those
        )

    assert as_set(found) == as_set(expected)


@needs_pyarrow
async def test_columns_have_types(own: Ledger, acme: str, tmp_path: Path) -> None:
    """Money is decimal, a time is UTC in microseconds, ids are text, labels a list."""
    await export(own, acme, ["issues", "costs", "cycle_time"], tmp_path)

    issues, costs, cycle_time = (
        {field.name: str(field.type) for field in read(tmp_path / f"{view}.parquet").schema}
        for view in ("issues", "costs", "cycle_time")
    )
    assert issues["cost_usd"] == costs["cost_usd"] == "decimal128(20, 6)"
    assert issues["cost_micros"] == "int64"
    assert issues["created_at"] == costs["at"] == "timestamp[us, tz=UTC]"
    assert issues["issue_id"] == issues["title"] == cycle_time["seconds_in_status"] == "string"
    assert issues["label_names"].startswith("list<")
    assert issues["lead_seconds"] == "double"
    assert costs["day"] == "date32[day]"
    found = read(tmp_path / "costs.parquet").to_pylist()
    assert (
        sum(row["cost_usd"] for row in found)
        == Decimal(sum(row["cost_micros"] for row in found)) / 1_000_000
    )


@needs_pyarrow
@pytest.mark.parametrize("view", VIEWS)
async def test_a_file_explains_itself(own: Ledger, acme: str, tmp_path: Path, view: str) -> None:
    """Company, view, position and comment in the file; a comment on each column."""
    (written,) = await export(own, acme, [view], tmp_path)
    async with superuser(own.url) as connection:
        comment = await connection.fetchval(
            "SELECT obj_description(to_regclass($1), 'pg_class')", f"analytics.{view}"
        )
        head = await log.head(connection, acme)

    assert metadata(written.path) == {
        "ledger.company_id": acme,
        "ledger.view": view,
        "ledger.comment": comment,
        "ledger.as_of_position": str(head),
        "ledger.until_position": str(head),
    }
    fields = list(read(written.path).schema)
    assert [field.name for field in fields if not field.metadata[b"comment"]] == []


@needs_pyarrow
async def test_what_follows_the_log_is_moved_first(own: Ledger, tmp_path: Path) -> None:
    """No server has to run: the export does what a projector would, and says how far."""
    company = await own.create_company("Alone")
    await submit(own, company, create())

    (written,) = await export(own, company, ["transitions"], tmp_path)

    assert written.rows == 1
    assert written.as_of == await log.head(own.readers, company)


@needs_pyarrow
async def test_a_company_may_go_on_meanwhile(own: Ledger, tmp_path: Path) -> None:
    """The log's views are cut at the position that they state; others say how far it went on."""
    company = await own.create_company("Busy")
    await submit(own, company, *(create(f"Issue {n}") for n in range(20)))
    stop = asyncio.Event()

    async def go_on() -> None:
        while not stop.is_set():
            await submit(own, company, create("Meanwhile"))

    going_on = asyncio.create_task(go_on())
    written = {w.view: w for w in await export(own, company, list(VIEWS), tmp_path, page=2)}
    stop.set()
    await going_on

    for view in ("activity", "costs", "transitions"):
        assert written[view].as_of == written[view].until
    found = read(written["activity"].path).to_pylist()
    assert [row["position"] for row in found] == [*range(1, written["activity"].as_of + 1)]
    issues = read(written["issues"].path).to_pylist()
    assert len({row["issue_id"] for row in issues}) == len(issues) >= 20
    assert written["issues"].as_of <= written["issues"].until


@needs_pyarrow
async def test_an_empty_view_is_a_file_too(own: Ledger, tmp_path: Path) -> None:
    """With its columns and no rows."""
    company = await own.create_company("Empty")

    written = await export(own, company, ["issues", "runs"], tmp_path)

    assert [w.rows for w in written] == [0, 0]
    assert "identifier" in read(tmp_path / "issues.parquet").column_names


@needs_pyarrow
async def test_an_older_file_stays_until_a_newer_one_is_whole(
    own: Ledger, acme: str, tmp_path: Path
) -> None:
    """Interrupted, an export leaves what was there, and nothing half-written."""
    await export(own, acme, ["activity"], tmp_path)
    before = (tmp_path / "activity.parquet").read_bytes()

    exporting = asyncio.create_task(export(own, acme, ["activity"], tmp_path, page=1))

    async def is_under_way() -> bool:
        return len(os.listdir(tmp_path)) == 2 or exporting.done()

    await eventually(is_under_way)
    exporting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await exporting
    assert (tmp_path / "activity.parquet").read_bytes() == before
    assert os.listdir(tmp_path) == ["activity.parquet"]


@needs_pyarrow
async def test_a_folder_that_cannot_be_written_to_is_refused(
    own: Ledger, acme: str, tmp_path: Path
) -> None:
    """In one sentence that names the file; the folder is a file here."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(ExportRefused, match=r"Cannot write .*issues\.parquet"):
        await export(own, acme, ["issues"], tmp_path / "taken")


# ── plans ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("view", VIEWS)
async def test_a_page_reaches_an_index(own: Ledger, acme: str, view: str) -> None:
    """The end of a page is found by its key, and a page reads what lies between two keys."""
    paged = VIEWS[view]
    low, high = ([bound[n] for bound in paged.bounds] for n in (0, 1))
    cut = [10] if paged.is_log else []
    async with superuser(own.url) as connection:
        await connection.execute("SET ROLE ledger_app; SET enable_seqscan = off")
        for statement, given in (
            (f"end_{view}", [acme, *low, 10]),
            (f"page_{view}", [acme, *low, *high, *cut]),
        ):
            text = getattr(parquet._SQL, statement)
            for n, value in reversed([*enumerate(given, 1)]):
                text = text.replace(f"${n}", f"'{value}'")
            plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {text}"))
            for table in ("issues", "activity", "cost_entries", "runs", "leases"):
                assert f"Seq Scan on {table} " not in plan, plan


# ── the command line ───────────────────────────────────────────────────────────────────


def shell(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs `ledger export-parquet …` to its end."""
    return subprocess.run(
        [str(LEDGER), "export-parquet", *map(str, words)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


@needs_pyarrow
async def test_the_command_writes_the_files(own: Ledger, acme: str, tmp_path: Path) -> None:
    """All views, or those that are named; --json says what was written."""
    at = ("--company", acme, "--output", tmp_path, "--database-url", own.url)
    ran = shell(*at, "--json")
    assert ran.returncode == 0, ran.stderr
    assert [file["view"] for file in json.loads(ran.stdout)] == list(VIEWS)
    assert set(os.listdir(tmp_path)) == {f"{view}.parquet" for view in VIEWS}

    plain = shell(*at, "--view", "runs", "--view", "runs")
    assert plain.stdout.count("\n") == 1
    assert "runs.parquet" in plain.stdout
    nobody = shell("--company", "01890000-0000-7000-8000-000000000000", *at[2:])
    assert (nobody.returncode, nobody.stderr.count("\n")) == (1, 1)


async def test_a_view_that_there_is_not_is_a_wrong_command_line(own: Ledger, acme: str) -> None:
    """The answer lists those that there are."""
    ran = shell("--company", acme, "--output", "x", "--view", "wages", "--database-url", own.url)

    assert ran.returncode == 2
    assert "cycle_time" in ran.stderr


@pytest.mark.skipif(HAS_PYARROW, reason="pyarrow is installed")
async def test_without_pyarrow_the_command_says_how_to_install_it(
    own: Ledger, acme: str, tmp_path: Path
) -> None:
    """One line, exit code 1, and no file."""
    ran = shell("--company", acme, "--output", tmp_path / "x", "--database-url", own.url)

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "ledger: Parquet needs pyarrow: pip install 'issue-ledger[parquet]'\n"
    assert not (tmp_path / "x").exists()
