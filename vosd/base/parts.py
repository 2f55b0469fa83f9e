"""Long lists compared and freed in parts, so that other threads get their turn between two of them.

One call of the interpreter keeps it for as long as it takes, for 100,000 texts up to 20 ms. Calls of a switch would
wait for it while a thread reads a configuration.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import islice
from typing import Final, TypeVar

AT_ONCE: Final = 5_000
"""Items that are handled by one call."""

Item = TypeVar("Item")


_REST: Final[ContextVar[Callable[[], None] | None]] = ContextVar("rest", default=None)


@contextmanager
def giving_way(rest: Callable[[], None]) -> Iterator[None]:
    """Have what is done in this context, also by a thread that it starts, call ``rest`` where it says ``give_way``."""
    token = _REST.set(rest)
    try:
        yield
    finally:
        _REST.reset(token)


def give_way() -> None:
    """Let other threads go first, if that is wanted here: called between two steps of a millisecond or less."""
    rest = _REST.get()
    if rest is not None:
        rest()


def freed(items: list[Item]) -> None:
    """Empty a list whose items nothing else uses."""
    while items:
        del items[-AT_ONCE:]
        give_way()


def in_parts(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Yield all items, some at a time."""
    rest = iter(items)
    while part := [*islice(rest, AT_ONCE)]:
        yield part
        give_way()


def with_replaced(items: Sequence[Item], begin: int, number: int, others: Sequence[Item]) -> list[Item]:
    """Return a list in which some items are replaced by others."""
    made: list[Item] = []
    _append(made, items, 0, begin)
    made += others
    _append(made, items, begin + number, len(items))
    return made


def _append(made: list[Item], items: Sequence[Item], begin: int, end: int) -> None:
    for start in range(begin, end, AT_ONCE):
        made += items[start : min(start + AT_ONCE, end)]
        give_way()


def equal_at_begin(one: Sequence[Item], other: Sequence[Item], most: int) -> int:
    """Return how many items at the begin are equal, at most ``most``."""
    if one is other:
        return most
    low = 0
    while low < most:
        high = min(low + AT_ONCE, most)
        if one[low:high] != other[low:high]:
            break
        low = high
        give_way()
    else:
        return most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle - 1)
    return low


def equal_at_end(one: Sequence[Item], other: Sequence[Item], most: int) -> int:
    """Return how many items at the end are equal, at most ``most``."""

    def are_equal(begin: int, end: int) -> bool:
        """Compare what stands between so many items from behind and so many."""
        mine = one[len(one) - end : len(one) - begin]
        return mine == other[len(other) - end : len(other) - begin]

    low = 0
    while low < most:
        high = min(low + AT_ONCE, most)
        if not are_equal(low, high):
            break
        low = high
        give_way()
    else:
        return most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if are_equal(low, middle) else (low, middle - 1)
    return low
