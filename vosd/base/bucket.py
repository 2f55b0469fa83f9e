"""A token bucket: so many a second on average, so many at once."""

from typing import NamedTuple


class Allowance(NamedTuple):
    """What one gateway may ask of us, whichever of its addresses it sends from."""

    gateway: str
    """Its name; of several that share an address all of them."""
    rate: int
    """Requests a second."""


class Bucket:
    """What is left of one allowance. ``rate`` is in tokens a second, 0 = no limit; time is in seconds."""

    __slots__ = ("_at", "_left")

    def __init__(self, burst: float, now: float) -> None:
        """Begin full."""
        self._left = burst
        self._at = now

    def take(self, cost: float, rate: float, burst: float, now: float) -> bool:
        """Take ``cost`` tokens if they are there; nothing is taken where they are not."""
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
