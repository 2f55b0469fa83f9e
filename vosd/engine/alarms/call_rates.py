"""Calls a second of each mapping gateway, against the highest of its own past hours (ADR 75).

Pure: what was counted and when are arguments.
"""

from collections import deque
from collections.abc import Container, Iterable, Iterator
from typing import Final, NamedTuple

HOURS: Final = 24
"""Number of past hours that are remembered."""
_HOUR_MS: Final = 3_600_000
_WEIGHT: Final = 0.4
"""Weight of the newest sample in the average: one burst of a second is no alarm."""
_QUIET: Final = 0.1
_LEAST: Final = 2
"""A gateway is remembered from so many calls in a second on; phones have fewer."""


class Fast(NamedTuple):
    """The calls a second of a gateway, and what is much for it."""

    gateway: str
    rate: float
    limit: float | None
    """None = the switch has not run for long enough to know."""


class _Rate:
    __slots__ = ("average", "highest", "hour", "past")

    def __init__(self, hour: int) -> None:
        self.average = 0.0
        self.hour = hour
        self.highest = 0.0
        """Highest average of the present hour."""
        self.past: deque[float] = deque(maxlen=HOURS)
        """The highest of each past hour in which it had calls."""


class CallRates:
    """The rates of the gateways that have had calls since the start; nothing is known of before."""

    def __init__(self) -> None:
        self._rates: dict[str, _Rate] = {}
        self._first_hour: int | None = None

    def keep(self, gateways: Container[str]) -> None:
        """Forget all other gateways: reloads have removed them."""
        self._rates = {name: rate for name, rate in self._rates.items() if name in gateways}

    def note(self, counted: Iterable[tuple[str, int]], mono_ms: int, factor: int, floor: int) -> Iterator[Fast]:
        """Take how many calls each gateway has taken in the last second; yield the rates of all that are not quiet.

        A gateway that is not among them has taken none. ``factor`` times the highest of its past hours is much, but
        never less than ``floor``. An hour in which it was fast counts from the next one on.
        """
        hour, latest = mono_ms // _HOUR_MS, dict(counted)
        if self._first_hour is None:
            self._first_hour = hour
        for name, count in latest.items():
            if count >= _LEAST and name not in self._rates:
                self._rates[name] = _Rate(hour)
        for name, rate in self._rates.items():
            if rate.hour != hour:
                if rate.highest:
                    rate.past.append(rate.highest)
                rate.hour, rate.highest = hour, 0.0
            count = latest.get(name, 0)
            if not count and not rate.average:
                continue
            rate.average += _WEIGHT * (count - rate.average)
            if rate.average < _QUIET and not count:
                rate.average = 0.0
            rate.highest = max(rate.highest, rate.average)
            limit = max(floor, factor * max(rate.past, default=0.0))
            yield Fast(name, rate.average, limit if hour > self._first_hour else None)
