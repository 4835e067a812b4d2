"""From state to JSON: how `/v1` shows each thing.

The same functions show what a command's reply carries and what a query finds. The pydantic
models beside them say the same in types; the OpenAPI document is made from those, and a test
holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

import asyncpg
from pydantic import BaseModel, ConfigDict

from api import wire as w
from ledger.actors import Role
from ledger.codec import timestamp
from ledger.decisions.base import holder
from ledger.log import Stored
from ledger.state import Comment, Company, Entry, Issue, Key, Link, Run
from ledger.submission import Subject

Json = dict[str, Any]


class View(BaseModel):
    """What every reply model is: exactly these fields."""

    model_config = ConfigDict(extra="forbid")


# ── models, for the OpenAPI document ───────────────────────────────────────────────────


class HolderView(View):
    """The agent and run at work on an issue."""

    agent_id: str
    run_id: str
    since: datetime


class IssueView(View):
    """An issue. `description` is there on GET, and where the command set it."""

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
    """One attempt at an issue by one agent, with the sum of what it reported."""

    id: str
    version: int
    issue_id: str
    agent_id: str
    status: str
    started_at: datetime
    ended_at: datetime | None
    exit_reason: str | None
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_micros: int


class ActivityView(View):
    """One event as activity: a sentence for people, changes for machines."""

    position: int
    event_id: str
    type: str
    subject_type: str
    subject_id: str
    issue_id: str | None
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
    """One cost report."""

    position: int
    at: datetime
    run_id: str
    issue_id: str
    agent_id: str
    project_id: str | None
    provider: str
    model: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_micros: int


class CostSumView(View):
    """A sum of cost reports, with the groups that were asked for."""

    day: date | None = None
    agent_id: str | None = None
    project_id: str | None = None
    issue_id: str | None = None
    provider: str | None = None
    model: str | None = None
    reports: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_micros: int


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


# ── functions ──────────────────────────────────────────────────────────────────────────


def issue(state: Issue) -> Json:
    """An issue, without its description."""
    return {
        "id": state.id,
        "identifier": state.identifier,
        "version": state.version,
        "title": state.title,
        "status": state.status,
        "priority": state.priority,
        "assignee": state.assignee,
        "holder": holder(state),
        "run_id": state.holder_run_id,
        "team_id": state.team_id,
        "project_id": state.project_id,
        "goal_id": state.goal_id,
        "milestone_id": state.milestone_id,
        "parent_id": state.parent_id,
        "label_ids": list(state.label_ids),
        "due_at": state.due_at,
        "estimate": state.estimate,
        "sort_order": state.sort_order,
        "billing_code": state.billing_code,
        "external_ref": state.external_ref,
        "comment_count": state.comment_count,
        "created_at": timestamp(state.created_at),
        "created_by": state.created_by,
        "updated_at": timestamp(state.updated_at),
        "started_at": _time(state.started_at),
        "completed_at": _time(state.completed_at),
    }


_ENTRY_VIEWS: Mapping[str, type[EntryView]] = {
    "user": UserView,
    "agent": AgentView,
    "team": TeamView,
    "project": ProjectView,
    "goal": GoalView,
    "milestone": MilestoneView,
    "label": LabelView,
    "routine": RoutineView,
}
_OWN_FIELDS = {
    kind: tuple(set(view.model_fields) - set(EntryView.model_fields))
    for kind, view in _ENTRY_VIEWS.items()
}


def entry_view(kind: str) -> type[EntryView]:
    """The model of a kind's view."""
    return _ENTRY_VIEWS[kind]


def entry(state: Entry) -> Json:
    """An entry of the directory, with the fields of its kind."""
    own: Json = {name: state.fields.get(name) for name in _OWN_FIELDS[state.kind]}
    if state.kind == "team":
        own["agent_ids"] = list(own["agent_ids"] or [])
    return {
        "id": state.id,
        "version": state.version,
        "name": state.name,
        "slug": state.slug,
        **own,
        "archived_at": _time(state.archived_at),
        "created_at": timestamp(state.created_at),
        "created_by": state.created_by,
        "updated_at": timestamp(state.updated_at),
    }


