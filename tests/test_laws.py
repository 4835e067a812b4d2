"""The laws of the whole path: whatever anybody asks, in any order, at whichever worker.

Arbitrary commands of several actors go through the real committers of two workers on a real
Postgres, several at once, some of them together or not at all. Afterwards the log must be whole,
and everything that was written beside it must be what it says.

Hypothesis runs in a thread of its own; each example is a coroutine on the session's loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeAlias

import asyncpg
import pytest
from hypothesis import Phase, settings
from hypothesis import given as for_all

from api.replay import Fold
from api.wiring import MODELS, Ledger, open_ledger
from ledger import log
from ledger.commands import Command
from ledger.committer import Bounds
from ledger.database import connect
from ledger.errors import LedgerError
from ledger.events import EVENT_TYPES, CostCorrected, CostReported, Json
from ledger.facts import FactKey
from ledger.ids import new_id
from ledger.submission import Outcome, Provenance, Submission
from projections.projector import step
from projections.shadow import TEMPORARY, Shadow
from projections.verify import verify
from tests import arbitrary
from tests.arbitrary import ELSEWHERE, KEYS, Batch, beginnings, endings
from tests.conftest import NewDatabase
from tests.scenario import alice, an_id, bob, coder

# What failed is told, though its script is long.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

Answer: TypeAlias = Outcome | LedgerError
Played: TypeAlias = list[Answer]
"""The answers to one batch."""

HERE = Provenance(via="test")


@dataclass(frozen=True, slots=True)
class Workers:
    """Two processes' worth of ledgers over one database, and a company in it."""

    ledgers: tuple[Ledger, Ledger]
    company: str

    @property
    def url(self) -> str:
        """The database."""
        return self.ledgers[0].url

    async def at_once(
        self,
        submissions: Sequence[Sequence[Command]],
        worker: int = 0,
        provenance: Provenance = HERE,
    ) -> list[Answer]:
        """Submits all of it at one moment; anything but an outcome or a refusal is raised."""
        committer = self.ledgers[worker].committer
        answers = await asyncio.gather(
            *(
                committer.submit(
                    self.company, Submission(commands=tuple(commands), provenance=provenance)
                )
                for commands in submissions
            ),
            return_exceptions=True,
        )
        for answer in answers:
            if not isinstance(answer, Outcome | LedgerError):
                raise answer
        return [answer for answer in answers if isinstance(answer, Outcome | LedgerError)]

    async def begin(self) -> None:
        """Carries out what every company begins with, one command after the other."""
        await self.accepted(beginnings())
        await self.later(2)
        await self.accepted(endings())

    async def accepted(self, asked: Sequence[Command]) -> None:
        """Carries out commands that nothing speaks against."""
        answers = await self.at_once([[command] for command in asked])
        assert [a for a in answers if isinstance(a, LedgerError)] == []

    async def later(self, seconds: int) -> None:
        """Lets the company's time pass, which is never earlier than its last event.

        So something happens in the end, or the head of the log would say what the log does not.
        """
        connection = await connect(self.url)
        try:
            await connection.execute(_LATER, self.company, timedelta(seconds=seconds))
        finally:
            await connection.close()
        await self.accepted([alice.renames_key(f"then {seconds} {new_id()}", KEYS[0])])

    async def play(self, script: Sequence[Batch], shadow: Shadow | None = None) -> list[Played]:
        """Plays a script, batch by batch, while a rebuild follows page by page."""
        played = []
        for batch in script:
            if batch.later:
                await self.later(batch.later)
            played.append(await self.at_once(batch.submissions, batch.worker, batch.provenance))
            if shadow is not None and batch.rebuild:
                await shadow.page(self.company)
        return played

    async def recorded(self) -> list[log.Stored]:
        """The whole log."""
        return [stored async for stored in log.walk(self.ledgers[0].readers, self.company)]


_LATER = """
UPDATE company_heads SET last_at = greatest(clock_timestamp(), last_at) + $2 WHERE company_id = $1
"""

NewWorkers = Callable[[], Coroutine[Any, Any, Workers]]


