"""Tables of reports: figures of known calls, what has no meaning, currencies, order, and what agents see."""

import tracemalloc
from collections.abc import Iterator
from decimal import Decimal

import pytest

from vosd.traffic.reports import FIGURES, REPORTS, median_and_95, percent
from vosd.traffic.spans import ReportSpan
from vosd.traffic.tables import Line, layout_of, table_of

WHOLE = (ReportSpan(0, 900_000, ""),)
DOLLARS = ("USD", "USD", "USD")
NONE = ("", "", "")


def rows_of(name: str, *lines: Line, is_inside: bool = True, waits=None):
    """Return the rows and the totals of a report as dictionaries."""
    report = REPORTS[name]
    layout = layout_of(report, is_inside=is_inside)
    table = table_of(report, layout, WHOLE, lines, waits or {})

    def shown(row):
        named = dict(zip(layout.by, row.by, strict=False)) | dict(zip(layout.figures, row.figures, strict=True))
        return named | {"currencies": row.currencies}

    return [*map(shown, table.rows)], [*map(shown, table.totals)]


def sums(calls: int, answered: int, **others):
    zero = {name: 0 for figure in FIGURES.values() for name in figure.needs}
    return zero | {"calls": calls, "answered": answered, **others}


def test_ten_attempts_of_which_four_were_answered():
    """Hold times of 30, 60, 90 and 120 seconds."""
    (row,), _ = rows_of("daily", Line(0, (), DOLLARS, sums(10, 4, hold_ms=300_000)))
    assert (row["asr"], row["acd"]) == (Decimal("40.00"), Decimal("75.0"))


def test_a_figure_of_nothing_is_empty_and_not_zero():
    (row,), _ = rows_of("daily", Line(0, (), DOLLARS, sums(3, 0)))
    assert (row["asr"], row["acd"], row["pdd"], row["margin"]) == (Decimal("0.00"), None, None, None)
    assert percent(0, 0) is None
    assert rows_of("daily") == ([], [])


def test_calls_without_a_currency_count_with_the_others_of_their_account():
    answered = Line(0, ("acme",), DOLLARS, sums(4, 4, fee=Decimal(1), income=Decimal(1)))
    (row,), (total,) = rows_of("revenue", Line(0, ("acme",), NONE, sums(6, 0)), answered)
    assert (row["calls"], row["answered"], row["currencies"]) == (10, 4, DOLLARS)
    assert total["calls"] == 10


def test_money_without_a_currency_stays_apart_from_money_that_has_one():
    old = Line(0, ("acme",), NONE, sums(1, 1, fee=Decimal(3)))
    rows, totals = rows_of("revenue", old, Line(0, ("acme",), DOLLARS, sums(1, 1, fee=Decimal(1))))
    assert sorted(row["fee"] for row in rows) == [Decimal(1), Decimal(3)]
    assert len(totals) == 2


def test_currencies_tell_the_calls_of_rows_apart_that_have_all_else_in_common():
    """Calls that failed count with a row of several: their currencies are searched with those of that row alone."""
    report = REPORTS["revenue"]
    layout = layout_of(report, is_inside=True)

    def apart_of(*lines: tuple[tuple[str, str, str], int]):
        made = [Line(0, ("acme",), paid_in, sums(calls, 0, cost=Decimal(1) if all(paid_in) else 0))
                for paid_in, calls in lines]  # fmt: skip
        return {row.currencies: row.apart for row in table_of(report, layout, WHOLE, made, {}).rows}

    euro, dollar, failed = ("USD", "EUR", "USD"), DOLLARS, ("USD", "", "USD")
    assert apart_of((euro, 5), (failed, 9)) == {euro: {}}
    assert apart_of((euro, 5), (dollar, 4), (failed, 9), (NONE, 2)) == {
        euro: {"currency": {"USD", ""}, "vendor_currency": {"EUR", ""}},
        dollar: {"currency": {"USD"}, "vendor_currency": {"USD"}},
    }
    other = ("USD", "EUR", "GBP")
    assert apart_of((euro, 5), (other, 4)) == {euro: None, other: None}, "calls of agents in another currency"
    assert apart_of((euro, 5), (dollar, 0)) == {euro: {"currency": {"USD"}, "vendor_currency": {"EUR"}}, dollar: None}


