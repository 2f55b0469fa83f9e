"""CSV whose cells hold any text, such as numbers that a caller chose. Refuses to know what columns mean."""

import csv
from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

_BOTH: Final = "\r\n"


class Output(Protocol):
    """Where text is written."""

    def write(self, text: str, /) -> object:
        """Write text."""
        ...


class CsvWriter:
    r"""Writes rows of which a reader makes the same rows again, whatever line end they have.

    The writer of Python below 3.13 quotes a cell with ``\r`` or ``\n`` only if its own line end has that character, and
    every reader takes each of them for the end of a row. So rows are made with both, and get their line end here.
    """

    def __init__(self, out: Output, *, delimiter: str = ",", quotes_all: bool = False, end: str = "\n") -> None:
        self._out = out
        self._end = end
        quoting: Any = csv.QUOTE_ALL if quotes_all else csv.QUOTE_MINIMAL
        self._writer = csv.writer(self, delimiter=delimiter, quoting=quoting, lineterminator=_BOTH)

    def row(self, cells: Iterable[Any]) -> None:
        """Write a row."""
        self._writer.writerow(cells)

    def rows(self, rows: Iterable[Sequence[Any]]) -> None:
        """Write rows."""
        self._writer.writerows(rows)

    def write(self, row: str) -> None:
        """Take a row that is ready, with its end."""
        self._out.write(row.removesuffix(_BOTH) + self._end)
