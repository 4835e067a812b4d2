"""Attempts: each run is one try at an issue, what it says while it lasts, and how it ends.

What a run costs, and who may act in one, is in `test_deciding_runs.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from ledger import commands as c
from ledger import events as e
from ledger.errors import (
    AssignedElsewhere,
    Forbidden,
    LedgerError,
    NotFound,
    RunOver,
    Taken,
    TransitionNotAllowed,
)
from ledger.workflow import STATUSES, WORKFLOWS
from tests.samples import SAMPLES
from tests.scenario import (
    ISSUE,
    NOBODYS,
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

DEFAULT = WORKFLOWS["default"]
URL = "https://example.com/w"


def at_work(workflow: str = "default") -> Scenario:
    """An issue that agent:coder holds in RUN, and another one, in a company of this workflow."""
    return company_of(workflow, alice.creates(), alice.creates(SECOND), coder.checks_out())


def overtaken() -> Scenario:
    """An issue that agent:reviewer holds in OTHER_RUN: agent:coder let its time pass in RUN."""
    return at_work().later(days=1).given(reviewer.checks_out(run=OTHER_RUN))


def interrupted() -> Scenario:
    """RUN is paused, for the issue's budget is spent; a person has raised it since."""
    scenario = given(alice.creates(per_task_micros=10), alice.creates(SECOND), coder.checks_out())
    return scenario.given(coder.reports(cost_micros=10), alice.budgets(1000))


def paused() -> Scenario:
    """RUN is paused, and so is the issue."""
    return at_work().given(alice.pauses())


def resumed() -> Scenario:
    """RUN is paused, but its agent may go on with it."""
    return paused().given(alice.resumes())


def ended(exit_reason: str, exit_details: str | None = None) -> e.RunEnded:
    """The end of RUN."""
    return e.RunEnded(
        issue_id=ISSUE, agent_id="coder", exit_reason=exit_reason, exit_details=exit_details
    )


def released(reason: str | None = None) -> e.IssueReleased:
    """RUN lets go of what was in progress."""
    return e.IssueReleased(
        agent_id="coder",
        run_id=RUN,
        from_assignee="agent:coder",
        to_assignee=None,
        from_status="in_progress",
        to_status="todo",
        reason=reason,
    )


# ── progress, checkpoints, workspace ───────────────────────────────────────────────────


@pytest.mark.parametrize("percent", [None, 0, 50, 100])
def test_reporting_progress_says_how_far_a_run_is(percent: int | None) -> None:
    """In words, and in a number where there is one; the run shows the last."""
    scenario = at_work().given(coder.progresses("Begun.", percent=1))
    answer = scenario.when(coder.progresses("Half-way.", percent=percent))

    assert answer.streams == (("run", RUN),)
    run = answer.then(
        e.RunProgressed(issue_id=ISSUE, agent_id="coder", message="Half-way.", percent=percent)
    ).run()
    assert (run.progress_message, run.progress_percent) == ("Half-way.", percent)
    assert run.progressed_at == run.updated_at == scenario.known.now


def test_saving_a_checkpoint_keeps_it_as_it_was_said() -> None:
    """As text: JSON of the run's own, which the ledger does not read."""
    answer = at_work().when(coder.checkpoints('{"step": 1.50}'))

    assert answer.streams == (("run", RUN),)
    answer.then(e.RunCheckpointed(issue_id=ISSUE, agent_id="coder", checkpoint='{"step": 1.50}'))


def test_the_run_shows_its_last_checkpoint_and_the_log_keeps_all() -> None:
    """Saying the same again is another checkpoint: it stands for another moment."""
    said = ['{"step":1}', '{"step":2}', '{"step":2}']
    scenario = at_work().given(*(coder.checkpoints(one) for one in said))

    kept = [one for one in scenario.recorded if isinstance(one.event, e.RunCheckpointed)]
    run = scenario.run()
    assert [one.event.checkpoint for one in kept if isinstance(one.event, e.RunCheckpointed)] == (
        said
    )
    assert (run.checkpoint_position, run.checkpointed_at) == (kept[-1].position, kept[-1].at)


