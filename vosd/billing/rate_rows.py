"""A rate table whose rows are objects in memory: what a configuration file or a rate file holds."""

from collections.abc import Iterable, Iterator

from vosd.base.prefixes import ANY
from vosd.billing.rates import Rate


class RateRows:
    """Rates by prefix, one each, in force at any time (implements ``billing.ports.RateTable``)."""

    __slots__ = ("_cuts", "_rates", "version")

    def __init__(self, rates: Iterable[Rate], version: str) -> None:
        self._rates = {"" if rate.prefix == ANY else rate.prefix: rate for rate in rates}
        self._cuts = tuple(map(slice, sorted({len(prefix) for prefix in self._rates}, reverse=True)))
        """One for each length of a prefix, the longest first; made once, to save time in each look-up."""
        self.version = version

    @property
    def size(self) -> int:
        """The number of rates."""
        return len(self._rates)

    def find(self, number: str, wall_ms: int) -> Rate | None:  # noqa: ARG002 - these rates hold at any time
        """Return the rate of the longest prefix that fits ``number``, or None."""
        # The look-up of base.prefixes, written out: every call finds a rate for each of its sides.
        rates = self._rates
        for cut in self._cuts:
            rate = rates.get(number[cut])
            if rate is not None:  # a number shorter than the cut stays whole: what it finds fits all the same
                return rate
        return None

    def has(self, prefix: str) -> bool:
        """Return whether a rate of exactly this prefix exists."""
        return ("" if prefix == ANY else prefix) in self._rates

    def prefixes(self, first: str = "", /) -> Iterator[str]:
        """Yield every prefix in order, from ``first`` on."""
        return iter(sorted(rate.prefix for rate in self._rates.values() if rate.prefix >= first))
