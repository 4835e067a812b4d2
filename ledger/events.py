"""Everything that can have happened, as frozen facts.

An event holds only what the command decided; who, when, through what and in which stream
stand beside it (`Recorded`), in columns of the log. Each class has an explicit stored name,
so that moving or renaming a class never changes history. Published events never change:
a new shape is a new `schema_version` and an upcaster in `codec.py`.

Fields are strings, integers within ±(2^53−1), booleans, None, and lists or objects of
those. No floats: JSON libraries print them differently, and the hash must be recomputable.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, NamedTuple, TypeAlias

from typing_extensions import TypeAliasType

from ledger.actors import Actor
from ledger.values import Value

Json = TypeAliasType("Json", "str | int | bool | list[Json] | dict[str, Json] | None")


MAX_LEASE_SECONDS = 24 * 3600
"""The longest time for which a run may hold an issue without renewing."""

Changes: TypeAlias = Mapping[str, Mapping[str, Json]]
"""Field → `{"from": …, "to": …}`; a long text has `from_position` in place of `from`."""


class Event(Value, frozen=True, kw_only=True):
    """What every event is."""

    type: ClassVar[str]
    schema_version: ClassVar[int] = 1


# ── company ────────────────────────────────────────────────────────────────────────────


class CompanyCreated(Event, frozen=True, kw_only=True):
    """A tenant began, with the workflow it chose and the prefix of its identifiers."""

    type = "company.created"
    name: str
    workflow: str
    issue_prefix: str


class KeyCreated(Event, frozen=True, kw_only=True):
    """An API key was given out. The log holds the secret's SHA-256, as hex."""

    type = "key.created"
    role: str
    actor: str
    name: str | None
    secret_sha256: str


class KeyRenamed(Event, frozen=True, kw_only=True):
    """An API key got another name; nothing else of a key changes."""

    type = "key.renamed"
    from_name: str | None
    to_name: str | None


class KeyRevoked(Event, frozen=True, kw_only=True):
    """An API key stopped working."""

    type = "key.revoked"


# ── directory ──────────────────────────────────────────────────────────────────────────


class EntryCreated(Event, frozen=True, kw_only=True):
    """A user, agent, team, project, goal, milestone, label or routine was listed."""

    type = "directory.entry_created"
    kind: str
    name: str
    slug: str
    fields: Mapping[str, Json]


class EntryUpdated(Event, frozen=True, kw_only=True):
    """Fields of an entry changed."""

    type = "directory.entry_updated"
    kind: str
    changes: Changes


class AgentPaused(Event, frozen=True, kw_only=True):
    """An agent takes no more work until it is resumed."""

    type = "agent.paused"
    name: str
    reason: str | None


class AgentResumed(Event, frozen=True, kw_only=True):
    """An agent takes work again."""

    type = "agent.resumed"
    name: str


class EntryArchived(Event, frozen=True, kw_only=True):
    """An entry was taken off the lists; what refers to it stays."""

    type = "directory.entry_archived"
    kind: str
    name: str


# ── issue ──────────────────────────────────────────────────────────────────────────────


class IssueCreated(Event, frozen=True, kw_only=True):
    """A unit of work was written down."""

    type = "issue.created"
    schema_version = 2  # 1 had no budget
    identifier: str
    prefix: str
    number: int
    title: str
    description: str | None
    status: str
    priority: str
    assignee: str | None
    team_id: str | None
    project_id: str | None
    goal_id: str | None
    milestone_id: str | None
    parent_id: str | None
    label_ids: tuple[str, ...]
    due_at: str | None
    estimate: int | None
    sort_order: str | None
    billing_code: str | None
    external_system: str | None
    external_id: str | None
    per_task_micros: int | None


class IssueEdited(Event, frozen=True, kw_only=True):
    """Fields of an issue changed."""

    type = "issue.edited"
    changes: Changes


class IssueTransitioned(Event, frozen=True, kw_only=True):
    """An issue moved to another status; a run that held it may go on holding it."""

    type = "issue.transitioned"
    from_status: str
    to_status: str
    reason: str | None