@pytest.fixture
async def new_workers(new_database: NewDatabase) -> AsyncIterator[NewWorkers]:
    """Makes companies at two workers, all in a database where nobody else is."""
    url = await new_database()
    async with AsyncExitStack() as stack:
        one, two = [await stack.enter_async_context(open_ledger(url)) for _ in range(2)]

        async def make() -> Workers:
            return Workers((one, two), await one.create_company("Acme"))

        yield make


async def for_all_scripts(
    law: Callable[[list[Batch]], Coroutine[Any, Any, None]],
    examples: int,
    batches: int,
    *,
    claims_apart: bool = False,
) -> None:
    """Holds a law for arbitrary scripts; the examples run on this loop, Hypothesis beside it.

    An example that fails is told as it is: making it smaller would take minutes.
    """
    loop = asyncio.get_running_loop()

    @settings(
        max_examples=examples,
        deadline=None,
        print_blob=True,
        phases=(Phase.explicit, Phase.reuse, Phase.generate),
    )
    @for_all(arbitrary.scripts(batches, claims_apart=claims_apart))
    def example(script: list[Batch]) -> None:
        asyncio.run_coroutine_threadsafe(law(script), loop).result()

    await asyncio.to_thread(example)


# ── arbitrary commands ─────────────────────────────────────────────────────────────────


async def test_whatever_is_asked_the_log_is_whole_and_everything_agrees_with_it(
    new_workers: NewWorkers,
) -> None:
    """Refusals are the only errors; no gaps; rebuilt equals live; a fold of the log agrees."""
    url = (await new_workers()).url
    shadow = await Shadow.open(url, TEMPORARY, MODELS)

    async def law(script: list[Batch]) -> None:
        workers = await new_workers()
        await workers.begin()
        played = await workers.play(script, shadow)
        await the_log_is_whole(workers)
        await a_batch_is_one_transaction(workers, played)
        first_replies_can_be_given_again(played)
        await the_tables_are_what_the_log_says(workers)
        await rebuilt_equals_live(workers, shadow)

    try:
        await for_all_scripts(law, examples=25, batches=15)
    finally:
        await shadow.close()


async def test_another_companys_ids_are_as_if_they_never_were(
    new_database: NewDatabase,
) -> None:
    """The same script is answered alike beside a company that has those ids, and without it."""
    urls = await new_database(), await new_database()
    async with open_ledger(urls[0]) as alone, open_ledger(urls[1]) as beside:
        other = Workers((beside, beside), await beside.create_company("Other"))
        await other.at_once([[command] for command in beginnings(ELSEWHERE)])

        async def law(script: list[Batch]) -> None:
            told = []
            for ledger in (alone, beside):
                workers = Workers((ledger, ledger), await ledger.create_company("Acme"))
                await workers.begin()
                told.append([_told(a) for played in await workers.play(script) for a in played])
            assert told[0] == told[1]

        await for_all_scripts(law, examples=10, batches=10)


def _told(answer: Answer) -> object:
    if isinstance(answer, LedgerError):
        return type(answer), answer.pointer
    return [(r.kind, r.version, r.appended) for r in answer.results]


async def test_batches_caches_and_neighbours_change_no_answer(new_database: NewDatabase) -> None:
    """Together at a process that remembers, or alone at one that knows nothing: the same.

    What there is to claim is surveyed before a batch: that a team has changed, or a blocker has
    ended, is seen by the next one. So claims come together, but with no others.
    """
    url = await new_database()
    forgetful = Bounds(cached_facts=0)
    async with open_ledger(url) as warm, open_ledger(url, bounds=forgetful) as cold:

        async def law(script: list[Batch]) -> None:
            together = Workers((warm, cold), await warm.create_company("Acme"))
            alone = Workers((cold, warm), await cold.create_company("Acme"))
            await together.begin()
            await alone.begin()
            for batch in script:
                if batch.later:
                    await together.later(batch.later)
                    await alone.later(batch.later)
                answers = await together.at_once(batch.submissions, 0, batch.provenance)
                for submission, answer in zip(batch.submissions, answers, strict=True):
                    (again,) = await alone.at_once([submission], 0, batch.provenance)
                    assert _told(again) == _told(answer)

        await for_all_scripts(law, examples=25, batches=12, claims_apart=True)


