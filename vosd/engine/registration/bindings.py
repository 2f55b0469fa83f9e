"""Who is registered, where, and until when: the live table of phones and of gateways that register with us.

Owns the bindings of all users, their end in time, and the news of who came and who went. What a REGISTER makes of
one user's bindings is ``sip.registration.registrar``'s; what is written down of them is ``registration_writer``'s.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from enum import Enum
from operator import attrgetter
from typing import Final, NamedTuple, Protocol, TypeVar

import msgspec
import structlog

from vosd.base.clock import Instant
from vosd.base.wheel import Timer, TimerWheel
from vosd.cdr.columns import iso_utc
from vosd.engine.registration.writer import RegistrationWriter
from vosd.obs.events import Event
from vosd.sip.flows import Flows, Listener
from vosd.sip.headers.contact import SURELY
from vosd.sip.nat import needs_keep_alive
from vosd.sip.registration.registrar import Binding, Bindings, Outcome, register
from vosd.sip.settings import RegistrarSettings
from vosd.sip.wire.compose import Peer
from vosd.sip.wire.message import Request
from vosd.sip.wire.uri import without_headers
from vosd.trunks.gateways import Address

EXPIRY_TICK_MS: Final = 1_000
"""How much longer than granted a binding may be kept."""

_log = structlog.get_logger()
Key = TypeVar("Key")


class RegistrantKind(Enum):
    """What kind of user a registration is of."""

    PHONE = "phone"
    GATEWAY = "mapping_gateway"
    VENDOR = "routing_gateway"


class Departure(Enum):
    """Why somebody is not registered any more."""

    UNREGISTERED = "unregistered"
    EXPIRED = "expired"
    REMOVED = "no longer configured"
    OTHER_CREDENTIALS = "password or user name changed"
    CONNECTION_LOST = "connection lost"
    ENDED_MEANWHILE = "ended while the switch was down"


_NEWS: Final = {
    RegistrantKind.PHONE: (Event.PHONE_ONLINE, Event.PHONE_OFFLINE),
    RegistrantKind.GATEWAY: (Event.GATEWAY_REGISTERED, Event.GATEWAY_UNREGISTERED),
    RegistrantKind.VENDOR: (Event.GATEWAY_REGISTERED, Event.GATEWAY_UNREGISTERED),
}


class Registration(NamedTuple):
    """One binding as people see it."""

    name: str
    kind: RegistrantKind
    binding: Binding


class _User:
    """One user that is registered."""

    __slots__ = ("bindings", "kind", "timer")

    def __init__(self, kind: RegistrantKind) -> None:
        self.kind = kind
        self.bindings: Bindings = ()
        self.timer: Timer[str] | None = None
        """Set for the first end there may be; a refresh leaves it, and it looks again when it is due."""


def _nobody_cares(_name: str, _before: Peer, _after: Peer, _contact: str) -> None:
    """Stand in where no calls go to who is registered."""


def _untold(_phone: str, _place: Peer | None, *, is_online: bool) -> None:
    """Stand in where no program is told of phones."""


class Presence(Protocol):
    """Whoever is told which phones come and go."""

    def __call__(self, phone: str, place: Peer | None, /, *, is_online: bool) -> None:
        """Hear of one, and where it is seen, or was last; None where that is not known any more."""
        ...


class Registrations:
    """The table."""

    def __init__(
        self,
        settings: RegistrarSettings,
        flows: Flows,
        writer: RegistrationWriter,
        moved: Callable[[str, Peer, Peer, str], None] = _nobody_cares,
        presence: Presence = _untold,
    ) -> None:
        """``moved`` is told whom NAT has given another place: the name, the old place, the new one, the Contact."""
        self._settings = settings
        self._flows = flows
        self._writer = writer
        self._tell_moved = moved
        self._tell_presence = presence
        self._users: dict[str, _User] = {}
        self._size = 0
        self._present: Counter[RegistrantKind] = Counter()
        """How many of each kind are registered (PHN-05)."""
        self._ends: TimerWheel[str] = TimerWheel(EXPIRY_TICK_MS)
        self._peers: dict[Peer, int] = {}
        """Bindings at each place, in the order in which the places were first seen."""
        self._hosts: dict[str, int] = {}
        """Bindings at each address, whatever the port."""
        self._hidden: dict[Peer, int] = {}
        """Of those over UDP, which are not where their Contact says, or say a private address there or in their Via."""
        self._connected: dict[Peer, dict[str, None]] = {}
        """Who is reached by each connection."""

    def __len__(self) -> int:
        """Return how many bindings there are."""
        return self._size

    # -- registering --------------------------------------------------------------------------------------------

    def register(self, name: str, kind: RegistrantKind, request: Request, source: Peer, now: Instant) -> Outcome:
        """Carry out a REGISTER of a user that has proven who it is.

        Raises:
            ParseError: it cannot be read.
        """
        user = self._users.get(name)
        before = () if user is None else user.bindings
        outcome = register(before, request, source, self._settings, now)
        if len(outcome.bindings) > len(before) and self._size >= self._settings.max_bindings:
            return Outcome(503, "", before)
        if outcome.bindings != before:
            has_gone = any(binding.is_live(now) for binding in before)
            departure = Departure.UNREGISTERED if has_gone else Departure.EXPIRED
            self._change(name, kind, outcome.bindings, departure)
        return outcome

    def expire(self, now: Instant) -> None:
        """Take out every binding whose time is over."""
        for name in self._ends.expire(now.mono):
            user = self._users[name]
            user.timer = None
            live = tuple(binding for binding in user.bindings if binding.is_live(now))
            self._change(name, user.kind, live, Departure.EXPIRED)

    def next_end(self) -> int | None:
        """Return when ``expire`` has something to do next at the earliest, in milliseconds of the monotonic clock."""
        return self._ends.next_due()

    def connection_lost(self, peer: Peer) -> None:
        """Hear that a connection is gone: who can be called back at its contact stays, the others do not."""
        for name in tuple(self._connected.get(peer, ())):
            user = self._users.get(name)
            if user is None:
                continue
            kept = []
            for binding in user.bindings:
                place = binding.peer if binding.peer != peer else self._flows.listening(binding.contact, peer)
                if place is not None:
                    kept.append(_moved(binding, place))
            self._change(name, user.kind, tuple(kept), Departure.CONNECTION_LOST)

    def adopt(self, users: Mapping[str, RegistrantKind], changed: Collection[str] = ()) -> None:
        """Let go of everybody whom the configuration no longer has, and of those who have to prove something else."""
        for name in [name for name, user in self._users.items() if users.get(name) is not user.kind]:
            self._change(name, self._users[name].kind, (), Departure.REMOVED)
        for name in changed:
            user = self._users.get(name)
            if user is not None:
                self._change(name, user.kind, (), Departure.OTHER_CREDENTIALS)

    async def restore(self, users: Mapping[str, RegistrantKind]) -> None:
        """Take over what an earlier life has left of these users; the others are forgotten.

        Raises:
            StoreUnavailable: the database is away.
        """
        began = self._writer.clock.now().mono
        found, ended = await self._writer.load()
        for name, binding in found:
            kind = users.get(name)
            if kind is None:
                self._writer.drop(name, binding.slot)
                continue
            user = self._users.setdefault(name, _User(kind))
            self._replace(name, user, (*user.bindings, binding))
        for name in dict.fromkeys(ended):
            kind = users.get(name)
            if kind is not None and name not in self._users:
                self._tell_departure(name, kind, Departure.ENDED_MEANWHILE)
        if found:
            took_ms = self._writer.clock.now().mono - began
            _log.info(
                "registrations of an earlier life", bindings=self._size, ended_meanwhile=len(ended), took_ms=took_ms
            )

    async def write_again(self) -> None:
        """Bring a database that has lost commits to what is registered now."""
        await self._writer.write_again((name, each) for name, user in self._users.items() for each in user.bindings)

    async def part(self) -> None:
        """Write everything down as it is, before a stop."""
        await self._writer.part((name, each) for name, user in self._users.items() for each in user.bindings)

    # -- asking -------------------------------------------------------------------------------------------------

    def addresses(self, name: str) -> Sequence[Address]:
        """Return where a user is called, in order: the most preferred place first, of equal ones the newest."""
        user = self._users.get(name)
        if user is None:
            return ()
        bindings: Sequence[Binding] = user.bindings
        if len(bindings) > 1:
            bindings = sorted(bindings, key=attrgetter("q", "registered_at"), reverse=True)
        return tuple(map(self._address, bindings))

    def peers(self) -> Sequence[Peer]:
        """Return every place that somebody is reached at, each once, those seen first at first."""
        return tuple(self._peers)

    def hidden_peers(self) -> Sequence[Peer]:
        """Return only those places that are kept alive by all means."""
        return tuple(self._hidden)

    def knows(self, host: str, port: int) -> bool:
        """Say whether somebody is registered from an address."""
        peers = self._peers
        return bool(peers) and any(Peer(flow, host, port) in peers for flow in range(len(self._flows.listeners)))

    def is_at(self, name: str, host: str, port: int) -> bool:
        """Say whether that very user is registered from an address."""
        user = self._users.get(name)
        return user is not None and any((each.peer.host, each.peer.port) == (host, port) for each in user.bindings)

    def knows_host(self, host: str) -> bool:
        """Say whether somebody is registered from an address, whatever the port."""
        return host in self._hosts

    def listed(self) -> Iterator[Registration]:
        """Yield every binding; whoever is listed while others come and go may be missing."""
        for name in list(self._users):
            user = self._users.get(name)
            if user is not None:
                for binding in user.bindings:
                    yield Registration(name, user.kind, binding)

    def names(self) -> Set[str]:
        """Return who is registered."""
        return self._users.keys()

    def census(self) -> dict[str, int]:
        """Count what is alive and what waits, for ``vosd status``."""
        return {
            "phones_online": self._present[RegistrantKind.PHONE],
            "registrations": self._size,
            "registrations_unwritten": len(self._writer),
        }

    # -- inside -------------------------------------------------------------------------------------------------

    def _change(self, name: str, kind: RegistrantKind, after: Bindings, departure: Departure) -> None:
        """Put a user's bindings in the place of those there were, and tell whoever must know."""
        user = self._users.get(name)
        if user is None:
            user = self._users[name] = _User(kind)
        before, writer = user.bindings, self._writer
        was = {binding.slot: binding for binding in before}
        for binding in after:
            earlier = was.pop(binding.slot, None)
            if earlier is not binding:
                writer.put(name, binding, earlier)
                # With a Path it is a proxy's place, which says nothing of where the device is.
                if earlier is not None and earlier.peer != binding.peer and not (earlier.path or binding.path):
                    self._tell_moved(name, earlier.peer, binding.peer, binding.contact)
        for slot in was:
            writer.drop(name, slot)
        self._replace(name, user, after)
        if not after:
            self._tell_departure(name, kind, departure, before[-1].peer)
        elif not before:
            newest = after[-1]
            if kind is RegistrantKind.PHONE:
                self._tell_presence(name, newest.peer, is_online=True)
            _log.info(
                _NEWS[kind][0],
                name=name,
                contact=newest.contact,
                received=str(newest.peer),
                transport=self._flows.listeners[newest.peer.flow].transport,
                user_agent=newest.user_agent,
            )

    def _replace(self, name: str, user: _User, after: Bindings) -> None:
        """Put bindings in place: the table, the index of places, the timer."""
        before, user.bindings = user.bindings, after
        self._size += len(after) - len(before)
        self._present[user.kind] += bool(after) - bool(before)
        if _places(after) != _places(before):
            for binding in after:
                self._arrive(name, binding)
            for binding in before:
                self._leave(binding)
        timer = user.timer
        if not after:
            del self._users[name]
            if timer is not None:
                self._ends.cancel(timer)
            return
        end = min(binding.expires_at.mono for binding in after)
        if timer is not None and timer.tick * EXPIRY_TICK_MS >= end + EXPIRY_TICK_MS:
            self._ends.cancel(timer)
            timer = None
        if timer is None:
            user.timer = self._ends.schedule(end, name)

    def _arrive(self, name: str, binding: Binding) -> None:
        peer = binding.peer
        self._peers[peer] = self._peers.get(peer, 0) + 1
        self._hosts[peer.host] = self._hosts.get(peer.host, 0) + 1
        if self._flows.reliable[peer.flow]:
            self._connected.setdefault(peer, {})[name] = None
        elif _needs_keep_alive(binding):
            self._hidden[peer] = self._hidden.get(peer, 0) + 1

    def _leave(self, binding: Binding) -> None:
        peer = binding.peer
        _one_less(self._hosts, peer.host)
        if not _one_less(self._peers, peer):
            self._connected.pop(peer, None)
        if not self._flows.reliable[peer.flow] and _needs_keep_alive(binding):
            _one_less(self._hidden, peer)

    def _tell_departure(self, name: str, kind: RegistrantKind, departure: Departure, place: Peer | None = None) -> None:
        if kind is RegistrantKind.PHONE:
            self._tell_presence(name, place, is_online=False)
        _log.info(_NEWS[kind][1], name=name, reason=departure.value)

    def _address(self, binding: Binding) -> Address:
        peer = binding.peer
        transport = self._flows.listeners[peer.flow].transport
        uri = without_headers(binding.contact)
        return Address(peer.host, peer.port, transport, uri=uri, path=binding.path, flow=peer.flow)


