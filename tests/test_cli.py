"""The command line: real processes on a real data directory, beside a running server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import Request, urlopen

import asyncpg
import pytest

from ledger.embedded_postgres import postgres
from ledger.ids import new_id
from tests.serving import Server

LEDGER = Path(sysconfig.get_path("scripts")) / "ledger"
COMMANDS: tuple[list[str], ...] = (
    [], ["serve"], ["company"], ["company", "create"], ["company", "list"], ["key"],
    ["key", "create"], ["key", "list"], ["key", "revoke"], ["import"], ["import", "beads"],
    ["rebuild"], ["verify"], ["verify-export"], ["replay"], ["tail"], ["demo"],
    ["analyst-role"], ["analyst-role", "create"], ["analyst-role", "list"],
    ["analyst-role", "drop"], ["export-parquet"],
)  # fmt: skip


class Ran(NamedTuple):
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which is one JSON value and nothing else."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """Standard output, which is NDJSON."""
        return [json.loads(line) for line in self.out.splitlines()]


class Shell(NamedTuple):
    """Runs `ledger …` with an environment of its own."""

    env: dict[str, str]

    def __call__(self, *words: str | bytes, **env: str) -> Ran:
        """Runs a command to its end."""
        done = subprocess.run(
            [str(LEDGER), *words],
            env={**self.env, **env},
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
        )
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    def fails(self, status: int, *words: str | bytes, **env: str) -> str:
        """Runs a command that is refused: documented status, one clear line, no traceback."""
        ran = self(*words, **env)
        assert ran.status == status, ran
        assert "Traceback" not in ran.err
        assert not ran.out
        if status != 2:
            assert re.fullmatch(r"ledger: .+\n", ran.err), ran.err
        return ran.err


_CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("LEDGER_")} | {
    "NO_COLOR": "1",
    "COLUMNS": "200",
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data directory whose Postgres stays up for the module."""
    folder = tmp_path_factory.mktemp("cli") / "data"
    with postgres(folder):
        yield folder


@pytest.fixture(scope="module")
def server(data_dir: Path) -> Iterator[Server]:
    """A server on the same data directory, as every command must work beside one."""
    with Server(data_dir) as running:
        yield running


@pytest.fixture(scope="module")
def ledger_cli(data_dir: Path, server: Server) -> Shell:
    """`ledger` on the data directory, named by the environment."""
    return Shell({**_CLEAN, "LEDGER_DATA_DIR": str(data_dir)})


@pytest.fixture
def company(ledger_cli: Shell) -> str:
    """The id of a company of the test's own."""
    return str(ledger_cli("company", "create", "Acme", "--json").json["id"])


@pytest.fixture(scope="module")
def played(ledger_cli: Shell) -> str:
    """The id of a company in which agents were at work."""
    ran = ledger_cli("demo", "--agents", "3", "--issues", "6", "--json")
    return str(ran.json["company"])


@pytest.fixture
def victim(ledger_cli: Shell) -> str:
    """The same, for a test that does harm to it."""
    ran = ledger_cli("demo", "--agents", "3", "--issues", "6", "--json")
    return str(ran.json["company"])


# ── companies and keys ─────────────────────────────────────────────────────────────────


def test_a_company_is_created(ledger_cli: Shell) -> None:
    """With --json exactly id, name and workflow; without it a line for people."""
    ran = ledger_cli("company", "create", "Acme & Söhne", "--json")
    assert ran.status == 0
    assert ran.json.keys() == {"id", "name", "workflow"}
    assert (ran.json["name"], ran.json["workflow"]) == ("Acme & Söhne", "default")
    plain = ledger_cli("company", "create", "Plain", "--workflow", "default")
    assert re.fullmatch(r"[0-9a-f-]{36}  Plain\n", plain.out)
    listed = ledger_cli("company", "list", "--json").json
    assert ran.json in listed


