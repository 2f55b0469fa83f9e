"""Match the calls of two books by number and time; each call is used once, and memory is bounded.

Calls of one number that follow each other within the tolerance are one group. Within a group those of equal length are
matched first, as many as possible and the nearest in time; then the rest by nearness.
"""

import heapq
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Final

import msgspec

from vosd.clearing.calls import BilledCall, CallPair, SentCall

GROUP_MAX: Final = 500
"""Calls of one number that are settled together at most; of a longer group the earlier part is settled first."""

_at: Final = attrgetter("at")


class _Group:
    """Calls of one number that are not settled yet."""

    __slots__ = ("last", "ours", "theirs")

    def __init__(self) -> None:
        self.ours: list[SentCall] = []
        self.theirs: list[BilledCall] = []
        self.last = 0


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
                again.append(_moved(other))
                if pair.is_repeated:
                    repeated.add(other.line)
                until = max(until, again[-1].at + self._tolerance)
            elif other is None and mine is not None and mine.at <= until:  # rows of its time have come an hour ago
                kept.append(mine)
            else:
                yield pair
        for pair in self._pairs(sorted(kept, key=_at), sorted(again, key=_at)):
            if pair.ours is None and pair.theirs is not None:
                yield CallPair(None, _moved(pair.theirs), pair.is_repeated or pair.theirs.line in repeated)
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
            if len(group_of.ours) + len(group_of.theirs) >= GROUP_MAX:
                yield from self._settled_part(group_of)
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
        """Settle a long group, except calls without partner that the next calls may match."""
        ours, theirs = group.ours, group.theirs
        partners = self._partners(ours, theirs)
        latest, taken = group.last - self._tolerance, set(partners.values())
        keep_ours = [each for place, each in enumerate(ours) if place not in partners and each.at >= latest]
        keep_theirs = [each for place, each in enumerate(theirs) if place not in taken and each.at >= latest]
        if len(keep_ours) + len(keep_theirs) >= GROUP_MAX:  # they are all of one book
            keep_ours, keep_theirs = [], []
        kept = {id(each) for each in (*keep_ours, *keep_theirs)}
        for pair in self._found(ours, theirs, partners):
            if id(pair.ours or pair.theirs) not in kept:
                yield pair
        group.ours, group.theirs = keep_ours, keep_theirs

    def _found(
        self, ours: Sequence[SentCall], theirs: Sequence[BilledCall], partners: dict[int, int]
    ) -> Iterator[CallPair]:
        taken = set(partners.values())
        for place, billed in enumerate(theirs):  # first: one of them may be a call that follows an hour later
            if place not in taken:
                yield CallPair(None, billed, any(self._repeats(billed, theirs[each]) for each in taken))
        for place, call in enumerate(ours):
            partner = partners.get(place)
            yield CallPair(call, None if partner is None else theirs[partner])

    def _repeats(self, billed: BilledCall, other: BilledCall) -> bool:
        is_same = billed.duration_ms == other.duration_ms and billed.caller == other.caller
        return is_same and abs(billed.at - other.at) <= self._tolerance

    def _partners(self, ours: Sequence[SentCall], theirs: Sequence[BilledCall]) -> dict[int, int]:
        """Return the places of the matched calls of ``theirs`` by those of ``ours``."""
        if not ours or not theirs:
            return {}
        edges = sorted(self._edges(ours, theirs))
        equal: dict[int, list[int]] = {}
        partners: dict[int, int] = {}
        owners: dict[int, int] = {}
        for is_longer, _, _, mine, other in edges:
            if is_longer:
                break  # the rest is, too
            equal.setdefault(mine, []).append(other)
            if mine not in partners and other not in owners:
                partners[mine], owners[other] = other, mine
        for mine in equal:
            if mine not in partners:
                _augment(mine, equal, partners, owners)
        for _, _, _, mine, other in edges:
            if mine not in partners and other not in owners:
                partners[mine], owners[other] = other, mine
        return partners

    def _edges(
        self, ours: Sequence[SentCall], theirs: Sequence[BilledCall]
    ) -> Iterator[tuple[bool, bool, int, int, int]]:
        """Yield which calls may be one, with the terms of the order: length, calling number, distance in time."""
        first = 0
        for mine, call in enumerate(ours):
            while first < len(theirs) and theirs[first].at < call.at - self._tolerance:
                first += 1
            for other in range(first, len(theirs)):
                billed = theirs[other]
                if billed.at > call.at + self._tolerance:
                    break
                is_longer = abs(billed.duration_ms - call.duration_ms) > self._length_tolerance
                other_caller = bool(billed.caller) and billed.caller != call.caller
                yield is_longer, other_caller, abs(billed.at - call.at), mine, other


def _moved(call: BilledCall) -> BilledCall:
    """Return a row at the other of both times that its start may mean."""
    return msgspec.structs.replace(call, at=call.at + call.again_ms, again_ms=-call.again_ms)


def _augment(mine: int, edges: dict[int, list[int]], partners: dict[int, int], owners: dict[int, int]) -> None:
    """Find a partner for one more call where others can change theirs (Kuhn's algorithm); all matched ones stay so."""
    seen: set[int] = set()

    def free(place: int) -> bool:
        for other in edges[place]:
            if other not in seen:
                seen.add(other)
                if other not in owners or free(owners[other]):
                    partners[place], owners[other] = other, place
                    return True
        return False

    free(mine)
