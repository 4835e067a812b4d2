"""Importing Beads: given rows as real files have them, then this is what the ledger says.

Each oddity that was met in a repository's `.beads/issues.jsonl` has a small file here, written
by the test. The real files are compared with what these tests read from them by themselves.
"""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from api.importing.beads import import_beads
from api.importing.report import ImportFailed, Report
from api.wiring import OPERATOR, Ledger
from ledger import commands as c
from ledger.actors import Role
from ledger.ids import new_id

_REAL = Path(__file__).parents[2] / "shared" / "data" / "beads"
_needs_real_files = pytest.mark.skipif(not _REAL.exists(), reason=f"{_REAL} is not there")

_CREATED = "2026-01-02T03:04:05Z"
_UPDATED = "2026-01-05T00:00:00Z"

Row = dict[str, Any]


def _row(issue: str = "bd-1", **fields: Any) -> Row:
    return {
        "id": issue,
        "title": f"Title of {issue}",
        "status": "open",
        "priority": 2,
        "issue_type": "task",
        "created_at": _CREATED,
        "updated_at": _UPDATED,
        **fields,
    }


def _event(kind: str, at: str, issue: str = "bd-1", **fields: Any) -> Row:
    return {"issue_id": issue, "event_type": kind, "actor": "mayor", "created_at": at, **fields}


def _dependency(target: str, kind: str = "blocks", **fields: Any) -> Row:
    return {"depends_on_id": target, "type": kind, "created_at": _UPDATED, **fields}


def _write(file: Path, rows: Iterable[Row]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return file


def _folder(at: Path, rows: Iterable[Row], **backup: Iterable[Row]) -> Path:
    """A folder with `issues.jsonl`, and `backup/` with a file for each keyword."""
    _write(at / "issues.jsonl", rows)
    for name, lines in backup.items():
        _write(at / "backup" / f"{name}.jsonl", lines)
    return at


class Imported:
    """A company into which files are imported, and what it then says, in Beads' words."""

    def __init__(self, ledger: Ledger, company: str, path: Path) -> None:
        self.ledger = ledger
        self.company = company
        self.report: Report
        self._path = path
        self._number = 0

    async def rows(self, *rows: Row) -> Report:
        """Imports rows from a file of their own."""
        self._number += 1
        return await self.path(_write(self._path / f"{self._number}.jsonl", rows))

    async def text(self, text: str | bytes) -> Report:
        """Imports a file with this text."""
        self._number += 1
        file = self._path / f"{self._number}.jsonl"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return await self.path(file)

    async def folder(self, *rows: Row, **backup: Iterable[Row]) -> Report:
        """Imports a folder of its own."""
        self._number += 1
        return await self.path(_folder(self._path / str(self._number), rows, **backup))

    async def path(self, path: Path) -> Report:
        """Imports a path."""
        self.report = await import_beads(path, self.company, self.ledger)
        return self.report

    async def fetch(self, sql: str) -> list[Row]:
        """Rows of the ledger's tables; `$1` is the company."""
        return [dict(row) for row in await self.ledger.readers.fetch(sql, self.company)]

    async def entries(self) -> dict[str, Row]:
        """Entries of the directory by id."""
        found = await self.fetch("SELECT * FROM directory WHERE company_id = $1")
        return {str(entry["entry_id"]): entry for entry in found}

    async def issues(self) -> dict[str, Row]:
        """Issues by their Beads id, with names in place of ids."""
        entries = await self.entries()
        found = await self.fetch("SELECT * FROM issues WHERE company_id = $1")
        refs = {issue["issue_id"]: issue["external_id"] for issue in found}
        for issue in found:
            issue["labels"] = {entries[str(label)]["name"] for label in issue["label_ids"]}
            issue["assignee"] = _named(issue["assignee"], entries)
            issue["created_by"] = _named(issue["created_by"], entries)
            issue["parent"] = refs.get(issue["parent_id"])
        return {issue["external_id"]: issue for issue in found}

    async def issue(self, issue: str = "bd-1") -> Row:
        """One issue."""
        return (await self.issues())[issue]

    async def all_comments(self) -> list[tuple[str, str | None, str]]:
        """Every comment in its order: its issue, author and text."""
        entries = await self.entries()
        found = await self.fetch(
            "SELECT c.author, c.body, i.external_id FROM comments c JOIN issues i USING "
            "(company_id, issue_id) WHERE company_id = $1 AND c.deleted_at IS NULL "
            "ORDER BY c.created_position"
        )
        return [(row["external_id"], _named(row["author"], entries), row["body"]) for row in found]

    async def comments(self, issue: str = "bd-1") -> list[tuple[str | None, str]]:
        """Author and text of an issue's comments, in their order."""
        return [(author, text) for on, author, text in await self.all_comments() if on == issue]

    async def links(self) -> set[tuple[str, str, str]]:
        """Every link, as (source, type, target)."""
        found = await self.fetch(
            "SELECT i.external_id AS source, l.link_type, t.external_id AS target FROM links l "
            "JOIN issues i ON i.company_id = l.company_id AND i.issue_id = l.issue_id "
            "JOIN issues t ON t.company_id = l.company_id AND t.issue_id = l.target_id "
            "WHERE l.company_id = $1"
        )
        return {(link["source"], link["link_type"], link["target"]) for link in found}

    async def events(self, *types: str) -> list[Row]:
        """The log, with authors' names; of some types, if any are given."""
        entries = await self.entries()
        found = await self.fetch("SELECT * FROM events WHERE company_id = $1 ORDER BY position")
        for event in found:
            event["author"] = _named(event["on_behalf_of"], entries)
        return [event for event in found if not types or event["type"] in types]

    async def moves(self) -> list[tuple[str, str | None]]:
        """Every transition: the status it led to and its reason."""
        found = await self.events("issue.transitioned")
        return [(event["data"]["to_status"], event["data"]["reason"]) for event in found]

    async def submit(self, command: c.Command) -> Any:
        """What somebody does in the ledger."""
        outcome = await self.ledger.as_operator(self.company, command)
        return outcome.results[0].subject


def _named(actor: str | None, entries: Mapping[str, Row]) -> str | None:
    if actor is None:
        return None
    kind, _, ident = actor.partition(":")
    return entries[ident]["name"] if ident in entries else f"{kind}:{ident}"


def _said(report: Report, what: str) -> list[str]:
    return [oddity.where for oddity in report.oddities if oddity.what == what]


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.fixture
def beads(ledger: Ledger, company: str, tmp_path: Path) -> Imported:
    """A company to import into."""
    return Imported(ledger, company, tmp_path)


# ── a row ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("word", "status", "reason", "label"),
    [
        ("open", "todo", None, None),
        ("in_progress", "in_progress", None, None),
        ("blocked", "blocked", None, None),
        ("closed", "closed", None, None),
        ("hooked", "in_progress", "beads status: hooked", "status:hooked"),
        ("pinned", "backlog", "beads status: pinned", "status:pinned"),
        ("deferred", "backlog", "beads status: deferred", "status:deferred"),
        ("waiting", "backlog", "beads status: waiting", "status:waiting"),
    ],
)  # fmt: skip
async def test_every_status_has_one_here_and_keeps_its_word(
    beads: Imported, word: str, status: str, reason: str | None, label: str | None
) -> None:
    """A word without an equal is the reason of the transition, and a label."""
    report = await beads.rows(_row(status=word))
    issue = await beads.issue()
    assert issue["status"] == status
    assert issue["labels"] == ({label} if label else set())
    assert await beads.moves() == ([] if status == "todo" else [(status, reason)])
    assert bool(_said(report, "unknown_status")) == (word == "waiting")


