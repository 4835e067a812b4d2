"""What a handler works with: the opened ledger, and what is known of the request so far."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from api import requests
from api.auth import Caller, Keys
from api.gate import refuse_bad_string
from api.problems import Problem
from api.streams import Streams
from api.wiring import Ledger
from ledger.heads import Heads
from projections.queries import Queries


@dataclass(slots=True)
class Context:
    """One request: its id and trace, and what its log line will say."""

    request_id: str
    trace: requests.Trace
    caller: Caller | None = None
    position: int | None = None
    replayed: bool = False
    error: Exception | None = None
    is_stream: bool = False


_CONTEXT = web.RequestKey("ledger.context", Context)


def begin(request: web.Request) -> Context:
    """Notes what the request belongs to."""
    request_id = requests.request_id(request)
    context = Context(request_id, requests.trace(request, request_id))
    request[_CONTEXT] = context
    return context


def context_of(request: web.Request) -> Context:
    """What is known of the request so far."""
    return request[_CONTEXT]


@dataclass(frozen=True, slots=True)
class Api:
    """The opened ledger, as handlers see it."""

    ledger: Ledger
    queries: Queries
    keys: Keys
    heads: Heads
    streams: Streams

    async def caller(self, request: web.Request) -> Caller:
        """Who calls, for a path of their own company; raises a Problem otherwise.

        Another company is answered as one that there is not.
        """
        for segment in request.match_info.values():
            refuse_bad_string(segment)
        caller = await self.keys.caller(request.headers.get("Authorization"))
        context_of(request).caller = caller
        company_id = request.match_info.get("company_id")
        if company_id is not None and company_id.lower() != caller.company_id:
            raise Problem(404, "not_found", "There is no such company for this API key.")
        return caller
