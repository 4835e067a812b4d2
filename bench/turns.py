"""Alternating turns: whatever else the machine does meets both sides alike."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from statistics import median

Turn = Callable[[], Awaitable[float]]
"""One turn of one side; what it returns is what was measured."""


async def medians(turns: int, *sides: Turn) -> list[float]:
    """The median of each side's turns; the sides go in this order, then in the other, and so on.

    A turn of each comes first and does not count: it warms caches, plans and pools.
    """
    gc.collect()
    for side in sides:
        await side()
    took: list[list[float]] = [[] for _ in sides]
    order = list(range(len(sides)))
    for _ in range(turns):
        for place in order:
            took[place].append(await sides[place]())
        order.reverse()
    return [median(each) for each in took]
