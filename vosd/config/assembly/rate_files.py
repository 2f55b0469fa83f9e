"""Rate tables as CSV: UTF-8, a header with the names of the columns, one rate a line."""

import csv
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Final, NamedTuple

from vosd.catalogue.problems import Place, ProblemList, suggestion
from vosd.config.keys.rates import RateKeys
from vosd.config.reader.includes import read_text
from vosd.config.reader.reading import Spot, Trail

RATE_FILE_BYTES_MAX: Final = 256 * 1024 * 1024
_DELIMITERS: Final = ",;\t"
_REQUIRED: Final = ("prefix", "billing_rate")


class _Column(NamedTuple):
    """A column's key in the model, and its name in the header."""

    name: str
    header: str


class CsvRow:
    """One line of a rate file; empty cells count as left out."""

    __slots__ = ("_columns", "_key", "place", "values")

    def __init__(self, place: Place, columns: list[_Column], cells: list[str], key: str) -> None:
        self.place = place
        self.values = {column.name: text for column, cell in zip(columns, cells, strict=True) if (text := cell.strip())}
        self._columns = columns
        self._key = key

    def spot(self, trail: Trail) -> Spot:
        """Return the cell at the end of a trail."""
        name = str(trail[0]) if trail else ""
        header = next((column.header for column in self._columns if column.name == name), name)
        return Spot(self.place, f"{self._key}.{header}" if header else self._key, self.values.get(name))


def read_rate_file(path: Path, named_at: Place, key: str, problems: ProblemList) -> Iterator[CsvRow]:
    """Yield the rows of a rate file; a line that is no row is reported."""
    text = read_text(path, named_at, key, problems, RATE_FILE_BYTES_MAX)
    if text is None:
        return
    header_line = text.partition("\n")[0]
    lines = csv.reader(StringIO(text, newline=""), delimiter=max(_DELIMITERS, key=header_line.count), strict=True)
    try:
        columns = _columns(next(lines, []), Place(str(path), 1), key, problems)
        if columns is None:
            return
        for cells in lines:
            place = Place(str(path), lines.line_num)
            if not any(map(str.strip, cells)):
                continue
            if len(cells) == len(columns):
                yield CsvRow(place, columns, cells, key)
            else:
                problems.error(place, key, f"{len(columns)} columns as in the header, not {len(cells)}")
    except csv.Error as error:
        problems.error(Place(str(path), lines.line_num), key, f"valid CSV: {error}")


def _columns(header: list[str], place: Place, key: str, problems: ProblemList) -> list[_Column] | None:
    """Return the columns of the header, or None where it has mistakes, which are reported."""
    names = (*RateKeys.by_key(), *RateKeys.not_built)
    known = {**dict(zip(names, names, strict=True)), **RateKeys.aliases}
    columns: dict[str, _Column] = {}
    is_sound = True
    is_table = any(cell.strip().lower() in known for cell in header)
    for cell in header:
        written = cell.strip()
        name = known.get(written.lower(), "")
        if not name:
            # A file without a single known column is no table of rates, but perhaps one with a password.
            shown = written if is_table else None
            problems.error(place, key, f"a known column; {suggestion(written, known)}", shown)
        elif name in columns:
            problems.error(place, key, f"each column once; {columns[name].header!r} is the same", written)
        else:
            columns[name] = _Column(name, written)
            continue
        is_sound = False
    for name in _REQUIRED:
        if is_sound and name not in columns:
            problems.error(place, key, f"a header line with a column {name}")
            is_sound = False
    return list(columns.values()) if is_sound else None
