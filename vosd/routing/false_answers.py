"""Signs of false answers: short calls, answers without ringing, answers after the same time, calls made again at once.

A vendor that answers for a called party who has not answered is paid for nothing. Each sign has innocent causes, so
calls are counted by gateway and destination over the last hour, and only the share of short calls decides. Pure: times
are milliseconds of the monotonic clock.
"""

from collections import OrderedDict, deque
from collections.abc import Container, Iterator
from typing import Final, NamedTuple

import msgspec

SLICE_MS: Final = 15 * 60_000
SLICES: Final = 4
ROWS_MAX: Final = 2_000
"""Gateways and destinations that are counted; the one without an answered call for longest is dropped."""
PAIRS_MAX: Final = 10_000
"""Short calls whose pair of numbers is remembered; the oldest is forgotten first."""
EARLY_MS: Final = 1_000
"""No one answers sooner after the INVITE."""
WHOLE: Final = ""
"""Stands in place of a destination for all of them together."""


class ShortCallTerms(msgspec.Struct, frozen=True):
    """Limits from which on short calls of a gateway are reported, and what follows."""

    percent: int = 0
    """More short ones of the answered calls are too many; 0 = any number is allowed."""
    shortest_ms: int = 6_000
    """Calls below this are short."""
    again_ms: int = 30_000
    """A pair of numbers that talks again within this time after a short call has tried once more."""
    min_calls: int = 20
    """Fewer answered calls say nothing."""
    order: bool = False
    """Whether the quality of such a destination counts short calls as not answered."""
    rest: bool = False
    """Whether a gateway with too many over all its destinations is tried after all others."""


NO_TERMS: Final = ShortCallTerms()


class AnsweredCall(NamedTuple):
    """An answered call that has ended."""

    gateway: str
    destination: str
    caller: str
    callee: str
    ring_ms: int | None
    """From the INVITE to the gateway's first 18x or 200."""
    answer_ms: int
    """From the INVITE to its 200."""
    talk_ms: int

    @property
    def is_unrung(self) -> bool:
        """Whether it was answered without ringing before, or sooner than anyone can."""
        return is_unrung(self.ring_ms, self.answer_ms)


def is_unrung(ring_ms: int | None, answer_ms: int) -> bool:
    """Return whether an answer came without ringing before, or sooner after the INVITE than anyone can give it."""
    return ring_ms is None or ring_ms >= answer_ms or answer_ms < EARLY_MS


class AnswerFigures(NamedTuple):
    """Sums of the last hour."""

    answered: int = 0
    short: int = 0
    unrung: int = 0
    same: int = 0
    """Answers after the same number of whole seconds as the answer before."""
    again: int = 0
    """Short calls whose parties talked again at once."""

    @property
    def percent(self) -> float:
        """Short calls per hundred answered ones; 0 of none."""
        return 100 * self.short / self.answered if self.answered else 0.0


class ShortCalls(NamedTuple):
    """A destination of a gateway with too many short calls."""

    gateway: str
    destination: str
    """``WHOLE`` = over all of them."""
    figures: AnswerFigures
    limit: float
    """Percent of its answered calls from which on short ones are too many; less while there were too many before."""


class _Window:
    """Slices of one row, each with its number, and the delay of its latest answer."""

    __slots__ = ("last_s", "slices", "total")

    def __init__(self) -> None:
        self.slices: deque[tuple[int, list[int]]] = deque()
        self.total = [0] * len(AnswerFigures._fields)
        self.last_s = -1

    def add(self, number: int, sums: tuple[int, ...]) -> None:
        if not self.slices or self.slices[-1][0] != number:
            self.slices.append((number, [0] * len(sums)))
        newest = self.slices[-1][1]
        for place, value in enumerate(sums):
            newest[place] += value
            self.total[place] += value

    def drop_until(self, last: int) -> None:
        while self.slices and self.slices[0][0] <= last:
            for place, value in enumerate(self.slices.popleft()[1]):
                self.total[place] -= value


