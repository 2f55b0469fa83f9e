"""The inventory of numbers: what its entries name must exist, and no number stands in two of them."""

from collections.abc import Mapping

from vosd.catalogue.groups import with_groups
from vosd.catalogue.problems import ProblemList
from vosd.catalogue.source import CatalogueSource, Definition, report_unknown
from vosd.trunks.dids import Did, DidTable, OverlapError
from vosd.trunks.gateways import RoutingGateway
from vosd.trunks.phone import called_trunk


def did_table(source: CatalogueSource, problems: ProblemList) -> tuple[DidTable | None, Mapping[str, RoutingGateway]]:
    """Return what finds the entry of a number, and the called halves of the trunks of customers that have numbers."""
    sound = source.dids.sound
    if not sound:
        return None, {}
    trunks: dict[str, RoutingGateway] = {}
    for definition in sound.values():
        _check(definition, source, trunks, problems)
    _warn_of_other_phones(source, problems)
    try:
        return DidTable(each.value for each in sound.values()), trunks
    except OverlapError as error:
        one, other = (sound[name] for name in error.names)
        problems.error(*other.at("number"), f"no number of {one.label} ({one.origin.place})", other.value.number)
        return None, trunks


def _warn_of_other_phones(source: CatalogueSource, problems: ProblemList) -> None:
    """Warn, once for all of them, of numbers that ring a phone of another account, as one that has moved since."""
    phones = source.phones.sound
    found = [
        (definition, key, phone)
        for definition in source.dids.sound.values()
        for key, names in (("phones", definition.value.phones), ("otherwise", definition.value.otherwise))
        for phone in names
        if phone in phones and phones[phone].value.gateway.account != definition.value.account
    ]
    if found:
        definition, key, phone = found[0]
        owner, count = phones[phone].value.gateway.account, len({each[0].label for each in found})
        expected = (
            f"a phone of account {definition.value.account}, this one is of {owner}: numbers that ring phones of other "
            f"accounts than theirs: {count}"
        )
        problems.warning(*definition.at(key), expected, phone)


def _check(
    definition: Definition[Did], source: CatalogueSource, trunks: dict[str, RoutingGateway], problems: ProblemList
) -> None:
    did = definition.value
    if did.account is not None:
        source.accounts.find(did.account, definition, "account", problems)
    if did.calendar is not None:
        source.calendars.find(did.calendar, definition, "calendar", problems)
    for key, phones in (("phones", did.phones), ("otherwise", did.otherwise)):
        for phone in phones:
            source.phones.find(phone, definition, key, problems)
    if did.trunk is None or did.trunk in trunks or did.trunk in source.routing_gateways.sound:
        return
    own = source.mapping_gateways.sound.get(did.trunk)
    if own is not None and own.value.credentials is not None:
        trunks[did.trunk] = called_trunk(with_groups(own.value, source))
    elif own is not None:
        expected = "a mapping gateway with auth, which registers, or a routing gateway"
        problems.error(*definition.at("trunk"), expected, did.trunk)
    elif did.trunk not in source.mapping_gateways.broken and did.trunk not in source.routing_gateways.broken:
        names = [*source.mapping_gateways.sound, *source.routing_gateways.sound]
        report_unknown("trunk", did.trunk, names, definition, "trunk", problems)
