"""What a cost consists of, and how much an event adds to it: a correction adds the difference.

So whoever adds up what is added has the sums as they are now, and of any part of the log as they
were by then.
"""

from __future__ import annotations

from typing import Any

from ledger.events import CostCorrected, CostReported

AMOUNTS = ("input_tokens", "output_tokens", "cached_tokens", "cost_micros")
"""Tokens by kind, and micro-dollars."""


def amounts_of(told: Any) -> tuple[int, int, int, int]:
    """The amounts of whatever has all of them."""
    return (told.input_tokens, told.output_tokens, told.cached_tokens, told.cost_micros)


def added_by(event: CostReported | CostCorrected) -> tuple[int, int, int, int]:
    """What the sums grow by, below zero where too much had been reported."""
    if isinstance(event, CostReported):
        return amounts_of(event)
    return (
        event.input_tokens - event.from_input_tokens,
        event.output_tokens - event.from_output_tokens,
        event.cached_tokens - event.from_cached_tokens,
        event.cost_micros - event.from_cost_micros,
    )
