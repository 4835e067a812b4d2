"""Arbitrary commands, for the laws: everybody asks for everything, and is in everybody's way.

Ids, names, slugs and external refs come from small pools, so that commands meet: the same name
twice, an id of another kind, a parent below its child, a version that has passed, somebody else's
run. What is asked has the form that the edge lets through (`api/wire.py`); whether it is true or
allowed is for `decide` to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias, TypeVar

from hypothesis import strategies as st

from ledger import commands as c
from ledger.actors import Actor, Role
from ledger.decisions.links import INVERSES, LINK_TYPES
from ledger.directory import KINDS
from ledger.events import MAX_LEASE_SECONDS, Json
from ledger.submission import Provenance
from ledger.workflow import STATUSES
from tests.scenario import NOBODYS, Caller, alice, an_id, bob, coder, operator, reviewer

T = TypeVar("T")
Commands: TypeAlias = st.SearchStrategy[c.Command]

ELSEWHERE = 5000
"""Added to the number of an id of ours, it is the number of another company's."""

ISSUES = [an_id(n) for n in range(1, 7)]
RUNS = [an_id(n) for n in (*range(11, 21), *range(201, 241))]
COMMENTS = [an_id(n) for n in range(21, 26)]
LINKS = [an_id(n) for n in range(31, 34)]
KEYS = [an_id(n) for n in range(41, 45)]
ENTRIES: Mapping[str, tuple[str, str]] = {
    kind: (an_id(51 + 2 * n), an_id(52 + 2 * n)) for n, kind in enumerate(sorted(KINDS))
}
"""Kind → two ids; the first is there from the beginning, named like its kind."""

REPORTED_AT = (25, 36, 40)
"""The positions of the reports of costs that a company begins with; a test counts them."""


def _often(usual: Iterable[T], odd: Iterable[T]) -> st.SearchStrategy[T]:
    """Mostly the usual, now and then something odd."""
    usual, odd = list(usual), list(odd)
    times = 1 + 9 * len(odd) // len(usual)
    return st.sampled_from(usual * times + odd)


def _weighted(*strategies: tuple[int, st.SearchStrategy[T]]) -> st.SearchStrategy[T]:
    """One of the strategies, each as often as its weight says (`one_of` drops repetitions)."""
    expanded = [strategy for weight, strategy in strategies for _ in range(weight)]
    return st.sampled_from(range(len(expanded))).flatmap(expanded.__getitem__)


def _rarely(values: st.SearchStrategy[T], times: int = 3) -> st.SearchStrategy[T | None]:
    """Mostly None."""
    return _weighted((times, st.none()), (1, values))


def _strange(ours: Iterable[str]) -> list[str]:
    """Nobody's id, and another company's."""
    return [NOBODYS, *(an_id(ELSEWHERE + int(one.rpartition("-")[2])) for one in ours)]


# ── words ──────────────────────────────────────────────────────────────────────────────

# Text as the edge lets it through: no NUL, no lone surrogates.
texts = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20)
lines = texts.filter(lambda text: bool(text.strip()))
maybe_texts = st.none() | texts

versions: st.SearchStrategy[int | None] = st.sampled_from([None] * 16 + [0, 1, 2, 9])
tokens: st.SearchStrategy[int | None] = st.sampled_from([None] * 80 + list(range(2, 12)))
"""The fencing token of a lease: of one that is, that was, or that never was."""
runs: st.SearchStrategy[str | None] = st.sampled_from([None] * 24 + [RUNS[0], RUNS[3], NOBODYS])
conditions: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "expected_version": versions,
        "fencing_token": tokens,
        "in_run": runs,
        "is_history": st.sampled_from([False] * 19 + [True]),
    }
)
"""What any command may say of its circumstances."""
everybody: st.SearchStrategy[Caller] = _often(
    [alice, bob, coder, coder, reviewer.as_role(Role.EDITOR), operator],
    [alice.as_role(Role.VIEWER)],
)
organisers: st.SearchStrategy[Caller] = _often(
    [alice, operator, reviewer.as_role(Role.MANAGER)], [alice.as_role(Role.ADMIN), coder]
)

