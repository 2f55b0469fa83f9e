"""Quality of gateways: what became of the attempts over sliding windows, for each gateway and each of its destinations.

A window consists of slices; when a new one starts, the oldest is dropped (``SS_GATEWAY_QUALITY_RESERVE_TIME``,
``SS_GATEWAY_QUALITY_RESERVE_SEPARATE``). Attempts are counted when they end or are answered, talk when it ends. How
gateways are compared by it is in ``quality_order``.
"""

from collections import OrderedDict, deque
from collections.abc import Container, Iterator
from typing import Final, NamedTuple

import msgspec

from vosd.base.clock import Instant
from vosd.routing.failover import AttemptEnd, AttemptOutcome

SLICE_MS: Final = 30 * 60_000
SLICES: Final = 6
ROWS_MAX: Final = 20_000
"""Most destinations, of all gateways together, that are counted; the one that had no calls for longest is dropped."""
LENGTH_CALLS: Final = 20
"""Fewer calls in the window say nothing about how long calls to a prefix last."""
_ALL: Final = ""
"""Stands in place of a gateway for all of them together: by prefixes of the customers' rates, for the length alone."""
_LENGTH_STEP: Final = 20
"""A length changes when the average differs from it by one part of so many: prices are computed by it."""

_BUSY_CODES: Final = frozenset({486, 600})
_UNREACHED_USER_CODES: Final = frozenset({480, 603})
_TERMINAL_CAUSES: Final = frozenset({17, 18, 19, 20, 21})
"""Q.850: busy, no user responding, no answer, subscriber absent, call rejected."""


class QualityFigures(NamedTuple):
    """The sums of a window."""

    attempts: int = 0
    answered: int = 0
    effective: int = 0
    """Attempts that the network delivered to the called terminal, whatever that made of them (ITU-T E.425)."""
    rang: int = 0
    """Attempts whose post-dial delay is known."""
    pdd_ms: int = 0
    """Post-dial delay of all of these together."""
    talks: int = 0
    """Answered calls that have ended."""
    talk_ms: int = 0
    """Talk of all of these together."""

    @property
    def asr(self) -> float | None:
        """Answer-seizure ratio: answered calls per hundred attempts (ITU-T E.425); None without attempts."""
        return 100 * self.answered / self.attempts if self.attempts else None

    @property
    def ner(self) -> float | None:
        """Network effectiveness ratio: effective attempts per hundred (ITU-T E.425); None without attempts."""
        return 100 * self.effective / self.attempts if self.attempts else None

    @property
    def acd_s(self) -> float | None:
        """Average call duration in seconds: talk of the answered calls that have ended; None without any.

        Calls that still run are left out: they would make a gateway look worse the longer its calls are.
        """
        return self.talk_ms / self.talks / 1_000 if self.talks else None

    @property
    def mean_pdd_ms(self) -> float | None:
        """Average post-dial delay: from the INVITE to ringing or answer; None where nothing rang."""
        return self.pdd_ms / self.rang if self.rang else None


_ATTEMPTS, _ANSWERED, _EFFECTIVE, _RANG, _PDD_MS, _TALKS, _TALK_MS = range(len(QualityFigures._fields))
"""Positions in the sums of a slice."""
_NOTHING: Final = QualityFigures()


class SavedSlice(msgspec.Struct, frozen=True, array_like=True):
    """The sums of one slice, and when it began."""

    began_at: int
    """UTC milliseconds."""
    sums: QualityFigures


class SavedRow(msgspec.Struct, frozen=True, array_like=True):
    """The slices of a gateway for one destination, or for all if ``destination`` is None."""

    gateway: str
    destination: str | None
    slices: tuple[SavedSlice, ...]


class SavedQuality(msgspec.Struct, frozen=True):
    """All windows as data: a restart continues with them."""

    slice_ms: int
    rows: tuple[SavedRow, ...]


class _Slice:
    __slots__ = ("number", "sums")

    def __init__(self, number: int) -> None:
        self.number = number
        """The beginning on the monotonic clock, in lengths of a slice."""
        self.sums = [0] * len(_NOTHING)


