"""Leases: for how long a run holds an issue, and what its time running out permits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from ledger import events as e
from ledger.actors import Actor, Role
from ledger.codec import timestamp
from ledger.commands import DEFAULT_LEASE_SECONDS, Command
from ledger.errors import (
    AgentPaused,
    AssignedElsewhere,
    Forbidden,
    IssueHeld,
    LedgerError,
    NotFound,
    NotHeld,
    StaleToken,
    StatusNotExpected,
    Taken,
)
from ledger.events import MAX_LEASE_SECONDS
from ledger.workflow import WORKFLOWS
from tests.scenario import (
    ENTRY,
    ISSUE,
    OTHER_RUN,
    RUN,
    SECOND,
    Caller,
    Scenario,
    alice,
    an_id,
    bob,
    coder,
    given,
    operator,
    reviewer,
)
from tests.workflows import company_of

carol = Caller(Actor("agent", ENTRY), Role.AGENT)
"""An agent that the directory lists, so that it can be paused."""

THIRD_RUN = an_id(13)


def at_work(**more: Any) -> Scenario:
    """An issue that agent:coder holds in RUN."""
    return given(alice.creates(), coder.checks_out(**more))


def run_out(scenario: Scenario) -> Scenario:
    """The moment at which the lease on ISSUE is over."""
    expires_at = scenario.issue().lease_expires_at
    assert expires_at is not None
    return scenario.later(seconds=(expires_at - scenario.known.now).total_seconds())


def overtaken() -> Scenario:
    """An issue that agent:reviewer holds in OTHER_RUN, since agent:coder's lease ran out."""
    return run_out(at_work()).given(reviewer.checks_out(run=OTHER_RUN))


def expired(status: str = "in_progress") -> e.IssueLeaseExpired:
    """How a claim ends the lease of agent:coder: the issue stays as it was."""
    return e.IssueLeaseExpired(
        agent_id="coder",
        run_id=RUN,
        from_assignee="agent:coder",
        to_assignee="agent:coder",
        from_status=status,
        to_status=status,
    )


RUN_EXPIRED = e.RunEnded(issue_id=ISSUE, agent_id="coder", exit_reason="expired", exit_details=None)


def taken(agent: str, run: str, status: str = "in_progress", seconds: int = 900) -> e.Event:
    """A checkout of what agent:coder left behind."""
    return e.IssueCheckedOut(
        agent_id=agent,
        run_id=run,
        from_assignee="agent:coder",
        from_status=status,
        to_status="in_progress",
        lease_seconds=seconds,
    )


# ── the lease of a checkout ────────────────────────────────────────────────────────────


def test_checking_out_holds_the_issue_for_so_many_seconds() -> None:
    """Counted from when the ledger wrote it down; the event's version is the fencing token."""
    taken = (
        given(alice.creates())
        .when(coder.checks_out(lease_seconds=300))
        .then(
            e.IssueCheckedOut(
                agent_id="coder",
                run_id=RUN,
                from_assignee=None,
                from_status="todo",
                to_status="in_progress",
                lease_seconds=300,
            ),
            e.RunStarted(issue_id=ISSUE, agent_id="coder"),
        )
    )

    issue = taken.issue()
    assert issue.held_since is not None
    assert issue.lease_expires_at is not None
    assert (issue.lease_expires_at - issue.held_since).total_seconds() == 300
    assert (issue.lease_seconds, issue.fencing_token) == (300, issue.version)


def test_a_lease_is_of_fifteen_minutes_unless_it_is_said_otherwise() -> None:
    """By checkout and by claim alike."""
    scenario = given(alice.creates())

    assert DEFAULT_LEASE_SECONDS == 15 * 60
    for asked in (coder.checks_out(), coder.claims_next()):
        assert scenario.when(asked).then_also(e.IssueCheckedOut).lease_seconds == 15 * 60


