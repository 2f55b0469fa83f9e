"""A report as PDF: a chart of one figure, and the table with its totals."""

from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from vosd.admin.typesetting import TEMPLATE, typeset
from vosd.base.money import ZERO, format_amount
from vosd.traffic.ledger_reports import LEDGER_REPORTS
from vosd.traffic.reports import REPORTS

if TYPE_CHECKING:
    from vosd.admin.office.reports import ReportSheet

ROWS_PRINTED: Final = 2_000
"""Rows of the table that are printed."""
BARS_MAX: Final = 40
_FORM: Final = Path(__file__).parent / "report_form" / TEMPLATE
_IN_CHARTS: Final = ("profit", "income", "gross", "fee", "cost", "amount", "balance", "agent_profit", "calls")
"""Figures that a chart shows: the first that the report has."""
_PAID_IN: Final = ("income_currency", "currency", "vendor_currency")


class ChartBar(msgspec.Struct, frozen=True):
    """A bar of a chart."""

    label: str
    value: str
    share: float
    """Length in percent of the longest one."""
    is_negative: bool


class BarChart(msgspec.Struct, frozen=True):
    """A figure as bars: by spans where the report is divided into them, else the greatest rows."""

    figure: str
    currency: str
    bars: tuple[ChartBar, ...]


def report_pdf(sheet: "ReportSheet") -> bytes:
    """Return a report as a PDF file.

    Raises:
        MissingLetterError: no font on the machine has a letter that is printed.
    """
    names = [column.name for column in sheet.columns]
    cells = [[_cell(row.get(name)) for name in names] for row in sheet.rows[:ROWS_PRINTED]]
    totals = [[_cell(row.get(name)) for name in names] for row in sheet.total_rows()]
    data = {
        "name": sheet.name,
        "meaning": (REPORTS.get(sheet.name) or LEDGER_REPORTS[sheet.name]).meaning,
        "since": sheet.since,
        "until": sheet.until,
        "zone": sheet.zone,
        "columns": [{"name": column.name, "kind": column.kind} for column in sheet.columns],
        "rows": cells,
        "totals": totals,
        "chart": chart_of(sheet),
        "left_out": max(0, len(sheet.rows) - ROWS_PRINTED),
        "waiting": sheet.missing - sheet.missing_in_replica,
        "in_replica": sheet.missing_in_replica,
        "without": sheet.without,
    }
    content = msgspec.json.encode(data)
    return typeset({TEMPLATE: _FORM.read_bytes(), "data.json": content}, {}, 0, content.decode())


def _cell(value: str | int | None) -> str:
    return "" if value is None else str(value)


def chart_of(sheet: "ReportSheet") -> BarChart:
    """Return the chart of a report; without bars where it has no row. An amount is shown where all are in one currency.

    Rows of one span are added up; bars of more spans than fit are those of the last ones.
    """
    currencies = {str(row[name]) for row in sheet.rows for name in _PAID_IN if row.get(name)}
    kinds = {column.name: column.kind for column in sheet.columns}
    are_mixed = len(currencies) != 1
    figure = next((name for name in _IN_CHARTS if name in kinds and not (kinds[name] == "money" and are_mixed)), None)
    if figure is None:
        return BarChart("", "", ())
    has_spans = "span" in kinds
    texts = [name for name, kind in kinds.items() if kind == "text" and name not in _PAID_IN]
    labels = ["span"] if has_spans else texts
    values: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for row in sheet.rows:
        words = [str(row[name]) for name in labels if row.get(name)]
        values[" / ".join(words)] += Decimal(str(row.get(figure) or 0))
    shown = list(values.items())[-BARS_MAX:]
    if not has_spans:
        shown = sorted(values.items(), key=lambda each: abs(each[1]), reverse=True)[: BARS_MAX // 2]
    most = max((abs(value) for _, value in shown), default=ZERO)
    is_money = kinds[figure] == "money"
    bars = tuple(
        ChartBar(
            label or "-",
            format_amount(value) if is_money else str(value),
            float(abs(value) * 100 / most) if most else 0.0,
            value < ZERO,
        )
        for label, value in shown
    )
    return BarChart(figure, next(iter(currencies)) if is_money else "", bars)
