"""The directory: eight kinds of entry under one set of rules for names, slugs and prefixes."""

from __future__ import annotations

from typing import Any

import pytest

from ledger import events as e
from ledger.commands import Command
from ledger.directory import KINDS, prefix_candidates, slug_of
from ledger.errors import Invalid, LedgerError, NotFound, Taken
from ledger.events import Json
from ledger.facts import slug as slug_key
from tests.scenario import (
    ENTRY,
    ISSUE,
    NOBODYS,
    OTHER_ENTRY,
    Scenario,
    alice,
    an_id,
    change,
    coder,
    given,
)

ALL_KINDS = sorted(KINDS)
GIVING_WAY = sorted(kind for kind in KINDS if kind != "label")
THIRD_ENTRY = an_id(53)


# ── words ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Coder", "coder"),
        ("Coder Two", "coder-two"),
        ("  Coder -- Two!  ", "coder-two"),
        ("snake_case", "snake-case"),
        ("team:core", "team:core"),
        ("v1.2", "v1.2"),
        ("Überprüfung", "überprüfung"),
        ("日本", "日本"),
        ("!!!", "entry"),
        ("", "entry"),
        ("x" * 200, "x" * 60),
    ],
)
def test_a_slug_is_made_from_a_name(name: str, slug: str) -> None:
    """Kebab-case, short, and never empty; making it again changes nothing."""
    assert slug_of(name) == slug
    assert slug_of(slug) == slug


@pytest.mark.parametrize(
    ("slug", "candidates"),
    [
        ("engineering", ["ENG", "ENG2", "ENG3"]),
        ("qa", ["QA", "QA2", "QA3"]),
        ("7th-team", ["T7T", "T7T2", "T7T3"]),
        ("日本", ["T", "T2", "T3"]),
    ],
)
def test_issue_prefixes_are_made_from_a_slug(slug: str, candidates: list[str]) -> None:
    """Letters first, so that an identifier reads as one."""
    assert prefix_candidates(slug)[:3] == candidates


# ── creating ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_listing_an_entry_needs_only_a_name(kind: str) -> None:
    """Its slug is made from the name, and a team gets a prefix as well."""
    fields = {"issue_prefix": "APO"} if kind == "team" else {}

    listed = (
        given()
        .when(alice.lists(kind, "Apollo Eleven"))
        .then(e.EntryCreated(kind=kind, name="Apollo Eleven", slug="apollo-eleven", fields=fields))
    )

    found = listed.known.entry(kind, "apollo-eleven")
    assert found is not None
    assert found.id == ENTRY


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize("then", ["", "archives"])
def test_an_entrys_id_is_used_once(kind: str, then: str) -> None:
    """Not even an archived entry's id, not even by another kind."""
    scenario = given(alice.lists(kind, "Apollo"))
    if then:
        scenario.given(alice.archives(kind))

    refusal = scenario.when(alice.lists("goal", "Other")).then_refused(Taken)

    assert refusal.pointer == "/id"


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize("slug", ["apollo", "APOLLO"])
def test_a_chosen_slug_that_is_taken_is_refused(kind: str, slug: str) -> None:
    """Who chose it wants that one and no other."""
    scenario = given(alice.lists(kind, "Apollo"))

    refusal = scenario.when(alice.lists(kind, "Other", OTHER_ENTRY, slug=slug))

    assert refusal.then_refused(Taken).pointer == "/slug"
    assert refusal.then_refused(Taken).facts["taken_by"] == ENTRY


@pytest.mark.parametrize("kind", GIVING_WAY)
def test_a_derived_slug_that_is_taken_gives_way(kind: str) -> None:
    """Two agents may well be called Coder."""
    scenario = given(alice.lists(kind, "Coder"))

    listed = scenario.when(alice.lists(kind, "Coder", OTHER_ENTRY)).then_only(e.EntryCreated)

    assert (listed.name, listed.slug) == ("Coder", "coder-000052")


@pytest.mark.parametrize("kind", GIVING_WAY)
def test_a_derived_slug_gives_way_to_chosen_ones_too(kind: str) -> None:
    """Whatever slug comes out of it, it is nobody else's."""
    scenario = given(
        alice.lists(kind, "Coder"), alice.lists(kind, "Other", THIRD_ENTRY, slug="coder-000052")
    )

    _is_refused_or_free(scenario, kind, alice.lists(kind, "Coder", OTHER_ENTRY))


