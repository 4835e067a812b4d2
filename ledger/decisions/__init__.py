"""The rules: what a command does, or why not.

`decide` is where every rule starts. It asks whether the caller may, whether what they saw
still stands, and hands over to the function whose name is the rule. Pure: no clock, no ids,
no database; it runs under the company's lock, so what it refuses is refused for the state
as it is.
"""

from __future__ import annotations

from ledger import commands as c
from ledger.decisions import (
    agents,
    budgets,
    checkout,
    comments,
    companies,
    corrections,
    directory,
    issues,
    labels,
    leases,
    links,
    moves,
    ownership,
    runs,
)
from ledger.decisions.base import Decision, current, permit, permit_run, the_entry, the_issue
from ledger.decisions.needs import needs
from ledger.errors import Refused, StaleVersion
from ledger.known import Known
from ledger.state import Aggregate, Issue

__all__ = ["Decision", "decide", "needs"]


def decide(command: c.Command, known: Known) -> Decision:
    """What happens next, or the rule that forbids it (raises LedgerError)."""
    permit(command)
    if command.in_run is not None:
        permit_run(command, command.in_run, known)
    if command.expected_version is not None:
        _unless_stale(command.expected_version, _seen(command, known), known)
    try:
        if command.fencing_token is not None:
            leases.refuse_stale_token(command, command.fencing_token, known)
        return _rule(command, known)
    except Refused as refusal:
        if isinstance(command, c.IssueCommand):
            issue = the_issue(command, known, deleted=True)
            refusal.facts.setdefault("current", current(issue, known))
        raise


def _rule(command: c.Command, known: Known) -> Decision:
    match command:
        case c.CreateCompany():
            return companies.create(command, known)
        case c.SetCompanyBudget():
            return budgets.set_company_budget(command, known)
        case c.CreateKey():
            return companies.create_key(command, known)
        case c.RenameKey():
            return companies.rename_key(command, known)
        case c.RevokeKey():
            return companies.revoke_key(command, known)
        case c.CreateEntry():
            return directory.create(command, known)
        case c.UpdateEntry():
            return directory.update(command, known)
        case c.ArchiveEntry():
            return directory.archive(command, known)
        case c.PauseAgent():
            return agents.pause(command, known)
        case c.ResumeAgent():
            return agents.resume(command, known)
        case c.SetAgentBudget():
            return budgets.set_agent_budget(command, known)
        case c.CreateIssue():
            return issues.create(command, known)
        case c.EditIssue():
            return issues.edit(command, known)
        case c.DeleteIssue():
            return issues.delete(command, known)
        case c.TransitionIssue():
            return moves.transition(command, known)
        case c.MoveIssue():
            return moves.move(command, known)
        case c.PauseIssue():
            return moves.pause(command, known)
        case c.ResumeIssue():
            return moves.resume(command, known)
        case c.SetIssueBudget():
            return budgets.set_issue_budget(command, known)
        case c.AssignIssue():
            return ownership.assign(command, known)
        case c.UnassignIssue():
            return ownership.unassign(command, known)
        case c.ReassignIssue():
            return ownership.reassign(command, known)
        case c.ReleaseIssue():
            return ownership.release(command, known)
        case c.CheckOutIssue():
            return checkout.check_out(command, known)
        case c.ClaimNextIssue():
            return checkout.claim_next(command, known)
        case c.RenewLease():
            return leases.renew(command, known)
        case c.ExpireLease():
            return leases.expire(command, known)
        case c.CommentOnIssue():
            return comments.comment(command, known)
        case c.EditComment():
            return comments.edit(command, known)
        case c.DeleteComment():
            return comments.delete(command, known)
        case c.LabelIssue():
            return labels.label(command, known)
        case c.UnlabelIssue():
            return labels.unlabel(command, known)
        case c.LinkIssue():
            return links.link(command, known)
        case c.UnlinkIssue():
            return links.unlink(command, known)
        case c.ReportProgress():
            return runs.report_progress(command, known)
        case c.SaveCheckpoint():
            return runs.save_checkpoint(command, known)
        case c.RetainWorkspace():
            return runs.retain_workspace(command, known)
        case c.FinishRun():
            return runs.finish(command, known)
        case c.FailRun():
            return runs.fail(command, known)
        case c.ReportCost():
            return runs.report_cost(command, known)
        case c.CorrectCost():
            return corrections.correct_cost(command, known)
        case _:
            raise AssertionError(f"no rule for {command!r}")


def _unless_stale(expected_version: int, seen: Aggregate | None, known: Known) -> None:
    """If-Match: the version that the caller saw must be the one that stands."""
    version = seen.version if seen else 0
    if version != expected_version:
        raise StaleVersion(
            f"You saw version {expected_version}, it is at {version} now. "
            "Read it again, and decide anew.",
            current=current(seen, known) if isinstance(seen, Issue) else {"version": version},
            changed_since={"stream_id": seen.id if seen else None, "version": expected_version},
        )


def _seen(command: c.Command, known: Known) -> Aggregate | None:
    """What the caller saw a version of; None for what is yet to be made."""
    match command:
        case c.RunCommand():
            return runs.the_run(command, known)
        case c.IssueCommand():
            return the_issue(command, known)
        case c.UpdateEntry() | c.ArchiveEntry():
            return the_entry(command.kind, command.entry, known)
        case c.RenameKey() | c.RevokeKey():
            return companies.the_key(command, known)
        case c.AgentCommand():
            return the_entry("agent", command.agent, known)
        case c.SetCompanyBudget():
            return known.company
        case _:
            return None
