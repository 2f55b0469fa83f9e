"""Source of the catalogue: typed definitions that know where they are written, in a file or in the database.

The values are those of the catalogue, with two exceptions that depend on other definitions and are settled in
``assemble.py``: ``CURRENCY_OF_RATE_GROUP`` and ``PREFIXES_FROM_RATES``.
"""

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, Protocol, TypeVar

from msgspec import Struct

from vosd.billing.accounts import Account
from vosd.billing.exchange import ExchangeRate
from vosd.billing.period_rates import PeriodRates
from vosd.billing.rate_group import RateGroup
from vosd.catalogue.problems import ProblemList, SourceLine, suggestion
from vosd.routing.calendar import Calendar
from vosd.routing.number_lists import NumberList
from vosd.routing.plan import RoutingPlan
from vosd.routing.pools import NumberPool
from vosd.trunks.dids import Did
from vosd.trunks.gateways import MappingGateway, RoutingGateway
from vosd.trunks.groups import AddressGroup, GatewayGroup
from vosd.trunks.phone import Phone

if TYPE_CHECKING:
    from vosd.catalogue.parameters import CallParameters

DEFAULT_CURRENCY: Final = "USD"
"""Currency of rate groups, and of accounts without rate group, that state none."""
CURRENCY_OF_RATE_GROUP: Final = ""
"""Currency of an account that states none: its rate group's, else ``DEFAULT_CURRENCY``."""
CHANGING: Final = ("accounts", "mapping_gateways", "routing_gateways", "phones")
"""Fields with definitions that are compared one by one with those of the last catalogue (ADR 60)."""
PREFIXES_FROM_RATES: Final = ("from_rates",)
"""Prefixes of a routing gateway that takes those of its buy rates."""

Thing = TypeVar("Thing")
Thing_co = TypeVar("Thing_co", covariant=True)


class Origin(Protocol):
    """Place where a definition is written."""

    @property
    def place(self) -> SourceLine:
        """The place of the definition as a whole."""

    def place_of(self, key: str) -> SourceLine:
        """Return the place of one of its keys, or of the whole where that key is not written."""


class WholeOrigin:
    """A place without lines, such as an object of the database: its keys have no places of their own."""

    __slots__ = ("place",)

    def __init__(self, place: SourceLine) -> None:
        self.place = place

    def place_of(self, _key: str) -> SourceLine:
        """Return the place of the whole."""
        return self.place


class Definition(Struct, Generic[Thing_co], frozen=True):
    """One object of a source."""

    value: Thing_co
    label: str
    """Name in messages, such as ``accounts[acme]``; empty for the source as a whole."""
    origin: Origin

    def at(self, key: str) -> tuple[SourceLine, str]:
        """Return the place of a key, and what messages call that key."""
        return self.origin.place_of(key), f"{self.label}.{key}" if self.label else key


class SourceDifference(NamedTuple):
    """Differences of the definitions of one kind from those of the last catalogue."""

    read: Mapping[str, Definition[Any]]
    """Definitions that were read anew, by name: new, other or equal to what it was."""
    gone: Set[str]
    """Names that are there no more."""
    keeps_order: bool
    """Whether the names are the same, in the same order."""
    order: Callable[[], Sequence[str]]
    """Returns all names in the order of the source."""


NO_CHANGE: Final = SourceDifference({}, frozenset(), True, tuple)


class References(NamedTuple):
    """The objects that a definition with mistakes refers to, as far as they could be read."""

    account: str | None = None
    rate_group: str | None = None


