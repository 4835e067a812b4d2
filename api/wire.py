"""The bodies and queries that `/v1` takes, as pydantic models.

They check form: types, lengths, known words, no unknown fields. What is true or allowed is
`decide`'s to say. The OpenAPI document is made from these same models.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from ledger.codec import MAX_INT, timestamp
from ledger.commands import DEFAULT_LEASE_SECONDS
from ledger.decisions.links import INVERSES, LINK_TYPES
from ledger.events import MAX_LEASE_SECONDS
from ledger.facts import is_id
from ledger.ids import as_ref
from ledger.workflow import STATUSES

MAX_TEXT = 500_000
MAX_ENTRY_TEXT = 20_000
MAX_AMOUNT = 10**12
MAX_CHECKPOINT = 256 * 1024
"""Of a checkpoint's JSON, in bytes."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"\S")]
Title = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"\S")]
Text = Annotated[str, StringConstraints(max_length=MAX_TEXT)]
Body = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT)]
Short = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Reason = Annotated[str, StringConstraints(max_length=5000)]
Ref = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(as_ref)]


def _no_id(slug: str) -> str:
    if is_id(slug):
        raise ValueError("a slug must not look like an id")
    return slug


Slug = Annotated[
    str,
    StringConstraints(max_length=100, pattern=r"^[a-z0-9][a-z0-9._:-]*$"),
    AfterValidator(_no_id),
]
Prefix = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]{0,9}$")]
ActorText = Annotated[str, StringConstraints(max_length=210, pattern=r"^(user|agent|system):.+$")]
AssigneeText = Annotated[str, StringConstraints(max_length=210, pattern=r"^(user|agent):.+$")]
Status = Literal[STATUSES]  # type: ignore[valid-type]
Priority = Literal["none", "low", "medium", "high", "urgent"]
LinkType = Literal[(*LINK_TYPES, *INVERSES)]  # type: ignore[valid-type]
RoleText = Literal["owner", "admin", "manager", "editor", "agent", "viewer", "auditor"]
Decimal = Annotated[str, StringConstraints(max_length=60, pattern=r"^-?[0-9]+(\.[0-9]+)?$")]
Amount = Annotated[int, Field(ge=0, le=MAX_AMOUNT, strict=True)]
Micros = Annotated[int, Field(ge=0, le=MAX_INT, strict=True)]
LeaseSeconds = Annotated[int, Field(ge=1, le=MAX_LEASE_SECONDS, strict=True)]
Percent = Annotated[int, Field(ge=0, le=100, strict=True)]
Url = Annotated[str, StringConstraints(max_length=2000, pattern=r"^[a-zA-Z][a-zA-Z0-9+.-]*:\S+$")]
Estimate = Annotated[int, Field(ge=0, le=MAX_INT, strict=True)]
Id = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"),
]


def _whole_years(moment: datetime) -> datetime:
    if not 2 <= moment.year <= 9998:
        raise ValueError("the year must be between 2 and 9998")
    return moment.astimezone(UTC)


_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _as_rfc_3339(value: Any) -> Any:
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
        raise ValueError("write a time as RFC 3339, such as 2026-04-12T17:00:00Z")
    return value


def _as_day(value: Any) -> Any:
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise ValueError("write a day as YYYY-MM-DD")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_as_rfc_3339), AfterValidator(_whole_years)]
Day = Annotated[date, BeforeValidator(_as_day)]


def _optional() -> Any:
    """The default of a field that a PATCH may leave out and may not clear."""

    def without_default(schema: dict[str, Any]) -> None:
        schema.pop("default", None)

    return Field("", validate_default=False, json_schema_extra=without_default)


class Wire(BaseModel):
    """What every body is: known fields only."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ExternalRef(Wire):
    """Another system's name for an issue, unique in its company."""

    system: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    id: Annotated[str, StringConstraints(min_length=1, max_length=500)]


# ── issues ─────────────────────────────────────────────────────────────────────────────


