"""The rows of a call record file of another switch, read by a map of its columns.

Rows are read one at a time, so the size of a file does not matter. Nothing is rated here.
"""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from enum import Enum
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import msgspec

from vosd.base.csv_text import (
    bounded_lines,
    has_joined_rows,
    is_shortened,
    named_separator,
    swallowed_rows,
    unneutralised,
)
from vosd.base.date_formats import parsed_date
from vosd.base.errors import VosError
from vosd.base.money import LIMIT, in_places
from vosd.base.number import without_separators

DELIMITERS: Final = (",", ";", "\t", "|")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ONCE: Final = timedelta(0)
_MS: Final = timedelta(milliseconds=1)
_DAY_MS: Final = 86_400_000
_LATEST: Final = datetime(9000, 1, 1, tzinfo=UTC)
"""Calls begin from 1970 to before this; seconds that are milliseconds in truth, for one, come after it."""
_FRACTION: Final = re.compile(r"(\+?\d{5,})[.,]0", re.ASCII)
"""A long number as programs write it that take a column with empty cells for fractions."""
_UNSEEN: Final = {
    **dict.fromkeys(map(ord, "\u00a0\u2007\u202f"), " "),
    **dict.fromkeys([0xAD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF]),
}
"""No-break spaces, and invisible characters such as marks of direction, which are pasted with numbers."""


class ForeignFileError(VosError):
    """The file cannot be read by the map; the message says which line or column."""


class BadRowError(VosError):
    """One row cannot be read; the message says why."""


class StartForm(Enum):
    """Forms of the start of a call that no format of ``strptime`` describes."""

    ISO = "iso"
    UNIX = "unix"
    UNIX_MS = "unix_ms"


class DurationUnit(Enum):
    """Units of the length of a call."""

    SECONDS = "seconds"
    MILLISECONDS = "milliseconds"
    MINUTES = "minutes"
    CLOCK = "clock"
    """``1:02:03`` or ``62:03``."""


_DIGITS: Final = 18
"""Digits of a number that Python reads at once."""
_SWAPPED: Final = str.maketrans(",.", ".,")
"""To read a decimal comma. A point then becomes a comma, which is no number: 1.234 could be one or a thousand."""
_MS_OF: Final = {DurationUnit.SECONDS: 1_000, DurationUnit.MILLISECONDS: 1, DurationUnit.MINUTES: 60_000}


class ForeignLayout(msgspec.Struct, frozen=True):
    """Columns of a file; a column is named by its header, or by its number from 1 where there is none."""

    callee: str
    start: str
    duration: str
    account: str | None = None
    gateway: str | None = None
    caller: str | None = None
    price: str | None = None
    """Charge of the other switch; None = nothing is compared."""
    billed: str | None = None
    """Time that the other switch has billed."""
    has_header: bool = True
    delimiter: str | None = None
    """None = that of a line such as ``sep=;`` above all others, else the one that the first line has most."""
    encoding: str = "utf-8"
    start_form: StartForm | str = StartForm.ISO
    """A text is a format of ``strptime``."""
    zone: tzinfo = UTC
    """Zone of times that are written without one."""
    duration_unit: DurationUnit = DurationUnit.SECONDS
    billed_unit: DurationUnit = DurationUnit.SECONDS
    """Unit of ``billed``; a value with colons is of the clock whatever it is."""
    has_decimal_comma: bool = False
    strip: tuple[str, ...] = ()
    """Beginnings of called numbers, of which the first that fits is taken off."""
    all_of: str | None = None
    """The account of all calls."""
    accounts: Mapping[str, str] = {}
    """Names of accounts in the file, and ours; a name that is missing is ours already."""
    gateways: Mapping[str, str] = {}


class ForeignCall(NamedTuple):
    """One call of the other switch."""

    account: str
    """Our name of it; empty = that of the gateway."""
    gateway: str
    callee: str
    caller: str
    started_at: int
    """UTC milliseconds."""
    duration_ms: int
    price: Decimal | None
    """None = the file does not say it."""
    billed_seconds: int | None = None
    """None = the file does not say it."""
    again_ms: int = 0
    """Milliseconds after which clocks showed this start once more, in the hour that comes twice; 0 = they did not."""


