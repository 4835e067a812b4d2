"""Who works on an issue: checkout from top to bottom, release, assign, unassign, reassign."""

from __future__ import annotations

from typing import Any

import pytest

from ledger import events as e
from ledger.actors import Role
from ledger.commands import Command
from ledger.errors import (
    AssignedElsewhere,
    Forbidden,
    Invalid,
    IssueHeld,
    NotFound,
    StatusNotExpected,
    Taken,
    TransitionNotAllowed,
)
from ledger.workflow import STATUSES, WORKFLOWS
from tests.scenario import (
    COMPANY_ID,
    ENTRY,
    ISSUE,
    KEY,
    NOBODYS,
    OTHER_ENTRY,
    OTHER_RUN,
    RUN,
    SECOND,
    Caller,
    Scenario,
    alice,
    bob,
    coder,
    given,
    operator,
    reviewer,
)

DEFAULT = WORKFLOWS["default"]
WORKABLE = [s for s in STATUSES if s == "in_progress" or DEFAULT.allows(s, "in_progress")]


def at_work(*before: Command) -> Scenario:
    """An issue that agent:coder holds in RUN since the seventh event, seven minutes past."""
    return given(alice.creates(), *before, coder.checks_out())


def holding(scenario: Scenario) -> list[object]:
    """What there is of a lease on the issue."""
    issue = scenario.issue()
    parts = (
        issue.holder_agent_id,
        issue.holder_run_id,
        issue.held_since,
        issue.lease_seconds,
        issue.lease_expires_at,
        issue.fencing_token,
    )
    return [part for part in parts if part is not None]


HOLDER = {
    "agent_id": "coder",
    "run_id": RUN,
    "since": "2026-04-12T17:07:00.000000Z",
    "expires_at": "2026-04-12T17:22:00.000000Z",
    "fencing_token": 2,
}
CURRENT = {
    "id": ISSUE,
    "identifier": "ACM-1",
    "status": "in_progress",
    "version": 2,
    "assignee": "agent:coder",
    "holder": HOLDER,
    "paused_at": None,
    "allowed": {
        "statuses": list(DEFAULT.steps["in_progress"]),
        "verbs": ["submit", "fail", "hand_off", "cancel", "close"],
    },
}
"""How a refusal tells of the issue that `at_work` makes."""


def ended(exit_reason: str) -> e.RunEnded:
    """The end of agent:coder's run."""
    return e.RunEnded(issue_id=ISSUE, agent_id="coder", exit_reason=exit_reason, exit_details=None)


# ── checkout ───────────────────────────────────────────────────────────────────────────


def test_checking_out_takes_the_issue_and_begins_a_run() -> None:
    """Both happen in one decision, each in its own stream."""
    answer = given(alice.creates()).when(coder.checks_out())

    assert answer.streams == (("issue", ISSUE), ("run", RUN))
    after = answer.then(
        e.IssueCheckedOut(
            agent_id="coder",
            run_id=RUN,
            from_assignee=None,
            from_status="todo",
            to_status="in_progress",
            lease_seconds=900,
        ),
        e.RunStarted(issue_id=ISSUE, agent_id="coder"),
    )
    issue = after.issue()
    assert (issue.status, issue.assignee) == ("in_progress", "agent:coder")
    assert (issue.holder_agent_id, issue.holder_run_id) == ("coder", RUN)
    assert (after.run().agent_id, after.run().ended_at) == ("coder", None)


@pytest.mark.parametrize("status", WORKABLE)
def test_checking_out_from_every_status_that_leads_to_work(status: str) -> None:
    """From in_progress too, when nobody holds it."""
    taken = given(alice.creates(status=status)).when(coder.checks_out())

    assert taken.then_also(e.IssueCheckedOut).from_status == status


