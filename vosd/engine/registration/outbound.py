"""Registrations of the switch with vendors, as the catalogue asks: begun, kept through reloads, and removed.

Owns the set of gateways without their registration, which routing skips, and the log events. One registration is in
``sip.registration.outbound``; its timer is on the endpoint's wheel, so there is no task and no scan.
"""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import partial
from random import randrange
from typing import Final, NamedTuple

from vosd.base.clock import Instant
from vosd.base.host import domain
from vosd.cdr.columns import iso_utc
from vosd.control.peers import OutboundRow
from vosd.obs.events import GONE, Event, log as _log
from vosd.sip.endpoint import Endpoint
from vosd.sip.flows import Hop
from vosd.sip.registration.outbound import Draw, OutboundRegistration
from vosd.sip.registration.states import RegistrationChange, RegistrationState, Terms
from vosd.trunks.dialect import CalleeDialect
from vosd.trunks.gateways import Address, Registration, RoutingGateway, is_reached_from

PACE_MS: Final = 10
"""Interval between the REGISTERs of registrations that begin or change together: a hundred a second."""
RETRY_APART_MS: Final = 5_000
"""Shortest time from a failure to the next REGISTER, however often an operator reloads."""

Resolve = Callable[[Sequence[Address]], Sequence[Address]]
"""Return the addresses of names, from the cache only."""


class _Identity(NamedTuple):
    """Identity of a registration for the vendor: another one with the same identity replaces it."""

    server: Address
    domain: str
    user: str
    contact_user: str
    interface: str | None


class _Account(NamedTuple):
    """Registration and its interface; gateways for which all of it is the same share one registration."""

    registration: Registration
    interface: str | None
    contact_host: str = ""
    user_agent: str = ""

    @property
    def identity(self) -> _Identity:
        wanted = self.registration
        contact_user = f"{wanted.contact_user}@{self.contact_host}" if self.contact_host else wanted.contact_user
        return _Identity(wanted.server, wanted.domain, wanted.user, contact_user, self.interface)


class _Entry:
    """One registration, and the gateways that need it."""

    __slots__ = ("account", "gateways", "ours")

    ours: OutboundRegistration

    def __init__(self, account: _Account) -> None:
        self.account = account
        self.gateways: list[str] = []
        """Empty once it is given up."""


