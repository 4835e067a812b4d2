"""A repeated Idempotency-Key gets the first reply, and nothing is done twice.

Here below HTTP, where twins can be put into one batch, or through two processes, on purpose.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from hashlib import sha256

import pytest
import pytest_asyncio

from api.wiring import Ledger, open_ledger
from ledger.errors import IdempotencyKeyReused, IdempotencyReplyGone, IssueHeld, NotFound
from ledger.ids import new_id
from ledger.retention import forget_old_replies
from ledger.submission import IdempotencyKey, Outcome
from tests.conftest import NewDatabase
from tests.writing import (
    accepted,
    all_at_once,
    assert_whole,
    batches,
    check_out,
    comment,
    create,
    entry,
    issue_of,
    key,
    log_of,
    refused,
    release,
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


async def test_the_same_key_again_gets_the_first_reply(
    ledger: Ledger, other: Ledger, company: str
) -> None:
    """Word for word, from any process, however often; only `replayed` differs."""
    labels = (entry("label", "bug"), entry("label", "chore"))
    await submit(ledger, company, *labels)
    command = create("once", labels=("bug", "chore"), due_at="2026-04-12T17:00:00.000000Z")
    first = await submit(ledger, company, command, key=key("k"))
    assert not first.replayed
    for through in (ledger, other, ledger):
        again = await submit(through, company, create("once"), key=key("k"))
        assert again.replayed
        assert (again.results, again.position) == (first.results, first.position)
    assert await titles(ledger, company) == ["once"]


async def test_the_first_reply_is_not_todays_state(ledger: Ledger, company: str) -> None:
    """What has happened to the issue since is not in it."""
    command = create("as it was")
    first = await submit(ledger, company, command, key=key("k"))
    await submit(ledger, company, comment(command.issue_id))
    again = await submit(ledger, company, command, key=key("k"))
    assert issue_of(again) == issue_of(first)
    assert issue_of(again).comment_count == 0


async def test_twins_in_one_batch_are_carried_out_once(ledger: Ledger, company: str) -> None:
    """Five of a kind in one transaction: one does it, the others hear what came of it."""
    answers = await all_at_once(
        *(submit(ledger, company, create("once"), key=key("k")) for _ in range(5))
    )
    outcomes = accepted(answers)
    assert [outcome.replayed for outcome in outcomes] == [False, True, True, True, True]
    assert len({issue_of(outcome).id for outcome in outcomes}) == 1
    assert await batches(ledger, company) == [1, 1]


async def test_twins_through_two_processes_are_carried_out_once(
    ledger: Ledger, other: Ledger, company: str
) -> None:
    """Whichever comes first, there is one set of events, and both hear of it."""
    for n in range(ROUNDS):
        name = f"k{n}"
        outcomes = await asyncio.gather(
            *(
                submit(through, company, create(name), key=key(name))
                for through in ((ledger, other), (other, ledger))[n % 2]
            )
        )
        assert sorted(outcome.replayed for outcome in outcomes) == [False, True]
        assert outcomes[0].results == outcomes[1].results
    assert await titles(ledger, company) == [f"k{n}" for n in range(ROUNDS)]


async def test_a_key_for_another_request_is_refused(
    ledger: Ledger, other: Ledger, company: str
) -> None:
    """In the same batch, later, and elsewhere: a key stands for one request."""
    answers = await all_at_once(
        submit(ledger, company, create("this"), key=key("k", "this")),
        submit(ledger, company, create("that"), key=key("k", "that")),
    )
    assert [type(error) for error in refused(answers)] == [IdempotencyKeyReused]
    for through in (ledger, other):
        with pytest.raises(IdempotencyKeyReused):
            await submit(through, company, create("that"), key=key("k", "that"))
    assert await titles(ledger, company) == ["this"]


async def test_a_key_is_its_actors_own(ledger: Ledger, company: str) -> None:
    """Two actors may well think of the same key."""
    for actor in ("user:alice", "user:bob", "agent:alice"):
        outcome = await submit(ledger, company, create(actor), key=key("k", "x", actor))
        assert not outcome.replayed
    assert len(await titles(ledger, company)) == 3


async def test_a_key_is_its_companys_own(ledger: Ledger, company: str) -> None:
    """Another company's key of the same name is another key."""
    neighbour = await ledger.create_company("Neighbour")
    for tenant in (company, neighbour):
        assert not (await submit(ledger, tenant, create(), key=key("k"))).replayed


async def test_a_refusal_is_decided_anew(ledger: Ledger, company: str) -> None:
    """A key that was refused was not used: what stands now decides."""
    one, two, issue = entry("agent", "One"), entry("agent", "Two"), create()
    await submit(ledger, company, one, two, issue)
    await submit(ledger, company, check_out(issue.issue_id, one.entry_id))
    attempt = check_out(issue.issue_id, two.entry_id)
    for _ in range(2):
        with pytest.raises(IssueHeld):
            await submit(ledger, company, attempt, key=key("k"))
    await submit(ledger, company, release(issue.issue_id))
    outcome = await submit(ledger, company, attempt, key=key("k"))
    assert issue_of(outcome).holder_agent_id == two.entry_id
    assert not outcome.replayed