@pytest.mark.parametrize("status", [s for s in STATUSES if s not in WORKABLE])
def test_checking_out_from_a_status_that_does_not_lead_to_work(status: str) -> None:
    """What is closed must be reopened first; the refusal says how."""
    refusal = (
        given(alice.creates(status=status))
        .when(coder.checks_out())
        .then_refused(TransitionNotAllowed)
    )

    assert refusal.facts["allowed"] == list(DEFAULT.steps[status])
    assert refusal.facts["current"] == {
        "id": ISSUE,
        "identifier": "ACM-1",
        "status": status,
        "version": 1,
        "assignee": None,
        "holder": None,
        "paused_at": None,
        "allowed": {
            "statuses": list(DEFAULT.steps[status]),
            "verbs": DEFAULT.verbs_from(status),
        },
    }


def test_checking_out_with_the_expected_status() -> None:
    """Any of those that were named will do."""
    asked = coder.checks_out(expected_statuses=("backlog", "todo"))

    given(alice.creates()).when(asked).then_also(e.IssueCheckedOut)


def test_checking_out_when_the_status_is_not_the_expected_one() -> None:
    """The refusal says what was expected and how the issue stands."""
    scenario = given(alice.creates(status="blocked"))

    refusal = scenario.when(coder.checks_out(expected_statuses=("todo", "backlog"))).then_refused(
        StatusNotExpected
    )

    assert refusal.facts["expected"] == ["todo", "backlog"]
    assert refusal.facts["current"]["status"] == "blocked"


def test_checking_out_when_no_status_was_expected_is_refused() -> None:
    """An empty list is a list: nothing is in it."""
    given(alice.creates()).when(coder.checks_out(expected_statuses=())).then_refused(
        StatusNotExpected
    )


def test_an_unexpected_status_comes_before_an_unworkable_one() -> None:
    """What the caller expected is the first thing to be told."""
    scenario = given(alice.creates(status="closed"))

    scenario.when(coder.checks_out(expected_statuses=("todo",))).then_refused(StatusNotExpected)


def test_an_unworkable_status_comes_before_an_assignee() -> None:
    """Nobody may begin it, be it whose it will."""
    scenario = given(alice.creates(status="closed"), alice.assigns("agent:reviewer"))

    scenario.when(coder.checks_out()).then_refused(TransitionNotAllowed)


def test_an_agent_checks_out_what_is_assigned_to_it() -> None:
    """Being assigned is an invitation."""
    scenario = given(alice.creates(), alice.assigns("agent:coder"))

    taken = scenario.when(coder.checks_out()).then_also(e.IssueCheckedOut)

    assert taken.from_assignee == "agent:coder"


@pytest.mark.parametrize("assignee", ["agent:reviewer", "user:bob", "user:alice"])
def test_an_agent_does_not_check_out_what_is_assigned_elsewhere(assignee: str) -> None:
    """To another agent, or to a person."""
    scenario = given(alice.creates(), alice.assigns(assignee))

    refusal = scenario.when(coder.checks_out()).then_refused(AssignedElsewhere)

    assert refusal.facts["current"]["assignee"] == assignee
    assert refusal.facts["current"]["version"] == 2


def test_a_person_sends_an_agent_to_what_is_assigned_elsewhere() -> None:
    """People may; the issue becomes the agent's."""
    scenario = given(alice.creates(), alice.assigns("agent:reviewer"))

    taken = scenario.when(bob.checks_out(agent="coder")).then(
        e.IssueCheckedOut(
            agent_id="coder",
            run_id=RUN,
            from_assignee="agent:reviewer",
            from_status="todo",
            to_status="in_progress",
            lease_seconds=900,
        ),
        e.RunStarted(issue_id=ISSUE, agent_id="coder"),
    )

    assert taken.issue().assignee == "agent:coder"


@pytest.mark.parametrize("names_run", [True, False])
def test_checking_out_again_in_the_same_run_is_agreement(names_run: bool) -> None:
    """The same run holds it already; a caller who names no run means the one there is."""
    run = RUN if names_run else OTHER_RUN

    at_work().when(coder.checks_out(run=run, names_run=names_run)).then_nothing()


def test_agreement_does_not_ask_for_the_expected_status() -> None:
    """A retry of a checkout finds it in_progress: that is what it wanted."""
    at_work().when(coder.checks_out(expected_statuses=("todo",))).then_nothing()


