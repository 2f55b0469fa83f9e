"""What routing asks of the money side without knowing it; ``engine`` answers from rates and purses."""

from typing import Protocol

from vosd.routing.tables import RoutingGateway


class VendorTerms(Protocol):
    """Whether a vendor may be given a call, as far as money decides."""

    def rated(self, gateway: RoutingGateway, callee: str) -> bool:
        """Say whether the gateway's account has a buy rate for ``callee``."""
        ...

    def funded(self, gateway: RoutingGateway) -> bool:
        """Say whether the gateway's account is postpaid or has something left (GW-08)."""
        ...
