"""A rate file to columns, many rows at a time, with the rules and messages of rows that are read one by one.

Each cell is read by the rule of its key (``config.keys.rates``), once for each different text. A row of which any cell
is not accepted is read again as a whole, row by row, so that messages do not depend on the way.
"""

import csv
import math
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from io import BytesIO, TextIOWrapper
from itertools import accumulate, compress, islice
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from pydantic import ValidationError

from vosd.base.money import PLACES
from vosd.billing.rate_columns import MANTISSA_MAX, NOTHING, Note, RateColumns
from vosd.billing.rate_keys import DIGITS
from vosd.billing.rates import Rate
from vosd.catalogue.problems import Place, ProblemList
from vosd.config.assembly.bad_rows import BadRows
from vosd.config.assembly.bookable import LARGE, is_large
from vosd.config.assembly.rate_files import (
    Column,
    CsvRow,
    Lines,
    columns_of,
    is_blank,
    lines_of,
    report_syntax,
    report_width,
)
from vosd.config.assembly.rate_groups import (
    check_interval,
    compile_rate,
    each_once,
)
from vosd.config.assembly.rate_orders import RateOrder
from vosd.config.assembly.rate_report import problems_of_rounding
from vosd.config.keys.rates import PricePer, RateKeys
from vosd.config.reader.fields import FromText
from vosd.config.reader.includes import decoded
from vosd.config.reader.reading import validate

_AT_ONCE: Final = 8_192
"""Rows that are read together."""
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_UNITS: Final = tuple(10 ** (PLACES - places) for places in range(PLACES + 1))
"""How many units of 1e-8 one of the last decimal is, by the number of decimals."""
_LARGE_UNITS: Final = int(LARGE.scaleb(PLACES))
_NO_NUMBER: Final = MANTISSA_MAX + 1
_REMEMBERED: Final = 200_000
"""Different texts of one column that are remembered."""

Key = TypeVar("Key")
Value = TypeVar("Value")
Progress = Callable[[int], None]


class _Memory(dict[Key, Value]):
    """Results by argument; a new one is computed."""

    def __init__(self, compute: Callable[[Key], Value]) -> None:
        super().__init__()
        self._compute = compute

    def __missing__(self, argument: Key) -> Value:
        if len(self) >= _REMEMBERED:
            self.clear()
        value = self[argument] = self._compute(argument)
        return value


class _Price(NamedTuple):
    number: int
    places: int
    may_be_noted: bool
    """Whether a report could name a row with it, which depends on its cycle, too."""


class _Terms(NamedTuple):
    number: int
    may_be_noted: bool


def compile_rates(
    order: RateOrder, content: bytes, problems: ProblemList, progress: Progress = lambda _rows: None
) -> RateColumns | None:
    """Return the rates of a file's bytes; None means that ``problems`` has grown by at least one error."""
    path = Path(order.file)
    if not content.isascii() and decoded(content, path, problems) is None:
        return None
    source = BytesIO(content)
    source.seek(len(BOM_UTF8) if content.startswith(BOM_UTF8) else 0)  # the codec that skips it is slow
    lines = lines_of(TextIOWrapper(source, "utf-8", newline=""), content.partition(b"\n")[0].decode("utf-8-sig"))
    found_before = len(problems)
    try:
        columns = columns_of(lines, path, order.key, problems)
        if columns is None:
            return None
        compiling = _Compiling(order, columns)
        for cells, line_numbers in _together(lines):
            compiling.add(cells, line_numbers)
            progress(len(compiling.rates))
        compiling.finish(problems)
    except csv.Error as error:
        compiling.finish(problems)
        report_syntax(error, Place(order.file, lines.line_num), order.key, problems)
    return compiling.rates if len(problems) == found_before else None


def _together(lines: Lines) -> Iterator[tuple[list[list[str]], Sequence[int]]]:
    """Yield lines, many at a time, with their numbers; those before a mistake in the syntax are yielded first."""
    while True:
        cells: list[list[str]] = []
        failure: csv.Error | None = None
        before = lines.line_num
        try:
            cells.extend(islice(lines, _AT_ONCE))
        except csv.Error as error:
            failure = error  # what was read before it is in the list
        numbers: Sequence[int] = range(before + 1, lines.line_num + 1)
        if len(numbers) != len(cells):  # some cells have several lines, or the last one is incomplete
            ends = accumulate((1 + sum(len(_LINE_END.findall(cell)) for cell in row) for row in cells), initial=before)
            numbers = [*ends][1:]
        if cells:
            yield cells, numbers
        if failure is not None:
            raise failure
        if len(cells) < _AT_ONCE:
            return


