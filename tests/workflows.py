"""The workflows as their platforms' documents tell them: a table apart from the one under test.

Written down by hand, as grids that can be compared with the documents line by line. A row is the
status that an issue has, a column the one that is asked for; `x` is a step that may be made by
naming the status. A verb is told by the statuses that it may happen to, an arrow, and the one that
it leads to. Where a document is silent (the default workflow, most verbs), the table is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ledger import events as e
from ledger.actors import Role
from ledger.commands import Command
from tests.scenario import ISSUE, Scenario, alice, an_id, operator

STATUSES = (
    "backlog", "todo", "in_progress", "blocked", "in_review", "handoff",
    "done", "closed", "failed", "cancelled",
)  # fmt: skip
OVER = ("done", "closed", "failed", "cancelled")
"""An issue of these is finished: there is nothing to pause, and its time stands still."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a platform's document says of its statuses."""

    initial: str
    grid: str
    verbs: Mapping[str, str]
    begins_from: str
    """The statuses from which a checkout leads to in_progress."""
    finished_run: str
    """Where an issue goes when its run is finished."""
    moved_by_links: bool = False
    """Whether a link to an unfinished blocker moves an issue to blocked, and its end back."""

    @property
    def steps(self) -> dict[str, list[str]]:
        """Status → the statuses that it may become, by naming them."""
        rows = [line.split() for line in self.grid.strip().splitlines()]
        return {
            row[0]: [STATUSES[n] for n, mark in enumerate(row[1:]) if mark == "x"] for row in rows
        }

    @property
    def statuses(self) -> list[str]:
        """The statuses there are."""
        return list(self.steps)

    @property
    def beginnings(self) -> list[str]:
        """The statuses in which an issue may be written down: those that one may name."""
        named = {to_status for after in self.steps.values() for to_status in after}
        return [status for status in self.steps if status in named or status == self.initial]

    def moves(self, verb: str) -> dict[str, str]:
        """Status → the one that the verb makes of it."""
        froms, _, to = self.verbs.get(verb, "").partition(" → ")
        return dict.fromkeys(froms.split(), to)

    def leads_to(self, verb: str) -> str | None:
        """What the verb makes of an issue, if there is such a verb."""
        return self.verbs.get(verb, "").partition(" → ")[2] or None

    def verbs_from(self, status: str) -> list[str]:
        """The verbs that may happen to an issue of this status."""
        return sorted(verb for verb in self.verbs if status in self.moves(verb))


# The columns of each grid are those of STATUSES: backlog, todo, in_progress, blocked, …

_DEFAULT = """
    backlog     .  x  x  x  .  .  x  x  .  x
    todo        x  .  x  x  x  .  x  x  x  x
    in_progress x  x  .  x  x  x  x  x  x  x
    blocked     x  x  x  .  .  .  x  x  x  x
    in_review   .  x  x  x  .  x  x  x  x  x
    handoff     .  x  x  x  x  .  x  x  x  x
    done        x  x  x  .  .  .  .  x  .  .
    closed      x  x  .  .  .  .  .  .  .  .
    failed      x  x  x  .  .  .  .  x  .  x
    cancelled   x  x  .  .  .  .  .  x  .  .
"""

# "Any field can be updated: … status"; a close is "the final close".
_EXOLVRA = """
    todo        .  .  x  x  x  .  x  x  .  .
    in_progress .  x  .  x  x  .  x  x  .  .
    blocked     .  x  x  .  x  .  x  x  .  .
    in_review   .  x  x  x  .  .  x  x  .  .
    done        .  x  x  x  x  .  .  x  .  .
    closed      .  .  .  .  .  .  .  .  .  .
"""

# The document's own table, "Status Transitions".
_CREWS = """
    backlog     .  x  x  .  .  .  .  .  .  x
    todo        x  .  x  .  .  .  .  .  .  x
    in_progress .  x  .  .  x  .  x  .  x  x
    in_review   .  x  x  .  .  .  x  .  x  x
    done        x  .  .  .  .  .  .  .  .  .
    failed      x  x  x  .  .  .  .  .  .  .
    cancelled   x  x  .  .  .  .  .  .  .  .
"""

# "in_progress requires checkout"; "terminal states: done, cancelled".
_AIMETIER = """
    backlog     .  x  .  .  .  .  .  .  .  x
    todo        .  .  .  .  .  .  .  .  .  x
    in_progress .  .  .  x  x  .  x  .  .  x
    blocked     .  .  .  .  .  .  .  .  .  x
    in_review   .  .  .  .  .  .  x  .  .  x
    done        .  .  .  .  .  .  .  .  .  .
    cancelled   .  .  .  .  .  .  .  .  .  .
"""

_NXR = """
    backlog     .  x  x  x  x  x  x  x  x  x
    todo        x  .  x  x  x  x  x  x  x  x
    in_progress x  x  .  x  x  x  x  x  x  x
    blocked     x  x  x  .  x  x  x  x  x  x
    in_review   x  x  x  x  .  x  x  x  x  x
    handoff     x  x  x  x  x  .  x  x  x  x
    done        x  x  x  x  x  x  .  x  x  x
    closed      x  x  x  x  x  x  x  .  x  x
    failed      x  x  x  x  x  x  x  x  .  x
    cancelled   x  x  x  x  x  x  x  x  x  .
"""

