"""The rules and their model, asked the same; then everything that can be seen is compared.

What is asked may be said relatively, because only at the time is it known what there is: "one that
is held", "its own" run, the "good" token.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from ledger import commands as c
from ledger import events as e
from ledger.actors import Actor, Role
from ledger.decisions import Decision
from ledger.errors import LedgerError
from ledger.events import Event, Recorded
from ledger.facts import FactKey
from tests.model import Model
from tests.modelled import OPEN, Directory, Issue
from tests.scenario import NOBODYS, Caller, Scenario, alice, an_id
from tests.seen import alarms_of, blockers_of, comments_of, issues_of, links_of, runs_of, sums_of

HOLDER = Caller(Actor("agent", "whoever holds the issue"), Role.AGENT)
HELD, LEFT, FREE = "one that is held", "one with a paused run", "one to work on"
NEWEST = "the last one that was written down"
FIRST_RUN = 100
"""Runs are numbered from here."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How it is asked: which version was seen, under which token, in which run."""

    version: str | None = None
    token: str | None = None
    in_run: str | None = None


class AtOnce(Scenario):
    """A company in which time passes by `later` alone: the events of a command have one time."""

    def happened(
        self, stream: FactKey, event: Event, actor: Actor, on_behalf_of: Actor | None = None
    ) -> Recorded:
        """Takes back the minute that an event takes elsewhere."""
        self.later(minutes=-1)
        return super().happened(stream, event, actor, on_behalf_of)


class Compared:
    """A company and its model; `heard` counts how often which command was answered with what."""

    def __init__(
        self, directory: Directory, beginning: list[c.Command], heard: Counter[tuple[str, str]]
    ) -> None:
        self.scenario = AtOnce().given(*beginning)
        self.model = Model(directory, self.scenario.known.now)
        self.heard = heard
        self._tokens: list[tuple[str, int]] = []
        self._told()

    def ask(self, command: c.Command) -> None:
        """Asks both; they answer alike, and everything looks alike after it."""
        decision = self.scenario.when(command).decision
        reasons = self.model.answer(command)
        if isinstance(decision, LedgerError):
            assert decision.code in reasons, f"refused: {decision!r}; by the model: {reasons}"
            self.heard[command.name, decision.code] += 1
        else:
            assert not reasons, f"accepted; by the model: {reasons}"
            self.heard[command.name, "accepted"] += 1
            self.scenario.given(command)
            self._told()
        self._look()

    def later(self, duration: timedelta) -> None:
        """Lets time pass."""
        self.scenario.later(seconds=duration.total_seconds())
        self.model.now += duration

    # ── what is asked ──

    def said(self, command: c.Command, manner: Manner) -> c.Command:
        """The command as it is said in this manner, by whomever is meant."""
        issue = getattr(command, "issue", "")
        id, version = self._named(issue), self.model.versions.get(self._stream(command), 0)
        if command.actor == HOLDER.actor:
            command = replace(command, actor=Actor("agent", self.holder(id) or "coder"))
        return replace(
            command,
            expected_version={"seen": version, "stale": version + 1}.get(manner.version or ""),
            fencing_token=self._token(id, manner.token) if manner.token else None,
            in_run=self.run_of(issue, manner.in_run) if manner.in_run else None,
        )

    def _stream(self, command: c.Command) -> str:
        match command:
            case c.RunCommand():
                return command.run_id
            case c.IssueCommand():
                return self._named(command.issue)
            case c.AgentCommand():
                return command.agent
            case _:
                return self.model.directory.company

    def issue(self, which: str) -> str:
        """The id or identifier of an issue, or of the first of which something is true."""
        if which == NEWEST:
            return [*self.model.issues][-1]
        for id, one in self.model.issues.items():
            if not one.is_deleted and which in _true_of(one):
                return id
        return an_id(1) if which in (HELD, LEFT, FREE) else which

    def holder(self, issue: str) -> str | None:
        """The agent that holds an issue."""
        found = self.model.issues.get(self._named(issue))
        return found.lease.agent if found and found.lease else None

    def run_of(self, issue: str, which: str) -> str:
        """Of an issue its own run, or the first that ever was, or nobody's, or a new one."""
        found = self.model.issues.get(self._named(issue))
        match which:
            case "its own" if found and found.lease:
                return found.lease.run
            case "its own" if found and found.paused_run:
                return found.paused_run
            case "former" | "its own" if self.model.runs:
                return next(iter(self.model.runs))
            case "nobody's":
                return NOBODYS
            case _:
                return an_id(FIRST_RUN + len(self.model.runs))

    def _named(self, ref: str) -> str:
        found = (id for id, one in self.model.issues.items() if one.identifier == ref)
        return next(found, ref)

    def _token(self, id: str, which: str) -> int:
        former = [token for of, token in self._tokens if of == id]
        found = self.model.issues.get(id)
        match which:
            case "good" if found and found.lease and found.lease.token:
                return found.lease.token
            case "former" if former:
                return former[0]
            case _:
                return 0

    # ── what was answered ──

    def _told(self) -> None:
        """What the ledger gives out and the model does not: versions, positions, lease's tokens."""
        counted: Counter[str] = Counter()
        for recorded in self.scenario.recorded:
            counted[recorded.stream_id] += 1
            if isinstance(recorded.event, e.IssueCheckedOut):
                self._token_given(recorded.stream_id, counted[recorded.stream_id])
        self.model.versions = dict(counted)
        reports = (r for r in self.scenario.recorded if isinstance(r.event, e.CostReported))
        for cost, recorded in zip(self.model.costs, reports, strict=False):
            cost.position = recorded.position

    def _token_given(self, id: str, version: int) -> None:
        if (id, version) in self._tokens:
            return
        self._tokens.append((id, version))
        if lease := self.model.issues[id].lease:
            lease.token = version

    def _look(self) -> None:
        scenario, model = self.scenario, self.model
        assert dict(issues_of(scenario)) == model.issues
        assert dict(runs_of(scenario)) == model.runs
        assert dict(comments_of(scenario)) == model.comments
        assert dict(links_of(scenario)) == model.links
        assert dict(blockers_of(scenario)) == {
            id: {t for s, kind, t in model.links.values() if (s, kind) == (id, "blocked_by")}
            for id in model.issues
        }
        assert dict(sums_of(scenario)) == model.spent
        assert alarms_of(scenario) == model.alarms
        for id, token in self._tokens:
            if not model.issues[id].is_deleted:
                self._try(token, id, model.issues[id])

    def _try(self, token: int, id: str, issue: Issue) -> None:
        """A token is good for exactly as long as its lease."""
        told = self.scenario.when(alice.comments(comment=NOBODYS, issue=id, fencing_token=token))
        is_good = issue.lease is not None and issue.lease.token == token
        assert isinstance(told.decision, Decision) == is_good


def _true_of(issue: Issue) -> Iterator[str]:
    if issue.lease:
        yield HELD
    elif issue.status in OPEN and not issue.is_paused:
        yield FREE
    if issue.paused_run:
        yield LEFT
