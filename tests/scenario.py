"""Given → when → then for the pure core, so that a test of a rule reads as the rule.

    given(alice.creates(), coder.checks_out()).when(reviewer.releases()).then_refused(IssueHeld)

What nobody said has not happened, and what nobody made is not there: no database, no clock,
no mocks. Every scenario begins with a company, two people and two agents who have keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self, TypeVar

from ledger import commands as c
from ledger.actors import Actor, Role
from ledger.decisions import Decision, decide
from ledger.errors import LedgerError
from ledger.events import Event, Json, Recorded
from ledger.facts import COMPANY, FactKey
from ledger.known import Known
from ledger.state import Comment, Company, Entry, Issue, Key, Link, Run

E = TypeVar("E", bound=Event)
R = TypeVar("R", bound=LedgerError)

START = datetime(2026, 4, 12, 17, 0, tzinfo=UTC)
"""When position 0 was; each event is a minute after the one before, or after `later`."""


def an_id(number: int) -> str:
    """An id of the form that the application makes."""
    return f"00000000-0000-7000-8000-{number:012d}"


COMPANY_ID = an_id(0)
ISSUE, SECOND, THIRD = an_id(1), an_id(2), an_id(3)
RUN, OTHER_RUN = an_id(11), an_id(12)
COMMENT, LINK, KEY = an_id(21), an_id(31), an_id(41)
ENTRY, OTHER_ENTRY = an_id(51), an_id(52)
NOBODYS = an_id(999)


class FromNothing(dict[FactKey, Any]):
    """Facts before the first event: there is no such thing, whatever is asked.

    What an agent might claim is every issue, by priority, then by age, but for those passed over.
    """

    def __init__(self, issues: Callable[[], list[Issue]] = list) -> None:
        """`issues` are those of now, oldest first."""
        super().__init__()
        self._issues = issues

    def __contains__(self, key: object) -> bool:
        """Everything is known."""
        return True

    def __missing__(self, key: FactKey) -> Any:
        """And it is nothing."""
        if key[0] != "claimable":
            return None
        found = [issue for issue in self._issues() if issue.id not in key[2:]]
        return tuple(issue.id for issue in sorted(found, key=_urgency))


def _urgency(issue: Issue) -> int:
    return -("none", "low", "medium", "high", "urgent").index(issue.priority)


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody with a key. Their verbs make commands; left alone, these are about ISSUE."""

    actor: Actor
    role: Role

    def __call__(self, command: type[c.Command], **fields: Any) -> c.Command:
        """Any command, from this caller."""
        return command(actor=self.actor, role=self.role, **fields)

    def as_role(self, role: Role) -> Caller:
        """The same caller with a key of another role."""
        return Caller(self.actor, role)

    # ── issues ──

    def creates(self, issue: str = ISSUE, title: str = "Mend it", **more: Any) -> c.Command:
        """Creates an issue."""
        return self(c.CreateIssue, issue_id=issue, title=title, **more)

    def edits(self, issue: str = ISSUE, /, **fields: Any) -> c.Command:
        """Edits the fields that are named; `expected_version` is no field."""
        version = fields.pop("expected_version", None)
        return self(c.EditIssue, issue=issue, changes=fields, expected_version=version)

    def moves(self, to_status: str, issue: str = ISSUE, **more: Any) -> c.Command:
        """Moves an issue to another status."""
        return self(c.TransitionIssue, issue=issue, to_status=to_status, **more)

    def deletes(self, issue: str = ISSUE, **more: Any) -> c.Command:
        """Deletes an issue."""
        return self(c.DeleteIssue, issue=issue, **more)

    def assigns(self, assignee: str, issue: str = ISSUE, **more: Any) -> c.Command:
        """Assigns an issue."""
        return self(c.AssignIssue, issue=issue, assignee=Actor.parse(assignee), **more)

    def unassigns(self, issue: str = ISSUE, **more: Any) -> c.Command:
        """Makes an issue nobody's."""
        return self(c.UnassignIssue, issue=issue, **more)

    def reassigns(self, assignee: str, issue: str = ISSUE, **more: Any) -> c.Command:
        """Moves an issue to somebody else."""
        return self(c.ReassignIssue, issue=issue, assignee=Actor.parse(assignee), **more)

    def checks_out(
        self, issue: str = ISSUE, agent: str | None = None, run: str = RUN, **more: Any
    ) -> c.Command:
        """Checks out an issue, an agent for itself, in a run that it names."""
        agent_id = agent or self.actor.id
        named: dict[str, Any] = {"names_run": True, **more}
        return self(c.CheckOutIssue, issue=issue, agent_id=agent_id, run_id=run, **named)

    def claims_next(self, agent: str | None = None, run: str = RUN, **more: Any) -> c.Command:
        """Takes the best issue there is, an agent for itself."""
        return self(c.ClaimNextIssue, agent_id=agent or self.actor.id, run_id=run, **more)

    def renews(self, issue: str = ISSUE, **more: Any) -> c.Command:
        """Renews the lease on an issue."""
        return self(c.RenewLease, issue=issue, **more)

    def expires(self, issue: str = ISSUE, **more: Any) -> c.Command:
        """Puts an issue back whose lease ran out."""
        return self(c.ExpireLease, issue=issue, **more)

    def submits(self, issue: str = ISSUE, **more: Any) -> c.Command:
        """Submits an issue."""
        return self(c.SubmitIssue, issue=issue, **more)

    def accepts(self, issue: str = ISSUE, **more: Any) -> c.Command:
        """Accepts submitted work."""
        return self(c.AcceptIssue, issue=issue, **more)

    def rejects(self, issue: str = ISSUE, **more: Any) -> c.Command:
        """Rejects submitted work."""
        return self(c.RejectIssue, issue=issue, **more)

    def fails(self, issue: str = ISSUE, **more: Any) -> c.Command:
        """Fails an issue."""
        return self(c.FailIssue, issue=issue, **more)

    def hands_off(self, issue: str = ISSUE, **more: Any) -> c.Command:
        """Hands an issue off."""
        return self(c.HandOffIssue, issue=issue, **more)

    def takes_over(self, issue: str = ISSUE, **more: Any) -> c.Command:
        """Takes over what was handed off."""
        return self(c.TakeOverIssue, issue=issue, **more)

    def cancels(self, issue: str = ISSUE, **more: Any) -> c.Command:
        """Cancels an issue."""
        return self(c.CancelIssue, issue=issue, **more)

    def closes(self, issue: str = ISSUE, **more: Any) -> c.Command:
        """Closes an issue."""
        return self(c.CloseIssue, issue=issue, **more)

    def reopens(self, issue: str = ISSUE, **more: Any) -> c.Command:
        """Reopens an issue."""
        return self(c.ReopenIssue, issue=issue, **more)

    def pauses(self, issue: str = ISSUE, **more: Any) -> c.Command:
        """Pauses an issue."""
        return self(c.PauseIssue, issue=issue, **more)

    def resumes(self, issue: str = ISSUE, **more: Any) -> c.Command:
        """Resumes an issue."""
        return self(c.ResumeIssue, issue=issue, **more)

    def budgets(self, per_task_micros: int | None, issue: str = ISSUE, **more: Any) -> c.Command:
        """Sets what the runs of an issue may spend."""
        return self(c.SetIssueBudget, issue=issue, per_task_micros=per_task_micros, **more)

    def gives_team(self, team: str, issue: str = ISSUE, **more: Any) -> c.Command:
        """Assigns an issue to a team's member with the least to do."""
        return self(c.AssignIssue, issue=issue, team=team, **more)

    def releases(self, issue: str = ISSUE, **more: Any) -> c.Command:
        """Releases an issue."""
        return self(c.ReleaseIssue, issue=issue, **more)

    def comments(
        self, body: str = "Looks good.", comment: str = COMMENT, issue: str = ISSUE, **more: Any
    ) -> c.Command:
        """Comments on an issue."""
        return self(c.CommentOnIssue, issue=issue, comment_id=comment, body=body, **more)

    def edits_comment(
        self, body: str = "Looks bad.", comment: str = COMMENT, issue: str = ISSUE, **more: Any
    ) -> c.Command:
        """Edits a comment."""
        return self(c.EditComment, issue=issue, comment_id=comment, body=body, **more)

    def deletes_comment(self, comment: str = COMMENT, issue: str = ISSUE, **more: Any) -> c.Command:
        """Deletes a comment."""
        return self(c.DeleteComment, issue=issue, comment_id=comment, **more)

    def labels(self, label: str, issue: str = ISSUE, **more: Any) -> c.Command:
        """Puts a label on an issue."""
        return self(c.LabelIssue, issue=issue, label=label, **more)

    def unlabels(self, label: str, issue: str = ISSUE, **more: Any) -> c.Command:
        """Takes a label off an issue."""
        return self(c.UnlabelIssue, issue=issue, label=label, **more)

    def links(
        self,
        link_type: str,
        target: str = SECOND,
        issue: str = ISSUE,
        link: str = LINK,
        **more: Any,
    ) -> c.Command:
        """Links an issue to another one."""
        return self(
            c.LinkIssue, issue=issue, link_id=link, link_type=link_type, target=target, **more
        )

    def unlinks(self, link: str = LINK, issue: str = ISSUE, **more: Any) -> c.Command:
        """Takes a link away."""
        return self(c.UnlinkIssue, issue=issue, link_id=link, **more)

    def progresses(
        self, message: str = "Half-way.", run: str = RUN, issue: str = ISSUE, **more: Any
    ) -> c.Command:
        """Says how far a run is."""
        return self(c.ReportProgress, issue=issue, run_id=run, message=message, **more)

    def checkpoints(
        self, checkpoint: str = '{"step":1}', run: str = RUN, issue: str = ISSUE, **more: Any
    ) -> c.Command:
        """Saves a checkpoint."""
        return self(c.SaveCheckpoint, issue=issue, run_id=run, checkpoint=checkpoint, **more)

    def retains(
        self, url: str = "https://example.com/w", run: str = RUN, issue: str = ISSUE, **more: Any
    ) -> c.Command:
        """Says where a run's workspace is kept."""
        return self(c.RetainWorkspace, issue=issue, run_id=run, workspace_url=url, **more)

    def finishes(self, run: str = RUN, issue: str = ISSUE, **more: Any) -> c.Command:
        """Finishes a run."""
        return self(c.FinishRun, issue=issue, run_id=run, **more)

    def gives_up(self, run: str = RUN, issue: str = ISSUE, **more: Any) -> c.Command:
        """Gives a run up."""
        return self(c.FailRun, issue=issue, run_id=run, **more)

    def reports(self, run: str = RUN, issue: str = ISSUE, **more: Any) -> c.Command:
        """Reports what a run used."""
        used = {"provider": "anthropic", "model": "opus", **more}
        return self(c.ReportCost, issue=issue, run_id=run, **used)

    def corrects(self, position: int, run: str = RUN, issue: str = ISSUE, **more: Any) -> c.Command:
        """Corrects what a run reported."""
        said = {"reason": "Counted twice.", **more}
        return self(c.CorrectCost, issue=issue, run_id=run, corrects_position=position, **said)

    # ── directory ──

    def lists(
        self, kind: str, name: str, entry: str = ENTRY, *, slug: str | None = None, **fields: Any
    ) -> c.Command:
        """Lists an entry in the directory."""
        version = fields.pop("expected_version", None)
        return self(
            c.CreateEntry,
            entry_id=entry,
            kind=kind,
            entry_name=name,
            slug=slug,
            fields=fields,
            expected_version=version,
        )

    def changes(self, kind: str, entry: str = ENTRY, /, **fields: Any) -> c.Command:
        """Changes fields of an entry; `expected_version` is no field."""
        version = fields.pop("expected_version", None)
        return self(c.UpdateEntry, kind=kind, entry=entry, changes=fields, expected_version=version)

    def archives(self, kind: str, entry: str = ENTRY, **more: Any) -> c.Command:
        """Takes an entry off the lists."""
        return self(c.ArchiveEntry, kind=kind, entry=entry, **more)

    def pauses_agent(self, agent: str = ENTRY, **more: Any) -> c.Command:
        """Lets an agent take no more work."""
        return self(c.PauseAgent, agent=agent, **more)

    def resumes_agent(self, agent: str = ENTRY, **more: Any) -> c.Command:
        """Lets an agent take work again."""
        return self(c.ResumeAgent, agent=agent, **more)

    def budgets_agent(
        self, monthly_micros: int | None, agent: str = ENTRY, **more: Any
    ) -> c.Command:
        """Sets what an agent may spend in a month."""
        return self(c.SetAgentBudget, agent=agent, monthly_micros=monthly_micros, **more)

    # ── company ──

    def budgets_company(self, monthly_micros: int | None, **more: Any) -> c.Command:
        """Sets what the company may spend in a month."""
        return self(c.SetCompanyBudget, monthly_micros=monthly_micros, **more)

    def begins(self, workflow: str = "default", **more: Any) -> c.Command:
        """Begins a company."""
        return self(
            c.CreateCompany,
            company_id=COMPANY_ID,
            company_name="Acme",
            workflow=workflow,
            issue_prefix="ACM",
            **more,
        )

    def gives_key(
        self, actor: str, role: Role = Role.AGENT, key: str = KEY, **more: Any
    ) -> c.Command:
        """Gives out an API key."""
        named: dict[str, Any] = {"key_name": None, **more}
        return self(
            c.CreateKey,
            key_id=key,
            key_role=role,
            key_actor=Actor.parse(actor),
            secret_sha256=f"{key}'s secret, hashed",
            **named,
        )

    def renames_key(self, name: str | None, key: str = KEY, **more: Any) -> c.Command:
        """Calls an API key something else."""
        return self(c.RenameKey, key_id=key, key_name=name, **more)

    def revokes_key(self, key: str = KEY, **more: Any) -> c.Command:
        """Stops an API key."""
        return self(c.RevokeKey, key_id=key, **more)