def test_retaining_a_workspace_says_where_it_is() -> None:
    """The same place again is agreement; another one takes its place."""
    scenario = at_work()

    assert scenario.run().workspace_url is None
    scenario.when(coder.retains(URL)).then(
        e.RunWorkspaceRetained(issue_id=ISSUE, agent_id="coder", workspace_url=URL)
    )
    scenario.when(coder.retains(URL)).then_nothing()
    scenario.given(coder.retains(f"{URL}/2"))
    assert scenario.run().workspace_url == f"{URL}/2"


ABOUT_RUNS: dict[str, Callable[..., c.Command]] = {
    "progress": Caller.progresses,
    "checkpoint": Caller.checkpoints,
    "workspace": Caller.retains,
    "finish": Caller.finishes,
    "fail": Caller.gives_up,
}


@pytest.mark.parametrize("about", ABOUT_RUNS)
def test_people_speak_for_a_run_and_other_agents_do_not(about: str) -> None:
    """The event is the agent's, whoever tells of it."""
    scenario, asks = at_work(), ABOUT_RUNS[about]

    assert scenario.when(asks(bob)).events == scenario.when(asks(coder)).events
    assert scenario.when(asks(operator)).events == scenario.when(asks(coder)).events
    refusal = scenario.when(asks(reviewer)).then_refused(Forbidden)
    assert "coder" in refusal.message


@pytest.mark.parametrize("about", ABOUT_RUNS)
@pytest.mark.parametrize(
    ("run", "issue"), [(OTHER_RUN, ISSUE), (NOBODYS, ISSUE), (RUN, SECOND), (RUN, NOBODYS)]
)
def test_a_run_is_found_at_its_own_issue_alone(about: str, run: str, issue: str) -> None:
    """An unknown run, and a known one at another issue, are the same answer."""
    at_work().when(ABOUT_RUNS[about](coder, run=run, issue=issue)).then_refused(NotFound)


def test_what_a_run_says_leaves_its_issue_as_it_is() -> None:
    """It may speak often: nothing of the issue changes, nor its version."""
    scenario = at_work()
    before = scenario.issue()

    scenario.given(coder.progresses(), coder.checkpoints(), coder.retains(), coder.reports())

    assert scenario.issue() == before


# ── finish ─────────────────────────────────────────────────────────────────────────────


def test_finishing_a_run_finishes_its_issue() -> None:
    """Both in one decision; nobody holds it any more, and it stays the agent's."""
    scenario = at_work()
    answer = scenario.when(coder.finishes())

    assert answer.streams == (("issue", ISSUE), ("run", RUN))
    after = answer.then(
        e.IssueTransitioned(from_status="in_progress", to_status="done", reason=None),
        ended("finished"),
    )
    issue, run = after.issue(), after.run()
    assert (issue.status, issue.assignee, issue.holder_run_id) == ("done", "agent:coder", None)
    assert issue.completed_at is not None
    assert (run.exit_reason, run.exit_details) == ("finished", None)
    assert run.ended_at == after.known.now


def test_finishing_says_why_and_what_came_of_it() -> None:
    """The run keeps both; what moved the issue gives the details as its reason."""
    after = (
        at_work()
        .when(coder.finishes(exit_reason="merged", exit_details="Pull request 7."))
        .then(
            e.IssueTransitioned(
                from_status="in_progress", to_status="done", reason="Pull request 7."
            ),
            ended("merged", "Pull request 7."),
        )
    )

    assert (after.run().exit_reason, after.run().exit_details) == ("merged", "Pull request 7.")


