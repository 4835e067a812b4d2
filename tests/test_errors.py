"""The tree of refusals: each has a code of its own, is raised somewhere, and is never a bug."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ledger import errors
from ledger.codec import timestamp
from ledger.commands import Command, IssueCommand
from ledger.errors import LedgerError
from ledger.state import Issue
from ledger.workflow import WORKFLOWS
from tests.scenario import (
    ISSUE,
    NOBODYS,
    OTHER_ENTRY,
    OTHER_RUN,
    SECOND,
    Scenario,
    alice,
    an_id,
    bob,
    coder,
    given,
    reviewer,
)
from tests.workflows import an_issue, company_of

ROOT = Path(__file__).parents[1]

BRANCHES: set[type[LedgerError]] = {LedgerError, errors.Refused, errors.Unavailable}
"""What refusals have in common; what is raised is always something more exact."""

SHELLS: set[type[LedgerError]] = {
    errors.IdempotencyKeyReused,
    errors.IdempotencyReplyGone,
    errors.QueueFull,
    errors.DatabaseUnavailable,
    errors.OutcomeUnknown,
    errors.ReadModelBehind,
}
"""What the pure core cannot raise, because it knows neither keys, nor queues, nor databases."""


def _deep() -> Scenario:
    below = (alice.creates(an_id(n), parent=an_id(n - 1)) for n in range(102, 202))
    return given(alice.creates(an_id(101)), *below, alice.creates())


def _labelled() -> Scenario:
    labels = [an_id(100 + n) for n in range(101)]
    return given(
        *(alice.lists("label", f"label {n}", label) for n, label in enumerate(labels)),
        alice.creates(labels=tuple(labels[:100])),
    )


def _blocked() -> Scenario:
    return given(alice.creates(), alice.creates(SECOND), alice.links("blocked_by"))


CORES: dict[type[LedgerError], tuple[Scenario, Command]] = {
    errors.NotFound: (given(), bob.edits(NOBODYS)),
    errors.Forbidden: (given(), bob.deletes()),
    errors.Invalid: (given(alice.creates()), bob.moves("someday")),
    errors.StaleVersion: (given(alice.creates()), bob.edits(expected_version=7)),
    errors.IssueHeld: (given(alice.creates(), coder.checks_out()), reviewer.releases()),
    errors.NotHeld: (given(alice.creates()), coder.renews()),
    errors.StaleToken: (
        given(alice.creates(), coder.checks_out(), alice.releases()),
        coder.comments(fencing_token=2),
    ),
    errors.RunOver: (
        given(alice.creates(), coder.checks_out(), coder.releases()),
        coder.progresses(),
    ),
    errors.AssignedElsewhere: (
        given(alice.creates(), alice.assigns("user:bob")),
        coder.checks_out(),
    ),
    errors.IssuePaused: (given(alice.creates(), alice.pauses()), coder.checks_out()),
    errors.IssueBlocked: (_blocked(), coder.checks_out()),
    errors.IssueFrozen: (
        an_issue("ca", "done"),
        alice.edits(title="Other"),
    ),
    errors.AgentPaused: (
        given(
            alice.lists("agent", "coder", OTHER_ENTRY),
            alice.pauses_agent("coder"),
            alice.creates(),
        ),
        alice.checks_out(agent="coder"),
    ),
    errors.BudgetExceeded: (
        given(alice.creates(per_task_micros=7), coder.checks_out(), coder.reports(cost_micros=7)),
        coder.checks_out(),
    ),
    errors.BudgetLocked: (
        given(alice.creates(per_task_micros=7), coder.checks_out()),
        alice.budgets(6),
    ),
    errors.NothingToClaim: (given(), coder.claims_next()),
    errors.NobodyAvailable: (
        given(alice.lists("team", "Core"), alice.creates()),
        alice.gives_team("core"),
    ),
    errors.TeamWithoutLead: (
        company_of("crews", alice.lists("team", "Core"), alice.creates()),
        alice.edits(team_id="core"),
    ),
    errors.StatusNotExpected: (
        given(alice.creates()),
        coder.checks_out(expected_statuses=("done",)),
    ),
    errors.TransitionNotAllowed: (given(alice.creates()), bob.moves("handoff")),
    errors.NotTheAuthor: (given(alice.creates(), alice.comments()), bob.edits_comment()),
    errors.Taken: (given(alice.creates()), bob.creates()),
    errors.HierarchyCycle: (
        given(alice.creates(), alice.creates(SECOND, parent="ACM-1")),
        bob.edits(parent_id=SECOND),
    ),
    errors.HierarchyTooDeep: (_deep(), bob.edits(parent_id=an_id(201))),
    errors.BlockingCycle: (_blocked(), alice.links("blocks", link=an_id(32))),
    errors.DependentsOpen: (_blocked(), alice.closes(SECOND)),
    errors.TooMany: (_labelled(), bob.labels(an_id(200))),
}
"""Each refusal of the core, with a scenario in which it is the answer."""


def _tree(cls: type[LedgerError]) -> list[type[LedgerError]]:
    return [cls, *(found for one in cls.__subclasses__() for found in _tree(one))]


TREE = _tree(LedgerError)


def test_every_refusal_is_the_cores_or_the_shells() -> None:
    """A new one comes with the test that raises it."""
    assert set(TREE) == BRANCHES | SHELLS | CORES.keys()


@pytest.mark.parametrize("error", CORES, ids=lambda error: error.__name__)
def test_the_core_raises_it(error: type[LedgerError]) -> None:
    """With a message that is a sentence, and facts that JSON can hold."""
    scenario, asked = CORES[error]

    refusal = scenario.when(asked).then_refused(error)

    assert refusal.message == str(refusal)
    assert refusal.message.endswith(".")
    assert refusal.pointer is None or refusal.pointer.startswith("/")


@pytest.mark.parametrize("error", sorted(SHELLS, key=str), ids=lambda error: error.__name__)
def test_the_shell_raises_it(error: type[LedgerError]) -> None:
    """Its own tests say when; here it is only looked for in the code."""
    shell = [
        path.read_text(encoding="utf-8")
        for folder in ("ledger", "projections", "api")
        for path in (ROOT / folder).rglob("*.py")
        if "decisions" not in path.parts
    ]

    assert any(re.search(rf"\braise (\w+\.)?{error.__name__}\(", text) for text in shell)


def test_every_code_is_one_refusals_own() -> None:
    """Callers branch on codes, so no two refusals share one."""
    codes = [error.code for error in TREE]

    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes)


def test_the_docstring_draws_the_tree() -> None:
    """Every refusal is in the picture at the top of the file, and in nothing but the picture."""
    drawn = re.findall(r"^[ │├└─]*[├└]── (\w+)", errors.__doc__ or "", re.MULTILINE)

    assert sorted(drawn) == sorted(error.__name__ for error in TREE if error is not LedgerError)


@pytest.mark.parametrize(
    ("scenario", "asked"),
    [
        (given(alice.creates(), coder.checks_out()), reviewer.checks_out(run=OTHER_RUN)),
        (given(alice.creates(), coder.checks_out()), reviewer.releases()),
        (given(alice.creates(), coder.checks_out()), reviewer.reassigns("user:bob")),
        (given(alice.creates(), coder.checks_out()), reviewer.moves("done")),
        (given(alice.creates(), coder.checks_out()), alice.assigns("user:bob")),
        (given(alice.creates(), coder.checks_out()), alice.unassigns()),
        *(
            pytest.param(*CORES[error], id=error.__name__)
            for error in CORES
            if issubclass(error, errors.Refused) and isinstance(CORES[error][1], IssueCommand)
        ),
        CORES[errors.StaleVersion],
        (given(alice.creates(), alice.lists("goal", "x", OTHER_ENTRY)), bob.moves("handoff")),
    ],
)
def test_a_refusal_about_an_issue_tells_how_it_stands(
    scenario: Scenario, asked: IssueCommand
) -> None:
    """Status, version, owner, lease and ways on: an agent decides anew without asking again."""
    refusal = scenario.when(asked).decision

    assert isinstance(refusal, LedgerError)
    issue = scenario.issue(asked.issue)
    assert refusal.facts["current"] == {
        "id": issue.id,
        "identifier": issue.identifier,
        "status": issue.status,
        "version": issue.version,
        "assignee": issue.assignee,
        "holder": _holder(issue),
        "paused_at": issue.paused_at and timestamp(issue.paused_at),
        "allowed": _ways_on(scenario, issue),
    }


def _holder(issue: Issue) -> dict[str, object] | None:
    if issue.holder_run_id is None:
        return None
    assert issue.held_since is not None
    assert issue.lease_expires_at is not None
    return {
        "agent_id": issue.holder_agent_id,
        "run_id": issue.holder_run_id,
        "since": timestamp(issue.held_since),
        "expires_at": timestamp(issue.lease_expires_at),
        "fencing_token": issue.fencing_token,
    }


def _ways_on(scenario: Scenario, issue: Issue) -> dict[str, list[str]]:
    workflow = WORKFLOWS[scenario.company.workflow]
    return {
        "statuses": list(workflow.steps[issue.status]),
        "verbs": [
            verb for verb, way in workflow.verbs.items() if issue.status in way.from_statuses
        ],
    }


def test_a_refusal_that_depends_on_what_changed_says_where_to_look() -> None:
    """Since which version of which stream: the edge adds the events themselves."""
    for error, version in ((errors.StaleVersion, 7), (errors.StaleToken, 2)):
        scenario, asked = CORES[error]
        refusal = scenario.when(asked).then_refused(error)

        assert refusal.facts["changed_since"] == {"stream_id": ISSUE, "version": version}