async def test_a_row_keeps_its_dates_author_texts_and_place(beads: Imported) -> None:
    """What the model has a place for is in it, when and by whom the row says."""
    await beads.rows(
        _row(
            description="Long\ntext",
            priority=0,
            issue_type="bug",
            labels=["ui", "urgent one"],
            assignee="beads/polecats/obsidian",
            created_by="mayor",
            due_at="2026-03-01T12:00:00+02:00",
            estimated_minutes=90,
            status="closed",
            closed_at="2026-01-04T00:00:00Z",
            close_reason="merged",
        )
    )
    issue = await beads.issue()
    assert issue["title"] == "Title of bd-1"
    assert issue["description"] == "Long\ntext"
    assert issue["priority"] == "urgent"
    assert issue["labels"] == {"type:bug", "ui", "urgent one"}
    assert issue["assignee"] == "beads/polecats/obsidian"
    assert issue["created_by"] == "mayor"
    assert issue["created_at"] == _at(_CREATED)
    assert issue["completed_at"] == _at("2026-01-04T00:00:00Z")
    assert issue["due_at"] == _at("2026-03-01T10:00:00Z")
    assert issue["estimate"] == 90
    assert (issue["external_system"], issue["external_id"]) == ("beads", "bd-1")
    assert await beads.moves() == [("closed", "merged")]


@pytest.mark.parametrize(
    ("number", "priority"),
    [
        (0, "urgent"),
        (1, "high"),
        (2, "medium"),
        (3, "low"),
        (4, "none"),
        (9, "none"),
        (None, "none"),
    ],
)
async def test_priorities_count_from_zero(
    beads: Imported, number: int | None, priority: str
) -> None:
    """Nought is the most urgent; a number that Beads does not know is none, and reported."""
    report = await beads.rows(_row(priority=number))
    assert (await beads.issue())["priority"] == priority
    assert bool(_said(report, "unknown_priority")) == (number not in (0, 1, 2, 3, 4))


async def test_texts_without_a_place_become_comments(beads: Imported) -> None:
    """Design, acceptance criteria, notes and a foreign reference are comments with a heading."""
    report = await beads.rows(
        _row(design="D", acceptance_criteria="A", notes="N", external_ref="gh-9")
    )
    assert {text for _, text in await beads.comments()} == {
        "Design\n\nD",
        "Acceptance criteria\n\nA",
        "Notes\n\nN",
        "external_ref: gh-9",
    }
    assert len(_said(report, "text_as_comment")) == 4
    comments = await beads.events("issue.commented")
    assert {event["occurred_at"] for event in comments} == {_at(_UPDATED)}


async def test_other_fields_are_kept_as_json_in_one_comment(beads: Imported) -> None:
    """Nothing is dropped: what says something and has no place is listed and kept."""
    report = await beads.rows(
        _row(
            ephemeral=True, owner="a@example.invalid", metadata={"b": [1.5]}, pinned=False,
            rig="", content_hash="abc", dependency_count=2,
        )
    )  # fmt: skip
    kept = '{"metadata": {"b": [1.5]}, "owner": "a@example.invalid"}'
    assert [text for _, text in await beads.comments()] == [
        f"Beads fields without a place here: {kept}"
    ]
    assert (await beads.issue())["labels"] == {"ephemeral"}
    details = [oddity.detail for oddity in report.oddities]
    assert [detail.split()[0] for detail in details] == [
        "content_hash", "dependency_count", "metadata", "owner",
    ]  # fmt: skip


async def test_an_open_row_with_a_close_reason_keeps_it(beads: Imported) -> None:
    """What contradicts the status is not believed, and not lost."""
    await beads.rows(_row(close_reason="oops", closed_at=_UPDATED))
    assert (await beads.issue())["status"] == "todo"
    assert '"close_reason": "oops"' in (await beads.comments())[0][1]


async def test_work_that_began_is_told_by_started_at(beads: Imported) -> None:
    """Newer files say when; then the issue was in progress from that time."""
    await beads.rows(
        _row(
            started_at="2026-01-03T00:00:00Z", assignee="ruby", status="closed",
            closed_at="2026-01-04T00:00:00Z",
        )
    )  # fmt: skip
    issue = await beads.issue()
    assert issue["started_at"] == _at("2026-01-03T00:00:00Z")
    assert [status for status, _ in await beads.moves()] == ["in_progress", "closed"]


async def test_comments_keep_author_and_time(beads: Imported) -> None:
    """Comments inside a row, with ids that are numbers or texts; an empty one is reported."""
    report = await beads.rows(
        _row(
            comments=[
                {"id": 1, "author": "emma", "text": "Hi", "created_at": "2026-01-03T00:00:00Z"},
                {"id": "x", "author": "Ann Lee", "text": "Ho", "created_at": "2026-01-04"},
                {"id": 3, "author": "emma", "text": ""},
                {"id": 4, "author": "", "text": "No date"},
            ]
        )
    )  # fmt: skip
    assert await beads.comments() == [
        ("emma", "Hi"), ("Ann Lee", "Ho"), ("system:import:beads", "No date"),
    ]  # fmt: skip
    first = (await beads.events("issue.commented"))[0]
    assert first["occurred_at"] == _at("2026-01-03T00:00:00Z")
    assert len(_said(report, "empty_comment")) == 1
    assert len(_said(report, "no_date")) == 1


async def test_a_tombstone_is_an_issue_that_was_deleted(beads: Imported) -> None:
    """It is made as it was, then deleted at its time, by whom and why the row says."""
    report = await beads.rows(
        _row(
            status="tombstone", deleted_at="2026-02-01T00:00:00Z", deleted_by="stevey",
            delete_reason="duplicate", original_type="bug",
        ),
        _row("bd-2", dependencies=[_dependency("bd-1")]),
    )  # fmt: skip
    issue = await beads.issue()
    assert issue["deleted_at"] == _at("2026-02-01T00:00:00Z")
    (deleted,) = await beads.events("issue.deleted")
    assert deleted["data"]["reason"] == "duplicate"
    assert deleted["author"] == "stevey"
    assert await beads.links() == {("bd-2", "blocked_by", "bd-1")}
    assert _said(report, "tombstone") == ["bd-1"]


# ── who ────────────────────────────────────────────────────────────────────────────────


async def test_people_are_those_with_an_address_or_a_space(beads: Imported) -> None:
    """Everybody else in a tracker for agents is one; each is listed once."""
    report = await beads.rows(
        _row(created_by="Steve Yegge", assignee="beads/crew/emma"),
        _row("bd-2", created_by="a@example.invalid", assignee="beads/crew/emma"),
    )
    entries = {e["name"]: (e["kind"], e["fields"]) for e in (await beads.entries()).values()}
    assert entries == {
        "Steve Yegge": ("user", {}),
        "a@example.invalid": ("user", {"email": "a@example.invalid"}),
        "beads/crew/emma": ("agent", {}),
    }
    assert (report.agents, report.users) == (1, 2)


async def test_agents_and_labels_that_are_here_already_are_used(beads: Imported) -> None:
    """By their name in any case, or by their slug."""
    for kind, name in (("agent", "Release Bot"), ("agent", "Mayor"), ("label", "UI")):
        await beads.submit(
            c.CreateEntry(
                actor=OPERATOR, role=Role.OWNER, entry_id=new_id(), kind=kind,
                entry_name=name, slug=None, fields={},
            )
        )  # fmt: skip
    await beads.rows(_row(created_by="mayor", assignee="release-bot", labels=["ui"]))
    issue = await beads.issue()
    assert (issue["created_by"], issue["assignee"]) == ("Mayor", "Release Bot")
    assert issue["labels"] == {"UI"}
    assert len(await beads.entries()) == 3