names = st.sampled_from(["Bug Fix", "bug fix", "Coder", "A", "日本", "!", *sorted(KINDS)]) | lines
slugs = st.sampled_from(["apollo", "coder", "bug-fix", "odd_one", "trailing-", "a", *sorted(KINDS)])
prefixes = st.sampled_from(["ENG", "ACM", "APO", "X"])
agents = _often(
    ["coder", "reviewer", "agent", ENTRIES["agent"][0]],
    ["bob", "nobody", "a", ENTRIES["user"][0], *_strange(ENTRIES["agent"])],
)
users = _often(["bob", "user", ENTRIES["user"][0]], ["coder", *_strange(ENTRIES["user"])])
assignees = st.builds(Actor, st.just("agent"), agents) | st.builds(Actor, st.just("user"), users)
issues = _often(
    [*ISSUES[:2], *ISSUES[:2], "ACM-1", "acm-2", ISSUES[3], ISSUES[4]],
    [ISSUES[2], ISSUES[5], "ACM-99", "ENG-1", *_strange(ISSUES[:2])],
)
statuses = st.sampled_from(STATUSES)
moments = st.sampled_from(["2026-05-01T09:00:00.000000Z", "0002-01-01T00:00:00.000001Z"])
amounts = st.integers(0, 10**12)
costs = st.sampled_from([0, 1, 400_000, 500_000, 1_500_000]) | amounts
limits = st.sampled_from([None, None, 0, 500_000, 2_000_000]) | amounts
"""Budgets: many that a report or two comes to, and many that none does."""
lease_seconds = st.sampled_from([60, 3600, MAX_LEASE_SECONDS])
"""Each is far from any sum of what `Batch.later` lets pass, so no answer hangs on a moment."""
decimals = st.integers(-(10**9), 10**9).map(lambda number: f"{number}.50")
refs = st.tuples(st.sampled_from(["jira", "beads"]), st.sampled_from(["1", "2"]))


def _entries(kind: str) -> st.SearchStrategy[str]:
    """An entry of this kind, by id or slug."""
    first, second = ENTRIES[kind]
    other = ENTRIES["goal" if kind != "goal" else "label"][0]
    return _often(
        [first, first, first, kind, kind.upper(), second],
        ["bug fix", "odd_one", "a", "coder", other, *_strange(ENTRIES[kind])],
    )


def _ref_json(ref: tuple[str, str]) -> dict[str, Json]:
    return {"system": ref[0], "id": ref[1]}


def _says(
    command: type[c.Command],
    by: st.SearchStrategy[Caller] = everybody,
    **fields: st.SearchStrategy[Any],
) -> Commands:
    """A command of this type, with these fields."""
    return st.builds(
        lambda caller, conditions, given: caller(command, **conditions, **given),
        by,
        conditions,
        st.fixed_dictionaries(fields),
    )


def _about(
    command: type[c.Command],
    name: str,
    usual: list[tuple[str, str]],
    ids: list[str],
    by: st.SearchStrategy[Caller] = everybody,
    **fields: Any,
) -> Commands:
    """A command about something of an issue: mostly of the issue that has it."""
    pairs = _often(usual, [(issue, one) for issue in (*ISSUES[:2], NOBODYS) for one in ids])
    return pairs.flatmap(
        lambda pair: _says(
            command, by, **{**fields, "issue": st.just(pair[0]), name: st.just(pair[1])}
        )
    )


# ── issues ─────────────────────────────────────────────────────────────────────────────