def test_checking_out_again_in_the_same_run_renews_nothing() -> None:
    """It is a retry: who wants more time says renew."""
    at_work().when(coder.checks_out(lease_seconds=7200)).then_nothing()


@settings(deadline=None)
@for_all(st.integers(1, MAX_LEASE_SECONDS), st.integers(-(10**9), 10**9))
def test_another_agent_gets_an_issue_exactly_from_the_end_of_its_lease_on(
    lease_seconds: int, microseconds: int
) -> None:
    """Not a microsecond before; at the very end, yes."""
    scenario = run_out(at_work(lease_seconds=lease_seconds)).later(microseconds=microseconds)
    answer = scenario.when(reviewer.checks_out(run=OTHER_RUN))

    if microseconds < 0:
        answer.then_refused(IssueHeld)
    else:
        answer.then_also(e.IssueCheckedOut)


# ── renew ──────────────────────────────────────────────────────────────────────────────


def test_renewing_counts_from_now() -> None:
    """Not from where the lease would have ended; the token stays, for the lease does."""
    scenario = at_work(lease_seconds=600).later(minutes=5)
    before = scenario.issue()

    renewed = scenario.when(coder.renews(lease_seconds=1200)).then(
        e.IssueLeaseRenewed(agent_id="coder", run_id=RUN, lease_seconds=1200)
    )

    issue = renewed.issue()
    assert issue.lease_expires_at is not None
    assert (issue.lease_expires_at - renewed.known.now).total_seconds() == 1200
    assert (issue.fencing_token, issue.held_since) == (before.fencing_token, before.held_since)
    assert (issue.status, issue.run_count) == (before.status, before.run_count)


def test_renewing_is_for_as_long_as_was_asked_for_last() -> None:
    """At checkout, or when it was renewed."""
    scenario = at_work(lease_seconds=300)
    assert scenario.when(coder.renews()).then_only(e.IssueLeaseRenewed).lease_seconds == 300

    scenario.given(coder.renews(lease_seconds=60))
    assert scenario.when(coder.renews()).then_only(e.IssueLeaseRenewed).lease_seconds == 60


def test_renewing_may_shorten_a_lease() -> None:
    """Who knows that it is nearly done says so, and others wait less."""
    scenario = at_work(lease_seconds=7200).given(coder.renews(lease_seconds=60)).later(minutes=1)

    scenario.when(reviewer.checks_out(run=OTHER_RUN)).then_also(e.IssueLeaseExpired)


@pytest.mark.parametrize("who", [bob, alice, operator], ids=["worker", "owner", "system"])
def test_people_renew_for_an_agent(who: Caller) -> None:
    """The lease is the agent's, whoever asks for it."""
    renewed = at_work().when(who.renews()).then_only(e.IssueLeaseRenewed)

    assert (renewed.agent_id, renewed.run_id) == ("coder", RUN)


@pytest.mark.parametrize("late", [False, True])
def test_another_agent_renews_nothing(late: bool) -> None:
    """What ran out, it may check out; it is not its own to hold on to."""
    scenario = run_out(at_work()) if late else at_work()

    scenario.when(reviewer.renews()).then_refused(IssueHeld)


def test_renewing_late_is_renewing_when_nobody_came() -> None:
    """Expiry only permits another claim, and nobody made one."""
    scenario = run_out(at_work()).later(hours=3).given(coder.renews())

    scenario.when(reviewer.checks_out(run=OTHER_RUN)).then_refused(IssueHeld)


def test_renewing_what_was_overtaken_is_refused() -> None:
    """The refusal names who has it now."""
    refusal = overtaken().when(coder.renews()).then_refused(IssueHeld)

    assert "reviewer" in refusal.message
    assert OTHER_RUN in refusal.message


def test_renewing_in_the_run_that_holds_the_issue() -> None:
    """A run may name itself."""
    at_work().when(coder.renews(in_run=RUN)).then_only(e.IssueLeaseRenewed)


