"""An issue's life once more, simply: what the rules are compared with.

Written from what was asked for and not from the code, of which it uses nothing but the commands.
It knows no events and no streams: issues and runs are records in dicts, which a command changes at
once. What speaks against a command is a set, because which of several reasons is told is nobody's
promise; only who may ask at all, and about what, comes before everything else.

The tables are those of the `default` workflow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ledger import commands as c

STEPS = {
    "backlog": "todo in_progress blocked done closed cancelled",
    "todo": "backlog in_progress blocked in_review done closed failed cancelled",
    "in_progress": "backlog todo blocked in_review handoff done closed failed cancelled",
    "blocked": "backlog todo in_progress done closed failed cancelled",
    "in_review": "todo in_progress blocked handoff done closed failed cancelled",
    "handoff": "todo in_progress blocked in_review done closed failed cancelled",
    "done": "backlog todo in_progress closed",
    "closed": "backlog todo",
    "failed": "backlog todo in_progress closed cancelled",
    "cancelled": "backlog todo closed",
}
OPEN = ("backlog", "todo", "in_progress", "blocked", "in_review", "handoff")
OVER = ("done", "closed", "failed", "cancelled")
NO_LONGER_IN_THE_WAY = ("done", "closed", "cancelled")
KEEPS_ITS_RUN = ("in_progress", "in_review", "handoff")
VERBS = {
    "submit_issue": (("in_progress",), "in_review", "submitted"),
    "accept_issue": (("in_review",), "done", "accepted"),
    "reject_issue": (("in_review",), "todo", "rejected"),
    "fail_issue": (tuple(s for s in OPEN if s != "backlog"), "failed", "failed"),
    "hand_off_issue": (("in_progress", "in_review"), "handoff", "handed_off"),
    "take_over_issue": (("handoff",), "in_progress", "taken_over"),
    "cancel_issue": (OPEN, "cancelled", "cancelled"),
    "close_issue": ((*OPEN, "done", "failed", "cancelled"), "closed", "closed"),
    "reopen_issue": (OVER, "todo", "reopened"),
}
"""Verb → from which statuses, to which one, and what the run that it ends is told."""

PRIORITIES = ("none", "low", "medium", "high", "urgent")
MAY = {
    "owner": {"work", "moderate", "organise", "administer"},
    "manager": {"work", "moderate", "organise"},
    "editor": {"work", "moderate"},
    "agent": {"work"},
    "viewer": set[str](),
}
NEEDS = {
    "delete_issue": "moderate",
    "pause_agent": "organise",
    "resume_agent": "organise",
    "set_agent_budget": "organise",
    "set_company_budget": "administer",
}
"""What a command needs that needs more than being at work here."""

Reasons = set[str]


@dataclass(slots=True)
class Lease:
    """Which run of which agent holds an issue, and until when; the ledger gives the token."""

    agent: str
    run: str
    since: datetime
    seconds: int
    ends: datetime
    token: int | None = None


@dataclass(slots=True)
class Issue:
    """Everything that can be seen of an issue."""

    identifier: str
    title: str
    status: str
    priority: str
    assignee: str | None
    parent: str | None
    team: str | None
    project: str | None
    ref: tuple[str, str] | None
    budget: int | None
    lease: Lease | None = None
    is_paused: bool = False
    paused_run: str | None = None
    waited_in: str | None = None
    run_count: int = 0
    labels: set[str] = field(default_factory=set)
    started: datetime | None = None
    completed: datetime | None = None
    is_deleted: bool = False


@dataclass(slots=True)
class Run:
    """Everything that can be seen of a run."""

    issue: str
    agent: str
    state: str = "active"
    exit_reason: str | None = None
    cost: int = 0
    progress: str | None = None
    checkpoint: str | None = None
    workspace: str | None = None


@dataclass(slots=True)
class Comment:
    """Everything that can be seen of a comment."""

    issue: str
    author: str
    text: str
    is_deleted: bool = False


@dataclass(slots=True)
class Directory:
    """Who and what there is beside issues, which this model takes as it is given."""

    company: str
    agents: dict[str, str]
    """Id → what it is called."""
    listed: set[str]
    """The agents that are in the directory: they alone can be paused, or have a budget."""
    teams: dict[str, tuple[str, set[str], str]]
    """Id → its prefix, its members, its lead."""
    projects: dict[str, set[str]]
    """Id → its agents."""
    labels: set[str]


class Barred(Exception):
    """A reason that comes before all others: there is no such thing, or it is not theirs."""

    def __init__(self, code: str) -> None:
        """`code` is the reason's."""
        super().__init__(code)
        self.code = code