class NewIssue(Wire):
    """An issue to write down. References take ids or names (`ENG-42`, slugs)."""

    title: Title
    description: Text | None = None
    status: Status | None = None
    priority: Priority = "none"
    assignee: AssigneeText | None = Field(None, examples=["agent:coder"])
    team_id: Ref | None = None
    project_id: Ref | None = None
    goal_id: Ref | None = None
    milestone_id: Ref | None = None
    parent_id: Ref | None = None
    labels: list[Ref] = Field(default_factory=list, max_length=100)
    due_at: Moment | None = None
    estimate: Estimate | None = None
    sort_order: Decimal | None = None
    billing_code: Short | None = None
    external_ref: ExternalRef | None = None
    per_task_micros: Micros | None = Field(
        None, description="micro-dollars that all runs of the issue may spend"
    )


class IssueEdit(Wire):
    """The fields to change; null clears one, a field that is not named stays."""

    title: Title = _optional()
    description: Text | None = None
    priority: Priority = "none"
    due_at: Moment | None = None
    estimate: Estimate | None = None
    sort_order: Decimal | None = None
    team_id: Ref | None = None
    project_id: Ref | None = None
    goal_id: Ref | None = None
    milestone_id: Ref | None = None
    parent_id: Ref | None = None
    billing_code: Short | None = None
    external_ref: ExternalRef | None = None

    def changes(self) -> dict[str, Any]:
        """The fields that the body named, as the ledger holds them."""
        named = self.model_dump(include=self.model_fields_set)
        if isinstance(self.due_at, datetime):
            named["due_at"] = timestamp(self.due_at)
        return named


class Transition(Wire):
    """The status to move to, and why; `force` closes it though issues that it blocks are open."""

    status: Status
    reason: Reason | None = None
    force: bool = False


class Assign(Wire):
    """Who gets the issue: an agent, a user, or the member of a team with the least to do."""

    agent_id: Ref | None = None
    user_id: Ref | None = None
    team_id: Ref | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Assign:
        if sum(ref is not None for ref in (self.agent_id, self.user_id, self.team_id)) != 1:
            raise ValueError("give agent_id, user_id or team_id, exactly one of them")
        return self


class Reassign(Assign):
    """Who gets the issue instead, and why."""

    reason: Reason | None = None


class CheckOut(Wire):
    """Which agent takes the issue (default: the caller), from which statuses."""

    agent_id: Ref | None = None
    expected_statuses: list[Status] | None = Field(None, min_length=1, max_length=20)
    lease_seconds: LeaseSeconds = DEFAULT_LEASE_SECONDS


class Claim(Wire):
    """For how long the agent takes what it gets."""

    lease_seconds: LeaseSeconds = DEFAULT_LEASE_SECONDS


class Renew(Wire):
    """For how long from now; as long as before, unless given."""

    lease_seconds: LeaseSeconds | None = None


class Why(Wire):
    """Why, if there is something to say."""

    reason: Reason | None = None


class Close(Why):
    """Why; and whether it is closed though issues that it blocks are open."""

    force: bool = False


class IssueBudget(Wire):
    """How many micro-dollars all runs of the issue may spend; null: as many as it takes."""

    per_task_micros: Micros | None


class MonthlyBudget(Wire):
    """How many micro-dollars may be spent in a calendar month (UTC); null: any."""

    monthly_micros: Micros | None


class Progress(Wire):
    """How far a run is."""

    message: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    percent: Percent | None = None


def _as_text(value: Any) -> str:
    """JSON as it is kept; raises ValueError for a number that is beyond every reader."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _not_too_long(value: Any) -> Any:
    if len(_as_text(value).encode()) > MAX_CHECKPOINT:
        raise ValueError(f"a checkpoint has {MAX_CHECKPOINT} bytes at most")
    return value


class Checkpoint(Wire):
    """What another attempt would need; any JSON of the run's own."""

    checkpoint: Annotated[Any, AfterValidator(_not_too_long)]

    @property
    def text(self) -> str:
        """The JSON as it is kept."""
        return _as_text(self.checkpoint)


class Workspace(Wire):
    """Where what the run worked in is kept."""

    workspace_url: Url


class Finish(Wire):
    """How the run ended, and where its issue goes (default: where the workflow says)."""

    exit_reason: Short = "finished"
    exit_details: Reason | None = None
    status: Literal["done", "in_review"] | None = None


