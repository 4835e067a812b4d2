"""An issue's states from the log: the same wherever folding starts, and whatever is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from api.wiring import Ledger, open_ledger
from ledger import log
from ledger.ids import new_id
from ledger.submission import Provenance, Submission
from projections import folding
from projections.folding import Step, Stretch
from projections.projector import Projector
from tests.conftest import NewDatabase
from tests.writing import comment, create, edit, eventually, issue_of, log_of, submit


async def _lived(ledger: Ledger, company: str, events: int = 30) -> str:
    """An issue with so many events, and another one between them."""
    issue, other = new_id(), new_id()
    await submit(ledger, company, create(issue_id=issue, description="At first"))
    await submit(ledger, company, create(issue_id=other))
    for n in range(events - 1):
        said = comment(issue, f"No. {n}") if n % 3 else edit(issue, title=f"No. {n}")
        await submit(ledger, company, said, comment(other))
    return issue


async def _forwards(ledger: Ledger, stretch: Stretch) -> list[Step]:
    return [step async for step in folding.forwards(ledger.readers, stretch)]


async def _backwards(ledger: Ledger, stretch: Stretch) -> list[Step]:
    return [step async for step in folding.backwards(ledger.readers, stretch)]


@pytest.mark.parametrize("chunk", [1, 4, 200], ids=["by one", "by four", "at once"])
async def test_a_stretch_is_a_part_of_the_whole_wherever_it_begins(
    ledger: Ledger, projector: Projector, company: str, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    """Forwards and backwards, from every version on, whether states are kept or not yet."""
    monkeypatch.setattr(folding, "CHUNK", chunk)
    issue = await _lived(ledger, company, 12)
    whole = await _forwards(ledger, Stretch(company, issue, 1, 12))
    assert [step.recorded.version for step in whole] == list(range(1, 13))
    assert whole[0].before is None
    assert all(a.after == b.before for a, b in pairwise(whole))
    for first in range(1, 13):
        for last in (first, 12):
            part = Stretch(company, issue, first, last)
            assert await _forwards(ledger, part) == whole[first - 1 : last]
            assert await _backwards(ledger, part) == whole[first - 1 : last][::-1]
            assert await folding.state_at(ledger.readers, part) == whole[last - 1].after


async def test_states_are_exact_where_no_read_model_follows(new_database: NewDatabase) -> None:
    """Nobody follows this log: everything is folded from its first event."""
    async with open_ledger(await new_database()) as own:
        company = await own.create_company("Acme")
        issue = await _lived(own, company)
        part = Stretch(company, issue, 25, 30)
        steps = await _forwards(own, part)
        row = await own.readers.fetchrow("SELECT * FROM issues WHERE issue_id = $1", issue)
        assert row is not None
        assert (steps[-1].after.title, steps[-1].after.comment_count) == (
            row["title"], row["comment_count"],
        )  # fmt: skip
        assert steps[-1].after.version == row["version"] == 30


async def test_a_version_is_found_by_any_position(ledger: Ledger, company: str) -> None:
    """Between two events of an issue it is the former one's; before the first there is none."""
    issue = await _lived(ledger, company, 9)
    at = 0
    for stored in await log_of(ledger, company):
        r = stored.recorded
        at = r.version if r.stream_id == issue else at
        assert await folding.version_at(ledger.readers, company, issue, r.position) == at
    assert await folding.version_at(ledger.readers, company, issue, 10**12) == 9
    assert await folding.version_at(ledger.readers, company, new_id(), 10**12) == 0
    assert await folding.version_at(ledger.readers, new_id(), issue, 10**12) == 0


async def test_what_happened_later_is_passed_over(ledger: Ledger, company: str) -> None:
    """By a time, in the order of the log, be it told late; before it was created, nothing."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    issue = new_id()
    told = [(create(issue_id=issue), 1), (edit(issue, title="Third"), 3), (comment(issue), 2)]
    for command, day in told:
        when = Provenance(via="test", occurred_at=start + timedelta(days=day))
        await ledger.committer.submit(company, Submission(commands=(command,), provenance=when))

    async def by(day: int) -> list[int]:
        part = Stretch(company, issue, 1, 3, start + timedelta(days=day))
        steps = await _forwards(ledger, part)
        assert await _backwards(ledger, part) == steps[::-1]
        last = steps[-1].after if steps else None
        assert await folding.state_at(ledger.readers, part) == last
        return [step.recorded.version for step in steps]

    assert [await by(day) for day in range(4)] == [[], [1], [1, 3], [1, 2, 3]]


async def test_a_commands_events_are_those_that_stand_together(
    ledger: Ledger, company: str
) -> None:
    """From any of them, all of them, and none of a neighbour's; as many as are asked for."""
    issue = issue_of(await submit(ledger, company, create())).id
    for _ in range(2):
        await submit(ledger, company, comment(issue), edit(issue, title=new_id()))
    events = await log_of(ledger, company)
    for stored in events:
        found, is_complete = await folding.command_of(ledger.readers, stored.recorded, 10)
        command_id = stored.recorded.command_id
        assert found == [one for one in events if one.recorded.command_id == command_id]
        assert is_complete
    some, is_complete = await folding.command_of(ledger.readers, events[-1].recorded, 0)
    assert (some, is_complete) == (events[-1:], False)


async def test_the_states_that_the_read_model_keeps_are_used(
    ledger: Ledger, projector: Projector, company: str
) -> None:
    """Far down a stream only the stretch itself is read, once the read model is there."""
    issue = await _lived(ledger, company, 30)

    async def is_kept() -> bool:
        part = Stretch(company, issue, 1, 30)
        kept = await folding._kept(ledger.readers, part)
        return kept is not None and kept.version == 30

    await eventually(is_kept)
    end = await log.head(ledger.readers, company)
    assert end is not None
    kept = await folding._kept(ledger.readers, Stretch(company, issue, 1, 7))
    assert kept is not None
    assert kept.version == 7
