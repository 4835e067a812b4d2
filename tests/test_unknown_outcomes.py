"""A connection lost at COMMIT: what happened is found out, never guessed.

Between the committer and Postgres stands a proxy that cuts or holds the connection at the very
statement. Whatever it does, a caller who was answered is in the log exactly once, a caller who
was refused is not, and a caller who was told that nobody knows finds out by asking again.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from api.wiring import Ledger, open_ledger
from ledger import commands as c
from ledger.committer import Bounds
from ledger.errors import DatabaseUnavailable, OutcomeUnknown, Unavailable
from ledger.submission import Outcome
from tests.proxy import Fate, Proxy
from tests.writing import (
    accepted,
    all_at_once,
    assert_whole,
    batches,
    create,
    edit,
    eventually,
    issue_of,
    key,
    refused,
    release,
    submit,
    superuser,
    titles,
)

STATEMENTS_OF_A_CREATE = 8
"""Roughly: from BEGIN to COMMIT, where what it needs is not known yet."""

QUICK = Bounds(commit_seconds=1.0)


@pytest_asyncio.fixture
async def proxy(database_url: str) -> AsyncIterator[Proxy]:
    """A proxy in front of the shared database."""
    async with Proxy(database_url) as opened:
        yield opened


@pytest_asyncio.fixture
async def far(proxy: Proxy) -> AsyncIterator[Ledger]:
    """A ledger behind the proxy, which does not wait long for the answer to a COMMIT."""
    async with open_ledger(proxy.url, bounds=QUICK) as opened:
        yield opened


# ── after COMMIT ───────────────────────────────────────────────────────────────────────


async def test_a_connection_lost_after_commit_is_answered_as_committed(
    proxy: Proxy, far: Ledger, ledger: Ledger, company: str
) -> None:
    """The server committed and the client never heard: the caller gets the outcome, once."""
    for n in range(10):
        proxy.arrange(Fate.CUT_AFTER)
        outcome = await submit(far, company, create(str(n)))
        assert (issue_of(outcome).title, outcome.position) == (str(n), n + 2)
        assert not outcome.replayed
    assert await titles(ledger, company) == [str(n) for n in range(10)]
    await assert_whole(ledger, company)


async def test_a_whole_batch_lost_after_commit_is_answered_as_committed(
    proxy: Proxy, far: Ledger, ledger: Ledger, company: str
) -> None:
    """Every caller of the batch gets their own outcome; nobody's command runs again."""
    proxy.arrange(Fate.CUT_AFTER)
    answers = await all_at_once(*(submit(far, company, create(str(n))) for n in range(50)))
    assert [issue_of(outcome).title for outcome in accepted(answers)] == [str(n) for n in range(50)]
    assert await titles(ledger, company) == [str(n) for n in range(50)]
    assert await batches(ledger, company) == [1, 50]


async def test_refusals_in_a_batch_lost_after_commit_stand(
    proxy: Proxy, far: Ledger, ledger: Ledger, company: str
) -> None:
    """What was decided in the batch is what its callers hear, the refused ones too."""
    proxy.arrange(Fate.CUT_AFTER)
    answers = await all_at_once(
        submit(far, company, create("yes")), submit(far, company, edit("ACM-77", title="no"))
    )
    assert (len(accepted(answers)), len(refused(answers))) == (1, 1)
    assert await batches(ledger, company) == [1, 1]


async def test_what_was_found_committed_is_known_afterwards(
    proxy: Proxy, far: Ledger, company: str
) -> None:
    """The state that the lost batch made is the state that the next one decides from."""
    proxy.arrange(Fate.CUT_AFTER)
    issue = issue_of(await submit(far, company, create("old"))).id
    proxy.arrange(Fate.CUT_AFTER)
    assert issue_of(await submit(far, company, edit(issue, title="new"))).version == 2
    assert (await submit(far, company, edit(issue, title="new"))).results[0].appended == 0


async def test_a_database_that_is_away_for_a_moment_is_waited_for(
    proxy: Proxy, far: Ledger, ledger: Ledger, company: str
) -> None:
    """Lost after COMMIT and out of reach: the caller waits, and is answered when it is back."""
    proxy.arrange(Fate.CUT_AFTER, shut=True)
    waiting = asyncio.create_task(submit(far, company, create("once")))
    await proxy.arrives()
    await asyncio.sleep(0.5)
    assert not waiting.done()
    proxy.reopen()
    assert issue_of(await waiting).title == "once"
    assert await titles(ledger, company) == ["once"]


