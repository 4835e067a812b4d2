"""Is it alive, is it ready, and how is it doing: /healthz, /readyz, /metrics."""

from __future__ import annotations

import os
from typing import Any

import orjson
import prometheus_client as prometheus
from aiohttp import web
from prometheus_client import multiprocess

from api.wiring import FOLLOWING, Ledger
from ledger.database import LOST, SCHEMA_VERSION
from projections.queries import Queries

BEAT_SECONDS = 15.0
"""A projector that gave no sign for this long is dead."""

REQUESTS = prometheus.Histogram(
    "ledger_http_request_seconds", "Requests, by route and status", ["method", "route", "status"]
)
_EVENTS_BEHIND = "ledger_projector_events_behind"
_BEAT = "ledger_projector_seconds_since_beat"


async def healthz(request: web.Request) -> web.Response:
    """This process answers."""
    return web.json_response({"status": "ok"})


def readyz(queries: Queries) -> Any:
    """Whether commands and queries can be answered, and if not, what is wrong."""

    async def handler(request: web.Request) -> web.Response:
        problems = await _problems(queries)
        body = {"status": "unready" if problems else "ready", "problems": problems}
        return web.Response(
            status=503 if problems else 200,
            body=orjson.dumps(body),
            content_type="application/json",
            headers={"Retry-After": "1"} if problems else {},
        )

    return handler


async def _problems(queries: Queries) -> list[str]:
    try:
        health, lags = await queries.freshness.health(), await queries.freshness.lags()
    except (*LOST, TimeoutError) as error:
        return [f"The database does not answer: {type(error).__name__}."]
    problems = []
    if health["schema_version"] != SCHEMA_VERSION:
        problems.append(f"The schema is version {health['schema_version']}.")
    if health["ahead_seconds"] > 5:
        problems.append(f"The last event is {health['ahead_seconds']:.0f} s ahead of the clock.")
    beats = {row["model"]: row["beat_seconds"] for row in lags}
    for model in FOLLOWING:
        if beats.get(model.name, BEAT_SECONDS + 1) > BEAT_SECONDS:
            problems.append(f"No projector moves {model.name}.")
    return problems


def metrics(ledger: Ledger, queries: Queries) -> Any:
    """Prometheus text: this server's requests, its queue, and the projectors' lag."""

    async def handler(request: web.Request) -> web.Response:
        text = prometheus.generate_latest(_registry())
        text += _gauge("ledger_committer_queued", "Submissions that wait", ledger.committer.queued)
        try:
            lags = await queries.freshness.lags()
        except (*LOST, TimeoutError):
            lags = []
        for row in lags:
            labels = f'{{model="{row["model"]}"}}'
            text += f"{_EVENTS_BEHIND}{labels} {row['events_behind']}\n".encode()
            text += f"{_BEAT}{labels} {row['beat_seconds']:.3f}\n".encode()
        return web.Response(body=text, headers={"Content-Type": prometheus.CONTENT_TYPE_LATEST})

    return handler


def _registry() -> prometheus.CollectorRegistry:
    """All workers' figures, where several serve."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return prometheus.REGISTRY
    registry = prometheus.CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


def _gauge(name: str, text: str, value: float) -> bytes:
    return f"# HELP {name} {text}\n# TYPE {name} gauge\n{name} {value}\n".encode()
