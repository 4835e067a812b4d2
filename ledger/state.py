"""What a decision needs to know of each aggregate, and how events change it.

State is short by construction: no comment's text, no description, nothing whose size grows
with an issue's history. It is also what the inline read models write, a row a state, so
that the rows agents read back are the rows that decisions are taken from.

`evolve` never refuses: what is in the log has happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, TypeAlias

from ledger import events as e
from ledger.amounts import AMOUNTS, added_by
from ledger.codec import timestamp
from ledger.events import Json, Recorded
from ledger.values import Value, replace
from ledger.workflow import FINISHED, HOLDABLE


class Aggregate(Value, frozen=True, kw_only=True):
    """What every state has: its id, its stream's version, and when it began and changed."""

    id: str
    version: int
    created_position: int
    created_at: datetime
    created_by: str
    updated_at: datetime


class Company(Aggregate, frozen=True, kw_only=True):
    """A tenant; `monthly_micros` is how much it may spend in a calendar month."""

    name: str
    workflow: str
    issue_prefix: str
    monthly_micros: int | None = None


class Key(Aggregate, frozen=True, kw_only=True):
    """An API key."""

    role: str
    actor: str
    name: str | None = None
    secret_sha256: str
    revoked_at: datetime | None = None


class Entry(Aggregate, frozen=True, kw_only=True):
    """An entry of the directory."""

    kind: str
    name: str
    slug: str
    fields: Mapping[str, Json]
    archived_at: datetime | None = None


class Issue(Aggregate, frozen=True, kw_only=True):
    """A unit of work. Of its description: the event that last set it, and its SHA-256.

    Who holds it, holds it until `lease_expires_at` and beyond, until somebody else claims it;
    `fencing_token` is there for as long. `paused_run_id` is a run that may take it again,
    `blocked_from` the status it had before it was blocked.
    """

    identifier: str
    title: str
    status: str
    priority: str
    assignee: str | None = None
    holder_agent_id: str | None = None
    holder_run_id: str | None = None
    held_since: datetime | None = None
    lease_seconds: int | None = None
    lease_expires_at: datetime | None = None
    fencing_token: int | None = None
    paused_at: datetime | None = None
    paused_run_id: str | None = None
    blocked_from: str | None = None
    run_count: int
    per_task_micros: int | None = None
    team_id: str | None = None
    project_id: str | None = None
    goal_id: str | None = None
    milestone_id: str | None = None
    parent_id: str | None = None
    label_ids: tuple[str, ...]
    due_at: str | None = None
    estimate: int | None = None
    sort_order: str | None = None
    billing_code: str | None = None
    external_system: str | None = None
    external_id: str | None = None
    description_position: int | None = None
    description_sha256: str | None = None
    comment_count: int
    started_at: datetime | None = None
    completed_at: datetime | None = None
    deleted_at: datetime | None = None

    @property
    def external_ref(self) -> dict[str, Json] | None:
        """`{"system", "id"}`, or None."""
        if self.external_system is None:
            return None
        return {"system": self.external_system, "id": self.external_id}


class Run(Aggregate, frozen=True, kw_only=True):
    """One attempt at an issue by one agent, with the sum of what it reported.

    Of its last checkpoint: the event that holds it.
    """

    issue_id: str
    agent_id: str
    paused_at: datetime | None = None
    ended_at: datetime | None = None
    exit_reason: str | None = None
    exit_details: str | None = None
    progress_message: str | None = None
    progress_percent: int | None = None
    progressed_at: datetime | None = None
    checkpoint_position: int | None = None
    checkpointed_at: datetime | None = None
    workspace_url: str | None = None
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_micros: int


State: TypeAlias = Company | Key | Entry | Issue | Run


class Comment(Value, frozen=True, kw_only=True):
    """What a decision needs of a comment: whose it is; of its text, the event and SHA-256."""

    id: str
    issue_id: str
    author: str
    text_position: int
    text_sha256: str
    created_position: int
    created_at: datetime
    edited_at: datetime | None = None
    deleted_at: datetime | None = None


class Cost(Value, frozen=True, kw_only=True):
    """A report of costs, with the amounts that it has come to by its corrections.

    `at` is when that happened, `month` the one of the budgets in which it counts.
    """

    run_id: str
    team_id: str | None = None
    project_id: str | None = None
    provider: str
    model: str
    at: datetime
    month: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_micros: int
    is_corrected: bool = False


class Lease(Value, frozen=True, kw_only=True):
    """One time for which a run held an issue; `ended_by` is the type of the event that ended it."""

    issue_id: str
    fencing_token: int
    run_id: str
    agent_id: str
    lease_seconds: int
    acquired_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    ended_by: str | None = None


class Link(Value, frozen=True, kw_only=True):
    """A relation of `issue_id` to `target_id`, kept in the stream of `issue_id`."""

    id: str
    issue_id: str
    link_type: str
    target_id: str
    created_position: int
    created_at: datetime
    created_by: str