def test_renewing_in_another_run_of_the_same_agent_is_refused() -> None:
    """A dead run that wakes up does not hold on to what its successor took."""
    scenario = run_out(at_work()).given(coder.checks_out(run=OTHER_RUN))

    refusal = scenario.when(coder.renews(in_run=RUN)).then_refused(StaleToken)

    assert OTHER_RUN in refusal.message
    scenario.when(coder.renews(in_run=OTHER_RUN)).then_only(e.IssueLeaseRenewed)


@pytest.mark.parametrize(
    "asked",
    [
        coder.releases(in_run=RUN),
        coder.submits(in_run=RUN),
        coder.pauses(in_run=RUN),
        coder.moves("done", in_run=RUN),
        coder.reassigns("agent:reviewer", in_run=RUN),
    ],
    ids=lambda asked: asked.name,
)
def test_a_dead_run_that_wakes_up_does_not_act_on_its_successors_lease(asked: Command) -> None:
    """It names itself, and so it is told, though it is the same agent and shows no token."""
    scenario = run_out(at_work()).given(coder.checks_out(run=OTHER_RUN))

    scenario.when(asked).then_refused(StaleToken)
    assert scenario.when(replace(asked, in_run=OTHER_RUN)).events


@pytest.mark.parametrize(
    "then",
    [
        coder.releases(),
        coder.submits(),
        coder.finishes(),
        coder.gives_up(),
        coder.pauses(),
        alice.reassigns("user:bob"),
        alice.links("blocked_by"),
    ],
    ids=lambda command: command.name,
)
@pytest.mark.parametrize("who", [coder, alice], ids=["agent", "person"])
def test_renewing_what_is_not_held_is_refused(then: Command, who: Caller) -> None:
    """There is no lease to renew; the refusal says how the issue stands instead."""
    scenario = given(alice.creates(), alice.creates(SECOND), coder.checks_out(), then)

    refusal = scenario.when(who.renews()).then_refused(NotHeld)

    assert refusal.message == (
        f"You do not hold ACM-1. Nobody holds ACM-1; it is {scenario.issue().status}."
    )
    assert refusal.facts["current"]["holder"] is None


def test_renewing_what_is_not_there() -> None:
    """Like anything else that is asked of it."""
    given().when(coder.renews()).then_refused(NotFound)
    at_work().given(alice.deletes()).when(coder.renews()).then_refused(NotFound)


@pytest.mark.parametrize(
    "asked",
    [carol.renews(), alice.renews(), carol.checks_out()],
    ids=["renewing", "renewing by a person", "checking out again"],
)
def test_a_paused_agent_holds_on_to_nothing(asked: Command) -> None:
    """What it holds it may finish in its time; whichever way it asks, it gets no more."""
    scenario = given(alice.lists("agent", "Carol"), alice.creates(), carol.checks_out())
    scenario = run_out(scenario.given(alice.pauses_agent()))

    refusal = scenario.when(asked).then_refused(AgentPaused)

    assert "Carol" in refusal.message
    scenario.given(alice.resumes_agent()).when(asked).then_only(e.IssueLeaseRenewed)


# ── expiry only permits ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "asked",
    [
        coder.progresses(),
        coder.checkpoints(),
        coder.comments(),
        coder.moves("in_review"),
        coder.submits(),
        coder.finishes(),
        coder.gives_up(),
        coder.releases(),
        coder.pauses(),
        coder.reassigns("user:bob"),
    ],
    ids=lambda command: command.name,
)
def test_who_let_its_time_pass_goes_on_until_somebody_comes(asked: Command) -> None:
    """Nothing ends by itself: it is decided as it was while the lease was live."""
    in_time, late = at_work(), run_out(at_work()).later(days=3)

    assert late.when(asked).events == in_time.when(asked).events != ()