async def test_labels_that_look_alike_stay_apart(beads: Imported) -> None:
    """Two names with one slug are two labels, in every import the same."""
    rows = [_row(labels=["a b", "a-b", "A B", "!!!", "???", "x" * 300])]
    await beads.rows(*rows)
    assert len((await beads.issue())["labels"]) == 6
    assert (await beads.rows(*rows)).appended == 0


async def test_a_label_archived_here_is_listed_anew(beads: Imported) -> None:
    """A later row that uses it is not refused."""
    await beads.rows(_row(labels=["ui"]))
    label = next(iter(await beads.entries()))
    await beads.submit(c.ArchiveEntry(actor=OPERATOR, role=Role.OWNER, kind="label", entry=label))
    report = await beads.rows(_row("bd-2", labels=["ui"]))
    assert (await beads.issue("bd-2"))["labels"] == {"ui"}
    assert not _said(report, "refused")


async def test_labels_beyond_a_hundred_are_kept_in_a_comment(beads: Imported) -> None:
    """An issue has at most a hundred."""
    report = await beads.rows(_row(labels=[f"label {n}" for n in range(103)]))
    assert len((await beads.issue())["labels"]) == 100
    assert "label 100, label 101, label 102" in (await beads.comments())[0][1]
    assert _said(report, "too_many_labels") == ["bd-1"]


# ── relations ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "link"),
    [
        ("blocks", ("bd-1", "blocked_by", "bd-2")),
        ("discovered-from", ("bd-1", "discovered_from", "bd-2")),
        ("duplicates", ("bd-1", "duplicates", "bd-2")),
        ("supersedes", ("bd-2", "supersedes", "bd-1")),
        ("tracks", ("bd-1", "tracks", "bd-2")),
        ("replies-to", ("bd-1", "replies_to", "bd-2")),
        ("caused-by", ("bd-1", "caused_by", "bd-2")),
        ("validates", ("bd-1", "validates", "bd-2")),
    ],
)
async def test_dependencies_become_links(
    beads: Imported, kind: str, link: tuple[str, str, str]
) -> None:
    """A dependency points from its issue; `supersedes` alone is kept at the other end."""
    report = await beads.rows(_row(dependencies=[_dependency("bd-2", kind)]), _row("bd-2"))
    assert await beads.links() == {link}
    (linked,) = await beads.events("issue.linked")
    assert linked["occurred_at"] == _at(_UPDATED)
    assert report.links == 1
    assert not await beads.comments()


@pytest.mark.parametrize("kind", ["related", "relates-to", "waits-for"])
async def test_links_without_direction_or_equal_are_relations(beads: Imported, kind: str) -> None:
    """A type that is unknown here is kept in a comment as well."""
    rows = [
        _row(dependencies=[_dependency("bd-2", kind, metadata='{"gate":"all"}')]),
        _row("bd-2", dependencies=[_dependency("bd-1", kind)]),
    ]
    report = await beads.rows(*rows)
    ((_, link_type, _),) = await beads.links()
    assert link_type == "relates_to"
    (comment,) = await beads.comments()
    assert comment[1] == f'beads dependency: {kind} bd-2 {{"metadata": "{{\\"gate\\":\\"all\\"}}"}}'
    assert bool(_said(report, "other_link")) == (kind == "waits-for")


async def test_a_link_to_an_issue_that_is_nowhere_is_a_comment(beads: Imported) -> None:
    """And becomes a link when that issue is imported later."""
    row = _row(
        dependencies=[
            _dependency("bd-9", created_by="mayor"), _dependency("external:gastown:x", "tracks"),
        ]
    )  # fmt: skip
    report = await beads.rows(row)
    assert await beads.comments() == [
        ("mayor", "beads dependency: blocks bd-9, which is not in this import"),
        ("system:import:beads",
         "beads dependency: tracks external:gastown:x, which is not in this import"),
    ]  # fmt: skip
    assert _said(report, "dangling_link") == ["bd-1", "bd-1"]
    await beads.rows(row, _row("bd-9"))
    assert await beads.links() == {("bd-1", "blocked_by", "bd-9")}
    assert len(await beads.comments()) == 2


async def test_a_link_to_an_issue_of_an_earlier_import_is_a_link(beads: Imported) -> None:
    """Repositories that refer to each other may be imported one after the other."""
    await beads.rows(_row("aa-1"))
    await beads.rows(_row(dependencies=[_dependency("aa-1")]))
    assert await beads.links() == {("bd-1", "blocked_by", "aa-1")}


async def test_a_parent_is_a_parent_and_a_second_one_a_link(beads: Imported) -> None:
    """Whether the row or a dependency names it; ids that look like children's mean nothing."""
    report = await beads.rows(
        _row("bd-1"),
        _row("bd-2", parent="bd-1"),
        _row("bd-1.1", dependencies=[
            _dependency("bd-404", "parent-child"),
            _dependency("bd-2", "parent-child"),
            _dependency("bd-1", "parent-child"),
        ]),
    )  # fmt: skip
    issues = await beads.issues()
    assert issues["bd-2"]["parent"] == "bd-1"
    assert issues["bd-1.1"]["parent"] == "bd-2"
    ((one, kind, other),) = await beads.links()
    assert (kind, {one, other}) == ("relates_to", {"bd-1.1", "bd-1"})
    assert _said(report, "second_parent") == ["bd-1.1"]
    assert _said(report, "dangling_link") == ["bd-1.1"]
    assert report.parents == 2


async def test_what_decide_refuses_is_told_in_a_comment(beads: Imported) -> None:
    """A circle of parents cannot be closed; the row that would is told, once and for all."""
    parent = _dependency("bd-1", "parent-child", created_by="mayor")
    rows = [_row("bd-1", parent="bd-2"), _row("bd-2", dependencies=[parent])]
    report = await beads.rows(*rows)
    issues = await beads.issues()
    assert [issues[issue]["parent"] for issue in ("bd-1", "bd-2")] == ["bd-2", None]
    ((author, text),) = await beads.comments("bd-2")
    assert author == "mayor"
    assert text.startswith("Beads: parent bd-1\n\nNot taken over: ")
    assert _said(report, "refused") == ["bd-2"]
    assert (await beads.rows(*rows)).appended == 0


async def test_an_issue_related_to_itself_is_told_in_a_comment(beads: Imported) -> None:
    """Whether as its parent or in another way."""
    report = await beads.rows(_row(parent="bd-1", dependencies=[_dependency("bd-1")]))
    assert {text for _, text in await beads.comments()} == {
        "beads dependency: parent-child bd-1, which is itself",
        "beads dependency: blocks bd-1, which is itself",
    }
    assert len(_said(report, "self_link")) == 2


async def test_links_of_old_files_are_fields(beads: Imported) -> None:
    """`duplicate_of` and its like became dependencies later."""
    await beads.rows(
        _row("bd-1", duplicate_of="bd-2", superseded_by="bd-2", relates_to=["bd-3"], wisp=True),
        _row("bd-2"),
        _row("bd-3", replies_to="bd-2"),
    )
    links = {(a, kind, b) for a, kind, b in await beads.links() if kind != "relates_to"}
    assert links == {
        ("bd-1", "duplicates", "bd-2"),
        ("bd-2", "supersedes", "bd-1"),
        ("bd-3", "replies_to", "bd-2"),
    }
    assert len(await beads.links()) == 4
    assert (await beads.issue())["labels"] == {"ephemeral"}


# ── history ────────────────────────────────────────────────────────────────────────────


def _history(*events: Row) -> list[Row]:
    return [{"id": number, **event} for number, event in enumerate(events, 1)]


