"""From what the files say to what is to happen, in the order in which it happened.

Pure: rows in, steps out. Steps are sorted by their time; an issue is born before anything is
about it, and a link comes when both its ends are there, so a time that says otherwise is
moved to the birth, and reported.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from api.importing.beads_clocks import compare_clocks
from api.importing.beads_relations import Ids, Relation, Relations, relations_of
from api.importing.beads_renames import Renames
from api.importing.beads_rows import EventRow, Export, IssueRow, ghost_row
from api.importing.beads_steps import (
    MAX_COMMENT,
    Become,
    Born,
    ChildOf,
    Deleted,
    Labelled,
    Linked,
    Listed,
    Said,
    Step,
    key_of,
    written,
)
from api.importing.beads_story import story_of
from api.importing.beads_words import PRIORITIES, STATUSES, TOMBSTONE, kind_of
from api.importing.report import Oddities

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_NAME = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The steps, sorted; who and what they name; and each issue's former ids."""

    steps: list[Step]
    names: frozenset[tuple[str, str]]
    """(kind, name) of every agent, user and label."""
    former: Mapping[str, tuple[str, ...]]
    """Issue → the ids it had before, and its own: the first one first."""
    deleted: frozenset[str]
    """The issues that the source has deleted."""


def plan_of(export: Export, elsewhere: Collection[str], now: datetime, oddities: Oddities) -> Plan:
    """The plan of an export; `elsewhere` are ids that an earlier import has brought here."""
    renames = Renames(export.events, export.issues)
    history = _history(export.events, renames)
    rows = _with_ghosts(export.issues, history, oddities)
    steps: list[Step] = []
    births: dict[str, datetime] = {}
    relations = relations_of(
        rows, Ids(renames.last, renames.first, lambda i: i in rows or i in elsewhere), oddities
    )
    told = {row.id: _dated(history.get(row.id, []), row, oddities) for row in rows.values()}
    compare_clocks(rows, told, oddities)
    for row in rows.values():
        _report(row, oddities)
        births[row.id] = _birth(row, told[row.id], now, oddities)
        root = renames.first(row.id)
        story = story_of(row, told[row.id], root, births[row.id], oddities)
        steps += [_complete(step, row, relations) for step in story]
        steps += _comments(row, births[row.id], renames, oddities)
    steps += [_related(relation, births, oddities) for relation in relations.steps]
    actors = [(event.actor, event.at) for events in told.values() for event in events]
    steps = _with_names([_cut(step, oddities) for step in steps], actors, oddities)
    steps = sorted(_deletions_last(steps), key=lambda step: (step.at, step.rank))
    _report_times(steps, now, oddities)
    return Plan(
        steps=steps,
        names=frozenset((s.deed.kind, s.deed.name) for s in steps if isinstance(s.deed, Listed)),
        former={row_id: renames.all(row_id) for row_id in rows},
        deleted=frozenset(row.id for row in rows.values() if row.status == TOMBSTONE),
    )


# ── rows and history ───────────────────────────────────────────────────────────────────


def _history(events: Iterable[EventRow], renames: Renames) -> dict[str, list[EventRow]]:
    history: dict[str, list[EventRow]] = defaultdict(list)
    for event in events:
        history[renames.last(event.issue)].append(event)
    return history


def _with_ghosts(
    rows: Mapping[str, IssueRow], history: Mapping[str, list[EventRow]], oddities: Oddities
) -> dict[str, IssueRow]:
    ghosts = {i: ghost_row(i, oddities) for i in history if i not in rows}
    return {**rows, **ghosts}


def _dated(events: list[EventRow], row: IssueRow, oddities: Oddities) -> list[EventRow]:
    """The events by their time; one without is as late as the one before it."""
    dated: list[EventRow] = []
    last = row.created_at
    for event in events:
        if event.at is None:
            oddities.note("no_date", event.where, "An event has no time; its neighbour's is taken.")
        last = event.at or last
        dated.append(replace(event, at=last))
    return sorted(dated, key=lambda event: event.at or _EPOCH)


def _birth(row: IssueRow, events: list[EventRow], now: datetime, oddities: Oddities) -> datetime:
    """When the issue began: by its row, or by its history if that began earlier."""
    first = events[0].at if events else None
    if row.created_at is None and not row.ghost:
        oddities.note("no_date", row.id, "A row has no created_at; a neighbouring date is taken.")
    known = [at for at in (row.created_at, first) if at]
    told = [row.updated_at, row.closed_at, row.deleted_at]
    told += [comment.created_at for comment in row.comments]
    told += [dependency.created_at for dependency in row.dependencies]
    return min(known or [at for at in told if at] or [now])


def _comments(row: IssueRow, birth: datetime, renames: Renames, oddities: Oddities) -> list[Step]:
    steps = []
    seen: Counter[tuple[str, ...]] = Counter()
    for comment in row.comments:
        if comment.created_at is None:
            oddities.note("no_date", row.id, "A comment has no time; its issue's is taken.")
        at = comment.created_at or row.updated_at or birth
        second = written(comment.created_at and comment.created_at.replace(microsecond=0))
        key = (renames.first(row.id), comment.author, second, comment.text)
        steps.append(
            Step(
                at=_after(birth, at, row.id, oddities),
                author=comment.author,
                issue=row.id,
                key=key_of("comment", *key, str(seen[key])),
                deed=Said(text=comment.text),
            )
        )
        seen[key] += 1
    return steps