class IssueMoved(Event, frozen=True, kw_only=True):
    """What every verb of the workflow does; whoever held the issue holds it no longer."""

    from_status: str
    to_status: str
    reason: str | None


class IssueSubmitted(IssueMoved, frozen=True, kw_only=True):
    """The work is done, and waits for somebody to look at it."""

    type = "issue.submitted"


class IssueAccepted(IssueMoved, frozen=True, kw_only=True):
    """Somebody looked at the work, and it is good."""

    type = "issue.accepted"


class IssueRejected(IssueMoved, frozen=True, kw_only=True):
    """Somebody looked at the work, and it must be done again."""

    type = "issue.rejected"


class IssueFailed(IssueMoved, frozen=True, kw_only=True):
    """The work will not be done as it was asked for."""

    type = "issue.failed"


class IssueCancelled(IssueMoved, frozen=True, kw_only=True):
    """The work is not wanted any more."""

    type = "issue.cancelled"


class IssueClosed(IssueMoved, frozen=True, kw_only=True):
    """The issue is over for good; `forced` though issues that it blocks are open."""

    type = "issue.closed"
    forced: bool


class IssueReopened(IssueMoved, frozen=True, kw_only=True):
    """What was over is to be done after all."""

    type = "issue.reopened"


class IssueHandedOff(IssueMoved, frozen=True, kw_only=True):
    """An agent cannot go on, and a person is to pick it up."""

    type = "issue.handed_off"


class IssueTakenOver(IssueMoved, frozen=True, kw_only=True):
    """A person picked up what was handed off."""

    type = "issue.taken_over"
    from_assignee: str | None
    to_assignee: str


class IssuePaused(IssueMoved, frozen=True, kw_only=True):
    """Nobody is to work on the issue until it is resumed."""

    type = "issue.paused"


class IssueInterrupted(IssueMoved, frozen=True, kw_only=True):
    """The run that held the issue was paused: a budget is spent."""

    type = "issue.interrupted"


class IssueResumed(IssueMoved, frozen=True, kw_only=True):
    """A paused issue may be worked on again."""

    type = "issue.resumed"


class IssueBlocked(IssueMoved, frozen=True, kw_only=True):
    """The issue waits for another one, its blocker, to be finished."""

    type = "issue.blocked"
    blocker_id: str


class IssueUnblocked(IssueMoved, frozen=True, kw_only=True):
    """The last blocker ended, or is none any more; `blocker_id` is that one."""

    type = "issue.unblocked"
    blocker_id: str


class IssueAssigned(Event, frozen=True, kw_only=True):
    """An issue was given to somebody."""

    type = "issue.assigned"
    from_assignee: str | None
    to_assignee: str


class IssueUnassigned(Event, frozen=True, kw_only=True):
    """An issue became nobody's."""

    type = "issue.unassigned"
    from_assignee: str


class IssueReassigned(Event, frozen=True, kw_only=True):
    """An issue moved to somebody else; if it was being worked on, it waits again."""

    type = "issue.reassigned"
    from_assignee: str | None
    to_assignee: str
    from_status: str
    to_status: str
    reason: str | None


class IssueCheckedOut(Event, frozen=True, kw_only=True):
    """An agent's run took the issue to work on it, for so many seconds unless it renews.

    The event's version is the lease's fencing token.
    """

    type = "issue.checked_out"
    schema_version = 2  # 1 had no lease, and lasts as long as the longest one
    agent_id: str
    run_id: str
    from_assignee: str | None
    from_status: str
    to_status: str
    lease_seconds: int


class IssueLeaseRenewed(Event, frozen=True, kw_only=True):
    """The run that holds the issue holds it for so many seconds from now."""

    type = "issue.lease_renewed"
    agent_id: str
    run_id: str
    lease_seconds: int


class IssueLeaseExpired(Event, frozen=True, kw_only=True):
    """The run that held the issue let its time pass, and holds it no longer."""

    type = "issue.lease_expired"
    agent_id: str
    run_id: str
    from_assignee: str | None
    to_assignee: str | None
    from_status: str
    to_status: str


class IssueReleased(Event, frozen=True, kw_only=True):
    """The run that held the issue holds it no longer."""

    type = "issue.released"
    agent_id: str
    run_id: str
    from_assignee: str | None
    to_assignee: str | None
    from_status: str
    to_status: str
    reason: str | None


