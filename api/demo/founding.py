"""A large demo company's directory: who works there, in which teams, on what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ledger import commands as c
from ledger.actors import Actor, Role
from ledger.events import Json
from ledger.ids import new_id

OWNER = Actor("user", "demo")
_TRADES = ("Coder", "Tester", "Writer", "Planner", "Fixer", "Scout", "Reviewer", "Operator")
_NUMBERS = ("One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten")
_USERS = ("Ada", "Grace", "Edsger", "Barbara")
_TEAMS = ("Engineering", "Platform", "Quality", "Documentation", "Support")
_PROJECTS = (
    "Website", "Mobile app", "Billing", "Search", "Importers", "Exports", "Identity", "Reports",
    "Notifications", "Scheduler", "Gateway", "Storage", "Mirror", "Console", "Onboarding",
    "Pricing", "Compliance", "Benchmarks", "Handbook", "Partner API",
)  # fmt: skip
_GOALS = ("Fewer surprises", "Twice as fast", "Cheaper to run", "Easy to begin", "Safe by default")
_MILESTONES = ("Alpha", "Beta", "Launch")
_LABELS = (
    "bug", "chore", "idea", "regression", "security", "performance", "documentation", "customer",
    "infrastructure", "design", "accessibility", "flaky-test", "technical-debt", "question",
    "incident",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Directory:
    """What issues refer to, by id; labels by name."""

    agents: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    teams: list[str] = field(default_factory=list)
    members: dict[str, list[str]] = field(default_factory=dict)
    """Team → its agents."""
    projects: list[str] = field(default_factory=list)
    goals: list[str] = field(default_factory=list)
    milestones: dict[str, list[str]] = field(default_factory=dict)
    """Project → its milestones."""
    labels: Sequence[str] = _LABELS


def found(directory: Directory, agents: int) -> Iterator[c.Command]:
    """The commands that list everybody and everything, noting their ids in `directory`."""
    for n in range(agents):
        trade, number = _TRADES[n % len(_TRADES)], n // len(_TRADES)
        called = _NUMBERS[number] if number < len(_NUMBERS) else str(number + 1)
        yield _entry("agent", f"{trade} {called}", directory.agents)
    for name in _USERS:
        yield _entry("user", name, directory.users)
    for n, name in enumerate(_TEAMS):
        members = directory.agents[n :: len(_TEAMS)] or directory.agents
        ids: list[Json] = [*members]
        yield _entry("team", name, directory.teams, agent_ids=ids, lead_agent_id=members[0])
        directory.members[directory.teams[-1]] = members
    for name in _GOALS:
        yield _entry("goal", name, directory.goals)
    for name in _PROJECTS:
        yield _entry("project", name, directory.projects)
        project = directory.projects[-1]
        directory.milestones[project] = []
        for milestone in _MILESTONES:
            yield _entry(
                "milestone", f"{name} {milestone}", directory.milestones[project],
                project_id=project,
            )  # fmt: skip
    for name in _LABELS:
        yield _entry("label", name, [])


def _entry(kind: str, name: str, ids: list[str], **fields: Json) -> c.CreateEntry:
    ids.append(new_id())
    return c.CreateEntry(
        actor=OWNER, role=Role.OWNER, entry_id=ids[-1], kind=kind, entry_name=name, slug=None,
        fields=fields,
    )  # fmt: skip
