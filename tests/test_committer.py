"""The committer: one order for each company, batch by batch, whoever else writes.

On the real database, through `open_ledger`; where two processes meet, two ledgers are open on
one database. What happens to a lost connection is told in `test_unknown_outcomes.py`, what to
a repeated Idempotency-Key in `test_replies.py`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from api.wiring import INLINE, Ledger, open_ledger
from ledger import commands as c
from ledger.actors import Role
from ledger.committer import Bounds, Committer
from ledger.database import committer_pool
from ledger.errors import (
    DatabaseUnavailable,
    HierarchyCycle,
    Invalid,
    IssueHeld,
    LedgerError,
    NotFound,
    QueueFull,
    Taken,
)
from ledger.ids import new_id
from ledger.submission import Outcome
from tests.conftest import NewDatabase
from tests.proxy import Fate, Proxy
from tests.writing import (
    ALICE,
    accepted,
    all_at_once,
    assert_whole,
    batches,
    check_out,
    comment,
    create,
    edit,
    entry,
    issue_of,
    locked,
    log_of,
    refused,
    release,
    someone_waits,
    submission,
    submit,
    superuser,
    titles,
)

ROUNDS = 30


@pytest_asyncio.fixture(scope="module")
async def other(database_url: str) -> AsyncIterator[Ledger]:
    """A second process's ledger on the same database."""
    async with open_ledger(database_url) as opened:
        yield opened


@pytest_asyncio.fixture
async def agents(ledger: Ledger, company: str) -> list[str]:
    """The ids of two agents of the test's company."""
    made = [entry("agent", "One"), entry("agent", "Two")]
    await submit(ledger, company, *made)
    return [agent.entry_id for agent in made]


# ── order ──────────────────────────────────────────────────────────────────────────────


async def test_positions_and_versions_have_no_gaps_whoever_writes(
    ledger: Ledger, other: Ledger, company: str
) -> None:
    """Four hundred commands through two processes: 1, 2, 3… in the log and in each stream."""
    dice = random.Random(1)

    async def work(through: Ledger) -> None:
        mine = [issue_of(await submit(through, company, create())).id]
        for _ in range(9):
            await asyncio.sleep(dice.random() / 500)
            await submit(through, company, edit(dice.choice(mine), title=new_id()))

    await asyncio.gather(*(work(through) for _ in range(20) for through in (ledger, other)))

    events = [stored.recorded for stored in await log_of(ledger, company)]
    assert [r.position for r in events] == list(range(1, len(events) + 1))
    assert len(events) == 1 + 400
    streams = {r.stream_id for r in events}
    for stream in streams:
        versions = [r.version for r in events if r.stream_id == stream]
        assert versions == list(range(1, len(versions) + 1))
    await assert_whole(ledger, company)


async def test_an_answer_says_where_in_the_log_it_is(ledger: Ledger, company: str) -> None:
    """The outcome's position is that of the submission's last event."""
    outcomes = await asyncio.gather(*(submit(ledger, company, create(str(n))) for n in range(20)))
    events = {stored.recorded.position: stored.recorded for stored in await log_of(ledger, company)}
    for outcome in outcomes:
        assert events[outcome.position].stream_id == issue_of(outcome).id


async def test_time_never_runs_backwards_even_when_the_log_is_ahead_of_the_clock(
    new_database: NewDatabase,
) -> None:
    """After an event of tomorrow, events are recorded tomorrow, until the clock is there."""
    url = await new_database()
    async with open_ledger(url) as ledger, superuser(url) as owner:
        company = await ledger.create_company("Acme")
        await owner.execute("UPDATE company_heads SET last_at = last_at + interval '1 day'")
        tomorrow = await owner.fetchval("SELECT last_at FROM company_heads")
        for _ in range(3):
            await submit(ledger, company, create())
        times = [stored.recorded.recorded_at for stored in await log_of(ledger, company)]
        assert times[1:] == [tomorrow] * 3
        assert times == sorted(times)


