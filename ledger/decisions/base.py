"""What every rule uses: a decision's shape, finding what a command names, telling why not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from ledger.actors import Actor, Role
from ledger.codec import timestamp
from ledger.commands import ArchiveEntry, Command, CreateEntry, IssueCommand, UpdateEntry
from ledger.directory import KINDS
from ledger.errors import Forbidden, IssueFrozen, NotFound
from ledger.events import Event, Json
from ledger.facts import FactKey
from ledger.known import Known
from ledger.state import Entry, Issue
from ledger.workflow import WORKFLOWS, Workflow

Appended: TypeAlias = tuple[FactKey, Event]
"""An event, and the state that it changes."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The events to append, each with its stream; none means that it is so already.

    `subject` is the fact that the reply shows; `stream` the one whose version If-Match names.
    """

    subject: FactKey
    stream: FactKey
    events: tuple[Appended, ...]


def on_issue(issue: Issue, *events: Event, also: Iterable[Appended] = ()) -> Decision:
    """A decision about an issue, `also` being events of other streams."""
    key = ("issue", issue.id)
    return Decision(key, key, (*((key, event) for event in events), *also))


def permit(command: Command) -> None:
    """Raises Forbidden unless the caller's role has the permission that the command needs."""
    needed = command.permission
    if isinstance(command, CreateEntry | UpdateEntry | ArchiveEntry):
        needed = KINDS[command.kind].permission
    if not command.role.may(needed):
        raise forbidden(command.role, needed)


def permit_run(command: Command, run_id: str, known: Known) -> None:
    """A caller acts in runs of its own: what the log says of a run is evidence."""
    run = known.run(run_id)
    if run is None:
        raise not_found("run", run_id)
    if command.actor != Actor("agent", run.agent_id):
        raise Forbidden(f"Run {run_id} is agent {run.agent_id}'s; act in runs of your own.")


def workflow_of(known: Known) -> Workflow:
    """The workflow that the company chose."""
    assert known.company is not None
    return WORKFLOWS[known.company.workflow]


def refuse_frozen(issue: Issue, known: Known) -> None:
    """Where the workflow says so, what is over stays as it is."""
    if issue.status in workflow_of(known).frozen:
        raise IssueFrozen(f"{issue.identifier} is {issue.status}, and stays as it is.")


def forbidden(role: Role, permission: str) -> Forbidden:
    """The refusal of a role that lacks a permission."""
    return Forbidden(
        f"The role {role} may not {permission} here; ask for a key of another role.",
        role=str(role),
        permission=str(permission),
    )


def the_issue(command: IssueCommand, known: Known, *, deleted: bool = False) -> Issue:
    """The issue that a command is about, a deleted one only if asked; raises NotFound."""
    issue = known.issue(command.issue, deleted=deleted)
    if issue is None:
        raise not_found("issue", command.issue)
    return issue


def the_entry(kind: str, ref: str, known: Known, pointer: str | None = None) -> Entry:
    """The entry that a command names; raises NotFound."""
    entry = known.entry(kind, ref)
    if entry is None:
        raise not_found(kind, ref, pointer)
    return entry


def the_actor(named: Actor, known: Known, pointer: str) -> Actor:
    """The actor that a command names; raises NotFound unless listed, or holding a key."""
    actor = known.actor(named)
    if actor is None:
        raise not_found(named.type, named.id, pointer)
    return actor


def not_found(kind: str, ref: str, pointer: str | None = None) -> NotFound:
    """The refusal for what is not in this company, be it in another one or nowhere."""
    return NotFound(f"There is no {kind} {ref!r} in this company.", pointer=pointer)


def current(issue: Issue, known: Known) -> dict[str, Json]:
    """How an issue stands, for a refusal that is to help."""
    workflow = workflow_of(known)
    return {
        "id": issue.id,
        "identifier": issue.identifier,
        "status": issue.status,
        "version": issue.version,
        "assignee": issue.assignee,
        "holder": holder(issue),
        "paused_at": None if issue.paused_at is None else timestamp(issue.paused_at),
        "allowed": {
            "statuses": list(workflow.steps[issue.status]),
            "verbs": list(workflow.verbs_from(issue.status)),
        },
    }


def holder(issue: Issue) -> dict[str, Json] | None:
    """Who is working on an issue, in which run, since when, and under what lease."""
    if issue.held_since is None or issue.lease_expires_at is None:
        return None
    return {
        "agent_id": issue.holder_agent_id,
        "run_id": issue.holder_run_id,
        "since": timestamp(issue.held_since),
        "expires_at": timestamp(issue.lease_expires_at),
        "fencing_token": issue.fencing_token,
    }
