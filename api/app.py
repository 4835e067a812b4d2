"""The web application: the route table mounted, and what every request goes through.

Each request gets an id, one log line, one measurement; whatever is raised becomes one problem
document.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson
import structlog
from aiohttp import web

from api import gate, health
from api.access_log import AccessLog
from api.auth import Keys
from api.context import Api, Context, begin
from api.openapi import document
from api.problems import Problem, problem_of, response_of
from api.routes import ROUTES, C, I, R, Route
from api.streams import StreamLimits, Streams
from api.wiring import Ledger
from ledger.heads import Heads
from projections.queries import Queries

_LOG = structlog.get_logger("ledger.http")
Next = Callable[[web.Request], Awaitable[web.StreamResponse]]


LIMITS: dict[str, Any] = {"max_line_size": 65_536, "max_field_size": 32_768}
"""What a runner of the application lets a request line and a header be, in bytes."""


def build_app(
    ledger: Ledger, limits: StreamLimits | None = None, access_log: AccessLog | None = None
) -> web.Application:
    """The application over an opened ledger; `limits` are those of event streams."""
    queries = Queries(ledger.readers)
    heads, streams = Heads(ledger.url, ledger.readers), Streams(limits or StreamLimits())
    api = Api(ledger, queries, Keys(queries), heads, streams)
    app = web.Application(middlewares=[_around(access_log)], client_max_size=gate.MAX_BYTES)
    _follow_heads(app, heads, streams)
    if access_log is not None:
        _write_out_at_the_end(app, access_log)
    for route in sorted(ROUTES, key=_is_rarer):
        app.router.add_route(route.method, route.path, _bound(api, route))
    app.router.add_get("/healthz", health.healthz)
    app.router.add_get("/readyz", health.readyz(queries))
    app.router.add_get("/metrics", health.metrics(ledger, queries))
    _mount_docs(app)
    return app


def _write_out_at_the_end(app: web.Application, access_log: AccessLog) -> None:
    async def stop(_: web.Application) -> None:
        access_log.write()

    app.on_cleanup.append(stop)


def _follow_heads(app: web.Application, heads: Heads, streams: Streams) -> None:
    """Follows the logs for as long as the application runs; its end is the end of all waiting."""

    async def start(_: web.Application) -> None:
        heads.start()

    async def stop(_: web.Application) -> None:
        streams.close()
        await heads.close()

    app.on_startup.append(start)
    app.on_shutdown.append(stop)


_OFTEN = (I, f"{I}/comments", f"{I}/checkout", f"{I}/release", f"{R}/costs", f"{C}/issues")
"""What agents ask for all day: the router tries its routes one by one, and begins with these."""


def _is_rarer(route: Route) -> bool:
    return route.path not in _OFTEN


def _bound(api: Api, route: Route) -> Next:
    async def handler(request: web.Request) -> web.StreamResponse:
        return await route.handler(api, request)

    return handler


def _around(access_log: AccessLog | None) -> Any:
    @web.middleware
    async def around(request: web.Request, handler: Next) -> web.StreamResponse:
        started = time.perf_counter()
        context = begin(request)
        try:
            response = await handler(request)
        except Exception as error:
            response = _refused(error, context)
        if not response.prepared:
            response.headers["X-Request-Id"] = context.request_id
        _tell(request, context, response.status, time.perf_counter() - started, access_log)
        return response

    return around


def _refused(error: Exception, context: Context) -> web.StreamResponse:
    problem = problem_of(error)
    if problem is None:
        context.error = error
        problem = Problem(
            500, "internal", "Something of ours failed; the log has it under this request_id."
        )
    return response_of(problem, context.request_id)


def _tell(
    request: web.Request,
    context: Context,
    status: int,
    seconds: float,
    access_log: AccessLog | None,
) -> None:
    """One line a request, and one measurement."""
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else "none"
    if not context.is_stream:
        health.took(request.method, route, status).observe(seconds)
    if route in ("/healthz", "/readyz", "/metrics") and status < 400:
        return
    caller = context.caller
    fields = {
        "method": request.method,
        "path": request.path,
        "route": route,
        "status": status,
        "milliseconds": round(seconds * 1000, 2),
        "request_id": context.request_id,
        "company_id": caller.company_id if caller else None,
        "actor": str(caller.actor) if caller else None,
        "position": context.position,
        "replayed": context.replayed,
    }
    if context.error is not None:
        _LOG.error("request", **fields, exc_info=context.error)
    elif access_log is not None:
        access_log.tell(fields)


def _mount_docs(app: web.Application) -> None:
    """The OpenAPI document, and a page that shows it without a network."""
    body = orjson.dumps(document())

    async def openapi(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    async def docs(request: web.Request) -> web.Response:
        return web.Response(text=_PAGE if assets else _NO_PAGE, content_type="text/html")

    app.router.add_get("/openapi.json", openapi)
    app.router.add_get("/docs", docs)
    assets = _assets()
    if assets is not None:
        for name in ("swagger_bundle.js", "swagger_style.css"):
            app.router.add_get(f"/docs/{name}", _file(assets / name))

    async def start(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "/docs"})

    app.router.add_get("/", start)


def _file(path: Path) -> Next:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(path, headers={"Cache-Control": "max-age=86400"})

    return handler


def _assets() -> Path | None:
    """The folder of the package that carries Swagger UI, without importing it (it is large)."""
    spec = find_spec("offapi")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Issue ledger</title>
<link rel="stylesheet" href="/docs/swagger_style.css">
</head>
<body>
<div id="docs"></div>
<script src="/docs/swagger_bundle.js"></script>
<script>
SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#docs", deepLinking: true, docExpansion: "list",
  validatorUrl: null, persistAuthorization: true,
});
</script>
</body>
</html>
"""
_NO_PAGE = """<!doctype html>
<title>Issue ledger</title>
<p>The OpenAPI document is at <a href="/openapi.json">/openapi.json</a>. To see it as a page here,
install the extra: <code>pip install 'issue-ledger[docs]'</code>.</p>
"""