def company(state: Company) -> Json:
    """A company."""
    return {
        "id": state.id,
        "version": state.version,
        "name": state.name,
        "workflow": state.workflow,
        "issue_prefix": state.issue_prefix,
        "created_at": timestamp(state.created_at),
        "updated_at": timestamp(state.updated_at),
    }


def key(state: Key) -> Json:
    """An API key, without its secret."""
    return {
        "id": state.id,
        "version": state.version,
        "role": str(Role(state.role)),
        "actor": state.actor,
        "name": state.name,
        "revoked_at": _time(state.revoked_at),
        "created_at": timestamp(state.created_at),
        "created_by": state.created_by,
    }


def comment(state: Comment) -> Json:
    """A comment, without its text."""
    return {
        "id": state.id,
        "issue_id": state.issue_id,
        "author": state.author,
        "created_at": timestamp(state.created_at),
        "edited_at": _time(state.edited_at),
    }


def link(state: Link) -> Json:
    """A link."""
    return {
        "id": state.id,
        "issue_id": state.issue_id,
        "link_type": state.link_type,
        "target_id": state.target_id,
        "created_at": timestamp(state.created_at),
        "created_by": state.created_by,
    }


def run(state: Run) -> Json:
    """A run."""
    return {
        "id": state.id,
        "version": state.version,
        "issue_id": state.issue_id,
        "agent_id": state.agent_id,
        "status": "active" if state.ended_at is None else "ended",
        "started_at": timestamp(state.created_at),
        "ended_at": _time(state.ended_at),
        "exit_reason": state.exit_reason,
        "input_tokens": state.input_tokens,
        "output_tokens": state.output_tokens,
        "cached_tokens": state.cached_tokens,
        "cost_micros": state.cost_micros,
    }


_VIEWS: Mapping[type, Callable[[Any], Json]] = {
    Company: company,
    Key: key,
    Entry: entry,
    Issue: issue,
    Run: run,
    Comment: comment,
    Link: link,
}


def subject(state: Subject, text: str | None) -> Json:
    """What a command was about, with the long text that the command itself set."""
    shown = _VIEWS[type(state)](state)
    if text is not None:
        shown["body" if isinstance(state, Comment) else "description"] = text
    return shown


def activity(row: asyncpg.Record) -> Json:
    """An entry of the activity."""
    return _row(row, ActivityView)


def cost_entry(row: asyncpg.Record) -> Json:
    """A cost report."""
    return _row(row, CostEntryView)


def cost_sum(row: asyncpg.Record, groups: list[str]) -> Json:
    """A sum of costs, with the groups that were asked for."""
    shown = _row(row, CostSumView)
    for name in ("day", "agent", "project", "issue", "provider", "model"):
        column = f"{name}_id" if name in ("agent", "project", "issue") else name
        if name not in groups:
            del shown[column]
    if "project_id" in shown:
        shown["project_id"] = shown["project_id"] or None
    return shown


def event(stored: Stored) -> Json:
    """An event of the log, with what proves it."""
    r = stored.recorded
    return {
        "company_id": r.company_id,
        "position": r.position,
        "stream_id": r.stream_id,
        "version": r.version,
        "event_id": r.event_id,
        "type": r.event.type,
        "schema_version": stored.schema_version,
        "actor": str(r.actor),
        "on_behalf_of": str(r.on_behalf_of) if r.on_behalf_of else None,
        "key_id": r.key_id,
        "command_id": r.command_id,
        "correlation_id": r.correlation_id,
        "causation_id": r.causation_id,
        "run_id": r.run_id,
        "recorded_at": timestamp(r.recorded_at),
        "occurred_at": _time(r.occurred_at),
        "via": r.via,
        "data": stored.data,
        "salt": stored.salt.hex(),
        "data_hash": stored.data_hash.hex(),
        "leaf": stored.leaf.hex(),
    }


def _row(row: asyncpg.Record, view: type[View]) -> Json:
    return {name: _plain(row[name]) for name in view.model_fields}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return timestamp(value)
    if value is None or isinstance(value, str | int | list | dict):
        return value
    return str(value)


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else timestamp(moment)