async def test_an_answer_that_does_not_come_is_not_waited_for(
    proxy: Proxy, far: Ledger, ledger: Ledger, company: str
) -> None:
    """A COMMIT whose answer hangs in the network is looked up after `commit_seconds`."""
    proxy.arrange(Fate.HOLD_ANSWER)
    assert issue_of(await submit(far, company, create("once"))).title == "once"
    proxy.let_go()
    assert await titles(ledger, company) == ["once"]
    assert await batches(ledger, company) == [1, 1]


async def test_a_commit_that_arrives_late_is_not_overtaken(
    proxy: Proxy, far: Ledger, ledger: Ledger, company: str
) -> None:
    """The log is asked under the lock, so not before the old session has made up its mind."""
    proxy.arrange(Fate.HOLD)
    waiting = asyncio.create_task(submit(far, company, create("once")))
    await proxy.arrives()
    await asyncio.sleep(2)  # Well after `commit_seconds`: the committer has begun to ask.
    assert not waiting.done()
    proxy.let_go()
    assert issue_of(await waiting).title == "once"
    assert await titles(ledger, company) == ["once"]
    assert await batches(ledger, company) == [1, 1]


async def test_a_database_that_is_gone_for_good_leaves_the_outcome_unknown(
    proxy: Proxy, ledger: Ledger, company: str
) -> None:
    """After `resolve_seconds` the caller is told so; asking again with the key tells the rest."""
    async with open_ledger(proxy.url, bounds=Bounds(resolve_seconds=0.5)) as far:
        await submit(far, company, create("before"))
        proxy.arrange(Fate.CUT_AFTER, shut=True)
        began = time.monotonic()
        with pytest.raises(OutcomeUnknown):
            await submit(far, company, create("once"), key=key("k"))
        assert time.monotonic() - began < 20
        assert await titles(ledger, company) == ["before", "once"]
        proxy.reopen()
        again = await submit(far, company, create("once"), key=key("k"))
        assert (issue_of(again).title, again.replayed) == ("once", True)
    assert await titles(ledger, company) == ["before", "once"]


async def test_a_reply_that_appended_nothing_is_found_again(
    proxy: Proxy, far: Ledger, ledger: Ledger, company: str
) -> None:
    """A batch that only keeps a key has no events to look for; the caller gets its answer."""
    issue = issue_of(await submit(far, company, create())).id
    proxy.arrange(Fate.CUT_AFTER)
    outcome = await submit(far, company, release(issue), key=key("k"))
    assert outcome.results[0].appended == 0
    assert (await submit(far, company, release(issue), key=key("k"))).replayed
    assert await batches(ledger, company) == [1, 1]


async def test_asking_is_repeated_until_there_is_an_answer(
    proxy: Proxy, far: Ledger, ledger: Ledger, company: str
) -> None:
    """The connection that asks may be lost as well, at any statement; nothing runs twice."""
    for n in range(8):
        for fate in (Fate.CUT_BEFORE, Fate.CUT_AFTER):
            name = f"{n} {fate.name}"
            proxy.arrange(Fate.CUT_AFTER)
            proxy.arrange(fate, "", skip=n + STATEMENTS_OF_A_CREATE)
            await all_at_once(*(submit(far, company, create(f"{name} {k}")) for k in range(3)))
    written = await titles(ledger, company)
    assert len(written) == len(set(written)) == 8 * 2 * 3


async def test_asking_survives_a_server_that_ends_the_session(
    proxy: Proxy, far: Ledger, ledger: Ledger, company: str
) -> None:
    """The answer and the server's farewell arrive together; the committer asks again."""
    proxy.arrange(Fate.CUT_AFTER)
    proxy.arrange(Fate.HOLD_ANSWER, "SELECT head FROM")
    calls = [asyncio.create_task(submit(far, company, create(str(n)))) for n in range(3)]
    await end_the_held_session(proxy, ledger)
    await asyncio.gather(*calls)
    assert await titles(ledger, company) == ["0", "1", "2"]


# ── before COMMIT ──────────────────────────────────────────────────────────────────────


async def test_a_connection_lost_before_commit_costs_another_attempt(
    proxy: Proxy, far: Ledger, ledger: Ledger, company: str
) -> None:
    """The server never got the COMMIT: nothing was written, and the batch runs again."""
    for n in range(10):
        proxy.arrange(Fate.CUT_BEFORE)
        assert issue_of(await submit(far, company, create(str(n)))).title == str(n)
    assert await titles(ledger, company) == [str(n) for n in range(10)]
    await assert_whole(ledger, company)


async def test_a_connection_lost_again_and_again_costs_as_many_attempts(
    proxy: Proxy, far: Ledger, ledger: Ledger, company: str
) -> None:
    """Up to `attempts`; the caller notices nothing but the time."""
    for _ in range(3):
        proxy.arrange(Fate.CUT_BEFORE)
    answers = await all_at_once(*(submit(far, company, create(str(n))) for n in range(5)))
    assert len(accepted(answers)) == 5
    assert await batches(ledger, company) == [1, 5]


