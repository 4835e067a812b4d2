"""The analysts' views: what they say, that they say it after any exchange of tables, and how fast.

They are asked as whoever may act as ledger_app asks, who sees every company; what an analyst's role
does not see is test_analyst_role's matter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import datetime
from itertools import pairwise
from typing import Any

import orjson
import pytest
import pytest_asyncio

from api.demo import play
from api.wiring import FOLLOWING, MODELS, Ledger, open_ledger
from ledger.actors import Actor, Role
from ledger.ids import new_id
from projections.projector import step
from projections.rebuild import RebuildRefused, migrate, rebuild
from tests.conftest import NewDatabase
from tests.test_migrate import old_database
from tests.writing import check_out, create, edit, entry, issue_of, log_of, submit, superuser

VIEWS = ("companies", "issues", "activity", "costs", "runs", "leases", "transitions", "cycle_time")
Rows = list[dict[str, Any]]


@pytest_asyncio.fixture(scope="module")
async def own(new_database: NewDatabase) -> AsyncIterator[Ledger]:
    """A ledger on a database of this file's own, that nobody follows."""
    async with open_ledger(await new_database()) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module")
async def acme(own: Ledger) -> str:
    """A company in which agents were at work."""
    company = await own.create_company("Acme")
    await play(own, company, agents=4, issues=25, seed=4)
    await be_followed(own, company)
    return company


async def be_followed(own: Ledger, company: str) -> None:
    """Moves the following models to the end of the log."""
    async with own.readers.acquire() as connection:
        for model in FOLLOWING:
            while await step(connection, model, company):
                pass


async def rows(own: Ledger, view: str, company: str) -> Rows:
    """Everything that a view says of a company."""
    async with superuser(own.url) as connection:
        found = await connection.fetch(
            f"SELECT * FROM analytics.{view} WHERE company_id = $1 ORDER BY 2", company
        )
    return [dict(row) for row in found]


# ── what they say ──────────────────────────────────────────────────────────────────────


async def test_everything_is_explained(own: Ledger) -> None:
    """The schema, each view and each column have a comment."""
    async with superuser(own.url) as connection:
        found = await connection.fetch(
            "SELECT c.relname, a.attname, obj_description(c.oid, 'pg_class') AS view_comment, "
            "col_description(c.oid, a.attnum) AS comment FROM pg_class AS c "
            "JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 "
            "WHERE c.relnamespace = 'analytics'::regnamespace"
        )
        schema = await connection.fetchval(
            "SELECT obj_description('analytics'::regnamespace, 'pg_namespace')"
        )

    assert {row["relname"] for row in found} == {*VIEWS, "visible_companies"}
    assert [row for row in found if not (row["view_comment"] and row["comment"])] == []
    assert schema


async def test_an_issue_has_names_for_what_it_names(own: Ledger) -> None:
    """Team, project, goal, milestone, assignee and labels: an analyst joins nothing."""
    company = await own.create_company("Names")
    entries = [entry("agent", "Coder One"), entry("team", "Engineering"), entry("project", "Web"),
               entry("goal", "Fast"), entry("milestone", "May"), entry("label", "slow"),
               entry("label", "bug")]  # fmt: skip
    await submit(own, company, *entries)
    await own.create_key(company, Role.AGENT, Actor("agent", "not-listed"))
    one = issue_of(
        await submit(
            own, company,
            create("Named", team="engineering", project="web", goal="fast", milestone="may",
                   labels=("slow", "bug"), assignee=Actor("agent", "coder-one")),
        )
    )  # fmt: skip
    two = issue_of(
        await submit(own, company, create("Plain", assignee=Actor("agent", "not-listed")))
    )

    said = {str(row["issue_id"]): row for row in await rows(own, "issues", company)}

    names = ("team_name", "project_name", "goal_name", "milestone_name", "assignee_name")
    named, plain = said[one.id], said[two.id]
    assert [named[name] for name in names] == ["Engineering", "Web", "Fast", "May", "Coder One"]
    assert named["label_names"] == ["bug", "slow"]
    assert [plain[name] for name in names] == [None] * 5
    assert (plain["label_names"], plain["assignee"]) == ([], "agent:not-listed")
    assert plain["lead_seconds"] is None
    assert plain["age_seconds"] >= 0


