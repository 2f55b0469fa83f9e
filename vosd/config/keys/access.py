"""``access``: the networks and countries that may call."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated

from vosd.config.reader.addresses import network
from vosd.config.reader.countries import Countries
from vosd.config.reader.fields import ONE_OR_MANY, KeyProblemError, Keys, choice
from vosd.config.reader.files import file_path
from vosd.routing.access import AccessAction, AccessScope

Networks = Annotated[tuple[Annotated[IPv4Network | IPv6Network, network()], ...], ONE_OR_MANY]


class AccessRuleKeys(Keys):
    """Treatment of the addresses of some networks and countries; the first rule that fits holds."""

    action: Annotated[AccessAction, choice(AccessAction)]
    """``allow`` processes a request, ``ignore`` drops it without an answer, ``block`` refuses it with 403. A media
    address with ``ignore`` is not used, which needs a relay, and with ``block`` its call is refused with 403, or ended
    where media come from there."""
    scope: Annotated[AccessScope, choice(AccessScope)] = AccessScope.SIGNALLING
    """``signalling`` judges the address that a request comes from, ``sdp`` those in the session descriptions of
    a caller, ``rtp`` those that relayed media come from."""
    networks: Networks = ()
    """Addresses and networks, one or a list."""
    countries: Countries = frozenset()
    """Countries, one or a list, such as ``[DE, AT]``."""

    def _judge(self) -> None:
        if not self.networks and not self.countries:
            raise KeyProblemError("networks", "networks or countries that the rule is about")


class AccessKeys(Keys):
    """Networks and countries that may call, for the whole switch (docs/security.md). Default: all.

    It decides about requests from outside of calls before they are read; what belongs to running calls passes always.
    The longest network of ``allow`` and ``deny`` that holds an address decides about it, else the first rule that fits,
    else ``countries``. A reload changes all of it.
    """

    allow: Networks = ()
    """Networks that may send requests. If there are any, and no ``countries``, others may not."""
    deny: Networks = ()
    """Networks whose requests are dropped without an answer. The same network in both lists is denied."""
    countries: Countries = frozenset()
    """The only countries, by ISO 3166, from which requests are taken, beside ``allow``. Private addresses pass.
    Default: all. Accounts, trunks and phones may have ``countries`` of their own besides."""
    database: Annotated[Path | None, file_path()] = None
    """File that has the countries of addresses, in the format of MaxMind (``.mmdb``), relative to the file that names
    it. It is read again within ten seconds after it has changed."""
    rules: tuple[AccessRuleKeys, ...] = ()

    def _judge(self) -> None:
        if self.database is None and (self.countries or any(each.countries for each in self.rules)):
            raise KeyProblemError("database", "a file that has the countries of addresses, in the format of MaxMind")
