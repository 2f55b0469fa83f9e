"""Choose the address of a registrar for the next REGISTER (RFC 3263 section 4.3).

The order of equal addresses is drawn anew each time they are asked for, so a place in it says nothing about the
address that stood there before. Knows neither REGISTERs nor timers.
"""

from collections.abc import Callable, Sequence

from vosd.sip.flows import Hop

AddressesOf = Callable[[], Sequence[Hop]]
"""Return the addresses of the registrar now, best first; empty if its name cannot be resolved."""


class RegistrarAddress:
    """The address that answers, as long as it does; after failures each other one before any is asked again."""

    __slots__ = ("_asked", "_failed", "_where", "latest")

    def __init__(self, where: AddressesOf) -> None:
        self._where = where
        self._asked: Hop | None = None
        """The address chosen last; None = the name had none."""
        self.latest: Hop | None = None
        """The address that answered last."""
        self._failed: list[Hop] = []
        """Addresses that failed since the last success, the latest last."""

    def choose(self) -> Hop | None:
        """Return the address for the next REGISTER; None if the name has none now."""
        hops = self._where()
        if hops:
            self._failed = [hop for hop in self._failed if hop in hops]
        self._asked = min(hops, key=self._rank, default=None)
        return self._asked

    def answered(self) -> None:
        """Note a final response: what follows from it is sent to the same address."""
        self.latest = self._asked

    def succeeded(self) -> None:
        """Note that the attempt has succeeded."""
        self._failed.clear()

    def failed(self) -> None:
        """Note that the attempt has failed."""
        if self._asked is not None:
            self._failed = [*(hop for hop in self._failed if hop != self._asked), self._asked]

    def _rank(self, hop: Hop) -> tuple[int, bool]:
        """Sort addresses without failure first, then by how long ago they failed; equal ones keep their order."""
        return self._failed.index(hop) if hop in self._failed else -1, hop != self.latest