async def test_time_never_runs_backwards_between_two_processes(
    ledger: Ledger, other: Ledger, company: str
) -> None:
    """The database's clock is read under the lock, so the log is in the order of time."""
    await asyncio.gather(
        *(submit(through, company, create()) for _ in range(50) for through in (ledger, other))
    )
    times = [stored.recorded.recorded_at for stored in await log_of(ledger, company)]
    assert times == sorted(times)


async def test_a_company_that_is_not_there_is_not_found(ledger: Ledger) -> None:
    """Nothing is written for an id that nobody gave out."""
    nobodys = new_id()
    with pytest.raises(NotFound):
        await submit(ledger, nobodys, create())
    assert await log_of(ledger, nobodys) == []


# ── batches and bounds ─────────────────────────────────────────────────────────────────


async def test_one_batch_is_one_transaction(ledger: Ledger, company: str) -> None:
    """Commands that wait together are written together."""
    await asyncio.gather(*(submit(ledger, company, create()) for _ in range(100)))
    assert await batches(ledger, company) == [1, 100]


async def test_a_lone_caller_waits_for_nobody(ledger: Ledger, company: str) -> None:
    """Commands one after the other are batches of one."""
    for _ in range(3):
        await submit(ledger, company, create())
    assert await batches(ledger, company) == [1, 1, 1, 1]


async def test_a_batch_has_at_most_256_submissions(ledger: Ledger, company: str) -> None:
    """What is more waits for the next one, first come, first served."""
    await asyncio.gather(*(submit(ledger, company, create(str(n))) for n in range(600)))
    assert await batches(ledger, company) == [1, 256, 256, 88]
    assert await titles(ledger, company) == [str(n) for n in range(600)]


async def test_a_batch_has_at_most_four_mebibytes(ledger: Ledger, company: str) -> None:
    """Large submissions make small batches; one beyond the bound goes alone."""
    sizes = [1] * 5 + [5] + [1] * 3
    await asyncio.gather(
        *(
            ledger.committer.submit(company, submission(create(), size_bytes=size * 1024 * 1024))
            for size in sizes
        )
    )
    assert await batches(ledger, company) == [1, 4, 1, 1, 3]


@pytest.mark.parametrize(
    "bounds",
    [Bounds(queue_submissions=10), Bounds(queue_bytes=10 * 256)],
    ids=["submissions", "bytes"],
)
async def test_a_full_queue_refuses_and_loses_nothing(
    database_url: str, ledger: Ledger, company: str, bounds: Bounds
) -> None:
    """Ten wait, the others are told to come back; the ten are written, the others are not."""
    async with open_ledger(database_url, bounds=bounds) as small:
        answers = await all_at_once(*(submit(small, company, create(str(n))) for n in range(30)))
        assert len(accepted(answers)) == 10
        assert {type(error) for error in refused(answers)} == {QueueFull}
        await submit(small, company, create("later"))
    assert await titles(ledger, company) == [*(str(n) for n in range(10)), "later"]


async def test_a_full_queue_of_one_company_is_no_other_companys(
    database_url: str, ledger: Ledger, company: str
) -> None:
    """Bounds are a company's own."""
    neighbour = await ledger.create_company("Neighbour")
    async with open_ledger(database_url, bounds=Bounds(queue_submissions=5)) as small:
        async with locked(database_url, company):
            tasks = [asyncio.create_task(submit(small, company, create())) for _ in range(20)]
            await submit(small, neighbour, create())
        answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert len(accepted(list(answers))) == 5


async def test_a_slow_company_does_not_stop_another(
    database_url: str, ledger: Ledger, company: str
) -> None:
    """While one company's lock is taken elsewhere, the others' commands go through."""
    neighbour = await ledger.create_company("Neighbour")
    async with locked(database_url, company):
        waiting = asyncio.create_task(submit(ledger, company, create()))
        await someone_waits(database_url)
        for _ in range(5):
            await submit(ledger, neighbour, create())
        assert not waiting.done()
    await waiting


# ── refusals and poison ────────────────────────────────────────────────────────────────


