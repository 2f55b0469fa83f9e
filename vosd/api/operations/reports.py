"""Operations about reports over calls."""

from typing import Final

from vosd.admin.office.reports import ReportSheet, list_reports, list_scheduled_reports, show_report
from vosd.admin.report_pdf import report_pdf
from vosd.admin.spreadsheet import workbook_of
from vosd.api.operation import Listing, Operation

_SPREADSHEET: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


OPERATIONS: Final = (
    Operation("GET /reports", "The reports that there are, with their columns.", list_reports, listing=Listing()),
    Operation(
        "GET /scheduled-reports",
        "The reports that the switch makes at fixed times, with what comes next and why one has failed.",
        list_scheduled_reports,
        problems=("daemon_unreachable",),
        listing=Listing("name", sorts=("name", "due_at")),
    ),
    Operation(
        "GET /reports/{name}",
        "A report over the calls that began in a time: revenue, gateways, destinations, quality, profit.",
        show_report,
        problems=("no_such_report", "out_of_scope", "unknown_account", "unknown_name"),
        forms={"text/csv": ReportSheet.csv, _SPREADSHEET: workbook_of, "application/pdf": report_pdf},
    ),
)
