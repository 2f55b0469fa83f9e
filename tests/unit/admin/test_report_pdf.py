"""Reports as PDF: a chart of one figure above the table."""

from functools import partial
from io import BytesIO

import pytest
import typst
from pypdf import PdfReader

from vosd.admin.office.reports import ColumnSheet, ReportSheet
from vosd.admin.report_pdf import BARS_MAX, ROWS_PRINTED, chart_of, report_pdf
from vosd.admin.typesetting import MissingLetterError

KINDS = {"span": "text", "customer_account": "text", "currency": "text", "calls": "count", "fee": "money"}


def report(*rows: tuple[str | int | None, ...], names: str = "customer_account currency calls fee") -> ReportSheet:
    columns = tuple(ColumnSheet(name, KINDS[name], "") for name in names.split())
    made = [dict(zip(names.split(), row, strict=True)) for row in rows]
    totals = [{"currency": "EUR", "calls": sum(int(row["calls"] or 0) for row in made), "fee": "7.77"}]
    since, until = "2026-10-01T00:00:00.000Z", "2026-11-01T00:00:00.000Z"
    return ReportSheet("revenue", since, until, "UTC", "whole", columns, made, totals, 3, 1)


def test_the_page_has_every_cell_the_totals_and_what_is_missing() -> None:
    found = report(("#acme <b>", "EUR", 10, "1.25"), ("zen", "EUR", 5, "-6.5"))
    document = PdfReader(BytesIO(report_pdf(found)))
    (page,) = document.pages
    text = page.extract_text()
    for said in (
        "revenue", "2026-10-01", "#acme <b> EUR 10 1.25", "zen EUR 5 -6.5", "EUR 15 7.77",
        "1 calls are missing: the replica", "2 calls are missing: they are not added up",
    ):  # fmt: skip
        assert said in text, said
    assert document.metadata is not None
    assert document.metadata.creation_date is None  # archives would sort one of 1970 by it


def test_bars_are_the_greatest_rows_by_an_amount_of_one_currency() -> None:
    chart = chart_of(report(("a", "EUR", 10, "2.50"), ("b", "EUR", 5, "-10"), ("c", "EUR", 99, None)))
    assert (chart.figure, chart.currency) == ("fee", "EUR")
    assert [(bar.label, bar.value, bar.share, bar.is_negative) for bar in chart.bars] == [
        ("b", "-10.00", 100.0, True), ("a", "2.50", 25.0, False), ("c", "0.00", 0.0, False),
    ]  # fmt: skip


def test_rows_in_two_currencies_are_charted_by_calls() -> None:
    chart = chart_of(report(("a", "EUR", 10, "2.50"), ("b", "USD", 20, "1")))
    assert (chart.figure, chart.currency, [bar.value for bar in chart.bars]) == ("calls", "", ["20", "10"])


def test_rows_of_a_span_are_added_up_in_the_order_of_time() -> None:
    rows = [(f"2026-10-{day:02}", name, "EUR", day, "1") for day in (2, 1) for name in ("a", "b")]
    chart = chart_of(report(*reversed(rows), names="span customer_account currency calls fee"))
    assert [(bar.label, bar.value) for bar in chart.bars] == [("2026-10-01", "2.00"), ("2026-10-02", "2.00")]
    days = [(f"{day:03}", "a", "EUR", day, "1") for day in range(100)]
    many = chart_of(report(*days, names="span customer_account currency calls fee"))
    assert [bar.label for bar in many.bars] == [f"{day:03}" for day in range(100 - BARS_MAX, 100)]


@pytest.mark.parametrize("count", [0, ROWS_PRINTED + 3])
def test_an_empty_report_has_a_page_and_a_long_one_says_what_it_leaves_out(count: int) -> None:
    pages = PdfReader(BytesIO(report_pdf(report(*((f"a{n}", "EUR", 1, "1") for n in range(count)))))).pages
    end = "\n".join(page.extract_text() for page in pages[-2:])
    assert ("3 more rows are in the spreadsheet and in CSV" in end) == bool(count)


def test_a_report_whose_letters_no_font_has_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typst, "compile", partial(typst.compile, ignore_system_fonts=True))
    with pytest.raises(MissingLetterError, match="the letter \u4e2d, which would be printed"):
        report_pdf(report(("\u4e2d", "EUR", 1, "1")))
    (page,) = PdfReader(BytesIO(report_pdf(report(("\u0160koda \U0001f355", "EUR", 1, "1"))))).pages
    assert "\u0160koda" in page.extract_text()
