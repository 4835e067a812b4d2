"""An issue's own life: how it is numbered, what it may refer to, how it moves and ends."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from ledger import events as e
from ledger.actors import Actor
from ledger.commands import Command
from ledger.errors import (
    HierarchyCycle,
    HierarchyTooDeep,
    Invalid,
    IssueHeld,
    NotFound,
    Taken,
    TransitionNotAllowed,
)
from ledger.events import Json
from ledger.state import sha256_of
from ledger.workflow import FINISHED, HOLDABLE, STATUSES, WORKFLOWS
from tests.scenario import (
    ENTRY,
    ISSUE,
    NOBODYS,
    OTHER_ENTRY,
    RUN,
    SECOND,
    START,
    THIRD,
    Scenario,
    alice,
    an_id,
    bob,
    change,
    coder,
    given,
    operator,
    reviewer,
)

DEFAULT = WORKFLOWS["default"]
DUE = "2026-05-01T09:00:00.000000Z"


def ended(exit_reason: str) -> e.RunEnded:
    """The end of agent:coder's run."""
    return e.RunEnded(issue_id=ISSUE, agent_id="coder", exit_reason=exit_reason, exit_details=None)


# ── creating ───────────────────────────────────────────────────────────────────────────


def test_creating_an_issue_needs_only_a_title() -> None:
    """Everything else has a default: the workflow's first status, no priority, nobody's."""
    (created,) = given().when(alice.creates(title="Mend the roof")).events

    assert created == e.IssueCreated(
        identifier="ACM-1",
        prefix="ACM",
        number=1,
        title="Mend the roof",
        description=None,
        status="todo",
        priority="none",
        assignee=None,
        team_id=None,
        project_id=None,
        goal_id=None,
        milestone_id=None,
        parent_id=None,
        label_ids=(),
        due_at=None,
        estimate=None,
        sort_order=None,
        billing_code=None,
        external_system=None,
        external_id=None,
        per_task_micros=None,
    )


def test_creating_an_issue_keeps_every_field_that_was_given() -> None:
    """Fields without a rule go into the event as they came."""
    asked = alice.creates(
        description="It leaks.",
        status="backlog",
        priority="urgent",
        due_at=DUE,
        estimate=3,
        sort_order="1.50",
        billing_code="R-7",
        external_ref=("jira", "ABC-1"),
        per_task_micros=5_000_000,
    )

    created = given().when(asked).then_only(e.IssueCreated)

    assert (created.description, created.status, created.priority) == (
        "It leaks.",
        "backlog",
        "urgent",
    )
    assert (created.due_at, created.estimate, created.sort_order) == (DUE, 3, "1.50")
    assert (created.billing_code, created.external_system, created.external_id) == (
        "R-7",
        "jira",
        "ABC-1",
    )
    assert created.per_task_micros == 5_000_000


def test_issues_are_numbered_without_gaps() -> None:
    """The next number of a prefix follows the last, whatever was refused or deleted."""
    scenario = given(alice.creates(ISSUE), alice.creates(SECOND))
    scenario.when(alice.creates(THIRD, parent=NOBODYS)).then_refused(NotFound)
    scenario.given(alice.deletes(SECOND))

    assert scenario.when(alice.creates(THIRD)).then_only(e.IssueCreated).identifier == "ACM-3"


def test_a_teams_issues_are_numbered_under_its_own_prefix() -> None:
    """Each prefix counts for itself."""
    scenario = given(
        alice.lists("team", "Engineering", issue_prefix="ENG"),
        alice.creates(ISSUE),
        alice.creates(SECOND, team="engineering"),
        alice.creates(THIRD, team=ENTRY),
    )

    assert [scenario.issue(i).identifier for i in (ISSUE, SECOND, THIRD)] == [
        "ACM-1",
        "ENG-1",
        "ENG-2",
    ]
    assert scenario.issue(THIRD).team_id == ENTRY


def test_a_team_that_changes_its_prefix_and_back_goes_on_counting() -> None:
    """A number is never given out twice."""
    scenario = given(
        alice.lists("team", "Engineering", issue_prefix="ENG"),
        alice.creates(ISSUE, team=ENTRY),
        alice.changes("team", issue_prefix="NEW"),
        alice.creates(SECOND, team=ENTRY),
        alice.changes("team", issue_prefix="ENG"),
        alice.creates(THIRD, team=ENTRY),
    )

    assert [scenario.issue(i).identifier for i in (ISSUE, SECOND, THIRD)] == [
        "ENG-1",
        "NEW-1",
        "ENG-2",
    ]


