"""Verify: whoever touches the log or a read model behind the ledger's back is found out.

Tampering is done as a superuser, for nobody else can (`test_grants.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from api.demo import play
from api.wiring import FOLLOWING, INLINE, MODELS, Ledger, open_ledger
from ledger.actors import Role
from ledger.database import reader_pool
from ledger.ids import new_id
from projections.projector import Projector
from projections.rebuild import rebuild
from projections.verify import companies, verify
from tests.conftest import _new_database
from tests.scenario import ISSUE, RUN, alice
from tests.writing import ALICE, create, edit, issue_of, link, submit, superuser

TAMPERED = 5
"""The position of the event that is tampered with: neither the first nor the last."""


@pytest_asyncio.fixture(scope="module")
async def own(server_url: str) -> AsyncIterator[Ledger]:
    """A ledger on a database of this file's own, where companies are left in ruins."""
    async with open_ledger(await _new_database(server_url)) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module")
async def root(own: Ledger) -> AsyncIterator[asyncpg.Connection]:
    """Somebody who can do everything to it."""
    async with superuser(own.url) as connection:
        yield connection


@pytest_asyncio.fixture
async def acme(own: Ledger) -> str:
    """A company of the test's own, with something in every table."""
    return await worked_in(own)


async def worked_in(ledger: Ledger) -> str:
    """A company whose agents have worked, with something in every table."""
    company = await ledger.create_company("Acme")
    await ledger.create_key(company, Role.OWNER, ALICE)
    await play(ledger, company, agents=2, issues=6, seed=1)
    await submit(ledger, company, link("ENG-1", "ENG-2"))
    await submit(ledger, company, alice.creates(ISSUE))
    await submit(ledger, company, alice.checks_out(ISSUE, "coder-one", RUN))
    reported = await submit(ledger, company, alice.reports(RUN, ISSUE, cost_micros=5))
    await submit(ledger, company, alice.corrects(reported.position, RUN, ISSUE, cost_micros=4))
    await submit(ledger, company, alice.gives_up(RUN, ISSUE))
    return company


async def difference(ledger: Ledger, company: str) -> str:
    """What verify says; nothing when everything is as it should be."""
    return (await verify(ledger.url, MODELS, company)).difference or ""


# ── what is whole ──────────────────────────────────────────────────────────────────────


async def test_a_company_that_nobody_touched_is_whole(own: Ledger, acme: str) -> None:
    """Every event is looked at, and every table compared."""
    verified = await verify(own.url, MODELS, acme)
    assert verified.difference is None
    events = "SELECT count(*), count(DISTINCT stream_id) FROM events WHERE company_id = $1"
    row = await own.readers.fetchrow(events, acme)
    assert row is not None
    assert (verified.events, verified.streams) == tuple(row.values())
    assert set(verified.tables) == set(MODELS.tables)
    assert all(digest.rows for digest in verified.tables.values())


async def test_verifying_leaves_nothing_behind(
    own: Ledger, root: asyncpg.Connection, acme: str
) -> None:
    """No schema, no table, no rebuilt row: only the following models may be further."""
    before = await root.fetch("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1")
    await verify(own.url, MODELS, acme)
    after = await root.fetch("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1")
    assert before == after


async def test_a_company_at_work_is_whole_at_any_moment(own: Ledger, acme: str) -> None:
    """Verify looks while commands are accepted and models follow, and finds no difference."""
    pool = await reader_pool(own.url, 6)
    projector = Projector(pool, FOLLOWING, poll_seconds=0.02)
    following = asyncio.create_task(projector.run())
    working = asyncio.create_task(play(own, acme, agents=4, issues=80, seed=2))
    looked = 0
    while not working.done():
        assert await difference(own, acme) == ""
        looked += 1
    await working
    projector.stop()
    await following
    await pool.close()
    assert looked > 1
    assert await difference(own, acme) == ""


async def test_two_can_verify_at_once(own: Ledger, acme: str) -> None:
    """They do not get into each other's way."""
    assert await asyncio.gather(*(difference(own, acme) for _ in range(3))) == ["", "", ""]


async def test_a_company_that_is_not_there_is_not_whole(own: Ledger) -> None:
    """Nothing is said to be proved about an id that nobody gave out."""
    assert "no such company" in await difference(own, new_id())


# ── the log ────────────────────────────────────────────────────────────────────────────