async def test_history_is_told_at_its_times_by_its_actors(beads: Imported) -> None:
    """Every event at its own time, sorted by it, by who did it; the row adds nothing more."""
    final = _row(
        description="new", status="closed", assignee="ruby", notes="second",
        closed_at="2026-01-04T00:00:00Z", close_reason="done",
    )  # fmt: skip
    was = {**_row(description="old"), "priority": 1}
    history = _history(
        _event("closed", "2026-01-04T00:00:00Z", new_value="done", actor="emma"),
        _event("created", _CREATED, new_value="", old_value=""),
        _event("status_changed", "2026-01-03T00:00:00Z", actor="mayor",
               old_value=json.dumps(was), new_value='{"status":"hooked","assignee":"ruby"}'),
        _event("updated", "2026-01-03T01:00:00Z", actor="ruby",
               new_value='{"description":"new","notes":"first","priority":2}'),
        _event("updated", "2026-01-03T02:00:00Z", actor="ruby", new_value='{"notes":"second"}'),
    )  # fmt: skip
    await beads.folder(final, events=history)
    log = await beads.events()
    assert [
        (event["type"], event["author"], event["occurred_at"]) for event in log if event["author"]
    ] == [
        ("issue.created", "mayor", _at(_CREATED)),
        ("issue.assigned", "mayor", _at("2026-01-03T00:00:00Z")),
        ("issue.transitioned", "mayor", _at("2026-01-03T00:00:00Z")),
        ("issue.edited", "ruby", _at("2026-01-03T01:00:00Z")),
        ("issue.commented", "ruby", _at("2026-01-03T01:00:00Z")),
        ("issue.comment_edited", "ruby", _at("2026-01-03T02:00:00Z")),
        ("issue.transitioned", "emma", _at("2026-01-04T00:00:00Z")),
    ]
    assert {event["via"] for event in log if event["occurred_at"]} == {"import:beads"}
    created = next(event["data"] for event in log if event["type"] == "issue.created")
    assert (created["description"], created["priority"]) == ("old", "high")
    assert await beads.moves() == [("in_progress", "beads status: hooked"), ("closed", "done")]
    issue = await beads.issue()
    assert (issue["description"], issue["status"]) == ("new", "closed")


async def test_steps_of_all_issues_are_in_the_order_of_their_times(beads: Imported) -> None:
    """Positions and times agree, whatever the order of the rows."""
    rows = [
        _row(f"bd-{n}", created_at=f"2026-01-{28 - n:02d}T00:00:00Z", updated_at="2026-02-01",
             status="closed", closed_at="2026-01-30T00:00:00Z",
             dependencies=[_dependency("bd-1", created_at="2026-01-01")])
        for n in range(1, 9)
    ]  # fmt: skip
    report = await beads.rows(*rows)
    times = [event["occurred_at"] for event in await beads.events() if event["occurred_at"]]
    assert times == sorted(times)
    assert sum(oddity.count for oddity in report.oddities if oddity.what == "before_birth") == 8


async def test_the_row_has_the_last_word_where_it_is_newer(beads: Imported) -> None:
    """What no event tells is made up for, at the row's time, and counted."""
    report = await beads.folder(
        _row(status="in_progress", assignee="ruby", title="Another"),
        events=_history(_event("created", _CREATED)),
    )
    issue = await beads.issue()
    assert (issue["status"], issue["assignee"]) == ("in_progress", "ruby")
    (moved,) = await beads.events("issue.transitioned")
    assert moved["occurred_at"] == _at(_UPDATED)
    (oddity,) = [o for o in report.oddities if o.what == "reconciled"]
    assert oddity.detail.endswith("assignee, status.")


async def test_the_history_has_the_last_word_where_it_goes_on(beads: Imported) -> None:
    """An event after `updated_at` happened to what the row says."""
    report = await beads.folder(
        _row(status="hooked", labels=["a"]),
        events=_history(
            _event("created", _CREATED),
            _event("closed", "2026-01-06T00:00:00Z", new_value="done"),
            _event("label_added", "2026-01-07T00:00:00Z", comment="Added label: b"),
        ),
    )
    assert await beads.moves() == [("in_progress", "beads status: hooked"), ("closed", "done")]
    assert (await beads.issue())["labels"] == {"a", "b"}
    assert _said(report, "history_newer") == ["bd-1"]


async def test_changes_that_no_event_tells_are_seen_in_the_next_one(beads: Imported) -> None:
    """An event's old value is the issue before it; what differs happened before."""
    was = _row(status="in_progress", assignee="ruby")
    report = await beads.folder(
        _row(status="closed", closed_at="2026-01-04T00:00:00Z", assignee="ruby"),
        events=_history(
            _event("created", _CREATED),
            _event("closed", "2026-01-04T00:00:00Z", old_value=json.dumps(was), new_value=""),
        ),
    )
    assert [status for status, _ in await beads.moves()] == ["in_progress", "closed"]
    assert _said(report, "untold_change") == ["bd-1"]


async def test_a_label_is_found_in_an_events_comment(beads: Imported) -> None:
    """Beads names it nowhere else; a label that was there before is there from the beginning."""
    report = await beads.folder(
        _row(labels=["kept", "added"]),
        events=_history(
            _event("created", _CREATED),
            _event("label_added", "2026-01-03T00:00:00Z", comment="Added label: added"),
            _event("label_removed", "2026-01-04T00:00:00Z", comment="Removed label: gone: away"),
        ),
    )
    (created,) = await beads.events("issue.created")
    entries = await beads.entries()
    had = {entries[label]["name"] for label in created["data"]["label_ids"]}
    assert had == {"kept", "gone: away"}
    changes = await beads.events("issue.labelled", "issue.unlabelled")
    assert [(event["type"], event["data"]["name"]) for event in changes] == [
        ("issue.labelled", "added"), ("issue.unlabelled", "gone: away"),
    ]  # fmt: skip
    assert (await beads.issue())["labels"] == {"kept", "added"}
    assert _said(report, "label_in_comment") == ["bd-1"]


async def test_work_resumed_goes_the_workflows_way(beads: Imported) -> None:
    """From closed nobody goes straight back to work: it is reopened first."""
    report = await beads.folder(
        _row(status="in_progress"),
        events=_history(
            _event("created", _CREATED),
            _event("closed", "2026-01-03T00:00:00Z", new_value="done"),
            _event("closed", "2026-01-03T01:00:00Z", new_value="done, again"),
            _event("reopened", "2026-01-04T00:00:00Z", new_value='{"status":"in_progress"}'),
        ),
    )
    assert [status for status, _ in await beads.moves()] == ["closed", "todo", "in_progress"]
    assert await beads.comments() == [("mayor", "Closed again in Beads: done, again")]
    assert _said(report, "way_round") == ["bd-1"]


async def test_an_issue_created_again_is_open_again(beads: Imported) -> None:
    """Tests that write into a real database do that; what was open stays so."""
    report = await beads.folder(
        _row(),
        events=_history(
            _event("created", _CREATED),
            _event("created", "2026-01-03T00:00:00Z"),
            _event("closed", "2026-01-03T01:00:00Z", new_value="pollution"),
            _event("created", "2026-01-03T02:00:00Z", actor="test"),
        ),
    )
    assert await beads.comments() == [("mayor", "Created again in Beads.")]
    assert await beads.moves() == [("closed", "pollution"), ("todo", "created again in Beads")]
    assert sum(o.count for o in report.oddities if o.what == "created_again") == 2


