"""How an issue goes from status to status, in every workflow that a company may choose.

What is expected stands in `workflows.py`, written from the platforms' documents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ledger import commands as c
from ledger import events as e
from ledger.commands import Command
from ledger.errors import (
    Forbidden,
    Invalid,
    IssueFrozen,
    IssueHeld,
    IssuePaused,
    NotHeld,
    TeamWithoutLead,
    TransitionNotAllowed,
)
from ledger.state import Issue
from ledger.workflow import WORKFLOWS
from tests.scenario import (
    ENTRY,
    ISSUE,
    OTHER_RUN,
    RUN,
    START,
    Answer,
    Caller,
    alice,
    bob,
    change,
    coder,
    given,
    operator,
    reviewer,
)
from tests.workflows import EVERY_STATUS, OVER, STATUSES, TOLD, an_issue, brought_to, company_of

VERBS: Mapping[str, tuple[Callable[[Caller], Command], type[e.IssueMoved]]] = {
    "submit": (Caller.submits, e.IssueSubmitted),
    "accept": (Caller.accepts, e.IssueAccepted),
    "reject": (Caller.rejects, e.IssueRejected),
    "fail": (Caller.fails, e.IssueFailed),
    "hand_off": (Caller.hands_off, e.IssueHandedOff),
    "take_over": (Caller.takes_over, e.IssueTakenOver),
    "cancel": (Caller.cancels, e.IssueCancelled),
    "close": (Caller.closes, e.IssueClosed),
    "reopen": (Caller.reopens, e.IssueReopened),
}
"""What people say happened, and the event that tells of it."""


def _names_the_ways(answer: Answer, workflow: str, status: str) -> None:
    """A refused step says how the issue stands, and every step that there is from there."""
    refusal = answer.then_refused(TransitionNotAllowed)
    told = TOLD[workflow]
    current = refusal.facts["current"]
    assert (current["status"], current["id"]) == (status, ISSUE)
    assert sorted(refusal.facts["allowed"]) == sorted(told.steps[status])
    assert sorted(current["allowed"]["statuses"]) == sorted(told.steps[status])
    assert sorted(current["allowed"]["verbs"]) == told.verbs_from(status)
    for way in (*told.steps[status], *told.verbs_from(status)):
        assert way in refusal.message


# ── the tables ─────────────────────────────────────────────────────────────────────────


def test_there_are_these_workflows_and_no_others() -> None:
    """The default, and one for each platform."""
    assert sorted(WORKFLOWS) == sorted(TOLD)


@pytest.mark.parametrize("workflow", TOLD)
def test_a_new_issue_begins_where_its_workflow_begins(workflow: str) -> None:
    """In the backlog, or ready to be worked on; nobody has begun, and nothing is over."""
    issue = company_of(workflow, alice.creates()).issue()

    assert issue.status == TOLD[workflow].initial
    assert (issue.started_at, issue.completed_at) == (None, None)


@pytest.mark.parametrize(
    ("workflow", "status"),
    [(name, s) for name, told in TOLD.items() for s in STATUSES if s not in told.beginnings],
)
def test_no_issue_begins_where_naming_a_status_does_not_lead(workflow: str, status: str) -> None:
    """Not in progress where only a checkout leads there; the refusal names those that may be."""
    refusal = company_of(workflow).when(alice.creates(status=status)).then_refused(Invalid)

    assert refusal.pointer == "/status"
    assert refusal.message.endswith(f"choose one of {', '.join(TOLD[workflow].beginnings)}.")


@pytest.mark.parametrize(
    ("workflow", "status"),
    [(name, s) for name, told in TOLD.items() for s in told.beginnings],
)
def test_an_issue_begins_where_naming_a_status_leads(workflow: str, status: str) -> None:
    """Whoever writes down what is done already says so at once."""
    assert company_of(workflow, alice.creates(status=status)).issue().status == status


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(("workflow", "status"), EVERY_STATUS)
def test_a_verb_moves_an_issue_as_the_table_says(workflow: str, status: str, verb: str) -> None:
    """Every verb, every status, every workflow: moved, agreed to, or refused with the ways."""
    says, event = VERBS[verb]
    told = TOLD[workflow]

    answer = an_issue(workflow, status).when(says(alice))

    if to_status := told.moves(verb).get(status):
        moved = answer.then_only(event)
        assert (moved.from_status, moved.to_status) == (status, to_status)
        assert answer.scenario.given(answer.command).issue().status == to_status
    elif status in OVER and told.leads_to(verb) == status:
        answer.then_nothing()  # It ended like that already.
    else:
        _names_the_ways(answer, workflow, status)


@pytest.mark.parametrize("to_status", STATUSES)
@pytest.mark.parametrize(("workflow", "status"), EVERY_STATUS)
def test_naming_a_status_moves_an_issue_as_the_table_says(
    workflow: str, status: str, to_status: str
) -> None:
    """Every status to every status, in every workflow."""
    answer = an_issue(workflow, status).when(alice.moves(to_status, reason="Because."))

    if to_status == status:
        answer.then_nothing()
    elif to_status in TOLD[workflow].steps[status]:
        moved = e.IssueTransitioned(from_status=status, to_status=to_status, reason="Because.")
        assert answer.then(moved).issue().status == to_status
    else:
        _names_the_ways(answer, workflow, status)


@pytest.mark.parametrize(("workflow", "status"), EVERY_STATUS)
def test_a_checkout_begins_as_the_table_says(workflow: str, status: str) -> None:
    """From every status, in every workflow; an agent that may begin is in progress."""
    answer = an_issue(workflow, status).when(coder.checks_out())

    if status in TOLD[workflow].begins_from.split():
        taken = answer.then_also(e.IssueCheckedOut)
        assert (taken.from_status, taken.to_status) == (status, "in_progress")
    else:
        _names_the_allowed_statuses(answer, workflow, status)


def _names_the_allowed_statuses(answer: Answer, workflow: str, status: str) -> None:
    refusal = answer.then_refused(TransitionNotAllowed)
    assert sorted(refusal.facts["allowed"]) == sorted(TOLD[workflow].steps[status])
    assert refusal.facts["current"]["status"] == status


@pytest.mark.parametrize("workflow", TOLD)
def test_a_finished_run_leaves_its_issue_where_the_table_says(workflow: str) -> None:
    """Done, or before a reviewer."""
    scenario = company_of(workflow, alice.creates(), coder.checks_out(), coder.finishes())

    assert scenario.issue().status == TOLD[workflow].finished_run
    assert scenario.run().exit_reason == "finished"


# ── what the platforms say of themselves ───────────────────────────────────────────────


@pytest.mark.parametrize("workflow", ["crews", "aimetier"])
def test_the_default_workflow_has_every_step_of_the_stricter_ones(workflow: str) -> None:
    """A company that comes from one of them need not learn its steps anew."""
    for status, after in TOLD[workflow].steps.items():
        for to_status in after:
            given(alice.creates(status=status)).when(alice.moves(to_status)).then_only(
                e.IssueTransitioned
            )


@pytest.mark.parametrize(
    "asked",
    [
        *(alice.moves(status) for status in STATUSES if status != "closed"),
        *(says(alice) for verb, (says, _) in VERBS.items() if verb != "close"),
        coder.checks_out(),
        alice.pauses(),
    ],
)
def test_exolvras_close_is_final(asked: Command) -> None:
    """Nothing leads out of it, and closing again is agreement."""
    scenario = an_issue("exolvra", "closed")

    assert scenario.when(asked).then_refused(TransitionNotAllowed).facts["allowed"] == []
    scenario.when(alice.closes()).then_nothing()


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_makes_no_step_that_crews_table_has_not(verb: str) -> None:
    """Its table is exact, however a step is asked for."""
    for status in TOLD["crews"].statuses:
        answer = an_issue("crews", status).when(VERBS[verb][0](alice))
        if isinstance(answer.decision, TransitionNotAllowed):
            continue
        for moved in answer.events:
            assert isinstance(moved, e.IssueMoved)
            assert moved.to_status in TOLD["crews"].steps[status]


@pytest.mark.parametrize(
    ("held", "stopped"),
    [
        (coder.checks_out(), coder.releases()),
        (coder.checks_out(), alice.pauses()),
        (coder.checks_out(), alice.reassigns("user:bob")),
        (coder.checks_out(), coder.gives_up()),
    ],
)
def test_what_takes_work_away_makes_a_step_of_crews_table(held: Command, stopped: Command) -> None:
    """From in progress back to the others that wait."""
    scenario = company_of("crews", alice.creates(), held)
    assert scenario.issue().status == "in_progress"

    assert scenario.given(stopped).issue().status == "todo"
    assert "todo" in TOLD["crews"].steps["in_progress"]


@pytest.mark.parametrize("status", ["backlog", "todo", "blocked", "in_review"])
@pytest.mark.parametrize("who", [alice, bob, coder, operator])
def test_aimetiers_work_begins_by_checkout_alone(status: str, who: Caller) -> None:
    """Nobody calls an issue in progress; somebody takes it, and is its single assignee."""
    scenario = an_issue("aimetier", status)

    _names_the_ways(scenario.when(who.moves("in_progress")), "aimetier", status)
    taken = scenario.given(coder.checks_out()).issue()
    assert (taken.status, taken.assignee) == ("in_progress", "agent:coder")


@pytest.mark.parametrize("workflow", ["aimetier", "ca"])
def test_where_work_begins_by_checkout_alone_a_resumed_issue_waits_for_it(workflow: str) -> None:
    """And then the same run goes on."""
    scenario = company_of(workflow, alice.creates(), coder.checks_out(), alice.pauses())

    after = scenario.when(alice.resumes()).then(
        e.IssueResumed(from_status="todo", to_status="todo", reason=None)
    )

    taken = after.when(coder.checks_out(expected_statuses=("todo",)))
    taken.then_also(e.RunResumed)
    assert taken.then_also(e.IssueCheckedOut).to_status == "in_progress"


def test_releasing_an_aimetier_issue_makes_it_nobodys() -> None:
    """From in progress to todo, and the assignee is cleared."""
    scenario = company_of("aimetier", alice.creates(), coder.checks_out(), coder.releases())

    assert (scenario.issue().status, scenario.issue().assignee) == ("todo", None)


@pytest.mark.parametrize("status", ["done", "cancelled"])
@pytest.mark.parametrize(
    "asked",
    [
        *(alice.moves(status) for status in STATUSES if status not in ("done", "cancelled")),
        *(says(alice) for verb, (says, _) in VERBS.items() if verb not in ("accept", "cancel")),
        coder.checks_out(),
        alice.checks_out(agent="coder"),
        alice.pauses(),
    ],
)
def test_nothing_leads_out_of_aimetiers_terminal_states(status: str, asked: Command) -> None:
    """Not even for people."""
    answer = an_issue("aimetier", status).when(asked)

    assert answer.then_refused(TransitionNotAllowed).facts["allowed"] == []


FIELDS: Mapping[str, Callable[[Caller], Command]] = {
    "an edit": lambda who: who.edits(title="Another title"),
    "a label": lambda who: who.labels("urgent"),
    "a label taken off": lambda who: who.unlabels("urgent"),
    "an assignment": lambda who: who.assigns("user:bob"),
    "an unassignment": lambda who: who.unassigns(),
    "a reassignment": lambda who: who.reassigns("user:bob"),
    "a budget": lambda who: who.budgets(5),
}


@pytest.mark.parametrize("asks", FIELDS.values(), ids=FIELDS)
@pytest.mark.parametrize("status", ["done", "failed", "cancelled"])
def test_cas_terminal_states_are_frozen(status: str, asks: Callable[[Caller], Command]) -> None:
    """For whoever asks; what was said of them can still be talked about."""
    scenario = company_of("ca", alice.lists("label", "urgent"), alice.creates())
    scenario.given(alice.assigns("user:alice"))
    brought_to(scenario, status)

    for who in (alice, bob, coder):
        refusal = scenario.when(asks(who)).then_refused(IssueFrozen)
        assert refusal.facts["current"]["status"] == status
    scenario.when(bob.comments()).then_only(e.IssueCommented)


@pytest.mark.parametrize("asks", FIELDS.values(), ids=FIELDS)
@pytest.mark.parametrize(
    ("workflow", "status"),
    [
        pair
        for pair in EVERY_STATUS
        if pair not in (("ca", "done"), ("ca", "failed"), ("ca", "cancelled"))
    ],
)
def test_nothing_else_is_frozen(
    workflow: str, status: str, asks: Callable[[Caller], Command]
) -> None:
    """Elsewhere an issue that is over can still be put right."""
    scenario = company_of(workflow, alice.lists("label", "urgent"), alice.creates())
    scenario.given(alice.assigns("user:alice"))
    brought_to(scenario, status)

    answer = scenario.when(asks(alice))

    assert len(answer.events) == (0 if isinstance(answer.command, c.UnlabelIssue) else 1)


def test_crews_gives_no_issue_to_a_team_without_a_lead() -> None:
    """Neither a new one nor one that is there; the refusal points at the team."""
    scenario = company_of("crews", alice.lists("team", "Engineering"), alice.creates())

    created = scenario.when(alice.creates(OTHER_RUN, team="engineering"))
    edited = scenario.when(alice.edits(team_id="engineering"))

    for answer in (created, edited):
        assert answer.then_refused(TeamWithoutLead).pointer == "/team_id"


def test_crews_gives_issues_to_a_team_that_has_a_lead() -> None:
    """From the moment that it has one, until it has none."""
    scenario = company_of("crews", alice.lists("team", "Engineering"), alice.creates())

    scenario.given(alice.changes("team", lead_agent_id="coder"))
    scenario.when(alice.creates(OTHER_RUN, team="engineering")).then_only(e.IssueCreated)
    scenario.when(alice.edits(team_id="engineering")).then(
        e.IssueEdited(changes={"team_id": change(None, ENTRY)})
    )
    scenario.given(alice.changes("team", lead_agent_id=None))
    scenario.when(alice.creates(OTHER_RUN, team="engineering")).then_refused(TeamWithoutLead)


@pytest.mark.parametrize("workflow", sorted(TOLD.keys() - {"crews"}))
def test_elsewhere_a_team_needs_no_lead(workflow: str) -> None:
    """That is crews' rule alone."""
    scenario = company_of(workflow, alice.lists("team", "Engineering"))

    assert scenario.when(alice.creates(team="engineering")).then_only(e.IssueCreated)


