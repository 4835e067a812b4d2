"""Everything that can be asked of the ledger: the imperative twins of the events.

A command is frozen and complete. Ids of what it makes are in it, because the core makes
none; the actor and the role come from the API key. An issue, or an entry of the directory,
is named by its id or by what people call it (`ENG-42`, a slug); `decide` finds which one
that is under the company's lock, so a name is never resolved against yesterday's state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ledger.actors import Actor, Permission, Role
from ledger.events import Json

DEFAULT_LEASE_SECONDS = 15 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """Who asks, in which role, in which run, and which version they saw (If-Match).

    The last two only if they say so; `fencing_token` is that of the lease that they write under,
    if they say so. A command that `is_history` tells what happened elsewhere: what else came of it,
    there or not, is told by other commands, and the ledger adds nothing of its own.
    """

    name: ClassVar[str]
    permission: ClassVar[Permission]
    actor: Actor
    role: Role
    in_run: str | None = None
    expected_version: int | None = None
    fencing_token: int | None = None
    is_history: bool = False


# ── company ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateCompany(Command):
    """Begin a tenant."""

    name = "create_company"
    permission = Permission.OWN
    company_id: str
    company_name: str
    workflow: str
    issue_prefix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateKey(Command):
    """Give out an API key; `secret_sha256` is hex, the secret itself never comes here."""

    name = "create_key"
    permission = Permission.ADMINISTER
    key_id: str
    key_role: Role
    key_actor: Actor
    key_name: str | None
    secret_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameKey(Command):
    """Call an API key something else."""

    name = "rename_key"
    permission = Permission.ADMINISTER
    key_id: str
    key_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeKey(Command):
    """Stop an API key."""

    name = "revoke_key"
    permission = Permission.ADMINISTER
    key_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetCompanyBudget(Command):
    """Say how many micro-dollars the company may spend in a calendar month; None: any."""

    name = "set_company_budget"
    permission = Permission.ADMINISTER
    monthly_micros: int | None


# ── directory ──────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateEntry(Command):
    """List a user, agent, team, project, goal, milestone, label or routine.

    Without a `slug`, one is made from the name. Which kinds there are, what `fields` each
    has and what permission it needs is the table in `directory.py`.
    """

    name = "create_entry"
    permission = Permission.ORGANISE  # or what the kind needs: directory.py
    entry_id: str
    kind: str
    entry_name: str
    slug: str | None
    fields: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateEntry(Command):
    """Change fields of an entry: `name`, `slug`, or any of its kind's."""

    name = "update_entry"
    permission = Permission.ORGANISE  # or what the kind needs: directory.py
    kind: str
    entry: str
    changes: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveEntry(Command):
    """Take an entry off the lists."""

    name = "archive_entry"
    permission = Permission.ORGANISE  # or what the kind needs: directory.py
    kind: str
    entry: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentCommand(Command):
    """What every command on a listed agent is: `agent` is its id or slug."""

    permission = Permission.ORGANISE
    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseAgent(AgentCommand):
    """Let an agent take no more work."""

    name = "pause_agent"
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeAgent(AgentCommand):
    """Let an agent take work again."""

    name = "resume_agent"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAgentBudget(AgentCommand):
    """Say how many micro-dollars an agent may spend in a calendar month; None: any."""

    name = "set_agent_budget"
    monthly_micros: int | None


# ── issue ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateIssue(Command):
    """Write down a unit of work."""

    name = "create_issue"
    permission = Permission.WORK
    issue_id: str
    title: str
    description: str | None = None
    status: str | None = None
    priority: str = "none"
    assignee: Actor | None = None
    team: str | None = None
    project: str | None = None
    goal: str | None = None
    milestone: str | None = None
    parent: str | None = None
    labels: tuple[str, ...] = ()
    due_at: str | None = None
    estimate: int | None = None
    sort_order: str | None = None
    billing_code: str | None = None
    external_ref: tuple[str, str] | None = None
    per_task_micros: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueCommand(Command):
    """What every command on an existing issue is: `issue` is its id or identifier."""

    permission = Permission.WORK
    issue: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EditIssue(IssueCommand):
    """Change fields; only those named in `changes`, where None clears one.

    Fields: title, description, priority, due_at, estimate, sort_order, team_id, project_id,
    goal_id, milestone_id, parent_id, billing_code, external_ref (`{"system", "id"}`).
    """

    name = "edit_issue"
    changes: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionIssue(IssueCommand):
    """Move an issue to another status of the company's workflow."""

    name = "transition_issue"
    to_status: str
    reason: str | None = None
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveIssue(IssueCommand):
    """What every verb of the workflow is; `verb` is its name there."""

    verb: ClassVar[str]
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitIssue(MoveIssue):
    """Say that the work is done, and let somebody look at it."""

    name = "submit_issue"
    verb = "submit"


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptIssue(MoveIssue):
    """Say that submitted work is good."""

    name = "accept_issue"
    verb = "accept"


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectIssue(MoveIssue):
    """Say that submitted work must be done again."""

    name = "reject_issue"
    verb = "reject"


