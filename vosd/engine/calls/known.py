"""The trunks and accounts that calls of an earlier process are continued with, by name."""

from collections.abc import Mapping
from typing import NamedTuple

from vosd.billing.accounts import Account
from vosd.catalogue.catalogue import CallParameters, Catalogue
from vosd.trunks.gateways import MappingGateway, RoutingGateway


class Known(NamedTuple):
    """What a catalogue has; ``engine.calls.gone`` adds stand-ins for what has left it."""

    mapping_gateways: Mapping[str, MappingGateway]
    routing_gateways: Mapping[str, RoutingGateway]
    accounts: Mapping[str, Account]
    parameters: CallParameters

    @classmethod
    def of(cls, catalogue: Catalogue) -> "Known":
        """Return what a catalogue has."""
        return cls(catalogue.mapping_gateways, catalogue.routing_gateways, catalogue.accounts, catalogue.parameters)