class _Compiling:
    """One file on its way into columns."""

    def __init__(self, order: RateOrder, columns: Sequence[Column]) -> None:
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
        self._prices = _Memory(self._price_of)
        self._terms = _Memory(self._terms_of)
        self._areas = _Memory(self._area_of)
        self._area_prefixes = _Memory(self._area_prefix_of)
        self._memos = _Memory(self._is_memo)
        self._notes = _Memory(self._note_of)
        self._rates_of_terms: dict[int, Rate] = {}
        self._read_price = _READ["billing_rate"]
        self._kept_places = order.policy.fee_precision
        least = Decimal(1).scaleb(-order.policy.fee_precision) + order.policy.fee_unit
        cycles = 1 if order.price_per is PricePer.CYCLE else 60
        self._costs_something = math.ceil((cycles * least).scaleb(PLACES))
        """A rate of at least so many units of 1e-8 costs something in a cycle of any length."""

    def add(self, rows: Sequence[Sequence[str]], lines: Sequence[int]) -> None:
        """Add lines in the order of the file."""
        width = len(self._columns)
        if set(map(len, rows)) != {width}:
            fits = [len(cells) == width for cells in rows]
            for cells, line in _others(fits, rows, lines):
                self._report_width(cells, line)
            rows, lines = [*compress(rows, fits)], [*compress(lines, fits)]
            if not rows:
                return
        columns = [*zip(*rows, strict=True)]
        read: list[Sequence[Any]] = [
            [*map(str.strip, columns[self._prefix])],
            [*map(self._prices.__getitem__, columns[self._price])],
            [*map(self._terms.__getitem__, zip(*(columns[index] for index in self._others), strict=True))]
            if self._others
            else [self._terms[()]] * len(rows),
            self._column(self._areas, self._area, columns, len(rows)),
            self._column(self._area_prefixes, self._area_prefix, columns, len(rows)),
            lines,
        ]
        is_read = self._fits(read, self._column(self._memos, self._memo, columns, len(rows)))
        if all(is_read):
            self._extend(*read)
            return
        self._extend(*([*compress(column, is_read)] for column in read))
        for cells, line in _others(is_read, rows, lines):
            self._add_one(cells, line)

    def finish(self, problems: ProblemList) -> None:
        """Report the rows with mistakes."""
        header = self._columns[self._prefix].header
        for again in self.rates.repeated():
            found, first = ProblemList(), Place(self._order.file, again.first_line)
            key = f"{self._order.key}.{header}"
            found.error(Place(self._order.file, again.line), key, each_once(first), again.prefix)
            self._bad.note(again.line, found)
        self._bad.report(self._order, problems)

    @staticmethod
    def _column(
        memory: _Memory[str, Any], index: int | None, columns: Sequence[Sequence[str]], size: int
    ) -> Sequence[Any]:
        return [memory[""]] * size if index is None else [*map(memory.__getitem__, columns[index])]

    @staticmethod
    def _fits(read: Sequence[Sequence[Any]], memos: Sequence[Any]) -> Sequence[bool]:
        """Return for each row whether every cell was accepted."""
        prefixes = read[0]
        lengths = [*map(len, prefixes)]
        digits = "".join(prefixes)
        are_plain = min(lengths) >= 1 and max(lengths) <= DIGITS and digits.isdigit() and digits.isascii()
        others = (*read[1:5], memos)
        if are_plain and not any(None in column for column in others):
            return [True] * len(prefixes)
        return [
            1 <= len(prefix) <= DIGITS and prefix.isdigit() and prefix.isascii() and None not in rest
            for prefix, *rest in zip(prefixes, *others, strict=True)
        ]

    def _extend(
        self,
        prefixes: Sequence[str],
        prices: Sequence[_Price],
        terms: Sequence[_Terms],
        areas: Sequence[int],
        area_prefixes: Sequence[str],
        lines: Sequence[int],
    ) -> None:
        if not prefixes:
            return
        if any(area_prefixes):
            unnamed = self.rates.text("")
            for row, (area, area_prefix) in enumerate(zip(areas, area_prefixes, strict=True), len(self.rates)):
                if area_prefix and area == unnamed:
                    self.rates.take_area_of(area_prefix, row)
        numbers, places, may_be_noted = zip(*prices, strict=True)
        terms_numbers, may_be_noted_too = zip(*terms, strict=True)
        if True in may_be_noted or True in may_be_noted_too:
            of_rows = zip(numbers, places, terms_numbers, strict=True)
            for row, note in enumerate(map(self._notes.__getitem__, of_rows), len(self.rates)):
                if note is not NOTHING:
                    self.rates.note(row, note)
        self.rates.extend(prefixes, numbers, places, terms_numbers, areas, lines)

    def _add_one(self, cells: Sequence[str], line: int) -> None:
        """Add a row of which not every cell was accepted: a mistake, or an unusual form."""
        if is_blank(cells):
            return
        problems = ProblemList()
        source = CsvRow(Place(self._order.file, line), self._columns, cells, self._order.key)
        row = validate(RateKeys, source, problems)
        if row is None or not check_interval(row, source, self._order.price_per, problems):
            self._bad.note(line, problems)
            return
        rate = compile_rate(row, self._order.price_per, self._order.billing_unit)
        if row.area_prefix and not row.area:
            self.rates.take_area_of(row.area_prefix, len(self.rates))
        self.rates.add(rate, line, *row.window, note=self._note(rate))

    def _report_width(self, cells: Sequence[str], line: int) -> None:
        if not is_blank(cells):
            problems = ProblemList()
            report_width(cells, self._columns, Place(self._order.file, line), self._order.key, problems)
            self._bad.note(line, problems)

    def _price_of(self, cell: str) -> _Price | None:
        text = cell.strip()
        if self._read_price(text) is None:
            return None
        whole, _, fraction = text.partition(".")
        digits, places = whole + fraction, len(fraction)
        number = int(digits) if digits.isdigit() else _NO_NUMBER  # a sign: read as a whole row
        if number > MANTISSA_MAX:
            return None
        units = number * _UNITS[places]
        return _Price(number, places, places > self._kept_places or not self._costs_something <= units <= _LARGE_UNITS)

    @staticmethod
    def _is_memo(cell: str) -> bool | None:
        return None if _READ["memo"](cell.strip()) is None else True

    def _area_of(self, cell: str) -> int | None:
        area = _READ["area"](cell.strip())
        return self.rates.text(area) if isinstance(area, str) else None

    @staticmethod
    def _area_prefix_of(cell: str) -> str | None:
        text = cell.strip()
        return text if not text or _READ["area_prefix"](text) is not None else None

    def _terms_of(self, cells: tuple[str, ...]) -> _Terms | None:
        """Read all of a row but its prefix, price, areas and memo."""
        values = {
            self._columns[index].name: text
            for index, cell in zip(self._others, cells, strict=True)
            if (text := cell.strip())
        }
        try:
            row = RateKeys.model_validate({**values, "prefix": "0", "billing_rate": "0"})
        except ValidationError:
            return None
        if row.interval is not None and self._order.price_per is PricePer.CYCLE:
            return None
        rate = compile_rate(row, self._order.price_per, self._order.billing_unit)
        number = self.rates.terms(rate, *row.window)
        self._rates_of_terms[number] = rate
        return _Terms(number, is_large(rate) or bool(problems_of_rounding(rate, self._order.policy)))

    def _note_of(self, price_and_terms: tuple[int, int, int]) -> Note:
        number, places, terms = price_and_terms
        amount = Decimal(number).scaleb(-places)
        return self._note(msgspec.structs.replace(self._rates_of_terms[terms], billing_rate=amount))

    def _note(self, rate: Rate) -> Note:
        problems = len(problems_of_rounding(rate, self._order.policy))
        large = is_large(rate)
        return Note(problems, large) if problems or large else NOTHING


def _others(
    fits: Iterable[bool], rows: Sequence[Sequence[str]], lines: Sequence[int]
) -> Iterator[tuple[Sequence[str], int]]:
    """Yield the rows that do not fit, with their lines."""
    return compress(zip(rows, lines, strict=True), (not each for each in fits))


def _reader(name: str) -> Callable[[str], object]:
    """Return what reads a cell of a column as its key says; its result is None for what the key does not accept."""
    rule = next(each for each in RateKeys.model_fields[name].metadata if isinstance(each, FromText))

    def read(text: str) -> object:
        try:
            return rule.read(text)
        except (ValueError, KeyError):
            return None

    return read


_READ: Final = {name: _reader(name) for name in ("billing_rate", "area", "memo", "area_prefix")}