@dataclass(frozen=True, slots=True, kw_only=True)
class FailIssue(MoveIssue):
    """Say that the work will not be done as it was asked for."""

    name = "fail_issue"
    verb = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOffIssue(MoveIssue):
    """Let a person pick the work up."""

    name = "hand_off_issue"
    verb = "hand_off"


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeOverIssue(MoveIssue):
    """Pick up, as a person, what was handed off."""

    name = "take_over_issue"
    verb = "take_over"


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelIssue(MoveIssue):
    """Say that the work is not wanted any more."""

    name = "cancel_issue"
    verb = "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseIssue(MoveIssue):
    """End an issue for good; `force` though issues that it blocks are open."""

    name = "close_issue"
    verb = "close"
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReopenIssue(MoveIssue):
    """Say that what was over is to be done after all."""

    name = "reopen_issue"
    verb = "reopen"


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseIssue(IssueCommand):
    """Let nobody work on an issue until it is resumed."""

    name = "pause_issue"
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeIssue(IssueCommand):
    """Let a paused issue be worked on again."""

    name = "resume_issue"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetIssueBudget(IssueCommand):
    """Say how many micro-dollars the runs of an issue may spend; None: any."""

    name = "set_issue_budget"
    per_task_micros: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignIssue(IssueCommand):
    """Give an issue to somebody, or to that member of a team who has the least to do."""

    name = "assign_issue"
    assignee: Actor | None = None
    team: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnassignIssue(IssueCommand):
    """Make an issue nobody's."""

    name = "unassign_issue"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReassignIssue(IssueCommand):
    """Move an issue to somebody else, even while it is being worked on."""

    name = "reassign_issue"
    assignee: Actor | None = None
    team: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOutIssue(IssueCommand):
    """Take an issue to work on it.

    `run_id` is the run that the caller names, or one made for this command; `names_run`
    says which. `expected_statuses`, when given, must contain the issue's status.
    """

    name = "check_out_issue"
    agent_id: str
    run_id: str
    names_run: bool = False
    expected_statuses: tuple[str, ...] | None = None
    lease_seconds: int = DEFAULT_LEASE_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimNextIssue(Command):
    """Take the best issue that an agent may work on, whichever that is, in a new run."""

    name = "claim_next_issue"
    permission = Permission.WORK
    agent_id: str
    run_id: str
    lease_seconds: int = DEFAULT_LEASE_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewLease(IssueCommand):
    """Go on holding an issue; without `lease_seconds`, for as long as was asked for before."""

    name = "renew_lease"
    lease_seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpireLease(IssueCommand):
    """Put an issue back whose holder let its lease run out."""

    name = "expire_lease"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseIssue(IssueCommand):
    """Stop working on an issue without finishing it."""

    name = "release_issue"
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentOnIssue(IssueCommand):
    """Write a comment."""

    name = "comment_on_issue"
    comment_id: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EditComment(IssueCommand):
    """Change the text of a comment."""

    name = "edit_comment"
    comment_id: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteComment(IssueCommand):
    """Take a comment down."""

    name = "delete_comment"
    comment_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelIssue(IssueCommand):
    """Put a label, named by id or slug, on an issue."""

    name = "label_issue"
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlabelIssue(IssueCommand):
    """Take a label off an issue."""

    name = "unlabel_issue"
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkIssue(IssueCommand):
    """Relate an issue to another one."""

    name = "link_issue"
    link_id: str
    link_type: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlinkIssue(IssueCommand):
    """Take a link away, from either end."""

    name = "unlink_issue"
    link_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteIssue(IssueCommand):
    """Take an issue off every list."""

    name = "delete_issue"
    permission = Permission.MODERATE
    reason: str | None = None


# ── run ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCommand(IssueCommand):
    """What every command on a run is."""

    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportProgress(RunCommand):
    """Say how far a run is; `percent` counts to 100."""

    name = "report_progress"
    message: str
    percent: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveCheckpoint(RunCommand):
    """Keep what another attempt would need: the run's own JSON, as text."""

    name = "save_checkpoint"
    checkpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetainWorkspace(RunCommand):
    """Say where what the run worked in is kept."""

    name = "retain_workspace"
    workspace_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishRun(RunCommand):
    """Say that the work is done; `to_status` is the workflow's to choose unless given."""

    name = "finish_run"
    exit_reason: str = "finished"
    exit_details: str | None = None
    to_status: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailRun(RunCommand):
    """Give an attempt up; the issue waits for another one, unless it is not to be retried."""

    name = "fail_run"
    exit_reason: str = "failed"
    exit_details: str | None = None
    retry: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportCost(RunCommand):
    """Record what a run used. Counts are tokens; money is micro-dollars."""

    name = "report_cost"
    provider: str
    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_micros: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectCost(RunCommand):
    """Say what a report of costs should have said; an amount that is None stays as it is.

    `corrects_position` is that of the report itself, be it corrected before.
    """

    name = "correct_cost"
    corrects_position: int
    reason: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cost_micros: int | None = None