_CREATES = _says(
    c.CreateIssue,
    issue_id=st.sampled_from(ISSUES[4:] * 4 + ISSUES[:1]),
    title=lines,
    description=maybe_texts,
    status=st.none() | statuses,
    priority=st.sampled_from(["none", "low", "medium", "high", "urgent"]),
    assignee=_rarely(assignees),
    team=_rarely(_entries("team"), 1),
    project=_rarely(_entries("project")),
    goal=_rarely(_entries("goal"), 6),
    milestone=_rarely(_entries("milestone"), 6),
    parent=_rarely(issues, 1),
    labels=_rarely(st.lists(_entries("label"), max_size=2)).map(lambda found: tuple(found or ())),
    due_at=_rarely(moments),
    estimate=st.none() | st.integers(0, 2**53 - 1),
    sort_order=_rarely(decimals),
    billing_code=_rarely(lines),
    external_ref=st.none() | refs,
    per_task_micros=_rarely(limits),
)
_EDITABLE: dict[str, st.SearchStrategy[Any]] = {
    "title": lines,
    "description": maybe_texts,
    "priority": st.sampled_from(["none", "low", "medium", "high", "urgent"]),
    "due_at": st.none() | moments,
    "estimate": st.none() | st.integers(0, 2**53 - 1),
    "sort_order": st.none() | decimals,
    "team_id": st.none() | _entries("team"),
    "project_id": st.none() | _entries("project"),
    "goal_id": st.none() | _entries("goal"),
    "milestone_id": st.none() | _entries("milestone"),
    "parent_id": st.none() | issues,
    "billing_code": st.none() | lines,
    "external_ref": st.none() | refs.map(_ref_json),
}
_EDITS = _says(
    c.EditIssue,
    issue=issues,
    changes=_weighted(
        *((1, st.fixed_dictionaries({name: values})) for name, values in _EDITABLE.items()),
        (4, st.fixed_dictionaries({"parent_id": issues})),
        (4, st.fixed_dictionaries({"external_ref": st.none() | refs.map(_ref_json)})),
        (2, st.fixed_dictionaries({}, optional=_EDITABLE)),
    ),
)
_CHECKS_OUT = st.one_of(
    st.builds(
        lambda caller, issue, run: caller.checks_out(issue, run=run),
        st.sampled_from([coder, coder, reviewer]),
        issues,
        st.sampled_from(RUNS),
    ),
    _says(
        c.CheckOutIssue,
        issue=issues,
        agent_id=agents,
        run_id=st.sampled_from(RUNS),
        names_run=st.booleans(),
        expected_statuses=_rarely(st.lists(statuses, max_size=3).map(tuple)),
        lease_seconds=lease_seconds,
    ),
)
CLAIMS: Commands = st.one_of(
    st.builds(
        lambda caller, run: caller.claims_next(run=run),
        st.sampled_from([coder, reviewer]),
        st.sampled_from(RUNS),
    ),
    _says(
        c.ClaimNextIssue,
        agent_id=agents,
        run_id=st.sampled_from(RUNS),
        lease_seconds=lease_seconds,
    ),
)
"""What there is to claim is surveyed before a batch, so these may mind what else is in it."""
_LEASES = st.one_of(
    _says(c.RenewLease, issue=issues, lease_seconds=st.none() | lease_seconds),
    _says(c.ExpireLease, issue=issues),
    _says(c.ReleaseIssue, issue=issues, reason=maybe_texts),
)
_MOVES = _says(
    c.TransitionIssue,
    issue=issues,
    to_status=statuses,
    reason=maybe_texts,
    force=st.booleans(),
)


def _verb(verb: type[c.IssueCommand]) -> Commands:
    more: dict[str, Any] = {"force": st.booleans()} if verb is c.CloseIssue else {}
    return _says(verb, issue=issues, reason=maybe_texts, **more)


_VERBS = st.sampled_from(
    [
        c.SubmitIssue, c.AcceptIssue, c.RejectIssue, c.FailIssue, c.HandOffIssue, c.TakeOverIssue,
        c.CancelIssue, c.CloseIssue, c.ReopenIssue, c.ReopenIssue, c.PauseIssue,
    ]
).flatmap(_verb)  # fmt: skip
_RESUMES = _says(c.ResumeIssue, issue=issues)
_BUDGETS = _says(c.SetIssueBudget, issue=issues, per_task_micros=limits)