def _complete(step: Step, row: IssueRow, relations: Relations) -> Step:
    """The step that states a whole row says what it is related to as well."""
    if not isinstance(step.deed, Become) or step.deed.labels is None:
        return step
    links = frozenset(relations.links.get(row.id, ()))
    deed = replace(step.deed, links=links, has_parent=row.id in relations.parents)
    return replace(step, deed=deed)


def _related(relation: Relation, births: Mapping[str, datetime], oddities: Oddities) -> Step:
    born = [births[i] for i in (relation.issue, relation.other) if i in births]
    birth = max(born, default=_EPOCH)
    if relation.at is None:
        oddities.note("no_date", relation.issue, "A link has no date; it is as old as its ends.")
    return Step(
        at=_after(birth, relation.at or birth, relation.issue, oddities),
        author=relation.author,
        issue=relation.issue,
        key=relation.key,
        deed=relation.deed,
    )


def _after(birth: datetime, at: datetime, issue: str, oddities: Oddities) -> datetime:
    if at >= birth:
        return at
    oddities.note(
        "before_birth", issue, "A comment or link is dated before its issue: it is as old."
    )
    return birth


# ── steps ──────────────────────────────────────────────────────────────────────────────


def _cut(step: Step, oddities: Oddities) -> Step:
    """A comment that fits."""
    if isinstance(step.deed, Said) and len(step.deed.text) > MAX_COMMENT:
        oddities.note("cut", step.issue, f"A comment longer than {MAX_COMMENT} is cut.")
        return replace(step, deed=Said(text=step.deed.text[: MAX_COMMENT - 1] + "…"))
    return step


def _with_names(
    steps: list[Step], actors: Iterable[tuple[str, datetime | None]], oddities: Oddities
) -> list[Step]:
    """Before the others, a step for each name at the first time that it is used.

    `actors` are listed too, though all that one did may have changed nothing.
    """
    used = [(named, step.at) for step in steps for named in _names(step)]
    used += [((kind_of(name), name), at) for name, at in actors if name and at]
    first: dict[tuple[str, str], datetime] = {}
    for named, at in used:
        first[named] = min(at, first.get(named, at))
    listed = []
    for (kind, name), at in first.items():
        if len(name) > MAX_NAME:
            oddities.note("cut", f"{name[:40]}…", f"A name longer than {MAX_NAME} is cut.")
        deed = Listed(kind=kind, name=name)
        listed.append(Step(at=at, key=key_of("listed", kind, name), deed=deed))
    return [*listed, *steps]


def _names(step: Step) -> list[tuple[str, str]]:
    """(kind, name) of everybody and every label that a step names."""
    people, labels = [step.author], []
    match step.deed:
        case Born(labels=names):
            labels = list(names)
        case Become(labels=names, assignee=assignee):
            labels, people = list(names or ()), [*people, assignee or ""]
        case Labelled(name=name):
            labels = [name]
    return [*((kind_of(name), name) for name in people if name), *(("label", x) for x in labels)]


def _deletions_last(steps: list[Step]) -> list[Step]:
    """Deleted issues go when nothing is to be said of them any more."""
    last: dict[str, datetime] = {}
    for step in steps:
        for issue in (step.issue, *_others(step)):
            last[issue] = max(step.at, last.get(issue, step.at))
    return [
        replace(step, at=last[step.issue]) if isinstance(step.deed, Deleted) else step
        for step in steps
    ]


def _others(step: Step) -> tuple[str, ...]:
    match step.deed:
        case Linked(target=other) | ChildOf(parent=other):
            return (other,)
        case _:
            return ()


# ── report ─────────────────────────────────────────────────────────────────────────────


def _report(row: IssueRow, oddities: Oddities) -> None:
    """What of a row's own fields has no equal here."""
    word = row.status
    if word and word not in STATUSES and word != TOMBSTONE:
        oddities.note("unknown_status", row.id, f"{word} becomes backlog and a label.")
    elif word in STATUSES and not STATUSES[word].equal:
        here = STATUSES[word].here
        oddities.note("status_without_equal", row.id, f"{word} becomes {here} and a label.")
    if not row.title and not row.ghost:
        oddities.note("no_title", row.id, "A row has no title; its id is taken.")
    if row.priority not in PRIORITIES and not row.ghost:
        oddities.note("unknown_priority", row.id, f"Priority {row.priority} becomes none.")
    if row.estimated_minutes is not None:
        oddities.note("estimate_minutes", row.id, "An estimate is the number of minutes.")
    for heading, text in row.texts.items():
        oddities.note("text_as_comment", row.id, f"{heading} is kept as a comment.")
        if len(heading) + len(text) + 2 > MAX_COMMENT:
            oddities.note("cut", row.id, f"{heading} is longer than {MAX_COMMENT}: it is cut.")
    for name in row.rest:
        oddities.note("field_without_place", row.id, f"{name} is kept in a comment.")


def _report_times(steps: Iterable[Step], now: datetime, oddities: Oddities) -> None:
    for step in steps:
        if step.at > now:
            oddities.note("future_date", step.issue, "A time is in the future; it is kept.")
        elif step.at < _EPOCH:
            oddities.note("ancient_date", step.issue, "A time is before 1970; it is kept.")