async def the_log_is_whole(workers: Workers) -> None:
    """Positions and versions count from one without gaps, and the head is the last."""
    stored = await workers.recorded()
    positions = [one.recorded.position for one in stored]
    assert positions == list(range(1, len(stored) + 1))
    assert await log.head(workers.ledgers[0].readers, workers.company) == len(stored)

    versions: dict[str, int] = {}
    for one in stored:
        r = one.recorded
        assert r.version == versions.get(r.stream_id, 0) + 1
        versions[r.stream_id] = r.version


async def a_batch_is_one_transaction(workers: Workers, played: list[Played]) -> None:
    """What arrives at once is written at once: Postgres has nothing against what was decided.

    A batch that it refuses is run again, submission by submission, in transactions of their own;
    and what it refuses of a batch it refuses of a rebuild's page, where there is no second try.
    """
    connection = await connect(workers.url)
    try:
        rows = await connection.fetch(_TRANSACTIONS, workers.company)
    finally:
        await connection.close()
    transactions = [row["transaction"] for row in rows]
    for answers in played:
        written = [
            range(answer.position - sum(r.appended for r in answer.results), answer.position)
            for answer in answers
            if isinstance(answer, Outcome)
        ]
        assert len({transactions[place] for places in written for place in places}) <= 1


async def the_tables_are_what_the_log_says(workers: Workers) -> None:
    """A fold of nothing but events comes to what agents read: evolve takes every event."""
    fold, spent = Fold(), 0
    for stored in await workers.recorded():
        fold.add(stored.recorded)
        match stored.recorded.event:
            case CostReported(cost_micros=micros):
                spent += micros
            case CostCorrected(cost_micros=micros, from_cost_micros=before):
                spent += micros - before

    connection = await connect(workers.url)
    try:
        await _agree(connection, workers.company, _folded(fold))
        await _what_is_loaded_agrees(connection, workers.company, fold)
        total = "SELECT coalesce(sum(cost_micros), 0)::bigint FROM runs WHERE company_id = $1"
        assert await connection.fetchval(total, workers.company) == spent
        of_issues = """
            SELECT coalesce(sum(spent_micros), 0)::bigint FROM spending
            WHERE company_id = $1 AND scope = $2
        """
        for scope in ("issue", "agent", "company"):
            assert await connection.fetchval(of_issues, workers.company, scope) == spent, scope
    finally:
        await connection.close()


def _folded(fold: Fold) -> dict[str, dict[str, dict[str, Any]]]:
    """Kind → id → what a fold says of it: what is shown, and the fields of its state."""
    folded: dict[str, dict[str, dict[str, Any]]] = {}
    for shown in fold.states():
        folded.setdefault(shown["kind"], {})[shown["id"]] = shown
    for (kind, *names), state in fold.known.staged.items():
        if kind == "spent":
            folded.setdefault(kind, {})["/".join(names)] = {"spent_micros": state}
        elif kind == "lease":
            folded.setdefault(kind, {})["/".join(names)] = _fields_of(state)
        elif kind in _QUERIES and state is not None and state.id in folded.get(kind, {}):
            folded[kind][state.id].update(_fields_of(state))
    return folded


def _fields_of(state: Any) -> dict[str, Any]:
    return {name: getattr(state, name) for name in state.__struct_fields__}


