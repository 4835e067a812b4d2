"""`needs` is complete: what it names is all that deciding, and recording, ever asks for.

The committer loads what `needs` names, again and again until nothing is missing. Here a loader
does the same from memory, and from then on whatever was not named is not there to be found.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from ledger.commands import Command
from ledger.decisions import Decision, decide, needs
from ledger.errors import LedgerError
from ledger.known import FactKey, Known
from tests import arbitrary
from tests.samples import ENTRIES, SAMPLES, world, world_for
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
)

MOST_ROUNDS = 50


def loaded(command: Command, scenario: Scenario) -> Known:
    """Just what the command needs, loaded round by round as the committer does."""
    facts: dict[FactKey, object] = {}
    known = Known(facts, {})
    for _ in range(MOST_ROUNDS):
        missing = [key for key in needs(command, known) if key not in known]
        if not missing:
            return known
        for key in missing:
            facts[key] = None
            facts.update(
                _ancestors(key[1], scenario)
                if key[0] == "ancestors"
                else {key: scenario.known[key]}
            )
    raise AssertionError(f"{command.name} needs more after {MOST_ROUNDS} rounds")


def _ancestors(issue_id: str, scenario: Scenario) -> dict[FactKey, object]:
    """What the look-up of an issue's ancestors finds: it, and every issue above it."""
    found: dict[FactKey, object] = {("issue", issue_id): scenario.known[("issue", issue_id)]}
    while (issue := scenario.known[("issue", issue_id)]) and issue.parent_id:
        issue_id = issue.parent_id
        found[("issue", issue_id)] = scenario.known[("issue", issue_id)]
    return found


def carried_out(command: Command, scenario: Scenario) -> Decision | LedgerError:
    """What deciding, recording and replying come to with what was needed, and no more."""
    small = Scenario()
    small.known, small.recorded = loaded(command, scenario), list(scenario.recorded)
    try:
        decision = decide(command, small.known)
    except LedgerError as error:
        return error
    for stream, event in decision.events:
        small.happened(stream, event, command.actor)
    assert small.known[decision.subject] is not None or command.name == "unlink_issue"
    assert small.known[decision.stream] is not None
    return decision


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
@for_all(st.lists(arbitrary.commands, max_size=30))
def test_needs_names_everything_for_arbitrary_commands(asked: list[Command]) -> None:
    """Whatever happened before."""
    scenario = given(*arbitrary.beginnings())
    for command in asked:
        agrees(command, scenario)
        if not isinstance(scenario.when(command).decision, LedgerError):
            scenario.given(command)


@pytest.mark.parametrize("name", sorted(SAMPLES.keys() - {"create_company", "create_team"}))
def test_needs_is_satisfied_in_a_few_rounds(name: str) -> None:
    """A round is a trip to the database under the lock: a name, its state, what that has."""
    facts: dict[FactKey, object] = {}
    scenario, known, rounds = world_for(name), Known(facts, {}), 0
    while missing := [key for key in needs(SAMPLES[name], known) if key not in known]:
        rounds += 1
        for key in missing:
            facts.update(
                {key: None, **_ancestors(key[1], scenario)}
                if key[0] == "ancestors"
                else {key: scenario.known[key]}
            )

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
    known = loaded(command, given())

    assert known[("identifier", "ACM-404")] is None
    assert known[("slug", "project", "nowhere")] is None
    assert all(key in known for key in needs(command, known))
    assert ENTRY not in str(list(needs(command, known)))
    assert NOBODYS not in str(list(needs(command, known)))
