"""Analysts' roles: each sees its companies and nothing else, whatever it tries.

What keeps it so is grants, and views that look at who asks before any condition of the asker's; not
the role's settings, which every session may change. So the sessions here are read-write ones.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sysconfig
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import pytest_asyncio

from api import analysts
from api.analysts import AnalystRefused
from api.demo import play
from api.wiring import FOLLOWING, Ledger, open_ledger
from ledger.actors import Actor, Role
from ledger.database import LOST, install_schema
from ledger.ids import new_id
from projections.projector import step
from tests.conftest import NewDatabase
from tests.writing import create, submit, superuser

LEDGER = Path(sysconfig.get_path("scripts")) / "ledger"
VIEWS = ("companies", "issues", "activity", "costs", "runs", "leases", "transitions", "cycle_time")
Session: TypeAlias = "asyncpg.Connection[Any]"


class Acme(NamedTuple):
    """A database of two companies at work and one without issues; an analyst of the first."""

    ledger: Ledger
    company: str
    other: str
    empty: str
    role: str
    login: str

    @property
    def url(self) -> str:
        """The database, as a superuser."""
        return self.ledger.url


def name() -> str:
    """A name for a role; roles are the whole server's, so each test has its own."""
    return f"analyst_{new_id()[-12:]}"


@pytest_asyncio.fixture(scope="module")
async def acme(new_database: NewDatabase) -> AsyncIterator[Acme]:
    """An analyst's login, and what it may see and what not."""
    url = await new_database()
    async with open_ledger(url) as ledger:
        company, other, empty = [await ledger.create_company(n) for n in ("Acme", "Other", "Empty")]
        for at_work in (company, other):
            await play(ledger, at_work, agents=3, issues=8, seed=5)
            await ledger.create_key(at_work, Role.OWNER, Actor("user", "alice"))
        await submit(ledger, other, create("Secret of others"))
        async with ledger.readers.acquire() as connection:
            for model in FOLLOWING:
                for each in (company, other, empty):
                    while await step(connection, model, each):
                        pass
        role = name()
        password = await analysts.create(url, role, [company], "30s")
        yield Acme(ledger, company, other, empty, role, analysts.url_of(url, role, password))
        await analysts.drop(url, role)


@pytest_asyncio.fixture
async def session(acme: Acme) -> AsyncIterator[Session]:
    """A session of the analyst, which has made itself read-write."""
    connection = await asyncpg.connect(acme.login)
    await connection.execute("SET default_transaction_read_only = off")
    yield connection
    await connection.close()


# ── what it sees ───────────────────────────────────────────────────────────────────────


async def counted(connection: Session, company: str | None = None) -> dict[str, int]:
    """How many rows each view has, of one company or of all that are seen."""
    where = "" if company is None else f" WHERE company_id = '{company}'"
    return {
        view: await connection.fetchval(f"SELECT count(*) FROM analytics.{view}{where}")
        for view in VIEWS
    }


async def test_it_sees_its_company_and_no_other(acme: Acme, session: Session) -> None:
    """With and without naming a company, in every view; a superuser sees all of them."""
    async with superuser(acme.url) as connection:
        everything = await counted(connection)
        of_acme, of_other = [await counted(connection, c) for c in (acme.company, acme.other)]

    assert await counted(session) == await counted(session, acme.company) == of_acme
    assert await counted(session, acme.other) == dict.fromkeys(VIEWS, 0)
    assert all(of_acme[view] > 0 and of_other[view] > 0 for view in VIEWS if view != "cycle_time")
    assert everything["issues"] == of_acme["issues"] + of_other["issues"]


async def test_an_analyst_may_have_several_companies(acme: Acme) -> None:
    """And one that has none of another's."""
    role = name()
    login = analysts.url_of(
        acme.url, role, await analysts.create(acme.url, role, [acme.company, acme.empty], "5s")
    )
    connection = await asyncpg.connect(login)
    seen = await connection.fetch("SELECT name FROM companies ORDER BY name")
    await connection.close()
    await analysts.drop(acme.url, role)

    assert [row["name"] for row in seen] == ["Acme", "Empty"]


