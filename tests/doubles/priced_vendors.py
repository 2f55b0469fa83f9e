"""Prices of vendors that are doubles: those of the terms that they give."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType

from vosd.routing.ports import CallerAt, PriceOf, VendorTerms
from vosd.trunks.gateways import RoutingGateway


class PricedByTerms:
    """The part of ``routing.ports.Vendors`` that follows from ``terms``."""

    doubted: Mapping[str, str] = MappingProxyType({})

    def terms(self, gateway: RoutingGateway, callee: str, wall_ms: int, caller: str) -> VendorTerms | None:
        raise NotImplementedError

    def costs(
        self,
        gateways: Sequence[RoutingGateway],
        callee: str,
        wall_ms: int,
        caller_at: CallerAt,
        price_of: PriceOf,
        seconds: int,
    ) -> Sequence[Decimal | None]:
        found = [self.terms(gateway, callee, wall_ms, caller_at(gateway)) for gateway in gateways]
        return [None if terms is None else price_of(terms, seconds) for terms in found]
