"""Blocking: what waits for what, what the end of a blocker opens, and what is refused for it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ledger import events as e
from ledger.commands import Command
from ledger.decisions.blocking import MAX_BLOCKERS
from ledger.errors import (
    BlockingCycle,
    DependentsOpen,
    HierarchyCycle,
    IssueBlocked,
    IssueHeld,
    NothingToClaim,
    TooMany,
)
from tests.scenario import (
    ISSUE,
    LINK,
    OTHER_RUN,
    RUN,
    SECOND,
    THIRD,
    Caller,
    Scenario,
    alice,
    an_id,
    bob,
    change,
    coder,
    operator,
    reviewer,
)
from tests.workflows import TOLD, brought_to, company_of

OTHER_LINK = an_id(32)
MOVING = [name for name, told in TOLD.items() if told.moved_by_links]
RECORDING = [name for name, told in TOLD.items() if not told.moved_by_links]
WAITING = ("backlog", "todo", "in_progress", "in_review", "handoff")
"""What may come to be blocked, where there is such a status."""

LINKS: Mapping[str, Command] = {
    "blocked_by": bob.links("blocked_by", SECOND, ISSUE),
    "blocks": bob.links("blocks", ISSUE, SECOND),
}
"""The two ways to say that ISSUE waits for SECOND."""


def two(workflow: str = "default", *commands: Command) -> Scenario:
    """ACM-1 and ACM-2, of which the first is to wait for the second."""
    return company_of(workflow, alice.creates(ISSUE), alice.creates(SECOND), *commands)


def blocked(workflow: str = "default") -> Scenario:
    """ACM-1 is blocked by ACM-2."""
    return two(workflow, LINKS["blocked_by"])


# ── linking ────────────────────────────────────────────────────────────────────────────


def test_these_workflows_move_issues_by_links() -> None:
    """The default one, and that of the platform which promises it."""
    assert MOVING == ["default", "exolvra"]


@pytest.mark.parametrize("by", LINKS.values(), ids=LINKS)
@pytest.mark.parametrize(
    ("workflow", "status"),
    [(name, s) for name in MOVING for s in WAITING if s in TOLD[name].statuses],
)
def test_an_unfinished_blocker_blocks(workflow: str, status: str, by: Command) -> None:
    """From whatever it was, in the same decision, asked from either end."""
    scenario = brought_to(two(workflow), status)

    answer = scenario.when(by)

    assert answer.streams == (("issue", ISSUE), ("issue", ISSUE))
    after = answer.then(
        e.IssueLinked(
            link_id=LINK, link_type="blocked_by", target_id=SECOND, target_identifier="ACM-2"
        ),
        e.IssueBlocked(
            from_status=status,
            to_status="blocked",
            reason="blocked by ACM-2",
            blocker_id=SECOND,
        ),
    )
    assert after.issue().status == "blocked"


@pytest.mark.parametrize("by", LINKS.values(), ids=LINKS)
@pytest.mark.parametrize(
    ("workflow", "status"),
    [(name, s) for name in RECORDING for s in WAITING if s in TOLD[name].statuses],
)
def test_elsewhere_a_link_is_recorded(workflow: str, status: str, by: Command) -> None:
    """And moves nothing."""
    scenario = brought_to(two(workflow), status)

    scenario.when(by).then_only(e.IssueLinked)

    assert scenario.given(by).issue().status == status


@pytest.mark.parametrize(
    ("workflow", "status"),
    [
        (name, s)
        for name in MOVING
        for s in ("done", "closed", "cancelled")
        if s in TOLD[name].statuses
    ],
)
@pytest.mark.parametrize("by", LINKS.values(), ids=LINKS)
def test_a_finished_blocker_never_blocks(workflow: str, status: str, by: Command) -> None:
    """What it was to make is there, or is not wanted any more."""
    scenario = brought_to(two(workflow), status, SECOND)

    scenario.when(by).then_only(e.IssueLinked)


@pytest.mark.parametrize("by", LINKS.values(), ids=LINKS)
def test_a_blocker_that_failed_blocks(by: Command) -> None:
    """What it was to make is not there."""
    scenario = brought_to(two(), "failed", SECOND)

    scenario.when(by).then_also(e.IssueBlocked)


@pytest.mark.parametrize(
    ("workflow", "status"),
    [
        (name, s)
        for name in MOVING
        for s in ("done", "closed", "failed", "cancelled", "blocked")
        if s in TOLD[name].statuses
    ],
)
def test_what_is_over_or_blocked_already_is_not_blocked(workflow: str, status: str) -> None:
    """There is nothing to wait for, or it waits already."""
    scenario = brought_to(two(workflow), status)

    scenario.when(LINKS["blocked_by"]).then_only(e.IssueLinked)


@pytest.mark.parametrize("link_type", ["relates_to", "duplicates", "tracks", "discovered_from"])
def test_other_links_block_nothing(link_type: str) -> None:
    """They are said for people to read."""
    two().when(bob.links(link_type)).then_only(e.IssueLinked)


@pytest.mark.parametrize("who", [coder, alice, bob, operator])
@pytest.mark.parametrize("status", ["in_progress", "in_review", "handoff"])
def test_blocking_what_is_worked_on_ends_the_lease_and_the_run(who: Caller, status: str) -> None:
    """By its holder, or by people: the attempt is over, and the next one is a new run."""
    scenario = two("default", coder.checks_out(), coder.moves(status))
    assert scenario.issue().holder_run_id == RUN

    answer = scenario.when(who.links("blocked_by"))

    assert answer.then_also(e.RunEnded) == e.RunEnded(
        issue_id=ISSUE, agent_id="coder", exit_reason="blocked", exit_details=None
    )
    issue = scenario.given(answer.command).issue()
    assert (issue.holder_run_id, issue.fencing_token, issue.lease_expires_at) == (None, None, None)
    assert (issue.status, issue.assignee) == ("blocked", "agent:coder")
    assert scenario.run().ended_at is not None


@pytest.mark.parametrize(
    "by", [reviewer.links("blocked_by"), reviewer.links("blocks", ISSUE, SECOND)]
)
def test_a_rival_agent_does_not_block_what_another_one_holds(by: Command) -> None:
    """Asked from either end."""
    two("default", coder.checks_out()).when(by).then_refused(IssueHeld)


def test_a_rival_agent_may_say_what_takes_nothing_from_the_holder() -> None:
    """A link that only is recorded, or to a blocker that is finished."""
    two("nxr", coder.checks_out()).when(reviewer.links("blocked_by")).then_only(e.IssueLinked)
    finished = brought_to(two("default", coder.checks_out()), "done", SECOND)
    finished.when(reviewer.links("blocked_by")).then_only(e.IssueLinked)


# ── freeing ────────────────────────────────────────────────────────────────────────────

SETTLES: Mapping[str, tuple[list[Command], Command]] = {
    "moved to done": ([], alice.moves("done", SECOND)),
    "moved to closed by force": ([], alice.moves("closed", SECOND, force=True)),
    "moved to cancelled": ([], alice.moves("cancelled", SECOND)),
    "accepted": ([alice.moves("in_review", SECOND)], bob.accepts(SECOND)),
    "cancelled": ([], bob.cancels(SECOND)),
    "closed by force": ([], bob.closes(SECOND, force=True)),
    "finished by its run": ([coder.checks_out(SECOND)], coder.finishes(RUN, SECOND)),
    "moved by its holder": ([coder.checks_out(SECOND)], coder.moves("done", SECOND)),
    "deleted": ([], alice.deletes(SECOND)),
    "unlinked": ([], bob.unlinks()),
    "unlinked from the other end": ([], bob.unlinks(issue=SECOND)),
    "cancelled after it failed": ([alice.fails(SECOND)], alice.moves("cancelled", SECOND)),
    "closed after it failed": ([alice.fails(SECOND)], alice.closes(SECOND, force=True)),
    "deleted after it failed": ([alice.fails(SECOND)], alice.deletes(SECOND)),
    "unlinked after it failed": ([alice.fails(SECOND)], bob.unlinks()),
}
"""Every way in which ACM-2 may come to block ACM-1 no more."""

UNBLOCKED = e.IssueUnblocked(
    from_status="blocked", to_status="todo", reason=None, blocker_id=SECOND
)


@pytest.mark.parametrize(("before", "settles"), SETTLES.values(), ids=SETTLES)
def test_settling_the_last_blocker_opens_what_it_blocked(
    before: list[Command], settles: Command
) -> None:
    """By whichever way, in the same decision, in the stream of what was blocked."""
    scenario = blocked().given(*before)
    assert scenario.issue().status == "blocked"

    answer = scenario.when(settles)

    assert answer.then_also(e.IssueUnblocked) == UNBLOCKED
    assert answer.streams[answer.events.index(UNBLOCKED)] == ("issue", ISSUE)
    assert scenario.given(settles).issue().status == "todo"


@pytest.mark.parametrize(("before", "settles"), SETTLES.values(), ids=SETTLES)
def test_settling_a_blocker_that_is_not_the_last_opens_nothing(
    before: list[Command], settles: Command
) -> None:
    """The other one still blocks; the end of that one opens it then."""
    scenario = blocked().given(
        alice.creates(THIRD), bob.links("blocked_by", THIRD, link=OTHER_LINK), *before, settles
    )
    assert scenario.issue().status == "blocked"

    opened = scenario.when(alice.moves("done", THIRD)).then_also(e.IssueUnblocked)

    assert (opened.to_status, opened.blocker_id) == ("todo", THIRD)


@pytest.mark.parametrize("ends", ["done", "closed", "cancelled"])
def test_the_other_blockers_may_have_ended_in_any_way(ends: str) -> None:
    """Whichever was the last opens it, the others being finished."""
    scenario = blocked().given(
        alice.creates(THIRD), bob.links("blocked_by", THIRD, link=OTHER_LINK)
    )
    scenario.given(alice.moves(ends, THIRD, force=True))

    assert scenario.when(alice.deletes(SECOND)).then_also(e.IssueUnblocked).blocker_id == SECOND


def test_the_end_of_a_blocker_opens_all_that_waited_for_it_alone() -> None:
    """And leaves blocked what waits for another one, too."""
    others = [an_id(n) for n in (101, 102, 103)]
    scenario = two("default", alice.creates(THIRD), *(alice.creates(one) for one in others))
    for n, one in enumerate(others):
        scenario.given(bob.links("blocked_by", SECOND, one, an_id(201 + n)))
    scenario.given(bob.links("blocked_by", THIRD, others[1], an_id(210)))

    scenario.given(alice.moves("done", SECOND))

    assert [scenario.issue(one).status for one in others] == ["todo", "blocked", "todo"]


STILL_BLOCKING: Mapping[str, Command] = {
    "failed": alice.fails(SECOND),
    "moved to failed": alice.moves("failed", SECOND),
    "moved on": alice.moves("in_review", SECOND),
    "checked out": coder.checks_out(SECOND),
    "failed with its run": coder.gives_up(OTHER_RUN, SECOND, retry=False),
    "paused": alice.pauses(SECOND),
}


@pytest.mark.parametrize("then", STILL_BLOCKING.values(), ids=STILL_BLOCKING)
def test_a_blocker_that_is_not_settled_goes_on_blocking(then: Command) -> None:
    """One that failed as well: what it was to make is not there."""
    scenario = blocked()
    if then.name == "fail_run":
        scenario.given(coder.checks_out(SECOND, run=OTHER_RUN))

    assert [type(one) for one in scenario.when(then).events].count(e.IssueUnblocked) == 0
    assert scenario.given(then).issue().status == "blocked"


@pytest.mark.parametrize(
    "meanwhile",
    [
        alice.moves("todo"),
        alice.moves("in_progress"),
        alice.moves("done"),
        alice.cancels(),
        alice.checks_out(agent="coder"),
        alice.deletes(),
    ],
)
def test_only_what_is_still_blocked_is_opened(meanwhile: Command) -> None:
    """Whatever somebody made of it in between stays."""
    scenario = blocked().given(meanwhile)
    status = scenario.issue().status

    scenario.when(alice.moves("done", SECOND)).then_only(e.IssueTransitioned)

    assert scenario.given(alice.moves("done", SECOND)).issue().status == status


@pytest.mark.parametrize("workflow", ["aimetier", "nxr"])
@pytest.mark.parametrize("settles", [alice.cancels(SECOND), alice.deletes(SECOND), bob.unlinks()])
def test_elsewhere_what_was_blocked_by_hand_stays_blocked(workflow: str, settles: Command) -> None:
    """Links move nothing there, in neither direction."""
    scenario = brought_to(blocked(workflow), "blocked")

    scenario.given(settles)

    assert scenario.issue().status == "blocked"


@pytest.mark.parametrize("status", WAITING)
@pytest.mark.parametrize("by_hand", [False, True], ids=["by the link", "by hand"])
def test_what_was_blocked_goes_back_to_where_it_waited(status: str, by_hand: bool) -> None:
    """To the backlog if it was there, else among the ready: no attempt is going on."""
    scenario = brought_to(two(), status)
    if by_hand:
        brought_to(scenario, "blocked")
    scenario.given(LINKS["blocked_by"])
    assert scenario.issue().status == "blocked"

    scenario.given(alice.moves("done", SECOND))

    assert scenario.issue().status == ("backlog" if status == "backlog" else "todo")


def test_where_it_waited_is_remembered_while_it_is_blocked() -> None:
    """However many blockers it gets, and whatever else happens to it."""
    scenario = brought_to(two(), "backlog").given(
        LINKS["blocked_by"],
        alice.creates(THIRD),
        bob.links("blocked_by", THIRD, link=OTHER_LINK),
        alice.edits(title="Another title"),
        alice.pauses(),
        alice.resumes(),
        alice.reassigns("user:bob"),
    )
    assert scenario.issue().status == "blocked"

    scenario.given(alice.moves("done", SECOND), alice.moves("done", THIRD))

    assert scenario.issue().status == "backlog"


def test_where_it_waited_is_remembered_for_one_blocking_alone() -> None:
    """Once it was opened, the next time counts."""
    scenario = brought_to(two(), "backlog").given(
        LINKS["blocked_by"], bob.unlinks(), alice.moves("todo"), LINKS["blocked_by"]
    )

    assert scenario.given(bob.unlinks()).issue().status == "todo"


def test_a_blocker_settled_twice_opens_nothing_twice() -> None:
    """From one settled status to another, and deleted when it was done already."""
    scenario = blocked().given(alice.moves("done", SECOND))
    brought_to(scenario, "blocked")

    scenario.when(alice.moves("closed", SECOND, force=True)).then_only(e.IssueTransitioned)
    scenario.when(alice.deletes(SECOND)).then_only(e.IssueDeleted)


def test_unlinking_a_finished_blocker_opens_what_is_blocked_for_nothing() -> None:
    """It had no other blocker left."""
    scenario = brought_to(blocked(), "done", SECOND)
    assert scenario.issue().status == "blocked"

    scenario.when(bob.unlinks()).then_also(e.IssueUnblocked)


def test_unlinking_something_else_opens_nothing() -> None:
    """A relation is no blocker."""
    scenario = blocked().given(bob.links("relates_to", link=OTHER_LINK))

    scenario.when(bob.unlinks(OTHER_LINK)).then_only(e.IssueUnlinked)


# ── cycles ─────────────────────────────────────────────────────────────────────────────


def chain(length: int, workflow: str = "default") -> Scenario:
    """Issues 1, 2, … of which each is blocked by the next."""
    scenario = company_of(workflow, *(alice.creates(an_id(n)) for n in range(1, length + 1)))
    for n in range(1, length):
        scenario.given(bob.links("blocked_by", an_id(n + 1), an_id(n), an_id(1000 + n)))
    return scenario


@pytest.mark.parametrize("length", [2, 3, 5, 40])
@pytest.mark.parametrize("link_type", ["blocked_by", "blocks"])
def test_nothing_comes_to_block_itself(length: int, link_type: str) -> None:
    """By however long a way, asked from either end; the refusal tells the way."""
    first, last = an_id(1), an_id(length)
    asked = (
        bob.links("blocked_by", first, last)
        if link_type == "blocked_by"
        else bob.links("blocks", last, first)
    )

    refusal = chain(length).when(asked).then_refused(BlockingCycle)

    assert refusal.pointer == "/target_id"
    way = [an_id(n) for n in range(length, 0, -1)]
    assert refusal.facts["path"] == [*way, last], "each blocks the next, back to the first"


@pytest.mark.parametrize("workflow", TOLD)
def test_cycles_are_refused_in_every_workflow(workflow: str) -> None:
    """Also where links are only recorded."""
    chain(3, workflow).when(bob.links("blocked_by", an_id(1), an_id(3))).then_refused(BlockingCycle)


def test_the_halves_of_a_cycle_are_decided_one_after_the_other() -> None:
    """Whichever comes first stands, and the other one is refused."""
    one = bob.links("blocked_by", SECOND, ISSUE, LINK)
    other = bob.links("blocked_by", ISSUE, SECOND, OTHER_LINK)

    two().given(one).when(other).then_refused(BlockingCycle)
    two().given(other).when(one).then_refused(BlockingCycle)


@pytest.mark.parametrize("then", [alice.moves("done", an_id(2)), alice.deletes(an_id(2))])
def test_a_cycle_over_what_is_over_is_a_cycle(then: Command) -> None:
    """It may be reopened, and its links are still there."""
    scenario = chain(3).given(then)

    scenario.when(bob.links("blocked_by", an_id(1), an_id(3))).then_refused(BlockingCycle)


def test_a_cycle_that_was_cut_is_none() -> None:
    """Once a link of the way is gone."""
    scenario = chain(3).given(bob.unlinks(an_id(1001)))

    scenario.when(bob.links("blocked_by", an_id(1), an_id(3))).then_also(e.IssueLinked)


def test_two_ways_to_one_blocker_are_no_cycle() -> None:
    """A diamond ends at its tip."""
    scenario = chain(3).given(alice.creates(an_id(4)))

    scenario.given(
        bob.links("blocked_by", an_id(4), an_id(1), an_id(2001)),
        bob.links("blocked_by", an_id(3), an_id(4), an_id(2002)),
    )

    scenario.when(bob.links("blocked_by", an_id(3), an_id(1))).then_only(e.IssueLinked)


def test_other_links_may_run_in_a_circle() -> None:
    """They block nothing."""
    two("default", bob.links("tracks")).when(
        bob.links("tracks", ISSUE, SECOND, OTHER_LINK)
    ).then_only(e.IssueLinked)


def test_both_halves_of_a_cycle_of_parents() -> None:
    """Whichever comes first stands, and the other one is refused."""
    one, other = alice.edits(ISSUE, parent_id=SECOND), alice.edits(SECOND, parent_id=ISSUE)

    for first, then in ((one, other), (other, one)):
        refusal = two().given(first).when(then).then_refused(HierarchyCycle)
        assert refusal.pointer == "/parent_id"


def test_a_parent_may_wait_for_its_child() -> None:
    """Blocking and belonging are two graphs, and neither is a way in the other."""
    scenario = two("default", alice.edits(SECOND, parent_id=ISSUE), LINKS["blocked_by"])

    scenario.when(alice.edits(SECOND, parent_id=None)).then(
        e.IssueEdited(changes={"parent_id": change(ISSUE, None)})
    )
    assert scenario.issue().status == "blocked"


# ── what a decision may cost ───────────────────────────────────────────────────────────


def widely_blocked(above: int) -> Scenario:
    """ACM-1, and ACM-2 that so many others block."""
    scenario = two()
    for n in range(above):
        other = an_id(10_000 + n)
        scenario.given(
            alice.creates(other), bob.links("blocked_by", other, SECOND, an_id(50_000 + n))
        )
    return scenario


def test_so_many_issues_may_stand_above_one_and_no_more() -> None:
    """The way is searched under the company's lock: whoever is served next waits for it."""
    scenario = widely_blocked(MAX_BLOCKERS - 1)
    scenario.when(LINKS["blocked_by"]).then_also(e.IssueLinked)

    last = an_id(9_999)
    scenario.given(alice.creates(last), bob.links("blocked_by", last, SECOND, OTHER_LINK))

    refusal = scenario.when(LINKS["blocked_by"]).then_refused(TooMany)
    assert refusal.pointer == "/target_id"