@pytest.mark.parametrize("status", STATUSES)
def test_an_issue_may_begin_in_any_status_of_the_workflow(status: str) -> None:
    """An import knows issues that were done long ago."""
    scenario = given(alice.creates(status=status))

    assert scenario.issue().status == status
    assert (scenario.issue().completed_at is not None) == (status in FINISHED)


def test_creating_an_issue_in_an_unknown_status_is_invalid() -> None:
    """The refusal points at the field."""
    refusal = given().when(alice.creates(status="someday")).then_refused(Invalid)

    assert refusal.pointer == "/status"


@pytest.mark.parametrize("then", [[], [alice.deletes()]])
def test_an_issues_id_is_used_once(then: list[Command]) -> None:
    """Not even a deleted issue's id is used again."""
    scenario = given(alice.creates(), *then)

    assert scenario.when(alice.creates(ISSUE)).then_refused(Taken).pointer == "/id"


@pytest.mark.parametrize("kind", ["project", "goal", "milestone", "team"])
@pytest.mark.parametrize("ref", [ENTRY, "apollo", "APOLLO"])
def test_creating_an_issue_refers_to_entries_by_id_or_slug(kind: str, ref: str) -> None:
    """The event holds the id, whatever the caller called it."""
    created = (
        given(alice.lists(kind, "Apollo"))
        .when(alice.creates(**{kind: ref}))
        .then_only(e.IssueCreated)
    )

    assert getattr(created, f"{kind}_id") == ENTRY


@pytest.mark.parametrize("kind", ["project", "goal", "milestone", "team"])
@pytest.mark.parametrize("ref", [NOBODYS, "nowhere", OTHER_ENTRY])
def test_creating_an_issue_refuses_entries_that_are_not_there(kind: str, ref: str) -> None:
    """An unknown id, an unknown slug, and an entry of another kind are the same answer."""
    scenario = given(alice.lists("user", "Carol", OTHER_ENTRY))

    refusal = scenario.when(alice.creates(**{kind: ref})).then_refused(NotFound)

    assert refusal.pointer == f"/{kind}_id"


@pytest.mark.parametrize("kind", ["project", "goal", "milestone", "team"])
@pytest.mark.parametrize("ref", [ENTRY, "apollo"])
def test_creating_an_issue_refuses_archived_entries(kind: str, ref: str) -> None:
    """What was archived is referred to by old issues only."""
    scenario = given(alice.lists(kind, "Apollo"), alice.archives(kind))

    scenario.when(alice.creates(**{kind: ref})).then_refused(NotFound)


def test_creating_an_issue_takes_each_label_once() -> None:
    """A label called by its id, its slug and its name is one label."""
    scenario = given(alice.lists("label", "Needs Care"))

    created = scenario.when(alice.creates(labels=(ENTRY, "needs-care", "Needs Care")))

    assert created.then_only(e.IssueCreated).label_ids == (ENTRY,)


def test_creating_an_issue_refuses_a_label_that_is_not_there() -> None:
    """The refusal points at the one that is wrong."""
    scenario = given(alice.lists("label", "bug"))

    refusal = scenario.when(alice.creates(labels=("bug", "nope"))).then_refused(NotFound)

    assert refusal.pointer == "/labels/1"


@pytest.mark.parametrize("ref", [ISSUE, "ACM-1", "acm-1"])
def test_creating_an_issue_below_another_one(ref: str) -> None:
    """A parent is named by id or identifier, in any case."""
    created = given(alice.creates()).when(alice.creates(SECOND, parent=ref))

    assert created.then_only(e.IssueCreated).parent_id == ISSUE


@pytest.mark.parametrize("ref", [NOBODYS, "ACM-9", ISSUE])
def test_creating_an_issue_refuses_a_parent_that_is_not_there(ref: str) -> None:
    """Nor one that was deleted."""
    scenario = given(alice.creates(), alice.deletes())

    refusal = scenario.when(alice.creates(SECOND, parent=ref)).then_refused(NotFound)

    assert refusal.pointer == "/parent_id"


def test_creating_an_issue_assigns_it_to_somebody_with_a_key() -> None:
    """Whoever has a key can be given work, in the directory or not."""
    created = given().when(alice.creates(assignee=Actor("agent", "coder")))

    assert created.then_only(e.IssueCreated).assignee == "agent:coder"


