"""Rows of a sheet to lines of a deck, by the rules of a rate file; mistakes by line, column, value and reason.

Each different text of a cell is read once. A row of which a cell is not accepted is read again cell by cell for its
messages.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from datetime import UTC, tzinfo
from decimal import Decimal
from enum import Enum
from functools import partial
from io import StringIO
from typing import Any, Final, NamedTuple, TypeVar

from pydantic import ValidationError

from vosd.base.csv_text import unneutralised
from vosd.base.money import PLACES
from vosd.base.prefixes import ANY
from vosd.billing.deck_rows import BEGINS, CLOSED_WORD, COLUMNS_AHEAD, ENDS, PREFIX, PRICE, REMOVED_WORD
from vosd.billing.rate_layout import DIGITS_MAX
from vosd.catalogue.problems import DefinitionProblem, ProblemList, SourceLine
from vosd.config.assembly.rate_groups import check_interval
from vosd.config.decks.amounts import DeckAmounts, is_closed_word
from vosd.config.decks.assumptions import Assumptions
from vosd.config.decks.columns import CURRENCY, INTERVAL, MEMO, STATUS, SheetColumns, columns_of
from vosd.config.decks.instants import DateForms, instant_reader
from vosd.config.decks.sheet_map import SheetMapKeys, StatusMeaning
from vosd.config.decks.sheets import SheetLine
from vosd.config.decks.workbook_errors import ERRORS
from vosd.config.decks.workbooks import SheetError
from vosd.config.keys.rates import PricePer, RateKeys
from vosd.config.reader.fields import ExpectedError, FromText
from vosd.config.reader.reading import Spot, Trail, validate

AREA: Final = "area"
OTHERS: Final = (AREA, *(name for name in RateKeys.by_key() if name not in {*COLUMNS_AHEAD, AREA, MEMO}))
"""The columns behind ``COLUMNS_AHEAD``; the comment is not kept."""
APART: Final = frozenset({PREFIX, PRICE, AREA, MEMO})
"""Columns that are not read here."""
AMOUNTS: Final = frozenset(name for name, each in RateKeys.model_fields.items() if "Decimal" in str(each.annotation))
ANY_PREFIX: Final = {PREFIX: "0", PRICE: "0"}
"""Stands for prefix and price where the other cells of a row are judged."""
_FIRST_RATE: Final = "first_rate"
_FIRST_DURATION: Final = "first_duration"
_TAX: Final = "tax_rate"
_MARKS: Final = {StatusMeaning.CLOSE: CLOSED_WORD, StatusMeaning.REMOVE: REMOVED_WORD, StatusMeaning.KEEP: ""}


class DeckTerms(NamedTuple):
    """Terms of a row apart from prefix, price and area."""

    begins: str
    """ISO 8601 UTC; empty = at once."""
    ends: str
    """Empty = never."""
    closed: str
    """``CLOSED_WORD``, ``REMOVED_WORD`` or nothing."""
    others: str
    has_other_amounts: bool = False
    """Whether a call costs something also where the price is 0: a connection fee, a minimum, a first period."""


class TermsReader:
    """Reads the terms of the rows of one sheet."""

    def __init__(
        self,
        price_per: PricePer,
        sheet_map: SheetMapKeys | None,
        effective: str,
        zone: tzinfo | None,
        currency: str | None,
        assumed: Assumptions,
    ) -> None:
        """Take how the sheet is to be read, as ``SheetReader`` does."""
        self.mark = sheet_map.decimal if sheet_map else "."
        self.amounts = DeckAmounts(self.mark, currency, assumed)
        self.constants: Mapping[str, str] = sheet_map.constants if sheet_map else {}
        self.effective = effective
        self._price_per = price_per
        self._assumed = assumed
        self._currency = currency
        self._statuses = sheet_map.status.meanings if sheet_map else {}
        zone = (sheet_map and sheet_map.timezone) or zone or UTC
        date_format = sheet_map.date_format if sheet_map else None
        self.read_window: Mapping[str, Callable[[str], str]] = {
            BEGINS: instant_reader(date_format, zone),
            ENDS: instant_reader(date_format, zone, is_end=True),
        }
        self.date_forms: Mapping[str, DateForms] = {name: DateForms(date_format) for name in (BEGINS, ENDS)}

    def read(self, cells: Mapping[str, str]) -> DeckTerms:
        """Return the terms of a row by its cells.

        Raises:
            ValueError: something is not accepted.
        """
        closed = self.status(cells.get(STATUS, ""))
        self.check_currency(cells.get(CURRENCY, ""))
        values = self._values(cells)
        window = {name: self.read_window[name](values.pop(name)) if name in values else "" for name in (BEGINS, ENDS)}
        try:
            row = RateKeys.model_validate({**values, **ANY_PREFIX})
        except ValidationError as error:
            raise ValueError from error
        if row.interval is not None and self._price_per is PricePer.CYCLE:
            raise ValueError
        begins, ends = max(window[BEGINS], self.effective), window[ENDS]
        if ends and ends <= begins:
            raise ValueError
        for name, forms in self.date_forms.items():
            forms.check(cells.get(name, ""))
        others = joined(["", *(_text(name, values.get(name, ""), getattr(row, name)) for name in OTHERS[1:])])
        has_amounts = bool(row.connection_fee or row.minimum_charge or row.first_rate or row.sections)
        return DeckTerms(begins, ends, closed or (CLOSED_WORD if row.locked else ""), others, has_amounts)

    def status(self, text: str) -> str:
        """Return the mark of a row by its status; empty = it is a rate as any other.

        Raises:
            ExpectedError: the map does not say what the status means.
        """
        if not text:
            return ""
        meaning = self._statuses.get(text.lower())
        if meaning is None:
            raise ExpectedError(f"one of {', '.join(self._statuses)}, or a meaning of this word in status of the map")
        return _MARKS[meaning]

    def check_currency(self, text: str) -> None:
        """Compare the currency of a row with that of the rate group; raises ExpectedError where it is another one."""
        if text and self._currency is not None and not self.amounts.is_ours(text):
            raise ExpectedError(f"{self._currency}, the currency of the rate group")

    def without_unused(self, values: dict[str, str]) -> dict[str, str]:
        """Return values without intervals and first periods of no duration: both stand for nothing."""
        if values.get(INTERVAL, "").replace(" ", "") == "0/0":
            del values[INTERVAL]
        first_rate = values.get(_FIRST_RATE, "")
        if values.get(_FIRST_DURATION, "").strip("0") == "" and (_FIRST_DURATION in values or is_zero(first_rate)):
            if first_rate and not is_zero(first_rate):
                self._assumed.note("off", "no first period, for its duration is 0", _FIRST_RATE, first_rate)
            values.pop(_FIRST_RATE, None)
            values.pop(_FIRST_DURATION, None)
        return values

    def _values(self, cells: Mapping[str, str]) -> dict[str, str]:
        """Return the cells of a row that are not empty, and the constants in place of those that are."""
        known = {name: text for name, text in cells.items() if text and name not in {*APART, STATUS, CURRENCY}}
        values = {**{name: text for name, text in self.constants.items() if name not in APART}, **known}
        return self.without_unused(
            {name: self.amount(text, name) if name in AMOUNTS else text for name, text in values.items()}
        )

    def amount(self, text: str, name: str) -> str:
        """Return an amount as ``DeckAmounts.read`` does, a percentage without its sign."""
        return self.amounts.read(text.removesuffix("%").rstrip() if name == _TAX else text, name)


def is_zero(text: str) -> bool:
    """Return whether a text is an amount of nothing."""
    return bool(text) and not text.strip("0.,")


def joined(cells: Sequence[str]) -> str:
    """Return cells as they stand in a line."""
    text = StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return "" if cells == [""] else text.getvalue()


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


BAD_ROWS_NAMED: Final = 1_000
"""Rows with mistakes that are named; the others are counted."""
PREFIXES_NAMED: Final = 10
"""Prefixes of each kind that are worth a look and are named."""
INTERNATIONAL_PREFIX: Final = "00"
NUMBER_MARK: Final = "\t"
"""Stands between a line of the deck and the number of its line in the sheet."""
HEADER: Final = ",".join((*COLUMNS_AHEAD, *OTHERS))
"""The first line of a deck."""
_TOGETHER: Final = (
    frozenset({INTERVAL, "billing_cycle", "first_rate", "first_duration"}),
    frozenset({AREA, "area_prefix"}),
)
"""Columns of which one that a file has speaks for the others, too."""
_STATUSES: Final = frozenset(
    {
        "blocked", "closed", "barred", "suspended", "deleted", "removed", "withdrawn", "discontinued", "inactive",
        "disabled", "delete", "remove",
    }
)  # fmt: skip
"""Words that may say that a row is no rate as the others, in a column that no map names."""
_REMEMBERED: Final = 200_000
_COUNTRIES: Final = re.compile(r"(?<!\d)(\d{1,3})\s*-\s*(\d{1,3})(?!\d)", re.ASCII)
"""Ranges of codes that may be a country and an area of it."""

Key = TypeVar("Key")
Value = TypeVar("Value")


LINES_MAX: Final = 20
"""Lines that a footer has at most; more of them are rows with mistakes."""
_SHOWN: Final = 60


RANGE_MAX: Final = 10_000
"""Most prefixes of one range."""
_SEPARATORS: Final = re.compile(r"(?<!\s)\s*[;,\n][;,\s]*")  # each run of blanks is looked at once
_BLANK_INSIDE: Final = re.compile(r"\d\s+\d")
_CODE: Final = re.compile(r"\d+\Z", re.ASCII)
_EXPECTED: Final = f"codes of up to {DIGITS_MAX} digits and ranges of them, such as 7000-7009;7011, or * for any number"


def prefixes_of(text: str, ahead: str = "") -> list[str]:
    """Return the prefixes of a cell, each with the digits of ``ahead`` before it; a leading plus is left out.

    Raises:
        ExpectedError: it is something else.
    """
    if not ahead and (text == ANY or (text.isdigit() and text.isascii() and len(text) <= DIGITS_MAX)):
        return [text]
    ahead = ahead.removeprefix("+")
    if ahead and not (ahead.isdigit() and ahead.isascii()):
        raise ExpectedError(_EXPECTED)
    found = []
    for part in _SEPARATORS.split(text.replace(" - ", "-").strip()) if text else [""]:
        for code in _codes(part if ahead else part.removeprefix("+")):
            if not 1 <= len(ahead + code) <= DIGITS_MAX:
                raise ExpectedError(_EXPECTED)
            found.append(ahead + code)
    return found


def _codes(part: str) -> list[str]:
    first, dash, last = part.partition("-")
    if not dash:
        if _BLANK_INSIDE.search(part):  # 1 264 may be 1264, or 1 and 264
            raise ExpectedError("codes without a blank inside, and ; between several, such as 7000-7009;7011")
        if part and not _CODE.match(part):
            raise ExpectedError(_EXPECTED)
        return [part]
    if not (_CODE.match(first) and _CODE.match(last)) or len(first) > DIGITS_MAX or len(last) > DIGITS_MAX:
        raise ExpectedError(_EXPECTED)
    if len(first) != len(last) or int(first) > int(last):
        raise ExpectedError("ranges whose ends have the same number of digits, the lower one first")
    if int(last) - int(first) >= RANGE_MAX:
        raise ExpectedError(f"ranges of at most {RANGE_MAX} codes")
    return [f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]


class Footer:
    """Holds lines that may be a footer until a rate follows, or none does."""

    def __init__(self, codes_at: Sequence[int], price_at: int) -> None:
        """Take the positions of the cells with the code, and of that with the price."""
        self._codes_at = codes_at
        self._price_at = price_at
        self._held: list[tuple[int, Sequence[str]]] = []

    def takes(self, number: int, cells: Sequence[str]) -> bool:
        """Hold a line if it may be of a footer, and return whether it is held.

        Such a line has neither digits in its code nor in its price, or words in one cell and nothing else.
        """
        filled = [cell for cell in map(str.strip, cells) if cell]
        if len(filled) == 1:
            is_footer = any(map(str.isalpha, filled[0]))
        else:
            judged = [cells[index] for index in (*self._codes_at, self._price_at) if index < len(cells)]
            is_footer = not any(character.isdigit() or character == "*" for cell in judged for character in cell)
        if not is_footer or len(self._held) >= LINES_MAX:
            return False
        self._held.append((number, cells))
        return True

    def interrupted(self) -> Iterator[tuple[int, Sequence[str]]]:
        """Yield the lines that were held: a rate follows, so they are rows with mistakes."""
        if self._held:
            yield from self._held
            self._held = []

    def note(self, assumed: Assumptions) -> None:
        """Note what was held to the end of the sheet."""
        if not self._held:
            return
        number, cells = self._held[0]
        text = " ".join(cell for cell in map(str.strip, cells) if cell)
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        assumed.line = number
        count = len(self._held)
        words = "a line without code and price" if count == 1 else f"{count} lines without code and price"
        assumed.note("footer", f"{words} behind the last rate: left out", "", shown)


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


class _SheetRow:
    """One row, for the messages of ``validate``."""

    def __init__(
        self, place: SourceLine, values: Mapping[str, str], written: Mapping[str, str], columns: SheetColumns
    ) -> None:
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
        currency: str | None = None,
    ) -> None:
        """Take how the sheet is to be read.

        Args:
            file: its name, for messages.
            price_per: what prices of the rate group are of.
            sheet_map: what its columns mean; None = they have our names.
            effective: no rate is in force before that time, ISO 8601 UTC; empty = no limit.
            zone: of times that name none, unless the map says another; None = UTC.
            currency: of the rate group; a sheet that names another one is refused, None = one that names any.
        """
        self.rows = 0
        """Rows without mistakes."""
        self.bad_rows = 0
        self.first_begin = ""
        """The earliest moment at which a rate of the sheet comes into force; empty = at once."""
        self.last_begin = ""
        """The latest one; empty = at once."""
        self.dialled = 0
        """Prefixes that begin with ``INTERNATIONAL_PREFIX``, which no number in E.164 form does."""
        self.dialled_examples: list[str] = []
        """The first of them."""
        self.free = 0
        """Rates by which calls cost nothing: vendors write 0 for what they do not offer, too."""
        self.free_examples: list[str] = []
        """Prefixes of the first of them."""
        self.assumed = Assumptions()
        self.absent: frozenset[str] = frozenset()
        """Our columns behind ``COLUMNS_AHEAD`` that neither the sheet nor the map has."""
        self.unread: Sequence[str] = ()
        """Headers of the columns that are not read."""
        self.header: Sequence[str] = ()
        """Names of the columns in the sheet."""
        self._bad: list[DefinitionProblem] = []
        self._file = file
        self._price_per = price_per
        self._map = sheet_map
        self._terms = TermsReader(price_per, sheet_map, effective, zone, currency, self.assumed)

    @property
    def problems(self) -> Sequence[DefinitionProblem]:
        """The mistakes of the rows that are named, by line."""
        return sorted(self._bad, key=lambda problem: problem.line)

    def lines(self, sheet: Iterator[SheetLine]) -> Iterator[str]:
        """Yield the sound rows as lines of a deck, each with ``NUMBER_MARK`` and the number of its line.

        Raises:
            SheetError: the header has mistakes, or the file cannot be read to its end.
        """
        columns = self._columns(next(sheet, SheetLine(1, ())))
        prefix_at, price_at, area_at = columns.at[PREFIX], columns.at[PRICE], columns.at.get(AREA)
        codes = _Memory[tuple[str, ...], Sequence[str]](self._codes)
        codes_at, is_alone = (*columns.ahead, prefix_at), not columns.ahead
        prices = _Memory[str, str](self._price)
        areas = _Memory[str, str](self._area)
        terms_at = columns.positions_without(APART)
        terms = _Memory[tuple[str, ...], DeckTerms](lambda cells: self._terms.read(_named(terms_at, cells, columns)))
        unkept = [*columns.unkept]
        meaningless = _Memory[str, str](_meaningless)
        footer = Footer(codes_at, price_at)
        if self._terms.mark != ".":
            sheet = _with_mark(sheet, {columns.at[name] for name in AMOUNTS & columns.at.keys()}, self._terms.mark)
        for number, cells, _, _ in sheet:
            self.assumed.line = number
            if len(cells) != columns.width:
                self._refuse(number, cells, columns, footer)
                continue
            price = prices[cells[price_at]]
            own = terms[tuple([cells[index] for index in terms_at])]
            area = areas[cells[area_at]] if area_at is not None else areas[""]
            prefix = cells[prefix_at]
            if is_alone and prefix.isdigit() and prefix.isascii() and len(prefix) <= DIGITS_MAX:
                prefixes: Sequence[str] | None = (prefix,)
            else:
                prefixes = codes[tuple([cells[index] for index in codes_at])]
            is_doubtful = unkept and any(meaningless[cells[index]] is None for index in unkept)
            if price is None or own is None or area is None or prefixes is None or is_doubtful:
                self._refuse(number, cells, columns, footer)
                continue
            for earlier, held in footer.interrupted():
                self._report(earlier, held, columns)
            self.first_begin = min(self.first_begin, own.begins) if self.rows else own.begins
            self.last_begin = max(self.last_begin, own.begins)
            self.rows += 1
            closed = own.closed or ("" if price else CLOSED_WORD)
            if not closed and is_zero(price) and not own.has_other_amounts:
                self.free += len(prefixes)
                self.free_examples.extend(prefixes[: PREFIXES_NAMED - len(self.free_examples)])
            ending = f",{own.begins},{own.ends},{closed},{price or '0'},{area}{own.others}{NUMBER_MARK}{number}"
            for prefix in prefixes:
                yield prefix + ending
        footer.note(self.assumed)

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
                found.error(SourceLine(self._file, int(later)), PREFIX, expected, prefix)
                self._note(found)
                continue
            if prefix.startswith(INTERNATIONAL_PREFIX) and not key.startswith(f"{prefix},"):
                self.dialled += 1
                if self.dialled <= PREFIXES_NAMED:
                    self.dialled_examples.append(prefix)
            key, first = f"{prefix},{begins}", number
            yield own

    def _columns(self, header: SheetLine) -> SheetColumns:
        found, place = ProblemList(), SourceLine(self._file, header.number)
        columns = columns_of(header.cells, self._map, place, found)
        try:
            self._terms.amounts.check_header(columns.headers.get(PRICE, ""))
        except ExpectedError as error:
            found.error(place, "header", str(error), columns.headers[PRICE])
        if found.has_errors:
            raise SheetError("\n".join(map(str, found.in_order())))
        given = columns.at.keys() | self._terms.constants.keys()
        spoken_for = {name for group in _TOGETHER if group & given for name in group}
        self.absent = frozenset(OTHERS) - given - spoken_for
        self.unread = [header or f"column {index + 1}, without a name" for index, header in columns.unread.items()]
        self.assumed.headers = columns.headers
        self.header = header.cells
        return columns

    def _price(self, cell: str) -> str:
        """Return a price as it stands in a line; empty = the prefix is closed."""
        text = cell.strip()
        if is_closed_word(text):
            self.assumed.note(text.lower(), "no price, so the prefix is closed", PRICE, text)
            return ""
        text = self._terms.amounts.read(text, PRICE)
        if text:
            _READ[PRICE](text)
        return text.removeprefix("+")

    def _codes(self, cells: tuple[str, ...]) -> Sequence[str]:
        *ahead, codes = (cell.strip() for cell in cells)
        if "" in ahead and any(map(str.isdigit, "".join((*ahead[ahead.index("") :], codes)))):
            raise ExpectedError(
                "the digits ahead of a code in its own row: an empty cell may mean those of the row above"
            )
        found = prefixes_of(codes, "".join(ahead))
        if "+" in (written := "".join((*ahead, codes))):
            self.assumed.note("+", "the code behind the plus sign", PREFIX, written)
        for first, last in [] if any(ahead) else _COUNTRIES.findall(codes):
            said = f"a range, each code from {first} to {last}; an area of a country is written {first}{last}"
            self.assumed.note(f"{first}-{last}", said, PREFIX, codes)
        return found

    def _area(self, cell: str) -> str:
        """Return an area; one that a download has kept from being a formula is without its apostrophe again."""
        text = unneutralised(_value(cell.strip())).strip() or self._terms.constants.get(AREA, "")
        _READ[AREA](text)
        return joined([text])

    def _refuse(self, number: int, cells: Sequence[str], columns: SheetColumns, footer: Footer) -> None:
        """Note what is wrong with a row, unless it is empty or may be of the footer."""
        if any(map(str.strip, cells)) and not footer.takes(number, cells):
            self._report(number, cells, columns)

    def _report(self, number: int, cells: Sequence[str], columns: SheetColumns) -> None:
        """Note what is wrong with a row."""
        found, place, terms = ProblemList(), SourceLine(self._file, number), self._terms
        if len(cells) != columns.width:
            found.error(place, "", f"{columns.width} columns as in the header, not {len(cells)}")
            self._note(found)
            return
        written = columns.written(cells)
        values: dict[str, str] = dict(ANY_PREFIX)

        def read(name: str, reader: Callable[[str], str | None], expected: str, text: str | None = None) -> None:
            text = written.get(name) or terms.constants.get(name, "") if text is None else text
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
            self._codes(tuple(cells[index] for index in (*columns.ahead, columns.at[PREFIX])))
        except ExpectedError as error:
            found.error(place, columns.headers[PREFIX], str(error), written[PREFIX])
        amount = (
            f"an amount of 0 or more with at most {PLACES} decimals, such as 0{terms.mark}012, without exponent and "
            "thousands separators; for another decimal sign say that of the sheet (`decimal` in a map)"
        )
        read(PRICE, self._price, amount)
        for name in columns.at.keys() | terms.constants.keys():
            if name in terms.read_window:
                read(name, terms.read_window[name], "a time")
            elif name in AMOUNTS and name != PRICE:
                read(name, partial(terms.amount, name=name), amount)
            elif name not in {PREFIX, PRICE}:
                read(name, _value, "")
        for name, forms in terms.date_forms.items():
            read(name, forms.check, "", written.get(name, ""))
        read(STATUS, terms.status, "a word")
        read(CURRENCY, terms.check_currency, "a currency")
        for index, header in columns.unkept.items():
            read(header, _meaningless, "", cells[index].strip())
        for name in (STATUS, CURRENCY, *columns.unkept.values()):
            values.pop(name, None)
        begins, ends = max(values.pop(BEGINS, ""), terms.effective), values.pop(ENDS, "")
        if ends and ends <= begins:
            found.error(place, columns.headers.get(ENDS, ENDS), f"a time behind {begins}", written.get(ENDS))
        row = _SheetRow(place, terms.without_unused(values), written, columns)
        keys = validate(RateKeys, row, found)
        if keys is not None:
            check_interval(keys, row, self._price_per, found)
        self._note(found)

    def _note(self, found: ProblemList) -> None:
        self.bad_rows += 1
        if self.bad_rows <= BAD_ROWS_NAMED:
            self._bad += found.in_order()


def _with_mark(sheet: Iterator[SheetLine], amounts_at: Set[int], mark: str) -> Iterator[SheetLine]:
    """Yield lines with the decimal mark of the sheet in amounts that are numbers of a workbook."""
    for line in sheet:
        cells = [*line.cells]
        for at in amounts_at & {*line.decimals}:
            cells[at] = cells[at].replace(".", mark)
        yield line._replace(cells=cells)


def _named(positions: Sequence[int], cells: Sequence[str], columns: SheetColumns) -> dict[str, str]:
    """Return cells at some positions of a row by our columns."""
    row = [""] * columns.width
    for position, cell in zip(positions, cells, strict=True):
        row[position] = cell
    return columns.written(row)


def _value(cell: str) -> str:
    """Return a cell of any text; raises ExpectedError where it has no value of its own."""
    if cell in ERRORS:
        raise ExpectedError("a value, not an error, a formula that was not computed or a merged cell")
    return cell


def _meaningless(cell: str) -> str:
    """Return a cell of a column that is not read; raises ExpectedError where it may say what becomes of the code."""
    if cell.strip().lower() in _STATUSES:
        raise ExpectedError("a map that says what this word means: status with this column, or the column in ignored")
    return cell


def _reader(name: str) -> Callable[[str], object]:
    rule = next(each for each in RateKeys.model_fields[name].metadata if isinstance(each, FromText))
    return rule.read


_READ: Final = {name: _reader(name) for name in (PRICE, AREA)}