# ── what a verb does beside the status ─────────────────────────────────────────────────


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "take_over"])
def test_a_verb_says_why(verb: str) -> None:
    """The reason is in the event, for those who read it later."""
    says, event = VERBS[verb]
    (status, *_) = TOLD["default"].moves(verb)
    asked = says(alice)
    assert isinstance(asked, c.MoveIssue)

    told = alice(type(asked), issue=ISSUE, reason="It rained.")

    assert an_issue("default", status).when(told).then_only(event).reason == "It rained."


@pytest.mark.parametrize("verb", ["submit", "fail", "hand_off", "cancel", "close"])
@pytest.mark.parametrize("who", [coder, bob], ids=["holder", "person"])
def test_a_verb_ends_the_lease_and_the_run(verb: str, who: Caller) -> None:
    """In one decision: the run ends for the reason that the event says."""
    says, event = VERBS[verb]
    scenario = given(alice.creates(), coder.checks_out())

    answer = scenario.when(says(who))

    assert [type(one) for one in answer.events] == [event, e.RunEnded]
    assert answer.streams == (("issue", ISSUE), ("run", RUN))
    after = scenario.given(answer.command)
    assert _holder(after.issue()) == (None, None, None, None)
    assert after.run().ended_at is not None
    assert after.run().exit_reason == event.type.removeprefix("issue.")


