"""The shapes of replies, as pydantic models, for the OpenAPI document.

They are never filled: `views.py` makes the JSON itself, because a model between state and
bytes costs more than the command. A test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from api import wire as w


class View(BaseModel):
    """What every reply model is: exactly these fields."""

    model_config = ConfigDict(extra="forbid")


class HolderView(View):
    """The agent and run at work on an issue."""

    agent_id: str
    run_id: str
    since: datetime
    expires_at: datetime
    fencing_token: int


class IssueView(View):
    """An issue. `description` is there on GET, and where it was set; `expanded` if asked."""

    id: str
    identifier: str
    version: int
    title: str
    description: str | None = None
    status: w.Status
    priority: w.Priority
    assignee: str | None
    holder: HolderView | None
    run_id: str | None
    paused_at: datetime | None
    run_count: int
    per_task_micros: int | None
    team_id: str | None
    project_id: str | None
    goal_id: str | None
    milestone_id: str | None
    parent_id: str | None
    label_ids: list[str]
    due_at: datetime | None
    estimate: int | None
    sort_order: str | None
    billing_code: str | None
    external_ref: w.ExternalRef | None
    comment_count: int
    created_at: datetime
    created_by: str
    updated_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    expanded: ExpandedView | None = None
    as_of_position: int | None = None


class EntryView(View):
    """What every entry of the directory has."""

    id: str
    version: int
    name: str
    slug: str
    archived_at: datetime | None
    created_at: datetime
    created_by: str
    updated_at: datetime


class UserView(EntryView):
    """A person."""

    email: str | None


class AgentView(EntryView):
    """An AI agent."""

    description: str | None
    paused_at: datetime | None
    monthly_micros: int | None


class TeamView(EntryView):
    """A team."""

    description: str | None
    issue_prefix: str
    lead_agent_id: str | None
    agent_ids: list[str]


class ProjectView(EntryView):
    """A project."""

    description: str | None
    target_date: date | None
    agent_ids: list[str]


class GoalView(EntryView):
    """A goal."""

    description: str | None
    target_date: date | None


class MilestoneView(EntryView):
    """A milestone."""

    description: str | None
    target_date: date | None
    project_id: str | None


class LabelView(EntryView):
    """A label."""

    description: str | None
    color: str | None


class RoutineView(EntryView):
    """A routine."""

    description: str | None
    instructions: str | None


class CompanyView(View):
    """A company."""

    id: str
    version: int
    name: str
    workflow: str
    issue_prefix: str
    monthly_micros: int | None
    created_at: datetime
    updated_at: datetime


class KeyView(View):
    """An API key, without its secret."""

    id: str
    version: int
    role: w.RoleText
    actor: str
    name: str | None
    revoked_at: datetime | None
    created_at: datetime
    created_by: str


class NewKeyView(KeyView):
    """An API key with its secret, which is shown this once; null in a replayed reply."""

    key: str | None


class CommentView(View):
    """A comment."""

    id: str
    issue_id: str
    author: str
    body: str
    created_at: datetime
    edited_at: datetime | None


class LinkView(View):
    """A link, as it is kept: `issue_id` is `link_type` `target_id`."""

    id: str
    issue_id: str
    link_type: str
    target_id: str
    created_at: datetime
    created_by: str


class RunView(View):
    """One attempt at an issue by one agent, with the sum of what it reported.

    Its last `checkpoint` is there on GET of the run alone.
    """

    id: str
    version: int
    issue_id: str
    agent_id: str
    status: str
    started_at: datetime
    paused_at: datetime | None
    ended_at: datetime | None
    exit_reason: str | None
    exit_details: str | None
    progress_message: str | None
    progress_percent: int | None
    progressed_at: datetime | None
    checkpointed_at: datetime | None
    workspace_url: str | None
    checkpoint: Any = None
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_micros: int


class LeaseView(View):
    """One time for which a run held its issue."""

    fencing_token: int
    run_id: str
    agent_id: str
    lease_seconds: int
    acquired_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    ended_by: str | None


class BudgetView(View):
    """What may be spent, what was, and what is left, in micro-dollars; of an issue at all."""

    month: str | None
    limit_micros: int | None
    spent_micros: int
    remaining_micros: int | None
    is_exceeded: bool
    as_of_position: int


class NextView(View):
    """What an agent should work on next, and why that, or why nothing."""

    issue: IssueView | None
    reasons: list[str]
    as_of_position: int


class PlannedEventView(View):
    """An event that would be appended."""

    type: str
    stream_id: str
    version: int
    data: dict[str, Any]


class DryRunView(View):
    """What a command would do: the events, and the resource as it would be."""

    dry_run: bool
    events: list[PlannedEventView]
    resource: dict[str, Any]


class SubIssuesView(View):
    """The issues right below an issue: how many, and the first of them."""

    count: int
    count_by_status: dict[str, int]
    items: list[IssueView]


class FirstView(View):
    """The first of a list; it goes on at the route of its own."""

    items: list[dict[str, Any]]
    next_cursor: str | None


class ExpandedView(View):
    """What is around an issue, as far as it was asked for."""

    ancestors: list[IssueView] | None = None
    sub_issues: SubIssuesView | None = None
    comments: FirstView | None = None
    links: FirstView | None = None
    runs: FirstView | None = None
    labels: list[LabelView] | None = None
    assignee: dict[str, Any] | None = None
    team: TeamView | None = None
    project: ProjectView | None = None
    goal: GoalView | None = None
    milestone: MilestoneView | None = None
    budget: dict[str, Any] | None = None


class ColumnView(View):
    """The first issues of a status, how many there are, and the list of all of them."""

    status: w.Status
    count: int
    items: list[IssueView]
    all: str


class BoardView(View):
    """Issues by status, as of one moment."""

    columns: list[ColumnView]
    as_of_position: int


class ActivityView(View):
    """One event as activity: a sentence for people, changes for machines."""

    position: int
    event_id: str
    type: str
    subject_type: str
    subject_id: str
    issue_id: str | None
    project_id: str | None
    former_project_id: str | None
    actor: str
    on_behalf_of: str | None
    via: str
    key_id: str | None
    run_id: str | None
    command_id: str
    at: datetime
    recorded_at: datetime
    sentence: str
    changes: list[dict[str, Any]]


class CostEntryView(View):
    """One cost report; or a correction of one, which tells the difference that it makes.

    `day` is the UTC day of the report, also of its corrections.
    """

    position: int
    corrects_position: int | None
    day: date
    at: datetime
    run_id: str
    issue_id: str
    agent_id: str
    team_id: str | None
    project_id: str | None
    provider: str
    model: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_micros: int


class CostSumView(View):
    """A sum of cost reports as they are corrected, with the groups that were asked for.

    `rework_micros` is the part of `cost_micros` that runs cost whose work must be done again: that
    failed, or from which their issue was taken.
    """

    day: date | None = None
    agent_id: str | None = None
    team_id: str | None = None
    project_id: str | None = None
    issue_id: str | None = None
    run_id: str | None = None
    provider: str | None = None
    model: str | None = None
    reports: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_micros: int
    rework_micros: int


class FinishedCostView(View):
    """What finished issues cost, with the group that was asked for; shares are rounded down.

    `rework_micros` is a part of `cost_micros`.
    """

    agent_id: str | None = None
    team_id: str | None = None
    project_id: str | None = None
    day: date | None = None
    month: str | None = None
    issues: int
    cost_micros: int
    mean_micros: int
    median_micros: int
    rework_micros: int
    mean_rework_micros: int


class ListedBudgetView(View):
    """What the company, or an agent, may spend in a month; the limit is the one of the moment that
    is asked for, which is now, unless said otherwise.
    """

    of: Literal["company", "agent"]
    agent_id: str | None
    month: str
    limit_micros: int | None
    spent_micros: int
    remaining_micros: int | None
    is_exceeded: bool


class EventView(View):
    """One event of the log, with what proves it (hex)."""

    company_id: str
    position: int
    stream_id: str
    version: int
    event_id: str
    type: str
    schema_version: int
    actor: str
    on_behalf_of: str | None
    key_id: str | None
    command_id: str
    correlation_id: str | None
    causation_id: str | None
    run_id: str | None
    recorded_at: datetime
    occurred_at: datetime | None
    via: str
    data: dict[str, Any]
    salt: str
    data_hash: str
    leaf: str


class CallerView(View):
    """Who a key is."""

    company_id: str
    key_id: str
    actor: str
    role: w.RoleText


ENTRY_VIEWS: Mapping[str, type[EntryView]] = {
    "user": UserView,
    "agent": AgentView,
    "team": TeamView,
    "project": ProjectView,
    "goal": GoalView,
    "milestone": MilestoneView,
    "label": LabelView,
    "routine": RoutineView,
}
"""The shape of each kind of entry."""
