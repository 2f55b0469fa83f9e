"""A rate file to columns, many rows at a time, with the rules and messages of rows that are read one by one.

Each cell is read by the rule of its key (``config.keys.rates``), once for each different text. A row of which any cell
is not accepted is read again as a whole, row by row, so that messages do not depend on the way.
"""

import csv
import math
import re
from array import array
from codecs import BOM_UTF8
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import partial
from io import BytesIO, TextIOWrapper
from itertools import repeat
from operator import itemgetter, sub
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import msgspec
from pydantic import ValidationError

from vosd.base.errors import VosError
from vosd.base.money import PLACES
from vosd.billing.rate_columns import NOTHING, Note, RateColumns
from vosd.billing.rate_layout import DIGITS
from vosd.billing.rates import Rate
from vosd.catalogue.problems import DefinitionProblem, ProblemList, SourceLine
from vosd.config.assembly.rate_cells import Body, BrokenLineError, OddLine, RatePart
from vosd.config.assembly.rate_files import (
    CsvRow,
    HeaderColumn,
    columns_of,
    delimiter_of,
    is_blank,
    lines_of,
    report_empty,
    report_syntax,
    report_width,
)
from vosd.config.assembly.rate_groups import BAD_ROWS_SHOWN, check_interval, compile_rate, each_once, report_unnamed
from vosd.config.assembly.rate_orders import RateOrder
from vosd.config.assembly.rate_report import LARGE, is_large, problems_of_rounding
from vosd.config.keys.rates import PricePer, RateKeys
from vosd.config.reader.fields import FromText
from vosd.config.reader.includes import decoded
from vosd.config.reader.reading import validate

_REMEMBERED: Final = 200_000
"""Different texts of one column that are remembered."""

Key = TypeVar("Key")
Value = TypeVar("Value")


class UnusualError(VosError):
    """A cell is not accepted, or is in a form that only the reading of whole rows knows."""


class Memory(dict[Key, Value]):
    """Results by argument; a new one is computed, which may raise ``UnusualError``."""

    def __init__(self, compute: Callable[[Key], Value]) -> None:
        super().__init__()
        self._compute = compute

    def __missing__(self, argument: Key) -> Value:
        value = self._compute(argument)
        if len(self) >= _REMEMBERED:
            self.clear()
        self[argument] = value
        return value


def _reader(name: str) -> Callable[[str], None]:
    """Return what checks a cell of a column as its key says; it raises ``UnusualError``."""
    rule = next(each for each in RateKeys.model_fields[name].metadata if isinstance(each, FromText))

    def read(text: str) -> None:
        try:
            rule.read(text)
        except (ValueError, KeyError) as error:
            raise UnusualError from error

    return read


ACCEPT: Final = {name: _reader(name) for name in ("area", "memo", "area_prefix")}
"""Checks of the cells of these columns."""


_UNITS: Final = tuple(10 ** (PLACES - places) for places in range(PLACES + 1))
"""Value of the last decimal in units of 1e-8, by the number of decimals."""
_LARGE_UNITS: Final = int(LARGE.scaleb(PLACES))
_PRICES: Final = re.compile(r"(?:\d{1,12}+(?:\.\d{1,8}+)?+\n)*+", re.ASCII)
_PLAIN_LENGTHS: Final = frozenset(range(1, DIGITS + 1))
Progress = Callable[[int], None]


class Prices(NamedTuple):
    """A column of prices."""

    numbers: "array[int]"
    """The digits of the amounts."""
    places: bytes
    """The decimals of the amounts."""


class _Read(NamedTuple):
    """The cells of some rows, by column."""

    prefixes: Sequence[str]
    lengths: Sequence[int]
    prices: "Prices"
    terms: "array[int]"
    areas: "array[int]"
    area_prefixes: Sequence[str]
    """None at all where the file has no such column, or it is empty."""