def _holder(issue: Issue) -> tuple[Any, ...]:
    return (issue.holder_agent_id, issue.holder_run_id, issue.fencing_token, issue.lease_expires_at)


@pytest.mark.parametrize("verb", ["submit", "fail", "hand_off", "cancel", "close"])
def test_a_rival_agent_says_nothing_about_what_another_one_holds(verb: str) -> None:
    """The refusal names the holder."""
    scenario = given(alice.creates(), coder.checks_out())

    refusal = scenario.when(VERBS[verb][0](reviewer)).then_refused(IssueHeld)

    assert refusal.facts["current"]["holder"]["agent_id"] == "coder"


@pytest.mark.parametrize("verb", ["accept", "reject"])
def test_any_agent_reviews_what_another_one_still_holds(verb: str) -> None:
    """A reviewer is somebody else; the run that held it on is over."""
    scenario = given(alice.creates(), coder.checks_out(), coder.moves("in_review"))
    assert scenario.issue().holder_agent_id == "coder"

    answer = scenario.when(VERBS[verb][0](reviewer))

    answer.then_also(VERBS[verb][1])
    assert answer.then_also(e.RunEnded).exit_reason == f"{verb}ed"


@pytest.mark.parametrize("status", ["in_progress", "in_review", "handoff"])
def test_naming_a_status_of_work_leaves_the_run_at_work(status: str) -> None:
    """Unlike a verb, which says that the attempt is over."""
    scenario = given(alice.creates(), coder.checks_out())

    scenario.given(coder.moves(status))

    assert scenario.issue().holder_run_id == RUN
    assert scenario.run().ended_at is None


