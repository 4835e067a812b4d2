"""`ledger analyst-role` and `ledger export-parquet`: the read models for those who bring tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api import analysts
from api.cli.options import (
    AsJson,
    CompanyOption,
    DatabaseUrl,
    DataDir,
    company_id_of,
    data_of,
    database_of,
    installed,
    must_exist,
    progress_bar,
    run,
    tell,
    with_ledger,
)
from api.exports import parquet
from api.wiring import Ledger

role_app = typer.Typer(help="Logins for analysts: SQL on the views, read-only.",
                       no_args_is_help=True)  # fmt: skip
app = typer.Typer()

RoleName = Annotated[str, typer.Argument(help="The role: a to z, 0 to 9 and _, a letter first.")]


@role_app.command("create")
def role_create(
    name: RoleName,
    company: Annotated[
        list[str], typer.Option("--company", metavar="ID", help="What it sees; may be repeated.")
    ],
    statement_timeout: Annotated[
        str, typer.Option(metavar="TIME", help="How long a statement may run, such as 30s or 5min.")
    ] = "30s",
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Make a login for an analyst, and show its password once."""
    _refuse_bad_name(name)
    companies = sorted({company_id_of(text) for text in company})
    where = data_of(data_dir, database_url)

    async def create(url: str) -> None:
        password = await analysts.create(url, name, companies, statement_timeout)
        login = analysts.url_of(url, name, password)
        shown = {
            "role": name,
            "companies": companies,
            "password": password,
            "url": login,
            "statement_timeout": statement_timeout,
        }
        lines = [f"password  {password}", f"url       {login}"]
        if isinstance(where, Path):
            lines.append(
                "The embedded Postgres answers while the ledger runs, to its own user and to root."
            )
        tell(shown, as_json, *lines)

    with database_of(where) as url:
        run(installed(url, create(url)))


@role_app.command("list")
def role_list(
    as_json: AsJson = False, data_dir: DataDir = None, database_url: DatabaseUrl = None
) -> None:
    """List analysts' roles, and what each of them sees."""

    async def show(url: str) -> None:
        shown = [
            {
                "role": row["role_name"],
                "companies": [str(company) for company in row["company_ids"]],
                "is_there": row["is_there"],
                "statement_timeout": row["statement_timeout"],
                "connection_limit": row["connection_limit"],
            }
            for row in await analysts.analysts(url)
        ]
        lines = [
            f"{r['role']}  {' '.join(r['companies'])}" + ("" if r["is_there"] else "  (no role)")
            for r in shown
        ]
        tell(shown, as_json, *lines)

    with database_of(data_of(data_dir, database_url)) as url:
        run(installed(url, show(url)))


@role_app.command("drop")
def role_drop(
    name: RoleName,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Remove an analyst's login; what it has open sees nothing from then on."""
    _refuse_bad_name(name)

    async def remove(url: str) -> None:
        await analysts.drop(url, name)
        tell({"role": name, "dropped": True}, as_json, f"{name} is gone.")

    with database_of(data_of(data_dir, database_url)) as url:
        run(installed(url, remove(url)))


@app.command("export-parquet")
def export_parquet(
    company: CompanyOption,
    output: Annotated[
        Path, typer.Option("--output", metavar="DIR", help="The folder to write to.")
    ],
    view: Annotated[
        list[str] | None, typer.Option("--view", metavar="VIEW", help="Which; all without.")
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Write the analysts' views of a company as Parquet files, one a view."""
    company_id = company_id_of(company)
    views = list(dict.fromkeys(view or parquet.VIEWS))
    if unknown := [name for name in views if name not in parquet.VIEWS]:
        raise typer.BadParameter(
            f"There is no view {', '.join(unknown)}; choose from {', '.join(parquet.VIEWS)}."
        )

    async def export(ledger: Ledger) -> None:
        await must_exist(ledger, company_id)
        with progress_bar("exporting") as progress:
            written = await parquet.export(ledger, company_id, views, output, progress=progress)
        tell(
            [file.to_json() for file in written],
            as_json,
            *(f"{file.path}  {file.rows} rows as of {file.as_of}" for file in written),
        )

    parquet.refuse_without_pyarrow()
    with_ledger(data_dir, database_url, export)


def _refuse_bad_name(name: str) -> None:
    if not analysts.is_role_name(name):
        raise typer.BadParameter(
            f"{name!r} is no name for an analyst's role: at most 63 of a to z, 0 to 9 and _, a "
            "letter first, and beginning neither with pg_ nor with ledger_."
        )
