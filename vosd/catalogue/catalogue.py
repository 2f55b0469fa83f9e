"""Immutable snapshot of everything a call is decided by; a reload replaces the whole (ADR 8)."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from vosd.base.parts import in_parts
from vosd.billing.accounts import Account
from vosd.billing.currencies import Currencies
from vosd.billing.destinations import Destinations
from vosd.billing.period_rates import PeriodRates
from vosd.billing.ports import Rates
from vosd.billing.rate_group import RateGroup
from vosd.billing.typical import TypicalPrices
from vosd.catalogue.mailboxes import MailboxIndex
from vosd.catalogue.parameters import CallParameters
from vosd.catalogue.users import UserSources
from vosd.routing.calendar import Calendar
from vosd.routing.identify import SourceIndex
from vosd.routing.number_lists import NumberList
from vosd.routing.number_rules import IncomingRules, OutgoingRules
from vosd.routing.pools import NumberPool
from vosd.routing.route_table import RouteTable
from vosd.routing.sections import NumberSection
from vosd.trunks.dids import DidTable
from vosd.trunks.gateways import MappingGateway, RoutingGateway
from vosd.trunks.groups import GatewayGroup
from vosd.trunks.phone import Phone


class RegistrationChanges(NamedTuple):
    """Users whose registrations may end: a user is a phone or gateway that may register, or might before."""

    names: Mapping[str, None]
    """All of the following, in order."""
    gone: Set[str]
    """Users that are no longer configured, or are of another kind."""
    other_credentials: Set[str]
    other_hosts: Set[str]
    other_countries: Set[str]


class UserChanges(NamedTuple):
    """Differences from an earlier catalogue in what registrations, authentications and messages go by."""

    registrations: RegistrationChanges
    ended_logins: Set[tuple[str, str]]
    """Domains and user names that were those of a user, and are not any more."""
    other_certificates: Set[str]
    """Mapping gateways with other names of certificates."""
    with_messages: Set[str]
    """Mapping gateways and phones that may send messages, and might not before."""
    without_messages: Set[str]


NO_USER_CHANGES: Final = UserChanges(
    RegistrationChanges({}, frozenset(), frozenset(), frozenset(), frozenset()),
    frozenset(), frozenset(), frozenset(), frozenset(),
)  # fmt: skip


class Changes(NamedTuple):
    """Parts of a catalogue that may differ from an earlier one, by name: they are new, have changed or are gone."""

    since: str
    """Version of the earlier one."""
    accounts: Set[str]
    mapping_gateways: Set[str]
    """Customers' trunks, and phones by their calling halves."""
    phones: Set[str] = frozenset()
    routing_gateways: Set[str] = frozenset()
    is_whole: bool = False
    """Whether the catalogue was put together as a whole: all else may differ, too, and not only rates."""
    users: UserChanges | None = None
    """None = not compared yet (``user_changes``)."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Desired state, validated and indexed."""

    version: str
    """Digest of the content: equal content, equal version."""
    accounts: Mapping[str, Account]
    rate_groups: Mapping[str, RateGroup]
    mapping_gateways: Mapping[str, MappingGateway]
    """Customers' trunks, and the calling halves of phones."""
    routing_gateways: Mapping[str, RoutingGateway]
    sources: SourceIndex
    routes: RouteTable
    parameters: CallParameters
    phones: Mapping[str, Phone] = field(default_factory=dict)
    """By number."""
    mailboxes: MailboxIndex = field(default_factory=dict)
    calendars: Mapping[str, Calendar] = field(default_factory=dict)
    """By name; empty where calendars are switched off: then what is bound to one counts as bound to none."""
    dids: DidTable | None = field(default=None, compare=False)
    """Finds the entry of a called number in the inventory; None = there is no inventory."""
    called_trunks: Mapping[str, RoutingGateway] = field(default_factory=dict)
    """Called halves of customers' trunks that numbers were given to, by name."""
    gateway_groups: Mapping[str, GatewayGroup] = field(default_factory=dict)
    plans: Mapping[str, RouteTable] = field(default_factory=dict)
    """Route tables of calls with a routing plan, by name of the plan."""
    users: Mapping[str, MappingGateway] = field(default_factory=dict)
    """Phones and trunks with credentials in the switch's own realm, by user name."""
    domains: Mapping[str, Mapping[str, MappingGateway]] = field(default_factory=dict)
    """Phones and trunks with credentials in a domain of their own, which is the realm, by domain and user name."""
    user_sources: UserSources | None = field(default=None, compare=False)
    """Finds the phones that may be at an address; None = some phone or trunk with credentials may be anywhere. Trunks
    are in ``sources``."""
    overridden: Mapping[str, MappingGateway] = field(default_factory=dict)
    """Mapping gateways and phones with overridden limits; ``sources`` and ``users`` have them as configured."""

    number_lists: Mapping[str, NumberList] = field(default_factory=dict)
    number_pools: Mapping[str, NumberPool] = field(default_factory=dict)
    incoming: Mapping[str, IncomingRules] = field(default_factory=dict)
    """Rules for numbers of mapping gateways and phones, by name; those without rules are left out."""
    outgoing: Mapping[str, OutgoingRules] = field(default_factory=dict)
    """Rules for numbers of routing gateways, likewise."""
    sections: Mapping[str, tuple[NumberSection, ...]] = field(default_factory=dict)
    """By account, its number section and those above it; accounts that may call every number are left out."""

    period_rates: Mapping[str, PeriodRates] = field(default_factory=dict)
    """By name, also where they are switched off."""
    customer_rates: Mapping[str, Rates] = field(default_factory=dict)
    """The rates of mapping gateways and phones whose calls more than one rate group may price, by name."""
    account_rates: Mapping[str, Rates] = field(default_factory=dict)
    """The rates of such accounts, by id."""
    vendor_rates: Mapping[str, Rates] = field(default_factory=dict)
    """The buy rates of routing gateways that have others than the rate group of their account, by name."""
    currencies: Currencies = field(default_factory=Currencies)
    """Rates of exchange."""
    destinations: Destinations = field(default_factory=Destinations)
    """Finds the class of a called number."""
    agents: Mapping[str, tuple[Account, ...]] = field(default_factory=dict)
    """By account, the agents above it, its own first; accounts without any are left out."""

    limits_codecs: bool = field(default=False, compare=False)
    """Whether a trunk may not use all codecs, or one that is gone might not."""
    typical_prices: TypicalPrices = field(default_factory=TypicalPrices, compare=False)
    """Prices of rates for calls of usual length."""
    changes: Changes | None = field(default=None, compare=False)
    """Differences from the catalogue that it was made of or compared with; None = there is none."""

    def changes_since(self, earlier: "Catalogue") -> Changes:
        """Return the differences from an earlier catalogue; of one that it was not made of, all objects are compared.

        To compare 100,000 accounts and 50,000 phones takes 50 ms.
        """
        changes = self.changes
        if changes is not None and changes.since == earlier.version:
            return changes
        return Changes(
            earlier.version,
            _differing(earlier.accounts, self.accounts),
            _differing(earlier.mapping_gateways, self.mapping_gateways),
            _differing(earlier.phones, self.phones),
            _differing(earlier.routing_gateways, self.routing_gateways),
            is_whole=True,
        )

    def rates_of(self, account: Account) -> Rates | None:
        """Return the rates of an account by itself, whatever its gateways have; None = it has none.

        Agents are billed by them, and customers and vendors whose gateways have no rates of their own.
        """
        rates = self.account_rates.get(account.id)
        if rates is None and account.rate_group is not None:
            rates = self.rate_groups.get(account.rate_group)
        return rates

    @property
    def has_users(self) -> bool:
        """Whether any phone or trunk has credentials."""
        return bool(self.users or self.domains)

    def may_have_user_at(self, host: str, port: int) -> bool:
        """Return whether a phone or trunk with credentials may send from an address, as far as ``hosts`` say.

        Raises:
            ValueError: ``host`` is not an IP address.
        """
        own = self.user_sources
        return own is None or self.sources.knows(host, port) or own.knows(host, port)

    def users_in(self, domain: str) -> Mapping[str, MappingGateway]:
        """Return the phones and trunks with credentials in a domain, by user name; empty = the switch's own realm."""
        return self.domains.get(domain, {}) if domain else self.users

    def all_users(self) -> Iterator[tuple[str, MappingGateway]]:
        """Yield all phones and trunks with credentials, with their user names."""
        yield from self.users.items()
        for users in self.domains.values():
            yield from users.items()


def _differing(before: Mapping[str, object], now: Mapping[str, object]) -> Set[str]:
    """Return the names of the objects that are in one of two mappings, or differ; a reload keeps most objects."""
    found: set[str] = set()
    if before is now:
        return found
    for part in in_parts(now.items()):
        others = [(name, each) for name, each in part if before.get(name) is not each]
        found.update(name for name, each in others if before.get(name) != each)
    for names in in_parts(before):
        found.update(name for name in names if name not in now)
    return found