def test_finishing_may_leave_the_last_word_to_somebody_else() -> None:
    """The work is submitted, and waits for a look."""
    after = (
        at_work()
        .when(coder.finishes(to_status="in_review", exit_details="Look at it."))
        .then(
            e.IssueSubmitted(
                from_status="in_progress", to_status="in_review", reason="Look at it."
            ),
            ended("finished", "Look at it."),
        )
    )

    assert (after.issue().status, after.issue().holder_run_id) == ("in_review", None)
    after.when(bob.accepts()).then_only(e.IssueAccepted)


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_finished_work_goes_where_the_workflow_says(workflow: str) -> None:
    """To review in ca, whose people have the last word; elsewhere it is done."""
    scenario = at_work(workflow)

    if workflow == "ca":
        scenario.when(coder.finishes()).then(
            e.IssueSubmitted(from_status="in_progress", to_status="in_review", reason=None),
            ended("finished"),
        )
    else:
        assert scenario.when(coder.finishes()).then_also(e.IssueTransitioned).to_status == "done"
        scenario.given(coder.finishes())
    assert scenario.issue().holder_run_id is None


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_finished_work_may_go_to_review_in_every_workflow(workflow: str) -> None:
    """Whoever wants a look at it says so."""
    scenario = at_work(workflow).given(coder.finishes(to_status="in_review"))

    assert scenario.issue().status == "in_review"


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_finished_work_is_done_at_once_where_runs_have_the_last_word(workflow: str) -> None:
    """In ca people have, and no run goes past them."""
    answer = at_work(workflow).when(coder.finishes(to_status="done"))

    if workflow == "ca":
        answer.then_refused(TransitionNotAllowed)
    else:
        answer.then_also(e.IssueTransitioned)


@pytest.mark.parametrize(
    "to_status", [*(s for s in STATUSES if s not in ("done", "in_review")), "nonsense"]
)
def test_finished_work_goes_nowhere_else(to_status: str) -> None:
    """To fail, to hand off and to release have verbs of their own."""
    refusal = at_work().when(coder.finishes(to_status=to_status)).then_refused(TransitionNotAllowed)

    assert refusal.facts["allowed"] == list(DEFAULT.steps["in_progress"])


@pytest.mark.parametrize("to_status", ["done", "in_review"])
def test_finished_work_frees_what_waited_for_it_once_it_is_done(to_status: str) -> None:
    """In the same decision; not while somebody has yet to look at it."""
    scenario = at_work().given(alice.links("blocked_by", ISSUE, SECOND))

    events = scenario.when(coder.finishes(to_status=to_status)).events

    freed = [event for event in events if isinstance(event, e.IssueUnblocked)]
    assert [event.blocker_id for event in freed] == ([ISSUE] if to_status == "done" else [])


# ── fail ───────────────────────────────────────────────────────────────────────────────


def test_giving_a_run_up_lets_the_issue_wait_for_another_attempt() -> None:
    """By whoever comes first, in a run of its own."""
    answer = at_work().when(coder.gives_up(exit_details="Out of context."))

    assert answer.streams == (("issue", ISSUE), ("run", RUN))
    after = answer.then(released("Out of context."), ended("failed", "Out of context."))
    assert (after.issue().status, after.issue().assignee) == ("todo", None)

    after.given(reviewer.checks_out(run=OTHER_RUN))
    assert (after.issue().run_count, after.run(OTHER_RUN).agent_id) == (2, "reviewer")
    assert (after.run().exit_reason, after.run().exit_details) == ("failed", "Out of context.")


def test_giving_a_run_up_says_why() -> None:
    """In the run's own words."""
    answer = at_work().when(coder.gives_up(exit_reason="crashed"))

    assert answer.then_also(e.RunEnded).exit_reason == "crashed"


def test_giving_a_run_up_for_good_fails_the_issue() -> None:
    """There is to be no other attempt; it stays the agent's who failed."""
    after = (
        at_work()
        .when(coder.gives_up(retry=False, exit_details="Cannot be done."))
        .then(
            e.IssueFailed(from_status="in_progress", to_status="failed", reason="Cannot be done."),
            ended("failed", "Cannot be done."),
        )
    )

    issue = after.issue()
    assert (issue.status, issue.assignee, issue.holder_run_id) == ("failed", "agent:coder", None)
    assert issue.completed_at is not None


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_giving_up_for_good_is_for_workflows_in_which_work_can_fail(workflow: str) -> None:
    """Elsewhere the refusal names the verbs there are; and letting go is always possible."""
    scenario = at_work(workflow)
    can_fail = "fail" in WORKFLOWS[workflow].verbs_from("in_progress")

    for_good = scenario.when(coder.gives_up(retry=False))
    if can_fail:
        for_good.then_also(e.IssueFailed)
    else:
        assert "nobody can fail it" in for_good.then_refused(TransitionNotAllowed).message
    scenario.when(coder.gives_up()).then(released(), ended("failed"))


