"""Fencing tokens: what is written under a lease is refused once the lease has ended.

So that a holder who is stopped, overtaken, and woken does no harm. The token is good for exactly
as long as the lease, late or not. Costs and workspaces alone are exempt: what was spent was spent,
and what is kept is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from ledger import commands as c
from ledger import events as e
from ledger.errors import Forbidden, LedgerError, NotFound, StaleToken, StaleVersion
from ledger.workflow import HOLDABLE, WORKFLOWS
from tests.samples import SAMPLES, world, world_for
from tests.scenario import (
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

ON_ISSUES = [name for name, asked in SAMPLES.items() if isinstance(asked, c.IssueCommand)]
EXEMPT = ("report_cost", "correct_cost", "retain_workspace")
FENCED = [name for name in ON_ISSUES if name not in EXEMPT]
AT_WORK = [
    name
    for name, asked in SAMPLES.items()
    if isinstance(asked, c.IssueCommand) and asked.issue in (ISSUE, "ACM-1")
]
"""The commands about the issue that agent:coder holds."""

NEVER_GIVEN = 999_999
DEFAULT = WORKFLOWS["default"]


def at_work() -> Scenario:
    """An issue that agent:coder holds in RUN, and another one."""
    return given(alice.creates(), alice.creates(SECOND), coder.checks_out())


def token_of(scenario: Scenario) -> int:
    """The fencing token of the lease on ISSUE."""
    token = scenario.issue().fencing_token
    assert token is not None
    return token


def run_out(scenario: Scenario) -> Scenario:
    """A day after the lease on ISSUE was over."""
    return scenario.later(days=1, minutes=15)


# ── which commands ask for it ──────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", AT_WORK)
def test_the_token_of_the_lease_changes_nothing(name: str) -> None:
    """Whoever writes under the lease that stands is decided like whoever did not say."""
    asked = replace(SAMPLES[name], fencing_token=token_of(world()))

    assert world().when(asked).events == world().when(SAMPLES[name]).events


@pytest.mark.parametrize("name", FENCED)
@pytest.mark.parametrize("off", [-1, 1, NEVER_GIVEN])
def test_any_other_token_is_stale_for_every_command_on_an_issue(name: str, off: int) -> None:
    """One that has ended, one that never was, and any where nobody holds the issue."""
    asked = replace(SAMPLES[name], fencing_token=token_of(world()) + off)

    refusal = world().when(asked).then_refused(StaleToken)

    assert "current" in refusal.facts
    assert refusal.facts["changed_since"]["version"] == asked.fencing_token


@pytest.mark.parametrize("name", EXEMPT)
def test_facts_about_the_world_are_exempt(name: str) -> None:
    """Refused or not, it was spent, and it is kept there."""
    stale = replace(SAMPLES[name], fencing_token=NEVER_GIVEN)

    assert world().when(stale).events == world().when(SAMPLES[name]).events


@pytest.mark.parametrize("name", sorted(SAMPLES.keys() - set(ON_ISSUES)))
def test_a_token_is_about_an_issue_alone(name: str) -> None:
    """Where no issue is named, there is no lease to have ended."""
    asked = replace(SAMPLES[name], fencing_token=NEVER_GIVEN)

    assert world_for(name).when(asked).events == world_for(name).when(SAMPLES[name]).events


def test_who_may_not_is_told_so_before_anything_else() -> None:
    """And what is not there is not stale."""
    scenario = at_work()

    scenario.when(coder.deletes(fencing_token=NEVER_GIVEN)).then_refused(Forbidden)
    scenario.when(coder.comments(in_run=OTHER_RUN, fencing_token=NEVER_GIVEN)).then_refused(
        NotFound
    )
    scenario.when(coder.comments(issue="ACM-9", fencing_token=NEVER_GIVEN)).then_refused(NotFound)


def test_a_stale_version_comes_before_a_stale_token() -> None:
    """What was seen is asked first, then the lease, then the rule."""
    scenario = at_work()
    asked = coder.moves("done", expected_version=1, fencing_token=NEVER_GIVEN)

    scenario.when(asked).then_refused(StaleVersion)
    scenario.when(coder.moves("nonsense", fencing_token=NEVER_GIVEN)).then_refused(StaleToken)


# ── for how long it is good ────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "then",
    [
        coder.renews(),
        coder.checks_out(),
        coder.comments(),
        coder.progresses(),
        coder.checkpoints(),
        coder.reports(),
        alice.edits(title="Mend it well"),
        alice.links("relates_to"),
        *(alice.moves(status) for status in sorted(HOLDABLE)),
    ],
    ids=lambda command: command.name,
)
def test_a_token_lasts_while_the_issue_is_held(then: c.Command) -> None:
    """Whatever else is written: renewing, and moving between statuses that may be held."""
    scenario = at_work()
    token = token_of(scenario)

    scenario.given(then)

    assert token_of(scenario) == token
    scenario.when(coder.progresses(fencing_token=token)).then_only(e.RunProgressed)


def test_a_token_outlives_the_end_of_its_lease_while_nobody_comes() -> None:
    """Expiry only permits another claim; whoever is late, and alone, goes on."""
    scenario = run_out(at_work())

    scenario.when(coder.comments(fencing_token=token_of(scenario))).then_only(e.IssueCommented)
    scenario.when(coder.renews(fencing_token=token_of(scenario))).then_only(e.IssueLeaseRenewed)


ENDINGS: dict[str, tuple[c.Command, ...]] = {
    "release": (coder.releases(),),
    "reassign": (alice.reassigns("user:bob"),),
    "pause": (alice.pauses(),),
    "block": (alice.links("blocked_by"),),
    "budget": (alice.budgets_company(5), coder.reports(cost_micros=5)),
    "finish": (coder.finishes(),),
    "finish for review": (coder.finishes(to_status="in_review"),),
    "give up": (coder.gives_up(),),
    "give up for good": (coder.gives_up(retry=False),),
    **{
        f"move to {status}": (alice.moves(status),)
        for status in DEFAULT.steps["in_progress"]
        if status not in HOLDABLE
    },
    **{
        f"{kind.verb} from {status}": (alice.moves(status), alice(kind, issue=ISSUE))
        for kind in [type(asked) for asked in SAMPLES.values() if isinstance(asked, c.MoveIssue)]
        for status in DEFAULT.verbs[kind.verb].from_statuses
        if status in HOLDABLE
    },
}
"""Every way in which an issue that is held comes to be held no longer, but for its deletion."""


def test_every_verb_is_among_the_endings() -> None:
    """But for reopening: what is over is held by nobody."""
    tried = {name.partition(" from ")[0] for name in ENDINGS}

    assert DEFAULT.verbs.keys() - tried == {"reopen"}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_token_ends_with_its_lease(ending: str) -> None:
    """However that ended, and whoever ended it: the refusal says how the issue stands."""
    scenario = at_work()
    token = token_of(scenario)

    scenario.given(*ENDINGS[ending])

    assert scenario.issue().fencing_token is None
    refusal = scenario.when(coder.comments(fencing_token=token)).then_refused(StaleToken)
    assert refusal.message == (
        f"The lease of fencing token {token} has ended. "
        f"Nobody holds ACM-1; it is {scenario.issue().status}. "
        "Stop this attempt: what it still has to say belongs in a new one."
    )


def test_a_token_ends_with_its_issue() -> None:
    """What was deleted is not there, under any token."""
    scenario = at_work()
    token = token_of(scenario)

    scenario.given(alice.deletes())

    assert scenario.issue().fencing_token is None
    scenario.when(coder.comments(fencing_token=token)).then_refused(NotFound)


def test_a_token_ends_when_its_lease_is_put_back() -> None:
    """Expiry by somebody who does not want the issue is the end as well."""
    scenario = at_work()
    token = token_of(scenario)

    run_out(scenario).given(bob.expires())

    assert scenario.issue().fencing_token is None
    scenario.when(coder.comments(fencing_token=token)).then_refused(StaleToken)


@pytest.mark.parametrize(
    "asked",
    [
        coder.progresses(),
        coder.checkpoints(),
        coder.finishes(),
        coder.gives_up(),
        coder.comments(),
        coder.labels("bug"),
        coder.moves("done"),
        coder.submits(),
        coder.releases(),
        coder.renews(),
        coder.checks_out(),
    ],
    ids=lambda command: command.name,
)
@pytest.mark.parametrize("by", [reviewer, coder], ids=["another agent", "the same agent"])
def test_a_sleeper_who_was_overtaken_writes_nothing(asked: c.Command, by: Caller) -> None:
    """It is told who holds the issue now, and to stop; what it spent still counts."""
    scenario = at_work()
    token = token_of(scenario)
    run_out(scenario).given(by.checks_out(run=OTHER_RUN))

    refusal = scenario.when(replace(asked, fencing_token=token)).then_refused(StaleToken)

    assert token_of(scenario) > token
    assert f"token {token} has ended" in refusal.message
    assert f"by agent {by.actor.id} in run {OTHER_RUN} until" in refusal.message
    assert "Stop this attempt" in refusal.message
    assert refusal.facts["current"]["holder"]["fencing_token"] == token_of(scenario)
    assert refusal.facts["changed_since"] == {"stream_id": ISSUE, "version": token}
    scenario.when(coder.reports(fencing_token=token, cost_micros=7)).then_only(e.CostReported)


def test_taking_a_paused_run_up_again_is_a_new_lease() -> None:
    """The run is the same one; what it wrote under before is over."""
    scenario = at_work()
    token = token_of(scenario)

    scenario.given(alice.pauses(), alice.resumes(), coder.checks_out())

    assert scenario.issue().holder_run_id == RUN
    scenario.when(coder.progresses(fencing_token=token)).then_refused(StaleToken)
    scenario.when(coder.progresses(fencing_token=token_of(scenario))).then_only(e.RunProgressed)


# ── what stays true ────────────────────────────────────────────────────────────────────

Step: TypeAlias = Callable[[str], c.Command]
"""What is asked, given an id that no run has yet."""

STEPS: list[Step] = [
    lambda run: coder.checks_out(run=run),
    lambda run: coder.checks_out(run=run, names_run=False),
    lambda run: reviewer.checks_out(run=run),
    lambda run: reviewer.claims_next(run=run),
    lambda _: coder.renews(),
    lambda _: coder.releases(),
    lambda _: operator.expires(),
    lambda _: alice.moves("in_review"),
    lambda _: alice.rejects(),
    lambda _: alice.pauses(),
    lambda _: alice.resumes(),
    lambda _: alice.unassigns(),
    lambda _: alice.reassigns("agent:reviewer"),
    lambda _: alice.moves("done"),
    lambda _: alice.reopens(),
]


@settings(deadline=None)
@for_all(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 20)), max_size=25))
def test_of_all_tokens_ever_given_the_last_alone_is_good(steps: list[tuple[Step, int]]) -> None:
    """And that for as long as there is a holder; later leases have greater tokens."""
    scenario = given(alice.creates())
    for n, (step, minutes) in enumerate(steps):
        asked = step(an_id(100 + n))
        if not isinstance(scenario.later(minutes=minutes).when(asked).decision, LedgerError):
            scenario.given(asked)
        tokens = [
            recorded.version
            for recorded in scenario.recorded
            if isinstance(recorded.event, e.IssueCheckedOut)
        ]
        issue = scenario.issue()
        held = issue.holder_run_id is not None

        assert tokens == sorted(set(tokens))
        assert issue.fencing_token == (tokens[-1] if held else None)
        for token in tokens[:-1] if held else tokens:
            scenario.when(bob.comments(fencing_token=token)).then_refused(StaleToken)
        if held:
            scenario.when(bob.comments(fencing_token=tokens[-1])).then_only(e.IssueCommented)
