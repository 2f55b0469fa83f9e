"""CSV whose cells hold any text, such as numbers that a caller chose. It does not know what columns mean."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Protocol

BOM: Final = "\ufeff"
"""Mark with which spreadsheets begin a file of Unicode."""
_BOTH: Final = "\r\n"
LINE_MAX: Final = 1 << 20
"""Characters of a line of a CSV file that is read."""
_SIGN: Final = re.compile(r"[=+\-@\uff1d\uff0b\uff0d\uff20]")
"""Signs with which a formula of a spreadsheet begins."""
_BEGINNING: Final = re.compile(rf"[;\t\r\n][\s']*+({_SIGN.pattern})?|\A[\s']*+({_SIGN.pattern})")
"""The beginning of a cell, or of what a spreadsheet takes for one by another delimiter, and perhaps of its formula.

Apostrophes of its own may stand before it: it gets one more, which is taken away again where it is read. Each run of
blanks is looked at once: a cell of a vendor's sheet may be a million of them.
"""
_DELIMITER: Final = re.compile(r"[;\t\r\n]")
_APOSTROPHE: Final = re.compile(r"(\A|[;\t\r\n])'")
_LINE_END: Final = re.compile(r"\r\n?|\n")
_SEPARATOR: Final = re.compile(r'"?sep=([,;\t])"?[\r\n]*\Z', re.IGNORECASE)
_SHORTENED: Final = re.compile(r"\d(?:[.,]\d+)?E\+\d+", re.ASCII | re.IGNORECASE)
_AMOUNT: Final = re.compile(r"-\d+(?:\.\d+)?\Z", re.ASCII)


class TextInput(Protocol):
    """A file from which text is read."""

    def readline(self, size: int, /) -> str:
        """Return up to ``size`` characters of a line; nothing at the end."""


def bounded_lines(text: TextInput) -> Iterator[str]:
    """Yield the lines of a file for ``csv.reader``, none of them without end: a compressed one may be a few kilobytes.

    The mark of a spreadsheet before the first one is left out.

    Raises:
        csv.Error: a line is too long.
    """
    mark = BOM
    while line := text.readline(LINE_MAX):
        if len(line) == LINE_MAX:
            raise csv.Error(f"lines of at most {LINE_MAX} characters")
        yield line.removeprefix(mark)
        mark = ""


def named_separator(line: str) -> str | None:
    """Return the separator that a line above a header names for spreadsheets, such as ``sep=;``; None = it is none."""
    found = _SEPARATOR.match(line)
    return None if found is None else found[1]


def has_joined_rows(cells: Sequence[str], delimiter: str, width: int) -> bool:
    """Return whether a cell holds the end of one row and the begin of another: its closing quotation mark is missing.

    The lines of such a cell have as many cells as the header, ``width``: the first with the cells before it, the last
    with those behind it, and those between by themselves. Lines of an address or a comment have not.
    """
    widths = {width, len(cells)} - {1}
    for at, cell in enumerate(cells):
        if "\n" in cell or "\r" in cell:
            first, *inner, last = (1 + line.count(delimiter) for line in _LINE_END.split(cell))
            if {at + first, last + len(cells) - 1 - at} <= widths or (inner and {*inner} <= widths):
                return True
    return False


def swallowed_rows(cells: Sequence[str], delimiter: str) -> Iterator[tuple[list[str], list[str]]]:
    """Yield each row that cells of several lines would have swallowed, if their closing quotation marks are missing.

    Before it stands the row that would have swallowed it. Rows may be shorter than the header, so what they hold has to
    say whether they are rows.
    """
    for at, cell in enumerate(cells):
        first, *lines = _LINE_END.split(cell)
        for number, line in enumerate(lines, 1):
            behind = cells[at + 1 :] if number == len(lines) else ()
            yield [*cells[:at], *first.split(delimiter)], [*line.split(delimiter), *behind]


def neutralised(cell: Any) -> Any:
    """Return a cell with an apostrophe where a spreadsheet would begin a formula; negative amounts stay as they are."""
    if not isinstance(cell, str) or not _SIGN.search(cell) or _AMOUNT.match(cell):
        return cell
    return _BEGINNING.sub(_with_apostrophes, cell)


def unneutralised(cell: str) -> str:
    """Return a cell without the apostrophes of ``neutralised``."""
    return _BEGINNING.sub(_without_apostrophes, cell) if "'" in cell else cell


def _with_apostrophes(begun: re.Match[str]) -> str:
    if begun.lastindex is None:
        return begun[0]
    first = "" if begun.start() or begun[0][0] == ";" else "'"
    return first + _DELIMITER.sub(r"\g<0>'", begun[0])


def _without_apostrophes(begun: re.Match[str]) -> str:
    return begun[0] if begun.lastindex is None else _APOSTROPHE.sub(r"\1", begun[0])


def is_shortened(cell: str) -> bool:
    """Return whether a spreadsheet has shortened a long number, such as 442012345678, to 4.42012E+11.

    It shows and saves numbers of twelve digits and more so: what begins alike is the same then.
    """
    return _SHORTENED.fullmatch(cell) is not None


class TextOutput(Protocol):
    """A place where text is written."""

    def write(self, text: str, /) -> object:
        """Write text."""


class _LineEnds:
    """Gives each row its line end; knows no ``CsvWriter``: a ring of both would keep all text until a collection."""

    def __init__(self, out: TextOutput, end: str) -> None:
        self._out, self._end = out, end

    def write(self, row: str) -> None:
        self._out.write(row.removesuffix(_BOTH) + self._end)


class CsvWriter:
    r"""Writes rows of which a reader makes the same rows again, whatever line end they have.

    The writer of Python below 3.13 quotes a cell with ``\r`` or ``\n`` only if its own line end has that character, and
    every reader takes each of them for the end of a row. So rows are made with both, and get their line end here.
    """

    def __init__(
        self,
        out: TextOutput,
        *,
        delimiter: str = ",",
        quotes_all: bool = False,
        end: str = "\n",
        for_people: bool = False,
    ) -> None:
        """``for_people``: cells that a spreadsheet would take for formulas are neutralised."""
        self._for_people = for_people
        quoting: Any = csv.QUOTE_ALL if quotes_all else csv.QUOTE_MINIMAL
        self._writer = csv.writer(_LineEnds(out, end), delimiter=delimiter, quoting=quoting, lineterminator=_BOTH)

    def row(self, cells: Iterable[Any]) -> None:
        """Write a row."""
        self._writer.writerow(map(neutralised, cells) if self._for_people else cells)

    def rows(self, rows: Iterable[Sequence[Any]]) -> None:
        """Write rows."""
        if not self._for_people:
            self._writer.writerows(rows)
            return
        for cells in rows:
            self.row(cells)


def csv_of(rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as CSV for people."""
    written = io.StringIO()
    CsvWriter(written, for_people=True).rows(rows)
    return written.getvalue()
