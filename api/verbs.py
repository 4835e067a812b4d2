"""From wire to command: what each verb of `/v1` takes, and the command that it means.

A verb is used twice, as a route of its own and as an item of `POST …/commands`; both build the
command here. Ids of what a command makes are made here too, since the core makes none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from api import wire as w
from api.auth import Caller
from ledger import commands as c
from ledger.actors import Actor, Role
from ledger.codec import timestamp
from ledger.directory import KINDS
from ledger.errors import Invalid, NotFound
from ledger.facts import is_id
from ledger.ids import new_id, new_secret, sha256_hex

B = TypeVar("B", bound=w.Wire)


@dataclass(frozen=True, slots=True)
class Ask:
    """A request as a verb sees it: who, which version they saw, in which run, about what.

    `fencing_token` is that of the lease under which they write; `new_ids` are those made for it.
    """

    caller: Caller
    expected_version: int | None
    run_id: str | None
    fencing_token: int | None
    about: Mapping[str, str]
    new_ids: list[str] = field(default_factory=list)

    def new_id(self) -> str:
        """An id for what the command makes."""
        self.new_ids.append(new_id())
        return self.new_ids[-1]

    @property
    def common(self) -> dict[str, Any]:
        """What every command has."""
        return {
            "actor": self.caller.actor,
            "role": self.caller.role,
            "in_run": self.run_id,
            "expected_version": self.expected_version,
            "fencing_token": self.fencing_token,
        }

    @property
    def begins_run(self) -> dict[str, Any]:
        """What a command has that begins a run: the one that the request names, or a new one."""
        return {**self.common, "in_run": None, "run_id": self.run_id or self.new_id()}

    @property
    def on_run(self) -> dict[str, Any]:
        """What every command on a run has."""
        return {**self.on_issue, "run_id": self.id_of("run_id")}

    @property
    def on_issue(self) -> dict[str, Any]:
        """What every command on an issue has."""
        return {**self.common, "issue": self.about["issue_id"]}

    def id_of(self, name: str) -> str:
        """An id that the request names; one that has not the form of an id is nobody's."""
        ref = self.about[name].lower()
        if not is_id(ref):
            kind = name.removesuffix("_id")
            raise NotFound(f"There is no {kind} {self.about[name]!r} in this company.")
        return ref


class Built(NamedTuple):
    """A command, what only this reply may show (a key's secret), and the ids made for it."""

    command: c.Command
    shown_once: Mapping[str, str] = {}
    new_ids: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Verb:
    """What one command takes: its body, the things it is about, and how it is built."""

    name: str
    body: type[w.Wire]
    about: tuple[str, ...]
    build: Callable[[Ask, Any], Built]
    summary: str


VERBS: dict[str, Verb] = {}
"""By name, as `POST …/commands` takes them."""


def _verb(
    name: str, body: type[B], *about: str
) -> Callable[[Callable[[Ask, B], c.Command | Built]], None]:
    def register(build: Callable[[Ask, B], c.Command | Built]) -> None:
        def built(ask: Ask, given: B) -> Built:
            made = build(ask, given)
            command, shown_once, _ = made if isinstance(made, Built) else Built(made)
            return Built(command, shown_once, ask.new_ids)

        VERBS[name] = Verb(name, body, about, built, (build.__doc__ or "").strip())

    return register


# ── issues ─────────────────────────────────────────────────────────────────────────────


@_verb("create_issue", w.NewIssue)
def _create_issue(ask: Ask, body: w.NewIssue) -> c.Command:
    """Create an issue."""
    ref = body.external_ref
    return c.CreateIssue(
        **ask.common,
        issue_id=ask.new_id(),
        title=body.title,
        description=body.description,
        status=body.status,
        priority=body.priority,
        assignee=Actor.parse(body.assignee) if body.assignee else None,
        team=body.team_id,
        project=body.project_id,
        goal=body.goal_id,
        milestone=body.milestone_id,
        parent=body.parent_id,
        labels=tuple(body.labels),
        due_at=timestamp(body.due_at) if body.due_at else None,
        estimate=body.estimate,
        sort_order=body.sort_order,
        billing_code=body.billing_code,
        external_ref=(ref.system, ref.id) if ref else None,
        per_task_micros=body.per_task_micros,
    )


@_verb("edit_issue", w.IssueEdit, "issue_id")
def _edit_issue(ask: Ask, body: w.IssueEdit) -> c.Command:
    """Edit fields of an issue."""
    return c.EditIssue(**ask.on_issue, changes=body.changes())


@_verb("delete_issue", w.Why, "issue_id")
def _delete_issue(ask: Ask, body: w.Why) -> c.Command:
    """Delete an issue."""
    return c.DeleteIssue(**ask.on_issue, reason=body.reason)


