"""Runs over HTTP: what an attempt says while it lasts, how it ends, and what stays of it."""

from __future__ import annotations

from typing import Any

import pytest

from api.wire import MAX_CHECKPOINT
from ledger.actors import Role
from ledger.codec import MAX_INT
from tests.client import Client
from tests.conftest import NewClient


@pytest.fixture
async def one(new_client: NewClient, company: str) -> Client:
    """An agent."""
    return await new_client(company, Role.AGENT, "agent:one")


@pytest.fixture
async def two(new_client: NewClient, company: str) -> Client:
    """Another agent."""
    return await new_client(company, Role.AGENT, "agent:two")


@pytest.fixture
async def issue(owner: Client) -> str:
    """The path of a new issue."""
    return f"issues/{(await owner.post('issues', {'title': 'x'})).json['id']}"


@pytest.fixture
async def run(one: Client, issue: str) -> str:
    """The path of a run of the first agent's, which holds the issue."""
    return await _begun(one, issue)


async def _begun(agent: Client, issue: str) -> str:
    taken = await agent.post(f"{issue}/checkout")
    assert taken.status == 200, taken
    return f"{issue}/runs/{taken.json['run_id']}"


async def _logged(owner: Client, kind: str) -> list[Any]:
    return [event["data"] for event in (await owner.get(f"events?type={kind}")).json["items"]]


# ── progress ───────────────────────────────────────────────────────────────────────────


async def test_a_run_shows_how_far_it_said_it_is(one: Client, owner: Client, run: str) -> None:
    """The last message and percentage; the log keeps all."""
    for body in ({"message": "Reading.", "percent": 0}, {"message": "Writing.", "percent": 100}):
        said = await one.post(f"{run}/progress", body)
        assert said.status == 200
        shown = (await one.get(run)).json
        assert (shown["progress_message"], shown["progress_percent"]) == tuple(body.values())
        assert shown["progressed_at"] == said.json["progressed_at"] is not None
    vague = await one.post(f"{run}/progress", {"message": "Nearly."})
    assert vague.json["progress_percent"] is None
    logged = await _logged(owner, "run.progressed")
    assert [event["message"] for event in logged] == ["Reading.", "Writing.", "Nearly."]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/message"), ({"message": ""}, "/message"), ({"message": "x" * 2001}, "/message"),
        ({"message": None}, "/message"), ({"message": "x", "percent": 101}, "/percent"),
        ({"message": "x", "percent": -1}, "/percent"),
        ({"message": "x", "percent": 1.5}, "/percent"),
        ({"message": "x", "percent": "50"}, "/percent"),
        ({"message": "x", "agent_id": "y"}, "/agent_id"),
    ],
)  # fmt: skip
async def test_progress_that_is_wrong_is_a_422(
    one: Client, run: str, body: Any, pointer: str
) -> None:
    """With a pointer; a percentage is a whole number up to a hundred."""
    reply = await one.post(f"{run}/progress", body)
    assert (reply.status, reply.json["errors"][0]["pointer"]) == (422, pointer)


# ── checkpoints ────────────────────────────────────────────────────────────────────────

CHECKPOINTS: list[Any] = [
    None, True, False, 0, 1.5, -0.25, 1e300, 5e-324, 0.1, MAX_INT, -MAX_INT, "", "text", "ключ 😀",
    [], {}, [None, [1.0, {"a": []}]],
    {"step": 3, "files": ["a", "b"], "ratio": 2.0, "": {"é": "\n"}},
]  # fmt: skip


@pytest.mark.parametrize("value", CHECKPOINTS, ids=repr)
async def test_a_checkpoint_is_any_json_of_the_runs_own(
    one: Client, owner: Client, run: str, value: Any
) -> None:
    """It comes back as it was, fractions too; the log keeps its text."""
    saved = await one.post(f"{run}/checkpoint", {"checkpoint": value})
    assert saved.status == 200
    shown = (await one.get(run)).json
    assert (shown["checkpoint"], type(shown["checkpoint"])) == (value, type(value))
    assert shown["checkpointed_at"] == saved.json["checkpointed_at"] is not None
    (logged,) = await _logged(owner, "run.checkpointed")
    assert isinstance(logged["checkpoint"], str)


async def test_a_run_shows_its_last_checkpoint_and_the_log_has_all(
    one: Client, owner: Client, run: str
) -> None:
    """A list of runs shows none: they may be long."""
    assert (await one.get(run)).json["checkpoint"] is None
    for n in range(3):
        await one.post(f"{run}/checkpoint", {"checkpoint": {"step": n}})
    assert (await one.get(run)).json["checkpoint"] == {"step": 2}
    logged = await _logged(owner, "run.checkpointed")
    assert [event["checkpoint"] for event in logged] == [f'{{"step":{n}}}' for n in range(3)]
    (listed,) = (await one.get(run.rpartition("/")[0])).json["items"]
    assert "checkpoint" not in listed