async def test_a_deleted_issue_is_no_issue_but_was_paid_for(own: Ledger, acme: str) -> None:
    """Views of issues show what is there, those of the log show all of it."""
    async with superuser(own.url) as connection:
        there = await connection.fetchval(
            "SELECT count(*) FROM issues WHERE company_id = $1 AND deleted_at IS NULL", acme
        )
        events = await connection.fetchval(
            "SELECT head FROM company_heads WHERE company_id = $1", acme
        )

    assert len(await rows(own, "issues", acme)) == there
    assert [row["position"] for row in await rows(own, "activity", acme)] == [*range(1, events + 1)]


async def test_transitions_are_what_the_log_says(own: Ledger, acme: str) -> None:
    """Each change of status, by whom, and how long the one before lasted; folded from events."""
    expected: dict[str, list[tuple[int, str | None, str, datetime, str]]] = defaultdict(list)
    for stored in await log_of(own, acme):
        r, data = stored.recorded, orjson.loads(stored.canonical_data)
        if r.event.type == "issue.created":
            expected[r.stream_id].append((r.position, None, data["status"], r.at, str(r.actor)))
        elif data.get("from_status") != data.get("to_status"):
            expected[r.stream_id].append(
                (r.position, data["from_status"], data["to_status"], r.at, str(r.actor))
            )

    said: dict[str, Rows] = defaultdict(list)
    for row in sorted(await rows(own, "transitions", acme), key=lambda row: row["position"]):
        said[str(row["issue_id"])].append(row)

    assert len(expected) > 20
    assert {
        issue: [(t["position"], t["from_status"], t["to_status"], t["at"], t["actor"]) for t in ts]
        for issue, ts in said.items()
    } == expected
    for transitions in said.values():
        assert transitions[0]["seconds_in_from_status"] is None
        for before, after in pairwise(transitions):
            lasted = (after["at"] - before["at"]).total_seconds()
            assert after["seconds_in_from_status"] == pytest.approx(lasted)


async def test_an_issue_ends_where_its_transitions_end(own: Ledger, acme: str) -> None:
    """The last status of the log is the status of the read model."""
    await be_followed(own, acme)
    transitions = sorted(await rows(own, "transitions", acme), key=lambda row: row["position"])
    last = {row["issue_id"]: row["to_status"] for row in transitions}

    assert last == {row["issue_id"]: row["status"] for row in await rows(own, "issues", acme)}


async def test_cycle_times_add_up(own: Ledger, acme: str) -> None:
    """Lead is wait and cycle together, and all time was spent in some status."""
    finished = await rows(own, "cycle_time", acme)
    issues = {row["issue_id"]: row for row in await rows(own, "issues", acme)}
    transitions = await rows(own, "transitions", acme)

    assert {row["issue_id"] for row in finished} == {
        issue for issue, row in issues.items() if row["completed_at"]
    }
    for row in finished:
        assert row["lead_seconds"] == pytest.approx(
            (row["completed_at"] - row["created_at"]).total_seconds()
        )
        if row["started_at"]:
            assert row["lead_seconds"] == pytest.approx(row["wait_seconds"] + row["cycle_seconds"])
        spent = orjson.loads(row["seconds_in_status"])
        moves = [t["at"] for t in transitions if t["issue_id"] == row["issue_id"]]
        assert sum(spent.values()) == pytest.approx((max(moves) - min(moves)).total_seconds())
        assert issues[row["issue_id"]]["lead_seconds"] == row["lead_seconds"]


async def test_money_is_the_same_wherever_it_is_told(own: Ledger, acme: str) -> None:
    """Reports, runs and issues come to one sum, in micro-dollars and in dollars."""
    told = [await rows(own, view, acme) for view in ("costs", "runs", "issues")]

    sums = {sum(row["cost_micros"] for row in view) for view in told}
    assert len(sums) == 1
    assert sums != {0}
    for view in told:
        assert all(row["cost_usd"] * 1_000_000 == row["cost_micros"] for row in view)