@_verb("transition_issue", w.Transition, "issue_id")
def _transition(ask: Ask, body: w.Transition) -> c.Command:
    """Move an issue to another status."""
    return c.TransitionIssue(
        **ask.on_issue, to_status=body.status, reason=body.reason, force=body.force
    )


_MOVES: Mapping[type[c.MoveIssue | c.PauseIssue], str] = {
    c.SubmitIssue: "Submit an issue: its work is done, and waits for somebody to look at it.",
    c.AcceptIssue: "Accept submitted work.",
    c.RejectIssue: "Reject submitted work: it is to be done again.",
    c.FailIssue: "Fail an issue: its work will not be done as it was asked for.",
    c.HandOffIssue: "Hand an issue off to whichever person picks it up.",
    c.TakeOverIssue: "Take over, as a person, what was handed off.",
    c.CancelIssue: "Cancel an issue: its work is not wanted any more.",
    c.ReopenIssue: "Reopen an issue that was over.",
    c.PauseIssue: "Pause an issue: nobody works on it until it is resumed.",
}


def _move_verb(command: Any, summary: str) -> None:
    def build(ask: Ask, body: w.Why) -> c.Command:
        moved: c.Command = command(**ask.on_issue, reason=body.reason)
        return moved

    build.__doc__ = summary
    _verb(command.name, w.Why, "issue_id")(build)


for _command, _summary in _MOVES.items():
    _move_verb(_command, _summary)


@_verb("close_issue", w.Close, "issue_id")
def _close(ask: Ask, body: w.Close) -> c.Command:
    """Close an issue for good."""
    return c.CloseIssue(**ask.on_issue, reason=body.reason, force=body.force)


@_verb("resume_issue", w.Nothing, "issue_id")
def _resume(ask: Ask, body: w.Nothing) -> c.Command:
    """Resume a paused issue."""
    return c.ResumeIssue(**ask.on_issue)


@_verb("set_issue_budget", w.IssueBudget, "issue_id")
def _set_issue_budget(ask: Ask, body: w.IssueBudget) -> c.Command:
    """Set what all runs of an issue may spend."""
    return c.SetIssueBudget(**ask.on_issue, per_task_micros=body.per_task_micros)


@_verb("assign_issue", w.Assign, "issue_id")
def _assign(ask: Ask, body: w.Assign) -> c.Command:
    """Assign an issue to an agent or a user."""
    return c.AssignIssue(**ask.on_issue, assignee=_assignee(body), team=body.team_id)


@_verb("unassign_issue", w.Nothing, "issue_id")
def _unassign(ask: Ask, body: w.Nothing) -> c.Command:
    """Make an issue nobody's."""
    return c.UnassignIssue(**ask.on_issue)


@_verb("reassign_issue", w.Reassign, "issue_id")
def _reassign(ask: Ask, body: w.Reassign) -> c.Command:
    """Move an issue to another agent or user, even in mid-run."""
    return c.ReassignIssue(
        **ask.on_issue, assignee=_assignee(body), team=body.team_id, reason=body.reason
    )


@_verb("check_out_issue", w.CheckOut, "issue_id")
def _check_out(ask: Ask, body: w.CheckOut) -> c.Command:
    """Check out an issue to work on it; the first one wins."""
    actor = ask.caller.actor
    agent_id = body.agent_id or (actor.id if actor.type == "agent" else None)
    if agent_id is None:
        raise Invalid(
            f"You are {actor}, no agent; say which agent is to work on it.", pointer="/agent_id"
        )
    return c.CheckOutIssue(
        **ask.begins_run,
        issue=ask.about["issue_id"],
        agent_id=agent_id,
        names_run=ask.run_id is not None,
        expected_statuses=tuple(body.expected_statuses) if body.expected_statuses else None,
        lease_seconds=body.lease_seconds,
    )


@_verb("renew_lease", w.Renew, "issue_id")
def _renew(ask: Ask, body: w.Renew) -> c.Command:
    """Renew the lease on an issue, counted from now."""
    return c.RenewLease(**ask.on_issue, lease_seconds=body.lease_seconds)


@_verb("expire_lease", w.Nothing, "issue_id")
def _expire(ask: Ask, body: w.Nothing) -> c.Command:
    """Put an issue back whose holder let its lease run out."""
    return c.ExpireLease(**ask.on_issue)


@_verb("claim_next_issue", w.Claim, "agent_id")
def _claim_next(ask: Ask, body: w.Claim) -> c.Command:
    """Claim the best issue that an agent may work on; nobody else gets the same one."""
    return c.ClaimNextIssue(
        **ask.begins_run, agent_id=ask.about["agent_id"], lease_seconds=body.lease_seconds
    )


