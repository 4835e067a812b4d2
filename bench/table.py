"""What was measured, as a table: each row a figure of ours beside what it is measured against."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Row(NamedTuple):
    """A figure of ours, what it is measured against, and what their ratio should be.

    `unit` is of both figures: `ms`, or `/s` with what is counted. `aim` reads `≥ 0.5` or `≤ 2`;
    empty where nothing is aimed at.
    """

    what: str
    ours: float
    beside: float
    unit: str
    aim: str = ""

    @property
    def ratio(self) -> float:
        """Ours ÷ what it is measured against."""
        return self.ours / self.beside

    @property
    def meets(self) -> bool:
        """Whether the ratio is what is aimed at."""
        bound = float(self.aim[1:]) if self.aim else 0.0
        return self.ratio <= bound if self.aim.startswith("≤") else self.ratio >= bound


def table(title: str, beside: str, rows: Iterable[Row]) -> str:
    """The rows as Markdown under a title; `beside` says what the second figure is."""
    cells = [
        (one.what, _figure(one.ours), _figure(one.beside), one.unit, f"{one.ratio:.2f}", _aim(one))
        for one in rows
    ]
    heads = ("what", "the ledger", beside, "unit", "ratio", "aim")
    wide = [max(len(line[n]) for line in (heads, *cells)) for n in range(len(heads))]
    rule = [
        ("-" * width if n in (0, 3) else "-" * (width - 1) + ":") for n, width in enumerate(wide)
    ]
    lines = [_line(heads, wide), _line(rule, wide), *(_line(line, wide) for line in cells)]
    return "\n".join((f"### {title}", "", *lines, ""))


def _line(cells: Iterable[str], wide: list[int]) -> str:
    padded = (
        cell.ljust(width) if n in (0, 3) else cell.rjust(width)
        for n, (cell, width) in enumerate(zip(cells, wide, strict=True))
    )
    return f"| {' | '.join(padded)} |"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _aim(row: Row) -> str:
    if not row.aim:
        return ""
    return f"{row.aim} {'met' if row.meets else 'missed'}"
