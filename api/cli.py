"""The command line: `ledger …`.

Every command works on its own or beside a running server, on the same data directory or the
same database. What a person reads goes to standard error or, as text, to standard output;
with --json, standard output is JSON and nothing else.

Exit codes: 0 done; 1 refused, or a difference was found; 2 the command line is wrong; 3 the
database cannot be reached or used.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import asyncpg
import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from api import views
from api.demo import play
from api.importing.beads import ImportFailed, import_beads
from api.process import log_as_json
from api.replay import Fold, events
from api.serve import serve_database
from api.supervisor import PortTaken
from api.wiring import MODELS, OPERATOR, Ledger, open_ledger
from ledger import log
from ledger.actors import Actor, Role
from ledger.commands import RevokeKey
from ledger.database import LOST, SchemaError, install_schema
from ledger.embedded_postgres import EmbeddedPostgresError, postgres
from ledger.errors import LedgerError, Unavailable
from ledger.known import is_id
from projections.companies import read_key
from projections.queries import Queries
from projections.rebuild import RebuildRefused, abandon, rebuild
from projections.verify import Verified, verify

T = TypeVar("T")

app = typer.Typer(
    help="An event-sourced issue ledger for teams of AI agents.",
    epilog=(
        "Exit codes: 0 done; 1 refused, or a difference was found; 2 wrong command line; "
        "3 the database cannot be reached or used."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
company_app = typer.Typer(help="Companies, the tenants.", no_args_is_help=True)
key_app = typer.Typer(help="API keys.", no_args_is_help=True)
import_app = typer.Typer(help="Bring history from elsewhere.", no_args_is_help=True)
app.add_typer(company_app, name="company")
app.add_typer(key_app, name="key")
app.add_typer(import_app, name="import")

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="Run the embedded Postgres on this folder (LEDGER_DATA_DIR; default .data).",
    ),
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database-url", metavar="URL", help="Use this Postgres instead (LEDGER_DATABASE_URL)."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
CompanyOption = Annotated[str, typer.Option("--company", metavar="ID", help="The company.")]


class Refusal(Exception):
    """What a command says before it exits with 1."""


# ── serving ────────────────────────────────────────────────────────────────────────────


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Listen on this address.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Listen on this port.")] = 8080,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes.")] = 1,
    demo: Annotated[
        bool, typer.Option("--demo", help="Begin a demo company when there is none.")
    ] = False,
    unsafe: Annotated[
        bool, typer.Option("--unsafe", help="Serve a Postgres that may lose commands.")
    ] = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Serve the API until SIGTERM or Ctrl-C; drains before it ends."""
    log_as_json()
    where = _where(data_dir, database_url)
    with _database(where) as url:
        _run(
            serve_database(
                url,
                host,
                port,
                workers,
                data_dir=where if isinstance(where, Path) else None,
                demo=demo,
                unsafe=unsafe,
            )
        )


# ── companies and keys ─────────────────────────────────────────────────────────────────


