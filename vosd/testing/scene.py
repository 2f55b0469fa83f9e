"""A customer, three vendors and a switch between them on virtual time: the stage of most call flows."""

from typing import Any, Final

from vosd.cdr.record import CallRecord
from vosd.engine.catalogue import Catalogue
from vosd.routing.tables import Address as GatewayAddress
from vosd.routing.tables import RoutingGateway
from vosd.testing.builders import catalogue, mapping_gateway, routing_gateway
from vosd.testing.customer import Caller
from vosd.testing.exchange import Exchange
from vosd.testing.loopback import Endpoint
from vosd.testing.vendor import Vendor

CUSTOMER: Final = Endpoint("198.51.100.10", 5060)
VENDORS: Final = (Endpoint("203.0.113.1", 5060), Endpoint("203.0.113.2", 5070), Endpoint("203.0.113.3", 5060))
CALLEE: Final = "442079460000"


def vendor_gateway(index: int, **terms: Any) -> RoutingGateway:
    """Make the trunk of one vendor; a lower index is tried first."""
    host, port = VENDORS[index]
    return routing_gateway(
        f"vendor-{index}", "44", addresses=(GatewayAddress(host, port),), priority=index, account="carriers", **terms
    )


def usual_catalogue(*, vendors: int = 2, terms: dict[str, Any] | None = None, **parameters: Any) -> Catalogue:
    """Make a catalogue of ``acme``, which may dial 44, and some vendors; ``terms`` are all vendors'."""
    gateways = [vendor_gateway(index, **(terms or {})) for index in range(vendors)]
    return catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), *gateways], **parameters)


class Scene:
    """The parties, and what is asked of them after every call."""

    def __init__(self, content: Catalogue | None = None, *, balance: str = "100", **switch: Any) -> None:
        """``switch`` is what ``Exchange`` takes."""
        self.exchange = Exchange(content or usual_catalogue(), balances={"acme": balance}, **switch)
        self.wire = self.exchange.wire
        self.caller: Caller = self.exchange.caller(CUSTOMER)
        self.vendors: list[Vendor] = [self.exchange.vendor(address) for address in VENDORS]
        self.vendor = self.vendors[0]

    @property
    def record(self) -> CallRecord:
        """The only record."""
        return self.exchange.record

    def bytes_to(self, address: Endpoint) -> bytes:
        """Return everything the switch sent there."""
        return b"\n".join(packet.data for packet in self.wire.packets if packet.target == address)

    def close(self) -> CallRecord:
        """Require that nothing is left, at once and after 64·T1, and return the one record."""
        assert self.exchange.leftovers() == {}
        assert self.exchange.residue() == {}
        return self.record
