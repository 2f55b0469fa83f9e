"""Detect an overload. Pure: time is an argument, in seconds of the monotonic clock.

The measure is the lag: the wait of a new call in the queue plus the delay of the event loop. A burst raises it for a
moment and is harmless; a lag that persists is an overload (the idea of CoDel, RFC 8289).
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

LASTING_S: Final = 0.4
"""A lag above the limit is an overload after it has lasted for so long.

At half of its load a switch that stood still for 0.2 s (another process, the disk, the hypervisor) has caught up by
then. With the default limit no INVITE is repeated before: T1 is 0.5 s (RFC 3261 section 17.1.1.1).
"""
OVER_S: Final = 1.0
"""An overload is over after the lag was below half the limit for so long."""
START_S: Final = 5.0
"""For so long after a start no lag is an overload.

What the start leaves to be done, and calls that have waited for it, raise the lag once. The queues are bounded.
"""


@dataclass(frozen=True, slots=True)
class OverloadSettings:
    """When new calls are refused."""

    max_lag_ms: int = 100
    """Longest wait of a new call; 0 = no call is refused for its wait."""


class Load(Enum):
    """Load state of the switch."""

    NORMAL = auto()
    OVERLOADED = auto()
    """New calls that have waited longer than the limit are refused."""


class LoadWatch:
    """Distinguishes an overload from a burst."""

    def __init__(self, settings: OverloadSettings) -> None:
        self.settings = settings
        self.load = Load.NORMAL
        self._begins_at = 0.0
        self._since: float | None = None
        """Time since which the lag has indicated the other state."""

    def begin(self, now: float) -> None:
        """Note that calls are taken from now on."""
        self._begins_at = now + START_S

    def observe(self, lag_s: float, now: float) -> Load | None:
        """Record the lag; return the new state if it changes. Call it about ten times a second."""
        bound = self.settings.max_lag_ms / 1000
        if self.load is Load.NORMAL:
            indicates_change = 0 < bound <= lag_s and now >= self._begins_at
            patience, other = LASTING_S, Load.OVERLOADED
        else:
            # Half the limit, so that a lag around the limit does not switch the refusals on and off.
            indicates_change, patience, other = not bound or lag_s < bound / 2, OVER_S, Load.NORMAL
        if not indicates_change:
            self._since = None
        elif self._since is None:
            self._since = now
        elif now - self._since >= patience:
            self._since = None
            self.load = other
            return other
        return None

    def is_too_late(self, lag_s: float) -> bool:
        """Return whether a new call is refused after such a wait."""
        return self.load is Load.OVERLOADED and lag_s * 1000 >= self.settings.max_lag_ms
