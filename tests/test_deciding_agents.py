"""Agents as workers: which member of a team gets an issue, and what a paused agent may not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from ledger import events as e
from ledger.actors import Actor, Role
from ledger.codec import timestamp
from ledger.commands import AssignIssue, Command, ReassignIssue
from ledger.errors import (
    AgentPaused,
    AssignedElsewhere,
    Invalid,
    IssueHeld,
    NobodyAvailable,
    NotFound,
)
from ledger.workflow import FINISHED, STATUSES
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

ANN, BEN, CYD, TEAM = an_id(61), an_id(62), an_id(63), an_id(64)
ann = Caller(Actor("agent", ANN), Role.AGENT)


def agents(*commands: Command) -> Scenario:
    """Three agents that the directory lists, Ann and Ben in a team, Cyd in none."""
    return given(
        alice.lists("agent", "Ann", ANN),
        alice.lists("agent", "Ben", BEN),
        alice.lists("agent", "Cyd", CYD),
        alice.lists("team", "Core", TEAM, agent_ids=[ANN, BEN]),
        *commands,
    )


def gives(verb: str, team: str | None = "core", issue: str = ISSUE) -> Command:
    """An issue to a team, by assigning or by reassigning it."""
    if verb == "assigns":
        return alice(AssignIssue, issue=issue, team=team)
    return alice(ReassignIssue, issue=issue, team=team)


def given_to(scenario: Scenario) -> str:
    """To whom ISSUE goes when the team is given it."""
    return scenario.when(alice.gives_team("core")).then_only(e.IssueAssigned).to_assignee


# ── giving an issue to a team ──────────────────────────────────────────────────────────


def work_for(agent: str, *statuses: str, first: int) -> list[Command]:
    """Issues of these statuses, all assigned to an agent."""
    return [
        alice.creates(an_id(first + n), status=status, assignee=Actor("agent", agent))
        for n, status in enumerate(statuses)
    ]


def test_an_issue_given_to_a_team_goes_to_who_has_the_least_to_do() -> None:
    """The event is an assignment like any other: to whom, not by way of which team."""
    scenario = agents(alice.creates(), *work_for(ANN, "todo", first=101))

    after = scenario.when(alice.gives_team("core")).then(
        e.IssueAssigned(from_assignee=None, to_assignee=f"agent:{BEN}")
    )

    assert after.issue().team_id is None


@pytest.mark.parametrize("status", STATUSES)
def test_what_is_unfinished_is_to_do(status: str) -> None:
    """Wherever it stands: only what is over does not count."""
    scenario = agents(
        alice.creates(),
        *work_for(ANN, status, status, first=101),
        *work_for(BEN, "todo", first=201),
    )

    expected = ANN if status in FINISHED else BEN
    assert given_to(scenario) == f"agent:{expected}"


def test_what_was_deleted_is_not_to_do() -> None:
    """It is on no list, so it is on nobody's."""
    scenario = agents(
        alice.creates(),
        *work_for(ANN, "todo", first=101),
        *work_for(BEN, "todo", "todo", first=201),
        alice.deletes(an_id(201)),
        alice.deletes(an_id(202)),
    )

    assert given_to(scenario) == f"agent:{BEN}"


def test_of_those_with_as_much_to_do_the_first_by_name_gets_it() -> None:
    """By name, in whichever order they joined, and whatever their ids are."""
    scenario = given(
        alice.lists("agent", "Zoe", ANN),
        alice.lists("agent", "Abe", BEN),
        alice.lists("team", "Core", TEAM, agent_ids=[ANN, BEN]),
        alice.creates(),
    )

    assert given_to(scenario) == f"agent:{BEN}"


def test_issues_given_to_a_team_go_round() -> None:
    """Each counts before the next is given."""
    ids = [an_id(100 + n) for n in range(5)]
    scenario = agents(*(alice.creates(one) for one in ids))

    scenario.given(*(alice.gives_team("core", one) for one in ids))

    assert [scenario.issue(one).assignee for one in ids] == [
        f"agent:{one}" for one in (ANN, BEN, ANN, BEN, ANN)
    ]


@settings(deadline=None)
@for_all(
    st.lists(st.integers(0, 4), min_size=3, max_size=3),
    st.sets(st.sampled_from([ANN, BEN, CYD])),
)
def test_nobody_who_takes_work_has_less_to_do_than_who_gets_the_issue(
    unfinished: list[int], resting: set[str]
) -> None:
    """Of those who are paused, none gets it; where all are, nobody does."""
    team = [ANN, BEN, CYD]
    load = dict(zip(team, unfinished, strict=True))
    scenario = agents(
        alice.changes("team", TEAM, agent_ids=team),
        alice.creates(),
        *(
            command
            for n, (agent, count) in enumerate(load.items())
            for command in work_for(agent, *["todo"] * count, first=100 * (n + 1))
        ),
        *(alice.pauses_agent(agent) for agent in sorted(resting)),
    )
    able = [agent for agent in team if agent not in resting]

    if not able:
        scenario.when(alice.gives_team("core")).then_refused(NobodyAvailable)
        return
    chosen = given_to(scenario).removeprefix("agent:")
    assert chosen in able
    assert load[chosen] == min(load[agent] for agent in able)