def _gives(command: type[c.IssueCommand], **more: Any) -> Commands:
    """To somebody, or to somebody of a team."""
    return _says(command, issue=issues, assignee=assignees, **more) | _says(
        command, issue=issues, team=_entries("team"), **more
    )


_LINKS = _says(
    c.LinkIssue,
    issue=issues,
    link_id=st.sampled_from(LINKS),
    link_type=_often(["blocks", "blocked_by", "relates_to"], [*LINK_TYPES, *INVERSES]),
    target=issues,
)
_UNLINKS = _about(
    c.UnlinkIssue,
    "link_id",
    [(issue, link) for issue in ISSUES[:2] for link in LINKS],
    [*LINKS, *_strange(LINKS[1:2])],
)
_EDITS_COMMENT = _about(
    c.EditComment,
    "comment_id",
    [(ISSUES[0], COMMENTS[1]), (ISSUES[1], COMMENTS[2]), (ISSUES[0], COMMENTS[3])],
    [*COMMENTS, *_strange(COMMENTS[1:2])],
    body=lines,
)
_DELETES_COMMENT = _about(
    c.DeleteComment,
    "comment_id",
    [(ISSUES[0], COMMENTS[1]), (ISSUES[0], COMMENTS[3]), (ISSUES[1], COMMENTS[4])],
    [*COMMENTS, *_strange(COMMENTS[1:2])],
)
_reporters = _often([coder, bob, operator], [reviewer])


def _of_run(command: type[c.RunCommand], **fields: Any) -> Commands:
    """A command about a run: mostly of one that there is, at its own issue."""
    return _about(
        command,
        "run_id",
        [(ISSUES[0], RUNS[0]), (ISSUES[0], RUNS[3]), (ISSUES[0], RUNS[3]), (ISSUES[3], RUNS[1])],
        [*RUNS[:8], *_strange(RUNS[:1])],
        _reporters,
        **fields,
    )


_TELLS = st.one_of(
    _of_run(c.ReportProgress, message=lines, percent=st.none() | st.integers(0, 100)),
    _of_run(c.SaveCheckpoint, checkpoint=st.sampled_from(["{}", '{"step":1.50}', "[]", '"é"'])),
    _of_run(c.RetainWorkspace, workspace_url=st.sampled_from(["https://a.example", "file:///b"])),
)
_ENDS = st.one_of(
    _of_run(
        c.FinishRun,
        exit_reason=st.sampled_from(["finished", "enough"]),
        exit_details=maybe_texts,
        to_status=st.sampled_from([None, None, "done", "in_review", "todo"]),
    ),
    _of_run(c.FailRun, exit_details=maybe_texts, retry=st.booleans()),
)
_REPORTS = _of_run(
    c.ReportCost,
    provider=st.sampled_from(["anthropic", "openai"]),
    model=st.sampled_from(["opus", "gpt"]),
    input_tokens=amounts,
    output_tokens=amounts,
    cached_tokens=amounts,
    cost_micros=costs,
)
_CORRECTS = _of_run(
    c.CorrectCost,
    corrects_position=st.sampled_from([*REPORTED_AT, 999]),
    reason=lines,
    input_tokens=st.none() | amounts,
    cost_micros=st.none() | costs,
)
ON_ISSUES: Commands = _weighted(
    (4, _CREATES),
    (6, _EDITS),
    (5, _CHECKS_OUT),
    (4, _MOVES),
    (6, _VERBS),
    (2, _RESUMES),
    (2, _BUDGETS),
    (4, _LEASES),
    (5, _LINKS),
    (3, _UNLINKS),
    (2, _gives(c.AssignIssue)),
    (1, _says(c.UnassignIssue, issue=issues)),
    (2, _gives(c.ReassignIssue, reason=maybe_texts)),
    (
        2,
        _says(c.CommentOnIssue, issue=issues, comment_id=st.sampled_from(COMMENTS[3:]), body=lines),
    ),
    (2, _EDITS_COMMENT),
    (1, _DELETES_COMMENT),
    (2, _says(c.LabelIssue, issue=issues, label=_entries("label"))),
    (1, _says(c.UnlabelIssue, issue=issues, label=_entries("label"))),
    (3, _REPORTS),
    (1, _CORRECTS),
    (2, _TELLS),
    (2, _ENDS),
    (1, _says(c.DeleteIssue, issue=_often(ISSUES[3:], ISSUES[:3]), reason=maybe_texts)),
)

