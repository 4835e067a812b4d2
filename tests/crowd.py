"""Two companies with the same things in them: one that is new, and one that is full.

In both there is an issue that is talked about, one that is held and renewed, a blocker with one
dependent, work that waits, and so on; in the full one each of them has a past, and thousands of
others beside it. A command on the one must cost what it costs on the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from api.wiring import Ledger
from bench import filling as f
from bench.filling import ALICE, House
from ledger import commands as c
from ledger.actors import Actor, Role
from ledger.ids import new_id

OFFERED = 32
"""How much work waits wherever an agent looks for some, so that nowhere it looks further."""


@dataclass(frozen=True, slots=True)
class Place:
    """A company, and the ids of what commands are about in it."""

    house: House
    ids: dict[str, str]
    many: tuple[str, ...]

    def __getitem__(self, name: str) -> str:
        """The id of the company's team, held issue, …"""
        return self.ids[name]


async def fill(ledger: Ledger, times: int) -> Place:
    """A company in which everything that can grow is so many times as much as in a new one."""
    house = House(ledger, await ledger.create_company("Acme"))
    ids: dict[str, str] = {}
    await _people(house, ids, times)
    await _backlog(house, ids, times)
    await _work(house, ids, times)
    await _talk(house, ids, times)
    await _chain(house, ids, times)
    ids["free"], ids["given"], *many = await house.issues(66, priority="low")
    await house.do(f.assign(ids["given"], agent=ids["agent"]))
    await house.do(f.block(ids["waits"], ids["free"]))
    ids["report"] = str((await house.do(f.report(ids["held"], ids["run"]))).position)
    await house.do_all(correct(ids, output_tokens=n) for n in range(5 * times))
    return Place(house, ids, tuple(many))


async def _people(house: House, ids: dict[str, str], times: int) -> None:
    """Agents, projects and labels; of teams there are few anywhere."""
    for name in ("agent", "idle", "stranger"):
        ids[name] = await house.entry("agent", name)
    members = [ids["agent"], ids["idle"]]
    ids["team"] = await house.entry("team", "Engineering", agent_ids=members)
    ids["elsewhere"] = await house.entry("team", "Operations", agent_ids=[ids["stranger"]])
    ids["project"] = await house.entry("project", "Ours", agent_ids=members)
    ids["label"] = await house.entry("label", "bug")
    await asyncio.gather(
        *(
            house.entry(kind, f"{kind} {n}")
            for kind in ("agent", "project", "label")
            for n in range(2 * times)
        )
    )


async def _backlog(house: House, ids: dict[str, str], times: int) -> None:
    """What waits: first, and most urgent, for another team; then for ours, and for anybody."""
    count = max(OFFERED, 50 * times)
    await house.issues(count, team=ids["elsewhere"], priority="urgent")
    for where in ({"team": ids["team"], "project": ids["project"]}, {"team": None}):
        await house.issues(count, per_task_micros=10**9, **where)
    await house.finish_all(await house.issues(50 * times), ids["agent"])
    waiting = await house.issues(count, team=ids["elsewhere"])
    await house.do_all(f.assign(issue, agent=ids["stranger"]) for issue in waiting)
    for team in ("team", "elsewhere"):
        left = await house.issues(max(OFFERED, 5 * times), team=ids[team])
        await house.check_out_all(left, ids["stranger"], lease_seconds=1)


async def _work(house: House, ids: dict[str, str], times: int) -> None:
    """Issues that are held, one of them by a run with a long past."""
    held = await house.issues(10 * times, team=ids["team"], per_task_micros=10**9)
    runs = await house.check_out_all(held, ids["stranger"])
    await house.do_all(f.report(issue, run) for issue, run in zip(held, runs, strict=True))
    ids["held"], ids["run"] = held[0], runs[0]
    ids["finishing"], ids["its_run"] = held[1], runs[1]
    await house.do_all(f.renew(ids["held"]) for _ in range(10 * times))
    await house.do_all(f.report(ids["held"], ids["run"]) for _ in range(50 * times))
    text = '{"text": "' + 100 * times * "x" + '"}'
    await house.do_all(f.checkpoint(ids["held"], ids["run"], text) for _ in range(5 * times))


def correct(ids: Any, **amounts: int) -> c.Command:
    """Corrects the last report of the run with a long past."""
    return _as_alice(
        c.CorrectCost, issue=ids["held"], run_id=ids["run"], reason="Counted twice.",
        corrects_position=int(ids["report"]), **amounts,
    )  # fmt: skip


