"""How events are written down: read again as they were, canonical, and committed to by a leaf.

What is pinned here is on disk in other people's databases. A test that fails because a name, a
field or a hash changed is right, and the change is wrong: a new shape is a new schema_version.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any, get_args, get_type_hints

import orjson
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as for_all
from hypothesis import strategies as st
from pydantic import ValidationError

from ledger.actors import Actor
from ledger.codec import MAX_INT, canonical, data_hash, decode, encode, leaf, timestamp
from ledger.database import connect
from ledger.events import EVENT_TYPES, Event, IssueCommented, Json, KeyRevoked, Recorded
from tests.scenario import an_id

MOVED = "from_status to_status reason"
BUDGET_SET = "from_micros to_micros"
BUDGET_REACHED = "month limit_micros spent_micros"
STORED = {
    "company.created": "name workflow issue_prefix",
    "company.budget_set": BUDGET_SET,
    "company.budget_warned": BUDGET_REACHED,
    "company.budget_exceeded": BUDGET_REACHED,
    "key.created": "role actor name secret_sha256",
    "key.renamed": "from_name to_name",
    "key.revoked": "",
    "directory.entry_created": "kind name slug fields",
    "directory.entry_updated": "kind changes",
    "directory.entry_archived": "kind name",
    "agent.paused": "name reason",
    "agent.resumed": "name",
    "agent.budget_set": BUDGET_SET,
    "agent.budget_warned": BUDGET_REACHED,
    "agent.budget_exceeded": BUDGET_REACHED,
    "issue.created": (
        "identifier prefix number title description status priority assignee team_id project_id "
        "goal_id milestone_id parent_id label_ids due_at estimate sort_order billing_code "
        "external_system external_id per_task_micros"
    ),
    "issue.edited": "changes",
    "issue.transitioned": MOVED,
    "issue.submitted": MOVED,
    "issue.accepted": MOVED,
    "issue.rejected": MOVED,
    "issue.failed": MOVED,
    "issue.cancelled": MOVED,
    "issue.closed": f"{MOVED} forced",
    "issue.reopened": MOVED,
    "issue.handed_off": MOVED,
    "issue.taken_over": f"{MOVED} from_assignee to_assignee",
    "issue.paused": MOVED,
    "issue.interrupted": MOVED,
    "issue.resumed": MOVED,
    "issue.blocked": f"{MOVED} blocker_id",
    "issue.unblocked": f"{MOVED} blocker_id",
    "issue.budget_set": BUDGET_SET,
    "issue.budget_warned": BUDGET_REACHED,
    "issue.budget_exceeded": BUDGET_REACHED,
    "issue.assigned": "from_assignee to_assignee",
    "issue.unassigned": "from_assignee",
    "issue.reassigned": "from_assignee to_assignee from_status to_status reason",
    "issue.checked_out": "agent_id run_id from_assignee from_status to_status lease_seconds",
    "issue.lease_renewed": "agent_id run_id lease_seconds",
    "issue.lease_expired": "agent_id run_id from_assignee to_assignee from_status to_status",
    "issue.released": ("agent_id run_id from_assignee to_assignee from_status to_status reason"),
    "issue.commented": "comment_id body",
    "issue.comment_edited": "comment_id body from_position",
    "issue.comment_deleted": "comment_id",
    "issue.labelled": "label_id name",
    "issue.unlabelled": "label_id name",
    "issue.linked": "link_id link_type target_id target_identifier",
    "issue.unlinked": "link_id link_type target_id",
    "issue.deleted": "identifier reason",
    "run.started": "issue_id agent_id",
    "run.cost_reported": (
        "issue_id agent_id team_id project_id provider model input_tokens output_tokens "
        "cached_tokens cost_micros"
    ),
    "run.cost_corrected": (
        "corrects_position issue_id agent_id team_id project_id provider model reported_at month "
        "from_input_tokens from_output_tokens from_cached_tokens from_cost_micros input_tokens "
        "output_tokens cached_tokens cost_micros reason"
    ),
    "run.progressed": "issue_id agent_id message percent",
    "run.checkpointed": "issue_id agent_id checkpoint",
    "run.workspace_retained": "issue_id agent_id workspace_url",
    "run.paused": "issue_id agent_id reason",
    "run.resumed": "issue_id agent_id",
    "run.ended": "issue_id agent_id exit_reason exit_details",
}
"""Stored name → the fields of its data, in today's schema_version."""

