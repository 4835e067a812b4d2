"""From a step to the commands that carry it out, for the ledger as it stands by then.

The source says how things are; commands say what is to change. So this keeps account of how
each issue stands after the steps so far: a status may need a way round (from closed back to
work leads over todo), a text that changed is an edited comment, and a label that the source
lists no longer is taken off, provided that it was the import that put it there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TypedDict

from api.importing.beads_here import IMPORTER, Entry, Here, Standing, Text
from api.importing.beads_plan import MAX_NAME
from api.importing.beads_rows import HEADINGS, MAX_TEXT, REST, TEXTS
from api.importing.beads_steps import (
    Become,
    Began,
    Born,
    ChildOf,
    Deleted,
    Labelled,
    Linked,
    Listed,
    Said,
    Step,
)
from api.importing.beads_words import kind_of
from api.importing.report import Oddities
from ledger import commands as c
from ledger.actors import Actor, Role
from ledger.decisions.links import canonical
from ledger.events import Json
from ledger.workflow import FINISHED, Workflow


class _By(TypedDict):
    actor: Actor
    role: Role
    is_history: bool


BY = _By(actor=IMPORTER, role=Role.OWNER, is_history=True)


class Writer:
    """Writes the commands of the steps, which must come in their order."""

    def __init__(self, here: Here, oddities: Oddities) -> None:
        self._here = here
        self._oddities = oddities
        self._told = frozenset(here.issues[issue].id for issue in here.told)

    def commands(self, step: Step) -> tuple[c.Command, ...]:
        """At least one; one that changes nothing when it is so already."""
        if isinstance(step.deed, Listed):
            return (self._listed(step.deed),)
        issue = self._here.issues[step.issue]
        return tuple(self._on_issue(step, issue)) or (nothing(issue.id),)

    def actor(self, name: str) -> Actor | None:
        """Who a name is; None for nobody."""
        if not name:
            return None
        kind = kind_of(name)
        return Actor(kind, self._here.entries[kind, name].id)

    def comment(self, issue_id: str, key: str, body: str) -> c.CommentOnIssue:
        """A comment whose id is made from a step's key."""
        comment_id = self._here.made_id("comment", key)
        return c.CommentOnIssue(**BY, issue=issue_id, comment_id=comment_id, body=body[:MAX_TEXT])

    def _on_issue(self, step: Step, issue: Standing) -> list[c.Command]:
        match step.deed:
            case Born():
                return self._born(step.deed, issue)
            case Become():
                return self._become(step, step.deed, issue)
            case Began() if issue.status in FINISHED:
                reason = "created again in Beads"
                return self._move(step, issue, self._here.workflow.initial, reason)
            case Began():
                return [self.comment(issue.id, step.key, "Created again in Beads.")]
            case Said(text=text):
                return [self.comment(issue.id, step.key, text)]
            case Labelled(name=name, on=on):
                return self._label(issue, self._here.entries["label", name].id, on)
            case ChildOf(parent=parent):
                issue.has_parent = True
                return [_edit(issue.id, {"parent_id": self._here.issues[parent].id})]
            case Linked():
                return [self._link(step.deed, issue)]
            case Deleted(reason=reason):
                return [c.DeleteIssue(**BY, issue=issue.id, reason=reason or None)]
            case Listed():
                raise AssertionError("the directory is no issue's")

    # ── names and issues ───────────────────────────────────────────────────────────────

    def _listed(self, deed: Listed) -> c.CreateEntry:
        entry: Entry = self._here.entries[deed.kind, deed.name]
        return c.CreateEntry(
            **BY,
            entry_id=entry.id,
            kind=deed.kind,
            entry_name=deed.name[:MAX_NAME],
            slug=entry.slug,
            fields={"email": deed.name} if deed.kind == "user" and "@" in deed.name else {},
        )

    def _born(self, deed: Born, issue: Standing) -> list[c.Command]:
        if issue.exists:
            return []
        labels = [self._here.entries["label", name].id for name in deed.labels]
        issue.exists = True
        issue.status = self._here.workflow.initial
        issue.labels = set(labels)
        return [
            c.CreateIssue(
                **BY,
                issue_id=issue.id,
                title=deed.title,
                description=deed.description or None,
                priority=deed.priority,
                labels=tuple(labels),
                due_at=deed.due_at,
                estimate=deed.estimate,
                external_ref=("beads", deed.external_id),
            )
        ]

    def _become(self, step: Step, deed: Become, issue: Standing) -> list[c.Command]:
        commands: list[c.Command] = []
        fields = dict(deed.fields)
        if deed.has_parent is False and issue.has_parent:
            fields["parent_id"] = None
            issue.has_parent = False
        if fields:
            commands.append(_edit(issue.id, fields))
        if deed.assignee is not None:
            commands.append(self._assign(issue.id, deed.assignee))
        if deed.labels is not None:
            commands += self._all_labels(issue, deed.labels)
        if deed.links is not None:
            commands += self._unlink_others(issue, deed.links)
        for heading, text in deed.texts.items():
            commands += self._text(step, issue, heading, text)
        if deed.status == issue.status and deed.otherwise:
            commands.append(self.comment(issue.id, step.key, deed.otherwise))
        elif deed.status:
            commands += self._move(step, issue, deed.status, deed.reason)
        return commands

    def _assign(self, issue_id: str, name: str) -> c.Command:
        actor = self.actor(name)
        if actor is None:
            return c.UnassignIssue(**BY, issue=issue_id)
        return c.AssignIssue(**BY, issue=issue_id, assignee=actor)

    def _move(
        self, step: Step, issue: Standing, to_status: str, reason: str | None
    ) -> list[c.Command]:
        """The steps of the workflow that lead to a status; it itself if none do."""
        way = _way(self._here.workflow, issue.status, to_status)
        if len(way) > 1:
            self._oddities.note(
                "way_round",
                step.issue,
                f"From {issue.status} to {to_status} leads over {', '.join(way[:-1])}.",
            )
        issue.status = to_status
        return [
            c.TransitionIssue(
                **BY,
                issue=issue.id,
                to_status=status,
                reason=reason if status == to_status else f"on the way to {to_status}",
            )
            for status in way
        ]

    # ── labels ─────────────────────────────────────────────────────────────────────────

    def _label(self, issue: Standing, label_id: str, on: bool) -> list[c.Command]:
        if on:
            issue.labels.add(label_id)
            return [c.LabelIssue(**BY, issue=issue.id, label=label_id)]
        issue.labels.discard(label_id)
        return [c.UnlabelIssue(**BY, issue=issue.id, label=label_id)]

    def _all_labels(self, issue: Standing, names: tuple[str, ...]) -> list[c.Command]:
        """Takes off the import's labels that are not listed, and puts on those that are."""
        wanted = [self._here.entries["label", name].id for name in names]
        commands: list[c.Command] = []
        for label_id in sorted((issue.labels & self._here.labels) - set(wanted)):
            commands += self._label(issue, label_id, on=False)
        for label_id in wanted:
            if label_id not in issue.labels:
                commands += self._label(issue, label_id, on=True)
        return commands

    # ── texts ──────────────────────────────────────────────────────────────────────────

    def _text(self, step: Step, issue: Standing, heading: str, text: str) -> list[c.Command]:
        """A field's comment: written once, edited when the field changes."""
        body = _body(heading, text)[:MAX_TEXT]
        old = issue.texts.get(heading)
        if (old is None and not text) or (old is not None and old.body == body):
            return []
        if old is not None and old.body is not None:
            old.body = body
            return [c.EditComment(**BY, issue=issue.id, comment_id=old.comment_id, body=body)]
        again = [] if old is None else [step.key]  # Deleted ids are not used twice.
        comment_id = self._here.made_id("text", issue.id, heading, *again)
        issue.texts[heading] = Text(comment_id, body)
        return [c.CommentOnIssue(**BY, issue=issue.id, comment_id=comment_id, body=body)]

    # ── relations ──────────────────────────────────────────────────────────────────────

    def _link(self, deed: Linked, issue: Standing) -> c.Command:
        target = self._here.issues[deed.target]
        ends = canonical(issue.id, deed.link_type, target.id)
        return c.LinkIssue(
            **BY,
            issue=issue.id,
            link_id=self._here.link_id(*ends),
            link_type=deed.link_type,
            target=target.id,
        )

    def _unlink_others(self, issue: Standing, links: frozenset[tuple[str, str]]) -> list[c.Command]:
        """Takes away links that the import made and that the source has no longer."""
        wanted = {(kind, self._here.issues[target].id) for kind, target in links}
        commands: list[c.Command] = []
        for link_id, (kind, target_id) in list(issue.links.items()):
            ours = link_id == self._here.link_id(issue.id, kind, target_id)
            told = kind != "relates_to" or target_id in self._told  # else only its end tells
            if ours and told and (kind, target_id) not in wanted:
                del issue.links[link_id]
                commands.append(c.UnlinkIssue(**BY, issue=issue.id, link_id=link_id))
        return commands


def nothing(issue_id: str) -> c.Command:
    """A command that changes nothing, so that its key is remembered."""
    return _edit(issue_id, {})


def _edit(issue_id: str, changes: Mapping[str, Json]) -> c.EditIssue:
    return c.EditIssue(**BY, issue=issue_id, changes=changes)


def _body(heading: str, text: str) -> str:
    if heading in (REST, TEXTS["external_ref"]):
        return f"{heading}: {text or '(none any more)'}"
    assert heading in HEADINGS
    return f"{heading}\n\n{text or '(empty now)'}"


def _way(workflow: Workflow, status: str, to_status: str) -> list[str]:
    """The shortest way through a workflow, without where it starts; best over its initial."""
    if to_status == status:
        return []
    ways = deque([[status]])
    seen = {status}
    while ways:
        way = ways.popleft()
        steps = workflow.steps.get(way[-1], ())
        if to_status in steps:
            return [*way[1:], to_status]
        for step in sorted(steps, key=lambda step: step != workflow.initial):
            if step not in seen:
                seen.add(step)
                ways.append([*way, step])
    return [to_status]
