"""`ledger import beads`: another tracker's issues, with their history, through `decide`.

    files → rows → a plan of steps → commands → the committer → a report

Every step has an Idempotency-Key made from its source row. Steps that an earlier import took
are not taken again, so importing twice appends nothing, importing a changed export appends
what changed, and an import that was cut short goes on where it stopped. A step that `decide`
refuses is kept as a comment that says what the source said, under the same key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from api.importing.beads_commands import Writer, nothing
from api.importing.beads_files import read_export
from api.importing.beads_here import IMPORTER, Here, look_around, look_closely, tally
from api.importing.beads_plan import Plan, plan_of
from api.importing.beads_steps import Listed, Step, in_words
from api.importing.report import ImportFailed, Oddities, Report
from api.wiring import Ledger
from ledger.commands import Command
from ledger.errors import IdempotencyReplyGone, LedgerError, Unavailable
from ledger.submission import IdempotencyKey, Provenance, Submission, text_of

VIA = "import:beads"
_WINDOW = 200
_WINDOW_BYTES = 4 * 1024 * 1024

Progress = Callable[[int, int], None]


def _silent(done: int, total: int) -> None:
    """No progress is shown."""


async def import_beads(
    path: Path, company_id: str, ledger: Ledger, *, progress: Progress = _silent
) -> Report:
    """Imports a Beads file or folder into a company; raises ImportFailed.

    `progress` hears how many steps of how many are done.
    """
    oddities = Oddities()
    export = await asyncio.to_thread(read_export, path, oddities)
    here = await look_around(ledger.readers, company_id, export)
    if here is None:
        raise ImportFailed(f"There is no company {company_id}.")
    living = {issue for issue, standing in here.found.items() if not standing.gone}
    plan = plan_of(export, living, datetime.now(UTC), oddities)
    await look_closely(ledger.readers, here, plan)
    run = _Run(ledger, here, plan, oddities)
    await run.take(progress)
    kinds = [kind for kind, _ in plan.names]
    return Report(
        path=export.path,
        rows=export.rows,
        issues=len(plan.former),
        agents=kinds.count("agent"),
        users=kinds.count("user"),
        labels=kinds.count("label"),
        **await tally(ledger.readers, here),
        appended=run.appended,
        replayed=run.replayed,
        oddities=oddities.listed(),
    )


class _Run:
    """Takes steps: a window of them at a time, in their order."""

    def __init__(self, ledger: Ledger, here: Here, plan: Plan, oddities: Oddities) -> None:
        self.appended = 0
        self.replayed = 0
        self._ledger = ledger
        self._here = here
        self._plan = plan
        self._oddities = oddities
        self._writer = Writer(here, oddities)

    async def take(self, progress: Progress) -> None:
        """Takes the plan's steps, but for those that an earlier import took."""
        steps = self._plan.steps
        pending = [step for step in steps if self._is_pending(step)]
        self.replayed = sum(step.key in self._here.taken for step in steps)
        done = len(steps) - len(pending)
        progress(done, len(steps))
        submissions = ((step, self._submission(step)) for step in pending)
        for window in _windows(submissions):
            answers = await asyncio.gather(*(self._submit(submission) for _, submission in window))
            for (step, submission), answer in zip(window, answers, strict=True):
                if answer:
                    await self._keep(step, submission, answer)
            done += len(window)
            progress(done, len(steps))

    def _is_pending(self, step: Step) -> bool:
        if isinstance(step.deed, Listed):
            return not self._here.entries[step.deed.kind, step.deed.name].exists
        if step.key in self._here.taken:
            return False
        if not self._here.issues[step.issue].gone:
            return True
        if step.issue not in self._plan.deleted:
            detail = "It was deleted here; steps that the source has for it are left out."
            self._oddities.note("deleted_here", step.issue, detail)
        return False

    def _submission(self, step: Step) -> Submission:
        commands = self._writer.commands(step)
        if isinstance(step.deed, Listed):  # Archived by now, a name is listed anew.
            entry = self._here.entries[step.deed.kind, step.deed.name]
            return self._of(step, commands, f"{step.key}/{entry.id}")
        return self._of(step, commands, step.key)

    def _of(self, step: Step, commands: tuple[Command, ...], key: str) -> Submission:
        return Submission(
            commands=commands,
            provenance=Provenance(
                via=VIA, on_behalf_of=self._writer.actor(step.author), occurred_at=step.at
            ),
            idempotency_key=IdempotencyKey(str(IMPORTER), key, sha256(key.encode()).digest()),
            size_bytes=sum(256 + len(text_of(command) or "") for command in commands),
        )

    async def _submit(self, submission: Submission) -> LedgerError | None:
        """Carries it out, or returns what refused it."""
        try:
            outcome = await self._ledger.committer.submit(self._here.company_id, submission)
        except IdempotencyReplyGone:
            self.replayed += 1  # An import of more than seven days ago took this step.
            return None
        except LedgerError as error:
            return error
        if outcome.replayed:
            self.replayed += 1
        else:
            self.appended += sum(result.appended for result in outcome.results)
        return None

    async def _keep(self, step: Step, refused: Submission, error: LedgerError) -> None:
        """What was refused as a whole is done in parts; what cannot be is told in a comment."""
        reasons = [_reason(error)]
        if len(refused.commands) > 1:
            parts = [
                self._of(step, (command,), f"{step.key}/{number}")
                for number, command in enumerate(refused.commands)
            ]
            errors = [await self._submit(part) for part in parts]
            reasons = [_reason(error) for error in errors if error]
        lost = await self._submit(self._told(step, reasons))
        kind = type(step.deed).__name__.lower()
        if lost:
            detail = f"{kind} was refused, and no comment could be left: {_reason(lost)}"
            self._oddities.note("lost", step.issue or in_words(step.deed), detail)
        elif reasons:
            detail = f"{kind} was refused ({error.code}): it is kept as a comment."
            self._oddities.note("refused", step.issue, detail)

    def _told(self, step: Step, reasons: Sequence[str]) -> Submission:
        """The comment that stands for a refused step, under the step's own key."""
        if isinstance(step.deed, Listed):
            return self._submission(step)  # Refused again: it is reported as lost.
        issue_id = self._here.issues[step.issue].id
        said = f"Beads: {in_words(step.deed)}\n\nNot taken over: {' '.join(reasons)}"
        comment = self._writer.comment(issue_id, f"{step.key}/told", said)
        return self._of(step, (comment if reasons else nothing(issue_id),), step.key)


def _reason(error: LedgerError) -> str:
    """Why a step was refused; raises ImportFailed where it was not the step's fault."""
    if isinstance(error, Unavailable):
        raise ImportFailed(f"{error.message} Import again: it goes on where it stopped.") from error
    return error.message


def _windows(
    submissions: Iterator[tuple[Step, Submission]],
) -> Iterator[list[tuple[Step, Submission]]]:
    """As many as the committer's queue takes with ease, by number and by size."""
    window: list[tuple[Step, Submission]] = []
    size = 0
    for pair in submissions:
        window.append(pair)
        size += pair[1].size_bytes
        if len(window) == _WINDOW or size > _WINDOW_BYTES:
            yield window
            window, size = [], 0
    if window:
        yield window