async def test_its_sessions_begin_careful(acme: Acme) -> None:
    """Read-only, with a statement's time, on the views by their plain names; five at most."""
    connection = await asyncpg.connect(acme.login)
    settings = {
        setting: await connection.fetchval("SELECT current_setting($1)", setting)
        for setting in ("default_transaction_read_only", "statement_timeout", "temp_file_limit",
                        "idle_in_transaction_session_timeout", "search_path")
    }  # fmt: skip
    limit = await connection.fetchval(
        "SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user"
    )
    await connection.close()

    assert settings == {
        "default_transaction_read_only": "on",
        "statement_timeout": "30s",
        "temp_file_limit": "2GB",
        "idle_in_transaction_session_timeout": "1min",
        "search_path": "analytics",
    }
    assert limit == analysts.CONNECTIONS


# ── what it does not ───────────────────────────────────────────────────────────────────

FORBIDDEN = {
    "the log": "SELECT data, salt FROM ledger.events",
    "issues as stored": "SELECT * FROM ledger.issues",
    "secrets of keys": "SELECT secret_sha256 FROM ledger.api_keys",
    "who sees what": "SELECT * FROM ledger.analysts",
    "the list behind the views": "SELECT * FROM analytics.visible_companies",
    "seeing more": "INSERT INTO ledger.analysts SELECT company_id, current_user FROM companies",
    "passwords": "SELECT * FROM pg_authid",
    "statistics of columns": "SELECT * FROM pg_statistic",
    "being the owner": "SET ROLE ledger_owner",
    "being the application": "SET ROLE ledger_app",
    "being another session": "SET SESSION AUTHORIZATION ledger_owner",
    "being more": "ALTER ROLE current_user SUPERUSER",
    "seeing as the application": "GRANT ledger_app TO current_user",
    "another role": "CREATE ROLE more",
    "another database": "CREATE DATABASE more",
    "a table": "CREATE TABLE public.more (a integer)",
    "a table beside the views": "CREATE TABLE analytics.more (a integer)",
    "a table in the ledger": "CREATE TABLE ledger.more (a integer)",
    "a temporary table": "CREATE TEMPORARY TABLE more (a integer)",
    "a temporary view": "CREATE TEMPORARY VIEW more AS SELECT 1",
    "a temporary function": "CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE sql "
    "COST 0.0001 AS 'SELECT true'",
    "a function": "CREATE FUNCTION public.leak(text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
    "a schema": "CREATE SCHEMA more",
    "a view of others'": "CREATE OR REPLACE VIEW analytics.issues AS SELECT 1",
    "the barrier away": "ALTER VIEW analytics.issues SET (security_barrier = false)",
    "a view away": "DROP VIEW analytics.issues",
    "a large object": "SELECT lo_create(0)",
    "a large object of old": "SELECT lo_creat(-1)",
    "a large object with text": "SELECT lo_from_bytea(0, 'x')",
    "a large object from a file": "SELECT lo_import('/etc/passwd')",
    "a program": "COPY (SELECT 1) TO PROGRAM 'true'",
    "a file to": "COPY (SELECT 1) TO '/tmp/more'",
    "a file from": "SELECT pg_read_file('/etc/passwd')",
    "a folder": "SELECT pg_ls_dir('/')",
    "another's session": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE pid <> pg_backend_pid() AND usename <> current_user",
    "a bound that is a superuser's": "SET temp_file_limit = -1",
    "a server's setting": "ALTER SYSTEM SET fsync = off",
    "a lock": "BEGIN; LOCK TABLE ledger.company_heads",
}


