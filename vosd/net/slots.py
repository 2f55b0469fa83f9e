"""Connection limits: total, per source, for unknown sources, for TLS handshakes, and for our own to other places."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Final, Protocol, TypeVar

from vosd.base.bucket import Bucket
from vosd.base.host import owner_network_of, source_of
from vosd.net.settings import ConnectionLimits

RATED_SOURCES_MAX: Final = 4_096
"""Sources of a kind whose rate of new connections is counted; the oldest entry is forgotten first."""
BURST_S: Final = 2
"""Burst size: connections of so many seconds may come at once."""
OWN_SHARE: Final = 10
"""One of so many connections is left to the switch, which must reach its vendors, and another one to its peers."""
ELSEWHERE_SHARE: Final = 20
"""One of so many connections may be one of ours to a place that no gateway has: the rest of our share is for gateways.
"""

NETWORK_SHARE: Final = 2
"""A network that may have one owner opens at most one of so many connections of unknown sources, unless one address may
open more: its owner has a new address for each, and would keep the telephones of everyone else out.
"""

_End = Callable[[], bool]
_GiveUp = Callable[[], None]
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class ConnectionOrigin(Enum):
    """The side that opened a connection."""

    GATEWAY = "gateway"
    """A peer at the address of a gateway, or of a registered user."""
    UNKNOWN = "unknown"
    """A peer at any other address: a scanner, a phone before it registers, the far end of a dialog that has moved."""
    SWITCH = "switch"
    """This switch, to the place of a routing gateway."""
    ELSEWHERE = "elsewhere"
    """This switch, to any other place: peers name it in Contact and Route, and can name every port of every host."""

    @property
    def is_ours(self) -> bool:
        """Whether this switch has opened the connection."""
        return self is ConnectionOrigin.SWITCH or self is ConnectionOrigin.ELSEWHERE


class OwnConnection(Protocol):
    """A connection of ours that may be closed if its slot is needed."""

    @property
    def is_unused(self) -> bool:
        """Return whether nothing waits for an answer on it."""

    def close(self) -> None:
        """Close it after everything is written."""


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
        self._elsewhere: OrderedDict[OwnConnection, str] = OrderedDict()
        """Open connections of ours to places that no gateway has, those without a message for longest first, with the
        address of each (IPv6: /64).
        """
        self._elsewhere_at: dict[str, OrderedDict[OwnConnection, None]] = {}
        """Open ones by address, in the order of messages as well."""
        self._attempts_at: dict[str, OrderedDict[OwnConnection, _GiveUp]] = {}
        """Connections that are being opened to such places, by address, the oldest first."""
        self._elsewhere_by_source: Counter[str] = Counter()
        """Number of both, and of those that are being closed."""
        self._unknown = _Rates(limits.unknown_rate, shares=NETWORK_SHARE)
        self._handshakes = _Rates(limits.tls_rate)
        """Rates of new connections of known sources over TLS, whose handshake costs a millisecond."""

    def __len__(self) -> int:
        return self._taken.total()

    def take(
        self, origin: ConnectionOrigin, host: str, now: float, *, is_tls: bool = False, is_trunk: bool = False
    ) -> str | None:
        """Take a slot for one connection; return the name of the limit that is reached, or None.

        For an unknown source that needs it another connection of an unknown source is ended, for one of ours to a place
        that no gateway has another one of these. ``now`` is in seconds of a monotonic clock. ``is_tls``: an accepted
        one begins with a handshake; ``is_trunk``: it is one of a gateway, which has many calls on a single connection.
        """
        limits, most = self.limits, self.limits.most
        ours = self._taken[ConnectionOrigin.SWITCH] + self._taken[ConnectionOrigin.ELSEWHERE]
        if len(self) >= most or (ours if origin.is_ours else len(self) - ours) >= most - most // OWN_SHARE:
            return "max"
        if not origin.is_ours and self._by_source[source_of(host)] >= limits.most_per_source:
            return "max_per_source"
        full = None
        if origin is ConnectionOrigin.UNKNOWN:
            full = self._full_for_unknown(host, now)
        elif origin is ConnectionOrigin.ELSEWHERE:
            full = self._full_elsewhere(source_of(host))
        elif origin is ConnectionOrigin.GATEWAY and is_tls:
            rates = limits.tls_rate_per_source, 0 if is_trunk else limits.tls_rate
            full = self._handshakes.exceeded("tls_rate", source_of(host), rates, now)
        if full is None:
            self._count(origin, host, 1)
        return full

    def recognise(self, host: str) -> None:
        """Count a connection of an unknown source as one of a known source from now on."""
        self._count(ConnectionOrigin.UNKNOWN, host, -1)
        self._count(ConnectionOrigin.GATEWAY, host, 1)

    def give_back(self, origin: ConnectionOrigin, host: str) -> None:
        """Release a slot."""
        self._count(origin, host, -1)

    def opening(self, connection: OwnConnection, host: str, give_up: _GiveUp) -> None:
        """Have the opening of a connection to a place that no gateway has given up where its slot is needed."""
        self._attempts_at.setdefault(source_of(host), OrderedDict())[connection] = give_up

    def opened(self, connection: OwnConnection, host: str) -> None:
        """Have an open connection of ours to such a place closed where its slot is needed, no longer given up."""
        source = source_of(host)
        self._forget(connection, source)
        self._elsewhere[connection] = source
        self._elsewhere_at.setdefault(source, OrderedDict())[connection] = None

    def carried(self, connection: OwnConnection) -> None:
        """Note a message on an open connection of ours to such a place: others are closed before it."""
        source = self._elsewhere.get(connection)
        if source is not None:
            self._elsewhere.move_to_end(connection)
            self._elsewhere_at[source].move_to_end(connection)

    def closed(self, connection: OwnConnection, host: str) -> None:
        """Note the end of such a connection, or that it was not opened; its slot is given back beside."""
        self._forget(connection, source_of(host))

    def _forget(self, connection: OwnConnection, source: str) -> None:
        self._elsewhere.pop(connection, None)
        _remove(self._elsewhere_at, source, connection)
        _remove(self._attempts_at, source, connection)

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
        _remove(self._unproven, source, connection)

    def _count(self, origin: ConnectionOrigin, host: str, change: int) -> None:
        self._taken[origin] += change
        if not origin.is_ours:
            _add(self._by_source, source_of(host), change)
        if origin is ConnectionOrigin.ELSEWHERE:
            _add(self._elsewhere_by_source, source_of(host), change)
        if origin is ConnectionOrigin.UNKNOWN:
            _add(self._unknown_by_source, source_of(host), change)

    def _full_elsewhere(self, source: str) -> str | None:
        """Return the name of the limit that a connection of ours to a place that no gateway has would exceed.

        Over the limit of an address one of its connections that is not used is closed, else the oldest attempt to open
        one is given up: a firewall that drops packets keeps an attempt waiting for seconds, and a port that can be
        reached answers at once. Over the limit of all addresses an unused one of any address is closed, else an attempt
        is given up, or one in use closed, of the address with most of them, if the new one is to an address with fewer.
        """
        if self._elsewhere_by_source[source] >= self.limits.most_own_per_source:
            is_free = self._close_unused(self._elsewhere_at.get(source, ())) or self._give_up_attempt(source)
            return None if is_free else "max_own_per_source"
        if self._taken[ConnectionOrigin.ELSEWHERE] < max(1, self.limits.most // ELSEWHERE_SHARE):
            return None
        if self._close_unused(self._elsewhere):
            return None
        most = max(self._elsewhere_by_source, key=self._number_at, default=source)
        if self._number_at(most) <= self._number_at(source) + 1:
            return None if self._give_up_attempt(source) else "max"
        return None if self._give_up_attempt(most) or self._close_silent(self._elsewhere_at.get(most, ())) else "max"

    def _number_at(self, source: str) -> int:
        """Return the number of connections of ours to an address, without those that are being closed."""
        return len(self._elsewhere_at.get(source, ())) + len(self._attempts_at.get(source, ()))

    def _close_unused(self, opened: Iterable[OwnConnection]) -> bool:
        """Close the first connection, that without a message for longest; return False if it is used."""
        silent = next(iter(opened), None)
        return silent is not None and silent.is_unused and self._close_silent(opened)

    def _close_silent(self, opened: Iterable[OwnConnection]) -> bool:
        """Close the first connection, that without a message for longest; return False if there is none.

        The slot is given back later in the same turn or the next.
        """
        silent = next(iter(opened), None)
        if silent is None:
            return False
        self._forget(silent, self._elsewhere[silent])
        silent.close()
        return True

    def _give_up_attempt(self, source: str) -> bool:
        """Give up the oldest attempt to connect to an address; return False if there is none.

        The slot is given back in one of the next turns.
        """
        attempts = self._attempts_at.get(source)
        if attempts is None:
            return False
        connection, give_up = next(iter(attempts.items()))
        self._forget(connection, source)
        give_up()
        return True

    def _full_for_unknown(self, host: str, now: float) -> str | None:
        """Return the name of the limit that a connection of an unknown source would exceed."""
        limits = self.limits
        if self._unknown_by_source[source_of(host)] >= limits.most_unknown_per_source:
            return "max_unknown_per_source"
        rates = limits.unknown_rate_per_source, limits.unknown_rate
        exceeded = self._unknown.exceeded("unknown_rate", source_of(host), rates, now, owner_network_of(host))
        if exceeded is None and self._taken[ConnectionOrigin.UNKNOWN] >= limits.most_unknown and not self._make_room():
            return "max_unknown"
        return exceeded

    def _make_room(self) -> bool:
        """End a connection of the network that offers most of them, and there of the source with most.

        So one with many does not keep out one with few. Return False if none can be ended. The slot is given back later
        in the same turn or the next.
        """
        most = self.limits.most_unknown
        if not most:
            return False
        networks = {source: owner_network_of(source.partition("/")[0]) for source in self._unproven}
        offered = Counter[str]()
        for source, connections in self._unproven.items():
            offered[networks[source]] += len(connections)
        for source in sorted(
            networks, key=lambda source: (offered[networks[source]], len(self._unproven[source])), reverse=True
        ):
            for connection, end in [*self._unproven[source].items()]:
                if end():
                    self._withdraw(connection, source)
                    return True
                if self._taken[ConnectionOrigin.UNKNOWN] < most:  # that one is counted as known from now on
                    return True
        return False


class _Rates:
    """Rates of new connections of one kind: of each source, of each network, and of all together."""

    def __init__(self, rate: int, shares: int = 1) -> None:
        """One network may use one of so many ``shares`` of the rate of all together."""
        self._shares = shares
        self._all = Bucket(rate * BURST_S, 0.0)
        self._by_source: OrderedDict[str, Bucket] = OrderedDict()
        self._by_network: OrderedDict[str, Bucket] = OrderedDict()

    def exceeded(
        self, name: str, source: str, rates: tuple[int, int], now: float, network: str | None = None
    ) -> str | None:
        """Return the limit that a new connection exceeds: of its source, or of all together, which has this name.

        Beyond the share of its ``network`` it exceeds the limit of all together.
        """
        rate, overall = rates
        if not _takes(self._by_source, source, rate, now):
            return f"{name}_per_source"
        if network is not None and rate and overall:
            share = max(rate, overall // self._shares)
            if not _takes(self._by_network, network, share, now):
                return name
        return None if self._all.take(1, overall, overall * BURST_S, now) else name


def _takes(buckets: OrderedDict[str, Bucket], key: str, rate: int, now: float) -> bool:
    """Take one connection from the bucket with a key; return whether it is within the rate."""
    bucket = buckets.get(key)
    if bucket is None:
        if len(buckets) >= RATED_SOURCES_MAX:
            buckets.popitem(last=False)
        bucket = buckets[key] = Bucket(rate * BURST_S, now)
    return bucket.take(1, rate, rate * BURST_S, now)


def _remove(by_source: dict[str, OrderedDict[_Key, _Value]], source: str, connection: _Key) -> None:
    there = by_source.get(source)
    if there is not None:
        there.pop(connection, None)
        if not there:
            del by_source[source]


def _add(counts: Counter[str], key: str, change: int) -> None:
    """Change a count; remove it at zero."""
    counts[key] += change
    if not counts[key]:
        del counts[key]
