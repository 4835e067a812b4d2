"""`ledger verify-export`: is a file that was exported still what was sent?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.cli.options import AsJson, Refusal, tell
from api.exports.proof import NotWhole, verify_export

app = typer.Typer()


@app.command("verify-export")
def verify_export_command(
    path: Annotated[
        Path,
        typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="What was exported."),
    ],
    as_json: AsJson = False,
) -> None:
    """Check an exported file against its own last line; needs no database."""
    try:
        with path.open("rb") as lines:
            said = verify_export(lines)
    except NotWhole as error:
        raise Refusal(f"{path} is not whole: {error}") from None
    tell(
        dict(said),
        as_json,
        f"{path}  whole  {said['count']} lines, positions {said.get('first_position')} to "
        f"{said.get('last_position')}, SHA-256 {said['sha256']}",
    )
