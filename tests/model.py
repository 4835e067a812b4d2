"""An issue's life once more, simply: what the rules are compared with.

Written from what was asked for and not from the code, of which it uses nothing but the commands.
It knows no events and no streams: issues and runs are records in dicts, which a command changes at
once. What speaks against a command is a set, because which of several reasons is told is nobody's
promise; only who may ask at all, and about what, comes before everything else.
"""

from __future__ import annotations

from typing import Any

from ledger import commands as c
from tests.model_base import Barred, Issues, Reasons, because, blocks
from tests.modelled import (
    KEEPS_ITS_RUN,
    OVER,
    PRIORITIES,
    STEPS,
    VERBS,
    Comment,
    Cost,
    Issue,
)


class Model(Issues):
    """One method for each command, by its name."""

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

    # ── taking, holding, letting go ──

    def check_out_issue(self, command: c.CheckOutIssue) -> Reasons:
        """One owner at a time: a live lease, of an agent and a run of it."""
        agent = self._agent_taking(command)
        issue = self._issue(command.issue)
        lease, by_agent = issue.lease, command.actor.type == "agent"
        is_theirs = lease is not None and lease.agent == agent
        names_it = lease is not None and command.names_run and command.run_id == lease.run
        if lease and self.now < lease.ends:
            return because(not is_theirs or (command.names_run and not names_it), "issue_held")
        if lease and is_theirs and names_it:
            no = because(agent in self.paused_agents, "agent_paused")
            no |= because(self._is_spent(issue, agent), "budget_exceeded")
            if not no:
                self._hold(lease, command.lease_seconds)
            return no
        expected = command.expected_statuses
        begins = None if self._resumes(issue, agent, command) else command.run_id
        no = (
            because(expected is not None and issue.status not in expected, "status_not_expected")
            | because(not _workable(issue), "transition_not_allowed")
            | because(by_agent and not lease and _is_elses(issue, agent), "assigned_elsewhere")
            | because(issue.is_paused, "issue_paused")
            | because(by_agent and self._in_the_way(issue), "issue_blocked")
            | because(agent in self.paused_agents, "agent_paused")
            | because(self._is_spent(issue, agent), "budget_exceeded")
            | because(begins in {*self.runs, *self.issues}, "taken")
        )
        if not no:
            self._take(issue, agent, command.run_id, command.lease_seconds, command.names_run)
        return no

    def claim_next_issue(self, command: c.ClaimNextIssue) -> Reasons:
        """The best issue that is there for the agent: by priority, then by age."""
        agent = self._agent_taking(command)
        found = sorted(
            (issue for issue in self.issues.values() if self._is_there_for(agent, issue)),
            key=lambda issue: -PRIORITIES.index(issue.priority),
        )
        no = because(agent in self.paused_agents, "agent_paused") | because(
            not found, "nothing_to_claim"
        )
        if found:
            resumes = self._resumes(found[0], agent, command)
            is_used = command.run_id in {*self.runs, *self.issues}
            no |= because(not resumes and is_used, "taken")
            no |= because(self._is_spent(found[0], agent), "budget_exceeded")
        if not no:
            self._take(found[0], agent, command.run_id, command.lease_seconds, False)
        return no

    def renew_lease(self, command: c.RenewLease) -> Reasons:
        """The holder holds on, also late, as long as nobody came."""
        issue = self._issue(command.issue)
        lease = issue.lease
        no = self._rivals(command, issue) | because(lease is None, "not_held")
        no |= because(lease and lease.agent in self.paused_agents, "agent_paused")
        if not no and lease:
            self._hold(lease, command.lease_seconds or lease.seconds)
        return no

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

    # ── statuses ──

    def transition_issue(self, command: c.TransitionIssue) -> Reasons:
        """Along the workflow, by its holder or people."""
        issue, to = self._issue(command.issue), command.to_status
        if to == issue.status:
            return set()
        no = (
            self._rivals(command, issue)
            | because(to not in STEPS[issue.status].split(), "transition_not_allowed")
            | because(
                to == "closed" and not command.force and self._waits(issue), "dependents_open"
            )
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
            | because(issue.status not in before, "transition_not_allowed")
            | because(after == "closed" and not forced and self._waits(issue), "dependents_open")
            | because(by_agent and (takes or accepts_own), "forbidden")
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
            | because(issue.status in OVER, "transition_not_allowed")
            | because(command.actor.type == "agent" and issue.lease is None, "not_held")
        )
        if not no:
            issue.is_paused = True
            self._pause_run(issue)
        return no

    def resume_issue(self, command: c.ResumeIssue) -> Reasons:
        """A person lets the work go on."""
        issue = self._issue(command.issue)
        no = because(issue.is_paused and command.actor.type == "agent", "forbidden")
        if not no and issue.is_paused:
            issue.is_paused = False
            if issue.paused_run and issue.status == "todo":
                self._become(issue, "in_progress")
        return no

    # ── blocking ──

    def link_issue(self, command: c.LinkIssue) -> Reasons:
        """A relation is there once, from whichever end it was asked for."""
        source, target = self._issue(command.issue), self._issue(command.target)
        link_type = command.link_type
        if source is target:
            return {"invalid"}
        if link_type == "blocks":
            source, link_type, target = target, "blocked_by", source
        if link_type == "relates_to" and target.id < source.id:
            source, target = target, source
        if (source.id, link_type, target.id) in self.links.values():
            return set()
        is_blocker = link_type == "blocked_by"
        can_wait = "blocked" in STEPS[source.status].split()
        waits = is_blocker and blocks(target) and can_wait
        no = (
            because(command.link_id in self.links, "taken")
            | because(is_blocker and source.id in self._above(target.id), "blocking_cycle")
            | (self._rivals(command, source) if waits else set())
        )
        if not no:
            self.links[command.link_id] = (source.id, link_type, target.id)
        if not no and waits:
            self._end_run(source, "blocked")
            self._become(source, "blocked")
        return no

    def unlink_issue(self, command: c.UnlinkIssue) -> Reasons:
        """A relation is taken away from either end; what has no blocker left is not blocked."""
        issue = self._issue(command.issue)
        source, link_type, target = self.links.get(command.link_id, ("", "", ""))
        if issue.id not in (source, target):
            return {"not_found"}
        del self.links[command.link_id]
        if link_type == "blocked_by":
            self._open(self.issues[source])
        return set()

    # ── whose it is ──

    def assign_issue(self, command: c.AssignIssue) -> Reasons:
        """What nobody is at work on is given to somebody."""
        issue = self._issue(command.issue)
        whom, no = self._given_to(command, issue)
        if not no and issue.assignee != whom:
            no = because(issue.lease, "issue_held")
            if not no:
                issue.assignee = whom
        return no

    def unassign_issue(self, command: c.UnassignIssue) -> Reasons:
        """What nobody is at work on is nobody's."""
        issue = self._issue(command.issue)
        no = because(issue.assignee is not None and issue.lease, "issue_held")
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

    # ── writing down, editing, deleting ──

    def create_issue(self, command: c.CreateIssue) -> Reasons:
        """The next number of its team, or of the company."""
        parent = self._find(command.parent) if command.parent else None
        whom, no = self._assignee(str(command.assignee)) if command.assignee else (None, set())
        no |= because(command.parent and parent is None, "not_found")
        no |= because(command.issue_id in {*self.issues, *self.runs}, "taken")
        no |= because(self._is_taken(command.external_ref), "taken")
        if no:
            return no
        prefix = self.directory.teams[command.team][0] if command.team else "ACM"
        self.numbers[prefix] += 1
        issue = self.issues[command.issue_id] = Issue(
            id=command.issue_id,
            identifier=f"{prefix}-{self.numbers[prefix]}",
            title=command.title,
            status=command.status or "todo",
            priority=command.priority,
            assignee=whom,
            parent=parent.id if parent else None,
            team=command.team,
            project=command.project,
            ref=command.external_ref,
            budget=command.per_task_micros,
        )
        self._become(issue, issue.status)
        return no

    def edit_issue(self, command: c.EditIssue) -> Reasons:
        """Its fields change; its identifier does not."""
        issue, no = self._issue(command.issue), Reasons()
        changed: dict[str, Any] = dict(command.changes)
        if changed.get("parent_id"):
            parent = self._find(changed["parent_id"])
            no |= because(parent is None, "not_found")
            no |= because(parent and issue.id in self._ancestors(parent.id), "hierarchy_cycle")
        if ref := changed.get("external_ref"):
            changed["external_ref"] = (ref["system"], ref["id"])
            no |= because(self._is_taken(changed["external_ref"], issue), "taken")
        if not no:
            for name, value in changed.items():
                setattr(issue, _FIELDS.get(name, name), value)
        return no

    def delete_issue(self, command: c.DeleteIssue) -> Reasons:
        """Off every list, and in nobody's way."""
        issue = self._issue(command.issue)
        no = self._rivals(command, issue)
        if not no:
            was_in_the_way = blocks(issue)
            self._end_runs(issue, "deleted")
            issue.is_deleted, issue.is_paused = True, False
            if was_in_the_way:
                self._open_those_blocked_by(issue)
        return no

    def label_issue(self, command: c.LabelIssue) -> Reasons:
        """A label is on an issue once."""
        issue = self._issue(command.issue)
        no = because(command.label not in self.directory.labels, "not_found")
        if not no:
            issue.labels.add(command.label)
        return no

    def unlabel_issue(self, command: c.UnlabelIssue) -> Reasons:
        """A label that is not on it is agreed to be off."""
        issue = self._issue(command.issue)
        no = because(command.label not in self.directory.labels, "not_found")
        if not no:
            issue.labels.discard(command.label)
        return no

    def comment_on_issue(self, command: c.CommentOnIssue) -> Reasons:
        """Anybody at work says something."""
        issue = self._issue(command.issue)
        no = because(command.comment_id in self.comments, "taken")
        if not no:
            said = Comment(issue.id, str(command.actor), command.body)
            self.comments[command.comment_id] = said
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

    # ── runs ──

    def report_progress(self, command: c.ReportProgress) -> Reasons:
        """A run that is not over says how far it is."""
        run, _ = self._own_run(command)
        no = because(run.state == "ended", "run_over")
        if not no:
            run.progress = command.message
        return no

    def save_checkpoint(self, command: c.SaveCheckpoint) -> Reasons:
        """A run that is not over keeps what another one would need; the last one counts."""
        run, _ = self._own_run(command)
        no = because(run.state == "ended", "run_over")
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
        no = because(run.state != "active", "run_over")
        no |= because(to not in ("done", "in_review"), "transition_not_allowed")
        if not no:
            self._end_run(issue, command.exit_reason)
            self._settle(issue, to)
        return no

    def fail_run(self, command: c.FailRun) -> Reasons:
        """The holder gives up: this attempt, or the issue altogether."""
        run, issue = self._own_run(command)
        no = because(run.state != "active", "run_over")
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
        self._own_run(command)
        cost = Cost(command.run_id, self._month(), 0)
        self.costs.append(cost)
        self._cost(cost, command.cost_micros, stops=True)
        return set()

    def correct_cost(self, command: c.CorrectCost) -> Reasons:
        """What was spent is another sum, in the month of its report.

        More of it does what more costs do, unless that month is over; less of it undoes nothing.
        """
        self._own_run(command)
        cost = next((one for one in self.costs if one.position == command.corrects_position), None)
        if cost is None or cost.run != command.run_id:
            raise Barred("not_found")
        if command.cost_micros is not None:
            more = command.cost_micros - cost.micros
            self._cost(cost, more, stops=more > 0)
        return set()

    def _cost(self, cost: Cost, micros: int, *, stops: bool) -> None:
        run = self.runs[cost.run]
        issue = self.issues[run.issue]
        cost.micros += micros
        run.cost += micros
        holds = issue.lease is not None and issue.lease.run == cost.run
        is_spent = False
        for scope, (of, whose, month), limit in self._budgets(issue, run.agent):
            key = (of, whose, month and cost.month)
            before, after = self.spent[key], self.spent[key] + micros
            if limit is not None and stops and month in ("", cost.month):
                is_spent |= after >= limit and (holds or scope == "issue")
                self._alarm(scope, _alarming(before, limit), _alarming(after, limit))
            self.spent[key] = after
        if is_spent and issue.lease:
            self._pause_run(issue)

    def set_issue_budget(self, command: c.SetIssueBudget) -> Reasons:
        """Settable until the first run starts; from then on raised, by people."""
        issue, to = self._issue(command.issue), command.per_task_micros
        if to == issue.budget:
            return set()
        raises = issue.budget is not None and (to is None or to > issue.budget)
        no = because(issue.run_count and not raises, "budget_locked")
        no |= because(issue.run_count and command.actor.type == "agent", "forbidden")
        if not no:
            issue.budget = to
        return no

    def set_agent_budget(self, command: c.SetAgentBudget) -> Reasons:
        """What an agent may spend in a month is for people to say."""
        no = because(command.agent not in self.directory.listed, "not_found")
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
        no |= because(command.actor.type == "agent", "forbidden")
        if no:
            return no
        spent = self.spent[scope, whose, self._month()]
        before, to = self.limits.pop(whose, None), command.monthly_micros
        if to is not None:
            self.limits[whose] = to
        self._alarm(scope, _alarming(spent, before), _alarming(spent, to))
        return no

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
    return because(5 * spent >= 4 * limit, "warned") | because(spent >= limit, "exceeded")


def _workable(issue: Issue) -> bool:
    """In progress already, or a step from it."""
    return issue.status == "in_progress" or "in_progress" in STEPS[issue.status].split()


def _is_elses(issue: Issue, agent: str) -> bool:
    return issue.assignee not in (None, f"agent:{agent}")