@pytest.mark.parametrize(
    "asked",
    [
        reviewer.releases(),
        reviewer.moves("done"),
        reviewer.submits(),
        reviewer.pauses(),
        reviewer.reassigns("agent:reviewer"),
        reviewer.as_role(Role.EDITOR).deletes(),
        reviewer.links("blocked_by"),
    ],
    ids=lambda command: command.name,
)
def test_expiry_lets_others_do_nothing_but_claim(asked: Command) -> None:
    """What they would do to the issue, they do once they hold it: the refusal says so."""
    scenario = run_out(given(alice.creates(), alice.creates(SECOND), coder.checks_out()))

    refusal = scenario.when(asked).then_refused(IssueHeld)

    assert "Check it out" in refusal.message


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_claiming_what_ran_out_is_one_decision(workflow: str) -> None:
    """The old lease ends, then its run; the new one begins, then its run."""
    answer = run_out(company_of(workflow, coder.creates(), coder.checks_out())).when(
        reviewer.checks_out(run=OTHER_RUN, lease_seconds=60)
    )

    assert answer.streams == (("issue", ISSUE), ("run", RUN), ("issue", ISSUE), ("run", OTHER_RUN))
    after = answer.then(
        expired(),
        RUN_EXPIRED,
        taken("reviewer", OTHER_RUN, seconds=60),
        e.RunStarted(issue_id=ISSUE, agent_id="reviewer"),
    )
    issue = after.issue()
    assert (issue.holder_agent_id, issue.holder_run_id) == ("reviewer", OTHER_RUN)
    assert (issue.assignee, issue.status, issue.run_count) == ("agent:reviewer", "in_progress", 2)
    assert issue.fencing_token == issue.version
    assert (after.run().exit_reason, after.run(OTHER_RUN).ended_at) == ("expired", None)
    assert after.run().ended_at is not None


def test_claiming_the_next_issue_ends_what_ran_out_the_same_way() -> None:
    """Whichever way one comes to it."""
    scenario = run_out(at_work())
    by_name = scenario.when(reviewer.checks_out(run=OTHER_RUN)).events

    assert scenario.when(reviewer.claims_next(run=OTHER_RUN)).events == by_name


@pytest.mark.parametrize("status", ["in_review", "handoff"])
def test_claiming_what_ran_out_in_review(status: str) -> None:
    """It is taken from where it stands."""
    scenario = run_out(at_work().given(coder.moves(status)))

    scenario.when(reviewer.checks_out(run=OTHER_RUN)).then(
        expired(status),
        RUN_EXPIRED,
        taken("reviewer", OTHER_RUN, status),
        e.RunStarted(issue_id=ISSUE, agent_id="reviewer"),
    )


def test_the_same_run_comes_back_late_and_nobody_came() -> None:
    """It holds on, for as long as it asks for now; the lease, the token and the run stay."""
    scenario = run_out(at_work())
    before = scenario.issue()

    renewed = scenario.when(coder.checks_out(lease_seconds=120, expected_statuses=("todo",))).then(
        e.IssueLeaseRenewed(agent_id="coder", run_id=RUN, lease_seconds=120)
    )

    issue = renewed.issue()
    assert (issue.fencing_token, issue.run_count) == (before.fencing_token, 1)
    assert issue.lease_expires_at is not None
    assert (issue.lease_expires_at - renewed.known.now).total_seconds() == 120
    renewed.when(reviewer.checks_out(run=OTHER_RUN)).then_refused(IssueHeld)


@pytest.mark.parametrize("names_run", [True, False])
def test_an_agent_adopts_what_its_dead_run_left_in_a_new_run(names_run: bool) -> None:
    """One that crashed does not know its old run, or has been given a new one."""
    asked = coder.checks_out(run=OTHER_RUN, names_run=names_run)

    run_out(at_work()).when(asked).then(
        expired(),
        RUN_EXPIRED,
        taken("coder", OTHER_RUN),
        e.RunStarted(issue_id=ISSUE, agent_id="coder"),
    )


