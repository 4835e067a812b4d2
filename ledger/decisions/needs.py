"""Which facts a command needs, so that the committer can load them set-based.

Asked again and again with what is known by then, until nothing is missing: a name first
needs the look-up that says whose it is, and then that state. Naming a fact too many costs a
row; a fact forgotten here is still loaded, one round later, when `decide` asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ledger import commands as c
from ledger.actors import Actor
from ledger.decisions.links import canonical
from ledger.directory import KINDS, prefix_candidates, slug_candidates, slug_of
from ledger.events import Json
from ledger.known import (
    COMPANY,
    FactKey,
    Known,
    external_ref,
    holder_of_key,
    identifier,
    is_id,
    label_named,
    link_between,
    prefix,
    slug,
    slugs,
    streams_named,
)


def needs(command: c.Command, known: Known) -> Iterator[FactKey]:
    """The facts that `command` needs, as far as can be told from what is known."""
    yield COMPANY
    if command.in_run is not None:
        yield ("run", command.in_run)
    if isinstance(command, c.IssueCommand):
        yield from _issue(command.issue, known)
    match command:
        case c.CreateCompany():
            yield prefix(command.issue_prefix)
        case c.CreateKey():
            yield ("key", command.key_id)
            yield from _actor(command.key_actor, known)
        case c.RenameKey() | c.RevokeKey():
            yield ("key", command.key_id)
        case c.CreateEntry():
            yield ("entry", command.entry_id)
            yield from _entry_names(command, known)
            yield from _entry_refs(command.kind, command.fields, known)
        case c.UpdateEntry():
            yield from _entry(command.kind, command.entry, known)
            yield from _entry_refs(command.kind, command.changes, known)
            match command.changes.get("slug"):
                case str(new):
                    yield slug(command.kind, new)
            match command.changes.get("name"):
                case str(new) if command.kind == "label":
                    yield label_named(new)
                    yield slug("label", slug_of(new))
        case c.ArchiveEntry():
            yield from _entry(command.kind, command.entry, known)
        case c.CreateIssue():
            yield from _created_issue(command, known)
        case c.EditIssue():
            yield from _edited_issue(command, known)
        case c.AssignIssue() | c.ReassignIssue():
            yield from _actor(command.assignee, known)
            yield from _holding_run(command, known)
        case c.CheckOutIssue():
            yield from _actor(Actor("agent", command.agent_id), known)
            yield from streams_named(command.run_id)
        case c.TransitionIssue() | c.UnassignIssue() | c.ReleaseIssue() | c.DeleteIssue():
            yield from _holding_run(command, known)
        case c.CommentOnIssue() | c.EditComment() | c.DeleteComment():
            yield ("comment", command.comment_id)
        case c.LabelIssue() | c.UnlabelIssue():
            yield from _entry("label", command.label, known)
        case c.LinkIssue():
            yield from _link(command, known)
        case c.UnlinkIssue():
            yield ("link", command.link_id)
            if found := known.peek(("link", command.link_id)):
                yield ("issue", found.issue_id)
        case c.ReportCost():
            yield ("run", command.run_id)


def _issue(ref: str, known: Known) -> Iterator[FactKey]:
    if is_id(ref):
        yield ("issue", ref)
        return
    yield identifier(ref)
    if found := known.peek(identifier(ref)):
        yield ("issue", found)


def _entry(kind: str, ref: str, known: Known) -> Iterator[FactKey]:
    if is_id(ref):
        yield ("entry", ref)
        return
    for key in slugs(kind, ref):
        yield key
        if found := known.peek(key):
            yield ("entry", found)


def _actor(actor: Actor, known: Known) -> Iterator[FactKey]:
    yield holder_of_key(actor)
    yield from _entry(actor.type, actor.id, known)


def _entry_names(command: c.CreateEntry, known: Known) -> Iterator[FactKey]:
    derived = slug_of(command.entry_name)
    if command.kind == "label":
        yield label_named(command.entry_name)
    for candidate in [command.slug] if command.slug else slug_candidates(derived, command.entry_id):
        yield slug(command.kind, candidate)
    if command.kind == "team" and "issue_prefix" not in command.fields:
        candidates = prefix_candidates(command.slug or derived)
        for first, last in ((0, 1), (1, 10), (10, 100), (100, len(candidates))):
            keys = [prefix(candidate) for candidate in candidates[first:last]]
            yield from keys
            if any(known.peek(key) is None for key in keys):
                break


def _entry_refs(kind: str, fields: Mapping[str, Json], known: Known) -> Iterator[FactKey]:
    for name, of_kind in KINDS[kind].refs.items():
        for ref in _listed(fields.get(name)):
            yield from (
                _actor(Actor("agent", ref), known)
                if of_kind == "agent"
                else _entry(of_kind, ref, known)
            )
    match fields.get("issue_prefix"):
        case str(text):
            yield prefix(text)


def _created_issue(command: c.CreateIssue, known: Known) -> Iterator[FactKey]:
    yield ("issue", command.issue_id)
    for kind in ("team", "project", "goal", "milestone"):
        ref = getattr(command, kind)
        if ref is not None:
            yield from _entry(kind, ref, known)
    for label in command.labels:
        yield from _entry("label", label, known)
    if command.parent is not None:
        yield from _issue(command.parent, known)
        yield from _ancestors(command.parent, known)
    if command.assignee is not None:
        yield from _actor(command.assignee, known)
    if command.external_ref is not None:
        yield external_ref(*command.external_ref)
    yield from _counter(command.team, known)


def _counter(team: str | None, known: Known) -> Iterator[FactKey]:
    """The prefix that numbers the issue: its team's, or the company's own."""
    if team is None:
        if company := known.peek(COMPANY):
            yield prefix(company.issue_prefix)
        return
    team_id = team if is_id(team) else known.peek(slug("team", team))
    entry = known.peek(("entry", team_id)) if team_id else None
    if entry and entry.kind == "team":
        yield prefix(entry.fields["issue_prefix"])


def _edited_issue(command: c.EditIssue, known: Known) -> Iterator[FactKey]:
    for kind in ("project", "goal", "milestone"):
        match command.changes.get(f"{kind}_id"):
            case str(ref):
                yield from _entry(kind, ref, known)
    match command.changes.get("parent_id"):
        case str(ref):
            yield from _issue(ref, known)
            yield from _ancestors(ref, known)
    match command.changes.get("external_ref"):
        case {"system": str(system), "id": str(external_id)}:
            yield external_ref(system, external_id)


def _ancestors(ref: str, known: Known) -> Iterator[FactKey]:
    """The chain above an issue; where it is not known, one look-up loads all of it."""
    issue_id = ref if is_id(ref) else known.peek(identifier(ref))
    seen: set[str] = set()
    while issue_id and issue_id not in seen:
        seen.add(issue_id)
        if ("issue", issue_id) not in known:
            yield ("ancestors", issue_id)
            return
        issue = known.peek(("issue", issue_id))
        issue_id = issue.parent_id if issue else None


def _holding_run(command: c.IssueCommand, known: Known) -> Iterator[FactKey]:
    issue_id = command.issue if is_id(command.issue) else known.peek(identifier(command.issue))
    issue = known.peek(("issue", issue_id)) if issue_id else None
    if issue and issue.holder_run_id:
        yield ("run", issue.holder_run_id)


def _link(command: c.LinkIssue, known: Known) -> Iterator[FactKey]:
    yield ("link", command.link_id)
    yield from _issue(command.target, known)
    ends = [
        ref if is_id(ref) else known.peek(identifier(ref))
        for ref in (command.issue, command.target)
    ]
    if ends[0] and ends[1]:
        source, link_type, target = canonical(ends[0], command.link_type, ends[1])
        relation = link_between(source, link_type, target)
        yield relation
        if existing := known.peek(relation):
            yield ("link", existing)


def _listed(value: Json) -> list[str]:
    match value:
        case str():
            return [value]
        case list() | tuple():
            return [ref for ref in value if isinstance(ref, str)]
        case _:
            return []
