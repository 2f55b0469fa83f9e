"""Links to vendors besides calls: our registrations with them, and OPTIONS pings."""

from collections.abc import Sequence
from typing import Protocol

from vosd.base.clock import Instant
from vosd.callcontrol.live_state import LiveState
from vosd.catalogue.catalogue import Catalogue
from vosd.engine.counting import Counting
from vosd.engine.peers.options_ping import Pings
from vosd.engine.registration.outbound import OutboundRegistrations
from vosd.sip.endpoint import Endpoint
from vosd.sip.registration.outbound import Draw
from vosd.trunks.gateways import Address, RoutingGateway


class Addresses(Protocol):
    """Present addresses of gateways with names (``engine.peers.directory``)."""

    def addresses(self, gateway: RoutingGateway, /) -> Sequence[Address]:
        """Return where one call may try the gateway, in order; empty where nothing is known."""
        ...

    def knows(self, gateway: RoutingGateway, /) -> bool:
        """Return whether any address of the gateway is known."""
        ...

    def resolved(self, configured: Sequence[Address], /) -> Sequence[Address]:
        """Return where addresses of a gateway are, in order; empty where nothing is known."""
        ...


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