@pytest.mark.parametrize("statement", FORBIDDEN.values(), ids=FORBIDDEN)
async def test_everything_else_is_out_of_reach(session: Session, statement: str) -> None:
    """42501, insufficient privilege, though the session is read-write."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await session.execute(statement)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(
    "statement",
    ["INSERT INTO {0} DEFAULT VALUES", "UPDATE {0} SET company_id = NULL", "DELETE FROM {0}",
     "TRUNCATE {0}", "SELECT * FROM {0} FOR UPDATE"],
    ids=["insert", "update", "delete", "truncate", "lock"],
)  # fmt: skip
async def test_nothing_is_written_through_a_view(
    session: Session, view: str, statement: str
) -> None:
    """By grant, or because Postgres could not if it wanted."""
    with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.PostgresError)) as refused:
        await session.execute(statement.format(f"analytics.{view}"))

    assert refused.value.sqlstate in ("42501", "55000", "42809", "0A000")


_TELLING = {
    "a cast": ("issues", "title::integer = 1"),
    "a division": ("issues", "1 / (length(title) - length(title)) = 1"),
    "a query": ("issues", "query_to_xml('SELECT ' || title, true, true, '') IS NULL"),
    "a sentence": ("activity", "sentence::integer = 1 AND type <> 'company.created'"),
    "a status": ("transitions", "to_status::integer = 1"),
    "a name": ("costs", "agent_name::integer = 1"),
}


@pytest.mark.parametrize(("view", "condition"), _TELLING.values(), ids=_TELLING)
async def test_a_condition_that_tells_what_it_saw_sees_nothing_of_others(
    acme: Acme, view: str, condition: str
) -> None:
    """It fails on the first row that it is given; an analyst of an empty company gives it none."""
    role = name()
    password = await analysts.create(acme.url, role, [acme.empty], "30s")
    connection = await asyncpg.connect(analysts.url_of(acme.url, role, password))
    question = f"SELECT count(*) FROM analytics.{view} WHERE {condition}"
    found = await connection.fetchval(question)
    named = await connection.fetchval(f"{question} AND company_id = '{acme.other}'")
    await connection.close()
    await analysts.drop(acme.url, role)

    assert (found, named) == (0, 0)
    async with superuser(acme.url) as trusted:
        with pytest.raises(asyncpg.PostgresError):
            await trusted.fetchval(question)


async def test_another_role_sees_no_more(acme: Acme, session: Session) -> None:
    """The group of all analysts has no companies, not even for what was prepared before."""
    prepared = await session.prepare("SELECT count(*) FROM analytics.issues")
    assert await prepared.fetchval() > 0
    await session.execute("SET ROLE ledger_analyst")

    assert await prepared.fetchval() == 0
    assert await counted(session) == dict.fromkeys(VIEWS, 0)
    await session.execute("RESET ROLE")
    assert await prepared.fetchval() > 0


async def test_statistics_tell_nothing(session: Session) -> None:
    """What Postgres keeps of the columns' values is shown to those who may read the tables."""

    async def count(question: str) -> int:
        return int(await session.fetchval(question))

    assert await count("SELECT count(*) FROM pg_stats WHERE schemaname = 'ledger'") == 0
    assert await count("SELECT count(*) FROM pg_stats_ext WHERE schemaname = 'ledger'") == 0
    assert await count(
        "SELECT count(*) FROM pg_stat_activity WHERE usename <> current_user "
        "AND query NOT IN ('', '<insufficient privilege>')"
    ) == 0  # fmt: skip


async def test_another_database_of_the_server_shows_it_nothing(
    acme: Acme, new_database: NewDatabase
) -> None:
    """The role is the whole server's; what it sees is this database's."""
    other = await new_database()
    async with open_ledger(other) as ledger:
        await ledger.create_company("Elsewhere")
    path = urlsplit(other).path
    connection = await asyncpg.connect(urlunsplit(urlsplit(acme.login)._replace(path=path)))
    seen = await counted(connection)
    await connection.close()

    assert seen == dict.fromkeys(VIEWS, 0)


# ── making and dropping ────────────────────────────────────────────────────────────────


async def test_a_dropped_analyst_is_gone_at_once(acme: Acme) -> None:
    """The open session is ended, the login refused, the companies forgotten."""
    role = name()
    login = analysts.url_of(
        acme.url, role, await analysts.create(acme.url, role, [acme.company], "30s")
    )
    connection = await asyncpg.connect(login)

    await analysts.drop(acme.url, role)

    with pytest.raises((*LOST, asyncpg.PostgresError)):
        await connection.fetch("SELECT * FROM issues")
    with pytest.raises(asyncpg.PostgresError):
        await asyncpg.connect(login)
    assert role not in {row["role_name"] for row in await analysts.analysts(acme.url)}
    with pytest.raises(AnalystRefused, match="There is no role"):
        await analysts.drop(acme.url, role)


async def test_a_role_that_somebody_dropped_is_listed_and_taken_off(acme: Acme) -> None:
    """Its companies wait for no other role of the same name."""
    role = name()
    await analysts.create(acme.url, role, [acme.company], "30s")
    async with superuser(acme.url) as connection:
        await connection.execute(f"DROP ROLE {role}")

    listed = {row["role_name"]: row["is_there"] for row in await analysts.analysts(acme.url)}
    assert listed[role] is False
    login = analysts.url_of(
        acme.url, role, await analysts.create(acme.url, role, [acme.empty], "30s")
    )
    again = await asyncpg.connect(login)
    assert [row["name"] for row in await again.fetch("SELECT name FROM companies")] == ["Empty"]
    await again.close()
    await analysts.drop(acme.url, role)


