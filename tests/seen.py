"""What can be seen of a company, in the words of the model that it is compared with.

Everything here is read from states, look-ups and the log of a `Scenario`; nothing is worked out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TypeVar

from ledger import events as e
from ledger import state
from ledger.facts import FactKey, blockers
from tests.modelled import Comment, Issue, Lease, Run
from tests.scenario import Scenario

S = TypeVar("S")


def issues_of(scenario: Scenario) -> Iterator[tuple[str, Issue]]:
    """Every issue, as the model has it."""
    for one in scenario.issues():
        yield one.id, _issue(one)


def runs_of(scenario: Scenario) -> Iterator[tuple[str, Run]]:
    """Every run, as the model has it."""
    for one in _all(scenario, state.Run):
        checkpoint = None
        if one.checkpoint_position is not None:
            event = scenario.recorded[one.checkpoint_position - 1].event
            assert isinstance(event, e.RunCheckpointed)
            checkpoint = event.checkpoint
        yield (
            one.id,
            Run(
                issue=one.issue_id,
                agent=one.agent_id,
                state="ended" if one.ended_at else "paused" if one.paused_at else "active",
                exit_reason=one.exit_reason,
                cost=one.cost_micros,
                progress=one.progress_message,
                checkpoint=checkpoint,
                workspace=one.workspace_url,
            ),
        )


def comments_of(scenario: Scenario) -> Iterator[tuple[str, Comment]]:
    """Every comment, as the model has it."""
    for one in _all(scenario, state.Comment):
        event = scenario.recorded[one.text_position - 1].event
        assert isinstance(event, e.IssueCommented | e.CommentEdited)
        is_deleted = one.deleted_at is not None
        yield one.id, Comment(one.issue_id, one.author, event.body, is_deleted)


def links_of(scenario: Scenario) -> Iterator[tuple[str, tuple[str, str, str]]]:
    """Every link, as the model has it."""
    for one in _all(scenario, state.Link):
        yield one.id, (one.issue_id, one.link_type, one.target_id)


def blockers_of(scenario: Scenario) -> Iterator[tuple[str, set[str]]]:
    """Every issue, and those that it is blocked by, be they finished."""
    for issue in scenario.issues():
        yield issue.id, set(scenario.known[blockers(issue.id)] or ())


def sums_of(scenario: Scenario) -> Iterator[tuple[FactKey, int]]:
    """What was spent, by whatever it is summed by."""
    for key, micros in scenario.known.staged.items():
        if key[0] == "spent":
            yield key[1:], micros


def alarms_of(scenario: Scenario) -> Counter[str]:
    """How often which budget was told to be nearly, or all, spent."""
    types = (one.event.type for one in scenario.recorded)
    return Counter(one for one in types if one.endswith((".budget_warned", ".budget_exceeded")))


def _issue(issue: state.Issue) -> Issue:
    lease = None
    if issue.holder_run_id is not None:
        assert issue.holder_agent_id is not None
        assert issue.held_since is not None
        assert issue.lease_seconds is not None
        assert issue.lease_expires_at is not None
        lease = Lease(
            issue.holder_agent_id,
            issue.holder_run_id,
            issue.held_since,
            issue.lease_seconds,
            issue.lease_expires_at,
            issue.fencing_token,
        )
    ref = (issue.external_system, issue.external_id)
    return Issue(
        id=issue.id,
        identifier=issue.identifier,
        title=issue.title,
        status=issue.status,
        priority=issue.priority,
        assignee=issue.assignee,
        parent=issue.parent_id,
        team=issue.team_id,
        project=issue.project_id,
        ref=(ref[0], ref[1]) if ref[0] is not None and ref[1] is not None else None,
        budget=issue.per_task_micros,
        lease=lease,
        is_paused=issue.paused_at is not None,
        paused_run=issue.paused_run_id,
        waited_in=issue.blocked_from,
        run_count=issue.run_count,
        labels=set(issue.label_ids),
        started=issue.started_at,
        completed=issue.completed_at,
        is_deleted=issue.deleted_at is not None,
    )


def _all(scenario: Scenario, kind: type[S]) -> list[S]:
    return [one for one in scenario.known.staged.values() if isinstance(one, kind)]