def test_a_key_is_created_listed_and_revoked(
    ledger_cli: Shell, server: Server, company: str
) -> None:
    """The running server takes it at once, and refuses it once it is revoked."""
    made = ledger_cli(
        "key", "create", "--company", company, "--role", "owner", "--actor", "user:alice", "--json"
    ).json
    assert made.keys() == {"id", "key", "role", "actor"}
    assert (made["role"], made["actor"]) == ("owner", "user:alice")
    request = Request(f"{server.url}/v1/me", headers={"Authorization": f"Bearer {made['key']}"})
    with urlopen(request, timeout=10) as response:
        assert json.load(response)["key_id"] == made["id"]
    listed = ledger_cli("key", "list", "--company", company, "--json").json
    assert [key["id"] for key in listed] == [made["id"]]
    assert made["key"] not in json.dumps(listed)
    revoked = ledger_cli("key", "revoke", made["id"], "--company", company, "--json").json
    assert revoked == {"id": made["id"], "revoked": True}
    (kept,) = ledger_cli("key", "list", "--company", company, "--json").json
    assert kept["revoked_at"] is not None


def test_an_id_is_written_in_either_case(ledger_cli: Shell, company: str) -> None:
    """As people copy them."""
    ran = ledger_cli("key", "list", "--company", company.upper(), "--json")
    assert (ran.status, ran.json) == (0, [])


def test_without_json_a_key_is_the_only_output(ledger_cli: Shell, company: str) -> None:
    """So that a script can take it."""
    ran = ledger_cli("key", "create", "--company", company, "--role", "agent", "--actor", "agent:a")
    assert re.fullmatch(r"ldg_[0-9a-f]{32}_[\w-]{43,}\n", ran.out)


# ── the demo, replay ───────────────────────────────────────────────────────────────────


def test_a_demo_is_played(ledger_cli: Shell, company: str) -> None:
    """In a company of its own, or in one that is named; the same seed, the same work."""
    first = ledger_cli("demo", "--agents", "2", "--issues", "5", "--seed", "7", "--json").json
    again = ledger_cli(
        "demo", "--agents", "2", "--issues", "5", "--seed", "7", "--company", company, "--json"
    ).json
    assert first["accepted"] > 15
    assert again["company"] == company
    created = [
        [e["data"]["title"] for e in ledger_cli("replay", "--company", one).lines
         if e["type"] == "issue.created"]
        for one in (first["company"], company)
    ]  # fmt: skip
    assert created[0] == created[1]


def test_replaying_prints_the_log(ledger_cli: Shell, played: str) -> None:
    """One JSON object a line, positions without gaps, up to a position if asked."""
    events = ledger_cli("replay", "--company", played).lines
    assert [event["position"] for event in events] == list(range(1, len(events) + 1))
    assert events[0]["type"] == "company.created"
    half = ledger_cli("replay", "--company", played, "--at-position", "5").lines
    assert half == events[:5]
    assert ledger_cli("replay", "--company", played, "--at-position", "0").lines == []
    all_of_it = ledger_cli("replay", "--company", played, "--at-position", "999999").lines
    assert all_of_it == events


def test_replaying_one_issue_takes_its_identifier(ledger_cli: Shell, played: str) -> None:
    """Its id, or its identifier in any case; the events of its own stream."""
    everything = ledger_cli("replay", "--company", played).lines
    issue_id = next(e["stream_id"] for e in everything if e["type"] == "issue.created")
    expected = [event for event in everything if event["stream_id"] == issue_id]
    for ref in ("ENG-1", "eng-1", issue_id):
        assert ledger_cli("replay", "--company", played, "--issue", ref).lines == expected, ref


