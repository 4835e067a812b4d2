"""Agents at work: as many issues as are in flight, each through its whole life.

An issue is created, talked about, checked out, paid for and released: eight commands, ten events.
Whoever works sends one command at a time and waits for its answer, as an agent would.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

from api.wiring import Ledger
from bench import filling as f
from bench.filling import House
from ledger import commands as c
from ledger.ids import new_id

AGENTS, PROJECTS = 20, 5
DESCRIPTION = "The nightly report is an hour late where summer time begins. " * 4
COMMENT = "It was the clock: the job asks for local time, and twice a year that jumps. " * 2


class Answer(NamedTuple):
    """A command was durable at a time (`time.monotonic`), up to a position of the log."""

    at: float
    took_seconds: float
    position: int


@dataclass(frozen=True, slots=True)
class Crew:
    """A company, who works there, and on what."""

    house: House
    agents: list[str]
    projects: list[str]
    numbers: Iterator[int]

    @classmethod
    async def found(cls, ledger: Ledger, name: str) -> Crew:
        """A new company."""
        house = House(ledger, await ledger.create_company(name))
        agents = [await house.entry("agent", f"Agent {n}") for n in range(AGENTS)]
        projects = [await house.entry("project", f"Project {n}") for n in range(PROJECTS)]
        return cls(house, agents, projects, count())

    async def work(self, in_flight: int, is_enough: Callable[[Answer], bool]) -> list[Answer]:
        """Works on so many issues at once, until an answer is enough; every answer, in order."""
        answers: list[Answer] = []
        await asyncio.gather(*(self._work(is_enough, answers) for _ in range(in_flight)))
        return answers

    async def _work(self, is_enough: Callable[[Answer], bool], answers: list[Answer]) -> None:
        while not (answers and is_enough(answers[-1])):
            for command in self._life():
                asked = time.monotonic()
                outcome = await self.house.do(command)
                now = time.monotonic()
                answers.append(Answer(now, now - asked, outcome.position))

    def _life(self) -> list[c.Command]:
        number, issue, run = next(self.numbers), new_id(), new_id()
        agent = self.agents[number % AGENTS]
        project = self.projects[number % PROJECTS]
        return [
            f.create(
                issue, title=f"Report {number} is late", description=DESCRIPTION, project=project
            ),
            f.comment(issue, COMMENT),
            f.check_out(issue, agent, run),
            f.report(issue, run),
            f.comment(issue, COMMENT),
            f.report(issue, run),
            f.release(issue),
            f.comment(issue, COMMENT),
        ]