def test_an_archived_member_gets_nothing() -> None:
    """It is off the lists, though the team names it."""
    scenario = agents(alice.creates(), alice.archives("agent", ANN))

    assert given_to(scenario) == f"agent:{BEN}"


def test_a_member_who_has_a_key_alone_gets_its_share() -> None:
    """Listed or not: it is an agent of the company, and of the team."""
    scenario = given(
        alice.lists("agent", "Ann", ANN),
        alice.lists("team", "Core", TEAM, agent_ids=[ANN, "coder"]),
        alice.creates(),
        *work_for(ANN, "todo", first=101),
    )

    assert given_to(scenario) == "agent:coder"


@pytest.mark.parametrize(
    "then",
    [
        [alice.changes("team", TEAM, agent_ids=[])],
        [alice.pauses_agent(ANN), alice.pauses_agent(BEN)],
        [alice.pauses_agent(ANN), alice.archives("agent", BEN)],
    ],
    ids=["no members", "all paused", "paused or gone"],
)
@pytest.mark.parametrize("verb", ["assigns", "reassigns"])
def test_a_team_in_which_nobody_takes_work_gets_nothing(verb: str, then: list[Command]) -> None:
    """The refusal says what to do."""
    scenario = agents(alice.creates(), *then)

    refusal = scenario.when(gives(verb, "core")).then_refused(NobodyAvailable)

    assert "Core" in refusal.message
    assert "resume one, or name an agent" in refusal.message


@pytest.mark.parametrize("verb", ["assigns", "reassigns"])
@pytest.mark.parametrize("team", ["nowhere", NOBODYS, ANN])
def test_a_team_that_is_not_there_gets_nothing(verb: str, team: str) -> None:
    """The refusal points at the field."""
    refusal = agents(alice.creates()).when(gives(verb, team)).then_refused(NotFound)

    assert refusal.pointer == "/team_id"


@pytest.mark.parametrize("verb", ["assigns", "reassigns"])
def test_an_issue_is_given_to_somebody(verb: str) -> None:
    """Who gets it must be said, one way or the other."""
    asked = gives(verb, team=None)

    assert agents(alice.creates()).when(asked).then_refused(Invalid).message == (
        "Say who gets the issue."
    )


def test_giving_a_team_what_is_held_is_refused() -> None:
    """As giving it to any other agent would be: who means it says reassign."""
    scenario = agents(alice.creates(), coder.checks_out())

    refusal = scenario.when(gives("assigns")).then_refused(IssueHeld)

    assert "reassign" in refusal.message


def test_reassigning_to_a_team_in_mid_run_ends_the_run() -> None:
    """And the issue waits for the member with the least to do."""
    scenario = agents(alice.creates(), *work_for(ANN, "todo", first=101), coder.checks_out())

    moved = scenario.when(gives("reassigns")).then(
        e.IssueReassigned(
            from_assignee="agent:coder",
            to_assignee=f"agent:{BEN}",
            from_status="in_progress",
            to_status="todo",
            reason=None,
        ),
        e.RunEnded(issue_id=ISSUE, agent_id="coder", exit_reason="reassigned", exit_details=None),
    )

    assert moved.issue().holder_run_id is None


# ── pausing an agent ───────────────────────────────────────────────────────────────────


def test_pausing_an_agent_is_written_in_its_own_stream() -> None:
    """With why, if there is something to say; twice is agreement."""
    scenario = agents()
    answer = scenario.when(alice.pauses_agent(ANN, reason="Holiday."))

    assert answer.streams == (("entry", ANN),)
    after = answer.then(e.AgentPaused(name="Ann", reason="Holiday."))
    assert after.entry(ANN).fields["paused_at"] == timestamp(after.known.now)
    after.when(alice.pauses_agent(ANN, reason="Again.")).then_nothing()


def test_resuming_an_agent_is_written_in_its_own_stream() -> None:
    """And one that is not paused is at work already."""
    scenario = agents()
    scenario.when(alice.resumes_agent(ANN)).then_nothing()

    after = scenario.given(alice.pauses_agent(ANN)).when(alice.resumes_agent(ANN))

    assert after.streams == (("entry", ANN),)
    resumed = after.then(e.AgentResumed(name="Ann"))
    assert resumed.entry(ANN).fields["paused_at"] is None
    resumed.when(alice.resumes_agent(ANN)).then_nothing()


