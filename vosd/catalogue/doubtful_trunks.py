"""Trunks that are right key by key and doubtful as a whole: who may call, at whose cost, to which numbers, and when."""

from collections.abc import Iterable, Mapping
from ipaddress import IPV4LENGTH, IPV6LENGTH
from typing import Any, Final

from vosd.base.networks import bits_of
from vosd.base.number import without_separators
from vosd.billing.accounts import Account, AccountType
from vosd.catalogue.problems import ProblemList
from vosd.catalogue.source import Definition
from vosd.routing.number_rules import LIST
from vosd.routing.patterns import has_separators
from vosd.trunks.gateways import MappingGateway, RoutingGateway
from vosd.trunks.number_rules import IncomingNumbers, OutgoingNumbers

_HOST_BITS: Final = {4: 24, 6: 112}
"""By version of IP: networks with more bits for hosts are a good part of the internet."""
_ALL_BITS: Final = {4: IPV4LENGTH, 6: IPV6LENGTH}
_SHORT_DIGITS: Final = range(4, 7)
"""Digits of what is probably the begin of a number: services have three or fewer, subscribers seven or more."""


def check_sources(gateway: MappingGateway, definition: Definition[Any], problems: ProblemList) -> None:
    """Report hosts by which the whole internet may call, and warn of a good part of it."""
    if gateway.credentials is not None:
        return
    for pattern in gateway.hosts:
        network = pattern.network
        bits = bits_of(network)  # an IPv4-mapped one matches IPv4 addresses
        if bits.host_bits == _ALL_BITS[bits.version]:
            expected = (
                "addresses of the customer, or auth with username and password: by all addresses without a password "
                "any host of the internet may call at the cost of this account"
            )
            problems.error(*definition.at("hosts"), expected, str(network))
        elif bits.host_bits > _HOST_BITS[bits.version]:
            expected = "narrower hosts, or auth: each host in this network may call at the cost of this account"
            problems.warning(*definition.at("hosts"), expected, str(network))


def warn_of_unlimited(
    gateway: MappingGateway, definition: Definition[Any], accounts: Mapping[str, Account], problems: ProblemList
) -> None:
    """Warn of callers whose calls a vendor's account without limit pays for."""
    account = accounts.get(gateway.account)
    if account is not None and account.type is AccountType.CLEARING and account.overdraft_limit is None:
        expected = (
            "an account of type direct, or of type partner for a carrier that is both, or an overdraft_limit: this one "
            "is of type clearing with overdraft_limit: unlimited, and no call is ever refused for want of money"
        )
        problems.warning(*definition.at("account"), expected, account.id)


def check_denied(gateway: MappingGateway, definition: Definition[Any], problems: ProblemList) -> None:
    """Warn of short numbers that are meant as prefixes: without a star only that very number is denied."""
    numbers = gateway.numbers
    if numbers is None:
        return
    warn_of_separators(numbers, definition, problems)
    for key, patterns in (("callee_deny", numbers.callee_deny), ("callee_allow", numbers.callee_allow)):
        for each in patterns:
            if not each.startswith(LIST) and each.isdigit() and len(each) in _SHORT_DIGITS:
                expected = f"{each}* for all numbers that begin with it; {each} is this number alone"
                problems.warning(*definition.at(key), expected, each)


def warn_of_separators(
    numbers: IncomingNumbers | OutgoingNumbers, definition: Definition[Any], problems: ProblemList
) -> None:
    """Warn of patterns that fit no number, for they have visual separators: what they deny is let through."""
    patterns = {"caller_allow": numbers.caller_allow, "caller_deny": numbers.caller_deny}
    if isinstance(numbers, IncomingNumbers):
        patterns |= {"callee_allow": numbers.callee_allow, "callee_deny": numbers.callee_deny}
    for key, entries in patterns.items():
        for each in filter(has_separators, entries):
            problems.warning(*definition.at(key), bare_number(each), each)


def bare_number(pattern: str) -> str:
    """Return what is expected in place of a number with visual separators."""
    return f"{without_separators(pattern)}: numbers are compared without separators, and {pattern} fits names alone"


def warn_of_late_protection(
    gateway: RoutingGateway, definition: Definition[Any], search_ms: Iterable[int], problems: ProblemList
) -> None:
    """Warn of a protected gateway that joins when no search goes on any more; ``search_ms`` are the times of plans."""
    longest_ms = max(search_ms)
    if gateway.protect_ms is not None and gateway.protect_ms >= longest_ms:
        expected = f"less than the search_seconds of routing plans, {longest_ms // 1_000}: no attempt begins later"
        problems.warning(*definition.at("protect"), expected)
