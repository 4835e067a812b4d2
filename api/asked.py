"""The query parameters that `/v1` takes, as pydantic models; an unknown one is a 422."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from api.wire import Day, Id, Moment, Ref, Short, Wire
from ledger.codec import MAX_INT

Limit = Annotated[int, Field(ge=1, le=200)]
Consistency = Literal["strong", "eventual"]


class CommandQuery(Wire):
    """Whether the command is only tried: nothing is kept, and the events are shown."""

    dry_run: bool = False


class PageQuery(Wire):
    """How much, and from where on."""

    limit: Limit = 50
    cursor: Annotated[str, StringConstraints(max_length=200)] | None = None


class EntriesQuery(PageQuery):
    """Entries of the directory, newest first."""

    archived: bool = False


class KeysQuery(PageQuery):
    """API keys, newest first."""

    revoked: bool = False


class EntryQuery(Wire):
    """Whether an archived entry is wanted too."""

    archived: bool = False


class KeyQuery(Wire):
    """Whether a revoked key is wanted too."""

    revoked: bool = False


class IssuesQuery(PageQuery):
    """Issues, newest first. `status` and `priority` take several words, comma-separated."""

    status: Annotated[str, StringConstraints(max_length=200)] | None = None
    priority: Annotated[str, StringConstraints(max_length=100)] | None = None
    assignee: Annotated[str, StringConstraints(max_length=210)] | None = Field(
        None, description="`agent:ID`, `user:ID` or `none`"
    )
    team_id: Ref | None = None
    project_id: Ref | None = None
    goal_id: Ref | None = None
    milestone_id: Ref | None = None
    parent_id: Ref | None = Field(None, description="an id, an identifier or `none`")
    label: Ref | None = None
    external_ref: Annotated[str, StringConstraints(max_length=601)] | None = Field(
        None, description="`system:id`", pattern="^[^:]+:.+$"
    )


class MomentQuery(Wire):
    """As of when a question is answered; now, unless said otherwise."""

    at: Moment | None = Field(None, description="as recorded by this time")
    at_position: Annotated[int, Field(ge=0, le=MAX_INT)] | None = Field(
        None, description="as of this position of the log"
    )
    occurred_at: Moment | None = Field(
        None, description="what had happened by this time, whenever it was recorded"
    )
    consistency: Consistency = Field(
        "strong", description="`eventual` does not wait for what was acknowledged just now"
    )


class FollowingQuery(PageQuery, MomentQuery):
    """A page of a read model that follows the log."""


class ActivityQuery(FollowingQuery):
    """Activity, newest first. `type` takes several event types, comma-separated."""

    issue_id: Ref | None = None
    actor: Annotated[str, StringConstraints(max_length=210)] | None = None
    run_id: Id | None = None
    type: Annotated[str, StringConstraints(max_length=500)] | None = None
    since: Moment | None = None
    until: Moment | None = None


class CostsQuery(FollowingQuery):
    """Cost reports, newest first. `since` and `until` are UTC days, both included."""

    issue_id: Ref | None = None
    agent_id: Ref | None = None
    project_id: Ref | None = None
    provider: Short | None = None
    model: Short | None = None
    since: Day | None = None
    until: Day | None = None


class CostSumsQuery(MomentQuery):
    """Costs, summed by any of day, agent, project, issue, provider, model (comma-separated)."""

    group_by: Annotated[str, StringConstraints(max_length=100)] = ""
    issue_id: Ref | None = None
    agent_id: Ref | None = None
    project_id: Ref | None = None
    provider: Short | None = None
    model: Short | None = None
    since: Day | None = None
    until: Day | None = None


class EventsQuery(Wire):
    """The log itself, oldest first, after a position."""

    after: Annotated[int, Field(ge=0, le=MAX_INT)] = 0
    cursor: Annotated[int, Field(ge=0, le=MAX_INT, description="the same as `after`")] = 0
    limit: Limit = 50
    issue_id: Ref | None = None
    type: Annotated[str, StringConstraints(max_length=500)] | None = None