class _Window:
    """The slices of one row, and their sum."""

    __slots__ = ("newest", "slices", "total")

    def __init__(self, number: int) -> None:
        self.newest = _Slice(number)
        self.slices = deque((self.newest,))
        self.total = [0] * len(_NOTHING)

    def advance(self, number: int, kept: int) -> None:
        """Begin the slice of that number, and drop those that are too old by then."""
        self.drop_until(number - kept)
        if number > self.newest.number or not self.slices:
            self.newest = _Slice(number)
            self.slices.append(self.newest)

    def drop_until(self, last: int) -> None:
        """Drop the slices up to that number."""
        slices = self.slices
        while slices and slices[0].number <= last:
            for place, value in enumerate(slices.popleft().sums):
                self.total[place] -= value

    def put(self, number: int, sums: QualityFigures) -> None:
        """Add the sums of a slice that was saved; slices come in order."""
        if not self.slices or self.slices[-1].number < number:
            self.newest = _Slice(number)
            self.slices.append(self.newest)
        for place, value in enumerate(sums):
            self.newest.sums[place] += value
            self.total[place] += value


class Quality:
    """The windows of all gateways; they outlive a reload that does not change the length of a slice."""

    def __init__(self, slice_ms: int = SLICE_MS, slices: int = SLICES, rows_max: int = ROWS_MAX) -> None:
        self._slice_ms = slice_ms
        self._slices = slices
        self._rows_max = rows_max
        self._gateways: dict[str, _Window] = {}
        self._destinations: OrderedDict[tuple[str, str], _Window] = OrderedDict()
        """By gateway and destination; the one that had no calls for longest is first."""
        self.lengths: dict[str, int] = {}
        """By prefix of the customers' rates, the seconds that calls lasted before the latest one ended; those with too
        few calls are left out."""

    def __len__(self) -> int:
        return len(self._destinations)

    def adjust(self, slice_ms: int, slices: int) -> None:
        """Change the windows; another length of a slice begins all of them anew."""
        if slice_ms != self._slice_ms:
            self._gateways.clear()
            self._destinations.clear()
            self.lengths.clear()
        self._slice_ms, self._slices = slice_ms, slices

    def keep(self, gateways: Container[str]) -> None:
        """Forget all other gateways."""
        for name in [name for name in self._gateways if name and name not in gateways]:
            del self._gateways[name]
        for row in [row for row in self._destinations if row[0] and row[0] not in gateways]:
            del self._destinations[row]

    # -- counting -----------------------------------------------------------------------------------------------

    def answered(self, gateway: str, destination: str, pdd_ms: int | None, mono_ms: int) -> None:
        """Count an attempt that was answered."""
        for window in self._windows(gateway, destination, mono_ms):
            for sums in (window.newest.sums, window.total):
                sums[_ATTEMPTS] += 1
                sums[_ANSWERED] += 1
                sums[_EFFECTIVE] += 1
                if pdd_ms is not None:
                    sums[_RANG] += 1
                    sums[_PDD_MS] += pdd_ms

    def failed(self, gateway: str, destination: str, pdd_ms: int | None, mono_ms: int, *, is_effective: bool) -> None:
        """Count an attempt that ended without an answer."""
        for window in self._windows(gateway, destination, mono_ms):
            for sums in (window.newest.sums, window.total):
                sums[_ATTEMPTS] += 1
                sums[_EFFECTIVE] += is_effective
                if pdd_ms is not None:
                    sums[_RANG] += 1
                    sums[_PDD_MS] += pdd_ms

    def talked(self, gateway: str, destination: str, talk_ms: int, mono_ms: int, sold_by: str = "") -> None:
        """Count the talk of an answered call that ended; ``sold_by`` is the prefix of the customer's rate."""
        windows = self._windows(gateway, destination, mono_ms)
        if sold_by:
            windows += self._windows(_ALL, sold_by, mono_ms)
        for window in windows:
            for sums in (window.newest.sums, window.total):
                sums[_TALKS] += 1
                sums[_TALK_MS] += talk_ms
        if sold_by:
            self._note_length(sold_by, windows[-1])

    # -- figures ------------------------------------------------------------------------------------------------

    def figures(self, gateway: str, mono_ms: int) -> QualityFigures:
        """Return the sums of a gateway over all its destinations."""
        return self._sums(self._gateways.get(gateway), mono_ms)

    def figures_of(self, gateway: str, destination: str, mono_ms: int, min_attempts: int) -> QualityFigures:
        """Return the sums of a gateway for a destination; over all destinations where that has too few attempts."""
        found = self._sums(self._destinations.get((gateway, destination)), mono_ms)
        return found if found.attempts >= min_attempts else self.figures(gateway, mono_ms)

    def latest(self, gateway: str, mono_ms: int, slices: int) -> QualityFigures:
        """Return the sums of a gateway over the slice that runs and those before it, ``slices`` in all."""
        window, first = self._gateways.get(gateway), mono_ms // self._slice_ms - slices + 1
        if window is None:
            return _NOTHING
        recent = [each.sums for each in window.slices if each.number >= first]
        return QualityFigures._make(map(sum, zip(*recent, strict=True))) if recent else _NOTHING

    # -- restart ------------------------------------------------------------------------------------------------

    def saved(self, now: Instant) -> SavedQuality:
        """Return all windows as data; the destination that had no calls for longest is first."""
        return SavedQuality(self._slice_ms, tuple(self._saved_rows(now)))

    def restore(self, saved: SavedQuality, now: Instant) -> None:
        """Go on with the windows of another process; those of another length of a slice are not used.

        Its slices did not begin when ours do, so what it counted may be dropped earlier, by at most one slice.
        """
        if saved.slice_ms != self._slice_ms:
            return
        for row in saved.rows:
            window = _Window(0)
            window.slices.clear()
            for each in row.slices:
                if each.began_at <= now.wall:
                    window.put((now.mono - (now.wall - each.began_at)) // self._slice_ms, each.sums)
            if row.destination is None:
                self._gateways[row.gateway] = window
            elif len(self._destinations) < self._rows_max:
                self._destinations[row.gateway, row.destination] = window
                if row.gateway == _ALL:
                    self._note_length(row.destination, window)

    # -- inside -------------------------------------------------------------------------------------------------

    def _note_length(self, prefix: str, window: _Window) -> None:
        """Keep the average length of the calls in a window, in whole seconds; one that changes little stays."""
        calls, talk_ms = window.total[_TALKS], window.total[_TALK_MS]
        if calls >= LENGTH_CALLS:
            seconds = (2 * talk_ms + 1_000 * calls) // (2_000 * calls) or 1
            if abs(seconds - self.lengths.get(prefix, 0)) * _LENGTH_STEP >= seconds:
                self.lengths[prefix] = seconds

    def _windows(self, gateway: str, destination: str, mono_ms: int) -> tuple[_Window, ...]:
        """Return the windows of a gateway and of its destination, each with the slice of this moment."""
        number, row, destinations = mono_ms // self._slice_ms, (gateway, destination), self._destinations
        whole = self._gateways.get(gateway)
        if whole is None:
            whole = self._gateways[gateway] = _Window(number)
        elif whole.newest.number != number or not whole.slices:
            whole.advance(number, self._slices)
        part = destinations.get(row)
        if part is None:
            if len(destinations) >= self._rows_max:
                (of, dropped), _ = destinations.popitem(last=False)
                if of == _ALL:
                    self.lengths.pop(dropped, None)
            part = destinations[row] = _Window(number)
        else:
            destinations.move_to_end(row)
            if part.newest.number != number or not part.slices:
                part.advance(number, self._slices)
        return whole, part

    def _sums(self, window: _Window | None, mono_ms: int) -> QualityFigures:
        if window is None:
            return _NOTHING
        window.drop_until(mono_ms // self._slice_ms - self._slices)
        return QualityFigures._make(window.total)

    def _saved_rows(self, now: Instant) -> Iterator[SavedRow]:
        for gateway, window in self._gateways.items():
            yield SavedRow(gateway, None, self._saved_slices(window, now))
        for (gateway, destination), window in self._destinations.items():
            yield SavedRow(gateway, destination, self._saved_slices(window, now))

    def _saved_slices(self, window: _Window, now: Instant) -> tuple[SavedSlice, ...]:
        window.drop_until(now.mono // self._slice_ms - self._slices)
        return tuple(
            SavedSlice(now.wall - (now.mono - each.number * self._slice_ms), QualityFigures._make(each.sums))
            for each in window.slices
        )


def is_effective(outcome: AttemptOutcome | None, *, rang: bool) -> bool:
    """Return whether an attempt without answer reached the called terminal (ITU-T E.425); None = it was given up.

    So did one that rang, and one that the terminal or its user refused: busy, absent, rejected. A Q.850 cause of the
    gateway says more than its status. 403 alone does not count: most gateways refuse a call by it themselves.
    """
    if rang:
        return True
    if outcome is None or outcome.end is not AttemptEnd.FINAL:
        return False
    if outcome.q850 is not None:
        return outcome.q850 in _TERMINAL_CAUSES
    return outcome.code in _BUSY_CODES or outcome.code in _UNREACHED_USER_CODES