def test_what_failed_still_blocks() -> None:
    """What it was to make is not there."""
    scenario = at_work().given(alice.links("blocked_by", ISSUE, SECOND))

    scenario.given(coder.gives_up(retry=False))

    assert scenario.issue(SECOND).status == "blocked"


# ── after the end ──────────────────────────────────────────────────────────────────────

ENDS: dict[str, tuple[Callable[[], Scenario], c.Command | None]] = {
    "finished": (at_work, coder.finishes()),
    "failed": (at_work, coder.gives_up()),
    "released": (at_work, coder.releases()),
    "reassigned": (at_work, alice.reassigns("user:bob")),
    "submitted": (at_work, coder.submits()),
    "done": (at_work, alice.moves("done")),
    "cancelled": (at_work, alice.cancels()),
    "blocked": (at_work, alice.links("blocked_by")),
    "deleted": (at_work, alice.deletes()),
    "expired": (overtaken, None),
    "superseded": (resumed, coder.checks_out(run=OTHER_RUN)),
}
"""Exit reason → how a run comes by it."""


def over(exit_reason: str) -> Scenario:
    """RUN has ended for this reason."""
    scenario, last = ENDS[exit_reason]
    return scenario().given(*([last] if last else []))


@pytest.mark.parametrize("exit_reason", ENDS)
def test_a_run_knows_how_it_ended(exit_reason: str) -> None:
    """By what it said, by what ended it, or by where its issue went."""
    run = over(exit_reason).run()

    assert run.exit_reason == exit_reason
    assert run.ended_at is not None


@pytest.mark.parametrize("exit_reason", ENDS)
@pytest.mark.parametrize("about", ["progress", "checkpoint", "finish", "fail"])
@pytest.mark.parametrize("who", [coder, bob], ids=["agent", "person"])
def test_a_run_that_is_over_says_no_more(exit_reason: str, about: str, who: Caller) -> None:
    """The refusal says how it ended, and what to do instead."""
    refusal = over(exit_reason).when(ABOUT_RUNS[about](who)).then_refused(RunOver)

    assert refusal.message == f"This run is over: {exit_reason}. A new attempt is a new run."


@pytest.mark.parametrize("exit_reason", ENDS)
def test_a_run_that_is_over_still_says_where_its_workspace_is_and_what_it_cost(
    exit_reason: str,
) -> None:
    """Both are facts about the world, which it does not help to refuse."""
    scenario = over(exit_reason).given(coder.retains(URL), coder.reports(cost_micros=7))

    run = scenario.run()
    assert (run.workspace_url, run.cost_micros, run.exit_reason) == (URL, 7, exit_reason)


# ── pause and resume ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("who", [coder, bob, operator], ids=["holder", "person", "system"])
def test_pausing_in_mid_run_pauses_the_run(who: Caller) -> None:
    """It has not ended; the issue waits, is still the agent's, and knows which run it was."""
    answer = at_work().when(who.pauses(reason="Wait."))

    assert answer.streams == (("issue", ISSUE), ("run", RUN))
    after = answer.then(
        e.IssuePaused(from_status="in_progress", to_status="todo", reason="Wait."),
        e.RunPaused(issue_id=ISSUE, agent_id="coder", reason="paused"),
    )
    issue, run = after.issue(), after.run()
    assert (issue.holder_run_id, issue.paused_run_id, issue.assignee) == (None, RUN, "agent:coder")
    assert (run.paused_at, run.ended_at) == (after.known.now, None)


