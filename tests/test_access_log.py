"""The access log: a line a request, none lost, none waiting long."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import orjson

from api.access_log import PAUSE_SECONDS, WHOLE_BYTES, AccessLog
from tests.writing import eventually


async def test_lines_are_written_a_moment_later_in_order() -> None:
    """Each as JSON, with a time; nobody has to ask for them to be written."""
    file = io.BytesIO()
    log = AccessLog(file)
    for status in (200, 404):
        log.tell({"status": status, "path": "/v1/me"})
    assert file.getvalue() == b""

    async def are_written() -> bool:
        return bool(file.getvalue())

    await eventually(are_written)
    lines = [orjson.loads(line) for line in file.getvalue().splitlines()]
    assert [line["status"] for line in lines] == [200, 404]
    assert {line["event"] for line in lines} == {"request"}
    assert all(line["timestamp"].endswith("Z") for line in lines)


async def test_what_waits_at_the_end_is_written_too() -> None:
    """A process that stops writes what it has, once."""
    file = io.BytesIO()
    log = AccessLog(file)
    log.tell({"status": 200})
    log.write()
    await asyncio.sleep(2 * PAUSE_SECONDS)
    assert len(file.getvalue().splitlines()) == 1


async def test_lines_go_out_whole_in_pieces_that_a_pipe_takes_at_once() -> None:
    """So that two workers with one standard error never write into each other's lines."""
    pieces: list[bytes] = []

    class Pipe(io.BytesIO):
        def write(self, data: Any) -> int:
            pieces.append(bytes(data))
            return len(data)

    log = AccessLog(Pipe())
    for n in range(100):
        log.tell({"status": 200, "path": "/" + "x" * 200, "n": n})
    log.write()
    assert all(0 < len(piece) <= WHOLE_BYTES and piece.endswith(b"\n") for piece in pieces)
    assert [orjson.loads(line)["n"] for line in b"".join(pieces).splitlines()] == [*range(100)]
