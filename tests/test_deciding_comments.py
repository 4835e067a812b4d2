"""Comments: anybody who may work writes one; only its author, or a moderator, changes it."""

from __future__ import annotations

import pytest

from ledger import events as e
from ledger.actors import Actor, Permission, Role
from ledger.commands import Command
from ledger.errors import NotFound, NotTheAuthor, Taken
from tests.scenario import (
    COMMENT,
    ISSUE,
    NOBODYS,
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


def commented(by: Caller = coder) -> Scenario:
    """An issue with a comment."""
    return given(alice.creates(), alice.creates(SECOND), by.comments("First."))


def test_commenting_writes_into_the_issues_stream() -> None:
    """A comment is part of an issue's history, and counts."""
    scenario = given(alice.creates())
    answer = scenario.when(coder.comments("First."))

    assert answer.streams == (("issue", ISSUE),)
    answer.then(e.IssueCommented(comment_id=COMMENT, body="First."))
    assert scenario.issue().comment_count == 1
    assert scenario.comment().author == "agent:coder"
    assert scenario.comment().text_position == len(scenario.recorded)


def test_commenting_for_somebody_makes_them_the_author() -> None:
    """A tool writes, on behalf of whoever said it."""
    scenario = given(alice.creates()).given(
        operator.comments(), on_behalf_of=Actor("user", "carol")
    )

    assert scenario.comment().author == "user:carol"


@pytest.mark.parametrize("issue", [ISSUE, SECOND])
@pytest.mark.parametrize("then", [[], [coder.deletes_comment()]], ids=["living", "deleted"])
def test_a_comments_id_is_used_once(issue: str, then: list[Command]) -> None:
    """Not even a deleted comment's id, not even on another issue."""
    scenario = commented().given(*then)

    refusal = scenario.when(coder.comments(issue=issue)).then_refused(Taken)

    assert refusal.pointer == "/comment_id"


def test_commenting_on_what_is_not_there() -> None:
    """Like anything else that is asked of it."""
    given().when(coder.comments()).then_refused(NotFound)


def test_editing_a_comment_points_at_the_former_text() -> None:
    """The log keeps every text once; each edit names the event before."""
    scenario = commented()
    first = scenario.comment().text_position

    scenario.when(coder.edits_comment("Second.")).then(
        e.CommentEdited(comment_id=COMMENT, body="Second.", from_position=first)
    )
    second = scenario.comment().text_position
    assert second > first
    assert scenario.comment().edited_at is not None

    scenario.when(coder.edits_comment("Third.")).then(
        e.CommentEdited(comment_id=COMMENT, body="Third.", from_position=second)
    )


def test_editing_a_comment_to_the_same_text_is_agreement() -> None:
    """State knows a text by its hash, the last one that was set."""
    scenario = commented().given(coder.edits_comment("Second."))

    scenario.when(coder.edits_comment("Second.")).then_nothing()
    scenario.when(coder.edits_comment("First.")).then_only(e.CommentEdited)


def test_deleting_a_comment_takes_it_off_the_count() -> None:
    """Its text stays in the log, and in the log alone."""
    scenario = commented().given(coder.comments(comment=an_id(22)))

    scenario.when(coder.deletes_comment()).then(e.CommentDeleted(comment_id=COMMENT))

    assert scenario.issue().comment_count == 1
    assert scenario.comment().deleted_at is not None


CHANGES = [coder.edits_comment(), coder.deletes_comment()]


@pytest.mark.parametrize("asked", CHANGES, ids=lambda command: command.name)
def test_a_deleted_comment_is_not_there(asked: Command) -> None:
    """Deleting twice is answered like deleting what never was."""
    commented().given(coder.deletes_comment()).when(asked).then_refused(NotFound)


@pytest.mark.parametrize(
    "asked",
    [
        coder.edits_comment(comment=NOBODYS),
        coder.deletes_comment(comment=NOBODYS),
        coder.edits_comment(issue=SECOND),
        coder.deletes_comment(issue=SECOND),
        coder.edits_comment(issue=NOBODYS),
        coder.deletes_comment(issue=NOBODYS),
    ],
)
def test_a_comment_is_found_on_its_own_issue_alone(asked: Command) -> None:
    """An unknown comment, and a known one on another issue, are the same answer."""
    commented().when(asked).then_refused(NotFound)


@pytest.mark.parametrize("verb", ["edits_comment", "deletes_comment"])
@pytest.mark.parametrize("who", [reviewer, bob], ids=["agent", "person"])
def test_only_its_author_changes_a_comment(verb: str, who: Caller) -> None:
    """The refusal says whose it is."""
    refusal = commented().when(getattr(who, verb)()).then_refused(NotTheAuthor)

    assert "agent:coder" in refusal.message


@pytest.mark.parametrize("verb", ["edits_comment", "deletes_comment"])
@pytest.mark.parametrize("role", [role for role in Role if role.may(Permission.MODERATE)])
def test_a_moderator_changes_any_comment(verb: str, role: Role) -> None:
    """By role, whoever they are."""
    answer = commented().when(getattr(reviewer.as_role(role), verb)())

    assert len(answer.events) == 1


@pytest.mark.parametrize("verb", ["edits_comment", "deletes_comment"])
def test_a_comment_that_was_written_for_somebody_is_theirs(verb: str) -> None:
    """Whoever it was written for changes it; others do not."""
    scenario = given(alice.creates()).given(operator.comments(), on_behalf_of=Actor("user", "bob"))

    scenario.when(getattr(coder, verb)()).then_refused(NotTheAuthor)
    assert len(scenario.when(getattr(bob, verb)()).events) == 1
