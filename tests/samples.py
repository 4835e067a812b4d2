"""One command of each type (of each kind, for the directory), in a company that accepts them all.

For the rules that are everybody's: roles, If-Match, and loading what is needed.
"""

from __future__ import annotations

from collections.abc import Mapping

from ledger.commands import Command
from ledger.directory import KINDS
from tests.scenario import (
    COMMENT,
    LINK,
    OTHER_RUN,
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

ENTRIES: Mapping[str, str] = {kind: an_id(61 + n) for n, kind in enumerate(sorted(KINDS))}
"""Kind → the entry of that kind, whose slug is the kind's name."""

REVIEWED, HANDED_OFF, PAUSED, FINISHED = an_id(91), an_id(92), an_id(93), an_id(94)
"""Issues of these statuses, so that every verb has one that it may happen to."""

LEFT = an_id(95)
"""An issue whose holder, agent:reviewer, let its lease run out."""

SLEEPER = an_id(72)
"""An agent who is paused."""


def world() -> Scenario:
    """Something of everything.

    agent:coder holds ISSUE; THIRD is bob's, and waits for SECOND, which is nobody's.
    """
    return given(
        *(alice.lists(kind, kind, entry) for kind, entry in ENTRIES.items()),
        alice.gives_key("agent:somebody"),
        alice.lists("agent", "sleeper", SLEEPER),
        alice.pauses_agent(SLEEPER),
        alice.creates(labels=("label",)),
        alice.creates(SECOND, parent="ACM-1", external_ref=("jira", "ABC-1")),
        alice.creates(THIRD, project="project"),
        alice.assigns("user:bob", THIRD),
        coder.checks_out(),
        bob.comments(),
        bob.links("blocks", THIRD, SECOND),
        alice.creates(REVIEWED, status="in_review"),
        alice.creates(HANDED_OFF, status="handoff"),
        alice.creates(PAUSED),
        alice.pauses(PAUSED),
        alice.creates(FINISHED, status="done"),
        alice.creates(LEFT),
        reviewer.checks_out(LEFT, run=an_id(13), lease_seconds=1),
        coder.reports(cost_micros=7),
    )


SAMPLES: Mapping[str, Command] = {
    "create_company": operator.begins(),
    "create_key": alice.gives_key("agent:new", key=an_id(49)),
    "rename_key": alice.renames_key("laptop"),
    "revoke_key": alice.revokes_key(),
    **{f"create_{kind}": alice.lists(kind, f"New {kind}", an_id(71)) for kind in KINDS},
    **{f"update_{kind}": alice.changes(kind, kind, name=f"New {kind}") for kind in KINDS},
    **{f"archive_{kind}": alice.archives(kind, kind) for kind in KINDS},
    "create_issue": alice.creates(an_id(4), team="team", parent="ACM-2", labels=("label",)),
    "set_company_budget": alice.budgets_company(5_000_000),
    "pause_agent": alice.pauses_agent("agent"),
    "resume_agent": alice.resumes_agent("sleeper"),
    "set_agent_budget": alice.budgets_agent(5_000_000, "agent"),
    "submit_issue": coder.submits(),
    "accept_issue": bob.accepts(REVIEWED),
    "reject_issue": bob.rejects(REVIEWED),
    "fail_issue": coder.fails(),
    "hand_off_issue": coder.hands_off(),
    "take_over_issue": bob.takes_over(HANDED_OFF),
    "cancel_issue": bob.cancels(SECOND),
    "close_issue": bob.closes(SECOND, force=True),
    "reopen_issue": bob.reopens(FINISHED),
    "pause_issue": alice.pauses(),
    "resume_issue": alice.resumes(PAUSED),
    "set_issue_budget": bob.budgets(5_000_000, SECOND),
    "claim_next_issue": alice.claims_next("coder", OTHER_RUN),
    "renew_lease": coder.renews(),
    "expire_lease": alice.expires(LEFT),
    "report_progress": coder.progresses(),
    "save_checkpoint": coder.checkpoints(),
    "retain_workspace": coder.retains(),
    "finish_run": coder.finishes(),
    "fail_run": coder.gives_up(),
    "edit_issue": alice.edits(SECOND, parent_id="ACM-3", external_ref=None),
    "transition_issue": alice.moves("done"),
    "assign_issue": alice.assigns("agent:agent", SECOND),
    "unassign_issue": alice.unassigns("ACM-3"),
    "reassign_issue": alice.reassigns("user:user", "ACM-1"),
    "check_out_issue": alice.checks_out("ACM-2", "coder", OTHER_RUN),
    "release_issue": alice.releases("ACM-1"),
    "comment_on_issue": alice.comments(comment=an_id(22)),
    "edit_comment": alice.edits_comment(comment=COMMENT),
    "delete_comment": alice.deletes_comment(),
    "label_issue": alice.labels("label", SECOND),
    "unlabel_issue": alice.unlabels("label"),
    "link_issue": alice.links("blocks", "ACM-3", "ACM-1", an_id(32)),
    "unlink_issue": alice.unlinks(LINK, THIRD),
    "delete_issue": alice.deletes("ACM-1"),
    "report_cost": alice.reports(issue="ACM-1"),
    "correct_cost": alice.corrects(len(world().recorded), issue="ACM-1", cost_micros=5),
}
"""By the name that `POST …/commands` knows them by."""


def world_for(name: str) -> Scenario:
    """The company in which the sample of this name is accepted."""
    return Scenario() if name == "create_company" else world()
