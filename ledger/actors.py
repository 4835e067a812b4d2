"""Who acts, and what each role may do.

An actor comes from the API key and never from a body. A role is a set of permissions; a
command names the one permission that it needs (`Command.permission`), and `decide` asks
before anything else, so no route, dialect or tool can forget to.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, NamedTuple

from ledger.errors import Invalid


class Actor(NamedTuple):
    """A user, an agent or the system itself; written `agent:ID`."""

    type: Literal["user", "agent", "system"]
    id: str

    def __str__(self) -> str:
        """The written form, as keys, filters and replies show it."""
        return f"{self.type}:{self.id}"

    @classmethod
    def parse(cls, text: str) -> Actor:
        """Reads `agent:ID`; raises Invalid for anything else."""
        match text.split(":", 1):
            case ["user" | "agent" | "system" as kind, ident] if ident:
                return cls(kind, ident)
        raise Invalid(f"{text!r} is no actor; write user:ID or agent:ID.")


class Permission(StrEnum):
    """What a command may need."""

    OWN = "own"  # keys of owners
    ADMINISTER = "administer"  # API keys
    ORGANISE = "organise"  # users, agents and teams
    PLAN = "plan"  # projects, goals, milestones, labels, routines
    MODERATE = "moderate"  # what somebody else wrote, deleting issues
    WORK = "work"  # issues and runs


class Role(StrEnum):
    """What an API key is for, from most to least."""

    OWNER = "owner"
    ADMIN = "admin"
    MANAGER = "manager"
    EDITOR = "editor"
    AGENT = "agent"
    VIEWER = "viewer"  # reads everything but keys
    AUDITOR = "auditor"  # reads everything, keys too

    def may(self, permission: Permission) -> bool:
        """Whether this role has the permission."""
        return permission in _GRANTS[self]

    @property
    def sees_keys(self) -> bool:
        """Whether this role may list API keys (never their secrets)."""
        return self in (Role.OWNER, Role.ADMIN, Role.AUDITOR)


_EVERYTHING = frozenset(Permission)
_GRANTS: dict[Role, frozenset[Permission]] = {
    Role.OWNER: _EVERYTHING,
    Role.ADMIN: _EVERYTHING - {Permission.OWN},
    Role.MANAGER: _EVERYTHING - {Permission.OWN, Permission.ADMINISTER},
    Role.EDITOR: frozenset({Permission.PLAN, Permission.MODERATE, Permission.WORK}),
    Role.AGENT: frozenset({Permission.WORK}),
    Role.VIEWER: frozenset(),
    Role.AUDITOR: frozenset(),
}