def test_the_currency_of_the_customer_tells_rows_apart_that_differ_by_that_of_their_income_alone():
    """Calls are searched by it; the rows do not show it."""
    report = REPORTS["profit-vendors"]
    layout = layout_of(report, is_inside=True)

    def apart_of(*lines: tuple[str, str, str]):
        made = [
            Line(0, ("carrier",), (cost_in, income_in), sums(1, 1, cost=Decimal(1), income=Decimal(2)),
                 frozenset({(cost_in, income_in, customer)}))
            for cost_in, income_in, customer in lines
        ]  # fmt: skip
        return {row.currencies: row.apart for row in table_of(report, layout, WHOLE, made, {}).rows}

    assert layout.searched == ("vendor_currency", "income_currency", "currency")
    assert apart_of(("KWD", "KWD", "KWD"), ("KWD", "EUR", "EUR"), ("KWD", "EUR", "USD")) == {
        ("KWD", "KWD"): {"vendor_currency": {"KWD"}, "currency": {"KWD"}},
        ("KWD", "EUR"): {"vendor_currency": {"KWD"}, "currency": {"EUR", "USD"}},
    }
    assert apart_of(("KWD", "KWD", "EUR"), ("KWD", "EUR", "EUR")) == {("KWD", "KWD"): None, ("KWD", "EUR"): None}


def test_rows_whose_calls_no_currencies_tell_apart_name_none():
    """Calls without fee and income would count in one row by the currencies that they have, as they are added up."""
    report = REPORTS["revenue"]
    loss = Line(0, ("acme",), ("", "EUR", ""), sums(1, 1, cost=Decimal(1)))
    earned = Line(0, ("acme",), ("USD", "EUR", "USD"), sums(1, 1, income=Decimal(1)))
    unpaid = Line(0, ("acme",), ("", "EUR", "EUR"), sums(1, 0))
    table = table_of(report, layout_of(report, is_inside=True), WHOLE, [loss, earned, unpaid], {})
    found = {(row.currencies, row.apart is None) for row in table.rows}
    assert found == {(("USD", "EUR", "USD"), True), (("", "EUR", "EUR"), True)}


def test_there_is_no_profit_between_two_currencies():
    line = Line(0, ("acme",), ("USD", "EUR", "USD"), sums(1, 1, income=Decimal(2), cost=Decimal(1)))
    (row,), _ = rows_of("revenue", line)
    assert (row["income"], row["cost"], row["profit"]) == (Decimal(2), Decimal(1), None)


def test_calls_that_a_vendor_of_another_currency_refused_bring_nothing():
    sold = Line(0, (), ("EUR", "EUR", "EUR"), sums(4, 4, income=Decimal("0.05"), cost=Decimal("0.025")))
    refused = Line(0, (), ("EUR", "USD", "EUR"), sums(2, 0))
    for rows in rows_of("daily", sold, refused):
        assert {row["currencies"][1]: row["profit"] for row in rows} == {"EUR": Decimal("0.025"), "USD": 0}


def test_calls_that_only_cost_something_are_a_loss_in_the_currency_of_the_cost():
    sold = Line(0, ("acme", "carrier", "x"), ("USD", "USD"), sums(1, 1, income=Decimal(9), cost=Decimal(5)))
    late = Line(0, ("", "carrier", "x"), ("EUR", ""), sums(1, 0, cost=Decimal("0.06")))
    rows, totals = rows_of("profit", sold, late)
    assert [(row["customer_account"], row["profit"], row["currencies"]) for row in rows] == [
        ("", Decimal("-0.06"), ("EUR", "EUR")), ("acme", Decimal(4), ("USD", "USD")),
    ]  # fmt: skip
    assert sum(row["profit"] for row in rows) == sum(row["profit"] for row in totals)


