"""Partners of a vendor's calls among calls of ours of whose number the beginning alone is known.

Rows of the file come one at a time and are not kept, apart from those that have a partner.
"""

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from vosd.clearing.calls import BilledCall, SentCall
from vosd.clearing.partners import CallLine


class _Alike:
    """Calls of one beginning, length and billed seconds."""

    __slots__ = ("free", "length_ms", "longest_ms", "unseen")

    def __init__(self, length_ms: int) -> None:
        self.length_ms = length_ms
        self.longest_ms = 0
        """Longest time from the INVITE to the end."""
        self.free, self.unseen = CallLine(), CallLine()
        """Calls without row; calls to which no search has come."""


class _Seeker(NamedTuple):
    """A row that needs a call."""

    row: BilledCall
    place: int | None
    """Place of the call that it has and would leave; None = it has none."""


class BeginningPairing:
    """Gives each row of a file one of our calls, as many rows as possible.

    A call may be that of a row whose number begins with ``number`` of the call, whose start is within the tolerances,
    and whose length is that of the call or its billed seconds.
    """

    def __init__(
        self, ours: Sequence[SentCall], early_ms: int, late_ms: int, tolerance_ms: int, length_tolerance_ms: int
    ) -> None:
        """Take our calls, sorted by ``at``.

        A call begins up to ``early_ms`` before its row and up to ``late_ms`` after it, and ends at most
        ``tolerance_ms`` before that.
        """
        self._ours = ours
        self._early, self._late = early_ms, late_ms
        self._tolerance, self._length_tolerance = tolerance_ms, length_tolerance_ms
        self.rows: Final[dict[int, BilledCall]] = {}
        """Rows that have a call, by the place of the call."""
        self._matched: defaultdict[tuple[str, int, str], list[int]] = defaultdict(list)
        """Times of the rows that have a call, in order, by number, length and caller."""
        alike: dict[tuple[str, int, int], _Alike] = {}
        for place, call in enumerate(ours):
            key = call.number, call.duration_ms, call.billed_seconds
            line = alike.setdefault(key, _Alike(call.duration_ms))
            line.longest_ms = max(line.longest_ms, call.from_invite_ms)
            line.free.times.append(call.at)
            line.free.places.append(place)
        self._by_length: defaultdict[str, list[_Alike]] = defaultdict(list)
        self._by_billed: defaultdict[tuple[str, int], list[_Alike]] = defaultdict(list)
        for (number, length_ms, billed_seconds), line in sorted(alike.items(), key=lambda each: each[0]):
            line.unseen.times, line.unseen.places = line.free.times, line.free.places
            line.free.begin()
            line.unseen.begin()
            self._by_length[number].append(line)
            if abs(1_000 * billed_seconds - length_ms) > length_tolerance_ms:
                self._by_billed[number, 1_000 * billed_seconds].append(line)
        self._sizes = sorted({len(number) for number in self._by_length}, reverse=True)

    def add(self, row: BilledCall) -> bool:
        """Give a row a call, where others can change theirs; return whether it has one.

        Calls of a search in vain are out of all later ones: none of them comes to a call without row by them.
        """
        came_from: dict[int, _Seeker] = {}
        waiting = deque([_Seeker(row, None)])
        touched: list[CallLine] = []
        while waiting:
            seeker = waiting.popleft()
            free = self._take_free(seeker.row)
            if free is not None:
                self._change(free, seeker, came_from)
                insort(self._matched[row.number, row.duration_ms, row.caller], row.at)
                for line in touched:
                    line.restore()
                return True
            for alike in (each for lines in self._lines(seeker.row) for each in lines):
                alike.unseen.keep()
                touched.append(alike.unseen)
                for place in self._see(seeker.row, alike):
                    came_from[place] = seeker
                    waiting.append(_Seeker(self.rows[place], place))
        for line in touched:
            line.forget()
        return False

    def repeats(self, row: BilledCall) -> bool:
        """Return whether a row without call is within the tolerance of one that has a call, and is like it."""
        times = self._matched.get((row.number, row.duration_ms, row.caller), [])
        for at in {row.at, row.at + row.again_ms}:
            place = bisect_left(times, at - self._tolerance)
            if place < len(times) and times[place] <= at + self._tolerance:
                return True
        return False

    def _change(self, place: int, seeker: _Seeker, came_from: dict[int, _Seeker]) -> None:
        """Give a call to the row that has come to it, the call that this leaves to the row before, and so on."""
        while True:
            self.rows[place] = seeker.row
            if seeker.place is None:
                return
            place, seeker = seeker.place, came_from[seeker.place]

    def _lines(self, row: BilledCall) -> Iterator[list[_Alike]]:
        """Yield the lines of calls that are as long as a row, those of a longer beginning first."""
        for size in self._sizes:
            beginning = row.number[:size]
            lines = self._by_length.get(beginning) if len(beginning) == size else None
            if lines is not None:
                first = bisect_left(lines, row.duration_ms - self._length_tolerance, key=_length)
                last = bisect_right(lines, row.duration_ms + self._length_tolerance, key=_length)
                billed = self._by_billed.get((beginning, row.duration_ms), ())
                yield [*lines[first:last], *billed]

    def _span(self, row: BilledCall, alike: _Alike) -> tuple[int, int]:
        """Return the first and the last moment at which a call of a line may begin that is the one of a row."""
        return row.at - min(self._early, alike.longest_ms + self._tolerance), row.at + self._late

    def _runs_at(self, place: int, row: BilledCall) -> bool:
        call = self._ours[place]
        return row.at <= call.started_at + call.from_invite_ms + self._tolerance

    def _take_free(self, row: BilledCall) -> int | None:
        """Return the call without row that is the nearest of those with the longest beginning; None = there is none."""
        for lines in self._lines(row):
            found = [each for alike in lines if (each := self._nearest(row, alike)) is not None]
            if found:
                _, place, line, index = min(found, key=lambda each: each[:2])
                line.take_out(index)
                return place
        return None

    def _nearest(self, row: BilledCall, alike: _Alike) -> tuple[int, int, CallLine, int] | None:
        """Return the distance and the place of the nearest call without row, its line, and the index in that."""
        line, times = alike.free, alike.free.times
        since, until = self._span(row, alike)
        start = bisect_left(times, row.at)
        found: list[tuple[int, int, CallLine, int]] = []
        index = line.first_from(start)
        if index < len(times) and times[index] <= until:
            found.append((times[index] - row.at, line.places[index], line, index))
        index = line.last_before(start)
        while index >= 0 and times[index] >= since and not (found and row.at - times[index] >= found[0][0]):
            if self._runs_at(line.places[index], row):
                return row.at - times[index], line.places[index], line, index
            index = line.last_before(index)
        return found[0] if found else None

    def _see(self, row: BilledCall, alike: _Alike) -> Iterator[int]:
        """Yield the calls of a line that may be the one of a row and were not seen; each is seen then."""
        line, times = alike.unseen, alike.unseen.times
        since, until = self._span(row, alike)
        index = line.first_from(bisect_left(times, since))
        while index < len(times) and times[index] <= until:
            if self._runs_at(line.places[index], row):
                line.take_out(index)
                yield line.places[index]
            index = line.first_from(index + 1)


def _length(alike: _Alike) -> int:
    return alike.length_ms
