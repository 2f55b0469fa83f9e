"""A report as a spreadsheet: figures are numbers there, and text is never a formula."""

from io import BytesIO
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from vosd.admin.office.reports import ReportSheet

_WIDTH: Final = 18
_NAME_MAX: Final = 31
"""Most characters of the name of a page."""


def workbook_of(sheet: "ReportSheet") -> bytes:
    """Return a report with its totals as an XLSX file.

    A spreadsheet computes with binary fractions of 15 digits; CSV and JSON have every digit.
    """
    import xlsxwriter  # nothing else needs it

    out = BytesIO()
    terms = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(out, terms) as book:
        page = book.add_worksheet(sheet.name[:_NAME_MAX])
        bold = book.add_format({"bold": True})
        page.freeze_panes(1, 0)
        page.set_column(0, len(sheet.columns) - 1, _WIDTH)
        for place, column in enumerate(sheet.columns):
            page.write_string(0, place, column.name, bold)
        for number, row in enumerate([*sheet.rows, *sheet.totals], start=1):
            for place, column in enumerate(sheet.columns):
                value = row.get(column.name)
                if value is None:
                    continue
                if column.kind == "text":
                    page.write_string(number, place, str(value))
                else:
                    page.write_number(number, place, float(value))
    return out.getvalue()
