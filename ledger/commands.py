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


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """Who asks, in which role, in which run, and which version they saw (If-Match).

    The last two only if they say so.
    """

    name: ClassVar[str]
    permission: ClassVar[Permission]
    actor: Actor
    role: Role
    in_run: str | None = None
    expected_version: int | None = None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueCommand(Command):
    """What every command on an existing issue is: `issue` is its id or identifier."""

    permission = Permission.WORK
    issue: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EditIssue(IssueCommand):
    """Change fields; only those named in `changes`, where None clears one.

    Fields: title, description, priority, due_at, estimate, sort_order, project_id, goal_id,
    milestone_id, parent_id, billing_code, external_ref (`{"system", "id"}`).
    """

    name = "edit_issue"
    changes: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionIssue(IssueCommand):
    """Move an issue to another status of the company's workflow."""

    name = "transition_issue"
    to_status: str
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignIssue(IssueCommand):
    """Give an issue to somebody."""

    name = "assign_issue"
    assignee: Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class UnassignIssue(IssueCommand):
    """Make an issue nobody's."""

    name = "unassign_issue"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReassignIssue(IssueCommand):
    """Move an issue to somebody else, even while it is being worked on."""

    name = "reassign_issue"
    assignee: Actor
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
class ReportCost(IssueCommand):
    """Record what a run used. Counts are tokens; money is micro-dollars."""

    name = "report_cost"
    run_id: str
    provider: str
    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_micros: int = 0
