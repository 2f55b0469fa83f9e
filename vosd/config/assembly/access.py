"""Rules of ``access``: from keys to rules, and what does not fit together or denies trunks of the installation."""

from itertools import islice
from typing import Any, Final

from vosd.catalogue.problems import ProblemList
from vosd.catalogue.source import CatalogueSource, Definition, Origin
from vosd.config.assembly.conversion import full_conversion
from vosd.config.assembly.remembered import ReadItems
from vosd.config.keys.access import AccessKeys, AccessRuleKeys
from vosd.engine.peers.countries import CountryFileError, read_countries
from vosd.routing.access import NO_RULES, AccessAction, AccessRule, AccessRules, CountryOf, nowhere
from vosd.trunks.media import MediaEngine
from vosd.trunks.phone import Phone

LOOKED_AT_MAX: Final = 5_000
"""Trunks whose addresses are compared with the rules: 100,000 would take half a second of each reload."""

_RULE: Final = full_conversion(AccessRuleKeys, AccessRule)
_RULES: Final = full_conversion(
    AccessKeys, AccessRules, by_hand={"rules": "rules"}, elsewhere={"database": "the settings, which name the file"}
)
_DATABASE: Final = "access.database"


def access_rules(keys: AccessKeys) -> AccessRules:
    """Return the rules of the installation."""
    rules = _RULES(keys, rules=tuple(map(_RULE, keys.rules)))
    return NO_RULES if rules == NO_RULES else rules


def check_access(
    keys: AccessKeys,
    engine: MediaEngine,
    source: CatalogueSource,
    items: ReadItems,
    origin: Origin,
    problems: ProblemList,
) -> None:
    """Report a file of countries that cannot be used, countries without such a file, and trunks that are denied.

    ``items`` has the long lists of ``source``.
    """
    country_of: CountryOf = nowhere
    if keys.database is not None:
        try:
            country_of = read_countries(keys.database)
        except CountryFileError as error:
            problems.error(origin.place_of(_DATABASE), _DATABASE, error.expected, str(keys.database))
            return
    else:
        for definition in _with_countries(items):
            problems.error(*definition.at("countries"), "access.database as well: it has the countries of addresses")
    rules = access_rules(keys)
    if engine is not MediaEngine.RELAY and rules.needs_relay:
        expected = "media.engine relay as well: nothing else decides where media are taken from"
        problems.warning(origin.place_of("access.rules"), "access.rules", expected)
    if rules.judges_signalling:
        _warn_of_denied(rules, country_of, source, problems)


def _has_countries(definition: Definition[Any]) -> bool:
    return bool(definition.value.countries)


def _phone_has_countries(definition: Definition[Phone]) -> bool:
    return bool(definition.value.gateway.countries)


def _with_countries(items: ReadItems) -> list[Definition[Any]]:
    return [
        *items.chosen("mapping_gateways", _has_countries),
        *items.chosen("phones", _phone_has_countries),
        *items.chosen("accounts", _has_countries),
    ]


def _warn_of_denied(rules: AccessRules, country_of: CountryOf, source: CatalogueSource, problems: ProblemList) -> None:
    """Warn of trunks whose requests are refused for where they come from: they pass by no rule of their own."""
    for definition in islice(source.mapping_gateways.sound.values(), LOOKED_AT_MAX):
        for pattern in definition.value.hosts:
            decision = rules.signalling(str(pattern.network.network_address), country_of)
            if decision.action is not AccessAction.ALLOW:
                expected = f"addresses that may call, or the network in access.allow: {decision.why}"
                problems.warning(*definition.at("hosts"), expected, str(pattern.network))