@pytest.mark.parametrize("ref", [ENTRY, "carol", "Carol"])
def test_creating_an_issue_assigns_it_to_somebody_in_the_directory(ref: str) -> None:
    """A slug becomes the id, so that the name may change."""
    scenario = given(alice.lists("user", "Carol"))

    created = scenario.when(alice.creates(assignee=Actor("user", ref)))

    assert created.then_only(e.IssueCreated).assignee == f"user:{ENTRY}"


@pytest.mark.parametrize("assignee", [Actor("agent", "nobody"), Actor("user", "coder")])
def test_creating_an_issue_refuses_an_assignee_who_is_not_there(assignee: Actor) -> None:
    """A user is not an agent of the same name."""
    refusal = given().when(alice.creates(assignee=assignee)).then_refused(NotFound)

    assert refusal.pointer == "/assignee"


def test_creating_an_issue_for_the_system_is_invalid() -> None:
    """Work is assigned to users and agents, however it is assigned."""
    scenario = given(alice.gives_key("system:cron"))

    scenario.when(alice.creates(assignee=Actor("system", "cron"))).then_refused(Invalid)


# ── external_ref ───────────────────────────────────────────────────────────────────────

JIRA = ("jira", "ABC-1")
JIRA_REF: dict[str, Json] = {"system": "jira", "id": "ABC-1"}
OTHER_REF: dict[str, Json] = {"system": "jira", "id": "ABC-2"}


def test_an_external_ref_is_unique_in_the_company() -> None:
    """The refusal names the issue that has it, and points at the field."""
    scenario = given(alice.creates(external_ref=JIRA))

    refusal = scenario.when(alice.creates(SECOND, external_ref=JIRA)).then_refused(Taken)

    assert refusal.pointer == "/external_ref"
    assert refusal.facts["taken_by"] == ISSUE


@pytest.mark.parametrize("other", [("linear", "ABC-1"), ("jira", "ABC-2"), ("jira", "abc-1")])
def test_an_external_ref_is_another_one_when_either_part_differs(other: tuple[str, str]) -> None:
    """Both parts count, letter by letter."""
    scenario = given(alice.creates(external_ref=JIRA), alice.creates(SECOND, external_ref=other))

    assert scenario.issue(SECOND).external_ref == {"system": other[0], "id": other[1]}


def test_editing_to_another_issues_external_ref_is_refused() -> None:
    """Uniqueness holds for edits too."""
    scenario = given(alice.creates(external_ref=JIRA), alice.creates(SECOND))

    scenario.when(alice.edits(SECOND, external_ref=JIRA_REF)).then_refused(Taken)


def test_editing_to_ones_own_external_ref_is_no_change() -> None:
    """It is taken, but by the issue itself."""
    given(alice.creates(external_ref=JIRA)).when(alice.edits(external_ref=JIRA_REF)).then_nothing()


@pytest.mark.parametrize(
    "freed_by",
    [alice.deletes(), alice.edits(external_ref=None), alice.edits(external_ref=OTHER_REF)],
    ids=["deleting", "clearing", "changing"],
)
def test_an_external_ref_that_was_given_up_is_free(freed_by: Command) -> None:
    """Once its issue is deleted, or has another one, the next issue may have it."""
    scenario = given(alice.creates(external_ref=JIRA), freed_by)

    created = scenario.when(alice.creates(SECOND, external_ref=JIRA)).then_only(e.IssueCreated)

    assert created.external_id == "ABC-1"


def test_an_external_ref_can_be_taken_back_by_the_issue_that_gave_it_up() -> None:
    """Giving up is not for ever."""
    scenario = given(
        alice.creates(external_ref=JIRA),
        alice.edits(external_ref=None),
        alice.edits(external_ref=JIRA_REF),
    )

    assert scenario.issue().external_ref == JIRA_REF
    scenario.when(alice.creates(SECOND, external_ref=JIRA)).then_refused(Taken)


# ── editing ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("title", "Mend it", "Mend it well"),
        ("priority", "none", "high"),
        ("due_at", None, DUE),
        ("estimate", None, 5),
        ("sort_order", None, "2.5"),
        ("billing_code", None, "R-8"),
        ("external_ref", None, JIRA_REF),
    ],
)
def test_editing_changes_one_field(name: str, before: Json, after: Json) -> None:
    """The event says from what to what, and the state has the new value."""
    scenario = given(alice.creates()).when(alice.edits(**{name: after}))

    edited = scenario.then(e.IssueEdited(changes={name: change(before, after)}))

    assert getattr(edited.issue(), name) == after
    edited.when(alice.edits(**{name: after})).then_nothing()