@pytest.mark.parametrize("fate", [Fate.CUT_BEFORE, Fate.CUT_AFTER], ids=["before", "after"])
async def test_a_connection_lost_at_any_statement_costs_another_attempt(
    proxy: Proxy, far: Ledger, ledger: Ledger, company: str, fate: Fate
) -> None:
    """At BEGIN, at the lock, while loading, while writing: what is lost is done again, once."""
    for n in range(12):
        proxy.arrange(fate, "", skip=n)
        await submit(far, company, create(str(n), external_ref=("jira", str(n))), key=key(str(n)))
    assert await titles(ledger, company) == [str(n) for n in range(12)]
    await assert_whole(ledger, company)


async def test_a_session_that_the_server_ends_between_two_statements_costs_an_attempt(
    proxy: Proxy, far: Ledger, ledger: Ledger, company: str
) -> None:
    """The answer and the server's farewell arrive together; the next statement finds out."""
    proxy.arrange(Fate.HOLD_ANSWER, "FOR NO KEY UPDATE")
    waiting = asyncio.create_task(submit(far, company, create("once")))
    await end_the_held_session(proxy, ledger)
    assert issue_of(await waiting).title == "once"
    assert await titles(ledger, company) == ["once"]


async def test_a_position_that_somebody_else_took_meanwhile_is_not_taken_for_ours(
    proxy: Proxy, far: Ledger, ledger: Ledger, company: str
) -> None:
    """Lost before COMMIT; another process writes there; ours is written behind it."""
    proxy.arrange(Fate.CUT_BEFORE, shut=True)
    waiting = asyncio.create_task(submit(far, company, create("mine")))
    await proxy.arrives()
    assert (await submit(ledger, company, create("theirs"))).position == 2
    proxy.reopen()
    assert (await waiting).position == 3
    assert await titles(ledger, company) == ["theirs", "mine"]


async def test_a_database_that_cannot_be_reached_has_written_nothing(
    proxy: Proxy, far: Ledger, ledger: Ledger, company: str
) -> None:
    """Nothing was sent, and the caller is told so; once it is back, everything works."""
    await submit(far, company, create("before"))
    proxy.shut()
    answers = await all_at_once(*(submit(far, company, create("never")) for _ in range(20)))
    assert {type(error) for error in refused(answers)} == {DatabaseUnavailable}
    assert len(refused(answers)) == 20
    proxy.reopen()
    await submit(far, company, create("after"))
    assert await titles(ledger, company) == ["before", "after"]


# ── anything, at any time ──────────────────────────────────────────────────────────────


async def test_whatever_is_lost_whenever_nothing_is_lost_or_doubled(
    proxy: Proxy, far: Ledger, ledger: Ledger, company: str
) -> None:
    """Eight writers, and cuts all the time: every command ends up in the log exactly once."""
    dice = random.Random(7)
    fates = (Fate.CUT_BEFORE, Fate.CUT_AFTER, Fate.HOLD_ANSWER)

    async def write(name: str) -> Outcome:
        command: c.Command = create(name)
        while True:
            try:
                return await submit(far, company, command, key=key(name, name))
            except Unavailable:
                await asyncio.sleep(0.01)

    async def work(worker: int) -> None:
        for n in range(10):
            outcome = await write(f"{worker}/{n}")
            assert issue_of(outcome).title == f"{worker}/{n}"

    workers = asyncio.gather(*(work(worker) for worker in range(8)))
    for _ in range(40):
        proxy.arrange(dice.choice(fates), dice.choice(["^COMMIT$", ""]), skip=dice.randrange(6))
        await asyncio.sleep(dice.random() / 20)
        proxy.let_go()
    await workers
    written = await titles(ledger, company)
    assert sorted(written) == sorted(f"{worker}/{n}" for worker in range(8) for n in range(10))
    await assert_whole(ledger, company)


# ── helpers ────────────────────────────────────────────────────────────────────────────


async def end_the_held_session(proxy: Proxy, ledger: Ledger) -> None:
    """Ends the session that was answered but has not heard it, as a restart would; lets go."""
    await proxy.arrives()
    async with superuser(ledger.url) as administrator:
        held = (
            "FROM pg_stat_activity WHERE state = 'idle in transaction' "
            "AND datname = current_database()"
        )

        async def is_held() -> bool:
            return bool(await administrator.fetchval(f"SELECT count(*) {held}"))

        async def is_gone() -> bool:
            return not await is_held()

        await eventually(is_held)
        await administrator.execute(f"SELECT pg_terminate_backend(pid) {held}")
        await eventually(is_gone)
    proxy.let_go()