def test_the_profit_of_calls_without_vendor_is_known_beside_vendors_of_any_currency():
    """Five calls between telephones, two through a vendor in the currency of the customer, three through another."""
    phones = Line(0, ("acme",), ("USD", "", "USD"), sums(5, 5, fee=Decimal(99), income=Decimal(99)))
    dollar = Line(0, ("acme",), DOLLARS, sums(2, 2, fee=Decimal(121), income=Decimal(121), cost=Decimal(100)))
    euro = Line(0, ("acme",), ("USD", "EUR", "USD"), sums(3, 3, fee=Decimal(217), income=Decimal(217), cost=Decimal(9)))
    for lines, wanted in (
        ([phones], [(Decimal(99), DOLLARS)]),
        ([phones, dollar], [(Decimal(120), DOLLARS)]),
        ([phones, dollar, euro], [(Decimal(120), DOLLARS), (None, ("USD", "EUR", "USD"))]),
        ([phones, euro], [(Decimal(99), DOLLARS), (None, ("USD", "EUR", "USD"))]),
    ):
        for rows in rows_of("revenue", *lines):
            assert sorted(((row["profit"], row["currencies"]) for row in rows), key=str) == sorted(wanted, key=str)


def test_the_cost_of_a_late_answer_is_a_loss_beside_calls_in_two_currencies():
    """Their profit is not known, but that of the late answer is: also where both are in one row of time."""
    euro = Line(0, (), ("USD", "EUR", "USD"), sums(3, 3, fee=Decimal(2), income=Decimal(2), cost=Decimal(1)))
    late = Line(0, (), ("", "EUR", ""), sums(0, 0, cost=Decimal("0.06")))
    for rows in rows_of("daily", euro, late):
        assert {(row["profit"], row["cost"]) for row in rows} == {(None, 1), (Decimal("-0.06"), Decimal("0.06"))}


@pytest.mark.parametrize("name", ["revenue", "mapping-gateways", "account-areas", "profit-customers", "daily"])
def test_unanswered_calls_below_an_agent_of_another_currency_count_with_the_answered_ones(name):
    """Only charges say in which currency an agent pays: calls without any have that of the customer."""
    report = REPORTS[name]
    layout, by = layout_of(report, is_inside=True), tuple("x" for _ in report.by)

    def line(vendor: str, agent: str, calls: int, answered: int, **money):
        paid_in = {"currency": "USD", "vendor_currency": vendor, "income_currency": agent}
        return Line(0, by, tuple(paid_in[each] for each in layout.currencies), sums(calls, answered, **money))

    answered = line("GBP", "EUR", 2, 2, fee=Decimal(3), income=Decimal(2), cost=Decimal(1))
    busy, refused = line("GBP", "USD", 3, 0), line("", "USD", 5, 0)
    for rows in rows_of(name, answered, busy, refused):
        (row,) = rows
        assert (row["calls"], row["answered"], row["income"]) == (10, 2, 2)
        assert row.get("asr", 20) == 20
        assert row["currencies"] == answered.currencies
    for rows in rows_of(name, busy, refused):
        (row,) = rows
        assert (row["calls"], row["currencies"]) == (8, busy.currencies), "there is no other currency"


def test_unanswered_calls_count_with_those_in_their_currency_of_income_where_there_are_any():
    agents = Line(0, (), ("USD", "EUR", "EUR"), sums(9, 9, fee=Decimal(2), income=Decimal(2), cost=Decimal(1)))
    own = Line(0, (), DOLLARS, sums(4, 4, fee=Decimal(2), income=Decimal(2), cost=Decimal(1)))
    rows, _ = rows_of("daily", agents, own, Line(0, (), ("USD", "", "USD"), sums(4, 0)))
    assert {row["currencies"]: row["asr"] for row in rows} == {agents.currencies: 100, DOLLARS: 50}