def compile_rates(
    order: RateOrder, content: bytes, problems: ProblemList, progress: Progress = lambda _rows: None
) -> RateColumns | None:
    """Return the rates of a file's bytes; None means that ``problems`` has grown by at least one error."""
    if not content.isascii() and decoded(content, Path(order.file), problems) is None:
        return None
    found_before = len(problems)
    try:
        columns, body = _opened(order, content, problems)
        if columns is None:
            return None
        compiling = _Compiling(order, columns)
        try:
            for part in body.parts():
                compiling.add(part)
                progress(len(compiling.rates))
        finally:
            compiling.finish(problems)
    except BrokenLineError as error:
        report_syntax(error, SourceLine(order.file, error.line), order.key, problems)
    if len(problems) == found_before and not len(compiling.rates) and not order.may_be_empty:
        report_empty(order.named_at, order.key, problems)
    return compiling.rates if len(problems) == found_before else None


def _opened(order: RateOrder, content: bytes, problems: ProblemList) -> tuple[Sequence[HeaderColumn] | None, Body]:
    """Return the columns of a file, None where its header has mistakes, and what stands behind the header.

    Raises:
        BrokenLineError: the header is no CSV.
    """
    begin = len(BOM_UTF8) if content.startswith(BOM_UTF8) else 0  # the codec that skips it is slow
    source = BytesIO(content)
    source.seek(begin)
    sizes: list[int] = []

    def measured() -> Iterator[str]:
        for line in TextIOWrapper(source, "utf-8", newline=""):
            sizes.append(len(line.encode()))
            yield line

    delimiter = delimiter_of(content[begin : content.find(b"\n") + 1 or len(content)].decode())
    lines = lines_of(measured(), delimiter)
    try:
        columns = columns_of(lines, Path(order.file), order.key, problems)
    except csv.Error as error:
        raise BrokenLineError(lines.line_num, error) from error
    return columns, Body(content, begin + sum(sizes), lines.line_num, delimiter, len(columns or ()))


