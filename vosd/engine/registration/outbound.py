"""Registrations of the switch with vendors, as the catalogue asks: begun, kept through reloads, and removed.

Owns the set of gateways without their registration, which routing skips, and the log events. One registration is in
``sip.registration.outbound``; its timer is on the endpoint's wheel, so there is no task and no scan.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from random import randrange
from typing import Final, NamedTuple

import structlog

from vosd.base.clock import Instant
from vosd.cdr.columns import iso_utc
from vosd.obs.events import Event
from vosd.sip.endpoint import Endpoint
from vosd.sip.flows import Hop
from vosd.sip.registration.outbound import Draw, OutboundRegistration, Terms
from vosd.sip.registration.states import RegistrationChange, State
from vosd.trunks.gateways import Address, Registration, RoutingGateway

PACE_MS: Final = 10
"""Interval between the REGISTERs of registrations that begin or change together: a hundred a second."""

Resolve = Callable[[Sequence[Address]], Sequence[Address]]
"""Return the addresses of names, from the cache only."""

_log = structlog.get_logger()


class _Identity(NamedTuple):
    """What identifies a registration to the vendor: another one with the same identity replaces it."""

    server: Address
    domain: str
    user: str
    contact_user: str
    interface: str | None

    @classmethod
    def of(cls, registration: Registration, interface: str | None) -> "_Identity":
        return cls(registration.server, registration.domain, registration.user, registration.contact_user, interface)


class _Entry:
    """The registration of one gateway."""

    __slots__ = ("gateway", "identity", "ours", "registration")

    ours: OutboundRegistration

    def __init__(self, gateway: str, registration: Registration, identity: _Identity) -> None:
        self.gateway = gateway
        self.registration = registration
        self.identity = identity


class OutboundRegistrations:
    """All registrations with vendors."""

    def __init__(self, endpoint: Endpoint, resolve: Resolve, unregistered: set[str], draw: Draw = randrange) -> None:
        """``unregistered`` is kept up to date: the names of the gateways that need a registration and have none."""
        self._endpoint = endpoint
        self._resolve = resolve
        self._unregistered = unregistered
        self._draw = draw
        self._entries: dict[str, _Entry] = {}
        self._leaving: list[OutboundRegistration] = []

    @property
    def have_ended(self) -> bool:
        """Whether all abandoned registrations are removed, or cannot be."""
        self._leaving = [each for each in self._leaving if each.state is not State.GONE]
        return not self._leaving

    def adopt(self, gateways: Iterable[RoutingGateway], rounds_max: int, now: Instant) -> None:
        """Keep exactly the registrations of these gateways; unchanged ones are not touched."""
        wanted = {
            gateway.name: (gateway.registration, _Identity.of(gateway.registration, gateway.dialect.interface))
            for gateway in gateways
            if gateway.registration is not None and gateway.enabled
        }
        before, self._entries = self._entries, {}
        free = {
            entry.identity: entry
            for name, entry in before.items()
            if name not in wanted or wanted[name][1] != entry.identity
        }
        lacked = set(self._unregistered)
        asking = 0
        for name, (registration, identity) in wanted.items():
            known = before.get(name)
            if known is None or known.identity != identity:
                known = free.pop(identity, None)
            at = now.plus(PACE_MS * asking)
            if known is None:
                self._entries[name] = self._begin(name, registration, identity, rounds_max, at)
                asking += 1
            else:
                self._entries[name] = known
                known.gateway = name
                asking += self._amend(known, registration, rounds_max, at)
        for entry in free.values():
            self._give_up(entry, now)
        # Recomputed instead of updated: a gateway may have taken over another's registration.
        self._unregistered.clear()
        self._unregistered.update(name for name, each in self._entries.items() if not each.ours.is_registered)
        self._log_moved({name for name in before if name not in lacked})

    def leave(self, now: Instant) -> None:
        """Remove all registrations: the switch stops."""
        entries, self._entries = self._entries, {}
        for entry in entries.values():
            self._give_up(entry, now)

    def routed(self, gateway: str, addresses: Sequence[Address]) -> Sequence[Address]:
        """Return the addresses of a gateway with the service route of its registrar (RFC 3608)."""
        entry = self._entries.get(gateway)
        if entry is None or not entry.ours.service_route:
            return addresses
        return tuple(address._replace(path=entry.ours.service_route) for address in addresses)

    def rows(self) -> Iterable[dict[str, object]]:
        """Return each registration as ``vosd registrations`` shows it."""
        return (outbound(name, entry.registration, entry.ours) for name, entry in self._entries.items())

    # -- inside -------------------------------------------------------------------------------------------------

    def _begin(
        self, name: str, registration: Registration, identity: _Identity, rounds_max: int, at: Instant
    ) -> _Entry:
        entry = _Entry(name, registration, identity)

        def addresses_of() -> Sequence[Hop]:
            found = self._resolve((entry.registration.server,))
            return [Hop(address.host, address.port, address.transport) for address in found]

        terms = _terms(registration, identity.interface, rounds_max)
        entry.ours = OutboundRegistration(
            self._endpoint, terms, addresses_of, self._draw, partial(self._changed, entry)
        )
        entry.ours.begin(at)
        return entry

    def _changed(self, entry: _Entry, _ours: OutboundRegistration, change: RegistrationChange) -> None:
        """Log and apply a change of a registration, unless it was abandoned."""
        if self._entries.get(entry.gateway) is not entry:
            return
        if change is RegistrationChange.GAINED:
            self._unregistered.discard(entry.gateway)
        else:
            self._unregistered.add(entry.gateway)
        _log_change(entry, change)

    def _log_moved(self, held: set[str]) -> None:
        """Log which gateways gained or lost their registration by a reload alone."""
        for name, entry in self._entries.items():
            if entry.ours.is_registered != (name in held):
                _log_change(entry, RegistrationChange.LOST if name in held else RegistrationChange.GAINED)

    def _amend(self, entry: _Entry, registration: Registration, rounds_max: int, at: Instant) -> bool:
        """Apply other terms to a registration; return whether it sends a REGISTER at ``at``."""
        terms = _terms(registration, entry.identity.interface, rounds_max)
        ours = entry.ours
        if rounds_max != ours.terms.rounds_max:
            ours.set_rounds_max(rounds_max)
        if terms == ours.terms:
            return False
        entry.registration = registration
        ours.amend(terms, at)
        return True

    def _give_up(self, entry: _Entry, now: Instant) -> None:
        entry.ours.leave(now)
        if entry.ours.state is not State.GONE:
            self._leaving.append(entry.ours)


def _log_change(entry: _Entry, change: RegistrationChange) -> None:
    facts = {
        "gateway": entry.gateway,
        "server": str(entry.registration.server),
        "username": entry.registration.user,
    }
    match change:
        case RegistrationChange.GAINED:
            _log.info(Event.REGISTRATION_GAINED, **facts, expires_at=_moment(entry.ours.expires_at))
        case RegistrationChange.LOST:
            _log.warning(Event.REGISTRATION_LOST, **facts, status=entry.ours.last_status)
        case RegistrationChange.REFUSED:
            _log.warning(Event.REGISTRATION_REFUSED, **facts, status=entry.ours.last_status)


def _terms(registration: Registration, interface: str | None, rounds_max: int) -> Terms:
    return Terms(
        domain=registration.domain,
        user=registration.user,
        contact_user=registration.contact_user,
        login=registration.login,
        expires_s=registration.expires_s,
        interface=interface,
        rounds_max=rounds_max,
    )


def outbound(gateway: str, registration: Registration, ours: OutboundRegistration) -> dict[str, object]:
    """Return a registration of ours as ``vosd registrations`` shows it."""
    return {
        "direction": "outbound",
        "name": gateway,
        "kind": "routing_gateway",
        "state": ours.state.value,
        "server": str(registration.server),
        "username": registration.user,
        "contact": ours.contact or None,
        "registered_at": _moment(ours.registered_at),
        "expires_at": _moment(ours.expires_at),
        "next_attempt_at": _moment(ours.next_attempt_at),
        "failures": ours.failures,
        "last_status": ours.last_status,
    }


def _moment(at: Instant | None) -> str | None:
    return None if at is None else iso_utc(at.wall)
