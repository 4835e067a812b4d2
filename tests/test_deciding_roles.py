"""Roles and permissions: what each API key may do, asked before anything else."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from ledger import commands as c
from ledger.actors import Actor, Permission, Role
from ledger.commands import Command
from ledger.errors import Forbidden, Invalid
from tests.samples import SAMPLES, world_for
from tests.scenario import NOBODYS, alice, coder, given

OWNER, ADMIN, MANAGER = Role.OWNER, Role.ADMIN, Role.MANAGER
EDITOR, AGENT, VIEWER, AUDITOR = Role.EDITOR, Role.AGENT, Role.VIEWER, Role.AUDITOR

WORKS = {OWNER, ADMIN, MANAGER, EDITOR, AGENT}
MODERATES = {OWNER, ADMIN, MANAGER, EDITOR}
PLANS = {OWNER, ADMIN, MANAGER, EDITOR}
ORGANISES = {OWNER, ADMIN, MANAGER}
ADMINISTERS = {OWNER, ADMIN}
OWNS = {OWNER}

MAY = {
    "create_company": OWNS,
    "set_company_budget": ADMINISTERS,
    "create_key": ADMINISTERS,
    "rename_key": ADMINISTERS,
    "revoke_key": ADMINISTERS,
    "pause_agent": ORGANISES,
    "resume_agent": ORGANISES,
    "set_agent_budget": ORGANISES,
    **{f"{verb}_{kind}": ORGANISES for verb in ("create", "update", "archive")
       for kind in ("user", "agent", "team")},
    **{f"{verb}_{kind}": PLANS for verb in ("create", "update", "archive")
       for kind in ("project", "goal", "milestone", "label", "routine")},
    "create_issue": WORKS,
    "edit_issue": WORKS,
    "transition_issue": WORKS,
    "submit_issue": WORKS,
    "accept_issue": WORKS,
    "reject_issue": WORKS,
    "fail_issue": WORKS,
    "hand_off_issue": WORKS,
    "take_over_issue": WORKS,
    "cancel_issue": WORKS,
    "close_issue": WORKS,
    "reopen_issue": WORKS,
    "pause_issue": WORKS,
    "resume_issue": WORKS,
    "set_issue_budget": WORKS,
    "assign_issue": WORKS,
    "unassign_issue": WORKS,
    "reassign_issue": WORKS,
    "check_out_issue": WORKS,
    "claim_next_issue": WORKS,
    "renew_lease": WORKS,
    "expire_lease": WORKS,
    "release_issue": WORKS,
    "comment_on_issue": WORKS,
    "edit_comment": MODERATES,  # or its author: test_deciding_comments.py
    "delete_comment": MODERATES,
    "label_issue": WORKS,
    "unlabel_issue": WORKS,
    "link_issue": WORKS,
    "unlink_issue": WORKS,
    "report_progress": WORKS,
    "save_checkpoint": WORKS,
    "retain_workspace": WORKS,
    "finish_run": WORKS,
    "fail_run": WORKS,
    "report_cost": WORKS,
    "correct_cost": WORKS,  # an agent for its own runs: test_deciding_corrections.py
    "delete_issue": MODERATES,
}  # fmt: skip
"""Who may do what to what is not their own."""


def test_every_command_stands_in_the_table() -> None:
    """A new command cannot come without somebody deciding who may."""
    assert SAMPLES.keys() == MAY.keys()
    assert {type(command) for command in SAMPLES.values()} == {
        cls
        for cls in vars(c).values()
        if isinstance(cls, type) and issubclass(cls, Command) and "name" in vars(cls)
    }


@pytest.mark.parametrize("role", sorted(Role))
@pytest.mark.parametrize("name", SAMPLES)
def test_a_role_may_do_what_the_table_says(name: str, role: Role) -> None:
    """And nothing else."""
    answer = world_for(name).when(replace(SAMPLES[name], role=role))

    if role in MAY[name]:
        assert answer.events
    elif name in ("edit_comment", "delete_comment") and role in WORKS:
        assert getattr(answer.decision, "code", None) == "not_the_author"
    else:
        refusal = answer.then_refused(Forbidden)
        assert refusal.facts["role"] == role
        assert not role.may(Permission(refusal.facts["permission"]))


@pytest.mark.parametrize("role", [VIEWER, AUDITOR])
def test_permission_is_asked_before_anything_else(role: Role) -> None:
    """Who may not write is not told what there is."""
    reader = alice.as_role(role)

    for asked in (reader.edits(NOBODYS, title="x"), reader.archives("goal", NOBODYS)):
        given().when(asked).then_refused(Forbidden)
        given().when(replace(asked, expected_version=3)).then_refused(Forbidden)
        given().when(replace(asked, in_run=NOBODYS)).then_refused(Forbidden)


def test_the_permission_of_a_kind_is_asked_before_anything_else() -> None:
    """With If-Match too: who may not change teams is not told which there are."""
    given().when(coder.changes("team", NOBODYS)).then_refused(Forbidden)
    given().when(coder.changes("team", NOBODYS, expected_version=3)).then_refused(Forbidden)


@pytest.mark.parametrize("role", sorted(Role))
def test_who_sees_keys(role: Role) -> None:
    """Those who give them out, and the auditor."""
    assert role.sees_keys == (role in {OWNER, ADMIN, AUDITOR})


def test_every_permission_of_a_role_is_one_of_the_role_above() -> None:
    """From owner to agent, each role has less."""
    ladder = [OWNER, ADMIN, MANAGER, EDITOR, AGENT]
    granted = [{p for p in Permission if role.may(p)} for role in ladder]

    assert all(less < more for more, less in pairwise(granted))
    assert granted[0] == set(Permission)


@pytest.mark.parametrize("text", ["user:alice", "agent:a:b", "system:cli", "agent: x"])
def test_an_actor_is_written_as_it_is_read(text: str) -> None:
    """`type:id`, where an id may have colons of its own."""
    assert str(Actor.parse(text)) == text


@pytest.mark.parametrize("text", ["", "alice", "robot:x", "user:", ":x", "User:x", "user"])
def test_what_is_no_actor_is_invalid(text: str) -> None:
    """Neither without a type, nor of another one, nor without an id."""
    with pytest.raises(Invalid):
        Actor.parse(text)


def test_creating_a_company_is_for_owners() -> None:
    """The command's own permission is the strongest there is."""
    assert c.CreateCompany.permission is Permission.OWN
