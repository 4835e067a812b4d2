"""The SQL keeps to what a sharded Postgres can do, though the Postgres at hand would take more.

The rules are those of scale.md. What they are for: a company's rows are together on one shard, a
statement means the same on whichever node it runs, and order comes from the company's own row.
So: no triggers and no rules; no serials, identities or sequences; times and ids come in as
parameters, so nothing that an UPDATE sets or returns calls a function whose result may vary; and
every tenant table has company_id first in its primary key and in every unique index.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import pytest

from ledger.database import connect

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "schema.sql"
BESIDE = sorted(
    path for folder in ("ledger", "projections", "api") for path in (ROOT / folder).rglob("*.sql")
)
OF_NO_COMPANY = {"schema_version", "projector_leases"}
"""Tables that belong to the installation and not to a tenant."""


class Statement(NamedTuple):
    """One named statement of a file, with the comment above it and without others."""

    file: str
    name: str
    comment: str
    text: str


def statements() -> Iterator[Statement]:
    """Every named statement there is."""
    for path in BESIDE:
        parts = re.split(r"^-- name: (\w+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for name, text in zip(parts[1::2], parts[2::2], strict=True):
            comment = re.match(r"\n((?:--.*\n)*)", text)
            yield Statement(
                str(path.relative_to(ROOT)), name, comment[1] if comment else "", bare(text)
            )


def bare(text: str) -> str:
    """SQL without its comments and without what is inside quotes."""
    return re.sub(r"'(?:[^']|'')*'", "''", re.sub(r"--.*", "", text))


STATEMENTS = list(statements())
TEXTS = {"schema.sql": bare(SCHEMA.read_text(encoding="utf-8"))} | {
    f"{s.file}: {s.name}": s.text for s in STATEMENTS
}


def where(pattern: str) -> list[str]:
    """Where a pattern is found in any of our SQL."""
    found = re.compile(pattern, re.IGNORECASE)
    return [place for place, text in TEXTS.items() if found.search(text)]


# ── files ──────────────────────────────────────────────────────────────────────────────


def test_there_is_sql_to_look_at() -> None:
    """A rule that finds no SQL would hold for nothing."""
    assert len(BESIDE) > 10
    assert len(STATEMENTS) > 50
    assert where(r"\bCREATE TABLE events\b") == ["schema.sql"]


@pytest.mark.parametrize("path", BESIDE, ids=lambda path: str(path.relative_to(ROOT)))
def test_sql_stands_beside_its_module_and_has_names(path: Path) -> None:
    """`rows.sql` is what `rows.py` sends; what stands before the first name is never sent."""
    before = path.read_text(encoding="utf-8").split("-- name: ")[0]

    assert path.with_suffix(".py").exists()
    assert bare(before).strip() == ""


def test_every_statement_says_what_it_promises() -> None:
    """In a sentence or more, right under its name."""
    silent = [
        f"{s.file}: {s.name}"
        for s in STATEMENTS
        if not re.fullmatch(r"-- [A-Z].*\.\n", s.comment, re.DOTALL)
    ]

    assert silent == []


def test_every_statement_is_sent_by_its_module() -> None:
    """A statement that nobody sends is a promise to nobody."""
    unsent = []
    for s in STATEMENTS:
        module = (ROOT / s.file).with_suffix(".py").read_text(encoding="utf-8")
        for_tables = re.findall(r'getattr\(_SQL, f"(\w+)\{', module)
        if f"_SQL.{s.name}" not in module and not s.name.startswith(tuple(for_tables)):
            unsent.append(f"{s.file}: {s.name}")

    assert unsent == []


# ── the marked rules ───────────────────────────────────────────────────────────────────


def test_there_are_no_triggers_and_no_rules() -> None:
    """Append-only is a matter of grants."""
    assert where(r"\bTRIGGER\b|\bCREATE\s+(OR\s+REPLACE\s+)?RULE\b") == []


def test_there_are_no_serials_identities_or_sequences() -> None:
    """A position comes from the company's row, an id from the application."""
    assert where(r"\b(small|big)?serial[248]?\b|\bIDENTITY\b|\bSEQUENCE\b|\bnextval\b") == []


