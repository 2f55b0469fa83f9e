"""What phones and trunks share and must not share: names in the records, and user names."""

from collections.abc import Iterable, Mapping
from typing import Any

from vosd.config.inventory import Inventory, Written, place_of
from vosd.config.phones import PhoneKeys
from vosd.config.problems import ProblemList
from vosd.routing.tables import MappingGateway


def check_names(phones: Inventory[PhoneKeys], gateways: Iterable[Inventory[Any]], problems: ProblemList) -> None:
    """Note each phone whose number is the name of a gateway: limits and records know both by that name."""
    for inventory in gateways:
        for number, written in phones.written.items():
            namesake = inventory.written.get(number)
            if namesake is not None:
                expected = f"another number, or another name for the {inventory.kind} at {namesake.section.place}"
                problems.error(place_of(written.section, "number"), f"{written.label}.number", expected, number)


def by_username(
    gateways: Iterable[MappingGateway], written: Mapping[str, Written[object]], problems: ProblemList
) -> Mapping[str, MappingGateway]:
    """Index who proves who it is by user name; of two with the same the later is noted and left out."""
    users: dict[str, MappingGateway] = {}
    for gateway in gateways:
        if gateway.credentials is None:
            continue
        username = gateway.credentials.username
        first = users.setdefault(username, gateway)
        if first is not gateway:
            second = written[gateway.name]
            place = written[first.name].section.place
            expected = f"a username that differs from that of {first.name!r} at {place}"
            problems.error(second.section.place, f"{second.label}.username", expected, username)
    return users
