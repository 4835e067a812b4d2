"""What an event changes beside the state of its own stream: names, links, leases, sums.

Each of these is a fact of its own, so that a decision finds it without looking through states.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ledger import events as e
from ledger.amounts import AMOUNTS, added_by, amounts_of
from ledger.events import Event, Recorded
from ledger.facts import (
    FactKey,
    Prefix,
    blockers,
    cost,
    dependents,
    external_ref,
    identifier,
    label_named,
    link_between,
    month_of,
    prefix,
    spending,
    spending_in,
)
from ledger.state import (
    Comment,
    Company,
    Cost,
    Entry,
    Issue,
    Key,
    Lease,
    Link,
    Run,
    State,
    sha256_of,
)
from ledger.values import replace

if TYPE_CHECKING:
    from ledger.known import Known


def lookups(
    recorded: Recorded, before: State | None, after: State, known: Known
) -> dict[FactKey, Any]:
    """The facts that an event changes beside its own state, with their new values."""
    event = recorded.event
    match event, after:
        case e.CostReported(), Run():
            when = recorded.recorded_at
            sums = spending(recorded.company_id, after.issue_id, after.agent_id, when)
            return {
                **_costs(sums, event, known),
                cost(recorded.position): reported_cost(event, after.id, recorded.at, when),
            }
        case e.CostCorrected(), Run():
            sums = spending_in(recorded.company_id, after.issue_id, after.agent_id, event.month)
            return {
                **_costs(sums, event, known),
                cost(event.corrects_position): _corrected_cost(event, after.id),
            }
        case e.CompanyCreated(), Company():
            return {prefix(after.issue_prefix): Prefix(None, 0)}
        case e.KeyCreated(), Key():
            return {("actor", after.actor): True}
        case ((e.EntryCreated() | e.EntryUpdated() | e.EntryArchived()), Entry()):
            return _entry_lookups(before, after, known)
        case ((e.IssueCreated() | e.IssueEdited() | e.IssueDeleted()), Issue()):
            return {
                **_issue_lookups(event, before, after, known),
                **_leases(recorded, before, after),
            }
        case ((e.IssueCommented() | e.CommentEdited() | e.CommentDeleted()), _):
            return {("comment", event.comment_id): _comment(recorded, known)}
        case e.IssueLinked(), _:
            return {
                ("link", event.link_id): Link(
                    id=event.link_id,
                    issue_id=recorded.stream_id,
                    link_type=event.link_type,
                    target_id=event.target_id,
                    created_position=recorded.position,
                    created_at=recorded.at,
                    created_by=recorded.author,
                ),
                link_between(recorded.stream_id, event.link_type, event.target_id): event.link_id,
                **_blocking(recorded.stream_id, event, known),
            }
        case e.IssueUnlinked(), _:
            return {
                ("link", event.link_id): None,
                link_between(recorded.stream_id, event.link_type, event.target_id): None,
                **_blocking(recorded.stream_id, event, known),
            }
        case _, Issue():
            return _leases(recorded, before, after)
        case _:
            return {}


def _costs(
    sums: Iterable[FactKey], event: e.CostReported | e.CostCorrected, known: Known
) -> dict[FactKey, Any]:
    *_, micros = added_by(event)
    return {key: known.spent(key) + micros for key in sums}


def reported_cost(event: e.CostReported, run_id: str, at: datetime, recorded_at: datetime) -> Cost:
    """A report of costs that nobody has corrected."""
    return Cost(
        run_id=run_id,
        team_id=event.team_id,
        project_id=event.project_id,
        provider=event.provider,
        model=event.model,
        at=at,
        month=month_of(recorded_at),
        **_amounts(event),
    )


def _amounts(event: e.CostReported | e.CostCorrected) -> dict[str, Any]:
    return dict(zip(AMOUNTS, amounts_of(event), strict=True))


def _corrected_cost(event: e.CostCorrected, run_id: str) -> Cost:
    return Cost(
        run_id=run_id,
        team_id=event.team_id,
        project_id=event.project_id,
        provider=event.provider,
        model=event.model,
        at=datetime.fromisoformat(event.reported_at),
        month=event.month,
        is_corrected=True,
        **_amounts(event),
    )


def _blocking(
    issue_id: str, event: e.IssueLinked | e.IssueUnlinked, known: Known
) -> dict[FactKey, Any]:
    """Both ends of a link that blocks; those linked first stand first."""
    if event.link_type != "blocked_by":
        return {}
    ends = (
        (blockers(issue_id), known.blockers(issue_id), event.target_id),
        (dependents(event.target_id), known.dependents(event.target_id), issue_id),
    )
    linked = isinstance(event, e.IssueLinked)
    return {
        key: (*others, other) if linked else tuple(one for one in others if one != other)
        for key, others, other in ends
    }


def _leases(recorded: Recorded, before: State | None, after: Issue) -> dict[FactKey, Any]:
    """The lease that an event began, renewed or ended."""
    facts: dict[FactKey, Any] = {}
    former = _lease(before) if isinstance(before, Issue) else None
    lease = _lease(after)
    if former and (lease is None or lease.fencing_token != former.fencing_token):
        ended = replace(former, ended_at=recorded.at, ended_by=recorded.event.type)
        facts[("lease", former.issue_id, str(former.fencing_token))] = ended
    if lease and lease != former:
        facts[("lease", lease.issue_id, str(lease.fencing_token))] = lease
    return facts


def _lease(issue: Issue) -> Lease | None:
    if issue.fencing_token is None:
        return None
    assert issue.holder_run_id is not None
    assert issue.holder_agent_id is not None
    assert issue.held_since is not None
    assert issue.lease_seconds is not None
    assert issue.lease_expires_at is not None
    return Lease(
        issue_id=issue.id,
        fencing_token=issue.fencing_token,
        run_id=issue.holder_run_id,
        agent_id=issue.holder_agent_id,
        lease_seconds=issue.lease_seconds,
        acquired_at=issue.held_since,
        expires_at=issue.lease_expires_at,
    )


def _entry_lookups(before: State | None, entry: Entry, known: Known) -> dict[FactKey, Any]:
    facts: dict[FactKey, Any] = {}
    if isinstance(before, Entry) and before.slug != entry.slug:
        facts[("slug", entry.kind, before.slug)] = None
    facts[("slug", entry.kind, entry.slug)] = None if entry.archived_at else entry.id
    if entry.kind == "label":
        if isinstance(before, Entry):
            facts[label_named(before.name)] = None
        facts[label_named(entry.name)] = None if entry.archived_at else entry.id
    former = before.fields.get("issue_prefix") if isinstance(before, Entry) else None
    match entry.fields.get("issue_prefix"):
        case str(new) if new != former and known[prefix(new)] is None:
            facts[prefix(new)] = Prefix(entry.id, 0)
    return facts


def _issue_lookups(
    event: Event, before: State | None, issue: Issue, known: Known
) -> dict[FactKey, Any]:
    facts: dict[FactKey, Any] = {}
    if isinstance(event, e.IssueCreated):
        facts[identifier(issue.identifier)] = issue.id
        owner: Prefix = known[prefix(event.prefix)]
        facts[prefix(event.prefix)] = owner._replace(last_number=event.number)
    for state, value in ((before, None), (issue, None if issue.deleted_at else issue.id)):
        if isinstance(state, Issue) and state.external_system and state.external_id:
            facts[external_ref(state.external_system, state.external_id)] = value
    return facts


def _comment(recorded: Recorded, known: Known) -> Comment:
    event = recorded.event
    match event:
        case e.IssueCommented():
            return Comment(
                id=event.comment_id,
                issue_id=recorded.stream_id,
                author=recorded.author,
                text_position=recorded.position,
                text_sha256=sha256_of(event.body),
                created_position=recorded.position,
                created_at=recorded.at,
            )
        case e.CommentEdited():
            comment: Comment = known[("comment", event.comment_id)]
            return replace(
                comment,
                edited_at=recorded.at,
                text_position=recorded.position,
                text_sha256=sha256_of(event.body),
            )
        case e.CommentDeleted():
            comment = known[("comment", event.comment_id)]
            return replace(comment, deleted_at=recorded.at)
        case _:
            raise AssertionError(f"{event.type} is not about a comment")