async def test_a_refusal_is_one_submissions_own(ledger: Ledger, company: str) -> None:
    """Its neighbours in the batch are accepted, and share its transaction."""
    answers = await all_at_once(
        submit(ledger, company, create("before")),
        submit(ledger, company, comment(new_id())),
        submit(ledger, company, create("after")),
    )
    assert [type(answer) for answer in answers] == [Outcome, NotFound, Outcome]
    assert await batches(ledger, company) == [1, 2]


POISONED: dict[str, Callable[[], c.Command]] = {
    "NUL in a column": lambda: create("a\0b"),
    "NUL in the event alone": lambda: create(description="a\0b"),
    "NUL in a look-up": lambda: create(external_ref=("jira", "a\0b")),
    "half a character": lambda: create("a\ud800b"),
    "half a character in a look-up": lambda: create(external_ref=("jira", "a\ud800b")),
    "a number of 65 bits": lambda: create(estimate=2**64),
    "a number of 64 bits": lambda: create(estimate=2**63),
    "an id that is none": lambda: create(issue_id="no id"),
}


@pytest.mark.parametrize("poisoned", POISONED.values(), ids=POISONED)
async def test_a_poisoned_command_fails_alone(
    ledger: Ledger, company: str, poisoned: Callable[[], c.Command]
) -> None:
    """A value that the database cannot keep is that command's Invalid, and nobody else's."""
    answers = await all_at_once(
        *(submit(ledger, company, create(str(n))) for n in range(3)),
        submit(ledger, company, poisoned()),
        *(submit(ledger, company, create(str(n))) for n in range(3, 6)),
    )
    assert [type(answer) for answer in answers] == [Outcome] * 3 + [Invalid] + [Outcome] * 3
    assert await titles(ledger, company) == [str(n) for n in range(6)]
    await assert_whole(ledger, company)


class Nonsense(c.IssueCommand):
    """A command that no rule is for."""

    name = "nonsense"


BUGS: dict[str, Callable[[str], c.Command]] = {
    "in needs": lambda issue: c.EditIssue(actor=ALICE, role=Role.OWNER, issue=issue, changes=None),  # type: ignore[arg-type]
    "in needs, of a type": lambda issue: create(labels=7),
    "in decide": lambda issue: edit(issue, nonsense=1),
    "no rule": lambda issue: Nonsense(actor=ALICE, role=Role.OWNER, issue=issue),
    "in evolve": lambda issue: edit(issue, version=7),
}


@pytest.mark.parametrize("broken", BUGS.values(), ids=BUGS)
async def test_a_bug_fails_alone(
    ledger: Ledger, company: str, broken: Callable[[str], c.Command]
) -> None:
    """Whatever goes wrong in one command, its neighbours are accepted, and it is told apart."""
    issue = issue_of(await submit(ledger, company, create("0"))).id
    answers = await all_at_once(
        submit(ledger, company, create("1")),
        submit(ledger, company, broken(issue)),
        submit(ledger, company, create("2")),
    )
    assert isinstance(answers[0], Outcome)
    assert isinstance(answers[2], Outcome)
    assert isinstance(answers[1], Exception)
    assert not isinstance(answers[1], LedgerError)
    await submit(ledger, company, create("3"))
    assert await titles(ledger, company) == ["0", "1", "2", "3"]
    await assert_whole(ledger, company)


# ── submissions of several commands ────────────────────────────────────────────────────


async def test_commands_of_one_submission_build_on_each_other(ledger: Ledger, company: str) -> None:
    """A later command sees what an earlier one made, by its id and by its identifier."""
    first = create("first")
    outcome = await submit(
        ledger, company, first, comment(first.issue_id), edit("ACM-1", title="renamed")
    )
    assert issue_of(outcome).title == "renamed"
    assert issue_of(outcome).comment_count == 1
    assert outcome.position == 4
    assert await batches(ledger, company) == [1, 3]


@pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "middle", "last"])
async def test_a_submission_is_accepted_whole_or_not_at_all(
    ledger: Ledger, company: str, place: int
) -> None:
    """One refused command refuses all of them, and says which one it was."""
    commands: list[c.Command] = [create("one"), create("two")]
    commands.insert(place, comment(new_id()))
    with pytest.raises(NotFound) as refusal:
        await submit(ledger, company, *commands)
    assert refusal.value.facts["command_index"] == place
    assert await titles(ledger, company) == []