# ── taking over ────────────────────────────────────────────────────────────────────────


def test_taking_over_makes_the_issue_the_persons() -> None:
    """It is in progress, in the hands of whoever took it."""
    scenario = given(alice.creates(), coder.checks_out(), coder.hands_off())
    assert (scenario.issue().status, scenario.issue().assignee) == ("handoff", "agent:coder")

    after = scenario.when(bob.takes_over()).then(
        e.IssueTakenOver(
            from_status="handoff",
            to_status="in_progress",
            reason=None,
            from_assignee="agent:coder",
            to_assignee="user:bob",
        )
    )

    assert (after.issue().status, after.issue().assignee) == ("in_progress", "user:bob")
    assert _holder(after.issue()) == (None, None, None, None)


@pytest.mark.parametrize("who", [coder, reviewer, operator], ids=["former", "another", "system"])
def test_people_alone_take_over(who: Caller) -> None:
    """What was handed off waits for a person; agents check out."""
    scenario = given(alice.creates(), coder.checks_out(), coder.hands_off())

    scenario.when(who.takes_over()).then_refused(Forbidden)


def test_taking_over_from_a_run_that_holds_on_ends_it() -> None:
    """A transition to handoff kept the hold; the person ends it."""
    scenario = given(alice.creates(), coder.checks_out(), coder.moves("handoff"))
    assert scenario.issue().holder_run_id == RUN

    answer = scenario.when(bob.takes_over())

    assert answer.then_also(e.RunEnded).exit_reason == "taken_over"