# ── directory ──────────────────────────────────────────────────────────────────────────

_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "email": texts,
    "description": texts,
    "issue_prefix": prefixes,
    "lead_agent_id": agents,
    "agent_ids": st.lists(agents, max_size=3),
    "target_date": st.dates().map(str),
    "project_id": _entries("project"),
    "color": texts,
    "instructions": texts,
}
_KINDS = st.sampled_from([*sorted(KINDS), "label", "label", "agent", "team", "team"])


def _lists(kind: str) -> Commands:
    fields = {name: _FIELDS[name] for name in sorted(KINDS[kind].fields)}
    return _says(
        c.CreateEntry,
        organisers,
        kind=st.just(kind),
        entry_id=st.sampled_from([one for ids in ENTRIES.values() for one in ids[1:]]),
        entry_name=names,
        slug=st.none() | slugs,
        fields=st.fixed_dictionaries({}, optional=fields) | st.just({}),
    )


def _changes(kind: str) -> Commands:
    fields = {
        name: _FIELDS[name] if name == "issue_prefix" else st.none() | _FIELDS[name]
        for name in sorted(KINDS[kind].fields)
    }
    return _says(
        c.UpdateEntry,
        organisers,
        kind=st.just(kind),
        entry=_entries(kind),
        changes=st.one_of(
            st.fixed_dictionaries({"slug": slugs}),
            st.fixed_dictionaries({}, optional={"name": names, "slug": slugs, **fields}),
            *(st.fixed_dictionaries({name: values}) for name, values in fields.items()),
        ),
    )


def _archives(kind: str) -> Commands:
    return _says(c.ArchiveEntry, organisers, kind=st.just(kind), entry=_entries(kind))


_AGENTS = st.one_of(
    _says(c.PauseAgent, organisers, agent=_entries("agent"), reason=maybe_texts),
    _says(c.ResumeAgent, organisers, agent=_entries("agent")),
    _says(c.SetAgentBudget, organisers, agent=_entries("agent"), monthly_micros=limits),
)
DIRECTORY: Commands = _weighted(
    (5, _KINDS.flatmap(_lists)),
    (5, _KINDS.flatmap(_changes)),
    (1, _KINDS.flatmap(_archives)),
    (4, _AGENTS),
)

# ── company ────────────────────────────────────────────────────────────────────────────

_KEY_IDS = _often(KEYS, _strange(KEYS[:1]))
COMPANY: Commands = _weighted(
    (
        3,
        st.builds(
            lambda caller, key, actor, role: caller.gives_key(str(actor), role, key),
            organisers,
            st.sampled_from(KEYS[1:]),
            assignees | st.just(Actor("system", "cron")),
            st.sampled_from(sorted(Role)),
        ),
    ),
    (2, _says(c.RenameKey, organisers, key_id=_KEY_IDS, key_name=st.none() | lines)),
    (2, _says(c.RevokeKey, organisers, key_id=_KEY_IDS)),
    (3, _says(c.SetCompanyBudget, organisers, monthly_micros=limits)),
    (1, st.just(operator.begins())),
)

unsurveyed: Commands = _weighted((16, ON_ISSUES), (5, DIRECTORY), (1, COMPANY))
"""Any command that the edge could let through, but for claims."""

commands: Commands = _weighted((11, unsurveyed), (1, CLAIMS))
"""Any command that the edge could let through."""


# ── handing over ───────────────────────────────────────────────────────────────────────

