"""Choose the address of a registrar for the next REGISTER (RFC 3263 section 4.3).

The order of equal addresses is drawn anew each time they are asked for, so a place in it says nothing about the
address that stood there before. A Retry-After holds for the address that has sent it (RFC 3261 section 21.5.4). Knows
neither REGISTERs nor timers.
"""

from collections.abc import Callable, Sequence

from vosd.base.clock import Instant
from vosd.sip.flows import Hop

AddressesOf = Callable[[], Sequence[Hop]]
"""Return the addresses of the registrar now, best first; empty if its name cannot be resolved."""


class RegistrarAddress:
    """The address that answers, as long as it does; after failures each other one before any is asked again."""

    __slots__ = ("_asked", "_failed", "_rests_until", "_tried", "_where", "latest")

    def __init__(self, where: AddressesOf) -> None:
        self._where = where
        self._asked: Hop | None = None
        """The address chosen last; None = the name had none."""
        self.latest: Hop | None = None
        """The address that answered last."""
        self._failed: list[Hop] = []
        """Addresses that failed since the last success, the latest last."""
        self._rests_until: dict[Hop, Instant] = {}
        """Ends of the time for which addresses want to be left alone."""
        self._tried: list[Hop | None] = []
        """Addresses that failed in this attempt."""

    def begin(self) -> None:
        """Begin an attempt, in which each address may be asked once."""
        self._tried.clear()

    def choose(self, now: Instant | None = None) -> Hop | None:
        """Return the address for the next REGISTER; None if the name has none now.

        One that rests at ``now`` is asked only where all do: there is a reason to ask sooner, or none was left.
        """
        hops = self._known()
        self._asked = min(self._awake(hops, now) or hops, key=self._rank, default=None)
        return self._asked

    def choose_another(self, now: Instant) -> Hop | None:
        """Return an address that has not failed in this attempt and does not rest; None if there is none."""
        hops = self._known()
        if len(self._tried) >= len(hops):  # a name may have other addresses each time
            return None
        left = [hop for hop in self._awake(hops, now) if hop not in self._tried]
        if not left:
            return None
        self._asked = min(left, key=self._rank)
        return self._asked

    def rests_for_ms(self, now: Instant) -> int | None:
        """Return the time until the first address may be asked again, where all of them rest; else None."""
        hops = self._where()
        if not hops or self._awake(hops, now):
            return None
        return min(self._rests_until[hop].mono for hop in hops) - now.mono

    def _known(self) -> Sequence[Hop]:
        """Return the addresses, and forget what is known of others."""
        hops = self._where()
        if hops:
            self._failed = [hop for hop in self._failed if hop in hops]
            self._rests_until = {hop: until for hop, until in self._rests_until.items() if hop in hops}
        return hops

    def _awake(self, hops: Sequence[Hop], now: Instant | None) -> Sequence[Hop]:
        if now is None or not self._rests_until:
            return hops
        return [hop for hop in hops if (until := self._rests_until.get(hop)) is None or until.mono <= now.mono]

    def answered(self) -> None:
        """Note a final response: what follows from it is sent to the same address."""
        self.latest = self._asked

    def succeeded(self) -> None:
        """Note that the attempt has succeeded."""
        self._failed.clear()

    def failed(self, rests_until: Instant | None = None) -> None:
        """Note that the address has failed, and until when it wants to be left alone, if it says so."""
        self._tried.append(self._asked)
        if self._asked is not None:
            self._rests_until.pop(self._asked, None)
            if rests_until is not None:
                self._rests_until[self._asked] = rests_until
            self._failed = [*(hop for hop in self._failed if hop != self._asked), self._asked]

    def _rank(self, hop: Hop) -> tuple[int, bool]:
        """Sort addresses without failure first, then by how long ago they failed; equal ones keep their order."""
        return self._failed.index(hop) if hop in self._failed else -1, hop != self.latest
