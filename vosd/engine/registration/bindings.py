"""Live table of registrations: phones, and gateways that register with us.

Owns the bindings of all users, their expiry, and the reports of changes. How a REGISTER changes the bindings of one
user is in ``sip.registration.registrar``; writing them to the database is in ``registration.writer``.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from enum import Enum
from itertools import count, islice
from operator import attrgetter
from typing import Final, NamedTuple, Protocol

import msgspec

from vosd.base.clock import Clock, Instant
from vosd.base.networks import NetworkTable
from vosd.base.wheel import Timer, TimerWheel
from vosd.cdr.columns import iso_utc
from vosd.control.peers import InboundRow
from vosd.engine.counting import Counting
from vosd.engine.registration.registered_addresses import RegisteredAddresses
from vosd.engine.registration.writer import AT_ONCE, FLUSH_S, RegistrationWriter, is_refresh
from vosd.obs.events import GONE, Event, log as _log
from vosd.obs.figures import Figure
from vosd.sip.device import Device
from vosd.sip.dialog.table import DialogTable
from vosd.sip.flows import Flows, Listener
from vosd.sip.headers.contact import SURELY
from vosd.sip.registration.registrar import (
    Binding,
    Bindings,
    ContactPlace,
    RegisterOutcome,
    is_at,
    place_of,
    register,
    removed_by,
)
from vosd.sip.settings import RegistrarSettings
from vosd.sip.transaction.store import RegisteredPlace
from vosd.sip.wire.message import Request
from vosd.sip.wire.outgoing import Peer
from vosd.sip.wire.uri import for_request_line
from vosd.trunks.gateways import Address

EXPIRY_TICK_MS: Final = 1_000
"""Time that a binding may be kept longer than granted."""


class RegistrantKind(Enum):
    """Kind of user of a registration."""

    PHONE = "phone"
    GATEWAY = "mapping_gateway"
    VENDOR = "routing_gateway"


class Departure(Enum):
    """Why a registration ended."""

    UNREGISTERED = "unregistered"
    EXPIRED = "expired"
    REMOVED = "no longer configured"
    OTHER_CREDENTIALS = "password or user name changed"
    OTHER_HOSTS = "hosts changed"
    OTHER_COUNTRIES = "countries changed"
    CONNECTION_LOST = "connection lost"
    FORGOTTEN = "forgotten by an operator"
    ENDED_MEANWHILE = "ended while the switch was down"
    ENDED_BEFORE = "ended before the switch was started"


_EVENTS: Final = {
    RegistrantKind.PHONE: (Event.PHONE_ONLINE, Event.PHONE_OFFLINE),
    RegistrantKind.GATEWAY: (Event.GATEWAY_REGISTERED, Event.GATEWAY_UNREGISTERED),
    RegistrantKind.VENDOR: (Event.GATEWAY_REGISTERED, Event.GATEWAY_UNREGISTERED),
}


class ListedBinding(NamedTuple):
    """One binding for display."""

    name: str
    kind: RegistrantKind
    binding: Binding


class _User:
    __slots__ = ("bindings", "kind", "timer")

    def __init__(self, kind: RegistrantKind) -> None:
        self.kind = kind
        self.bindings: Bindings = ()
        self.timer: Timer[str] | None = None
        """Set for the earliest possible expiry; a refresh does not move it, and it is set again when it fires."""


MaySend = Callable[[str, str, int | None], bool]
"""Returns whether a user may send from an address and port; None = any port."""


def from_anywhere(_name: str, _host: str, _port: int | None) -> bool:
    """Callback of users that may register from everywhere."""
    return True


def unreported(_phone: str, _place: Peer | None, *, is_online: bool) -> None:
    """Callback of a switch without phone service."""


class Presence(Protocol):
    """Receiver of phones that come online and go offline."""

    def __call__(self, phone: str, place: Peer | None, /, *, is_online: bool) -> None:
        """Called with a phone and its address, or last address; None if that is not known any more."""


class BindingExaminer(Protocol):
    """Says which bindings of users end because the configuration has changed."""

    def end_of(self, name: str, /) -> Departure | None:
        """Return why all bindings of a user end; None = those that have an objection."""

    def objection(self, name: str, host: str, port: int | None, /) -> Departure | None:
        """Return why a binding from an address ends, None = it stays; the port is None where it is unknown."""


class _Examination:
    """Users whose bindings are to be examined."""

    def __init__(self, names: Collection[str], examiner: BindingExaminer) -> None:
        self.names = names
        self.rest = iter(names)
        self.examined: set[str] = set()
        self.examiner = examiner


class _Removal(NamedTuple):
    """Bindings of one user on a lost connection: those that are reached without it stay."""

    name: str
    bindings: Bindings
    connection: Peer


class Registrations(Counting):
    """Table of all registrations."""

    def __init__(
        self,
        settings: RegistrarSettings,
        flows: Flows,
        writer: RegistrationWriter,
        clock: Clock,
        dialogs: DialogTable | None = None,
        presence: Presence = unreported,
    ) -> None:
        """``dialogs`` of users follow them to other addresses; None = there are no calls."""
        self._settings = settings
        self._proxies = NetworkTable((network, None) for network in settings.proxies)
        self._flows = flows
        self._writer = writer
        self._clock = clock
        self._dialogs = dialogs
        if dialogs is not None:
            dialogs.find_users_by(self._places, self._is_open)
        self.has_connection: Callable[[Peer], bool] = lambda _peer: True
        """Return whether the connection of a peer is open; set by the owner of the connections."""
        self.has_accepted: Callable[[Peer], bool] = lambda _peer: False
        """Return whether it is open, and the peer has opened it."""
        self._report_presence = presence
        self._users: dict[str, _User] = {}
        self._size = 0
        self._present: Counter[RegistrantKind] = Counter()
        """Number of registered users by kind."""
        self._departed: dict[str, RegistrantKind] = {}
        """Users whose departure was reported, until they register again or are no longer configured."""
        self._ended: dict[str, deque[ContactPlace]] | None = None
        """Latest places of each user that ended while only a copy of the database was read; None = it was not."""
        self._all_ended: set[str] = set()
        """Users whose bindings have all ended meanwhile, those of the database too, as by ``Contact: *``."""
        self._ends: TimerWheel[str] = TimerWheel(EXPIRY_TICK_MS)
        self._removals: deque[_Removal] = deque()
        """Bindings on lost connections, user by user."""
        self._examinations: deque[_Examination] = deque()
        self._ending: Iterator[str] | None = None
        """Users that are left of the last turn of ``expire``; None = it had all that were due.

        To begin anew would copy the list of all of them at each turn.
        """
        self.next_end = self._ends.next_due
        """Return when ``expire`` is due next at the earliest, in milliseconds of the monotonic clock, or None."""
        self._addresses = RegisteredAddresses(flows)
        self.peers = self._addresses.peers
        self.hidden_peers = self._addresses.hidden_peers
        self.knows = self._addresses.knows
        self.knows_host = self._addresses.knows_host

    def __len__(self) -> int:
        return self._size

    # -- registering --------------------------------------------------------------------------------------------

    def register(
        self, name: str, kind: RegistrantKind, request: Request, source: Peer, now: Instant
    ) -> RegisterOutcome:
        """Apply a REGISTER of an authenticated user.

        Its connection may have closed while the request waited, as for a server of RADIUS.

        Raises:
            ParseError: it cannot be read.
        """
        before = self._present_bindings(name)
        outcome = register(before, request, source, self._settings, now)
        if len(outcome.bindings) > len(before) and self._size >= self._settings.max_bindings:
            return RegisterOutcome(503, "", before)
        if self._ended is not None and outcome.status == 200:
            self._note_removals(name, request, source)
        if outcome.bindings != before:
            has_gone = any(binding.is_live(now) for binding in before)
            departure = Departure.UNREGISTERED if has_gone else Departure.EXPIRED
            self._change(name, kind, outcome.bindings, departure)
            if self._flows.reliable[source.flow] and not self.has_connection(source):
                self.connection_lost(source)
        return outcome

    def expire(self, now: Instant) -> bool:
        """Remove the expired bindings of ``AT_ONCE`` users; return whether others may have some, too.

        All that a start has restored end at the same moment, where their phones do not come back.
        """
        ending, ended = self._ending or self._ends.expire(now.mono), 0
        for name in islice(ending, AT_ONCE):
            ended += 1
            user = self._users[name]
            user.timer = None
            live = tuple(binding for binding in user.bindings if binding.is_live(now))
            self._change(name, user.kind, live, Departure.EXPIRED)
        self._ending = ending if ended == AT_ONCE else None
        are_left = self.remove_some() if self._removals or self._examinations else False
        return self._ending is not None or are_left

    def connection_lost(self, peer: Peer) -> bool:
        """Remove the bindings on a lost connection; return whether some are left for ``remove_some``."""
        self.note_lost(peer)
        return self.remove_some()

    def note_lost(self, peer: Peer) -> None:
        """Have ``remove_some`` remove the bindings on a lost connection, except those that are reached without it.

        One with a reg-id is a flow of its device (RFC 5626 section 5.3), which opens another one; nothing replaces it.
        Behind a proxy (Path) the flow is one of that proxy's connections, and not this one. Calls of a device go on
        over another connection of the same device.
        """
        for name in self._addresses.connected(peer):
            user = self._users.get(name)
            if user is not None:
                on_it = tuple(each for each in user.bindings if each.peer == peer)
                self._removals.append(_Removal(name, on_it, peer))

    def remove_some(self) -> bool:
        """Remove bindings of ``AT_ONCE`` users that are to be removed; return whether others are left.

        A proxy may have 20,000 users on one connection. Those of a user that has registered again meanwhile stay.
        """
        for _ in range(min(len(self._removals), AT_ONCE)):
            name, removed, connection = self._removals.popleft()
            user = self._users.get(name)
            if user is not None:
                kept = []
                for binding in user.bindings:
                    place: Peer | None = binding.peer
                    if binding in removed:
                        is_flow = bool(binding.instance and binding.reg_id) and not binding.path
                        place = None if is_flow else self._without_connection(binding)
                    if place is not None:
                        kept.append(_moved(binding, place))
                self._change(name, user.kind, tuple(kept), Departure.CONNECTION_LOST)
                if self._dialogs is not None:
                    self._dialogs.connection_lost(name, connection, self._clock.now())
        if self._examinations:
            some = [*islice(self._examinations[0].rest, AT_ONCE)]
            for name in some:
                self._examine(name)
            if len(some) < AT_ONCE:
                self._examinations.popleft()
        return bool(self._removals or self._examinations)

    def forget(self, name: str) -> int:
        """Remove the bindings of a user until it registers again; return how many there were."""
        self._note_all_ended(name)
        user = self._users.get(name)
        if user is None or not user.bindings:
            return 0
        count = len(user.bindings)
        self._change(name, user.kind, (), Departure.FORGOTTEN)
        return count

    def examine(self, names: Collection[str], examiner: BindingExaminer) -> None:
        """Have ``remove_some`` remove the present bindings of these users that have an objection.

        Before they are asked for, and before their user registers, those of one user are examined at once.
        """
        self._examinations.append(_Examination(names, examiner))

    async def restore(self, kind_of: Callable[[str], RegistrantKind | None], may_send: MaySend = from_anywhere) -> None:
        """Restore the stored bindings of users that have a kind, at addresses that may send its requests.

        The others are removed: the configuration may have changed while the switch was down, or before the database was
        read. After ``restore_copy`` they replace those of the copy, apart from what has changed here since. Calls go on
        meanwhile: a turn takes ``AT_ONCE`` bindings.

        Raises:
            StoreUnavailable: the database cannot be reached.
        """
        began = self._clock.now().mono
        is_late = self._writer.is_by_copy
        found, ended = 0, []
        stored = await self._writer.load(self._after_start)
        for number, (name, binding) in enumerate(stored, 1):
            kind = kind_of(name)
            if binding is None:
                ended.append(name)
            elif kind is None or (is_late and not self._may_stay(name, binding)):
                self._writer.drop(name, binding.slot)
            elif not may_send(name, *self._origin(binding)):
                self._writer.drop(name, binding.slot)
                ended.append(name)
            else:
                found += 1
                is_new = name not in self._users
                self._restore(name, kind, binding)
                if is_late and is_new:
                    self._report_arrival(name, kind, binding)
            if not number % AT_ONCE:
                await asyncio.sleep(0)
        if is_late:
            await self._take_displaced(kind_of, may_send)
            await self._forget_copy()
            self._ended = None
            self._all_ended.clear()
        for name in dict.fromkeys(ended):
            kind = kind_of(name)
            if kind is not None and name not in self._users and name not in self._departed:
                self._report_departure(name, kind, Departure.ENDED_MEANWHILE)
        if found:
            took_ms = self._clock.now().mono - began
            _log.info("registrations_restored", bindings=self._size, ended_meanwhile=len(ended), took_ms=took_ms)

    async def restore_copy(
        self, kind_of: Callable[[str], RegistrantKind | None], may_send: MaySend = from_anywhere
    ) -> None:
        """Restore what ``restore`` would, as a copy of the database has it, until the database answers.

        Raises:
            StoreUnavailable: the copy cannot be read.
        """
        found = await self._writer.load_copy(self._after_start)
        self._ended = {}
        for name, binding in found:
            kind = kind_of(name)
            if kind is not None and may_send(name, *self._origin(binding)):
                self._restore(name, kind, binding)

    async def _forget_copy(self) -> None:
        """Remove bindings that a copy of the database had and the database has not."""
        for number, name in enumerate(tuple(self._users), 1):
            if not number % AT_ONCE:
                await asyncio.sleep(0)
            user = self._users.get(name)
            if user is None:
                continue
            kept = tuple(each for each in user.bindings if self._writer.is_known(name, each.slot))
            if len(kept) < len(user.bindings):
                peer = user.bindings[-1].peer
                self._replace(name, user, kept)
                if not kept:
                    self._report_departure(name, user.kind, Departure.ENDED_MEANWHILE, peer)

    async def _take_displaced(self, kind_of: Callable[[str], RegistrantKind | None], may_send: MaySend) -> None:
        """Restore bindings of other devices whose slot one got that registered here, while their user may have more."""
        writer, displaced = self._writer, self._writer.displaced
        while displaced:
            name, binding = displaced.pop()
            kind, there = kind_of(name), self._bindings(name, writer.is_known)
            may_stay = kind is not None and may_send(name, *self._origin(binding))
            has_room = len(there) < self._settings.max_contacts
            if kind is not None and may_stay and has_room and not self._has_gone(name, binding, there):
                free = (each for each in count() if not (writer.is_known(name, each) or writer.is_waiting(name, each)))
                binding = msgspec.structs.replace(binding, slot=next(free))
                is_new = name not in self._users
                writer.put(name, binding, None)
                self._restore(name, kind, binding)
                if is_new:
                    self._report_arrival(name, kind, binding)
            if not len(displaced) % AT_ONCE:
                await asyncio.sleep(0)

    def _may_stay(self, name: str, binding: Binding) -> bool:
        """Return whether a binding that is read late holds.

        Its device has not registered under another slot since the start, and has not ended; and its user has room.
        """
        later = self._bindings(name, self._writer.is_changed)
        return not self._has_gone(name, binding, later) and self._has_room(name, binding.slot)

    def _has_room(self, name: str, slot: int) -> bool:
        """Return whether a user may have a stored binding beside those that it has registered here since the start."""
        writer = self._writer
        others = [each.slot for each in self._bindings(name, writer.is_known) if each.slot != slot]
        return len(others) < self._settings.max_contacts or not any(writer.is_changed(name, each) for each in others)

    def _bindings(self, name: str, is_such: Callable[[str, int], bool]) -> Bindings:
        """Return the bindings of a user whose slots are such."""
        return tuple(each for each in self._present_bindings(name) if is_such(name, each.slot))

    def _of_all(self) -> Iterator[tuple[str, Bindings]]:
        """Return all users, each with the bindings that it has when its turn comes."""
        return ((name, self._present_bindings(name)) for name in tuple(self._users))

    def _present_bindings(self, name: str) -> Bindings:
        if self._examinations:
            self._examine(name)
        user = self._users.get(name)
        return () if user is None else user.bindings

    def _has_gone(self, name: str, binding: Binding, later: Iterable[Binding]) -> bool:
        """Return whether a stored binding is one that ``later`` ones have renewed, or has ended since the start."""
        ended = () if self._ended is None else self._ended.get(name, ())
        return name in self._all_ended or any(is_at(binding, each) for each in (*map(place_of, later), *ended))

    def report_absent(self, name: str, kind: RegistrantKind) -> None:
        """Log again that a user is not registered, as an earlier process did, unless it is or that was logged since."""
        if name not in self._users and name not in self._departed:
            self._log_departure(name, kind, Departure.ENDED_BEFORE)

    async def write_again(self) -> None:
        """Write all registrations to a database that has lost commits."""
        await self._writer.write_again(self._of_all())

    async def keep_written(self) -> None:
        """Write what is queued, again and again, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_S)
            await self.follow_clock()
            await self._writer.flush()

    async def follow_clock(self) -> None:
        """Queue what would be written with another end now, because the clock was set forward."""
        await self._writer.follow_clock(self._of_all())

    async def write_all(self) -> None:
        """Write everything before a stop."""
        await self._writer.write_all((name, each) for name, user in self._users.items() for each in user.bindings)

    # -- asking -------------------------------------------------------------------------------------------------

    def addresses(self, name: str) -> Sequence[Address]:
        """Return the addresses of a user in order: the most preferred first, of equal ones the newest."""
        bindings: Sequence[Binding] = self._present_bindings(name)
        if len(bindings) > 1:
            bindings = sorted(bindings, key=attrgetter("q", "registered_at"), reverse=True)
        return tuple(map(self._address, bindings))

    def _places(self, name: str) -> Sequence[RegisteredPlace]:
        """Return where a user is registered (``PlacesOf``)."""
        return [_place(each) for each in self._present_bindings(name) if not each.path]

    def _is_open(self, peer: Peer) -> bool:
        """Return whether a connection is open that the peer has opened (``HasAccepted``)."""
        return self.has_accepted(peer)

    def is_registered(self, name: str) -> bool:
        """Return whether a user is registered anywhere."""
        return bool(self._present_bindings(name))

    def is_at(self, name: str, host: str, port: int) -> bool:
        """Return whether that user is registered from an address."""
        return any((each.peer.host, each.peer.port) == (host, port) for each in self._present_bindings(name))

    def listed(self, names: Iterable[str] | None = None) -> Iterator[ListedBinding]:
        """Yield every binding, or those of some users; changes meanwhile may be missed."""
        for name in list(self._users) if names is None else names:
            user = self._users.get(name)
            if user is not None:
                for binding in user.bindings:
                    yield ListedBinding(name, user.kind, binding)

    def names(self) -> Set[str]:
        """Return the names of the registered users."""
        return self._users.keys()

    def departed(self) -> Set[str]:
        """Return the names of the users that were registered and are not any more."""
        return self._departed.keys()

    def census(self) -> Mapping[Figure, int]:
        """Count live objects and waiting work, for ``vosd status``."""
        return {
            Figure.PHONES_ONLINE: self._present[RegistrantKind.PHONE],
            Figure.REGISTRATIONS: self._size,
            Figure.REGISTRATIONS_UNWRITTEN: len(self._writer),
        }

    # -- inside -------------------------------------------------------------------------------------------------

    def _examine(self, name: str) -> None:
        """Remove the bindings of a user to which there are objections, where they have not been examined yet."""
        for each in self._examinations:
            if name in each.names and name not in each.examined:
                each.examined.add(name)
                self._remove_by(each.examiner, name)

    def _remove_by(self, examiner: BindingExaminer, name: str) -> None:
        why, user = examiner.end_of(name), self._users.get(name)
        if why is not None:
            self._note_all_ended(name)
        if user is not None:
            found = [(why or examiner.objection(name, *self._origin(each)), each) for each in user.bindings]
            ends = [end for end, _ in found if end is not None]
            if ends:
                self._change(name, user.kind, tuple(each for end, each in found if end is None), ends[-1])
        if why is Departure.REMOVED:
            kind = self._departed.pop(name, None)
            if kind is not None:
                _log.info(_EVENTS[kind][1], name=name, reason=why.value, why=GONE)

    def _note_removals(self, name: str, request: Request, source: Peer) -> None:
        """Note what a REGISTER has removed, for the database may have bindings of it that the copy lacks."""
        if "*" in request.headers("contact"):
            self._note_all_ended(name)
        for place in removed_by(request, source):
            self._note_end(name, place)

    def _note_all_ended(self, name: str) -> None:
        """Note that all bindings of a user have ended, those that the database alone has, too."""
        if self._ended is not None:
            self._all_ended.add(name)

    def _note_end(self, name: str, place: ContactPlace) -> None:
        """Note that a place has ended, until the database is read."""
        if self._ended is not None:
            self._ended.setdefault(name, deque(maxlen=self._settings.max_contacts)).append(place)

    def _change(self, name: str, kind: RegistrantKind, after: Bindings, departure: Departure) -> None:
        """Replace a user's bindings, and report the change."""
        user = self._users.get(name)
        if user is None:
            user = self._users[name] = _User(kind)
        before, writer = user.bindings, self._writer
        was = {binding.slot: binding for binding in before}
        kept = {binding.slot for binding in after}
        ended = [each for each in before if each.slot not in kept]
        for binding in after:
            earlier = was.pop(binding.slot, None)
            if earlier is not binding:
                writer.put(name, binding, earlier)
                if earlier is None or earlier.peer != binding.peer:
                    self._let_calls_follow(name, earlier, binding, after, ended)
                elif self._dialogs is not None and self._flows.reliable[binding.peer.flow] and not binding.path:
                    self._dialogs.registered_again(name, _place(binding), self._clock.now())
        now = self._clock.now()
        for slot, binding in was.items():
            if binding.is_live(now) or writer.is_known(name, slot):  # else the database may have a newer row
                writer.drop(name, slot)
                self._note_end(name, place_of(binding))
        self._replace(name, user, after)
        if not after:
            self._report_departure(name, kind, departure, before[-1].peer)
        elif not before:
            self._report_arrival(name, kind, after[-1])

    def _restore(self, name: str, kind: RegistrantKind, binding: Binding) -> None:
        """Set a stored binding; one that says the same goes on, with its own end."""
        user = self._users.setdefault(name, _User(kind))
        others = tuple(each for each in user.bindings if each.slot != binding.slot)
        if not any(is_refresh(each, binding) for each in user.bindings if each.slot == binding.slot):
            self._replace(name, user, (*others, binding))

    def _let_calls_follow(
        self, name: str, earlier: Binding | None, binding: Binding, after: Bindings, ended: Sequence[Binding]
    ) -> None:
        """Have calls of a user sent to where it is now; with a Path that is a proxy, and the device is not known.

        Bindings that have ended just now are those of other devices, which may go on with their calls; one of the same
        Call-ID is that of this device (RFC 3261 section 10.2), under another Contact.
        """
        dialogs = self._dialogs
        if dialogs is None or binding.path or (earlier is not None and earlier.path):
            return
        now = self._clock.now()
        place = _place(binding)
        own = [each for each in ended if each.call_id == binding.call_id]
        for each in own if earlier is None else (earlier, *own):
            if not each.path:
                dialogs.peer_moved(name, each.peer, place, now)
        elsewhere = [_place(each) for each in (*after, *ended) if each not in own]
        dialogs.connected_again(name, place, elsewhere, now)

    def _replace(self, name: str, user: _User, after: Bindings) -> None:
        """Replace bindings: the table, the index of addresses, the timer."""
        before, user.bindings = user.bindings, after
        self._size += len(after) - len(before)
        self._present[user.kind] += bool(after) - bool(before)
        self._addresses.replace(name, before, after)
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

    def _report_arrival(self, name: str, kind: RegistrantKind, newest: Binding) -> None:
        self._departed.pop(name, None)
        if kind is RegistrantKind.PHONE:
            self._report_presence(name, newest.peer, is_online=True)
        _log.info(
            _EVENTS[kind][0],
            name=name,
            contact=newest.contact,
            received=str(newest.peer),
            transport=self._flows.listeners[newest.peer.flow].transport,
            user_agent=newest.user_agent,
        )

    def _report_departure(self, name: str, kind: RegistrantKind, why: Departure, peer: Peer | None = None) -> None:
        if kind is RegistrantKind.PHONE:
            self._report_presence(name, peer, is_online=False)
        self._log_departure(name, kind, why)

    def _log_departure(self, name: str, kind: RegistrantKind, why: Departure) -> None:
        self._departed[name] = kind
        if why is not Departure.REMOVED:  # that is logged when it is removed
            _log.info(_EVENTS[kind][1], name=name, reason=why.value)

    def _address(self, binding: Binding) -> Address:
        """Return where calls to a binding go: to the first proxy of its Path (RFC 3327 section 5.3), else where it is.

        The Path is followed to the host that the REGISTER came from, and between proxies of the operator. Elsewhere
        there may be a vendor, or a machine of ours, that takes what we send for our own call.
        """
        peer = binding.peer
        if binding.path:
            first = self._flows.next_hop(binding.path[0], peer)
            peer = first if first.host == peer.host or self._are_proxies(first.host, peer.host) else peer
        transport = self._flows.listeners[peer.flow].transport
        uri = for_request_line(binding.contact)
        device = binding.instance if binding.reg_id else ""
        return Address(peer.host, peer.port, transport, uri=uri, path=binding.path, flow=peer.flow, device=device)

    def _after_start(self, binding: Binding) -> Peer | None:
        return self._without_connection(binding, has_started=True)

    def _without_connection(self, binding: Binding, *, has_started: bool = False) -> Peer | None:
        """Return where a binding is reached once the connection of its REGISTER is closed; None = nowhere.

        That is where the first proxy of its Path accepts connections, as ``_address`` follows it, else its Contact.
        ``has_started``: it is a stored binding.
        """
        peer = binding.peer
        if not binding.path:
            return self._flows.listening(binding.contact, peer)
        there = self._flows.beside(binding.path[0], peer, has_started=has_started)
        is_elsewhere = there is None and self._address(binding).host != peer.host  # at another proxy of the operator
        return peer if is_elsewhere else there

    def _origin(self, binding: Binding) -> tuple[str, int | None]:
        """Return the address and port that a binding came from; None = unknown.

        Without a connection that it has opened it has the port of its Contact, where the switch may have opened one,
        or that of the connection that is gone.
        """
        peer = binding.peer
        is_moved = self._flows.reliable[peer.flow] and not self.has_accepted(peer)
        return peer.host, None if is_moved else peer.port

    def _are_proxies(self, *hosts: str) -> bool:
        return all(self._proxies.longest(host) is not None for host in hosts)


def _place(binding: Binding) -> RegisteredPlace:
    return RegisteredPlace(binding.peer, binding.contact, Device.named(binding.instance, binding.call_id))


def _moved(binding: Binding, peer: Peer) -> Binding:
    return binding if peer == binding.peer else msgspec.structs.replace(binding, peer=peer)


def has_part(registration: ListedBinding, part: str) -> bool:
    """Return whether a registration has a text of small letters in its name, contact, address or User-Agent."""
    name, _, binding = registration
    return part in f"{name}\n{binding.contact}\n{binding.peer}\n{binding.user_agent}".lower()


def inbound(registration: ListedBinding, listeners: Sequence[Listener]) -> InboundRow:
    """Return a registration as ``vosd registrations`` shows it."""
    name, kind, binding = registration
    return InboundRow(
        name=name,
        kind=kind.value,
        state="registered",
        contact=binding.contact,
        received=str(binding.peer),
        transport=listeners[binding.peer.flow].transport,
        path=list(binding.path),
        q=binding.q / SURELY,
        user_agent=binding.user_agent or None,
        registered_at=iso_utc(binding.registered_at),
        expires_at=iso_utc(binding.expires_at.wall),
    )
