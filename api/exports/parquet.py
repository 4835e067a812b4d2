"""The analysts' views of a company as Parquet files, for tools that do not speak to Postgres.

Rows are read page by page, each in a short statement of its own, so that no snapshot stays open
and no more than a page is in memory. So a file is not of one moment, and says so: its metadata has
the position that it was begun at, and the one at which it was done. What is a part of the log
(activity, costs, transitions) is cut at the first of them and exact; of the others a row is as it
was at some position between the two.

pyarrow is large, and comes with the extra `parquet` alone.
"""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from api.exports.parquet_file import ParquetFile, Unwritable, schema_of
from api.wiring import FOLLOWING, Ledger
from ledger import log
from ledger.sql import beside
from projections.projector import step

_SQL = beside(__file__)
PAGE = 5000
"""Rows that are read at once, and are a row group of the file."""

_FOLLOWED = [model for model in FOLLOWING if model.name in ("activity", "costs")]
"""The models behind the views that follow the log."""

_ID = ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff")
_NUMBER = (0, 2**63 - 1)


@dataclass(frozen=True, slots=True)
class _View:
    """How a view is paged: its key's columns, what is before and after all keys; if it is log."""

    key: tuple[str, ...]
    bounds: tuple[tuple[Any, Any], ...]
    is_log: bool = False


VIEWS = {
    "issues": _View(("issue_id",), (_ID,)),
    "activity": _View(("position",), (_NUMBER,), is_log=True),
    "costs": _View(("position",), (_NUMBER,), is_log=True),
    "runs": _View(("run_id",), (_ID,)),
    "leases": _View(("issue_id", "fencing_token"), (_ID, _NUMBER)),
    "transitions": _View(("issue_id", "position"), (_ID, _NUMBER), is_log=True),
    "cycle_time": _View(("issue_id",), (_ID,)),
}
"""The views there are to export, by name."""


class ExportRefused(Exception):
    """Nothing can be exported, and what to do about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A file that was written: `as_of` is where it began, `until` where the log was at its end."""

    view: str
    path: Path
    rows: int
    as_of: int
    until: int

    def to_json(self) -> dict[str, Any]:
        """What the command line shows."""
        return {
            "view": self.view,
            "path": str(self.path),
            "rows": self.rows,
            "as_of_position": self.as_of,
            "until_position": self.until,
        }


def refuse_without_pyarrow() -> None:
    """Raises ExportRefused, with the line that installs it, where pyarrow is not there."""
    if importlib.util.find_spec("pyarrow") is None:
        raise ExportRefused("Parquet needs pyarrow: pip install 'issue-ledger[parquet]'")


async def export(
    ledger: Ledger,
    company_id: str,
    views: Sequence[str],
    folder: Path,
    *,
    page: int = PAGE,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Written]:
    """Writes a file for each view, replacing older ones of the same names when it is complete.

    Raises ExportRefused without pyarrow, or for a folder that cannot be written to.
    """
    refuse_without_pyarrow()
    written = []
    for done, view in enumerate(views):
        progress(done, len(views))
        try:
            written.append(await _export(ledger, company_id, view, folder, page))
        except Unwritable as error:
            raise ExportRefused(f"Cannot write {folder / view}.parquet: {error}.") from None
    progress(len(views), len(views))
    return written


async def _export(ledger: Ledger, company_id: str, view: str, folder: Path, page: int) -> Written:
    as_of = await _caught_up(ledger, company_id)
    columns = await ledger.readers.fetch(_SQL.columns, view)
    schema = schema_of(
        columns,
        {
            "ledger.company_id": company_id,
            "ledger.view": view,
            "ledger.comment": columns[0]["view_comment"],
            "ledger.as_of_position": str(as_of),
        },
    )
    file = ParquetFile(folder / f"{view}.parquet", schema)
    try:
        async for rows in _pages(ledger, company_id, view, as_of, page):
            file.add(rows)
        until = as_of if VIEWS[view].is_log else await log.head(ledger.readers, company_id) or 0
        file.finish({"ledger.until_position": str(until)})
    finally:
        file.discard()
    return Written(view=view, path=file.path, rows=file.rows, as_of=as_of, until=until)


async def _pages(
    ledger: Ledger, company_id: str, view: str, as_of: int, page: int
) -> AsyncIterator[list[asyncpg.Record]]:
    """The rows of a view in the order of its key."""
    paged = VIEWS[view]
    after = tuple(low for low, _ in paged.bounds)
    last = tuple(high for _, high in paged.bounds)
    cut = (as_of,) if paged.is_log else ()
    while True:
        end = await ledger.readers.fetchrow(
            getattr(_SQL, f"end_{view}"), company_id, *after, page - 1
        )
        to = last if end is None else tuple(end.values())
        rows = await ledger.readers.fetch(
            getattr(_SQL, f"page_{view}"), company_id, *after, *to, *cut
        )
        if rows:
            yield rows
        if end is None:
            return
        after = to


async def _caught_up(ledger: Ledger, company_id: str) -> int:
    """The log's head, when what follows it has come so far; moved there as a projector would."""
    head = await log.head(ledger.readers, company_id) or 0
    async with ledger.readers.acquire() as connection:
        for model in _FOLLOWED:
            while await step(connection, model, company_id, until=head):
                pass
    return head
