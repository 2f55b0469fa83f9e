"""Objects in a sheet of another switch: a CSV or XLSX file, and the map of its columns.

The map has a section for each kind of object that a line of the sheet makes, and one for opening balances.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

from pydantic import Field

from vosd.admin.office.sheet_import import ImportSheet, OpeningBalance, SheetObject
from vosd.base.csv_text import is_shortened
from vosd.base.money import comma_to_point, parse_amount
from vosd.catalogue.problems import ProblemList, SourceLine, suggestion
from vosd.catalogue.stored_objects import KINDS
from vosd.config.decks.amounts import shown_digits
from vosd.config.decks.assumptions import Assumption, Assumptions
from vosd.config.decks.merged_cells import MERGED
from vosd.config.decks.sheet_map import HEADER_LINE_MAX, decimal_mark, text_encoding
from vosd.config.decks.sheets import SheetLine, lines_of
from vosd.config.decks.workbook_errors import ERRORS
from vosd.config.keys.accounts import AccountKeys
from vosd.config.keys.trunks import MappingGatewayKeys, PhoneKeys, RoutingGatewayKeys
from vosd.config.reader.fields import FromText, KeyProblemError, Keys, line_of_text, whole
from vosd.config.reader.includes import read_files
from vosd.config.reader.reading import read_section
from vosd.config.reader.renamed import hint
from vosd.config.reader.templates import TEMPLATE

MODELS: Final[Mapping[str, type[Keys]]] = {
    "accounts": AccountKeys,
    "mapping_gateways": MappingGatewayKeys,
    "routing_gateways": RoutingGatewayKeys,
    "phones": PhoneKeys,
}
"""Models of the kinds of objects that a sheet may define."""
_AMOUNTS: Final = frozenset({"overdraft_limit", "balance_low", "minimum_consumption"})
"""Keys of accounts that are written with the decimal mark of the sheet."""
_Title = Annotated[str, line_of_text(1, 200)]


def _texts(expected: str) -> FromText:
    def read(written: Mapping[str, object]) -> dict[str, str]:
        if not all(isinstance(each, str) and each.strip() for each in written.values()):
            raise ValueError
        return {key: str(each).strip() for key, each in written.items()}

    return FromText(expected, read, kind=dict)


def _words() -> FromText:
    expected = 'words of the sheet with ours, such as {enabled: {Locked: "no", Normal: "yes"}}'

    def read(written: Mapping[str, object]) -> dict[str, dict[str, str]]:
        found = {}
        for key, words in written.items():
            if not isinstance(words, dict) or not all(isinstance(each, str) for each in words.values()):
                raise ValueError
            found[key] = {word.lower(): ours for word, ours in words.items()}
        return found

    return FromText(expected, read, kind=dict)


class KindKeys(Keys):
    """Objects of one kind; a key inside of a key is written with a point, such as ``auth.username``."""

    columns: Annotated[dict[str, str], _texts("our keys with their columns, such as {id: Account}")]
    """A line without a name makes no object, and an empty cell no key."""
    constants: Annotated[dict[str, str], _texts("our keys with a value, such as {currency: USD}")] = Field(
        default_factory=dict
    )
    """Values of keys that the sheet does not have, or has empty cells of."""
    words: Annotated[dict[str, dict[str, str]], _words()] = Field(default_factory=dict)
    """Words of the sheet, whatever their case, and ours; other words in these columns are mistakes."""
    lists: Annotated[dict[str, str], _texts('keys with what stands between the items of a cell: {hosts: ";"}')] = Field(
        default_factory=dict
    )


class BalanceKeys(Keys):
    """Balances, which become an adjustment each."""

    account: _Title
    """Column of the account."""
    amount: _Title
    """Column of the balance: money that is left is above zero."""
    reference: Annotated[str, line_of_text(1, 64)] = "opening balance"
    """Reference of the adjustments: an account gets one of it, however often the sheet is imported."""


class ObjectMapKeys(Keys):
    """The map of a sheet."""

    accounts: KindKeys | None = None
    mapping_gateways: KindKeys | None = None
    routing_gateways: KindKeys | None = None
    phones: KindKeys | None = None
    balances: BalanceKeys | None = None
    decimal: Annotated[str, decimal_mark()] = "."
    """The decimal mark of amounts. With a comma, points may separate thousands."""
    header_line: Annotated[int, whole(1, HEADER_LINE_MAX)] = 1
    encoding: Annotated[str | None, text_encoding()] = None
    """Encoding of a CSV file. Default: UTF-8 or UTF-16, else Windows-1252."""
    sheet: Annotated[str | None, line_of_text(1, 100)] = None
    """The sheet of an XLSX file. Default: the first that is visible."""

    @property
    def kinds(self) -> Mapping[str, KindKeys]:
        """The sections of objects that the map has."""
        return {kind: each for kind in MODELS if (each := getattr(self, kind)) is not None}

    def _judge(self) -> None:
        if not self.kinds and self.balances is None:
            raise KeyProblemError("accounts", f"at least one of {', '.join(MODELS)}, balances")
        for kind, each in self.kinds.items():
            model, name_key = MODELS[kind], str(KINDS[kind])
            known = {*model.by_key(), *model.apart, TEMPLATE}
            for key in (*each.columns, *each.constants):
                if key.partition(".")[0] not in known:
                    raise KeyProblemError(
                        kind, f"keys of {kind}, not {key!r}; {hint(key, known, model.names_elsewhere)}"
                    )
                if outer := {*_outer(key)} & {*each.columns, *each.constants}:
                    raise KeyProblemError(kind, f"either {key!r} or {min(outer)!r}: the one is inside of the other")
            if name_key not in each.columns:
                raise KeyProblemError(kind, f"a column for {name_key}, the name of each object")
            for key in (*each.words, *each.lists):
                if key not in each.columns:
                    raise KeyProblemError(kind, f"a column for {key}, which has words or a list")


class ReadSheet(NamedTuple):
    """The order that a sheet makes."""

    order: ImportSheet
    unread: Sequence[str]
    """Headers of columns that the map does not name."""
    assumed: Sequence[Assumption]


def read_object_sheet(path: Path, map_path: Path, environ: Mapping[str, str]) -> ReadSheet:
    """Read the objects and balances of a sheet.

    Raises:
        ConfigError: with every mistake of the map, or of the sheet.
        SheetError: the sheet cannot be read.
    """
    problems = ProblemList()
    keys = problems.checked(read_section(ObjectMapKeys, read_files(map_path, environ, problems), "", problems))
    assumed = Assumptions()
    found = lines_of(path, header_line=keys.header_line, sheet=keys.sheet, encoding=keys.encoding, assumed=assumed)
    with closing(found) as lines:
        header = next(lines, SheetLine(keys.header_line, ()))
        reading = _SheetReading(path, keys, header, problems, assumed)
        if not problems.has_errors:
            for line in lines:
                reading.read(line)
    problems.checked(reading)
    order = ImportSheet(
        file=str(path),
        objects=tuple(reading.objects.values()),
        balances=tuple(reading.balances.values()),
        reference="" if keys.balances is None else keys.balances.reference,
    )
    return ReadSheet(order, reading.unread, assumed.in_order())


class _SheetReading:
    """Objects and balances of the lines that were read so far."""

    def __init__(
        self, path: Path, keys: ObjectMapKeys, header: SheetLine, problems: ProblemList, assumed: Assumptions
    ) -> None:
        self._path = path
        self._keys = keys
        self._problems = problems
        self._assumed = assumed
        self.objects: dict[tuple[str, str], SheetObject] = {}
        self.balances: dict[str, OpeningBalance] = {}
        self._width = len(header.cells)
        titles: dict[str, list[int]] = {}
        for index, cell in enumerate(header.cells):
            titles.setdefault(_plain(cell), []).append(index)
        balances = [] if keys.balances is None else [keys.balances.account, keys.balances.amount]
        accounts = {} if keys.accounts is None else keys.accounts.columns
        self._amounts = {*balances[1:], *(title for key, title in accounts.items() if key in _AMOUNTS)}
        wanted = dict.fromkeys([*(title for each in keys.kinds.values() for title in each.columns.values()), *balances])
        names = [cell.strip() for cell in header.cells if cell.strip()]
        self._at: dict[str, int] = {}
        for title in wanted:
            found = titles.get(_plain(title), [])
            if len(found) == 1:
                self._at[title] = found[0]
            else:
                near = f"{len(found)} have this name" if found else suggestion(title, names) if names else "it is empty"
                expected = f"one column {title!r}, as the map says; {near}"
                problems.error(SourceLine(str(path), header.number), "header", expected)
        read = {*self._at.values()}
        self.unread = [cell.strip() for index, cell in enumerate(header.cells) if index not in read and cell.strip()]

    def read(self, line: SheetLine) -> None:
        """Read one line; mistakes go to the problems."""
        if not any(map(str.strip, line.cells)):
            return
        place, self._assumed.line = SourceLine(str(self._path), line.number), line.number
        if len(line.cells) != self._width:  # a balance of 1,250.50 without quotes may be one more cell
            self._problems.error(place, "", f"{self._width} cells, as the header has, not {len(line.cells)}")
            return
        cells = {title: line.cells[at].strip() for title, at in self._at.items()}
        if not self._are_values(line, cells, place):
            return
        for title in self._amounts:
            if self._at[title] in line.decimals:  # its point would separate thousands where the comma is decimal
                cells[title] = cells[title].replace(".", self._keys.decimal)
        for kind, each in self._keys.kinds.items():
            name_key = str(KINDS[kind])
            title = each.columns[name_key]
            name = cells[title]
            if not name:
                continue
            keys = self._object(kind, each, cells, place)
            columns = {key: column for key, column in each.columns.items() if cells[column]}
            made = SheetObject(kind, name, keys, line=line.number, columns=columns)
            earlier = self.objects.setdefault((kind, name), made)
            if earlier.keys != keys:
                self._problems.error(place, title, f"the same {kind} as line {earlier.line} has for the name", name)
        if self._keys.balances is not None:
            self._read_balance(self._keys.balances, cells, place)

    def _are_values(self, line: SheetLine, cells: Mapping[str, str], place: SourceLine) -> bool:
        """Return whether each cell has a value of its own; others are reported."""
        is_sound = True
        for title, cell in cells.items():
            if cell == MERGED or self._at[title] in line.repeated:
                expected = "a cell of its own in each row and column, not a merged one"
            elif cell in ERRORS:
                expected = "a value, not an error or a formula that was not computed"
            elif is_shortened(cell):
                expected = "a value with all its digits, not one that a spreadsheet has shortened"
            else:
                continue
            self._problems.error(place, title, expected, cell)
            is_sound = False
        return is_sound

    def _object(self, kind: str, keys: KindKeys, cells: Mapping[str, str], place: SourceLine) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in (*keys.constants.items(), *self._values(kind, keys, cells, place)):
            if key == KINDS[kind]:
                continue
            *above, last = key.split(".")
            inner = found
            for each in above:
                inner = inner.setdefault(each, {})
            inner[last] = value
        return found

    def _values(
        self, kind: str, keys: KindKeys, cells: Mapping[str, str], place: SourceLine
    ) -> Iterator[tuple[str, str | list[str]]]:
        for key, title in keys.columns.items():
            text = cells[title]
            if not text:
                continue
            if key in keys.words:
                ours = keys.words[key].get(text.lower())
                if ours is None:
                    expected = f"one of {', '.join(keys.words[key])}, the words that the map has for {key}"
                    self._problems.error(place, title, expected, text)
                    continue
                text = ours
            if key in keys.lists:
                yield key, [part.strip() for part in text.split(keys.lists[key]) if part.strip()]
            elif kind == "accounts" and key in _AMOUNTS:
                try:
                    yield key, self._amount(title, text)
                except ValueError:
                    self._is_no_amount(place, title, text)
            else:
                yield key, text

    def _amount(self, title: str, text: str) -> str:
        """Return an amount with a point; a text without marks, such as ``unlimited``, is left to its field."""
        if self._keys.decimal == "," and {*text} & {",", "."}:
            text = comma_to_point(text)
        return shown_digits(text, title, self._assumed)

    def _is_no_amount(self, place: SourceLine, title: str, text: str) -> None:
        expected = "an amount of at most 12 digits and 8 decimals, such as 1234.50"
        if self._keys.decimal == ",":
            expected = "an amount with a decimal comma, such as 1.234,50 or 1234,50"
        elif "," in text:
            expected += "; where the comma is the decimal mark, the map says decimal: ','"
        self._problems.error(place, title, expected, text)

    def _read_balance(self, keys: BalanceKeys, cells: Mapping[str, str], place: SourceLine) -> None:
        account, text = cells[keys.account], cells[keys.amount]
        if not text:
            return
        if not account:
            self._problems.error(place, keys.account, "the account of the balance")
            return
        try:
            amount = parse_amount(self._amount(keys.amount, text))
        except ValueError:
            self._is_no_amount(place, keys.amount, text)
            return
        made = OpeningBalance(account, amount, line=place.line, column=keys.amount)
        earlier = self.balances.setdefault(account, made)
        if earlier.amount != amount:
            self._problems.error(place, keys.amount, f"the balance of {account} as on line {earlier.line}", text)


def _outer(key: str) -> Iterator[str]:
    """Yield the keys that a key is inside of."""
    return (key[:at] for at, letter in enumerate(key) if letter == ".")


def _plain(header: str) -> str:
    """Return a header without regard to case, and to how many blanks or line ends it has."""
    return " ".join(header.lower().split())
