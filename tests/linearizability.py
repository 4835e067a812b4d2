"""Whether a history of concurrent operations is linearizable.

It is, if each operation can be thought to have happened at one moment between its call and its
return, so that in the order of these moments every answer is what the sequential specification
allows. That is asked by just-in-time linearization: the history is walked in time, with the set of
all configurations it may have led to; an operation is put in its place no sooner than its return
asks for it, together with those that overlap it and may have come before. Configurations that are
equal are one, so that a long history costs no more than its overlaps.

G. Lowe, "Testing for linearizability", Concurrency and Computation: Practice and Experience 29(4),
2017, after J. M. Wing and C. Gong, "Testing and verifying concurrent objects", Journal of Parallel
and Distributed Computing 17, 1993.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

S = TypeVar("S", bound=Hashable)
A = TypeVar("A")


@dataclass(frozen=True, slots=True, eq=False)
class Operation(Generic[A]):
    """What one client asked for and what it was answered, and when, by one clock."""

    asked: A
    answer: Any
    called: int
    returned: int


Step: TypeAlias = Callable[[S, Operation[A]], Iterable[S]]
"""A sequential specification: the states that an operation with its answer may lead to."""

Done: TypeAlias = frozenset[Operation[A]]
"""Operations that happened and have not returned."""


def unexplained(
    history: Sequence[Operation[A]], initial: S, step: Step[S, A]
) -> Operation[A] | None:
    """The first operation, by its return, that no order explains; None: it is linearizable."""
    pending: set[Operation[A]] = set()
    configurations: set[tuple[S, Done[A]]] = {(initial, frozenset())}
    for is_return, operation in _in_time(history):
        if not is_return:
            pending.add(operation)
            continue
        configurations = set(_until(operation, configurations, pending, step))
        pending.remove(operation)
        if not configurations:
            return operation
    return None


def _in_time(history: Iterable[Operation[A]]) -> Iterator[tuple[bool, Operation[A]]]:
    """Calls and returns; of the same moment calls first, for who can say they did not overlap?"""
    moments = [
        (moment, is_return, operation)
        for operation in history
        for moment, is_return in ((operation.called, False), (operation.returned, True))
    ]
    for _, is_return, operation in sorted(moments, key=lambda one: one[:2]):
        yield is_return, operation


def _until(
    operation: Operation[A],
    configurations: Iterable[tuple[S, Done[A]]],
    pending: Set[Operation[A]],
    step: Step[S, A],
) -> Iterator[tuple[S, Done[A]]]:
    """The configurations in which it has happened, after whichever others came before it."""
    asking = list(configurations)
    seen = set(asking)
    while asking:
        state, done = asking.pop()
        if operation in done:
            yield state, done - {operation}
            continue
        for other in pending - done:
            for after in step(state, other):
                reached = (after, done | {other})
                if reached not in seen:
                    seen.add(reached)
                    asking.append(reached)