_two = st.sampled_from([*ISSUES[:2], ISSUES[4]])
_REFS_PASS: st.SearchStrategy[list[c.Command]] = st.tuples(
    st.builds(lambda issue: alice.edits(issue, external_ref=None), _two)
    | st.builds(lambda issue, ref: alice.edits(issue, external_ref=_ref_json(ref)), _two, refs)
    | st.builds(alice.deletes, st.sampled_from(ISSUES[4:])),
    st.builds(lambda issue, ref: alice.creates(issue, external_ref=ref), st.just(ISSUES[5]), refs)
    | st.builds(lambda issue, ref: alice.edits(issue, external_ref=_ref_json(ref)), _two, refs),
).map(list)


def _slugs_pass(kind: str) -> st.SearchStrategy[list[c.Command]]:
    entry = st.sampled_from(ENTRIES[kind])
    slug = st.sampled_from([kind, "a", "odd_one"])
    changes = st.builds(lambda one, text: alice.changes(kind, one, slug=text), entry, slug)
    return st.tuples(
        st.builds(lambda one, text: alice.changes(kind, one, name=text), entry, names),
        changes | st.builds(lambda one: alice.archives(kind, one), entry),
        changes | st.builds(lambda text: alice.lists(kind, text, ENTRIES[kind][1]), slug),
    ).map(list)


_LINKS_PASS: st.SearchStrategy[list[c.Command]] = st.tuples(
    st.builds(alice.unlinks, st.sampled_from(LINKS[1:3]), st.sampled_from(ISSUES[:2])),
    st.builds(
        lambda link, issue: alice.links("blocks", issue, ISSUES[1], link),
        st.sampled_from(LINKS[1:3]),
        st.sampled_from([ISSUES[0], ISSUES[3]]),
    ),
).map(list)

handovers: st.SearchStrategy[list[c.Command]] = _weighted(
    (2, _REFS_PASS), (2, _KINDS.flatmap(_slugs_pass)), (1, _LINKS_PASS)
)
"""One thing gives up what another one takes: a ref, a slug, a relation."""


# ── attempts ───────────────────────────────────────────────────────────────────────────


def _attempt(issue: str, run: str, agent: str) -> st.SearchStrategy[list[c.Command]]:
    """Somebody sends an agent to an issue, and this and that comes of it."""
    own = {"coder": coder, "reviewer": reviewer}.get(agent, bob)
    sent = alice.checks_out(issue, agent, run)
    spent = own.reports(run, issue, cost_micros=10**12)
    more = [alice.budgets_company(None), alice.budgets(None, issue)]
    then = st.sampled_from(
        [
            sent, sent, alice.checks_out(issue, agent, RUNS[-1], names_run=False),
            alice.checks_out(issue, "reviewer", RUNS[-2]),
            alice.submits(issue), alice.hands_off(issue), alice.moves("in_review", issue),
            alice.links("blocked_by", ISSUES[0], issue, LINKS[2]), alice.deletes(issue),
        ]
    )  # fmt: skip
    steps: st.SearchStrategy[list[c.Command]] = _weighted(
        (4, st.sampled_from(_of_its_agent(own, issue, run)).map(_alone)),
        (3, st.sampled_from(_of_others(issue)).map(_alone)),
        (3, costs.map(lambda cost: [own.reports(run, issue, cost_micros=cost)])),
        (1, st.sampled_from([None, 2_000_000, 10**12]).map(alice.budgets_company).map(_alone)),
        (1, st.sampled_from([alice.accepts, alice.rejects]).map(
            lambda judges: [own.submits(issue), judges(issue)])),
        (1, st.just([own.hands_off(issue), alice.takes_over(issue)])),
        (2, then.map(lambda last: [own.pauses(issue), alice.resumes(issue), last])),
        (2, then.map(lambda last: [spent, *more, last])),
    )  # fmt: skip
    return st.lists(steps, min_size=1, max_size=3).map(
        lambda found: [sent, *(one for step in found for one in step)]
    )


def _alone(command: c.Command) -> list[c.Command]:
    return [command]


def _of_its_agent(own: Caller, issue: str, run: str) -> list[c.Command]:
    return [
        own.renews(issue), own.releases(issue), own.submits(issue), own.hands_off(issue),
        own.fails(issue), own.pauses(issue), own.moves("in_review", issue),
        own.progresses("Well.", run, issue), own.checkpoints("{}", run, issue),
        own.retains("file:///b", run, issue), own.finishes(run, issue),
        own.gives_up(run, issue), own.gives_up(run, issue, retry=False),
    ]  # fmt: skip