class FalseAnswers:
    """Answered calls of the last hour, by gateway and destination; they outlive a reload and no restart."""

    def __init__(self, rows_max: int = ROWS_MAX, pairs_max: int = PAIRS_MAX) -> None:
        self.terms = NO_TERMS
        self._rows: OrderedDict[tuple[str, str], _Window] = OrderedDict()
        self._rows_max, self._pairs_max = rows_max, pairs_max
        self._pairs: OrderedDict[tuple[str, str], tuple[int, str, str]] = OrderedDict()
        """By caller and callee of a short call: its end, gateway and destination."""
        self.doubted: set[tuple[str, str]] = set()
        """Gateways and destinations with too many short calls, as of the latest look."""
        self.resting: dict[str, str] = {}
        """Gateways that are tried after all others, and why."""

    def __len__(self) -> int:
        return len(self._rows)

    def adjust(self, terms: ShortCallTerms, gateways: Container[str]) -> None:
        """Use other terms from now on, and forget other gateways; calls that were short by other terms stay so."""
        self.terms = terms
        if not terms.percent:
            self._rows.clear()
            self._pairs.clear()
        for row in [row for row in self._rows if row[0] not in gateways]:
            del self._rows[row]
        self.doubted = {row for row in self.doubted if row in self._rows}
        self._note_resting()

    def note(self, call: AnsweredCall, mono_ms: int) -> None:
        """Count a call that ends now."""
        terms, number = self.terms, mono_ms // SLICE_MS
        is_short = call.talk_ms < terms.shortest_ms
        answer_s = call.answer_ms // 1_000
        for destination in (WHOLE, call.destination):
            window = self._window((call.gateway, destination))
            same = answer_s == window.last_s
            window.last_s = answer_s
            window.drop_until(number - SLICES)
            window.add(number, (1, is_short, call.is_unrung, same, 0))
        self._note_pair(call, mono_ms, is_short=is_short)

    def look(self, mono_ms: int) -> list[ShortCalls]:
        """Return what has too many short calls now, by gateway, and let routing go by it."""
        terms, found = self.terms, list[ShortCalls]()
        for row, figures in self._figures(mono_ms):
            # What is doubted stays so until it is better by a tenth: a share around the limit would move routes.
            limit = terms.percent * 0.9 if row in self.doubted else terms.percent
            if terms.percent and figures.answered >= terms.min_calls and figures.percent >= limit:
                found.append(ShortCalls(*row, figures, limit))
        self.doubted = {(each.gateway, each.destination) for each in found}
        self._note_resting()
        return sorted(found)

    def figures(self, gateway: str, destination: str, mono_ms: int) -> AnswerFigures:
        """Return the sums of a gateway for a destination."""
        window = self._rows.get((gateway, destination))
        if window is None:
            return AnswerFigures()
        window.drop_until(mono_ms // SLICE_MS - SLICES)
        return AnswerFigures._make(window.total)

    def _figures(self, mono_ms: int) -> Iterator[tuple[tuple[str, str], AnswerFigures]]:
        for row in list(self._rows):
            yield row, self.figures(*row, mono_ms)

    def _note_resting(self) -> None:
        whole = sorted(gateway for gateway, destination in self.doubted if destination == WHOLE)
        self.resting.clear()
        if self.terms.rest:
            self.resting.update(dict.fromkeys(whole, "too many of its answered calls are short"))

    def _window(self, row: tuple[str, str]) -> _Window:
        window = self._rows.get(row)
        if window is None:
            if len(self._rows) >= self._rows_max:
                self._rows.popitem(last=False)
            window = self._rows[row] = _Window()
        else:
            self._rows.move_to_end(row)
        return window

    def _note_pair(self, call: AnsweredCall, mono_ms: int, *, is_short: bool) -> None:
        """Count an earlier short call of the same parties if this one began soon after it."""
        pair = call.caller, call.callee
        before = self._pairs.pop(pair, None)
        if before is not None:
            ended_ms, gateway, destination = before
            began_ms = mono_ms - call.talk_ms - call.answer_ms
            if began_ms - ended_ms <= self.terms.again_ms:
                for each in (WHOLE, destination):
                    self._window((gateway, each)).add(mono_ms // SLICE_MS, (0, 0, 0, 0, 1))
        if is_short:
            if len(self._pairs) >= self._pairs_max:
                self._pairs.popitem(last=False)
            self._pairs[pair] = mono_ms, call.gateway, call.destination
