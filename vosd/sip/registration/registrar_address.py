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

    __slots__ = ("_asked", "_failed", "_tried", "_where", "latest")

    def __init__(self, where: AddressesOf) -> None:
        self._where = where
        self._asked: Hop | None = None
        """The address chosen last; None = the name had none."""
        self.latest: Hop | None = None
        """The address that answered last."""
        self._failed: list[Hop] = []
        """Addresses that failed since the last success, the latest last."""
        self._tried = 0
        """Number of addresses that failed in this attempt."""

    def begin(self) -> None:
        """Begin an attempt, in which each address may be asked once."""
        self._tried = 0

    def choose(self) -> Hop | None:
        """Return the address for the next REGISTER; None if the name has none now."""
        return self._choose(self._where())

    def choose_another(self) -> Hop | None:
        """Return an address that has not failed in this attempt; None if all have."""
        hops = self._where()
        return self._choose(hops) if self._tried < len(hops) else None

    def _choose(self, hops: Sequence[Hop]) -> Hop | None:
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
        """Note that the address has failed."""
        self._tried += 1
        if self._asked is not None:
            self._failed = [*(hop for hop in self._failed if hop != self._asked), self._asked]

    def _rank(self, hop: Hop) -> tuple[int, bool]:
        """Sort addresses without failure first, then by how long ago they failed; equal ones keep their order."""
        return self._failed.index(hop) if hop in self._failed else -1, hop != self.latest
