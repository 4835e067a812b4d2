"""Links between issues, each kept once, in one direction.

`A blocks B` and `B is blocked_by A` are one link, kept at B, whose life it bears on.
`relates_to` has no direction; it is kept at the end whose id sorts first.
"""

from __future__ import annotations

from collections.abc import Iterable

from ledger import commands as c
from ledger import events as e
from ledger.decisions.base import Appended, Decision, not_found, the_issue
from ledger.decisions.blocking import blocked, refuse_cycle, unblocked
from ledger.errors import Invalid, Taken
from ledger.facts import link_between
from ledger.known import Known

INVERSES = {"blocks": "blocked_by", "duplicated_by": "duplicates"}
LINK_TYPES = (
    "blocked_by",
    "relates_to",
    "duplicates",
    "supersedes",
    "discovered_from",
    "tracks",
    "replies_to",
    "caused_by",
    "validates",
)
"""What may be kept. A link may also be asked for by its inverse."""


def link(command: c.LinkIssue, known: Known) -> Decision:
    """Relate two issues of the company; a link that is there already is agreement."""
    issue = the_issue(command, known)
    target = known.issue(command.target)
    if target is None:
        raise not_found("issue", command.target, "/target_id")
    if target.id == issue.id:
        raise Invalid("An issue is not linked to itself.", pointer="/target_id")
    source_id, link_type, target_id = canonical(issue.id, command.link_type, target.id)
    existing = known[link_between(source_id, link_type, target_id)]
    asked = ("issue", issue.id)
    if existing is not None:
        return Decision(("link", existing), asked, ())
    if known[("link", command.link_id)] is not None:
        raise Taken("This link id is in use.", pointer="/link_id")
    source, other = (issue, target) if source_id == issue.id else (target, issue)
    linked = e.IssueLinked(
        link_id=command.link_id,
        link_type=link_type,
        target_id=target_id,
        target_identifier=other.identifier,
    )
    follows: Iterable[Appended] = ()
    if link_type == "blocked_by":
        refuse_cycle(source, other, known)
        follows = blocked(command, source, other, known)
    return Decision(("link", command.link_id), asked, ((("issue", source_id), linked), *follows))


def unlink(command: c.UnlinkIssue, known: Known) -> Decision:
    """Take a link away, asked from either end."""
    issue = the_issue(command, known)
    found = known.link(command.link_id)
    if found is None or issue.id not in (found.issue_id, found.target_id):
        raise not_found("link", command.link_id)
    asked = ("issue", issue.id)
    unlinked = e.IssueUnlinked(
        link_id=found.id, link_type=found.link_type, target_id=found.target_id
    )
    follows: Iterable[Appended] = ()
    if found.link_type == "blocked_by":
        source, blocker = known[("issue", found.issue_id)], known[("issue", found.target_id)]
        follows = unblocked(command, source, blocker, known)
    return Decision(asked, asked, ((("issue", found.issue_id), unlinked), *follows))


def canonical(issue_id: str, link_type: str, target_id: str) -> tuple[str, str, str]:
    """The one way in which a relation is kept: (source, type, target)."""
    if link_type in INVERSES:
        return target_id, INVERSES[link_type], issue_id
    if link_type == "relates_to" and target_id < issue_id:
        return target_id, link_type, issue_id
    return issue_id, link_type, target_id
