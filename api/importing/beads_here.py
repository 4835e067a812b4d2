"""What the ledger holds already of what an import names.

Ids are made from the source's, so that an import that was cut short, or is run again, finds
its own issues, labels and comments. What people made before it under the same name is used
too: an issue with this external_ref, a label or agent of this name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from uuid import UUID, uuid5

import asyncpg

from api.importing.beads_plan import Plan
from api.importing.beads_rows import HEADINGS, Export
from ledger.actors import Actor
from ledger.database import Pool
from ledger.directory import slug_of
from ledger.sql import beside
from ledger.workflow import WORKFLOWS, Workflow

_SQL = beside(__file__)
IMPORTER = Actor("system", "import:beads")


@dataclass(slots=True)
class Text:
    """A comment that stands for a field of the source."""

    comment_id: str
    body: str | None
    """None once somebody has deleted it."""


@dataclass(slots=True)
class Standing:
    """How an issue stands, and will once the steps so far are carried out."""

    id: str
    exists: bool = False
    gone: bool = False
    """Deleted before this import began."""
    status: str = ""
    labels: set[str] = field(default_factory=set)
    has_parent: bool = False
    """With a parent that came from the source too."""
    texts: dict[str, Text] = field(default_factory=dict)
    links: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Link id → type and target, of those that are in its stream."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the directory: its id, the slug to ask for, and whether it is there."""

    id: str
    slug: str | None = None
    exists: bool = True


@dataclass(slots=True)
class Here:
    """The company, as far as an import is concerned with it."""

    company_id: str
    workflow: Workflow
    found: Mapping[str, Standing] = field(default_factory=dict)
    """Source's id → the issue that is here."""
    issues: dict[str, Standing] = field(default_factory=dict)
    """Source's id → the issue that is, or is to be, here."""
    entries: Mapping[tuple[str, str], Entry] = field(default_factory=dict)
    labels: frozenset[str] = frozenset()
    """The ids of the labels that imports made or use."""
    told: frozenset[str] = frozenset()
    """Source's ids of the issues that have a row in this import."""
    taken: frozenset[str] = frozenset()
    """Keys of the steps that an earlier import took."""

    def made_id(self, kind: str, *parts: str) -> str:
        """The id of what the import makes of this."""
        return str(uuid5(UUID(self.company_id), json.dumps(["beads", kind, *parts])))

    def link_id(self, source_id: str, link_type: str, target_id: str) -> str:
        """The id of a link that the import makes, by its canonical ends."""
        return self.made_id("link", source_id, link_type, target_id)


async def look_around(readers: Pool, company_id: str, export: Export) -> Here | None:
    """The company and those issues of the export that it has; None without such a company."""
    try:
        name = await readers.fetchval(_SQL.workflow, UUID(company_id))
    except ValueError:
        return None
    if name is None:
        return None
    here = Here(company_id, WORKFLOWS[name])
    here.found = await _issues(readers, here, export.ids())
    return here


async def look_closely(readers: Pool, here: Here, plan: Plan) -> None:
    """Adds what the plan's steps need to know: names, steps taken, texts and links."""
    for issue, former in plan.former.items():
        here.issues[issue] = _standing(here, former)
    here.issues = {**here.found, **here.issues}
    here.told = frozenset(plan.former)
    keys = [step.key for step in plan.steps]
    rows = await readers.fetch(_SQL.taken_steps, here.company_id, str(IMPORTER), keys)
    here.taken = frozenset(row["key"] for row in rows)
    entries = await readers.fetch(_SQL.entries, here.company_id)
    here.entries = _entries(here, sorted(plan.names), entries)
    here.labels = _own_labels(here, entries)
    await _load_texts(readers, here)
    await _load_links(readers, here)


async def tally(readers: Pool, here: Here) -> Mapping[str, int]:
    """How many comments, links and parents the issues have by now."""
    issues = [standing.id for standing in here.issues.values()]
    row = await readers.fetchrow(_SQL.tally, here.company_id, issues)
    assert row is not None
    return {"comments": row["comments"], "links": row["links"], "parents": row["parents"]}


