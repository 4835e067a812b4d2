"""Where a search among all that may be asked begins: a company, and an issue in mid-life."""

from __future__ import annotations

from ledger import commands as c
from ledger.actors import Actor, Role
from tests.compared import FIRST_RUN
from tests.modelled import Directory
from tests.scenario import COMPANY_ID, Caller, alice, an_id, coder, operator

CODER, REVIEWER, MENDER = "coder", an_id(51), an_id(52)
TEAM, PROJECT, BUG, ODD = an_id(61), an_id(62), an_id(63), an_id(64)
FIRST, SECOND, THIRD = an_id(1), an_id(2), an_id(3)
COMMENTS = [an_id(n) for n in range(21, 24)]
LINKS = [an_id(n) for n in range(31, 35)]

DIRECTORY = Directory(
    company=COMPANY_ID,
    agents={CODER: CODER, REVIEWER: "Reviewer", MENDER: "Mender"},
    listed={REVIEWER, MENDER},
    teams={TEAM: ("ENG", {REVIEWER, MENDER}, CODER)},
    projects={PROJECT: {MENDER, CODER}},
    labels={BUG, ODD},
)
"""Coder has a key and is not listed, reviewer and mender are."""

BEGINNING = [
    operator.begins(),
    operator.lists("agent", "Reviewer", REVIEWER),
    operator.lists("agent", "Mender", MENDER),
    operator.gives_key("user:alice", Role.OWNER, an_id(901)),
    operator.gives_key("user:bob", Role.AGENT, an_id(902)),
    operator.gives_key("user:carol", Role.MANAGER, an_id(903)),
    operator.gives_key("agent:coder", Role.AGENT, an_id(904)),
    operator.gives_key("agent:reviewer", Role.AGENT, an_id(905)),
    operator.gives_key("agent:mender", Role.EDITOR, an_id(906)),
    operator.lists(
        "team", "Engineering", TEAM, issue_prefix="ENG", lead_agent_id=CODER,
        agent_ids=[REVIEWER, MENDER],
    ),
    operator.lists("project", "Apollo", PROJECT, agent_ids=[MENDER, CODER]),
    operator.lists("label", "Bug", BUG),
    operator.lists("label", "Odd", ODD),
]  # fmt: skip

carol = Caller(Actor("user", "carol"), Role.MANAGER)
reviewer = Caller(Actor("agent", REVIEWER), Role.AGENT)
mender = Caller(Actor("agent", MENDER), Role.EDITOR)
AGENTS = {CODER: coder, REVIEWER: reviewer, MENDER: mender}

RUN, NEXT_RUN = an_id(FIRST_RUN), an_id(FIRST_RUN + 1)
SO_FAR: dict[str, list[c.Command]] = {
    "nobody was at work": [],
    "somebody is at work": [reviewer.checks_out(FIRST, run=RUN)],
    "somebody else is, on a budget": [
        alice.budgets(100, FIRST),
        reviewer.checks_out(FIRST, run=RUN),
        reviewer.releases(FIRST),
        mender.checks_out(FIRST, run=NEXT_RUN),
    ],
    "somebody else is, in a dear month": [
        alice.budgets_company(100),
        reviewer.checks_out(FIRST, run=RUN),
        reviewer.releases(FIRST),
        mender.checks_out(FIRST, run=NEXT_RUN),
    ],
    "it was paused": [reviewer.checks_out(FIRST, run=RUN), alice.pauses(FIRST)],
    "it was resumed": [
        coder.checks_out(FIRST, run=RUN),
        coder.pauses(FIRST),
        alice.resumes(FIRST),
    ],
    "it was reviewed": [mender.checks_out(FIRST, run=RUN), mender.submits(FIRST)],
    "its budget is spent": [
        alice.budgets(100, FIRST),
        coder.checks_out(FIRST, run=RUN),
        coder.reports(RUN, FIRST, cost_micros=100),
    ],
}
"""What became of the first issue before anybody asks for anything."""

IN_THE_WAY: dict[str, list[c.Command]] = {
    "nothing is": [],
    "the first of the second": [alice.links("blocks", SECOND, FIRST, LINKS[0])],
    "two of the first": [
        alice.links("blocked_by", SECOND, FIRST, LINKS[0]),
        alice.links("blocked_by", THIRD, FIRST, LINKS[1]),
    ],
    "one of the first, which failed": [
        alice.links("blocked_by", SECOND, FIRST, LINKS[0]),
        alice.fails(SECOND),
    ],
    "nothing any more": [
        alice.links("blocked_by", SECOND, FIRST, LINKS[0]),
        alice.moves("done", SECOND),
        alice.moves("blocked", FIRST),
    ],
}
