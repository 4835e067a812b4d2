"""A handful of simulated agents at work, now: the small demo company.

They do what agents do, through the same commands: write issues down, race for them, comment,
save checkpoints, report what they spent, finish, give up, let others look. Refusals are part of it:
some issues wait for others, and some budgets are small.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from api.wiring import Ledger
from ledger import commands as c
from ledger.actors import Actor, Role
from ledger.errors import Refused
from ledger.events import Json
from ledger.ids import new_id
from ledger.state import Issue
from ledger.submission import Outcome, Provenance, Submission

_AGENTS = ("Coder One", "Coder Two", "Reviewer", "Tester", "Writer", "Planner", "Fixer", "Scout")
_VERBS = ("Fix", "Speed up", "Document", "Test", "Rewrite", "Review", "Simplify", "Measure")
_THINGS = (
    "token refresh", "the importer", "pagination", "retry with backoff", "the pricing page",
    "cache invalidation", "the release script", "error messages", "the search index", "login",
)  # fmt: skip
_MODELS = (("anthropic", "claude-sonnet", 3), ("openai", "gpt-5", 5), ("local", "qwen", 1))
_FINISHES = ("done", "done", "done", "in_review")


@dataclass(slots=True)
class _Team:
    """What the simulation made, and what it did."""

    agents: list[str] = field(default_factory=list)
    issues: list[str] = field(default_factory=list)
    projects: list[str] = field(default_factory=list)
    accepted: int = 0
    refused: int = 0
    events: int = 0


async def work_live(
    ledger: Ledger,
    company_id: str,
    *,
    agents: int,
    issues: int,
    seed: int,
    progress: Callable[[int, int], None],
) -> dict[str, int]:
    """Lets `agents` work on `issues`; returns what came of it, counted."""
    dice = random.Random(seed)
    team = _Team()
    await _found(ledger, company_id, team, agents, dice)
    for n in range(issues):
        await _write_down(ledger, company_id, team, dice)
        progress(n + 1, issues * 2)
    queue = list(team.issues)
    dice.shuffle(queue)

    async def work(agent: str, dice: random.Random) -> None:
        while queue:
            await _work_on(ledger, company_id, team, agent, queue.pop(), dice)
            progress(issues * 2 - len(queue), issues * 2)

    await asyncio.gather(
        *(work(agent, random.Random(f"{seed}/{n}")) for n, agent in enumerate(team.agents))
    )
    return {"accepted": team.accepted, "refused": team.refused, "events": team.events}


async def _found(
    ledger: Ledger, company_id: str, team: _Team, agents: int, dice: random.Random
) -> None:
    """The directory: agents, a team, projects, labels."""
    boss = Actor("user", "demo")

    async def entry(kind: str, name: str, **fields: Json) -> str:
        entry_id = new_id()
        command = c.CreateEntry(
            actor=boss, role=Role.OWNER, entry_id=entry_id, kind=kind, entry_name=name,
            slug=None, fields=fields,
        )  # fmt: skip
        await _do(ledger, company_id, team, command)
        return entry_id

    for n in range(agents):
        name = _AGENTS[n % len(_AGENTS)]
        team.agents.append(await entry("agent", name if n < len(_AGENTS) else f"{name} {n}"))
    members: list[Json] = [*team.agents]
    await entry("team", "Engineering", agent_ids=members)
    for name in ("Website", "Platform"):
        team.projects.append(await entry("project", name))
    for name in ("bug", "chore", "idea"):
        await _do(
            ledger, company_id, team,
            c.CreateEntry(actor=boss, role=Role.OWNER, entry_id=new_id(), kind="label",
                          entry_name=name, slug=None, fields={}),
        )  # fmt: skip


async def _write_down(ledger: Ledger, company_id: str, team: _Team, dice: random.Random) -> None:
    issue_id = new_id()
    title = f"{dice.choice(_VERBS)} {dice.choice(_THINGS)}"
    parent = dice.choice(team.issues) if team.issues and dice.random() < 0.2 else None
    await _do(
        ledger, company_id, team,
        c.CreateIssue(
            actor=Actor("agent", dice.choice(team.agents)), role=Role.AGENT, issue_id=issue_id,
            title=title, description=f"{title}, so that nobody has to ask again.",
            priority=dice.choice(("low", "medium", "high")), team="engineering",
            project=dice.choice(team.projects), parent=parent,
            labels=(dice.choice(("bug", "chore", "idea")),),
            per_task_micros=dice.choice((None, None, 20_000, 500_000)),
        ),
    )  # fmt: skip
    if team.issues and dice.random() < 0.1:
        await _do(
            ledger, company_id, team,
            c.LinkIssue(
                actor=Actor("agent", dice.choice(team.agents)), role=Role.AGENT, issue=issue_id,
                link_id=new_id(), link_type="blocked_by", target=dice.choice(team.issues),
            ),
        )  # fmt: skip
    team.issues.append(issue_id)


async def _work_on(
    ledger: Ledger, company_id: str, team: _Team, agent: str, issue_id: str, dice: random.Random
) -> None:
    me = Actor("agent", agent)

    async def do(build: Callable[..., c.Command], **fields: object) -> Outcome | None:
        command = build(actor=me, role=Role.AGENT, issue=issue_id, **fields)
        return await _do(ledger, company_id, team, command)

    outcome = await do(c.CheckOutIssue, agent_id=agent, run_id=new_id())
    if outcome is None:
        return
    subject = outcome.results[0].subject
    assert isinstance(subject, Issue)
    rival = dice.choice(team.agents)
    if rival != agent:  # Somebody else tries too, and is told who holds it.
        late = c.CheckOutIssue(
            actor=Actor("agent", rival), role=Role.AGENT, issue=issue_id, agent_id=rival,
            run_id=new_id(),
        )  # fmt: skip
        await _do(ledger, company_id, team, late)
    run_id = subject.holder_run_id
    await do(c.CommentOnIssue, comment_id=new_id(), body="On it.")
    steps = dice.randint(1, 4)
    for step in range(1, steps + 1):
        provider, model, price = dice.choice(_MODELS)
        tokens = dice.randint(500, 20_000)
        told = await do(
            c.ReportCost, run_id=run_id, provider=provider, model=model,
            input_tokens=tokens, output_tokens=tokens // 4, cost_micros=tokens * price,
        )  # fmt: skip
        if told is not None and tokens % 10 == 0:  # Now and then the bill says something else.
            await do(
                c.CorrectCost, run_id=run_id, cost_micros=tokens * price // 2,
                corrects_position=told.position - told.results[0].appended + 1,
                reason="Billed at half the price.",
            )  # fmt: skip
        percent = 100 * step // steps
        await do(c.ReportProgress, run_id=run_id, message=f"Step {step}.", percent=percent)
    await do(c.SaveCheckpoint, run_id=run_id, checkpoint=f'{{"steps":{steps}}}')
    if dice.random() < 0.15:
        await do(c.FailRun, run_id=run_id, exit_details="Out of context.")
        return
    to_status = dice.choice(_FINISHES)
    await do(c.FinishRun, run_id=run_id, to_status=to_status)
    if to_status == "in_review" and rival != agent:  # Nobody accepts their own work.
        looks = dice.choice((c.AcceptIssue, c.RejectIssue))
        command = looks(actor=Actor("agent", rival), role=Role.AGENT, issue=issue_id)
        await _do(ledger, company_id, team, command)


async def _do(ledger: Ledger, company_id: str, team: _Team, command: c.Command) -> Outcome | None:
    try:
        outcome = await ledger.committer.submit(
            company_id, Submission(commands=(command,), provenance=Provenance(via="demo"))
        )
    except Refused:
        team.refused += 1
        return None
    team.accepted += 1
    team.events += sum(result.appended for result in outcome.results)
    return outcome
