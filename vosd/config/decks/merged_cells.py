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
        self._waiting = sorted((each for each in ranges if each[0][0] >= header_line), reverse=True)
        self._first_column = first_column
        self._assumed = assumed
        self._present: list[_Merged] = []

    def fill(self, number: int, cells: list[str], decimals: list[int], header: list[str]) -> list[int]:
        """Fill the cells of a row, and return the positions of those that repeat the value of a row above.

        A row without other cells stays as it is: such are titles, notes, and the second line of a row of two.
        """
        row = number - 1
        self._present = [each for each in self._present if each.last_row >= row]
        while self._waiting and self._waiting[-1][0][0] <= row:
            (first_row, first), (last_row, last) = self._waiting.pop()
            first, end = first - self._first_column, min(last - self._first_column + 1, len(cells))
            if first < end and cells[first].strip():
                self._present.append(_Merged(first_row, last_row, first, end, cells[first], first in decimals))
        covered = {at for each in self._present for at in range(each.first, each.end)}
        if not covered or not any(cell.strip() for at, cell in enumerate(cells) if at not in covered):
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
