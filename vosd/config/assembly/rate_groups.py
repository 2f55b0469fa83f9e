"""Rate groups: rows read, duplicates reported, rounding settled."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Final, NamedTuple

from vosd.billing.rate_group import RateGroup
from vosd.billing.rate_rows import RateRows
from vosd.billing.rates import Rate, RatingPolicy
from vosd.catalogue.problems import Place, ProblemList
from vosd.catalogue.versions import version_of
from vosd.config.assembly.conversion import Conversion, require_all_used
from vosd.config.assembly.rate_files import read_rate_file
from vosd.config.keys.parameters import ParameterKeys
from vosd.config.keys.rate_groups import RATES_INLINE_MAX, RateGroupKeys
from vosd.config.keys.rates import PricePer, RateKeys
from vosd.config.reader.document import Entry, Listing, Scalar, Section
from vosd.config.reader.reading import SectionSource, Source, read_section, validate

_BAD_ROWS_SHOWN: Final = 100
"""Rows with mistakes that are named one by one in each rate group; the rest is counted."""


_POLICY: Final = Conversion(
    RateGroupKeys,
    RatingPolicy,
    renamed={"fee_rounding": "rounding", "fee_nonzero_floor": "nonzero_floor"},
    by_hand={"free_time": "free_time_s", "fee_precision": "fee_precision"},
)
require_all_used(
    RateGroupKeys,
    _POLICY,
    elsewhere={
        "name": "the group itself",
        "currency": "the group itself",
        "price_per": "its rates",
        "billing_unit": "its rates",
    },
)
_RATE: Final = Conversion(
    RateKeys,
    Rate,
    by_hand={
        "billing_cycle": "billing_cycle",
        "interval": "billing_cycle",
        "first_rate": "first_rate",
        "first_duration": "first_duration",
        "rate_type": "rate_type",
    },
)
require_all_used(RateKeys, _RATE, elsewhere={"memo": "nothing: it is a comment"})


class PlacedRate(NamedTuple):
    """A rate, and where it is written."""

    rate: Rate
    place: Place


class ReadGroup(NamedTuple):
    """A rate group with the places of its rates."""

    group: RateGroup
    rates: tuple[PlacedRate, ...]


def read_rate_group(section: Section, key: str, parameters: ParameterKeys, problems: ProblemList) -> ReadGroup | None:
    """Read one rate group with its rates; None means that ``problems`` has grown by at least one error."""
    entries = dict(section.entries)
    rates, rates_file = entries.pop("rates", None), entries.pop("rates_file", None)
    keys = read_group_keys(section, key, problems)
    if rates is not None and rates_file is not None:
        problems.error(rates_file.place, f"{key}.rates_file", "either rates or rates_file")
    elif rates is None and rates_file is None and "deck" not in entries:
        problems.error(section.place, key, "rates, or a rates_file")
    rows = _Rows(keys.price_per if keys else PricePer.MINUTE, problems)
    if rates is not None:
        rows.add(_inline_rows(rates, f"{key}.rates", problems))
    if rates_file is not None:
        rows.add(_file_rows(rates_file, f"{key}.rates_file", problems))
    rows.sum_up(section.place, key)
    if keys is None:
        return None
    unit = keys.billing_unit or parameters.billing_unit
    placed = tuple(PlacedRate(compile_rate(row, keys.price_per, unit), place) for row, place in rows.sound)
    policy = rating_policy(keys, parameters)
    return ReadGroup(_rate_group(keys, policy, tuple(each.rate for each in placed)), placed)


def read_group_keys(section: Section, key: str, problems: ProblemList) -> RateGroupKeys | None:
    """Read a rate group without its rates; None means that ``problems`` has grown by at least one error."""
    own = {name: entry for name, entry in section.entries.items() if name not in RateGroupKeys.apart}
    return read_section(RateGroupKeys, Section(section.place, own), key, problems)


def rating_policy(keys: RateGroupKeys, parameters: ParameterKeys) -> RatingPolicy:
    """Return how a group rounds: its own keys win over the parameters."""
    if keys.fee_precision is None:
        fee_precision, fee_unit = parameters.fee_precision, parameters.fee_unit
    else:
        fee_precision, fee_unit = keys.fee_precision, Decimal(1).scaleb(-keys.fee_precision)
    return _POLICY(
        keys,
        hold_time_precision_ms=parameters.hold_time_precision,
        free_time_s=parameters.free_time if keys.free_time is None else keys.free_time,
        fee_precision=fee_precision,
        fee_unit=fee_unit,
    )


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
    )


class _Rows:
    """The sound rows of one group, and a bounded number of problems of the others."""

    def __init__(self, price_per: PricePer, problems: ProblemList) -> None:
        self.sound: list[tuple[RateKeys, Place]] = []
        self._price_per = price_per
        self._problems = problems
        self._places: dict[str, Place] = {}
        self._bad = 0

    def add(self, sources: Iterable[Source]) -> None:
        for source in sources:
            problems = self._problems if self._bad < _BAD_ROWS_SHOWN else ProblemList()
            row = validate(RateKeys, source, problems)
            if row is not None and self._fits(row, source, problems):
                self._places[row.prefix] = source.place
                self.sound.append((row, source.place))
            else:
                self._bad += 1

    def sum_up(self, place: Place, key: str) -> None:
        """Report how many rows with mistakes were not named."""
        unnamed = self._bad - _BAD_ROWS_SHOWN
        if unnamed > 0:
            self._problems.error(place, key, f"rates without mistakes; {unnamed} more rows have some")

    def _fits(self, row: RateKeys, source: Source, problems: ProblemList) -> bool:
        """Check a row against its group and the earlier rows."""
        if row.interval is not None and self._price_per is PricePer.CYCLE:
            spot = source.spot(("interval",))
            expected = "no interval where price_per is cycle: it divides the price of a minute pro rata"
        elif row.prefix in self._places:
            spot = source.spot(("prefix",))
            expected = f"each prefix once in a rate group; it also stands at {self._places[row.prefix]}"
        else:
            return True
        problems.error(spot.place, spot.key, expected, spot.written)
        return False


def _inline_rows(entry: Entry, key: str, problems: ProblemList) -> Iterator[Source]:
    if not isinstance(entry.node, Listing):
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


def _rate_group(keys: RateGroupKeys, policy: RatingPolicy, rates: tuple[Rate, ...]) -> RateGroup:
    table = RateRows(rates, version_of(sorted(rates, key=lambda rate: rate.prefix)))
    version = version_of(keys.name, keys.currency, policy, table.version)
    return RateGroup(keys.name, keys.currency, policy, table, version)
