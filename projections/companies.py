"""Inline read model: companies and their API keys."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ledger.database import Connection
from ledger.events import Recorded
from ledger.facts import COMPANY, FactKey
from ledger.sql import beside
from ledger.state import Company, Key
from projections.rows import reader

_SQL = beside(__file__)
read_company = reader(Company, "company_id")
read_key = reader(Key, "key_id")


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

    def rows(
        self, recorded: Sequence[Recorded], facts: Mapping[FactKey, Any]
    ) -> Mapping[str, Sequence[Any]]:
        """The company and the keys that changed."""
        company = facts.get(COMPANY)
        keys = [value for key, value in facts.items() if key[0] == "key"]
        return {"companies": [company] if company else [], "api_keys": keys}
