"""The lines of a rate file as columns of cells, many lines at a time.

Lines in the usual form, without quotes and with as many cells as the header, are cut at their delimiters all at once.
The csv module reads the others; both give the same cells.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from io import BytesIO, StringIO, TextIOWrapper
from itertools import accumulate, compress, islice
from typing import Final, NamedTuple

from vosd.base.errors import VosError

BYTES_AT_ONCE: Final = 1 << 16
"""Less than a cell of csv may have (``csv.field_size_limit``)."""
_ROWS_AT_ONCE: Final = 8_192
_LINE_END: Final = re.compile(r"\r\n|\r|\n")


class BrokenLineError(VosError):
    """The rest of a file is no CSV."""

    def __init__(self, line: int, error: csv.Error) -> None:
        super().__init__(str(error))
        self.line = line
        """Number of the last line that was read."""


class OddLine(NamedTuple):
    """A line with more or fewer cells than the header."""

    cells: Sequence[str]
    line: int


class RatePart(NamedTuple):
    """Some lines in the order of the file."""

    columns: Sequence[Sequence[str]]
    """The cells of each column of the header."""
    lines: Sequence[int]
    """Number of the line of each cell of a column."""
    odd: Sequence[OddLine] = ()


class Body(NamedTuple):
    """Part of a file behind its header."""

    content: bytes
    """The whole file, in UTF-8."""
    begin: int
    """Offset of the first byte behind the header."""
    line: int
    """Number of the header's last line."""
    delimiter: str
    width: int
    """Cells of each line."""

    def parts(self) -> Iterator[RatePart]:
        """Yield all lines; those before a mistake in the syntax are yielded first.

        Raises:
            BrokenLineError: what follows is no CSV.
        """
        content, begin, line = self.content, self.begin, self.line
        while begin < len(content):
            end = content.find(b"\n", begin + BYTES_AT_ONCE) + 1 or len(content)
            text = content[begin:end].decode()
            columns = cut(text, self.delimiter, self.width)
            if columns is not None:
                size = len(columns[0])
                yield RatePart(columns, range(line + 1, line + 1 + size))
                line += size
            else:
                try:
                    reader = csv.reader(StringIO(text, newline=""), delimiter=self.delimiter, strict=True)
                    rows = [*reader]
                except csv.Error:  # a mistake, or a cell that goes on behind this text
                    yield from self._from(begin, line)
                    return
                yield self._part(rows, line, reader.line_num)
                line += reader.line_num
            begin = end

    def _from(self, begin: int, line: int) -> Iterator[RatePart]:
        """Yield the lines from an offset on, all read by the csv module; ``line`` is the number of the one before."""
        source = BytesIO(self.content)
        source.seek(begin)
        reader = csv.reader(TextIOWrapper(source, "utf-8", newline=""), delimiter=self.delimiter, strict=True)
        while True:
            rows: list[list[str]] = []
            failure: csv.Error | None = None
            before = reader.line_num
            try:
                rows.extend(islice(reader, _ROWS_AT_ONCE))
            except csv.Error as error:
                failure = error  # what was read before it is in the list
            if rows:
                yield self._part(rows, line + before, reader.line_num - before)
            if failure is not None:
                raise BrokenLineError(line + reader.line_num, failure) from failure
            if len(rows) < _ROWS_AT_ONCE:
                return

    def _part(self, rows: Sequence[Sequence[str]], before: int, lines: int) -> RatePart:
        numbers: Sequence[int] = range(before + 1, before + lines + 1)
        if len(numbers) != len(rows):  # some cells have several lines, or the last one is incomplete
            ends = accumulate((1 + sum(len(_LINE_END.findall(cell)) for cell in row) for row in rows), initial=before)
            numbers = [*ends][1:]
        fits = [len(cells) == self.width for cells in rows]
        if all(fits):
            return RatePart([*zip(*rows, strict=True)], numbers)
        odd = [OddLine(*each) for each, is_fit in zip(zip(rows, numbers, strict=True), fits, strict=True) if not is_fit]
        fitting = [*zip(*compress(rows, fits), strict=True)]
        return RatePart(fitting or [()] * self.width, [*compress(numbers, fits)], odd)


def cut(text: str, delimiter: str, width: int) -> Sequence[Sequence[str]] | None:
    """Return the columns of whole lines; None where a line is not in the usual form.

    The cells are those that the csv module would read.
    """
    if '"' in text:
        return None
    if "\r" in text:
        text = text.replace("\r\n", "\n")
        if "\r" in text:
            return None
    if not text.endswith("\n"):
        text += "\n"
    if len(text) > csv.field_size_limit():
        return None
    # Each line end becomes a cell of its own, so a line of another width moves all line ends behind it.
    cells = text.replace("\n", f"{delimiter}\n{delimiter}").split(delimiter)
    step, size = width + 1, text.count("\n")
    if len(cells) != size * step + 1 or cells[width::step].count("\n") != size:
        return None
    return [cells[index : size * step : step] for index in range(width)]
