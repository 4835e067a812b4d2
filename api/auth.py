"""Who is calling: an API key becomes a caller, for a few seconds without asking again.

A key names its company, `ldg_<company>_<secret>`; what is stored of it is its SHA-256. A
known key is believed for three seconds, so that a revoked one stops within five.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from api.problems import Problem
from ledger.actors import Actor, Role
from ledger.ids import company_of_key, sha256_hex
from projections.queries import Queries

BELIEVED_SECONDS = 3.0
_MOST = 10_000


class Caller(NamedTuple):
    """An API key's company, actor and role."""

    company_id: str
    key_id: str
    actor: Actor
    role: Role


class Keys:
    """Looks callers up, and remembers them for a moment."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self._believed: dict[str, tuple[float, Caller]] = {}

    async def caller(self, authorization: str | None) -> Caller:
        """The caller of an Authorization header; raises a 401 Problem."""
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise _unauthenticated("Send the header 'Authorization: Bearer ldg_…'.")
        found = self._believed.get(key)
        if found is not None and found[0] > time.monotonic():
            return found[1]
        caller = await self._look_up(key.strip())
        if len(self._believed) >= _MOST:
            self._believed.clear()
        self._believed[key] = (time.monotonic() + BELIEVED_SECONDS, caller)
        return caller

    async def _look_up(self, key: str) -> Caller:
        company_id = company_of_key(key)
        row = None
        if company_id is not None:
            row = await self._queries.things.key(company_id, sha256_hex(key))
        if row is None or company_id is None:
            raise _unauthenticated("This API key is not known, or was revoked; ask for another.")
        return Caller(company_id, str(row["key_id"]), Actor.parse(row["actor"]), Role(row["role"]))


def _unauthenticated(detail: str) -> Problem:
    return Problem(
        401, "unauthenticated", detail, headers={"WWW-Authenticate": 'Bearer realm="ledger"'}
    )