# ── pausing and resuming ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("workflow", "status"), EVERY_STATUS)
def test_pausing_stops_what_is_not_over(workflow: str, status: str) -> None:
    """In every status of every workflow: what was in progress waits, anything else stays."""
    answer = an_issue(workflow, status).when(bob.pauses(reason="Wait."))

    if status in OVER:
        _names_the_ways(answer, workflow, status)
        return
    waits = "todo" if status == "in_progress" else status
    after = answer.then(e.IssuePaused(from_status=status, to_status=waits, reason="Wait."))
    assert (after.issue().status, after.issue().paused_at) == (waits, after.known.now)


@pytest.mark.parametrize("workflow", TOLD)
def test_pausing_in_mid_run_pauses_the_run_and_ends_the_lease(workflow: str) -> None:
    """The run has not ended: it may go on."""
    scenario = company_of(workflow, alice.creates(), coder.checks_out())

    after = scenario.when(alice.pauses()).then(
        e.IssuePaused(from_status="in_progress", to_status="todo", reason=None),
        e.RunPaused(issue_id=ISSUE, agent_id="coder", reason="paused"),
    )

    assert _holder(after.issue()) == (None, None, None, None)
    assert after.issue().paused_run_id == RUN
    assert (after.run().paused_at, after.run().ended_at) == (after.known.now, None)


