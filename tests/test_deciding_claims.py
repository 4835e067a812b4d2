"""Claiming the next issue: ready, unblocked, within budget, and there for this agent.

Which issues an agent might claim, best first, is looked up (here by `FromNothing`: all there are);
which of those it may have is decided.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from ledger import events as e
from ledger.actors import Actor, Role
from ledger.commands import Command
from ledger.errors import (
    AgentPaused,
    BudgetExceeded,
    Forbidden,
    NotFound,
    NothingToClaim,
    Taken,
)
from ledger.facts import claimable
from ledger.workflow import STATUSES, WORKFLOWS
from tests.scenario import (
    ENTRY,
    ISSUE,
    NOBODYS,
    OTHER_RUN,
    RUN,
    SECOND,
    THIRD,
    Caller,
    Scenario,
    alice,
    an_id,
    bob,
    coder,
    given,
    reviewer,
)
from tests.workflows import company_of

ANN, BEN, CYD, TEAM = an_id(61), an_id(62), an_id(63), an_id(64)
ann, ben, cyd = (Caller(Actor("agent", one), Role.AGENT) for one in (ANN, BEN, CYD))
PRIORITIES = ("none", "low", "medium", "high", "urgent")
NOT_READY = [status for status in STATUSES if status != "todo"]


def agents(*commands: Command) -> Scenario:
    """Three agents that the directory lists, Ann and Ben in a team, Cyd in none."""
    return given(
        alice.lists("agent", "Ann", ANN),
        alice.lists("agent", "Ben", BEN),
        alice.lists("agent", "Cyd", CYD),
        alice.lists("team", "Core", TEAM, agent_ids=[ANN, BEN]),
        *commands,
    )


def claimed(scenario: Scenario, asked: Command) -> str:
    """The issue that a claim takes."""
    answer = scenario.when(asked)
    place = answer.events.index(answer.then_also(e.IssueCheckedOut))
    return answer.streams[place][1]


# ── claiming the next issue ────────────────────────────────────────────────────────────


def test_claiming_takes_the_best_issue_in_a_new_run() -> None:
    """As if it had been checked out by its name, for as long as is asked for."""
    scenario = given(alice.creates())
    answer = scenario.when(coder.claims_next(lease_seconds=600))

    assert answer.streams == (("issue", ISSUE), ("run", RUN))
    after = answer.then(
        e.IssueCheckedOut(
            agent_id="coder",
            run_id=RUN,
            from_assignee=None,
            from_status="todo",
            to_status="in_progress",
            lease_seconds=600,
        ),
        e.RunStarted(issue_id=ISSUE, agent_id="coder"),
    )
    assert (after.issue().holder_run_id, after.issue().assignee) == (RUN, "agent:coder")
    after.when(coder.checks_out()).then_nothing()


@settings(deadline=None)
@for_all(st.lists(st.sampled_from(PRIORITIES), max_size=8))
def test_issues_are_claimed_by_priority_then_by_age(priorities: list[str]) -> None:
    """Each once, until there is nothing left; whoever claims."""
    ids = [an_id(100 + n) for n in range(len(priorities))]
    scenario = given(
        *(alice.creates(one, priority=p) for one, p in zip(ids, priorities, strict=True))
    )
    found = []
    for n in range(len(ids)):
        asked = (coder, reviewer)[n % 2].claims_next(run=an_id(200 + n), lease_seconds=86400)
        found.append(claimed(scenario, asked))
        scenario.given(asked)

    by_age = zip(ids, priorities, strict=True)
    expected = sorted(by_age, key=lambda pair: -PRIORITIES.index(pair[1]))
    assert found == [one for one, _ in expected]
    scenario.when(coder.claims_next(run=an_id(300))).then_refused(NothingToClaim)


def test_what_the_batch_has_changed_is_claimed_before_what_waited_longer_and_matters_less() -> None:
    """What was surveyed is as it was before the batch; what came since stands among it."""
    scenario = given(alice.creates(), alice.creates(SECOND, priority="high"))
    scenario.known.surveyed[claimable("coder")] = ()
    scenario.known.surveyed[claimable("coder", (ISSUE, SECOND))] = ()

    assert claimed(scenario, coder.claims_next()) == SECOND


def test_there_is_nothing_to_claim() -> None:
    """The refusal says where the reasons are."""
    refusal = agents().when(ann.claims_next()).then_refused(NothingToClaim)

    assert f"agents/{ANN}/next" in refusal.message


# ── ready ──────────────────────────────────────────────────────────────────────────────

WANTED: dict[str, Any] = {"priority": "urgent"}
"""So that it would be claimed before SECOND, if it might be."""

OUT_OF_REACH: dict[str, list[Command]] = {
    **{status: [alice.creates(status=status, **WANTED)] for status in NOT_READY},
    "held": [alice.creates(**WANTED), reviewer.checks_out(run=OTHER_RUN)],
    "held in another run": [alice.creates(**WANTED), coder.checks_out(run=OTHER_RUN)],
    "another agent's": [alice.creates(**WANTED), alice.assigns("agent:reviewer")],
    "a person's": [alice.creates(**WANTED), alice.assigns("user:bob")],
    "paused": [alice.creates(**WANTED), alice.pauses()],
    "its own, paused": [alice.creates(**WANTED), alice.assigns("agent:coder"), alice.pauses()],
    "its own, in the backlog": [
        alice.creates(status="backlog", **WANTED),
        alice.assigns("agent:coder"),
    ],
    "its own, done": [alice.creates(status="done", **WANTED), alice.assigns("agent:coder")],
    "deleted": [alice.creates(**WANTED), alice.deletes()],
    "blocked": [
        alice.creates(THIRD, status="backlog"),
        alice.creates(**WANTED),
        alice.links("blocked_by", THIRD),
    ],
    "another team's": [alice.creates(team="core", **WANTED)],
    "another project's": [
        alice.lists("project", "Apollo", agent_ids=[ANN]),
        alice.creates(project="apollo", **WANTED),
    ],
    "of a spent budget": [alice.creates(per_task_micros=0, **WANTED)],
}


@pytest.mark.parametrize("why", OUT_OF_REACH)
def test_what_is_out_of_reach_is_passed_over(why: str) -> None:
    """However urgent: the next best is taken; alone, it is nothing to claim."""
    scenario = agents(*OUT_OF_REACH[why])

    scenario.when(coder.claims_next()).then_refused(NothingToClaim)
    assert claimed(scenario.given(alice.creates(SECOND)), coder.claims_next()) == SECOND


def test_an_agents_own_issue_is_claimed_like_any_other() -> None:
    """Being assigned is an invitation, and no privilege."""
    scenario = given(alice.creates(SECOND, priority="high"), alice.creates())
    scenario.given(alice.assigns("agent:coder"))

    assert claimed(scenario, coder.claims_next()) == SECOND
    scenario.given(coder.claims_next())
    assert claimed(scenario, coder.claims_next(run=OTHER_RUN)) == ISSUE


def test_what_an_agent_was_stopped_at_is_claimed_again() -> None:
    """In progress, its own, and held by nobody: it was paused and resumed."""
    scenario = given(alice.creates(), coder.checks_out(), alice.pauses(), alice.resumes())

    scenario.when(reviewer.claims_next(run=OTHER_RUN)).then_refused(NothingToClaim)
    assert claimed(scenario, coder.claims_next(run=OTHER_RUN)) == ISSUE


@pytest.mark.parametrize("who", [coder, reviewer], ids=["same agent", "another agent"])
def test_what_a_dead_run_left_behind_is_claimed(who: Caller) -> None:
    """From the end of its lease on, and not before."""
    scenario = given(alice.creates(), coder.checks_out(lease_seconds=3600))
    asked = who.claims_next(run=OTHER_RUN)
    expires_at = scenario.issue().lease_expires_at
    assert expires_at is not None

    scenario.known.now = expires_at
    assert claimed(scenario, asked) == ISSUE
    assert scenario.when(asked).then_also(e.IssueLeaseExpired).run_id == RUN
    scenario.later(microseconds=-1).when(asked).then_refused(NothingToClaim)


@pytest.mark.parametrize("status", ["in_review", "handoff"])
def test_what_a_dead_run_left_with_people_is_not_claimed(status: str) -> None:
    """It waits for a look, not for another attempt; by name it may be checked out."""
    scenario = given(alice.creates(), coder.checks_out(), coder.moves(status)).later(days=1)

    scenario.when(reviewer.claims_next(run=OTHER_RUN)).then_refused(NothingToClaim)
    scenario.when(reviewer.checks_out(run=OTHER_RUN)).then_also(e.IssueLeaseExpired)


# ── unblocked, within budget ───────────────────────────────────────────────────────────


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_nobody_claims_what_is_blocked_in_whichever_workflow(workflow: str) -> None:
    """Even where links are only recorded; once the blocker is done, it is there to be had."""
    scenario = company_of(
        workflow,
        alice.creates(status="todo"),
        alice.creates(SECOND, status="todo"),
        alice.links("blocked_by"),
        reviewer.checks_out(SECOND, run=OTHER_RUN),
    )
    scenario.when(coder.claims_next()).then_refused(NothingToClaim)

    scenario.given(reviewer.submits(SECOND), bob.accepts(SECOND))

    assert claimed(scenario, coder.claims_next()) == ISSUE


def test_what_all_its_runs_have_spent_keeps_an_issue_from_being_claimed() -> None:
    """Until a person raises the budget."""
    scenario = given(alice.creates(per_task_micros=10), reviewer.checks_out(run=OTHER_RUN)).given(
        reviewer.reports(OTHER_RUN, cost_micros=9), reviewer.releases()
    )
    assert claimed(scenario, coder.claims_next()) == ISSUE

    scenario.given(reviewer.reports(OTHER_RUN, cost_micros=1))
    scenario.when(coder.claims_next()).then_refused(NothingToClaim)

    scenario.given(bob.budgets(11))
    assert claimed(scenario, coder.claims_next()) == ISSUE


@pytest.mark.parametrize(
    "asked", [alice.budgets_company(0), alice.budgets_agent(0, ANN)], ids=["company", "agent"]
)
def test_who_has_nothing_left_to_spend_claims_nothing(asked: Command) -> None:
    """It is told why, for any issue would be the same; where there is none, that is said."""
    scenario = agents(asked)
    scenario.when(ann.claims_next()).then_refused(NothingToClaim)

    refusal = scenario.given(alice.creates()).when(ann.claims_next()).then_refused(BudgetExceeded)

    assert refusal.facts["budget"]["limit_micros"] == 0


# ── teams and projects ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fields", "may"),
    [
        ({"agent_ids": [ANN, BEN]}, {"Ann", "Ben"}),
        ({"agent_ids": [ANN], "lead_agent_id": CYD}, {"Ann", "Cyd"}),
        ({"lead_agent_id": CYD}, {"Cyd"}),
        ({}, set()),
    ],
    ids=["members", "members and lead", "lead alone", "nobody"],
)
def test_a_teams_issues_are_for_its_members(fields: dict[str, Any], may: set[str]) -> None:
    """And for its lead."""
    scenario = agents(alice.lists("team", "Web", ENTRY, **fields), alice.creates(team="web"))

    assert who_may_claim(scenario) == may


@pytest.mark.parametrize(
    ("fields", "may"),
    [
        ({"agent_ids": [ANN, BEN]}, {"Ann", "Ben"}),
        ({"agent_ids": []}, {"Ann", "Ben", "Cyd"}),
        ({}, {"Ann", "Ben", "Cyd"}),
    ],
    ids=["agents", "no agents", "nothing said"],
)
def test_a_projects_issues_are_for_its_agents(fields: dict[str, Any], may: set[str]) -> None:
    """Where it lists none, they are for anybody."""
    scenario = agents(
        alice.lists("project", "Apollo", ENTRY, **fields), alice.creates(project="apollo")
    )

    assert who_may_claim(scenario) == may


def test_an_issue_of_a_team_and_a_project_is_for_who_is_in_both() -> None:
    """An issue of neither is for anybody."""
    scenario = agents(
        alice.lists("project", "Apollo", ENTRY, agent_ids=[BEN, CYD]),
        alice.creates(team="core", project="apollo"),
    )
    assert who_may_claim(scenario) == {"Ben"}

    scenario.given(alice.edits(team_id=None, project_id=None))
    assert who_may_claim(scenario) == {"Ann", "Ben", "Cyd"}


def who_may_claim(scenario: Scenario) -> set[str]:
    """The agents who would get ISSUE."""
    return {
        scenario.entry(who.actor.id).name
        for who in (ann, ben, cyd)
        if not isinstance(scenario.when(who.claims_next()).decision, NothingToClaim)
    }


# ── who claims ─────────────────────────────────────────────────────────────────────────


def test_an_agent_claims_for_itself_alone() -> None:
    """Sending others is for people."""
    scenario = given(alice.creates())

    refusal = scenario.when(coder.claims_next("reviewer")).then_refused(Forbidden)

    assert refusal.pointer == "/agent_id"
    sent = scenario.when(bob.claims_next("reviewer")).then_also(e.IssueCheckedOut)
    assert sent.agent_id == "reviewer"


@pytest.mark.parametrize("ref", [ANN, "ann", "Ann"])
def test_an_agent_may_be_called_by_its_slug(ref: str) -> None:
    """What is looked up is about its id."""
    scenario = agents(alice.creates())

    assert scenario.when(alice.claims_next(ref)).then_also(e.IssueCheckedOut).agent_id == ANN


@pytest.mark.parametrize("agent", ["nobody", NOBODYS, "bob", TEAM])
def test_an_agent_who_is_not_there_claims_nothing(agent: str) -> None:
    """Nor does a person, or a team."""
    refusal = agents(alice.creates()).when(alice.claims_next(agent)).then_refused(NotFound)

    assert refusal.pointer == "/agent_id"


def test_a_paused_agent_claims_nothing() -> None:
    """Though there is something for it, and whoever sends it."""
    scenario = agents(alice.creates(), alice.pauses_agent(ANN))

    scenario.when(ann.claims_next()).then_refused(AgentPaused)
    refusal = scenario.when(bob.claims_next(ANN)).then_refused(AgentPaused)
    assert refusal.pointer == "/agent_id"
    assert claimed(scenario, ben.claims_next()) == ISSUE


def test_a_claim_begins_a_run_of_its_own() -> None:
    """Every attempt is a new run."""
    scenario = given(alice.creates(), alice.creates(SECOND), coder.claims_next())

    assert scenario.when(coder.claims_next()).then_refused(Taken).pointer == "/run_id"
    assert claimed(scenario, coder.claims_next(run=OTHER_RUN)) == SECOND


# ── more candidates than are looked up at a time ───────────────────────────────────────


def test_when_none_of_the_candidates_will_do_others_are_looked_up() -> None:
    """Without those that were looked at."""
    scenario = given(alice.creates(), alice.creates(SECOND), alice.creates(THIRD))
    scenario.given(alice.assigns("user:bob"), alice.assigns("user:bob", SECOND))
    scenario.known.surveyed[claimable("coder")] = (SECOND,)
    scenario.known.surveyed[claimable("coder", (SECOND,))] = (ISSUE,)
    scenario.known.surveyed[claimable("coder", (ISSUE,))] = ()

    assert claimed(scenario, coder.claims_next()) == THIRD


def test_what_this_batch_has_taken_is_not_looked_up_again() -> None:
    """A hundred agents at once are not offered the same issues a hundred times."""
    scenario = given(alice.creates(), alice.creates(SECOND), alice.creates(THIRD))
    scenario.given(reviewer.checks_out(), reviewer.checks_out(SECOND, run=OTHER_RUN))
    scenario.known.surveyed[claimable("coder")] = (ISSUE,)
    scenario.known.surveyed[claimable("coder", (ISSUE, SECOND))] = (THIRD,)
    scenario.known.surveyed[claimable("coder", (ISSUE,))] = ()

    assert claimed(scenario, coder.claims_next(run=an_id(13))) == THIRD


def test_what_a_dead_run_left_is_looked_up_though_this_batch_changed_it() -> None:
    """Somebody commented on it just now: it is left behind all the same."""
    scenario = given(alice.creates(), alice.creates(SECOND), reviewer.checks_out(SECOND))
    scenario.given(alice.assigns("user:bob")).later(days=1).given(bob.comments(issue=SECOND))
    scenario.known.surveyed[claimable("coder")] = (ISSUE,)
    scenario.known.surveyed[claimable("coder", (ISSUE,))] = (SECOND,)
    scenario.known.surveyed[claimable("coder", (ISSUE, SECOND))] = ()

    assert claimed(scenario, coder.claims_next(run=OTHER_RUN)) == SECOND
