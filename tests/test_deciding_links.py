"""Links between issues: each kept once, in one direction, and taken away from either end."""

from __future__ import annotations

import pytest

from ledger import events as e
from ledger.decisions import Decision
from ledger.decisions.links import INVERSES, LINK_TYPES
from ledger.errors import BlockingCycle, Invalid, NotFound, Taken
from tests.scenario import (
    ISSUE,
    LINK,
    NOBODYS,
    SECOND,
    THIRD,
    Scenario,
    alice,
    an_id,
    bob,
    given,
)

OTHER_LINK = an_id(32)


def three() -> Scenario:
    """Three issues: ACM-1, ACM-2 and ACM-3."""
    return given(alice.creates(ISSUE), alice.creates(SECOND), alice.creates(THIRD))


def waits(link_type: str, blocker_id: str, identifier: str) -> list[e.IssueBlocked]:
    """What follows of a link, if it blocks: test_deciding_blocking.py."""
    if link_type != "blocked_by":
        return []
    return [
        e.IssueBlocked(
            from_status="todo",
            to_status="blocked",
            reason=f"blocked by {identifier}",
            blocker_id=blocker_id,
        )
    ]


@pytest.mark.parametrize("link_type", LINK_TYPES)
@pytest.mark.parametrize("target", [SECOND, "ACM-2", "acm-2"])
def test_linking_keeps_the_link_in_the_issues_stream(link_type: str, target: str) -> None:
    """Under every type that is kept as it is asked for."""
    answer = three().when(bob.links(link_type, target))

    assert set(answer.streams) == {("issue", ISSUE)}
    after = answer.then(
        e.IssueLinked(
            link_id=LINK, link_type=link_type, target_id=SECOND, target_identifier="ACM-2"
        ),
        *waits(link_type, SECOND, "ACM-2"),
    )
    link = after.link()
    assert link is not None
    assert (link.issue_id, link.link_type, link.target_id) == (ISSUE, link_type, SECOND)


@pytest.mark.parametrize(("asked", "kept"), INVERSES.items())
def test_linking_by_an_inverse_keeps_the_link_at_the_other_issue(asked: str, kept: str) -> None:
    """`A blocks B` is `B is blocked_by A`, and it is B whose life it bears on."""
    answer = three().when(bob.links(asked))

    assert set(answer.streams) == {("issue", SECOND)}
    after = answer.then(
        e.IssueLinked(link_id=LINK, link_type=kept, target_id=ISSUE, target_identifier="ACM-1"),
        *waits(kept, ISSUE, "ACM-1"),
    )
    link = after.link()
    assert link is not None
    assert (link.issue_id, link.target_id) == (SECOND, ISSUE)


def test_relating_keeps_the_link_at_the_first_id() -> None:
    """`relates_to` has no direction, so one is chosen."""
    answer = three().when(bob.links("relates_to", target=ISSUE, issue=SECOND))

    assert answer.streams == (("issue", ISSUE),)
    assert answer.then_only(e.IssueLinked).target_id == SECOND


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (("blocked_by", SECOND, ISSUE), ("blocked_by", SECOND, ISSUE)),
        (("blocked_by", SECOND, ISSUE), ("blocks", ISSUE, SECOND)),
        (("relates_to", SECOND, ISSUE), ("relates_to", ISSUE, SECOND)),
        (("duplicated_by", SECOND, ISSUE), ("duplicates", ISSUE, SECOND)),
    ],
)
def test_linking_what_is_linked_already_is_agreement(
    first: tuple[str, str, str], again: tuple[str, str, str]
) -> None:
    """In whichever words; the reply shows the link that there is."""
    scenario = three().given(bob.links(*first))

    answer = scenario.when(bob.links(*again, link=OTHER_LINK))

    assert isinstance(answer.decision, Decision)
    assert answer.decision.subject == ("link", LINK)
    assert answer.then_nothing().link(OTHER_LINK) is None


def _ends(scenario: Scenario) -> tuple[str, str, str]:
    link = scenario.link()
    assert link is not None
    return link.issue_id, link.link_type, link.target_id