async def test_rework_is_told_from_the_rest(own: Ledger, acme: str) -> None:
    """It comes to what the sums say."""
    costs = await rows(own, "costs", acme)

    async with superuser(own.url) as connection:
        expected = await connection.fetchval(
            "SELECT sum(rework_micros) FROM cost_sums WHERE company_id = $1 AND level = 'company'",
            acme,
        )
    assert sum(row["cost_micros"] for row in costs if row["is_rework"]) == expected > 0


async def test_runs_and_leases_have_durations_when_they_have_ends(own: Ledger, acme: str) -> None:
    """A run that goes on has none, and says so."""
    await own.create_key(acme, Role.AGENT, Actor("agent", "somebody"))
    issue = issue_of(await submit(own, acme, create("Held")))
    await submit(own, acme, check_out(issue.id, "somebody"))

    runs, leases = await rows(own, "runs", acme), await rows(own, "leases", acme)

    assert [r["status"] for r in runs if r["agent_id"] == "somebody"] == ["active"]
    assert {r["status"] for r in runs} >= {"active", "ended"}
    for row, seconds in [*((r, r["duration_seconds"]) for r in runs),
                         *((lease, lease["held_seconds"]) for lease in leases)]:  # fmt: skip
        assert (seconds is None) == (row["ended_at"] is None)
        assert seconds is None or seconds >= 0


async def test_how_far_everything_is_can_be_asked(own: Ledger) -> None:
    """Issues are as of the head; what follows the log may be behind, and tells."""
    company = await own.create_company("Behind")
    await be_followed(own, company)
    (before,) = await rows(own, "companies", company)
    await submit(own, company, create())

    (row,) = await rows(own, "companies", company)

    assert row["head_position"] > before["head_position"] == before["activity_position"]
    assert row["activity_position"] == before["activity_position"]
    assert len(await rows(own, "issues", company)) == 1
    assert await rows(own, "transitions", company) == []


# ── exchanged tables ───────────────────────────────────────────────────────────────────


_RIGHTS = """
SELECT c.relname, role, privilege,
       has_table_privilege(role, c.oid, privilege) AS granted,
       pg_get_userbyid(c.relowner) AS owner, c.reloptions
FROM pg_class AS c,
     unnest(ARRAY['ledger_analyst', 'ledger_app']) AS role,
     unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS privilege
WHERE c.relnamespace = 'analytics'::regnamespace
ORDER BY 1, 2, 3
"""


async def rights(url: str) -> Rows:
    """Who may do what with each view."""
    async with superuser(url) as connection:
        return [dict(row) for row in await connection.fetch(_RIGHTS)]


@pytest.mark.parametrize("names", [MODELS.names, ["activity"]], ids=["all", "one"])
async def test_a_rebuild_keeps_the_views(own: Ledger, acme: str, names: list[str]) -> None:
    """The same rows and the same rights, on the tables of now."""
    await be_followed(own, acme)
    before = {view: await rows(own, view, acme) for view in VIEWS if view != "issues"}
    rights_before = await rights(own.url)

    await rebuild(own.url, MODELS, names)

    assert {view: await rows(own, view, acme) for view in VIEWS if view != "issues"} == before
    assert await rights(own.url) == rights_before
    await submit(own, acme, create("After the rebuild"))
    assert "After the rebuild" in {row["title"] for row in await rows(own, "issues", acme)}


async def test_who_may_read_is_granted_and_who_may_write_is_nobody(own: Ledger) -> None:
    """Analysts and the application may SELECT; what all is cut down to is nobody's to read."""
    for row in await rights(own.url):
        readable = row["relname"] != "visible_companies" and row["privilege"] == "SELECT"
        assert row["granted"] == readable, row
        if row["relname"] != "visible_companies":
            assert row["reloptions"] == ["security_barrier=true"], row