CAME_LATER: Mapping[str, Sequence[Mapping[str, Json]]] = {
    "issue.created": [{"per_task_micros": None}],
    "issue.checked_out": [{"lease_seconds": 24 * 3600}],
    "run.cost_reported": [{"team_id": None}],
    "run.ended": [{"exit_details": None}],
}
"""Stored name → what each schema_version after the first added, and what an older event, which
knows nothing of it, is read as."""


# ── names ──────────────────────────────────────────────────────────────────────────────


def test_published_names_never_change() -> None:
    """Moving or renaming a class moves no event."""
    assert sorted(EVENT_TYPES) == sorted(STORED)


@pytest.mark.parametrize("name", STORED)
def test_published_fields_never_change(name: str) -> None:
    """Another field, or one less, is another schema_version and an upcaster."""
    cls = EVENT_TYPES[name]

    assert cls.type == name
    assert cls.schema_version == 1 + len(CAME_LATER.get(name, []))
    assert [*cls.__struct_fields__] == STORED[name].split()


def test_every_event_is_listed() -> None:
    """A class that is not in the table could be written and never read."""
    defined = {cls.type for cls in _below(Event) if "type" in vars(cls)}

    assert defined == EVENT_TYPES.keys()


def _below(cls: type[Event]) -> list[type[Event]]:
    below = [one for one in cls.__subclasses__() if one.__module__ == Event.__module__]
    return [*below, *(found for one in below for found in _below(one))]


def test_an_unknown_name_is_not_read() -> None:
    """An event that this program does not know is never passed over in silence."""
    with pytest.raises(KeyError):
        decode("issue.teleported", 1, {})


# ── round trip ─────────────────────────────────────────────────────────────────────────

texts = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=30)
whole = st.integers(-MAX_INT, MAX_INT)
jsons: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | whole | texts,
    lambda some: st.lists(some, max_size=4) | st.dictionaries(texts, some, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(texts, jsons, max_size=5)


def _values(hint: Any) -> st.SearchStrategy[Any]:
    """Anything that a field of this type may hold."""
    match hint:
        case type() if hint is str:
            return texts
        case type() if hint is bool:
            return st.booleans()
        case type() if hint is int:
            return whole
        case _ if type(None) in get_args(hint):
            (other,) = (arg for arg in get_args(hint) if arg is not type(None))
            return st.none() | _values(other)
        case _ if hint == tuple[str, ...]:
            return st.lists(texts, max_size=4).map(tuple)
        case _ if hint == Mapping[str, Json]:
            return objects
        case _ if hint == Mapping[str, Mapping[str, Json]]:
            return st.dictionaries(texts, objects, max_size=3)
        case _:
            raise AssertionError(f"no values for {hint}")


def _events(cls: type[Event]) -> st.SearchStrategy[Event]:
    hints = get_type_hints(cls)
    return st.builds(cls, **{name: _values(hints[name]) for name in cls.__struct_fields__})


events = st.one_of(*(_events(cls) for cls in EVENT_TYPES.values()))


@pytest.mark.parametrize("cls", EVENT_TYPES.values(), ids=lambda cls: cls.type)
def test_what_is_written_is_read_again(cls: type[Event]) -> None:
    """Every event of every type, whatever its fields hold: the same values of the same types."""

    @settings(max_examples=60, deadline=None)
    @for_all(_events(cls))
    def round_trip(event: Event) -> None:
        written = encode(event)
        again = decode(cls.type, cls.schema_version, orjson.loads(written))
        assert again == event
        assert encode(again) == written  # Python calls 1 and True equal; JSON does not.

    round_trip()


@settings(max_examples=300, deadline=None)
@for_all(objects)
def test_canonical_json_is_what_any_json_library_can_write(data: dict[str, Json]) -> None:
    """Sorted keys, no spaces, UTF-8: an auditor needs no code of ours."""
    plain = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    assert canonical(data) == plain.encode()


@settings(max_examples=300, deadline=None)
@for_all(objects, st.randoms(use_true_random=False))
def test_equal_data_has_equal_bytes(data: dict[str, Json], random: Any) -> None:
    """In whatever order the keys come."""
    shuffled = list(data.items())
    random.shuffle(shuffled)

    assert canonical(dict(shuffled)) == canonical(data)


async def test_canonical_bytes_survive_postgres(database_url: str) -> None:
    """jsonb orders keys as it likes; what is hashed is made again from what it gives back."""
    written = _arbitrary_data()
    connection = await connect(database_url, "ledger_owner")
    try:
        await connection.execute("CREATE TEMPORARY TABLE kept (place bigint, data jsonb)")
        await connection.execute(
            "INSERT INTO kept SELECT place, data::jsonb "
            "FROM unnest($1::text[]) WITH ORDINALITY AS given (data, place)",
            [data.decode() for data in written],
        )
        kept = await connection.fetch("SELECT data FROM kept ORDER BY place")
    finally:
        await connection.close()

    assert [canonical(row["data"]) for row in kept] == written


def _arbitrary_data() -> list[bytes]:
    """The data of a few hundred arbitrary events, and JSON at large."""
    found = [canonical({"n": [MAX_INT, -MAX_INT, 0, True, None, "é", "\u2028", "\x7f", "💡"]})]

    @settings(
        max_examples=400,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @for_all(events.map(encode) | objects.map(canonical))
    def collect(data: bytes) -> None:
        found.append(data)

    collect()
    return found


# ── older events ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "schema_version"),
    [(name, n + 1) for name, added in CAME_LATER.items() for n in range(len(added))],
)
def test_an_older_event_is_read_as_one_of_today(name: str, schema_version: int) -> None:
    """Whatever its fields hold: as it was, and with what was taken for granted in its time.

    Nothing is made up for an event of today that lacks a field.
    """
    came_later = {
        field: value
        for added in CAME_LATER[name][schema_version - 1 :]
        for field, value in added.items()
    }

    @settings(max_examples=60, deadline=None)
    @for_all(_events(EVENT_TYPES[name]))
    def upcast(event: Event) -> None:
        today = orjson.loads(encode(event))
        older = {field: value for field, value in today.items() if field not in came_later}
        written = dict(older)

        read = decode(name, schema_version, older)

        assert orjson.loads(encode(read)) == today | came_later
        assert older == written  # What is stored is not changed by being read.
        with pytest.raises(ValidationError):
            decode(name, EVENT_TYPES[name].schema_version, older)

    upcast()


# ── hashes ─────────────────────────────────────────────────────────────────────────────

SALT = bytes(range(16))
EVENT = IssueCommented(comment_id=an_id(21), body="Grüße, «world»")
RECORDED = Recorded(
    company_id=an_id(0),
    position=42,
    stream_id=an_id(1),
    version=7,
    event_id=an_id(100),
    event=EVENT,
    actor=Actor("agent", "coder"),
    on_behalf_of=Actor("user", "alice"),
    key_id=an_id(41),
    command_id=an_id(200),
    correlation_id="00-trace-01",
    causation_id="cause",
    run_id=an_id(11),
    recorded_at=datetime(2026, 4, 12, 17, 0, 0, 123456, tzinfo=UTC),
    occurred_at=datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC),
    via="api",
)


