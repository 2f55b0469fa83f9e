"""A list as an XLSX file: amounts and counts are numbers there, and text is never a formula."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from vosd.admin.spreadsheet import ExactNumber
from vosd.api.http import RequestError

XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ROWS_MAX: Final = 50_000
"""Most rows of a file: 50,000 calls take some twenty seconds of a processor."""
LESS: Final = "ask for a shorter time, or for CSV"
"""Remedy of a list that is too long for a file, or takes longer than a request may."""
_AMOUNT: Final = re.compile(r"-?\d{1,12}(\.\d+)?\Z", re.ASCII)
_PART: Final = 1 << 16
_ROWS_AT_ONCE: Final = 64


async def workbook_parts(
    rows: AsyncIterator[Mapping[str, Any]], columns: Mapping[str, bool], text: Any
) -> AsyncGenerator[bytes, None]:
    """Yield an XLSX file with a row for each item.

    Args:
        rows: the items.
        columns: their fields, with whether each is an amount as text; other digits, such as numbers of telephones,
            stay text.
        text: writes a value as CSV has it.

    Raises:
        RequestError: there are too many rows.
    """
    import xlsxwriter  # only those who ask for such a file wait for it

    with TemporaryDirectory(prefix="vosd-list-") as directory:
        path = Path(directory) / "list.xlsx"
        terms = {
            "constant_memory": True, "tmpdir": directory,
            "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False,
        }  # fmt: skip
        book = xlsxwriter.Workbook(str(path), terms)
        try:
            page = book.add_worksheet()
            page.freeze_panes(1, 0)
            for place, column in enumerate(columns):
                page.write_string(0, place, column)
            number = 0
            async for row in rows:
                number += 1
                if number > ROWS_MAX:
                    raise too_many_rows()
                for place, (column, is_amount) in enumerate(columns.items()):
                    value = row.get(column)
                    if value is None:
                        continue
                    written = text(value)
                    is_count = isinstance(value, int | float) and not isinstance(value, bool)
                    if is_count or (is_amount and _AMOUNT.match(written)):
                        page.write_number(number, place, ExactNumber(value))
                    else:
                        page.write_string(number, place, written)
                if number % _ROWS_AT_ONCE == 0:
                    await asyncio.sleep(0)  # other requests are answered meanwhile
        finally:
            await _closed(book)
        with path.open("rb") as file:
            while part := file.read(_PART):
                yield part


def too_many_rows() -> RequestError:
    """Return the error of a list that is too long for a file."""
    return RequestError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "too_many_rows",
        f"the list has more than {ROWS_MAX} rows, which is the most of a spreadsheet",
        remedy=LESS,
    )


async def _closed(book: Any) -> None:
    """Finish a workbook in a thread, also one that is given up: it closes files of its own, which must be there yet."""
    closing = asyncio.ensure_future(asyncio.to_thread(book.close))
    try:
        await asyncio.shield(closing)
    except asyncio.CancelledError:
        await asyncio.wait({closing})
        raise
