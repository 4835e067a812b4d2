"""Which facts a command needs, so that the committer can load them set-based.

Asked again and again with what is known by then, until nothing is missing: a name first
needs the look-up that says whose it is, and then that state. Naming a fact too many costs a
row; a fact forgotten here is still loaded, one round later, when `decide` asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ledger import commands as c
from ledger.actors import Actor
from ledger.decisions.blocking import MAX_BLOCKERS
from ledger.decisions.links import canonical
from ledger.directory import KINDS, prefix_candidates, slug_candidates, slug_of
from ledger.events import Json
from ledger.facts import (
    COMPANY,
    FactKey,
    blockers,
    claimable,
    cost,
    dependents,
    external_ref,
    holder_of_key,
    identifier,
    is_id,
    label_named,
    link_between,
    month_of,
    prefix,
    slug,
    slugs,
    spending,
    spending_in,
    spent,
    streams_named,
    workload,
)
from ledger.known import Known
from ledger.state import Entry, Issue
from ledger.workflow import SETTLED


def needs(command: c.Command, known: Known) -> Iterator[FactKey]:
    """The facts that `command` needs, as far as can be told from what is known."""
    yield COMPANY
    if command.in_run is not None:
        yield ("run", command.in_run)
    if isinstance(command, c.IssueCommand):
        yield from _issue(command.issue, known)
    match command:
        case c.CreateCompany():
            yield prefix(command.issue_prefix)
        case c.CreateKey():
            yield ("key", command.key_id)
            yield from _actor(command.key_actor, known)
        case c.RenameKey() | c.RevokeKey():
            yield ("key", command.key_id)
        case c.CreateEntry():
            yield ("entry", command.entry_id)
            yield from _entry_names(command, known)
            yield from _entry_refs(command.kind, command.fields, known)
        case c.UpdateEntry():
            yield from _entry(command.kind, command.entry, known)
            yield from _entry_refs(command.kind, command.changes, known)
            match command.changes.get("slug"):
                case str(new):
                    yield slug(command.kind, new)
            match command.changes.get("name"):
                case str(new) if command.kind == "label":
                    yield label_named(new)
                    yield slug("label", slug_of(new))
        case c.ArchiveEntry():
            yield from _entry(command.kind, command.entry, known)
        case c.CreateIssue():
            yield from _created_issue(command, known)
        case c.EditIssue():
            yield from _edited_issue(command, known)
        case c.AssignIssue() | c.ReassignIssue():
            if command.assignee is not None:
                yield from _actor(command.assignee, known)
            if command.team is not None:
                yield from _members(command.team, known)
        case c.CheckOutIssue():
            yield from _actor(Actor("agent", command.agent_id), known)
            yield from streams_named(command.run_id)
            yield from _checking_out(command.issue, known)
            yield from _budgets(command.issue, _agent_id(command.agent_id, known), known)
        case c.ClaimNextIssue():
            yield from _actor(Actor("agent", command.agent_id), known)
            yield from streams_named(command.run_id)
            yield from _claiming(command, known)
        case c.SetCompanyBudget():
            if company := known.peek(COMPANY):
                yield spent("company", company.id, month_of(known.now))
        case c.AgentCommand():
            yield from _entry("agent", command.agent, known)
            if (agent := _peek_entry("agent", command.agent, known)) and isinstance(
                command, c.SetAgentBudget
            ):
                yield spent("agent", agent.id, month_of(known.now))
        case c.RenewLease():
            if (issue := _peek(command.issue, known)) and issue.holder_agent_id:
                yield from _entry("agent", issue.holder_agent_id, known)
        case c.CommentOnIssue() | c.EditComment() | c.DeleteComment():
            yield ("comment", command.comment_id)
        case c.LabelIssue() | c.UnlabelIssue():
            yield from _entry("label", command.label, known)
        case c.LinkIssue():
            yield from _link(command, known)
        case c.UnlinkIssue():
            yield ("link", command.link_id)
            if found := known.peek(("link", command.link_id)):
                yield ("issue", found.issue_id)
                if found.link_type == "blocked_by":
                    yield ("issue", found.target_id)
                    yield dependents(found.target_id)
                    yield from _blockers(found.issue_id, known)
        case c.ReportCost() | c.CorrectCost():
            yield from _reporting(command, known)
        case c.RunCommand():
            yield ("run", command.run_id)
    if isinstance(command, c.IssueCommand):
        yield from _ending(command, known)


def _issue(ref: str, known: Known) -> Iterator[FactKey]:
    if is_id(ref):
        yield ("issue", ref)
        return
    yield identifier(ref)
    if found := known.peek(identifier(ref)):
        yield ("issue", found)


def _entry(kind: str, ref: str, known: Known) -> Iterator[FactKey]:
    if is_id(ref):
        yield ("entry", ref)
        return
    for key in slugs(kind, ref):
        yield key
        if found := known.peek(key):
            yield ("entry", found)


def _actor(actor: Actor, known: Known) -> Iterator[FactKey]:
    yield holder_of_key(actor)
    yield from _entry(actor.type, actor.id, known)


def _entry_names(command: c.CreateEntry, known: Known) -> Iterator[FactKey]:
    derived = slug_of(command.entry_name)
    if command.kind == "label":
        yield label_named(command.entry_name)
    for candidate in [command.slug] if command.slug else slug_candidates(derived, command.entry_id):
        yield slug(command.kind, candidate)
    if command.kind == "team" and "issue_prefix" not in command.fields:
        candidates = prefix_candidates(command.slug or derived)
        for first, last in ((0, 1), (1, 10), (10, 100), (100, len(candidates))):
            keys = [prefix(candidate) for candidate in candidates[first:last]]
            yield from keys
            if any(known.peek(key) is None for key in keys):
                break


def _entry_refs(kind: str, fields: Mapping[str, Json], known: Known) -> Iterator[FactKey]:
    for name, of_kind in KINDS[kind].refs.items():
        for ref in _listed(fields.get(name)):
            yield from (
                _actor(Actor("agent", ref), known)
                if of_kind == "agent"
                else _entry(of_kind, ref, known)
            )
    match fields.get("issue_prefix"):
        case str(text):
            yield prefix(text)


def _created_issue(command: c.CreateIssue, known: Known) -> Iterator[FactKey]:
    yield ("issue", command.issue_id)
    for kind in ("team", "project", "goal", "milestone"):
        ref = getattr(command, kind)
        if ref is not None:
            yield from _entry(kind, ref, known)
    for label in command.labels:
        yield from _entry("label", label, known)
    if command.parent is not None:
        yield from _issue(command.parent, known)
        yield from _ancestors(command.parent, known)
    if command.assignee is not None:
        yield from _actor(command.assignee, known)
    if command.external_ref is not None:
        yield external_ref(*command.external_ref)
    yield from _counter(command.team, known)


def _counter(team: str | None, known: Known) -> Iterator[FactKey]:
    """The prefix that numbers the issue: its team's, or the company's own."""
    if team is None:
        if company := known.peek(COMPANY):
            yield prefix(company.issue_prefix)
        return
    entry = _peek_entry("team", team, known)
    if entry and entry.kind == "team":
        yield prefix(str(entry.fields["issue_prefix"]))


def _edited_issue(command: c.EditIssue, known: Known) -> Iterator[FactKey]:
    for kind in ("team", "project", "goal", "milestone"):
        match command.changes.get(f"{kind}_id"):
            case str(ref):
                yield from _entry(kind, ref, known)
    match command.changes.get("parent_id"):
        case str(ref):
            yield from _issue(ref, known)
            yield from _ancestors(ref, known)
    match command.changes.get("external_ref"):
        case {"system": str(system), "id": str(external_id)}:
            yield external_ref(system, external_id)


def _ancestors(ref: str, known: Known) -> Iterator[FactKey]:
    """The chain above an issue; where it is not known, one look-up loads all of it."""
    issue_id = _peek_id(ref, known)
    seen: set[str] = set()
    while issue_id and issue_id not in seen:
        seen.add(issue_id)
        if ("issue", issue_id) not in known:
            yield ("ancestors", issue_id)
            return
        issue = known.peek(("issue", issue_id))
        issue_id = issue.parent_id if issue else None


def _ending(command: c.IssueCommand, known: Known) -> Iterator[FactKey]:
    """The runs that may end, or pause, and who waits for the end of the issue."""
    if isinstance(command, _LEAVES_RUNS_ALONE):
        return
    issue = _peek(command.issue, known)
    for run_id in (issue.holder_run_id, issue.paused_run_id) if issue else ():
        if run_id:
            yield ("run", run_id)
    if command.is_history or not _may_settle(command):
        return
    if issue_id := _peek_id(command.issue, known):
        yield from _dependents(issue_id, known)


_LEAVES_RUNS_ALONE = (
    c.EditIssue, c.CommentOnIssue, c.EditComment, c.DeleteComment, c.LabelIssue, c.UnlabelIssue,
    c.UnlinkIssue, c.RenewLease, c.AssignIssue, c.UnassignIssue, c.SetIssueBudget,
)  # fmt: skip


def _may_settle(command: c.IssueCommand) -> bool:
    """Whether an issue may come to its end, which those that it blocks wait for."""
    match command:
        case c.TransitionIssue():
            return command.to_status in SETTLED
        case c.AcceptIssue() | c.CancelIssue() | c.CloseIssue():
            return True
        case c.FinishRun() | c.DeleteIssue():
            return True
        case _:
            return False


def _dependents(issue_id: str, known: Known) -> Iterator[FactKey]:
    """The issues that an issue blocks, and what else blocks those that are blocked."""
    yield dependents(issue_id)
    for one in known.peek(dependents(issue_id)) or ():
        yield ("issue", one)
        issue = known.peek(("issue", one))
        if issue and issue.status == "blocked":
            yield from _blockers(one, known)


def _blockers(issue_id: str, known: Known) -> Iterator[FactKey]:
    """The issues that an issue is blocked by."""
    yield blockers(issue_id)
    for one in known.peek(blockers(issue_id)) or ():
        yield ("issue", one)


def _blocking_graph(issue_id: str, known: Known) -> Iterator[FactKey]:
    """All that stands above an issue; where it is not known, one look-up loads all of it."""
    seen, waiting = {issue_id}, [issue_id]
    while waiting and len(seen) <= MAX_BLOCKERS:
        at = waiting.pop()
        if blockers(at) not in known:
            yield ("blocking_graph", at)
            return
        fresh = [one for one in known.peek(blockers(at)) or () if one not in seen]
        seen.update(fresh)
        waiting += fresh


def _checking_out(ref: str, known: Known) -> Iterator[FactKey]:
    """What may keep an agent from an issue, beside who holds it."""
    if issue_id := _peek_id(ref, known):
        yield from _blockers(issue_id, known)


def _budgets(ref: str, agent_id: str, known: Known) -> Iterator[FactKey]:
    """What was spent of the budgets there are."""
    issue, company = _peek(ref, known), known.peek(COMPANY)
    if issue is None or company is None:
        return
    of_issue, of_agent, of_company = spending(company.id, issue.id, agent_id, known.now)
    if issue.per_task_micros is not None:
        yield of_issue
    agent = _peek_entry("agent", agent_id, known)
    if agent and agent.fields.get("monthly_micros") is not None:
        yield of_agent
    if company.monthly_micros is not None:
        yield of_company


def _reporting(command: c.ReportCost | c.CorrectCost, known: Known) -> Iterator[FactKey]:
    yield ("run", command.run_id)
    run, company = known.peek(("run", command.run_id)), known.peek(COMPANY)
    if run and company:
        yield from _entry("agent", run.agent_id, known)
        yield from spending(company.id, run.issue_id, run.agent_id, known.now)
    if isinstance(command, c.CorrectCost):
        yield cost(command.corrects_position)
        found = known.peek(cost(command.corrects_position))
        if run and company and found:
            yield from spending_in(company.id, run.issue_id, run.agent_id, found.month)


def _claiming(command: c.ClaimNextIssue, known: Known) -> Iterator[FactKey]:
    """The candidates, and what a decision about each asks."""
    agent_id = _agent_id(command.agent_id, known)
    yield claimable(agent_id)
    for one in known.peek(claimable(agent_id)) or ():
        yield ("issue", one)
        yield from _blockers(one, known)
        if issue := known.peek(("issue", one)):
            for entry_id in filter(None, (issue.team_id, issue.project_id)):
                yield ("entry", entry_id)
            for run_id in filter(None, (issue.holder_run_id, issue.paused_run_id)):
                yield ("run", run_id)
            yield from _budgets(one, agent_id, known)


def _agent_id(agent: str, known: Known) -> str:
    """The id of the agent that is meant, as far as it is known: see `Known.actor`."""
    entry = _peek_entry("agent", agent, known)
    if entry is None or known.peek(holder_of_key(Actor("agent", agent))):
        return agent
    return entry.id


def _members(team: str, known: Known) -> Iterator[FactKey]:
    """A team, who is in it, and how much each of them has to do."""
    yield from _entry("team", team, known)
    entry = _peek_entry("team", team, known)
    for one in _listed(entry.fields.get("agent_ids")) if entry else ():
        yield from _entry("agent", one, known)
        yield workload(f"agent:{one}")


def _peek_id(ref: str, known: Known) -> str | None:
    """The id of an issue's id or identifier, as far as it is known."""
    issue_id: str | None = ref if is_id(ref) else known.peek(identifier(ref))
    return issue_id


