"""What every command has in common: where the data is, how to open it, how to print."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

import orjson
import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from api.gate import Malformed, refuse_bad_string
from api.wiring import Ledger, open_ledger
from ledger import log
from ledger.database import SchemaError, install_schema
from ledger.embedded_postgres import postgres
from ledger.facts import is_id

T = TypeVar("T")

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


def data_of(data_dir: Path | None, database_url: str | None) -> Path | str:
    """A folder for the embedded Postgres, or a URL: the options first, then the environment."""
    if data_dir is not None and database_url is not None:
        raise typer.BadParameter("Give --data-dir or --database-url, not both.")
    if data_dir is not None:
        return data_dir.absolute()
    url = database_url or os.environ.get("LEDGER_DATABASE_URL")
    if url:
        _refuse_bad_url(url)
    return url or Path(os.environ.get("LEDGER_DATA_DIR") or ".data").absolute()


@contextlib.contextmanager
def database_of(where: Path | str) -> Iterator[str]:
    """The URL of the database, the embedded one running for as long as it is used."""
    if isinstance(where, str):
        yield where
        return
    with postgres(where) as url:
        yield url


def with_ledger(
    data_dir: Path | None,
    database_url: str | None,
    work: Callable[[Ledger], Coroutine[Any, Any, None]],
) -> None:
    """Opens the ledger where the options say, and does the work with it."""

    async def opened(url: str) -> None:
        async with open_ledger(url, committers=2, readers=4) as ledger:
            await work(ledger)

    with database_of(data_of(data_dir, database_url)) as url:
        run(installed(url, opened(url)))


async def installed(url: str, work: Coroutine[Any, Any, T]) -> T:
    """Does the work on a database that has the schema."""
    try:
        await install_schema(url)
    except BaseException:
        work.close()
        raise
    return await work


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs a command's coroutine."""
    return asyncio.run(work)


def checked(kind: Any, value: str, name: str) -> str:
    """A value that the API's own type takes too; raises a usage error for another one."""
    try:
        text: str = TypeAdapter(kind).validate_python(value)
        refuse_bad_string(text)
    except (ValidationError, Malformed) as error:
        said = error.message if isinstance(error, Malformed) else error.errors()[0]["msg"]
        raise typer.BadParameter(f"{name}: {said}.") from None
    return text


def _refuse_bad_url(url: str) -> None:
    try:
        urlsplit(url).port  # noqa: B018 (reading it is what checks it)
    except ValueError as error:
        raise SchemaError(f"{url!r} is no URL of a database: {error}.") from None


def company_id_of(text: str) -> str:
    """The id of a company; raises a usage error for what cannot be one."""
    if not is_id(text.lower()):
        raise typer.BadParameter(f"{text!r} is no id of a company; see `ledger company list`.")
    return text.lower()


async def must_exist(ledger: Ledger, company_id: str) -> None:
    """Raises Refusal for a company that there is not."""
    if not await log.head(ledger.readers, company_id):
        raise Refusal(f"There is no company {company_id}; see `ledger company list`.")


def tell(shown: Any, as_json: bool, *lines: str) -> None:
    """Prints JSON, or lines for people."""
    if as_json:
        print_json(shown)
        return
    for line in lines:
        print(line)


def print_json(shown: Any) -> None:
    """Prints one line of JSON."""
    sys.stdout.write(orjson.dumps(shown).decode() + "\n")


@contextlib.contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
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