_TRANSACTIONS = """
SELECT xmin::text AS transaction FROM events WHERE company_id = $1 ORDER BY position
"""
_ISSUES = """
SELECT issue_id::text AS id, identifier, version, title, description, status, assignee,
       holder_agent_id, holder_run_id::text, held_since, lease_seconds, lease_expires_at,
       fencing_token, paused_at, paused_run_id::text, blocked_from, run_count, per_task_micros,
       team_id::text, parent_id::text, label_ids::text[], comment_count, started_at, completed_at
FROM issues WHERE company_id = $1 AND deleted_at IS NULL
"""
_COMMENTS = """
SELECT comment_id::text AS id, issue_id::text, author, body
FROM comments WHERE company_id = $1 AND deleted_at IS NULL
"""
_LINKS = """
SELECT link_id::text AS id, issue_id::text, link_type, target_id::text
FROM links WHERE company_id = $1
"""
_RUNS = """
SELECT run_id::text AS id, version, issue_id::text, agent_id, paused_at, ended_at, exit_reason,
       exit_details, progress_message, progress_percent, progressed_at, checkpoint_position,
       checkpointed_at, workspace_url, input_tokens, output_tokens, cached_tokens, cost_micros
FROM runs WHERE company_id = $1
"""
_LEASES = """
SELECT issue_id::text || '/' || fencing_token AS id, issue_id::text, fencing_token, run_id::text,
       agent_id, lease_seconds, acquired_at, expires_at, ended_at, ended_by
FROM leases WHERE company_id = $1
"""
_SPENDING = """
SELECT concat_ws('/', scope, scope_id, month) AS id, spent_micros
FROM spending WHERE company_id = $1
"""
_ENTRIES = """
SELECT entry_id::text AS id, version, name, slug, fields FROM directory WHERE company_id = $1
"""
_KEYS = """
SELECT key_id::text AS id, version, role, actor, name FROM api_keys WHERE company_id = $1
"""
_COMPANIES = """
SELECT company_id::text AS id, version, name, workflow, issue_prefix, monthly_micros
FROM companies WHERE company_id = $1
"""
_QUERIES = {
    "company": _COMPANIES,
    "issue": _ISSUES,
    "comment": _COMMENTS,
    "link": _LINKS,
    "run": _RUNS,
    "lease": _LEASES,
    "spent": _SPENDING,
    "entry": _ENTRIES,
    "key": _KEYS,
}
_HELD = """
SELECT r.run_id, r.issue_id
FROM runs AS r
WHERE r.company_id = $1
  AND r.ended_at IS NULL
  AND ARRAY(
      SELECT i.issue_id FROM issues AS i
      WHERE i.company_id = $1
        AND CASE WHEN r.paused_at IS NULL THEN i.holder_run_id ELSE i.paused_run_id END = r.run_id
  ) IS DISTINCT FROM ARRAY[r.issue_id]
UNION ALL
SELECT i.holder_run_id, i.issue_id
FROM issues AS i
WHERE i.company_id = $1
  AND i.holder_run_id IS NOT NULL
  AND NOT EXISTS (
      SELECT FROM runs AS r
      WHERE r.company_id = $1 AND r.run_id = i.holder_run_id
        AND r.ended_at IS NULL AND r.paused_at IS NULL
  )
UNION ALL
SELECT i.paused_run_id, i.issue_id
FROM issues AS i
WHERE i.company_id = $1
  AND i.paused_run_id IS NOT NULL
  AND NOT EXISTS (
      SELECT FROM runs AS r
      WHERE r.company_id = $1 AND r.run_id = i.paused_run_id
        AND r.ended_at IS NULL AND r.paused_at IS NOT NULL
  )
"""
_LEASED = """
SELECT coalesce(i.issue_id, l.issue_id) AS issue_id
FROM (SELECT * FROM issues WHERE company_id = $1 AND fencing_token IS NOT NULL) AS i
FULL JOIN (SELECT * FROM leases WHERE company_id = $1 AND ended_at IS NULL) AS l
  ON l.issue_id = i.issue_id AND l.fencing_token = i.fencing_token
WHERE (l.run_id, l.agent_id, l.lease_seconds, l.acquired_at, l.expires_at)
      IS DISTINCT FROM
      (i.holder_run_id, i.holder_agent_id, i.lease_seconds, i.held_since, i.lease_expires_at)
"""


async def _agree(
    connection: asyncpg.Connection[Any],
    company: str,
    folded: dict[str, dict[str, dict[str, Any]]],
) -> None:
    for kind, query in _QUERIES.items():
        rows = [dict(row) for row in await connection.fetch(query, company)]
        found = {row.pop("id"): row for row in rows}
        states = folded.get(kind, {})
        assert found.keys() == states.keys(), kind
        for one, row in found.items():
            assert row == {name: _listed(states[one][name]) for name in row}, kind
    assert await connection.fetch(_HELD, company) == [], "a run and an issue without each other"
    assert await connection.fetch(_LEASED, company) == [], "a hold that is not its lease"


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