@pytest.mark.parametrize("kind", GIVING_WAY)
def test_a_derived_slug_gives_way_again_and_again(kind: str) -> None:
    """Ids that end alike do not make slugs alike."""
    alike = [an_id(52 + n * 1_000_000) for n in range(3)]
    scenario = given(*(alice.lists(kind, "Coder", entry) for entry in (ENTRY, *alike[:1])))

    for entry in alike[1:]:
        _is_refused_or_free(scenario, kind, alice.lists(kind, "Coder", entry))


def _is_refused_or_free(scenario: Scenario, kind: str, asked: Command) -> None:
    answer = scenario.when(asked)
    if isinstance(answer.decision, LedgerError):
        answer.then_refused(Taken)
        return
    slug = answer.then_only(e.EntryCreated).slug
    assert scenario.known[slug_key(kind, slug)] is None, f"{slug} is taken"


@pytest.mark.parametrize("name", ["bug", "Bug", "BUG!"])
def test_a_label_whose_name_is_taken_is_refused(name: str) -> None:
    """A label is its name; two of one name would be one too many."""
    scenario = given(alice.lists("label", "bug"))

    refusal = scenario.when(alice.lists("label", name, OTHER_ENTRY)).then_refused(Taken)

    assert refusal.facts["taken_by"] == ENTRY


def test_a_label_has_its_name_alone_even_under_another_slug() -> None:
    """Choosing a slug makes no second label of a name; and by its name it is found."""
    scenario = given(alice.lists("label", "Priority One", slug="p1"))

    refusal = scenario.when(alice.lists("label", "Priority One", OTHER_ENTRY, slug="p2"))

    assert refusal.then_refused(Taken).pointer == "/name"
    for ref in ("Priority One", "p1", "P1", ENTRY):
        assert scenario.known.entry("label", ref) == scenario.entry()


@pytest.mark.parametrize("slug", ["a_b", "a-", "a--b", "v1.", "x" * 80])
def test_a_label_is_found_by_the_slug_that_was_chosen_for_it(slug: str) -> None:
    """Any slug that the edge lets through can be used, and is taken from then on."""
    scenario = given(alice.lists("label", "Odd", slug=slug))

    assert scenario.known.entry("label", slug) == scenario.entry()
    scenario.when(alice.lists("label", "Other", OTHER_ENTRY, slug=slug)).then_refused(Taken)


@pytest.mark.parametrize("slug", ["a_b", "a-", "a--b", "v1.", "x" * 80])
def test_a_label_is_not_renamed_to_a_slug_that_is_taken(slug: str) -> None:
    """The rule is one for creating and updating."""
    scenario = given(
        alice.lists("label", "Odd", slug=slug), alice.lists("label", "Other", OTHER_ENTRY)
    )

    scenario.when(alice.changes("label", OTHER_ENTRY, slug=slug)).then_refused(Taken)


def test_kinds_have_slugs_of_their_own() -> None:
    """A project and a goal may share a name."""
    scenario = given(
        *(alice.lists(kind, "Apollo", an_id(60 + n)) for n, kind in enumerate(ALL_KINDS))
    )

    slugs = {scenario.entry(an_id(60 + n)).slug for n in range(len(ALL_KINDS))}
    assert slugs == {"apollo"}


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_archiving_frees_the_slug(kind: str) -> None:
    """Slugs are unique among the living."""
    scenario = given(alice.lists(kind, "Apollo"), alice.archives(kind))

    listed = scenario.when(alice.lists(kind, "Other", OTHER_ENTRY, slug="apollo"))

    assert listed.then_only(e.EntryCreated).slug == "apollo"
    scenario.given(listed.command)
    found = scenario.known.entry(kind, "apollo")
    assert found is not None
    assert found.id == OTHER_ENTRY


def test_changing_a_slug_frees_the_former_one() -> None:
    """For the next one who wants it."""
    scenario = given(alice.lists("project", "Apollo"), alice.changes("project", slug="gemini"))

    scenario.given(alice.lists("project", "Apollo", OTHER_ENTRY))

    assert scenario.entry(OTHER_ENTRY).slug == "apollo"
    assert scenario.known.entry("project", "gemini") == scenario.entry()