# ── checking out ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("workflow", ["default", "exolvra", "ca"])
def test_agents_leave_alone_what_is_blocked(workflow: str) -> None:
    """The refusal names the blockers, and how they stand."""
    scenario = blocked(workflow)

    refusal = scenario.when(coder.checks_out()).then_refused(IssueBlocked)

    assert refusal.code == "issue_blocked"
    assert refusal.facts["blockers"] == [
        {"id": SECOND, "identifier": "ACM-2", "status": TOLD[workflow].initial}
    ]
    assert "ACM-2" in refusal.message


@pytest.mark.parametrize("workflow", ["default", "exolvra", "ca"])
@pytest.mark.parametrize("who", [alice, bob, operator])
def test_people_send_an_agent_to_what_is_blocked(workflow: str, who: Caller) -> None:
    """Open dependencies keep agents' hands off, not a person's."""
    answer = blocked(workflow).when(who.checks_out(agent="coder"))

    assert answer.then_also(e.IssueCheckedOut).to_status == "in_progress"


@pytest.mark.parametrize("workflow", ["crews", "aimetier", "nxr"])
def test_where_links_are_only_recorded_they_keep_nobody_from_work(workflow: str) -> None:
    """Whoever asks for it by name, gets it."""
    blocked(workflow).when(coder.checks_out()).then_also(e.IssueCheckedOut)


