"""Long lists compared and freed in parts, so that other threads get their turn between two of them.

One call of the interpreter keeps it for as long as it takes, for 100,000 texts up to 20 ms. Calls of a switch would
wait for it while a thread reads a configuration.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, TypeVar

AT_ONCE: Final = 5_000
"""Items that are handled by one call."""
_WORK_S: Final = 0.001
_REST_PART: Final = 2.0
"""How long a thread that gives way rests, as a part of the time that it worked."""
_REST_S_MAX: Final = 0.01

Item = TypeVar("Item")


class _Pace:
    """When a thread has rested last."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    def rest(self) -> None:
        worked = time.perf_counter() - self._since
        if worked >= _WORK_S:
            time.sleep(min(_REST_PART * worked, _REST_S_MAX))
            self._since = time.perf_counter()


_PACE: Final[ContextVar[_Pace | None]] = ContextVar("pace", default=None)


@contextmanager
def giving_way() -> Iterator[None]:
    """Have what is done within this context, also by a thread that it starts, rest where it says ``give_way``.

    A thread that wants the interpreter all the time makes the event loop wait for it at each system call, of which
    there are some tens in a call.
    """
    token = _PACE.set(_Pace())
    try:
        yield
    finally:
        _PACE.reset(token)


def give_way() -> None:
    """Leave the interpreter to other threads for a while, if that is wanted here and there was work meanwhile."""
    pace = _PACE.get()
    if pace is not None:
        pace.rest()


def freed(items: list[Item]) -> None:
    """Empty a list whose items nothing else uses."""
    while items:
        del items[-AT_ONCE:]
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
