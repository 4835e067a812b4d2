"""An issue's story, step by step: who did what to it, and when.

A step is what one actor does at one time, as commands that are accepted together or not at all.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from api.demo.founding import OWNER, Directory
from api.demo.plans import LOOKED_AT, SETTLING, Attempt, Plan
from api.demo.words import Words
from ledger import commands as c
from ledger.actors import Actor, Role
from ledger.events import MAX_LEASE_SECONDS
from ledger.ids import new_id

_PRIORITIES = ("urgent", "high", "medium", "low", "none")
_PRIORITY_WEIGHTS = (4, 16, 45, 25, 10)
_MODELS = (
    ("anthropic", "claude-opus", 15), ("anthropic", "claude-sonnet", 3), ("openai", "gpt-5", 5),
    ("openai", "gpt-5-mini", 1), ("google", "gemini-pro", 4), ("google", "gemini-flash", 1),
    ("mistral", "mistral-large", 2), ("local", "qwen", 0),
)  # fmt: skip
_MODEL_WEIGHTS = (12, 30, 18, 12, 8, 9, 5, 6)
_SMALL_BUDGET, _LARGE_BUDGET = 40_000, 50_000_000
_SOON = timedelta(minutes=1)


class Step(NamedTuple):
    """What happens together at one time."""

    at: datetime
    commands: tuple[c.Command, ...]


@dataclass(frozen=True, slots=True)
class Teller:
    """Tells stories, with the words and the dice that all of them share."""

    directory: Directory
    words: Words
    dice: random.Random

    def story(self, plan: Plan) -> Iterator[Step]:
        """All that happens to an issue, in the order of its times."""
        yield Step(plan.at, tuple(self._written_down(plan)))
        dice, issue = self.dice, plan.issue
        if dice.random() < 0.3:
            yield Step(plan.at + _SOON, tuple(self._sorted_out(plan)))
        if plan.fate == "cancelled" and plan.settled_at:
            reason = self.words.text(dice, 3, 8)
            yield Step(plan.settled_at, (c.CancelIssue(**_by(OWNER, issue), reason=reason),))
            return
        for n, attempt in enumerate(plan.attempts):
            yield from self._attempted(plan, attempt, is_last=n + 1 == len(plan.attempts))

    def _written_down(self, plan: Plan) -> Iterator[c.Command]:
        dice, words = self.dice, self.words
        author = self._somebody(plan)
        overspends = any(attempt.ending == "overspent" for attempt in plan.attempts)
        due = plan.at + timedelta(days=dice.randint(3, 40)) if dice.random() < 0.15 else None
        yield c.CreateIssue(
            actor=author,
            role=_role(author),
            issue_id=plan.issue,
            title=words.title(dice),
            description=words.text(dice, 25, 75),
            status="backlog" if plan.fate == "waits" and dice.random() < 0.7 else "todo",
            priority=dice.choices(_PRIORITIES, _PRIORITY_WEIGHTS)[0],
            team=plan.team,
            project=plan.project,
            goal=dice.choice(self.directory.goals) if dice.random() < 0.5 else None,
            milestone=(
                dice.choice(self.directory.milestones[plan.project])
                if dice.random() < 0.5
                else None
            ),
            parent=plan.parent,
            labels=tuple(dict.fromkeys(dice.choices(self.directory.labels, k=dice.randint(0, 3)))),
            due_at=due.strftime("%Y-%m-%dT00:00:00.000000Z") if due else None,
            estimate=dice.choice((1, 2, 3, 5, 8)) if dice.random() < 0.6 else None,
            per_task_micros=_SMALL_BUDGET if overspends else dice.choice((None, _LARGE_BUDGET)),
        )
        for link_type, target in (
            ("blocked_by", plan.blocker), ("discovered_from", plan.found_during)
        ):  # fmt: skip
            if target:
                yield c.LinkIssue(
                    **_by(author, plan.issue), link_id=new_id(), link_type=link_type, target=target
                )

    def _sorted_out(self, plan: Plan) -> Iterator[c.Command]:
        """A person looks at what was written down."""
        dice, someone = self.dice, self._user()
        by = _by(someone, plan.issue)
        if dice.random() < 0.4:
            yield c.EditIssue(**by, changes={"priority": dice.choice(_PRIORITIES)})
        if dice.random() < 0.4:
            yield c.LabelIssue(**by, label=dice.choice(self.directory.labels))
        if plan.attempts and dice.random() < 0.5:
            yield c.AssignIssue(**by, assignee=Actor("agent", plan.attempts[0].agent))
        yield self._said(someone, plan.issue)

    def _attempted(self, plan: Plan, attempt: Attempt, *, is_last: bool) -> Iterator[Step]:
        dice, issue = self.dice, plan.issue
        run_id, agent = new_id(), Actor("agent", attempt.agent)
        yield Step(attempt.at, (_taken(issue, attempt.agent, run_id),))
        if dice.random() < 0.03:  # Somebody else tries too, and is told who holds it.
            rival = dice.choice(self.directory.agents)
            yield Step(attempt.at + _SOON, (_taken(issue, rival, new_id()),))
        steps = dice.randint(1, 3)
        for step in range(1, steps + 1):
            at = attempt.at + timedelta(minutes=attempt.minutes) * step / (steps + 1)
            percent = 100 * step // (steps + 1)
            yield Step(at, tuple(self._worked(issue, agent, run_id, percent)))
        yield from self._ended(plan, attempt, run_id)
        if is_last and attempt.ending in SETTLING and dice.random() < 0.1:
            at = attempt.ends_at + 2 * LOOKED_AT
            yield Step(at, (self._said(self._user(), issue),))

    def _worked(self, issue: str, agent: Actor, run_id: str, percent: int) -> Iterator[c.Command]:
        dice, by = self.dice, _by(agent, issue)
        provider, model, price = dice.choices(_MODELS, _MODEL_WEIGHTS)[0]
        tokens = 500 + int(dice.expovariate(1 / 12_000))
        yield c.ReportCost(
            **by, run_id=run_id, provider=provider, model=model, input_tokens=tokens,
            output_tokens=tokens // 5, cached_tokens=dice.randint(0, tokens),
            cost_micros=tokens * price,
        )  # fmt: skip
        if dice.random() < 0.45:
            yield self._said(agent, issue)
        if dice.random() < 0.3:
            said = self.words.text(dice, 3, 7)
            yield c.ReportProgress(**by, run_id=run_id, message=said, percent=percent)
        if dice.random() < 0.2:
            kept = f'{{"percent":{percent}}}'
            yield c.SaveCheckpoint(**by, run_id=run_id, checkpoint=kept)

    def _ended(self, plan: Plan, attempt: Attempt, run_id: str) -> Iterator[Step]:
        issue, at = plan.issue, attempt.ends_at
        agent = Actor("agent", attempt.agent)
        by, in_run = _by(agent, issue), {**_by(agent, issue), "run_id": run_id}
        said = self.words.text(self.dice, 4, 12)
        match attempt.ending:
            case "done":
                yield Step(at, (c.FinishRun(**in_run, exit_details=said),))
            case "accepted" | "rejected" | "in_review":
                yield Step(at, (c.FinishRun(**in_run, exit_details=said, to_status="in_review"),))
                if attempt.ending != "in_review":  # Or it still waits for somebody to look.
                    yield Step(at + LOOKED_AT / 2, self._looked_at(plan, attempt))
            case "retried":
                yield Step(at, (c.FailRun(**in_run, exit_details=said),))
            case "failed":
                yield Step(at, (c.FailRun(**in_run, exit_details=said, retry=False),))
            case "released":
                yield Step(at, (c.ReleaseIssue(**by, reason=said),))
            case "reassigned":
                yield Step(at, self._reassigned(plan, attempt, said))
            case "handed_off":
                someone = self._user()
                yield Step(at, (c.HandOffIssue(**by, reason=said),))
                yield Step(at + LOOKED_AT / 3, (c.TakeOverIssue(**_by(someone, issue)),))
                done = c.TransitionIssue(**_by(someone, issue), to_status="done")
                yield Step(at + LOOKED_AT, (done,))
            case "overspent":
                cost = c.ReportCost(
                    **in_run, provider="anthropic", model="claude-opus", input_tokens=9_000,
                    output_tokens=3_000, cost_micros=2 * _SMALL_BUDGET,
                )  # fmt: skip
                yield Step(at, (cost,))
                yield Step(at + _SOON, (self._said(self._user(), issue),))
            case "goes_on":
                yield Step(at, (c.CommentOnIssue(**by, comment_id=new_id(), body=said),))

    def _looked_at(self, plan: Plan, attempt: Attempt) -> tuple[c.Command, ...]:
        reviewer = self._user()
        by = _by(reviewer, plan.issue)
        said = self._said(reviewer, plan.issue)
        if attempt.ending == "accepted":
            return (said, c.AcceptIssue(**by))
        return (said, c.RejectIssue(**by, reason=self.words.text(self.dice, 4, 12)))

    def _reassigned(self, plan: Plan, attempt: Attempt, reason: str) -> tuple[c.Command, ...]:
        """To whoever tries next; back on the pile after the last attempt."""
        by = _by(OWNER, plan.issue)
        later = [one.agent for one in plan.attempts if one.at > attempt.at]
        if not later or later[0] == attempt.agent:
            return (c.ReleaseIssue(**by, reason=reason),)
        return (c.ReassignIssue(**by, assignee=Actor("agent", later[0]), reason=reason),)

    def _somebody(self, plan: Plan) -> Actor:
        if self.dice.random() < 0.4:
            return self._user()
        return Actor("agent", self.dice.choice(self.directory.members[plan.team]))

    def _user(self) -> Actor:
        return Actor("user", self.dice.choice(self.directory.users))

    def _said(self, who: Actor, issue: str) -> c.CommentOnIssue:
        body = self.words.text(self.dice, 6, 35)
        return c.CommentOnIssue(**_by(who, issue), comment_id=new_id(), body=body)


def _by(who: Actor, issue: str) -> dict[str, Any]:
    return {"actor": who, "role": _role(who), "issue": issue}


def _role(who: Actor) -> Role:
    return Role.AGENT if who.type == "agent" else Role.OWNER


def _taken(issue: str, agent: str, run_id: str) -> c.CheckOutIssue:
    """A checkout that no slow machine lets run out before the story is told."""
    return c.CheckOutIssue(
        **_by(Actor("agent", agent), issue), agent_id=agent, run_id=run_id, names_run=True,
        lease_seconds=MAX_LEASE_SECONDS,
    )  # fmt: skip