class OutboundRegistrations:
    """All registrations with vendors."""

    def __init__(self, endpoint: Endpoint, resolve: Resolve, unregistered: set[str], draw: Draw = randrange) -> None:
        """``unregistered`` is kept up to date: the names of the gateways that need a registration and have none."""
        self._endpoint = endpoint
        self._resolve = resolve
        self._unregistered = unregistered
        self._draw = draw
        self._entries: dict[str, _Entry] = {}
        """By gateway; gateways that share a registration have the same entry."""
        self._leaving: list[_Entry] = []
        self._begun_until = Instant(0, 0)
        """End of the time in which those of the last catalogue begin."""

    @property
    def have_ended(self) -> bool:
        """Whether all abandoned registrations are removed, or cannot be."""
        self._leaving = [each for each in self._leaving if each.ours.state is not RegistrationState.GONE]
        return not self._leaving

    def adopt(self, gateways: Iterable[RoutingGateway], rounds_max: int, now: Instant) -> None:
        """Keep exactly the registrations of these gateways; unchanged ones are not touched."""
        wanted: dict[_Account, list[str]] = {}
        for gateway in gateways:
            if gateway.registration is not None and gateway.enabled:
                account = _account(gateway.registration, gateway.dialect)
                wanted.setdefault(account, []).append(gateway.name)
        before, self._entries = self._entries, {}
        failing = {name: each.account.registration for name, each in before.items() if not each.ours.is_registered}
        lacked = set(self._unregistered)
        known = {entry.account: entry for entry in before.values()}
        free = self._free([entry for account, entry in known.items() if account not in wanted])
        asking = 0
        for account, names in wanted.items():
            entry = known.get(account)
            if entry is None:
                entry = self._register(account, free.get(account.identity), rounds_max, now.plus(PACE_MS * asking))
                asking += 1
            elif rounds_max != entry.ours.terms.rounds_max:
                entry.ours.set_rounds_max(rounds_max)
            entry.gateways = names
            self._entries.update(dict.fromkeys(names, entry))
        self._begun_until = now.plus(PACE_MS * asking)
        self._give_up([entry for entries in free.values() for entry in entries], now)
        # Recomputed instead of updated: a gateway may have taken over another's registration.
        self._unregistered.clear()
        self._unregistered.update(name for name, each in self._entries.items() if not each.ours.is_registered)
        self._log_moved(before, lacked)
        for name, former in failing.items():
            entry = self._entries.get(name)
            if entry is None or _subject(name, entry.account.registration) != _subject(name, former):
                _log.info(Event.REGISTRATION_GAINED, **_subject(name, former), why=GONE)

    def retry(self, now: Instant) -> None:
        """Have registrations that back off after failures ask at once, behind those that begin with the catalogue.

        One that has just failed asks ``RETRY_APART_MS`` later.
        """
        entries = dict.fromkeys(self._entries.values())
        waiting = [entry.ours for entry in entries if entry.ours.is_backing_off(now)]
        at = max(now, self._begun_until)
        for ours in sorted(waiting, key=lambda each: each.failed_at):
            at = max(at, ours.failed_at.plus(RETRY_APART_MS))
            ours.retry(at)
            at = at.plus(PACE_MS)

    def retry_of(self, gateway: str, now: Instant) -> OutboundRow | None:
        """Have the registration of a gateway asked for at once, whatever it waits for; None = it has none.

        One that has just failed, or was refused, asks ``RETRY_APART_MS`` later.
        """
        entry = self._entries.get(gateway)
        if entry is None:
            return None
        entry.ours.retry(max(now, entry.ours.failed_at.plus(RETRY_APART_MS)))
        return outbound(gateway, entry.account.registration, entry.ours)

    def leave(self, now: Instant) -> None:
        """Remove all registrations: the switch stops."""
        entries = list(dict.fromkeys(self._entries.values()))
        self._entries = {}
        self._give_up([*entries, *self._leaving], now)

    def routed(self, gateway: str, addresses: Sequence[Address]) -> Sequence[Address]:
        """Return the addresses of a gateway with the service route of its registrar (RFC 3608)."""
        entry = self._entries.get(gateway)
        if entry is None or not entry.ours.service_route:
            return addresses
        return tuple(address._replace(path=entry.ours.service_route) for address in addresses)

    def rows(self) -> Iterable[OutboundRow]:
        """Return each registration as ``vosd registrations`` shows it."""
        return (outbound(name, entry.account.registration, entry.ours) for name, entry in self._entries.items())

    def _free(self, unwanted: Iterable[_Entry]) -> dict[_Identity, list[_Entry]]:
        """Return the registrations that a new account may take over: unwanted ones, and those being removed."""
        free: dict[_Identity, list[_Entry]] = {}
        for entry in (*unwanted, *self._leaving):
            if entry.ours.state is not RegistrationState.GONE:
                free.setdefault(entry.account.identity, []).append(entry)
        return free

    def _register(self, account: _Account, free: list[_Entry] | None, rounds_max: int, at: Instant) -> _Entry:
        """Take over a registration with the same identity, one that stands if possible, or begin one, at ``at``."""
        if not free:
            return self._begin(account, rounds_max, at)
        entry = max(free, key=lambda each: each.ours.is_registered)
        free.remove(entry)
        entry.account = account
        entry.ours.amend(_terms(account, rounds_max), at)
        return entry

    def _begin(self, account: _Account, rounds_max: int, at: Instant) -> _Entry:
        entry = _Entry(account)

        def addresses_of() -> Sequence[Hop]:
            found = self._resolve((account.registration.server,))
            return [Hop(*address[:3]) for address in found if is_reached_from(account.interface, address.host)]

        entry.ours = OutboundRegistration(
            self._endpoint,
            _terms(account, rounds_max),
            addresses_of,
            self._draw,
            partial(self._changed, entry),
            domain(account.registration.server.host) or "",
        )
        entry.ours.begin(at)
        return entry

    def _changed(self, entry: _Entry, _ours: OutboundRegistration, change: RegistrationChange) -> None:
        """Log and apply a change of a registration, unless it was abandoned."""
        for gateway in entry.gateways:
            if change is RegistrationChange.GAINED:
                self._unregistered.discard(gateway)
            else:
                self._unregistered.add(gateway)
            _log_change(gateway, entry, change)

    def _log_moved(self, before: Mapping[str, _Entry], lacked: Container[str]) -> None:
        """Log which gateways gained or lost their registration by a reload alone, or joined one that had failed."""
        for name, entry in self._entries.items():
            had_one = name in before and name not in lacked
            if entry.ours.is_registered != had_one:
                _log_change(name, entry, RegistrationChange.LOST if had_one else RegistrationChange.GAINED)
            elif not had_one and before.get(name) is not entry and entry.ours.reported is not None:
                _log_change(name, entry, entry.ours.reported)

    def _give_up(self, entries: Iterable[_Entry], now: Instant) -> None:
        """Remove registrations, except from a vendor where another of ours keeps or seeks the same binding."""
        others = {
            each.ours.binding for each in self._entries.values() if each.ours.state is not RegistrationState.REFUSED
        }
        self._leaving = []
        for entry in entries:
            entry.gateways = []
            if entry.ours.binding in others:
                entry.ours.abandon()
            else:
                entry.ours.leave(now)
            if entry.ours.state is not RegistrationState.GONE:
                self._leaving.append(entry)