def test_pausing_changes_nothing_else_of_an_agent() -> None:
    """What else the directory says of it stands."""
    scenario = agents(alice.changes("agent", ANN, description="Writes."))

    scenario.given(alice.budgets_agent(5, ANN), alice.pauses_agent(ANN), alice.resumes_agent(ANN))

    fields = scenario.entry(ANN).fields
    assert (fields["description"], fields["monthly_micros"]) == ("Writes.", 5)


@pytest.mark.parametrize("ref", ["ann", "ANN", ANN])
def test_an_agent_is_paused_by_its_slug_or_id(ref: str) -> None:
    """Whichever is at hand."""
    scenario = agents(alice.pauses_agent(ref))

    scenario.when(alice.resumes_agent(ref)).then(e.AgentResumed(name="Ann"))


@pytest.mark.parametrize("ref", ["nobody", NOBODYS, "coder", "core", TEAM, CYD])
@pytest.mark.parametrize("asks", [Caller.pauses_agent, Caller.resumes_agent])
def test_what_is_no_listed_agent_is_not_paused(ref: str, asks: Callable[..., Command]) -> None:
    """Nobody, a team, one that has a key alone, and one that is off the lists."""
    scenario = agents(alice.archives("agent", CYD))

    scenario.when(asks(alice, ref)).then_refused(NotFound)


GIVEN: dict[str, tuple[Command, str]] = {
    "assigning": (alice.assigns(f"agent:{ANN}"), "/agent_id"),
    "assigning by slug": (alice.assigns("agent:ann"), "/agent_id"),
    "reassigning": (alice.reassigns(f"agent:{ANN}"), "/agent_id"),
    "creating": (alice.creates(SECOND, assignee=Actor("agent", ANN)), "/assignee"),
    "checking out": (ann.checks_out(), "/agent_id"),
    "being sent": (bob.checks_out(agent=ANN), "/agent_id"),
    "being sent by slug": (operator.checks_out(agent="ann"), "/agent_id"),
}


@pytest.mark.parametrize("how", GIVEN)
def test_a_paused_agent_is_given_no_work_and_takes_none(how: str) -> None:
    """The refusal says what must happen first; once it has, it does."""
    asked, pointer = GIVEN[how]
    scenario = agents(alice.creates(), alice.pauses_agent(ANN))

    refusal = scenario.when(asked).then_refused(AgentPaused)

    assert refusal.pointer == pointer
    assert refusal.message == "The agent Ann is paused; somebody must resume it first."
    assert scenario.given(alice.resumes_agent(ANN)).when(asked).events


@pytest.mark.parametrize(
    "asked",
    [
        ann.checks_out(),
        ann.progresses(),
        ann.checkpoints(),
        ann.reports(),
        ann.comments(),
        ann.submits(),
        ann.finishes(),
        ann.gives_up(),
        ann.releases(),
    ],
    ids=lambda command: command.name,
)
def test_a_paused_agent_finishes_what_it_holds(asked: Command) -> None:
    """It is decided as if it were not paused; more time it does not get."""
    scenario = agents(alice.creates(), ann.checks_out())
    before = scenario.when(asked).events

    scenario.given(alice.pauses_agent(ANN))

    assert scenario.when(asked).events == before
    scenario.when(ann.renews()).then_refused(AgentPaused)


def test_what_a_paused_agent_lets_run_out_is_for_others() -> None:
    """It is not to come back to it."""
    scenario = agents(alice.creates(), ann.checks_out(), alice.pauses_agent(ANN)).later(days=1)

    scenario.when(ann.checks_out(run=OTHER_RUN)).then_refused(AgentPaused)
    scenario.when(reviewer.checks_out(run=OTHER_RUN)).then_also(e.IssueLeaseExpired)


def test_a_paused_agent_does_not_take_its_paused_run_up_again() -> None:
    """Both must be resumed: the issue, and who worked on it."""
    scenario = agents(alice.creates(), ann.checks_out(), alice.pauses(), alice.pauses_agent(ANN))
    scenario.given(alice.resumes())
    scenario.when(ann.checks_out()).then_refused(AgentPaused)

    scenario.given(alice.resumes_agent(ANN)).when(ann.checks_out()).then_also(e.RunResumed)
    assert scenario.issue().paused_run_id == RUN


def test_what_was_assigned_to_an_agent_stays_its_own_while_it_is_paused() -> None:
    """It waits for it; a person may still give it to somebody else."""
    scenario = agents(alice.creates(), alice.assigns("agent:ann"), alice.pauses_agent(ANN))

    assert scenario.issue().assignee == f"agent:{ANN}"
    scenario.when(coder.checks_out()).then_refused(AssignedElsewhere)
    scenario.when(alice.assigns("agent:coder")).then_only(e.IssueAssigned)