async def test_only_analysts_are_dropped(acme: Acme) -> None:
    """A role that this program did not make is not its to remove."""
    plain = name()
    async with superuser(acme.url) as connection:
        await connection.execute(f"CREATE ROLE {plain} LOGIN")
    with pytest.raises(AnalystRefused, match="no analyst"):
        await analysts.drop(acme.url, plain)
    with pytest.raises(AnalystRefused, match="already"):
        await analysts.create(acme.url, plain, [acme.company], "30s")
    async with superuser(acme.url) as connection:
        await connection.execute(f"DROP ROLE {plain}")


async def test_what_owns_something_is_not_dropped_but_blind(acme: Acme) -> None:
    """The refusal names what it is; the role sees nothing from then on."""
    role = name()
    login = analysts.url_of(
        acme.url, role, await analysts.create(acme.url, role, [acme.company], "30s")
    )
    async with superuser(acme.url) as connection:
        await connection.execute(f"GRANT SELECT ON ledger.schema_version TO {role}")
    with pytest.raises(AnalystRefused, match="schema_version"):
        await analysts.drop(acme.url, role)

    connection = await asyncpg.connect(login)
    assert await counted(connection) == dict.fromkeys(VIEWS, 0)
    await connection.close()
    async with superuser(acme.url) as trusted:
        await trusted.execute(f"DROP OWNED BY {role}")
        await trusted.execute(f"DROP ROLE {role}")


@pytest.mark.parametrize(
    ("company", "time", "said"),
    [("unknown", "30s", "There is no company"), ("known", "soon", "soon")],
    ids=["a company", "a time"],
)
async def test_a_refused_role_is_not_half_made(
    acme: Acme, company: str, time: str, said: str
) -> None:
    """Nothing is left of it."""
    role = name()
    of = acme.company if company == "known" else new_id()

    with pytest.raises(AnalystRefused, match=said):
        await analysts.create(acme.url, role, [of], time)

    async with superuser(acme.url) as connection:
        assert not await connection.fetchval("SELECT to_regrole($1)", role)
        assert not await connection.fetchval(
            "SELECT count(*) FROM analysts WHERE role_name = $1", role
        )


@pytest.mark.parametrize("may", ["nothing", "create roles"])
async def test_making_roles_takes_the_right_to(acme: Acme, may: str) -> None:
    """One sentence for who may not; CREATEROLE suffices, with a share in what is handed on."""
    deputy, role = name(), name()
    async with superuser(acme.url) as connection:
        await connection.execute(f"CREATE ROLE {deputy} LOGIN PASSWORD 'x' IN ROLE ledger_owner")
        if may == "create roles":
            await connection.execute(f"ALTER ROLE {deputy} CREATEROLE")
            await connection.execute(f"GRANT ledger_analyst TO {deputy} WITH ADMIN OPTION")
    url = analysts.url_of(acme.url, deputy, "x")
    if may == "nothing":
        with pytest.raises(AnalystRefused, match="CREATEROLE"):
            await analysts.create(url, role, [acme.company], "30s")
    else:
        await analysts.create(url, role, [acme.company], "30s")
        assert role in {row["role_name"] for row in await analysts.analysts(url)}
        await analysts.drop(url, role)
    async with superuser(acme.url) as connection:
        await connection.execute(f"DROP ROLE {deputy}")


async def test_postgres_itself_would_keep_the_same_of_a_password(acme: Acme) -> None:
    """The verifier is Postgres's own, so the password opens a server that asks for one."""
    role = name()
    async with superuser(acme.url) as connection:
        await connection.execute("SET password_encryption = 'scram-sha-256'")
        await connection.execute(f"CREATE ROLE {role} PASSWORD 'correct horse'")
        kept = await connection.fetchval(
            "SELECT rolpassword FROM pg_authid WHERE rolname = $1", role
        )
        await connection.execute(f"DROP ROLE {role}")
    salt = base64.b64decode(kept.split("$")[1].split(":")[1])

    assert analysts.scram_verifier("correct horse", salt) == kept
    assert analysts.scram_verifier("battery staple", salt) != kept


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://postgres@/ledger?host=/tmp/x", "postgresql://a:p%2Fw@/ledger?host=/tmp/x"),
        ("postgres://me:my@db:5433/l", "postgresql://a:p%2Fw@db:5433/l"),
        ("postgresql://[::1]/l?user=me&password=my&sslmode=require",
         "postgresql://a:p%2Fw@[::1]/l?sslmode=require"),
    ],
    ids=["a socket", "a host", "a query"],
)  # fmt: skip
def test_a_login_is_the_databases_url_with_another_name(url: str, expected: str) -> None:
    """Nothing of the administrator's is left in it."""
    assert analysts.url_of(url, "a", "p/w") == expected


