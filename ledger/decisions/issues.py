"""An issue's own life: written down, edited, deleted. How it moves is in `moves.py`."""

from __future__ import annotations

from collections.abc import Mapping

from ledger import commands as c
from ledger import events as e
from ledger.decisions.base import (
    Decision,
    not_found,
    on_issue,
    refuse_frozen,
    the_entry,
    the_issue,
    workflow_of,
)
from ledger.decisions.blocking import freed
from ledger.decisions.labels import MAX_LABELS
from ledger.decisions.leases import end_run, refuse_holders_rivals
from ledger.decisions.ownership import the_assignee
from ledger.errors import (
    HierarchyCycle,
    HierarchyTooDeep,
    Invalid,
    Taken,
    TeamWithoutLead,
    TooMany,
)
from ledger.events import Json
from ledger.facts import Prefix, prefix
from ledger.facts import external_ref as external_ref_key
from ledger.known import Known
from ledger.state import Entry, Issue, sha256_of
from ledger.workflow import Workflow

MAX_DEPTH = 100
"""How many ancestors an issue may have: what a decision about parents may cost."""


def create(command: c.CreateIssue, known: Known) -> Decision:
    """Everything that it refers to exists, and its number is the next of its prefix."""
    key = ("issue", command.issue_id)
    if known[key] is not None:
        raise Taken("This id is in use.", pointer="/id")
    company = known.company
    assert company is not None
    parent = known.issue(command.parent) if command.parent is not None else None
    if command.parent is not None and parent is None:
        raise not_found("issue", command.parent, "/parent_id")
    if parent is not None:
        _ancestors(parent, known)
    team = the_entry("team", command.team, known, "/team_id") if command.team else None
    if team is not None:
        _refuse_team_without_lead(team, known)
    text = str(team.fields["issue_prefix"]) if team else company.issue_prefix
    counter: Prefix = known[prefix(text)]
    created = e.IssueCreated(
        identifier=f"{text}-{counter.last_number + 1}",
        prefix=text,
        number=counter.last_number + 1,
        title=command.title,
        description=command.description,
        status=_initial_status(command, workflow_of(known)),
        priority=command.priority,
        assignee=_assignee(command, known),
        team_id=team.id if team else None,
        project_id=_ref("project", command.project, known),
        goal_id=_ref("goal", command.goal, known),
        milestone_id=_ref("milestone", command.milestone, known),
        parent_id=parent.id if parent else None,
        label_ids=_labels(command, known),
        due_at=command.due_at,
        estimate=command.estimate,
        sort_order=command.sort_order,
        billing_code=command.billing_code,
        external_system=command.external_ref[0] if command.external_ref else None,
        external_id=command.external_ref[1] if command.external_ref else None,
        per_task_micros=command.per_task_micros,
    )
    if command.external_ref:
        _refuse_taken_ref(*command.external_ref, command.issue_id, known)
    return Decision(key, key, ((key, created),))


def edit(command: c.EditIssue, known: Known) -> Decision:
    """Change what is named; what stands already is no change."""
    issue = the_issue(command, known)
    refuse_frozen(issue, known)
    changes: dict[str, Mapping[str, Json]] = {}
    for name, value in command.changes.items():
        if name == "description":
            if (sha256_of(value) if isinstance(value, str) else None) != issue.description_sha256:
                changes[name] = {"from_position": issue.description_position, "to": value}
            continue
        before, after = getattr(issue, name), _edited(issue, name, value, known)
        if before != after:
            changes[name] = {"from": before, "to": after}
    return on_issue(issue, e.IssueEdited(changes=changes)) if changes else on_issue(issue)


def delete(command: c.DeleteIssue, known: Known) -> Decision:
    """It leaves every list, its run ends, what waited for it goes on, and its history stays."""
    issue = the_issue(command, known)
    refuse_holders_rivals(command, issue, known)
    deleted = e.IssueDeleted(identifier=issue.identifier, reason=command.reason)
    ends = end_run(issue, "deleted", known)
    return on_issue(issue, deleted, also=(*ends, *freed(command, issue, known)))


def _initial_status(command: c.CreateIssue, workflow: Workflow) -> str:
    if command.status is None:
        return workflow.initial
    if not workflow.begins_in(command.status):
        begins = ", ".join(status for status in workflow.steps if workflow.begins_in(status))
        raise Invalid(
            f"No issue begins in the status {command.status!r}; choose one of {begins}.",
            pointer="/status",
        )
    return command.status


def _ref(kind: str, ref: str | None, known: Known) -> str | None:
    return None if ref is None else the_entry(kind, ref, known, f"/{kind}_id").id


def _edited(issue: Issue, name: str, value: Json, known: Known) -> Json:
    """The value that a field takes: references become ids, and rules are asked."""
    match name, value:
        case "team_id", str(ref):
            team = the_entry("team", ref, known, "/team_id")
            _refuse_team_without_lead(team, known)
            return team.id
        case (("project_id" | "goal_id" | "milestone_id"), str(ref)):
            return _ref(name.removesuffix("_id"), ref, known)
        case "parent_id", str(ref):
            return _parent_id(issue, ref, known)
        case "external_ref", {"system": str(system), "id": str(external_id)}:
            _refuse_taken_ref(system, external_id, issue.id, known)
            return value
        case _:
            return value


def _parent_id(issue: Issue, ref: str, known: Known) -> str:
    """The parent's id, unless the issue is above it already."""
    parent = known.issue(ref)
    if parent is None:
        raise not_found("issue", ref, "/parent_id")
    if issue.id in _ancestors(parent, known):
        raise HierarchyCycle(
            f"{parent.identifier} is below {issue.identifier} already, or is it; "
            "an issue cannot be its own ancestor.",
            pointer="/parent_id",
        )
    return parent.id


def _ancestors(parent: Issue, known: Known) -> list[str]:
    """The ids of a parent and of all above it; raises HierarchyTooDeep."""
    above: list[str] = []
    at: Issue | None = parent
    while at is not None:
        above.append(at.id)
        if len(above) > MAX_DEPTH:
            raise HierarchyTooDeep(
                f"{parent.identifier} has {MAX_DEPTH} ancestors or more; choose one further up.",
                pointer="/parent_id",
            )
        at = known[("issue", at.parent_id)] if at.parent_id else None
    return above


def _refuse_team_without_lead(team: Entry, known: Known) -> None:
    if workflow_of(known).teams_need_lead and not team.fields.get("lead_agent_id"):
        raise TeamWithoutLead(
            f"The team {team.name} has no lead; give it one before it takes issues.",
            pointer="/team_id",
        )


def _labels(command: c.CreateIssue, known: Known) -> tuple[str, ...]:
    found = dict.fromkeys(
        the_entry("label", label, known, f"/labels/{i}").id
        for i, label in enumerate(command.labels)
    )
    if len(found) > MAX_LABELS:
        raise TooMany(f"An issue has {MAX_LABELS} labels at most.", pointer="/labels")
    return tuple(found)


def _assignee(command: c.CreateIssue, known: Known) -> str | None:
    if command.assignee is None:
        return None
    return str(the_assignee(command.assignee, known, "/assignee"))


def _refuse_taken_ref(system: str, external_id: str, issue_id: str, known: Known) -> None:
    owner = known[external_ref_key(system, external_id)]
    if owner not in (None, issue_id):
        raise Taken(
            f"Another issue has the external_ref {system}:{external_id}; use that one.",
            pointer="/external_ref",
            taken_by=owner,
        )