@pytest.mark.parametrize("workflow", ["default", "exolvra"])
def test_agents_leave_alone_what_was_moved_but_still_has_a_blocker(workflow: str) -> None:
    """It is the blocker that keeps them, not the word."""
    scenario = blocked(workflow).given(alice.moves("todo"))

    scenario.when(coder.checks_out()).then_refused(IssueBlocked)


@pytest.mark.parametrize("workflow", ["default", "exolvra"])
def test_agents_may_take_what_was_blocked_by_hand(workflow: str) -> None:
    """It waits for something that the ledger does not know."""
    scenario = brought_to(two(workflow), "blocked")

    assert scenario.when(coder.checks_out()).then_also(e.IssueCheckedOut).from_status == "blocked"


def test_a_blocker_that_failed_keeps_agents_away() -> None:
    """Until a person settles what is to become of it."""
    scenario = blocked().given(alice.fails(SECOND))
    scenario.when(coder.checks_out()).then_refused(IssueBlocked)

    scenario.given(alice.moves("cancelled", SECOND))

    scenario.when(coder.checks_out()).then_also(e.IssueCheckedOut)


@pytest.mark.parametrize("workflow", TOLD)
def test_claiming_passes_over_what_has_an_open_blocker(workflow: str) -> None:
    """In every workflow: nobody asked for this very issue. The blocker itself is there to take."""
    scenario = brought_to(brought_to(blocked(workflow), "todo"), "todo", SECOND)

    scenario.given(coder.claims_next())

    assert scenario.issue(SECOND).holder_run_id == RUN
    scenario.when(reviewer.claims_next(run=OTHER_RUN)).then_refused(NothingToClaim)