def test_another_run_of_the_same_agent_is_refused() -> None:
    """One agent in two runs is two workers."""
    refusal = at_work().when(coder.checks_out(run=OTHER_RUN)).then_refused(IssueHeld)

    assert refusal.facts["current"] == CURRENT
    assert RUN in refusal.message


def test_another_agent_is_refused() -> None:
    """And is told who holds the issue, in which run, since when."""
    refusal = at_work().when(reviewer.checks_out(run=OTHER_RUN)).then_refused(IssueHeld)

    assert refusal.facts["current"] == CURRENT
    assert "coder" in refusal.message


def test_another_agent_is_refused_even_under_the_same_run_id() -> None:
    """A run is one agent's."""
    at_work().when(reviewer.checks_out(run=RUN)).then_refused(IssueHeld)


def test_a_person_does_not_send_an_agent_to_what_another_agent_holds() -> None:
    """It must be released or reassigned first, in so many words."""
    at_work().when(alice.checks_out(agent="reviewer", run=OTHER_RUN)).then_refused(IssueHeld)


def test_being_held_comes_before_the_expected_status() -> None:
    """The holder is what the caller must know of first."""
    asked = reviewer.checks_out(run=OTHER_RUN, expected_statuses=("todo",))

    at_work().when(asked).then_refused(IssueHeld)


def test_an_agent_checks_out_for_itself_alone() -> None:
    """Sending others is for people."""
    refusal = given(alice.creates()).when(coder.checks_out(agent="reviewer"))

    assert refusal.then_refused(Forbidden).pointer == "/agent_id"


def test_an_agent_may_call_itself_by_its_slug() -> None:
    """Its key says its id, the directory which id the slug is."""
    scenario = given(alice.lists("agent", "Carol"), alice.gives_key("agent:carol"), alice.creates())
    carol = Caller(coder.actor._replace(id=ENTRY), Role.AGENT)

    taken = scenario.when(carol.checks_out(agent="carol")).then_also(e.IssueCheckedOut)

    assert taken.agent_id == ENTRY


@pytest.mark.parametrize("agent", ["nobody", NOBODYS, "bob"])
def test_an_agent_who_is_not_there_checks_out_nothing(agent: str) -> None:
    """Neither an unknown one, nor a person of that name."""
    refusal = given(alice.creates()).when(alice.checks_out(agent=agent)).then_refused(NotFound)

    assert refusal.pointer == "/agent_id"


def test_checking_out_what_is_not_there() -> None:
    """Like anything else that is asked of it."""
    given().when(coder.checks_out("ACM-9")).then_refused(NotFound)


@pytest.mark.parametrize(
    "then", [[], [coder.releases()], [coder.moves("done")]], ids=["live", "released", "finished"]
)
def test_a_run_id_is_used_once(then: list[Command]) -> None:
    """Every attempt is a new run, at whichever issue, ended or not."""
    scenario = at_work(alice.creates(SECOND)).given(*then)

    refusal = scenario.when(coder.checks_out(SECOND)).then_refused(Taken)

    assert refusal.pointer == "/run_id"


@pytest.mark.parametrize("taken", [ISSUE, SECOND, ENTRY, KEY, COMPANY_ID])
def test_a_run_id_is_no_other_streams_id(taken: str) -> None:
    """Of all ids a run's alone comes from outside; two streams of one id would be one stream."""
    scenario = given(
        alice.creates(),
        alice.creates(SECOND),
        alice.lists("goal", "Moon"),
        alice.gives_key("agent:new"),
    )

    refusal = scenario.when(coder.checks_out(run=taken)).then_refused(Taken)

    assert refusal.pointer == "/run_id"


def test_an_issue_that_was_released_is_checked_out_anew_in_a_new_run() -> None:
    """By whoever comes first."""
    scenario = at_work().given(coder.releases())

    taken = scenario.when(reviewer.checks_out(run=OTHER_RUN)).then_also(e.IssueCheckedOut)

    assert taken.run_id == OTHER_RUN
    scenario.when(reviewer.checks_out(run=RUN)).then_refused(Taken)


