"""Workflows: which statuses there are and which steps between them, as data.

A company chooses one by name when it is created. A rule that is about a status in general
(is it finished? is somebody at work in it?) is asked of the workflow, never of a name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

STATUSES = (
    "backlog",
    "todo",
    "in_progress",
    "blocked",
    "in_review",
    "handoff",
    "done",
    "closed",
    "failed",
    "cancelled",
)
FINISHED = frozenset({"done", "closed", "failed", "cancelled"})
HOLDABLE = frozenset({"in_progress", "in_review", "handoff"})
"""Statuses in which a run may go on holding an issue; leaving them ends the run."""


@dataclass(frozen=True, slots=True)
class Workflow:
    """A table of steps: status → the statuses that may follow it."""

    name: str
    initial: str
    steps: Mapping[str, tuple[str, ...]]

    def allows(self, status: str, to_status: str) -> bool:
        """Whether `to_status` may follow `status`."""
        return to_status in self.steps[status]


WORKFLOWS: Mapping[str, Workflow] = {
    "default": Workflow(
        name="default",
        initial="todo",
        steps={
            "backlog": ("todo", "in_progress", "blocked", "done", "closed", "cancelled"),
            "todo": (
                "backlog", "in_progress", "blocked", "in_review", "done", "closed", "failed",
                "cancelled",
            ),
            "in_progress": (
                "backlog", "todo", "blocked", "in_review", "handoff", "done", "closed", "failed",
                "cancelled",
            ),
            "blocked": ("backlog", "todo", "in_progress", "done", "closed", "failed", "cancelled"),
            "in_review": (
                "todo", "in_progress", "blocked", "handoff", "done", "closed", "failed",
                "cancelled",
            ),
            "handoff": (
                "todo", "in_progress", "blocked", "in_review", "done", "closed", "failed",
                "cancelled",
            ),
            "done": ("backlog", "todo", "in_progress", "closed"),
            "closed": ("backlog", "todo"),
            "failed": ("backlog", "todo", "in_progress", "closed", "cancelled"),
            "cancelled": ("backlog", "todo", "closed"),
        },
    ),
}  # fmt: skip
