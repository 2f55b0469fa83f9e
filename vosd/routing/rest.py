"""Retry-After pauses of routing gateways: which gateways asked for one, and until when (RFC 3261 section 21.5.4).

A 503 with Retry-After concerns the vendor, which then gets no call at all. The same header in a 480 or 486 concerns the
called user only, so it starts no pause.
"""

from collections.abc import Container
from typing import Final

REST_MAX_S: Final = 300
"""The longest pause, whatever the vendor asks for."""


class Rests:
    """The pauses, by name of the gateway; they outlive a reload."""

    def __init__(self) -> None:
        self.until: dict[str, int] = {}
        """The pauses, those that are over included: mostly none, so that callers can skip the look-up."""
        self.asked: dict[str, int] = {}
        """Until when each gateway pauses that has asked since a call last succeeded there; mostly empty."""

    def begin(self, gateway: str, seconds: int, mono_ms: int) -> bool:
        """Begin a pause of so many seconds at ``mono_ms``; a later one replaces it.

        Return whether it is the first since a call last succeeded there.
        """
        is_first = gateway not in self.asked
        self.until[gateway] = self.asked[gateway] = mono_ms + 1_000 * min(seconds, REST_MAX_S)
        return is_first

    def succeeded(self, gateway: str, began_ms: int) -> bool:
        """Note the success of a call that began at ``began_ms``; return whether it is the first since a pause."""
        until = self.asked.get(gateway)
        if until is None or began_ms < until:  # it began before the vendor asked for the pause
            return False
        del self.asked[gateway]
        return True

    def keep(self, gateways: Container[str]) -> None:
        """Forget all other gateways."""
        for known in (self.until, self.asked):
            for name in [name for name in known if name not in gateways]:
                del known[name]

    def remaining_ms(self, gateway: str, mono_ms: int) -> int:
        """Return the remaining milliseconds of a gateway's pause; 0 = none."""
        until = self.until.get(gateway)
        if until is None:
            return 0
        if until <= mono_ms:
            del self.until[gateway]
            return 0
        return until - mono_ms
