"""Is it alive, is it ready, and how is it doing: /healthz, /readyz, /metrics.

A following model is well when somebody moves it and it gets on: a projector that gave no sign
for 15 s is dead, though nothing be behind; one that gives signs, and leaves an event lying for
60 s, is stuck. Both are measured against the heads of the logs and the database's clock, not by
what a projector says of itself.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import asyncpg
import orjson
import prometheus_client as prometheus
from aiohttp import web
from prometheus_client import multiprocess

from api.wiring import FOLLOWING, Ledger
from ledger.database import LOST, SCHEMA_VERSION
from projections.queries import Queries, Row

BEAT_SECONDS = 15.0
"""A projector that gave no sign for this long is dead."""

BEHIND_SECONDS = 60.0
"""A model that has not taken an event after this long is stuck."""

AHEAD_SECONDS = 5.0
"""A last event that is further ahead of the clock than this was recorded by a wrong one."""

REQUESTS = prometheus.Histogram(
    "ledger_http_request_seconds", "Requests, by route and status", ["method", "route", "status"]
)


@functools.cache
def took(method: str, route: str, status: int) -> prometheus.Histogram:
    """Where the times of such requests are counted; looking it up by labels is dear."""
    return REQUESTS.labels(method, route, status)


_MODELS = [model.name for model in FOLLOWING]
_SILENT = (*LOST, asyncpg.PostgresError, TimeoutError)
_LAGS: tuple[tuple[str, str, Callable[[Row], float]], ...] = (
    (
        "ledger_projector_events_behind",
        "Events that a following read model has not taken yet",
        lambda row: row["events_behind"],
    ),
    (
        "ledger_projector_seconds_behind",
        "Seconds since the oldest event that a following read model has not taken was recorded",
        lambda row: row["seconds_behind"],
    ),
    (
        "ledger_projector_seconds_since_beat",
        "Seconds since whoever moves a following read model gave a sign; +Inf for never",
        lambda row: math.inf if row["beat_seconds"] is None else row["beat_seconds"],
    ),
)


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
        health, lags = await queries.freshness.health(), await queries.freshness.lags(_MODELS)
    except _SILENT as error:
        return [f"The database does not answer: {type(error).__name__}."]
    problems = []
    if health["schema_version"] != SCHEMA_VERSION:
        problems.append(f"The schema is version {health['schema_version']}.")
    if health["ahead_seconds"] > AHEAD_SECONDS:
        problems.append(f"The last event is {health['ahead_seconds']:.0f} s ahead of the clock.")
    return [*problems, *(problem for row in lags for problem in _problems_of(row))]


def _problems_of(row: Row) -> Iterable[str]:
    """What is wrong with one following model: nobody moves it, or it does not get on."""
    model, beat_seconds = row["model"], row["beat_seconds"]
    if beat_seconds is None:
        yield f"No projector moves {model}; none ever did."
    elif beat_seconds > BEAT_SECONDS:
        yield f"No projector moves {model}; the last sign of one is {beat_seconds:.0f} s old."
    if row["seconds_behind"] > BEHIND_SECONDS:
        yield (
            f"{model} is {row['events_behind']} events behind, the oldest of them "
            f"{row['seconds_behind']:.0f} s old."
        )


def metrics(ledger: Ledger, queries: Queries) -> Any:
    """Prometheus text: this server's requests, its queue, and the projectors' lag."""

    async def handler(request: web.Request) -> web.Response:
        text = prometheus.generate_latest(_registry())
        queued = ledger.committer.queued
        text += gauge("ledger_committer_queued", "Submissions that wait", [({}, queued)])
        try:
            lags = await queries.freshness.lags(_MODELS)
        except _SILENT:
            lags = []
        for name, told, value in _LAGS:
            text += gauge(name, told, [({"model": row["model"]}, value(row)) for row in lags])
        return web.Response(body=text, headers={"Content-Type": prometheus.CONTENT_TYPE_LATEST})

    return handler


def _registry() -> prometheus.CollectorRegistry:
    """All workers' figures, where several serve."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return prometheus.REGISTRY
    registry = prometheus.CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


def gauge(name: str, told: str, samples: Iterable[tuple[Mapping[str, str], float]]) -> bytes:
    """One gauge in Prometheus's text format, with a line for each set of labels."""
    lines = [f"# HELP {name} {told}", f"# TYPE {name} gauge"]
    for labels, value in samples:
        listed = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        shown = "+Inf" if value == math.inf else repr(value)
        lines.append(f"{name}{{{listed}}} {shown}" if listed else f"{name} {shown}")
    return ("\n".join(lines) + "\n").encode()


def _escaped(text: str) -> str:
    """A label's value, as the format has it."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
