"""Users, agents, teams, projects, goals, milestones, labels and routines, by one set of rules.

A slug is unique among the living entries of its kind. One that the caller chose is refused
when it is taken; one made from the name gives way, because two agents may well be called
Coder. Labels are the exception: a label is its name.
"""

from __future__ import annotations

from collections.abc import Mapping

from ledger import commands as c
from ledger import events as e
from ledger.actors import Actor
from ledger.decisions.base import Decision, the_actor, the_entry
from ledger.directory import KINDS, prefix_candidates, slug_candidates, slug_of
from ledger.errors import Invalid, Taken
from ledger.events import Json
from ledger.facts import label_named, prefix
from ledger.facts import slug as slug_key
from ledger.known import Known


def create(command: c.CreateEntry, known: Known) -> Decision:
    """List an entry under a slug of its own; a team under a prefix of its own too."""
    key = ("entry", command.entry_id)
    if known[key] is not None:
        raise Taken("This id is in use.", pointer="/id")
    if command.kind == "label":
        _refuse_taken_name(command.entry_name, command.entry_id, known)
    chosen = _free_slug(command, known)
    fields = dict(_resolved(command.kind, command.fields, known))
    if command.kind == "team":
        fields["issue_prefix"] = _free_prefix(
            fields.get("issue_prefix"), command.slug or slug_of(command.entry_name), known
        )
    created = e.EntryCreated(kind=command.kind, name=command.entry_name, slug=chosen, fields=fields)
    return Decision(key, key, ((key, created),))


def update(command: c.UpdateEntry, known: Known) -> Decision:
    """Change what is named; what stands already is no change."""
    entry = the_entry(command.kind, command.entry, known)
    new = dict(_resolved(command.kind, command.changes, known))
    match new.get("name"):
        case str(name) if command.kind == "label" and name != entry.name:
            _refuse_taken_name(name, entry.id, known)
            new.setdefault("slug", slug_of(name))  # A label is its name.
    match new.get("slug"):
        case str(wanted):
            new["slug"] = wanted.lower()
            _refuse_taken_slug(command.kind, wanted, entry.id, known)
    match new.get("issue_prefix"):
        case str(text):
            _refuse_taken_prefix(text, entry.id, known)
        case _:
            if "issue_prefix" in new:
                raise Invalid("A team keeps an issue prefix.", pointer="/issue_prefix")
    before = {"name": entry.name, "slug": entry.slug, **entry.fields}
    changes: dict[str, Mapping[str, Json]] = {
        name: {"from": before.get(name), "to": value}
        for name, value in new.items()
        if before.get(name) != value
    }
    key = ("entry", entry.id)
    if not changes:
        return Decision(key, key, ())
    return Decision(key, key, ((key, e.EntryUpdated(kind=command.kind, changes=changes)),))


def archive(command: c.ArchiveEntry, known: Known) -> Decision:
    """Take an entry off the lists; issues that refer to it keep doing so."""
    entry = the_entry(command.kind, command.entry, known)
    key = ("entry", entry.id)
    archived = e.EntryArchived(kind=command.kind, name=entry.name)
    return Decision(key, key, ((key, archived),))


def _free_slug(command: c.CreateEntry, known: Known) -> str:
    candidates = slug_candidates(slug_of(command.entry_name), command.entry_id)
    if command.slug is not None:
        candidates = [command.slug.lower()]
    elif command.kind == "label":
        candidates = candidates[:1]
    for candidate in candidates:
        if known[slug_key(command.kind, candidate)] is None:
            return candidate
    raise _taken_slug(command.kind, candidates[0], known)


def _refuse_taken_slug(kind: str, wanted: str, entry_id: str, known: Known) -> None:
    if known[slug_key(kind, wanted)] not in (None, entry_id):
        raise _taken_slug(kind, wanted, known)


def _refuse_taken_name(name: str, label_id: str, known: Known) -> None:
    owner = known[label_named(name)]
    if owner not in (None, label_id):
        raise Taken(
            f"There is a label {name!r} already; use that one, or choose another name.",
            pointer="/name",
            taken_by=owner,
        )


def _taken_slug(kind: str, wanted: str, known: Known) -> Taken:
    return Taken(
        f"Another {kind} has the slug {wanted!r}; choose another one, or use that {kind}.",
        pointer="/slug",
        taken_by=known[slug_key(kind, wanted)],
    )


def _free_prefix(wanted: Json, slug: str, known: Known) -> str:
    if isinstance(wanted, str):
        _refuse_taken_prefix(wanted, None, known)
        return wanted
    for candidate in prefix_candidates(slug):
        if known[prefix(candidate)] is None:
            return candidate
    raise Taken("Every prefix made from the slug is taken; give one.", pointer="/issue_prefix")


def _refuse_taken_prefix(wanted: str, team_id: str | None, known: Known) -> None:
    owner = known[prefix(wanted)]
    if owner is not None and (team_id is None or owner.team_id != team_id):
        raise Taken(
            f"The issue prefix {wanted!r} is in use; choose another one.",
            pointer="/issue_prefix",
            taken_by=owner.team_id,
        )


def _resolved(kind: str, fields: Mapping[str, Json], known: Known) -> Mapping[str, Json]:
    """The fields with every reference turned into the id that it means."""
    resolved = dict(fields)
    for name, of_kind in KINDS[kind].refs.items():
        match fields.get(name):
            case str(ref):
                resolved[name] = _ref_id(of_kind, ref, known, f"/{name}")
            case list(refs):
                resolved[name] = list(
                    dict.fromkeys(
                        _ref_id(of_kind, str(ref), known, f"/{name}/{i}")
                        for i, ref in enumerate(refs)
                    )
                )
    return resolved


def _ref_id(kind: str, ref: str, known: Known, pointer: str) -> str:
    if kind == "agent":
        return the_actor(Actor("agent", ref), known, pointer).id
    return the_entry(kind, ref, known, pointer).id