async def _what_is_loaded_agrees(
    connection: asyncpg.Connection[Any], company: str, fold: Fold
) -> None:
    """Whoever remembers nothing decides from what whoever remembers everything decides from."""
    by_kind: dict[str, list[FactKey]] = {}
    for key in fold.known.staged:
        by_kind.setdefault(key[0], []).append(key)
    for model in MODELS.inline:
        for kind in model.loads & by_kind.keys():
            loaded = await model.load(connection, company, kind, by_kind[kind])
            for key in by_kind[kind]:
                assert (loaded.get(key) or None) == (fold.known.staged[key] or None), key


async def rebuilt_equals_live(workers: Workers, paged: Shadow | None = None) -> None:
    """Every read model, written anew from the log, is what it is; leaves prove the log itself.

    Anew at one go, and page by page while the log grew.
    """
    connection = await connect(workers.url)
    try:
        for model in MODELS.following:
            while await step(connection, model, workers.company):
                pass
    finally:
        await connection.close()
    found = await verify(workers.url, MODELS, workers.company)
    assert found.difference is None
    assert found.tables["activity"].rows == found.events
    if paged is not None:
        await paged.catch_up(workers.company)
        assert await paged.digests(workers.company) == found.tables


def first_replies_can_be_given_again(played: list[Played]) -> None:
    """An outcome that was written down and read again says what it said, and that it is old."""
    for outcome in (answer for answers in played for answer in answers):
        if isinstance(outcome, Outcome):
            again = Outcome.from_json(outcome.to_json())
            assert again == replace(outcome, replayed=True)


# ── the beginning, and what is handed over ─────────────────────────────────────────────


async def test_a_company_begins_with_every_type_of_event(new_workers: NewWorkers) -> None:
    """So that no law holds only because something never happened."""
    workers = await new_workers()
    await workers.begin()

    stored = await workers.recorded()

    assert {one.recorded.event.type for one in stored} == EVENT_TYPES.keys()
    await the_tables_are_what_the_log_says(workers)
    await rebuilt_equals_live(workers)


ONE, TWO, NEW, OTHER = an_id(1), an_id(2), an_id(5), an_id(6)
GOAL, MOON = arbitrary.ENTRIES["goal"]
JIRA: dict[str, Json] = {"system": "jira", "id": "1"}
BEADS: dict[str, Json] = {"system": "beads", "id": "1"}
HANDOVERS: dict[str, list[Command]] = {
    "a ref from a deleted issue": [
        alice.deletes(ONE),
        alice.creates(NEW, external_ref=("jira", "1")),
    ],
    "a ref that was cleared": [
        alice.edits(ONE, external_ref=None),
        alice.creates(NEW, external_ref=("jira", "1")),
    ],
    "a ref to an older issue": [
        alice.edits(TWO, title="First in the batch"),
        alice.edits(ONE, external_ref=None),
        alice.edits(TWO, external_ref=JIRA),
    ],
    "refs that change places": [
        alice.edits(TWO, external_ref=BEADS),
        alice.edits(ONE, external_ref=None),
        alice.edits(TWO, external_ref=JIRA),
        alice.edits(ONE, external_ref=BEADS),
    ],
    "a slug from an archived entry": [
        alice.changes("goal", MOON, name="First in the batch"),
        alice.archives("goal", GOAL),
        alice.changes("goal", MOON, slug="goal"),
    ],
    "a slug to a new entry": [
        alice.changes("goal", GOAL, slug="other"),
        alice.lists("goal", "Goal", an_id(98)),
    ],
    "slugs that change places": [
        alice.changes("goal", MOON, slug="between"),
        alice.changes("goal", GOAL, slug="moon"),
        alice.changes("goal", MOON, slug="goal"),
    ],
    "a relation under another id": [
        bob.unlinks(an_id(32), ONE),
        bob.links("blocks", ONE, TWO, an_id(33)),
    ],
    "a relation under its old id": [
        bob.unlinks(an_id(32), ONE),
        bob.links("blocks", ONE, TWO, an_id(32)),
    ],
    "a link's id to another relation": [
        bob.unlinks(an_id(32), ONE),
        bob.links("relates_to", an_id(4), TWO, an_id(32)),
    ],
}


