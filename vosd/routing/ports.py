"""What routing asks of others without knowing them; ``engine`` answers from rates, purses and the directory."""

from typing import Protocol

from vosd.routing.tables import RoutingGateway


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

    def funded(self, gateway: RoutingGateway) -> bool:
        """Say whether the gateway's account is postpaid or has something left (GW-08)."""
        ...