def test_a_spent_budget_pauses_the_run() -> None:
    """As a person would, but the issue may be checked out as soon as there is more to spend."""
    scenario = given(alice.creates(per_task_micros=10), coder.checks_out())

    events = scenario.when(coder.reports(cost_micros=10)).events
    assert events[-2:] == (
        e.IssueInterrupted(from_status="in_progress", to_status="todo", reason="budget_exceeded"),
        e.RunPaused(issue_id=ISSUE, agent_id="coder", reason="budget_exceeded"),
    )
    scenario.given(coder.reports(cost_micros=10))
    assert (scenario.issue().paused_run_id, scenario.run().ended_at) == (RUN, None)


PAUSES: dict[str, Callable[[], Scenario]] = {
    "paused": paused,
    "resumed": resumed,
    "interrupted": interrupted,
}
"""Scenarios in which RUN is paused."""


@pytest.mark.parametrize("how", PAUSES)
def test_a_paused_run_may_still_say_where_it_stopped(how: str) -> None:
    """Its checkpoint is what it will go on from."""
    scenario = PAUSES[how]().given(
        coder.progresses("Stopped."), coder.checkpoints(), coder.retains(URL), coder.reports()
    )

    run = scenario.run()
    assert (run.progress_message, run.workspace_url) == ("Stopped.", URL)
    assert run.checkpoint_position is not None
    assert run.paused_at is not None


@pytest.mark.parametrize("how", PAUSES)
@pytest.mark.parametrize("about", ["finish", "fail"])
def test_a_paused_run_does_not_end_its_issue(how: str, about: str) -> None:
    """It does not hold it; the refusal says how the issue stands."""
    scenario = PAUSES[how]()

    refusal = scenario.when(ABOUT_RUNS[about](coder)).then_refused(RunOver)

    assert refusal.message == (
        f"This run is paused. Nobody holds ACM-1; it is {scenario.issue().status}."
    )


@pytest.mark.parametrize("how", ["resumed", "interrupted"])
@pytest.mark.parametrize("names_run", [True, False])
def test_an_agent_takes_its_paused_run_up_again(how: str, names_run: bool) -> None:
    """It is the same attempt: by its name, or by none, for then the one there is is meant."""
    scenario = PAUSES[how]()
    status = scenario.issue().status
    asked = coder.checks_out(run=RUN if names_run else OTHER_RUN, names_run=names_run)

    after = scenario.when(asked).then(
        e.IssueCheckedOut(
            agent_id="coder",
            run_id=RUN,
            from_assignee="agent:coder",
            from_status=status,
            to_status="in_progress",
            lease_seconds=900,
        ),
        e.RunResumed(issue_id=ISSUE, agent_id="coder"),
    )

    issue, run = after.issue(), after.run()
    assert (issue.holder_run_id, issue.paused_run_id, issue.run_count) == (RUN, None, 1)
    assert (run.paused_at, run.ended_at) == (None, None)
    after.when(coder.finishes()).then_also(e.RunEnded)


def test_claiming_the_next_issue_takes_a_paused_run_up_again() -> None:
    """The agent's own work comes back to it."""
    scenario = resumed().given(alice.deletes(SECOND))

    scenario.when(coder.claims_next(run=OTHER_RUN)).then_also(e.RunResumed)
    assert scenario.when(coder.claims_next()).then_also(e.IssueCheckedOut).run_id == RUN


@pytest.mark.parametrize("how", ["resumed", "interrupted"])
@pytest.mark.parametrize(
    "asked",
    [coder.checks_out(run=OTHER_RUN), bob.checks_out(agent="reviewer", run=OTHER_RUN)],
    ids=["same agent", "another agent"],
)
def test_a_new_run_supersedes_a_paused_one(how: str, asked: c.Command) -> None:
    """Whoever begins anew, says so by naming another run, or is another agent."""
    scenario = PAUSES[how]()

    answer = scenario.when(asked)

    assert answer.streams == (("run", RUN), ("issue", ISSUE), ("run", OTHER_RUN))
    assert answer.events[0] == ended("superseded")
    answer.then_also(e.RunStarted)
    issue = scenario.given(asked).issue()
    assert (issue.holder_run_id, issue.paused_run_id, issue.run_count) == (OTHER_RUN, None, 2)