async def test_a_renamed_issue_keeps_its_last_id(beads: Imported) -> None:
    """Its history and what refers to it come along; the rename is told in a comment."""
    row = _row("bd-new", created_by="mayor")
    other = _row("bd-2", dependencies=[_dependency("bd-old")])
    history = _history(
        _event("created", _CREATED, "bd-old"),
        _event("renamed", "2026-01-03T00:00:00Z", "bd-new", old_value="bd-old", new_value="bd-new"),
    )
    report = await beads.folder(row, other, events=history)
    assert set(await beads.issues()) == {"bd-new", "bd-2"}
    assert await beads.links() == {("bd-2", "blocked_by", "bd-new")}
    assert await beads.comments("bd-new") == [("mayor", "Renamed in Beads: bd-old → bd-new")]
    assert _said(report, "renamed") == ["bd-new"]


async def test_an_issue_renamed_between_two_imports_is_the_same(beads: Imported) -> None:
    """The second import finds it under its former id."""
    created = _event("created", _CREATED, "bd-old")
    await beads.folder(_row("bd-old"), events=_history(created))
    renamed = _event("renamed", _UPDATED, "bd-new", old_value="bd-old", new_value="bd-new")
    moved = {**created, "issue_id": "bd-new"}
    await beads.folder(_row("bd-new", title="Title of bd-old"), events=_history(moved, renamed))
    assert set(await beads.issues()) == {"bd-new"}
    assert len(await beads.events("issue.created")) == 1


async def test_history_of_an_issue_without_a_row_is_kept(beads: Imported) -> None:
    """With the title that its history knows, else its id; its labels and links too."""
    report = await beads.folder(
        _row(),
        events=_history(
            _event("created", _CREATED, "hq-cv"),
            _event("updated", _UPDATED, "hq-known", new_value='{"notes":"n"}',
                   old_value=json.dumps(_row("hq-known", title="Known"))),
        ),
        labels=[{"issue_id": "hq-cv", "label": "x"}],
        dependencies=[{"issue_id": "hq-dep", "depends_on_id": "bd-1", "type": "tracks"}],
    )  # fmt: skip
    issues = await beads.issues()
    assert {issue: issues[issue]["title"] for issue in issues} == {
        "bd-1": "Title of bd-1", "hq-cv": "hq-cv", "hq-known": "Known", "hq-dep": "hq-dep",
    }  # fmt: skip
    assert issues["hq-cv"]["labels"] == {"x"}
    assert await beads.links() == {("hq-dep", "tracks", "bd-1")}
    assert sum(oddity.count for oddity in report.oddities if oddity.what == "no_row") == 3


async def test_events_without_an_equal_are_comments_by_their_actors(beads: Imported) -> None:
    """An agent's state is one comment that changes; an unknown event is told as it is."""
    report = await beads.folder(
        _row(agent_state="idle"),
        events=_history(
            _event("created", _CREATED),
            _event("updated", "2026-01-03T00:00:00Z", new_value='{"agent_state":"working"}'),
            _event("updated", "2026-01-03T01:00:00Z", new_value='{"agent_state":"idle"}'),
            _event("compacted", "2026-01-03T02:00:00Z", comment="by half"),
            _event("dependency_added", "2026-01-03T03:00:00Z", comment="Added dependency: x"),
            _event("commented", "2026-01-03T04:00:00Z", comment="Promoted"),
            _event("updated", "2026-01-03T05:00:00Z", new_value='{"hook_bead":""}'),
        ),
    )
    assert await beads.comments() == [
        ("mayor", 'Beads fields without a place here: {"agent_state": "idle"}'),
        ("mayor", "Beads history: compacted | by half"),
        ("mayor", "Beads history: dependency_added | Added dependency: x"),
        ("mayor", "Promoted"),
    ]
    assert len(_said(report, "other_event")) == 2
    assert _said(report, "empty_update") == ["bd-1"]


async def test_a_history_by_another_clock_is_told(beads: Imported) -> None:
    """Some versions write local times as UTC; times are kept as written, and that is reported."""
    rows = [_row(f"bd-{n}", created_at="2026-01-02T08:00:00Z") for n in range(3)]
    history = [_event("created", "2026-01-02T00:00:00Z", f"bd-{n}") for n in range(3)]
    report = await beads.folder(*rows, events=_history(*history))
    (oddity,) = [oddity for oddity in report.oddities if oddity.what == "history_clock"]
    assert oddity.count == 3
    assert "8 h behind" in oddity.detail
    assert (await beads.issue("bd-1"))["created_at"] == _at("2026-01-02T00:00:00Z")


# ── files ──────────────────────────────────────────────────────────────────────────────


async def test_broken_lines_are_reported_by_their_number(beads: Imported) -> None:
    """Each costs itself alone: half a line, a conflict, a list, a record that is no issue."""
    lines = [
        b"\xef\xbb\xbf" + json.dumps(_row("bd-1")).encode(),
        b"",
        b"<<<<<<< HEAD",
        json.dumps(_row("bd-2", title="Ours", updated_at="2026-01-01T00:00:00Z")).encode(),
        b"=======",
        json.dumps(_row("bd-2", title="Theirs")).encode(),
        b">>>>>>> branch",
        b'{"id": "bd-3", "title": "Ha',
        b"[1, 2]",
        json.dumps(_row("")).encode(),
        b'{"_type": "memory", "key": "a", "value": "b"}',
        b'{"_schema": "beads-jsonl/1"}',
        b'{"id": "bd-4", "title": "caf\xe9", "status": "open"}',
        b"\x00\xff garbage",
    ]
    report = await beads.text(b"\r\n".join(lines))
    assert set(await beads.issues()) == {"bd-1", "bd-2", "bd-4"}
    assert (await beads.issue("bd-2"))["title"] == "Theirs"
    said = {oddity.what: oddity.where for oddity in report.oddities}
    assert said["conflict_marker"] == "1.jsonl:3, 1.jsonl:5, 1.jsonl:7"
    assert said["duplicate_id"] == "1.jsonl:4 + 1.jsonl:6"
    assert _said(report, "unreadable_line") == ["1.jsonl:8", "1.jsonl:9", "1.jsonl:14"]
    assert said["no_id"] == "1.jsonl:10"
    assert _said(report, "other_record") == ["1.jsonl:11", "1.jsonl:12"]
    assert said["not_utf8"] == "1.jsonl:13, 1.jsonl:14"
    assert report.rows == {"1.jsonl": 13}


async def test_a_folder_takes_the_newer_row_of_each_issue(beads: Imported) -> None:
    """With that row's own labels and dependencies; comments are the union."""
    comment = {"issue_id": "bd-1", "author": "emma", "created_at": "2026-01-03T00:00:00Z"}
    inline = {"author": "emma", "text": "Hi", "created_at": "2026-01-03T00:00:00.25Z"}
    report = await beads.folder(
        _row("bd-1", labels=["old"], comments=[inline]),
        _row("bd-2", title="Main", updated_at="2026-01-07T00:00:00Z", labels=["main"]),
        _row("bd-3"),
        issues=[
            _row("bd-1", title="Backup", updated_at="2026-01-06T00:00:00Z", description=None),
            _row("bd-2", title="Backup"),
            _row("bd-3", title="Backup"),
            _row("bd-4", assignee=None, close_reason="", ephemeral=0, metadata="{}"),
        ],
        labels=[{"issue_id": "bd-1", "label": "new"}, {"issue_id": "bd-2", "label": "old"}],
        dependencies=[
            {"issue_id": "bd-1", "depends_on_id": "bd-4", "type": "blocks", "created_at": _UPDATED},
            {"issue_id": "bd-2", "depends_on_id": "bd-4", "type": "blocks", "created_at": _UPDATED},
        ],
        comments=[{**comment, "id": 1, "text": "Hi"}, {**comment, "id": 2, "text": "Ho"}],
    )
    issues = await beads.issues()
    assert {issue: (issues[issue]["title"], issues[issue]["labels"]) for issue in issues} == {
        "bd-1": ("Backup", {"new"}),
        "bd-2": ("Main", {"main"}),
        "bd-3": ("Title of bd-3", set()),
        "bd-4": ("Title of bd-4", set()),
    }
    assert await beads.links() == {("bd-1", "blocked_by", "bd-4")}
    assert sorted(await beads.comments()) == [("emma", "Hi"), ("emma", "Ho")]
    assert not await beads.comments("bd-4")
    assert [o.count for o in report.oddities if o.what == "in_both_files"] == [1, 1, 1]


