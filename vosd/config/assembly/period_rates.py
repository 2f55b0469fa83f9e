"""Period rates: from keys to the definitions of the catalogue."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from vosd.billing.period_rates import Period, PeriodRates, missing_prefixes
from vosd.billing.ports import RateTable
from vosd.billing.rate_group import RateGroup
from vosd.catalogue.problems import DefinitionProblem, ProblemList, Severity, SourceLine
from vosd.config.assembly.conversion import full_conversion
from vosd.config.assembly.inventory import Inventory, read_list
from vosd.config.assembly.rate_report import RateReport
from vosd.config.keys.period_rates import PeriodKeys, PeriodRatesKeys
from vosd.config.reader.document import Section

PERIOD_RATES: Final = "period_rates"
PREFIXES_SHOWN: Final = 20
_PERIOD: Final = full_conversion(PeriodKeys, Period)
_PERIOD_RATES: Final = full_conversion(PeriodRatesKeys, PeriodRates, by_hand={"periods": "periods"})


def read_period_rates(document: Section, problems: ProblemList) -> Inventory[PeriodRatesKeys]:
    """Take the period rates out of the document."""
    return read_list(document, PERIOD_RATES, PeriodRatesKeys, problems)


def report_coverage(read: Inventory[PeriodRatesKeys], groups: Mapping[str, RateGroup]) -> Iterator[RateReport]:
    """Yield for each period rates what names the prefixes that not all of their rate groups have.

    It goes through all rates, so it is called for ``vosd check`` alone.
    """
    for written in read.written.values():
        names = dict.fromkeys(each.rate_group for each in written.thing.periods if each.rate_group is not None)
        tables = tuple(groups[name].table for name in names if name in groups)
        if len(tables) > 1:
            yield partial(_uncovered, written.section.place, written.label, ", ".join(names), tables)


def _uncovered(place: SourceLine, label: str, names: str, tables: Sequence[RateTable]) -> Iterator[DefinitionProblem]:
    prefixes, number = missing_prefixes(tables, PREFIXES_SHOWN)
    if not number:
        return
    shown = ", ".join(prefixes) + (", and others" if number > len(prefixes) else "")
    expected = f"the same prefixes in the rate groups of all periods ({names}); not all have these {number}: {shown}"
    yield DefinitionProblem(place.file, place.line, f"{label}.periods", None, expected, Severity.WARNING)


def period_rates(keys: PeriodRatesKeys) -> PeriodRates:
    """Return period rates; the names in them are checked when the catalogue is built."""
    return _PERIOD_RATES(keys, periods=tuple(map(_PERIOD, keys.periods)))
