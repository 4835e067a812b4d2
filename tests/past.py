"""A company with a past: issues that were written down, changed, moved and deleted at random.

Some of it is told late, as an import tells it: it happened before what the log has already. The
same seed gives the same past.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from api.wiring import Ledger
from ledger import commands as c
from ledger.actors import Actor, Role
from ledger.errors import LedgerError
from ledger.ids import new_id
from ledger.submission import Provenance, Submission
from ledger.workflow import PRIORITIES, STATUSES
from tests.writing import ALICE, entry, submit

BEGINNING = datetime(2026, 3, 1, tzinfo=UTC)
WORDS = ("login", "token", "refresh", "cache", "importer", "clock", "slow", "the", "retries")


@dataclass(slots=True)
class Past:
    """The company, its dice, and the ids of what was made in it."""

    ledger: Ledger
    company: str
    dice: random.Random
    ids: dict[str, list[str]] = field(default_factory=dict)
    issues: list[str] = field(default_factory=list)
    comments: list[tuple[str, str]] = field(default_factory=list)

    async def found(self) -> None:
        """The directory."""
        for kind in ("agent", "team", "project", "goal", "milestone", "label"):
            for n in (1, 2):
                command = entry(kind, f"{kind} {n}")
                await submit(self.ledger, self.company, command)
                self.ids.setdefault(kind, []).append(command.entry_id)

    async def go_on(self, commands: int) -> None:
        """Carries out commands at random, until so many were accepted."""
        accepted = 0
        while accepted < commands:
            late = None
            if self.dice.random() < 0.4:
                late = BEGINNING + timedelta(minutes=self.dice.randrange(60 * 24 * 60))
            provenance = Provenance(via="test", occurred_at=late)
            submission = Submission(commands=(self._anything(),), provenance=provenance)
            try:
                await self.ledger.committer.submit(self.company, submission)
            except LedgerError:
                continue
            accepted += 1

    def _anything(self) -> c.Command:
        makers: list[tuple[int, Callable[[], c.Command]]] = [
            (5, self._creates),
            (6, self._edits),
            (4, self._moves),
            (3, self._says),
            (2, self._says_again),
            (2, self._labels),
            (2, self._works),
            (1, self._deletes),
        ]
        if len(self.issues) < 3:
            return self._creates()
        weights = [weight for weight, _ in makers]
        return self.dice.choices([make for _, make in makers], weights)[0]()

    def _one(self, kind: str) -> str | None:
        return self.dice.choice([None, *self.ids[kind]])

    def _text(self) -> str:
        return " ".join(self.dice.choices(WORDS, k=self.dice.randint(1, 5)))

    def _fields(self) -> dict[str, Any]:
        return {
            "title": self._text(),
            "description": self.dice.choice([None, self._text()]),
            "priority": self.dice.choice(PRIORITIES),
            "sort_order": self.dice.choice([None, "1", "1.50", "-3", "20"]),
            "estimate": self.dice.choice([None, 3]),
        }

    def _creates(self) -> c.Command:
        issue_id = new_id()
        external = (self.dice.choice(["jira", "beads"]), str(self.dice.randrange(9)))
        command = c.CreateIssue(
            actor=ALICE,
            role=Role.OWNER,
            issue_id=issue_id,
            status=self.dice.choice([None, "backlog", "todo"]),
            team=self._one("team"),
            project=self._one("project"),
            goal=self._one("goal"),
            milestone=self._one("milestone"),
            parent=self.dice.choice([None, *self.issues[-3:]]),
            labels=tuple(filter(None, [self._one("label")])),
            external_ref=self.dice.choice([None, external]),
            **self._fields(),
        )
        self.issues.append(issue_id)
        return command

    def _edits(self) -> c.Command:
        fields = self._fields() | {
            f"{kind}_id": self._one(kind) for kind in ("project", "goal", "milestone")
        }
        names = self.dice.sample(sorted(fields), self.dice.randint(1, 3))
        return c.EditIssue(
            actor=ALICE,
            role=Role.OWNER,
            issue=self.dice.choice(self.issues),
            changes={name: fields[name] for name in names},
        )

    def _moves(self) -> c.Command:
        return c.TransitionIssue(
            actor=ALICE,
            role=Role.OWNER,
            issue=self.dice.choice(self.issues),
            to_status=self.dice.choice(("todo", "in_progress", "in_review", "done", *STATUSES)),
            reason=None,
        )

    def _says(self) -> c.Command:
        issue, comment = self.dice.choice(self.issues), new_id()
        self.comments.append((issue, comment))
        return c.CommentOnIssue(
            actor=ALICE, role=Role.OWNER, issue=issue, comment_id=comment, body=self._text()
        )

    def _says_again(self) -> c.Command:
        if not self.comments:
            return self._says()
        issue, comment = self.dice.choice(self.comments)
        about: dict[str, Any] = {
            "actor": ALICE,
            "role": Role.OWNER,
            "issue": issue,
            "comment_id": comment,
        }
        if self.dice.random() < 0.5:
            return c.DeleteComment(**about)
        return c.EditComment(**about, body=self._text())

    def _labels(self) -> c.Command:
        kind = self.dice.choice([c.LabelIssue, c.UnlabelIssue])
        return kind(
            actor=ALICE,
            role=Role.OWNER,
            issue=self.dice.choice(self.issues),
            label=self.dice.choice(self.ids["label"]),
        )

    def _works(self) -> c.Command:
        issue, agent = self.dice.choice(self.issues), self.dice.choice(self.ids["agent"])
        match self.dice.randrange(3):
            case 0:
                return c.CheckOutIssue(
                    actor=Actor("agent", agent), role=Role.AGENT, issue=issue, agent_id=agent,
                    run_id=new_id(),
                )  # fmt: skip
            case 1:
                return c.ReleaseIssue(actor=ALICE, role=Role.OWNER, issue=issue)
            case _:
                return c.AssignIssue(
                    actor=ALICE, role=Role.OWNER, issue=issue, assignee=Actor("agent", agent)
                )

    def _deletes(self) -> c.Command:
        return c.DeleteIssue(
            actor=ALICE, role=Role.OWNER, issue=self.dice.choice(self.issues), reason=None
        )
