"""Addresses of gateways with domain names, and of names in dialogs (RFC 3263).

A call never waits for a name server: it uses the cache. Names of gateways are looked up at start, on reload and before
the cached answer expires; while the name servers do not answer, the last answer is used. Names sent by peers (Contact,
Route) are looked up when they occur, a few at a time, so that peers cannot make the switch send many queries.
"""

import asyncio
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from math import inf
from random import randrange
from typing import Final, TypeAlias

from vosd.base.bucket import Allowance
from vosd.base.clock import Clock
from vosd.base.host import domain, is_address
from vosd.catalogue.catalogue import Catalogue
from vosd.engine.counting import Counting
from vosd.engine.peers.lookup import Answers, CachedName, NameLookups, Resolver
from vosd.engine.settings import DnsSettings, SipListener
from vosd.obs.events import GONE, Event, log as _log
from vosd.sip.flows import Hop
from vosd.sip.locate import Draw, RecordType, UsableTransports, in_order
from vosd.sip.wire.outgoing import Peer
from vosd.sip.wire.uri import ADDRESSABLE
from vosd.trunks.gateways import Address, HostName, MappingGateway, RoutingGateway, is_reached_from

LOOK_S: Final = 1.0
"""Interval of the search for names whose lookup is due."""
FIRST_LOOKUP_S: Final = 3.0
"""Time that a start or a reload waits for new names, so that the first call finds them."""
DIALOG_NAMES_MAX: Final = 1_000
"""Most names of dialogs cached; the least recently used one is dropped first."""
DIALOG_LOOKUPS_MAX: Final = 16
"""Most names of dialogs looked up at the same time."""
DIALOG_LOOKUPS_PER_S: Final = 10
EARLIER_NAMES_MAX: Final = 100
"""Most names of dialogs of an earlier run that a start looks up before it goes on with these."""
EARLIER_LOOKUP_S: Final = 1.0
"""Time that a start waits for them: peers repeat what they send meanwhile."""

SOURCES_MAX: Final = 64
"""Most addresses of one name from which a customer's calls may come."""

SHARE: Final = 2
"""A connection may take this fraction of ``response_timeout``; the rest is left for UDP."""

Limits = dict[str, int | None]
"""Limit of each gateway by name; None = no limit."""

NamedGateway: TypeAlias = RoutingGateway | MappingGateway


def means_of(listen: Sequence[SipListener]) -> UsableTransports:
    """Return the transports and families of these sockets; of each transport the family of the first is preferred."""
    families: dict[str, dict[RecordType, None]] = {transport: {} for transport in ADDRESSABLE}
    for each in listen:
        if each.transport in families:
            families[each.transport][RecordType.AAAA if ":" in each.host else RecordType.A] = None
    return UsableTransports({transport: tuple(found) for transport, found in families.items() if found})


def heaviest(choices: int) -> int:
    """Draw that selects the heaviest server, for the requests of a dialog."""
    return choices - 1