# ── references ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("ref", ["carol", OTHER_ENTRY])
def test_a_team_names_its_agents_by_id_or_slug(ref: str) -> None:
    """Each once; the event holds ids, or the names of agents who only have a key."""
    scenario = given(alice.lists("agent", "Carol", OTHER_ENTRY))

    listed = scenario.when(
        alice.lists("team", "Core", lead_agent_id=ref, agent_ids=[ref, "coder", "carol", "coder"])
    ).then_only(e.EntryCreated)

    assert listed.fields["lead_agent_id"] == OTHER_ENTRY
    assert listed.fields["agent_ids"] == [OTHER_ENTRY, "coder"]


def test_a_project_names_the_agents_that_it_is_for() -> None:
    """As a team does; one that names nobody is for everybody."""
    scenario = given(alice.lists("agent", "Carol", OTHER_ENTRY), alice.lists("project", "Apollo"))

    named = scenario.when(alice.changes("project", agent_ids=["carol", "coder", OTHER_ENTRY]))

    assert named.then_only(e.EntryUpdated).changes["agent_ids"] == {
        "from": None,
        "to": [OTHER_ENTRY, "coder"],
    }


@pytest.mark.parametrize(
    ("kind", "fields", "pointer"),
    [
        ("team", {"lead_agent_id": NOBODYS}, "/lead_agent_id"),
        ("team", {"lead_agent_id": "bob"}, "/lead_agent_id"),
        ("team", {"agent_ids": ["coder", "nobody"]}, "/agent_ids/1"),
        ("project", {"agent_ids": ["coder", "nobody"]}, "/agent_ids/1"),
    ],
)
def test_nothing_names_agents_who_are_not_there(
    kind: str, fields: dict[str, Any], pointer: str
) -> None:
    """Neither when it is listed, nor when it changes."""
    scenario = given(alice.lists(kind, "Core"))

    for asked in (
        alice.lists(kind, "Other", OTHER_ENTRY, **fields),
        alice.changes(kind, ENTRY, **fields),
    ):
        assert scenario.when(asked).then_refused(NotFound).pointer == pointer


@pytest.mark.parametrize("ref", ["apollo", OTHER_ENTRY])
def test_a_milestone_names_its_project(ref: str) -> None:
    """By id or slug; the event holds the id."""
    scenario = given(alice.lists("project", "Apollo", OTHER_ENTRY))

    listed = scenario.when(alice.lists("milestone", "One", project_id=ref))

    assert listed.then_only(e.EntryCreated).fields == {"project_id": OTHER_ENTRY}


@pytest.mark.parametrize("ref", [NOBODYS, "nope", OTHER_ENTRY])
def test_a_milestone_does_not_name_a_project_that_is_not_there(ref: str) -> None:
    """Nor an entry of another kind."""
    scenario = given(alice.lists("goal", "Apollo", OTHER_ENTRY), alice.lists("milestone", "One"))

    for asked in (
        alice.lists("milestone", "Two", THIRD_ENTRY, project_id=ref),
        alice.changes("milestone", ENTRY, project_id=ref),
    ):
        assert scenario.when(asked).then_refused(NotFound).pointer == "/project_id"


# ── prefixes ───────────────────────────────────────────────────────────────────────────


def test_a_teams_prefix_is_made_from_its_slug() -> None:
    """And gives way where it is taken."""
    scenario = given(
        alice.lists("team", "Engineering"),
        alice.lists("team", "England", OTHER_ENTRY),
        alice.lists("team", "Accounts", THIRD_ENTRY, slug="acme"),
    )

    prefixes = [scenario.entry(i).fields["issue_prefix"] for i in (ENTRY, OTHER_ENTRY, THIRD_ENTRY)]
    assert prefixes == ["ENG", "ENG2", "ACM2"]


@pytest.mark.parametrize("taken", ["ENG", "ACM"])
def test_a_chosen_prefix_that_is_taken_is_refused(taken: str) -> None:
    """By another team, or by the company itself."""
    scenario = given(alice.lists("team", "Engineering"), alice.lists("team", "Other", OTHER_ENTRY))

    for asked in (
        alice.lists("team", "Third", THIRD_ENTRY, issue_prefix=taken),
        alice.changes("team", OTHER_ENTRY, issue_prefix=taken),
    ):
        assert scenario.when(asked).then_refused(Taken).pointer == "/issue_prefix"


