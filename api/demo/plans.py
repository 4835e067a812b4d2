"""What becomes of each issue of a large demo company, decided when it is written down.

A plan says when an issue is worked on, by whom, and how each attempt ends. It is kept short,
because many issues are under way at once; the words are found when they are said (`stories.py`).
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, get_args

from api.demo.founding import Directory
from ledger.ids import new_id

Fate = Literal["waits", "cancelled", "worked"]
Ending = Literal[
    "done", "accepted", "rejected", "retried", "failed", "released", "reassigned", "handed_off",
    "overspent", "goes_on", "in_review",
]  # fmt: skip
SETTLING = frozenset({"done", "accepted", "handed_off"})
LOOKED_AT = timedelta(hours=3)
"""How long after an attempt somebody has looked at it, and said what they think of it."""
_ENDINGS: Sequence[Ending] = get_args(Ending)
_ENDING_WEIGHTS = (46, 22, 7, 9, 3, 3, 4, 2, 1, 3, 2)
_FATES: Sequence[Fate] = get_args(Fate)
_FATE_WEIGHTS = (12, 5, 83)
_AGAIN = frozenset({"rejected", "retried", "released", "reassigned"})
_RECENT = 400
_MOST_ATTEMPTS = 4


@dataclass(frozen=True, slots=True)
class Attempt:
    """One agent's work on an issue: from a checkout on, for so long, to this end."""

    at: datetime
    agent: str
    minutes: int
    ending: Ending

    @property
    def ends_at(self) -> datetime:
        """When the work is over."""
        return self.at + timedelta(minutes=self.minutes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An issue to be; `settled_at` is when it stops to block others, None if it never does."""

    issue: str
    at: datetime
    team: str
    project: str
    fate: Fate
    is_epic: bool
    parent: str | None
    blocker: str | None
    found_during: str | None
    attempts: Sequence[Attempt]
    settled_at: datetime | None


@dataclass(slots=True)
class Planner:
    """Plans one issue after another; it remembers only the latest, for others to refer to."""

    directory: Directory
    dice: random.Random
    recent: deque[tuple[str, datetime | None]] = field(
        default_factory=lambda: deque(maxlen=_RECENT)
    )
    epics: deque[str] = field(default_factory=lambda: deque(maxlen=_RECENT // 10))

    def plan(self, at: datetime) -> Plan:
        """The issue that is written down at this time."""
        dice, issue = self.dice, new_id()
        team = dice.choice(self.directory.teams)
        is_epic = dice.random() < 0.04
        below = self.epics and dice.random() < (0.25 if is_epic else 0.35)
        blocker, waits_until = self._blocker() if dice.random() < 0.08 else (None, at)
        fate = dice.choices(_FATES, _FATE_WEIGHTS)[0]
        attempts: list[Attempt] = []
        settled_at: datetime | None = None
        if fate == "cancelled":
            settled_at = at + timedelta(minutes=_while(dice, 2000))
        elif fate == "worked" and waits_until is not None:
            attempts = self._attempts(max(at, waits_until), self.directory.members[team])
            settled_at = _settled_at(attempts)
        plan = Plan(
            issue=issue,
            at=at,
            team=team,
            project=dice.choice(self.directory.projects),
            fate=fate,
            is_epic=is_epic,
            parent=dice.choice(self.epics) if below else None,
            blocker=blocker,
            found_during=self._found_during(),
            attempts=attempts,
            settled_at=settled_at,
        )
        self.recent.append((issue, settled_at))
        if is_epic:
            self.epics.append(issue)
        return plan

    def _blocker(self) -> tuple[str | None, datetime | None]:
        """An issue to wait for, and until when; for ever, with None."""
        if not self.recent:
            return None, datetime.min
        return self.dice.choice(self.recent)

    def _found_during(self) -> str | None:
        if not self.recent or self.dice.random() > 0.04:
            return None
        return self.dice.choice(self.recent)[0]

    def _attempts(self, begins: datetime, members: Sequence[str]) -> list[Attempt]:
        dice, attempts = self.dice, list[Attempt]()
        agent, at = dice.choice(members), begins
        while len(attempts) < _MOST_ATTEMPTS:
            at += timedelta(minutes=_while(dice, 900))
            ending = dice.choices(_ENDINGS, _ENDING_WEIGHTS)[0]
            if attempts and ending == "overspent":  # Or there were no budget left to begin on.
                ending = "done"
            attempts.append(Attempt(at, agent, _while(dice, 90), ending))
            if ending not in _AGAIN:
                break
            at = attempts[-1].ends_at
            if ending == "rejected":  # Once somebody has looked at it, the same agent tries again.
                at += LOOKED_AT
            else:
                agent = _another(dice, agent, members)
        return attempts


def _settled_at(attempts: Sequence[Attempt]) -> datetime | None:
    """A little after the last attempt, if that is a good end: others look at it first."""
    last = attempts[-1]
    return last.ends_at + LOOKED_AT if last.ending in SETTLING else None


def _while(dice: random.Random, mean_minutes: int) -> int:
    """Some minutes: often few, seldom many."""
    return 2 + int(dice.expovariate(1 / mean_minutes))


def _another(dice: random.Random, agent: str, members: Sequence[str]) -> str:
    others = [member for member in members if member != agent]
    return dice.choice(others) if others else agent


Clock = Callable[[int], datetime]
"""When the n-th issue is written down."""


def growing(start: datetime, end: datetime, issues: int) -> Clock:
    """More and more issues a day, as a company grows."""
    span = end - start
    return lambda n: start + span * ((n + 1) / issues) ** 0.75