# ── closing ────────────────────────────────────────────────────────────────────────────

CLOSING = [name for name, told in TOLD.items() if "closed" in told.statuses]
CLOSES: Mapping[str, tuple[Command, Command]] = {
    "by the verb": (bob.closes(SECOND), bob.closes(SECOND, force=True)),
    "by naming the status": (
        bob.moves("closed", SECOND),
        bob.moves("closed", SECOND, force=True),
    ),
}


@pytest.mark.parametrize(("closes", "forces"), CLOSES.values(), ids=CLOSES)
@pytest.mark.parametrize("workflow", CLOSING)
def test_what_others_wait_for_is_not_closed(
    workflow: str, closes: Command, forces: Command
) -> None:
    """The refusal names them; force closes it all the same."""
    scenario = blocked(workflow)

    refusal = scenario.when(closes).then_refused(DependentsOpen)

    status = scenario.issue().status
    assert refusal.facts["dependents"] == [{"id": ISSUE, "identifier": "ACM-1", "status": status}]
    assert refusal.facts["current"]["identifier"] == "ACM-2"
    assert "ACM-1" in refusal.message
    assert scenario.given(forces).issue(SECOND).status == "closed"


@pytest.mark.parametrize("forced", [False, True])
def test_the_event_tells_whether_a_close_was_forced(forced: bool) -> None:
    """Whoever reads it later knows that somebody insisted."""
    closed = two().when(bob.closes(SECOND, force=forced)).then_only(e.IssueClosed)

    assert closed.forced is forced


