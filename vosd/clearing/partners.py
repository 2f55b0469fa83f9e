"""Partners among the calls of one number in two books: those of equal length as many as possible, the nearest first.

Nothing is kept of pairs that may be one beside those that are found, so memory grows with the calls alone, however many
of them are within the tolerance of each other.
"""

import heapq
from bisect import bisect_left, bisect_right
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from vosd.clearing.calls import BilledCall, SentCall

_Key = tuple[object, ...]

_CROWD: Final = 64
"""More rows of one time than these are not compared by lengths that are not equal: each would be, again and again."""
_COMPARED: Final = 16
"""Most rows of one time and of equal length that are compared with a call: thousands may begin together."""


class CallLine:
    """Calls of one book in the order of their times; those that are taken out are left out at once, however many."""

    __slots__ = ("_after", "_before", "_kept", "places", "times")

    def __init__(self) -> None:
        self.times: list[int] = []
        self.places: list[int] = []
        self._after: list[int] = []
        self._before: list[int] = []
        self._kept: list[int] | None = None

    def begin(self) -> None:
        """Have all calls in."""
        self._after = list(range(len(self.times) + 1))
        self._before = list(range(len(self.times) + 1))

    def first_from(self, index: int) -> int:
        """Return the index of the first call that is in, from one on; the number of calls = there is none."""
        after = self._after
        while after[index] != index:
            after[index] = after[after[index]]
            index = after[index]
        return index

    def last_before(self, index: int) -> int:
        """Return the index of the last call that is in, before one; -1 = there is none."""
        before = self._before
        while before[index] != index:
            before[index] = before[before[index]]
            index = before[index]
        return index - 1

    def take_out(self, index: int) -> None:
        """Leave a call out from now on."""
        self._after[index] = index + 1
        self._before[index + 1] = index

    def keep(self) -> None:
        """Note the calls that are in for ``restore``."""
        if self._kept is None:
            self._kept = self._after.copy()

    def restore(self) -> None:
        """Have the calls in that were noted, for ``first_from`` alone."""
        if self._kept is not None:
            self._after, self._kept = self._kept, None

    def forget(self) -> None:
        """Forget what was noted."""
        self._kept = None