@dataclass(frozen=True, slots=True)
class Definitions(Generic[Thing]):
    """The definitions of one kind, by name."""

    kind: str
    """Name of the kind in messages, such as ``account``."""
    sound: Mapping[str, Definition[Thing]] = field(default_factory=dict)
    broken: dict[str, Definition[References]] = field(default_factory=dict)
    """Definitions with mistakes that are reported already. A reference to one of them is no further mistake."""
    change: SourceDifference | None = None
    """Differences of ``sound`` from that of the last catalogue, in any order then; None = they are not compared."""

    def add(self, name: str, definition: Definition[Thing]) -> None:
        """Add a sound definition to a source that is being read."""
        assert isinstance(self.sound, dict), "those of a load by difference are complete"
        self.sound[name] = definition

    def in_order(self) -> "Definitions[Thing]":
        """Return the same definitions in the order of the source."""
        if self.change is None or self.change is NO_CHANGE:
            return self
        sound = {name: self.sound[name] for name in self.change.order()}
        return replace(self, sound=sound, change=None)

    def values(self) -> dict[str, Thing]:
        """Return the sound objects by name, in the order of the source."""
        return {name: each.value for name, each in self.sound.items()}

    def find(
        self, name: str, named_by: Definition[object], key: str, problems: ProblemList
    ) -> Definition[Thing] | None:
        """Return the definition that ``key`` of another one refers to; report a name that does not exist."""
        found = self.sound.get(name)
        if found is None and name not in self.broken:
            report_unknown(self.kind, name, [*self.sound, *self.broken], named_by, key, problems)
        return found


@dataclass(frozen=True, slots=True)
class CatalogueSource:
    """Everything that is defined."""

    accounts: Definitions[Account] = field(default_factory=lambda: Definitions("account"))
    rate_groups: Definitions[RateGroup] = field(default_factory=lambda: Definitions("rate group"))
    mapping_gateways: Definitions[MappingGateway] = field(default_factory=lambda: Definitions("mapping gateway"))
    routing_gateways: Definitions[RoutingGateway] = field(default_factory=lambda: Definitions("routing gateway"))
    phones: Definitions[Phone] = field(default_factory=lambda: Definitions("phone"))
    number_lists: Definitions[NumberList] = field(default_factory=lambda: Definitions("number list"))
    number_pools: Definitions[NumberPool] = field(default_factory=lambda: Definitions("number pool"))
    dids: Definitions[Did] = field(default_factory=lambda: Definitions("number of the inventory"))
    address_groups: Definitions[AddressGroup] = field(default_factory=lambda: Definitions("address group"))
    gateway_groups: Definitions[GatewayGroup] = field(default_factory=lambda: Definitions("gateway group"))
    calendars: Definitions[Calendar] = field(default_factory=lambda: Definitions("calendar"))
    routing_plans: Definitions[RoutingPlan] = field(default_factory=lambda: Definitions("routing plan"))
    period_rates: Definitions[PeriodRates] = field(default_factory=lambda: Definitions("period rates"))
    exchange_rates: Definitions[ExchangeRate] = field(default_factory=lambda: Definitions("exchange rate"))
    """By ``exchange_name``."""
    parameters: "Definition[CallParameters] | None" = None
    """Settings for every call."""
    offline_gateway: Definition[str] | None = None
    """Name of the routing gateway that takes the calls to unregistered phones that name none themselves."""


def exchange_name(rate: ExchangeRate) -> str:
    """Return what messages call an exchange rate; no two have the same pair and begin at the same moment."""
    since = "" if rate.effective_from is None else f" from {rate.effective_from}"
    return f"{rate.base} to {rate.quote}{since}"


def row_key(index: int) -> str:
    """Return what messages call a line of the ``routes_file`` of a plan, counted from 0 in the order of the file."""
    return f"routes_file[{index}]"


def report_unknown(
    kind: str, name: str, names: Collection[str], named_by: Definition[object], key: str, problems: ProblemList
) -> None:
    """Report that ``key`` of a definition names an object of ``kind`` that does not exist; ``names`` do."""
    near = suggestion(name, names) if names else "there is none yet"
    article = "an" if kind[0] in "aeiou" else "a"
    problems.error(*named_by.at(key), f"the name of {article} {kind}; {near}", name)