def test_replaying_to_a_state_folds_the_events(
    ledger_cli: Shell, server: Server, played: str
) -> None:
    """The state equals what the running server shows; half-way it is as it was then."""
    states = ledger_cli("replay", "--company", played, "--state").lines
    key = ledger_cli(
        "key", "create", "--company", played, "--role", "auditor", "--actor", "user:a"
    ).out.strip()
    request = Request(
        f"{server.url}/v1/companies/{played}/issues?limit=200",
        headers={"Authorization": f"Bearer {key}"},
    )
    with urlopen(request, timeout=10) as response:
        shown = {item["id"]: item for item in json.load(response)["items"]}
    folded = {s["id"]: s for s in states if s["kind"] == "issue"}
    assert folded.keys() == shown.keys()
    for issue_id, item in shown.items():
        assert item.items() <= folded[issue_id].items()
    (first,) = ledger_cli("replay", "--company", played, "--state", "--at-position", "1").lines
    assert (first["kind"], first["name"]) == ("company", "Demo")
    of_issue = ledger_cli("replay", "--company", played, "--state", "--issue", "ENG-1").lines
    assert of_issue[0]["identifier"] == "ENG-1"
    assert {state["kind"] for state in of_issue} <= {"issue", "run", "comment", "link"}


# ── verify and rebuild ─────────────────────────────────────────────────────────────────


def test_a_whole_log_is_verified_and_rebuilt(ledger_cli: Shell, played: str) -> None:
    """Exit 0, with what was counted; a rebuild changes nothing; and it is whole afterwards."""
    events = len(ledger_cli("replay", "--company", played).lines)
    ran = ledger_cli("verify", "--company", played, "--json")
    assert (ran.status, ran.json["events"]) == (0, events)
    assert not ran.json["difference"]
    rebuilt = ledger_cli("rebuild", "--json")
    assert rebuilt.status == 0, rebuilt
    assert all(table["was_equal"] for table in rebuilt.json)
    some = ledger_cli("rebuild", "issues", "costs", "--json")
    assert {table["table"] for table in some.json} >= {"issues", "cost_entries", "cost_sums"}
    everything = ledger_cli("verify", "--json")
    assert played in [v["company_id"] for v in everything.json if not v["difference"]]
    assert "whole" in ledger_cli("verify", "--company", played).out


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("UPDATE ledger.events SET data = jsonb_set(data, '{title}', '\"Forged\"') "
         "WHERE company_id = $1 AND type = 'issue.created'", "position"),
        ("UPDATE ledger.events SET actor_id = 'mallory' WHERE company_id = $1 AND position = 9",
         "position 9"),
        ("UPDATE ledger.events SET recorded_at = recorded_at + interval '1 s' "
         "WHERE company_id = $1 AND position = 7", "position 7"),
        ("DELETE FROM ledger.events WHERE company_id = $1 AND position = 8", "8"),
        ("DELETE FROM ledger.events WHERE company_id = $1 AND position = "
         "(SELECT max(position) FROM ledger.events WHERE company_id = $1)", ""),
        ("UPDATE ledger.issues SET title = 'Forged' WHERE company_id = $1", "issues"),
        ("DELETE FROM ledger.comments WHERE company_id = $1", "comments"),
        ("UPDATE ledger.cost_sums SET cost_micros = 0 WHERE company_id = $1", "cost_sums"),
        ("UPDATE ledger.activity SET sentence = 'Nothing.' WHERE company_id = $1", "activity"),
        ("UPDATE ledger.api_keys SET role = 'owner' WHERE company_id = $1", "api_keys"),
    ],
    ids=["data", "actor", "time", "a gap", "the end", "issues", "comments", "sums", "activity",
         "keys"],
)  # fmt: skip
async def test_what_somebody_changed_is_found(
    ledger_cli: Shell, data_dir: Path, victim: str, sql: str, names: str
) -> None:
    """Exit 1 and the first difference, though a superuser did it behind our back."""
    ledger_cli("key", "create", "--company", victim, "--role", "agent", "--actor", "agent:x")
    with postgres(data_dir) as url:
        connection = await asyncpg.connect(url)
        try:
            assert (await connection.execute(sql, victim)).split()[-1] != "0"
        finally:
            await connection.close()
    ran = ledger_cli("verify", "--company", victim, "--json")
    assert ran.status == 1, ran
    assert names in ran.json["difference"].lower()
    assert "Traceback" not in ran.err
    told = ledger_cli("verify", "--company", victim)
    assert (told.status, ran.json["difference"] in told.out + told.err) == (1, True)