@pytest.mark.parametrize("who", [coder, alice, bob, operator])
def test_its_holder_and_people_pause_work(who: Caller) -> None:
    """Everybody who may step in."""
    scenario = given(alice.creates(), coder.checks_out())

    scenario.when(who.pauses()).then_also(e.RunPaused)


def test_a_rival_agent_does_not_pause_what_another_one_holds() -> None:
    """The refusal names the holder."""
    given(alice.creates(), coder.checks_out()).when(reviewer.pauses()).then_refused(IssueHeld)


def test_an_agent_does_not_pause_what_nobody_holds() -> None:
    """It pauses its own work alone."""
    given(alice.creates()).when(coder.pauses()).then_refused(NotHeld)


def test_pausing_twice_is_agreement() -> None:
    """For whoever asks, and in whichever status."""
    scenario = given(alice.creates(), coder.checks_out(), alice.pauses())

    for who in (alice, coder, reviewer):
        scenario.when(who.pauses()).then_nothing()


@pytest.mark.parametrize("asked", [coder.checks_out(), alice.checks_out(agent="coder")])
def test_nobody_takes_what_is_paused(asked: Command) -> None:
    """Not even the run that was paused, until a person resumes it."""
    scenario = given(alice.creates(), coder.checks_out(), alice.pauses())

    scenario.when(asked).then_refused(IssuePaused)


@pytest.mark.parametrize("workflow", ["default", "exolvra", "crews", "nxr"])
def test_resuming_lets_the_run_go_on(workflow: str) -> None:
    """The issue is in progress again, and its agent takes it up in the same run."""
    scenario = company_of(workflow, alice.creates(), coder.checks_out(), alice.pauses())

    scenario.when(alice.resumes()).then(
        e.IssueResumed(from_status="todo", to_status="in_progress", reason=None)
    )
    assert (scenario.issue().paused_at, scenario.issue().paused_run_id) == (None, RUN)

    scenario.given(coder.checks_out(run=OTHER_RUN, names_run=False))
    assert scenario.issue().holder_run_id == RUN
    assert (scenario.run().paused_at, scenario.run().ended_at) == (None, None)
    assert (scenario.issue().run_count, scenario.issue().paused_run_id) == (1, None)


@pytest.mark.parametrize("status", ["backlog", "todo", "blocked", "in_review", "handoff"])
def test_resuming_what_nobody_worked_on_leaves_it_as_it_was(status: str) -> None:
    """There is no run that could go on."""
    scenario = given(alice.creates(status=status), alice.pauses())

    after = scenario.when(bob.resumes()).then(
        e.IssueResumed(from_status=status, to_status=status, reason=None)
    )

    assert (after.issue().status, after.issue().paused_at) == (status, None)


def test_resuming_what_was_moved_meanwhile_leaves_it_there() -> None:
    """Somebody put it back into the backlog: there it stays, and the run still may go on."""
    scenario = given(alice.creates(), coder.checks_out(), alice.pauses(), alice.moves("backlog"))

    assert scenario.given(alice.resumes()).issue().status == "backlog"
    scenario.when(coder.checks_out(names_run=False)).then_also(e.RunResumed)