class NameDirectory(Counting):
    """The names of gateways, and the names that occurred in dialogs."""

    def __init__(
        self, resolver: Resolver, clock: Clock, means: UsableTransports, settings: DnsSettings, draw: Draw = randrange
    ) -> None:
        self._clock = clock
        self._draw = draw
        self._watched: dict[Hop, CachedName] = {}
        self._watching = NameLookups(resolver, clock, means, settings, self._learned, are_needed=True)
        self._looked_up: dict[Hop, CachedName] = {}
        """Names of gateways that are to be called."""
        self._recalled: dict[Hop, Answers] = {}
        """Answers that the run before had for names which are not looked up yet."""
        self.learned = 0
        """Number of lookups of names of gateways that have found servers."""
        self._vendor_names: frozenset[Hop] = frozenset()
        """Names of routing gateways; the other names are those that customers' calls come from."""
        self.sources_moved: Callable[[], None] = _ignored
        """Called when names of customers have other addresses."""
        self._names_at: dict[str, dict[str, None]] = {}
        """Names of routing gateways by their addresses."""
        self._without_name: frozenset[str] = frozenset()
        """The addresses that gateways are configured with."""
        self._dialog_names: OrderedDict[Hop, CachedName] = OrderedDict()
        self._dialog_lookups = NameLookups(resolver, clock, means, settings, lambda _cached, _before: None)
        self._lookup_second = 0
        self._lookups_in_second = 0

    # -- what calls ask -----------------------------------------------------------------------------------------

    def addresses(self, gateway: RoutingGateway) -> Sequence[Address]:
        """Return the addresses that one call may try at the gateway, in order; empty if none is known."""
        if not gateway.has_names:
            return gateway.addresses
        interface = gateway.dialect.interface
        return tuple(each for each in self.resolved(gateway.addresses) if is_reached_from(interface, each.host))

    def knows(self, gateway: RoutingGateway) -> bool:
        """Return whether an address of the gateway is known, without putting all of them in order."""
        for address in gateway.addresses:
            if is_address(address.host):
                return True
            cached = self._watched.get(Hop(*address[:3]))
            if cached is not None and any(is_reached_from(gateway.dialect.interface, host) for host in cached.hosts):
                return True
        return False

    def locate(self, hop: Hop, seen_at: Peer | None) -> Hop | None:
        """Return the address of a name in a dialog (``sip.flows.Locator``); None if it is not known (yet).

        ``seen_at`` is the peer that uses the name, where it was seen: of a name that leads there, too, it is the server
        that has the dialog. A server is a host and a port (RFC 2782); the port of a connection may be another one.
        """
        name = domain(hop.host)
        if name is None:
            return None
        sought = hop._replace(host=name)
        cached = self._watched.get(sought) or self._dialog_name(sought, "" if seen_at is None else seen_at.host)
        if cached is None or not cached.servers:
            return None
        hops = in_order(cached.servers, heaviest)
        if seen_at is None:
            return hops[0]
        # the answer to the next question may have the same addresses in another order
        there = [each for each in hops if each.host == seen_at.host] or hops[:1]
        return next((each for each in there if each.port == seen_at.port), there[0])

    def hosts(self) -> Set[str]:
        """Return the addresses of all routing gateways with names: they are known sources."""
        return self._names_at.keys()

    def names_at(self, host: str) -> Collection[str]:
        """Return the names of routing gateways that have an address."""
        return self._names_at.get(host, ())

    def sources(self, name: HostName) -> list[str]:
        """Return the addresses of a name that a customer's calls come from, in order, ``SOURCES_MAX`` at most."""
        cached = self._watched.get(Hop(name.name, name.port, None))
        return [] if cached is None else sorted(cached.hosts)[:SOURCES_MAX]

    def names_to(self, host: str) -> Collection[str]:
        """Return the names that resolved to an address: a certificate there must contain one (RFC 5922).

        Any peer can use a name that leads to an address of another. So a name of a dialog counts neither where a
        gateway is configured by address, nor beside the name that a peer seen at the address itself uses.
        """
        names = self.names_at(host)
        if names or host in self._without_name:
            return names
        latest_first = [cached for cached in reversed(self._dialog_names.values()) if host in cached.hosts]
        latest_first.sort(key=lambda cached: host not in cached.seen_at)
        return [cached.sought.host for cached in latest_first[:1]]

    # -- the background -----------------------------------------------------------------------------------------

    def recall(self, answers: Mapping[Hop, Answers]) -> None:
        """Use answers of the run before for names of gateways until there are new ones, or they are too old."""
        self._recalled = {**answers}

    def known(self) -> Mapping[Hop, Answers]:
        """Return the answers about the names of gateways that lead somewhere."""
        return {hop: cached.answers for hop, cached in self._watched.items() if cached.servers}

    async def adopt(self, gateways: Collection[NamedGateway]) -> None:
        """Watch the names of exactly these gateways; look up the new ones, which may take a moment."""
        await self.look_up(gateways)
        self.keep_to(gateways)

    async def look_up(self, gateways: Iterable[NamedGateway]) -> None:
        """Look up the names of these gateways that are not watched, which may take a moment; they are not used yet."""
        now = self._clock.now().mono
        all_cached = {hop: self._watched.get(hop) or self._begun(hop, now) for hop in _named(gateways)}
        first_lookups = [self._watching.begin(cached) for cached in all_cached.values() if not cached.is_known]
        self._looked_up = all_cached
        if first_lookups:
            await asyncio.wait(first_lookups, timeout=FIRST_LOOKUP_S)

    async def look_up_earlier(self, hops: Iterable[Hop]) -> None:
        """Look up the names that dialogs of an earlier run use, the most frequent first, which may take a moment.

        A dialog finds out where its requests go when it is made. Where the name of its Contact is not known by then,
        they go where the peer was seen, as long as the call lasts.
        """
        now = self._clock.now().mono
        names = ((hop, domain(hop.host)) for hop in hops)
        sought = Counter(hop._replace(host=name) for hop, name in names if name is not None)
        unknown = [each for each, _ in sought.most_common(EARLIER_NAMES_MAX) if each not in self._watched]
        lookups = [self._dialog_lookups.begin(self._remember(each, now)) for each in unknown]
        if lookups:
            await asyncio.wait(lookups, timeout=EARLIER_LOOKUP_S)

    def keep_to(self, gateways: Iterable[NamedGateway]) -> None:
        """Watch the names of exactly these gateways; call ``look_up`` first."""
        gateways = tuple(gateways)
        vendors = [each for each in gateways if isinstance(each, RoutingGateway)]
        before, known = self._watched, {**self._watched, **self._looked_up}
        self._watched, self._looked_up = {hop: known[hop] for hop in _named(gateways)}, {}
        self._vendor_names = frozenset(_named(vendors))
        self._report_names(before)
        hosts = {each.host for gateway in vendors for each in gateway.places}
        self._without_name = frozenset(filter(is_address, hosts))
        self._gather_hosts()

    def begin_due(self) -> None:
        """Start the lookup of every name of a gateway that is due."""
        now = self._clock.now().mono
        for cached in self._watched.values():
            if cached.due <= now:
                self._watching.begin(cached)

    async def run(self) -> None:
        """Keep the cache up to date; runs until cancelled."""
        try:
            while True:
                self.begin_due()
                await asyncio.sleep(LOOK_S)
        finally:
            self._watching.cancel()
            self._dialog_lookups.cancel()

    async def settled(self) -> None:
        """Wait until no lookup is open."""
        await self._watching.settled()
        await self._dialog_lookups.settled()

    def resolved(self, configured: Sequence[Address]) -> Sequence[Address]:
        """Return the addresses of a gateway, in order; empty if none is known."""
        found: dict[Address, None] = {}
        for address in configured:
            if is_address(address.host):
                found[address] = None
                continue
            cached = self._watched.get(Hop(*address[:3]))
            for hop in in_order(cached.servers, self._draw) if cached is not None else ():
                found[Address(*hop, name=address.host, written=str(address))] = None
        return tuple(found)

    # -- inside -------------------------------------------------------------------------------------------------

    def _begun(self, hop: Hop, now: int) -> CachedName:
        cached = CachedName(hop, now)
        answers = self._recalled.pop(hop, None)
        if answers is not None:
            self._watching.recall(cached, answers)
        return cached

    def _learned(self, cached: CachedName, problem_before: str) -> None:
        """Store a gateway's new addresses; log if they were lost or found."""
        self.learned += bool(cached.servers and not cached.problem)
        if self._watched.get(cached.sought) is not cached:
            return
        if cached.problem and not problem_before:
            _log_lost(cached)
        elif problem_before and not cached.problem:
            _log.info(Event.GATEWAY_NAME_FOUND, name=cached.sought.host, addresses=sorted(cached.hosts))
        self._gather_hosts()
        self.sources_moved()

    def _report_names(self, before: Mapping[Hop, CachedName]) -> None:
        """Log the names without an answer that are new, and those that are watched no more."""
        for hop, cached in self._watched.items():
            if cached.problem and hop not in before:
                _log_lost(cached)
        lost = {hop.host for hop, cached in self._watched.items() if cached.problem}
        for name in {hop.host for hop, cached in before.items() if cached.problem} - lost:
            _log.info(Event.GATEWAY_NAME_FOUND, name=name, why=GONE)

    def _gather_hosts(self) -> None:
        self._names_at = {}
        for hop in self._vendor_names:
            for host in self._watched[hop].hosts:
                self._names_at.setdefault(host, {})[hop.host] = None

    def _dialog_name(self, sought: Hop, seen_at: str) -> CachedName | None:
        """Return the cached state of a name in a dialog; start a lookup if there is none, or it is old."""
        now = self._clock.now().mono
        cached = self._dialog_names.get(sought)
        if cached is not None:
            self._dialog_names.move_to_end(sought)
            if seen_at not in cached.seen_at and seen_at in cached.hosts:
                cached.seen_at = (cached.seen_at & cached.hosts) | {seen_at}
            if cached.due > now:
                return cached
        if self._may_look_up(now):
            cached = cached or self._remember(sought, now)
            self._dialog_lookups.begin(cached)
        return cached

    def _remember(self, sought: Hop, now: int) -> CachedName:
        if len(self._dialog_names) >= DIALOG_NAMES_MAX:
            self._dialog_names.popitem(last=False)
        cached = self._dialog_names[sought] = CachedName(sought, now)
        return cached

    def _may_look_up(self, now: int) -> bool:
        """Return whether one more name of a dialog may be looked up now, and count it."""
        if self._lookup_second != now // 1000:
            self._lookup_second, self._lookups_in_second = now // 1000, 0
        if len(self._dialog_lookups) >= DIALOG_LOOKUPS_MAX or self._lookups_in_second >= DIALOG_LOOKUPS_PER_S:
            return False
        self._lookups_in_second += 1
        return True


