"""The lines of a sheet, a CSV or XLSX file, as text: read one after the other, whatever the size of the file.

It does not know what the columns mean.
"""

import codecs
import csv
from collections.abc import Generator, Sequence
from contextlib import closing
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from vosd.base.csv_text import bounded_lines, has_joined_rows, named_separator
from vosd.config.decks.assumptions import Assumptions
from vosd.config.decks.workbooks import Progress, SheetError, rows_of

DELIMITERS: Final = ",;\t"
_WORKBOOKS: Final = (".xlsx", ".xlsm")
_BINARY: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""Beginnings of workbooks: archives, such as ODS, and XLS."""
_REPORTED_LINES: Final = 1_000


UTF_8: Final = "utf-8-sig"
_WESTERN: Final = "cp1252"
_MARKS: Final = ((codecs.BOM_UTF8, UTF_8), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_PART: Final = 1 << 20


def encoding_of(path: Path, assumed: Assumptions) -> str:
    """Return the encoding of a file.

    Digits, points and commas are the same in every code page, so only names of destinations may be wrong where the
    code page is another one than that of Western Europe.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(4)
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name
    if start[1::2] == b"\0\0" and b"\0" not in start[::2]:
        return "utf-16-le"
    if start[::2] == b"\0\0" and b"\0" not in start[1::2]:
        return "utf-16-be"
    for name in (UTF_8, _WESTERN):
        if _fits(path, name):
            if name == _WESTERN:
                assumed.note(
                    name, "no UTF-8, so Windows-1252; if names of destinations look wrong, say encoding in a map"
                )
            return name
    return UTF_8


def _fits(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as file:
        try:
            while part := file.read(_PART):
                decoder.decode(part)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


class SheetLine(NamedTuple):
    """One line of a sheet."""

    number: int
    """Counted from 1."""
    cells: Sequence[str]
    decimals: Sequence[int] = ()
    """Positions of cells of a workbook that are numbers with decimals: these have a point, whatever the decimal mark
    of texts is."""
    repeated: Sequence[int] = ()
    """Positions of cells of a workbook with the value of a cell that is merged over several rows."""


def silent(_done: int, _whole: int) -> None:
    """Report no progress."""


def lines_of(
    path: Path,
    *,
    header_line: int = 1,
    sheet: str | None = None,
    encoding: str | None = None,
    assumed: Assumptions | None = None,
    progress: Progress = silent,
) -> Generator[SheetLine]:
    """Yield the lines of a sheet from its header on.

    Args:
        path: a CSV file with the delimiter that its header has most of, or an XLSX or XLSM file.
        header_line: the number of the line with the header; a line ``sep=;`` has the header behind it.
        sheet: name of the sheet of an XLSX file; None = the first visible one.
        encoding: of a CSV file; None = it is found out.
        assumed: is filled, by a workbook at its end.
        progress: is called now and then.

    Raises:
        SheetError: the file cannot be read, or not to its end.
    """
    assumed = Assumptions() if assumed is None else assumed
    if _is_workbook(path):
        return (SheetLine(*row) for row in rows_of(path, header_line, sheet, assumed, progress))
    return _lines_of_csv(path, header_line, encoding, assumed, progress)


class SheetFile:
    """A file whose header is looked at before it is read.

    A workbook is parsed as a whole for its first row, so the one that was opened last is kept for what follows it.
    """

    def __init__(self, path: Path, progress: Progress = silent) -> None:
        self.path = path
        self._progress = progress
        self._opened: tuple[int, str | None] | None = None
        self._header: SheetLine | None = None
        self._rest: Generator[SheetLine] | None = None
        self._assumed = Assumptions()
        """Filled while ``_rest`` is read."""

    def header(self, header_line: int, sheet: str | None, encoding: str | None) -> SheetLine | None:
        """Return the line with the header; None where the sheet ends before it.

        Raises:
            SheetError: the file cannot be read.
        """
        if not _is_workbook(self.path):
            with closing(lines_of(self.path, header_line=header_line, encoding=encoding)) as lines:
                return next(lines, None)
        if self._opened != (header_line, sheet):
            self.close()
            self._rest = lines_of(
                self.path, header_line=header_line, sheet=sheet, assumed=self._assumed, progress=self._progress
            )
            self._header = next(self._rest, None)
            self._opened = header_line, sheet
        return self._header

    def lines(
        self, header_line: int, sheet: str | None, encoding: str | None, assumed: Assumptions
    ) -> Generator[SheetLine]:
        """Yield the lines from the header on, once; parameters and errors are those of ``lines_of``."""
        if self._opened != (header_line, sheet):
            self.close()
            self._rest = lines_of(
                self.path,
                header_line=header_line,
                sheet=sheet,
                encoding=encoding,
                assumed=self._assumed,
                progress=self._progress,
            )
        elif self._header is not None:
            yield self._header
        self._opened, rest, noted = None, self._rest, self._assumed
        if rest is not None:
            yield from rest
        assumed.add(noted.in_order())

    def close(self) -> None:
        """End the process that reads a workbook."""
        if self._rest is not None:
            self._rest.close()
        self._opened = self._header = self._rest = None
        self._assumed = Assumptions()


def _lines_of_csv(
    path: Path, header_line: int, encoding: str | None, assumed: Assumptions, progress: Progress
) -> Generator[SheetLine]:
    number = width = 0
    try:
        _check_is_text(path)
        encoding = encoding or encoding_of(path, assumed)
        whole = path.stat().st_size
        delimiter, header_line = _delimiter(path, header_line, encoding)
        with path.open("rb") as file, _text(file, encoding) as text:
            lines = csv.reader(bounded_lines(text), delimiter=delimiter, strict=True)
            for cells in lines:
                number = lines.line_num
                if number >= header_line:
                    if width and has_joined_rows(cells, delimiter, width):
                        raise SheetError(
                            f"{path}:{number}: expected one row, not several in a cell: is a quotation mark missing?"
                        )
                    width = width or len(cells)
                    yield SheetLine(number, cells)
                if not number % _REPORTED_LINES:
                    progress(file.tell(), whole)
            progress(whole, whole)
    except OSError as error:
        raise SheetError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    except UnicodeError as error:  # UTF-16 without its mark is no UnicodeDecodeError
        message = f"{path}: behind line {number}: expected text in {encoding}: save it again as CSV UTF-8"
        raise SheetError(message) from error
    except csv.Error as error:
        raise SheetError(f"{path}:{number + 1}: expected valid CSV: {error}") from error


def _text(file: BinaryIO, encoding: str) -> TextIOWrapper:
    return TextIOWrapper(file, encoding, newline="")


def _is_workbook(path: Path) -> bool:
    return path.suffix.lower() in _WORKBOOKS


def _check_is_text(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(4) in _BINARY:
            raise SheetError(
                f"{path}: expected CSV, or a workbook named .xlsx or .xlsm: save the sheet as XLSX, or as CSV UTF-8"
            )


def _delimiter(path: Path, header_line: int, encoding: str) -> tuple[str, int]:
    """Return the delimiter and the number of the line with the header."""
    with path.open("rb") as file, _text(file, encoding) as text:
        header = next(islice(bounded_lines(text), header_line - 1, None), "")
    said = named_separator(header)
    return (max(DELIMITERS, key=header.count), header_line) if said is None else (said, header_line + 1)