async def test_a_rebuild_mends_a_read_model(ledger_cli: Shell, data_dir: Path, victim: str) -> None:
    """It says that the table differed, and then it does not."""
    with postgres(data_dir) as url:
        connection = await asyncpg.connect(url)
        await connection.execute(
            "UPDATE ledger.links SET created_by = 'x' WHERE company_id = $1", victim
        )
        await connection.execute(
            "UPDATE ledger.issues SET title = 'Forged' WHERE company_id = $1", victim
        )
        await connection.close()
    rebuilt = ledger_cli("rebuild", "issues", "links", "--json").json
    assert {table["table"]: table["was_equal"] for table in rebuilt} == {
        "issues": False, "links": False,
    }  # fmt: skip
    assert ledger_cli("verify", "--company", victim).status == 0


# ── what is refused, and how ───────────────────────────────────────────────────────────


def test_an_unknown_company_is_one_clear_line(ledger_cli: Shell) -> None:
    """Exit 1 from every command that takes a company."""
    nobody = new_id()
    for words in (
        ["key", "list"], ["key", "create", "--role", "owner", "--actor", "user:a"],
        ["key", "revoke", new_id()], ["verify"], ["replay"], ["replay", "--state"], ["demo"],
        ["import", "beads", "/work"],
    ):  # fmt: skip
        err = ledger_cli.fails(1, *words, "--company", nobody)
        assert "company" in err, (words, err)


def test_a_wrong_command_line_is_a_2(ledger_cli: Shell, company: str) -> None:
    """Ids that are none, words that are none, options that are missing or contradict."""
    for words in (
        ["key", "list", "--company", "acme"],
        ["key", "list", "--company", "0x345678-1234-7234-8234-123456789012"],
        ["key", "list"],
        ["key", "revoke", "nothing", "--company", company],
        ["key", "create", "--company", company, "--role", "king", "--actor", "user:a"],
        ["company", "create"],
        ["company", "create", ""],
        ["company", "create", "x" * 201],
        ["rebuild", "nothing"],
        ["replay", "--company", company, "--at-position", "-1"],
        ["replay", "--company", company, "--at-position", "many"],
        ["serve", "--port", "70000"],
        ["serve", "--workers", "0"],
        ["fly"],
        ["company", "list", "--data-dir", "/tmp/x", "--database-url", "postgresql:///x"],
    ):
        ledger_cli.fails(2, *words)


def test_what_the_ledger_refuses_is_a_1(ledger_cli: Shell, company: str) -> None:
    """Unknown workflow, actor, key, issue."""
    err = ledger_cli.fails(1, "company", "create", "x", "--workflow", "nothing")
    assert "default" in err
    words = ["key", "create", "--company", company, "--role", "agent", "--actor"]
    ledger_cli.fails(1, *words, "alice")
    ledger_cli.fails(1, *words, "robot:x")
    assert "no key" in ledger_cli.fails(1, "key", "revoke", new_id(), "--company", company)
    for ref in ("ACM-9", new_id(), "nothing", "0x345678-1234-7234-8234-123456789012"):
        assert ref in ledger_cli.fails(1, "replay", "--company", company, "--issue", ref)
        ledger_cli.fails(1, "replay", "--company", company, "--issue", ref, "--state")


def test_a_number_beyond_any_log_is_no_crash(ledger_cli: Shell, company: str) -> None:
    """A position larger than Postgres counts is refused, or is the whole log."""
    ran = ledger_cli("replay", "--company", company, "--at-position", "9" * 25)
    assert "Traceback" not in ran.err
    assert ran.status in (0, 2)


def test_a_name_that_is_no_text_is_no_crash(ledger_cli: Shell, company: str) -> None:
    """Bytes that are no UTF-8 are refused with a clear line."""
    for words in (
        [b"company", b"create", b"caf\xe9"],
        ["key", "create", "--company", company, "--role", "agent", "--actor", b"user:caf\xe9"],
        ["key", "create", "--company", company, "--role", "agent", "--actor", "user:a",
         "--name", b"caf\xe9"],
        ["replay", "--company", company, "--issue", b"\xff"],
    ):  # fmt: skip
        ran = ledger_cli(*words)
        assert "Traceback" not in ran.err, (words, ran.err[-300:])
        assert ran.status in (1, 2)