def _subject(gateway: str, registration: Registration) -> dict[str, str]:
    """Return what an alarm about a registration is recognised by."""
    return {"gateway": gateway, "server": str(registration.server), "username": registration.user}


def _log_change(gateway: str, entry: _Entry, change: RegistrationChange) -> None:
    facts = _subject(gateway, entry.account.registration)
    match change:
        case RegistrationChange.GAINED:
            _log.info(Event.REGISTRATION_GAINED, **facts, expires_at=_moment(entry.ours.expires_at))
        case RegistrationChange.LOST:
            _log.warning(Event.REGISTRATION_LOST, **facts, status=entry.ours.last_status)
        case RegistrationChange.REFUSED:
            _log.warning(Event.REGISTRATION_REFUSED, **facts, status=entry.ours.last_status)


def _account(registration: Registration, dialect: CalleeDialect) -> _Account:
    return _Account(registration, dialect.interface, dialect.contact_host, dialect.user_agent)


def _terms(account: _Account, rounds_max: int) -> Terms:
    registration = account.registration
    return Terms(
        domain=registration.domain,
        user=registration.user,
        contact_user=registration.contact_user,
        login=registration.login,
        expires_s=registration.expires_s,
        interface=account.interface,
        rounds_max=rounds_max,
        contact_host=account.contact_host,
        user_agent=account.user_agent,
    )


def outbound(gateway: str, registration: Registration, ours: OutboundRegistration) -> OutboundRow:
    """Return a registration of ours as ``vosd registrations`` shows it."""
    return OutboundRow(
        name=gateway,
        kind="routing_gateway",
        state=ours.state.value,
        server=str(registration.server),
        username=registration.user,
        contact=ours.contact or None,
        registered_at=_moment(ours.registered_at),
        expires_at=_moment(ours.expires_at),
        next_attempt_at=_moment(ours.next_attempt_at),
        failures=ours.failures,
        last_status=ours.last_status,
    )


def _moment(at: Instant | None) -> str | None:
    return None if at is None else iso_utc(at.wall)
