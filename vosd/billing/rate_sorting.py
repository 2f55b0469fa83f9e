"""The order of rates by prefix, and the nearest shorter prefix of each."""

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, compress, count, islice, repeat
from operator import eq, lt, sub

from vosd.billing.rate_layout import NO_ROW


def sorted_rows(keys: Sequence[int], more_keys: Mapping[int, int], begins: Sequence[int] | None) -> Sequence[int]:
    """Return rows in the order of prefix, then of when they come into force, then as they are given.

    Args:
        keys: the first key of each row's prefix (``rate_keys``).
        more_keys: the second one of those that have it, by row.
        begins: when each row comes into force; None = all at the same time.
    """
    if all(map(lt, keys, islice(keys, 1, None))):
        return range(len(keys))
    order: Sequence[int] = range(len(keys))
    # Sorting by the last criterion first keeps its order among rows that are equal by the others.
    if begins is not None:
        order = sorted(order, key=begins.__getitem__)
    if more_keys:
        order = sorted(order, key=lambda row: more_keys.get(row, 0))
    return sorted(order, key=keys.__getitem__)


def equal_to_next(keys: Sequence[int]) -> Iterator[int]:
    """Yield the positions of keys that the next one is equal to."""
    return compress(count(), map(eq, keys, islice(keys, 1, None)))


def parents_of(keys: Sequence[int], lengths: Sequence[int], digits: int) -> "array[int]":
    """Return for each row the last row of the longest shorter prefix that fits it, or ``NO_ROW``.

    Args:
        keys: the whole key of each row's prefix, sorted.
        lengths: digits of each prefix.
        digits: how many a key has.
    """
    masks = [(1 << 4 * (digits - length)) - 1 for length in range(digits + 1)]
    size = len(keys)
    begins, parents = [0], [NO_ROW]
    """Numbers of the rows at which the rows below each prefix begin, or go on behind those of a longer one."""
    above = [(size, NO_ROW)]
    """The prefixes around the present one, the outermost first: where the rows below each end, and its row."""
    for row in compress(count(), map(lt, lengths, islice(lengths, 1, None))):
        last = keys[row] | masks[lengths[row]]
        if keys[row + 1] > last:
            continue  # the next one is longer, but does not begin with this one
        while above[-1][0] <= row:
            begins.append(above.pop()[0])
            parents.append(above[-1][1])
        above.append((bisect_right(keys, last, row + 1, above[-1][0]), row))
        begins.append(row + 1)
        parents.append(row)
    while above:
        begins.append(above.pop()[0])
        parents.append(above[-1][1] if above else NO_ROW)
    rows = map(sub, islice(begins, 1, None), begins)
    return array("I", chain.from_iterable(map(repeat, parents, rows)))