@_verb("release_issue", w.Why, "issue_id")
def _release(ask: Ask, body: w.Why) -> c.Command:
    """Release an issue: stop working on it without finishing it."""
    return c.ReleaseIssue(**ask.on_issue, reason=body.reason)


@_verb("comment_on_issue", w.NewComment, "issue_id")
def _comment(ask: Ask, body: w.NewComment) -> c.Command:
    """Comment on an issue."""
    return c.CommentOnIssue(**ask.on_issue, comment_id=ask.new_id(), body=body.body)


@_verb("edit_comment", w.NewComment, "issue_id", "comment_id")
def _edit_comment(ask: Ask, body: w.NewComment) -> c.Command:
    """Edit a comment."""
    return c.EditComment(**ask.on_issue, comment_id=ask.id_of("comment_id"), body=body.body)


@_verb("delete_comment", w.Nothing, "issue_id", "comment_id")
def _delete_comment(ask: Ask, body: w.Nothing) -> c.Command:
    """Delete a comment."""
    return c.DeleteComment(**ask.on_issue, comment_id=ask.id_of("comment_id"))


@_verb("label_issue", w.NewLabel, "issue_id")
def _label(ask: Ask, body: w.NewLabel) -> c.Command:
    """Put a label on an issue."""
    return c.LabelIssue(**ask.on_issue, label=body.label)


@_verb("unlabel_issue", w.Nothing, "issue_id", "label_id")
def _unlabel(ask: Ask, body: w.Nothing) -> c.Command:
    """Take a label off an issue."""
    return c.UnlabelIssue(**ask.on_issue, label=ask.about["label_id"])


@_verb("link_issue", w.NewLink, "issue_id")
def _link(ask: Ask, body: w.NewLink) -> c.Command:
    """Link an issue to another one."""
    return c.LinkIssue(
        **ask.on_issue, link_id=ask.new_id(), link_type=body.link_type, target=body.target_id
    )


@_verb("unlink_issue", w.Nothing, "issue_id", "link_id")
def _unlink(ask: Ask, body: w.Nothing) -> c.Command:
    """Take a link away."""
    return c.UnlinkIssue(**ask.on_issue, link_id=ask.id_of("link_id"))


@_verb("report_progress", w.Progress, "issue_id", "run_id")
def _report_progress(ask: Ask, body: w.Progress) -> c.Command:
    """Report how far a run is."""
    return c.ReportProgress(**ask.on_run, message=body.message, percent=body.percent)


@_verb("save_checkpoint", w.Checkpoint, "issue_id", "run_id")
def _save_checkpoint(ask: Ask, body: w.Checkpoint) -> c.Command:
    """Save a run's checkpoint; the run shows its last one."""
    return c.SaveCheckpoint(**ask.on_run, checkpoint=body.text)


@_verb("retain_workspace", w.Workspace, "issue_id", "run_id")
def _retain_workspace(ask: Ask, body: w.Workspace) -> c.Command:
    """Say where a run's workspace is kept."""
    return c.RetainWorkspace(**ask.on_run, workspace_url=body.workspace_url)


@_verb("finish_run", w.Finish, "issue_id", "run_id")
def _finish_run(ask: Ask, body: w.Finish) -> c.Command:
    """Finish a run: the work is done."""
    return c.FinishRun(
        **ask.on_run,
        exit_reason=body.exit_reason,
        exit_details=body.exit_details,
        to_status=body.status,
    )


@_verb("fail_run", w.GiveUp, "issue_id", "run_id")
def _fail_run(ask: Ask, body: w.GiveUp) -> c.Command:
    """Give a run up; its issue waits for another one, unless it is not to be retried."""
    return c.FailRun(
        **ask.on_run,
        exit_reason=body.exit_reason,
        exit_details=body.exit_details,
        retry=body.retry,
    )


@_verb("report_cost", w.NewCost, "issue_id", "run_id")
def _report_cost(ask: Ask, body: w.NewCost) -> c.Command:
    """Report what a run used."""
    return c.ReportCost(**ask.on_run, **body.model_dump())


@_verb("correct_cost", w.CostCorrection, "issue_id", "run_id")
def _correct_cost(ask: Ask, body: w.CostCorrection) -> c.Command:
    """Correct what a run reported; the report stays, and the sums move by the difference."""
    return c.CorrectCost(**ask.on_run, **body.model_dump())


def _assignee(body: w.Assign) -> Actor | None:
    if body.agent_id is not None:
        return Actor("agent", body.agent_id)
    return Actor("user", body.user_id) if body.user_id is not None else None


