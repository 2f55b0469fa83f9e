"""Rules about the origin of calls: networks and countries of addresses, and agents of an account (docs/security.md).

Decides about addresses alone: net and sip decide which messages are judged, and what a refused one gets.
"""

from collections.abc import Callable, Collection
from enum import Enum
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network
from typing import Final, NamedTuple

import msgspec

from vosd.base.host import is_public
from vosd.base.networks import NetworkTable

CountryOf = Callable[[str], str]
"""Returns the ISO 3166 code of the country of an address; empty = it is not known."""


def nowhere(_host: str) -> str:
    """Return that the country of an address is not known."""
    return ""


class AccessAction(Enum):
    """Treatment of an address."""

    ALLOW = "allow"
    IGNORE = "ignore"
    """A request is dropped without an answer, a packet of media as well; a media address is not used."""
    BLOCK = "block"
    """A request or a call is refused with 403; one whose media come from there is ended."""


class AccessScope(Enum):
    """Addresses that a rule judges."""

    SIGNALLING = "signalling"
    SDP = "sdp"
    RTP = "rtp"


class AccessDecision(NamedTuple):
    """Treatment of an address, and the rule that says so, for people."""

    action: AccessAction
    why: str = ""


class AccessRule(msgspec.Struct, frozen=True, dict=True):
    """Treatment of the addresses of some networks and countries."""

    action: AccessAction
    scope: AccessScope = AccessScope.SIGNALLING
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    countries: frozenset[str] = frozenset()

    @cached_property
    def _table(self) -> NetworkTable[None]:
        return NetworkTable((network, None) for network in self.networks)

    def fits(self, host: str, country_of: CountryOf) -> str:
        """Return the network or country by which an address fits; empty if it does not."""
        found = self._table.longest(host)
        if found is not None:
            return str(found[0])
        country = country_of(host) if self.countries else ""
        return country if country in self.countries else ""


ALLOWED: Final = AccessDecision(AccessAction.ALLOW)


class AccessRules(msgspec.Struct, frozen=True, dict=True):
    """The rules of an installation.

    A signalling address is decided by the longest network of ``allow`` and ``deny`` that holds it, else by the first
    rule that fits, else by ``countries``, else it is allowed, unless ``allow`` names those that are. A media address
    is decided by the rules alone.
    """

    allow: tuple[IPv4Network | IPv6Network, ...] = ()
    deny: tuple[IPv4Network | IPv6Network, ...] = ()
    """A network that is in both is denied."""
    countries: frozenset[str] = frozenset()
    """The only countries that requests may come from; empty = any. Addresses that are not public and of no known
    country pass."""
    rules: tuple[AccessRule, ...] = ()

    @cached_property
    def judges_signalling(self) -> bool:
        """Whether any signalling address may be refused."""
        return bool(self.deny or self.allow or self.countries or self._of(AccessScope.SIGNALLING))

    @cached_property
    def may_block(self) -> bool:
        """Whether any request may be refused with an answer."""
        return any(each.action is AccessAction.BLOCK for each in self._of(AccessScope.SIGNALLING))

    @cached_property
    def judges_sdp(self) -> bool:
        """Whether any media address may be refused."""
        return bool(self._of(AccessScope.SDP))

    @cached_property
    def judges_rtp(self) -> bool:
        """Whether any source of media may be refused."""
        return bool(self._of(AccessScope.RTP))

    @cached_property
    def needs_relay(self) -> bool:
        """Whether media addresses may be not used, or sources of media refused."""
        return self.judges_rtp or any(each.action is AccessAction.IGNORE for each in self._of(AccessScope.SDP))

    @cached_property
    def _networks(self) -> NetworkTable[bool]:
        allowed = ((network, True) for network in self.allow)
        return NetworkTable([*allowed, *((network, False) for network in self.deny)])

    def _of(self, scope: AccessScope) -> tuple[AccessRule, ...]:
        return tuple(each for each in self.rules if each.scope is scope)

    def signalling(self, host: str, country_of: CountryOf) -> AccessDecision:
        """Decide about the address that a request comes from; raises ValueError where ``host`` is no IP address."""
        found = self._networks.longest(host)
        if found is not None:
            network, is_allowed = found
            return ALLOWED if is_allowed else AccessDecision(AccessAction.IGNORE, f"access.deny has {network}")
        ruled = self.by_rules(AccessScope.SIGNALLING, host, country_of)
        if ruled is not None:
            return ruled
        if self.countries:
            country = country_of(host)
            if country in self.countries or not (country or is_public(host)):
                return ALLOWED
            where = f"{country}, which access.countries has not" if country else "no country that is known"
            return AccessDecision(AccessAction.IGNORE, f"{host} is of {where}")
        if self.allow:
            return AccessDecision(AccessAction.IGNORE, f"access.allow has no network with {host}")
        return ALLOWED

    def by_rules(self, scope: AccessScope, host: str, country_of: CountryOf) -> AccessDecision | None:
        """Decide about an address by the first rule that fits; None if none does.

        Raises:
            ValueError: ``host`` is no IP address.
        """
        for number, rule in enumerate(self.rules):
            if rule.scope is scope:
                fitting = rule.fits(host, country_of)
                if fitting:
                    return AccessDecision(rule.action, f"access.rules[{number}] has {fitting}")
        return None


NO_RULES: Final = AccessRules()


def country_objection(host: str, countries: Collection[str], country_of: CountryOf) -> str:
    """Return why a user that may come from some countries may not from an address; empty if it may.

    Addresses that are not public are mostly of no country, and pass then.

    Raises:
        ValueError: ``host`` is no IP address.
    """
    country = country_of(host)
    if country in countries or not (country or is_public(host)):
        return ""
    return f"{host} is of {country or 'no country that is known'}, not of {', '.join(sorted(countries))}"


def agent_objection(agent: str, agents: Collection[str]) -> str:
    """Return why a User-Agent is not allowed by parts in lower case, of which it has to contain one; empty if it is."""
    shown = agent.lower()
    if any(each in shown for each in agents):
        return ""
    return f"User-Agent {agent[:100]!r} contains none of {', '.join(sorted(agents))}"