async def test_a_repositorys_folder_is_read_in_its_beads_folder(
    beads: Imported, tmp_path: Path
) -> None:
    """And files there that are no part of it are named."""
    _folder(tmp_path / ".beads", [_row()])
    _write(tmp_path / ".beads" / "interactions.jsonl", [{"kind": "x"}])
    report = await beads.path(tmp_path)
    assert set(await beads.issues()) == {"bd-1"}
    assert _said(report, "file_not_read") == ["interactions.jsonl"]


async def test_what_cannot_be_read_at_all_is_one_clear_error(
    beads: Imported, ledger: Ledger, tmp_path: Path
) -> None:
    """Nothing there, nothing in it, nothing but rubbish, or no such company."""
    with pytest.raises(ImportFailed, match=r"^There is no file or folder .*nowhere\.$"):
        await beads.path(tmp_path / "nowhere")
    with pytest.raises(ImportFailed, match=r"^There is no issues\.jsonl in .*\.$"):
        await beads.path(tmp_path)
    with pytest.raises(ImportFailed, match="none of its 2 lines is one"):
        await beads.text("rubbish\n{}\n")
    good = _write(tmp_path / "issues.jsonl", [_row()])
    for company in (new_id(), "nonsense"):
        with pytest.raises(ImportFailed, match="There is no company"):
            await import_beads(good, company, ledger)


async def test_an_empty_file_imports_nothing(beads: Imported) -> None:
    """A repository without issues has one."""
    report = await beads.text("")
    assert (report.issues, report.appended) == (0, 0)


# ── odd values ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.123456+00:00"),
        ("2026-01-01T19:04:05.5-08:00", "2026-01-02T03:04:05.5+00:00"),
        ("2026-01-02T05:34:05+0230", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02 03:04:05 +0000 UTC", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02 03:04:05", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02", "2026-01-02T00:00:00+00:00"),
        (1767323045, "2026-01-02T03:04:05+00:00"),
        (1767323045000, "2026-01-02T03:04:05+00:00"),
        ("1969-07-20T20:17:40Z", "1969-07-20T20:17:40+00:00"),
        ("2999-01-01T00:00:00Z", "2999-01-01T00:00:00+00:00"),
    ],
)
async def test_dates_are_read_in_every_spelling(
    beads: Imported, written: str | int, meant: str
) -> None:
    """With any offset, any precision, or none; the future and the far past are kept."""
    report = await beads.rows(_row(created_at=written, updated_at=written))
    assert (await beads.issue())["created_at"] == _at(meant)
    year = _at(meant).year
    assert bool(_said(report, "future_date")) == (year == 2999)
    assert bool(_said(report, "ancient_date")) == (year == 1969)


@pytest.mark.parametrize(
    "written", [None, "", "yesterday", "2026-13-45T00:00:00Z", "0001-01-01T00:00:00Z", True, {}]
)
async def test_a_date_that_is_none_is_taken_from_its_neighbour(
    beads: Imported, written: object
) -> None:
    """And reported."""
    report = await beads.rows(_row(created_at=written))
    assert (await beads.issue())["created_at"] == _at(_UPDATED)
    assert _said(report, "no_date") == ["bd-1"]


async def test_a_row_without_any_date_is_imported(beads: Imported) -> None:
    """Once only, though no time is known."""
    row = {"id": 1, "title": "T"}
    await beads.rows(row)
    assert set(await beads.issues()) == {"1"}
    assert (await beads.rows(row)).appended == 0


async def test_texts_that_cannot_be_kept_are_made_to_fit(beads: Imported) -> None:
    """NUL goes, half characters are replaced, a long title is whole in a comment."""
    report = await beads.text(
        '{"id": "bd-1", "title": "a\\u0000b\\ud800c", "notes": "\\udc00"}\n'
        + json.dumps(_row("bd-2", title="t" * 501, description="d" * 600_000))
        + "\n"
        + json.dumps(_row("bd-3", title="  "))
        + "\n"
        + json.dumps(_row("bd-4", title=None, description=["x"], assignee=7))
    )
    issues = await beads.issues()
    assert issues["bd-1"]["title"] == "ab\ufffdc"
    assert issues["bd-2"]["title"] == "t" * 499 + "…"
    assert issues["bd-2"]["description"] == "d" * 500_000
    assert issues["bd-3"]["title"] == "bd-3"
    assert issues["bd-4"]["title"] == "bd-4"
    assert (issues["bd-4"]["description"], issues["bd-4"]["assignee"]) == ('["x"]', "7")
    texts = {text for _, text in await beads.comments("bd-2")}
    assert texts == {"Whole title\n\n" + "t" * 501, "Description, continued\n\n" + "d" * 100_000}
    assert _said(report, "no_title") == ["bd-3, bd-4"]
    assert len(_said(report, "unkept_characters")) == 2


_ODD = [
    None, "", "open", "closed", "tombstone", "x y", "a@b", 0, 1, -1, 2.5, 10**20, True, False,
    [], {}, ["a", None, 3, {"b": 1}], {"a": 1}, _CREATED, "\u0000", "\ud800", "é" * 700,
]  # fmt: skip
_FIELDS = [
    "title", "status", "priority", "issue_type", "created_at", "updated_at", "description",
    "assignee", "created_by", "closed_at", "deleted_at", "labels", "notes", "parent", "comments",
    "due_at", "estimated_minutes", "x", "started_at", "ephemeral", "close_reason", "external_ref",
]  # fmt: skip
_EVENTS = [
    "created", "updated", "status_changed", "closed", "reopened", "label_added", "label_removed",
    "commented", "renamed", "compacted",
]  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_a_file_holds_is_imported_twice_without_harm(
    beads: Imported, seed: int
) -> None:
    """Random rows and events: no error, nothing lost, and the second time nothing new."""
    rng = random.Random(seed)
    ids = [f"bd-{number}" for number in range(200)]

    def some(fields: list[str]) -> Row:
        return {name: rng.choice(_ODD) for name in rng.sample(fields, 7)}

    def relation() -> Row:
        types = ["blocks", "parent-child", "related", "supersedes", "odd"]
        return {**some(_FIELDS), **_dependency(rng.choice([*ids, "gone"]), rng.choice(types))}

    def event() -> Row:
        old, new = (rng.choice([json.dumps(some(_FIELDS)), rng.choice(_ODD)]) for _ in range(2))
        at = rng.choice([_CREATED, _UPDATED, *_ODD])
        odd = {"created_at": at, "comment": rng.choice(_ODD), "old_value": old, "new_value": new}
        return {**_event(rng.choice(_EVENTS), _CREATED, rng.choice(ids)), **odd}

    rows = [
        {**some(_FIELDS), "id": issue, "dependencies": [relation(), relation()]}
        for issue in ids[20:]
    ]
    beside = {
        "issues": [{**some(_FIELDS), "id": issue} for issue in ids[10:40]],
        "events": [event() for _ in range(500)],
        "labels": [{"issue_id": rng.choice(ids), "label": rng.choice(_ODD)} for _ in ids],
        "comments": [{**some([*_FIELDS, "text"]), "issue_id": rng.choice(ids)} for _ in ids],
    }  # fmt: skip
    report = await beads.folder(*rows, **beside)
    assert set(ids[10:]) <= set(await beads.issues())
    assert not _said(report, "lost")
    again = await beads.folder(*rows, **beside)
    assert again.appended == 0


