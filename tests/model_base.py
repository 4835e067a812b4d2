"""What the model of an issue's life remembers, and what its rules use; they are in `model.py`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from ledger import commands as c
from tests.modelled import (
    MAY,
    NEEDS,
    NO_LONGER_IN_THE_WAY,
    OVER,
    Comment,
    Cost,
    Directory,
    Issue,
    Lease,
    Run,
)

Reasons = set[str]
"""The codes of the rules that speak against a command."""


class Barred(Exception):
    """A reason that comes before all others: there is no such thing, or it is not theirs."""

    def __init__(self, code: str) -> None:
        """`code` is the reason's."""
        super().__init__(code)
        self.code = code


def because(condition: object, code: str) -> Reasons:
    """A reason, if it is one."""
    return {code} if condition else set()


def blocks(issue: Issue) -> bool:
    """What failed still is in the way: what it was to make is not there."""
    return not issue.is_deleted and issue.status not in NO_LONGER_IN_THE_WAY


class Issues:
    """A company's issues; `now` is the time, `versions` how many events each thing has."""

    def __init__(self, directory: Directory, now: datetime) -> None:
        self.directory = directory
        self.now = now
        self.versions: dict[str, int] = {}
        self.issues: dict[str, Issue] = {}
        self.runs: dict[str, Run] = {}
        self.costs: list[Cost] = []
        self.comments: dict[str, Comment] = {}
        self.links: dict[str, tuple[str, str, str]] = {}
        self.numbers: Counter[str] = Counter()
        self.spent: Counter[tuple[str, ...]] = Counter()
        self.limits: dict[str, int] = {}
        self.paused_agents: set[str] = set()
        self.alarms: Counter[str] = Counter()

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
                return self._issue(command.issue).id
            case c.AgentCommand():
                return self._listed(command.agent)
            case c.SetCompanyBudget():
                return self.directory.company
            case _:
                return None

    def _may_write(self, command: c.IssueCommand, token: int) -> None:
        """A token is good as long as its lease; facts about the world are told all the same."""
        if isinstance(command, c.ReportCost | c.CorrectCost | c.RetainWorkspace):
            return
        lease = self._issue(command.issue).lease
        if lease is None or lease.token != token:
            raise Barred("stale_token")

    def _rivals(self, command: c.IssueCommand, issue: Issue) -> Reasons:
        """Agents keep their hands off what another agent holds, or another run of their own."""
        if issue.lease is None or command.actor.type != "agent":
            return set()
        if issue.lease.agent != command.actor.id:
            return {"issue_held"}
        return because(command.in_run not in (None, issue.lease.run), "stale_token")

    # ── what there is ──

    def _find(self, ref: str | None) -> Issue | None:
        found = (issue for issue in self.issues.values() if ref in (issue.id, issue.identifier))
        return next((issue for issue in found if not issue.is_deleted), None)

    def _issue(self, ref: str) -> Issue:
        issue = self._find(ref)
        if issue is None:
            raise Barred("not_found")
        return issue

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

    def _comment(self, command: c.EditComment | c.DeleteComment) -> Comment:
        issue = self._issue(command.issue)
        comment = self.comments.get(command.comment_id)
        if comment is None or comment.is_deleted or comment.issue != issue.id:
            raise Barred("not_found")
        return comment

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

    # ── runs, and their end ──

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
            self.runs[run] = Run(issue.id, agent)
            issue.run_count += 1
        issue.assignee = f"agent:{agent}"
        issue.lease = Lease(agent, run, self.now, seconds, self.now + timedelta(seconds=seconds))
        self._become(issue, "in_progress")

    def _hold(self, lease: Lease, seconds: int) -> None:
        lease.seconds, lease.ends = seconds, self.now + timedelta(seconds=seconds)

    def _put_back(self, issue: Issue, why: str) -> None:
        self._end_run(issue, why)
        issue.assignee = None
        self._wait(issue)

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

    # ── statuses, and what they bring about ──

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

    # ── what is in the way ──

    def _in_the_way(self, issue: Issue) -> list[Issue]:
        """What an issue still waits for."""
        return [
            self.issues[target]
            for source, link_type, target in self.links.values()
            if (source, link_type) == (issue.id, "blocked_by") and blocks(self.issues[target])
        ]

    def _blocked_by(self, blocker: Issue) -> Iterator[Issue]:
        for source, link_type, target in self.links.values():
            if (link_type, target) == ("blocked_by", blocker.id):
                yield self.issues[source]

    def _waits(self, blocker: Issue) -> bool:
        waiting = self._blocked_by(blocker)
        return any(not issue.is_deleted and issue.status not in OVER for issue in waiting)

    def _open_those_blocked_by(self, blocker: Issue) -> None:
        for issue in self._blocked_by(blocker):
            self._open(issue)

    def _open(self, issue: Issue) -> None:
        """It waited for the last of its blockers, and goes back to where it waits to be done."""
        if issue.status == "blocked" and not issue.is_deleted and not self._in_the_way(issue):
            self._become(issue, "backlog" if issue.waited_in == "backlog" else "todo")

    def _above(self, id: str) -> set[str]:
        """An issue, everything that it is blocked by, and what that is blocked by."""
        found = {id}
        for source, link_type, target in self.links.values():
            if (source, link_type) == (id, "blocked_by"):
                found |= self._above(target)
        return found

    # ── whose it may be ──

    def _is_there_for(self, agent: str, issue: Issue) -> bool:
        lease = issue.lease
        if issue.is_deleted or issue.is_paused or self._in_the_way(issue):
            return False
        if issue.budget is not None and self.spent["issue", issue.id, ""] >= issue.budget:
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
        return named, because(kind == "agent" and id in self.paused_agents, "agent_paused")

    # ── what must be one of a kind ──

    def _ancestors(self, id: str | None) -> set[str]:
        return {id} | self._ancestors(self.issues[id].parent) if id else set()

    def _is_taken(self, ref: tuple[str, str] | None, by: Issue | None = None) -> bool:
        others = [one for one in self.issues.values() if one is not by and not one.is_deleted]
        return ref is not None and any(one.ref == ref for one in others)

    def _unless_author(self, command: c.Command, comment: Comment) -> Reasons:
        is_author = comment.author == str(command.actor)
        return because(not is_author and "moderate" not in MAY[command.role], "not_the_author")

    # ── money ──

    def _budgets(self, issue: Issue, agent: str) -> list[tuple[str, tuple[str, ...], int | None]]:
        """What a cost counts against: the issue for ever, agent and company by the month."""
        month = self._month()
        return [
            ("issue", ("issue", issue.id, ""), issue.budget),
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
        return any(
            limit is not None and self.spent[key] >= limit
            for _, key, limit in self._budgets(issue, agent)
        )

    def _alarm(self, scope: str, before: set[str], after: set[str]) -> None:
        """Told once, when it comes to it."""
        self.alarms.update(f"{scope}.budget_{stage}" for stage in after - before)