class IssueCommented(Event, frozen=True, kw_only=True):
    """Somebody wrote a comment."""

    type = "issue.commented"
    comment_id: str
    body: str


class CommentEdited(Event, frozen=True, kw_only=True):
    """A comment's text changed; the former text is in the event at `from_position`."""

    type = "issue.comment_edited"
    comment_id: str
    body: str
    from_position: int


class CommentDeleted(Event, frozen=True, kw_only=True):
    """A comment was taken down; its text stays in the log."""

    type = "issue.comment_deleted"
    comment_id: str


class IssueLabelled(Event, frozen=True, kw_only=True):
    """A label was put on an issue."""

    type = "issue.labelled"
    label_id: str
    name: str


class IssueUnlabelled(Event, frozen=True, kw_only=True):
    """A label was taken off an issue."""

    type = "issue.unlabelled"
    label_id: str
    name: str


class IssueLinked(Event, frozen=True, kw_only=True):
    """An issue was related to another one, which it names."""

    type = "issue.linked"
    link_id: str
    link_type: str
    target_id: str
    target_identifier: str


class IssueUnlinked(Event, frozen=True, kw_only=True):
    """A link was taken away."""

    type = "issue.unlinked"
    link_id: str
    link_type: str
    target_id: str


class IssueDeleted(Event, frozen=True, kw_only=True):
    """An issue left every list. Its history stays in the log."""

    type = "issue.deleted"
    identifier: str
    reason: str | None


# ── budget ─────────────────────────────────────────────────────────────────────────────


class BudgetSet(Event, frozen=True, kw_only=True):
    """How much may be spent, in micro-dollars; None: as much as it takes."""

    from_micros: int | None
    to_micros: int | None


class BudgetReached(Event, frozen=True, kw_only=True):
    """What was spent came to a limit, or near to it. `month` is none for an issue."""

    month: str | None
    limit_micros: int
    spent_micros: int


class IssueBudgetSet(BudgetSet, frozen=True, kw_only=True):
    """How much all runs of an issue may spend."""

    type = "issue.budget_set"


class IssueBudgetWarned(BudgetReached, frozen=True, kw_only=True):
    """Four fifths of an issue's budget are spent."""

    type = "issue.budget_warned"


class IssueBudgetExceeded(BudgetReached, frozen=True, kw_only=True):
    """An issue's budget is spent."""

    type = "issue.budget_exceeded"


class AgentBudgetSet(BudgetSet, frozen=True, kw_only=True):
    """How much an agent may spend in a calendar month."""

    type = "agent.budget_set"


class AgentBudgetWarned(BudgetReached, frozen=True, kw_only=True):
    """Four fifths of an agent's budget of a month are spent."""

    type = "agent.budget_warned"


class AgentBudgetExceeded(BudgetReached, frozen=True, kw_only=True):
    """An agent's budget of a month is spent."""

    type = "agent.budget_exceeded"


class CompanyBudgetSet(BudgetSet, frozen=True, kw_only=True):
    """How much the company may spend in a calendar month."""

    type = "company.budget_set"


class CompanyBudgetWarned(BudgetReached, frozen=True, kw_only=True):
    """Four fifths of the company's budget of a month are spent."""

    type = "company.budget_warned"


class CompanyBudgetExceeded(BudgetReached, frozen=True, kw_only=True):
    """The company's budget of a month is spent."""

    type = "company.budget_exceeded"


# ── run ────────────────────────────────────────────────────────────────────────────────


class RunStarted(Event, frozen=True, kw_only=True):
    """One attempt at an issue by one agent began."""

    type = "run.started"
    issue_id: str
    agent_id: str


class CostReported(Event, frozen=True, kw_only=True):
    """A run used a model. Money in micro-dollars; what it was for is kept as it was then."""

    type = "run.cost_reported"
    schema_version = 2  # 1 had no team
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