def evolve(state: State | None, recorded: Recorded) -> State:
    """The state after one more event of its stream; `state` is None before the first."""
    event = recorded.event
    match event:
        case e.CompanyCreated():
            return Company(
                **_born(recorded),
                name=event.name,
                workflow=event.workflow,
                issue_prefix=event.issue_prefix,
            )
        case e.KeyCreated():
            return Key(
                **_born(recorded),
                role=event.role,
                actor=event.actor,
                name=event.name,
                secret_sha256=event.secret_sha256,
            )
        case e.EntryCreated():
            return Entry(
                **_born(recorded),
                kind=event.kind,
                name=event.name,
                slug=event.slug,
                fields=event.fields,
            )
        case e.RunStarted():
            return Run(
                **_born(recorded),
                issue_id=event.issue_id,
                agent_id=event.agent_id,
                input_tokens=0,
                output_tokens=0,
                cached_tokens=0,
                cost_micros=0,
            )
        case e.IssueCreated():
            return _issue_created(event, recorded)
    assert state is not None, f"{event.type} is no first event"
    return replace(
        state, version=recorded.version, updated_at=recorded.at, **_changes(state, recorded)
    )


def _born(recorded: Recorded) -> dict[str, Any]:
    return {
        "id": recorded.stream_id,
        "version": recorded.version,
        "created_position": recorded.position,
        "created_at": recorded.at,
        "created_by": recorded.author,
        "updated_at": recorded.at,
    }


def _issue_created(event: e.IssueCreated, recorded: Recorded) -> Issue:
    return Issue(
        **_born(recorded),
        identifier=event.identifier,
        title=event.title,
        status=event.status,
        priority=event.priority,
        assignee=event.assignee,
        team_id=event.team_id,
        project_id=event.project_id,
        goal_id=event.goal_id,
        milestone_id=event.milestone_id,
        parent_id=event.parent_id,
        label_ids=event.label_ids,
        due_at=event.due_at,
        estimate=event.estimate,
        sort_order=event.sort_order,
        billing_code=event.billing_code,
        external_system=event.external_system,
        external_id=event.external_id,
        per_task_micros=event.per_task_micros,
        run_count=0,
        comment_count=0,
        **_described(event.description, recorded.position),
        **_clocks(None, None, event.status, recorded.at),
    )


def _changes(state: State, recorded: Recorded) -> dict[str, Any]:
    """The fields that an event after the first sets."""
    event, at = recorded.event, recorded.at
    match state, event:
        case Key(), e.KeyRenamed():
            return {"name": event.to_name}
        case Key(), e.KeyRevoked():
            return {"revoked_at": at}
        case Entry(), e.EntryUpdated():
            return _entry_updated(state, event)
        case Entry(), e.EntryArchived():
            return {"archived_at": at}
        case Run(), e.CostReported() | e.CostCorrected():
            added = zip(AMOUNTS, added_by(event), strict=True)
            return {name: getattr(state, name) + amount for name, amount in added}
        case Run(), _:
            return _run_changes(recorded)
        case Company(), e.CompanyBudgetSet():
            return {"monthly_micros": event.to_micros}
        case Company() | Entry(), e.BudgetReached():
            return {}
        case Entry(), e.AgentBudgetSet():
            return {"fields": {**state.fields, "monthly_micros": event.to_micros}}
        case Entry(), e.AgentPaused():
            return {"fields": {**state.fields, "paused_at": timestamp(at)}}
        case Entry(), e.AgentResumed():
            return {"fields": {**state.fields, "paused_at": None}}
        case Issue(), _:
            return _issue_changes(state, recorded)
        case _:
            raise AssertionError(f"{event.type} in the stream of {state!r}")


def _entry_updated(entry: Entry, event: e.EntryUpdated) -> dict[str, Any]:
    new: dict[str, Any] = {name: change["to"] for name, change in event.changes.items()}
    own: dict[str, Any] = {name: new.pop(name) for name in ("name", "slug") if name in new}
    return {**own, "fields": {**entry.fields, **new}}


def _run_changes(recorded: Recorded) -> dict[str, Any]:
    event, at = recorded.event, recorded.at
    match event:
        case e.RunProgressed():
            return {
                "progress_message": event.message,
                "progress_percent": event.percent,
                "progressed_at": at,
            }
        case e.RunCheckpointed():
            return {"checkpoint_position": recorded.position, "checkpointed_at": at}
        case e.RunWorkspaceRetained():
            return {"workspace_url": event.workspace_url}
        case e.RunPaused():
            return {"paused_at": at}
        case e.RunResumed():
            return {"paused_at": None}
        case e.RunEnded():
            return {
                "paused_at": None,
                "ended_at": at,
                "exit_reason": event.exit_reason,
                "exit_details": event.exit_details,
            }
        case _:
            raise AssertionError(f"{event.type} in the stream of a run")


