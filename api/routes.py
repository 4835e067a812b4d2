"""Every route of `/v1`, as a table: what it takes, what it answers, who handles it.

The server mounts this table, and the OpenAPI document is made from it, so what is documented
is what is served.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web
from pydantic import BaseModel

from api import asked as a
from api import commanding, history_asked, history_shapes, next_issue, shapes
from api import wire as w
from api.asking import (
    activity,
    activity_export,
    board,
    budgets,
    cost_export,
    costs,
    differences,
    explaining,
    feed,
    history,
    issues,
    things,
)
from api.context import Api
from api.verbs import VERBS, Verb
from ledger.directory import KINDS

Handler = Callable[[Api, web.Request], Awaitable[web.StreamResponse]]
C = "/v1/companies/{company_id}"
I = C + "/issues/{issue_id}"  # noqa: E741
R = I + "/runs/{run_id}"
A = C + "/agents/{agent_id}"


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path."""

    method: str
    path: str
    tag: str
    summary: str
    operation_id: str
    handler: Handler
    status: int
    view: type[BaseModel] | None
    body: type[BaseModel] | None = None
    query: type[BaseModel] = w.Nothing
    is_list: bool = False
    is_command: bool = False
    is_versioned: bool = True
    is_stream: bool = False
    exports_as: tuple[str, ...] = ()


def _command(
    method: str, path: str, verb_name: str, status: int, view: type[BaseModel] | None, tag: str
) -> Route:
    verb = VERBS[verb_name]
    return Route(
        method,
        path,
        tag,
        verb.summary,
        verb.name,
        _carrying_out(verb, status),
        status,
        view,
        body=None if verb.body is w.Nothing else verb.body,
        query=a.CommandQuery,
        is_command=True,
    )


def _carrying_out(verb: Verb, status: int) -> Handler:
    async def handler(api: Api, request: web.Request) -> web.StreamResponse:
        return await commanding.carry_out(api, request, verb, status)

    return handler


def _get(
    path: str,
    name: str,
    handler: Handler,
    view: type[BaseModel],
    tag: str,
    query: type[BaseModel] = w.Nothing,
    *,
    is_list: bool = False,
    is_versioned: bool = True,
    is_stream: bool = False,
    summary: str | None = None,
) -> Route:
    return Route(
        "GET",
        path,
        tag,
        summary or (handler.__doc__ or "").strip(),
        name,
        handler,
        200,
        view,
        query=query,
        is_list=is_list,
        is_versioned=is_versioned and not is_list,
        is_stream=is_stream,
    )


def _export(
    path: str, name: str, handler: Handler, tag: str, query: type[BaseModel],
    exports_as: tuple[str, ...],
) -> Route:  # fmt: skip
    """A file that streams, in any of these media types."""
    return Route(
        "GET", path, tag, (handler.__doc__ or "").strip(), name, handler, 200, None,
        query=query, is_versioned=False, exports_as=exports_as,
    )  # fmt: skip


def _directory(kind: str) -> list[Route]:
    many, one = f"{C}/{kind}s", f"{C}/{kind}s/{{{kind}_id}}"
    view = shapes.ENTRY_VIEWS[kind]
    return [
        _command("POST", many, f"create_{kind}", 201, view, "directory"),
        _get(many, f"list_{kind}s", things.entries_of(kind), view, "directory", a.EntriesQuery,
             is_list=True, summary=f"List {kind}s, newest first."),
        _get(one, f"get_{kind}", things.entry_of(kind), view, "directory", a.EntryQuery,
             summary=f"Get one {kind}, by id or slug."),
        _command("PATCH", one, f"update_{kind}", 200, view, "directory"),
        _command("DELETE", one, f"archive_{kind}", 204, None, "directory"),
    ]  # fmt: skip


