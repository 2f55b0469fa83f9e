"""How many connections there are, and whose: what one peer, or the world, may take of the switch."""

from collections import Counter
from enum import Enum

from vosd.net.settings import ConnectionLimits


class Origin(Enum):
    """Who opened a connection."""

    GATEWAY = "gateway"
    """A peer at the address of a gateway."""
    STRANGER = "stranger"
    """A peer at any other address: a scanner, or the far end of a dialog that has moved."""
    SWITCH = "switch"
    """We ourselves."""


class Places:
    """The connections of all listeners, counted against one set of limits."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self._taken: Counter[Origin] = Counter()
        self._by_source: Counter[str] = Counter()
        """Accepted connections."""

    def __len__(self) -> int:
        return self._taken.total()

    def take(self, origin: Origin, host: str) -> str | None:
        """Take a place for one connection; where there is none, say which limit is reached."""
        limits = self.limits
        if len(self) >= limits.most:
            return "max"
        if origin is Origin.STRANGER and self._taken[origin] >= limits.most_unknown:
            return "max_unknown"
        if origin is not Origin.SWITCH:
            if self._by_source[host] >= limits.most_per_source:
                return "max_per_source"
            self._by_source[host] += 1
        self._taken[origin] += 1
        return None

    def give_back(self, origin: Origin, host: str) -> None:
        """Give a place back that was taken."""
        self._taken[origin] -= 1
        if origin is not Origin.SWITCH:
            self._by_source[host] -= 1
            if not self._by_source[host]:
                del self._by_source[host]
