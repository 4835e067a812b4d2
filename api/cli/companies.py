"""`ledger company` and `ledger key`: tenants, and who may come in."""

from __future__ import annotations

from typing import Annotated

import typer

from api import views
from api import wire as w
from api.cli.options import (
    AsJson,
    CompanyOption,
    DatabaseUrl,
    DataDir,
    checked,
    company_id_of,
    must_exist,
    tell,
    with_ledger,
)
from api.wiring import OPERATOR, Ledger
from ledger import log
from ledger.actors import Actor, Role
from ledger.commands import RevokeKey
from ledger.facts import is_id
from projections.companies import read_key
from projections.queries import Queries

company_app = typer.Typer(help="Companies, the tenants.", no_args_is_help=True)
key_app = typer.Typer(help="API keys.", no_args_is_help=True)


@company_app.command("create")
def company_create(
    name: Annotated[str, typer.Argument(help="What it is called.")],
    workflow: Annotated[str, typer.Option(help="Its table of statuses.")] = "default",
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Begin a company."""
    checked(w.Name, name, "NAME")

    async def create(ledger: Ledger) -> None:
        company_id = await ledger.create_company(name, workflow)
        shown = {"id": company_id, "name": name, "workflow": workflow}
        tell(shown, as_json, f"{company_id}  {name}")

    with_ledger(data_dir, database_url, create)


@company_app.command("list")
def company_list(
    as_json: AsJson = False, data_dir: DataDir = None, database_url: DatabaseUrl = None
) -> None:
    """List the companies."""

    async def show(ledger: Ledger) -> None:
        rows = [
            row
            for end in await log.ends(ledger.readers)
            if (row := await Queries(ledger.readers).things.company(end.company_id))
        ]
        shown = [
            {"id": str(r["company_id"]), "name": r["name"], "workflow": r["workflow"]} for r in rows
        ]
        tell(shown, as_json, *(f"{c['id']}  {c['name']}" for c in shown))

    with_ledger(data_dir, database_url, show)


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
    checked(w.ActorText, actor, "--actor")
    called = None if name is None else checked(w.Name, name, "--name")
    company_id = company_id_of(company)

    async def create(ledger: Ledger) -> None:
        key_id, key, canonical = await ledger.create_key(company_id, role, named, called)
        shown = {"id": key_id, "key": key, "role": str(role), "actor": canonical}
        tell(shown, as_json, key)

    with_ledger(data_dir, database_url, create)


@key_app.command("list")
def key_list(
    company: CompanyOption,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """List API keys, revoked ones too, never their secrets."""
    company_id = company_id_of(company)

    async def show(ledger: Ledger) -> None:
        await must_exist(ledger, company_id)
        rows = await Queries(ledger.readers).things.keys(company_id, None, 10_000, True)
        keys = [views.key(read_key(row)) for row in rows]
        tell(
            keys,
            as_json,
            *(
                f"{k['id']}  {k['role']:8}  {k['actor']}" + ("  revoked" if k["revoked_at"] else "")
                for k in keys
            ),
        )

    with_ledger(data_dir, database_url, show)


@key_app.command("revoke")
def key_revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id.")],
    company: CompanyOption,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Revoke an API key; it stops within five seconds."""
    company_id = company_id_of(company)
    if not is_id(key_id.lower()):
        raise typer.BadParameter(f"{key_id!r} is no id of a key; see `ledger key list`.")

    async def revoke(ledger: Ledger) -> None:
        command = RevokeKey(actor=OPERATOR, role=Role.OWNER, key_id=key_id.lower())
        await ledger.as_operator(company_id, command)
        tell({"id": key_id, "revoked": True}, as_json, f"{key_id} is revoked.")

    with_ledger(data_dir, database_url, revoke)