class ForeignFile:
    """An open file."""

    def __init__(self, raw: BinaryIO, size: int, lines: io.TextIOWrapper, layout: ForeignLayout) -> None:
        self._raw, self._size, self._layout = raw, max(size, 1), layout
        source = bounded_lines(lines)
        first, self._above = next(source, ""), 0
        said = named_separator(first)
        if said is not None:
            first, self._above = next(source, ""), 1
        delimiter = layout.delimiter or said or max(DELIMITERS, key=first.count)
        heading = next(csv.reader([first], delimiter=delimiter), [])
        self._reader = csv.reader(source, delimiter=delimiter, strict=True)
        self._delimiter = delimiter
        self._first = None if layout.has_header else heading
        self._width = len(heading)
        self._columns = _columns(layout, heading)

    @property
    def part(self) -> float:
        """Share of the file that has been read, as a part of 1."""
        return self._raw.tell() / self._size

    def rows(self) -> Iterator[tuple[int, ForeignCall | BadRowError]]:
        """Yield the line and the call of each row, or why it is none; empty lines are left out.

        Raises:
            ForeignFileError: the rest of the file cannot be read.
        """
        read = _RowReader(self._layout, self._columns, self._delimiter, self._width)
        line = self._above + 1
        if self._first is not None:
            yield line, read.call(self._first)
        try:
            for row in self._reader:
                line = self._above + self._reader.line_num + 1
                if row:
                    yield line, read.call(row)
        except (csv.Error, UnicodeError, OSError, EOFError, zlib.error) as error:
            raise ForeignFileError(
                f"line {line + 1} or one soon after it cannot be read ({error}); the map says {self._layout.encoding}"
            ) from error


@contextmanager
def opened(path: Path, layout: ForeignLayout) -> Iterator[ForeignFile]:
    """Open a file; one that ends in ``.gz`` is decompressed.

    Raises:
        ForeignFileError: it cannot be read, or a column of the map is missing.
    """
    try:
        with path.open("rb") as raw:
            content = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
            lines = io.TextIOWrapper(content, encoding=layout.encoding, newline="")
            yield ForeignFile(raw, path.stat().st_size, lines, layout)
    except (OSError, EOFError, csv.Error, UnicodeError, LookupError, zlib.error) as error:
        raise ForeignFileError(f"{path} cannot be read: {error}") from error


class _Columns(NamedTuple):
    callee: int
    start: int
    duration: int
    account: int | None
    gateway: int | None
    caller: int | None
    price: int | None
    billed: int | None


def _columns(layout: ForeignLayout, heading: Sequence[str]) -> _Columns:
    """Return the places of the columns that the map names."""
    names = [name.strip() for name in heading] if layout.has_header else [str(n + 1) for n in range(len(heading))]

    def place(name: str) -> int:
        if names.count(name) > 1:
            raise ForeignFileError(f"several columns {name!r} in the file: name the one that is meant by its number")
        if name in names:
            return names.index(name)
        if name.isdecimal() and 1 <= int(name) <= len(names):
            return int(name) - 1
        raise ForeignFileError(f"no column {name!r} in the file; there are {', '.join(map(repr, names))}")

    def optional(name: str | None) -> int | None:
        return None if name is None else place(name)

    return _Columns(
        place(layout.callee),
        place(layout.start),
        place(layout.duration),
        optional(layout.account),
        optional(layout.gateway),
        optional(layout.caller),
        optional(layout.price),
        optional(layout.billed),
    )


