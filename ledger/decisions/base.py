"""What every rule uses: a decision's shape, finding what a command names, telling why not."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.actors import Actor, Role
from ledger.codec import timestamp
from ledger.commands import ArchiveEntry, Command, CreateEntry, IssueCommand, UpdateEntry
from ledger.directory import KINDS
from ledger.errors import Forbidden, NotFound
from ledger.events import Event, Json
from ledger.known import FactKey, Known
from ledger.state import Entry, Issue


@dataclass(frozen=True, slots=True)
class Decision:
    """The events to append, each with its stream; none means that it is so already.

    `subject` is the fact that the reply shows; `stream` the one whose version If-Match names.
    """

    subject: FactKey
    stream: FactKey
    events: tuple[tuple[FactKey, Event], ...]


def on_issue(issue: Issue, *events: Event, also: tuple[FactKey, Event] | None = None) -> Decision:
    """A decision about an issue, `also` being an event of another stream."""
    key = ("issue", issue.id)
    own = tuple((key, event) for event in events)
    return Decision(key, key, (*own, also) if also else own)


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


def forbidden(role: Role, permission: str) -> Forbidden:
    """The refusal of a role that lacks a permission."""
    return Forbidden(
        f"The role {role} may not {permission} here; ask for a key of another role.",
        role=str(role),
        permission=str(permission),
    )


def the_issue(command: IssueCommand, known: Known) -> Issue:
    """The issue that a command is about; raises NotFound."""
    issue = known.issue(command.issue)
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


def current(issue: Issue) -> dict[str, Json]:
    """How an issue stands, for a refusal that is to help."""
    return {
        "id": issue.id,
        "identifier": issue.identifier,
        "status": issue.status,
        "version": issue.version,
        "assignee": issue.assignee,
        "holder": holder(issue),
    }


def holder(issue: Issue) -> dict[str, Json] | None:
    """Who is working on an issue, in which run, since when."""
    if issue.holder_agent_id is None or issue.held_since is None:
        return None
    return {
        "agent_id": issue.holder_agent_id,
        "run_id": issue.holder_run_id,
        "since": timestamp(issue.held_since),
    }