def test_losses_come_first():
    lines = [
        Line(0, (name, "carrier", "x"), ("USD", "USD"), sums(1, 1, income=Decimal(income), cost=Decimal(5)))
        for name, income in (("good", 9), ("bad", 1), ("fair", 5))
    ]
    rows, _ = rows_of("profit", *lines)
    assert [row["customer_account"] for row in rows] == ["bad", "fair", "good"]
    assert rows[0]["margin"] == Decimal("-400.00")


def test_the_ten_with_the_most_billed_seconds_are_shown_and_all_are_in_the_totals():
    lines = [Line(0, (f"c{each}",), ("USD",), sums(1, 1, billed_seconds=each)) for each in range(15)]
    report_rows, (total,) = rows_of("top-customers", *lines)
    assert [row["billed_seconds"] for row in report_rows] == [*range(14, 4, -1)]
    assert total["calls"] == 15


def test_failures_are_shares_of_the_unanswered_calls():
    busy = Line(0, ("Busy", 486, "callee", "one"), (), sums(3, 0))
    answered = Line(0, ("Normal", 0, "", "one"), (), sums(90, 90))
    rows, _ = rows_of("failures", Line(0, ("No Answer", 480, "callee", "one"), (), sums(1, 0)), answered, busy)
    assert [(row["end_reason"], row["calls"], row["share"]) for row in rows] == [
        ("Busy", 3, Decimal("75.00")),
        ("No Answer", 1, Decimal("25.00")),
    ]


@pytest.mark.parametrize("name", [name for name, report in REPORTS.items() if not report.is_inside])
def test_agents_see_nothing_of_vendors(name):
    layout = layout_of(REPORTS[name], is_inside=False)
    assert not {"cost", "cost_tax", "profit", "margin", "income", "below_cost", "loss"}.intersection(layout.figures)
    assert not {"vendor_account", "routing_gateway"}.intersection(layout.by)
    assert "vendor_currency" not in layout.currencies
    assert not {"cost", "vendor_billed_seconds"}.intersection(layout.needs)


def test_the_median_and_the_95th_percentile_are_those_of_the_waits():
    assert median_and_95({}) == (None, None)
    assert median_and_95({900: 1}) == (Decimal("0.9"), Decimal("0.9"))
    assert median_and_95({100: 50, 200: 44, 5_000: 5, 9_000: 1}) == (Decimal("0.1"), Decimal(5))
    assert median_and_95({200: 5, 100: 95}) == (Decimal("0.1"), Decimal("0.1"))
    assert median_and_95({200: 6, 100: 94}) == (Decimal("0.1"), Decimal("0.2"))
    waits = {(0, "pbx"): {100: 1, 300: 2}}
    (row,), _ = rows_of("mapping-gateways", Line(0, ("pbx", "acme"), ("USD", "USD"), sums(3, 3)), waits=waits)
    assert row["pdd_median"] == Decimal("0.3")


def test_a_row_without_any_figure_is_left_out():
    """A test call has a cost alone, which the report of customers' gateways does not show."""
    rows, _ = rows_of(
        "mapping-gateways",
        Line(0, ("", ""), ("", ""), sums(0, 0)),
        Line(0, ("pbx", "acme"), ("USD", "USD"), sums(3, 3)),
    )
    assert [row["mapping_gateway"] for row in rows] == ["pbx"]


def test_a_table_of_many_rows_keeps_each_line_no_longer_than_it_needs() -> None:
    """The lines, their sums by row and the rows were all kept to the end: 6 KB a row."""
    rows = 5_000
    report = REPORTS["areas"]
    layout = layout_of(report, is_inside=True)
    (source, *_) = layout.sources(report)

    def lines() -> Iterator[Line]:
        for number in range(rows):
            measured = [Decimal(number) + Decimal("0.5") for _ in source.measures]
            yield layout.line(source, 0, (str(number), "", *DOLLARS), measured)

    tracemalloc.start()
    try:
        table = table_of(report, layout, WHOLE, lines(), {})
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(table.rows) == rows
    assert most / rows < 4_000
