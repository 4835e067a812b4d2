"""`needs` is complete: what it names is all that deciding, and recording, ever asks for.

The committer loads what `needs` names, again and again until nothing is missing. Here a loader
does the same from memory, and from then on whatever was not named is not there to be found.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import settings

from ledger.commands import Command
from ledger.decisions import Decision, decide, needs
from ledger.errors import LedgerError
from ledger.facts import SURVEYS, FactKey, blockers
from ledger.known import Known, Missing
from tests import arbitrary
from tests.arbitrary import Batch
from tests.samples import ENTRIES, FINISHED, LEFT, PAUSED, SAMPLES, world, world_for
from tests.scenario import (
    ENTRY,
    ISSUE,
    LINK,
    NOBODYS,
    OTHER_ENTRY,
    OTHER_RUN,
    RUN,
    SECOND,
    THIRD,
    Scenario,
    alice,
    an_id,
    bob,
    coder,
    given,
    operator,
    reviewer,
)

MOST_ROUNDS = 50


def loaded(command: Command, scenario: Scenario) -> tuple[Known, int]:
    """Just what the command needs, loaded as the committer does; and in how many rounds."""
    known = Known({}, {}, scenario.known.now)
    for rounds in range(MOST_ROUNDS):
        missing = [key for key in needs(command, known) if key not in known]
        if not missing:
            return known, rounds
        for key in missing:
            look_up(key, scenario, known)
    raise AssertionError(f"{command.name} needs more after {MOST_ROUNDS} rounds")


def look_up(key: FactKey, scenario: Scenario, known: Known) -> None:
    """Loads what is looked up under a key: one fact, or all that stand above an issue."""
    assert isinstance(known.loaded, dict)
    facts = known.surveyed if key[0] in SURVEYS else known.loaded
    match key[0]:
        case "ancestors":
            facts.update({key: None, **_ancestors(key[1], scenario)})
        case "blocking_graph":
            facts.update({key: None, **_blocking_graph(key[1], scenario)})
        case "workload":
            facts[key] = scenario.known.workloads([key[1]])[key[1]]
        case _:
            facts[key] = scenario.known[key]


def _ancestors(issue_id: str, scenario: Scenario) -> dict[FactKey, object]:
    """What the look-up of an issue's ancestors finds: it, and every issue above it."""
    found: dict[FactKey, object] = {("issue", issue_id): scenario.known[("issue", issue_id)]}
    while (issue := scenario.known[("issue", issue_id)]) and issue.parent_id:
        issue_id = issue.parent_id
        found[("issue", issue_id)] = scenario.known[("issue", issue_id)]
    return found


def _blocking_graph(issue_id: str, scenario: Scenario) -> dict[FactKey, object]:
    """What the look-up of an issue's blocking graph finds: its blockers, and theirs."""
    found: dict[FactKey, object] = {}
    waiting = [issue_id]
    while waiting:
        at = waiting.pop()
        found[blockers(at)] = above = scenario.known.blockers(at)
        waiting += [one for one in above if blockers(one) not in found]
    return found


def carried_out(command: Command, scenario: Scenario) -> Decision | LedgerError:
    """What deciding, recording and replying come to with what was needed, and no more."""
    small = Scenario()
    small.known, small.recorded = loaded(command, scenario)[0], list(scenario.recorded)
    try:
        decision = _decided(command, scenario, small.known)
    except LedgerError as error:
        return error
    for stream, event in decision.events:
        small.happened(stream, event, command.actor)
    assert small.known[decision.subject] is not None or command.name == "unlink_issue"
    assert small.known[decision.stream] is not None
    return decision


def _decided(command: Command, scenario: Scenario, known: Known) -> Decision:
    """The decision; who claims and finds no candidate good turns over to the next page of them."""
    turned = False
    while True:
        try:
            return decide(command, known)
        except Missing as missing:
            turned = turned or missing.key[0] == "claimable"
            if not turned:
                raise
            look_up(missing.key, scenario, known)


def agrees(command: Command, scenario: Scenario) -> None:
    """With what is needed it is decided as with everything there is."""
    little, all_there_is = carried_out(command, scenario), scenario.when(command).decision
    if isinstance(little, LedgerError) and isinstance(all_there_is, LedgerError):
        assert (type(little), little.args) == (type(all_there_is), all_there_is.args)
        assert little.facts == all_there_is.facts
    else:
        assert little == all_there_is