@pytest.mark.parametrize("then", [alice.archives("team"), alice.changes("team", issue_prefix="X")])
def test_a_prefix_stays_with_the_team_that_used_it(then: Command) -> None:
    """Its issues go by it for ever; nobody else counts on."""
    scenario = given(alice.lists("team", "Engineering"), alice.creates(team=ENTRY), then)

    refusal = scenario.when(alice.lists("team", "Other", OTHER_ENTRY, issue_prefix="ENG"))

    refusal.then_refused(Taken)
    assert scenario.issue(ISSUE).identifier == "ENG-1"


def test_a_team_may_take_back_its_former_prefix() -> None:
    """It is its own."""
    scenario = given(alice.lists("team", "Engineering"), alice.changes("team", issue_prefix="X"))

    scenario.when(alice.changes("team", issue_prefix="ENG")).then(
        e.EntryUpdated(kind="team", changes={"issue_prefix": change("X", "ENG")})
    )


def test_a_team_keeps_an_issue_prefix() -> None:
    """It can be exchanged and not cleared: its next issue needs a number."""
    scenario = given(alice.lists("team", "Engineering"))

    refusal = scenario.when(alice.changes("team", issue_prefix=None)).then_refused(Invalid)

    assert refusal.pointer == "/issue_prefix"


def test_a_team_for_whom_every_derived_prefix_is_taken_must_choose_one() -> None:
    """There is an end to giving way."""
    scenario = given()
    for text in prefix_candidates("core"):
        scenario.known.staged[("prefix", text)] = scenario.known[("prefix", "ACM")]

    refusal = scenario.when(alice.lists("team", "Core")).then_refused(Taken)

    assert refusal.pointer == "/issue_prefix"


# ── updating and archiving ─────────────────────────────────────────────────────────────

FIELD_VALUES: dict[str, Json] = {
    "email": "carol@example.org",
    "description": "What it is.",
    "issue_prefix": "NEW",
    "lead_agent_id": "coder",
    "agent_ids": ["coder"],
    "target_date": "2026-05-01",
    "project_id": OTHER_ENTRY,
    "color": "#ff0000",
    "instructions": "Every day.",
}


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in ALL_KINDS for name in sorted(KINDS[kind].fields)]
)
def test_updating_changes_a_field(kind: str, name: str) -> None:
    """From → to, and the same again is agreement; None clears it."""
    scenario = given(alice.lists("project", "Apollo", OTHER_ENTRY), alice.lists(kind, "It"))
    value, before = FIELD_VALUES[name], scenario.entry().fields.get(name)

    changed = scenario.when(alice.changes(kind, "it", **{name: value})).then(
        e.EntryUpdated(kind=kind, changes={name: change(before, value)})
    )

    assert changed.entry().fields[name] == value
    changed.when(alice.changes(kind, **{name: value})).then_nothing()
    if name != "issue_prefix":
        changed.when(alice.changes(kind, **{name: None})).then(
            e.EntryUpdated(kind=kind, changes={name: change(value, None)})
        )


@pytest.mark.parametrize("kind", GIVING_WAY)
def test_renaming_an_entry_keeps_its_slug(kind: str) -> None:
    """Links to it go on working; who wants another slug says so."""
    scenario = given(alice.lists(kind, "Apollo"))

    renamed = scenario.when(alice.changes(kind, name="Gemini")).then(
        e.EntryUpdated(kind=kind, changes={"name": change("Apollo", "Gemini")})
    )

    assert (renamed.entry().name, renamed.entry().slug) == ("Gemini", "apollo")


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_a_slug_may_be_chosen_later(kind: str) -> None:
    """In lower case, and not one that is another's; one's own is no change."""
    scenario = given(alice.lists(kind, "Apollo"), alice.lists(kind, "Gemini", OTHER_ENTRY))

    scenario.when(alice.changes(kind, slug="APOLLO")).then_nothing()
    refusal = scenario.when(alice.changes(kind, slug="gemini")).then_refused(Taken)
    assert refusal.facts["taken_by"] == OTHER_ENTRY
    scenario.when(alice.changes(kind, slug="Mercury")).then(
        e.EntryUpdated(kind=kind, changes={"slug": change("apollo", "mercury")})
    )


