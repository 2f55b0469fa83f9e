"""Merged cells of a workbook, of which its reader returns the value in the first one and nothing in the others.

A value that is merged over several rows is that of each of them. One that is merged over several columns of a row with
other cells may be that of either column.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from vosd.config.decks.assumptions import Assumptions

MERGED: Final = "#MERGED"
"""Stands for the cells of the second and later columns: no code, no price, no date, no word of ours."""

Range = tuple[tuple[int, int], tuple[int, int]]
"""The first and the last cell, each with its row and its column, counted from 0."""


class _Merged(NamedTuple):
    first_row: int
    last_row: int
    first: int
    """Position of the first column in the cells of a row."""
    end: int
    """Behind the position of the last one."""
    text: str
    has_decimals: bool


class MergedCells:
    """Fills merged cells behind the header, row by row."""

    def __init__(self, ranges: Iterable[Range], header_line: int, first_column: int, assumed: Assumptions) -> None:
        """Take the ranges of a sheet; cells of a row begin with ``first_column``, counted from 0."""
        ranges = [*ranges]
        self._waiting = sorted((each for each in ranges if each[0][0] >= header_line), reverse=True)
        self._first_column = first_column
        self._assumed = assumed
        self._present: list[_Merged] = []
        self._hiding = [each for each in ranges if each[0][0] < header_line <= each[1][0]]
        """Ranges without a value, and those of the header: what other cells of them have is not shown."""

    def fill(self, number: int, cells: list[str], decimals: list[int], header: list[str]) -> list[int]:
        """Fill the cells of a row, and return the positions of those that repeat the value of a row above.

        A row of one value stays as it is, as titles and notes are, and so does one without a value of its own, as the
        second line of a row of two is.
        """
        row = number - 1
        covered = self._begin(row, cells, decimals)
        self._hide(row, cells)
        if not self._present:
            return []
        for each in self._present:
            _hide_others(cells, each.first, each.end, has_first=row == each.first_row)
        beginning = sum(each.first_row == row for each in self._present)
        own = beginning + sum(bool(cell.strip()) for at, cell in enumerate(cells) if at not in covered)
        if not own or own + len(self._present) - beginning == 1:
            return []
        repeated = []
        for each in self._present:
            cells[each.first + 1 : each.end] = [MERGED] * (each.end - each.first - 1)
            if row > each.first_row:
                cells[each.first] = each.text
                repeated.append(each.first)
                if each.has_decimals:
                    decimals.append(each.first)
                self._assumed.line = number
                self._assumed.note("merged", "the value of the merged cell", header[each.first].strip(), each.text)
        return repeated

    def _begin(self, row: int, cells: list[str], decimals: list[int]) -> set[int]:
        """Note the ranges that begin by a row, and return the positions that those with a value cover in it."""
        self._present = [each for each in self._present if each.last_row >= row]
        covered = {at for each in self._present for at in range(each.first, each.end)}
        while self._waiting and self._waiting[-1][0][0] <= row:
            merged = (first_row, first), (last_row, last) = self._waiting.pop()
            first, end = first - self._first_column, min(last - self._first_column + 1, len(cells))
            if first in covered:  # ranges do not overlap in a sound file
                continue
            if 0 <= first < end and cells[first].strip():
                self._present.append(_Merged(first_row, last_row, first, end, cells[first], first in decimals))
                covered.update(range(first, end))
            else:
                self._hiding.append(merged)
        return covered

    def _hide(self, row: int, cells: list[str]) -> None:
        self._hiding = [each for each in self._hiding if each[1][0] >= row]
        for (first_row, first), (_, last) in self._hiding:
            begin, end = first - self._first_column, min(last - self._first_column + 1, len(cells))
            _hide_others(cells, begin, end, has_first=row == first_row)


def _hide_others(cells: list[str], begin: int, end: int, *, has_first: bool) -> None:
    """Hide what a merged cell has in a row beside its first cell, which alone is shown."""
    for at in range(max(begin, 0), end):
        if cells[at].strip() and not (has_first and at == begin):
            cells[at] = MERGED
