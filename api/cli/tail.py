"""`ledger tail`: what happens in a company, as it happens, over HTTP.

It reads the server's event stream and remembers the position of the last event that it printed. A
stream that ends, because the server was restarted or the network failed, is opened again after that
position, so nothing is lost and nothing is printed twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from typing import Annotated, Any
from urllib.parse import urlsplit

import aiohttp
import orjson
import typer

from api import wire as w
from api.cli.options import AsJson, CompanyOption, Refusal, checked, company_id_of, run
from api.event_stream import MEDIA_TYPE, Message, Reading
from ledger.errors import Unavailable

app = typer.Typer()
MOST_DATA = 160
"""Characters of an event's data on a line for people."""

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.2, 5.0
_SILENCE_SECONDS = 60.0
"""A server that gives no sign for so long, not even a heartbeat, is gone."""

_MOST_NAMES = 10_000
_LOST = (aiohttp.ClientError, TimeoutError, OSError)


@app.command()
def tail(
    company: CompanyOption,
    url: Annotated[str, typer.Option(metavar="URL", help="The server.")] = "http://127.0.0.1:8080",
    key: Annotated[str | None, typer.Option(metavar="KEY", help="An API key (LEDGER_KEY).")] = None,
    after: Annotated[
        int | None,
        typer.Option(min=0, max=2**53 - 1, metavar="N", help="After this position; else from now."),
    ] = None,
    type_: Annotated[
        str | None,
        typer.Option("--type", metavar="T,…", help="Of these types; `issue.*` is all of issues."),
    ] = None,
    issue: Annotated[
        str | None, typer.Option(metavar="X", help="Of this issue alone (id or identifier).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print events as they happen, until Ctrl-C; survives a restart of the server."""
    key = key or os.environ.get("LEDGER_KEY")
    if not key:
        raise typer.BadParameter("Give --key, or set LEDGER_KEY.")
    if not key.isascii() or not key.isprintable():
        raise typer.BadParameter("That is no API key.")
    if not _is_http(url):
        raise typer.BadParameter(f"{url!r} is no http(s) URL.")
    if issue is not None:
        issue = checked(w.Ref, issue, "--issue")
    query = {name: value for name, value in (("type", type_), ("issue_id", issue)) if value}
    below = f"{url.rstrip('/')}/v1/companies/{company_id_of(company)}"
    try:
        run(_print_events(below, key, query, after, as_json))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    except BrokenPipeError:
        # Nobody reads any more; what is still buffered goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None


def _is_http(url: str) -> bool:
    try:
        return urlsplit(url).scheme in ("http", "https") and bool(urlsplit(url).hostname)
    except ValueError:
        return False


async def _print_events(
    below: str, key: str, query: dict[str, str], after: int | None, as_json: bool
) -> None:
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=_SILENCE_SECONDS)
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        server = Server(session, below)
        try:
            head = await server.head()
        except _LOST as error:
            raise Unavailable(f"No ledger answers at {below}: {_told(error)}") from None
        names = Names(server)
        async for message in server.follow(query, head if after is None else after):
            if as_json:
                line = message.data
            else:
                line = await _line(orjson.loads(message.data), names)
            _say(line)


def _say(line: str) -> None:
    """Prints one line at once; raises BrokenPipeError when nobody reads any more."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Server:
    """The server's side of one company, as a client sees it."""

    def __init__(self, session: aiohttp.ClientSession, below: str) -> None:
        self._session = session
        self._below = below

    async def head(self) -> int:
        """Where the log ends now; raises Refusal for a caller that may not know."""
        async with self._session.get(self._below) as answer:
            await _refuse(answer)
            return int(answer.headers["Ledger-Position"])

    async def issue(self, issue_id: str) -> Any:
        """An issue; None when it is not to be had."""
        try:
            async with self._session.get(f"{self._below}/issues/{issue_id}") as answer:
                return await answer.json() if answer.status == 200 else None
        except _LOST:
            return None

    async def follow(self, query: dict[str, str], after: int) -> AsyncIterator[Message]:
        """Events after a position, each once, for ever; raises Refusal when none may be had."""
        reading = Reading(str(after))
        pause_seconds, is_told = _FIRST_PAUSE_SECONDS, False
        while True:
            try:
                async for message in self._open(query, reading):
                    yield message
                lost = "the server ended the stream"
            except _LOST as error:
                lost = _told(error)
            if reading.retry_milliseconds is not None:  # There was a stream, so this is a new cut.
                pause_seconds, is_told = reading.retry_milliseconds / 1000, False
            if not is_told:
                print(f"ledger: {lost}; trying again", file=sys.stderr)
                is_told = True
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(pause_seconds * 2, _LONGEST_PAUSE_SECONDS)
            reading = Reading(reading.position)

    async def _open(self, query: dict[str, str], reading: Reading) -> AsyncIterator[Message]:
        """One stream to its end."""
        headers = {"Accept": MEDIA_TYPE, "Last-Event-ID": reading.position}
        async with self._session.get(
            f"{self._below}/events", params=query, headers=headers
        ) as answer:
            await _refuse(answer)
            async for piece in answer.content.iter_any():
                for message in reading.feed(piece):
                    yield message


async def _refuse(answer: aiohttp.ClientResponse) -> None:
    """Raises Refusal for what stays refused, and a ClientError for what may be better later."""
    if answer.status == 200:
        return
    if answer.status >= 500 or answer.status == 429:
        raise aiohttp.ClientError(f"the server says {answer.status}")
    said = f"the server says {answer.status}"
    with contextlib.suppress(ValueError, aiohttp.ClientError):
        said = str((await answer.json(content_type=None))["detail"])
    raise Refusal(said)


class Names:
    """What issues are called, as far as it was heard or asked for."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._known: dict[str, str] = {}

    async def of(self, event: Any) -> str:
        """The identifier of the issue that an event is about, or an empty text."""
        data = event["data"] or {}
        if event["type"].startswith("issue."):
            issue_id = event["stream_id"]
        else:
            issue_id = data.get("issue_id")
        if not isinstance(issue_id, str):
            return ""
        if issue_id not in self._known:
            self._known[issue_id] = data.get("identifier") or await self._ask(issue_id)
            if len(self._known) > _MOST_NAMES:
                self._known.pop(next(iter(self._known)))
        return self._known.get(issue_id, issue_id)

    async def _ask(self, issue_id: str) -> str:
        issue = await self._server.issue(issue_id)
        return issue["identifier"] if issue else issue_id


async def _line(event: Any, names: Names) -> str:
    """An event as a line for people: position, time, actor, type, issue, and what it says."""
    data = {name: value for name, value in (event["data"] or {}).items() if value is not None}
    said = orjson.dumps(data).decode()
    if len(said) > MOST_DATA:
        said = said[: MOST_DATA - 1] + "…"
    words = (
        f"{event['position']:>6}",
        event["recorded_at"],
        event["on_behalf_of"] or event["actor"],
        event["type"],
        await names.of(event),
        said,
    )
    return "".join(
        c if c.isprintable() else "\N{REPLACEMENT CHARACTER}"
        for c in "  ".join(word for word in words if word)
    )


def _told(error: BaseException) -> str:
    return str(error) or type(error).__name__