async def _talk(house: House, ids: dict[str, str], times: int) -> None:
    """An issue with a long text, many comments and many children."""
    (ids["talk"],) = await house.issues(1, description="x" * (1000 * times))
    said = [f.comment(ids["talk"]) for _ in range(50 * times)]
    ids["comment"] = said[0].comment_id
    await house.do_all(said)
    await house.issues(10 * times, parent=ids["talk"], priority="low")


async def _chain(house: House, ids: dict[str, str], times: int) -> None:
    """One issue after the other in a long chain, each blocked by the one before it."""
    chain = await house.issues(20 * times + 1, priority="low")
    await house.do_all(f.block(chain[n + 1], chain[n]) for n in reversed(range(len(chain) - 1)))
    ids["blocker"], ids["tail"] = chain[0], chain[-1]
    (ids["waits"],) = await house.issues(1, priority="low")


def _as_alice(kind: Callable[..., c.Command], /, **fields: Any) -> c.Command:
    return kind(actor=ALICE, role=Role.OWNER, **fields)


COMMANDS: dict[str, Callable[[Place], list[c.Command]]] = {
    "create": lambda p: [f.create(new_id())],
    "create with everything": lambda p: [
        f.create(
            new_id(), team=p["team"], project="ours", parent=p["talk"], labels=("bug",),
            external_ref=("elsewhere", "1"),
        )
    ],
    "create many": lambda p: [f.create(new_id()) for _ in range(64)],
    "edit": lambda p: [_as_alice(c.EditIssue, issue=p["talk"], changes={"priority": "high"})],
    "transition": lambda p: [f.transition(p["talk"], "done")],
    "close": lambda p: [_as_alice(c.CloseIssue, issue=p["talk"])],
    "pause": lambda p: [_as_alice(c.PauseIssue, issue=p["held"])],
    "delete": lambda p: [_as_alice(c.DeleteIssue, issue=p["talk"], reason=None)],
    "label": lambda p: [_as_alice(c.LabelIssue, issue=p["talk"], label="bug")],
    "comment": lambda p: [f.comment(p["talk"])],
    "comment many": lambda p: [f.comment(issue) for issue in p.many],
    "edit comment": lambda p: [
        _as_alice(c.EditComment, issue=p["talk"], comment_id=p["comment"], body="Better.")
    ],
    "delete comment": lambda p: [
        _as_alice(c.DeleteComment, issue=p["talk"], comment_id=p["comment"])
    ],
    "check out": lambda p: [f.check_out(p["free"], "agent")],
    "check out many": lambda p: [f.check_out(issue, p["agent"]) for issue in p.many],
    "release": lambda p: [f.release(p["held"])],
    "renew": lambda p: [f.renew(p["held"])],
    "claim": lambda p: [f.claim_next(p["agent"])],
    "claim by many": lambda p: [
        f.claim_next(p[agent]) for agent in ("agent", "idle", "stranger") for _ in range(8)
    ],
    "assign": lambda p: [f.assign(p["free"], agent="idle")],
    "assign to a team": lambda p: [f.assign(p["free"], team=p["team"])],
    "reassign": lambda p: [
        _as_alice(
            c.ReassignIssue, issue=p["held"], assignee=Actor("agent", p["idle"]), reason=None
        )
    ],
    "progress": lambda p: [
        _as_alice(
            c.ReportProgress, issue=p["held"], run_id=p["run"], message="Nearly.", percent=99
        )
    ],
    "checkpoint": lambda p: [f.checkpoint(p["held"], p["run"])],
    "cost": lambda p: [f.report(p["held"], p["run"])],
    "correct a cost": lambda p: [correct(p, input_tokens=10**6)],
    "finish": lambda p: [f.finish(p["finishing"], p["its_run"])],
    "settle a blocker": lambda p: [f.transition(p["blocker"], "done")],
    "block": lambda p: [f.block(p["free"], p["given"])],
    "block what is in a chain": lambda p: [f.block(p["blocker"], p["free"])],
    "relate": lambda p: [
        _as_alice(
            c.LinkIssue, issue=p["talk"], link_id=new_id(), link_type="relates_to",
            target=p["free"],
        )
    ],
    "list an entry": lambda p: [
        _as_alice(
            c.CreateEntry, entry_id=new_id(), kind="label", entry_name="slow", slug=None, fields={}
        )
    ],
    "rename an agent": lambda p: [
        _as_alice(c.UpdateEntry, kind="agent", entry="stranger", changes={"name": "Friend"})
    ],
    "pause an agent": lambda p: [_as_alice(c.PauseAgent, agent="idle", reason=None)],
    "budget": lambda p: [_as_alice(c.SetCompanyBudget, monthly_micros=10**12)],
}  # fmt: skip
"""What may be asked in either company, each by itself, as one batch."""