@pytest.mark.parametrize(
    ("called", "may"),
    [("anna", True), ("anna_2", True), ("a" * 63, True), ("a" * 64, False), ("", False),
     ("Anna", False), ("2anna", False), ("anna; DROP ROLE x", False), ('an"na', False),
     ("ännä", False), ("pg_anna", False), ("ledger_app", False), ("anna\n", False)],
    ids=["plain", "number", "long", "too long", "none", "capital", "number first", "statement",
         "quote", "letters", "postgres's", "ours", "line"],
)  # fmt: skip
def test_names_of_roles_are_plain(called: str, may: bool) -> None:
    """What Postgres would need quotes for, or takes for its own, is refused."""
    assert analysts.is_role_name(called) is may


async def test_the_schema_can_be_installed_by_no_superuser(acme: Acme) -> None:
    """One who owns the database and may make roles: large objects stay as they were, no more."""
    owner = name()
    async with superuser(acme.url) as connection:
        await connection.execute(f"CREATE ROLE {owner} LOGIN CREATEROLE PASSWORD 'x'")
        for ours in ("ledger_owner", "ledger_app", "ledger_analyst"):
            await connection.execute(f"GRANT {ours} TO {owner} WITH ADMIN OPTION")
        await connection.execute(f"CREATE DATABASE {owner} OWNER {owner}")
    url = urlunsplit(urlsplit(analysts.url_of(acme.url, owner, "x"))._replace(path=f"/{owner}"))

    assert await install_schema(url)

    connection = await asyncpg.connect(url)
    assert await connection.fetchval("SELECT count(*) FROM analytics.issues") == 0
    await connection.execute("SET ROLE ledger_owner")  # Who verifies, in temporary tables.
    await connection.execute("CREATE TEMPORARY TABLE shadow (a integer)")
    await connection.close()
    async with superuser(acme.url) as trusted:
        await trusted.execute(f"DROP DATABASE {owner} WITH (FORCE)")
        await trusted.execute(f"DROP ROLE {owner}")


# ── the command line ───────────────────────────────────────────────────────────────────


def shell(*words: str) -> subprocess.CompletedProcess[str]:
    """Runs `ledger …` to its end."""
    return subprocess.run([str(LEDGER), *words], capture_output=True, text=True, timeout=60)


async def test_the_commands_make_list_and_drop(acme: Acme) -> None:
    """The password is printed once, in a URL that works, and nowhere again."""
    role, at = name(), ("--database-url", acme.url)
    made = shell("analyst-role", "create", role, "--company", acme.company, "--company",
                 acme.empty, "--statement-timeout", "5s", "--json", *at)  # fmt: skip
    assert made.returncode == 0, made.stderr
    shown = json.loads(made.stdout)
    assert shown["companies"] == sorted([acme.company, acme.empty])
    connection = await asyncpg.connect(shown["url"])
    assert await connection.fetchval("SHOW statement_timeout") == "5s"
    await connection.close()

    listed = shell("analyst-role", "list", "--json", *at)
    assert {"role": role, "companies": shown["companies"], "is_there": True,
            "statement_timeout": "5s",
            "connection_limit": analysts.CONNECTIONS} in json.loads(listed.stdout)  # fmt: skip
    assert shown["password"] not in listed.stdout
    dropped = shell("analyst-role", "drop", role, *at)
    assert (dropped.returncode, dropped.stdout) == (0, f"{role} is gone.\n")


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("create", "Anna", "--company", "{company}"), 2),
        (("create", "anna", "--company", "acme"), 2),
        (("create", "anna"), 2),
        (("create", "anna", "--company", "01890000-0000-7000-8000-000000000000"), 1),
        (("drop", "postgres"), 1),
        (("drop", "nobody_is_called_so"), 1),
        (("drop", "ledger_app"), 2),
    ],
    ids=["name", "company", "no company", "unknown company", "not ours", "nobody", "ours"],
)
async def test_the_commands_refuse_in_one_line(
    acme: Acme, words: tuple[str, ...], status: int
) -> None:
    """1 for what is refused, 2 for a wrong command line; never a traceback."""
    words = tuple(word.format(company=acme.company) for word in words)
    ran = shell("analyst-role", *words, "--database-url", acme.url)

    assert ran.returncode == status, ran.stderr
    assert ran.stdout == ""
    assert "Traceback" not in ran.stderr
    assert status == 2 or ran.stderr.count("\n") == 1