def test_editing_appends_only_what_differs() -> None:
    """A form that sends all its fields back changes those that changed."""
    scenario = given(alice.creates(priority="high", estimate=3))

    edited = scenario.when(alice.edits(title="Mend it", priority="low", estimate=3))

    assert edited.then_only(e.IssueEdited).changes == {"priority": change("high", "low")}


@pytest.mark.parametrize("fields", [{}, {"title": "Mend it", "due_at": None, "parent_id": None}])
def test_editing_what_stands_already_is_no_change(fields: dict[str, Json]) -> None:
    """Agreement, without an event."""
    given(alice.creates()).when(alice.edits(**fields)).then_nothing()


@pytest.mark.parametrize(
    ("name", "value"),
    [("due_at", DUE), ("estimate", 0), ("sort_order", "1"), ("billing_code", "R-7")],
)
def test_editing_to_none_clears_a_field(name: str, value: Json) -> None:
    """None is a value: it empties."""
    scenario = given(alice.creates(), alice.edits(**{name: value}))

    cleared = scenario.when(alice.edits(**{name: None})).then_only(e.IssueEdited)

    assert cleared.changes == {name: change(value, None)}


@pytest.mark.parametrize("name", ["project_id", "goal_id", "milestone_id"])
def test_editing_a_reference_by_slug_keeps_the_id(name: str) -> None:
    """And the same entry by another name is no change."""
    scenario = given(alice.creates(), alice.lists(name.removesuffix("_id"), "Apollo"))

    edited = scenario.when(alice.edits(**{name: "apollo"})).then(
        e.IssueEdited(changes={name: change(None, ENTRY)})
    )

    edited.when(alice.edits(**{name: ENTRY})).then_nothing()


@pytest.mark.parametrize("name", ["project_id", "goal_id", "milestone_id", "parent_id"])
def test_editing_refuses_a_reference_to_nothing(name: str) -> None:
    """The refusal points at the field, and nothing else of the edit happens."""
    refusal = (
        given(alice.creates())
        .when(alice.edits(title="Other", **{name: NOBODYS}))
        .then_refused(NotFound)
    )

    assert refusal.pointer == f"/{name}"


def test_editing_a_description_tells_where_the_former_text_is() -> None:
    """Long texts are in the log once: the event points back instead of repeating."""
    scenario = given(alice.creates(description="It leaks."))
    written = scenario.issue().description_position

    edited = scenario.when(alice.edits(description="It pours.")).then(
        e.IssueEdited(changes={"description": {"from_position": written, "to": "It pours."}})
    )

    assert edited.issue().description_position == len(edited.recorded)
    assert edited.issue().description_sha256 == sha256_of("It pours.")


@pytest.mark.parametrize("text", [None, "", "It leaks."])
def test_editing_a_description_to_itself_is_no_change(text: str | None) -> None:
    """State knows a text by its hash; none and an empty one are two things."""
    given(alice.creates(description=text)).when(alice.edits(description=text)).then_nothing()


@pytest.mark.parametrize(("before", "after"), [(None, ""), ("", None), ("a", None), (None, "a")])
def test_a_description_can_come_and_go(before: str | None, after: str | None) -> None:
    """Clearing a text is a change like any other."""
    scenario = given(alice.creates(description=before))

    edited = scenario.when(alice.edits(description=after)).then_only(e.IssueEdited)

    assert edited.changes["description"]["to"] == after


@pytest.mark.parametrize("ref", [NOBODYS, "ACM-9", "nonsense", ISSUE, "ACM-1"])
def test_editing_an_issue_that_is_not_there(ref: str) -> None:
    """An unknown one, and a deleted one by whichever name, are the same answer."""
    given(alice.creates(), alice.deletes()).when(alice.edits(ref, title="x")).then_refused(NotFound)


@pytest.mark.parametrize("ref", [ISSUE, "ACM-1", "acm-1"])
def test_an_issue_is_named_by_id_or_identifier(ref: str) -> None:
    """In any case, as people write it."""
    answer = given(alice.creates()).when(alice.edits(ref, title="Other"))

    assert answer.streams == (("issue", ISSUE),)


# ── parents ────────────────────────────────────────────────────────────────────────────


def chain(length: int, *more: Command) -> Scenario:
    """Issues 1, 2, 3…, each below the one before."""
    below = (alice.creates(an_id(n), parent=an_id(n - 1)) for n in range(2, length + 1))
    return given(alice.creates(an_id(1)), *below, *more)


