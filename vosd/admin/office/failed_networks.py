"""Networks with a failed log-in lately; bounded.

The owner of a network has a new source for each guess: 65,536 of them in an IPv6 /48. One failure marks all of them.
"""

from collections import OrderedDict
from typing import Final

NETWORKS_MAX: Final = 16_384
"""Most networks; the one whose last failure is the oldest is forgotten first."""


class FailedNetworks:
    """Networks by the end of the time for which their last failure counts."""

    def __init__(self, counts_ms: int) -> None:
        self._counts_ms = counts_ms
        self._until: OrderedDict[str, int] = OrderedDict()

    def failed(self, network: str, now: int) -> None:
        """Note a failure."""
        self._until[network] = now + self._counts_ms
        self._until.move_to_end(network)
        if len(self._until) > NETWORKS_MAX:
            self._until.popitem(last=False)

    def has_failed(self, network: str, now: int) -> bool:
        """Return whether a failure of a network counts."""
        return self._until.get(network, 0) > now