COLUMNS = {
    "stream_id": "gen_random_uuid()",
    "version": "version + 1",
    "event_id": "gen_random_uuid()",
    "type": "'issue.deleted'",
    "schema_version": "schema_version + 1",
    "actor_type": "CASE actor_type WHEN 'user' THEN 'agent' ELSE 'user' END",
    "actor_id": "'mallory'",
    "on_behalf_of": "'user:mallory'",
    "key_id": "gen_random_uuid()",
    "command_id": "gen_random_uuid()",
    "correlation_id": "'x'",
    "causation_id": "'x'",
    "run_id": "gen_random_uuid()",
    "recorded_at": "recorded_at + interval '1 microsecond'",
    "occurred_at": "recorded_at",
    "via": "'api'",
    "data": "jsonb_set(data, '{name}', '\"x\"')",
    "salt": "sha256(salt)",
    "data_hash": "sha256(data_hash)",
    "leaf": "sha256(leaf)",
}


@pytest.mark.parametrize("column", COLUMNS)
async def test_a_tampered_event_is_named(
    own: Ledger, root: asyncpg.Connection, acme: str, column: str
) -> None:
    """Whatever column was changed, the position is in the answer."""
    changed = await root.execute(
        f"UPDATE events SET {column} = {COLUMNS[column]} WHERE company_id = $1 AND position = $2",
        acme,
        TAMPERED,
    )
    assert changed == "UPDATE 1"
    assert f"osition {TAMPERED}" in await difference(own, acme)


async def test_every_column_of_an_event_is_looked_at(root: asyncpg.Connection) -> None:
    """The list above is the table's; where an event is, is told by gaps."""
    rows = await root.fetch(
        "SELECT column_name FROM information_schema.columns "
        "WHERE table_schema = 'ledger' AND table_name = 'events'"
    )
    assert {row["column_name"] for row in rows} == set(COLUMNS) | {"company_id", "position"}


async def test_an_event_of_a_type_that_nobody_knows_is_named(
    own: Ledger, root: asyncpg.Connection, acme: str
) -> None:
    """What cannot be read is told, with its position, and is no traceback."""
    await root.execute(
        "UPDATE events SET type = 'issue.enchanted' WHERE company_id = $1 AND position = $2",
        acme,
        TAMPERED,
    )
    assert f"osition {TAMPERED}" in await difference(own, acme)


async def test_a_consistent_forgery_is_found_in_the_read_models(
    own: Ledger, root: asyncpg.Connection, acme: str
) -> None:
    """Data, salt, hash and leaf taken from another company's equal event: the tables differ."""
    other = await worked_in(own)
    await root.execute(
        "UPDATE events AS e SET data = o.data, salt = o.salt, data_hash = o.data_hash "
        "FROM events AS o WHERE e.company_id = $1 AND o.company_id = $2 "
        "AND e.position = $3 AND o.position = $3",
        acme,
        other,
        TAMPERED,
    )
    assert f"osition {TAMPERED}" in await difference(own, acme)
    assert await difference(own, other) == ""


@pytest.mark.parametrize("which", ["first", "middle", "last"])
async def test_a_missing_event_is_named(
    own: Ledger, root: asyncpg.Connection, acme: str, which: str
) -> None:
    """A gap is found wherever it is, at the end too, where nothing follows it."""
    head = await root.fetchval("SELECT head FROM company_heads WHERE company_id = $1", acme)
    position = {"first": 1, "middle": TAMPERED, "last": head}[which]
    await root.execute("DELETE FROM events WHERE company_id = $1 AND position = $2", acme, position)
    assert f" {position}" in await difference(own, acme)


async def test_a_log_that_was_cut_off_with_its_head_is_found_in_the_read_models(
    own: Ledger, root: asyncpg.Connection, acme: str
) -> None:
    """The last event is gone, and the head says so: the tables remember it."""
    issue = issue_of(await submit(own, acme, create("before"))).id
    await submit(own, acme, edit(issue, title="after"))
    async with root.transaction():
        await root.execute(
            "DELETE FROM events USING company_heads AS h WHERE events.company_id = $1 "
            "AND h.company_id = $1 AND events.position = h.head",
            acme,
        )
        await root.execute(
            "UPDATE company_heads AS h SET head = e.position, last_at = e.recorded_at "
            "FROM (SELECT * FROM events WHERE company_id = $1 ORDER BY position DESC LIMIT 1) AS e "
            "WHERE h.company_id = $1",
            acme,
        )
    assert "Table issues" in await difference(own, acme)


async def test_two_events_that_changed_places_are_found(
    own: Ledger, root: asyncpg.Connection, acme: str
) -> None:
    """Order is what a log is."""
    async with root.transaction():
        for here, there in ((TAMPERED, -1), (TAMPERED + 1, TAMPERED), (-1, TAMPERED + 1)):
            await root.execute(
                "UPDATE events SET position = $3 WHERE company_id = $1 AND position = $2",
                acme,
                here,
                there,
            )
    assert f"osition {TAMPERED}" in await difference(own, acme)