@pytest.mark.parametrize("name", SAMPLES)
def test_needs_names_everything_for_a_command_that_is_accepted(name: str) -> None:
    """For each type of command, and each kind of entry."""
    agrees(SAMPLES[name], world_for(name))


def _agreements() -> Iterator[tuple[str, Scenario, Command]]:
    yield "same run", world(), coder.checks_out("ACM-1")
    yield "released", world(), bob.releases(SECOND)
    yield "assigned", world(), bob.assigns("user:bob", THIRD)
    yield "labelled", world(), bob.labels("label")
    yield "not labelled", world(), bob.unlabels("label", SECOND)
    yield "linked", world(), bob.links("blocks", THIRD, SECOND, an_id(33))
    yield "linked, by inverse", world(), bob.links("blocked_by", "ACM-2", "ACM-3", an_id(33))
    yield "revoked", world().given(alice.revokes_key()), alice.revokes_key()
    yield "same name", world(), alice.changes("label", "label", name="label", slug="label")
    yield "accepted", world(), bob.accepts(FINISHED)
    yield "paused", world(), alice.pauses(PAUSED)
    yield "not paused", world(), alice.resumes("ACM-2")
    yield "not held", world(), bob.expires("ACM-2")
    yield "same budget", world(), bob.budgets(None, "ACM-2")
    yield "same agent's budget", world(), alice.budgets_agent(None, "agent")
    yield "same company's budget", world(), alice.budgets_company(None)
    yield "agent paused", world(), alice.pauses_agent("sleeper")
    yield "agent at work", world(), alice.resumes_agent("agent")
    kept = world().given(coder.retains())
    yield "same workspace", kept, coder.retains(issue="ACM-1")


@pytest.mark.parametrize(
    ("scenario", "asked"),
    [pytest.param(scenario, asked, id=name) for name, scenario, asked in _agreements()],
)
def test_needs_names_everything_for_what_is_so_already(scenario: Scenario, asked: Command) -> None:
    """The reply shows what there is, so that is needed too."""
    agrees(asked, scenario)


def chain_of(length: int) -> Scenario:
    """Issues 1, 2, 3…, each below the one before."""
    below = (alice.creates(an_id(n), parent=an_id(n - 1)) for n in range(2, length + 1))
    return given(alice.creates(an_id(1)), *below)


def blocked_chain_of(length: int) -> Scenario:
    """Issues 1, 2, 3…, each waiting for the one before."""
    links = (
        alice.links("blocked_by", an_id(n - 1), an_id(n), an_id(1000 + n - 1))
        for n in range(2, length + 1)
    )
    return given(*(alice.creates(an_id(n)) for n in range(1, length + 1)), *links)


def _crooked_ways() -> Iterator[tuple[str, Scenario, Command]]:
    team = given(alice.lists("team", "A"))
    yield "derived slug taken", team, alice.lists("team", "A", OTHER_ENTRY)
    chosen = given(alice.lists("team", "Core"), alice.lists("team", "Corner", OTHER_ENTRY))
    yield "derived prefix taken", chosen, alice.lists("team", "Corfu", an_id(53))
    yield "team by id", world(), alice.creates(an_id(5), team=ENTRIES["team"])
    yield "team by slug", world(), alice.creates(an_id(5), team="TEAM")
    yield "kind of another", world(), alice.creates(an_id(5), team=ENTRIES["goal"])
    lost = world().given(alice.archives("team", "team"))
    yield "archived team", lost, alice.creates(an_id(5), team=ENTRIES["team"])
    deep = chain_of(59)
    yield "long cycle", deep, alice.edits(ISSUE, parent_id="acm-59")
    yield (
        "long chain",
        deep.given(alice.creates(an_id(99))),
        alice.edits(an_id(99), parent_id="acm-59"),
    )
    yield "own parent", world(), alice.edits(ISSUE, parent_id=ISSUE)
    yield "deleted parent", world().given(alice.deletes(THIRD)), alice.edits(ISSUE, parent_id=THIRD)
    yield "too deep", chain_of(101), alice.creates(an_id(500), parent=an_id(101))
    yield "in its own run", world(), coder.comments("Hm.", an_id(29), in_run=RUN)
    yield "in a run that is not there", world(), coder.comments("Hm.", an_id(29), in_run=NOBODYS)
    off = world().given(alice.archives("label", "label"))
    yield "an archived label taken off", off, alice.unlabels(ENTRIES["label"])
    yield "a label renamed", world(), alice.changes("label", "label", name="Other Label")
    yield "a cost of a deleted issue", world().given(alice.deletes()), coder.reports()
    freed = world().given(alice.edits(SECOND, external_ref=None))
    yield "freed ref", freed, alice.creates(an_id(5), external_ref=("jira", "ABC-1"))
    yield "run of another issue", world(), alice.checks_out(SECOND, "coder")
    yield "agent by slug", world(), alice.checks_out(SECOND, "AGENT", OTHER_RUN)
    yield "far end", world(), bob.unlinks(LINK, SECOND)
    gone = world().given(alice.deletes(SECOND))
    yield "link of a deleted issue", gone, bob.unlinks(LINK, THIRD)
    yield "a key for an entry", world(), alice.gives_key("agent:agent", key=an_id(48))
    yield "nobody", Scenario(), operator.gives_key("agent:x")
    yield from _crooked_work()
    yield from _crooked_blocking()
    yield from _crooked_budgets()
    yield from _crooked_claims()