@pytest.mark.parametrize("letter", ["x", "é", "😀"])
async def test_a_checkpoint_has_so_many_bytes_at_most(one: Client, run: str, letter: str) -> None:
    """Counted as UTF-8: the longest is kept, one byte more is a 422 and changes nothing."""
    room = MAX_CHECKPOINT - 2  # The quotation marks count.
    longest = letter * (room // len(letter.encode()))
    longest += "x" * (room - len(longest.encode()))
    assert (await one.post(f"{run}/checkpoint", {"checkpoint": longest})).status == 200
    refused = await one.post(f"{run}/checkpoint", {"checkpoint": longest + "x"})
    assert (refused.status, refused.json["code"]) == (422, "invalid")
    assert refused.json["errors"][0]["pointer"] == "/checkpoint"
    assert (await one.get(run)).json["checkpoint"] == longest


async def test_a_checkpoint_of_a_number_that_is_none_is_a_422(one: Client, run: str) -> None:
    """A number beyond what a double holds would come back as another value, or as none."""
    for text in (b"1e400", b"[-1e999]", b'{"a": {"b": 1e309}}'):
        refused = await one.post(f"{run}/checkpoint", b'{"checkpoint": %s}' % text)
        assert (refused.status, refused.json["code"]) == (422, "invalid")
        assert refused.json["errors"][0]["pointer"] == "/checkpoint"
    assert (await one.get(run)).json["checkpointed_at"] is None


async def test_a_checkpoint_must_be_there(one: Client, run: str) -> None:
    """Nothing is not null."""
    for body in (None, {}, {"checkpoints": 1}):
        assert (await one.post(f"{run}/checkpoint", body)).status == 422


# ── workspace ──────────────────────────────────────────────────────────────────────────


async def test_a_workspace_is_kept_beyond_the_run(one: Client, owner: Client, run: str) -> None:
    """A link to it may be set when the run is over; the same again is agreement."""
    await one.post(f"{run}/fail")
    for url in ("https://example.com/w/1", "file:///srv/w/1", "s3://bucket/key", "s3://bucket/key"):
        kept = await one.post(f"{run}/workspace", {"workspace_url": url})
        assert (kept.status, kept.json["workspace_url"]) == (200, url)
    assert (await one.get(run)).json["workspace_url"] == "s3://bucket/key"
    assert len(await _logged(owner, "run.workspace_retained")) == 3


@pytest.mark.parametrize(
    "url",
    ["", "no link", "/srv/w", "://x", "1a:x", "https:", "https://a b", None, 5, "h:" + "x" * 2000],
)  # fmt: skip
async def test_a_workspace_that_is_no_link_is_a_422(one: Client, run: str, url: Any) -> None:
    """With a pointer."""
    reply = await one.post(f"{run}/workspace", {"workspace_url": url})
    assert (reply.status, reply.json["errors"][0]["pointer"]) == (422, "/workspace_url")


# ── how it ends ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "status", "reason", "event"),
    [
        ({}, "done", "finished", "issue.transitioned"),
        ({"status": "done", "exit_reason": "merged"}, "done", "merged", "issue.transitioned"),
        ({"status": "in_review"}, "in_review", "finished", "issue.submitted"),
    ],
)
async def test_finishing_a_run_moves_its_issue_on(
    one: Client,
    owner: Client,
    issue: str,
    run: str,
    body: Any,
    status: str,
    reason: str,
    event: str,
) -> None:
    """Where the workflow says, or where it asks to; nobody holds the issue any longer."""
    before = int((await owner.get("")).headers["Ledger-Position"])
    ended = await one.post(f"{run}/finish", {**body, "exit_details": "All green."})
    assert ended.status == 200
    assert (ended.json["status"], ended.json["exit_reason"]) == ("ended", reason)
    assert ended.json["exit_details"] == "All green."
    assert (await one.get(run)).json == {**ended.json, "checkpoint": None}
    now = (await one.get(issue)).json
    assert (now["status"], now["holder"]) == (status, None)
    events = (await owner.get(f"events?after={before}")).json["items"]
    assert [e["type"] for e in events] == [event, "run.ended"]


@pytest.mark.parametrize("status", ["closed", "todo", "failed", "nope", 5])
async def test_a_finished_run_leaves_its_issue_done_or_to_be_reviewed(
    one: Client, run: str, status: Any
) -> None:
    """Another status is a 422."""
    reply = await one.post(f"{run}/finish", {"status": status})
    assert (reply.status, reply.json["errors"][0]["pointer"]) == (422, "/status")