@pytest.mark.parametrize("who", [alice, bob, operator])
def test_people_resume(who: Caller) -> None:
    """Whoever of them; resuming what is not paused is agreement."""
    scenario = given(alice.creates(), alice.pauses())

    scenario.when(who.resumes()).then_only(e.IssueResumed)
    scenario.given(alice.resumes()).when(who.resumes()).then_nothing()


@pytest.mark.parametrize("who", [coder, reviewer])
def test_agents_do_not_resume(who: Caller) -> None:
    """Not even the one that paused its own work: it asked for a person."""
    scenario = given(alice.creates(), coder.checks_out(), coder.pauses())

    scenario.when(who.resumes()).then_refused(Forbidden)


FINISHES: Mapping[str, tuple[str, Command]] = {
    **{f"moved to {status}": ("in_progress", alice.moves(status)) for status in OVER},
    "accepted": ("in_review", reviewer.accepts()),
    "failed": ("in_progress", alice.fails()),
    "cancelled": ("in_progress", bob.cancels()),
    "closed": ("in_progress", bob.closes()),
    "deleted": ("in_progress", alice.deletes()),
}


@pytest.mark.parametrize(("status", "ends"), FINISHES.values(), ids=FINISHES)
def test_finishing_clears_a_pause_and_ends_the_paused_run(status: str, ends: Command) -> None:
    """What is over waits for nobody, and reopened it is not paused."""
    scenario = given(alice.creates(), coder.checks_out(), coder.moves(status), alice.pauses())
    assert scenario.issue().paused_run_id == RUN

    scenario.given(ends)

    assert (scenario.issue().paused_at, scenario.issue().paused_run_id) == (None, None)
    assert (scenario.run().paused_at is None, scenario.run().ended_at is None) == (True, False)


def test_finishing_clears_the_pause_of_what_nobody_worked_on() -> None:
    """There is no run to end."""
    scenario = given(alice.creates(), alice.pauses())

    scenario.when(alice.cancels()).then_only(e.IssueCancelled)

    assert scenario.given(alice.cancels(), alice.reopens()).issue().paused_at is None


@pytest.mark.parametrize("verb", ["reject", "hand_off"])
def test_a_verb_ends_the_paused_run_for_good(verb: str) -> None:
    """Said about an issue whose run is paused: the next checkout is a new attempt."""
    scenario = given(alice.creates(), coder.checks_out(), coder.moves("in_review"), alice.pauses())

    scenario.given(VERBS[verb][0](alice), alice.resumes())

    assert scenario.run().ended_at is not None
    assert scenario.issue().paused_run_id is None
    scenario.when(coder.checks_out(run=OTHER_RUN, names_run=False)).then_also(e.RunStarted)


# ── the clocks ─────────────────────────────────────────────────────────────────────────

BEGINNINGS: Mapping[str, tuple[str, Command]] = {
    "a checkout": ("todo", coder.checks_out()),
    "a claim": ("todo", coder.claims_next()),
    "a transition": ("todo", alice.moves("in_progress")),
    "a takeover": ("handoff", bob.takes_over()),
}


@pytest.mark.parametrize(("status", "begins"), BEGINNINGS.values(), ids=BEGINNINGS)
def test_the_clock_of_work_starts_when_work_first_begins(status: str, begins: Command) -> None:
    """However it begins."""
    scenario = an_issue("default", status)
    assert scenario.issue().started_at is None
    began = len(scenario.recorded)

    scenario.later(hours=1).given(begins)

    assert scenario.issue().started_at == scenario.recorded[began].recorded_at


def test_the_clock_of_work_starts_once() -> None:
    """However often work begins again, and though the issue was over in between."""
    scenario = given(alice.creates(), coder.checks_out())
    started_at = scenario.issue().started_at
    assert started_at is not None
    assert started_at > START

    scenario.given(coder.releases(), coder.checks_out(run=OTHER_RUN), coder.moves("done"))
    scenario.given(alice.reopens(), alice.moves("in_progress"))

    assert scenario.issue().started_at == started_at


