"""Clients that race for one issue over HTTP, and write down what they asked and were answered.

Each claims for an agent that it shares with another client, always in runs of its own; what it does
next is drawn, and depends on whether it believes that it holds the issue. Some sleep through the
end of their lease now and then, and go on as if they had not.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from random import Random
from typing import Any

from ledger.ids import new_id
from tests.claim_rule import Asked, Holder, Told
from tests.client import Client, Reply
from tests.linearizability import Operation

LEASE_SECONDS = 1
HOLDING = ("write",) * 4 + ("release",) * 4 + ("renew", "renew", "check_out", "expire", "read")
WAITING = ("check_out",) * 6 + ("write", "renew", "release", "expire", "expire", "read")
"""What is drawn from, by who believes that they hold the issue, and by who does not."""


@dataclass(slots=True)
class Claimant:
    """A client of an agent; `oversleeps`: which of its leases it sleeps through."""

    client: Client
    issue: str
    random: Random
    oversleeps: tuple[int, ...] = ()
    history: list[Operation[Asked]] = field(default_factory=list)
    _run: str = field(default_factory=new_id)
    _token: int = 0
    _leases: int = 0
    _holds: bool = False

    async def claim(self, operations: int) -> None:
        """Carries out so many operations, one after the other."""
        for _ in range(operations):
            verb = self.random.choice(HOLDING if self._holds else WAITING)
            told = await self._ask(verb)
            await asyncio.sleep(self._pause(verb, told))

    def _pause(self, verb: str, told: Told) -> float:
        """A moment; a longer one for who is refused; and for who oversleeps, a lease and more."""
        if verb == "check_out" and told.code == "ok" and self._leases in self.oversleeps:
            self.oversleeps = tuple(n for n in self.oversleeps if n != self._leases)
            return LEASE_SECONDS + self.random.uniform(0.2, 0.4)
        longest = 0.15 if told.code == "issue_held" else 0.02
        return self.random.uniform(longest / 4, longest)

    async def _ask(self, verb: str) -> Told:
        if verb == "check_out" and not self._holds and self.random.random() < 0.8:
            self._run = new_id()
        agent = self.client.actor.removeprefix("agent:")
        asked = Asked(verb, agent, self._run, self._token, LEASE_SECONDS)
        called = time.monotonic_ns()
        reply = await self._send(verb)
        returned = time.monotonic_ns()
        assert reply.status < 500, reply
        told = told_by(reply)
        self.history.append(Operation(asked, told, called, returned))
        self._believe(verb, told)
        return told

    def _believe(self, verb: str, told: Told) -> None:
        if verb == "check_out" and told.code == "ok" and told.holder:
            self._leases += not self._holds
            self._holds, self._token = True, told.holder.token
        elif verb == "release" or told.code in ("stale_token", "taken"):
            self._holds = False

    async def _send(self, verb: str) -> Reply:
        headers = {"Ledger_Fencing_Token": str(self._token)}
        lease = {"lease_seconds": LEASE_SECONDS}
        issue = f"issues/{self.issue}"
        match verb:
            case "check_out":
                return await self.client.post(f"{issue}/checkout", lease, Ledger_Run_Id=self._run)
            case "renew":
                return await self.client.post(f"{issue}/renew", lease, **headers)
            case "release":
                return await self.client.post(f"{issue}/release", {}, **headers)
            case "write":
                said = {"body": "I hold it."}
                return await self.client.post(f"{issue}/comments", said, **headers)
            case "expire":
                return await self.client.post(f"{issue}/expire-lease", {})
            case _:
                return await self.client.get(issue)


def told_by(reply: Reply) -> Told:
    """What a reply tells of the claim."""
    if reply.status >= 400:
        return Told(reply.json["code"], _holder(reply.json["current"]))
    shown = reply.json
    return Told("ok", _holder(shown), shown.get("status"), shown.get("assignee"))


def _holder(shown: dict[str, Any]) -> Holder | None:
    found = shown.get("holder")
    if found is None:
        return None
    return Holder(found["agent_id"], found["run_id"], found["fencing_token"], found["expires_at"])