# ── release ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("who", [coder, bob, operator], ids=["holder", "person", "system"])
def test_releasing_makes_an_issue_wait_for_anybody(who: Caller) -> None:
    """It is nobody's, to do again, and the run has ended."""
    released = (
        at_work()
        .when(who.releases(reason="Too hard."))
        .then(
            e.IssueReleased(
                agent_id="coder",
                run_id=RUN,
                from_assignee="agent:coder",
                to_assignee=None,
                from_status="in_progress",
                to_status="todo",
                reason="Too hard.",
            ),
            ended("released"),
        )
    )

    issue = released.issue()
    assert (issue.status, issue.assignee) == ("todo", None)
    assert holding(released) == []
    assert released.run().exit_reason == "released"


@pytest.mark.parametrize("status", ["in_review", "handoff"])
def test_releasing_from_review_leaves_it_in_review(status: str) -> None:
    """Only work in progress is put back."""
    scenario = at_work().given(coder.moves(status))

    released = scenario.when(coder.releases()).then_also(e.IssueReleased)

    assert (released.from_status, released.to_status) == (status, status)
    scenario.given(coder.releases())
    assert scenario.issue().holder_run_id is None


def test_releasing_twice_is_agreement() -> None:
    """The second one finds it as it wanted it."""
    at_work().given(coder.releases()).when(coder.releases()).then_nothing()


@pytest.mark.parametrize("who", [coder, reviewer, alice])
def test_releasing_what_nobody_holds_is_agreement(who: Caller) -> None:
    """Assigned or not: releasing is about holding."""
    scenario = given(alice.creates(), alice.assigns("agent:coder"))

    scenario.when(who.releases()).then_nothing()


def test_another_agent_does_not_release_it() -> None:
    """The refusal names the holder."""
    refusal = at_work().when(reviewer.releases()).then_refused(IssueHeld)

    assert refusal.facts["current"] == CURRENT


def test_releasing_what_is_not_there() -> None:
    """Like anything else that is asked of it."""
    given().when(coder.releases()).then_refused(NotFound)


# ── assign and unassign ────────────────────────────────────────────────────────────────


def test_assigning_gives_an_issue_to_somebody() -> None:
    """The event says from whom to whom."""
    scenario = given(alice.creates())

    assigned = scenario.when(alice.assigns("agent:coder")).then(
        e.IssueAssigned(from_assignee=None, to_assignee="agent:coder")
    )

    assigned.when(alice.assigns("user:bob")).then(
        e.IssueAssigned(from_assignee="agent:coder", to_assignee="user:bob")
    )
    assert (assigned.issue().assignee, assigned.issue().status) == ("user:bob", "todo")


@pytest.mark.parametrize("ref", ["carol", "Carol", ENTRY])
def test_assigning_to_an_entry_of_the_directory_keeps_its_id(ref: str) -> None:
    """And by another name it is the same one: agreement."""
    scenario = given(alice.creates(), alice.lists("user", "Carol"))

    assigned = scenario.when(alice.assigns(f"user:{ref}")).then(
        e.IssueAssigned(from_assignee=None, to_assignee=f"user:{ENTRY}")
    )

    assigned.when(alice.assigns("user:carol")).then_nothing()


@pytest.mark.parametrize("verb", ["assigns", "reassigns"])
@pytest.mark.parametrize("held", [False, True])
def test_giving_an_issue_to_whose_it_is_is_agreement(verb: str, held: bool) -> None:
    """Even in mid-run, even from another agent: nothing is taken from anybody."""
    scenario = at_work() if held else given(alice.creates(), alice.assigns("agent:coder"))

    scenario.when(getattr(reviewer, verb)("agent:coder")).then_nothing()


@pytest.mark.parametrize("verb", ["assigns", "reassigns"])
@pytest.mark.parametrize(
    ("assignee", "pointer"),
    [("agent:nobody", "/agent_id"), ("user:coder", "/user_id"), (f"user:{NOBODYS}", "/user_id")],
)
def test_giving_an_issue_to_nobody_known(verb: str, assignee: str, pointer: str) -> None:
    """The refusal points at the field."""
    asked = getattr(alice, verb)(assignee)

    assert given(alice.creates()).when(asked).then_refused(NotFound).pointer == pointer


