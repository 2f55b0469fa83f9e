"""Which routing gateways asked to be left alone, and until when (SIP-07).

A vendor's 503 with Retry-After speaks of the vendor: it takes no call at all for so long. The same header in a 480 or
486 speaks of the person called, and says nothing about the next call to somebody else.
"""

from typing import Final

REST_MAX_S: Final = 300
"""No vendor is left alone for longer, whatever it asks for."""


class Rests:
    """The gateways at rest, by name: they outlive a reload."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until: dict[str, int] = {}

    def __len__(self) -> int:
        """Return how many have asked, those whose time is over included."""
        return len(self._until)

    def begin(self, gateway: str, seconds: int, mono_ms: int) -> None:
        """Leave a gateway alone for so many seconds from ``mono_ms`` on; a later word of the vendor's replaces it."""
        self._until[gateway] = mono_ms + 1_000 * min(seconds, REST_MAX_S)

    def remaining_ms(self, gateway: str, mono_ms: int) -> int:
        """Return for how much longer a gateway is left alone; 0 = it is not."""
        until = self._until.get(gateway)
        if until is None:
            return 0
        if until <= mono_ms:
            del self._until[gateway]
            return 0
        return until - mono_ms