@pytest.mark.parametrize(("closes", "forces"), CLOSES.values(), ids=CLOSES)
def test_a_forced_close_opens_what_waited(closes: Command, forces: Command) -> None:
    """The blocker is settled, in the same decision."""
    scenario = blocked()
    scenario.when(closes).then_refused(DependentsOpen)

    assert scenario.when(forces).then_also(e.IssueUnblocked).blocker_id == SECOND


@pytest.mark.parametrize("status", WAITING)
@pytest.mark.parametrize(("closes", "forces"), CLOSES.values(), ids=CLOSES)
def test_a_dependent_is_open_in_whatever_status_it_waits(
    status: str, closes: Command, forces: Command
) -> None:
    """Though somebody moved it out of blocked."""
    scenario = brought_to(blocked(), status)

    scenario.when(closes).then_refused(DependentsOpen)
    assert scenario.given(forces).issue().status == status


@pytest.mark.parametrize(
    "over",
    [
        alice.moves("done"),
        alice.moves("failed"),
        alice.cancels(),
        alice.closes(),
        alice.deletes(),
        bob.unlinks(),
    ],
)
@pytest.mark.parametrize(("closes", "forces"), CLOSES.values(), ids=CLOSES)
def test_what_nobody_waits_for_is_closed(over: Command, closes: Command, forces: Command) -> None:
    """The dependents are finished, or gone, or none."""
    scenario = blocked().given(over)

    assert scenario.given(closes).issue(SECOND).status == "closed"


def test_its_own_blockers_do_not_keep_an_issue_from_being_closed() -> None:
    """Closing looks at those that wait for it."""
    assert blocked().given(alice.closes()).issue().status == "closed"


@pytest.mark.parametrize("ends", ["done", "cancelled"])
def test_open_dependents_keep_nothing_from_another_end(ends: str) -> None:
    """Finishing the blocker is what they wait for."""
    blocked().when(alice.moves(ends, SECOND)).then_also(e.IssueUnblocked)