@pytest.mark.parametrize("status", ["backlog", "blocked", "in_review", "handoff", "done"])
def test_the_clock_of_work_does_not_start_without_work(status: str) -> None:
    """What never was in progress never was begun."""
    assert an_issue("default", status).issue().started_at is None


ENDS: Mapping[str, tuple[str, Command]] = {
    **{f"moved to {status}": ("in_progress", alice.moves(status)) for status in OVER},
    "accepted": ("in_review", alice.accepts()),
    "failed": ("in_progress", alice.fails()),
    "cancelled": ("todo", alice.cancels()),
    "closed": ("todo", alice.closes()),
}


@pytest.mark.parametrize(("status", "ends"), ENDS.values(), ids=ENDS)
def test_an_issue_is_completed_when_it_is_finished(status: str, ends: Command) -> None:
    """Whichever way; and not before."""
    scenario = an_issue("default", status)
    assert scenario.issue().completed_at is None
    ended = len(scenario.recorded)

    scenario.later(hours=1).given(ends)

    assert scenario.issue().completed_at == scenario.recorded[ended].recorded_at


@pytest.mark.parametrize("ends", [coder.finishes(), coder.gives_up(retry=False)])
def test_an_issue_is_completed_by_its_run(ends: Command) -> None:
    """Finished, or failed with it."""
    scenario = given(alice.creates(), coder.checks_out(), ends)

    assert scenario.issue().status in OVER
    assert scenario.issue().completed_at is not None


def test_an_issue_stays_completed_since_it_was_finished() -> None:
    """From one end to another the time stays."""
    scenario = given(alice.creates(), alice.fails())
    completed_at = scenario.issue().completed_at
    assert completed_at is not None

    scenario.given(alice.moves("cancelled"))
    assert scenario.issue().completed_at == completed_at
    scenario.given(alice.closes())
    assert scenario.issue().completed_at == completed_at


REOPENS: Mapping[str, tuple[str, Command]] = {
    **{f"reopened from {status}": (status, alice.reopens()) for status in OVER},
    **{f"moved from {status}": (status, alice.moves("todo")) for status in OVER},
    "checked out": ("done", coder.checks_out()),
}


@pytest.mark.parametrize(("status", "reopens"), REOPENS.values(), ids=REOPENS)
def test_an_issue_that_is_taken_up_again_is_not_completed(status: str, reopens: Command) -> None:
    """Until it is finished anew, at another time."""
    scenario = an_issue("default", status)
    first = scenario.issue().completed_at
    assert first is not None

    scenario.given(reopens)
    assert scenario.issue().completed_at is None

    scenario.given(alice.moves("closed"))
    second = scenario.issue().completed_at
    assert second is not None
    assert second > first


@pytest.mark.parametrize(
    ("status", "started", "completed"),
    [("in_progress", True, False), ("done", False, True), ("todo", False, False)],
)
def test_the_clocks_of_an_issue_that_begins_elsewhere(
    status: str, started: bool, completed: bool
) -> None:
    """Written down as what it is already: the time is that of its writing."""
    issue = given(alice.creates(status=status)).issue()

    assert issue.started_at == (issue.created_at if started else None)
    assert issue.completed_at == (issue.created_at if completed else None)


def test_an_agent_does_not_accept_its_own_work() -> None:
    """Somebody else does, or a person; rejecting it is only honest."""
    scenario = given(alice.creates(), coder.checks_out(), coder.submits())

    scenario.when(coder.accepts()).then_refused(Forbidden)
    scenario.when(reviewer.accepts()).then_also(e.IssueAccepted)
    scenario.when(alice.accepts()).then_also(e.IssueAccepted)
    scenario.when(coder.rejects()).then_also(e.IssueRejected)
