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
from typing import Any, TypeAlias

import asyncpg
import orjson
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
from ledger.events import EVENT_TYPES, CostReported, Json
from ledger.submission import Outcome, Provenance, Submission
from projections.projector import step
from projections.shadow import TEMPORARY, Shadow
from projections.verify import verify
from tests import arbitrary
from tests.arbitrary import ELSEWHERE, Batch, beginnings
from tests.conftest import NewDatabase
from tests.scenario import alice, an_id, bob

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
        answers = await self.at_once([[command] for command in beginnings()])
        assert [a for a in answers if isinstance(a, LedgerError)] == []

    async def play(self, script: Sequence[Batch], shadow: Shadow | None = None) -> list[Played]:
        """Plays a script, batch by batch, while a rebuild follows page by page."""
        played = []
        for batch in script:
            played.append(await self.at_once(batch.submissions, batch.worker, batch.provenance))
            if shadow is not None and batch.rebuild:
                await shadow.page(self.company)
        return played

    async def recorded(self) -> list[log.Stored]:
        """The whole log."""
        return [stored async for stored in log.walk(self.ledgers[0].readers, self.company)]


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
    law: Callable[[list[Batch]], Coroutine[Any, Any, None]], examples: int, batches: int
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
    @for_all(arbitrary.scripts(batches))
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
        await for_all_scripts(law, examples=40, batches=15)
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
    """Together at a process that remembers, or alone at one that knows nothing: the same."""
    url = await new_database()
    forgetful = Bounds(cached_facts=0)
    async with open_ledger(url) as warm, open_ledger(url, bounds=forgetful) as cold:

        async def law(script: list[Batch]) -> None:
            together = Workers((warm, cold), await warm.create_company("Acme"))
            alone = Workers((cold, warm), await cold.create_company("Acme"))
            await together.begin()
            await alone.begin()
            for batch in script:
                answers = await together.at_once(batch.submissions, 0, batch.provenance)
                for submission, answer in zip(batch.submissions, answers, strict=True):
                    (again,) = await alone.at_once([submission], 0, batch.provenance)
                    assert _told(again) == _told(answer)

        await for_all_scripts(law, examples=25, batches=12)


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

    A batch that it refuses is run again, submission by submission, at times of their own; and
    what it refuses of a batch it refuses of a rebuild's page, where there is no second try.
    """
    times = [stored.recorded.recorded_at for stored in await workers.recorded()]
    for answers in played:
        written = [
            range(answer.position - sum(r.appended for r in answer.results), answer.position)
            for answer in answers
            if isinstance(answer, Outcome)
        ]
        assert len({times[place] for places in written for place in places}) <= 1


async def the_tables_are_what_the_log_says(workers: Workers) -> None:
    """A fold of nothing but events comes to what agents read: evolve takes every event."""
    fold, spent = Fold(), 0
    for stored in await workers.recorded():
        fold.add(stored.recorded)
        if isinstance(stored.recorded.event, CostReported):
            spent += stored.recorded.event.cost_micros
    folded: dict[str, dict[str, dict[str, Any]]] = {}
    for state in fold.states():
        folded.setdefault(state["kind"], {})[state["id"]] = state

    connection = await connect(workers.url)
    try:
        await _agree(connection, workers.company, folded)
        total = "SELECT coalesce(sum(cost_micros), 0)::bigint FROM runs WHERE company_id = $1"
        assert await connection.fetchval(total, workers.company) == spent
    finally:
        await connection.close()


_ISSUES = """
SELECT issue_id::text AS id, identifier, version, title, description, status, assignee,
       holder_run_id::text AS run_id, parent_id::text, label_ids::text[], comment_count
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
SELECT run_id::text AS id, version, issue_id::text, agent_id, exit_reason, cost_micros
FROM runs WHERE company_id = $1
"""
_ENTRIES = """
SELECT entry_id::text AS id, version, name, slug FROM directory WHERE company_id = $1
"""
_KEYS = """
SELECT key_id::text AS id, version, role, actor, name FROM api_keys WHERE company_id = $1
"""
_QUERIES = {
    "issue": _ISSUES,
    "comment": _COMMENTS,
    "link": _LINKS,
    "run": _RUNS,
    "entry": _ENTRIES,
    "key": _KEYS,
}
_HELD = """
SELECT count(*) FROM issues AS i FULL JOIN (
    SELECT * FROM runs WHERE company_id = $1 AND ended_at IS NULL
) AS r ON i.company_id = $1 AND i.holder_run_id = r.run_id
WHERE (i.company_id = $1 AND i.holder_run_id IS NOT NULL AND r.run_id IS NULL)
   OR (r.run_id IS NOT NULL AND (i.issue_id IS NULL OR i.issue_id <> r.issue_id))
"""


async def _agree(
    connection: asyncpg.Connection[Any],
    company: str,
    folded: dict[str, dict[str, dict[str, Any]]],
) -> None:
    for kind, query in _QUERIES.items():
        rows = {row["id"]: dict(row) for row in await connection.fetch(query, company)}
        states = folded.get(kind, {})
        assert rows.keys() == states.keys(), kind
        for one, row in rows.items():
            assert row == {name: states[one][name] for name in row}, kind
    assert await connection.fetchval(_HELD, company) == 0, "a run and a hold without each other"


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
            again = Outcome.from_json(orjson.loads(outcome.to_json()))
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


ONE, TWO, NEW = an_id(1), an_id(2), an_id(5)
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


async def test_what_one_gives_up_another_takes_at_once(
    new_workers: NewWorkers, subtests: pytest.Subtests
) -> None:
    """In one submission, in one batch, and in one page of a rebuild."""
    for name, asked in HANDOVERS.items():
        for worker, submissions in enumerate(([asked], [[command] for command in asked])):
            with subtests.test(name, together=worker == 0):
                workers = await new_workers()
                await workers.begin()
                await workers.at_once([[alice.lists("goal", "Moon", MOON)]])
                shadow = await Shadow.open(workers.url, TEMPORARY, MODELS)
                try:
                    await shadow.catch_up(workers.company)
                    answers = await workers.at_once(submissions, worker)
                    assert [one for one in answers if isinstance(one, LedgerError)] == []
                    await a_batch_is_one_transaction(workers, [answers])
                    await the_tables_are_what_the_log_says(workers)
                    await rebuilt_equals_live(workers, shadow)
                finally:
                    await shadow.close()