def test_another_agent_does_not_take_a_paused_run() -> None:
    """Nor the issue, while it is assigned to whose run it was; nor the run by its name."""
    scenario = resumed()

    scenario.when(reviewer.checks_out(run=OTHER_RUN)).then_refused(AssignedElsewhere)
    scenario.given(alice.unassigns())
    scenario.when(reviewer.checks_out(run=RUN)).then_refused(Taken)
    scenario.when(reviewer.checks_out(run=OTHER_RUN)).then_also(e.RunEnded)


def test_pausing_what_was_resumed_but_not_taken_up_keeps_the_run() -> None:
    """It is still paused, and may still be taken up."""
    scenario = resumed()

    scenario.when(alice.pauses()).then(
        e.IssuePaused(from_status="in_progress", to_status="todo", reason=None)
    )
    scenario.given(alice.resumes(), coder.checks_out())
    assert scenario.issue().holder_run_id == RUN


def test_blocking_an_issue_keeps_its_paused_run() -> None:
    """Waiting for another issue is no end: when that is done, the same attempt goes on."""
    scenario = resumed().given(alice.links("blocked_by"))
    assert (scenario.issue().status, scenario.issue().paused_run_id) == ("blocked", RUN)

    scenario.given(alice.moves("done", SECOND), coder.checks_out(names_run=False, run=OTHER_RUN))

    assert (scenario.issue().holder_run_id, scenario.run().ended_at) == (RUN, None)


MOVES = [type(asked) for asked in SAMPLES.values() if isinstance(asked, c.MoveIssue)]
VERBS: dict[str, type[c.MoveIssue]] = {
    f"{kind.verb} from {status}": kind
    for kind in MOVES
    for status in DEFAULT.verbs[kind.verb].from_statuses
    if DEFAULT.allows("in_progress", status) or status == "in_progress"
    if status not in ("done", "closed", "failed", "cancelled")
}


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_ends_a_paused_run_once_and_for_all(verb: str) -> None:
    """What happened to the issue happened to the attempt; nobody takes that one up again."""
    status = verb.rpartition(" ")[2]
    scenario = resumed().given(bob.moves(status))

    events = scenario.when(bob(VERBS[verb], issue=ISSUE)).events
    scenario.given(bob(VERBS[verb], issue=ISSUE))

    assert [type(event) for event in events].count(e.RunEnded) == 1
    assert scenario.issue().paused_run_id is None
    assert scenario.run().exit_reason == type(events[0]).type.removeprefix("issue.")
    scenario.when(bob.progresses()).then_refused(RunOver)


@pytest.mark.parametrize(
    "asked",
    [alice.moves("done"), alice.moves("failed"), alice.reassigns("user:bob"), alice.deletes()],
    ids=["done", "failed", "reassigned", "deleted"],
)
@pytest.mark.parametrize("how", PAUSES)
def test_what_ends_an_issue_ends_its_paused_run(how: str, asked: c.Command) -> None:
    """And so does giving it to somebody else."""
    scenario = PAUSES[how]()

    scenario.given(asked)

    assert scenario.issue().paused_run_id is None
    assert (scenario.run().paused_at, scenario.run().ended_at) == (None, scenario.known.now)


# ── one run per attempt ────────────────────────────────────────────────────────────────


def test_every_attempt_is_a_run_of_its_own() -> None:
    """And is counted; taking a paused one up again is no other attempt."""
    scenario = at_work()
    counted = [scenario.issue().run_count]

    for commands in (
        [coder.gives_up(), coder.checks_out(run=OTHER_RUN)],
        [coder.renews(), coder.checks_out(run=OTHER_RUN)],
        [alice.pauses(), alice.resumes(), coder.checks_out(run=OTHER_RUN)],
        [coder.releases(), reviewer.checks_out(run=an_id(13))],
    ):
        counted.append(scenario.given(*commands).issue().run_count)

    assert counted == [1, 2, 2, 2, 3]