def _issue_changes(issue: Issue, recorded: Recorded) -> dict[str, Any]:
    event, at = recorded.event, recorded.at
    match event:
        case e.IssueEdited():
            return _issue_edited(event, recorded)
        case e.IssueTransitioned():
            return _moved(issue, event.to_status, at)
        case e.IssueMoved():
            moved = _moved(issue, event.to_status, at)
            return {**moved, **_NOBODY, **_moved_also(issue, event, at)}
        case e.IssueAssigned():
            return {"assignee": event.to_assignee}
        case e.IssueUnassigned():
            return {"assignee": None, **_NOBODY}
        case e.IssueReassigned():
            return {
                **_moved(issue, event.to_status, at),
                "assignee": event.to_assignee,
                "paused_run_id": None,
                **_NOBODY,
            }
        case e.IssueCheckedOut():
            resumes = event.run_id == issue.paused_run_id
            return {
                **_moved(issue, event.to_status, at),
                "assignee": f"agent:{event.agent_id}",
                "holder_agent_id": event.agent_id,
                "holder_run_id": event.run_id,
                "held_since": at,
                "fencing_token": recorded.version,
                "paused_run_id": None,
                "run_count": issue.run_count + (not resumes),
                **_leased(event.lease_seconds, recorded),
            }
        case e.IssueLeaseRenewed():
            return _leased(event.lease_seconds, recorded)
        case e.IssueReleased() | e.IssueLeaseExpired():
            return {
                **_moved(issue, event.to_status, at),
                "assignee": event.to_assignee,
                **_NOBODY,
            }
        case e.IssueCommented():
            return {"comment_count": issue.comment_count + 1}
        case e.CommentDeleted():
            return {"comment_count": issue.comment_count - 1}
        case e.IssueLabelled():
            return {"label_ids": (*issue.label_ids, event.label_id)}
        case e.IssueUnlabelled():
            return {"label_ids": tuple(i for i in issue.label_ids if i != event.label_id)}
        case e.IssueDeleted():
            return {"deleted_at": at, "paused_at": None, "paused_run_id": None, **_NOBODY}
        case e.IssueBudgetSet():
            return {"per_task_micros": event.to_micros}
        case e.CommentEdited() | e.IssueLinked() | e.IssueUnlinked() | e.BudgetReached():
            return {}
        case _:
            raise AssertionError(f"{event.type} in the stream of an issue")


def _issue_edited(event: e.IssueEdited, recorded: Recorded) -> dict[str, Any]:
    new: dict[str, Any] = {name: change["to"] for name, change in event.changes.items()}
    if "description" in new:
        new.update(_described(new.pop("description"), recorded.position))
    if "external_ref" in new:
        ref = new.pop("external_ref") or {}
        new["external_system"], new["external_id"] = ref.get("system"), ref.get("id")
    return new


def _described(text: str | None, position: int) -> dict[str, Any]:
    if text is None:
        return {"description_position": None, "description_sha256": None}
    return {"description_position": position, "description_sha256": sha256_of(text)}


def sha256_of(text: str) -> str:
    """How state remembers a long text: enough to tell whether another one differs."""
    return sha256(text.encode()).hexdigest()


def _moved(issue: Issue, to_status: str, at: datetime) -> dict[str, Any]:
    return {
        "status": to_status,
        "blocked_from": _blocked_from(issue) if to_status == "blocked" else None,
        **_clocks(issue.started_at, issue.completed_at, to_status, at),
        **({} if to_status in HOLDABLE else _NOBODY),
        **({"paused_at": None, "paused_run_id": None} if to_status in FINISHED else {}),
    }


def _blocked_from(issue: Issue) -> str | None:
    return issue.blocked_from if issue.status == "blocked" else issue.status


def _moved_also(issue: Issue, event: e.IssueMoved, at: datetime) -> dict[str, Any]:
    """What a verb changes beside the status."""
    match event:
        case e.IssuePaused():
            return {"paused_at": at, "paused_run_id": issue.holder_run_id or issue.paused_run_id}
        case e.IssueInterrupted():
            return {"paused_run_id": issue.holder_run_id}
        case e.IssueResumed():
            return {"paused_at": None}
        case e.IssueBlocked() | e.IssueUnblocked():
            return {}
        case e.IssueTakenOver():
            return {"assignee": event.to_assignee, "paused_run_id": None}
        case _:
            return {"paused_run_id": None}


_NOBODY: dict[str, Any] = {
    "holder_agent_id": None,
    "holder_run_id": None,
    "held_since": None,
    "lease_seconds": None,
    "lease_expires_at": None,
    "fencing_token": None,
}


def _leased(seconds: int, recorded: Recorded) -> dict[str, Any]:
    """A lease runs from when the ledger wrote it down, whenever it is said to have begun."""
    return {
        "lease_seconds": seconds,
        "lease_expires_at": recorded.recorded_at + timedelta(seconds=seconds),
    }


def _clocks(
    started_at: datetime | None, completed_at: datetime | None, status: str, at: datetime
) -> dict[str, Any]:
    """Started when work first began; completed while finished, since it finished."""
    return {
        "started_at": at if started_at is None and status == "in_progress" else started_at,
        "completed_at": (completed_at or at) if status in FINISHED else None,
    }
