"""Connection limits: total, per source, for unknown sources."""

from collections import Counter, OrderedDict
from collections.abc import Callable
from enum import Enum
from typing import Final

from vosd.base.bucket import Bucket
from vosd.base.host import source_of
from vosd.net.settings import ConnectionLimits

RATED_SOURCES_MAX: Final = 4_096
"""Unknown sources whose rate of new connections is counted; the oldest entry is forgotten first."""
BURST_S: Final = 2
"""Burst size: connections of so many seconds may come at once."""
OWN_SHARE: Final = 10
"""One of so many connections is left to the switch, which must reach its vendors."""

_End = Callable[[], bool]


class ConnectionOrigin(Enum):
    """The side that opened a connection."""

    GATEWAY = "gateway"
    """A peer at the address of a gateway, or of a registered user."""
    UNKNOWN = "unknown"
    """A peer at any other address: a scanner, a phone before it registers, the far end of a dialog that has moved."""
    SWITCH = "switch"
    """This switch."""


class ConnectionSlots:
    """Slots for the connections of all listeners, with one set of limits."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self._taken: Counter[ConnectionOrigin] = Counter()
        self._by_source: Counter[str] = Counter()
        """Accepted connections by address (IPv6: /64)."""
        self._unknown_by_source: Counter[str] = Counter()
        """Accepted connections from unknown sources by address (IPv6: /64)."""
        self._unproven: dict[str, OrderedDict[object, _End]] = {}
        """Connections that are ended if their slot is needed, by source, those without a message for longest first."""
        self._unknown = Bucket(limits.unknown_rate * BURST_S, 0.0)
        self._new_by_source: OrderedDict[str, Bucket] = OrderedDict()
        """Rate limit of new connections for each unknown source."""

    def __len__(self) -> int:
        return self._taken.total()

    def take(self, origin: ConnectionOrigin, host: str, now: float) -> str | None:
        """Take a slot for one connection; return the name of the limit that is reached, or None.

        For an unknown source that needs it another connection of an unknown source is ended. ``now`` is in seconds of a
        monotonic clock.
        """
        limits, most = self.limits, self.limits.most
        accepted = len(self) - self._taken[ConnectionOrigin.SWITCH]
        if len(self) >= most or (origin is not ConnectionOrigin.SWITCH and accepted >= most - most // OWN_SHARE):
            return "max"
        if origin is not ConnectionOrigin.SWITCH and self._by_source[source_of(host)] >= limits.most_per_source:
            return "max_per_source"
        if origin is ConnectionOrigin.UNKNOWN:
            full = self._full_for_unknown(host, now)
            if full is not None:
                return full
        self._count(origin, host, 1)
        return None

    def recognise(self, host: str) -> None:
        """Count a connection of an unknown source as one of a known source from now on."""
        self._count(ConnectionOrigin.UNKNOWN, host, -1)
        self._count(ConnectionOrigin.GATEWAY, host, 1)

    def give_back(self, origin: ConnectionOrigin, host: str) -> None:
        """Release a slot."""
        self._count(origin, host, -1)

    def offer(self, connection: object, host: str, end: _End) -> None:
        """Have a connection of an unknown source ended by ``end`` if its slot is needed for another source.

        ``end`` returns False, and ends nothing, where the peer is known by now or has a call.
        """
        self._unproven.setdefault(source_of(host), OrderedDict())[connection] = end

    def used(self, connection: object, host: str) -> None:
        """Note a message of a connection: others of its source are ended before it."""
        offered = self._unproven.get(source_of(host))
        if offered is not None and connection in offered:
            offered.move_to_end(connection)

    def keep(self, connection: object, host: str) -> None:
        """End a connection for no other source any more: it is closed, or its peer is known."""
        self._withdraw(connection, source_of(host))

    def _withdraw(self, connection: object, source: str) -> None:
        offered = self._unproven.get(source)
        if offered is not None:
            offered.pop(connection, None)
            if not offered:
                del self._unproven[source]

    def _count(self, origin: ConnectionOrigin, host: str, change: int) -> None:
        self._taken[origin] += change
        if origin is not ConnectionOrigin.SWITCH:
            _add(self._by_source, source_of(host), change)
        if origin is ConnectionOrigin.UNKNOWN:
            _add(self._unknown_by_source, source_of(host), change)

    def _full_for_unknown(self, host: str, now: float) -> str | None:
        """Return the name of the limit that a connection of an unknown source would exceed."""
        limits = self.limits
        if self._unknown_by_source[source_of(host)] >= limits.most_unknown_per_source:
            return "max_unknown_per_source"
        exceeded = self._rate_exceeded(host, now)
        if exceeded is None and self._taken[ConnectionOrigin.UNKNOWN] >= limits.most_unknown and not self._make_room():
            return "max_unknown"
        return exceeded

    def _make_room(self) -> bool:
        """End a connection of the source that offers most of them; return False if none can be ended.

        So a source with many does not keep out one with few. The slot is given back later in the same turn or the next.
        """
        most = self.limits.most_unknown
        if not most:
            return False
        for source in sorted(self._unproven, key=lambda source: len(self._unproven[source]), reverse=True):
            for connection, end in [*self._unproven[source].items()]:
                if end():
                    self._withdraw(connection, source)
                    return True
                if self._taken[ConnectionOrigin.UNKNOWN] < most:  # that one is counted as known from now on
                    return True
        return False

    def _rate_exceeded(self, host: str, now: float) -> str | None:
        """Return the name of the rate limit that a new connection exceeds: each costs a task, over TLS a handshake."""
        rate, overall = self.limits.unknown_rate_per_source, self.limits.unknown_rate
        key = source_of(host)
        bucket = self._new_by_source.get(key)
        if bucket is None:
            if len(self._new_by_source) >= RATED_SOURCES_MAX:
                self._new_by_source.popitem(last=False)
            bucket = self._new_by_source[key] = Bucket(rate * BURST_S, now)
        if not bucket.take(1, rate, rate * BURST_S, now):
            return "unknown_rate_per_source"
        return None if self._unknown.take(1, overall, overall * BURST_S, now) else "unknown_rate"


def _add(counts: Counter[str], key: str, change: int) -> None:
    """Change a count; remove it at zero."""
    counts[key] += change
    if not counts[key]:
        del counts[key]
