"""Rate groups: rows read, duplicates reported, rounding settled."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import msgspec

from vosd.base.money import format_amount, unit_of
from vosd.billing.currencies import FeeDecimals
from vosd.billing.origin_rates import RateOrigin
from vosd.billing.ports import RateTable
from vosd.billing.rate_columns import RateColumns
from vosd.billing.rate_file import NotedRate, RateFile
from vosd.billing.rate_group import RateGroup
from vosd.billing.rate_layout import ALWAYS
from vosd.billing.rate_rows import RateRows
from vosd.billing.rates import Rate, RatingPolicy
from vosd.catalogue.problems import ProblemList, SourceLine
from vosd.catalogue.versions import version_of
from vosd.config.assembly.conversion import by_name, full_conversion
from vosd.config.assembly.currencies import NONE, default_decimals
from vosd.config.assembly.rate_files import read_rate_file, report_empty
from vosd.config.keys.parameters import ParameterKeys
from vosd.config.keys.rate_groups import RATES_INLINE_MAX, DeriveKeys, OriginKeys, RateGroupKeys
from vosd.config.keys.rates import PricePer, RateKeys
from vosd.config.reader.document import Entry, Scalar, Section, YamlList
from vosd.config.reader.reading import SectionSource, Source, read_section, validate

BAD_ROWS_SHOWN: Final = 100
"""Rows with mistakes that are named one by one in each rate group; the rest is counted."""


_POLICY: Final = full_conversion(
    RateGroupKeys,
    RatingPolicy,
    renamed={"fee_rounding": "rounding", "fee_nonzero_floor": "nonzero_floor"},
    by_hand={
        "free_time": "free_time_s",
        "hold_time_precision": "hold_time_precision_ms",
        "fee_precision": "fee_precision",
        "fee_unit": "fee_unit",
    },
    elsewhere={
        "notice_days": "imports of decks list increases by it",
        "memo": "vosd rates groups shows it",
        "name": "the group itself",
        "currency": "the group itself",
        "price_per": "its rates",
        "billing_unit": "its rates",
        "period_rates": "the group itself",
        "origins": "the group itself",
        "derive": "the rates of another group (derived_groups.py)",
        "area_names": "the areas of another group (named_groups.py)",
    },
)
_ORIGIN: Final = full_conversion(OriginKeys, RateOrigin)
_RATE: Final = full_conversion(
    RateKeys,
    Rate,
    by_hand={**by_name("billing_cycle first_rate first_duration rate_type"), "interval": "billing_cycle"},
    elsewhere={
        "memo": "nothing: it is a comment",
        "area_prefix": "the area of rates that have none",
        "effective_from": "the table",
        "effective_to": "the table",
    },
)


class PlacedRate(NamedTuple):
    """A rate, and where it is written."""

    rate: Rate
    place: SourceLine


class PlacedRates(Protocol):
    """The rates of a group with their places, for what is to be said of single ones."""

    @property
    def reported(self) -> int | None:
        """The number of problems that the report on rounding has; None = not counted yet."""

    def to_report(self) -> Iterable[PlacedRate]:
        """Return at least the rates that the report on rounding names, in the order of the source."""

    def large(self) -> Iterable[PlacedRate]:
        """Return at least the rates whose price is large, in the order of the source."""

    def every(self) -> Iterable[PlacedRate]:
        """Return all rates, in the order of the source."""


class ReadGroup(NamedTuple):
    """A rate group with the places of its rates."""

    group: RateGroup
    rates: PlacedRates
    derive: DeriveKeys | None = None
    """Base from which the rates are derived; None = the group has only its own rates."""
    area_names: str | None = None
    """The group whose areas its rates have where they have none."""
    names: RateTable | None = None
    """The rates of that group; None = the areas are not given yet."""


class _Rows:
    """Rates that are objects (implements ``PlacedRates``)."""

    reported = None

    def __init__(self, rates: tuple[PlacedRate, ...]) -> None:
        self._rates = rates

    def every(self) -> Iterable[PlacedRate]:
        return self._rates

    def to_report(self) -> Iterable[PlacedRate]:
        return self._rates

    def large(self) -> Iterable[PlacedRate]:
        return self._rates


class _CompiledRates:
    """Rates of a compiled file (implements ``PlacedRates``)."""

    def __init__(self, file: str, table: RateFile) -> None:
        self._file = file
        self._table = table

    @property
    def reported(self) -> int | None:
        return self._table.reported

    def to_report(self) -> Iterable[PlacedRate]:
        return self._placed(self._table.noted())

    def large(self) -> Iterable[PlacedRate]:
        return self._placed(self._table.large())

    def every(self) -> Iterable[PlacedRate]:
        return self._placed(self._table.every())

    def _placed(self, rates: Iterable[NotedRate]) -> Iterable[PlacedRate]:
        return (PlacedRate(rate, SourceLine(self._file, line)) for rate, line in rates)


def compiled_group(
    section: Section,
    key: str,
    parameters: ParameterKeys,
    table: RateFile,
    file: str,
    problems: ProblemList,
    decimals: Mapping[str, FeeDecimals] = NONE,
) -> ReadGroup | None:
    """Return a rate group whose rates were compiled; None means that ``problems`` has grown by at least one error."""
    keys = read_group_keys(section, key, problems)
    if keys is None:
        return None
    policy = rating_policy(keys, parameters, decimals)
    if not _check_unit(policy, section, key, problems):
        return None
    return ReadGroup(_rate_group(keys, policy, table), _CompiledRates(file, table), _derive(keys), keys.area_names)


def read_rate_group(
    section: Section,
    key: str,
    parameters: ParameterKeys,
    problems: ProblemList,
    decimals: Mapping[str, FeeDecimals] = NONE,
) -> ReadGroup | None:
    """Read one rate group with its rates; None means that ``problems`` has grown by at least one error."""
    entries = dict(section.entries)
    rates, rates_file = entries.pop("rates", None), entries.pop("rates_file", None)
    keys = read_group_keys(section, key, problems)
    if rates is not None and rates_file is not None:
        problems.error(rates_file.place, f"{key}.rates_file", "either rates or rates_file")
    elif rates is None and rates_file is None and "derive" not in section.entries:
        problems.error(section.place, key, "rates, a rates_file, deck: true, or derive")
    rows = _Reading(keys.price_per if keys else PricePer.MINUTE, problems)
    if rates is not None:
        rows.add(_inline_rows(rates, f"{key}.rates", problems))
    if rates_file is not None:
        before = len(problems)
        rows.add(_file_rows(rates_file, f"{key}.rates_file", problems))
        if not rows.sound and len(problems) == before and "deck" not in section.entries:
            report_empty(rates_file.place, f"{key}.rates_file", problems)
    rows.sum_up(section.place, key)
    if keys is None:
        return None
    unit = keys.billing_unit or parameters.billing_unit
    areas = {row.prefix: row.area for row, _ in reversed(rows.sound) if row.area}
    placed = tuple(
        PlacedRate(_in_area(compile_rate(row, keys.price_per, unit), row.area_prefix, areas), place)
        for row, place in rows.sound
    )
    policy = rating_policy(keys, parameters, decimals)
    if not _check_unit(policy, section, key, problems):
        return None
    windows = tuple(row.window for row, _ in rows.sound)
    table: RateTable
    if any(window != ALWAYS for window in windows):
        table = _timed(placed, windows, keys.price_per)
    else:
        found = tuple(each.rate for each in placed)
        table = RateRows(found, version_of(sorted(found, key=lambda rate: rate.prefix)))
    return ReadGroup(_rate_group(keys, policy, table), _Rows(placed), _derive(keys), keys.area_names)


def _in_area(rate: Rate, area_prefix: str, areas: Mapping[str, str]) -> Rate:
    """Return a rate without area with that of another prefix, if it names one."""
    if rate.area or not area_prefix:
        return rate
    return msgspec.structs.replace(rate, area=areas.get(area_prefix, area_prefix))


def _timed(placed: Sequence[PlacedRate], windows: Sequence[tuple[int, int]], price_per: PricePer) -> RateTable:
    """Return rates of which some are not always in force as a table in memory, in the form of a compiled file."""
    columns = RateColumns(per_cycle=price_per is PricePer.CYCLE)
    for (rate, place), window in zip(placed, windows, strict=True):
        columns.add(rate, place.line, *window)
    return RateFile(memoryview(b"".join(columns.encoded())))


def read_group_keys(section: Section, key: str, problems: ProblemList) -> RateGroupKeys | None:
    """Read a rate group without its rates; None means that ``problems`` has grown by at least one error."""
    own = {name: entry for name, entry in section.entries.items() if name not in RateGroupKeys.apart}
    return read_section(RateGroupKeys, Section(section.place, own), key, problems)


def rating_policy(keys: RateGroupKeys, parameters: ParameterKeys, decimals: Mapping[str, FeeDecimals]) -> RatingPolicy:
    """Return how a group rounds: its own keys win over the decimals of its currency, and those over the parameters."""
    precision = parameters.hold_time_precision if keys.hold_time_precision is None else keys.hold_time_precision
    if keys.fee_precision is None:
        of_currency = decimals.get(keys.currency) or default_decimals(parameters)
        fee_precision, fee_unit = of_currency.precision, of_currency.unit
    else:
        fee_precision, fee_unit = keys.fee_precision, unit_of(keys.fee_precision)
    return _POLICY(
        keys,
        hold_time_precision_ms=precision,
        free_time_s=parameters.free_time if keys.free_time is None else keys.free_time,
        fee_precision=fee_precision,
        fee_unit=fee_unit if keys.fee_unit is None else keys.fee_unit,
    )


def _check_unit(policy: RatingPolicy, section: Section, key: str, problems: ProblemList) -> bool:
    """Return whether the unit that a group sets has an effect; report one that is finer than the decimals."""
    entry = section.entries.get("fee_unit")
    smallest = unit_of(policy.fee_precision)
    if entry is None or policy.fee_unit >= smallest:
        return True
    expected = f"at least {format_amount(smallest)}, as fees have {policy.fee_precision} decimals"
    problems.error(entry.place, f"{key}.fee_unit", expected, format_amount(policy.fee_unit))
    return False


def compile_rate(row: RateKeys, price_per: PricePer, billing_unit: int) -> Rate:
    """Return the rate of a row; ``billing_unit`` is its cycle where the row has none of its own."""
    first_duration, billing_cycle = row.interval or (row.first_duration or 0, row.billing_cycle or billing_unit)
    return _RATE(
        row,
        billing_cycle=billing_cycle,
        per_cycle=price_per is PricePer.CYCLE,
        first_rate=row.first_rate if first_duration else None,
        first_duration=first_duration,
        rate_type=row.rate_type.value if row.rate_type else "",
        has_cycle_of_group=row.interval is None and row.billing_cycle is None,
    )


class _Reading:
    """The sound rows of one group, and a bounded number of problems of the others."""

    def __init__(self, price_per: PricePer, problems: ProblemList) -> None:
        self.sound: list[tuple[RateKeys, SourceLine]] = []
        self._price_per = price_per
        self._problems = problems
        self._places: dict[tuple[str, int], SourceLine] = {}
        """By prefix, and from when it is in force."""
        self._bad = 0

    def add(self, sources: Iterable[Source]) -> None:
        for source in sources:
            problems = self._problems if self._bad < BAD_ROWS_SHOWN else ProblemList()
            row = validate(RateKeys, source, problems)
            if row is not None and self._fits(row, source, problems):
                self._places[row.prefix, row.window[0]] = source.place
                self.sound.append((row, source.place))
            else:
                self._bad += 1

    def sum_up(self, place: SourceLine, key: str) -> None:
        """Report how many rows with mistakes were not named."""
        report_unnamed(self._bad, place, key, self._problems)

    def _fits(self, row: RateKeys, source: Source, problems: ProblemList) -> bool:
        """Check a row against its group and the earlier rows."""
        if not check_interval(row, source, self._price_per, problems):
            return False
        first = self._places.get((row.prefix, row.window[0]))
        if first is None:
            return True
        spot = source.spot(("prefix",))
        problems.error(spot.place, spot.key, each_once(first), spot.written)
        return False


def check_interval(row: RateKeys, source: Source, price_per: PricePer, problems: ProblemList) -> bool:
    """Return whether a row has no interval where its group does not allow it; report it."""
    if row.interval is None or price_per is not PricePer.CYCLE:
        return True
    spot = source.spot(("interval",))
    expected = (
        "no interval where price_per is cycle, as it is with preset: vos3000: it divides the price of a minute; say "
        "price_per: minute in the group, or billing_cycle here"
    )
    problems.error(spot.place, spot.key, expected, spot.written)
    return False


def each_once(first: SourceLine) -> str:
    """Return what is expected of a prefix that stands at another place, too."""
    return f"each prefix once in a rate group, or with another effective_from; it also stands at {first}"


def report_unnamed(bad_rows: int, place: SourceLine, key: str, problems: ProblemList) -> None:
    """Report how many rows with mistakes were not named."""
    unnamed = bad_rows - BAD_ROWS_SHOWN
    if unnamed > 0:
        problems.error(place, key, f"rates without mistakes; {unnamed} more rows have some")


def _inline_rows(entry: Entry, key: str, problems: ProblemList) -> Iterator[Source]:
    if not isinstance(entry.node, YamlList):
        problems.error(entry.place, key, "a list of rates: lines that begin with '- '")
        return
    if len(entry.node.items) > RATES_INLINE_MAX:
        problems.error(entry.place, key, f"at most {RATES_INLINE_MAX} rates here; put them into a rates_file")
        return
    for index, node in enumerate(entry.node.items):
        if isinstance(node, Section):
            yield SectionSource(RateKeys, node, f"{key}[{index}]", problems)
        else:
            expected = "keys and values, such as {prefix: 44, billing_rate: 0.012}"
            problems.error(node.place, f"{key}[{index}]", expected)


def _file_rows(entry: Entry, key: str, problems: ProblemList) -> Iterator[Source]:
    if isinstance(entry.node, Scalar) and entry.node.text:
        path = Path(entry.node.place.file).parent / entry.node.text
        yield from read_rate_file(path, entry.place, key, problems)
    else:
        problems.error(entry.place, key, "the name of a CSV file")


def group_of(
    name: str,
    currency: str,
    policy: RatingPolicy,
    table: RateTable,
    period_rates: str | None,
    origins: tuple[RateOrigin, ...],
) -> RateGroup:
    """Return a rate group; its version changes with everything that its calls are charged by."""
    bound = tuple(each for each in (period_rates, origins) if each)
    version = version_of(name, currency, policy, table.version, *bound)
    return RateGroup(name, currency, policy, table, version, period_rates, origins)


def _derive(keys: RateGroupKeys) -> DeriveKeys | None:
    return keys.derive if keys.derive.is_given else None


def _rate_group(keys: RateGroupKeys, policy: RatingPolicy, table: RateTable) -> RateGroup:
    origins = tuple(map(_ORIGIN, keys.origins))
    return group_of(keys.name, keys.currency, policy, table, keys.period_rates, origins)
