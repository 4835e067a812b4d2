"""What is known under the lock: layers of facts, and the look-ups that events change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any, TypeAlias

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from ledger import events as e
from ledger.commands import Command
from ledger.decisions import Decision
from ledger.decisions.links import INVERSES, LINK_TYPES
from ledger.errors import LedgerError
from ledger.facts import (
    FactKey,
    blockers,
    dependents,
    month_of,
    spending,
    spent,
    touched_by,
    workload,
)
from ledger.known import NEVER, Known, Missing
from ledger.state import Lease
from tests.samples import SAMPLES, world_for
from tests.scenario import (
    COMPANY_ID,
    ISSUE,
    LINK,
    OTHER_RUN,
    RUN,
    SECOND,
    THIRD,
    Scenario,
    alice,
    an_id,
    bob,
    coder,
    given,
    operator,
    reviewer,
)

MONTH = "2026-04"
A_FACT: FactKey = ("identifier", "ACM-1")


def at_work(**more: Any) -> Scenario:
    """An issue that agent:coder holds in RUN, and two others."""
    return given(
        alice.creates(), alice.creates(SECOND), alice.creates(THIRD), coder.checks_out(**more)
    )


def carried_out(scenario: Scenario, commands: Iterable[Command]) -> Scenario:
    """Whatever is accepted of these commands."""
    for command in commands:
        if not isinstance(scenario.when(command).decision, LedgerError):
            scenario.given(command)
    return scenario


# ── layers ─────────────────────────────────────────────────────────────────────────────


def test_what_nobody_loaded_is_missing() -> None:
    """Which fact that is, is said, so that it can be fetched; a peek asks for no more than is."""
    known = Known({}, {})

    with pytest.raises(Missing) as missing:
        known[A_FACT]

    assert missing.value.key == A_FACT
    assert A_FACT not in known
    assert known.peek(A_FACT) is None


@pytest.mark.parametrize(
    "known",
    [Known({A_FACT: None}, {}), Known({}, {A_FACT: None}), Known({}, {}, NEVER, {A_FACT: None})],
    ids=["loaded", "staged", "surveyed"],
)
def test_that_there_is_no_such_thing_is_known_too(known: Known) -> None:
    """In whichever layer it says so."""
    assert A_FACT in known
    assert known[A_FACT] is None
    assert known.peek(A_FACT) is None


def test_what_the_batch_made_lies_over_what_it_surveyed_and_that_over_what_was_loaded() -> None:
    """Be it that there is no such thing any more."""
    loaded: dict[FactKey, Any] = {A_FACT: "loaded"}
    known = Known(loaded, {})
    seen = [known[A_FACT]]

    known.surveyed[A_FACT] = "surveyed"
    seen.append(known[A_FACT])
    known.staged[A_FACT] = None
    seen.append(known[A_FACT])

    assert seen == ["loaded", "surveyed", None]
    assert known.peek(A_FACT) is None
    assert loaded == {A_FACT: "loaded"}


def test_what_was_surveyed_is_known_in_one_batch_alone() -> None:
    """It is about many rows, and the next batch finds others."""
    loaded: dict[FactKey, Any] = {}
    known = Known(loaded, {})
    known.surveyed[workload("agent:coder")] = 3

    assert known.workloads(["agent:coder"]) == {"agent:coder": 3}
    assert workload("agent:coder") not in Known(loaded, {})
    with pytest.raises(Missing):
        Known(loaded, {}).workloads(["agent:coder"])


@pytest.mark.parametrize("name", SAMPLES)
def test_recording_an_event_asks_for_what_it_touches_and_no_more(name: str) -> None:
    """So a rebuild loads just that, and comes to the same facts as a batch that knew everything."""
    scenario = world_for(name)
    decision = scenario.when(SAMPLES[name]).decision
    assert isinstance(decision, Decision)
    for stream, event in decision.events:
        before = dict(scenario.known.staged)
        recorded = scenario.happened(stream, event, SAMPLES[name].actor)
        little = Known({key: before.get(key) for key in touched_by(recorded)}, {})

        little.record(recorded)

        changed = {
            key: fact
            for key, fact in scenario.known.staged.items()
            if key not in before or before[key] != fact
        }
        assert changed.items() <= little.staged.items()
        assert all(scenario.known[key] == fact for key, fact in little.staged.items())


# ── leases ─────────────────────────────────────────────────────────────────────────────


def leases(scenario: Scenario) -> list[Lease]:
    """Every lease there was, in the order of their tokens."""
    found = [fact for fact in scenario.known.staged.values() if isinstance(fact, Lease)]
    return sorted(found, key=lambda lease: lease.fencing_token)


def test_checking_out_begins_a_lease() -> None:
    """What the issue says of its holder, kept for when it will have another."""
    scenario = at_work(lease_seconds=600)
    issue = scenario.issue()
    assert issue.held_since is not None
    assert issue.lease_expires_at is not None
    assert issue.fencing_token is not None

    assert leases(scenario) == [
        Lease(
            issue_id=ISSUE,
            fencing_token=issue.fencing_token,
            run_id=RUN,
            agent_id="coder",
            lease_seconds=600,
            acquired_at=issue.held_since,
            expires_at=issue.lease_expires_at,
        )
    ]
    assert scenario.known[("lease", ISSUE, str(issue.fencing_token))] == leases(scenario)[0]


def test_renewing_is_the_same_lease_for_longer() -> None:
    """It was acquired when it was acquired."""
    scenario = at_work(lease_seconds=600)
    (before,) = leases(scenario)

    scenario.given(coder.renews(lease_seconds=900))

    (after,) = leases(scenario)
    assert after.expires_at == scenario.known.now + timedelta(seconds=900)
    assert (after.acquired_at, after.ended_at) == (before.acquired_at, None)
    assert after.lease_seconds == 900


@pytest.mark.parametrize(
    ("then", "ended_by"),
    [
        (coder.releases(), "issue.released"),
        (coder.submits(), "issue.submitted"),
        (coder.finishes(), "issue.transitioned"),
        (alice.pauses(), "issue.paused"),
        (alice.reassigns("user:bob"), "issue.reassigned"),
        (alice.links("blocked_by"), "issue.blocked"),
        (alice.deletes(), "issue.deleted"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_lease_says_when_and_by_what_it_ended(then: Command, ended_by: str) -> None:
    """When it would have run out stays beside it."""
    scenario = at_work()
    (before,) = leases(scenario)

    scenario.given(then)

    (after,) = leases(scenario)
    ended_at = next(one.at for one in scenario.recorded if one.event.type == ended_by)
    assert (after.ended_at, after.ended_by) == (ended_at, ended_by)
    assert after.expires_at == before.expires_at


@pytest.mark.parametrize("status", ["in_review", "handoff"])
def test_moving_what_stays_held_changes_no_lease(status: str) -> None:
    """The hold goes on, and with it the lease."""
    scenario = at_work()
    before = leases(scenario)

    scenario.given(coder.moves(status), coder.moves("in_progress"))

    assert leases(scenario) == before


def test_a_claim_ends_one_lease_and_begins_another() -> None:
    """Both are kept."""
    scenario = at_work().later(days=1).given(reviewer.checks_out(run=OTHER_RUN))

    first, second = leases(scenario)
    assert (first.run_id, first.ended_by) == (RUN, "issue.lease_expired")
    assert (second.run_id, second.ended_at) == (OTHER_RUN, None)
    assert first.ended_at is not None
    assert first.expires_at < first.ended_at <= second.acquired_at


Step: TypeAlias = Callable[[str], Command]

STEPS: list[Step] = [
    lambda run: coder.checks_out(run=run),
    lambda run: coder.checks_out(run=run, names_run=False),
    lambda run: bob.checks_out(agent="reviewer", run=run),
    lambda _: coder.renews(),
    lambda _: coder.releases(),
    lambda _: operator.expires(),
    lambda _: alice.moves("in_review"),
    lambda _: alice.moves("done"),
    lambda _: alice.moves("todo"),
    lambda _: alice.pauses(),
    lambda _: alice.resumes(),
    lambda _: alice.links("blocked_by"),
    lambda _: alice.unlinks(),
]


@settings(deadline=None)
@for_all(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 20)), max_size=25))
def test_an_issue_has_one_lease_at_a_time(steps: list[tuple[Step, int]]) -> None:
    """One for each checkout; all have ended but that of who holds it now; none overlap."""
    scenario = given(alice.creates(), alice.creates(SECOND))
    for n, (step, minutes) in enumerate(steps):
        carried_out(scenario.later(minutes=minutes), [step(an_id(100 + n))])
    found, issue = leases(scenario), scenario.issue()

    assert [lease.fencing_token for lease in found] == [
        one.version for one in scenario.recorded if isinstance(one.event, e.IssueCheckedOut)
    ]
    live = [lease for lease in found if lease.ended_at is None]
    assert [(lease.run_id, lease.expires_at) for lease in live] == (
        [(issue.holder_run_id, issue.lease_expires_at)] if issue.holder_run_id else []
    )
    for former, later in pairwise(found):
        assert former.ended_at is not None
        assert former.ended_at <= later.acquired_at


# ── blocking ───────────────────────────────────────────────────────────────────────────


def test_an_issue_that_nothing_blocks_has_no_blockers() -> None:
    """Nor has one that blocks nothing any dependents."""
    known = given(alice.creates()).known

    assert (known.blockers(ISSUE), known.dependents(ISSUE)) == ((), ())


def test_a_link_that_blocks_is_known_from_both_ends() -> None:
    """Whichever of them it was said of; those linked first stand first."""
    scenario = at_work().given(
        alice.links("blocked_by", SECOND, ISSUE), alice.links("blocks", ISSUE, THIRD, an_id(32))
    )

    assert scenario.known.blockers(ISSUE) == (SECOND, THIRD)
    assert scenario.known.dependents(SECOND) == scenario.known.dependents(THIRD) == (ISSUE,)
    assert scenario.known.blockers(SECOND) == scenario.known.dependents(ISSUE) == ()


def test_a_link_that_was_taken_away_is_known_at_neither_end() -> None:
    """The others stay, in their order."""
    scenario = at_work().given(
        alice.links("blocked_by", SECOND), alice.links("blocked_by", THIRD, link=an_id(32))
    )

    scenario.given(alice.unlinks(LINK, SECOND))

    assert scenario.known.blockers(ISSUE) == (THIRD,)
    assert scenario.known.dependents(SECOND) == ()


@pytest.mark.parametrize("link_type", sorted({*LINK_TYPES, *INVERSES} - {"blocks", "blocked_by"}))
def test_other_links_block_nothing(link_type: str) -> None:
    """They are links, and no more."""
    scenario = at_work().given(alice.links(link_type))

    assert scenario.link() is not None
    assert scenario.known.blockers(ISSUE) == scenario.known.blockers(SECOND) == ()
    assert scenario.known.dependents(ISSUE) == scenario.known.dependents(SECOND) == ()


@pytest.mark.parametrize("then", [alice.moves("done", SECOND), alice.deletes(SECOND)])
def test_a_blocker_that_is_over_is_still_known(then: Command) -> None:
    """Whether it still blocks is for the rule to say: it may be reopened."""
    scenario = at_work().given(alice.links("blocked_by"), then)

    assert scenario.known.blockers(ISSUE) == (SECOND,)
    assert scenario.known.dependents(SECOND) == (ISSUE,)


ISSUES = [an_id(n) for n in range(1, 5)]
LINKS = [an_id(n) for n in range(31, 35)]
linking = st.builds(
    lambda link_type, source, target, link: alice.links(link_type, target, source, link),
    st.sampled_from(["blocks", "blocked_by", "relates_to"]),
    st.sampled_from(ISSUES),
    st.sampled_from(ISSUES),
    st.sampled_from(LINKS),
)
unlinking = st.builds(
    lambda link, issue: alice.unlinks(link, issue), st.sampled_from(LINKS), st.sampled_from(ISSUES)
)


@settings(deadline=None)
@for_all(st.lists(linking | unlinking, max_size=15))
def test_blockers_and_dependents_are_the_links_there_are(asked: list[Command]) -> None:
    """From the one end and from the other."""
    scenario = carried_out(given(*(alice.creates(one) for one in ISSUES)), asked)
    linked = {
        (link.issue_id, link.target_id)
        for one in LINKS
        if (link := scenario.link(one)) and link.link_type == "blocked_by"
    }

    above = [(one, other) for one in ISSUES for other in scenario.known[blockers(one)] or ()]
    below = [(other, one) for one in ISSUES for other in scenario.known[dependents(one)] or ()]

    assert set(above) == set(below) == linked
    assert len(above) == len(below) == len(linked)


# ── spent ──────────────────────────────────────────────────────────────────────────────


def test_a_cost_counts_for_the_issue_the_agent_and_the_company() -> None:
    """For the issue for ever; for the others in the month in which it is written down."""
    known = at_work().given(coder.reports(cost_micros=7), coder.reports(cost_micros=5)).known

    assert known.spent(spent("issue", ISSUE, "")) == 12
    assert known.spent(spent("agent", "coder", MONTH)) == 12
    assert known.spent(spent("company", COMPANY_ID, MONTH)) == 12


def test_what_is_spent_is_told_apart() -> None:
    """By issue, by agent, and by month."""
    scenario = at_work().given(
        reviewer.checks_out(SECOND, run=OTHER_RUN),
        coder.reports(cost_micros=1),
        reviewer.reports(OTHER_RUN, SECOND, cost_micros=10),
    )
    known = scenario.later(days=30).given(coder.reports(cost_micros=100)).known

    assert known.spent(spent("issue", ISSUE, "")) == 101
    assert known.spent(spent("issue", SECOND, "")) == 10
    assert known.spent(spent("agent", "coder", MONTH)) == 1
    assert known.spent(spent("agent", "coder", "2026-05")) == 100
    assert known.spent(spent("agent", "reviewer", MONTH)) == 10
    assert known.spent(spent("company", COMPANY_ID, MONTH)) == 11
    assert known.spent(spent("company", COMPANY_ID, "2026-05")) == 100


def test_where_nothing_was_spent_it_is_nothing() -> None:
    """But whoever asks must have looked."""
    key = spent("issue", ISSUE, "")

    assert Known({key: None}, {}).spent(key) == 0
    with pytest.raises(Missing):
        Known({}, {}).spent(key)


def test_a_month_is_a_month_in_utc() -> None:
    """Wherever the clock that told the time hangs."""
    late_in_new_york = datetime(2026, 4, 30, 23, 30, tzinfo=timezone(timedelta(hours=-4)))

    assert month_of(late_in_new_york) == "2026-05"
    assert month_of(datetime(2026, 4, 30, 23, 59, 59, tzinfo=UTC)) == "2026-04"
    assert spending(COMPANY_ID, ISSUE, "coder", late_in_new_york) == [
        spent("issue", ISSUE, ""),
        spent("agent", "coder", "2026-05"),
        spent("company", COMPANY_ID, "2026-05"),
    ]


@settings(deadline=None)
@for_all(
    st.lists(st.tuples(st.integers(0, 10**12), st.booleans(), st.integers(0, 20)), max_size=12)
)
def test_sums_are_exact(reported: list[tuple[int, bool, int]]) -> None:
    """However many report, and over however many months."""
    scenario = given(alice.creates(), alice.creates(SECOND)).given(
        coder.checks_out(), reviewer.checks_out(SECOND, run=OTHER_RUN)
    )
    for micros, first, days in reported:
        asked = (
            coder.reports(cost_micros=micros)
            if first
            else reviewer.reports(OTHER_RUN, SECOND, cost_micros=micros)
        )
        scenario.later(days=days).given(asked)
    known = scenario.known
    months = {month_of(one.recorded_at) for one in scenario.recorded}

    def total(scope: str, ids: list[str], months: Iterable[str]) -> int:
        return sum(known.spent(spent(scope, one, month)) for one in ids for month in months)

    assert total("issue", [ISSUE, SECOND], [""]) == sum(micros for micros, _, _ in reported)
    assert total("issue", [ISSUE], [""]) == total("agent", ["coder"], months)
    assert total("company", [COMPANY_ID], months) == total("agent", ["coder", "reviewer"], months)


# ── workload ───────────────────────────────────────────────────────────────────────────

ASSIGNEES = ["agent:coder", "agent:reviewer"]
assigning = st.builds(
    lambda issue, assignee: alice.reassigns(assignee, issue),
    st.sampled_from(ISSUES),
    st.sampled_from([*ASSIGNEES, "user:bob"]),
)
changing = st.sampled_from(ISSUES).flatmap(
    lambda issue: st.sampled_from(
        [
            alice.moves("done", issue),
            alice.moves("failed", issue),
            alice.moves("in_review", issue),
            alice.reopens(issue),
            alice.unassigns(issue),
            alice.deletes(issue),
        ]
    )
)


@settings(deadline=None)
@for_all(
    st.lists(assigning | changing, max_size=12),
    st.lists(assigning | changing | st.just(alice.creates(ISSUES[3])), max_size=12),
)
def test_how_much_there_is_to_do_does_not_depend_on_where_the_batch_began(
    before: list[Command], within: list[Command]
) -> None:
    """What was counted before it, and what it changed since, is what is counted after it."""
    whole = carried_out(given(*(alice.creates(one) for one in ISSUES[:3])), before)
    batch = Scenario()
    loaded = _Everything(whole.known.staged)
    before_it = whole.known.workloads(ASSIGNEES)
    counted: dict[FactKey, Any] = {workload(one): count for one, count in before_it.items()}
    batch.known, batch.recorded = Known(loaded, {}, whole.known.now, counted), [*whole.recorded]

    carried_out(whole, within)
    carried_out(batch, within)

    for one in ASSIGNEES:
        unfinished = [
            issue
            for issue in whole.issues()
            if issue.assignee == one
            and issue.deleted_at is None
            and issue.status not in ("done", "closed", "failed", "cancelled")
        ]
        assert (
            batch.known.workloads([one]) == whole.known.workloads([one]) == {one: len(unfinished)}
        )


class _Everything(dict[FactKey, Any]):
    """Everything that was known before the batch; what is not in it, there is not."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: FactKey) -> None:
        return None
