"""What the model of an issue's life is about: records, and tables of the `default` workflow.

Written down once more on purpose, and not taken from the code that it is compared with.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

STEPS = {
    "backlog": "todo in_progress blocked done closed cancelled",
    "todo": "backlog in_progress blocked in_review done closed failed cancelled",
    "in_progress": "backlog todo blocked in_review handoff done closed failed cancelled",
    "blocked": "backlog todo in_progress done closed failed cancelled",
    "in_review": "todo in_progress blocked handoff done closed failed cancelled",
    "handoff": "todo in_progress blocked in_review done closed failed cancelled",
    "done": "backlog todo in_progress closed",
    "closed": "backlog todo",
    "failed": "backlog todo in_progress closed cancelled",
    "cancelled": "backlog todo closed",
}
OPEN = ("backlog", "todo", "in_progress", "blocked", "in_review", "handoff")
OVER = ("done", "closed", "failed", "cancelled")
NO_LONGER_IN_THE_WAY = ("done", "closed", "cancelled")
KEEPS_ITS_RUN = ("in_progress", "in_review", "handoff")
VERBS = {
    "submit_issue": (("in_progress",), "in_review", "submitted"),
    "accept_issue": (("in_review",), "done", "accepted"),
    "reject_issue": (("in_review",), "todo", "rejected"),
    "fail_issue": (tuple(s for s in OPEN if s != "backlog"), "failed", "failed"),
    "hand_off_issue": (("in_progress", "in_review"), "handoff", "handed_off"),
    "take_over_issue": (("handoff",), "in_progress", "taken_over"),
    "cancel_issue": (OPEN, "cancelled", "cancelled"),
    "close_issue": ((*OPEN, "done", "failed", "cancelled"), "closed", "closed"),
    "reopen_issue": (OVER, "todo", "reopened"),
}
"""Verb → from which statuses, to which one, and what the run that it ends is told."""

PRIORITIES = ("none", "low", "medium", "high", "urgent")
MAY = {
    "owner": {"work", "moderate", "organise", "administer"},
    "manager": {"work", "moderate", "organise"},
    "editor": {"work", "moderate"},
    "agent": {"work"},
    "viewer": set[str](),
}
NEEDS = {
    "delete_issue": "moderate",
    "pause_agent": "organise",
    "resume_agent": "organise",
    "set_agent_budget": "organise",
    "set_company_budget": "administer",
}
"""What a command needs that needs more than being at work here."""


@dataclass(slots=True)
class Lease:
    """Which run of which agent holds an issue, and until when; the ledger gives the token."""

    agent: str
    run: str
    since: datetime
    seconds: int
    ends: datetime
    token: int | None = None


@dataclass(slots=True)
class Issue:
    """Everything that can be seen of an issue."""

    id: str
    identifier: str
    title: str
    status: str
    priority: str
    assignee: str | None
    parent: str | None
    team: str | None
    project: str | None
    ref: tuple[str, str] | None
    budget: int | None
    lease: Lease | None = None
    is_paused: bool = False
    paused_run: str | None = None
    waited_in: str | None = None
    run_count: int = 0
    labels: set[str] = field(default_factory=set)
    started: datetime | None = None
    completed: datetime | None = None
    is_deleted: bool = False


@dataclass(slots=True)
class Run:
    """Everything that can be seen of a run."""

    issue: str
    agent: str
    state: str = "active"
    exit_reason: str | None = None
    cost: int = 0
    progress: str | None = None
    checkpoint: str | None = None
    workspace: str | None = None


@dataclass(slots=True)
class Cost:
    """What a run said that it cost, in which month; the ledger gives the position."""

    run: str
    month: str
    micros: int
    position: int | None = None


@dataclass(slots=True)
class Comment:
    """Everything that can be seen of a comment."""

    issue: str
    author: str
    text: str
    is_deleted: bool = False


@dataclass(slots=True)
class Directory:
    """Who and what there is beside issues, which this model takes as it is given."""

    company: str
    agents: dict[str, str]
    """Id → what it is called."""
    listed: set[str]
    """The agents that are in the directory: they alone can be paused, or have a budget."""
    teams: dict[str, tuple[str, set[str], str]]
    """Id → its prefix, its members, its lead."""
    projects: dict[str, set[str]]
    """Id → its agents."""
    labels: set[str]