class Pairing:
    """Finds the partners of one group; both books are sorted by ``at``."""

    def __init__(
        self, ours: Sequence[SentCall], theirs: Sequence[BilledCall], tolerance_ms: int, length_tolerance_ms: int
    ) -> None:
        """Take the tolerances of ``Matcher``."""
        self._ours, self._theirs = ours, theirs
        self._tolerance, self._length_tolerance = tolerance_ms, length_tolerance_ms
        self._width: Final = max(length_tolerance_ms, 1)
        """Lengths are equal at most to those of the same, the next and the previous multiple of it."""
        self.partners: Final[dict[int, int]] = {}
        """Places in ``theirs`` by those in ``ours``."""
        self._owners: dict[int, int] = {}

    def find(self) -> dict[int, int]:
        """Return the places of the partners in ``theirs`` by those in ``ours``."""
        if not self._ours or not self._theirs:
            return self.partners
        self._take_nearest(self._lengths_and_callers, lambda row: (row.duration_ms // self._width, row.caller))
        self._take_nearest(self._lengths, lambda row: (row.duration_ms // self._width,))
        self._take_more()
        self._take_nearest(lambda call: ((call.caller,), ("",)), lambda row: (row.caller,), is_any_length=True)
        self._take_nearest(lambda _: ((),), lambda _: (), is_any_length=True)
        return self.partners

    def _lengths(self, call: SentCall) -> Iterator[_Key]:
        length = call.duration_ms // self._width
        return ((each,) for each in (length - 1, length, length + 1))

    def _lengths_and_callers(self, call: SentCall) -> Iterator[_Key]:
        for key in self._lengths(call):
            yield *key, call.caller
            if call.caller:
                yield *key, ""

    def _lines(self, key_of: Callable[[BilledCall], _Key]) -> dict[_Key, CallLine]:
        """Return the rows without a call by their keys."""
        lines: defaultdict[_Key, CallLine] = defaultdict(CallLine)
        for place, row in enumerate(self._theirs):
            if place not in self._owners:
                line = lines[key_of(row)]
                line.times.append(row.at)
                line.places.append(place)
        for line in lines.values():
            line.begin()
        return lines

    def _take_nearest(
        self,
        keys_of: Callable[[SentCall], Iterator[_Key] | Sequence[_Key]],
        key_of: Callable[[BilledCall], _Key],
        *,
        is_any_length: bool = False,
    ) -> None:
        """Pair calls with rows of their keys, the two that are nearest to each other first.

        Of those that are as near, the two whose lengths differ least: both answers to a forked INVITE begin together.
        """
        if len(self.partners) == min(len(self._ours), len(self._theirs)):
            return
        lines = self._lines(key_of)
        heap: list[tuple[int, int, int, int, CallLine, int]] = []

        def offer(mine: int) -> None:
            call, best = self._ours[mine], None
            for key in keys_of(call):
                line = lines.get(key)
                found = None if line is None else self._nearest(call, line, is_any_length=is_any_length)
                if line is not None and found is not None and (best is None or found[:3] < (*best[:2], best[3])):
                    best = *found[:2], mine, found[2], line, found[3]
            if best is not None:
                heapq.heappush(heap, best)

        for mine in range(len(self._ours)):
            if mine not in self.partners:
                offer(mine)
        while heap:
            *_, mine, other, line, index = heapq.heappop(heap)
            if other in self._owners:
                offer(mine)
            else:
                self.partners[mine], self._owners[other] = other, mine
                line.take_out(index)

    def _nearest(self, call: SentCall, line: CallLine, *, is_any_length: bool) -> tuple[int, int, int, int] | None:
        """Return distance, difference of the lengths, place and index in the line of the nearest row; None = none.

        Of rows that are as near, one of the nearest length, and the first of those: the next one is a repeated one.
        """
        at, times, most = call.at, line.times, self._tolerance
        start = bisect_left(times, at)
        best: tuple[int, int, int, int] | None = None
        index = line.first_from(start)
        while index < len(times) and times[index] - at <= most:
            if is_any_length or self._is_equal(call, line.places[index]):
                best, most = self._best_from(call, line, index, is_any_length=is_any_length), times[index] - at
                break
            index = line.first_from(index + 1)
        index = line.last_before(start)
        while index >= 0 and at - times[index] <= most:
            if is_any_length or self._is_equal(call, line.places[index]):
                first = line.first_from(bisect_left(times, times[index]))
                found = self._best_from(call, line, first, is_any_length=is_any_length)
                return found if best is None else min(best, found)
            index = line.last_before(index)
        return best

    def _best_from(
        self, call: SentCall, line: CallLine, index: int, *, is_any_length: bool
    ) -> tuple[int, int, int, int]:
        """Return the row of the nearest length among those of one time, from one on, as ``_nearest`` does.

        In a crowd where no length is equal the first one, and no difference: the lengths may mean nothing, as those of
        a column that was mapped wrongly.
        """
        time = line.times[index]
        if is_any_length and bisect_right(line.times, time) - index > _CROWD:
            return abs(time - call.at), 0, line.places[index], index
        most_compared = _CROWD if is_any_length else _COMPARED
        found: list[tuple[int, int, int, int]] = []
        while index < len(line.times) and line.times[index] == time and len(found) < most_compared:
            place = line.places[index]
            if is_any_length or self._is_equal(call, place):
                difference = abs(self._theirs[place].duration_ms - call.duration_ms)
                found.append((abs(time - call.at), difference, place, index))
            index = line.first_from(index + 1)
        return min(found)

    def _is_equal(self, call: SentCall, other: int) -> bool:
        return abs(self._theirs[other].duration_ms - call.duration_ms) <= self._length_tolerance

    def _take_more(self) -> None:
        """Pair more calls of equal length where others can change their partners; all that have one keep one."""
        if len(self._owners) == len(self._theirs):
            return
        owners, self._owners = self._owners, {}
        lines = self._lines(lambda row: (row.duration_ms // self._width,))
        self._owners = owners
        for mine in range(len(self._ours)):
            if mine not in self.partners:
                self._search(mine, lines)

    def _search(self, mine: int, lines: dict[_Key, CallLine]) -> None:
        """Find the shortest chain of changes that gives a call a partner.

        Rows of a search in vain stay out of the lines: no later search comes to a row without a call by them.
        """
        chain: dict[int, int] = {}
        waiting, touched = deque([mine]), []
        while waiting:
            place = waiting.popleft()
            call = self._ours[place]
            found = []
            for key in self._lengths(call):
                line = lines.get(key)
                if line is None:
                    continue
                line.keep()
                touched.append(line)
                index = line.first_from(bisect_left(line.times, call.at - self._tolerance))
                while index < len(line.times) and line.times[index] <= call.at + self._tolerance:
                    if self._is_equal(call, line.places[index]):
                        found.append((abs(line.times[index] - call.at), line.places[index]))
                        line.take_out(index)
                    index = line.first_from(index + 1)
            found.sort()
            for _, other in found:
                chain[other] = place
                if other not in self._owners:
                    self._change(mine, other, chain)
                    for line in touched:
                        line.restore()
                    return
            waiting.extend(self._owners[other] for _, other in found)
        for line in touched:
            line.forget()

    def _change(self, mine: int, other: int, chain: dict[int, int]) -> None:
        """Give a row to the call that has led to it, that call's row to the one before, and so on."""
        while True:
            place = chain[other]
            before = self.partners.get(place)
            self.partners[place], self._owners[other] = other, place
            if place == mine or before is None:
                return
            other = before
