"""What routing needs to know of vendors beyond their configuration; call control implements it."""

from collections.abc import Container
from decimal import Decimal
from typing import Protocol

from vosd.trunks.gateways import RoutingGateway


class VendorTerms(Protocol):
    """What a vendor charges for one call.

    Routing compares terms by their price and hands them on; it does not know what they are. Who gave them out books the
    call by them.
    """

    @property
    def price_per_minute(self) -> Decimal:
        """The price of a minute after the first period, without tax, in the vendor's currency."""
        ...


class Vendors(Protocol):
    """The state of vendors at the moment of a call.

    ``unregistered``, ``down`` and ``resting`` hold names of gateways, mostly none: a call looks its own up in each.
    """

    @property
    def unregistered(self) -> Container[str]:
        """Gateways that require a registration of ours and have none."""
        ...

    @property
    def down(self) -> Container[str]:
        """Gateways that do not answer OPTIONS."""
        ...

    @property
    def resting(self) -> Container[str]:
        """Gateways with an address that rests because calls to it failed in a row."""
        ...

    def terms(self, gateway: RoutingGateway, callee: str, wall_ms: int) -> VendorTerms | None:
        """Return what a call to ``callee`` at ``wall_ms`` (UTC) costs through the gateway; None = no buy rate."""
        ...

    def located(self, gateway: RoutingGateway) -> bool:
        """Return whether an address of the gateway is known: a name may not resolve (RFC 3263)."""
        ...

    def down_ms(self, gateway: RoutingGateway, mono_ms: int) -> int | None:
        """Return for how long the gateway has been down; None = it is up."""
        ...

    def resting_ms(self, gateway: RoutingGateway, mono_ms: int, payer: str = "") -> int:
        """Return for how much longer the gateway rests because calls to it failed in a row; 0 = it does not.

        It may rest for the calls of ``payer`` alone.
        """
        ...

    def funded(self, gateway: RoutingGateway) -> bool:
        """Return whether the gateway's account is postpaid or has a positive balance left."""
        ...