# ── agents and company ─────────────────────────────────────────────────────────────────


@_verb("pause_agent", w.Why, "agent_id")
def _pause_agent(ask: Ask, body: w.Why) -> c.Command:
    """Pause an agent: it takes no more work."""
    return c.PauseAgent(**ask.common, agent=ask.about["agent_id"], reason=body.reason)


@_verb("resume_agent", w.Nothing, "agent_id")
def _resume_agent(ask: Ask, body: w.Nothing) -> c.Command:
    """Resume a paused agent."""
    return c.ResumeAgent(**ask.common, agent=ask.about["agent_id"])


@_verb("set_agent_budget", w.MonthlyBudget, "agent_id")
def _set_agent_budget(ask: Ask, body: w.MonthlyBudget) -> c.Command:
    """Set what an agent may spend in a calendar month."""
    return c.SetAgentBudget(
        **ask.common, agent=ask.about["agent_id"], monthly_micros=body.monthly_micros
    )


@_verb("set_company_budget", w.MonthlyBudget)
def _set_company_budget(ask: Ask, body: w.MonthlyBudget) -> c.Command:
    """Set what the company may spend in a calendar month."""
    return c.SetCompanyBudget(**ask.common, monthly_micros=body.monthly_micros)


# ── directory ──────────────────────────────────────────────────────────────────────────

ENTRY_BODIES: Mapping[str, tuple[type[w.NewEntry], type[w.EntryEdit]]] = {
    "user": (w.NewUser, w.UserEdit),
    "agent": (w.NewAgent, w.AgentEdit),
    "team": (w.NewTeam, w.TeamEdit),
    "project": (w.NewProject, w.ProjectEdit),
    "goal": (w.NewGoal, w.GoalEdit),
    "milestone": (w.NewMilestone, w.MilestoneEdit),
    "label": (w.NewLabelEntry, w.LabelEdit),
    "routine": (w.NewRoutine, w.RoutineEdit),
}


def _entry_verbs(kind: str, new: type[w.NewEntry], edit: type[w.EntryEdit]) -> None:
    def create(ask: Ask, body: w.NewEntry) -> c.Command:
        given = body.model_dump(mode="json", exclude_none=True, exclude={"name", "slug"})
        return c.CreateEntry(
            **ask.common,
            entry_id=ask.new_id(),
            kind=kind,
            entry_name=body.name,
            slug=body.slug,
            fields=given,
        )

    def update(ask: Ask, body: w.EntryEdit) -> c.Command:
        changes = body.model_dump(mode="json", include=body.model_fields_set)
        return c.UpdateEntry(
            **ask.common, kind=kind, entry=ask.about[f"{kind}_id"], changes=changes
        )

    def archive(ask: Ask, body: w.Nothing) -> c.Command:
        return c.ArchiveEntry(**ask.common, kind=kind, entry=ask.about[f"{kind}_id"])

    article = "an" if kind[0] in "aeiou" else "a"
    create.__doc__ = f"Create {article} {kind}."
    update.__doc__ = f"Change {article} {kind}."
    archive.__doc__ = f"Archive {article} {kind}."
    _verb(f"create_{kind}", new)(create)
    _verb(f"update_{kind}", edit, f"{kind}_id")(update)
    _verb(f"archive_{kind}", w.Nothing, f"{kind}_id")(archive)


for _kind, (_new, _edit) in ENTRY_BODIES.items():
    _entry_verbs(_kind, _new, _edit)
assert set(ENTRY_BODIES) == set(KINDS)


# ── keys ───────────────────────────────────────────────────────────────────────────────


@_verb("create_key", w.NewKey)
def _create_key(ask: Ask, body: w.NewKey) -> Built:
    """Create an API key; the reply shows it, once."""
    key = new_secret(ask.caller.company_id)
    command = c.CreateKey(
        **ask.common,
        key_id=ask.new_id(),
        key_role=Role(body.role),
        key_actor=Actor.parse(body.actor),
        key_name=body.name,
        secret_sha256=sha256_hex(key),
    )
    return Built(command, {"key": key})


@_verb("rename_key", w.KeyEdit, "key_id")
def _rename_key(ask: Ask, body: w.KeyEdit) -> c.Command:
    """Call an API key something else."""
    return c.RenameKey(**ask.common, key_id=ask.id_of("key_id"), key_name=body.name)


@_verb("revoke_key", w.Nothing, "key_id")
def _revoke_key(ask: Ask, body: w.Nothing) -> c.Command:
    """Revoke an API key; it stops within five seconds."""
    return c.RevokeKey(**ask.common, key_id=ask.id_of("key_id"))
