"""Migrating: a database of an older version becomes one of this, and its log stays as it was.

The older database is made by taking away what schema version 2 brought.
"""

from __future__ import annotations

from typing import Any

import pytest

from api.demo import play
from api.wiring import MODELS, open_ledger
from ledger import log
from ledger.database import SCHEMA_VERSION, SchemaError, install_schema
from projections.queries import Queries
from projections.queries.issues import START, IssueFilter
from projections.rebuild import migrate
from tests.conftest import NewDatabase
from tests.writing import assert_whole, create, submit, superuser

TO_VERSION_1 = """
DROP SCHEMA analytics CASCADE;
DROP TABLE ledger.analysts;
DROP FUNCTION ledger.issue_matches, ledger.issues_saying, ledger.append, ledger.write_rows;
ALTER TABLE ledger.idempotency_keys ALTER COLUMN reply TYPE jsonb USING reply::jsonb;
DROP TABLE ledger.issue_versions, ledger.issue_texts;
DELETE FROM ledger.checkpoints WHERE model IN ('versions', 'texts');
DROP TABLE ledger.leases, ledger.spending;
ALTER TABLE ledger.issues
    DROP COLUMN lease_seconds, DROP COLUMN lease_expires_at, DROP COLUMN fencing_token,
    DROP COLUMN paused_at, DROP COLUMN paused_run_id, DROP COLUMN blocked_from,
    DROP COLUMN run_count, DROP COLUMN per_task_micros;
ALTER TABLE ledger.runs
    DROP COLUMN paused_at, DROP COLUMN exit_details, DROP COLUMN progress_message,
    DROP COLUMN progress_percent, DROP COLUMN progressed_at, DROP COLUMN checkpoint_position,
    DROP COLUMN checkpointed_at, DROP COLUMN checkpoint, DROP COLUMN workspace_url;
ALTER TABLE ledger.companies DROP COLUMN monthly_micros;
UPDATE ledger.schema_version SET version = 1;
"""


async def old_database(new_database: NewDatabase) -> tuple[str, str]:
    """The URL of a database of version 1 with history in it, and its company."""
    url = await new_database()
    async with open_ledger(url) as ledger:
        company = await ledger.create_company("Acme")
        await play(ledger, company, agents=3, issues=10, seed=2)
    async with superuser(url) as connection:
        await connection.execute(TO_VERSION_1)
    return url, company


async def the_log(url: str) -> list[Any]:
    """Every event, as it is stored."""
    async with superuser(url) as connection:
        return await connection.fetch("SELECT e::text FROM events AS e ORDER BY position")


async def test_an_older_database_is_not_served_but_migrated(new_database: NewDatabase) -> None:
    """What opens it says what to do; afterwards it is whole, and takes commands."""
    url, company = await old_database(new_database)
    before = await the_log(url)
    with pytest.raises(SchemaError, match="ledger migrate"):
        await install_schema(url)

    assert await migrate(url, MODELS)

    assert await the_log(url) == before
    assert not await install_schema(url)
    async with open_ledger(url) as ledger:
        await assert_whole(ledger, company)
        await submit(ledger, company, create("after"))
        await assert_whole(ledger, company)
        lists, place = Queries(ledger.readers).issues, START["newest"]
        wanted = IssueFilter(statuses=["todo"], words=["so that nobody"])
        position = await log.head(ledger.readers, company)
        await lists.page(company, wanted, "newest", place, 10, position=position or 0)


async def test_migrating_twice_does_nothing(new_database: NewDatabase) -> None:
    """Nor does migrating what is of this version, or what has no schema yet."""
    url, _ = await old_database(new_database)

    assert await migrate(url, MODELS)
    assert not await migrate(url, MODELS)


async def test_a_newer_database_is_left_alone(new_database: NewDatabase) -> None:
    """This program does not know what it would destroy."""
    url = await new_database()
    async with superuser(url) as connection:
        await connection.execute("UPDATE schema_version SET version = $1", SCHEMA_VERSION + 1)

    with pytest.raises(SchemaError, match="newer"):
        await migrate(url, MODELS)
    with pytest.raises(SchemaError, match="newer"):
        await install_schema(url)