async def test_what_was_refused_is_invisible_to_its_neighbours(
    ledger: Ledger, company: str
) -> None:
    """Names, numbers and states that a refused submission staged are free again at once."""
    ref = ("jira", "J-1")
    kept = create("kept")
    answers = await all_at_once(
        submit(ledger, company, kept),
        submit(
            ledger,
            company,
            edit(kept.issue_id, title="never"),
            create("never", external_ref=ref),
            entry("label", "bug"),
            comment(new_id()),
        ),
        submit(ledger, company, create("free", external_ref=ref)),
        submit(ledger, company, entry("label", "bug")),
        submit(ledger, company, comment(kept.issue_id)),
    )
    assert [type(answer) for answer in answers] == [Outcome, NotFound, Outcome, Outcome, Outcome]
    _, _, free, _, last = accepted(answers)[0], None, *accepted(answers)[1:]
    assert issue_of(free).identifier == "ACM-2"
    assert last.position == 5
    assert await titles(ledger, company) == ["kept", "free"]
    assert await batches(ledger, company) == [1, 4]
    await assert_whole(ledger, company)


# ── two processes, one company ─────────────────────────────────────────────────────────


async def test_neither_process_decides_from_stale_state(
    ledger: Ledger, other: Ledger, company: str, agents: list[str]
) -> None:
    """Each sees at once what the other one has just written."""
    issue = issue_of(await submit(ledger, company, create())).id
    for _ in range(10):
        await submit(ledger, company, check_out(issue, agents[0]))
        with pytest.raises(IssueHeld):
            await submit(other, company, check_out(issue, agents[1]))
        await submit(other, company, release(issue))
        await submit(ledger, company, check_out(issue, agents[1]))
        with pytest.raises(IssueHeld):
            await submit(other, company, check_out(issue, agents[0]))
        await submit(other, company, release(issue))
    await assert_whole(ledger, company)


async def test_a_race_for_an_issue_has_one_winner_whom_everybody_is_told(
    ledger: Ledger, other: Ledger, company: str, agents: list[str]
) -> None:
    """Ten attempts through two processes: one lease, and nine refusals that name its holder."""
    for _ in range(ROUNDS):
        issue = issue_of(await submit(ledger, company, create())).id
        attempts = [
            submit(through, company, check_out(issue, agent))
            for through in (ledger, other)
            for agent in agents * 5
        ]
        answers = await all_at_once(*attempts)
        holder = issue_of(accepted(answers)[0]).holder_agent_id
        won = {issue_of(outcome).holder_run_id for outcome in accepted(answers)}
        lost = [
            error.facts["current"] for error in refused(answers) if isinstance(error, IssueHeld)
        ]
        assert len(won) == 1
        assert len(accepted(answers)) + len(lost) == len(attempts)
        assert {(current["holder"] or {})["agent_id"] for current in lost} == {holder}


Twins = tuple[c.Command, c.Command]


async def _same_external_ref(ledger: Ledger, company: str) -> Twins:
    ref = ("jira", new_id())
    return create(external_ref=ref), create(external_ref=ref)


async def _same_external_ref_later(ledger: Ledger, company: str) -> Twins:
    a, b = create(), create()
    await submit(ledger, company, a, b)
    ref = {"system": "jira", "id": new_id()}
    return edit(a.issue_id, external_ref=ref), edit(b.issue_id, external_ref=ref)


async def _same_issue_id(ledger: Ledger, company: str) -> Twins:
    one = new_id()
    return create(issue_id=one), create(issue_id=one)


async def _same_slug(ledger: Ledger, company: str) -> Twins:
    slug = f"slug-{new_id()}"
    return entry("project", "One", slug), entry("project", "Two", slug)


async def _same_slug_later(ledger: Ledger, company: str) -> Twins:
    a, b, slug = entry("goal", "One"), entry("goal", "Two"), f"slug-{new_id()}"
    await submit(ledger, company, a, b)
    return _renamed(a, slug), _renamed(b, slug)