def _if(condition: object, code: str) -> Reasons:
    return {code} if condition else set()


class Model:
    """A company's issues; `now` is the time, `versions` how many events each thing has."""

    def __init__(self, directory: Directory, now: datetime) -> None:
        self.directory = directory
        self.now = now
        self.versions: dict[str, int] = {}
        self.issues: dict[str, Issue] = {}
        self.runs: dict[str, Run] = {}
        self.comments: dict[str, Comment] = {}
        self.links: dict[str, tuple[str, str, str]] = {}
        self.numbers: Counter[str] = Counter()
        self.spent: Counter[tuple[str, ...]] = Counter()
        self.limits: dict[str, int] = {}
        self.paused_agents: set[str] = set()
        self.alarms: Counter[str] = Counter()

    def answer(self, command: c.Command) -> Reasons:
        """What speaks against a command; if nothing does, it has been carried out."""
        try:
            self._may_ask(command)
            if isinstance(command, c.MoveIssue):
                return self._move(command)
            reasons: Reasons = getattr(self, command.name)(command)
        except Barred as barred:
            return {barred.code}
        return reasons

    # ── who may ask, and about what ──

    def _may_ask(self, command: c.Command) -> None:
        if NEEDS.get(command.name, "work") not in MAY[command.role]:
            raise Barred("forbidden")
        if command.in_run is not None:
            run = self.runs.get(command.in_run)
            if run is None:
                raise Barred("not_found")
            if str(command.actor) != f"agent:{run.agent}":
                raise Barred("forbidden")
        if command.expected_version is not None:
            seen = self._seen(command)
            if command.expected_version != self.versions.get(seen or "", 0):
                raise Barred("stale_version")
        if command.fencing_token is not None and isinstance(command, c.IssueCommand):
            self._may_write(command, command.fencing_token)

    def _seen(self, command: c.Command) -> str | None:
        match command:
            case c.RunCommand():
                self._run(command)
                return command.run_id
            case c.IssueCommand():
                return self._id_of(command.issue)
            case c.AgentCommand():
                return self._listed(command.agent)
            case c.SetCompanyBudget():
                return self.directory.company
            case _:
                return None

    def _may_write(self, command: c.IssueCommand, token: int) -> None:
        """A token is good as long as its lease; facts about the world are told all the same."""
        if isinstance(command, c.ReportCost | c.RetainWorkspace):
            return
        lease = self._issue(command.issue).lease
        if lease is None or lease.token != token:
            raise Barred("stale_token")

    def _find(self, ref: str) -> str | None:
        for id, issue in self.issues.items():
            if ref in (id, issue.identifier) and not issue.is_deleted:
                return id
        return None

    def _id_of(self, ref: str) -> str:
        found = self._find(ref)
        if found is None:
            raise Barred("not_found")
        return found

    def _issue(self, ref: str) -> Issue:
        return self.issues[self._id_of(ref)]

    def _run(self, command: c.RunCommand) -> tuple[Run, Issue]:
        """A run of the issue that is named, be that deleted."""
        run = self.runs.get(command.run_id)
        if run is None or command.issue not in (run.issue, self.issues[run.issue].identifier):
            raise Barred("not_found")
        return run, self.issues[run.issue]

    def _own_run(self, command: c.RunCommand) -> tuple[Run, Issue]:
        run, issue = self._run(command)
        if command.actor.type == "agent" and command.actor.id != run.agent:
            raise Barred("forbidden")
        return run, issue

    def _listed(self, agent: str) -> str:
        if agent not in self.directory.listed:
            raise Barred("not_found")
        return agent

    def _agent_taking(self, command: c.CheckOutIssue | c.ClaimNextIssue) -> str:
        """People send any agent, an agent takes for itself alone."""
        if command.agent_id not in self.directory.agents:
            raise Barred("not_found")
        if command.actor.type == "agent" and command.actor.id != command.agent_id:
            raise Barred("forbidden")
        return command.agent_id

    # ── taking, holding, letting go ──

    def check_out_issue(self, command: c.CheckOutIssue) -> Reasons:
        """One owner at a time: a live lease, of an agent and a run of it."""
        agent = self._agent_taking(command)
        issue = self._issue(command.issue)
        lease, by_agent = issue.lease, command.actor.type == "agent"
        is_theirs = lease is not None and lease.agent == agent
        names_it = lease is not None and command.names_run and command.run_id == lease.run
        if lease and self.now < lease.ends:
            return _if(not is_theirs or (command.names_run and not names_it), "issue_held")
        if lease and is_theirs and names_it:
            no = _if(agent in self.paused_agents, "agent_paused")
            no |= _if(self._is_spent(issue, agent), "budget_exceeded")
            if not no:
                self._hold(lease, command.lease_seconds)
            return no
        expected = command.expected_statuses
        begins = None if self._resumes(issue, agent, command) else command.run_id
        no = (
            _if(expected is not None and issue.status not in expected, "status_not_expected")
            | _if(not _workable(issue), "transition_not_allowed")
            | _if(by_agent and not lease and _is_elses(issue, agent), "assigned_elsewhere")
            | _if(issue.is_paused, "issue_paused")
            | _if(by_agent and self._in_the_way(command.issue), "issue_blocked")
            | _if(agent in self.paused_agents, "agent_paused")
            | _if(self._is_spent(issue, agent), "budget_exceeded")
            | _if(begins in {*self.runs, *self.issues}, "taken")
        )
        if not no:
            self._take(issue, agent, command.run_id, command.lease_seconds, command.names_run)
        return no

    def claim_next_issue(self, command: c.ClaimNextIssue) -> Reasons:
        """The best issue that is there for the agent: by priority, then by age."""
        agent = self._agent_taking(command)
        found = sorted(
            (issue for id, issue in self.issues.items() if self._is_there_for(agent, id)),
            key=lambda issue: -PRIORITIES.index(issue.priority),
        )
        no = _if(agent in self.paused_agents, "agent_paused") | _if(not found, "nothing_to_claim")
        if found:
            resumes = self._resumes(found[0], agent, command)
            is_used = command.run_id in {*self.runs, *self.issues}
            no |= _if(not resumes and is_used, "taken")
            no |= _if(self._is_spent(found[0], agent), "budget_exceeded")
        if not no:
            self._take(found[0], agent, command.run_id, command.lease_seconds, False)
        return no

    def _is_there_for(self, agent: str, id: str) -> bool:
        issue = self.issues[id]
        lease = issue.lease
        if issue.is_deleted or issue.is_paused or self._in_the_way(id):
            return False
        if issue.budget is not None and self.spent["issue", id, ""] >= issue.budget:
            return False
        if agent not in self._those_at_work_on(issue):
            return False
        if lease:
            return issue.status == "in_progress" and self.now >= lease.ends
        if issue.assignee == f"agent:{agent}":
            return issue.status in ("todo", "in_progress")
        return issue.status == "todo" and issue.assignee is None

    def _those_at_work_on(self, issue: Issue) -> set[str]:
        """The members of its team, with its lead, and the agents of its project."""
        found = set(self.directory.agents)
        if issue.team is not None:
            _, members, lead = self.directory.teams[issue.team]
            found &= {*members, lead}
        if issue.project is not None:
            found &= self.directory.projects[issue.project]
        return found

    def _resumes(
        self, issue: Issue, agent: str, command: c.CheckOutIssue | c.ClaimNextIssue
    ) -> bool:
        """Whether the agent's own run, which was paused, goes on instead of a new one."""
        if issue.paused_run is None or self.runs[issue.paused_run].agent != agent:
            return False
        names_run = isinstance(command, c.CheckOutIssue) and command.names_run
        return not names_run or command.run_id == issue.paused_run

    def _take(self, issue: Issue, agent: str, run: str, seconds: int, names_run: bool) -> None:
        self._end_run(issue, "expired")
        paused, issue.paused_run = issue.paused_run, None
        if paused and self.runs[paused].agent == agent and (not names_run or run == paused):
            run = paused
            self.runs[run].state = "active"
        else:
            if paused:
                self._over(paused, "superseded")
            (id,) = (id for id, one in self.issues.items() if one is issue)
            self.runs[run] = Run(id, agent)
            issue.run_count += 1
        issue.assignee = f"agent:{agent}"
        issue.lease = Lease(agent, run, self.now, seconds, self.now + timedelta(seconds=seconds))
        self._become(issue, "in_progress")

    def renew_lease(self, command: c.RenewLease) -> Reasons:
        """The holder holds on, also late, as long as nobody came."""
        issue = self._issue(command.issue)
        lease = issue.lease
        no = self._rivals(command, issue) | _if(lease is None, "not_held")
        no |= _if(lease and lease.agent in self.paused_agents, "agent_paused")
        if not no and lease:
            self._hold(lease, command.lease_seconds or lease.seconds)
        return no

    def _hold(self, lease: Lease, seconds: int) -> None:
        lease.seconds, lease.ends = seconds, self.now + timedelta(seconds=seconds)

    def expire_lease(self, command: c.ExpireLease) -> Reasons:
        """Anybody puts back what was left lying, and nothing else."""
        issue = self._issue(command.issue)
        if issue.lease is None:
            return set()
        if self.now < issue.lease.ends:
            return {"issue_held"}
        self._put_back(issue, "expired")
        return set()

    def release_issue(self, command: c.ReleaseIssue) -> Reasons:
        """The holder lets go, or a person lets it go."""
        issue = self._issue(command.issue)
        no = self._rivals(command, issue)
        if not no and issue.lease:
            self._put_back(issue, "released")
        return no

    def _put_back(self, issue: Issue, why: str) -> None:
        self._end_run(issue, why)
        issue.assignee = None
        self._wait(issue)

    def _rivals(self, command: c.IssueCommand, issue: Issue) -> Reasons:
        """Agents keep their hands off what another agent holds, or another run of their own."""
        if issue.lease is None or command.actor.type != "agent":
            return set()
        if issue.lease.agent != command.actor.id:
            return {"issue_held"}
        return _if(command.in_run not in (None, issue.lease.run), "stale_token")

    # ── the end of a run ──

    def _over(self, run: str, why: str) -> None:
        self.runs[run].state, self.runs[run].exit_reason = "ended", why

    def _end_run(self, issue: Issue, why: str) -> None:
        """The run that holds the issue ends, if there is one, and holds it no longer."""
        if issue.lease:
            self._over(issue.lease.run, why)
            issue.lease = None

    def _end_runs(self, issue: Issue, why: str) -> None:
        """That, and the one that was paused."""
        self._end_run(issue, why)
        if issue.paused_run:
            self._over(issue.paused_run, why)
            issue.paused_run = None

    def _pause_run(self, issue: Issue) -> None:
        if issue.lease:
            issue.paused_run, issue.lease = issue.lease.run, None
            self.runs[issue.paused_run].state = "paused"
        self._wait(issue)

    # ── statuses ──

    def _become(self, issue: Issue, status: str) -> None:
        """Another status, or the same again; and what follows for the clocks."""
        if status != "blocked":
            issue.waited_in = None
        elif issue.status != "blocked":
            issue.waited_in = issue.status
        issue.status = status
        if status == "in_progress" and issue.started is None:
            issue.started = self.now
        if status not in OVER:
            issue.completed = None
        elif issue.completed is None:
            issue.completed = self.now
        if status in OVER:
            issue.is_paused = False

    def _wait(self, issue: Issue) -> None:
        """What was in progress is to do again; anything else stays where it is."""
        if issue.status == "in_progress":
            self._become(issue, "todo")

    def _settle(self, issue: Issue, status: str) -> None:
        """Another status; whoever waited for this one waits no longer."""
        was_in_the_way = issue.status not in NO_LONGER_IN_THE_WAY
        self._become(issue, status)
        if was_in_the_way and status in NO_LONGER_IN_THE_WAY:
            self._open_those_blocked_by(issue)

    def transition_issue(self, command: c.TransitionIssue) -> Reasons:
        """Along the workflow, by its holder or people."""
        issue, to = self._issue(command.issue), command.to_status
        if to == issue.status:
            return set()
        no = (
            self._rivals(command, issue)
            | _if(to not in STEPS[issue.status].split(), "transition_not_allowed")
            | _if(to == "closed" and not command.force and self._waits(issue), "dependents_open")
        )
        if no:
            return no
        if to not in KEEPS_ITS_RUN:
            self._end_run(issue, to)
        if to in OVER:
            self._end_runs(issue, to)
        self._settle(issue, to)
        return no

    def _move(self, command: c.MoveIssue) -> Reasons:
        """A verb: from where it may be said, to where it leads; the run is over with it."""
        issue = self._issue(command.issue)
        before, after, told = VERBS[command.name]
        if issue.status == after and after in OVER:
            return set()
        looks_at_it = command.name in ("accept_issue", "reject_issue")
        forced = isinstance(command, c.CloseIssue) and command.force
        takes = command.name == "take_over_issue"
        by_agent = command.actor.type == "agent"
        accepts_own = command.name == "accept_issue" and issue.assignee == str(command.actor)
        no = (
            (set() if looks_at_it else self._rivals(command, issue))
            | _if(issue.status not in before, "transition_not_allowed")
            | _if(after == "closed" and not forced and self._waits(issue), "dependents_open")
            | _if(by_agent and (takes or accepts_own), "forbidden")
        )
        if not no:
            self._end_runs(issue, told)
            self._settle(issue, after)
            if takes:
                issue.assignee = str(command.actor)
        return no

    def pause_issue(self, command: c.PauseIssue) -> Reasons:
        """Work stops, and its run with it, to go on some day."""
        issue = self._issue(command.issue)
        if issue.is_paused:
            return set()
        no = (
            self._rivals(command, issue)
            | _if(issue.status in OVER, "transition_not_allowed")
            | _if(command.actor.type == "agent" and issue.lease is None, "not_held")
        )
        if not no:
            issue.is_paused = True
            self._pause_run(issue)
        return no

    def resume_issue(self, command: c.ResumeIssue) -> Reasons:
        """A person lets the work go on."""
        issue = self._issue(command.issue)
        no = _if(issue.is_paused and command.actor.type == "agent", "forbidden")
        if not no and issue.is_paused:
            issue.is_paused = False
            if issue.paused_run and issue.status == "todo":
                self._become(issue, "in_progress")
        return no

    # ── blocking ──

    def _in_the_way(self, ref: str) -> list[Issue]:
        """What an issue still waits for."""
        id = self._find(ref)
        return [
            self.issues[target]
            for source, link_type, target in self.links.values()
            if (source, link_type) == (id, "blocked_by") and _blocks(self.issues[target])
        ]

    def _waits(self, blocker: Issue) -> bool:
        return any(
            not self.issues[id].is_deleted and self.issues[id].status not in OVER
            for id in self._blocked_by(blocker)
        )

    def _blocked_by(self, blocker: Issue) -> Iterator[str]:
        for source, link_type, target in self.links.values():
            if link_type == "blocked_by" and self.issues[target] is blocker:
                yield source

    def _open_those_blocked_by(self, blocker: Issue) -> None:
        for id in self._blocked_by(blocker):
            self._open(id)

    def _open(self, id: str) -> None:
        """It waited for the last of its blockers, and goes back to where it waits to be done."""
        issue = self.issues[id]
        if issue.status == "blocked" and not issue.is_deleted and not self._in_the_way(id):
            self._become(issue, "backlog" if issue.waited_in == "backlog" else "todo")

    def link_issue(self, command: c.LinkIssue) -> Reasons:
        """A relation is there once, from whichever end it was asked for."""
        source = self._id_of(command.issue)
        target = self._id_of(command.target)
        link_type = command.link_type
        if source == target:
            return {"invalid"}
        if link_type == "blocks":
            source, link_type, target = target, "blocked_by", source
        if link_type == "relates_to":
            source, target = sorted((source, target))
        if (source, link_type, target) in self.links.values():
            return set()
        issue, blocker = self.issues[source], self.issues[target]
        no = _if(command.link_id in self.links, "taken")
        blocks = link_type == "blocked_by" and _blocks(blocker)
        if link_type == "blocked_by":
            no |= _if(source in self._above(target), "blocking_cycle")
        if blocks := blocks and "blocked" in STEPS[issue.status].split():
            no |= self._rivals(command, issue)
        if no:
            return no
        self.links[command.link_id] = (source, link_type, target)
        if blocks:
            self._end_run(issue, "blocked")
            self._become(issue, "blocked")
        return no

    def _above(self, id: str) -> set[str]:
        """Everything that an issue is blocked by, itself, and what that is blocked by."""
        found = {id}
        for source, link_type, target in self.links.values():
            if source == id and link_type == "blocked_by":
                found |= self._above(target)
        return found

    def unlink_issue(self, command: c.UnlinkIssue) -> Reasons:
        """A relation is taken away from either end; what has no blocker left is not blocked."""
        id = self._id_of(command.issue)
        source, link_type, target = self.links.get(command.link_id, ("", "", ""))
        if id not in (source, target):
            return {"not_found"}
        del self.links[command.link_id]
        if link_type == "blocked_by":
            self._open(source)
        return set()

    # ── whose it is ──

    def assign_issue(self, command: c.AssignIssue) -> Reasons:
        """What nobody is at work on is given to somebody."""
        issue = self._issue(command.issue)
        whom, no = self._given_to(command, issue)
        if not no and issue.assignee != whom:
            no = _if(issue.lease, "issue_held")
            if not no:
                issue.assignee = whom
        return no

    def unassign_issue(self, command: c.UnassignIssue) -> Reasons:
        """What nobody is at work on is nobody's."""
        issue = self._issue(command.issue)
        no = _if(issue.assignee is not None and issue.lease, "issue_held")
        if not no:
            issue.assignee = None
        return no

    def reassign_issue(self, command: c.ReassignIssue) -> Reasons:
        """Somebody else's, in mid-run too: the run is over, and the issue waits."""
        issue = self._issue(command.issue)
        whom, no = self._given_to(command, issue)
        if no or issue.assignee == whom:
            return no
        if no := self._rivals(command, issue):
            return no
        self._end_runs(issue, "reassigned")
        issue.assignee = whom
        self._wait(issue)
        return no

    def _given_to(
        self, command: c.AssignIssue | c.ReassignIssue, given: Issue
    ) -> tuple[str, Reasons]:
        if command.team is None:
            assert command.assignee is not None
            return self._assignee(str(command.assignee))
        _, members, _ = self.directory.teams[command.team]
        load = Counter(
            issue.assignee
            for issue in self.issues.values()
            if issue is not given and issue.status not in OVER and not issue.is_deleted
        )
        free = [
            (load[f"agent:{one}"], self.directory.agents[one], one)
            for one in members - self.paused_agents
        ]
        return (f"agent:{min(free)[2]}", set()) if free else ("", {"nobody_available"})

    def _assignee(self, named: str) -> tuple[str, Reasons]:
        kind, _, id = named.partition(":")
        if kind == "agent" and id not in self.directory.agents:
            return named, {"not_found"}
        return named, _if(kind == "agent" and id in self.paused_agents, "agent_paused")

    # ── writing down, editing, deleting ──

    def create_issue(self, command: c.CreateIssue) -> Reasons:
        """The next number of its team, or of the company."""
        parent = self._find(command.parent) if command.parent else None
        whom, no = self._assignee(str(command.assignee)) if command.assignee else (None, set())
        no |= _if(command.parent and parent is None, "not_found")
        no |= _if(command.issue_id in {*self.issues, *self.runs}, "taken")
        no |= _if(self._is_taken(command.external_ref, None), "taken")
        if no:
            return no
        prefix = self.directory.teams[command.team][0] if command.team else "ACM"
        self.numbers[prefix] += 1
        issue = self.issues[command.issue_id] = Issue(
            identifier=f"{prefix}-{self.numbers[prefix]}",
            title=command.title,
            status=command.status or "todo",
            priority=command.priority,
            assignee=whom,
            parent=parent,
            team=command.team,
            project=command.project,
            ref=command.external_ref,
            budget=command.per_task_micros,
        )
        self._become(issue, issue.status)
        return no

    def edit_issue(self, command: c.EditIssue) -> Reasons:
        """Its fields change; its identifier does not."""
        id = self._id_of(command.issue)
        issue, no = self.issues[id], Reasons()
        changed: dict[str, Any] = dict(command.changes)
        if parent := changed.get("parent_id"):
            found = changed["parent_id"] = self._find(parent)
            no |= _if(found is None, "not_found")
            no |= _if(id in self._ancestors(found), "hierarchy_cycle")
        if ref := changed.get("external_ref"):
            changed["external_ref"] = (ref["system"], ref["id"])
            no |= _if(self._is_taken(changed["external_ref"], id), "taken")
        if not no:
            for name, value in changed.items():
                setattr(issue, _FIELDS.get(name, name), value)
        return no

    def _ancestors(self, id: str | None) -> set[str]:
        return {id} | self._ancestors(self.issues[id].parent) if id else set()

    def _is_taken(self, ref: tuple[str, str] | None, by: str | None) -> bool:
        return ref is not None and any(
            issue.ref == ref and not issue.is_deleted and id != by
            for id, issue in self.issues.items()
        )

    def delete_issue(self, command: c.DeleteIssue) -> Reasons:
        """Off every list, and in nobody's way."""
        issue = self._issue(command.issue)
        no = self._rivals(command, issue)
        if not no:
            self._end_runs(issue, "deleted")
            issue.is_deleted, issue.is_paused = True, False
            self._open_those_blocked_by(issue)
        return no

    def label_issue(self, command: c.LabelIssue) -> Reasons:
        """A label is on an issue once."""
        issue = self._issue(command.issue)
        no = _if(command.label not in self.directory.labels, "not_found")
        if not no:
            issue.labels.add(command.label)
        return no

    def unlabel_issue(self, command: c.UnlabelIssue) -> Reasons:
        """A label that is not on it is agreed to be off."""
        issue = self._issue(command.issue)
        no = _if(command.label not in self.directory.labels, "not_found")
        if not no:
            issue.labels.discard(command.label)
        return no

    def comment_on_issue(self, command: c.CommentOnIssue) -> Reasons:
        """Anybody at work says something."""
        id = self._id_of(command.issue)
        no = _if(command.comment_id in self.comments, "taken")
        if not no:
            self.comments[command.comment_id] = Comment(id, str(command.actor), command.body)
        return no

    def edit_comment(self, command: c.EditComment) -> Reasons:
        """Its author, or a moderator, says it better."""
        comment = self._comment(command)
        no = self._unless_author(command, comment)
        if not no:
            comment.text = command.body
        return no

    def delete_comment(self, command: c.DeleteComment) -> Reasons:
        """Its author, or a moderator, takes it down."""
        comment = self._comment(command)
        no = self._unless_author(command, comment)
        if not no:
            comment.is_deleted = True
        return no

    def _comment(self, command: c.EditComment | c.DeleteComment) -> Comment:
        id = self._id_of(command.issue)
        comment = self.comments.get(command.comment_id)
        if comment is None or comment.is_deleted or comment.issue != id:
            raise Barred("not_found")
        return comment

    def _unless_author(self, command: c.Command, comment: Comment) -> Reasons:
        is_author = comment.author == str(command.actor)
        return _if(not is_author and "moderate" not in MAY[command.role], "not_the_author")

    # ── runs ──

    def report_progress(self, command: c.ReportProgress) -> Reasons:
        """A run that is not over says how far it is."""
        run, _ = self._own_run(command)
        no = _if(run.state == "ended", "run_over")
        if not no:
            run.progress = command.message
        return no

    def save_checkpoint(self, command: c.SaveCheckpoint) -> Reasons:
        """A run that is not over keeps what another one would need; the last one counts."""
        run, _ = self._own_run(command)
        no = _if(run.state == "ended", "run_over")
        if not no:
            run.checkpoint = command.checkpoint
        return no

    def retain_workspace(self, command: c.RetainWorkspace) -> Reasons:
        """Where it was worked in is a fact, whenever it is told."""
        run, _ = self._own_run(command)
        run.workspace = command.workspace_url
        return set()

    def finish_run(self, command: c.FinishRun) -> Reasons:
        """The holder is done: with the issue, or up to somebody's review."""
        run, issue = self._own_run(command)
        to = command.to_status or "done"
        no = _if(run.state != "active", "run_over")
        no |= _if(to not in ("done", "in_review"), "transition_not_allowed")
        if not no:
            self._end_run(issue, command.exit_reason)
            self._settle(issue, to)
        return no

    def fail_run(self, command: c.FailRun) -> Reasons:
        """The holder gives up: this attempt, or the issue altogether."""
        run, issue = self._own_run(command)
        no = _if(run.state != "active", "run_over")
        if not no and command.retry:
            self._put_back(issue, command.exit_reason)
        elif not no:
            self._end_run(issue, command.exit_reason)
            self._settle(issue, "failed")
        return no

    # ── money ──

    def report_cost(self, command: c.ReportCost) -> Reasons:
        """What was spent counts, whatever happened since.

        Where all is spent, the run stops that spends; of an issue, whichever is at work on it.
        """
        run, issue = self._own_run(command)
        run.cost += command.cost_micros
        holds = issue.lease is not None and issue.lease.run == command.run_id
        stops = False
        for scope, key, limit in self._budgets(run.issue, run.agent):
            before, after = self.spent[key], self.spent[key] + command.cost_micros
            if limit is not None:
                stops |= after >= limit and (holds or scope == "issue")
                self._alarm(scope, _alarming(before, limit), _alarming(after, limit))
            self.spent[key] = after
        if stops and issue.lease:
            self._pause_run(issue)
        return set()

    def _budgets(self, id: str, agent: str) -> list[tuple[str, tuple[str, ...], int | None]]:
        """What a cost counts against: the issue for ever, agent and company by the month."""
        month = self._month()
        return [
            ("issue", ("issue", id, ""), self.issues[id].budget),
            ("agent", ("agent", agent, month), self.limits.get(agent)),
            (
                "company",
                ("company", self.directory.company, month),
                self.limits.get(self.directory.company),
            ),
        ]

    def _month(self) -> str:
        return self.now.astimezone(UTC).strftime("%Y-%m")

    def _is_spent(self, issue: Issue, agent: str) -> bool:
        (id,) = (id for id, one in self.issues.items() if one is issue)
        return any(
            limit is not None and self.spent[key] >= limit
            for _, key, limit in self._budgets(id, agent)
        )

    def set_issue_budget(self, command: c.SetIssueBudget) -> Reasons:
        """Settable until the first run starts; from then on raised, by people."""
        issue, to = self._issue(command.issue), command.per_task_micros
        if to == issue.budget:
            return set()
        raises = issue.budget is not None and (to is None or to > issue.budget)
        no = _if(issue.run_count and not raises, "budget_locked")
        no |= _if(issue.run_count and command.actor.type == "agent", "forbidden")
        if not no:
            issue.budget = to
        return no

    def set_agent_budget(self, command: c.SetAgentBudget) -> Reasons:
        """What an agent may spend in a month is for people to say."""
        no = _if(command.agent not in self.directory.listed, "not_found")
        return self._limit(command, "agent", command.agent, no)

    def set_company_budget(self, command: c.SetCompanyBudget) -> Reasons:
        """What the company may spend in a month is for people to say."""
        return self._limit(command, "company", self.directory.company, set())

    def _limit(
        self,
        command: c.SetAgentBudget | c.SetCompanyBudget,
        scope: str,
        whose: str,
        no: Reasons,
    ) -> Reasons:
        """It may be spent already by the time that it is set."""
        no |= _if(command.actor.type == "agent", "forbidden")
        if no:
            return no
        spent = self.spent[scope, whose, self._month()]
        before, to = self.limits.pop(whose, None), command.monthly_micros
        if to is not None:
            self.limits[whose] = to
        self._alarm(scope, _alarming(spent, before), _alarming(spent, to))
        return no

    def _alarm(self, scope: str, before: set[str], after: set[str]) -> None:
        """Told once, when it comes to it."""
        self.alarms.update(f"{scope}.budget_{stage}" for stage in after - before)

    # ── agents ──

    def pause_agent(self, command: c.PauseAgent) -> Reasons:
        """It is given no work and takes none."""
        self.paused_agents.add(self._listed(command.agent))
        return set()

    def resume_agent(self, command: c.ResumeAgent) -> Reasons:
        """It is at work again."""
        self.paused_agents.discard(self._listed(command.agent))
        return set()


_FIELDS = {
    "parent_id": "parent",
    "team_id": "team",
    "project_id": "project",
    "external_ref": "ref",
}


def _alarming(spent: int, limit: int | None) -> set[str]:
    """What there is to tell of a budget."""
    if limit is None:
        return set()
    return _if(5 * spent >= 4 * limit, "warned") | _if(spent >= limit, "exceeded")


def _workable(issue: Issue) -> bool:
    """In progress already, or a step from it."""
    return issue.status == "in_progress" or "in_progress" in STEPS[issue.status].split()


def _is_elses(issue: Issue, agent: str) -> bool:
    return issue.assignee not in (None, f"agent:{agent}")


def _blocks(issue: Issue) -> bool:
    """What failed still is in the way: what it was to make is not there."""
    return not issue.is_deleted and issue.status not in NO_LONGER_IN_THE_WAY