@pytest.mark.parametrize("again", [("tracks", ISSUE, SECOND), ("blocked_by", SECOND, ISSUE)])
def test_another_direction_or_another_type_is_another_link(again: tuple[str, str, str]) -> None:
    """Two issues may be related in several ways."""
    scenario = three().given(bob.links("tracks"), bob.links(*again, link=OTHER_LINK))

    assert scenario.link(LINK) is not None
    assert scenario.link(OTHER_LINK) is not None


@pytest.mark.parametrize("again", [("blocked_by", ISSUE, SECOND), ("blocks", SECOND, ISSUE)])
def test_the_other_direction_of_blocking_is_no_link(again: tuple[str, str, str]) -> None:
    """In whichever words: two issues that wait for each other wait for ever."""
    scenario = three().given(bob.links("blocked_by"))

    refusal = scenario.when(bob.links(*again, link=OTHER_LINK)).then_refused(BlockingCycle)

    assert refusal.pointer == "/target_id"


@pytest.mark.parametrize("target", [ISSUE, "ACM-1"])
def test_an_issue_is_not_linked_to_itself(target: str) -> None:
    """By whichever name."""
    refusal = three().when(bob.links("blocks", target)).then_refused(Invalid)

    assert refusal.pointer == "/target_id"


@pytest.mark.parametrize("target", [NOBODYS, "ACM-9", SECOND])
def test_linking_to_what_is_not_there(target: str) -> None:
    """Nor to what was deleted."""
    scenario = three().given(alice.deletes(SECOND))

    refusal = scenario.when(bob.links("blocks", target)).then_refused(NotFound)

    assert refusal.pointer == "/target_id"


def test_linking_from_what_is_not_there() -> None:
    """Like anything else that is asked of it."""
    three().when(bob.links("blocks", issue=NOBODYS)).then_refused(NotFound)


def test_a_links_id_names_one_link() -> None:
    """The id of a link that there is cannot be another one's."""
    scenario = three().given(bob.links("blocked_by"))

    refusal = scenario.when(bob.links("blocked_by", THIRD)).then_refused(Taken)

    assert refusal.pointer == "/link_id"


@pytest.mark.parametrize("end", [ISSUE, SECOND, "ACM-2"])
def test_unlinking_from_either_end(end: str) -> None:
    """The event is in the stream that keeps the link, whoever asks."""
    scenario = three().given(bob.links("blocked_by"))

    answer = scenario.when(bob.unlinks(issue=end))

    assert set(answer.streams) == {("issue", ISSUE)}
    after = answer.then(
        e.IssueUnlinked(link_id=LINK, link_type="blocked_by", target_id=SECOND),
        e.IssueUnblocked(from_status="blocked", to_status="todo", reason=None, blocker_id=SECOND),
    )
    assert after.link() is None


def test_what_was_unlinked_can_be_linked_again() -> None:
    """Under a new id, or under the old one."""
    scenario = three().given(bob.links("blocked_by"), bob.unlinks())

    scenario.given(bob.links("blocked_by", link=OTHER_LINK), bob.unlinks(OTHER_LINK))
    scenario.given(bob.links("blocked_by"))

    assert _ends(scenario) == (ISSUE, "blocked_by", SECOND)


def test_unlinking_twice_finds_nothing() -> None:
    """A link that is gone is like one that never was."""
    three().given(bob.links("blocked_by"), bob.unlinks()).when(bob.unlinks()).then_refused(NotFound)


@pytest.mark.parametrize(("link", "issue"), [(NOBODYS, ISSUE), (LINK, THIRD), (LINK, NOBODYS)])
def test_unlinking_what_the_issue_is_not_an_end_of(link: str, issue: str) -> None:
    """A link is found at its two ends alone."""
    scenario = three().given(bob.links("blocked_by"))

    scenario.when(bob.unlinks(link, issue)).then_refused(NotFound)


def test_unlinking_from_a_deleted_issue() -> None:
    """The living end may still let go of it."""
    scenario = three().given(bob.links("blocks"), alice.deletes(SECOND))

    answer = scenario.when(bob.unlinks())

    assert answer.streams == (("issue", SECOND),)
    answer.then_only(e.IssueUnlinked)