async def test_a_view_of_somebodys_own_is_not_dropped_in_passing(new_database: NewDatabase) -> None:
    """The rebuild is refused in one sentence that names it, and goes on once it is gone."""
    url = await new_database()
    async with open_ledger(url) as ledger:
        await ledger.create_company("Acme")
    async with superuser(url) as connection:
        await connection.execute("CREATE VIEW public.mine AS SELECT title FROM analytics.issues")
    with pytest.raises(RebuildRefused, match=r"public\.mine depends on view analytics\.issues"):
        await rebuild(url, MODELS, MODELS.names)
    async with superuser(url) as connection:
        assert await connection.fetch("SELECT * FROM public.mine") == []
        await connection.execute("DROP VIEW public.mine")

    assert all(rebuilt.was_equal for rebuilt in await rebuild(url, MODELS, MODELS.names))


async def test_what_is_in_the_schema_beside_ours_stays(new_database: NewDatabase) -> None:
    """A rebuild takes away what it makes again, and nothing else; who sees what stays, too."""
    url = await new_database()
    async with superuser(url) as connection:
        await connection.execute("CREATE TABLE analytics.notes AS SELECT 1 AS one")
        await connection.execute("INSERT INTO analysts VALUES ($1, 'somebody')", new_id())

    await rebuild(url, MODELS, MODELS.names)

    async with superuser(url) as connection:
        assert await connection.fetchval("SELECT one FROM analytics.notes") == 1
        assert await connection.fetchval("SELECT count(*) FROM analysts") == 1


async def test_an_older_database_has_the_views_once_it_is_migrated(
    new_database: NewDatabase,
) -> None:
    """Made together with the tables that they need."""
    url, company = await old_database(new_database)
    async with superuser(url) as connection:
        assert not await connection.fetchval("SELECT to_regnamespace('analytics')")

    await migrate(url, MODELS)

    async with open_ledger(url) as ledger:
        for view in VIEWS:
            assert await rows(ledger, view, company) != []
    granted = [row for row in await rights(url) if row["relname"] == "issues" and row["granted"]]
    assert [row["role"] for row in granted] == ["ledger_analyst", "ledger_app"]


# ── plans ──────────────────────────────────────────────────────────────────────────────

_FILLED = """
INSERT INTO directory (company_id, entry_id, version, kind, name, slug, fields, created_position,
                       created_at, created_by, updated_at)
SELECT ('00000000-0000-4000-8000-00000000000' || n % 5)::uuid, gen_random_uuid(), 1, 'agent',
       'Agent ' || n, 'agent-' || n, '{}', n, now(), 'user:a', now()
FROM generate_series(1, 5000) AS n;
INSERT INTO issues (company_id, issue_id, version, identifier, title, status, priority, run_count,
                    label_ids, comment_count, created_position, created_at, created_by, updated_at,
                    completed_at, assignee)
SELECT company_id, gen_random_uuid(), 1, 'X-' || created_position * 4 + n, 'An issue', 'done',
       'none', 0, '{}', 0, created_position * 4 + n, now(), 'user:a', now(), now(),
       'agent:' || entry_id
FROM directory, generate_series(0, 3) AS n;
INSERT INTO activity (company_id, position, event_id, type, subject_type, subject_id, issue_id,
                      actor, via, command_id, at, recorded_at, sentence, changes)
SELECT company_id, created_position * 3 + n, gen_random_uuid(), 'issue.created', 'issue', issue_id,
       issue_id, assignee, 'test', gen_random_uuid(), now(), now(), 'A sentence.',
       '[{"field": "status", "from": null, "to": "todo"}]'
FROM issues, generate_series(0, 2) AS n;
INSERT INTO runs (company_id, run_id, version, issue_id, agent_id, input_tokens, output_tokens,
                  cached_tokens, cost_micros, created_position, created_at, created_by, updated_at)
SELECT company_id, gen_random_uuid(), 1, issue_id, split_part(assignee, ':', 2), 0, 0, 0, 0,
       created_position, now(), 'user:a', now()
FROM issues;
INSERT INTO leases (company_id, issue_id, fencing_token, run_id, agent_id, lease_seconds,
                    acquired_at, expires_at)
SELECT company_id, issue_id, 1, run_id, agent_id, 60, now(), now() FROM runs;
INSERT INTO cost_entries (company_id, position, day, at, recorded_at, month, run_id, issue_id,
                          agent_id, provider, model, input_tokens, output_tokens, cached_tokens,
                          cost_micros)
SELECT company_id, created_position, current_date, now(), now(), '2026-04', run_id, issue_id,
       agent_id, 'p', 'm', 0, 0, 0, 0
FROM runs;
"""
QUESTIONS = {
    "an issue": "SELECT * FROM analytics.issues WHERE issue_id = $1",
    "an issue of a company": "SELECT * FROM analytics.issues WHERE issue_id = $1 AND "
    "company_id = '00000000-0000-4000-8000-000000000001'",
    "an issue's activity": "SELECT * FROM analytics.activity WHERE issue_id = $1",
    "an issue's transitions": "SELECT * FROM analytics.transitions WHERE issue_id = $1",
    "an issue's cycle time": "SELECT * FROM analytics.cycle_time WHERE issue_id = $1",
    "an issue's runs": "SELECT * FROM analytics.runs WHERE issue_id = $1",
    "an issue's leases": "SELECT * FROM analytics.leases WHERE issue_id = $1",
    "an issue's costs": "SELECT * FROM analytics.costs WHERE issue_id = $1",
    "a page of activity": "SELECT * FROM analytics.activity WHERE issue_id <> $1 "
    "AND position BETWEEN 5000 AND 5100",
}


