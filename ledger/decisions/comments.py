"""Comments: anybody who may work writes one; only its author, or a moderator, changes it."""

from __future__ import annotations

from ledger import commands as c
from ledger import events as e
from ledger.actors import Permission
from ledger.decisions.base import Decision, not_found, the_issue
from ledger.errors import NotTheAuthor, Taken
from ledger.known import Known
from ledger.state import Comment, sha256_of


def comment(command: c.CommentOnIssue, known: Known) -> Decision:
    """Write a comment under an id of its own."""
    issue = the_issue(command, known)
    if known[("comment", command.comment_id)] is not None:
        raise Taken("This comment id is in use.", pointer="/comment_id")
    return _on(issue.id, command.comment_id, e.IssueCommented(
        comment_id=command.comment_id, body=command.body
    ))  # fmt: skip


def edit(command: c.EditComment, known: Known) -> Decision:
    """Change the text; the log keeps the former one. The same text is no change."""
    issue = the_issue(command, known)
    written = _own_comment(command, issue.id, known)
    if sha256_of(command.body) == written.text_sha256:
        return Decision(("comment", written.id), ("issue", issue.id), ())
    edited = e.CommentEdited(
        comment_id=written.id, body=command.body, from_position=written.text_position
    )
    return _on(issue.id, written.id, edited)


def delete(command: c.DeleteComment, known: Known) -> Decision:
    """Take it down; the log keeps the text."""
    issue = the_issue(command, known)
    written = _own_comment(command, issue.id, known)
    return _on(issue.id, written.id, e.CommentDeleted(comment_id=written.id))


def _own_comment(command: c.EditComment | c.DeleteComment, issue_id: str, known: Known) -> Comment:
    written = known.comment(command.comment_id)
    if written is None or written.issue_id != issue_id:
        raise not_found("comment", command.comment_id)
    if str(command.actor) != written.author and not command.role.may(Permission.MODERATE):
        raise NotTheAuthor(f"That comment is {written.author}'s; write one of your own.")
    return written


def _on(issue_id: str, comment_id: str, event: e.Event) -> Decision:
    stream = ("issue", issue_id)
    return Decision(("comment", comment_id), stream, ((stream, event),))