def test_the_old_runs_work_stays_after_its_issue_was_reassigned() -> None:
    """In mid-run: the new agent begins anew, and can read what the old one came to."""
    scenario = at_work().given(
        coder.progresses("Half-way.", percent=50),
        coder.checkpoints(),
        coder.retains(URL),
        coder.reports(cost_micros=7),
    )
    before = scenario.run()

    scenario.given(alice.reassigns("agent:reviewer"), reviewer.checks_out(run=OTHER_RUN))

    after, new = scenario.run(), scenario.run(OTHER_RUN)
    assert after.exit_reason == "reassigned"
    for kept in (
        "progress_message", "progress_percent", "checkpoint_position", "workspace_url",
        "cost_micros", "agent_id", "issue_id",
    ):  # fmt: skip
        assert getattr(after, kept) == getattr(before, kept) is not None
    assert (new.agent_id, new.progress_message, new.cost_micros) == ("reviewer", None, 0)


# ── what stays true ────────────────────────────────────────────────────────────────────

Step: TypeAlias = Callable[[str, str], c.Command]
"""What is asked, given an id that no run has yet, and that of the run that began last."""

STEPS: list[Step] = [
    lambda new, _: coder.checks_out(run=new),
    lambda new, _: coder.checks_out(run=new, names_run=False),
    lambda _, last: coder.checks_out(run=last),
    lambda new, _: bob.checks_out(agent="reviewer", run=new),
    lambda new, _: reviewer.claims_next(run=new),
    lambda _, last: bob.finishes(last),
    lambda _, last: bob.finishes(last, to_status="in_review"),
    lambda _, last: bob.gives_up(last),
    lambda _, last: bob.gives_up(last, retry=False),
    lambda _, last: bob.progresses(run=last),
    lambda _, last: bob.reports(last, cost_micros=1),
    lambda _new, _last: alice.budgets_company(3),
    lambda _new, _last: alice.budgets_company(None),
    lambda _new, _last: bob.releases(),
    lambda _new, _last: bob.expires(),
    lambda _new, _last: alice.pauses(),
    lambda _new, _last: alice.resumes(),
    lambda _new, _last: alice.reassigns("agent:coder"),
    lambda _new, _last: alice.reassigns("agent:reviewer"),
    lambda _new, _last: alice.links("blocked_by"),
    lambda _new, _last: alice.unlinks(),
    *(
        lambda _new, _last, status=status: bob.moves(status)
        for status in ("todo", "in_progress", "in_review", "handoff", "done")
    ),
    *(lambda _new, _last, kind=kind: bob(kind, issue=ISSUE) for kind in MOVES),
]


@settings(deadline=None, max_examples=200)
@for_all(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 20)), max_size=40))
def test_a_run_goes_on_exactly_while_it_holds_its_issue_or_is_paused_on_it(
    steps: list[tuple[Step, int]],
) -> None:
    """Whatever anybody does: it begins once, ends once at most, and is counted."""
    scenario = given(alice.creates(), alice.creates(SECOND, status="backlog"))
    last = NOBODYS
    for n, (step, minutes) in enumerate(steps):
        asked = step(an_id(100 + n), last)
        if isinstance(scenario.later(minutes=minutes).when(asked).decision, LedgerError):
            continue
        scenario.given(asked)
        issue = scenario.issue()
        last = issue.holder_run_id or last
        began = Counter(r.stream_id for r in scenario.recorded if type(r.event) is e.RunStarted)
        over = Counter(r.stream_id for r in scenario.recorded if type(r.event) is e.RunEnded)
        going_on = {run for run in began if scenario.run(run).ended_at is None}

        assert going_on == {issue.holder_run_id, issue.paused_run_id} - {None}
        assert {run for run in began if scenario.run(run).paused_at} == (
            {issue.paused_run_id} - {None}
        )
        assert {*began.values(), *over.values()} <= {1}
        assert going_on.isdisjoint(over)
        assert issue.run_count == len(began)