@pytest.mark.parametrize("verb", ["assigns", "reassigns"])
def test_giving_an_issue_to_an_archived_entry(verb: str) -> None:
    """Who has no key and is off the lists gets no more work."""
    scenario = given(alice.creates(), alice.lists("agent", "Carol"), alice.archives("agent"))

    scenario.when(getattr(alice, verb)("agent:carol")).then_refused(NotFound)
    scenario.when(getattr(alice, verb)(f"agent:{ENTRY}")).then_refused(NotFound)


@pytest.mark.parametrize("verb", ["assigns", "reassigns"])
def test_giving_an_issue_to_the_system_is_invalid(verb: str) -> None:
    """Work is assigned to users and agents."""
    scenario = given(alice.creates(), alice.gives_key("system:cron"))

    scenario.when(getattr(alice, verb)("system:cron")).then_refused(Invalid)


@pytest.mark.parametrize("who", [coder, reviewer, alice])
def test_assigning_what_is_held_is_refused(who: Caller) -> None:
    """People too: who means it says reassign."""
    refusal = at_work().when(who.assigns("user:bob")).then_refused(IssueHeld)

    assert refusal.facts["current"] == CURRENT
    assert "reassign" in refusal.message


def test_unassigning_makes_an_issue_nobodys() -> None:
    """And doing it twice is agreement."""
    scenario = given(alice.creates(), alice.assigns("user:bob"))

    unassigned = scenario.when(alice.unassigns()).then(e.IssueUnassigned(from_assignee="user:bob"))

    assert unassigned.issue().assignee is None
    unassigned.when(alice.unassigns()).then_nothing()


def test_unassigning_what_is_held_is_refused() -> None:
    """It must be released first."""
    refusal = at_work().when(alice.unassigns()).then_refused(IssueHeld)

    assert refusal.facts["current"] == CURRENT


@pytest.mark.parametrize(
    "asked",
    [alice.assigns("user:bob"), alice.unassigns(), alice.reassigns("user:bob")],
    ids=lambda command: command.name,
)
def test_giving_what_is_not_there(asked: Command) -> None:
    """Like anything else that is asked of it."""
    given().when(asked).then_refused(NotFound)


# ── reassign ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("who", [coder, bob, operator], ids=["holder", "person", "system"])
def test_reassigning_in_mid_run_ends_the_run(who: Caller) -> None:
    """The issue waits again, for somebody else."""
    moved = (
        at_work()
        .when(who.reassigns("agent:reviewer", reason="Stuck."))
        .then(
            e.IssueReassigned(
                from_assignee="agent:coder",
                to_assignee="agent:reviewer",
                from_status="in_progress",
                to_status="todo",
                reason="Stuck.",
            ),
            ended("reassigned"),
        )
    )

    issue = moved.issue()
    assert (issue.status, issue.assignee) == ("todo", "agent:reviewer")
    assert holding(moved) == []
    assert moved.run().exit_reason == "reassigned"
    moved.when(reviewer.checks_out(run=OTHER_RUN)).then_also(e.IssueCheckedOut)


@pytest.mark.parametrize("status", [s for s in STATUSES if s != "in_progress"])
def test_reassigning_what_nobody_holds_keeps_its_status(status: str) -> None:
    """Only work in progress is put back; there is no run to end."""
    scenario = given(alice.creates(status=status), alice.assigns("user:bob"))

    moved = scenario.when(reviewer.reassigns("agent:coder")).then_only(e.IssueReassigned)

    assert (moved.from_status, moved.to_status) == (status, status)


