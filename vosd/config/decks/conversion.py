"""Rows of a sheet to lines of a deck, by the rules of a rate file; mistakes by line, column, value and reason.

Each different text of a cell is read once. A row of which a cell is not accepted is read again cell by cell for its
messages.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, tzinfo
from decimal import Decimal
from enum import Enum
from io import StringIO
from typing import Any, Final, NamedTuple, TypeVar

from pydantic import ValidationError

from vosd.base.money import PLACES
from vosd.billing.decks import BEGINS, CLOSED_WORD, COLUMNS_AHEAD, ENDS, PREFIX, PRICE
from vosd.billing.rate_keys import DIGITS_MAX
from vosd.catalogue.problems import Place, Problem, ProblemList
from vosd.config.assembly.rate_groups import check_interval
from vosd.config.decks.codes import prefixes_of
from vosd.config.decks.columns import Columns, columns_of
from vosd.config.decks.instants import instant_reader
from vosd.config.decks.sheet_map import SheetMapKeys
from vosd.config.decks.sheets import Line, SheetError
from vosd.config.keys.rates import PricePer, RateKeys
from vosd.config.reader.fields import ExpectedError, FromText
from vosd.config.reader.reading import Spot, Trail, validate

BAD_ROWS_NAMED: Final = 1_000
"""Rows with mistakes that are named; the others are counted."""
NUMBER_MARK: Final = "\t"
"""Stands between a line of the deck and the number of its line in the sheet."""
AREA: Final = "area"
OTHERS: Final = (AREA, *(name for name in RateKeys.by_key() if name not in {*COLUMNS_AHEAD, AREA, "memo"}))
"""The columns behind ``COLUMNS_AHEAD``; the comment is not kept."""
HEADER: Final = ",".join((*COLUMNS_AHEAD, *OTHERS))
"""The first line of a deck."""
_APART: Final = frozenset({PREFIX, PRICE, AREA, "memo"})
_REMEMBERED: Final = 200_000
_ANY_PREFIX: Final = {PREFIX: "0", PRICE: "0"}
"""Stands for prefix and price where the other cells of a row are judged."""

Key = TypeVar("Key")
Value = TypeVar("Value")


class _Memory(dict[Key, Value | None]):
    """Results by argument; a new one is computed, None = the argument was not accepted."""

    def __init__(self, compute: Callable[[Key], Value]) -> None:
        super().__init__()
        self._compute = compute

    def __missing__(self, argument: Key) -> Value | None:
        if len(self) >= _REMEMBERED:
            self.clear()
        value: Value | None
        try:
            value = self._compute(argument)
        except (ValueError, KeyError):
            value = None
        self[argument] = value
        return value


class _Terms(NamedTuple):
    """What the cells of a row say apart from prefix, price and area."""

    window: str
    """Begin and end, as they stand in a line."""
    is_closed: bool
    others: str


class _SheetRow:
    """One row, for the messages of ``validate``."""

    def __init__(self, place: Place, values: Mapping[str, str], written: Mapping[str, str], columns: Columns) -> None:
        self.place = place
        self.values = values
        self._written = written
        self._headers = columns.headers

    def spot(self, trail: Trail) -> Spot:
        """Return the cell at the end of a trail."""
        name = str(trail[0]) if trail else ""
        return Spot(self.place, self._headers.get(name, name), self._written.get(name))


class SheetReader:
    """Reads the rows of one sheet."""

    def __init__(
        self,
        file: str,
        price_per: PricePer,
        sheet_map: SheetMapKeys | None = None,
        effective: str = "",
        zone: tzinfo | None = None,
    ) -> None:
        """Take how the sheet is to be read.

        Args:
            file: its name, for messages.
            price_per: what prices of the rate group are of.
            sheet_map: what its columns mean; None = they have our names.
            effective: no rate is in force before that time, ISO 8601 UTC; empty = no limit.
            zone: of times that name none, unless the map says another; None = UTC.
        """
        self.rows = 0
        """Rows without mistakes."""
        self.bad_rows = 0
        self.first_begin: str | None = None
        """The earliest moment at which one comes into force: the date of the sheet; None = it has no rates."""
        self.last_begin = ""
        """The latest moment at which a rate of the sheet comes into force; empty = at once."""
        self._bad: list[Problem] = []
        self._file = file
        self._price_per = price_per
        self._map = sheet_map
        self._effective = effective
        self._mark = sheet_map.decimal if sheet_map else "."
        self._constants: Mapping[str, str] = sheet_map.constants if sheet_map else {}
        zone = (sheet_map and sheet_map.timezone) or zone or UTC
        date_format = sheet_map.date_format if sheet_map else None
        self._read_window: Mapping[str, Callable[[str], str]] = {
            BEGINS: instant_reader(date_format, zone),
            ENDS: instant_reader(date_format, zone, is_end=True),
        }

    @property
    def problems(self) -> Sequence[Problem]:
        """The mistakes of the rows that are named, by line."""
        return sorted(self._bad, key=lambda problem: problem.line)

    def lines(self, sheet: Iterator[Line]) -> Iterator[str]:
        """Yield the sound rows as lines of a deck, each with ``NUMBER_MARK`` and the number of its line.

        Raises:
            SheetError: the header has mistakes, or the file cannot be read to its end.
        """
        header = next(sheet, Line(1, ()))
        found = ProblemList()
        columns = columns_of(header.cells, self._map, Place(self._file, header.number), found)
        if found.has_errors:
            raise SheetError("\n".join(map(str, found.in_order())))
        prefix_at, price_at, area_at = columns.at[PREFIX], columns.at[PRICE], columns.at.get(AREA)
        others = [name for name in columns.at if name not in _APART]
        others_at = [columns.at[name] for name in others]
        codes = _Memory[tuple[str, ...], Sequence[str]](_codes)
        codes_at, is_alone = (*columns.ahead, prefix_at), not columns.ahead
        prices = _Memory[str, str](self._price)
        areas = _Memory[str, str](self._area)
        terms = _Memory[tuple[str, ...], _Terms](
            lambda cells: self._terms(dict(zip(others, map(str.strip, cells), strict=True)))
        )
        for number, cells in sheet:
            if len(cells) != columns.width:
                if any(map(str.strip, cells)):
                    self._report_width(number, len(cells), columns.width)
                continue
            price = prices[cells[price_at]]
            own = terms[tuple([cells[index] for index in others_at])]
            area = areas[cells[area_at]] if area_at is not None else areas[""]
            prefix = cells[prefix_at]
            if is_alone and prefix.isdigit() and prefix.isascii() and len(prefix) <= DIGITS_MAX:
                prefixes: Sequence[str] | None = (prefix,)
            else:
                prefixes = codes[tuple([cells[index] for index in codes_at])]
            if price is None or own is None or area is None or prefixes is None:
                if any(map(str.strip, cells)):
                    self._report(number, cells, columns)
                continue
            self.rows += 1
            closed = CLOSED_WORD if own.is_closed or not price else ""
            ending = f",{own.window},{closed},{price or '0'},{area}{own.others}{NUMBER_MARK}{number}"
            for prefix in prefixes:
                yield prefix + ending

    def each_once(self, lines: Iterable[str]) -> Iterator[str]:
        """Yield sorted lines without the numbers; a prefix that begins twice at the same time is reported."""
        key = first = ""
        for line in lines:
            own, _, number = line.rpartition(NUMBER_MARK)
            prefix, begins, _ = own.split(",", 2)
            if key == f"{prefix},{begins}":
                earlier, later = sorted((first, number), key=int)
                expected = f"each prefix once for the same {BEGINS}; it also stands in line {earlier}"
                found = ProblemList()
                found.error(Place(self._file, int(later)), PREFIX, expected, prefix)
                self._note(found)
                continue
            key, first = f"{prefix},{begins}", number
            yield own

    def _price(self, cell: str) -> str:
        """Return a price as it stands in a line; empty = the prefix is closed."""
        text = self._amount(cell.strip())
        if text:
            _READ[PRICE](text)
        return text.removeprefix("+")

    def _amount(self, text: str) -> str:
        """Return an amount with a point for the decimal mark of the sheet."""
        if self._mark == ".":
            return text
        if "." in text:
            raise ValueError
        return text.replace(self._mark, ".")

    def _area(self, cell: str) -> str:
        text = cell.strip() or self._constants.get(AREA, "")
        _READ[AREA](text)
        return _joined([text])

    def _terms(self, cells: Mapping[str, str]) -> _Terms:
        """Read all of a row but its prefix, price and area.

        Raises:
            ValueError: something is not accepted.
        """
        values = self._values(cells)
        window = {name: self._read_window[name](values.pop(name)) if name in values else "" for name in (BEGINS, ENDS)}
        try:
            row = RateKeys.model_validate({**values, **_ANY_PREFIX})
        except ValidationError as error:
            raise ValueError from error
        if row.interval is not None and self._price_per is PricePer.CYCLE:
            raise ValueError
        begins, ends = max(window[BEGINS], self._effective), window[ENDS]
        if ends and ends <= begins:
            raise ValueError
        self.first_begin = begins if self.first_begin is None else min(self.first_begin, begins)
        self.last_begin = max(self.last_begin, begins)
        others = _joined(["", *(_text(name, values.get(name, ""), getattr(row, name)) for name in OTHERS[1:])])
        return _Terms(f"{begins},{ends}", row.locked, others)

    def _values(self, cells: Mapping[str, str]) -> dict[str, str]:
        """Return the cells of a row that are not empty, and the constants in place of those that are."""
        given = {name: text for name, text in cells.items() if text and name not in _APART}
        values = {**{name: text for name, text in self._constants.items() if name not in _APART}, **given}
        return {name: self._amount(text) if name in _AMOUNTS else text for name, text in values.items()}

    def _report(self, number: int, cells: Sequence[str], columns: Columns) -> None:
        """Note what is wrong with a row."""
        found, place = ProblemList(), Place(self._file, number)
        written = {name: cells[index].strip() for name, index in columns.at.items()}
        values: dict[str, str] = dict(_ANY_PREFIX)

        def read(name: str, reader: Callable[[str], str | None], expected: str) -> None:
            text = written.get(name) or self._constants.get(name, "")
            try:
                value = reader(text) if text else None
            except ExpectedError as error:
                found.error(place, columns.headers.get(name, name), str(error), text)
            except ValueError:
                found.error(place, columns.headers.get(name, name), expected, text)
            else:
                if value is not None:
                    values[name] = value

        try:
            _codes(tuple(cells[index] for index in (*columns.ahead, columns.at[PREFIX])))
        except ExpectedError as error:
            found.error(place, columns.headers[PREFIX], str(error), written[PREFIX])
        amount = f"an amount of 0 or more with at most {PLACES} decimals, such as 0{self._mark}012"
        amount += ", without exponent and thousands separators"
        read(PRICE, self._price, amount)
        for name in columns.at.keys() | self._constants.keys():
            if name in self._read_window:
                read(name, self._read_window[name], "a time")
            elif name in _AMOUNTS and name != PRICE:
                read(name, self._amount, amount)
            elif name not in {PREFIX, PRICE}:
                read(name, str, "")
        begins, ends = max(values.pop(BEGINS, ""), self._effective), values.pop(ENDS, "")
        if ends and ends <= begins:
            found.error(place, columns.headers.get(ENDS, ENDS), f"a time behind {begins}", written.get(ENDS))
        row = _SheetRow(place, values, written, columns)
        keys = validate(RateKeys, row, found)
        if keys is not None:
            check_interval(keys, row, self._price_per, found)
        self._note(found)

    def _report_width(self, number: int, cells: int, width: int) -> None:
        found = ProblemList()
        found.error(Place(self._file, number), "", f"{width} columns as in the header, not {cells}")
        self._note(found)

    def _note(self, found: ProblemList) -> None:
        self.bad_rows += 1
        if self.bad_rows <= BAD_ROWS_NAMED:
            self._bad += found.in_order()


def _codes(cells: tuple[str, ...]) -> Sequence[str]:
    *ahead, codes = (cell.strip() for cell in cells)
    return prefixes_of(codes, "".join(ahead))


def _text(name: str, written: str, value: Any) -> str:
    """Return a value as it stands in a line: empty for the default, with the digits that were written."""
    if value == RateKeys.model_fields[name].default:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, int):
        return str(value)
    return written.removeprefix("+") if isinstance(value, Decimal) else written


def _joined(cells: Sequence[str]) -> str:
    text = StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return "" if cells == [""] else text.getvalue()


def _reader(name: str) -> Callable[[str], object]:
    rule = next(each for each in RateKeys.model_fields[name].metadata if isinstance(each, FromText))
    return rule.read


_READ: Final = {name: _reader(name) for name in (PRICE, AREA)}
_AMOUNTS: Final = frozenset(name for name, each in RateKeys.model_fields.items() if "Decimal" in str(each.annotation))