# "You cannot PATCH status directly; use the verb endpoints"; "terminal states are frozen".
_CA = """
    todo        .  .  .  .  .  .  .  .  .  .
    in_progress .  .  .  .  .  .  .  .  .  .
    in_review   .  .  .  .  .  .  .  .  .  .
    handoff     .  .  .  .  .  .  .  .  .  .
    done        .  .  .  .  .  .  .  .  .  .
    failed      .  .  .  .  .  .  .  .  .  .
    cancelled   .  .  .  .  .  .  .  .  .  .
"""

_ANY_OPEN = "backlog todo in_progress blocked in_review handoff"

TOLD: Mapping[str, Told] = {
    "default": Told(
        initial="todo",
        grid=_DEFAULT,
        verbs={
            "submit": "in_progress → in_review",
            "accept": "in_review → done",
            "reject": "in_review → todo",
            "fail": "todo in_progress blocked in_review handoff → failed",
            "hand_off": "in_progress in_review → handoff",
            "take_over": "handoff → in_progress",
            "cancel": f"{_ANY_OPEN} → cancelled",
            "close": f"{_ANY_OPEN} done failed cancelled → closed",
            "reopen": "done closed failed cancelled → todo",
        },
        begins_from="backlog todo in_progress blocked in_review handoff done failed",
        finished_run="done",
        moved_by_links=True,
    ),
    "exolvra": Told(
        initial="todo",
        grid=_EXOLVRA,
        verbs={
            "submit": "in_progress → in_review",
            "accept": "in_review → done",
            "reject": "in_review → todo",
            "close": "todo in_progress blocked in_review done → closed",
            "reopen": "done → todo",
        },
        begins_from="todo in_progress blocked in_review done",
        finished_run="done",
        moved_by_links=True,
    ),
    "crews": Told(
        initial="backlog",
        grid=_CREWS,
        verbs={
            "submit": "in_progress → in_review",
            "accept": "in_review → done",
            "reject": "in_review → todo",
            "fail": "in_progress in_review → failed",
            "cancel": "backlog todo in_progress in_review → cancelled",
            "reopen": "done failed cancelled → backlog",
        },
        begins_from="backlog todo in_progress in_review failed",
        finished_run="done",
    ),
    "aimetier": Told(
        initial="backlog",
        grid=_AIMETIER,
        verbs={
            "submit": "in_progress → in_review",
            "accept": "in_review → done",
            "reject": "in_review → in_progress",
            "cancel": "backlog todo in_progress blocked in_review → cancelled",
        },
        begins_from="backlog todo in_progress blocked in_review",
        finished_run="done",
    ),
    "nxr": Told(
        initial="todo",
        grid=_NXR,
        verbs={
            "submit": "in_progress → in_review",
            "accept": "in_review → done",
            "reject": "in_review → todo",
            "fail": "todo in_progress blocked in_review handoff → failed",
            "hand_off": "in_progress in_review → handoff",
            "take_over": "handoff → in_progress",
            "cancel": f"{_ANY_OPEN} → cancelled",
            "close": f"{_ANY_OPEN} done failed cancelled → closed",
            "reopen": "done closed failed cancelled → todo",
        },
        begins_from=f"{_ANY_OPEN} done closed failed cancelled",
        finished_run="done",
    ),
    "ca": Told(
        initial="todo",
        grid=_CA,
        verbs={
            "submit": "in_progress → in_review",
            "accept": "in_review → done",
            "reject": "in_review → todo",
            "fail": "todo in_progress in_review handoff → failed",
            "hand_off": "in_progress in_review → handoff",
            "take_over": "handoff → in_progress",
            "cancel": "todo in_progress in_review handoff → cancelled",
        },
        begins_from="todo in_progress",
        finished_run="in_review",
    ),
}
"""Workflow → what its document says."""

EVERY_STATUS = [(name, status) for name, told in TOLD.items() for status in told.statuses]
"""Each workflow with each of its statuses."""


def company_of(workflow: str, *commands: Command) -> Scenario:
    """A company that chose this workflow, with the people and agents of every scenario."""
    return Scenario().given(
        operator.begins(workflow),
        operator.gives_key("user:alice", Role.OWNER, an_id(901)),
        operator.gives_key("user:bob", Role.AGENT, an_id(902)),
        operator.gives_key("agent:coder", Role.AGENT, an_id(903)),
        operator.gives_key("agent:reviewer", Role.AGENT, an_id(904)),
        *commands,
    )


def brought_to(scenario: Scenario, status: str, issue: str = ISSUE) -> Scenario:
    """An issue in this status, whether or not a rule leads there."""
    before = scenario.issue(issue).status
    if before != status:
        moved = e.IssueTransitioned(from_status=before, to_status=status, reason=None)
        scenario.happened(("issue", issue), moved, alice.actor)
    return scenario


def an_issue(workflow: str, status: str) -> Scenario:
    """A company of this workflow, whose one issue has this status and is held by nobody."""
    return brought_to(company_of(workflow, alice.creates()), status)