# ── again ──────────────────────────────────────────────────────────────────────────────


async def test_importing_twice_appends_nothing(beads: Imported) -> None:
    """From wherever: file, folder, and the file again."""
    rows = [
        _row(labels=["a"], assignee="ruby", status="hooked", notes="n", owner="o",
             comments=[{"author": "emma", "text": "Hi", "created_at": _UPDATED}] * 2),
        _row("bd-2", dependencies=[_dependency("bd-1"), _dependency("bd-9")], parent="bd-1"),
    ]  # fmt: skip
    first = await beads.rows(*rows)
    assert first.appended > 10
    assert [text for _, text in await beads.comments()].count("Hi") == 2
    second = await beads.rows(*rows)
    assert (second.appended, second.issues) == (0, first.issues)
    assert second.replayed > 10
    assert (await beads.folder(*rows)).appended == 0


async def test_a_changed_export_appends_only_what_changed(beads: Imported) -> None:
    """Every difference is one event, and the older export has no word any more."""
    before = _row(
        labels=["a", "b"], assignee="ruby", status="hooked", notes="one", parent="bd-3",
        dependencies=[_dependency("bd-2"), _dependency("bd-3")],
    )  # fmt: skip
    others = [_row("bd-2"), _row("bd-3")]
    await beads.rows(before, *others)
    known = len(await beads.events())
    after = _row(
        labels=["b", "c"], status="closed", closed_at="2026-01-06T00:00:00Z", title="New",
        notes="two", updated_at="2026-01-07T00:00:00Z", dependencies=[_dependency("bd-2")],
        comments=[{"author": "emma", "text": "Bye", "created_at": "2026-01-06T00:00:00Z"}],
    )  # fmt: skip
    report = await beads.rows(after, *others)
    log = (await beads.events())[known:]
    assert Counter(event["type"] for event in log) == {
        "directory.entry_created": 2,  # the label c, and emma
        "issue.edited": 2,  # the title; no parent any more
        "issue.transitioned": 1,
        "issue.unassigned": 1,
        "issue.labelled": 1,
        "issue.unlabelled": 2,  # a, and status:hooked
        "issue.comment_edited": 1,
        "issue.commented": 1,
        "issue.unlinked": 1,
    }
    assert report.appended == len(log)
    issue = await beads.issue()
    assert (issue["title"], issue["labels"], issue["parent"]) == ("New", {"b", "c"}, None)
    assert (await beads.rows(before, *others)).appended == 0
    assert (await beads.issue())["title"] == "New"


async def test_history_that_was_added_is_told(beads: Imported) -> None:
    """Old events are not told again, and the issue goes on from where it is."""
    history = _history(
        _event("created", _CREATED),
        _event("status_changed", "2026-01-03T00:00:00Z", new_value='{"status":"in_progress"}'),
        _event("closed", "2026-01-06T00:00:00Z", new_value="done"),
    )
    await beads.folder(_row(status="in_progress"), events=history[:2])
    closed = _row(
        status="closed", closed_at="2026-01-06T00:00:00Z", updated_at="2026-01-06T00:00:00Z",
        close_reason="done",
    )  # fmt: skip
    report = await beads.folder(closed, events=history)
    assert report.appended == 1
    assert await beads.moves() == [("in_progress", None), ("closed", "done")]


async def test_a_history_that_comes_later_ends_as_the_row_says(beads: Imported) -> None:
    """First the file alone, then the folder with its backup."""
    row = _row(status="closed", closed_at="2026-01-04T00:00:00Z", close_reason="done")
    await beads.rows(row)
    await beads.folder(
        row,
        events=_history(
            _event("created", _CREATED),
            _event("status_changed", "2026-01-03T00:00:00Z", new_value='{"status":"hooked"}'),
        ),
    )
    assert (await beads.issue())["status"] == "closed"


async def test_what_people_did_here_stays_until_the_row_changes(beads: Imported) -> None:
    """Importing the same export again does not undo their work."""
    await beads.rows(_row(labels=["a"]), _row("bd-2"))
    issue = str((await beads.issue())["issue_id"])
    await beads.submit(
        c.EditIssue(actor=OPERATOR, role=Role.OWNER, issue=issue, changes={"title": "Ours"})
    )
    label = await beads.submit(
        c.CreateEntry(
            actor=OPERATOR, role=Role.OWNER, entry_id=new_id(), kind="label", entry_name="Ours",
            slug=None, fields={},
        )
    )  # fmt: skip
    await beads.submit(c.LabelIssue(actor=OPERATOR, role=Role.OWNER, issue=issue, label=label.id))
    assert (await beads.rows(_row(labels=["a"]), _row("bd-2"))).appended == 0
    assert (await beads.issue())["title"] == "Ours"
    await beads.rows(_row(labels=[], priority=1), _row("bd-2"))
    after = await beads.issue()
    assert (after["priority"], after["labels"]) == ("high", {"Ours"})


async def test_an_issue_deleted_here_does_not_come_back(beads: Imported) -> None:
    """What the export says of it now is reported and left out."""
    await beads.rows(_row())
    issue = str((await beads.issue())["issue_id"])
    await beads.submit(c.DeleteIssue(actor=OPERATOR, role=Role.OWNER, issue=issue))
    assert (await beads.rows(_row())).appended == 0
    report = await beads.rows(_row(title="New"))
    assert report.appended == 0
    assert _said(report, "deleted_here") == ["bd-1"]


async def test_an_issue_with_the_external_ref_is_used(beads: Imported) -> None:
    """Somebody may have made it by hand before."""
    made = new_id()
    await beads.submit(
        c.CreateIssue(
            actor=OPERATOR, role=Role.OWNER, issue_id=made, title="By hand",
            external_ref=("beads", "bd-1"),
        )
    )  # fmt: skip
    report = await beads.rows(_row(), _row("bd-2", dependencies=[_dependency("bd-1")]))
    issue = await beads.issue()
    assert (str(issue["issue_id"]), issue["title"]) == (made, "Title of bd-1")
    assert await beads.links() == {("bd-2", "blocked_by", "bd-1")}
    assert not _said(report, "refused")


async def test_an_import_cut_short_goes_on_where_it_stopped(
    beads: Imported, ledger: Ledger, tmp_path: Path
) -> None:
    """What it did is not done twice, and in the end all is there."""
    rows = [_row(f"bd-{n}", status="hooked", labels=["a"], notes="n") for n in range(150)]
    file = _write(tmp_path / "issues.jsonl", rows)

    def cut(done: int, total: int) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await import_beads(file, beads.company, ledger, progress=cut)
    report = await beads.path(file)
    assert 0 < report.appended < len(await beads.events()) - 1
    issues = await beads.issues()
    assert len(issues) == 150
    assert {issue["status"] for issue in issues.values()} == {"in_progress"}
    assert len(await beads.events("issue.commented")) == 150


async def test_progress_is_told_from_the_first_to_the_last_step(
    beads: Imported, ledger: Ledger, tmp_path: Path
) -> None:
    """A bar can be drawn of it."""
    told: list[tuple[int, int]] = []
    file = _write(tmp_path / "issues.jsonl", [_row(f"bd-{n}") for n in range(300)])
    await import_beads(
        file, beads.company, ledger, progress=lambda done, total: told.append((done, total))
    )
    assert told[0][0] == 0
    assert told[-1][0] == told[-1][1] > 300
    assert told == sorted(told)


