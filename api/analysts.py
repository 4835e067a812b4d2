"""Analysts' roles: logins of the database itself, each of which sees some companies, read-only.

What an analyst may read is decided by grants and by the views (see schema.sql), which look the role
up in ledger.analysts. The role's settings, read-only transactions and a statement's time among
them, keep from slips: Postgres lets everybody change their own for a session. The number of its
connections and the size of its temporary files are the superuser's to change.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import asyncpg

from ledger.sql import beside

_SQL = beside(__file__)
_NAME = re.compile(r"(?!pg_|ledger_)[a-z][a-z0-9_]{0,62}")
CONNECTIONS = 5
"""How many sessions an analyst may have at once."""


class AnalystRefused(Exception):
    """What was asked for an analyst's role cannot be done, and why."""


def is_role_name(name: str) -> bool:
    """Whether an analyst may be called so; names of Postgres's and of ours are not for them."""
    return _NAME.fullmatch(name) is not None


async def create(url: str, name: str, companies: Sequence[str], statement_timeout: str) -> str:
    """Makes the role and returns its password, which nobody can be told again.

    Raises AnalystRefused for a name that is taken, a company that there is not, a time that is
    none, or a database's user who may not make roles.
    """
    password = secrets.token_urlsafe(24)
    async with _administrator(url) as (connection, is_superuser):
        known = {str(r["company_id"]) for r in
                 await connection.fetch(_SQL.companies_that_are, companies)}  # fmt: skip
        if unknown := [company for company in companies if company not in known]:
            raise AnalystRefused(
                f"There is no company {', '.join(unknown)}; see `ledger company list`."
            )
        if await connection.fetchrow(_SQL.role, name):
            raise AnalystRefused(f"There is a role {name} already.")
        making = await connection.fetch(
            _SQL.making,
            name,
            scram_verifier(password, secrets.token_bytes(16)),
            CONNECTIONS,
            statement_timeout,
        )
        if is_superuser:
            making += await connection.fetch(_SQL.bounding, name)
        for (statement,) in making:
            await connection.execute(statement)
        await connection.execute(_SQL.act_as_owner)
        await connection.execute(_SQL.blind, name)  # A role of this name may have been lost.
        await connection.execute(_SQL.let_see, sorted(known), name)
    return password


async def drop(url: str, name: str) -> None:
    """Takes the companies from the role, ends its sessions, and removes it.

    Raises AnalystRefused for what is no analyst's role, or for one that owns something.
    """
    async with _administrator(url) as (connection, _):
        found = await connection.fetchrow(_SQL.role, name)
        if found and not found["is_analyst"]:
            raise AnalystRefused(f"{name} is no analyst's role.")
        await connection.execute(_SQL.act_as_owner)
        blinded = await connection.fetch(_SQL.blind, name)
        if not found and not blinded:
            raise AnalystRefused(f"There is no role {name}; see `ledger analyst-role list`.")
    if found:
        async with _administrator(url) as (connection, _):
            await connection.execute(_SQL.end_sessions, name)
            await connection.execute(str(await connection.fetchval(_SQL.removing, name)))


async def analysts(url: str) -> list[Mapping[str, Any]]:
    """Every analyst's role: its companies, whether it is there still, and its bounds."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction(readonly=True):
            await connection.execute(_SQL.act_as_owner)
            return [dict(row) for row in await connection.fetch(_SQL.analysts)]
    finally:
        await connection.close()


def url_of(url: str, name: str, password: str) -> str:
    """The database's URL for another login."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    query = [(k, v) for k, v in parse_qsl(parts.query) if k not in ("user", "password")]
    login = f"{quote(name, safe='')}:{quote(password, safe='')}"
    return urlunsplit(
        ("postgresql", f"{login}@{place}", parts.path, urlencode(query, safe="/"), "")
    )


def scram_verifier(password: str, salt: bytes, iterations: int = 4096) -> str:
    """What Postgres keeps of a password (RFC 5803), so that it need not be sent."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(b).decode() for b in (salt, stored, server))
    return f"SCRAM-SHA-256${iterations}:{salt64}${stored64}:{server64}"


@asynccontextmanager
async def _administrator(url: str) -> AsyncIterator[tuple[asyncpg.Connection[Any], bool]]:
    """A transaction of whom the URL names, who must be able to make roles; and if a superuser."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            powers = await connection.fetchrow(_SQL.powers)
            assert powers is not None
            if not powers["may_create"]:
                raise AnalystRefused(
                    "The database's user may not make roles: it takes a superuser, or CREATEROLE."
                )
            yield connection, powers["is_superuser"]
    except asyncpg.InsufficientPrivilegeError as error:
        raise AnalystRefused(f"The database's user may not do that: {error}.") from None
    except asyncpg.DependentObjectsStillExistError as error:
        detail = str(error.detail).replace("\n", "; ")
        raise AnalystRefused(f"The role sees nothing now, but is in use: {detail}.") from None
    except asyncpg.InvalidParameterValueError as error:
        raise AnalystRefused(f"Postgres does not take that: {error}.") from None
    finally:
        await connection.close()