def test_data_hash_is_what_the_documentation_says() -> None:
    """SHA-256 of a label, the salt and the data, computed by hand."""
    data = f'{{"body":"Grüße, «world»","comment_id":"{an_id(21)}"}}'.encode()
    assert encode(EVENT) == data

    by_hand = sha256(b"ledger/data/v1\x00" + SALT + data)

    assert data_hash(SALT, data) == by_hand.digest()
    assert by_hand.hexdigest() == DATA_HASH


def test_a_leaf_is_what_the_documentation_says() -> None:
    """SHA-256 of 0x00, a label and each column with its length in four bytes, by hand."""
    hashed = bytes.fromhex(DATA_HASH)
    columns = [
        an_id(0), "42", an_id(1), "7", an_id(100), "issue.commented", "1", "agent", "coder",
        "user:alice", an_id(41), an_id(200), "00-trace-01", "cause", an_id(11),
        "2026-04-12T17:00:00.123456Z", "2025-12-31T23:59:59.000000Z", "api",
    ]  # fmt: skip
    by_hand = sha256(b"\x00ledger/leaf/v1\x00")
    for column in (*(text.encode() for text in columns), hashed):
        by_hand.update(len(column).to_bytes(4, "big"))
        by_hand.update(column)

    assert leaf(RECORDED, 1, hashed) == by_hand.digest()
    assert by_hand.hexdigest() == LEAF


def test_a_leaf_of_an_event_with_empty_columns() -> None:
    """Nothing is written as a length that no text has."""
    bare = RECORDED._replace(
        on_behalf_of=None,
        key_id=None,
        correlation_id=None,
        causation_id=None,
        run_id=None,
        occurred_at=None,
        event=KeyRevoked(),
    )

    assert leaf(bare, 1, bytes(32)).hex() == BARE_LEAF


DATA_HASH = "944f1a82cdfae72fbd3df8627d457470d3ab6ebe61f10bfe3d52771d9aa2c77c"
LEAF = "90e08661f905f1396c5358d22dc4a8779452627b8fc9bed363f3b9c94853e5ea"
BARE_LEAF = "f10264b8f7956e78c59680d6dc8cdd042097e2adf80bdc02f3ad7b6855543555"
"""Written down once; what changes them breaks every proof there is."""