_SET = re.compile(r"\bSET\b(?!\s+(?:LOCAL|SCHEMA|ROLE|search_path)\b)|\bRETURNING\b", re.IGNORECASE)
_END = re.compile(r"\b(?:WHERE|FROM|RETURNING)\b|;", re.IGNORECASE)
_CALL = re.compile(r"\b([a-z_]\w*)\s*\(", re.IGNORECASE)
_CLOCK = re.compile(
    r"\b(?:current_(?:date|time|timestamp|user|role|catalog|schema)|localtime(?:stamp)?"
    r"|session_user)\b",
    re.IGNORECASE,
)


def changed_or_returned(text: str) -> Iterator[str]:
    """What UPDATE … SET, DO UPDATE SET and RETURNING say, sub-selects and all."""
    if not re.search(r"\b(UPDATE|INSERT|DELETE)\b", text, re.IGNORECASE):
        return
    for match in _SET.finditer(text):
        end = next(
            (
                stop.start()
                for stop in _END.finditer(text, match.end())
                if _depth(text[match.end() : stop.start()]) == 0
            ),
            len(text),
        )
        yield text[match.end() : end]


def _depth(text: str) -> int:
    return text.count("(") - text.count(")")


@pytest.mark.parametrize(
    ("text", "called"),
    [
        ("INSERT INTO t VALUES (f()) ON CONFLICT (a) DO UPDATE SET at = now() WHERE g();", ["now"]),
        ("UPDATE t SET a = 1,\n b = random () + $1 FROM f() AS u WHERE g();", ["random"]),
        ("UPDATE t SET a = (SELECT x FROM clock_timestamp() AS x) WHERE g();", ["clock_timestamp"]),
        ("DELETE FROM t WHERE f() RETURNING a, uuidv7();", ["uuidv7"]),
        ("SET LOCAL lock_timeout = ''; SELECT now();", []),
    ],
)
def test_the_scan_finds_what_it_looks_for(text: str, called: list[str]) -> None:
    """Seen on SQL that breaks the rule, in each of its places and nowhere else."""
    assert [
        name for clause in changed_or_returned(text) for name in _CALL.findall(clause)
    ] == called


async def test_nothing_that_varies_is_set_or_returned(database_url: str) -> None:
    """Times and ids come in as parameters; an upsert uses `excluded`.

    Which functions may vary between two calls is Postgres's to say.
    """
    rows = await _ask(database_url, "SELECT DISTINCT proname FROM pg_proc WHERE provolatile <> 'i'")
    varying = {str(row["proname"]) for row in rows}
    assert {"now", "clock_timestamp", "random", "gen_random_uuid"} <= varying

    found = [
        (place, clause.strip())
        for place, text in TEXTS.items()
        for clause in changed_or_returned(text)
        if _CLOCK.search(clause) or {name.lower() for name in _CALL.findall(clause)} & varying
    ]

    assert found == []


def test_no_default_of_the_schema_is_a_function() -> None:
    """A default would be another clock, or another place that makes ids."""
    defaults = re.findall(r"\bDEFAULT\s+([^,\n]+)", TEXTS["schema.sql"], re.IGNORECASE)

    assert [default for default in defaults if "(" in default or _CLOCK.search(default)] == []


# ── the schema, as Postgres has it ─────────────────────────────────────────────────────

