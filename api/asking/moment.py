"""As of when a question is answered: now, or as the log was, or as the world was.

`at_position=N` is the log's first N events; `at=T` is as many of them as were recorded by T, which
is a prefix too, because time in a company's log never runs backwards. `occurred_at=T` takes, of all
that is recorded now, what is said to have happened by T: an import tells today what happened then.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from api import asked as a
from api.auth import Caller
from api.context import Api
from ledger import log
from ledger.errors import Invalid


class Moment(NamedTuple):
    """The prefix of the log that an answer is from, and what of it had happened by when."""

    position: int
    occurred_at: datetime | None = None
    is_now: bool = True


async def moment_of(api: Api, caller: Caller, asked: a.MomentQuery, model: str) -> Moment:
    """The moment that a query asks for, which a following read model has reached.

    Raises Invalid for two moments at once and for a position that is still to come, ReadModelBehind
    when the model does not get there.
    """
    _refuse_two_moments(asked)
    position = await _prefix(api, caller, asked)
    if position is not None:
        await api.queries.freshness.wait_for(caller.company_id, model, until=position)
        return Moment(position, is_now=False)
    reached = await reached_by(api, caller, model, asked.consistency)
    return Moment(reached, asked.occurred_at, is_now=asked.occurred_at is None)


async def prefix_of(api: Api, caller: Caller, asked: a.PrefixQuery, *models: str) -> int | None:
    """The length of the part of the log that is asked for, reached by the models; None for all.

    Raises as `moment_of`.
    """
    _refuse_two_moments(asked)
    position = await _prefix(api, caller, asked)
    if position is not None:
        for model in models:
            await api.queries.freshness.wait_for(caller.company_id, model, until=position)
    return position


async def moment_in_log(api: Api, caller: Caller, asked: a.MomentQuery) -> Moment:
    """The moment that a query of the log itself asks for; nobody is waited for.

    Raises Invalid for two moments at once and for a position that is still to come.
    """
    _refuse_two_moments(asked)
    position = await _prefix(api, caller, asked)
    if position is not None:
        return Moment(position, is_now=False)
    head = await api.queries.freshness.head(caller.company_id)
    return Moment(head, asked.occurred_at, is_now=asked.occurred_at is None)


def _refuse_two_moments(asked: a.PrefixQuery) -> None:
    names = ("at", "at_position", "occurred_at")
    given = [name for name in names if getattr(asked, name, None) is not None]
    if len(given) > 1:
        raise Invalid(f"Ask for one moment, not for {' and '.join(given)}.", pointer=f"/{given[1]}")


async def _prefix(api: Api, caller: Caller, asked: a.PrefixQuery) -> int | None:
    """The length of the part of the log that is asked for; None for all of it."""
    if asked.at is not None:
        return await log.position_at(api.queries.pool, caller.company_id, asked.at)
    if asked.at_position is not None:
        head = await api.queries.freshness.head(caller.company_id)
        if asked.at_position > head:
            raise Invalid(
                f"The log ends at position {head}; {asked.at_position} is still to come.",
                pointer="/at_position",
            )
    return asked.at_position


async def reached_by(api: Api, caller: Caller, model: str, consistency: a.Consistency) -> int:
    """The position that a following model answers as of: the head of now, unless `eventual`."""
    if consistency == "eventual":
        return await api.queries.freshness.position(caller.company_id, model)
    return await api.queries.freshness.wait_for(caller.company_id, model)
