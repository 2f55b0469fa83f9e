"""Rate groups whose rates are derived from those of another group: bases found, tables put over them."""

from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from vosd.billing.derived_rates import Derivation, DerivedTable
from vosd.billing.named_areas import BY_NUMBER
from vosd.catalogue.problems import ProblemList
from vosd.catalogue.source import report_unknown
from vosd.catalogue.versions import version_of
from vosd.config.assembly.conversion import full_conversion
from vosd.config.assembly.inventory import Inventory
from vosd.config.assembly.named_groups import named_table
from vosd.config.assembly.rate_groups import PlacedRate, PlacedRates, ReadGroup, group_of
from vosd.config.keys.rate_groups import DeriveKeys

_DERIVATION: Final = full_conversion(DeriveKeys, Derivation, elsewhere={"base": "the group that is derived from"})


def derive_groups(groups: Inventory[ReadGroup], problems: ProblemList) -> None:
    """Give each group that says ``derive`` the rates of its base beside its own."""
    read = {name: written.thing for name, written in groups.written.items()}
    for name, written in groups.written.items():
        keys = written.thing.derive
        if keys is None or keys.base is None:
            continue
        base = read.get(keys.base)
        section, label = written.inner("derive")
        place, key = section.place_of("from"), f"{label}.from"
        if base is None:
            if keys.base not in groups.broken:
                report_unknown(
                    "rate group", keys.base, [*groups.written], written.defines(None), "derive.from", problems
                )
        elif base.derive is not None:
            problems.error(place, key, "a rate group that is not derived itself", keys.base)
        elif base.group.currency != written.thing.group.currency:
            expected = f"a rate group in {written.thing.group.currency}, the currency of this one"
            problems.error(place, key, expected, keys.base)
        else:
            groups.written[name] = replace(written, thing=derived_group(written.thing, base, keys))


def derived_group(read: ReadGroup, base: ReadGroup, keys: DeriveKeys) -> ReadGroup:
    """Return a rate group with the rates of its base, derived, beside its own."""
    group, derivation = read.group, _DERIVATION(keys)
    rates = base.group.table if read.names is None else named_table(base.group.table, read.names)
    version = version_of(rates.version, derivation, group.table.version)
    if BY_NUMBER in rates.version + group.table.version:
        version += BY_NUMBER
    table = DerivedTable(rates, derivation, group.table, version)
    derived = group_of(group.name, group.currency, group.policy, table, group.period_rates, group.origins)
    return ReadGroup(derived, _DerivedRates(read.rates, base.rates, derivation), keys)


class _DerivedRates:
    """Own rates of a group and those derived from its base (implements ``PlacedRates``).

    The report on rounding is about the own ones: those of the base are reported with it.
    """

    def __init__(self, own: PlacedRates, base: PlacedRates, derivation: Derivation) -> None:
        self._own = own
        self._base = base
        self._derivation = derivation

    @property
    def reported(self) -> int | None:
        return self._own.reported

    def to_report(self) -> Iterable[PlacedRate]:
        return self._own.to_report()

    def large(self) -> Iterable[PlacedRate]:
        return (*self._own.large(), *self._derived(self._base.large()))

    def every(self) -> Iterable[PlacedRate]:
        yield from self._own.every()
        yield from self._derived(self._base.every())

    def _derived(self, rates: Iterable[PlacedRate]) -> Iterable[PlacedRate]:
        return (PlacedRate(self._derivation.rate(rate), place) for rate, place in rates)
