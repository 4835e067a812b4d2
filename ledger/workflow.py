"""Workflows: which statuses there are and which steps between them, as data.

A company chooses one by name when it is created. A step is made by naming the status to move
to (`steps`), or by a verb that says what happened (`verbs`); where a platform knows verbs alone,
`steps` is empty. A rule that is about a status in general (is it finished? may work begin from
it?) is asked of the workflow, never of a name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

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
PRIORITIES = ("urgent", "high", "medium", "low", "none")
"""From what is done first to what is done last."""

READY = "todo"
"""Where work that was taken from a run waits for the next one."""

FINISHED = frozenset({"done", "closed", "failed", "cancelled"})
SETTLED = frozenset({"done", "closed", "cancelled"})
"""Statuses in which a blocker blocks no more. One that failed still does: what it was to make
is not there."""

HOLDABLE = frozenset({"in_progress", "in_review", "handoff"})
"""Statuses in which a run may go on holding an issue; a transition out of them ends the run."""

Steps: TypeAlias = Mapping[str, tuple[str, ...]]


class Verb(NamedTuple):
    """One thing that happens to an issue: from these statuses, to this one."""

    to_status: str
    from_statuses: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """A table of steps: status → the statuses that may follow it, and what verbs do.

    `workable`: the statuses from which a checkout may begin. `finish`: where an issue goes whose
    run says that it is finished. `blocking`: whether an unfinished blocker moves an issue to
    `blocked`, or only keeps agents from claiming it, or is just recorded. `frozen`: the statuses
    in which an issue's own fields stay as they are. `teams_need_lead`: whether a team without a
    lead is given no issues.
    """

    name: str
    initial: str
    steps: Steps
    verbs: Mapping[str, Verb]
    workable: frozenset[str]
    finish: str = "done"
    blocking: Literal["status", "claims", "recorded"] = "recorded"
    frozen: frozenset[str] = frozenset()
    teams_need_lead: bool = False

    @property
    def statuses(self) -> frozenset[str]:
        """Every status that an issue may be in."""
        steps = {status for after in self.steps.values() for status in after}
        verbs = {verb.to_status for verb in self.verbs.values()}
        return frozenset({self.initial, *self.workable, *steps, *verbs})

    def allows(self, status: str, to_status: str) -> bool:
        """Whether `to_status` may follow `status`."""
        return to_status in self.steps[status]

    def begins_in(self, status: str) -> bool:
        """Whether a new issue may be in this status: where naming a status can lead."""
        return status == self.initial or any(status in after for after in self.steps.values())

    def verbs_from(self, status: str) -> list[str]:
        """What may happen to an issue of this status."""
        return [name for name, verb in self.verbs.items() if status in verb.from_statuses]


_OPEN = ("backlog", "todo", "in_progress", "blocked", "in_review", "handoff")


def _leading_to_work(steps: Steps) -> frozenset[str]:
    """In progress already, or one step from it."""
    return frozenset({"in_progress"} | {s for s, after in steps.items() if "in_progress" in after})


def _any_to_any(statuses: Iterable[str], final: Iterable[str] = ()) -> Steps:
    """Every status may follow every other; none follows one that is final."""
    every = tuple(statuses)
    return {s: () if s in final else tuple(t for t in every if t != s) for s in every}


_DEFAULT: Steps = {
    "backlog": ("todo", "in_progress", "blocked", "done", "closed", "cancelled"),
    "todo": (
        "backlog", "in_progress", "blocked", "in_review", "done", "closed", "failed", "cancelled",
    ),
    "in_progress": (
        "backlog", "todo", "blocked", "in_review", "handoff", "done", "closed", "failed",
        "cancelled",
    ),
    "blocked": ("backlog", "todo", "in_progress", "done", "closed", "failed", "cancelled"),
    "in_review": (
        "todo", "in_progress", "blocked", "handoff", "done", "closed", "failed", "cancelled",
    ),
    "handoff": (
        "todo", "in_progress", "blocked", "in_review", "done", "closed", "failed", "cancelled",
    ),
    "done": ("backlog", "todo", "in_progress", "closed"),
    "closed": ("backlog", "todo"),
    "failed": ("backlog", "todo", "in_progress", "closed", "cancelled"),
    "cancelled": ("backlog", "todo", "closed"),
}  # fmt: skip
_EXOLVRA = _any_to_any(
    ("todo", "in_progress", "blocked", "in_review", "done", "closed"), final={"closed"}
)
_CREWS: Steps = {
    "backlog": ("todo", "in_progress", "cancelled"),
    "todo": ("in_progress", "backlog", "cancelled"),
    "in_progress": ("in_review", "done", "failed", "cancelled", "todo"),
    "in_review": ("done", "todo", "in_progress", "failed", "cancelled"),
    "done": ("backlog",),
    "failed": ("backlog", "todo", "in_progress"),
    "cancelled": ("backlog", "todo"),
}
_AIMETIER: Steps = {
    "backlog": ("todo", "cancelled"),
    "todo": ("cancelled",),
    "in_progress": ("blocked", "in_review", "done", "cancelled"),
    "blocked": ("cancelled",),
    "in_review": ("done", "cancelled"),
    "done": (),
    "cancelled": (),
}
_NXR = _any_to_any(STATUSES)
_CA: Steps = {
    status: ()
    for status in ("todo", "in_progress", "in_review", "handoff", "done", "failed", "cancelled")
}
_VERBS = {
    "submit": Verb("in_review", ("in_progress",)),
    "accept": Verb("done", ("in_review",)),
    "reject": Verb("todo", ("in_review",)),
    "fail": Verb("failed", ("todo", "in_progress", "blocked", "in_review", "handoff")),
    "hand_off": Verb("handoff", ("in_progress", "in_review")),
    "take_over": Verb("in_progress", ("handoff",)),
    "cancel": Verb("cancelled", _OPEN),
    "close": Verb("closed", (*_OPEN, "done", "failed", "cancelled")),
    "reopen": Verb("todo", ("done", "closed", "failed", "cancelled")),
}


def _verbs(steps: Steps, **other: Verb) -> dict[str, Verb]:
    """The usual verbs, as far as these statuses have what they need; `other` replaces some."""
    return {
        name: verb._replace(from_statuses=tuple(s for s in verb.from_statuses if s in steps))
        for name, verb in {**_VERBS, **other}.items()
        if verb.to_status in steps and any(s in steps for s in verb.from_statuses)
    }


def _none_of(verbs: dict[str, Verb], *names: str) -> dict[str, Verb]:
    return {name: verb for name, verb in verbs.items() if name not in names}


WORKFLOWS: Mapping[str, Workflow] = {
    workflow.name: workflow
    for workflow in (
        Workflow(
            name="default",
            initial="todo",
            steps=_DEFAULT,
            verbs=_verbs(_DEFAULT),
            workable=_leading_to_work(_DEFAULT),
            blocking="status",
        ),
        Workflow(
            name="exolvra",
            initial="todo",
            steps=_EXOLVRA,
            verbs=_verbs(_EXOLVRA, reopen=Verb("todo", ("done",))),
            workable=_leading_to_work(_EXOLVRA),
            blocking="status",
        ),
        Workflow(
            name="crews",
            initial="backlog",
            steps=_CREWS,
            verbs=_verbs(
                _CREWS,
                fail=Verb("failed", ("in_progress", "in_review")),
                reopen=Verb("backlog", ("done", "failed", "cancelled")),
            ),
            workable=_leading_to_work(_CREWS),
            teams_need_lead=True,
        ),
        Workflow(
            name="aimetier",
            initial="backlog",
            steps=_AIMETIER,
            verbs=_none_of(_verbs(_AIMETIER, reject=Verb("in_progress", ("in_review",))), "reopen"),
            workable=frozenset({"backlog", "todo", "blocked", "in_review", "in_progress"}),
        ),
        Workflow(
            name="nxr",
            initial="todo",
            steps=_NXR,
            verbs=_verbs(_NXR),
            workable=_leading_to_work(_NXR),
        ),
        Workflow(
            name="ca",
            initial="todo",
            steps=_CA,
            verbs=_none_of(_verbs(_CA), "reopen"),
            workable=frozenset({"todo", "in_progress"}),
            finish="in_review",
            blocking="claims",
            frozen=frozenset({"done", "failed", "cancelled"}),
        ),
    )
}