class CostCorrected(Event, frozen=True, kw_only=True):
    """A report of costs was wrong: what it said so far, and what it says from now on.

    It names the report by its position, and says again whose it was, when that happened
    (`reported_at`), and the `month` of the budgets in which it counts.
    """

    type = "run.cost_corrected"
    corrects_position: int
    issue_id: str
    agent_id: str
    team_id: str | None
    project_id: str | None
    provider: str
    model: str
    reported_at: str
    month: str
    from_input_tokens: int
    from_output_tokens: int
    from_cached_tokens: int
    from_cost_micros: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_micros: int
    reason: str


class RunProgressed(Event, frozen=True, kw_only=True):
    """A run said how far it is; `percent` counts to 100."""

    type = "run.progressed"
    issue_id: str
    agent_id: str
    message: str
    percent: int | None


class RunCheckpointed(Event, frozen=True, kw_only=True):
    """A run wrote down what another attempt would need; JSON of its own, kept as text."""

    type = "run.checkpointed"
    issue_id: str
    agent_id: str
    checkpoint: str


class RunWorkspaceRetained(Event, frozen=True, kw_only=True):
    """What a run worked in was kept, and where."""

    type = "run.workspace_retained"
    issue_id: str
    agent_id: str
    workspace_url: str


class RunPaused(Event, frozen=True, kw_only=True):
    """A run was stopped; it may go on in the same attempt."""

    type = "run.paused"
    issue_id: str
    agent_id: str
    reason: str


class RunResumed(Event, frozen=True, kw_only=True):
    """A paused run took its issue again."""

    type = "run.resumed"
    issue_id: str
    agent_id: str


class RunEnded(Event, frozen=True, kw_only=True):
    """An attempt ended, and why: what the run said, or what ended it, or a status."""

    type = "run.ended"
    schema_version = 2  # 1 had no details
    issue_id: str
    agent_id: str
    exit_reason: str
    exit_details: str | None


EVENT_TYPES: dict[str, type[Event]] = {
    cls.type: cls
    for cls in (
        CompanyCreated, CompanyBudgetSet, CompanyBudgetWarned, CompanyBudgetExceeded,
        KeyCreated, KeyRenamed, KeyRevoked,
        EntryCreated, EntryUpdated, EntryArchived, AgentPaused, AgentResumed,
        AgentBudgetSet, AgentBudgetWarned, AgentBudgetExceeded,
        IssueCreated, IssueEdited, IssueTransitioned,
        IssueSubmitted, IssueAccepted, IssueRejected, IssueFailed, IssueCancelled, IssueClosed,
        IssueReopened, IssueHandedOff, IssueTakenOver, IssuePaused, IssueInterrupted, IssueResumed,
        IssueBlocked, IssueUnblocked,
        IssueAssigned, IssueUnassigned, IssueReassigned,
        IssueCheckedOut, IssueLeaseRenewed, IssueLeaseExpired, IssueReleased,
        IssueCommented, CommentEdited, CommentDeleted, IssueLabelled, IssueUnlabelled,
        IssueLinked, IssueUnlinked, IssueDeleted,
        IssueBudgetSet, IssueBudgetWarned, IssueBudgetExceeded,
        RunStarted, RunProgressed, RunCheckpointed, RunWorkspaceRetained, CostReported,
        CostCorrected, RunPaused, RunResumed, RunEnded,
    )
}  # fmt: skip
"""Stored name → class; the one place where a new event is listed."""


class Recorded(NamedTuple):
    """An event with the columns that stand beside it in the log.

    `recorded_at` is the database's time under the company's lock; `occurred_at` is when an
    imported fact happened. Both are aware datetimes in UTC.
    """

    company_id: str
    position: int
    stream_id: str
    version: int
    event_id: str
    event: Event
    actor: Actor
    on_behalf_of: Actor | None
    key_id: str | None
    command_id: str
    correlation_id: str | None
    causation_id: str | None
    run_id: str | None
    recorded_at: datetime
    occurred_at: datetime | None
    via: str

    @property
    def at(self) -> datetime:
        """When it happened in the world: `occurred_at` where there is one."""
        return self.occurred_at or self.recorded_at

    @property
    def author(self) -> str:
        """Whose doing it was: the one acted for, else the actor."""
        return str(self.on_behalf_of or self.actor)
