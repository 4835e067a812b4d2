"""The analysts' views, kept whole while the tables under them are exchanged.

A view holds on to its tables, so that none can be dropped under it. Whoever exchanges tables
drops the views first and makes them anew afterwards, in the same transaction: no analyst ever
asks and finds nothing. The views are written down once, in schema.sql, between two marks.
"""

from __future__ import annotations

import asyncpg

from ledger.database import Connection, schema_part
from ledger.sql import beside

_SQL = beside(__file__)


async def drop_views(connection: Connection) -> None:
    """Takes the views away, if they are there, until the end of the transaction or `make_views`.

    Raises asyncpg.DependentObjectsStillExistError when somebody built a view of their own on one.
    """
    await connection.execute(_SQL.drop_views)


async def make_views(connection: Connection) -> None:
    """Makes the schema, the views, what they say of themselves, and who may read them."""
    await connection.execute(schema_part("analytics"))


async def make_roles(url: str) -> None:
    """Makes the role of all analysts, which an older database may not know."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute(schema_part("analyst roles"))
    finally:
        await connection.close()