OTHER: dict[str, Any] = {
    "company_id": an_id(9),
    "position": 43,
    "stream_id": an_id(9),
    "version": 8,
    "event_id": an_id(9),
    "event": KeyRevoked(),
    "actor": Actor("user", "coder"),
    "on_behalf_of": Actor("user", "bob"),
    "key_id": an_id(9),
    "command_id": an_id(9),
    "correlation_id": "other",
    "causation_id": "other",
    "run_id": an_id(9),
    "recorded_at": RECORDED.recorded_at + timedelta(microseconds=1),
    "occurred_at": RECORDED.recorded_at,
    "via": "cli",
}
MAY_BE_EMPTY = {
    "on_behalf_of",
    "key_id",
    "correlation_id",
    "causation_id",
    "run_id",
    "occurred_at",
}
HASHED = bytes(32)


def test_every_column_has_another_value_to_try() -> None:
    """A column that is added to the log must be added to the leaf."""
    assert OTHER.keys() == set(Recorded._fields)


@pytest.mark.parametrize("column", OTHER)
def test_any_changed_column_changes_the_leaf(column: str) -> None:
    """To another value, and where it may be empty, to nothing."""
    before = leaf(RECORDED, 1, HASHED)

    for value in [OTHER[column]] + [None] * (column in MAY_BE_EMPTY):
        changed: dict[str, Any] = {column: value}
        assert leaf(RECORDED._replace(**changed), 1, HASHED) != before


@pytest.mark.parametrize("actor", [Actor("agent", "alice"), Actor("user", "bob")])
def test_the_actors_type_and_id_are_columns_of_their_own(actor: Actor) -> None:
    """Either of them changes the leaf."""
    assert leaf(RECORDED._replace(actor=actor), 1, HASHED) != leaf(RECORDED, 1, HASHED)


def test_the_stored_schema_version_and_the_data_change_the_leaf() -> None:
    """An old event keeps the leaf of the version that it was written in."""
    assert leaf(RECORDED, 2, HASHED) != leaf(RECORDED, 1, HASHED)
    assert leaf(RECORDED, 1, b"\x01" * 32) != leaf(RECORDED, 1, HASHED)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (
            {"correlation_id": "ab", "causation_id": "c"},
            {"correlation_id": "a", "causation_id": "bc"},
        ),
        (
            {"correlation_id": "", "causation_id": None},
            {"correlation_id": None, "causation_id": ""},
        ),
        ({"correlation_id": ""}, {"correlation_id": None}),
        ({"run_id": None, "via": an_id(1)}, {"run_id": an_id(1), "via": ""}),
    ],
)
def test_no_column_runs_into_the_next(one: dict[str, Any], two: dict[str, Any]) -> None:
    """Lengths are committed to, and nothing is not an empty text."""
    assert leaf(RECORDED._replace(**one), 1, HASHED) != leaf(RECORDED._replace(**two), 1, HASHED)


def test_the_salt_keeps_equal_data_apart() -> None:
    """Nobody guesses an erased text from its hash."""
    data = encode(EVENT)

    assert data_hash(SALT, data) != data_hash(SALT[::-1], data)


# ── times ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 4, 12, 17, 0, tzinfo=UTC), "2026-04-12T17:00:00.000000Z"),
        (datetime(2, 1, 1, 0, 0, 0, 1, tzinfo=UTC), "0002-01-01T00:00:00.000001Z"),
        (datetime(9998, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), "9998-12-31T23:59:59.999999Z"),
        (
            datetime(2026, 4, 12, 1, 30, tzinfo=timezone(timedelta(hours=5, minutes=30))),
            "2026-04-11T20:00:00.000000Z",
        ),
    ],
)
def test_times_are_written_in_one_way(moment: datetime, text: str) -> None:
    """RFC 3339 in UTC, four digits of year, six of second."""
    assert timestamp(moment) == text


@settings(max_examples=200, deadline=None)
@for_all(
    st.datetimes(
        datetime(2, 1, 1),
        datetime(9998, 12, 30),
        timezones=st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(
            lambda offset: timezone(timedelta(minutes=offset // timedelta(minutes=1)))
        ),
    )
)
def test_times_are_read_as_they_were_written(moment: datetime) -> None:
    """Any of them, in any zone, of the same length; so texts sort as times do."""
    written = timestamp(moment)

    assert datetime.fromisoformat(written) == moment
    assert len(written) == 27