ROUTES: list[Route] = [
    _get("/v1/me", "get_me", things.me, shapes.CallerView, "company", is_versioned=False),
    _get(C, "get_company", things.company, shapes.CompanyView, "company"),
    _command("POST", f"{C}/budget", "set_company_budget", 200, shapes.CompanyView, "budgets"),
    _get(f"{C}/budget", "get_company_budget", budgets.company_budget, shapes.BudgetView,
         "budgets", a.BudgetQuery, is_versioned=False),
    _command("POST", f"{C}/keys", "create_key", 201, shapes.NewKeyView, "company"),
    _get(f"{C}/keys", "list_keys", things.keys, shapes.KeyView, "company", a.KeysQuery,
         is_list=True),
    _get(f"{C}/keys/{{key_id}}", "get_key", things.key, shapes.KeyView, "company", a.KeyQuery),
    _command("PATCH", f"{C}/keys/{{key_id}}", "rename_key", 200, shapes.KeyView, "company"),
    _command("DELETE", f"{C}/keys/{{key_id}}", "revoke_key", 204, None, "company"),
    *(route for kind in KINDS for route in _directory(kind)),
    _command("POST", f"{A}/pause", "pause_agent", 200, shapes.AgentView, "agents"),
    _command("POST", f"{A}/resume", "resume_agent", 200, shapes.AgentView, "agents"),
    _command("POST", f"{A}/budget", "set_agent_budget", 200, shapes.AgentView, "budgets"),
    _get(f"{A}/budget", "get_agent_budget", budgets.agent_budget, shapes.BudgetView, "budgets",
         a.BudgetQuery, is_versioned=False),
    _get(f"{A}/next", "get_next_issue", next_issue.next_issue, shapes.NextView, "agents",
         is_versioned=False),
    _command("POST", f"{A}/claim-next", "claim_next_issue", 200, shapes.IssueView, "agents"),
    _command("POST", f"{C}/issues", "create_issue", 201, shapes.IssueView, "issues"),
    _get(f"{C}/issues", "list_issues", issues.issues, shapes.IssueView, "issues", a.IssuesQuery,
         is_list=True),
    _get(f"{C}/board", "get_board", board.board, shapes.BoardView, "issues", a.BoardQuery,
         is_versioned=False),
    _get(I, "get_issue", issues.issue, shapes.IssueView, "issues", a.IssueQuery),
    _command("PATCH", I, "edit_issue", 200, shapes.IssueView, "issues"),
    _command("DELETE", I, "delete_issue", 204, None, "issues"),
    _command("POST", f"{I}/transition", "transition_issue", 200, shapes.IssueView, "issues"),
    *(
        _command("POST", f"{I}/{name.replace('_', '-')}", f"{name}_issue", 200, shapes.IssueView,
                 "issues")
        for name in ("submit", "accept", "reject", "fail", "hand_off", "take_over", "cancel",
                     "close", "reopen", "pause", "resume")
    ),
    _command("POST", f"{I}/budget", "set_issue_budget", 200, shapes.IssueView, "budgets"),
    _get(f"{I}/budget", "get_issue_budget", budgets.issue_budget, shapes.BudgetView, "budgets",
         a.PrefixQuery, is_versioned=False),
    _command("POST", f"{I}/checkout", "check_out_issue", 200, shapes.IssueView, "work"),
    _command("POST", f"{I}/renew", "renew_lease", 200, shapes.IssueView, "work"),
    _command("POST", f"{I}/expire-lease", "expire_lease", 200, shapes.IssueView, "work"),
    _command("POST", f"{I}/release", "release_issue", 200, shapes.IssueView, "work"),
    _command("POST", f"{I}/assign", "assign_issue", 200, shapes.IssueView, "work"),
    _command("POST", f"{I}/unassign", "unassign_issue", 200, shapes.IssueView, "work"),
    _command("POST", f"{I}/reassign", "reassign_issue", 200, shapes.IssueView, "work"),
    _command("POST", f"{I}/comments", "comment_on_issue", 201, shapes.CommentView, "comments"),
    _get(f"{I}/comments", "list_comments", things.comments, shapes.CommentView, "comments",
         a.PageQuery, is_list=True),
    _get(f"{I}/comments/{{comment_id}}", "get_comment", things.comment, shapes.CommentView,
         "comments", is_versioned=False),
    _command("PATCH", f"{I}/comments/{{comment_id}}", "edit_comment", 200, shapes.CommentView,
             "comments"),
    _command("DELETE", f"{I}/comments/{{comment_id}}", "delete_comment", 204, None, "comments"),
    _command("POST", f"{I}/labels", "label_issue", 200, shapes.IssueView, "issues"),
    _command("DELETE", f"{I}/labels/{{label_id}}", "unlabel_issue", 204, None, "issues"),
    _command("POST", f"{I}/links", "link_issue", 201, shapes.LinkView, "issues"),
    _get(f"{I}/links", "list_links", things.links, shapes.LinkView, "issues", a.PageQuery,
         is_list=True),
    _command("DELETE", f"{I}/links/{{link_id}}", "unlink_issue", 204, None, "issues"),
    _get(f"{I}/runs", "list_runs", things.runs, shapes.RunView, "work", a.PageQuery,
         is_list=True),
    _get(R, "get_run", things.run, shapes.RunView, "work"),
    _get(f"{R}/leases", "list_leases", things.leases, shapes.LeaseView, "work", a.PageQuery,
         is_list=True),
    _command("POST", f"{R}/progress", "report_progress", 200, shapes.RunView, "work"),
    _command("POST", f"{R}/checkpoint", "save_checkpoint", 200, shapes.RunView, "work"),
    _command("POST", f"{R}/workspace", "retain_workspace", 200, shapes.RunView, "work"),
    _command("POST", f"{R}/finish", "finish_run", 200, shapes.RunView, "work"),
    _command("POST", f"{R}/fail", "fail_run", 200, shapes.RunView, "work"),
    _command("POST", f"{R}/costs", "report_cost", 201, shapes.RunView, "work"),
    _command("POST", f"{R}/costs/correct", "correct_cost", 200, shapes.RunView, "work"),
    Route(
        "POST", f"{C}/commands", "commands",
        "Carry out one command, a list of up to 100, or `{commands, atomic}`.",
        "carry_out_commands", commanding.carry_out_many, 200, commanding.CommandOutcomes,
        body=commanding.CommandList, query=a.CommandQuery, is_command=True, is_versioned=False,
    ),
    _get(f"{I}/history", "list_issue_history", history.history, history_shapes.HistoryView,
         "history", history_asked.HistoryQuery, is_list=True),
    _get(f"{I}/diff", "diff_issue", differences.diff, history_shapes.DiffView, "history",
         history_asked.DiffQuery, is_versioned=False),
    _get(f"{C}/explain", "explain", explaining.explain, history_shapes.ExplanationView,
         "history", history_asked.ExplainQuery, is_versioned=False),
    _get(f"{C}/activity", "list_activity", activity.activity, shapes.ActivityView, "history",
         a.ActivityQuery, is_list=True),
    _export(f"{C}/activity/export", "export_activity", activity_export.export, "history",
            a.ActivityExportQuery, ("application/x-ndjson", "text/csv")),
    _get(f"{C}/events", "list_events", feed.events, shapes.EventView, "history",
         a.EventsQuery, is_list=True, is_stream=True),
    _get(f"{C}/costs", "list_costs", costs.costs, shapes.CostEntryView, "costs", a.CostsQuery,
         is_list=True),
    _get(f"{C}/costs/sums", "sum_costs", costs.cost_sums, shapes.CostSumView, "costs",
         a.CostSumsQuery, is_list=True),
    _get(f"{C}/costs/finished", "sum_finished_costs", costs.finished_costs,
         shapes.FinishedCostView, "costs", a.FinishedCostsQuery, is_list=True),
    _get(f"{C}/costs/budgets", "list_budgets", budgets.budgets, shapes.ListedBudgetView,
         "budgets", a.BudgetsQuery, is_list=True),
    _export(f"{C}/costs/export", "export_costs", cost_export.export, "costs", a.CostExportQuery,
            ("text/csv", "application/x-ndjson")),
]  # fmt: skip
"""In the order in which the documentation shows them."""