def test_renaming_a_label_moves_its_slug() -> None:
    """A label is its name, when it is renamed too; who wants another slug says so."""
    scenario = given(alice.lists("label", "Bug"))

    renamed = scenario.when(alice.changes("label", name="Big Bug")).then(
        e.EntryUpdated(
            kind="label",
            changes={"name": change("Bug", "Big Bug"), "slug": change("bug", "big-bug")},
        )
    )

    renamed.when(alice.changes("label", name="Small", slug="big-bug")).then(
        e.EntryUpdated(kind="label", changes={"name": change("Big Bug", "Small")})
    )


@pytest.mark.parametrize("name", ["Bug", "BUG!"])
def test_a_label_is_not_renamed_to_what_reads_like_another_label(name: str) -> None:
    """Two names of one slug would be one label to whoever calls it by that."""
    scenario = given(alice.lists("label", "bug"), alice.lists("label", "task", OTHER_ENTRY))

    refusal = scenario.when(alice.changes("label", OTHER_ENTRY, name=name)).then_refused(Taken)

    assert (refusal.pointer, refusal.facts["taken_by"]) == ("/slug", ENTRY)


def test_a_label_is_not_renamed_to_another_labels_name() -> None:
    """A label is its name, when it is renamed too."""
    scenario = given(alice.lists("label", "bug"), alice.lists("label", "task", OTHER_ENTRY))

    refusal = scenario.when(alice.changes("label", OTHER_ENTRY, name="bug")).then_refused(Taken)

    assert (refusal.pointer, refusal.facts["taken_by"]) == ("/name", ENTRY)


def test_a_label_may_take_the_name_that_another_one_gave_up() -> None:
    """Renamed or archived, it is that name no longer."""
    scenario = given(
        alice.lists("label", "bug"),
        alice.lists("label", "task", OTHER_ENTRY),
        alice.changes("label", name="defect"),
        alice.changes("label", OTHER_ENTRY, name="bug"),
    )
    assert scenario.known.entry("label", "bug") == scenario.entry(OTHER_ENTRY)

    scenario.given(alice.archives("label", OTHER_ENTRY), alice.changes("label", ENTRY, name="bug"))
    assert scenario.known.entry("label", "bug") == scenario.entry()


def test_a_label_with_a_slug_of_its_own_keeps_it_while_its_name_stays() -> None:
    """A form that sends the same name back changes nothing."""
    scenario = given(alice.lists("label", "Priority One", slug="p1"))

    scenario.when(alice.changes("label", name="Priority One")).then_nothing()


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_updating_nothing_is_agreement(kind: str) -> None:
    """What stands already is no change."""
    scenario = given(alice.lists(kind, "Apollo", description="It."))

    scenario.when(alice.changes(kind)).then_nothing()
    scenario.when(alice.changes(kind, name="Apollo", description="It.")).then_nothing()


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_archiving_takes_an_entry_off_the_lists(kind: str) -> None:
    """Its name stays in the event; what refers to it stays as it is."""
    scenario = given(alice.lists(kind, "Apollo"))

    archived = scenario.when(alice.archives(kind, "apollo")).then(
        e.EntryArchived(kind=kind, name="Apollo")
    )

    assert archived.entry().archived_at is not None
    assert archived.known.entry(kind, ENTRY) is None


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize("verb", ["changes", "archives"])
@pytest.mark.parametrize("ref", [NOBODYS, "nope", OTHER_ENTRY, ENTRY, "apollo"])
def test_an_entry_that_is_not_there(kind: str, verb: str, ref: str) -> None:
    """Unknown, of another kind, or archived already: the same answer."""
    other = "goal" if kind != "goal" else "project"
    scenario = given(
        alice.lists(kind, "Apollo"), alice.lists(other, "Else", OTHER_ENTRY), alice.archives(kind)
    )

    scenario.when(getattr(alice, verb)(kind, ref)).then_refused(NotFound)


def test_an_issue_keeps_what_was_archived() -> None:
    """It was so when it was said."""
    scenario = given(
        alice.lists("project", "Apollo"),
        alice.creates(project=ENTRY),
        alice.archives("project"),
        coder.edits(title="Other"),
    )

    assert scenario.issue().project_id == ENTRY
