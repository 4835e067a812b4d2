"""Inline read model: companies and their API keys."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ledger.database import Connection
from ledger.events import Recorded
from ledger.facts import COMPANY, FactKey
from ledger.sql import beside
from ledger.state import Company, Key
from projections.rows import columns_of, reader

_SQL = beside(__file__)
read_company = reader(Company, "company_id")
read_key = reader(Key, "key_id")

_COMPANY_FIELDS = (
    "version", "name", "workflow", "issue_prefix", "monthly_micros",
    "created_position", "created_at", "created_by", "updated_at",
)  # fmt: skip
_KEY_FIELDS = (
    "id", "version", "role", "actor", "name", "secret_sha256", "revoked_at",
    "created_position", "created_at", "created_by", "updated_at",
)  # fmt: skip


class Companies:
    """Keeps `companies` and `api_keys`."""

    name = "companies"
    tables = ("companies", "api_keys")
    loads = frozenset({"company", "key", "actor"})

    async def load(
        self, connection: Connection, company_id: str, kind: str, keys: Collection[FactKey]
    ) -> Mapping[FactKey, Any]:
        """The company itself, keys by id, and whether actors ever had a key."""
        if kind == "company":
            row = await connection.fetchrow(_SQL.company, company_id)
            return {COMPANY: read_company(row)} if row else {}
        names = [key[1] for key in keys]
        if kind == "key":
            rows = await connection.fetch(_SQL.keys, company_id, names)
            return {("key", str(row["key_id"])): read_key(row) for row in rows}
        rows = await connection.fetch(_SQL.actors, company_id, names)
        return {("actor", row["actor"]): True for row in rows}

    async def save(
        self,
        connection: Connection,
        company_id: str,
        recorded: Sequence[Recorded],
        facts: Mapping[FactKey, Any],
    ) -> None:
        """Writes the company and the keys that changed."""
        if company := facts.get(COMPANY):
            values = [column[0] for column in columns_of([company], _COMPANY_FIELDS)]
            await connection.execute(_SQL.save_company, company_id, *values)
        if keys := [value for key, value in facts.items() if key[0] == "key"]:
            await connection.execute(_SQL.save_keys, company_id, *columns_of(keys, _KEY_FIELDS))