NEW_RUN = an_id(15)
SEQUELS: dict[str, list[Command]] = {
    "a cost of a run": [
        alice.creates(NEW),
        coder.checks_out("ACM-3", run=NEW_RUN),
        coder.reports(NEW_RUN, "ACM-3", cost_micros=7),
    ],
    "the end of a budget": [
        alice.creates(NEW, per_task_micros=7),
        coder.checks_out("ACM-3", run=NEW_RUN),
        coder.reports(NEW_RUN, "ACM-3", cost_micros=7),
        alice.budgets(None, "ACM-3"),
        coder.checks_out("ACM-3", run=NEW_RUN),
        coder.finishes(NEW_RUN, "ACM-3"),
    ],
    "a blocker that ends": [
        alice.creates(NEW),
        coder.checks_out("ACM-3", run=NEW_RUN),
        alice.creates(OTHER),
        alice.links("blocks", "ACM-3", "ACM-4", an_id(33)),
        alice.moves("done", "ACM-4"),
    ],
    "an issue to claim": [
        alice.creates(NEW),
        coder.claims_next(run=NEW_RUN),
        coder.finishes(NEW_RUN, NEW),
    ],
    "a link that goes": [
        alice.creates(NEW),
        alice.links("blocked_by", "ACM-3", "ACM-1", an_id(33)),
        alice.unlinks(an_id(33), "ACM-3"),
    ],
    "a row of blockers": [
        alice.creates(NEW),
        alice.links("blocks", "ACM-3", "ACM-2", an_id(33)),
        alice.creates(OTHER),
        alice.links("blocked_by", "ACM-4", "ACM-3", an_id(34)),
        alice.deletes("ACM-4"),
    ],
    "the agent of a team": [
        alice.lists("agent", "Carol", an_id(97)),
        alice.lists("team", "Core", an_id(98), agent_ids=["carol"]),
        alice.creates(NEW),
        alice.gives_team("core", "ACM-3"),
        alice.checks_out("ACM-3", "carol", NEW_RUN),
        alice.pauses("ACM-3"),
        alice.reassigns("user:bob", "ACM-3"),
    ],
    "a comment on a comment": [
        alice.creates(NEW),
        alice.comments("First", an_id(29), "ACM-3"),
        alice.edits_comment("Second", an_id(29), "ACM-3"),
        alice.deletes_comment(an_id(29), "ACM-3"),
    ],
}


async def test_what_one_gives_up_another_takes_at_once(
    new_workers: NewWorkers, subtests: pytest.Subtests
) -> None:
    """In one submission, in one batch, and in one page of a rebuild."""
    for name, asked in HANDOVERS.items():
        for together in (True, False):
            with subtests.test(name, together=together):
                await all_at_once(asked, await new_workers(), together)


async def test_what_one_makes_another_goes_on_from_at_once(
    new_workers: NewWorkers, subtests: pytest.Subtests
) -> None:
    """By a name that nobody had before: what it takes to decide was not there to be loaded."""
    for name, asked in SEQUELS.items():
        for together in (True, False):
            with subtests.test(name, together=together):
                await all_at_once(asked, await new_workers(), together)


async def all_at_once(asked: list[Command], workers: Workers, together: bool) -> None:
    """Carries out commands in one batch, as one submission or several; and all laws hold."""
    await workers.begin()
    await workers.accepted([alice.lists("goal", "Moon", MOON)])
    shadow = await Shadow.open(workers.url, TEMPORARY, MODELS)
    try:
        await shadow.catch_up(workers.company)
        submissions = [asked] if together else [[command] for command in asked]
        answers = await workers.at_once(submissions, worker=0 if together else 1)
        assert [one for one in answers if isinstance(one, LedgerError)] == []
        await a_batch_is_one_transaction(workers, [answers])
        await the_tables_are_what_the_log_says(workers)
        await rebuilt_equals_live(workers, shadow)
    finally:
        await shadow.close()
