"""The query parameters of what is told about the past of one issue, as pydantic models.

All of it is read from the log itself, so `consistency` makes no difference there.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from api.asked import MomentQuery, PageQuery
from api.wire import Moment, Ref, Wire


class HistoryQuery(PageQuery, MomentQuery):
    """What changed about an issue.

    A page may be short, or empty, and yet have a `next_cursor`: it looks at so much at a time.
    """

    field: Annotated[str, StringConstraints(max_length=500)] | None = Field(
        None, description="comma-separated fields"
    )
    since: Moment | None = Field(None, description="happened then or later")
    until: Moment | None = Field(None, description="happened before")
    order: Literal["newest", "oldest"] = Field("newest", description="what comes first")


class DiffQuery(Wire):
    """The two moments between which an issue is compared: positions of the log, or times."""

    from_: Annotated[str, StringConstraints(max_length=40)] = Field(
        "0", alias="from", description="a position, or a time of recording (RFC 3339)"
    )
    to: Annotated[str, StringConstraints(max_length=40)] | None = Field(
        None, description="a position, or a time of recording; now without it"
    )


class ExplainQuery(MomentQuery):
    """Which field of which issue, and as of when."""

    issue: Ref = Field(description="its id or identifier, be it deleted")
    field: Annotated[str, StringConstraints(max_length=100)] = Field(
        description="a field of the issue, such as `status`"
    )