@pytest.mark.parametrize("length", [1, 2, 3, 50])
def test_an_issue_cannot_become_its_own_ancestor(length: int) -> None:
    """Neither its own parent, nor that of its parent, nor further up."""
    asked = alice.edits(an_id(1), parent_id=an_id(length))

    refusal = chain(length).when(asked).then_refused(HierarchyCycle)

    assert refusal.pointer == "/parent_id"
    assert refusal.facts["current"]["id"] == an_id(1)


def test_a_cycle_through_a_deleted_issue_is_a_cycle() -> None:
    """Deleting hides an issue from lists, not from its descendants."""
    scenario = chain(3, alice.deletes(an_id(2)))

    scenario.when(alice.edits(an_id(1), parent_id=an_id(3))).then_refused(HierarchyCycle)


def test_a_parent_may_be_exchanged_and_taken_away() -> None:
    """What is no cycle is allowed, from any place in the tree to any other."""
    scenario = chain(3, alice.creates(an_id(4)))

    moved = scenario.when(alice.edits(an_id(2), parent_id="ACM-4")).then(
        e.IssueEdited(changes={"parent_id": change(an_id(1), an_id(4))})
    )
    freed = moved.when(alice.edits(an_id(2), parent_id=None)).then(
        e.IssueEdited(changes={"parent_id": change(an_id(4), None)})
    )
    freed.when(alice.edits(an_id(1), parent_id=an_id(3))).then_only(e.IssueEdited)


def test_an_issue_may_have_a_hundred_ancestors() -> None:
    """The bound is on ancestors: the hundredth is allowed."""
    scenario = chain(100, alice.creates(an_id(500)))

    edited = scenario.when(alice.edits(an_id(500), parent_id=an_id(100)))

    assert edited.then_only(e.IssueEdited).changes == {"parent_id": change(None, an_id(100))}


def test_an_issue_may_not_have_more_ancestors_than_a_hundred() -> None:
    """What a decision about parents costs is bounded."""
    scenario = chain(101, alice.creates(an_id(500)))

    refusal = scenario.when(alice.edits(an_id(500), parent_id=an_id(101)))

    assert refusal.then_refused(HierarchyTooDeep).pointer == "/parent_id"


def test_an_issue_is_not_created_too_deep_either() -> None:
    """The bound holds however an issue gets its parent."""
    scenario = chain(101)

    scenario.when(alice.creates(an_id(500), parent=an_id(101))).then_refused(HierarchyTooDeep)


# ── transitions ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "to_status"), [(a, b) for a, b in product(STATUSES, STATUSES) if a != b]
)
def test_moving_follows_the_workflow(status: str, to_status: str) -> None:
    """A step of the table is taken; any other is refused, with those that there are."""
    answer = given(alice.creates(status=status)).when(alice.moves(to_status, reason="Because."))

    if to_status in DEFAULT.steps[status]:
        answer.then(e.IssueTransitioned(from_status=status, to_status=to_status, reason="Because."))
        return
    refusal = answer.then_refused(TransitionNotAllowed)
    assert refusal.facts["allowed"] == list(DEFAULT.steps[status])
    assert refusal.facts["current"]["status"] == status


@pytest.mark.parametrize("status", STATUSES)
def test_moving_to_the_same_status_is_agreement(status: str) -> None:
    """An agent that says `done` twice is told yes twice."""
    given(alice.creates(status=status)).when(alice.moves(status)).then_nothing()


def test_moving_to_an_unknown_status_is_invalid() -> None:
    """The refusal points at the field and names those there are."""
    refusal = given(alice.creates()).when(alice.moves("finished")).then_refused(Invalid)

    assert refusal.pointer == "/status"
    assert all(status in refusal.message for status in STATUSES)


def test_moving_an_issue_that_is_not_there() -> None:
    """Like anything else that is asked of it."""
    given().when(alice.moves("done")).then_refused(NotFound)


def test_an_agent_does_not_move_what_another_agent_holds() -> None:
    """The refusal names who holds it."""
    scenario = given(alice.creates(), coder.checks_out())

    refusal = scenario.when(reviewer.moves("done")).then_refused(IssueHeld)

    assert refusal.facts["current"]["holder"]["agent_id"] == "coder"


@pytest.mark.parametrize("mover", [coder, bob, operator], ids=["holder", "person", "system"])
def test_its_holder_and_people_move_a_held_issue(mover: Any) -> None:
    """People may step in."""
    scenario = given(alice.creates(), coder.checks_out())

    assert scenario.when(mover.moves("done")).then_also(e.IssueTransitioned).to_status == "done"