def test_an_agent_adopts_nothing_while_its_other_run_lives() -> None:
    """One agent in two runs is two workers; the refusal says what to do first."""
    refusal = at_work().when(coder.checks_out(run=OTHER_RUN)).then_refused(IssueHeld)

    assert "another run of yours; end it" in refusal.message


def test_an_agent_adopts_its_dead_run_once() -> None:
    """The run that was overtaken is over: coming back under its name is no retry."""
    scenario = run_out(at_work()).given(coder.checks_out(run=OTHER_RUN))

    scenario.when(coder.checks_out(run=RUN)).then_refused(IssueHeld)
    scenario.given(coder.releases()).when(coder.checks_out(run=RUN)).then_refused(Taken)


@pytest.mark.parametrize("workflow", WORKFLOWS)
@pytest.mark.parametrize("who", [coder, reviewer], ids=["same agent", "another agent"])
def test_what_ran_out_is_in_progress_and_must_be_expected_to_be(workflow: str, who: Caller) -> None:
    """Who takes over says that it knows; who expects nothing is asked nothing."""
    scenario = run_out(company_of(workflow, coder.creates(), coder.checks_out()))

    def takes(*expected: str) -> Command:
        return who.checks_out(run=OTHER_RUN, expected_statuses=expected)

    refusal = scenario.when(takes("todo", "backlog", "blocked", "in_review")).then_refused(
        StatusNotExpected
    )
    assert refusal.facts["current"]["status"] == "in_progress"
    scenario.when(takes("in_progress")).then_also(e.IssueLeaseExpired)
    scenario.when(takes("todo", "in_progress")).then_also(e.IssueLeaseExpired)


def test_what_a_dead_agent_left_is_for_anybody_though_it_is_assigned() -> None:
    """It was the dead agent's by its lease, and that has run out."""
    scenario = run_out(at_work())

    assert scenario.issue().assignee == "agent:coder"
    scenario.when(reviewer.checks_out(run=OTHER_RUN)).then_also(e.IssueCheckedOut)


def test_what_was_only_assigned_is_not_for_anybody() -> None:
    """Nobody's time has run out there."""
    scenario = at_work().given(coder.releases(), alice.assigns("agent:coder")).later(days=3)

    scenario.when(reviewer.checks_out(run=OTHER_RUN)).then_refused(AssignedElsewhere)


@pytest.mark.parametrize("agent", ["coder", "reviewer"])
def test_a_person_sends_an_agent_to_what_ran_out(agent: str) -> None:
    """The same or another one; but an agent sends nobody."""
    scenario = run_out(at_work())

    sent = scenario.when(bob.checks_out(agent=agent, run=OTHER_RUN))
    assert sent.then_also(e.IssueCheckedOut).agent_id == agent
    scenario.when(operator.checks_out(agent=agent, run=OTHER_RUN)).then_also(e.RunStarted)
    other = reviewer if agent == "coder" else coder
    scenario.when(other.checks_out(agent=agent, run=OTHER_RUN)).then_refused(Forbidden)


def test_a_lease_may_run_out_again_and_again() -> None:
    """Each claim ends the lease before it, and that one alone."""
    scenario = run_out(overtaken()).given(coder.checks_out(run=THIRD_RUN))

    runs = [scenario.run(run_id) for run_id in (RUN, OTHER_RUN, THIRD_RUN)]
    assert [run.exit_reason for run in runs] == ["expired", "expired", None]
    assert scenario.issue().run_count == 3


