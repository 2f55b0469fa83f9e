"""The one wiring of a node's signalling: endpoint, calls, registrations, vendors and trace, introduced to each other.

Production and tests build it alike and hand it other surroundings: a clock, tokens, a sink for calls, name servers.
Sends and receives nothing: ``engine.loop`` does that, in tests the virtual wire.
"""

from collections.abc import Callable, Collection, Iterable, Sequence, Set
from functools import partial
from random import randrange
from typing import NamedTuple, Protocol

from vosd.base.clock import Clock, Instant
from vosd.base.nat import Nat
from vosd.billing.accounts import Account
from vosd.billing.holds import AccountCredit
from vosd.callcontrol.live_state import LiveState
from vosd.callcontrol.ports import CallSink
from vosd.callcontrol.questions import Asker, Step
from vosd.callcontrol.setup import STEPS
from vosd.catalogue.catalogue import NO_USER_CHANGES, Catalogue
from vosd.catalogue.user_changes import user_changes
from vosd.engine.calls.switch import Switch
from vosd.engine.counting import Counting
from vosd.engine.media.switch_media import SwitchMedia
from vosd.engine.messages.relay import MessageRelay
from vosd.engine.peers.options_ping import Pings
from vosd.engine.registration.authentication import Authenticator, HeldRequest
from vosd.engine.registration.bindings import Presence, Registrations, unreported
from vosd.engine.registration.outbound import OutboundRegistrations
from vosd.engine.registration.registrar import Registrar
from vosd.engine.registration.writer import RegistrationWriter
from vosd.engine.settings import TraceSettings
from vosd.engine.trace.followers import TraceFollowers
from vosd.engine.trace.hep_mirror import HepMirror
from vosd.engine.trace.messages import CallTraces
from vosd.routing.access import AccessAction, AccessScope, CountryOf, nowhere
from vosd.sip.auth_gate import AuthGate
from vosd.sip.client_core import Placed, not_noted
from vosd.sip.door.door import Doorkeeper
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import StandaloneArrived
from vosd.sip.flows import Hop, IsHere, Listener, is_on_loopback
from vosd.sip.ports import BindingStore
from vosd.sip.registration.outbound import Draw
from vosd.sip.settings import SipSettings
from vosd.sip.wire.outgoing import Peer
from vosd.trunks.gateways import Address, RoutingGateway
from vosd.trunks.media import PortRange


class Addresses(Protocol):
    """Present addresses of gateways with names (``engine.peers.directory``)."""

    def addresses(self, gateway: RoutingGateway, /) -> Sequence[Address]:
        """Return where one call may try the gateway, in order; empty where nothing is known."""

    def knows(self, gateway: RoutingGateway, /) -> bool:
        """Return whether any address of the gateway is known."""

    def resolved(self, configured: Sequence[Address], /) -> Sequence[Address]:
        """Return where addresses of a gateway are, in order; empty where nothing is known."""

    def locate(self, hop: Hop, seen_at: Peer | None, /) -> Hop | None:
        """Return where a name of a dialog is (``sip.flows.Locator``)."""

    def hosts(self) -> Set[str]:
        """Return the addresses of all gateways with names."""

    def names_at(self, host: str, /) -> Collection[str]:
        """Return the names of routing gateways that have an address."""


class VendorLinks(Counting):
    """Registrations and pings, begun and ended with the gateways of the catalogue."""

    def __init__(self, endpoint: Endpoint, addresses: Addresses, live: LiveState, draw: Draw) -> None:
        """``draw`` spreads requests over time; ``live`` gets the vendors that lack a registration or do not answer."""
        self.registrations = OutboundRegistrations(endpoint, addresses.resolved, live.unregistered, draw)
        self.pings = Pings(endpoint, addresses.addresses, live.health, draw)

    def adopt(self, catalogue: Catalogue, now: Instant) -> None:
        """Register with these vendors, and ping those that are to be pinged; end what is configured no more."""
        gateways = catalogue.routing_gateways.values()
        self.registrations.adopt(gateways, catalogue.parameters.challenges_max, now)
        self.pings.adopt(gateways, now)

    def end(self, now: Instant) -> None:
        """Stop the pings, and end our registrations."""
        self.pings.stop()
        self.registrations.leave(now)

    @property
    def have_ended(self) -> bool:
        """Whether every vendor has confirmed the end of our registration, or will not."""
        return self.registrations.have_ended


class Tokens(Protocol):
    """Randomness (``engine.tokens``)."""

    def token(self) -> str:
        """Return an unguessable SIP token."""

    def entropy(self) -> bytes:
        """Return ten random bytes."""

    def secret(self) -> bytes:
        """Return a key for HMAC-SHA256."""


