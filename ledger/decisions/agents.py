"""Agents as workers: paused or not, and which member of a team has the least to do."""

from __future__ import annotations

from ledger import commands as c
from ledger import events as e
from ledger.actors import Actor
from ledger.decisions.base import Decision, the_entry
from ledger.errors import AgentPaused, NobodyAvailable
from ledger.known import Known
from ledger.state import Entry, Issue


def pause(command: c.PauseAgent, known: Known) -> Decision:
    """It takes no more work; what it holds, it may finish, but not renew."""
    agent = the_entry("agent", command.agent, known)
    paused = e.AgentPaused(name=agent.name, reason=command.reason)
    return _on(agent, *(() if is_paused(agent) else (paused,)))


def resume(command: c.ResumeAgent, known: Known) -> Decision:
    """It takes work again."""
    agent = the_entry("agent", command.agent, known)
    return _on(agent, *((e.AgentResumed(name=agent.name),) if is_paused(agent) else ()))


def is_paused(agent: Entry) -> bool:
    """Whether a listed agent takes no work."""
    return agent.fields.get("paused_at") is not None


def refuse_paused_agent(agent: Actor, known: Known, pointer: str | None = None) -> None:
    """A paused agent is given no work, and takes none."""
    entry = known.entry("agent", agent.id, archived=True)
    if entry is not None and is_paused(entry):
        raise AgentPaused(
            f"The agent {entry.name} is paused; somebody must resume it first.", pointer=pointer
        )


def least_busy(team: Entry, issue: Issue, known: Known) -> Actor:
    """The member who takes work and has the fewest other unfinished issues; of equals, by name."""
    listed = team.fields.get("agent_ids")
    ids = [one for one in (listed if isinstance(listed, list) else []) if isinstance(one, str)]
    counts = known.workloads((f"agent:{one}" for one in ids), without=issue)
    found = [
        (counts[f"agent:{one}"], entry.name if entry else one, one)
        for one in ids
        if (entry := known.entry("agent", one, archived=True)) is None or _takes_work(entry)
    ]
    if not found:
        raise NobodyAvailable(
            f"The team {team.name} has no member that takes work; resume one, or name an agent."
        )
    return Actor("agent", min(found)[2])


def _takes_work(agent: Entry) -> bool:
    return agent.archived_at is None and not is_paused(agent)


def _on(agent: Entry, *events: e.Event) -> Decision:
    key = ("entry", agent.id)
    return Decision(key, key, tuple((key, event) for event in events))
