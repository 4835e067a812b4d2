"""Labels on an issue: each once, at most a hundred."""

from __future__ import annotations

from ledger import commands as c
from ledger import events as e
from ledger.decisions.base import Decision, not_found, on_issue, refuse_frozen, the_entry, the_issue
from ledger.errors import TooMany
from ledger.known import Known

MAX_LABELS = 100
"""Labels stand in the issue's state, which every command on it reads and writes."""


def label(command: c.LabelIssue, known: Known) -> Decision:
    """Put a label on; one that is there already is agreement."""
    issue = the_issue(command, known)
    refuse_frozen(issue, known)
    entry = the_entry("label", command.label, known, "/label")
    if entry.id in issue.label_ids:
        return on_issue(issue)
    if len(issue.label_ids) >= MAX_LABELS:
        raise TooMany(f"{issue.identifier} has {MAX_LABELS} labels; take one off first.")
    return on_issue(issue, e.IssueLabelled(label_id=entry.id, name=entry.name))


def unlabel(command: c.UnlabelIssue, known: Known) -> Decision:
    """Take a label off; one that is not there is agreement."""
    issue = the_issue(command, known)
    refuse_frozen(issue, known)
    entry = known.entry("label", command.label, archived=True)
    if entry is None:
        raise not_found("label", command.label, "/label")
    if entry.id not in issue.label_ids:
        return on_issue(issue)
    return on_issue(issue, e.IssueUnlabelled(label_id=entry.id, name=entry.name))