def _renamed(created: c.CreateEntry, slug: str) -> c.UpdateEntry:
    return c.UpdateEntry(
        actor=ALICE, role=Role.OWNER, kind=created.kind, entry=created.entry_id,
        changes={"slug": slug},
    )  # fmt: skip


async def _same_label(ledger: Ledger, company: str) -> Twins:
    name = new_id()
    return entry("label", f"A {name}"), entry("label", f"a-{name}")


async def _same_issue_prefix(ledger: Ledger, company: str) -> Twins:
    prefix = f"X{new_id()[-8:].upper()}"
    return tuple(entry("team", new_id(), issue_prefix=prefix) for _ in range(2))  # type: ignore[return-value]


async def _two_halves_of_a_cycle(ledger: Ledger, company: str) -> Twins:
    a, b = create(), create()
    await submit(ledger, company, a, b)
    return edit(a.issue_id, parent_id=b.issue_id), edit(b.issue_id, parent_id=a.issue_id)


async def _two_halves_of_a_long_cycle(ledger: Ledger, company: str) -> Twins:
    a, c_ = create(), create()
    b, d = create(parent=a.issue_id), create(parent=c_.issue_id)
    await submit(ledger, company, a, c_, b, d)
    return edit(a.issue_id, parent_id=d.issue_id), edit(c_.issue_id, parent_id=b.issue_id)


async def _same_run(ledger: Ledger, company: str) -> Twins:
    agent, a, b, run = entry("agent", "Coder"), create(), create(), new_id()
    await submit(ledger, company, agent, a, b)
    return (
        check_out(a.issue_id, agent.entry_id, run_id=run, names_run=True),
        check_out(b.issue_id, agent.entry_id, run_id=run, names_run=True),
    )