class GiveUp(Wire):
    """Why the attempt is given up, and whether there may be another one."""

    exit_reason: Short = "failed"
    exit_details: Reason | None = None
    retry: bool = True


class NewComment(Wire):
    """A comment's text."""

    body: Body


class NewLabel(Wire):
    """A label, by id, slug or name."""

    label: Ref


class NewLink(Wire):
    """The other issue, and what it is to this one."""

    link_type: LinkType
    target_id: Ref


class NewCost(Wire):
    """What a run used: tokens by kind, and micro-dollars."""

    provider: Short
    model: Short
    input_tokens: Amount = 0
    output_tokens: Amount = 0
    cached_tokens: Amount = 0
    cost_micros: Amount = 0


class CostCorrection(Wire):
    """What a report of costs should have said, and why; what is left out stays as it is.

    `corrects_position` is the position of the report itself, also where it was corrected before.
    """

    corrects_position: Annotated[int, Field(ge=1, le=MAX_INT, strict=True)]
    reason: Annotated[str, StringConstraints(min_length=1, max_length=5000, pattern=r"\S")]
    input_tokens: Amount | None = None
    output_tokens: Amount | None = None
    cached_tokens: Amount | None = None
    cost_micros: Amount | None = None


class Nothing(Wire):
    """No fields."""


# ── directory ──────────────────────────────────────────────────────────────────────────


class NewEntry(Wire):
    """What every entry has."""

    name: Name
    slug: Slug | None = None


class EntryEdit(Wire):
    """The fields to change; null clears one, a field that is not named stays."""

    name: Name = _optional()
    slug: Slug = _optional()


class _Described(BaseModel):
    description: Annotated[str, StringConstraints(max_length=MAX_ENTRY_TEXT)] | None = None


class _Dated(_Described):
    target_date: Day | None = None


class _User(BaseModel):
    email: Annotated[str, StringConstraints(max_length=320)] | None = None


class _Team(_Described):
    issue_prefix: Prefix | None = None
    lead_agent_id: Ref | None = None
    agent_ids: list[Ref] | None = Field(None, max_length=500)


class _Project(_Dated):
    agent_ids: list[Ref] | None = Field(
        None, max_length=500, description="whose its issues are to do; none: anybody's"
    )


class _Milestone(_Dated):
    project_id: Ref | None = None


class _Label(_Described):
    color: Annotated[str, StringConstraints(max_length=50)] | None = None


class _Routine(_Described):
    instructions: Annotated[str, StringConstraints(max_length=MAX_ENTRY_TEXT)] | None = None


class NewUser(NewEntry, _User):
    """A person."""


class NewAgent(NewEntry, _Described):
    """An AI agent."""


class NewTeam(NewEntry, _Team):
    """A team; its issues are numbered under its `issue_prefix`."""


class NewProject(NewEntry, _Project):
    """A project."""


class NewGoal(NewEntry, _Dated):
    """A goal."""


class NewMilestone(NewEntry, _Milestone):
    """A milestone."""


class NewLabelEntry(NewEntry, _Label):
    """A label; its name is its own in the company."""


class NewRoutine(NewEntry, _Routine):
    """A routine."""


class UserEdit(EntryEdit, _User):
    """Changes of a user."""


class AgentEdit(EntryEdit, _Described):
    """Changes of an agent."""


class TeamEdit(EntryEdit, _Team):
    """Changes of a team."""

    issue_prefix: Prefix = _optional()


class ProjectEdit(EntryEdit, _Project):
    """Changes of a project."""


class GoalEdit(EntryEdit, _Dated):
    """Changes of a goal."""


class MilestoneEdit(EntryEdit, _Milestone):
    """Changes of a milestone."""


class LabelEdit(EntryEdit, _Label):
    """Changes of a label."""


class RoutineEdit(EntryEdit, _Routine):
    """Changes of a routine."""


# ── keys ───────────────────────────────────────────────────────────────────────────────


class NewKey(Wire):
    """An API key to give out. Its actor need not be in the directory."""

    role: RoleText
    actor: ActorText = Field(examples=["agent:coder"])
    name: Name | None = None


class KeyEdit(Wire):
    """A key's name; nothing else of it changes."""

    name: Name | None = None