async def test_an_event_after_the_end_is_found(
    own: Ledger, root: asyncpg.Connection, acme: str
) -> None:
    """The head says how long the log is; more is as wrong as less."""
    await root.execute(
        "INSERT INTO events SELECT company_id, position + 1, stream_id, version + 1, event_id, "
        "type, schema_version, actor_type, actor_id, on_behalf_of, key_id, command_id, "
        "correlation_id, causation_id, run_id, recorded_at, occurred_at, via, data, salt, "
        "data_hash, leaf FROM events WHERE company_id = $1 ORDER BY position DESC LIMIT 1",
        acme,
    )
    assert await difference(own, acme) != ""


@pytest.mark.parametrize(
    "change", ["head = head + 1", "head = head - 1", "last_at = last_at - interval '1 day'"]
)
async def test_a_head_that_does_not_fit_its_log_is_found(
    own: Ledger, root: asyncpg.Connection, acme: str, change: str
) -> None:
    """The row of locks is checked as well."""
    await root.execute(f"UPDATE company_heads SET {change} WHERE company_id = $1", acme)
    assert "head" in await difference(own, acme)


async def test_a_company_without_its_head_is_looked_at_too(
    own: Ledger, root: asyncpg.Connection, acme: str
) -> None:
    """Who verifies everything does not pass over a company whose row of locks is gone."""
    await root.execute("DELETE FROM company_heads WHERE company_id = $1", acme)
    assert acme in await companies(own.readers)
    assert await difference(own, acme) != ""


async def test_what_is_wrong_in_one_company_is_not_wrong_in_another(
    own: Ledger, root: asyncpg.Connection, acme: str
) -> None:
    """Each company's log stands for itself."""
    other = await worked_in(own)
    await root.execute("UPDATE events SET via = 'x' WHERE company_id = $1", acme)
    await root.execute("UPDATE issues SET title = 'x' WHERE company_id = $1", acme)
    assert await difference(own, acme) != ""
    assert await difference(own, other) == ""


# ── the read models ────────────────────────────────────────────────────────────────────


@pytest_asyncio.fixture(scope="module")
async def mended(server_url: str) -> AsyncIterator[Ledger]:
    """A ledger on a database whose logs are whole, so that rebuilds mend what is in it."""
    async with open_ledger(await _new_database(server_url)) as opened:
        await worked_in(opened)
        yield opened


ROWS = {
    "companies": "name = 'x'",
    "api_keys": "role = 'viewer'",
    "directory": "slug = slug || 'x'",
    "issue_prefixes": "last_number = last_number + 1",
    "issues": "description = 'x'",
    "comments": "body = 'x'",
    "links": "created_by = 'user:mallory'",
    "runs": "cost_micros = cost_micros + 1",
    "leases": "lease_seconds = lease_seconds + 1",
    "spending": "spent_micros = spent_micros - 1",
    "activity": "sentence = 'Nothing happened.'",
    "activity_projects": "project_id = gen_random_uuid()",
    "issue_versions": "title = 'x'",
    "issue_texts": "words = ''",
    "cost_entries": "cost_micros = 0",
    "cost_sums": "cost_micros = cost_micros - 1",
    "cost_corrections": "input_tokens = input_tokens + 1",
    "cost_rework": "position = position + 1",
    "cost_issues": "rework_micros = rework_micros + 1",
}


@pytest.mark.parametrize("how", ["changed", "missing"])
@pytest.mark.parametrize("table", MODELS.tables)
async def test_a_tampered_table_is_found_and_mended(mended: Ledger, table: str, how: str) -> None:
    """One wrong row, or one that is gone, is named with its table; a rebuild puts it right."""
    (company,) = await companies(mended.readers)
    assert await difference(mended, company) == ""
    async with superuser(mended.url) as root:
        one = f"ctid = (SELECT min(ctid) FROM {table})"
        statement = {
            "changed": f"UPDATE {table} SET {ROWS[table]} WHERE {one}",
            "missing": f"DELETE FROM {table} WHERE {one}",
        }
        assert (await root.execute(statement[how])).endswith(" 1")
    assert f"Table {table}" in await difference(mended, company)
    kept = {m.name: m.tables for m in INLINE} | {m.name: m.tables for m in FOLLOWING}
    models = [name for name, tables in kept.items() if table in tables]
    rebuilt = {r.table: r.was_equal for r in await rebuild(mended.url, MODELS, models)}
    assert rebuilt[table] is False
    assert await difference(mended, company) == ""


async def test_a_row_too_many_is_found_and_taken_away(mended: Ledger) -> None:
    """A link that no event tells of is none."""
    (company,) = await companies(mended.readers)
    async with superuser(mended.url) as root:
        await root.execute(
            "INSERT INTO links SELECT company_id, gen_random_uuid(), target_id, link_type, "
            "issue_id, created_position, created_at, created_by FROM links"
        )
    assert "Table links" in await difference(mended, company)
    await rebuild(mended.url, MODELS, ["links"])
    assert await difference(mended, company) == ""