operator = Caller(Actor("system", "cli"), Role.OWNER)
alice = Caller(Actor("user", "alice"), Role.OWNER)
bob = Caller(Actor("user", "bob"), Role.AGENT)
"""A person who may only work, so that rules about roles show."""
coder = Caller(Actor("agent", "coder"), Role.AGENT)
reviewer = Caller(Actor("agent", "reviewer"), Role.AGENT)


class Scenario:
    """What has happened so far, in one company; the time is that of the last event, or later."""

    def __init__(self) -> None:
        self.known = Known(FromNothing(self.issues), {}, START)
        self.recorded: list[Recorded] = []

    def given(self, *commands: c.Command, on_behalf_of: Actor | None = None) -> Self:
        """Carries out commands that nothing speaks against."""
        for command in commands:
            for stream, event in decide(command, self.known).events:
                self.happened(stream, event, command.actor, on_behalf_of)
        return self

    def happened(
        self, stream: FactKey, event: Event, actor: Actor, on_behalf_of: Actor | None = None
    ) -> Recorded:
        """Appends an event, whether or not a rule would have it."""
        position = len(self.recorded) + 1
        before = self.known[stream]
        recorded = Recorded(
            company_id=COMPANY_ID,
            position=position,
            stream_id=COMPANY_ID if stream == COMPANY else stream[1],
            version=before.version + 1 if before else 1,
            event_id=an_id(1_000_000 + position),
            event=event,
            actor=actor,
            on_behalf_of=on_behalf_of,
            key_id=None,
            command_id=an_id(2_000_000 + position),
            correlation_id=None,
            causation_id=None,
            run_id=None,
            recorded_at=self.known.now + timedelta(minutes=1),
            occurred_at=None,
            via="test",
        )
        self.known.now = recorded.recorded_at
        self.known.record(recorded)
        self.recorded.append(recorded)
        return recorded

    def later(self, **duration: float) -> Self:
        """Lets time pass: `later(minutes=15)`."""
        self.known.now += timedelta(**duration)
        return self

    def issues(self) -> list[Issue]:
        """Every issue, deleted or not, oldest first."""
        return [state for key, state in self.known.staged.items() if key[0] == "issue"]

    def when(self, command: c.Command) -> Answer:
        """Decides one command, without carrying it out."""
        try:
            return Answer(self, command, decide(command, self.known))
        except LedgerError as error:
            return Answer(self, command, error)

    # ── what there is now ──

    def issue(self, ref: str = ISSUE) -> Issue:
        """An issue, be it deleted."""
        issue = self.known[("issue", ref)]
        assert isinstance(issue, Issue)
        return issue

    def run(self, run_id: str = RUN) -> Run:
        """A run."""
        run = self.known[("run", run_id)]
        assert isinstance(run, Run)
        return run

    def comment(self, comment_id: str = COMMENT) -> Comment:
        """A comment, be it deleted."""
        comment = self.known[("comment", comment_id)]
        assert isinstance(comment, Comment)
        return comment

    def link(self, link_id: str = LINK) -> Link | None:
        """A link, or None where there is none."""
        return self.known.link(link_id)

    def entry(self, entry_id: str = ENTRY) -> Entry:
        """An entry of the directory, be it archived."""
        entry = self.known[("entry", entry_id)]
        assert isinstance(entry, Entry)
        return entry

    def key(self, key_id: str = KEY) -> Key:
        """An API key, be it revoked."""
        key = self.known[("key", key_id)]
        assert isinstance(key, Key)
        return key

    @property
    def company(self) -> Company:
        """The company."""
        company = self.known.company
        assert company is not None
        return company


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command came to: a decision, or the rule that forbids it."""

    scenario: Scenario
    command: c.Command
    decision: Decision | LedgerError

    @property
    def events(self) -> tuple[Event, ...]:
        """What would be appended; raises the refusal if there is one."""
        if isinstance(self.decision, LedgerError):
            raise self.decision
        return tuple(event for _, event in self.decision.events)

    @property
    def streams(self) -> tuple[FactKey, ...]:
        """The stream of each event."""
        assert isinstance(self.decision, Decision)
        return tuple(stream for stream, _ in self.decision.events)

    def then(self, *events: Event) -> Scenario:
        """Exactly these events follow; returns the scenario after them."""
        assert self.events == events, f"{self.events}\nfollow, not\n{events}"
        return self.scenario.given(self.command)

    def then_nothing(self) -> Scenario:
        """It is so already: agreement, without an event."""
        return self.then()

    def then_only(self, event: type[E]) -> E:
        """Exactly one event follows, and it is of this class."""
        (found,) = self.events
        assert isinstance(found, event), f"{found} follows"
        return found

    def then_also(self, event: type[E]) -> E:
        """Among the events is one, and only one, of this class."""
        (found,) = [one for one in self.events if isinstance(one, event)]
        return found

    def then_refused(self, error: type[R]) -> R:
        """It is refused by this very class; returns the refusal."""
        refusal = self.decision
        assert type(refusal) is error, f"{refusal!r}\nand not {error.__name__}"
        return refusal


def given(*commands: c.Command) -> Scenario:
    """A company with people and agents at work, in which these commands were carried out."""
    return Scenario().given(
        operator.begins(),
        operator.gives_key("user:alice", Role.OWNER, an_id(901)),
        operator.gives_key("user:bob", Role.AGENT, an_id(902)),
        operator.gives_key("agent:coder", Role.AGENT, an_id(903)),
        operator.gives_key("agent:reviewer", Role.AGENT, an_id(904)),
        *commands,
    )


def change(before: Json, after: Json) -> Mapping[str, Json]:
    """A changed field, as events tell it."""
    return {"from": before, "to": after}
