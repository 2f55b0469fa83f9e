"""Match the calls of two books by number and time; each call is used once, and memory is bounded.

Calls of one number that follow each other within the tolerance are one group. Within a group those of equal length are
matched first, as many as possible and the nearest in time; then the rest by nearness.
"""

import heapq
from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Final

from vosd.clearing.calls import BilledCall, CallPair, SentCall
from vosd.clearing.partners import Pairing

GROUP_MAX: Final = 8_000
"""Calls of one number that wait together, more or less; of a longer group the earlier part is settled first."""

_at: Final = attrgetter("at")


class _Group:
    """Calls of one number that are not settled yet."""

    __slots__ = ("last", "ours", "settled_at", "theirs")

    def __init__(self) -> None:
        self.ours: list[SentCall] = []
        self.theirs: list[BilledCall] = []
        self.last = 0
        self.settled_at = GROUP_MAX
        """Number of calls with which the earlier part is settled."""

    def __len__(self) -> int:
        return len(self.ours) + len(self.theirs)


class Matcher:
    """Matches calls by their numbers and ``at``."""

    def __init__(self, tolerance_ms: int, duration_tolerance_ms: int) -> None:
        """``tolerance_ms``: difference of times up to which two calls may be one.

        ``duration_tolerance_ms``: difference up to which their lengths count as equal.
        """
        self._tolerance, self._length_tolerance = tolerance_ms, duration_tolerance_ms

    def pairs(self, ours: Iterable[SentCall], theirs: Iterable[BilledCall]) -> Iterator[CallPair]:
        """Yield each call of both books once; both are sorted by ``at``.

        Rows of the hour that comes twice in autumn are tried by its first time, those without partner by its second.
        """
        again: list[BilledCall] = []
        kept: list[SentCall] = []
        repeated: set[int] = set()
        until = 0
        for pair in self._pairs(ours, theirs):
            mine, other = pair.ours, pair.theirs
            if mine is None and other is not None and other.again_ms:
                again.append(other.moved())
                if pair.is_repeated:
                    repeated.add(other.line)
                until = max(until, again[-1].at + self._tolerance)
            elif other is None and mine is not None and mine.at <= until:  # rows of its time have come an hour ago
                kept.append(mine)
            else:
                yield pair
        for pair in self._pairs(sorted(kept, key=_at), sorted(again, key=_at)):
            if pair.ours is None and pair.theirs is not None:
                yield CallPair(None, pair.theirs.moved(), pair.is_repeated or pair.theirs.line in repeated)
            else:
                yield pair

    def _pairs(self, ours: Iterable[SentCall], theirs: Iterable[BilledCall]) -> Iterator[CallPair]:
        groups: dict[str, _Group] = {}
        due: deque[tuple[int, str]] = deque()
        tolerance = self._tolerance
        calls: Iterator[SentCall | BilledCall] = heapq.merge(ours, theirs, key=_at)
        for call in calls:
            at = call.at
            while due and due[0][0] < at - tolerance:
                _, number = due.popleft()
                group = groups[number]
                if group.last < at - tolerance:
                    yield from self._settled(groups.pop(number))
                else:
                    due.append((group.last, number))
            group_of = groups.get(call.number)
            if group_of is None:
                group_of = groups[call.number] = _Group()
                due.append((at, call.number))
            group_of.last = at
            if isinstance(call, SentCall):
                group_of.ours.append(call)
            else:
                group_of.theirs.append(call)
            if len(group_of) >= group_of.settled_at:
                yield from self._settled_part(group_of)
                group_of.settled_at = max(GROUP_MAX, len(group_of) + GROUP_MAX // 4)
        for group in groups.values():
            yield from self._settled(group)

    def _settled(self, group: _Group) -> Iterator[CallPair]:
        ours, theirs = group.ours, group.theirs
        if len(ours) == 1 and len(theirs) == 1 and abs(ours[0].at - theirs[0].at) <= self._tolerance:
            yield CallPair(ours[0], theirs[0])
            return
        partners = self._partners(ours, theirs)
        yield from self._found(ours, theirs, partners)

    def _settled_part(self, group: _Group) -> Iterator[CallPair]:
        """Settle the earlier part of a long group; the calls that are left are matched once more with later ones."""
        mine, other = self._open_from(group)
        closed = _Group()
        closed.ours, group.ours = group.ours[:mine], group.ours[mine:]
        closed.theirs, group.theirs = group.theirs[:other], group.theirs[other:]
        yield from self._settled(closed)
        if len(group) >= GROUP_MAX:
            yield from self._settled_before(group, self._cut(group))

    def _open_from(self, group: _Group) -> tuple[int, int]:
        """Return the places in both books from which on a later call may change which calls are one.

        A later call may be one with a call of the last ``tolerance``, that one has taken the partner of an earlier
        one, and so on. Rows of the file are compared with each other, too, as repeated ones.
        """
        ours, theirs, tolerance = group.ours, group.theirs, self._tolerance
        mine, other = len(ours), len(theirs)
        since_ours = since_theirs = group.last - tolerance
        while True:
            first_ours, first_theirs = (
                bisect_left(ours, since_ours, key=_at),
                bisect_left(theirs, since_theirs, key=_at),
            )
            if (first_ours, first_theirs) == (mine, other):
                return mine, other
            mine, other = first_ours, first_theirs
            if other < len(theirs):
                since_ours = min(since_ours, theirs[other].at - tolerance)
                since_theirs = min(since_theirs, theirs[other].at - tolerance)
            if mine < len(ours):
                since_theirs = min(since_theirs, ours[mine].at - tolerance)

    def _settled_before(self, group: _Group, cut: int) -> Iterator[CallPair]:
        """Settle the calls of a group that began before a time, apart from those whose partner did not."""
        ours, theirs = group.ours, group.theirs
        partners = self._partners(ours, theirs)
        owners = {other: mine for mine, other in partners.items()}
        keep_ours, keep_theirs = [], []
        for place, call in enumerate(ours):
            partner = partners.get(place)
            if max(call.at, call.at if partner is None else theirs[partner].at) >= cut:
                keep_ours.append(call)
        for place, billed in enumerate(theirs):
            owner = owners.get(place)
            if max(billed.at, billed.at if owner is None else ours[owner].at) >= cut:
                keep_theirs.append(billed)
        if len(keep_ours) + len(keep_theirs) >= GROUP_MAX:
            keep_ours, keep_theirs = [], []
        kept = {id(each) for each in (*keep_ours, *keep_theirs)}
        for pair in self._found(ours, theirs, partners):
            if id(pair.ours or pair.theirs) not in kept:
                yield pair
        group.ours, group.theirs = keep_ours, keep_theirs

    def _cut(self, group: _Group) -> int:
        """Return the time in the middle of a group, or earlier, up to which no later call is one with any.

        A quarter is before it, whatever the tolerance: the calls that are kept are to be few.
        """
        times = sorted([*(each.at for each in group.ours), *(each.at for each in group.theirs)])
        middle, quarter = times[len(times) // 2], times[len(times) // 4]
        return max(quarter, min(middle, group.last - self._tolerance))

    def _found(
        self, ours: Sequence[SentCall], theirs: Sequence[BilledCall], partners: dict[int, int]
    ) -> Iterator[CallPair]:
        taken = set(partners.values())
        matched: defaultdict[tuple[int, str], list[int]] = defaultdict(list)
        for place in sorted(taken):
            billed = theirs[place]
            matched[billed.duration_ms, billed.caller].append(billed.at)
        for place, billed in enumerate(theirs):  # first: one of them may be a call that follows an hour later
            if place not in taken:
                yield CallPair(None, billed, self._repeats(billed.at, matched.get((billed.duration_ms, billed.caller))))
        for place, call in enumerate(ours):
            partner = partners.get(place)
            yield CallPair(call, None if partner is None else theirs[partner])

    def _repeats(self, at: int, times: list[int] | None) -> bool:
        """Return whether a row is within the tolerance of one of those that are alike and have a call."""
        if times is None:
            return False
        place = bisect_left(times, at - self._tolerance)
        return place < len(times) and times[place] <= at + self._tolerance

    def _partners(self, ours: Sequence[SentCall], theirs: Sequence[BilledCall]) -> dict[int, int]:
        """Return the places of the matched calls of ``theirs`` by those of ``ours``."""
        return Pairing(ours, theirs, self._tolerance, self._length_tolerance).find()