@pytest.mark.parametrize("to_status", sorted(set(DEFAULT.steps["in_progress"]) & HOLDABLE))
def test_a_held_issue_may_move_between_holdable_statuses(to_status: str) -> None:
    """Review and handoff are part of the work: the same run goes on holding it."""
    scenario = given(alice.creates(), coder.checks_out())
    held_since = scenario.issue().held_since

    moved = scenario.when(coder.moves(to_status)).then(
        e.IssueTransitioned(from_status="in_progress", to_status=to_status, reason=None)
    )

    assert (moved.issue().holder_run_id, moved.issue().held_since) == (RUN, held_since)
    assert moved.run().ended_at is None


@pytest.mark.parametrize("to_status", sorted(set(DEFAULT.steps["in_progress"]) - HOLDABLE))
def test_leaving_the_holdable_statuses_ends_the_run(to_status: str) -> None:
    """Finished, blocked or put back: nobody holds it, and the run says why it ended."""
    scenario = given(alice.creates(), coder.checks_out())

    moved = scenario.when(coder.moves(to_status)).then(
        e.IssueTransitioned(from_status="in_progress", to_status=to_status, reason=None),
        ended(to_status),
    )

    issue = moved.issue()
    assert (issue.holder_agent_id, issue.holder_run_id, issue.held_since) == (None, None, None)
    assert issue.assignee == "agent:coder"
    assert moved.run().exit_reason == to_status
    assert moved.run().ended_at is not None


def test_the_clock_of_work_starts_once() -> None:
    """`started_at` is when work first began, however often it begins."""
    scenario = given(alice.creates(), coder.checks_out())
    started_at = scenario.issue().started_at

    scenario.given(coder.releases(), coder.checks_out(run=an_id(12)))

    assert started_at is not None
    assert started_at > START
    assert scenario.issue().started_at == started_at


def test_an_issue_is_completed_since_it_was_finished() -> None:
    """From one finished status to another the time stays; reopening takes it away."""
    scenario = given(alice.creates(), alice.moves("done"))
    completed_at = scenario.issue().completed_at
    assert completed_at is not None

    scenario.given(alice.moves("closed"))
    assert scenario.issue().completed_at == completed_at

    scenario.given(alice.moves("todo"))
    assert scenario.issue().completed_at is None


# ── deleting ───────────────────────────────────────────────────────────────────────────


def test_deleting_an_issue_keeps_its_name_in_the_event() -> None:
    """History can still say what it was."""
    given(alice.creates()).when(alice.deletes("acm-1", reason="Twice.")).then(
        e.IssueDeleted(identifier="ACM-1", reason="Twice.")
    )


def test_deleting_an_issue_that_is_worked_on_ends_the_run() -> None:
    """Nobody goes on holding what is not there."""
    scenario = given(alice.creates(), coder.checks_out())

    deleted = scenario.when(alice.deletes()).then(
        e.IssueDeleted(identifier="ACM-1", reason=None),
        ended("deleted"),
    )

    assert deleted.issue().deleted_at is not None
    assert deleted.issue().holder_run_id is None
    assert deleted.run().exit_reason == "deleted"


@pytest.mark.parametrize(
    "asked",
    [
        alice.deletes(),
        alice.edits(title="Other"),
        alice.moves("done"),
        alice.submits(),
        alice.accepts(),
        alice.rejects(),
        alice.fails(),
        alice.hands_off(),
        alice.takes_over(),
        alice.cancels(),
        alice.closes(),
        alice.reopens(),
        alice.pauses(),
        alice.resumes(),
        alice.budgets(5_000_000),
        alice.assigns("user:bob"),
        alice.gives_team("team"),
        alice.unassigns(),
        alice.reassigns("user:bob"),
        coder.checks_out(),
        coder.renews(),
        alice.expires(),
        alice.releases(),
        alice.comments(),
        alice.edits_comment(),
        alice.deletes_comment(),
        alice.labels("bug"),
        alice.unlabels("bug"),
        alice.links("blocked_by"),
        alice.unlinks(),
    ],
    ids=lambda command: command.name,
)
def test_a_deleted_issue_is_not_there(asked: Command) -> None:
    """Whatever is asked of it."""
    scenario = given(
        alice.creates(), alice.creates(SECOND), alice.lists("label", "bug"), alice.deletes()
    )

    scenario.when(asked).then_refused(NotFound)