def _crooked_work() -> Iterator[tuple[str, Scenario, Command]]:
    yield "an overtaken holder", world(), reviewer.comments("Hm.", an_id(29), LEFT, fencing_token=1)
    taken_over = coder.checks_out(LEFT, run=OTHER_RUN)
    yield "a dead run is succeeded", world(), taken_over
    yield "its holder comes late", world(), reviewer.checks_out(LEFT, run=an_id(13))
    yield "its holder renews late", world(), reviewer.renews(LEFT)
    listed = world().given(alice.lists("agent", "coder", an_id(73)), alice.pauses_agent(an_id(73)))
    yield "a paused agent renews", listed, coder.renews("ACM-1")
    yield "a paused agent is sent", listed, alice.checks_out(SECOND, "coder", OTHER_RUN)
    paused = world().given(coder.pauses(), alice.resumes())
    yield "a paused run goes on", paused, coder.checks_out(run=OTHER_RUN, names_run=False)
    yield "a paused run is superseded", paused, alice.checks_out("ACM-1", "reviewer", OTHER_RUN)
    yield "a paused run is cancelled", paused, alice.cancels("ACM-1")
    yield "a paused run is reassigned", paused, alice.reassigns("user:bob", "ACM-1")
    yield "a paused run is finished", paused, coder.finishes()
    yield "a late report of a paused run", paused, coder.reports(issue="ACM-1", cost_micros=7)
    reported = len(world().recorded)
    more: dict[str, Any] = {"issue": "ACM-1", "cost_micros": 9}
    yield "a correction for a paused run", paused, coder.corrects(reported, **more)
    yield (
        "a second correction",
        world().given(coder.corrects(reported, cost_micros=1)),
        (coder.corrects(reported, **more)),
    )
    yield "a correction of nothing", world(), coder.corrects(999, **more)
    old = world()
    old.later(days=31)
    yield "a correction of a former month", old, coder.corrects(reported, **more)


def _crooked_blocking() -> Iterator[tuple[str, Scenario, Command]]:
    yield "blocking a held issue", world(), alice.links("blocks", "ACM-1", "ACM-2", an_id(33))
    waits = blocked_chain_of(59)
    yield "a long circle", waits, alice.links("blocks", "acm-59", "acm-1", an_id(33))
    yield "a long row", waits, alice.links("blocks", "acm-1", "acm-59", an_id(33))
    yield "the end of a link of a row", waits, alice.moves("done", "acm-30")
    yield "the middle is deleted", waits, alice.deletes(an_id(30))
    yield "closed under others", waits, alice.closes("acm-30")
    yield "a link of a row goes", waits, alice.unlinks(an_id(1030), an_id(31))
    twice = world().given(alice.links("blocks", THIRD, FINISHED, an_id(33)))
    yield "one of two blockers ends", twice, alice.cancels("ACM-2")
    yield "one of two blockers is let go", twice, alice.unlinks(LINK, "ACM-3")
    held = twice.given(alice.links("blocks", SECOND, ISSUE, an_id(34)))
    yield "a finished run frees", held, coder.finishes()
    yield "an accepted issue frees", held.given(coder.submits()), bob.accepts("ACM-1")