@pytest.mark.parametrize(
    ("body", "status", "assignee", "reason"),
    [
        ({}, "todo", None, "failed"),
        ({"exit_reason": "out of context"}, "todo", None, "out of context"),
        ({"retry": True}, "todo", None, "failed"),
        ({"retry": False}, "failed", "agent:one", "failed"),
    ],
)
async def test_failing_a_run_lets_another_one_try_unless_there_is_no_point(
    one: Client, two: Client, issue: str, run: str, body: Any, status: str, assignee: str | None,
    reason: str,
) -> None:  # fmt: skip
    """The issue waits again, for anybody; or it has failed with the run."""
    ended = await one.post(f"{run}/fail", {**body, "exit_details": "Stuck."})
    assert (ended.status, ended.json["status"]) == (200, "ended")
    assert (ended.json["exit_reason"], ended.json["exit_details"]) == (reason, "Stuck.")
    now = (await one.get(issue)).json
    assert (now["status"], now["assignee"], now["holder"]) == (status, assignee, None)
    if status == "todo":
        assert await _begun(two, issue) != run


async def test_a_run_that_is_over_says_no_more(one: Client, run: str) -> None:
    """409 `run_over`, with how it ended; what it cost and where it worked are told all the same."""
    await one.post(f"{run}/finish")
    for path, body in (
        ("progress", {"message": "x"}), ("checkpoint", {"checkpoint": 1}), ("finish", {}),
        ("fail", {}),
    ):  # fmt: skip
        reply = await one.post(f"{run}/{path}", body)
        assert (reply.status, reply.json["code"]) == (409, "run_over"), path
        assert "finished" in reply.json["detail"]
    costs = {"provider": "p", "model": "m"}
    assert (await one.post(f"{run}/costs", costs)).status == 201
    assert (await one.post(f"{run}/workspace", {"workspace_url": "s3://a"})).status == 200


async def test_a_paused_run_may_still_say_where_it_stopped(
    one: Client, owner: Client, issue: str, run: str
) -> None:
    """Progress and a checkpoint; it neither finishes nor fails until it holds its issue again."""
    await owner.post(f"{issue}/pause", {"reason": "Wait for the review."})
    shown = (await one.get(run)).json
    assert (shown["status"], shown["paused_at"] is None) == ("paused", False)
    assert (await one.post(f"{run}/progress", {"message": "Stopped."})).status == 200
    assert (await one.post(f"{run}/checkpoint", {"checkpoint": 1})).status == 200
    for path in ("finish", "fail"):
        reply = await one.post(f"{run}/{path}")
        assert (reply.status, reply.json["code"]) == (409, "run_over")
    await owner.post(f"{issue}/resume")
    assert await _begun(one, issue) == run
    assert (await one.get(run)).json["status"] == "active"
    assert (await one.post(f"{run}/finish")).status == 200


async def test_a_run_is_its_agents_own(two: Client, owner: Client, run: str) -> None:
    """Another agent is a 403; a person may step in."""
    for path, body in (
        ("progress", {"message": "x"}), ("checkpoint", {"checkpoint": 1}),
        ("workspace", {"workspace_url": "s3://a"}), ("finish", {}), ("fail", {}),
    ):  # fmt: skip
        reply = await two.post(f"{run}/{path}", body)
        assert (reply.status, reply.json["code"]) == (403, "forbidden"), path
    assert (await owner.post(f"{run}/finish")).status == 200


async def test_what_a_run_left_stays_readable_when_its_issue_goes_to_another(
    one: Client, two: Client, owner: Client, issue: str, run: str
) -> None:
    """Its checkpoint, its progress and its costs; the next attempt is a new run."""
    await one.post(f"{run}/checkpoint", {"checkpoint": {"step": 2}})
    await one.post(f"{run}/progress", {"message": "Half-way.", "percent": 50})
    await one.post(f"{run}/costs", {"provider": "p", "model": "m", "cost_micros": 7})
    moved = await owner.post(f"{issue}/reassign", {"agent_id": "two"})
    assert (moved.json["status"], moved.json["holder"]) == ("todo", None)
    old = (await two.get(run)).json
    assert (old["status"], old["exit_reason"]) == ("ended", "reassigned")
    assert (old["checkpoint"], old["progress_percent"], old["cost_micros"]) == ({"step": 2}, 50, 7)
    new = await _begun(two, issue)
    runs = (await two.get(f"{issue}/runs")).json["items"]
    assert [f"{issue}/runs/{shown['id']}" for shown in runs] == [new, run]
    assert (await two.get(issue)).json["run_count"] == 2