@pytest.mark.parametrize("status", ["in_review", "handoff"])
def test_reassigning_a_held_issue_in_review_ends_the_run_alone(status: str) -> None:
    """It stays in review, with nobody at it."""
    scenario = at_work().given(coder.moves(status))

    moved = scenario.when(alice.reassigns("agent:reviewer")).then(
        e.IssueReassigned(
            from_assignee="agent:coder",
            to_assignee="agent:reviewer",
            from_status=status,
            to_status=status,
            reason=None,
        ),
        ended("reassigned"),
    )

    assert moved.issue().holder_run_id is None


def test_another_agent_does_not_reassign_what_is_held() -> None:
    """Not even to itself."""
    refusal = at_work().when(reviewer.reassigns("agent:reviewer")).then_refused(IssueHeld)

    assert refusal.facts["current"] == CURRENT


# ── what stays true ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "asked",
    [
        coder.releases(),
        coder.moves("done"),
        coder.moves("blocked"),
        coder.submits(),
        coder.fails(),
        coder.hands_off(),
        coder.cancels(),
        coder.closes(),
        coder.finishes(),
        coder.gives_up(),
        coder.gives_up(retry=False),
        alice.links("blocked_by"),
        alice.links("blocks", ISSUE, SECOND),
        alice.reassigns("user:bob"),
        alice.deletes(),
    ],
    ids=lambda command: command.name,
)
def test_a_run_ends_exactly_when_its_issue_is_held_no_longer(asked: Command) -> None:
    """In the same decision: there is no run without an issue, nor a hold without a run."""
    scenario = at_work(alice.creates(SECOND)).given(asked)

    assert holding(scenario) == []
    assert scenario.run().ended_at == scenario.recorded[-1].at
    assert scenario.issue().paused_run_id is None


@pytest.mark.parametrize(
    "asked",
    [alice.expires(), reviewer.checks_out(run=OTHER_RUN), reviewer.claims_next(run=OTHER_RUN)],
    ids=lambda command: command.name,
)
def test_a_run_that_let_its_time_pass_ends_when_somebody_says_so(asked: Command) -> None:
    """And not before: running out of time takes an issue from nobody."""
    scenario = at_work().later(days=1)
    assert (scenario.issue().holder_run_id, scenario.run().ended_at) == (RUN, None)

    scenario.given(asked)

    assert scenario.issue().holder_run_id != RUN
    assert scenario.run().exit_reason == "expired"


@pytest.mark.parametrize(
    ("budget", "asked"),
    [(None, alice.pauses()), (None, coder.pauses()), (7, coder.reports(cost_micros=7))],
    ids=["by a person", "by its agent", "by its budget"],
)
def test_a_run_that_is_paused_holds_nothing_and_waits_at_its_issue(
    budget: int | None, asked: Command
) -> None:
    """It has not ended: whose agent takes the issue again goes on in it."""
    scenario = given(alice.creates(per_task_micros=budget), coder.checks_out(), asked)

    assert holding(scenario) == []
    assert (scenario.run().ended_at, scenario.run().paused_at is None) == (None, False)
    assert scenario.issue().paused_run_id == RUN


@pytest.mark.parametrize(
    "asked",
    [
        coder.edits(title="Other"),
        coder.comments(),
        coder.reports(),
        coder.progresses(),
        coder.checkpoints(),
        coder.retains(),
        coder.renews(),
        coder.moves("in_review"),
        alice.pauses_agent("coder"),
        alice.labels(ENTRY),
        alice.links("relates_to"),
        alice.links("blocks"),
    ],
    ids=lambda command: command.name,
)
def test_other_commands_leave_the_holder_at_work(asked: Any) -> None:
    """Writing about an issue takes it from nobody."""
    scenario = given(
        alice.lists("label", "bug"),
        alice.lists("agent", "coder", OTHER_ENTRY),
        alice.creates(),
        alice.creates(SECOND),
        coder.checks_out(),
    ).given(asked)

    assert scenario.issue().holder_run_id == RUN
    assert scenario.run().ended_at is None


def test_another_agent_does_not_delete_what_is_held() -> None:
    """Nobody but its holder, or a person, takes a held issue from a run; whatever the role."""
    at_work().when(reviewer.as_role(Role.EDITOR).deletes()).then_refused(IssueHeld)
