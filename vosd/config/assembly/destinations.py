"""Classes of destinations and limits of their use: from keys to the definitions of the catalogue."""

from typing import Final

from vosd.billing.destinations import DestinationClass, DestinationLimit
from vosd.catalogue.problems import ProblemList, SourceLine
from vosd.config.assembly.conversion import full_conversion
from vosd.config.assembly.inventory import read_list
from vosd.config.keys.destinations import DestinationClassKeys, DestinationLimitKeys
from vosd.config.reader.document import Section

DESTINATION_CLASSES: Final = "destination_classes"
_CLASS: Final = full_conversion(DestinationClassKeys, DestinationClass)
destination_limit: Final = full_conversion(DestinationLimitKeys, DestinationLimit)


def read_destination_classes(document: Section, problems: ProblemList) -> tuple[DestinationClass, ...]:
    """Take the classes out of the document; a prefix that two classes have is reported."""
    inventory = read_list(document, DESTINATION_CLASSES, DestinationClassKeys, problems)
    places: dict[str, tuple[str, SourceLine]] = {}
    for name, written in inventory.written.items():
        for prefix in written.thing.prefixes:
            other, place = places.setdefault(prefix, (name, written.section.place))
            if other != name:
                expected = f"each prefix in one class; {other!r} ({place}) has it as well"
                problems.error(written.section.place, f"{DESTINATION_CLASSES}[{name}].prefixes", expected, prefix)
    return tuple(_CLASS(written.thing) for written in inventory.written.values())