def _ignored() -> None:
    pass


def _log_lost(cached: CachedName) -> None:
    still_used = sorted(cached.hosts)
    _log.warning(Event.GATEWAY_NAME_LOST, name=cached.sought.host, why=cached.problem, still_used=still_used)


def _named(gateways: Iterable[NamedGateway]) -> list[Hop]:
    return [Hop(*each[:3]) for gateway in gateways for each in gateway.places if not is_address(each.host)]


class ConnectTimeouts:
    """Time limits for connecting to vendors, so that an INVITE can still be sent by UDP where TCP is filtered.

    A filtered port does not answer, and an INVITE above 1,300 bytes waits for its connection (RFC 3261 section 18.1.1).
    """

    def __init__(self, vendors_at: Callable[[str], Collection[RoutingGateway]], directory: NameDirectory) -> None:
        """``vendors_at`` returns the gateways that are configured at a host."""
        self._vendors_at = vendors_at
        self._directory = directory

    def connects_within(self, host: str) -> float:
        """Return the time limit in seconds for a connection to a host; infinity if it is no gateway's."""
        gateways = self._vendors_at(host) or [
            each for name in self._directory.names_to(host) for each in self._vendors_at(name)
        ]
        return min((each.response_timeout_ms for each in gateways), default=inf) / 1_000 / SHARE