def _crooked_budgets() -> Iterator[tuple[str, Scenario, Command]]:
    for limit in (0, 5, 500):
        budgeted = world().given(
            alice.budgets_company(limit),
            alice.budgets_agent(limit, "agent"),
            alice.lists("agent", "coder", an_id(73)),
            alice.budgets_agent(limit, "coder"),
            alice.creates(an_id(5), per_task_micros=limit),
        )
        yield f"reported, with {limit} to spend", budgeted, coder.reports(cost_micros=4)
        at_work = budgeted.given(alice.budgets(limit, SECOND))
        for name in ("agent", "AGENT", ENTRIES["agent"], "coder"):
            asked = alice.checks_out(SECOND, name, OTHER_RUN)
            yield f"{name} is sent, with {limit} to spend", at_work, asked
            claims = alice.claims_next(name, OTHER_RUN)
            yield f"{name} claims, with {limit} to spend", at_work, claims


def _crooked_claims() -> Iterator[tuple[str, Scenario, Command]]:
    crowd = world().given(
        alice.lists("team", "Crowd", an_id(74), agent_ids=["coder", "agent", "sleeper"]),
        alice.lists("project", "Elsewhere", an_id(75), agent_ids=["sleeper"]),
        alice.creates(an_id(5), team="crowd", priority="urgent"),
        alice.creates(an_id(6), project="elsewhere", priority="urgent"),
    )
    yield "given to a team", crowd, alice.gives_team("crowd", "ACM-2")
    yield "given to an unknown team", crowd, alice.gives_team("nowhere", "ACM-2")
    yield "given to an empty team", crowd, alice.gives_team("team", "ACM-2")
    for name in ("coder", "agent", ENTRIES["agent"], "reviewer", "sleeper", "nobody"):
        yield f"{name} claims of a crowd", crowd, alice.claims_next(name, OTHER_RUN)
    away = crowd.given(alice.archives("agent", "agent"), alice.moves("done", an_id(5)))
    yield "given to who is left", away, alice.gives_team("crowd", "ACM-2")
    nothing = given(alice.creates(), alice.pauses())
    yield "nothing to claim", nothing, coder.claims_next()


@pytest.mark.parametrize(
    ("scenario", "asked"),
    [pytest.param(scenario, asked, id=name) for name, scenario, asked in _crooked_ways()],
)
def test_needs_names_everything_on_crooked_ways(scenario: Scenario, asked: Command) -> None:
    """Where one look-up leads to the next."""
    agrees(asked, scenario)


@pytest.mark.parametrize("name", SAMPLES)
def test_needs_names_everything_where_there_is_nothing(name: str) -> None:
    """In a company that has only begun, whatever a command names is unknown."""
    agrees(SAMPLES[name], given() if name != "create_company" else Scenario())


@settings(max_examples=100, deadline=None)
@for_all(arbitrary.scripts(4))
def test_needs_names_everything_for_arbitrary_commands(script: list[Batch]) -> None:
    """Whatever happened before."""
    scenario = Scenario().given(operator.begins(), *arbitrary.beginnings(), *arbitrary.endings())
    for batch in script:
        scenario.later(seconds=batch.later)
        for command in (one for submission in batch.submissions for one in submission):
            agrees(command, scenario)
            if not isinstance(scenario.when(command).decision, LedgerError):
                scenario.given(command)


@pytest.mark.parametrize("name", sorted(SAMPLES.keys() - {"create_company", "create_team"}))
def test_needs_is_satisfied_in_a_few_rounds(name: str) -> None:
    """A round is a trip to the database under the lock: a name, its state, what that has."""
    _, rounds = loaded(SAMPLES[name], world_for(name))

    assert rounds <= 3


def test_ancestors_that_are_known_are_not_asked_for_again() -> None:
    """A process that remembers the chain decides about parents without the database."""
    scenario = chain_of(5).given(alice.creates(an_id(99)))
    everything = dict(scenario.known.staged)
    without_the_third = {k: v for k, v in everything.items() if k != ("issue", an_id(3))}
    asked = alice.edits(an_id(99), parent_id=an_id(5))

    assert ancestors_asked_for(asked, Known(everything, {})) == []
    assert ancestors_asked_for(asked, Known(without_the_third, {})) == [an_id(3)]


def ancestors_asked_for(command: Command, known: Known) -> list[str]:
    """The issues whose ancestors would be looked up."""
    return [key[1] for key in needs(command, known) if key[0] == "ancestors"]


def test_a_name_that_nobody_has_costs_no_second_round() -> None:
    """That there is no such thing is an answer too."""
    command = alice.edits("ACM-404", project_id="nowhere")
    known, _ = loaded(command, given())

    assert known[("identifier", "ACM-404")] is None
    assert known[("slug", "project", "nowhere")] is None
    assert all(key in known for key in needs(command, known))
    assert ENTRY not in str(list(needs(command, known)))
    assert NOBODYS not in str(list(needs(command, known)))
