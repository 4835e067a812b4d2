"""From state to JSON: how `/v1` shows each thing.

The same functions show what a command's reply carries and what a query finds. What they make
is described in `shapes.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from api.shapes import (
    ENTRY_VIEWS,
    ActivityView,
    CostEntryView,
    CostSumView,
    EntryView,
    FinishedCostView,
    View,
)
from ledger.actors import Role
from ledger.codec import encode, timestamp
from ledger.decisions.base import holder
from ledger.events import Recorded
from ledger.log import Stored
from ledger.state import Comment, Company, Entry, Issue, Key, Lease, Link, Run
from ledger.submission import Subject

Json = dict[str, Any]
MAX_DATA = 4096
"""Of an event's data in a refusal, in bytes."""


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
        "paused_at": _time(state.paused_at),
        "run_count": state.run_count,
        "per_task_micros": state.per_task_micros,
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


_OWN_FIELDS = {
    kind: tuple(set(view.model_fields) - set(EntryView.model_fields))
    for kind, view in ENTRY_VIEWS.items()
}


def entry(state: Entry) -> Json:
    """An entry of the directory, with the fields of its kind."""
    own: Json = {name: state.fields.get(name) for name in _OWN_FIELDS[state.kind]}
    if "agent_ids" in own:
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
        "monthly_micros": state.monthly_micros,
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
        "status": "ended" if state.ended_at else "paused" if state.paused_at else "active",
        "started_at": timestamp(state.created_at),
        "paused_at": _time(state.paused_at),
        "ended_at": _time(state.ended_at),
        "exit_reason": state.exit_reason,
        "exit_details": state.exit_details,
        "progress_message": state.progress_message,
        "progress_percent": state.progress_percent,
        "progressed_at": _time(state.progressed_at),
        "checkpointed_at": _time(state.checkpointed_at),
        "workspace_url": state.workspace_url,
        "input_tokens": state.input_tokens,
        "output_tokens": state.output_tokens,
        "cached_tokens": state.cached_tokens,
        "cost_micros": state.cost_micros,
    }


def lease(state: Lease) -> Json:
    """A lease."""
    return {
        "fencing_token": state.fencing_token,
        "run_id": state.run_id,
        "agent_id": state.agent_id,
        "lease_seconds": state.lease_seconds,
        "acquired_at": timestamp(state.acquired_at),
        "expires_at": timestamp(state.expires_at),
        "ended_at": _time(state.ended_at),
        "ended_by": state.ended_by,
    }


def budget(limit_micros: int | None, spent_micros: int, month: str | None) -> Json:
    """What may be spent, what was, and what is left."""
    left = None if limit_micros is None else max(limit_micros - spent_micros, 0)
    return {
        "month": month,
        "limit_micros": limit_micros,
        "spent_micros": spent_micros,
        "remaining_micros": left,
        "is_exceeded": left == 0,
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
    ids = ("agent", "team", "project", "issue", "run")
    shown = {f"{name}_id" if name in ids else name for name in groups}
    return {
        name: _plain(row[name])
        for name, field in CostSumView.model_fields.items()
        if field.is_required() or name in shown
    }


def finished_cost(row: asyncpg.Record, group: str | None) -> Json:
    """What finished issues cost, with the group that was asked for."""
    name = f"{group}_id" if group in ("agent", "team", "project") else group
    of_group = {} if name is None else {name: row["of_group"]}
    fields = FinishedCostView.model_fields.items()
    return {**of_group, **{key: row[key] for key, field in fields if field.is_required()}}


def zeros(view: type[View]) -> Json:
    """What a sum of nothing comes to; it is of no group."""
    return {name: 0 for name, field in view.model_fields.items() if field.is_required()}


def listed_budget(agent_id: str | None, limit: int | None, spent: int, month: str) -> Json:
    """A budget among those of a month: an agent's, or the company's."""
    of = "company" if agent_id is None else "agent"
    return {"of": of, "agent_id": agent_id, **budget(limit, spent, month)}


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


def change(stored: Stored) -> Json:
    """An event, for somebody who has to catch up; long data is left to `GET …/events`."""
    shown = event(stored)
    brief = {name: shown[name] for name in ("position", "version", "type", "actor", "recorded_at")}
    return {**brief, "data": shown["data"] if len(stored.canonical_data) <= MAX_DATA else None}


def planned(recorded: Recorded) -> Json:
    """An event that a dry run would have appended."""
    return {
        "type": recorded.event.type,
        "stream_id": recorded.stream_id,
        "version": recorded.version,
        "data": orjson.loads(encode(recorded.event)),
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
