"""The application can add events and never change them: Postgres itself refuses.

Asked on sessions as the application has them, of the readers' and of the committer's pool.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from api.wiring import Ledger
from ledger.database import Pool, committer_pool, connect, reader_pool
from tests.writing import create, log_of, submit

POOLS = {"readers": reader_pool, "committer": committer_pool}

FORBIDDEN = [
    "UPDATE events SET data = '{}'",
    "UPDATE events SET salt = NULL, data = NULL",
    "DELETE FROM events",
    "TRUNCATE events",
    "SELECT * FROM events FOR UPDATE",
    "INSERT INTO events SELECT * FROM events ON CONFLICT (company_id, position) "
    "DO UPDATE SET data = '{}'",
    "MERGE INTO events AS e USING events AS o ON e.event_id = o.event_id "
    "WHEN MATCHED THEN DELETE",
    "ALTER TABLE events DISABLE TRIGGER ALL",
    "ALTER TABLE events ADD COLUMN note text",
    "ALTER TABLE events OWNER TO ledger_app",
    "DROP TABLE events",
    "DROP SCHEMA ledger CASCADE",
    "CREATE TABLE ledger.more (a integer)",
    "CREATE INDEX ON events (type)",
    "CREATE RULE quiet AS ON INSERT TO events DO INSTEAD NOTHING",
    "CREATE TRIGGER quiet AFTER INSERT ON events EXECUTE FUNCTION ledger.quiet()",
    "DELETE FROM company_heads",
    "TRUNCATE company_heads",
    "DELETE FROM idempotency_keys",
    "UPDATE schema_version SET version = 2",
]  # fmt: skip


@pytest_asyncio.fixture(params=POOLS.values(), ids=POOLS, scope="module")
async def pool(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[Pool]:
    """Sessions as the application has them."""
    opened = await request.param(database_url)
    yield opened
    await opened.close()


@pytest.mark.parametrize("statement", FORBIDDEN)
async def test_the_application_cannot_change_what_happened(pool: Pool, statement: str) -> None:
    """Not the rows, not the table, not its own rights: 42501, insufficient privilege."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute(statement)


async def test_the_application_adds_events(pool: Pool, ledger: Ledger, company: str) -> None:
    """What it may do is to append."""
    await submit(ledger, company, create())
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        added = await connection.execute(
            "INSERT INTO events SELECT company_id, position + 1, stream_id, version + 1, event_id, "
            "type, schema_version, actor_type, actor_id, on_behalf_of, key_id, command_id, "
            "correlation_id, causation_id, run_id, recorded_at, occurred_at, via, data, salt, "
            "data_hash, leaf FROM events WHERE company_id = $1 ORDER BY position DESC LIMIT 1",
            company,
        )
        assert added == "INSERT 0 1"
        await transaction.rollback()


async def test_a_position_is_taken_once(ledger: Ledger, pool: Pool, company: str) -> None:
    """Nor can the application put an event where one is, or number a stream twice."""
    events = await log_of(ledger, company)
    with pytest.raises(asyncpg.UniqueViolationError):
        await pool.execute("INSERT INTO events SELECT * FROM events WHERE company_id = $1", company)
    assert await log_of(ledger, company) == events


async def test_the_application_is_no_superuser(pool: Pool) -> None:
    """Whoever logged in, its sessions act as ledger_app, who has no rights but those granted."""
    row = await pool.fetchrow(
        "SELECT current_user AS name, rolsuper, rolbypassrls, rolcreaterole, "
        "pg_has_role(current_user, 'ledger_owner', 'USAGE') AS is_owner "
        "FROM pg_roles WHERE rolname = current_user"
    )
    assert row is not None
    assert tuple(row.values()) == ("ledger_app", False, False, False, False)


async def test_the_owner_owns_the_tables(database_url: str) -> None:
    """Migrations, rebuilds and erasure act as ledger_owner, who can do what it must."""
    connection = await connect(database_url, "ledger_owner")
    owners = await connection.fetch(
        "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'ledger'"
    )
    await connection.close()
    assert [row["tableowner"] for row in owners] == ["ledger_owner"]