def _peek(ref: str, known: Known) -> Issue | None:
    """The issue of an id or identifier, as far as it is known."""
    issue_id = _peek_id(ref, known)
    issue: Issue | None = known.peek(("issue", issue_id)) if issue_id else None
    return issue


def _peek_entry(kind: str, ref: str, known: Known) -> Entry | None:
    """The entry of an id or slug, as far as it is known."""
    entry_id = ref if is_id(ref) else known.peek(slug(kind, ref))
    entry: Entry | None = known.peek(("entry", entry_id)) if entry_id else None
    return entry


def _link(command: c.LinkIssue, known: Known) -> Iterator[FactKey]:
    yield ("link", command.link_id)
    yield from _issue(command.target, known)
    issue_id, target_id = _peek_id(command.issue, known), _peek_id(command.target, known)
    if issue_id and target_id:
        source, link_type, target = canonical(issue_id, command.link_type, target_id)
        if link_type == "blocked_by":
            yield blockers(source)
            yield dependents(target)
            yield from _blocking_graph(target, known)
            if (issue := known.peek(("issue", source))) and issue.holder_run_id:
                yield ("run", issue.holder_run_id)
        relation = link_between(source, link_type, target)
        yield relation
        if existing := known.peek(relation):
            yield ("link", existing)


def _listed(value: Json) -> list[str]:
    match value:
        case str():
            return [value]
        case list() | tuple():
            return [ref for ref in value if isinstance(ref, str)]
        case _:
            return []
