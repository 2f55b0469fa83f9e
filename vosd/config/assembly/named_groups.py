"""Rate groups whose rates have the areas of another group where they have none."""

from typing import Final

from msgspec.structs import replace

from vosd.billing.named_areas import BY_NUMBER, NamedTable
from vosd.billing.ports import RateTable
from vosd.catalogue.problems import ProblemList
from vosd.catalogue.source import report_unknown
from vosd.catalogue.versions import version_of
from vosd.config.assembly.inventory import Inventory
from vosd.config.assembly.rate_groups import ReadGroup, group_of

_KEY: Final = "area_names"


def name_groups(groups: Inventory[ReadGroup], problems: ProblemList) -> None:
    """Give the rates of each group that says ``area_names`` the areas of that group, where they have none."""
    read = {name: written.thing for name, written in groups.written.items()}
    for name, written in groups.written.items():
        wanted = written.thing.area_names
        if wanted is None:
            continue
        names = read.get(wanted)
        if names is None:
            if wanted not in groups.broken:
                report_unknown("rate group", wanted, [*groups.written], written.defines(None), _KEY, problems)
        elif names.derive is not None:
            place, key = written.section.place_of(_KEY), f"{written.label}.{_KEY}"
            problems.error(place, key, "a rate group that is not derived itself", wanted)
        else:
            groups.written[name] = replace(written, thing=named_group(written.thing, names.group.table))


def named_group(read: ReadGroup, names: RateTable) -> ReadGroup:
    """Return a rate group whose own rates have the areas of a table where they have none."""
    group = read.group
    table = named_table(group.table, names)
    named = group_of(group.name, group.currency, group.policy, table, group.period_rates, group.origins)
    return read._replace(group=named, names=names)


def named_table(rates: RateTable, names: RateTable) -> NamedTable:
    """Return rates with the areas of a table where they have none."""
    return NamedTable(rates, names, version_of(_KEY, rates.version, names.version) + BY_NUMBER)
