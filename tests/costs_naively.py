"""What costs are, by a naive fold of the log: slow, simple, and knowing nothing of read models.

Every question is answered by going through all events from the first. Whether a run is rework is
told from the other events of the command that ended it, and not, as the projection has it, from
what last happened to its issue.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from statistics import median
from typing import Any

from ledger import events as e
from ledger.events import Recorded
from projections.queries.costs import CostFilter

NAMES = {
    "day": "day", "agent": "agent_id", "team": "team_id", "project": "project_id",
    "issue": "issue_id", "run": "run_id", "provider": "provider", "model": "model",
}  # fmt: skip
_AMOUNTS = ("input_tokens", "output_tokens", "cached_tokens", "cost_micros")
_UNDONE = (
    e.IssueReleased, e.IssueFailed, e.IssueReassigned, e.IssueTakenOver, e.IssueLeaseExpired,
    e.IssueRejected,
)  # fmt: skip


@dataclass(frozen=True)
class Moment:
    """As of a position, and of what had happened by a time."""

    position: int
    occurred_at: datetime | None = None

    def has(self, r: Recorded) -> bool:
        """Whether an event is of it."""
        return r.position <= self.position and (
            self.occurred_at is None or r.at <= self.occurred_at
        )


@dataclass(frozen=True)
class Entry:
    """A report, or the difference that a correction makes, with all it is grouped by."""

    recorded: Recorded
    named: Mapping[str, Any]
    amounts: tuple[int, ...]
    is_report: bool


def entries(log: Sequence[Recorded], moment: Moment) -> list[Entry]:
    """What was told of costs, oldest first."""
    reports = {r.position: r for r in log if isinstance(r.event, e.CostReported)}
    now: dict[int, tuple[int, ...]] = {}
    found = []
    for r in log:
        match r.event:
            case e.CostReported():
                told, is_report = r, True
                now[r.position] = (0, 0, 0, 0)
            case e.CostCorrected(corrects_position=position):
                told, is_report = reports[position], False
            case _:
                continue
        amounts = tuple(int(getattr(r.event, name)) for name in _AMOUNTS)
        before, now[told.position] = now[told.position], amounts
        named = {name: getattr(told.event, name, None) for name in NAMES.values()}
        named |= {"run_id": told.stream_id, "day": told.at.astimezone(UTC).date()}
        if moment.has(r):
            grown = tuple(b - a for a, b in zip(before, amounts, strict=True))
            found.append(Entry(r, named, grown, is_report))
    return found


def rework(log: Sequence[Recorded], moment: Moment) -> set[str]:
    """The runs whose work must be done again."""
    return {
        r.stream_id
        for r in log
        if isinstance(r.event, e.RunEnded) and moment.has(r) and _is_undone(log, r)
    }


def _is_undone(log: Sequence[Recorded], ended: Recorded) -> bool:
    assert isinstance(ended.event, e.RunEnded)
    if ended.event.exit_reason == "superseded":
        return True
    issue = ended.event.issue_id
    return any(
        isinstance(r.event, _UNDONE)
        or (isinstance(r.event, e.IssueTransitioned) and r.event.to_status in _WAITING)
        for r in log
        if (r.command_id, r.stream_id) == (ended.command_id, issue)
    )


_WAITING = ("backlog", "todo", "failed")


def wanted_of(all_of_them: Iterable[Entry], wanted: CostFilter) -> list[Entry]:
    """Those that a filter wants."""

    def fits(entry: Entry) -> bool:
        named, apart = entry.named, ("day", "agent_id")
        given = {name: getattr(wanted, name) for name in NAMES.values() if name not in apart}
        return (
            all(want is None or named[name] == want for name, want in given.items())
            and (wanted.agent_ids is None or named["agent_id"] in wanted.agent_ids)
            and (wanted.since is None or named["day"] >= wanted.since)
            and (wanted.until is None or named["day"] <= wanted.until)
        )

    return [entry for entry in all_of_them if fits(entry)]


def sums(
    log: Sequence[Recorded],
    moment: Moment,
    wanted: CostFilter,
    groups: Sequence[str],
    interval: str = "day",
) -> dict[tuple[Any, ...], tuple[int, ...]]:
    """Reports, tokens by kind, micro-dollars and rework, by group."""
    undone = rework(log, moment)
    found: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * 6)
    for entry in wanted_of(entries(log, moment), wanted):
        named = {**entry.named, "day": _first_of(entry.named["day"], interval)}
        key = tuple(named[NAMES[group]] for group in groups)
        of_rework = entry.amounts[-1] if entry.named["run_id"] in undone else 0
        added = (int(entry.is_report), *entry.amounts, of_rework)
        found[key] = [a + b for a, b in zip(found[key], added, strict=True)]
    return {key: tuple(amounts) for key, amounts in found.items()}


def _first_of(day: date, interval: str) -> date:
    if interval == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if interval == "month" else day


def finished(
    log: Sequence[Recorded],
    moment: Moment,
    wanted: CostFilter,
    key_of: Callable[[Mapping[str, Any]], Any],
) -> dict[Any, tuple[int, int, int, int, int]]:
    """Of issues that were done or closed then: how many, and what they cost, by a group."""
    issues: dict[str, dict[str, Any]] = {}
    for r in log:
        if not moment.has(r) or not (r.stream_id in issues or isinstance(r.event, e.IssueCreated)):
            continue
        match r.event:
            case e.IssueCreated():
                issues[r.stream_id] = {
                    "team": r.event.team_id, "project": r.event.project_id, "agent": None,
                    "day": None,
                }  # fmt: skip
                _finish(issues[r.stream_id], r.event.status, r)
            case e.IssueEdited():
                for name in ("team", "project"):
                    if change := r.event.changes.get(f"{name}_id"):
                        issues[r.stream_id][name] = change["to"]
            case e.IssueCheckedOut():
                issues[r.stream_id]["agent"] = r.event.agent_id
        if hasattr(r.event, "to_status"):
            _finish(issues[r.stream_id], r.event.to_status, r)
    undone, costs = rework(log, moment), entries(log, moment)
    spent: dict[Any, list[tuple[int, int]]] = defaultdict(list)
    for issue_id, issue in issues.items():
        if issue["day"] is not None and _is_wanted(issue, wanted):
            own = [one for one in costs if one.named["issue_id"] == issue_id]
            again = [one for one in own if one.named["run_id"] in undone]
            spent[key_of(issue)].append(
                (sum(one.amounts[-1] for one in own), sum(one.amounts[-1] for one in again))
            )
    return {key: _told(pairs) for key, pairs in spent.items()}


def _is_wanted(issue: Mapping[str, Any], wanted: CostFilter) -> bool:
    return (
        (wanted.agent_ids is None or issue["agent"] in wanted.agent_ids)
        and wanted.team_id in (None, issue["team"])
        and wanted.project_id in (None, issue["project"])
        and (wanted.since is None or issue["day"] >= wanted.since)
        and (wanted.until is None or issue["day"] <= wanted.until)
    )


def _finish(issue: dict[str, Any], status: str, r: Recorded) -> None:
    if status not in ("done", "closed"):
        issue["day"] = None
    elif issue["day"] is None:
        issue["day"] = r.at.astimezone(UTC).date()


def _told(pairs: Sequence[tuple[int, int]]) -> tuple[int, int, int, int, int]:
    costs, again = [a for a, _ in pairs], [b for _, b in pairs]
    total = sum(costs)
    return (len(pairs), total, total // len(pairs), int(median(costs)), sum(again))
