"""Rules for numbers: the lists and pools that trunks and phones name are found, and the rules of each made once."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from vosd.billing.accounts import Account
from vosd.catalogue.problems import ProblemList
from vosd.catalogue.source import CatalogueSource, Definition
from vosd.routing.number_lists import NumberList
from vosd.routing.number_rules import LIST, IncomingRules, OutgoingRules
from vosd.routing.pools import NumberPool
from vosd.routing.sections import NumberSection
from vosd.trunks.gateways import MappingGateway
from vosd.trunks.number_rules import IncomingNumbers, OutgoingNumbers


class NumberRules(NamedTuple):
    """Number lists, pools and rules of a catalogue."""

    lists: Mapping[str, NumberList]
    pools: Mapping[str, NumberPool]
    incoming: Mapping[str, IncomingRules]
    outgoing: Mapping[str, OutgoingRules]


def number_rules(
    callers: Iterable[tuple[MappingGateway, Definition[object]]], source: CatalogueSource, problems: ProblemList
) -> tuple[NumberRules, dict[IncomingNumbers, IncomingRules]]:
    """Make the rules of all trunks and phones; a list or pool that does not exist is reported, and has no effect.

    Trunks with equal rules, such as those of one template, share them; these are returned, too.
    """
    lists, pools = source.number_lists.values(), source.number_pools.values()
    shared: dict[IncomingNumbers, IncomingRules] = {}
    incoming = incoming_rules(callers, lists, pools, shared, source, problems)
    outgoing = {}
    for name, vendor in source.routing_gateways.sound.items():
        numbers = vendor.value.numbers
        if numbers is not None and _is_sound(numbers, vendor, source, problems):
            outgoing[name] = OutgoingRules(numbers, lists, pools)
    return NumberRules(lists, pools, incoming, outgoing), shared


def incoming_rules(
    callers: Iterable[tuple[MappingGateway, Definition[object]]],
    lists: Mapping[str, NumberList],
    pools: Mapping[str, NumberPool],
    shared: dict[IncomingNumbers, IncomingRules],
    source: CatalogueSource,
    problems: ProblemList,
) -> dict[str, IncomingRules]:
    """Make the rules of mapping gateways and phones as ``number_rules`` does; ``shared`` are those made before."""
    found: dict[str, IncomingRules] = {}
    for gateway, definition in callers:
        if gateway.numbers is not None and _is_sound(gateway.numbers, definition, source, problems):
            rules = shared.get(gateway.numbers)
            if rules is None:
                rules = shared[gateway.numbers] = IncomingRules(gateway.numbers, lists, pools)
            found[gateway.name] = rules
    return found


def sections_of(
    accounts: Iterable[Account], agents: Mapping[str, Sequence[Account]]
) -> dict[str, tuple[NumberSection, ...]]:
    """Return the number sections that hold for each account: its own, and those of the agents above it."""
    made: dict[str, NumberSection] = {}

    def section(account: Account) -> NumberSection:
        if account.id not in made:
            made[account.id] = NumberSection(account.allowed_prefixes, account.denied_prefixes, account.id)
        return made[account.id]

    found: dict[str, tuple[NumberSection, ...]] = {}
    for account in accounts:
        above = agents.get(account.id, ())
        if not (above or account.allowed_prefixes or account.denied_prefixes):
            continue
        chain = (account, *above)
        limited = tuple(section(each) for each in chain if each.allowed_prefixes or each.denied_prefixes)
        if limited:
            found[account.id] = limited
    return found


def _is_sound(
    numbers: IncomingNumbers | OutgoingNumbers,
    definition: Definition[object],
    source: CatalogueSource,
    problems: ProblemList,
) -> bool:
    """Return whether the lists and the pool exist; report those that do not."""
    found: list[Definition[NumberList] | Definition[NumberPool] | None] = []
    named = {"caller_allow": numbers.caller_allow, "caller_deny": numbers.caller_deny}
    if isinstance(numbers, IncomingNumbers):
        named |= {"callee_allow": numbers.callee_allow, "callee_deny": numbers.callee_deny}
    for key, entries in named.items():
        names = (entry.removeprefix(LIST) for entry in entries if entry.startswith(LIST))
        found += [source.number_lists.find(name, definition, key, problems) for name in names]
    if numbers.caller_pool is not None:
        found.append(source.number_pools.find(numbers.caller_pool, definition, "caller_pool", problems))
    return None not in found
