"""The trunks, phones, accounts and logins that calls of an earlier process are continued with, by name."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from vosd.billing.accounts import Account
from vosd.catalogue.catalogue import Catalogue
from vosd.catalogue.parameters import CallParameters
from vosd.sip.dialog.snapshot import AnswersOf
from vosd.sip.digest.answer import Answers
from vosd.trunks.dialect import CallerDialect, Transfers
from vosd.trunks.gateways import MappingGateway, RoutingGateway


class Called(Mapping[str, RoutingGateway]):
    """Destinations of calls: routing gateways, and the called halves of phones, the same that new calls get."""

    def __init__(self, vendors: Mapping[str, RoutingGateway], catalogue: Catalogue) -> None:
        self._vendors = vendors
        self._phones, self._routes = catalogue.phones, catalogue.routes

    def __getitem__(self, name: str) -> RoutingGateway:
        found = self._vendors[name] if name in self._vendors else self._routes.phone(name)
        if found is None:
            raise KeyError(name)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._vendors or name in self._phones

    def __iter__(self) -> Iterator[str]:
        yield from self._vendors
        yield from (name for name in self._phones if name not in self._vendors)

    def __len__(self) -> int:
        return sum(1 for _ in self)


GONE: Final = CallerDialect(transfers=Transfers.REFUSE)
"""A trunk that is not configured any more begins no calls, by transfers neither."""


class KnownObjects(NamedTuple):
    """Objects of a catalogue; ``engine.calls.gone`` adds stand-ins for what has left it."""

    mapping_gateways: Mapping[str, MappingGateway]
    called: Called
    accounts: Mapping[str, Account]
    parameters: CallParameters

    def dialect_of(self, trunk: str) -> CallerDialect:
        """Return how a mapping gateway or phone speaks SIP."""
        return self.mapping_gateways[trunk].dialect if trunk in self.mapping_gateways else GONE

    @classmethod
    def of(cls, catalogue: Catalogue) -> "KnownObjects":
        """Return what a catalogue has."""
        trunks = catalogue.called_trunks
        vendors = {**catalogue.routing_gateways, **trunks} if trunks else catalogue.routing_gateways
        return cls(catalogue.mapping_gateways, Called(vendors, catalogue), catalogue.accounts, catalogue.parameters)


def logins(catalogue: Catalogue) -> AnswersOf:
    """Return a function that maps a gateway's name to the answers to its challenges, for legs of an earlier process.

    It returns None for a gateway without a login.
    """

    def answers_of(gateway: str) -> Answers | None:
        found = catalogue.routing_gateways.get(gateway)
        if found is None or found.login is None:
            return None
        return Answers(found.login, catalogue.parameters.challenges_max, gateway)

    return answers_of
