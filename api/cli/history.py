"""`ledger import`, `replay`, `rebuild` and `verify`: history brought in, shown, and proved."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api import views
from api import wire as w
from api.cli.options import (
    AsJson,
    CompanyOption,
    DatabaseUrl,
    DataDir,
    Refusal,
    checked,
    company_id_of,
    data_of,
    database_of,
    installed,
    must_exist,
    print_json,
    progress_bar,
    run,
    tell,
    with_ledger,
)
from api.importing.beads import import_beads
from api.replay import Fold, events
from api.wiring import MODELS, Ledger
from projections.rebuild import migrate, rebuild
from projections.verify import Verified, companies, verify

app = typer.Typer()
import_app = typer.Typer(help="Bring history from elsewhere.", no_args_is_help=True)


@import_app.command("beads")
def import_beads_command(
    path: Annotated[Path, typer.Argument(help="issues.jsonl, or a folder that has it.")],
    company: CompanyOption,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Import issues and their history from the Beads tracker; twice appends nothing."""
    company_id = company_id_of(company)

    async def bring(ledger: Ledger) -> None:
        await must_exist(ledger, company_id)
        with progress_bar("importing") as progress:
            report = await import_beads(path, company_id, ledger, progress=progress)
        shown = report.model_dump()
        lines = [f"{name}: {value}" for name, value in shown.items() if isinstance(value, int)]
        oddities = [
            f"- {o['what']} ({o['count']}): {o['detail']} [{o['where']}]" for o in shown["oddities"]
        ]
        tell(shown, as_json, *lines, *oddities)

    with_ledger(data_dir, database_url, bring)


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
    names = models or MODELS.names
    try:
        MODELS.written_for(names)
    except KeyError as error:
        known = ", ".join(MODELS.names)
        raise typer.BadParameter(
            f"There is no model {error.args[0]}; choose from {known}."
        ) from None

    async def renew(url: str) -> None:
        with progress_bar("rebuilding") as progress:
            rebuilt = await rebuild(url, MODELS, names, restart=restart, progress=progress)
        shown = [{"table": r.table, "rows": r.rows, "was_equal": r.was_equal} for r in rebuilt]
        lines = [
            f"{r.table:16} {r.rows:>9} rows  "
            + ("as before" if r.was_equal else "DIFFERED from the log; mended")
            for r in rebuilt
        ]
        tell(shown, as_json, *lines)

    with database_of(data_of(data_dir, database_url)) as url:
        run(installed(url, renew(url)))


@app.command("migrate")
def migrate_command(
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Bring a database of an older version up to this one; stop its servers first.

    The log stays as it is; every read model is written anew from it. Interrupted, it goes on
    where it was.
    """

    async def bring(url: str) -> None:
        with progress_bar("migrating") as progress:
            migrated = await migrate(url, MODELS, progress=progress)
        said = "is up to date now" if migrated else "was up to date"
        tell({"migrated": migrated}, as_json, f"The database {said}.")

    with database_of(data_of(data_dir, database_url)) as url:
        run(bring(url))


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
    one = company_id_of(company) if company else None
    found: list[Verified] = []

    async def prove(ledger: Ledger) -> None:
        if one:
            await must_exist(ledger, one)
        asked = [one] if one else await companies(ledger.readers)
        with progress_bar("verifying") as progress:
            for company_id in asked:
                found.append(await verify(ledger.url, MODELS, company_id, progress=progress))
        shown = [verified.to_json() for verified in found]
        lines = [_told(verified) for verified in found]
        tell(shown[0] if one else shown, as_json, *lines)

    with_ledger(data_dir, database_url, prove)
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
        int | None, typer.Option(min=0, max=2**53 - 1, metavar="N", help="Up to this position.")
    ] = None,
    state: Annotated[
        bool, typer.Option("--state", help="The state that they come to, not the events.")
    ] = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Print the log as NDJSON, or the state that it comes to, folded from events alone."""
    if issue is not None:
        issue = checked(w.Ref, issue, "--issue")
    company_id = company_id_of(company)

    async def show(ledger: Ledger) -> None:
        await must_exist(ledger, company_id)
        if not state:
            seen = False
            async for stored in events(ledger.readers, company_id, until=at_position, issue=issue):
                seen = True
                print_json(views.event(stored))
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
            print_json(item)

    with_ledger(data_dir, database_url, show)