def test_the_shell_keeps_the_limits_of_the_api(ledger_cli: Shell, company: str) -> None:
    """What the API refuses as too long, or empty, the shell refuses too."""
    words = ["key", "create", "--company", company, "--role", "agent", "--actor"]
    for wrong in (
        ["agent:" + "x" * 300],
        ["agent:a", "--name", "x" * 201],
        ["agent:a", "--name", ""],
    ):
        ran = ledger_cli(*words, *wrong)
        assert ran.status in (1, 2), wrong
    assert ledger_cli("company", "create", "\n").status in (1, 2)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://localhost:1/nothing", "postgresql:///x?host=/nowhere",
        "postgresql://nobody:wrong@127.0.0.1:1/x?connect_timeout=2", "nonsense", "http://x/y",
        "postgresql://[", "postgresql://localhost:port/x", "postgresql://localhost:99999/x",
    ],
)  # fmt: skip
def test_a_database_that_cannot_be_reached_is_a_3(url: str) -> None:
    """One clear line, from the option and from the environment alike."""
    shell = Shell(_CLEAN)
    for words, env in ((["--database-url", url], {}), ([], {"LEDGER_DATABASE_URL": url})):
        ran = shell("company", "list", *words, **env)
        assert "Traceback" not in ran.err, ran.err[-300:]
        assert re.fullmatch(r"ledger: .+\n", ran.err), ran.err
        assert (ran.status, ran.out) == (3, "")


def test_a_data_directory_that_cannot_be_one_is_a_3(tmp_path: Path) -> None:
    """A file is no folder."""
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nothing")):
        Shell(_CLEAN).fails(3, "company", "list", "--data-dir", str(folder))


def test_serving_on_a_port_in_use_is_a_1(ledger_cli: Shell, server: Server) -> None:
    """It says which."""
    port = server.url.rpartition(":")[2]
    assert port in ledger_cli.fails(1, "serve", "--port", port)


# ── where it works ─────────────────────────────────────────────────────────────────────


async def test_a_database_is_named_by_option_or_environment(
    ledger_cli: Shell, data_dir: Path, company: str
) -> None:
    """Options come before the environment, and each way leads to the same companies."""
    with postgres(data_dir) as url:
        elsewhere = {"LEDGER_DATABASE_URL": "postgresql://localhost:1/nothing"}
        for ran in (
            ledger_cli("company", "list", "--json"),
            ledger_cli("company", "list", "--json", "--data-dir", str(data_dir)),
            ledger_cli("company", "list", "--json", "--data-dir", str(data_dir), **elsewhere),
            ledger_cli("company", "list", "--json", "--database-url", url),
            ledger_cli("company", "list", "--json", "--database-url", url, **elsewhere),
            Shell(_CLEAN)("company", "list", "--json", LEDGER_DATABASE_URL=url),
        ):
            assert ran.status == 0, ran
            assert company in [one["id"] for one in ran.json]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_everything_has_help(words: list[str]) -> None:
    """On standard output, with exit 0, and every option explained."""
    ran = Shell(_CLEAN)(*words, "--help")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith("Usage: ledger")
    for line in ran.out.splitlines():
        assert not re.fullmatch(r"\s+--[\w-]+( [A-Z]+| <\w+>)?\s*", line), line


def test_the_help_documents_the_exit_codes() -> None:
    """Where a person looks for them."""
    out = Shell(_CLEAN)("--help").out
    for code in ("0", "1", "2", "3"):
        assert code in out.partition("Exit codes")[2]


def test_output_into_a_closed_pipe_is_no_crash(ledger_cli: Shell, played: str) -> None:
    """`ledger replay … | head -1` ends quietly."""
    done = subprocess.run(
        ["bash", "-c", f"'{LEDGER}' replay --company {played} | head -1"],
        env=ledger_cli.env,
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(done.stdout.splitlines()) == 1
