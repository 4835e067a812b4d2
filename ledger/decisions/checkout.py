"""Who may check out an issue: the rule is `check_out`, top to bottom.

Claiming the next issue takes the first that is there to be had, by priority, then by age.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from heapq import merge

from ledger import commands as c
from ledger import events as e
from ledger.actors import Actor
from ledger.decisions.agents import refuse_paused_agent
from ledger.decisions.base import Appended, Decision, on_issue, the_actor, the_issue, workflow_of
from ledger.decisions.blocking import open_blockers, refuse_blocked
from ledger.decisions.budgets import budgets, refuse_spent_budgets
from ledger.decisions.leases import (
    end_paused_run,
    has_live_lease,
    held,
    lease_expired,
    renewed,
    what_to_do,
)
from ledger.errors import (
    AssignedElsewhere,
    Forbidden,
    IssueHeld,
    IssuePaused,
    NothingToClaim,
    StatusNotExpected,
    Taken,
    TransitionNotAllowed,
)
from ledger.facts import claimable, streams_named
from ledger.known import Known
from ledger.state import Issue
from ledger.workflow import PRIORITIES, READY


def check_out(command: c.CheckOutIssue, known: Known) -> Decision:
    """An agent takes an issue that nobody holds, for a run of its own."""
    agent = _agent_taking(command, known)
    issue = the_issue(command, known)
    if has_live_lease(issue, known):
        _refuse_unless_same_run(command, agent, issue, known)
        return on_issue(issue)  # The same run again: it holds the issue already.
    if _is_same_run(command, agent, issue):
        refuse_paused_agent(agent, known, "/agent_id")
        refuse_spent_budgets(issue, agent.id, known)
        return on_issue(issue, renewed(issue, command.lease_seconds))  # Late, but nobody came.
    _refuse_unexpected_status(command, issue)
    _refuse_unworkable_status(issue, known)
    _refuse_assigned_elsewhere(command, agent, issue)
    _refuse_paused(issue)
    refuse_blocked(command.actor, issue, known)
    refuse_paused_agent(agent, known, "/agent_id")
    refuse_spent_budgets(issue, agent.id, known)
    return _taken(issue, agent, command.run_id, command.names_run, command.lease_seconds, known)


def claim_next(command: c.ClaimNextIssue, known: Known) -> Decision:
    """An agent takes the best issue that it may, and nobody else gets the same one."""
    agent = _agent_taking(command, known)
    refuse_paused_agent(agent, known, "/agent_id")
    for issue in _best_first(agent, known):
        if may_claim(agent, issue, known):
            refuse_spent_budgets(issue, agent.id, known)
            return _taken(issue, agent, command.run_id, False, command.lease_seconds, known)
    raise NothingToClaim(
        f"There is nothing that this agent may take now; GET …/agents/{agent.id}/next says why."
    )


def may_claim(agent: Actor, issue: Issue, known: Known) -> bool:
    """Whether an issue is ready, unblocked, within its budget, and there for this agent."""
    return (
        issue.deleted_at is None
        and issue.paused_at is None
        and _is_ready(agent, issue, known)
        and _works_in(agent, "team", issue.team_id, known)
        and _works_in(agent, "project", issue.project_id, known)
        and not open_blockers(issue.id, known)
        and not any(b.is_spent for b in budgets(issue, agent.id, known) if b.month is None)
    )


def _best_first(agent: Actor, known: Known) -> Iterator[Issue]:
    """By priority, then by age: what this batch has changed, among what was there before it."""
    changed = {key[1]: state for key, state in known.staged.items() if key[0] == "issue"}
    ranked = sorted(changed.values(), key=_rank)
    return merge(ranked, _surveyed(agent, changed, known), key=_rank)


def _surveyed(agent: Actor, changed: Mapping[str, Issue], known: Known) -> Iterator[Issue]:
    key, passed_over = claimable(agent.id), set(changed)
    while found := known[key]:
        yield from (known[("issue", one)] for one in found if one not in changed)
        passed_over.update(found)
        key = claimable(agent.id, tuple(sorted(passed_over)))


def _rank(issue: Issue) -> tuple[int, int]:
    return PRIORITIES.index(issue.priority), issue.created_position


def _is_ready(agent: Actor, issue: Issue, known: Known) -> bool:
    """It waits, for anybody or for this agent; or it was left by who held it."""
    if issue.holder_run_id is not None:
        return issue.status == "in_progress" and not has_live_lease(issue, known)
    if issue.assignee == str(agent):
        return issue.status in (READY, "in_progress")
    return issue.status == READY and issue.assignee is None


def _works_in(agent: Actor, kind: str, entry_id: str | None, known: Known) -> bool:
    """A team's issues are for its members; so are those of a project that lists its agents."""
    entry = known[("entry", entry_id)] if entry_id else None
    if entry is None:
        return True
    members = entry.fields.get("agent_ids") or []
    if kind == "project" and not members:
        return True
    return agent.id in members or agent.id == entry.fields.get("lead_agent_id")