def _needs_keep_alive(binding: Binding) -> bool:
    return needs_keep_alive(binding.contact, binding.peer, has_private_via=binding.has_private_via)


def _places(bindings: Bindings) -> list[tuple[str, Peer, bool]]:
    return [(binding.contact, binding.peer, binding.has_private_via) for binding in bindings]


def _one_less(counts: dict[Key, int], key: Key) -> int:
    """Count one down and return what is left; nothing is kept of none."""
    left = counts[key] - 1
    if left:
        counts[key] = left
    else:
        del counts[key]
    return left


def _moved(binding: Binding, peer: Peer) -> Binding:
    return binding if peer == binding.peer else msgspec.structs.replace(binding, peer=peer)


def inbound(registration: Registration, listeners: Sequence[Listener]) -> dict[str, object]:
    """Write a registration as ``vosd registrations`` shows it."""
    name, kind, binding = registration
    return {
        "direction": "inbound",
        "name": name,
        "kind": kind.value,
        "state": "registered",
        "contact": binding.contact,
        "received": str(binding.peer),
        "transport": listeners[binding.peer.flow].transport,
        "path": list(binding.path),
        "q": binding.q / SURELY,
        "user_agent": binding.user_agent or None,
        "registered_at": iso_utc(binding.registered_at),
        "expires_at": iso_utc(binding.expires_at.wall),
    }
