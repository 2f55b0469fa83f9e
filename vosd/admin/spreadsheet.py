"""Reports and listings as a spreadsheet: figures are numbers there, and text is never a formula."""

from collections.abc import Iterable, Mapping
from io import BytesIO
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from vosd.admin.office.reports import ReportSheet

_WIDTH: Final = 18
_NAME_MAX: Final = 31
"""Most characters of the name of a page."""


class ExactNumber(float):
    """A number that is written with all digits that it needs: the library's own 16 make 0.009 another one."""

    def __format__(self, form: str) -> str:
        return repr(float(self)).removesuffix(".0")


def workbook_of(sheet: "ReportSheet") -> bytes:
    """Return a report with its totals, which say so and are bold, as an XLSX file.

    A spreadsheet computes with binary fractions of 15 digits; CSV and JSON have every digit.
    """
    columns = {column.name: column.kind != "text" for column in sheet.columns}
    return workbook(sheet.name, columns, sheet.rows, sheet.total_rows())


def workbook(
    name: str, columns: Mapping[str, bool], rows: Iterable[Mapping[str, Any]], totals: Iterable[Mapping[str, Any]] = ()
) -> bytes:
    """Return a page with a row for each of some mappings as an XLSX file; columns say whether they have numbers.

    Totals are bold.
    """
    import xlsxwriter  # nothing else needs it

    out = BytesIO()
    terms = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(out, terms) as book:
        page = book.add_worksheet(name[:_NAME_MAX])
        bold = book.add_format({"bold": True})
        page.freeze_panes(1, 0)
        page.set_column(0, len(columns) - 1, _WIDTH)
        for place, column in enumerate(columns):
            page.write_string(0, place, column, bold)
        formatted = chain(((row, None) for row in rows), ((row, bold) for row in totals))
        for number, (row, form) in enumerate(formatted, start=1):
            for place, (column, is_number) in enumerate(columns.items()):
                value = row.get(column)
                if value is None:
                    continue
                if is_number:
                    page.write_number(number, place, ExactNumber(value), form)
                else:
                    page.write_string(number, place, str(value), form)
    return out.getvalue()
