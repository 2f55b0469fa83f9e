"""Long lists compared and freed in parts, so that other threads get their turn between two of them.

One call of the interpreter keeps it for as long as it takes, for 100,000 texts up to 20 ms. Calls of a switch would
wait for it while a thread reads a configuration.
"""

from collections.abc import Sequence
from typing import Final, TypeVar

AT_ONCE: Final = 5_000
"""Items that are handled by one call."""

Item = TypeVar("Item")


def freed(items: list[Item]) -> None:
    """Empty a list whose items nothing else uses."""
    while items:
        del items[-AT_ONCE:]


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
    else:
        return most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if are_equal(low, middle) else (low, middle - 1)
    return low
