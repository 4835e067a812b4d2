"""The rules against a simple model of them: several agents and people, every command on issues.

Anybody asks for anything, in any order, while time passes by the test's clock, so that leases run
out and months end. After each command, what the rules answered and everything that can be seen is
compared with the model (`model.py`), which was written from what was asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from itertools import product
from typing import Any, TypeVar

import pytest
from hypothesis import note, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from ledger import commands as c
from ledger.actors import Actor, Role
from tests.beginnings import (
    AGENTS,
    BEGINNING,
    BUG,
    CODER,
    COMMENTS,
    DIRECTORY,
    FIRST,
    IN_THE_WAY,
    LINKS,
    MENDER,
    ODD,
    PROJECT,
    REVIEWER,
    SECOND,
    SO_FAR,
    TEAM,
    THIRD,
    carol,
    mender,
    reviewer,
)
from tests.compared import FREE, HELD, HOLDER, LEFT, NEWEST, Compared, Manner
from tests.modelled import VERBS
from tests.scenario import COMPANY_ID, NOBODYS, Caller, alice, an_id, bob, coder

C = TypeVar("C", bound=c.Command)
ENDINGS = {"fail_issue", "cancel_issue", "close_issue"}


def named(kind: type[C]) -> dict[str, type[C]]:
    """The commands of a kind, by name."""
    found = [one for one in vars(c).values() if isinstance(one, type) and issubclass(one, kind)]
    return {one.name: one for one in found if "name" in vars(one)}


MOVES = named(c.MoveIssue)


def mostly(usual: list[Any], odd: list[Any]) -> st.SearchStrategy[Any]:
    """Of the usual, now and then something odd."""
    return st.sampled_from(usual * (1 + 9 * len(odd) // len(usual)) + odd)


PLAINLY = Manner()
callers = mostly([alice, HOLDER, bob, HOLDER, coder, reviewer, mender], [carol])
issues = mostly([FIRST, HELD, SECOND, HELD, LEFT, FREE], [THIRD, NEWEST, "ACM-1", NOBODYS])
at_work = mostly([HELD, HELD, LEFT], [FREE, FIRST, NEWEST])
runs = mostly(["its own"], ["former", "nobody's"])
seconds = st.sampled_from([60, 900, 86_400])
limits = st.sampled_from([100, None, 200, None, 0])
times = mostly(["now", "its end"], ["just before its end"])
"""When it is asked, by the lease that there is."""

refs = st.sampled_from([("jira", "1"), ("jira", "2")])
manners = st.sampled_from([PLAINLY] * 24 + [
    Manner(version="seen"),
    Manner(version="stale"),
    Manner(token="good"),
    Manner(token="good", in_run="its own"),
    Manner(token="former"),
    Manner(token="no lease's"),
    Manner(in_run="its own"),
    Manner(in_run="former"),
    Manner(in_run="nobody's"),
])  # fmt: skip


class Life(RuleBasedStateMachine):
    """Whatever anybody asks, and time."""

    def __init__(self, begin: Sequence[c.Command], heard: Counter[tuple[str, str]]) -> None:
        """`heard` counts what was answered, over all examples."""
        super().__init__()
        self.both = Compared(DIRECTORY, BEGINNING, heard)
        self._begin = begin

    def ask(self, command: c.Command, manner: Manner = PLAINLY) -> None:
        """Asks the rules and the model."""
        said = self.both.said(command, manner)
        note(f"    {said}")
        self.both.ask(said)

    @initialize(
        team=st.sampled_from([None, TEAM]),
        status=st.sampled_from([None, "backlog"]),
        limit=st.sampled_from([None, 100, 200]),
    )
    def it_begins(self, team: str | None, status: str | None, limit: int | None) -> None:
        """With three issues, each below the one before, and a comment."""
        self.ask(alice.creates(FIRST, team=team, status=status))
        self.ask(alice.creates(SECOND, team=team, parent=FIRST, per_task_micros=limit))
        self.ask(alice.creates(THIRD, parent=SECOND))
        self.ask(alice.comments(comment=COMMENTS[0], issue=FIRST))
        for command in self._begin:
            self.ask(command)

    # ── time ──

    @rule(duration=st.sampled_from([1, 59, 60, 900, 86_400, 20 * 86_400]))
    def time_passes(self, duration: int) -> None:
        """So many seconds: leases run out, and now and then a month."""
        self.both.later(timedelta(seconds=duration))

    def _wait(self, issue: str, until: str) -> None:
        """Until the lease on an issue is over, or for all but a microsecond of it."""
        found = self.both.model.issues.get(issue)
        if found and found.lease and until != "now":
            rest = found.lease.ends - self.both.model.now
            short = timedelta(microseconds=until == "just before its end")
            self.both.later(max(rest - short, timedelta()))

    # ── issues ──

    @rule(
        who=callers,
        issue=mostly([None], [FIRST]),
        status=mostly([None], ["backlog", "in_progress", "in_review", "handoff", "done"]),
        places=st.tuples(st.sampled_from([None, TEAM]), st.sampled_from([None, PROJECT])),
        assignee=mostly([None], [f"agent:{REVIEWER}", "user:bob", "agent:nobody"]),
        parent=mostly([None], [FIRST, SECOND, NOBODYS]),
        ref=st.none() | refs,
        budget=mostly([None], [0, 100]),
    )
    def somebody_writes_down(
        self,
        who: Caller,
        issue: str | None,
        status: str | None,
        places: tuple[str | None, str | None],
        assignee: str | None,
        parent: str | None,
        ref: tuple[str, str] | None,
        budget: int | None,
    ) -> None:
        """An issue, now and then under an id that is in use."""
        self.ask(
            who.creates(
                issue or an_id(1000 + len(self.both.model.issues)),
                status=status,
                priority="high" if ref else "none",
                assignee=Actor.parse(assignee) if assignee else None,
                team=places[0],
                project=places[1],
                parent=parent,
                external_ref=ref,
                per_task_micros=budget,
            )
        )

    @rule(
        who=callers,
        issue=issues,
        changes=st.one_of(
            st.fixed_dictionaries({"parent_id": st.sampled_from([None, NEWEST, NOBODYS])}),
            st.fixed_dictionaries({"parent_id": st.sampled_from([FIRST, SECOND, THIRD])}),
            st.fixed_dictionaries({"team_id": st.sampled_from([None, TEAM])}),
            st.fixed_dictionaries({"project_id": st.sampled_from([None, PROJECT])}),
            st.fixed_dictionaries({"priority": st.sampled_from(["low", "urgent"])}),
            st.fixed_dictionaries(
                {"external_ref": st.none() | refs.map(lambda ref: {"system": ref[0], "id": ref[1]})}
            ),
        ),
        manner=manners,
    )
    def somebody_edits(
        self, who: Caller, issue: str, changes: dict[str, Any], manner: Manner
    ) -> None:
        """A field of an issue."""
        if changes.get("parent_id") == NEWEST:
            changes = {"parent_id": self.both.issue(NEWEST)}
        self.ask(who.edits(self.both.issue(issue), **changes), manner)

    @rule(
        who=mostly([alice, carol, mender], [bob]),
        issue=mostly([NEWEST], [THIRD, FIRST, HELD]),
        manner=manners,
    )
    def somebody_deletes(self, who: Caller, issue: str, manner: Manner) -> None:
        """An issue, for good: mostly one that most commands are not about."""
        self.ask(who.deletes(self.both.issue(issue)), manner)

    # ── taking, holding, letting go ──

    @rule(
        agent=st.sampled_from([*AGENTS]),
        sent_by=mostly([None], [alice]),
        issue=mostly([FREE, LEFT], [HELD]),
        lease=seconds,
    )
    def an_agent_takes(self, agent: str, sent_by: Caller | None, issue: str, lease: int) -> None:
        """An issue that waits, for itself or sent by somebody."""
        who, issue = sent_by or AGENTS[agent], self.both.issue(issue)
        run = self.both.run_of(issue, "new")
        self.ask(who.checks_out(issue, agent, run, names_run=False, lease_seconds=lease))

    @rule(agent=st.sampled_from([*AGENTS]), lease=seconds)
    def an_agent_takes_the_next(self, agent: str, lease: int) -> None:
        """Whichever that is."""
        run = self.both.run_of(FIRST, "new")
        self.ask(AGENTS[agent].claims_next(run=run, lease_seconds=lease))

    @rule(
        who=callers,
        agent=mostly([*AGENTS], ["nobody"]),
        issue=mostly([HELD, LEFT, FIRST, SECOND], [THIRD, NEWEST, NOBODYS]),
        run=mostly(["its own", "new"], ["former"]),
        expected=mostly([None], [("todo",), ("in_progress", "blocked")]),
        lease=seconds,
        when=times,
        manner=manners,
    )
    def somebody_checks_out(
        self,
        who: Caller,
        agent: str,
        issue: str,
        run: str,
        expected: tuple[str, ...] | None,
        lease: int,
        when: str,
        manner: Manner,
    ) -> None:
        """An issue for whomever, in a run that is named, often the one that there is."""
        issue = self.both.issue(issue)
        self._wait(issue, when)
        agent = self.both.holder(issue) or agent if lease == 900 else agent
        run = self.both.run_of(issue, run)
        asked = who.checks_out(issue, agent, run, expected_statuses=expected, lease_seconds=lease)
        self.ask(asked, Manner(manner.version, manner.token))

    @rule(
        who=callers,
        agent=mostly([*AGENTS], ["nobody"]),
        run=mostly(["new"], ["former"]),
    )
    def somebody_claims_the_next(self, who: Caller, agent: str, run: str) -> None:
        """For whomever, in whichever run."""
        self.ask(who.claims_next(agent, self.both.run_of(FIRST, run)))

    @rule(
        who=callers,
        issue=at_work,
        does=st.sampled_from(["renews", "releases", "expires"]),
        lease=st.none() | seconds,
        when=times,
        manner=manners,
    )
    def somebody_holds_on_or_lets_go(
        self, who: Caller, issue: str, does: str, lease: int | None, when: str, manner: Manner
    ) -> None:
        """Or puts back what was left behind."""
        issue = self.both.issue(issue)
        self._wait(issue, when)
        more = {"lease_seconds": lease} if does == "renews" else {}
        self.ask(getattr(who, does)(issue, **more), manner)

    # ── statuses ──

    @rule(
        who=callers,
        issue=issues,
        status=mostly(
            ["todo", "in_progress", "in_review", "handoff", "blocked", "done"],
            ["backlog", "failed", "closed", "cancelled"],
        ),
        force=st.booleans(),
        manner=manners,
    )
    def somebody_moves(
        self, who: Caller, issue: str, status: str, force: bool, manner: Manner
    ) -> None:
        """To another status."""
        self.ask(who.moves(status, self.both.issue(issue), force=force), manner)

    @rule(
        who=callers,
        issue=issues,
        verb=mostly([None], sorted(VERBS)),
        nth=st.integers(0, 2),
        force=st.booleans(),
        manner=manners,
    )
    def somebody_says_what_happened(
        self, who: Caller, issue: str, verb: str | None, nth: int, force: bool, manner: Manner
    ) -> None:
        """By any verb, or by one that the status allows: at first those that end nothing."""
        issue = self.both.issue(issue)
        found = self.both.model.issues.get(issue)
        fits = [one for one, (before, *_) in VERBS.items() if found and found.status in before]
        fits.sort(key=ENDINGS.__contains__)
        verb = verb or [*fits, *VERBS][nth]
        more = {"force": True} if force and verb == "close_issue" else {}
        self.ask(who(MOVES[verb], issue=issue, **more), manner)

    @rule(who=callers, issue=issues, pauses=st.booleans(), manner=manners)
    def somebody_pauses_or_resumes(
        self, who: Caller, issue: str, pauses: bool, manner: Manner
    ) -> None:
        """The work on an issue."""
        issue = self.both.issue(issue)
        self.ask(who.pauses(issue) if pauses else who.resumes(issue), manner)

    # ── blocking ──

    @rule(
        who=callers,
        issue=issues,
        other=mostly([FIRST, SECOND, THIRD], [NEWEST, NOBODYS, "ACM-2"]),
        link_type=mostly(["blocked_by", "blocks"], ["relates_to", "duplicates"]),
        link=st.sampled_from(LINKS),
        manner=manners,
    )
    def somebody_links(
        self, who: Caller, issue: str, other: str, link_type: str, link: str, manner: Manner
    ) -> None:
        """Two issues, or one with itself."""
        issue, other = self.both.issue(issue), self.both.issue(other)
        self.ask(who.links(link_type, other, issue, link), manner)

    @rule(who=callers, nth=st.integers(0, 3), end=mostly([0, 2], [1]), manner=manners)
    def somebody_unlinks(self, who: Caller, nth: int, end: int, manner: Manner) -> None:
        """From either end, or from neither."""
        link = [*self.both.model.links, *LINKS][nth]
        ends = self.both.model.links.get(link, (FIRST, "", SECOND))
        self.ask(who.unlinks(link, ends[end] if end != 1 else THIRD), manner)

    # ── whose it is ──

    @rule(
        who=callers,
        issue=issues,
        does=st.sampled_from(["assigns", "reassigns", "unassigns"]),
        whom=mostly([TEAM, *AGENTS.values()], [bob, NOBODYS]),
        manner=manners,
    )
    def somebody_gives(
        self, who: Caller, issue: str, does: str, whom: Caller | str, manner: Manner
    ) -> None:
        """An issue to somebody, or to a team, or to nobody."""
        issue = self.both.issue(issue)
        if does == "unassigns":
            return self.ask(who.unassigns(issue), manner)
        command = c.AssignIssue if does == "assigns" else c.ReassignIssue
        if whom == TEAM:
            return self.ask(who(command, issue=issue, team=TEAM), manner)
        named = whom.actor if isinstance(whom, Caller) else Actor("agent", whom)
        return self.ask(who(command, issue=issue, assignee=named), manner)

    # ── words ──

    @rule(
        who=callers,
        issue=issues,
        does=st.sampled_from(["comments", "edits_comment", "deletes_comment"]),
        comment=st.sampled_from(COMMENTS),
        body=st.sampled_from(["Good.", "Bad."]),
        manner=manners,
    )
    def somebody_comments(
        self, who: Caller, issue: str, does: str, comment: str, body: str, manner: Manner
    ) -> None:
        """Says something, or better, or takes it back."""
        found = self.both.model.comments.get(comment)
        issue = found.issue if found and does != "comments" else self.both.issue(issue)
        text = {} if does == "deletes_comment" else {"body": body}
        self.ask(getattr(who, does)(comment=comment, issue=issue, **text), manner)

    @rule(who=callers, issue=issues, label=mostly([BUG, ODD], [NOBODYS]), off=st.booleans())
    def somebody_labels(self, who: Caller, issue: str, label: str, off: bool) -> None:
        """Puts a label on, or takes it off."""
        issue = self.both.issue(issue)
        self.ask(who.unlabels(label, issue) if off else who.labels(label, issue))

    # ── runs ──

    @rule(
        who=callers,
        issue=at_work,
        run=runs,
        does=st.sampled_from(["progresses", "checkpoints", "retains"]),
        text=st.sampled_from(["1", "2"]),
        manner=manners,
    )
    def somebody_tells_of_a_run(
        self, who: Caller, issue: str, run: str, does: str, text: str, manner: Manner
    ) -> None:
        """How far it is, what another one would need, where it worked."""
        issue = self.both.issue(issue)
        self.ask(getattr(who, does)(text, self.both.run_of(issue, run), issue), manner)

    @rule(
        who=callers,
        issue=at_work,
        run=runs,
        does=st.sampled_from(["finishes", "gives_up"]),
        status=mostly([None, "in_review", "done"], ["todo"]),
        manner=manners,
    )
    def somebody_ends_a_run(
        self, who: Caller, issue: str, run: str, does: str, status: str | None, manner: Manner
    ) -> None:
        """The work is done, or this attempt at it is given up, or all of it."""
        issue = self.both.issue(issue)
        more: dict[str, Any] = {"retry": status is None}
        if does == "finishes":
            more = {"to_status": status}
        self.ask(getattr(who, does)(self.both.run_of(issue, run), issue, **more), manner)

    # ── money ──

    @rule(
        who=callers,
        issue=at_work,
        run=mostly(["its own", "former", "its own"], ["nobody's"]),
        cost=st.sampled_from([40, 0, 40, 100, 120]),
        manner=manners,
    )
    def somebody_reports(
        self, who: Caller, issue: str, run: str, cost: int, manner: Manner
    ) -> None:
        """What a run used, be it over, and its issue deleted."""
        issue = self.both.issue(issue)
        run = self.both.run_of(issue, run)
        found = self.both.model.runs.get(run)
        self.ask(
            who.reports(run, found.issue if found and cost else issue, cost_micros=cost), manner
        )

    @rule(
        who=callers,
        nth=st.integers(0, 2),
        run=mostly(["its"], ["former", "nobody's"]),
        cost=st.sampled_from([0, 40, 120, None, 100]),
        manner=manners,
    )
    def somebody_corrects(
        self, who: Caller, nth: int, run: str, cost: int | None, manner: Manner
    ) -> None:
        """What was told of a run, often for the second time, be it the one that is named."""
        told = self.both.model.costs
        found = told[nth % len(told)] if told else None
        named = found.run if found and run == "its" else self.both.run_of(FIRST, run)
        of = self.both.model.runs.get(named)
        position = found.position if found and found.position else 1
        self.ask(who.corrects(position, named, of.issue if of else FIRST, cost_micros=cost), manner)

    @rule(who=callers, issue=issues, limit=limits, manner=manners)
    def somebody_sets_a_budget(
        self, who: Caller, issue: str, limit: int | None, manner: Manner
    ) -> None:
        """Of an issue."""
        self.ask(who.budgets(limit, self.both.issue(issue)), manner)

    @rule(
        who=mostly([alice], [carol, bob, Caller(coder.actor, Role.OWNER)]),
        whose=mostly([REVIEWER, MENDER, COMPANY_ID], [CODER]),
        limit=limits,
        version=mostly([None], ["seen", "stale"]),
    )
    def somebody_sets_a_monthly_budget(
        self, who: Caller, whose: str, limit: int | None, version: str | None
    ) -> None:
        """Of the company, or of an agent, be it not listed."""
        of_company = who.budgets_company(limit)
        asked = of_company if whose == COMPANY_ID else who.budgets_agent(limit, whose)
        self.ask(asked, Manner(version))

    # ── agents ──

    @rule(
        who=mostly([alice, carol], [bob, alice.as_role(Role.VIEWER)]),
        agent=mostly([REVIEWER, MENDER, "at work"], [CODER]),
        does=st.sampled_from(["resumes_agent", "pauses_agent", "resumes_agent"]),
    )
    def somebody_pauses_an_agent(self, who: Caller, agent: str, does: str) -> None:
        """Or resumes it."""
        if agent == "at work":
            agent = self.both.holder(self.both.issue(HELD)) or REVIEWER
        self.ask(getattr(who, does)(agent))


def test_the_rules_answer_as_a_simple_model_of_them_does(subtests: pytest.Subtests) -> None:
    """Whatever is asked, in any order: the same answer, and everything looks the same after it.

    Many short searches find more than a long one, which turns to variations of what it has tried.
    Their seeds are fixed, so that what fails is what was changed.
    """
    heard: Counter[tuple[str, str]] = Counter()
    beginnings = product(SO_FAR.items(), IN_THE_WAY.items())
    for number, ((so_far, begun), (in_the_way, blocked)) in enumerate(beginnings):
        with subtests.test(so_far, in_the_way=in_the_way):
            search(partial(Life, [*begun, *blocked], heard), number)

    on_issues = {*named(c.IssueCommand), "create_issue", "claim_next_issue"}
    others = {*named(c.AgentCommand), "set_company_budget"}
    assert {name for name, answer in heard if answer == "accepted"} == on_issues | others


def search(life: Callable[[], Life], number: int, examples: int = 12) -> None:
    """Looks for an example in which the two do not agree."""
    run_state_machine_as_test(
        seed(number)(life),  # type: ignore[arg-type] # Whatever makes one.
        settings=settings(max_examples=examples, stateful_step_count=80, deadline=None),
    )
