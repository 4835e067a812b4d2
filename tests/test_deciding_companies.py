"""Companies and their API keys: who gets one, what it is called, how it ends."""

from __future__ import annotations

import pytest

from ledger import events as e
from ledger.actors import Actor, Role
from ledger.commands import Command
from ledger.errors import Forbidden, Invalid, NotFound, Taken
from ledger.workflow import WORKFLOWS
from tests.scenario import (
    ENTRY,
    KEY,
    NOBODYS,
    Scenario,
    alice,
    an_id,
    given,
    operator,
)

admin = alice.as_role(Role.ADMIN)
OTHER_KEY = an_id(42)


def test_a_company_begins_with_its_workflow_and_its_prefix() -> None:
    """The first event of its log."""
    begun = (
        Scenario()
        .when(operator.begins())
        .then(e.CompanyCreated(name="Acme", workflow="default", issue_prefix="ACM"))
    )

    assert (begun.company.version, begun.company.workflow) == (1, "default")


def test_a_company_begins_once() -> None:
    """However often it is asked for."""
    Scenario().given(operator.begins()).when(operator.begins()).then_refused(Taken)


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_a_company_chooses_its_workflow(workflow: str) -> None:
    """Whose first status is that of an issue which says nothing else."""
    scenario = Scenario().given(operator.begins(workflow), alice.creates())

    assert scenario.company.workflow == workflow
    assert scenario.issue().status == WORKFLOWS[workflow].initial


def test_a_company_chooses_a_workflow_that_there_is() -> None:
    """The refusal points at the field and names those there are."""
    refusal = Scenario().when(operator.begins("chaos")).then_refused(Invalid)

    assert refusal.pointer == "/workflow"
    assert all(workflow in refusal.message for workflow in WORKFLOWS)


def test_a_key_holds_a_hash_and_never_a_secret() -> None:
    """The event has what proves a secret and not what it is."""
    asked = alice.gives_key("agent:new", Role.AGENT, key_name="laptop")

    given_out = given().when(asked).then_only(e.KeyCreated)

    assert (given_out.role, given_out.actor, given_out.name) == ("agent", "agent:new", "laptop")
    assert given_out.secret_sha256 == f"{KEY}'s secret, hashed"


@pytest.mark.parametrize("actor", ["user:new", "agent:new", "system:new"])
def test_a_keys_actor_need_not_be_in_the_directory(actor: str) -> None:
    """Having a key is enough to be somebody from then on."""
    scenario = given().given(alice.gives_key(actor))

    assert scenario.known.actor(Actor.parse(actor)) == Actor.parse(actor)


@pytest.mark.parametrize("ref", ["carol", "Carol", ENTRY])
def test_a_key_for_an_entry_of_the_directory_is_its_ids(ref: str) -> None:
    """So that the entry may be renamed."""
    scenario = given(alice.lists("agent", "Carol"))

    assert scenario.when(alice.gives_key(f"agent:{ref}")).then_only(e.KeyCreated).actor == (
        f"agent:{ENTRY}"
    )


@pytest.mark.parametrize("then", [[], [alice.revokes_key()]], ids=["living", "revoked"])
def test_a_keys_id_is_used_once(then: list[Command]) -> None:
    """Not even a revoked key's id."""
    scenario = given(alice.gives_key("agent:new"), *then)

    assert scenario.when(alice.gives_key("agent:new")).then_refused(Taken).pointer == "/key_id"


def test_an_actor_may_have_several_keys() -> None:
    """One for each machine, say."""
    scenario = given(alice.gives_key("agent:new"))

    scenario.when(alice.gives_key("agent:new", key=OTHER_KEY)).then_only(e.KeyCreated)


def test_renaming_a_key() -> None:
    """From → to; the same again is agreement, and None takes the name away."""
    scenario = given(alice.gives_key("agent:new", key_name="a"))

    renamed = scenario.when(alice.renames_key("b")).then(e.KeyRenamed(from_name="a", to_name="b"))
    renamed.when(alice.renames_key("b")).then_nothing()
    cleared = renamed.when(alice.renames_key(None)).then(e.KeyRenamed(from_name="b", to_name=None))

    assert cleared.key().name is None


def test_revoking_a_key_twice_is_agreement() -> None:
    """It stops once."""
    scenario = given(alice.gives_key("agent:new"))

    revoked = scenario.when(alice.revokes_key()).then(e.KeyRevoked())

    revoked_at = revoked.key().revoked_at
    assert revoked_at is not None
    assert revoked.when(alice.revokes_key()).then_nothing().key().revoked_at == revoked_at


@pytest.mark.parametrize("asked", [alice.renames_key("x", NOBODYS), alice.revokes_key(NOBODYS)])
def test_a_key_that_is_not_there(asked: Command) -> None:
    """The same answer for whoever asks."""
    given().when(asked).then_refused(NotFound)


@pytest.mark.parametrize("role", sorted(Role))
def test_only_an_owner_gives_out_an_owners_key(role: Role) -> None:
    """An admin gives out any other."""
    given().when(alice.gives_key("user:new", role)).then_only(e.KeyCreated)
    answer = given().when(admin.gives_key("user:new", role))

    if role is Role.OWNER:
        assert answer.then_refused(Forbidden).facts == {"role": "admin", "permission": "own"}
    else:
        answer.then_only(e.KeyCreated)


@pytest.mark.parametrize("role", sorted(Role))
@pytest.mark.parametrize("asked", [admin.renames_key("x"), admin.revokes_key()])
def test_only_an_owner_changes_an_owners_key(role: Role, asked: Command) -> None:
    """Or an admin would lock the owners out."""
    answer = given(alice.gives_key("user:new", role)).when(asked)

    if role is Role.OWNER:
        answer.then_refused(Forbidden)
    else:
        assert len(answer.events) == 1
