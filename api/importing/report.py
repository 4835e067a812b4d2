"""What an import did, and every oddity that it met.

Nothing is dropped in silence: whatever a source says that the ledger has no equal for is
kept in another form or left out, and either way it is listed here. Equal remarks are one
entry with a count and a few examples, so that five hundred of them can still be read.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import BaseModel

_EXAMPLES = 5
_DETAILS = 100


class ImportFailed(Exception):
    """Nothing could be imported, or the import stopped; the message is one clear line."""


class Oddity(BaseModel):
    """A remark: where (rows or ids, a few of them), what (a stable code), and a sentence."""

    where: str
    what: str
    detail: str
    count: int


class Report(BaseModel):
    """What the files hold, what of it is here by now, and how many events that took."""

    path: str
    rows: dict[str, int]
    """File → the rows read from it."""
    issues: int
    agents: int
    users: int
    labels: int
    comments: int
    links: int
    parents: int
    appended: int
    """Events appended by this import; none when it was imported before."""
    replayed: int
    """Steps that an earlier import had taken already."""
    oddities: list[Oddity]


@dataclass(slots=True)
class _Group:
    count: int = 0
    examples: list[str] = field(default_factory=list)
    more: bool = False


class Oddities:
    """Gathers remarks, equal ones together."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str], _Group] = {}
        self._details: dict[str, int] = {}

    def note(self, what: str, where: str, detail: str) -> None:
        """Adds a remark; after a hundred different ones of a kind the others share one entry."""
        if (what, detail) not in self._groups:
            self._details[what] = self._details.get(what, 0) + 1
            if self._details[what] > _DETAILS:
                detail = "More of the same."
        group = self._groups.setdefault((what, detail), _Group())
        group.count += 1
        if where not in group.examples:
            group.more = len(group.examples) == _EXAMPLES
            group.examples += [] if group.more else [where]

    def listed(self) -> list[Oddity]:
        """The remarks, in the order in which their kinds were first met."""
        return [
            Oddity(where=_where(group), what=what, detail=detail, count=group.count)
            for (what, detail), group in self._groups.items()
        ]


def _where(group: _Group) -> str:
    return ", ".join([*group.examples, *(["…"] if group.more else [])])