def _of_others(issue: str) -> list[c.Command]:
    return [
        alice.accepts(issue), alice.takes_over(issue), alice.pauses(issue), alice.resumes(issue),
        alice.cancels(issue), alice.closes(issue, force=True), alice.reopens(issue),
        alice.moves("in_progress", issue), alice.expires(issue), alice.releases(issue),
        alice.budgets(10**12, issue), alice.links("blocked_by", ISSUES[0], issue, LINKS[2]),
        alice.unlinks(LINKS[2], issue), alice.reassigns("agent:reviewer", issue),
    ]  # fmt: skip


attempts: st.SearchStrategy[list[c.Command]] = st.tuples(
    st.sampled_from([*ISSUES[:2], *ISSUES[3:5]]),
    st.sampled_from(RUNS),
    st.sampled_from(["coder", "reviewer", ENTRIES["agent"][0]]),
).flatmap(lambda found: _attempt(*found))
"""A run at an issue, and what may become of the two."""


# ── scripts ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Batch:
    """Submissions that arrive at one worker at once; of each, all commands happen or none.

    They arrive so many seconds `later` than those before. `rebuild` says whether a rebuild takes
    another page after it.
    """

    worker: int
    provenance: Provenance
    submissions: tuple[tuple[c.Command, ...], ...]
    later: int
    rebuild: bool


_ELSEWHEN = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=st.just(UTC))
provenances = st.builds(
    Provenance,
    via=st.sampled_from(["api", "beads"]),
    on_behalf_of=_rarely(assignees),
    key_id=st.none() | st.sampled_from(KEYS),
    run_id=st.none() | st.sampled_from(RUNS),
    correlation_id=maybe_texts,
    causation_id=maybe_texts,
    occurred_at=_rarely(_ELSEWHEN),
)

Submissions: TypeAlias = tuple[tuple[c.Command, ...], ...]


def _apart(some: Iterable[c.Command]) -> Submissions:
    return tuple((one,) for one in some)


def _together(some: Iterable[c.Command]) -> Submissions:
    return (tuple(some),)


def _submissions(some: Commands, most: int) -> st.SearchStrategy[Submissions]:
    return st.lists(
        _weighted(
            (6, st.tuples(some).map(_apart)),
            (2, st.lists(some, min_size=2, max_size=5).map(_together)),
            (1, handovers.map(_apart)),
            (1, handovers.map(_together)),
            (3, attempts.map(_apart)),
            (1, attempts.map(_together)),
        ),
        min_size=2,
        max_size=most,
    ).map(lambda found: tuple(one for some in found for one in some))


def scripts(
    batches: int, submissions: int = 4, *, claims_apart: bool = False
) -> st.SearchStrategy[list[Batch]]:
    """Batches of submissions, at either of two workers; of claims and others, or of either alone.

    Now and then some time passes between two batches: a lease's, or a month.
    """
    contents = _submissions(commands, submissions)
    if claims_apart:
        claims = st.lists(CLAIMS, min_size=1, max_size=submissions).map(_apart)
        contents = _weighted((7, _submissions(unsurveyed, submissions)), (1, claims))
    return st.lists(
        st.builds(
            Batch,
            worker=st.integers(0, 1),
            provenance=provenances,
            submissions=contents,
            later=st.sampled_from([0] * 18 + [100, 4000, 31 * 86400]),
            rebuild=st.booleans(),
        ),
        min_size=batches - 2,
        max_size=batches,
    )