class VendorPlaces:
    """Places of routing gateways: the addresses that are connected to, with their TLS identities."""

    def __init__(
        self, vendors_at: Callable[[str], Collection[RoutingGateway]], names_to: Callable[[str], Collection[str]]
    ) -> None:
        """``vendors_at`` returns the gateways that are configured at a host, ``names_to`` the names of an address."""
        self._vendors_at = vendors_at
        self._names_to = names_to

    def identity_at(self, host: str, port: int) -> str:
        """Return the identity with which a host is connected to at a port; empty = the common one."""
        found = self._vendor_at((host, *self._names_to(host)), port)
        return "" if found is None else found[1].tls

    def name_at(self, host: str, port: int) -> str | None:
        """Return the name that the certificate at a host and port must contain; None = the address itself."""
        names = self._names_to(host)
        found = self._vendor_at(names, port)
        return next(iter(names), None) if found is None else found[0]

    def is_vendor_at(self, host: str, port: int) -> bool:
        """Return whether a routing gateway is configured at a host and port."""
        return self._vendor_at((host, *self._names_to(host)), port) is not None

    def _vendor_at(self, hosts: Collection[str], port: int) -> tuple[str, RoutingGateway] | None:
        """Return the gateway that has one of these hosts with a port, after that host.

        The port of a name may come from DNS: then any port is that of its gateway, unless another one has it.
        """
        there = [(host, gateway) for host in hosts for gateway in self._vendors_at(host)]
        for configured in (port, None):
            for host, gateway in there:
                if any(each.host == host and each.port == configured for each in gateway.places):
                    return host, gateway
        return None


class SignallingLimits(Counting):
    """Limits of requests outside calls for each gateway of a catalogue, over all its addresses (``max_requests``)."""

    def __init__(self, catalogue: Catalogue, names_at: Callable[[str], Collection[str]]) -> None:
        """``names_at`` returns the names of vendors that resolved to an address."""
        self._names_at = names_at
        self.adopt(catalogue)

    def adopt(self, catalogue: Catalogue) -> None:
        """Apply another catalogue."""
        self._sources = catalogue.sources
        self._vendors: dict[str, Limits] = defaultdict(dict)
        for name, gateway in catalogue.routing_gateways.items():
            for address in gateway.places:
                self._vendors[address.host][name] = gateway.max_requests
        self._has_names = any(not is_address(host) for host in self._vendors)

    def allowance_at(self, host: str) -> Allowance | None:
        """Return the limit for an address; None if a gateway there has none.

        Mapping gateways come first, as incoming requests belong to them. Gateways that share an address, by names or as
        it is, have the sum of their limits: which one sent a request is known only after parsing.
        """
        limits: Limits = {each.name: each.max_requests for each in self._sources.gateways_at(host)}
        if not limits:
            for place in (host, *(self._names_at(host) if self._has_names else ())):
                limits |= self._vendors.get(place, {})
        rates = [rate for rate in limits.values() if rate is not None]
        return Allowance(" ".join(limits), sum(rates)) if rates and len(rates) == len(limits) else None