class _Compiling:
    """One file on its way into columns."""

    def __init__(self, order: RateOrder, columns: Sequence[HeaderColumn]) -> None:
        self.rates = RateColumns(per_cycle=order.price_per is PricePer.CYCLE)
        self._order = order
        self._columns = columns
        self._bad = BadRows()
        names = [column.name for column in columns]
        self._prefix, self._price = names.index("prefix"), names.index("billing_rate")
        self._area, self._memo, self._area_prefix = (
            names.index(name) if name in names else None for name in ("area", "memo", "area_prefix")
        )
        apart = {self._prefix, self._price, self._area, self._memo, self._area_prefix}
        self._others = [index for index in range(len(names)) if index not in apart]
        self._noted_terms: set[int] = set()
        """Numbers of the terms with which a report could name a row, which depends on its price, too."""
        self._terms: dict[tuple[int, ...], Memory[tuple[str, ...], int]] = {}
        """By the columns that are not empty."""
        self._areas = Memory(self._area_of)
        self._area_prefixes = Memory(self._area_prefix_of)
        self._memos = Memory(self._memo_of)
        self._notes = Memory(self._note_of)
        self._rates_of_terms: dict[int, Rate] = {}
        self._kept_places = order.policy.fee_precision
        least = Decimal(1).scaleb(-order.policy.fee_precision) + order.policy.fee_unit
        cycles = 1 if order.price_per is PricePer.CYCLE else 60
        self._costs_something = math.ceil((cycles * least).scaleb(PLACES))
        """A rate of at least so many units of 1e-8 costs something in a cycle of any length."""

    def add(self, part: RatePart) -> None:
        """Add lines; parts come in the order of the file."""
        for each in part.odd:
            self._report_width(each)
        if part.lines:
            self._add(part.columns, part.lines)

    def _add(self, columns: Sequence[Sequence[str]], lines: Sequence[int]) -> None:
        try:
            read = self._read(columns)
        except UnusualError:
            half = len(lines) // 2
            if not half:
                self._add_one([column[0] for column in columns], lines[0])
                return
            for some in (slice(half), slice(half, None)):
                self._add([column[some] for column in columns], lines[some])
        else:
            self._extend(read, lines)

    def finish(self, problems: ProblemList) -> None:
        """Report the rows with mistakes."""
        header = self._columns[self._prefix].header
        for again in self.rates.repeated():
            found, first = ProblemList(), SourceLine(self._order.file, again.first_line)
            key = f"{self._order.key}.{header}"
            found.error(SourceLine(self._order.file, again.line), key, each_once(first), again.prefix)
            self._bad.note(again.line, found)
        self._bad.report(self._order, problems)

    def _read(self, columns: Sequence[Sequence[str]]) -> _Read:
        """Return what the cells of some rows say.

        Raises:
            UnusualError: one of them has to be read as a whole row.
        """
        prefixes = columns[self._prefix]
        if not _are_digits(prefixes):
            prefixes = [*map(str.strip, prefixes)]
            if not _are_digits(prefixes):
                raise UnusualError
        lengths = [*map(len, prefixes)]
        if not _PLAIN_LENGTHS.issuperset(lengths):
            raise UnusualError
        area_prefixes: Sequence[str] = ()
        if self._area_prefix is not None and any(columns[self._area_prefix]):
            area_prefixes = [*map(self._area_prefixes.__getitem__, columns[self._area_prefix])]
        if self._memo is not None and any(columns[self._memo]):
            deque(map(self._memos.__getitem__, columns[self._memo]), 0)
        return _Read(
            prefixes,
            lengths,
            prices_of(columns[self._price]),
            self._terms_in(columns),
            array("I", [self._areas[""]]) * len(prefixes)
            if self._area is None
            else array("I", map(self._areas.__getitem__, columns[self._area])),
            area_prefixes,
        )

    def _terms_in(self, columns: Sequence[Sequence[str]]) -> "array[int]":
        """Return the numbers of the terms, which are all that a row says but its prefix, price, areas and memo."""
        used = tuple(index for index in self._others if any(columns[index]))
        terms = self._terms.get(used)
        if terms is None:
            terms = self._terms[used] = Memory(partial(self._terms_of, used))
        if not used:
            return array("I", [terms[()]]) * len(columns[0])
        return array("I", map(terms.__getitem__, zip(*(columns[index] for index in used), strict=True)))

    def _extend(self, read: _Read, lines: Sequence[int]) -> None:
        before = len(self.rates)
        if any(read.area_prefixes):
            unnamed = self.rates.text("")
            for row, (area, area_prefix) in enumerate(zip(read.areas, read.area_prefixes, strict=True), before):
                if area_prefix and area == unnamed:
                    self.rates.take_area_of(area_prefix, row)
        for row in self._doubtful(read.prices, read.terms):
            note = self._notes[read.prices.numbers[row], read.prices.places[row], read.terms[row]]
            if note is not NOTHING:
                self.rates.note(before + row, note)
        self.rates.extend(read.prefixes, read.lengths, *read.prices, read.terms, read.areas, lines)

    def _doubtful(self, prices: Prices, terms: "array[int]") -> Sequence[int]:
        """Return the rows that a report could name."""
        numbers, places = prices
        least, most, kept, noted = self._costs_something, _LARGE_UNITS, self._kept_places, self._noted_terms
        finest, coarsest = max(places), min(places)
        if (
            finest <= kept
            and least <= min(numbers) * _UNITS[finest]
            and max(numbers) * _UNITS[coarsest] <= most
            and noted.isdisjoint(terms)
        ):
            return ()
        return [
            row
            for row, (number, place, term) in enumerate(zip(numbers, places, terms, strict=True))
            if place > kept or not least <= number * _UNITS[place] <= most or term in noted
        ]

    def _add_one(self, cells: Sequence[str], line: int) -> None:
        """Add a row of which not every cell was accepted: a mistake, or an unusual form."""
        if is_blank(cells):
            return
        problems = ProblemList()
        source = CsvRow(SourceLine(self._order.file, line), self._columns, cells, self._order.key)
        row = validate(RateKeys, source, problems)
        if row is None or not check_interval(row, source, self._order.price_per, problems):
            self._bad.note(line, problems)
            return
        rate = compile_rate(row, self._order.price_per, self._order.billing_unit)
        if row.area_prefix and not row.area:
            self.rates.take_area_of(row.area_prefix, len(self.rates))
        self.rates.add(rate, line, *row.window, note=self._note(rate))

    def _report_width(self, odd: OddLine) -> None:
        if not is_blank(odd.cells):
            problems = ProblemList()
            report_width(odd.cells, self._columns, SourceLine(self._order.file, odd.line), self._order.key, problems)
            self._bad.note(odd.line, problems)

    @staticmethod
    def _memo_of(cell: str) -> None:
        ACCEPT["memo"](cell.strip())

    def _area_of(self, cell: str) -> int:
        area = cell.strip()
        ACCEPT["area"](area)
        return self.rates.text(area)

    @staticmethod
    def _area_prefix_of(cell: str) -> str:
        text = cell.strip()
        if text:
            ACCEPT["area_prefix"](text)
        return text

    def _terms_of(self, used: Sequence[int], cells: tuple[str, ...]) -> int:
        """Read the cells of the columns ``used``; the other ones are empty."""
        values = {
            self._columns[index].name: text for index, cell in zip(used, cells, strict=True) if (text := cell.strip())
        }
        try:
            row = RateKeys.model_validate({**values, "prefix": "0", "billing_rate": "0"})
        except ValidationError as error:
            raise UnusualError from error
        if row.interval is not None and self._order.price_per is PricePer.CYCLE:
            raise UnusualError
        rate = compile_rate(row, self._order.price_per, self._order.billing_unit)
        number = self.rates.terms(rate, *row.window)
        self._rates_of_terms[number] = rate
        if is_large(rate) or problems_of_rounding(rate, self._order.policy):
            self._noted_terms.add(number)
        return number

    def _note_of(self, price_and_terms: tuple[int, int, int]) -> Note:
        number, places, terms = price_and_terms
        amount = Decimal(number).scaleb(-places)
        return self._note(msgspec.structs.replace(self._rates_of_terms[terms], billing_rate=amount))

    def _note(self, rate: Rate) -> Note:
        problems = len(problems_of_rounding(rate, self._order.policy))
        large = is_large(rate)
        return Note(problems, large) if problems or large else NOTHING


