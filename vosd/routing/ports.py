"""What routing asks of others without knowing them; ``engine`` answers from rates, credits and the directory."""

from typing import Protocol

from vosd.trunks.gateways import RoutingGateway


class VendorTerms(Protocol):
    """Whether a vendor may be given a call, as far as money and the way to it decide."""

    def rated(self, gateway: RoutingGateway, callee: str) -> bool:
        """Say whether the gateway's account has a buy rate for ``callee``."""
        ...

    def located(self, gateway: RoutingGateway) -> bool:
        """Say whether any address of the gateway is known: a name may lead nowhere (RFC 3263)."""
        ...

    def registered(self, gateway: RoutingGateway) -> bool:
        """Say whether the gateway takes calls from us without a registration, or we are registered with it."""
        ...

    def down_ms(self, gateway: RoutingGateway, mono_ms: int) -> int | None:
        """Return for how long the gateway has been found not to be there; None = it is there."""
        ...

    def resting_ms(self, gateway: RoutingGateway, mono_ms: int, payer: str = "") -> int:
        """Return for how much longer the gateway rests because calls to it failed in a row; 0 = it does not.

        Those of ``payer`` may have failed there alone.
        """
        ...

    def funded(self, gateway: RoutingGateway) -> bool:
        """Say whether the gateway's account is postpaid or has something left (GW-08)."""
        ...
