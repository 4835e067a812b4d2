"""From wire to command: what each verb of `/v1` takes, and the command that it means.

A verb is used twice, as a route of its own and as an item of `POST …/commands`; both build the
command here. Ids of what a command makes are made here too, since the core makes none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from api import wire as w
from api.auth import Caller
from ledger import commands as c
from ledger.actors import Actor, Role
from ledger.codec import timestamp
from ledger.directory import KINDS
from ledger.errors import Invalid, NotFound
from ledger.ids import new_id, new_secret, sha256_hex
from ledger.known import is_id

B = TypeVar("B", bound=w.Wire)


@dataclass(frozen=True, slots=True)
class Ask:
    """A request as a verb sees it: who, which version they saw, in which run, about what."""

    caller: Caller
    expected_version: int | None
    run_id: str | None
    about: Mapping[str, str]

    @property
    def common(self) -> dict[str, Any]:
        """What every command has."""
        return {
            "actor": self.caller.actor,
            "role": self.caller.role,
            "in_run": self.run_id,
            "expected_version": self.expected_version,
        }

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
    """A command, and what only this reply may show (a key's secret)."""

    command: c.Command
    shown_once: Mapping[str, str] = {}


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
            return made if isinstance(made, Built) else Built(made)

        VERBS[name] = Verb(name, body, about, built, (build.__doc__ or "").strip())

    return register


# ── issues ─────────────────────────────────────────────────────────────────────────────


@_verb("create_issue", w.NewIssue)
def _create_issue(ask: Ask, body: w.NewIssue) -> c.Command:
    """Create an issue."""
    ref = body.external_ref
    return c.CreateIssue(
        **ask.common,
        issue_id=new_id(),
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
    return c.TransitionIssue(**ask.on_issue, to_status=body.status, reason=body.reason)


@_verb("assign_issue", w.Assign, "issue_id")
def _assign(ask: Ask, body: w.Assign) -> c.Command:
    """Assign an issue to an agent or a user."""
    return c.AssignIssue(**ask.on_issue, assignee=_assignee(body))


@_verb("unassign_issue", w.Nothing, "issue_id")
def _unassign(ask: Ask, body: w.Nothing) -> c.Command:
    """Make an issue nobody's."""
    return c.UnassignIssue(**ask.on_issue)


@_verb("reassign_issue", w.Reassign, "issue_id")
def _reassign(ask: Ask, body: w.Reassign) -> c.Command:
    """Move an issue to another agent or user, even in mid-run."""
    return c.ReassignIssue(**ask.on_issue, assignee=_assignee(body), reason=body.reason)


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
        **{**ask.on_issue, "in_run": None},  # The run that it names is yet to begin.
        agent_id=agent_id,
        run_id=ask.run_id or new_id(),
        names_run=ask.run_id is not None,
        expected_statuses=tuple(body.expected_statuses) if body.expected_statuses else None,
    )


@_verb("release_issue", w.Why, "issue_id")
def _release(ask: Ask, body: w.Why) -> c.Command:
    """Release an issue: stop working on it without finishing it."""
    return c.ReleaseIssue(**ask.on_issue, reason=body.reason)


@_verb("comment_on_issue", w.NewComment, "issue_id")
def _comment(ask: Ask, body: w.NewComment) -> c.Command:
    """Comment on an issue."""
    return c.CommentOnIssue(**ask.on_issue, comment_id=new_id(), body=body.body)


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
        **ask.on_issue, link_id=new_id(), link_type=body.link_type, target=body.target_id
    )


@_verb("unlink_issue", w.Nothing, "issue_id", "link_id")
def _unlink(ask: Ask, body: w.Nothing) -> c.Command:
    """Take a link away."""
    return c.UnlinkIssue(**ask.on_issue, link_id=ask.id_of("link_id"))


@_verb("report_cost", w.NewCost, "issue_id", "run_id")
def _report_cost(ask: Ask, body: w.NewCost) -> c.Command:
    """Report what a run used."""
    return c.ReportCost(**ask.on_issue, run_id=ask.id_of("run_id"), **body.model_dump())


def _assignee(body: w.Assign) -> Actor:
    kind, ref = body.assignee
    return Actor("agent" if kind == "agent" else "user", ref)


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
            entry_id=new_id(),
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
        key_id=new_id(),
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
