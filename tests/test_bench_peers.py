"""What `make bench-peers` asks its peers, how they answer, and what it installs.

No peer is installed here: a program that appends nothing answers in their place, as they do.
"""

import json
import re
import sys
from pathlib import Path

import pytest

from bench.peers.peer import Peer, PeerError, at_work

PEERS = Path(__file__).parents[1] / "bench" / "peers"
ANSWERS = """
import asyncio
from bench.peers.answering import answer, answer_in_threads, greet

async def nothing():
    await asyncio.sleep(0.001)

greet("nothing 1.0", "It appends nothing.")
"""
WITH_TASKS = ANSWERS + "asyncio.run(answer(nothing))"
WITH_THREADS = ANSWERS + "answer_in_threads(lambda: asyncio.run(nothing()))"


@pytest.mark.parametrize("program", [WITH_TASKS, WITH_THREADS], ids=["tasks", "threads"])
async def test_a_peer_says_what_it_is_and_answers_as_often_as_it_is_asked(program: str) -> None:
    """One process works through several turns, with one caller and with more."""
    async with at_work(Peer("nothing", (sys.executable, "-c", program)), "") as working:
        assert (working.versions, working.note) == ("nothing 1.0", "It appends nothing.")
        for in_flight in (1, 8):
            assert await working.appends_per_second(in_flight, 0.05) > 0


async def test_a_peer_that_ends_unasked_fails_the_run() -> None:
    """What it did not say is not taken for nothing done."""
    with pytest.raises(PeerError):
        async with at_work(Peer("gone", (sys.executable, "-c", "")), ""):
            pass


def test_a_peer_whose_program_is_not_installed_says_so() -> None:
    """The run goes on without it, and names the reason."""
    assert Peer("gone", (), ("no-such-program",)).missing == "no-such-program is not installed"
    assert Peer("here", (), (PEERS,)).missing == ""


def test_the_locks_of_the_peers_hold_hashes_and_name_no_registry() -> None:
    """Every package is one exact version, wherever it is had from."""
    requirements = (PEERS / "requirements.txt").read_text()
    pins = re.findall(r"^[a-z].*", requirements, re.MULTILINE)
    assert pins
    assert [pin for pin in pins if not re.match(r"[a-z0-9-]+==[\w.]+ ", pin)] == []
    assert "://" not in requirements
    packages = json.loads((PEERS / "package-lock.json").read_bytes())["packages"]
    assert [name for name, one in packages.items() if name and "integrity" not in one] == []
    assert [name for name, one in packages.items() if "resolved" in one] == []
