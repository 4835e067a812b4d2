"""`python -m bench.asking`: what questions cost in a large company, beside a bare SELECT 1.

It serves an existing database over HTTP and asks, in turns, each question and a `SELECT 1` on the
same pool of connections; medians are printed. Make the company first:

    ledger demo --issues 100000 --data-dir /tmp/large
    python -m bench.asking --data-dir /tmp/large
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import aiohttp
import structlog
from aiohttp import web

from api.app import LIMITS, build_app
from api.wiring import FOLLOWING, OPERATOR, Ledger, open_ledger
from ledger import log
from ledger.actors import Role
from ledger.embedded_postgres import postgres
from projections.projector import Projector
from projections.queries import Queries

Ask = Callable[[str], Awaitable[Any]]


def main() -> None:
    """Asks, and prints a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.asking", description=__doc__)
    parser.add_argument("--data-dir", type=Path, help="of an embedded Postgres")
    parser.add_argument("--database-url", help="of another Postgres")
    parser.add_argument("--turns", type=int, default=30, help="how often each question is asked")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    if options.database_url:
        asyncio.run(_measure(options.database_url, options.turns))
        return
    with postgres(options.data_dir.absolute()) as url:
        asyncio.run(_measure(url, options.turns))


async def _measure(url: str, turns: int) -> None:
    async with open_ledger(url, readers=16) as ledger:
        ends = await log.ends(ledger.readers)
        largest = max(ends, key=lambda end: end.position)
        _, key, _ = await ledger.create_key(largest.company_id, Role.OWNER, OPERATOR)
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as http:
            runner = web.AppRunner(build_app(ledger), access_log=None, **LIMITS)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            root = f"http://127.0.0.1:{runner.addresses[0][1]}/v1/companies/{largest.company_id}"
            projector = Projector(ledger.readers, FOLLOWING)
            following = asyncio.create_task(projector.run())
            try:
                for model in FOLLOWING:
                    await Queries(ledger.readers).freshness.wait_for(
                        largest.company_id, model.name, seconds=3600
                    )
                await _print(ledger, largest.company_id, http, root, turns)
            finally:
                projector.stop()
                await following
                await runner.cleanup()


async def _print(
    ledger: Ledger, company_id: str, http: aiohttp.ClientSession, root: str, turns: int
) -> None:
    async def ask(path: str) -> Any:
        async with http.get(f"{root}/{path}") as reply:
            body = await reply.read()
            assert reply.status == 200, (path, body[:500])
            return await reply.json() if reply.content_type == "application/json" else body

    questions = await _questions(ask, ledger, company_id)
    times: dict[str, list[float]] = {what: [] for what in ("SELECT 1", *questions)}
    for _ in range(turns):
        for what, path in random.sample([*questions.items()], len(questions)):
            times["SELECT 1"].append(await _timed(ledger.readers.fetchval("SELECT 1")))
            times[what].append(await _timed(ask(path)))
    bare = median(times["SELECT 1"])
    print(f"| question | ms (median) | ms (p95) | ÷ SELECT 1 ({bare:.2f} ms) |")
    print("| --- | ---: | ---: | ---: |")
    for what, taken in times.items():
        middle = median(taken)
        print(f"| {what} | {middle:.2f} | {quantiles(taken, n=20)[-1]:.2f} | {middle / bare:.0f} |")


async def _questions(ask: Ask, ledger: Ledger, company_id: str) -> dict[str, str]:
    """Path by what it asks; each is asked once before, so that all start warm."""
    head = await log.head(ledger.readers, company_id) or 0
    page = await ask("issues?order=oldest&limit=200")
    some = random.Random(1).choice(page["items"])
    project = (await ask("projects?limit=1"))["items"][0]["id"]
    label = (await ask("labels?limit=1"))["items"][0]["id"]
    agent = (await ask("agents?limit=1"))["items"][0]["id"]
    cursor = (await ask("issues?order=priority&limit=100"))["next_cursor"]
    half = f"at_position={head // 2}"
    paths = {
        "issue": f"issues/{some['id']}",
        "issue, everything around it": f"issues/{some['id']}?expand=ancestors,sub_issues,comments,"
        "links,runs,labels,assignee,team,project,goal,milestone,budget",
        "list of 100, newest": "issues?limit=100",
        "list of 100, by priority": "issues?order=priority&limit=100",
        "list of 100, next page": f"issues?order=priority&limit=100&cursor={cursor}",
        "list of 100, last changed": "issues?order=updated&limit=100",
        "list of 100, in sort order": "issues?order=sort_order&limit=100",
        "list: todo and blocked": "issues?status=todo,blocked&order=priority&limit=100",
        "list: of a project": f"issues?project_id={project}&limit=100",
        "list: with a label, by priority": f"issues?label={label}&order=priority&limit=100",
        "list: of an agent, in progress": f"issues?assignee=agent:{agent}&status=in_progress",
        "list: of nobody": "issues?assignee=none&limit=100",
        "search: one word": f"issues?q={_word(some)}&limit=50",
        "search: two words": f"issues?q={_word(some)}+{_word(page['items'][7])}&limit=50",
        "board": "board",
        "board of a project": f"board?project_id={project}",
        "issue at half of the log": f"issues/{some['id']}?{half}",
        "list of 100 a thousand events ago": f"issues?limit=100&at_position={head - 1000}",
        "list of 100 at half of the log": f"issues?limit=100&{half}",
        "board at half of the log": f"board?{half}",
        "history of an issue": f"issues/{some['id']}/history",
        "explain": f"explain?issue={some['id']}&field=status",
        "activity of the company": "activity?limit=100",
        "activity of an issue": f"activity?issue_id={some['id']}&limit=100",
        "activity of a project": f"activity?project_id={project}&limit=100",
        "activity of an agent": f"activity?actor=agent:{agent}&limit=100",
        "activity of a rare type": "activity?type=company.created",
        "activity at half of the log": f"activity?limit=100&{half}",
        "costs: total": "costs/sums",
        "costs: by day and model": "costs/sums?group_by=day,model",
        "costs: by agent, team and project": "costs/sums?group_by=agent,team,project",
        "costs: of an issue, by run": f"costs/sums?issue_id={some['id']}&group_by=run",
        "costs: by day at half of the log": f"costs/sums?group_by=day&{half}",
        "costs: per finished issue": "costs/finished",
        "costs: reports": "costs?limit=100",
        "events": f"events?after={head // 2}&limit=100",
    }
    for path in paths.values():
        await ask(path)
    return paths


def _word(issue: dict[str, Any]) -> str:
    """The last word of a title."""
    return str(issue["title"]).split()[-1]


async def _timed(answer: Awaitable[Any]) -> float:
    started = time.perf_counter()
    await answer
    return (time.perf_counter() - started) * 1000


if __name__ == "__main__":
    main()