RULES = {
    "the same external_ref": (_same_external_ref, Taken),
    "the same external_ref, edited": (_same_external_ref_later, Taken),
    "the same issue id": (_same_issue_id, Taken),
    "the same slug": (_same_slug, Taken),
    "the same slug, updated": (_same_slug_later, Taken),
    "the same label": (_same_label, Taken),
    "the same issue prefix": (_same_issue_prefix, Taken),
    "the halves of a parent cycle": (_two_halves_of_a_cycle, HierarchyCycle),
    "the halves of a longer cycle": (_two_halves_of_a_long_cycle, HierarchyCycle),
    "the same run": (_same_run, Taken),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
async def test_of_twins_exactly_one_passes(
    ledger: Ledger,
    other: Ledger,
    company: str,
    rule: tuple[Callable[[Ledger, str], Awaitable[Twins]], type[LedgerError]],
) -> None:
    """Both in one batch, then each through a process of its own: one is accepted, every time."""
    make, error = rule
    for n in range(ROUNDS):
        for through in ((ledger, ledger), (ledger, other), (other, ledger)):
            twins = await make((ledger, other)[n % 2], company)
            answers = await all_at_once(
                *(submit(by, company, twin) for by, twin in zip(through, twins, strict=True))
            )
            assert len(accepted(answers)) == 1
            assert [type(refusal) for refusal in refused(answers)] == [error]
    await assert_whole(ledger, company)


# ── the cache ──────────────────────────────────────────────────────────────────────────


async def test_what_a_process_knows_is_good_for_one_epoch(new_database: NewDatabase) -> None:
    """It does not read again what it wrote itself; once an epoch is over, it reads everything."""
    url = await new_database()
    async with open_ledger(url) as ledger, superuser(url) as owner:
        company = await ledger.create_company("Acme")
        issue = issue_of(await submit(ledger, company, create("mine"))).id

        await owner.execute("UPDATE issues SET title = 'theirs'")
        unread = await submit(ledger, company, edit(issue, title="mine"))
        assert unread.results[0].appended == 0

        await owner.execute("UPDATE company_heads SET epoch = epoch + 1")
        read = await submit(ledger, company, edit(issue, title="mine"))
        assert read.results[0].appended == 1


async def test_a_process_that_knows_little_decides_the_same(
    database_url: str, ledger: Ledger, company: str, agents: list[str]
) -> None:
    """Facts that were let go for want of room are read again."""
    async with open_ledger(database_url, bounds=Bounds(cached_facts=3)) as forgetful:
        issues = [create(external_ref=("jira", str(n))) for n in range(20)]
        for issue in issues:
            await submit(forgetful, company, issue)
            await submit(forgetful, company, check_out(issue.issue_id, agents[0]))
        for issue in issues:
            with pytest.raises(IssueHeld):
                await submit(forgetful, company, check_out(issue.issue_id, agents[1]))
            with pytest.raises(Taken):
                await submit(forgetful, company, create(external_ref=issue.external_ref))
    await assert_whole(ledger, company)


# ── the end of a caller, and of a process ──────────────────────────────────────────────


async def test_cancelling_the_caller_cancels_nothing(database_url: str, company: str) -> None:
    """A client that hangs up leaves its command to be carried out."""
    async with open_ledger(database_url) as own:
        callers = [asyncio.create_task(submit(own, company, create(str(n)))) for n in range(20)]
        await asyncio.sleep(0)
        for caller in callers:
            caller.cancel()
        answers = await asyncio.gather(*callers, return_exceptions=True)
        assert {type(answer) for answer in answers} == {asyncio.CancelledError}
        await own.committer.close()
        assert await titles(own, company) == [str(n) for n in range(20)]


async def test_no_cancellation_reaches_commit(
    database_url: str, ledger: Ledger, company: str
) -> None:
    """Callers who hang up while their batch commits do not stop it; it is sent once."""
    async with Proxy(database_url) as proxy, open_ledger(proxy.url) as own:
        proxy.arrange(Fate.HOLD)
        callers = [asyncio.create_task(submit(own, company, create(str(n)))) for n in range(20)]
        await proxy.arrives()
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
        proxy.let_go()
        await own.committer.close()
    assert await titles(ledger, company) == [str(n) for n in range(20)]
    assert await batches(ledger, company) == [1, 20]


async def test_closing_answers_everything_that_was_queued(
    database_url: str, ledger: Ledger, company: str
) -> None:
    """Several batches' worth is written and answered; what comes later is refused."""
    async with open_ledger(database_url) as own:
        callers = [asyncio.create_task(submit(own, company, create())) for _ in range(600)]
        await asyncio.sleep(0)
        await own.committer.close()
        assert own.committer.queued == 0
        assert len(accepted(list(await asyncio.gather(*callers)))) == 600
        with pytest.raises(QueueFull):
            await submit(own, company, create())
    assert len(await titles(ledger, company)) == 600


async def test_closing_answers_every_company(database_url: str, company: str) -> None:
    """However many companies are at work at once, each one's commands are answered."""
    async with open_ledger(database_url) as own:
        strangers = [asyncio.create_task(submit(own, new_id(), create())) for _ in range(1001)]
        mine = asyncio.create_task(submit(own, company, create()))
        await asyncio.sleep(0)
        await own.committer.close()
        assert mine.done()
        await mine
        await asyncio.gather(*strangers, return_exceptions=True)


# ── locks ──────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def committer_with(url: str, bounds: Bounds, **settings: str) -> AsyncIterator[Committer]:
    """A committer with one connection, whose session has other settings than usual."""
    pool = await committer_pool(url, 1)
    for name, value in settings.items():
        await pool.execute("SELECT set_config($1, $2, false)", name, value)
    committer = Committer(pool, INLINE, bounds=bounds)
    try:
        yield committer
    finally:
        await committer.close()
        await asyncio.wait_for(pool.close(), 30)


async def test_the_victim_of_a_deadlock_tries_again(
    database_url: str, ledger: Ledger, company: str
) -> None:
    """Postgres aborts the batch for a session that takes locks in the wrong order; nobody sees."""
    issue = issue_of(await submit(ledger, company, create())).id
    async with superuser(database_url) as wrong, wrong.transaction():
        await wrong.execute("SET LOCAL deadlock_timeout = '1min'")  # The batch notices first.
        await wrong.execute("SELECT FROM issues WHERE issue_id = $1 FOR UPDATE", issue)
        waiting = asyncio.create_task(submit(ledger, company, edit(issue, title="new")))
        await someone_waits(database_url)
        await wrong.execute("SELECT FROM company_heads WHERE company_id = $1 FOR UPDATE", company)
        assert not waiting.done()
    assert issue_of(await waiting).title == "new"
    await assert_whole(ledger, company)


async def test_a_lock_that_is_not_had_in_time_is_asked_for_again(
    database_url: str, ledger: Ledger, company: str
) -> None:
    """The batch gives up its place for a moment, and is written when the lock is free."""
    async with committer_with(database_url, Bounds(), lock_timeout="50ms") as committer:
        async with locked(database_url, company):
            waiting = asyncio.create_task(committer.submit(company, submission(create("late"))))
            await asyncio.sleep(0.3)
            assert not waiting.done()
        await waiting
    assert await titles(ledger, company) == ["late"]


async def test_a_lock_that_is_never_had_is_told(
    database_url: str, ledger: Ledger, company: str
) -> None:
    """After so many attempts the caller hears that nothing was written, and nothing was."""
    bounds = Bounds(attempts=2)
    async with committer_with(database_url, bounds, lock_timeout="50ms") as committer:
        async with locked(database_url, company):
            with pytest.raises(DatabaseUnavailable):
                await committer.submit(company, submission(create("never")))
        await committer.submit(company, submission(create("later")))
    assert await titles(ledger, company) == ["later"]


async def test_a_backend_that_is_ended_under_a_batch_costs_nothing(
    database_url: str, ledger: Ledger, company: str
) -> None:
    """An administrator ends the session in mid-transaction; the batch is written by another."""
    async with superuser(database_url) as administrator, locked(database_url, company):
        waiting = asyncio.create_task(submit(ledger, company, create("once")))
        await someone_waits(database_url)
        await administrator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        await someone_waits(database_url)
    await waiting
    assert await titles(ledger, company) == ["once"]


async def test_sessions_that_write_may_not_keep_a_lock(database_url: str) -> None:
    """Every session of the committer has the limits without which a company could be held up."""
    pool = await committer_pool(database_url)
    shown = {
        name: await pool.fetchval("SELECT current_setting($1)", name)
        for name in ("idle_in_transaction_session_timeout", "lock_timeout", "statement_timeout")
    }
    await pool.close()
    assert shown == {
        "idle_in_transaction_session_timeout": "5s",
        "lock_timeout": "10s",
        "statement_timeout": "30s",
    }


async def test_nobody_holds_a_company_hostage(
    database_url: str, ledger: Ledger, company: str
) -> None:
    """A process stuck before COMMIT loses the lock in five seconds; its command is not lost."""
    async with Proxy(database_url) as proxy, open_ledger(proxy.url) as stuck:
        proxy.arrange(Fate.HOLD)
        first = asyncio.create_task(submit(stuck, company, create("stuck")))
        await proxy.arrives()
        await submit(ledger, company, create("free"))
        assert not first.done()
        proxy.let_go()
        await first
    assert await titles(ledger, company) == ["free", "stuck"]
    await assert_whole(ledger, company)


async def test_a_process_stuck_between_two_statements_tries_again(
    database_url: str, ledger: Ledger, company: str
) -> None:
    """Thrown out for being idle with the lock, a batch is written by a new session."""
    settings = {"idle_in_transaction_session_timeout": "100ms"}
    async with (
        Proxy(database_url) as proxy,
        committer_with(proxy.url, Bounds(), **settings) as committer,
    ):
        await committer.submit(company, submission(create("first")))  # Its statements are known.
        proxy.arrange(Fate.HOLD, "ledger.append")
        waiting = asyncio.create_task(committer.submit(company, submission(create("once"))))
        await proxy.arrives()
        await submit(ledger, company, create("free"))
        proxy.let_go()
        await waiting
    assert await titles(ledger, company) == ["first", "free", "once"]
