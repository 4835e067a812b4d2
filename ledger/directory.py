"""What an issue may refer to: eight kinds of entry, one generic aggregate.

Each kind is a row of one table: the fields it has beside name and slug, which of those
name other entries, and the permission to change it. A new kind, or a new field, is a line
here and a field of its wire model; no rule needs to know of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ledger.actors import Permission


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of entry. `refs`: the field → the kind of entry it names, by id or slug."""

    fields: frozenset[str]
    permission: Permission
    refs: Mapping[str, str] = field(default_factory=dict)


KINDS: Mapping[str, Kind] = {
    "user": Kind(frozenset({"email"}), Permission.ORGANISE),
    "agent": Kind(frozenset({"description"}), Permission.ORGANISE),
    "team": Kind(
        frozenset({"description", "issue_prefix", "lead_agent_id", "agent_ids"}),
        Permission.ORGANISE,
        refs={"lead_agent_id": "agent", "agent_ids": "agent"},
    ),
    "project": Kind(
        frozenset({"description", "target_date", "agent_ids"}),
        Permission.PLAN,
        refs={"agent_ids": "agent"},
    ),
    "goal": Kind(frozenset({"description", "target_date"}), Permission.PLAN),
    "milestone": Kind(
        frozenset({"description", "target_date", "project_id"}),
        Permission.PLAN,
        refs={"project_id": "project"},
    ),
    "label": Kind(frozenset({"description", "color"}), Permission.PLAN),
    "routine": Kind(frozenset({"description", "instructions"}), Permission.PLAN),
}


def slug_of(name: str) -> str:
    """The kebab-case of a name: `Coder Two` → `coder-two`; `entry` if nothing is left."""
    return re.sub(r"(?:[^\w.:]|_)+", "-", name.lower()).strip("-.:")[:60].strip("-.:") or "entry"


def slug_candidates(derived: str, entry_id: str) -> list[str]:
    """Slugs for an entry that chose none, best first; the last is nobody else's."""
    return [derived, f"{derived}-{entry_id[-6:]}", f"{derived}-{entry_id}"]


def prefix_candidates(slug: str) -> list[str]:
    """Issue prefixes for a team that chose none, best first: `ENG`, `ENG2`, `ENG3`, …"""
    letters = re.sub(r"[^A-Z0-9]", "", slug.upper())
    base = (letters if letters[:1].isalpha() else f"T{letters}")[:3]
    return [base, *(f"{base}{n}" for n in range(2, 1000))]