# ── expire ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "who", [coder, reviewer, bob, operator], ids=["holder", "another", "person", "system"]
)
def test_anybody_puts_back_what_ran_out(who: Caller) -> None:
    """It is nobody's, and waits for whoever comes next."""
    put_back = (
        run_out(at_work())
        .when(who.expires())
        .then(
            e.IssueLeaseExpired(
                agent_id="coder",
                run_id=RUN,
                from_assignee="agent:coder",
                to_assignee=None,
                from_status="in_progress",
                to_status="todo",
            ),
            RUN_EXPIRED,
        )
    )

    issue = put_back.issue()
    assert (issue.status, issue.assignee, issue.holder_run_id) == ("todo", None, None)
    assert (issue.lease_expires_at, issue.fencing_token) == (None, None)
    taken = put_back.when(reviewer.checks_out(run=OTHER_RUN, expected_statuses=("todo",)))
    taken.then_also(e.RunStarted)


@pytest.mark.parametrize("status", ["in_review", "handoff"])
def test_putting_back_what_ran_out_in_review_leaves_it_there(status: str) -> None:
    """Only work in progress is put back."""
    scenario = run_out(at_work().given(coder.moves(status)))

    put_back = scenario.when(bob.expires()).then_also(e.IssueLeaseExpired)

    assert (put_back.from_status, put_back.to_status) == (status, status)


@pytest.mark.parametrize("who", [coder, alice], ids=["holder", "person"])
def test_nobody_puts_back_what_has_not_run_out(who: Caller) -> None:
    """Who means to end it says release."""
    refusal = run_out(at_work()).later(microseconds=-1).when(who.expires()).then_refused(IssueHeld)

    assert "has not run out" in refusal.message


def test_putting_back_what_nobody_holds_is_agreement() -> None:
    """Twice, or where nobody ever was."""
    given(alice.creates()).when(bob.expires()).then_nothing()
    run_out(at_work()).given(bob.expires()).when(bob.expires()).then_nothing()


def test_putting_back_what_is_not_there() -> None:
    """Like anything else that is asked of it."""
    given().when(bob.expires()).then_refused(NotFound)


# ── a 409 that helps ───────────────────────────────────────────────────────────────────


def test_a_refusal_names_holder_run_end_and_what_to_do() -> None:
    """While the lease lives there is nothing to wait for."""
    scenario = at_work()
    issue = scenario.issue()
    assert issue.held_since is not None
    assert issue.lease_expires_at is not None
    ends = timestamp(issue.lease_expires_at)

    refusal = scenario.when(reviewer.checks_out(run=OTHER_RUN)).then_refused(IssueHeld)

    assert refusal.message == (
        f"ACM-1 is held by agent coder in run {RUN} until {ends}. Do not retry; take another one."
    )
    assert refusal.facts["current"]["holder"] == {
        "agent_id": "coder",
        "run_id": RUN,
        "since": timestamp(issue.held_since),
        "expires_at": ends,
        "fencing_token": issue.fencing_token,
    }


def test_a_refusal_after_the_end_says_that_it_may_be_taken_over() -> None:
    """Whoever wants to do something to it may claim it."""
    scenario = run_out(at_work())
    expires_at = scenario.issue().lease_expires_at
    assert expires_at is not None

    refusal = scenario.when(reviewer.releases()).then_refused(IssueHeld)

    assert refusal.message == (
        f"ACM-1 is held by agent coder in run {RUN} under a lease that ran out at "
        f"{timestamp(expires_at)}. Check it out to take it over."
    )


@pytest.mark.parametrize(
    ("asked", "what_to_do"),
    [
        (alice.assigns("user:bob"), "To move it all the same, reassign it."),
        (alice.unassigns(), "Release it first."),
        (alice.expires(), "It has not run out."),
        (reviewer.moves("done"), "Do not retry; take another one."),
        (reviewer.claims_next(run=OTHER_RUN), "says why"),
    ],
    ids=lambda value: value.name if isinstance(value, Command) else None,
)
def test_every_refusal_of_what_is_held_says_what_to_do(asked: Command, what_to_do: str) -> None:
    """For whom it is said."""
    refusal = at_work().when(asked).decision

    assert isinstance(refusal, LedgerError)
    assert what_to_do in refusal.message
