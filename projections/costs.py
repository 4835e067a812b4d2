"""Following read model: what runs cost, each report and the sums.

A correction is an entry too, with the difference that it makes, on the day of the report that it
corrects: so sums stay sums, of any part of the log as of all of it, and a day's are right once it
is corrected. The correction itself happens when it is made: by what had happened before that, the
wrong amount stands. Whether a run's costs are rework is known only at its end (`rework.py`), which
moves what it cost so far.

The sums are by day, provider and model: of the whole company, by agent, by team, by project, and by
all of those together, so that what is asked most is the sum of a few rows. What an issue or a run
cost is a sum of its entries. The sums are added to, which is exact because
a page of events moves the checkpoint in the same transaction, and so counts once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from operator import add
from typing import Any, NamedTuple

from ledger.amounts import AMOUNTS, added_by
from ledger.database import Connection
from ledger.events import CostCorrected, CostReported, Recorded
from ledger.facts import month_of
from ledger.sql import beside
from projections.cost_issues import CostIssues, Redone

_SQL = beside(__file__)


class _Key(NamedTuple):
    """Of a row of `cost_sums`; team and project are '' for none."""

    day: date
    agent_id: str
    team: str
    project: str
    provider: str
    model: str


_LEVELS: Mapping[str, Mapping[str, Any]] = {
    "company": {"agent_id": "", "team": "", "project": ""},
    "agent": {"team": "", "project": ""},
    "team": {"agent_id": "", "project": ""},
    "project": {"agent_id": "", "team": ""},
    "each": {},
}
"""What sums are by, and so what of a key they are not by."""


class _Amounts(NamedTuple):
    """What sums are of."""

    reports: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_micros: int
    rework_micros: int


class _Part(NamedTuple):
    """What is added to the sums of a key, and to those of an issue."""

    key: _Key
    issue_id: str
    amounts: _Amounts


class Costs:
    """Keeps `cost_entries`, `cost_sums`, `cost_rework` and `cost_issues`."""

    name = "costs"
    tables = ("cost_entries", "cost_sums", "cost_rework", "cost_issues")

    async def save(
        self, connection: Connection, company_id: str, recorded: Sequence[Recorded]
    ) -> None:
        """Adds the reports and corrections, adds them up, and tells rework from the rest."""
        issues = await CostIssues.of(connection, company_id, recorded)
        told = [(r, r.event) for r in recorded if isinstance(r.event, CostReported | CostCorrected)]
        parts = await _told(connection, company_id, told) if told else []
        if redone := issues.fold(recorded):
            parts += await _moved(connection, company_id, redone)
        for part in parts:
            issues.add(part.issue_id, part.amounts.cost_micros, part.amounts.rework_micros)
        if parts:
            await connection.execute(_SQL.add_sums, company_id, _summed(parts))
        await issues.save(connection)


async def _told(
    connection: Connection,
    company_id: str,
    told: Sequence[tuple[Recorded, CostReported | CostCorrected]],
) -> list[_Part]:
    """Keeps the entries; what is told of a run that was rework before is rework at once."""
    entries = [_entry(r, event) for r, event in told]
    await connection.execute(_SQL.insert_entries, company_id, entries)
    runs = list({r.stream_id for r, _ in told})
    found = await connection.fetch(_SQL.rework, company_id, runs)
    rework = {str(row["run_id"]) for row in found}
    return [_part(r, event, r.stream_id in rework) for r, event in told]


async def _moved(connection: Connection, company_id: str, redone: Sequence[Redone]) -> list[_Part]:
    """Keeps the runs; all that they cost so far is rework from now on."""
    runs = [{"run_id": run_id, "position": r.position, "at": r.at} for run_id, r in redone]
    await connection.execute(_SQL.insert_rework, company_id, runs)
    found = await connection.fetch(_SQL.costs_of_runs, company_id, [one.run_id for one in redone])
    return [
        _Part(
            _Key(r["day"], r["agent_id"], r["team"], r["project"], r["provider"], r["model"]),
            str(r["issue_id"]),
            _Amounts(0, 0, 0, 0, 0, rework_micros=r["cost_micros"]),
        )
        for r in found
    ]


def _corrects(event: CostReported | CostCorrected) -> int | None:
    return event.corrects_position if isinstance(event, CostCorrected) else None


def _day(r: Recorded, event: CostReported | CostCorrected) -> date:
    """The UTC day on which the report happened, be it corrected later."""
    at = r.at if isinstance(event, CostReported) else datetime.fromisoformat(event.reported_at)
    return at.astimezone(UTC).date()


def _month(r: Recorded, event: CostReported | CostCorrected) -> str:
    """The month of the budgets in which the report counts."""
    return month_of(r.recorded_at) if isinstance(event, CostReported) else event.month


def _entry(r: Recorded, event: CostReported | CostCorrected) -> dict[str, Any]:
    return {
        "position": r.position,
        "corrects_position": _corrects(event),
        "day": _day(r, event),
        "at": r.at,
        "recorded_at": r.recorded_at,
        "month": _month(r, event),
        "run_id": r.stream_id,
        "issue_id": event.issue_id,
        "agent_id": event.agent_id,
        "team_id": event.team_id,
        "project_id": event.project_id,
        "provider": event.provider,
        "model": event.model,
        **dict(zip(AMOUNTS, added_by(event), strict=True)),
    }


def _part(r: Recorded, event: CostReported | CostCorrected, is_rework: bool) -> _Part:
    key = _Key(
        _day(r, event),
        event.agent_id,
        event.team_id or "",
        event.project_id or "",
        event.provider,
        event.model,
    )
    amounts = added_by(event)
    reports = 1 if isinstance(event, CostReported) else 0
    rework = amounts[-1] if is_rework else 0
    return _Part(key, event.issue_id, _Amounts(reports, *amounts, rework))


def _summed(parts: Iterable[_Part]) -> list[dict[str, Any]]:
    """One row a level and key: reports, tokens by kind, micro-dollars, and those of rework."""
    each = _added((part.key, part.amounts) for part in parts)
    return [
        {"level": level, **key._asdict(), **amounts._asdict()}
        for level, others in _LEVELS.items()
        for key, amounts in _added((k._replace(**others), a) for k, a in each.items()).items()
    ]


def _added(parts: Iterable[tuple[_Key, _Amounts]]) -> dict[_Key, _Amounts]:
    sums: dict[_Key, _Amounts] = {}
    for key, amounts in parts:
        before = sums.get(key)
        sums[key] = amounts if before is None else _Amounts(*map(add, before, amounts))
    return sums
