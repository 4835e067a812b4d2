"""A company as large as it takes years to become, made in a minute: copies of one's past in a row.

Each copy has ids, positions, numbers and times of its own, the same in every table that refers to
them, so that tables and indexes are as large, and as much in order, as if all of it had happened.
Agents and teams are the same in every copy, and go on working after the last one.

It is for measuring commands and lists, and would not verify: what the events say, their hashes and
leaves are the template's, which costs the same to store; and models that no command and no list of
issues reads (activity, costs) are left out.
"""

from __future__ import annotations

from ledger.database import connect
from ledger.ids import new_id
from ledger.sql import beside

_SQL = beside(__file__)
_TABLES = (
    _SQL.events,
    _SQL.issues,
    _SQL.comments,
    _SQL.runs,
    _SQL.leases,
    _SQL.spending,
    _SQL.issue_versions,
    _SQL.issue_texts,
    _SQL.companies,
    _SQL.directory,
    _SQL.issue_prefixes,
    _SQL.checkpoints,
    _SQL.company_heads,
)


async def enlarged(url: str, template: str, copies: int) -> str:
    """Makes a company of so many copies of the template's past; returns its id."""
    company = new_id()
    connection = await connect(url, "ledger_owner", synchronous_commit="off")
    try:
        async with connection.transaction():
            await connection.execute(_SQL.begin)
            await connection.execute(_SQL.plan, template, company, copies)
            for statement in _TABLES:
                await connection.execute(statement)
    finally:
        await connection.close()
    return company
