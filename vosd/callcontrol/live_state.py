"""Counters and credits that all calls of the switch share."""

from collections.abc import Callable, Collection, Sequence

from vosd.billing.destinations import DestinationUses
from vosd.billing.holds import AccountCredit
from vosd.catalogue.overrides import Blocks
from vosd.routing.access import CountryOf, nowhere
from vosd.routing.breaker import Breakers, place_of
from vosd.routing.capacity import Occupancy
from vosd.routing.dynamic_lists import DynamicLists
from vosd.routing.false_answers import FalseAnswers
from vosd.routing.health import GatewayHealth
from vosd.routing.pools import NumberPool, PoolTurns
from vosd.routing.quality import Quality
from vosd.routing.rest import Rests
from vosd.routing.weights import AddressTurns, Turns
from vosd.stir.replays import Replays
from vosd.trunks.gateways import Address, RoutingGateway

AddressesOf = Callable[[RoutingGateway], Sequence[Address]]
IsLocated = Callable[[RoutingGateway], bool]


def as_configured(gateway: RoutingGateway) -> Sequence[Address]:
    """Return the configured addresses: for gateways without names to resolve."""
    return gateway.addresses


class LiveState:
    """The counters and credits that running calls share; they outlive a reload."""

    def __init__(
        self,
        credits: dict[str, AccountCredit] | None = None,
        addresses_of: AddressesOf = as_configured,
        is_located: IsLocated | None = None,
        entropy: Callable[[], bytes] = bytes,
    ) -> None:
        self.addresses_of = addresses_of
        """Returns the present addresses of a gateway, in order: resolved names, registered contacts."""
        self.is_located: IsLocated = is_located or (lambda gateway: bool(addresses_of(gateway)))
        """Returns whether there is any."""
        self.names_at: Callable[[str], Collection[str]] = lambda _host: ()
        """Returns the configured names of routing gateways that have an address."""
        self.blocks = Blocks()
        self.entropy = entropy
        """Returns random bytes; without an argument there are none, and what is drawn is always zero."""
        self.occupancy = Occupancy()
        self.rests = Rests()
        self.turns = Turns()
        self.quality = Quality()
        self.false_answers = FalseAnswers()
        self.breakers = Breakers()
        self.country_of: CountryOf = nowhere
        self.health = GatewayHealth()
        self.dynamic_lists = DynamicLists()
        self.unregistered: set[str] = set()
        """Routing gateways that require a registration of ours and have none."""
        self.pool_turns = PoolTurns()
        self.address_turns = AddressTurns()
        self.credits = {} if credits is None else credits
        self.is_database_away = False
        self.destinations = DestinationUses()
        self.replays = Replays()

    def open_addresses(
        self, gateway: RoutingGateway, addresses: Sequence[Address], mono_ms: int, *, is_emergency: bool
    ) -> Sequence[Address]:
        """Return those of a gateway's addresses that have not asked for a pause with Retry-After.

        Where all have, an emergency call or message gets all of them (ADR 26).
        """
        if gateway.name not in self.breakers.resting:
            return addresses
        found = [each for each in addresses if not self.breakers.paused_ms(place_of(gateway, each), mono_ms)]
        return found if found or not is_emergency else addresses

    def draw(self, below: int) -> int:
        """Return a random whole number from 0 to ``below`` - 1."""
        return int.from_bytes(self.entropy()) % below

    def take_number(self, pool: NumberPool) -> str | None:
        """Return the number of a pool that the next call shows; None = the pool has none."""
        return self.pool_turns.take(pool, self.draw)
