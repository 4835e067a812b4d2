"""What the ledger's HTTP is measured against: aiohttp, and as little else as can be.

`python -m bench.bare PORT` answers commands once their bodies are read and validated by the
ledger's own models, and writes nothing; it answers questions with what one SELECT by a key finds.
Several processes may share a port.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import asyncpg
import orjson
from aiohttp import web
from pydantic import BaseModel

from api import wire as w
from api.process import run_process, until_told_to_stop

I = "/v1/companies/{company_id}/issues"  # noqa: E741
BODIES: dict[str, type[BaseModel]] = {
    I: w.NewIssue,
    I + "/{issue_id}/comments": w.NewComment,
    I + "/{issue_id}/checkout": w.CheckOut,
    I + "/{issue_id}/release": w.Why,
    I + "/{issue_id}/runs/{run_id}/costs": w.NewCost,
}
_BY_KEY = "SELECT title FROM ledger.issues WHERE company_id = $1 AND issue_id = $2"


def _validating(model: type[BaseModel]) -> Any:
    async def handler(request: web.Request) -> web.Response:
        body = model.model_validate(orjson.loads(await request.read() or b"{}"))
        return _answer(body.model_dump(mode="json"))

    return handler


def _answer(body: Any) -> web.Response:
    return web.Response(body=orjson.dumps(body), content_type="application/json")


async def _serve(port: int, url: str) -> None:
    pool = await asyncpg.create_pool(url, min_size=1, max_size=8, reset=_nothing)
    (some,) = await pool.fetch("SELECT company_id, issue_id FROM ledger.issues LIMIT 1")

    async def by_key(request: web.Request) -> web.Response:
        (row,) = await pool.fetch(_BY_KEY, *some)
        return _answer(dict(row))

    app = web.Application()
    for path, model in BODIES.items():
        app.router.add_post(path, _validating(model))
    app.router.add_get(I, by_key)
    app.router.add_get(I + "/{issue_id}", by_key)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, reuse_port=True).start()
    await until_told_to_stop()


async def _nothing(connection: Any) -> None:
    """No reset between uses."""


if __name__ == "__main__":
    run_process(_serve(int(sys.argv[1]), os.environ["LEDGER_DATABASE_URL"]))