_TABLES = """
SELECT relname FROM pg_class
WHERE relnamespace = 'ledger'::regnamespace AND relkind = 'r'
"""
_UNIQUE = """
SELECT c.relname AS tab, i.indexrelid::regclass::text AS name, i.indisprimary AS is_primary,
       a.attname AS first_column, a.atttypid::regtype::text AS type, a.attnotnull AS not_null
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indrelid AND c.relnamespace = 'ledger'::regnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
WHERE i.indisunique
"""
_OTHERS = """
SELECT
    (SELECT count(*) FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
     WHERE c.relnamespace = 'ledger'::regnamespace) AS triggers,
    (SELECT count(*) FROM pg_class
     WHERE relnamespace = 'ledger'::regnamespace AND relkind = 'S') AS sequences,
    (SELECT count(*) FROM pg_rewrite AS r JOIN pg_class AS c ON c.oid = r.ev_class
     WHERE c.relnamespace = 'ledger'::regnamespace) AS rules,
    (SELECT count(*) FROM pg_attrdef AS d JOIN pg_class AS c ON c.oid = d.adrelid
     JOIN pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
     WHERE c.relnamespace = 'ledger'::regnamespace AND a.attgenerated = '') AS defaults,
    (SELECT count(*) FROM pg_proc
     WHERE pronamespace = 'ledger'::regnamespace AND provolatile = 'v'
       AND proname NOT IN ('append', 'write_rows')) AS functions
"""
_FOREIGN = """
SELECT conname, conrelid::regclass::text AS tab,
       'company_id' = ANY (ARRAY(
           SELECT attname FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY (conkey)
       )) AS has_company
FROM pg_constraint
WHERE contype = 'f' AND connamespace = 'ledger'::regnamespace
"""


async def _ask(url: str, query: str) -> list[asyncpg.Record]:
    connection: asyncpg.Connection[Any] = await connect(url)
    try:
        return await connection.fetch(query)
    finally:
        await connection.close()


async def test_every_tenant_table_begins_its_keys_with_the_company(database_url: str) -> None:
    """The primary key, and every unique index: they can be kept on one shard."""
    tables = {row["relname"] for row in await _ask(database_url, _TABLES)}
    indexes = await _ask(database_url, _UNIQUE)

    assert tables > OF_NO_COMPANY
    for table in tables - OF_NO_COMPANY:
        own = [row for row in indexes if row["tab"] == table]
        assert any(row["is_primary"] for row in own), f"{table} has no primary key"
        for row in own:
            assert (row["first_column"], row["type"], row["not_null"]) == (
                "company_id",
                "uuid",
                True,
            ), row["name"]


async def test_foreign_keys_include_the_company(database_url: str) -> None:
    """There are none today; one that comes stays inside its tenant."""
    foreign = await _ask(database_url, _FOREIGN)

    assert [row["conname"] for row in foreign if not row["has_company"]] == []


async def test_the_schema_has_nothing_that_acts_by_itself(database_url: str) -> None:
    """No triggers, rules, sequences or defaults: what is written was sent, or is made of that.

    The functions that there are only read, but for those that write a batch when they are told to.
    """
    (found,) = await _ask(database_url, _OTHERS)

    assert dict(found) == dict.fromkeys(found.keys(), 0)


# ── what else scale.md asks, where a scan can tell ─────────────────────────────────────


def test_no_statement_needs_what_a_sharded_table_cannot_do() -> None:
    """Neither MERGE, nor GROUPING SETS, nor ROLLUP or CUBE, nor a scalar SELECT in VALUES."""
    assert where(r"\bMERGE\s+INTO\b|\bGROUPING\s+SETS\b|\bROLLUP\b|\bCUBE\b") == []
    assert where(r"\bVALUES\s*\([^;]*\(\s*SELECT\b") == []


def test_no_statement_reads_order_from_transaction_ids() -> None:
    """Order is position, and nothing else."""
    assert where(r"\bxmin\b|\bxid8?\b|pg_current_xact|pg_snapshot") == []


def test_no_statement_moves_a_row_to_another_company() -> None:
    """company_id is where a row lives."""
    moved = [
        place
        for place, text in TEXTS.items()
        for clause in changed_or_returned(text)
        if re.search(r"\bcompany_id\s*=", clause)
    ]

    assert moved == []
