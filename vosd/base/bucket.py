"""Token bucket: a rate per second and a burst."""

from typing import NamedTuple


class Allowance(NamedTuple):
    """Rate limit of one gateway, over all its addresses."""

    gateway: str
    """The gateway's name; of several at one address, all names."""
    rate: int
    """Requests a second."""


class Bucket:
    """Tokens left of one limit. ``rate`` is in tokens a second, 0 = no limit; time is in seconds."""

    __slots__ = ("_at", "_left")

    def __init__(self, burst: float, now: float) -> None:
        """Start with a full bucket."""
        self._left = burst
        self._at = now

    def take(self, cost: float, rate: float, burst: float, now: float) -> bool:
        """Take ``cost`` tokens and return True; take none and return False if there are too few."""
        if not rate:
            return True
        left = self._left
        if now > self._at:
            left += (now - self._at) * rate
            self._at = now
        left = min(left, burst)
        if left < cost:
            self._left = left
            return False
        self._left = left - cost
        return True
