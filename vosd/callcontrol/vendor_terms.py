"""What routing needs to know about vendors: buy rates, funds, and whether they can be reached now."""

import msgspec

from vosd.billing.rates import AppliedRate, Rate
from vosd.callcontrol.live_state import LiveState
from vosd.catalogue.catalogue import Catalogue
from vosd.routing.breaker import place_of
from vosd.trunks.gateways import RoutingGateway


class LiveVendors:
    """Implements ``routing.ports.VendorTerms`` with a catalogue and the live state."""

    __slots__ = ("_addresses_of", "_breakers", "_catalogue", "_credits", "_health", "_unregistered")

    def __init__(self, catalogue: Catalogue, live: LiveState) -> None:
        self._addresses_of = live.addresses_of
        self._catalogue = catalogue
        self._credits = live.credits
        self._health = live.health
        self._breakers = live.breakers
        self._unregistered = live.unregistered

    def rated(self, gateway: RoutingGateway, callee: str) -> bool:
        """Say whether the gateway's account has a buy rate for ``callee``."""
        return self.rate(gateway, callee) is not None

    def rate(self, gateway: RoutingGateway, callee: str) -> AppliedRate | None:
        """Return the buy rate, or None."""
        if gateway.account is None:
            return None
        group = self._catalogue.accounts[gateway.account].rate_group
        return self._catalogue.rate_groups[group].find(callee) if group is not None else None

    def charge_alike(self, gateway: RoutingGateway, dialled: str, followed: str) -> bool:
        """Say whether the gateway's account charges for one number what it charges for another."""
        return _price(self.rate(gateway, dialled)) == _price(self.rate(gateway, followed))

    def located(self, gateway: RoutingGateway) -> bool:
        """Say whether any address of the gateway is known."""
        return bool(self._addresses_of(gateway))

    def registered(self, gateway: RoutingGateway) -> bool:
        """Say whether the gateway wants no registration, or has ours."""
        return gateway.name not in self._unregistered

    def down_ms(self, gateway: RoutingGateway, mono_ms: int) -> int | None:
        """Return for how long the gateway has been down; None = it is up."""
        return self._health.down_ms(gateway.name, mono_ms) if self._health else None

    def resting_ms(self, gateway: RoutingGateway, mono_ms: int, payer: str = "") -> int:
        """Return for how much longer every address of the gateway rests, for ``payer`` or all; 0 = one does not."""
        if gateway.name not in self._breakers.resting:
            return 0
        addresses = self._addresses_of(gateway)
        places = (place_of(gateway, each, payer) for each in addresses)
        return min((self._breakers.remaining_ms(each, mono_ms) for each in places), default=0)

    def funded(self, gateway: RoutingGateway) -> bool:
        """Say whether the gateway's account is postpaid or has something left."""
        credit = None if gateway.account is None else self._credits.get(gateway.account)
        if credit is None or credit.limit is None:
            return True
        available = credit.available
        return available is None or available > 0


def _price(rate: AppliedRate | None) -> Rate | None:
    """Return what a rate says of money, whatever it is for."""
    return None if rate is None else msgspec.structs.replace(rate.rate, prefix="", area="", rate_type="")
