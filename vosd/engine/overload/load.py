"""When there is too much to do: pure, time is an argument, in seconds of the monotonic clock.

What is watched is the lag: how long a new call has waited for its turn, and how late the event loop is. A burst lets
it rise for a moment and is none of our business; a lag that does not go away is an overload (the idea of CoDel,
RFC 8289).
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

LASTING_S: Final = 0.1
"""A lag over the bound is an overload once it has lasted for so long."""
OVER_S: Final = 1.0
"""An overload is over once the lag was below half the bound for so long."""


@dataclass(frozen=True, slots=True)
class OverloadSettings:
    """When new calls are refused."""

    max_lag_ms: int = 100
    """What a new call may wait for its turn; 0 = none is ever refused for that."""


class Load(Enum):
    """What the switch makes of it."""

    BEARABLE = auto()
    TOO_MUCH = auto()
    """New calls that have waited for too long are refused."""


class LoadWatch:
    """Tells an overload from a burst."""

    __slots__ = ("_since", "load", "settings")

    def __init__(self, settings: OverloadSettings) -> None:
        self.settings = settings
        self.load = Load.BEARABLE
        self._since: float | None = None
        """Since when the lag speaks for the other state."""

    def observe(self, lag_s: float, now: float) -> Load | None:
        """Take note of the lag; return the new state where it changes. To be called some ten times a second."""
        bound = self.settings.max_lag_ms / 1000
        if self.load is Load.BEARABLE:
            speaks_for_change, patience, other = 0 < bound <= lag_s, LASTING_S, Load.TOO_MUCH
        else:
            speaks_for_change, patience, other = not bound or lag_s < bound / 2, OVER_S, Load.BEARABLE
        if not speaks_for_change:
            self._since = None
        elif self._since is None:
            self._since = now
        elif now - self._since >= patience:
            self._since = None
            self.load = other
            return other
        return None

    def is_too_late(self, lag_s: float) -> bool:
        """Say whether a new call that has waited for so long is refused."""
        return self.load is Load.TOO_MUCH and lag_s * 1000 >= self.settings.max_lag_ms
