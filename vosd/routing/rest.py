"""Which routing gateways asked to be left alone, and until when (SIP-07).

A vendor's 503 with Retry-After speaks of the vendor: it takes no call at all for so long. The same header in a 480 or
486 speaks of the person called, and says nothing about the next call to somebody else.
"""

from collections.abc import Container
from typing import Final

REST_MAX_S: Final = 300
"""No vendor is left alone for longer, whatever it asks for."""


class Rests:
    """The gateways at rest, by name: they outlive a reload."""

    __slots__ = ("_until", "asked")

    def __init__(self) -> None:
        self._until: dict[str, int] = {}
        self.asked: dict[str, int] = {}
        """Until when each is left alone that has asked since a call last succeeded there; mostly empty."""

    def __len__(self) -> int:
        """Return how many have asked, those whose time is over included."""
        return len(self._until)

    def begin(self, gateway: str, seconds: int, mono_ms: int) -> bool:
        """Leave a gateway alone for so many seconds from ``mono_ms`` on; a later word of the vendor's replaces it.

        Return whether it had not asked since a call last succeeded there.
        """
        is_news = gateway not in self.asked
        self._until[gateway] = self.asked[gateway] = mono_ms + 1_000 * min(seconds, REST_MAX_S)
        return is_news

    def succeeded(self, gateway: str, began_ms: int) -> bool:
        """Note that a call succeeded that began at ``began_ms``; return whether that is the first since a rest."""
        until = self.asked.get(gateway)
        if until is None or began_ms < until:  # what began before says nothing new
            return False
        del self.asked[gateway]
        return True

    def keep(self, gateways: Container[str]) -> None:
        """Forget all other gateways."""
        for known in (self._until, self.asked):
            for name in [name for name in known if name not in gateways]:
                del known[name]

    def remaining_ms(self, gateway: str, mono_ms: int) -> int:
        """Return for how much longer a gateway is left alone; 0 = it is not."""
        until = self._until.get(gateway)
        if until is None:
            return 0
        if until <= mono_ms:
            del self._until[gateway]
            return 0
        return until - mono_ms
