"""The command line: `ledger …`.

Every command works on its own or beside a running server, on the same data directory or the
same database. What a person reads goes to standard error or, as text, to standard output;
with --json, standard output is JSON and nothing else.

Exit codes: 0 done; 1 refused, or a difference was found; 2 the command line is wrong; 3 the
database cannot be reached or used.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import asyncpg
import typer

from api.analysts import AnalystRefused
from api.cli import analysts, companies, exports, history, serving, tail
from api.cli.options import Refusal
from api.exports.parquet import ExportRefused
from api.importing.report import ImportFailed
from api.listener import PortTaken
from api.process import log_as_json
from ledger.database import LOST, SchemaError
from ledger.embedded_postgres import EmbeddedPostgresError
from ledger.errors import LedgerError, Unavailable
from projections.rebuild import RebuildRefused

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
app.add_typer(serving.app)
app.add_typer(companies.company_app, name="company")
app.add_typer(companies.key_app, name="key")
app.add_typer(history.import_app, name="import")
app.add_typer(history.app)
app.add_typer(exports.app)
app.add_typer(tail.app)
app.add_typer(analysts.role_app, name="analyst-role")
app.add_typer(analysts.app)


def main() -> None:
    """The console script: runs a command; whatever goes wrong is one clear line."""
    log_as_json()
    try:
        app(standalone_mode=True)
    except (Unavailable, EmbeddedPostgresError, SchemaError) as error:
        _fail(str(error), 3)
    except (LedgerError, Refusal, ImportFailed, RebuildRefused, PortTaken) as error:
        _fail(str(error), 1)
    except (AnalystRefused, ExportRefused) as error:
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
