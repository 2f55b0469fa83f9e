"""Rate tables as CSV: UTF-8, a header with the names of the columns, one rate a line."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from vosd.catalogue.problems import ProblemList, SourceLine
from vosd.config.keys.rates import RateKeys
from vosd.config.reader.includes import read_text
from vosd.config.reader.reading import Spot, Trail
from vosd.config.reader.renamed import hint

RATE_FILE_BYTES_MAX: Final = 256 * 1024 * 1024
_DELIMITERS: Final = ",;\t"
_REQUIRED: Final = ("prefix", "billing_rate")


class HeaderColumn(NamedTuple):
    """A column's key in the model, and its name in the header."""

    name: str
    header: str


class CsvRow:
    """One line of a rate file; empty cells count as left out."""

    __slots__ = ("_columns", "_key", "place", "values")

    def __init__(self, place: SourceLine, columns: Sequence[HeaderColumn], cells: Sequence[str], key: str) -> None:
        self.place = place
        self.values = {column.name: text for column, cell in zip(columns, cells, strict=True) if (text := cell.strip())}
        self._columns = columns
        self._key = key

    def spot(self, trail: Trail) -> Spot:
        """Return the cell at the end of a trail."""
        name = str(trail[0]) if trail else ""
        header = next((column.header for column in self._columns if column.name == name), name)
        return Spot(self.place, f"{self._key}.{header}" if header else self._key, self.values.get(name))


class CsvLines(Protocol):
    """The lines of a CSV file as cells."""

    @property
    def line_num(self) -> int:
        """The number of the last line that was read."""

    def __iter__(self) -> Iterator[list[str]]:
        """Return itself."""

    def __next__(self) -> list[str]:
        """Return the cells of the next line."""


def read_rate_file(path: Path, named_at: SourceLine, key: str, problems: ProblemList) -> Iterator[CsvRow]:
    """Yield the rows of a rate file; a line that is no row is reported."""
    text = read_text(path, named_at, key, problems, RATE_FILE_BYTES_MAX)
    if text is None:
        return
    lines = lines_of(StringIO(text, newline=""), delimiter_of(text.partition("\n")[0]))
    try:
        columns = columns_of(lines, path, key, problems)
        if columns is None:
            return
        for cells in lines:
            place = SourceLine(str(path), lines.line_num)
            if is_blank(cells):
                continue
            if len(cells) == len(columns):
                yield CsvRow(place, columns, cells, key)
            else:
                report_width(cells, columns, place, key, problems)
    except csv.Error as error:
        report_syntax(error, SourceLine(str(path), lines.line_num), key, problems)


def delimiter_of(header_line: str) -> str:
    """Return the delimiter of a file: the one that its first line has most of."""
    return max(_DELIMITERS, key=header_line.count)


def lines_of(text: Iterable[str], delimiter: str) -> CsvLines:
    """Return the lines of a file."""
    return csv.reader(text, delimiter=delimiter, strict=True)


def columns_of(lines: CsvLines, path: Path, key: str, problems: ProblemList) -> Sequence[HeaderColumn] | None:
    """Read the header; None where it has mistakes, which are reported.

    Raises:
        csv.Error: it is no valid CSV.
    """
    return _columns(next(lines, []), SourceLine(str(path), 1), key, problems)


def is_blank(cells: Iterable[str]) -> bool:
    """Return whether a line has no text."""
    return not any(map(str.strip, cells))


def report_empty(place: SourceLine, key: str, problems: ProblemList) -> None:
    """Report a file that has a header only."""
    expected = "at least one rate behind the header: without rates all calls are refused; rates: [] says so"
    problems.error(place, key, expected)


def report_width(
    cells: Sequence[str], columns: Sequence[HeaderColumn], place: SourceLine, key: str, problems: ProblemList
) -> None:
    """Report a line with more or fewer cells than the header."""
    problems.error(place, key, f"{len(columns)} columns as in the header, not {len(cells)}")


def report_syntax(error: Exception, place: SourceLine, key: str, problems: ProblemList) -> None:
    """Report that the rest of a file cannot be read."""
    problems.error(place, key, f"valid CSV: {error}")


def _columns(header: list[str], place: SourceLine, key: str, problems: ProblemList) -> Sequence[HeaderColumn] | None:
    """Return the columns of the header, or None where it has mistakes, which are reported."""
    names = tuple(RateKeys.by_key())
    known = {**dict(zip(names, names, strict=True)), **RateKeys.aliases}
    columns: dict[str, HeaderColumn] = {}
    is_sound = True
    is_table = any(cell.strip().lower() in known for cell in header)
    for cell in header:
        written = cell.strip()
        name = known.get(written.lower(), "")
        if not name:
            # A file without a single known column is no table of rates, but perhaps one with a password.
            shown = written if is_table else None
            problems.error(place, key, f"a known column; {hint(written, known, RateKeys.names_elsewhere)}", shown)
        elif name in columns:
            problems.error(place, key, f"each column once; {columns[name].header!r} is the same", written)
        else:
            columns[name] = HeaderColumn(name, written)
            continue
        is_sound = False
    for name in _REQUIRED:
        if is_sound and name not in columns:
            problems.error(place, key, f"a header line with a column {name}")
            is_sound = False
    return list(columns.values()) if is_sound else None