def prices_of(cells: Sequence[str]) -> Prices:
    """Return the prices of cells in the form that ``billing_rate`` has without a sign.

    Raises:
        UnusualError: one of them is in another form, or has very many digits.
    """
    text = "\n".join([*cells, ""])
    if not _PRICES.fullmatch(text):
        cells = [*map(str.strip, cells)]
        text = "\n".join([*cells, ""])
        if not _PRICES.fullmatch(text):
            raise UnusualError
    if text.count("\n") != len(cells):  # a quoted cell of several lines, each of which could be a price
        raise UnusualError
    if text.count(".") != len(cells):
        cells = [*map(str.__add__, cells, repeat("."))]  # behind whole numbers, without effect on the others
    digits = text.replace(".", "").split("\n")
    digits.pop()
    try:
        numbers = array("q", map(int, digits))
    except OverflowError as error:
        raise UnusualError from error
    return Prices(numbers, bytes(map(sub, map(len, digits), map(str.index, cells, repeat(".")))))


def _are_digits(prefixes: Sequence[str]) -> bool:
    digits = "".join(prefixes)
    return digits.isascii() and digits.isdigit()


class BadRows:
    """The first rows with mistakes, and the number of all."""

    def __init__(self) -> None:
        self._named: list[tuple[int, tuple[DefinitionProblem, ...]]] = []
        self._count = 0

    def note(self, line: int, problems: ProblemList) -> None:
        """Note the problems of a row; rows may come in any order."""
        self._named.append((line, problems.in_order()))
        self._count += 1
        if len(self._named) > 2 * BAD_ROWS_SHOWN:
            self._trim()

    def report(self, order: RateOrder, problems: ProblemList) -> None:
        """Add the problems of the first rows, by line, to ``problems``."""
        self._trim()
        for _, found in self._named:
            for each in found:
                problems.error(SourceLine(each.file, each.line), each.key, each.expected, each.value)
        report_unnamed(self._count, order.group_at, order.label, problems)

    def _trim(self) -> None:
        self._named = sorted(self._named, key=itemgetter(0))[:BAD_ROWS_SHOWN]