async def test_a_refused_twin_leaves_its_key_to_the_next_one(ledger: Ledger, company: str) -> None:
    """Twins in one batch, the first of which is refused: the second is decided on its own."""
    issue = create("now there")
    answers = await all_at_once(
        submit(ledger, company, comment(issue.issue_id), key=key("k")),
        submit(ledger, company, issue),
        submit(ledger, company, comment(issue.issue_id), key=key("k")),
    )
    assert [type(error) for error in refused(answers)] == [NotFound]
    assert [outcome.replayed for outcome in accepted(answers)] == [False, False]


async def test_a_key_of_many_commands_covers_all_of_them(ledger: Ledger, company: str) -> None:
    """A submission's events are one set, and so is its reply."""
    commands = (create("a"), create("b"), create("c"))
    first = await submit(ledger, company, *commands, key=key("k"))
    again = await submit(ledger, company, *commands, key=key("k"))
    assert again.replayed
    assert again.results == first.results
    assert await titles(ledger, company) == ["a", "b", "c"]


async def test_commands_of_a_list_share_a_key_by_their_places(ledger: Ledger, company: str) -> None:
    """Each item of a list is answered for itself, the first time and again."""
    digest = sha256(b"the list").digest()
    keys = [IdempotencyKey("user:alice", "k", digest, item) for item in (1, 2, 3)]
    for replayed in (False, True):
        outcomes = await asyncio.gather(
            *(submit(ledger, company, create(str(k.item)), key=k) for k in keys)
        )
        assert [issue_of(outcome).title for outcome in outcomes] == ["1", "2", "3"]
        assert {outcome.replayed for outcome in outcomes} == {replayed}
    with pytest.raises(IdempotencyKeyReused):
        await submit(ledger, company, create(), key=key("k", "no list"))


async def test_a_key_that_changed_nothing_is_kept_too(ledger: Ledger, company: str) -> None:
    """Agreement without events is a reply like any other."""
    issue = create()
    await submit(ledger, company, issue)
    first = await submit(ledger, company, release(issue.issue_id), key=key("k"))
    again = await submit(ledger, company, release(issue.issue_id), key=key("k"))
    assert (first.replayed, again.replayed) == (False, True)
    assert first.results == again.results
    await assert_whole(ledger, company)  # Its time is not that of an event.


async def test_a_reply_of_version_0_1_0_can_be_given_again(ledger: Ledger, company: str) -> None:
    """It knew nothing of how often an issue was taken."""
    first = await submit(ledger, company, create("x"))
    kept = json.loads(first.to_json())
    del kept["results"][0]["subject"]["run_count"]
    assert Outcome.from_json(json.dumps(kept)).results == first.results


async def test_every_kind_of_reply_can_be_given_again(
    ledger: Ledger, other: Ledger, company: str
) -> None:
    """Entries with their fields, comments, runs: what was written down reads back equal."""
    agent, issue = entry("agent", "One"), create("x", labels=())
    team = entry("team", "Eng", lead_agent_id=agent.entry_id, agent_ids=[agent.entry_id])
    commands = (agent, issue, team, comment(issue.issue_id, "Grüße, 世界 \U0001f600"),
                check_out(issue.issue_id, agent.entry_id))  # fmt: skip
    for n, command in enumerate(commands):
        first = await submit(ledger, company, command, key=key(str(n)))
        again = await submit(other, company, command, key=key(str(n)))
        assert again.replayed
        assert again.results == first.results


# ── after seven days ───────────────────────────────────────────────────────────────────


async def test_a_key_outlives_its_reply(new_database: NewDatabase) -> None:
    """After seven days the reply is gone; the key still refuses, and names what it did."""
    url = await new_database()
    async with open_ledger(url) as ledger, superuser(url) as owner:
        company = await ledger.create_company("Acme")
        commands = (create("a"), create("b"))
        await submit(ledger, company, create("before"))
        await submit(ledger, company, *commands, key=key("old"))
        await submit(ledger, company, create("young"), key=key("young"))
        await owner.execute(
            "UPDATE idempotency_keys SET recorded_at = recorded_at - interval '7 days 1 second' "
            "WHERE key = 'old'"
        )
        assert await forget_old_replies(ledger.readers) == 1
        assert await forget_old_replies(ledger.readers) == 0

        with pytest.raises(IdempotencyReplyGone) as gone:
            await submit(ledger, company, *commands, key=key("old"))
        assert gone.value.facts == {"first_position": 3, "last_position": 4}
        with pytest.raises(IdempotencyKeyReused):
            await submit(ledger, company, *commands, key=key("old", "another request"))
        assert (await submit(ledger, company, create("young"), key=key("young"))).replayed
        assert len(await log_of(ledger, company)) == 5


async def test_more_replies_are_forgotten_than_fit_in_one_statement(
    new_database: NewDatabase,
) -> None:
    """Company by company, a thousand at a time, until there are none."""
    url = await new_database()
    async with open_ledger(url) as ledger, superuser(url) as owner:
        for count in (1200, 5):
            company = await ledger.create_company("Acme")
            await asyncio.gather(
                *(submit(ledger, company, create(), key=key(new_id())) for _ in range(count))
            )
        await owner.execute("UPDATE idempotency_keys SET recorded_at = '2020-01-01'")
        assert await forget_old_replies(ledger.readers) == 1205
        assert await owner.fetchval("SELECT count(*) FROM idempotency_keys") == 1205
