"""Blocking, whatever is linked and settled: every status is what a naive graph says.

The graph is worked out by brute force from nothing but its edges. It knows what to refuse, what
a new blocker moves, and what the end of the last one opens.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from ledger.commands import Command
from ledger.errors import BlockingCycle, LedgerError, NotFound, TransitionNotAllowed
from tests.scenario import alice, an_id
from tests.workflows import TOLD, company_of

GRAPH = [an_id(n) for n in range(1, 6)]
SETTLED = {"done", "closed", "cancelled"}
OVER = {*SETTLED, "failed"}
ENDS = ("done", "closed", "cancelled", "failed", "todo", "backlog", "in_progress", "deleted")


@dataclass
class Graph:
    """What ought to be, worked out by brute force: every edge, every status, nothing clever."""

    workflow: str
    statuses: dict[str, str]
    edges: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Link → the issue that waits, and its blocker; oldest first."""
    came_from: dict[str, str] = field(default_factory=dict)

    def blocking(self, issue: str) -> list[str]:
        """The blockers of an issue that are neither settled nor gone."""
        return [
            blocker
            for waits, blocker in self.edges.values()
            if waits == issue and self.statuses[blocker] not in {*SETTLED, "deleted"}
        ]

    def above(self, issue: str) -> set[str]:
        """Everything that an issue waits for, however far."""
        found: set[str] = set()
        while more := {b for w, b in self.edges.values() if w in {issue, *found}} - found:
            found |= more
        return found

    def link(self, link: str, waits: str, blocker: str) -> type[LedgerError] | None:
        """Links, or says why not."""
        if "deleted" in (self.statuses[waits], self.statuses[blocker]):
            return NotFound
        if (waits, blocker) in self.edges.values():
            return None
        if waits in self.above(blocker):
            return BlockingCycle
        self.edges[link] = (waits, blocker)
        status = self.statuses[waits]
        moves = TOLD[self.workflow].moved_by_links and status not in {*OVER, "blocked"}
        if moves and self.statuses[blocker] not in SETTLED:
            self.came_from[waits] = status
            self.statuses[waits] = "blocked"
        return None

    def unlink(self, link: str) -> type[LedgerError] | None:
        """Takes a link away, asked from the end that waits."""
        waits, _ = self.edges[link]
        if self.statuses[waits] == "deleted":
            return NotFound
        del self.edges[link]
        self._open({waits})
        return None

    def end(self, issue: str, status: str) -> type[LedgerError] | None:
        """Moves an issue, or deletes it."""
        before = self.statuses[issue]
        if before == "deleted":
            return NotFound
        if status == before:
            return None
        if status != "deleted" and status not in TOLD[self.workflow].steps[before]:
            return TransitionNotAllowed
        self.statuses[issue] = status
        if status in {*SETTLED, "deleted"} and before not in SETTLED:
            self._open({waits for waits, blocker in self.edges.values() if blocker == issue})
        return None

    def _open(self, issues: set[str]) -> None:
        for issue in issues:
            moves = TOLD[self.workflow].moved_by_links
            if moves and self.statuses[issue] == "blocked" and not self.blocking(issue):
                back = self.came_from.get(issue) == "backlog"
                self.statuses[issue] = "backlog" if back else "todo"


@dataclass(frozen=True)
class Step:
    """One thing that somebody asks for."""

    kind: str
    issue: str
    other: str
    status: str
    inverse: bool


steps = st.builds(
    Step,
    kind=st.sampled_from(["link", "link", "link", "unlink", "end"]),
    issue=st.sampled_from(GRAPH),
    other=st.sampled_from(GRAPH),
    status=st.sampled_from(ENDS),
    inverse=st.booleans(),
)


def _asked(
    step: Step, number: int, graph: Graph
) -> tuple[Command, type[LedgerError] | None] | None:
    """The command of a step, and what the graph says to it."""
    link = an_id(1000 + number)
    match step.kind:
        case "link" if step.issue != step.other:
            command = (
                alice.links("blocks", step.issue, step.other, link)
                if step.inverse
                else alice.links("blocked_by", step.other, step.issue, link)
            )
            return command, graph.link(link, step.issue, step.other)
        case "unlink" if graph.edges:
            found = sorted(graph.edges)[number % len(graph.edges)]
            waits, _ = graph.edges[found]
            return alice.unlinks(found, waits), graph.unlink(found)
        case "end" if step.status == "deleted":
            return alice.deletes(step.issue), graph.end(step.issue, "deleted")
        case "end":
            moved = alice.moves(step.status, step.issue, force=True)
            return moved, graph.end(step.issue, step.status)
    return None


def _is_a_way_round(path: list[str], graph: Graph) -> bool:
    """Each blocks the next by a link that there is, but for the last, which was asked for."""
    links = set(graph.edges.values())
    there = pairwise(path[:-1])
    return path[0] == path[-1] and all((waits, blocker) in links for blocker, waits in there)


@settings(max_examples=300, deadline=None)
@for_all(
    workflow=st.sampled_from(["default", "exolvra", "nxr"]),
    steps=st.lists(steps, min_size=5, max_size=50),
)
def test_whatever_is_linked_and_settled_every_status_is_what_the_graph_says(
    workflow: str, steps: list[Step]
) -> None:
    """After every step of any sequence; what the graph refuses is refused, and nothing else."""
    scenario = company_of(workflow, *(alice.creates(issue) for issue in GRAPH))
    graph = Graph(workflow, {issue: scenario.issue(issue).status for issue in GRAPH})
    for number, step in enumerate(steps):
        asked = _asked(step, number, graph)
        if asked is None:
            continue
        command, error = asked
        answer = scenario.when(command)
        if error is not None:
            refusal = answer.then_refused(error)
            if isinstance(refusal, BlockingCycle):
                assert _is_a_way_round(refusal.facts["path"], graph)
        else:
            scenario.given(command)
        now = {i: "deleted" if (one := scenario.issue(i)).deleted_at else one.status for i in GRAPH}
        assert now == graph.statuses, f"after step {number}: {step}"
