"""`ledger serve` and `ledger demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.cli.options import (
    AsJson,
    DatabaseUrl,
    DataDir,
    company_id_of,
    data_of,
    database_of,
    must_exist,
    progress_bar,
    run,
    tell,
    with_ledger,
)
from api.demo import play
from api.serve import serve_database
from api.wiring import Ledger

app = typer.Typer()


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
    where = data_of(data_dir, database_url)
    with database_of(where) as url:
        run(
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


@app.command()
def demo(
    company: Annotated[
        str | None, typer.Option("--company", metavar="ID", help="Which; a new one without.")
    ] = None,
    agents: Annotated[
        int | None,
        typer.Option(min=1, max=200, help="How many agents; 6, or 40 of more than 1000 issues."),
    ] = None,
    issues: Annotated[
        int,
        typer.Option(min=1, max=1_000_000, help="How many issues; of many, half a year's past."),
    ] = 30,
    seed: Annotated[int, typer.Option(help="The same seed, the same work.")] = 1,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Let simulated agents work in a company."""
    one = company_id_of(company) if company else None

    async def run(ledger: Ledger) -> None:
        if one:
            await must_exist(ledger, one)
        company_id = one or await ledger.create_company("Demo")
        with progress_bar("playing") as progress:
            done = await play(
                ledger, company_id, agents=agents, issues=issues, seed=seed, progress=progress
            )
        text = (
            f"{company_id}  {done['accepted']} commands accepted, {done['refused']} refused, "
            f"{done['events']} events"
        )
        tell({"company": company_id, **done}, as_json, text)

    with_ledger(data_dir, database_url, run)
