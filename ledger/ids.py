"""Ids and secrets, made by the application: never by the core, never by the database."""

from __future__ import annotations

import re
import secrets
from hashlib import sha256
from uuid import UUID

from uuid_utils import uuid7

from ledger.facts import is_id

_KEY = re.compile(r"ldg_([0-9a-f]{32})_[A-Za-z0-9_-]{20,100}")


def new_id() -> str:
    """A UUIDv7: unique anywhere, and later ones sort later (RFC 9562, section 5.7)."""
    return str(uuid7())


def as_ref(text: str) -> str:
    """A reference as it is looked up: ids are read without regard to case (RFC 9562)."""
    return text.lower() if is_id(text.lower()) else text


def new_secret(company_id: str) -> str:
    """An API key, `ldg_<company>_<secret>`, with 256 random bits in its secret."""
    return f"ldg_{UUID(company_id).hex}_{secrets.token_urlsafe(32)}"


def company_of_key(key: str) -> str | None:
    """The company that an API key names; None when it has not the form of one."""
    found = _KEY.fullmatch(key)
    return str(UUID(found[1])) if found else None


def sha256_hex(text: str) -> str:
    """The SHA-256 of a text, as hex: how a secret is remembered."""
    return sha256(text.encode()).hexdigest()


def prefix_of_name(name: str) -> str:
    """The issue prefix of a company that chose none: `Acme Corp` → `ACM`."""
    letters = re.sub(r"[^A-Z0-9]", "", name.upper())
    return (letters if letters[:1].isalpha() else f"C{letters}")[:3]