@pytest_asyncio.fixture(scope="module")
async def filled(new_database: NewDatabase) -> AsyncIterator[str]:
    """A database with 20,000 issues of five companies, and an analyst of one of them."""
    url = await new_database()
    role = f"planner_{new_id()[-12:]}"
    async with superuser(url) as connection:
        await connection.execute(_FILLED)
        await connection.execute(
            "INSERT INTO analysts VALUES ('00000000-0000-4000-8000-000000000001', $1)", role
        )
        await connection.execute("ANALYZE")
        await connection.execute(f"CREATE ROLE {role} IN ROLE ledger_analyst")
        yield f"{url} {role}"
        await connection.execute(f"DROP ROLE {role}")


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
async def test_an_analysts_question_reaches_the_index(filled: str, question: str) -> None:
    """Neither the barrier nor the list of companies makes Postgres read a whole table."""
    url, role = filled.split()
    async with superuser(url) as connection:
        issue = await connection.fetchval("SELECT issue_id FROM issues WHERE identifier = 'X-4'")
        await connection.execute(f"SET ROLE {role}")
        plan = await connection.fetch("EXPLAIN " + question.replace("$1", f"'{issue}'"))
        found = await connection.fetch(question, issue)

    text = "\n".join(row[0] for row in plan)
    for table in ("issues", "activity", "runs", "leases", "cost_entries", "directory"):
        assert f"Seq Scan on {table} " not in text, text
    assert found


async def test_a_company_is_read_and_not_all_of_them(filled: str) -> None:
    """An analyst of one company sees a fifth of the rows, and counts no others."""
    url, role = filled.split()
    async with superuser(url) as connection:
        await connection.execute(f"SET ROLE {role}")
        assert await connection.fetchval("SELECT count(*) FROM analytics.issues") == 4000
        assert await connection.fetchval("SELECT count(*) FROM analytics.transitions") == 12000
        assert await connection.fetchval("SELECT count(*) FROM analytics.cycle_time") == 4000


async def test_an_edit_is_seen_at_once(own: Ledger, acme: str) -> None:
    """The views are of the live tables: nothing is refreshed."""
    issue = issue_of(await submit(own, acme, create("Before")))
    await submit(own, acme, edit(issue.id, title="After"))

    assert "After" in {row["title"] for row in await rows(own, "issues", acme)}