class Surroundings(NamedTuple):
    """Parts of a switch that differ between production and tests."""

    clock: Clock
    tokens: Tokens
    names: Addresses
    sink: CallSink
    credits: dict[str, AccountCredit]
    """Credit of every account, by its id; accounts that a reload brings are added before ``Node.swap_catalogue``."""
    registered: BindingStore
    placed: Placed = not_noted
    """Called for every INVITE that begins a dialog, before it is sent."""
    presence: Presence = unreported
    """Receiver of phones that come online and go offline."""
    auth_gate: AuthGate | None = None
    """None = the node's own ``authenticator``."""
    draw: Draw = randrange
    steps: tuple[Step, ...] = STEPS
    asker: Asker | None = None
    """Answers what ``steps`` ask; None = nothing answers."""
    doorkeeper: Doorkeeper | None = None
    """Examines the messages of legs before they leave; None = they leave at once."""
    country_of: CountryOf = nowhere
    is_here: IsHere = is_on_loopback
    """Returns whether this machine has an address."""
    ask_others: Callable[[HeldRequest], None] | None = None
    """Has others judge passwords; None = there are none."""
    media: SwitchMedia | None = None
    """Limits codecs and has media relayed, in the place of another doorkeeper; None = neither."""


class Node:
    """The parts of a node; this class only connects them."""

    def __init__(
        self,
        name: str,
        sip: SipSettings,
        trace: TraceSettings,
        listeners: Sequence[Listener],
        catalogue: Catalogue,
        around: Surroundings,
    ) -> None:
        tokens = around.tokens
        self._clock = around.clock
        self._names = around.names
        self._country_of = around.country_of
        self.authenticator = Authenticator(catalogue, tokens.secret(), tokens.token, self.knows_host, around.country_of)
        self.authenticator.ask_others = around.ask_others
        self.endpoint = Endpoint(
            sip,
            listeners,
            tokens.token,
            self.knows,
            around.names.locate,
            around.auth_gate or self.authenticator,
            around.placed,
            self.nat_at,
            self.is_of_one_trunk,
            self.are_of_one_vendor,
            around.is_here,
        )
        flows = self.endpoint.flows
        self.trace = CallTraces(trace, self.knows)
        self.followers = TraceFollowers(self.trace, flows.listeners)
        self.registration_writer = RegistrationWriter(around.registered, flows, around.clock)
        self.registrations = Registrations(
            sip.registrar, flows, self.registration_writer, around.clock, self.endpoint.dialogs, around.presence
        )
        self.authenticator.registered = self.registrations
        self.registrar = Registrar(self.endpoint, self.registrations, catalogue, around.country_of)
        self.switch = Switch(
            node=name,
            endpoint=self.endpoint,
            catalogue=catalogue,
            sink=around.sink,
            entropy=tokens.entropy,
            credits=around.credits,
            observer=self.followers,
            register=self.registrar.take_register,
            relay=self._relay,
            addresses_of=self.addresses_of,
            is_located=self.is_located,
            steps=around.steps,
            asker=around.asker,
        )
        self.switch.live.country_of = around.country_of
        self.switch.live.names_at = around.names.names_at
        self.media = around.media
        self._judge_media(catalogue)
        if around.doorkeeper is not None:
            self.endpoint.examine_by(around.doorkeeper, self.switch.notices.doorkeeper_failed)
        self.hep: HepMirror | None = None
        """Copies messages for a capture server; ``copy_messages`` sets it."""
        self.vendors = VendorLinks(self.endpoint, around.names, self.switch.live, around.draw)
        self.messages = MessageRelay(self.endpoint, catalogue, lambda: self.switch.admission, self.switch.closed)
        self.messages.adopt(catalogue, NO_USER_CHANGES)

    def swap_catalogue(self, catalogue: Catalogue, now: Instant, changed: Iterable[Account] | None = None) -> None:
        """Put another catalogue in force; its accounts have credits by now (``TermsInForce.swap``)."""
        users = user_changes(self.switch.catalogue, catalogue)
        self.switch.terms.swap(catalogue, changed)
        self._judge_media(catalogue)
        if self.media is not None:
            ranged = partial(_ranges_among, catalogue)
            self.media.parts.adopt(catalogue.parameters.media, catalogue.parameters.sounds, ranged)
        if self.hep is not None:
            self.hep.adopt(catalogue)
        self.authenticator.adopt(catalogue, users)
        self.registrar.adopt(catalogue, users.registrations)
        self.messages.adopt(catalogue, users)
        self.vendors.adopt(catalogue, now)

    def relocate(self, catalogue: Catalogue) -> None:
        """Put the catalogue in force with other addresses of customers' names."""
        self.switch.terms.relocate(catalogue)
        self.authenticator.relocate(catalogue)

    def copy_messages(self, mirror: HepMirror | None, catalogue: Catalogue) -> None:
        """Copy messages for a capture server from now on; None = for none."""
        self.hep = self.trace.mirror = mirror
        if mirror is not None:
            mirror.adopt(catalogue)

    def _relay(self, event: StandaloneArrived) -> None:
        self.messages.take(event)

    # -- sources and addresses ----------------------------------------------------------------------------------

    def knows(self, host: str, port: int) -> bool:
        """Return whether a source is a gateway's, a registered user's, or has proven who it is."""
        return (
            host in self.switch.terms.vendor_hosts
            or self.switch.terms.sources.knows(host, port)
            or host in self._names.hosts()
            or self.registrations.knows(host, port)
            or self.authenticator.has_proven(host, self._clock.now())
            or self.authenticator.certificates.knows(host, port)
        )

    def nat_at(self, host: str, port: int) -> Nat:
        """Return the ``nat`` of the trunk that sends from an address; detected where there is none."""
        return self.switch.terms.sources.nat_at(host, port)

    def is_of_one_trunk(self, one: Peer, other: Peer) -> bool:
        """Return whether what comes from two places belongs to the same trunk."""
        return self.switch.terms.sources.is_of_one_trunk(one.host, one.port, other.host, other.port)

    def are_of_one_vendor(self, host: str, other: str) -> bool:
        """Return whether two hosts are of routing gateways of one account."""
        return not self._vendors_at(host).isdisjoint(self._vendors_at(other))

    def _vendors_at(self, host: str) -> set[str]:
        """Return the accounts of the routing gateways at a host, also of those whose names lead there."""
        places = (host, *self._names.names_at(host))
        gateways = [each for place in places for each in self.switch.terms.vendors_at(place)]
        return {each.account for each in gateways if each.account is not None}

    def knows_host(self, host: str) -> bool:
        """Return whether a gateway may send from an address, whatever the port."""
        switch = self.switch
        return host in switch.terms.vendor_hosts or switch.terms.sources.knows_host(host) or host in self._names.hosts()

    def is_known_source(self, host: str) -> bool:
        """Return whether an address is a gateway's, a registered user's, or has proven who it is."""
        is_phone = self.registrations.knows_host(host) or self.authenticator.has_proven(host, self._clock.now())
        return is_phone or self.knows_host(host) or self.authenticator.certificates.knows_host(host)

    def is_denied(self, host: str) -> bool:
        """Return whether requests from an address are dropped, except those of calls."""
        access = self.switch.catalogue.parameters.access
        if not access.judges_signalling:
            return False
        return access.signalling(host, self._country_of).action is AccessAction.IGNORE

    def _judge_media(self, catalogue: Catalogue) -> None:
        """Judge media by the rules and trunks of a catalogue from now on.

        Without a relay, calls have their media judged from the first catalogue on that limits codecs.
        """
        media, access = self.media, catalogue.parameters.access
        if media is None:
            return
        services = self.switch.services
        if services.media is None and (media.parts.relays or catalogue.limits_codecs):
            self.endpoint.examine_by(media.keeper, self.switch.notices.doorkeeper_failed)
            services.media = media.calls
        media.parts.recorded_share = self._recorded_share
        media.sessions.is_ignored = self._is_media_ignored if access.judges_sdp else None
        media.sessions.are_sources_judged = access.judges_rtp

    def _recorded_share(self, gateway: RoutingGateway) -> int:
        """Return the percent of calls to a gateway or phone that are recorded for its account."""
        catalogue, account = self.switch.catalogue, gateway.account
        if account is None:  # a phone or a trunk of a customer, which is called by the name that it calls by
            calling = catalogue.mapping_gateways.get(gateway.name)
            account = None if calling is None else calling.account
        found = None if account is None else catalogue.accounts.get(account)
        return 0 if found is None else found.record

    def _is_media_ignored(self, host: str) -> bool:
        """Return whether the address of a session description is not used."""
        access = self.switch.catalogue.parameters.access
        decision = access.by_rules(AccessScope.SDP, host, self._country_of) if host else None
        return decision is not None and decision.action is AccessAction.IGNORE

    def report_denied(self, host: str) -> None:
        """Warn that requests of a trunk or phone are dropped for where they come from."""
        catalogue, now = self.switch.catalogue, self._clock.now()
        why = catalogue.parameters.access.signalling(host, self._country_of).why
        names = [each.name for each in catalogue.sources.gateways_at(host)]
        self.switch.notices.source_denied(host, why, names, now)

    def addresses_of(self, gateway: RoutingGateway) -> Sequence[Address]:
        """Return where a gateway or a phone is right now."""
        if gateway.fixed_addresses:
            return gateway.fixed_addresses
        if gateway.registers:
            return self.registrations.addresses(gateway.name)
        return self.vendors.registrations.routed(gateway.name, self._names.addresses(gateway))

    def is_located(self, gateway: RoutingGateway) -> bool:
        """Return whether it is known where a gateway or a phone is right now."""
        if gateway.registers:
            return self.registrations.is_registered(gateway.name)
        return gateway.sound is not None or self._names.knows(gateway)


def _ranges_among(catalogue: Catalogue, ranges: Set[PortRange]) -> Set[PortRange]:
    """Return those of some ranges of ports for media that trunks have of their own."""
    called, calling = catalogue.routing_gateways.values(), catalogue.mapping_gateways.values()
    return ranges & ({each.media.ports for each in called} | {each.media.ports for each in calling})