def beginnings(shift: int = 0) -> list[c.Command]:
    """What a company begins with: most types of event, and something to meet."""

    def i(number: int) -> str:
        return an_id(number + shift)

    first = {kind: i(51 + 2 * n) for n, kind in enumerate(sorted(KINDS))}
    return [
        alice.gives_key("agent:coder", Role.AGENT, i(41)),
        alice.gives_key("agent:reviewer", Role.EDITOR, i(951)),
        alice.gives_key("user:bob", Role.AGENT, i(952)),
        alice.renames_key("laptop", i(41)),
        alice.revokes_key(i(41)),
        *(alice.lists(kind, kind, entry) for kind, entry in first.items()),
        alice.lists("label", "Odd", i(99)),
        alice.changes("label", "label", color="red"),
        alice.archives("label", i(99)),
        alice.creates(
            i(1), description="It leaks.", external_ref=("jira", "1"), per_task_micros=3_000_000
        ),
        alice.creates(i(2), parent=i(1), per_task_micros=500_000),
        alice.creates(i(3), team="team", external_ref=("jira", "2")),
        alice.creates(i(4), team="team", parent=i(2), project="project"),
        coder.edits(i(1), title="Mend it", description="It pours."),
        coder.checks_out(i(1), run=i(11)),
        coder.reports(i(11), i(1), cost_micros=1_500_000),
        coder.corrects(REPORTED_AT[0], i(11), i(1), cost_micros=1_400_000),
        coder.corrects(REPORTED_AT[0], i(11), i(1), cost_micros=1_500_000, input_tokens=3),
        coder.renews(i(1)),
        coder.releases(i(1)),
        *_spent(i(4), i(12), first["agent"]),
        *_moved(i(3)),
        bob.assigns("user:bob", i(2)),
        bob.unassigns(i(2)),
        bob.reassigns("agent:coder", i(2)),
        bob.moves("in_progress", i(2)),
        bob.labels("label", i(1)),
        bob.unlabels("label", i(1)),
        bob.comments("First.", i(21), i(1)),
        bob.edits_comment("Second.", i(21), i(1)),
        bob.deletes_comment(i(21), i(1)),
        bob.comments("Third.", i(22), i(1)),
        coder.comments("Fourth.", i(23), i(2)),
        bob.links("blocks", i(1), i(2), i(31)),
        bob.unlinks(i(31), i(2)),
        bob.links("blocks", i(2), i(1), i(32)),
        alice.deletes(i(3)),
        alice.pauses_agent("agent"),
        alice.resumes_agent("agent"),
        alice.checks_out(i(4), first["agent"], i(13), lease_seconds=1),
    ]


def _spent(issue: str, run: str, agent: str) -> list[c.Command]:
    """A run that comes to the end of every budget, goes on when there is more, and finishes."""
    return [
        alice.budgets_company(2_000_000),
        alice.budgets_agent(500_000, agent),
        alice.budgets(500_000, issue),
        alice.checks_out(issue, agent, run),
        bob.reports(run, issue, cost_micros=400_000),
        bob.reports(run, issue, cost_micros=100_000),
        alice.budgets_company(10**13),
        alice.budgets_agent(10**13, agent),
        alice.budgets(10**13, issue),
        alice.checks_out(issue, agent, run),
        bob.progresses("Half-way.", run, issue, percent=50),
        bob.checkpoints('{"step":1}', run, issue),
        bob.retains("https://example.com/w", run, issue),
        bob.finishes(run, issue),
        bob.reopens(issue),
    ]


def _moved(issue: str) -> list[c.Command]:
    """An issue to which everything happens that may happen to one."""
    return [
        bob.moves("in_progress", issue),
        bob.hands_off(issue),
        bob.takes_over(issue),
        bob.submits(issue),
        bob.rejects(issue),
        bob.moves("in_review", issue),
        bob.accepts(issue),
        bob.reopens(issue),
        bob.fails(issue),
        bob.reopens(issue),
        bob.cancels(issue),
        bob.reopens(issue),
        bob.pauses(issue),
        bob.resumes(issue),
        bob.closes(issue),
    ]


def endings(shift: int = 0) -> list[c.Command]:
    """What comes of the beginnings two seconds later: every type of event has happened by now."""
    return [
        alice.expires(an_id(4 + shift)),
        coder.checks_out(an_id(1 + shift), run=an_id(14 + shift)),
    ]
