"""Routing gateways with registrations at one registrar, and what a reload makes of them, on virtual time."""

from typing import Any, Final

import msgspec

from doubles.data.builders import catalogue, mapping_gateway
from doubles.guard import Guard
from doubles.sockets.loopback import Endpoint
from doubles.vendor_registrar import VendorRegistrar
from doubles.virtual.customer import Intent
from doubles.virtual.exchange import SWITCH, Exchange
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, vendor_gateway
from doubles.virtual.vendor import Vendor
from vosd.base.credentials import Login
from vosd.base.secret import Secret
from vosd.catalogue.catalogue import Catalogue
from vosd.control.peers import OutboundRow
from vosd.trunks.gateways import Address, Registration

REGISTRAR: Final = Endpoint("203.0.113.9", 5060)
BRIEF: Final = 1_000
REGISTRATION: Final = Registration(
    server=Address(*REGISTRAR),
    domain="example.net",
    user="alice",
    contact_user="alice",
    login=Login("alice", Secret("secret")),
)


def other(**terms: Any) -> Registration:
    """Return the registration with other terms."""
    return msgspec.structs.replace(REGISTRATION, **terms)


class Stage:
    """A switch with vendors that want registrations, which all go to one registrar."""

    def __init__(self, *registrations: Registration | None, guards: tuple[Guard, ...] = ()) -> None:
        self.exchange = Exchange(self.content(*registrations), balances={"acme": "100"})
        self.wire = self.exchange.wire
        self.registrar = VendorRegistrar(self.wire, REGISTRAR, SWITCH, *guards)
        self.vendors = [Vendor(self.wire, address, SWITCH) for address in VENDORS]
        self.caller = self.exchange.caller(CUSTOMER)

    def content(self, *registrations: Registration | None, **parameters: Any) -> Catalogue:
        """Make a catalogue with a gateway for each registration; None = it wants none."""
        gateways = [vendor_gateway(index, registration=each) for index, each in enumerate(registrations)]
        return catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), *gateways], **parameters)

    def reload(self, *registrations: Registration | None) -> None:
        """Put another catalogue in force."""
        self.exchange.swap_catalogue(self.content(*registrations))

    @property
    def rows(self) -> list[OutboundRow]:
        """The registrations as people see them."""
        return list(self.exchange.node.vendors.registrations.rows())

    @property
    def states(self) -> list[tuple[object, object]]:
        """Each gateway and its state."""
        return [(row.name, row.state) for row in self.rows]

    def run(self, ms: int = BRIEF) -> None:
        """Let time pass."""
        self.wire.run_for(ms)

    def calls_reach(self) -> str | None:
        """Make a call and return the gateway that got it."""
        call = self.caller.call(CALLEE, Intent(hang_up_after_ms=10))
        self.wire.run_until(lambda: call.is_over)
        self.run()
        return self.exchange.sink.records[-1].routing_gateway