async def _issues(readers: Pool, here: Here, ids: Set[str]) -> dict[str, Standing]:
    made = {here.made_id("issue", issue): issue for issue in ids}
    rows = await readers.fetch(_SQL.issues, here.company_id, list(made), list(ids))
    found: dict[str, Standing] = {}
    for row in rows:
        issue_id = str(row["issue_id"])
        standing = Standing(
            id=issue_id,
            exists=True,
            gone=row["deleted_at"] is not None,
            status=row["status"],
            labels={str(label) for label in row["label_ids"]},
            has_parent=row["parent_of_beads"],
        )
        for issue in {made.get(issue_id), row["external_id"]} & ids:
            if issue not in found or found[issue].gone or issue_id in made:
                found[issue] = standing
    return found


def _standing(here: Here, former: tuple[str, ...]) -> Standing:
    """The issue that has the last of these ids, or had another, else the one to be made."""
    for issue in (former[-1], *former):
        if issue in here.found:
            return here.found[issue]
    return Standing(id=here.made_id("issue", former[0]))


async def _load_texts(readers: Pool, here: Here) -> None:
    owners = {
        here.made_id("text", standing.id, heading): (standing, heading)
        for standing in here.issues.values()
        if standing.exists
        for heading in HEADINGS
    }
    for row in await readers.fetch(_SQL.comments, here.company_id, list(owners)):
        standing, heading = owners[str(row["comment_id"])]
        body = None if row["deleted_at"] else row["body"]
        standing.texts[heading] = Text(str(row["comment_id"]), body)


async def _load_links(readers: Pool, here: Here) -> None:
    standings = {standing.id: standing for standing in here.issues.values() if standing.exists}
    for row in await readers.fetch(_SQL.links, here.company_id, list(standings)):
        links = standings[str(row["issue_id"])].links
        links[str(row["link_id"])] = (row["link_type"], str(row["target_id"]))


# ── names ──────────────────────────────────────────────────────────────────────────────


def _entries(
    here: Here, names: Iterable[tuple[str, str]], rows: list[asyncpg.Record]
) -> dict[tuple[str, str], Entry]:
    """The entry of each name: the import's own, one of that name, or a new one."""
    archived = {str(row["entry_id"]) for row in rows if row["archived_at"]}
    called = _called([row for row in rows if row["archived_at"] is None])
    slugs = {(row["kind"], row["slug"]) for row in rows if row["archived_at"] is None}
    entries: dict[tuple[str, str], Entry] = {}
    used: set[str] = set()
    for kind, name in names:
        own = next(i for n in count() if (i := _own_id(here, kind, name, n)) not in archived)
        fitting = [(own, "id"), (name, "name"), (name.casefold(), "folded"), (name, "slug")]
        known = (called.get((kind, how, text)) for text, how in fitting)
        match = next((i for i in known if i and i not in used), None)
        slug = None if match else _free_slug(kind, name, slugs)
        entries[kind, name] = Entry(match or own, slug, exists=match is not None)
        used.add(match or own)
    return entries


def _own_labels(here: Here, rows: list[asyncpg.Record]) -> frozenset[str]:
    used = {entry.id for (kind, _), entry in here.entries.items() if kind == "label"}
    labels = {str(row["entry_id"]): row["name"] for row in rows if row["kind"] == "label"}
    made = {i for i, name in labels.items() if i == _own_id(here, "label", name, 0)}
    return frozenset(used | made)


def _called(rows: list[asyncpg.Record]) -> dict[tuple[str, str, str], str]:
    """What entries may be called by, the older entry before the younger."""
    called: dict[tuple[str, str, str], str] = {}
    for row in rows:
        entry_id, name = str(row["entry_id"]), row["name"]
        for how, text in (
            ("id", entry_id), ("name", name), ("folded", name.casefold()), ("slug", row["slug"])
        ):  # fmt: skip
            called.setdefault((row["kind"], how, text), entry_id)
    return called


def _own_id(here: Here, kind: str, name: str, archived: int) -> str:
    """The id for a name of which so many entries were archived."""
    return here.made_id(kind, name, *([str(archived)] if archived else []))


def _free_slug(kind: str, name: str, slugs: set[tuple[str, str]]) -> str | None:
    """A label is its name, so two labels with one slug need to be told how they differ."""
    slug = slug_of(name)
    chosen = None
    if kind == "label" and (kind, slug) in slugs:
        slug = chosen = f"{slug[:50]}-{sha256(name.encode()).hexdigest()[:8]}"
    slugs.add((kind, slug))
    return chosen