def _taken(
    issue: Issue, agent: Actor, run_id: str, names_run: bool, lease_seconds: int, known: Known
) -> Decision:
    """The lease, and the run: a new one, or the agent's own that was paused."""
    before = list(lease_expired(issue, to_status=issue.status, to_assignee=issue.assignee))
    paused = known.run(issue.paused_run_id) if issue.paused_run_id else None
    resumes = paused is not None and paused.agent_id == agent.id
    if paused is not None and resumes and (not names_run or run_id == paused.id):
        run_id = paused.id
        begun: list[Appended] = [
            (("run", run_id), e.RunResumed(issue_id=issue.id, agent_id=agent.id))
        ]
    else:
        _refuse_used_id(run_id, known)
        before += end_paused_run(issue, "superseded", known)
        begun = [(("run", run_id), e.RunStarted(issue_id=issue.id, agent_id=agent.id))]
    checked_out = e.IssueCheckedOut(
        agent_id=agent.id,
        run_id=run_id,
        from_assignee=issue.assignee,
        from_status=issue.status,
        to_status="in_progress",
        lease_seconds=lease_seconds,
    )
    key = ("issue", issue.id)
    return Decision(key, key, (*before, (key, checked_out), *begun))


def _agent_taking(command: c.CheckOutIssue | c.ClaimNextIssue, known: Known) -> Actor:
    """An agent takes for itself alone; people may send any agent of the company."""
    agent = the_actor(Actor("agent", command.agent_id), known, "/agent_id")
    if command.actor.type == "agent" and agent != command.actor:
        raise Forbidden(
            f"You are {command.actor}; an agent checks out for itself alone.", pointer="/agent_id"
        )
    return agent


def _refuse_used_id(run_id: str, known: Known) -> None:
    taken = any(known[key] is not None for key in streams_named(run_id))
    if taken or (known.company is not None and run_id == known.company.id):
        raise Taken("This run id is in use; every attempt is a new run.", pointer="/run_id")


def _is_same_run(command: c.CheckOutIssue, agent: Actor, issue: Issue) -> bool:
    return (
        issue.holder_agent_id == agent.id
        and command.names_run
        and command.run_id == issue.holder_run_id
    )


def _refuse_unless_same_run(
    command: c.CheckOutIssue, agent: Actor, issue: Issue, known: Known
) -> None:
    if issue.holder_agent_id != agent.id:
        raise IssueHeld(f"{held(issue, known)} {what_to_do(issue, known)}")
    if command.names_run and command.run_id != issue.holder_run_id:
        raise IssueHeld(
            f"{held(issue, known)} That is another run of yours; end it before you begin a new one."
        )


def _refuse_unexpected_status(command: c.CheckOutIssue, issue: Issue) -> None:
    expected = command.expected_statuses
    if expected is not None and issue.status not in expected:
        raise StatusNotExpected(
            f"{issue.identifier} is {issue.status}; you expected {' or '.join(expected)}.",
            expected=list(expected),
        )


def _refuse_unworkable_status(issue: Issue, known: Known) -> None:
    workflow = workflow_of(known)
    if issue.status not in workflow.workable:
        raise TransitionNotAllowed(
            f"{issue.identifier} is {issue.status}; nobody can begin work on it from there.",
            allowed=list(workflow.steps[issue.status]),
        )


def _refuse_assigned_elsewhere(command: c.CheckOutIssue, agent: Actor, issue: Issue) -> None:
    """What a dead run left behind is for anybody; what was only assigned is not."""
    if command.actor.type != "agent" or issue.holder_run_id is not None:
        return
    if issue.assignee not in (None, str(agent)):
        raise AssignedElsewhere(
            f"{issue.identifier} is assigned to {issue.assignee}; take another one."
        )


def _refuse_paused(issue: Issue) -> None:
    if issue.paused_at is not None:
        raise IssuePaused(f"{issue.identifier} is paused; a person must resume it first.")
