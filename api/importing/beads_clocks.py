"""Whether the history and the rows of an export go by the same clock.

Some versions of Beads write the history in local time and call it UTC, while rows are in UTC.
Then every issue is created, by its history, the same number of hours before its row says so.
Nobody can tell for certain, so times are taken as they are written, and this is only told: an
event and a row that are hours apart may have been one moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta

from api.importing.beads_rows import EventRow, IssueRow
from api.importing.report import Oddities

_QUARTER = timedelta(minutes=15)
_ROUNDING = timedelta(seconds=5)
_MOST_QUARTERS = 14 * 4
"""No place on Earth is further from UTC."""


def compare_clocks(
    rows: Mapping[str, IssueRow], history: Mapping[str, Sequence[EventRow]], oddities: Oddities
) -> None:
    """Remarks on the issues whose two creations are as far apart as those of most others."""
    found = {issue: lag for issue in rows if (lag := _lag(rows[issue], history[issue])) is not None}
    lag, count = Counter(found.values()).most_common(1)[0] if found else (timedelta(), 0)
    if not lag or 2 * count <= len(found):
        return
    hours = f"{abs(lag) / timedelta(hours=1):g} h {'behind' if lag > timedelta() else 'ahead of'}"
    detail = f"The history's clock is {hours} the rows'; all times are taken as they are written."
    for issue, its in found.items():
        if its == lag:
            oddities.note("history_clock", issue, detail)


def _lag(row: IssueRow, history: Sequence[EventRow]) -> timedelta | None:
    """The difference between an issue's two creations, if it is one that a time zone makes."""
    if not history or history[0].type != "created" or not history[0].at or not row.created_at:
        return None
    difference = row.created_at - history[0].at
    quarters = round(difference / _QUARTER)
    if abs(quarters) > _MOST_QUARTERS or abs(difference - quarters * _QUARTER) > _ROUNDING:
        return None
    return quarters * _QUARTER