class _RowReader:
    """Reads rows of one file."""

    def __init__(self, layout: ForeignLayout, columns: _Columns, delimiter: str, width: int) -> None:
        self._layout, self._columns, self._delimiter, self._width = layout, columns, delimiter, width
        self._places = [place for place in columns if place is not None]
        self._needed = max(self._places) + 1

    def call(self, row: Sequence[str]) -> ForeignCall | BadRowError:
        """Return the call of a row, or why there is none."""
        if any("\n" in cell or "\r" in cell for cell in row) and self._has_swallowed(row):
            return BadRowError("a cell of several lines: is a quotation mark missing?")
        return self._read(row)

    def _has_swallowed(self, row: Sequence[str]) -> bool:
        """Return whether a row with a line break holds others: of the width of the header, or such as are calls."""
        return (
            any("\n" in row[place] for place in self._places if place < len(row))
            or has_joined_rows(row, self._delimiter, self._width)
            or any(
                isinstance(self._read(swallowed), ForeignCall) and isinstance(self._read(begin), ForeignCall)
                for begin, swallowed in swallowed_rows(row, self._delimiter)
            )
        )

    def _read(self, row: Sequence[str]) -> ForeignCall | BadRowError:
        layout, columns = self._layout, self._columns
        if len(row) < self._needed:
            return BadRowError(f"{len(row)} columns, at least {self._needed} are needed")
        beyond = row[self._width :]  # an empty cell ends a row of some switches, or was a part of 0,01 without quotes
        if beyond and (any(beyond) or self._delimiter == ","):
            return BadRowError(f"{len(row)} columns, the first line has {self._width}")
        try:
            callee = _telephone_of(row[columns.callee])
            if is_shortened(callee):
                return BadRowError(f"called number {callee!r} has lost its digits: a spreadsheet has shortened it")
            prefix = next((each for each in layout.strip if callee.startswith(each)), "")
            if len(callee) == len(prefix):
                return BadRowError("no called number")
            account = layout.all_of or ""
            if columns.account is not None:
                written = _text_of(row[columns.account])
                account = layout.accounts.get(written, written)
            gateway = "" if columns.gateway is None else _text_of(row[columns.gateway])
            started_at, again_ms = self._start(row[columns.start].strip())
            return ForeignCall(
                account,
                layout.gateways.get(gateway, gateway),
                without_separators(callee[len(prefix) :]),
                "" if columns.caller is None else without_separators(_telephone_of(row[columns.caller])),
                started_at,
                self._length("duration", row[columns.duration].strip(), layout.duration_unit),
                None if columns.price is None else self._price(row[columns.price].strip()),
                None if columns.billed is None else self._billed_seconds(row[columns.billed].strip()),
                again_ms,
            )
        except BadRowError as error:
            return error

    def _start(self, text: str) -> tuple[int, int]:
        """Return UTC milliseconds, and after how many more the clocks showed the same time again."""
        form, zone = self._layout.start_form, self._layout.zone
        try:
            if form is StartForm.ISO:
                moment = datetime.fromisoformat(text)
            elif isinstance(form, str):
                moment = parsed_date(text, form)
            else:
                moment = _EPOCH + timedelta(milliseconds=_int_of(text, 1_000 if form is StartForm.UNIX else 1))
            again = _ONCE
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=zone)
                later = moment.replace(fold=1)
                again = (moment.utcoffset() or _ONCE) - (later.utcoffset() or _ONCE)
            if not _EPOCH <= moment < _LATEST:
                raise ValueError
            return (moment - _EPOCH) // _MS, max(_ONCE, again) // _MS
        except (ValueError, OverflowError):
            written = form if isinstance(form, str) else form.value
            raise BadRowError(f"start {text!r} is not of the form {written}") from None

    def _billed_seconds(self, text: str) -> int | None:
        unit = DurationUnit.CLOCK if ":" in text else self._layout.billed_unit
        return (self._length("billed", text, unit) + 500) // 1_000 if text else None

    def _length(self, name: str, text: str, unit: DurationUnit) -> int:
        """Return a length of time in milliseconds; ``name`` is that of its column."""
        if unit is DurationUnit.CLOCK:
            ms = _clock_ms(name, text)
        elif text.isdecimal() and len(text) <= _DIGITS:
            ms = int(text) * _MS_OF[unit]
        else:
            ms = int(self._number(name, text) * _MS_OF[unit]) if text else 0
        if not 0 <= ms <= 366 * _DAY_MS:
            raise BadRowError(f"{name} {text!r} is not the length of a call")
        return ms

    def _price(self, text: str) -> Decimal | None:
        return in_places(self._number("price", text)) if text else None

    def _number(self, name: str, text: str) -> Decimal:
        try:
            number = Decimal(text.translate(_SWAPPED) if self._layout.has_decimal_comma else text)
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite() or abs(number) > LIMIT:
            raise BadRowError(f"{name} {text!r} is not a number")
        return number


def _text_of(cell: str) -> str:
    """Return a number or name without the apostrophe that keeps a spreadsheet from taking it for a formula."""
    return unneutralised(cell.strip())


def _telephone_of(cell: str) -> str:
    """Return a telephone number without what programs add: the end of a fraction, invisible characters."""
    text = _text_of(cell if cell.isascii() else cell.translate(_UNSEEN))
    found = _FRACTION.fullmatch(text)
    return text if found is None else found[1]


def _int_of(text: str, factor: int) -> int:
    """Return a number times a factor without its decimals; raises ValueError where it is none, or a huge one."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError from None
    if not number.is_finite() or number.adjusted() >= _DIGITS:
        raise ValueError
    return int(number * factor)


def _clock_ms(name: str, text: str) -> int:
    parts = text.split(":")
    try:
        *above, seconds = parts
        ms = _int_of(seconds, 1_000)
        for factor, part in zip((60_000, 3_600_000), reversed(above), strict=False):
            ms += _int_of(part, 1) * factor
    except ValueError:
        parts = []
    if not 2 <= len(parts) <= 3:
        raise BadRowError(f"{name} {text!r} is not of the form 1:02:03")
    return ms
