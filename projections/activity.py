"""Following read model: activity, one entry an event.

Each entry says who did it, for whom, through which channel and run, in a sentence for people
and as changes from → to for machines. Everything comes from the events themselves; names are
those that a stream began with, which are in the log too, so that a rebuild years later
writes the same sentences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, TypeAlias

from ledger import events as e
from ledger import log
from ledger.actors import Actor
from ledger.amounts import AMOUNTS
from ledger.database import Connection
from ledger.events import Json, Recorded
from ledger.facts import is_id
from ledger.sql import beside
from ledger.values import Value
from projections.belonging import Belonging, belongings

_SQL = beside(__file__)


class Activity:
    """Keeps `activity`, and `activity_projects` to know what is in which project."""

    name = "activity"
    tables = ("activity", "activity_projects")

    async def save(
        self, connection: Connection, company_id: str, recorded: Sequence[Recorded]
    ) -> None:
        """Adds an entry for each event."""
        wanted = sorted(filter(is_id, {ref for r in recorded for ref in _named_in(r)}))
        names = await log.first_names(connection, company_id, wanted)
        places = await belongings(connection, company_id, recorded)
        entries = [_entry(r, names, place) for r, place in zip(recorded, places, strict=True)]
        await connection.execute(_SQL.insert_activity, company_id, entries)


class _Entry(Value, frozen=True, kw_only=True):
    """A row; what is None is left out."""

    position: int
    event_id: str
    type: str
    subject_type: str
    subject_id: str
    issue_id: str | None = None
    project_id: str | None = None
    former_project_id: str | None = None
    actor: str
    on_behalf_of: str | None = None
    via: str
    key_id: str | None = None
    run_id: str | None = None
    command_id: str
    at: datetime
    occurred_at: datetime | None = None
    recorded_at: datetime
    sentence: str
    changes: list[dict[str, Json]]


class _Told(NamedTuple):
    """How an event reads: what it is about, what was done, and what changed."""

    subject_type: str
    issue_id: str | None
    words: str
    changes: list[dict[str, Json]]


def _entry(r: Recorded, names: Mapping[str, str], place: Belonging) -> _Entry:
    told = _tell(r, names)
    who = _name_of(r.on_behalf_of or r.actor, names)
    return _Entry(
        position=r.position,
        event_id=r.event_id,
        type=r.event.type,
        subject_type=told.subject_type,
        subject_id=r.stream_id,
        issue_id=told.issue_id,
        project_id=place.project_id,
        former_project_id=place.former_project_id,
        actor=str(r.actor),
        on_behalf_of=str(r.on_behalf_of) if r.on_behalf_of else None,
        via=r.via,
        key_id=r.key_id,
        run_id=_run_of(r),
        command_id=r.command_id,
        at=r.at,
        occurred_at=r.occurred_at,
        recorded_at=r.recorded_at,
        sentence=f"{who} {told.words}.",
        changes=told.changes,
    )


def _tell(r: Recorded, names: Mapping[str, str]) -> _Told:
    event = r.event
    match event:
        case e.CompanyCreated():
            return _Told("company", None, f"began the company {event.name}", [])
        case e.BudgetSet() | e.BudgetReached():
            return _tell_budget(r, event, names)
        case e.AgentPaused():
            words = f"paused the agent {event.name}" + _because(event.reason)
            return _Told("agent", None, words, [_change("paused", False, True)])
        case e.AgentResumed():
            words = f"resumed the agent {event.name}"
            return _Told("agent", None, words, [_change("paused", True, False)])
        case e.KeyCreated():
            words = f"gave {event.actor} an API key with the role {event.role}"
            return _Told("key", None, words, [_change("role", None, event.role)])
        case e.KeyRenamed():
            words = f"called an API key {event.to_name}"
            return _Told("key", None, words, [_change("name", event.from_name, event.to_name)])
        case e.KeyRevoked():
            return _Told("key", None, "revoked an API key", [])
        case e.EntryCreated():
            return _Told(event.kind, None, f"created the {event.kind} {event.name}", [])
        case e.EntryUpdated():
            words = f"changed {_listed(event.changes)} of the {event.kind} {names[r.stream_id]}"
            return _Told(event.kind, None, words, _changes(event.changes))
        case e.EntryArchived():
            return _Told(event.kind, None, f"archived the {event.kind} {event.name}", [])
        case (
            e.RunStarted()
            | e.RunProgressed()
            | e.RunCheckpointed()
            | e.RunWorkspaceRetained()
            | e.CostReported()
            | e.CostCorrected()
            | e.RunPaused()
            | e.RunResumed()
            | e.RunEnded()
        ):
            words = _tell_run(event, _issue(event.issue_id, names))
            changes = _corrected(event) if isinstance(event, e.CostCorrected) else []
            return _Told("run", event.issue_id, words, changes)
        case _:
            words, changes = _tell_issue(r, names)
            return _Told("issue", r.stream_id, words, changes)


def _tell_budget(
    r: Recorded, event: e.BudgetSet | e.BudgetReached, names: Mapping[str, str]
) -> _Told:
    subject = event.type.partition(".")[0]
    whose = names.get(r.stream_id, r.stream_id)
    issue_id = r.stream_id if subject == "issue" else None
    match event:
        case e.BudgetSet():
            limit = "no limit" if event.to_micros is None else _dollars(event.to_micros)
            field = "per_task_micros" if subject == "issue" else "monthly_micros"
            changes = [_change(field, event.from_micros, event.to_micros)]
            return _Told(subject, issue_id, f"set the budget of {whose} to {limit}", changes)
        case _:
            done = "spent four fifths of" if event.type.endswith("warned") else "spent"
            month = f" for {event.month}" if event.month else ""
            sums = f"{_dollars(event.spent_micros)} of {_dollars(event.limit_micros)}"
            words = f"{done} the budget of {whose}{month}: {sums}"
            return _Told(subject, issue_id, words, [])


RunEvent: TypeAlias = (
    e.RunStarted
    | e.RunProgressed
    | e.RunCheckpointed
    | e.RunWorkspaceRetained
    | e.CostReported
    | e.CostCorrected
    | e.RunPaused
    | e.RunResumed
    | e.RunEnded
)


def _tell_run(event: RunEvent, issue: str) -> str:
    match event:
        case e.RunStarted():
            return f"began a run on {issue}"
        case e.RunProgressed():
            percent = "" if event.percent is None else f" ({event.percent} %)"
            return f"reported progress on {issue}{percent}: {event.message}"
        case e.RunCheckpointed():
            return f"saved a checkpoint of the run on {issue}"
        case e.RunWorkspaceRetained():
            return f"kept the workspace of the run on {issue} at {event.workspace_url}"
        case e.CostReported():
            return f"reported {_dollars(event.cost_micros)} of {event.model} on {issue}"
        case e.CostCorrected():
            sums = f"{_dollars(event.from_cost_micros)} to {_dollars(event.cost_micros)}"
            words = f"corrected a report of {event.model} on {issue} from {sums}"
            return words + _because(event.reason)
        case e.RunPaused():
            return f"paused the run on {issue}" + _because(event.reason)
        case e.RunResumed():
            return f"resumed the run on {issue}"
        case e.RunEnded():
            return f"ended the run on {issue}: {event.exit_reason}" + _because(event.exit_details)


def _corrected(event: e.CostCorrected) -> list[dict[str, Json]]:
    pairs = [(name, getattr(event, f"from_{name}"), getattr(event, name)) for name in AMOUNTS]
    return [_change(name, before, after) for name, before, after in pairs if before != after]


_DONE: Mapping[type[e.IssueMoved], str] = {
    e.IssueSubmitted: "submitted",
    e.IssueAccepted: "accepted",
    e.IssueRejected: "rejected",
    e.IssueFailed: "failed",
    e.IssueCancelled: "cancelled",
    e.IssueClosed: "closed",
    e.IssueReopened: "reopened",
    e.IssueHandedOff: "handed off",
    e.IssueTakenOver: "took over",
    e.IssuePaused: "paused",
    e.IssueInterrupted: "interrupted the work on",
    e.IssueResumed: "resumed",
    e.IssueBlocked: "blocked",
    e.IssueUnblocked: "unblocked",
}


def _tell_moved(
    event: e.IssueMoved, issue: str, names: Mapping[str, str]
) -> tuple[str, list[dict[str, Json]]]:
    words, changes = f"{_DONE[type(event)]} {issue}", _moved(event.from_status, event.to_status)
    match event:
        case e.IssueUnblocked():
            words += f", which {_issue(event.blocker_id, names)} blocks no more"
        case e.IssueTakenOver() if event.from_assignee != event.to_assignee:
            changes = [_change("assignee", event.from_assignee, event.to_assignee), *changes]
        case e.IssueClosed(forced=True):
            words += " by force"
    return words + _because(event.reason), changes


def _tell_issue(r: Recorded, names: Mapping[str, str]) -> tuple[str, list[dict[str, Json]]]:
    event, issue = r.event, _issue(r.stream_id, names)
    match event:
        case e.IssueCreated():
            return f"created {issue}: {event.title}", [
                _change("status", None, event.status),
                *([_change("assignee", None, event.assignee)] if event.assignee else []),
            ]
        case e.IssueEdited():
            return f"changed {_listed(event.changes)} of {issue}", _changes(event.changes)
        case e.IssueTransitioned():
            words = f"moved {issue} from {event.from_status} to {event.to_status}"
            return words + _because(event.reason), _moved(event.from_status, event.to_status)
        case e.IssueMoved():
            return _tell_moved(event, issue, names)
        case e.IssueLeaseRenewed():
            return f"renewed the lease on {issue} for {event.lease_seconds} s", []
        case e.IssueLeaseExpired():
            agent = _called(f"agent:{event.agent_id}", names)
            changes = _moved(event.from_status, event.to_status)
            if event.from_assignee != event.to_assignee:
                changes.insert(0, _change("assignee", event.from_assignee, event.to_assignee))
            return f"ended the lease of {agent} on {issue}, which ran out", changes
        case e.IssueAssigned():
            return f"assigned {issue} to {_called(event.to_assignee, names)}", [
                _change("assignee", event.from_assignee, event.to_assignee)
            ]
        case e.IssueUnassigned():
            return f"took {issue} from {_called(event.from_assignee, names)}", [
                _change("assignee", event.from_assignee, None)
            ]
        case e.IssueReassigned():
            words = f"reassigned {issue} to {_called(event.to_assignee, names)}"
            return words + _because(event.reason), [
                _change("assignee", event.from_assignee, event.to_assignee),
                *_moved(event.from_status, event.to_status),
            ]
        case e.IssueCheckedOut():
            agent = f"agent:{event.agent_id}"
            words = f"checked out {issue}"
            if str(r.on_behalf_of or r.actor) != agent:
                words += f" for {_called(agent, names)}"
            return words, [
                *([_change("assignee", event.from_assignee, agent)]
                  if event.from_assignee != agent else []),
                *_moved(event.from_status, event.to_status),
            ]  # fmt: skip
        case e.IssueReleased():
            return f"released {issue}" + _because(event.reason), [
                _change("assignee", event.from_assignee, event.to_assignee),
                *_moved(event.from_status, event.to_status),
            ]
        case e.IssueCommented():
            return f"commented on {issue}", [_change("comment", None, event.comment_id)]
        case e.CommentEdited():
            return f"edited a comment on {issue}", [
                {"field": "comment", "comment_id": event.comment_id,
                 "from_position": event.from_position, "to": event.comment_id}
            ]  # fmt: skip
        case e.CommentDeleted():
            return f"deleted a comment on {issue}", [_change("comment", event.comment_id, None)]
        case e.IssueLabelled():
            return f"labelled {issue} {event.name}", [_change("label", None, event.name)]
        case e.IssueUnlabelled():
            return f"took the label {event.name} off {issue}", [_change("label", event.name, None)]
        case e.IssueLinked():
            link = f"{event.link_type} {event.target_identifier}"
            return f"linked {issue}: {link}", [_change("link", None, link)]
        case e.IssueUnlinked():
            link = f"{event.link_type} {_issue(event.target_id, names)}"
            return f"unlinked {issue}: {link}", [_change("link", link, None)]
        case e.IssueDeleted():
            return f"deleted {issue}" + _because(event.reason), []
        case _:
            raise AssertionError(f"{event.type} is not told")


def _named_in(r: Recorded) -> list[str]:
    """The streams whose names the sentence may say, and what else may stand in their places."""
    event = r.event
    refs = [r.stream_id]
    for actor in (r.actor, r.on_behalf_of):
        refs += [actor.id] if actor else []
    for field in ("to_assignee", "from_assignee"):
        refs += [Actor.parse(text).id] if (text := getattr(event, field, None)) else []
    for field in ("issue_id", "target_id", "agent_id", "blocker_id"):
        refs += [ref] if (ref := getattr(event, field, None)) else []
    return refs


def _run_of(r: Recorded) -> str | None:
    """The run that an event bears on: its own, or the one it was done in."""
    if r.event.type.startswith("run."):
        return r.stream_id
    run_id: str | None = getattr(r.event, "run_id", None)
    return run_id or r.run_id


def _issue(issue_id: str, names: Mapping[str, str]) -> str:
    return names.get(issue_id, issue_id)


def _called(actor: str, names: Mapping[str, str]) -> str:
    return _name_of(Actor.parse(actor), names)


def _name_of(actor: Actor, names: Mapping[str, str]) -> str:
    return names.get(actor.id, str(actor))


def _because(reason: str | None) -> str:
    return f" ({reason})" if reason else ""


def _dollars(micros: int) -> str:
    return f"{micros // 1_000_000}.{micros % 1_000_000:06d} USD"


def _listed(changes: e.Changes) -> str:
    return ", ".join(sorted(changes))


def _changes(changes: e.Changes) -> list[dict[str, Json]]:
    return [{"field": name, **change} for name, change in sorted(changes.items())]


def _change(field: str, before: Json, after: Json) -> dict[str, Json]:
    return {"field": field, "from": before, "to": after}


def _moved(before: str, after: str) -> list[dict[str, Json]]:
    return [] if before == after else [_change("status", before, after)]
