"""Labels on an issue: each once, by id, slug or name, at most a hundred."""

from __future__ import annotations

import pytest

from ledger import events as e
from ledger.decisions.labels import MAX_LABELS
from ledger.errors import NotFound, TooMany
from tests.scenario import (
    ENTRY,
    ISSUE,
    NOBODYS,
    OTHER_ENTRY,
    Scenario,
    alice,
    an_id,
    bob,
    given,
)


def with_label() -> Scenario:
    """An issue, and a label that could be put on it."""
    return given(alice.creates(), alice.lists("label", "Needs Care"))


@pytest.mark.parametrize("ref", [ENTRY, "needs-care", "Needs Care", "NEEDS CARE"])
def test_labelling_by_id_slug_or_name(ref: str) -> None:
    """The event holds the id, and the name as it is today."""
    labelled = (
        with_label().when(bob.labels(ref)).then(e.IssueLabelled(label_id=ENTRY, name="Needs Care"))
    )

    assert labelled.issue().label_ids == (ENTRY,)


def test_labelling_twice_is_agreement() -> None:
    """By whichever name."""
    with_label().given(bob.labels(ENTRY)).when(bob.labels("needs-care")).then_nothing()


def test_labels_stay_in_the_order_in_which_they_were_put_on() -> None:
    """The state is what the events say, one after the other."""
    scenario = with_label().given(
        alice.lists("label", "a", OTHER_ENTRY), bob.labels(ENTRY), bob.labels("a")
    )

    assert scenario.issue().label_ids == (ENTRY, OTHER_ENTRY)


def test_unlabelling_takes_one_label_off() -> None:
    """The others stay."""
    scenario = with_label().given(
        alice.lists("label", "a", OTHER_ENTRY), bob.labels(ENTRY), bob.labels("a")
    )

    unlabelled = scenario.when(bob.unlabels("needs-care")).then(
        e.IssueUnlabelled(label_id=ENTRY, name="Needs Care")
    )

    assert unlabelled.issue().label_ids == (OTHER_ENTRY,)


def test_unlabelling_what_is_not_labelled_is_agreement() -> None:
    """Once, or twice."""
    with_label().when(bob.unlabels(ENTRY)).then_nothing()


@pytest.mark.parametrize("verb", ["labels", "unlabels"])
@pytest.mark.parametrize("ref", [NOBODYS, "nope", OTHER_ENTRY])
def test_a_label_that_is_not_there(verb: str, ref: str) -> None:
    """An unknown one, and an entry of another kind, are the same answer."""
    scenario = with_label().given(alice.lists("project", "Apollo", OTHER_ENTRY))

    refusal = scenario.when(getattr(bob, verb)(ref)).then_refused(NotFound)

    assert refusal.pointer == "/label"


def test_an_archived_label_is_not_put_on() -> None:
    """It is off the lists."""
    scenario = with_label().given(alice.archives("label"))

    scenario.when(bob.labels(ENTRY)).then_refused(NotFound)


def test_an_archived_label_can_still_be_taken_off() -> None:
    """What refers to an archived entry stays, until somebody takes it away."""
    scenario = with_label().given(bob.labels(ENTRY), alice.archives("label"))

    assert scenario.issue().label_ids == (ENTRY,)
    scenario.when(bob.unlabels(ENTRY)).then(e.IssueUnlabelled(label_id=ENTRY, name="Needs Care"))


@pytest.mark.parametrize("verb", ["labels", "unlabels"])
def test_an_issue_that_is_not_there(verb: str) -> None:
    """Like anything else that is asked of it."""
    with_label().when(getattr(bob, verb)(ENTRY, issue=NOBODYS)).then_refused(NotFound)


def test_an_issue_has_a_hundred_labels_at_most() -> None:
    """They stand in its state, so there must be an end; one off makes room for another."""
    labels = [an_id(1000 + n) for n in range(MAX_LABELS + 1)]
    scenario = given(
        *(alice.lists("label", f"label {n}", label) for n, label in enumerate(labels)),
        alice.creates(labels=tuple(labels[:-2])),
        bob.labels(labels[-2]),
    )

    scenario.when(bob.labels(labels[-1])).then_refused(TooMany)
    scenario.when(bob.labels(labels[0])).then_nothing()
    scenario.given(bob.unlabels(labels[0]), bob.labels(labels[-1]))
    assert len(scenario.issue().label_ids) == MAX_LABELS


def test_an_issue_begins_with_a_hundred_labels_at_most() -> None:
    """The bound holds however they get there."""
    labels = [an_id(1000 + n) for n in range(MAX_LABELS + 1)]
    scenario = given(*(alice.lists("label", f"label {n}", label) for n, label in enumerate(labels)))

    scenario.when(alice.creates(ISSUE, labels=tuple(labels))).then_refused(TooMany)