@company_app.command("create")
def company_create(
    name: Annotated[str, typer.Argument(help="What it is called.")],
    workflow: Annotated[str, typer.Option(help="Its table of statuses.")] = "default",
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Begin a company."""
    if not name.strip() or len(name) > 200:
        raise typer.BadParameter("A name has 1 to 200 characters.")

    async def create(ledger: Ledger) -> None:
        company_id = await ledger.create_company(name, workflow)
        shown = {"id": company_id, "name": name, "workflow": workflow}
        _print(shown, as_json, f"{company_id}  {name}")

    _with_ledger(data_dir, database_url, create)


@company_app.command("list")
def company_list(
    as_json: AsJson = False, data_dir: DataDir = None, database_url: DatabaseUrl = None
) -> None:
    """List the companies."""

    async def show(ledger: Ledger) -> None:
        rows = [
            row
            for end in await log.ends(ledger.readers)
            if (row := await Queries(ledger.readers).company(end.company_id))
        ]
        shown = [
            {"id": str(r["company_id"]), "name": r["name"], "workflow": r["workflow"]} for r in rows
        ]
        _print(shown, as_json, *(f"{c['id']}  {c['name']}" for c in shown))

    _with_ledger(data_dir, database_url, show)


@key_app.command("create")
def key_create(
    company: CompanyOption,
    role: Annotated[Role, typer.Option(help="What it may do.")],
    actor: Annotated[str, typer.Option(help="Who acts with it: user:ID or agent:ID.")],
    name: Annotated[str | None, typer.Option(help="What it is called.")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Create an API key, and show it once."""
    named = Actor.parse(actor)
    company_id = _company_id(company)

    async def create(ledger: Ledger) -> None:
        key_id, key, canonical = await ledger.create_key(company_id, role, named, name)
        shown = {"id": key_id, "key": key, "role": str(role), "actor": canonical}
        _print(shown, as_json, key)

    _with_ledger(data_dir, database_url, create)


@key_app.command("list")
def key_list(
    company: CompanyOption,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """List API keys, revoked ones too, never their secrets."""
    company_id = _company_id(company)

    async def show(ledger: Ledger) -> None:
        await _must_exist(ledger, company_id)
        rows = await Queries(ledger.readers).keys(company_id, None, 10_000, True)
        keys = [views.key(read_key(row)) for row in rows]
        _print(
            keys,
            as_json,
            *(
                f"{k['id']}  {k['role']:8}  {k['actor']}" + ("  revoked" if k["revoked_at"] else "")
                for k in keys
            ),
        )

    _with_ledger(data_dir, database_url, show)


@key_app.command("revoke")
def key_revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id.")],
    company: CompanyOption,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Revoke an API key; it stops within five seconds."""
    company_id = _company_id(company)
    if not is_id(key_id.lower()):
        raise typer.BadParameter(f"{key_id!r} is no id of a key; see `ledger key list`.")

    async def revoke(ledger: Ledger) -> None:
        command = RevokeKey(actor=OPERATOR, role=Role.OWNER, key_id=key_id.lower())
        await ledger.as_operator(company_id, command)
        _print({"id": key_id, "revoked": True}, as_json, f"{key_id} is revoked.")

    _with_ledger(data_dir, database_url, revoke)


# ── history ────────────────────────────────────────────────────────────────────────────


@import_app.command("beads")
def import_beads_command(
    path: Annotated[Path, typer.Argument(help="issues.jsonl, or a folder that has it.")],
    company: CompanyOption,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Import issues and their history from the Beads tracker; twice appends nothing."""
    company_id = _company_id(company)

    async def bring(ledger: Ledger) -> None:
        await _must_exist(ledger, company_id)
        with _bar("importing") as progress:
            report = await import_beads(path, company_id, ledger, progress=progress)
        shown = report.to_json()
        lines = [f"{name}: {value}" for name, value in shown.items() if isinstance(value, int)]
        oddities = [f"- {o['what']}: {o['detail']}" for o in shown["oddities"]]
        _print(shown, as_json, *lines, *oddities)

    _with_ledger(data_dir, database_url, bring)


@app.command("rebuild")
def rebuild_command(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL …]", help="Which; all without.")
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Forget what an interrupted rebuild did.")
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Write read models anew from the log and exchange them; goes on where it was stopped."""
    try:
        wanted = MODELS.named(models or MODELS.names)
    except KeyError as error:
        known = ", ".join(MODELS.names)
        raise typer.BadParameter(
            f"There is no model {error.args[0]}; choose from {known}."
        ) from None

    async def renew(url: str) -> None:
        if restart:
            await abandon(url)
        with _bar("rebuilding") as progress:
            rebuilt = await rebuild(url, MODELS, wanted, progress=progress)
        shown = [
            {"table": r.table, "rows": r.rows, "sha256": r.sha256, "was_equal": r.was_equal}
            for r in rebuilt
        ]
        _print(
            shown,
            as_json,
            *(
                f"{r.table:16} {r.rows:>9} rows  {r.sha256[:16]}  "
                + ("as before" if r.was_equal else "DIFFERED from the log; mended")
                for r in rebuilt
            ),
        )

    with _database(_where(data_dir, database_url)) as url:
        _run(_installed(url, renew(url)))


@app.command("verify")
def verify_command(
    company: Annotated[
        str | None, typer.Option("--company", metavar="ID", help="Which; all without.")
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Prove that the log is whole and that the read models say what it says."""
    one = _company_id(company) if company else None
    found: list[Verified] = []

    async def prove(ledger: Ledger) -> None:
        ends = await log.ends(ledger.readers)
        with _bar("verifying") as progress:
            for company_id in [one] if one else [end.company_id for end in ends if end.position]:
                found.append(await verify(ledger.url, MODELS, company_id, progress=progress))
        shown = [verified.to_json() for verified in found]
        lines = [_told(verified) for verified in found]
        _print(shown[0] if one else shown, as_json, *lines)

    _with_ledger(data_dir, database_url, prove)
    if any(verified.difference for verified in found):
        raise typer.Exit(1)


def _told(verified: Verified) -> str:
    if verified.difference:
        return f"{verified.company_id}  DIFFERENT  {verified.difference}"
    rows = sum(digest.rows for digest in verified.tables.values())
    return (
        f"{verified.company_id}  whole  {verified.events} events in {verified.streams} streams; "
        f"{rows} rows rebuilt and equal"
    )


@app.command()
def replay(
    company: CompanyOption,
    issue: Annotated[
        str | None, typer.Option(metavar="X", help="Of this issue alone (id or identifier).")
    ] = None,
    at_position: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Up to this position.")
    ] = None,
    state: Annotated[
        bool, typer.Option("--state", help="The state that they come to, not the events.")
    ] = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Print the log as NDJSON, or the state that it comes to, folded from events alone."""
    company_id = _company_id(company)

    async def show(ledger: Ledger) -> None:
        await _must_exist(ledger, company_id)
        if not state:
            seen = False
            async for stored in events(ledger.readers, company_id, until=at_position, issue=issue):
                seen = True
                _line(views.event(stored))
            if issue and not seen:
                raise Refusal(f"There is no issue {issue!r} in this company.")
            return
        fold = Fold()
        async for stored in events(ledger.readers, company_id, until=at_position):
            fold.add(stored.recorded)
        shown = list(fold.states(issue))
        if issue and not shown:
            raise Refusal(f"There is no issue {issue!r} at that position.")
        for item in shown:
            _line(item)

    _with_ledger(data_dir, database_url, show)


@app.command()
def demo(
    company: Annotated[
        str | None, typer.Option("--company", metavar="ID", help="Which; a new one without.")
    ] = None,
    agents: Annotated[int, typer.Option(min=1, max=200, help="How many agents.")] = 6,
    issues: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many issues.")] = 30,
    seed: Annotated[int, typer.Option(help="The same seed, the same work.")] = 1,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Let simulated agents work in a company."""
    one = _company_id(company) if company else None

    async def run(ledger: Ledger) -> None:
        if one:
            await _must_exist(ledger, one)
        company_id = one or await ledger.create_company("Demo")
        with _bar("playing") as progress:
            done = await play(
                ledger, company_id, agents=agents, issues=issues, seed=seed, progress=progress
            )
        text = f"{company_id}  {done['accepted']} commands accepted, {done['refused']} refused"
        _print({"company": company_id, **done}, as_json, text)

    _with_ledger(data_dir, database_url, run)


# ── helpers ────────────────────────────────────────────────────────────────────────────


def main() -> None:
    """The console script: runs a command; whatever goes wrong is one clear line."""
    try:
        app(standalone_mode=True)
    except (Unavailable, EmbeddedPostgresError, SchemaError) as error:
        _fail(str(error), 3)
    except (LedgerError, Refusal, ImportFailed, RebuildRefused, PortTaken) as error:
        _fail(str(error), 1)
    except (*LOST, asyncpg.PostgresError, TimeoutError) as error:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        _fail(f"The database cannot be used: {text}", 3)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _fail(text: str, status: int) -> NoReturn:
    print(f"ledger: {text}", file=sys.stderr)
    sys.exit(status)


def _where(data_dir: Path | None, database_url: str | None) -> Path | str:
    """A folder for the embedded Postgres, or a URL: the options first, then the environment."""
    if data_dir is not None and database_url is not None:
        raise typer.BadParameter("Give --data-dir or --database-url, not both.")
    if data_dir is not None:
        return data_dir
    url = database_url or os.environ.get("LEDGER_DATABASE_URL")
    return url or Path(os.environ.get("LEDGER_DATA_DIR") or ".data")


@contextlib.contextmanager
def _database(where: Path | str) -> Iterator[str]:
    if isinstance(where, str):
        yield where
        return
    with postgres(where) as url:
        yield url


def _with_ledger(
    data_dir: Path | None,
    database_url: str | None,
    work: Callable[[Ledger], Coroutine[Any, Any, None]],
) -> None:
    async def opened(url: str) -> None:
        async with open_ledger(url, committers=2, readers=4) as ledger:
            await work(ledger)

    with _database(_where(data_dir, database_url)) as url:
        _run(_installed(url, opened(url)))


async def _installed(url: str, work: Coroutine[Any, Any, T]) -> T:
    try:
        await install_schema(url)
    except BaseException:
        work.close()
        raise
    return await work


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def _company_id(text: str) -> str:
    if not is_id(text.lower()):
        raise typer.BadParameter(f"{text!r} is no id of a company; see `ledger company list`.")
    return text.lower()


async def _must_exist(ledger: Ledger, company_id: str) -> None:
    if not await log.head(ledger.readers, company_id):
        raise Refusal(f"There is no company {company_id}; see `ledger company list`.")


def _print(shown: Any, as_json: bool, *lines: str) -> None:
    if as_json:
        _line(shown)
        return
    for line in lines:
        print(line)


def _line(shown: Any) -> None:
    sys.stdout.write(orjson.dumps(shown).decode() + "\n")


@contextlib.contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error, for people; nothing when it is not a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeElapsedColumn())  # fmt: skip
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(what, total=None)

        def progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield progress


if __name__ == "__main__":
    main()
