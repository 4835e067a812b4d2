"""The query parameters that `/v1` takes, as pydantic models; an unknown one is a 422."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from api.wire import Day, Id, Moment, Ref, Short, Wire
from ledger.codec import MAX_INT

Limit = Annotated[int, Field(ge=1, le=200)]
Consistency = Literal["strong", "eventual"]
Month = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")]
IssueOrder = Literal["newest", "oldest", "priority", "updated", "sort_order"]


class CommandQuery(Wire):
    """Whether the command is only tried: nothing is kept, and the events are shown."""

    dry_run: bool = False


class PageQuery(Wire):
    """How much, and from where on."""

    limit: Limit = 50
    cursor: Annotated[str, StringConstraints(max_length=400)] | None = None


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


class PrefixQuery(Wire):
    """How much of the log a question is answered from; all of it, unless said otherwise."""

    at: Moment | None = Field(None, description="as recorded by this time")
    at_position: Annotated[int, Field(ge=0, le=MAX_INT)] | None = Field(
        None, description="as of this position of the log"
    )


class MomentQuery(PrefixQuery):
    """As of when a question is answered; now, unless said otherwise."""

    occurred_at: Moment | None = Field(
        None,
        description="what had happened by this time, whenever it was recorded: of all that is "
        "recorded at each page, for it may be told late",
    )
    consistency: Consistency = Field(
        "strong", description="`eventual` does not wait for what was acknowledged just now"
    )

    @property
    def is_of_then(self) -> bool:
        """Whether another moment than now is asked for."""
        return (self.at, self.at_position, self.occurred_at) != (None, None, None)


class IssueQuery(MomentQuery):
    """One issue: as of when, and with what around it."""

    expand: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        None,
        description="comma-separated: ancestors, sub_issues, comments, links, runs, labels, "
        "assignee, team, project, goal, milestone, budget",
    )


class IssueFilterQuery(MomentQuery):
    """Which issues. `status` and `priority` take several words, comma-separated."""

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
    created_since: Moment | None = None
    created_until: Moment | None = Field(None, description="before this time")
    updated_since: Moment | None = None
    updated_until: Moment | None = Field(None, description="before this time")
    q: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = Field(
        None,
        description='words of titles, descriptions and comments as they are now; `"a phrase"`, '
        "`-without`, `this or that`",
    )


class IssuesQuery(PageQuery, IssueFilterQuery):
    """Issues in an order; a walk from cursor to cursor is of one moment."""

    order: IssueOrder = Field("newest", description="`oldest`: by age; `updated`: the last changed")


class BoardQuery(IssueFilterQuery):
    """A board: the first issues of each status."""

    order: IssueOrder = "priority"
    limit: Annotated[int, Field(ge=0, le=100, description="of each status")] = 20


class ActivityFilterQuery(MomentQuery):
    """Which activity, and as of when."""

    issue_id: Ref | None = None
    project_id: Ref | None = Field(
        None,
        description="what happened in this project: to itself, to its milestones, and to the "
        "issues that were in it then; an issue's move into it, and its move out of it",
    )
    actor: Annotated[str, StringConstraints(max_length=210)] | None = Field(
        None, description="`agent:ID`, `user:ID` or `system:ID`: what they did, or had done"
    )
    run_id: Id | None = None
    type: Annotated[str, StringConstraints(max_length=500)] | None = Field(
        None, description="event types, comma-separated; `issue.*` stands for all that begin so"
    )
    subject_type: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        None, description="what it happened to, comma-separated: issue, run, project, agent, …"
    )
    since: Moment | None = Field(None, description="happened then or later")
    until: Moment | None = Field(None, description="happened before then")


class ActivityQuery(PageQuery, ActivityFilterQuery):
    """Activity, by position."""

    order: Literal["newest", "oldest"] = Field("newest", description="what comes first")


class ActivityExportQuery(ActivityFilterQuery):
    """Activity as a file, oldest first, up to the position at which the export began."""

    format: Literal["ndjson", "csv", "cloudevents"] | None = Field(
        None, description="without it, what `Accept` would rather have; else ndjson"
    )


_COSTS_HAPPENED = (
    "what had happened by this time, whenever it was recorded; a correction happens when it is "
    "made, so before that the wrong amount stands here, while a day's sums of now are right"
)


class CostFilterQuery(MomentQuery):
    """Which costs. `since` and `until` are UTC days, both included; a correction is told of on the
    day of the report that it corrects.
    """

    occurred_at: Moment | None = Field(None, description=_COSTS_HAPPENED)
    issue_id: Ref | None = None
    run_id: Id | None = None
    agent_id: Ref | None = None
    team_id: Ref | None = Field(None, description="the issue's team when it was reported")
    project_id: Ref | None = Field(None, description="the issue's project when it was reported")
    provider: Short | None = None
    model: Short | None = None
    since: Day | None = None
    until: Day | None = None


class CostsQuery(PageQuery, CostFilterQuery):
    """Cost reports and their corrections, newest first."""


class CostSumsQuery(CostFilterQuery):
    """Costs, summed by any of day, agent, team, project, issue, run, provider and model."""

    group_by: Annotated[str, StringConstraints(max_length=100)] = Field(
        "", description="comma-separated: day, agent, team, project, issue, run, provider, model"
    )
    interval: Literal["day", "week", "month"] = Field(
        "day", description="what a `day` stands for: itself, or a week or month that begins with it"
    )


class CostExportQuery(CostFilterQuery):
    """Costs as a file, oldest first, up to the position at which the export began."""

    format: Literal["focus"] = Field(
        "focus",
        description="FOCUS 1.2, as CSV or NDJSON, whichever `Accept` prefers; else CSV. A row is a "
        "report, or the difference that a correction makes. Money is in dollars with six places; "
        "tokens are together in ConsumedQuantity, by kind in x_InputTokens, x_OutputTokens and "
        "x_CachedTokens. BillingAccountId is the company, SubAccountId the project, ResourceId the "
        "run, SkuId the model; Tags name issue, agent, team and project. ChargePeriod is the day "
        "of the report, BillingPeriod the month in which it was recorded; ChargeClass is "
        "`Correction` where a correction is of a former billing period.",
    )


class FinishedCostsQuery(MomentQuery):
    """What issues cost that were finished, which is done or closed, in these UTC days.

    As of a moment: those that were finished then, as they were then, and what was known of their
    costs.
    """

    occurred_at: Moment | None = Field(None, description=_COSTS_HAPPENED)
    group_by: Literal["agent", "team", "project", "day", "month"] | None = Field(
        None, description="the agent is who worked on it last; day and month are of its finish"
    )
    agent_id: Ref | None = None
    team_id: Ref | None = None
    project_id: Ref | None = None
    since: Day | None = None
    until: Day | None = None


class BudgetQuery(PrefixQuery):
    """A calendar month, in UTC: what the limit was at a moment, and what was spent by then."""

    month: Month | None = Field(
        None, description="this one, or that of the moment, unless said otherwise"
    )


class BudgetsQuery(PageQuery, BudgetQuery):
    """Budgets of a month."""


class EventsQuery(Wire):
    """The log itself, oldest first, after a position.

    A page may be short, or empty, and yet have a `next_cursor`: a filter goes along a stretch of
    the log at a time. Without one, all up to `as_of_position` was looked at: go on after that.
    """

    after: Annotated[int, Field(ge=0, le=MAX_INT)] = Field(
        0, description="a position; of a stream, `Last-Event-ID` wins over it"
    )
    cursor: Annotated[int, Field(ge=0, le=MAX_INT, description="the same as `after`")] = 0
    limit: Limit = Field(50, description="of a page; a stream has no end")
    wait: Annotated[int, Field(ge=0, le=30)] = Field(
        0, description="when there is nothing yet, wait for so many seconds until there is"
    )
    issue_id: Ref | None = Field(None, description="the issue's own events, not those of its runs")
    run_id: Id | None = Field(
        None, description="events of the run, done in it, or that name it, such as its checkout"
    )
    actor: Annotated[str, StringConstraints(max_length=210)] | None = Field(
        None, description="`agent:ID`, `user:ID` or `system:ID`, who did it or for whom it was done"
    )
    type: Annotated[str, StringConstraints(max_length=500)] | None = Field(
        None, description="comma-separated; `issue.*` is every type that begins with `issue.`"
    )
    since: Moment | None = Field(None, description="recorded then or later")
    until: Moment | None = Field(None, description="recorded before; a stream takes none")