async def test_the_report_is_json_and_equal_remarks_are_one(beads: Imported) -> None:
    """Five hundred equal remarks are one line with a count and a few examples."""
    report = await beads.rows(*(_row(f"bd-{n}", owner="o") for n in range(500)))
    data = json.loads(report.model_dump_json())
    (oddity,) = data["oddities"]
    assert oddity == {
        "where": "bd-0, bd-1, bd-2, bd-3, bd-4, …",
        "what": "field_without_place",
        "detail": "owner is kept in a comment.",
        "count": 500,
    }
    assert (data["issues"], data["comments"]) == (500, 500)


# ── the real files ─────────────────────────────────────────────────────────────────────


def _lines(name: str) -> list[Row]:
    text = (_REAL / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


class _Files:
    """What the real files say, read in a few lines of this test's own."""

    def __init__(self) -> None:
        main = {row["id"]: row for row in _lines("issues.jsonl")}
        backup = {row["id"]: row for row in _lines("backup/issues.jsonl")}
        self.events: dict[str, list[Row]] = defaultdict(list)
        for event in _lines("backup/events.jsonl"):
            self.events[event["issue_id"]].append(event)
        labels, dependencies = defaultdict(list), defaultdict(list)
        for row in _lines("backup/labels.jsonl"):
            labels[row["issue_id"]].append(row["label"])
        for row in _lines("backup/dependencies.jsonl"):
            dependencies[row["issue_id"]].append(row)
        self.rows: dict[str, Row] = {}
        for issue in main.keys() | backup.keys():
            newer = backup.get(issue)
            if (
                newer is None
                or main.get(issue, {"updated_at": ""})["updated_at"] >= newer["updated_at"]
            ):
                newer = main[issue]
            beside = newer is backup.get(issue, newer)
            self.rows[issue] = {
                **newer,
                "labels": set(newer.get("labels") or []) | set(labels[issue] if beside else []),
                "dependencies": (newer.get("dependencies") or [])
                + (dependencies[issue] if beside else []),
            }
        for issue in (self.events.keys() | labels.keys() | dependencies.keys()) - set(self.rows):
            self.rows[issue] = {"id": issue, "dependencies": dependencies[issue]}


_STATUS = {
    "open": "todo", "in_progress": "in_progress", "closed": "closed",
    "hooked": "in_progress", "pinned": "backlog", "deferred": "backlog",
}  # fmt: skip
_PRIORITY = {0: "urgent", 1: "high", 2: "medium", 3: "low", 4: "none"}


@pytest.fixture(scope="module")
async def real(ledger: Ledger, tmp_path_factory: pytest.TempPathFactory) -> Imported:
    """The real folder, imported once for the tests below."""
    company = await ledger.create_company("Beads")
    beads = Imported(ledger, company, tmp_path_factory.mktemp("real"))
    await beads.path(_REAL)
    return beads


@_needs_real_files
async def test_every_real_issue_is_here_as_its_newest_row_says(real: Imported) -> None:
    """Title, text, priority, status, assignee and labels of 848 issues, and one without a row."""
    files, issues = _Files(), await real.issues()
    assert issues.keys() == files.rows.keys()
    for issue, row in files.rows.items():
        if "status" not in row:
            continue
        here, word = issues[issue], row["status"]
        labels = set(row["labels"])
        labels |= {f"type:{row['issue_type']}"} - {"type:task"}
        labels |= {"ephemeral"} if row.get("ephemeral") else set()
        labels |= {f"status:{word}"} if word in ("hooked", "pinned", "deferred") else set()
        assert here["title"] == row["title"]
        assert (here["description"] or "") == (row.get("description") or "")
        assert here["priority"] == _PRIORITY[row["priority"]]
        assert here["status"] == _STATUS[word]
        assert (here["assignee"] or "") == (row.get("assignee") or "")
        assert here["labels"] == labels
        history = files.events.get(issue, [])
        began = min(_at(x["created_at"]) for x in [row, *history])
        assert here["created_at"] == began


@_needs_real_files
async def test_every_real_relation_is_a_parent_a_link_or_a_comment(real: Imported) -> None:
    """989 dependency rows, of which many say the same, and 113 name issues that are nowhere."""
    files, issues = _Files(), await real.issues()
    comments = {(issue, text) for issue, _, text in await real.all_comments()}
    links: set[tuple[str, str, str]] = set()
    nowhere: set[tuple[str, str, str]] = set()
    for issue, row in files.rows.items():
        parents = []
        for dependency in row["dependencies"]:
            target, kind = dependency["depends_on_id"], dependency["type"]
            if target not in files.rows:
                nowhere.add((issue, kind, target))
            elif kind == "parent-child":
                parents.append(target)
            else:
                word = "blocked_by" if kind == "blocks" else kind.replace("-", "_")
                links.add((issue, word, target))
        assert issues[issue]["parent"] == (parents[0] if parents else None)
        assert len(set(parents)) <= 1
    assert await real.links() == links
    for issue, kind, target in nowhere:
        said = f"beads dependency: {kind} {target}, which is not in this import"
        assert (issue, said) in comments


@_needs_real_files
async def test_every_real_event_is_in_the_log_or_in_the_report(real: Imported) -> None:
    """2,123 rows: each has its actor and time on an event of its issue, or is counted."""
    issues = {issue["issue_id"]: ref for ref, issue in (await real.issues()).items()}
    here = {
        (issues.get(event["stream_id"]), event["author"], event["occurred_at"])
        for event in await real.events()
    }
    missing = Counter(
        row["event_type"]
        for issue, history in _Files().events.items()
        for row in history
        if (issue, row["actor"], _at(row["created_at"])) not in here
    )
    told: Counter[str] = Counter()
    for oddity in real.report.oddities:
        told[oddity.what] += oddity.count
    assert told["renamed"] == 1
    assert told["label_in_comment"] == 219
    assert not [what for what in ("lost", "refused", "unreadable_line", "no_date") if told[what]]
    assert set(missing) <= {"updated", "status_changed"}, missing
    assert sum(missing.values()) <= told["empty_update"]


@_needs_real_files
async def test_every_real_row_is_counted(real: Imported) -> None:
    """All lines of all files were read, and what they are is in the report."""
    assert real.report.rows == {
        "issues.jsonl": 704, "backup/issues.jsonl": 298, "backup/labels.jsonl": 165,
        "backup/dependencies.jsonl": 244, "backup/comments.jsonl": 2, "backup/events.jsonl": 2123,
    }  # fmt: skip
    twice = sum(o.count for o in real.report.oddities if o.what == "in_both_files")
    ghosts = sum(o.count for o in real.report.oddities if o.what == "no_row")
    assert real.report.issues == 704 + 298 - twice + ghosts == 849
    found = await real.fetch("SELECT count(*) AS n FROM comments WHERE company_id = $1")
    assert real.report.comments == found[0]["n"]
    assert real.report.links == len(await real.links())


@_needs_real_files
async def test_real_times_are_in_order_and_comments_are_as_written(real: Imported) -> None:
    """The log goes forward in time; both comments have their authors."""
    times = [event["occurred_at"] for event in await real.events() if event["occurred_at"]]
    assert times == sorted(times)
    for row in _lines("backup/comments.jsonl"):
        assert (row["author"], row["text"]) in await real.comments(row["issue_id"])


@_needs_real_files
async def test_the_real_files_again_append_nothing(real: Imported) -> None:
    """The folder a second time."""
    assert (await real.path(_REAL)).appended == 0
