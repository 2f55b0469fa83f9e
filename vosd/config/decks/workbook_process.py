"""Process that reads a workbook: ``python -m vosd.processes.entry vosd.config.decks.workbook_process LIMIT PATH LINE``.

``LIMIT`` is the memory that it may use, in bytes. The name of the sheet is a further argument; without it the first one
is read. What it finds goes to its standard output as messages: a length of four bytes, then a ``FoundRows``.
"""

import resource
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import msgspec

from vosd.config.decks.assumptions import Assumption, Assumptions
from vosd.config.decks.merged_cells import MergedCells
from vosd.config.decks.number_formats import UNCLEAR
from vosd.config.decks.workbook_errors import MARK, ROWS_MAX, Unusual, UnusualWorkbookError, unusual_in
from vosd.processes.channel import message
from vosd.processes.life import live_as_long_as_the_switch

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook

_CELL_MAX: Final = 32_767
"""Characters of a cell, as spreadsheets have it."""
_ROWS: Final = 1_000
"""Rows of a message."""
CPU_SECONDS_MAX: Final = 600
"""Processor time of the process; a million rates take a tenth of it."""
_EXACT_MAX: Final = 10**15
"""Whole numbers from here on may have lost digits in a spreadsheet, which keeps 15."""


_Row = tuple[int, list[str], list[int], list[int]]


class FoundRows(msgspec.Struct, frozen=True, omit_defaults=True):
    """Some rows, or why there are no more."""

    rows: list[_Row] = []
    """Each with its number, counted from 1, the positions of numbers that have decimals, and of cells that repeat the
    value of a merged one."""
    height: int = 0
    """Rows of the sheet."""
    failure: str = ""
    assumed: list[Assumption] = []
    """Assumptions about all rows, in the last message."""
    is_finished: bool = False


class _RowError(Exception):
    """A row cannot be read; the message says why."""


def main() -> None:
    """Read a workbook."""
    limit, path, line, *sheet = sys.argv[1:]
    live_as_long_as_the_switch()
    resource.setrlimit(resource.RLIMIT_AS, (int(limit), int(limit)))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS_MAX, CPU_SECONDS_MAX + 1))  # equal ones kill without a reason
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        _read(path, int(line), sheet[0] if sheet else None)
    except MemoryError:
        _send(FoundRows(failure=f": expected a workbook that fits into {int(limit) >> 20} MiB of memory"))
    except BrokenPipeError:  # the reader wanted the header only
        sys.stdout = None


def _read(path: str, header_line: int, sheet: str | None) -> None:
    from python_calamine import CalamineError, CalamineWorkbook, WorksheetNotFound

    try:
        with closing(CalamineWorkbook.from_path(path)) as book:
            if not book.sheet_names:
                _send(FoundRows(failure=": expected a sheet"))
                return
            assumed = Assumptions()
            name = _first_visible(book, assumed) if sheet is None else sheet
            unusual = unusual_in(path, name) if name in book.sheet_names else None
            table = book.get_sheet_by_name(name)
            if unusual is None or (table.end is not None and table.end[0] >= ROWS_MAX):
                raise UnusualWorkbookError
            rows: list[_Row] = []
            for row in _rows_of(table, unusual, header_line, assumed):
                rows.append(row)
                if len(rows) == _ROWS or row[0] == header_line:
                    _send(FoundRows(rows, table.total_height))
                    rows = []
            _send(FoundRows(rows, table.total_height, assumed=[*assumed.in_order()], is_finished=True))
    except _RowError as error:
        _send(FoundRows(rows, failure=str(error)))
    except OSError as error:
        _send(FoundRows(failure=f": {(error.strerror or str(error)).lower()}"))
    except UnusualWorkbookError:
        _send(FoundRows(failure=": expected a workbook as spreadsheets write it: save it again, or as CSV UTF-8"))
    except WorksheetNotFound:
        _send(FoundRows(failure=f": expected a sheet {sheet!r}; it has {', '.join(book.sheet_names)}"))
    except CalamineError as error:
        _send(FoundRows(failure=f": expected an XLSX file: {error}"))


def _rows_of(table: "CalamineSheet", unusual: Unusual, header_line: int, assumed: Assumptions) -> Iterator[_Row]:
    """Yield the rows from the header on."""
    _, first_column = table.start or (0, 0)
    merged = MergedCells(table.merged_cell_ranges or (), header_line, first_column, assumed)
    header: list[str] = []
    for number, values in enumerate(table.iter_rows(), 1):
        if number < header_line:
            continue
        cells = _shown(number, values, unusual, first_column)
        header = header or cells
        if number in unusual.hidden and any(cells):
            assumed.line = number
            assumed.note("hidden", "hidden rows are read as others")
        decimals = [at for at, value in enumerate(values) if isinstance(value, float) and value % 1]
        repeated = merged.fill(number, cells, decimals, header)
        yield number, cells, decimals, repeated


def _shown(number: int, values: Sequence[object], unusual: Unusual, first_column: int) -> list[str]:
    """Return the cells of a row as a spreadsheet shows them; a mark stands for what it hides, or cannot show."""
    cells = [_text(value, number) for value in values]
    for column, each in unusual.formats.get(number, ()):
        at = column - 1 - first_column
        value = values[at] if 0 <= at < len(values) else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            cells[at] = each.shown(Decimal(repr(value)))
    if unusual.hides_zeros:
        is_zero = [type(value) in {int, float} and not value for value in values]
        cells = [UNCLEAR if each else cell for each, cell in zip(is_zero, cells, strict=True)]
    if not unusual.unusable:
        return cells
    columns = enumerate(cells, first_column + 1)
    return [MARK if (number, column) in unusual.unusable else cell for column, cell in columns]


def _first_visible(book: "CalamineWorkbook", assumed: Assumptions) -> str:
    """Return the name of the first sheet that a spreadsheet shows."""
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    sheets = [each for each in book.sheets_metadata if each.typ == SheetTypeEnum.WorkSheet]
    shown = [each.name for each in sheets if each.visible == SheetVisibleEnum.Visible]
    name = next(iter(shown or book.sheet_names))
    if len(sheets) > 1:
        assumed.note("sheet", f"the first visible one of {len(sheets)} sheets", "sheet", name)
    return name


def _send(found: FoundRows) -> None:
    out = sys.stdout.buffer
    out.write(message(_encode(found)))
    out.flush()


def _text(value: object, number: int) -> str:
    """Return a cell as text; numbers have the digits that the spreadsheet shows, never an exponent."""
    if isinstance(value, str):
        if len(value) > _CELL_MAX:
            raise _RowError(f":{number}: expected cells of at most {_CELL_MAX} characters, not {len(value)}")
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        exact = Decimal(repr(value))
        if exact != exact.to_integral_value():
            return format(exact, "f")
        if abs(exact) >= _EXACT_MAX:
            raise _RowError(f":{number}: expected numbers of more than 15 digits as text, not {exact:f}")
        return str(int(exact))
    if isinstance(value, datetime):
        is_day = value.time() == time()
        return value.date().isoformat() if is_day else value.isoformat(timespec="milliseconds")
    if isinstance(value, date | time | timedelta):
        return str(value)
    return ""


_encode: Final = msgspec.msgpack.Encoder().encode
