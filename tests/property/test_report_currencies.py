"""Money of reports: whatever the calls have in common by which they are grouped, the sums of a time are the same."""

from collections import defaultdict
from decimal import Decimal
from typing import NamedTuple

import pytest
from doubles.exploring import examples
from hypothesis import given, settings, strategies as st

from vosd.traffic.counted import MEASURES, TrafficCall, TrafficCharge, TrafficSums
from vosd.traffic.reports import FIGURES, REPORTS, FigureKind
from vosd.traffic.spans import ReportSpan
from vosd.traffic.tables import layout_of, table_of

SPANS = (ReportSpan(0, 900_000, "one"), ReportSpan(900_000, 1_800_000, "two"))
CUSTOMERS = {
    "acme": ("USD", None), "zen": ("EUR", None), "fam": ("USD", "EUR"), "shop": ("GBP", "USD"), "free": ("USD", "USD"),
}  # fmt: skip
"""Currency of each customer, and that of its agent."""
VENDORS = {"carrier": "USD", "telco": "EUR", "ocean": "GBP"}
REASONS = {"": "Insufficient Balance", "carrier": "Busy", "telco": "No Answer", "ocean": "Unavailable"}
AMOUNTS = st.sampled_from([Decimal(0), Decimal("0.01"), Decimal("0.25"), Decimal("1.003667"), Decimal(3)])


class Booked(NamedTuple):
    """A call with the charges of its agents."""

    call: TrafficCall
    agents: tuple[TrafficCharge, ...]

    @property
    def income(self) -> tuple[Decimal, str]:
        """Income of the call, and its currency."""
        if self.agents:
            return self.agents[0].fee, self.agents[0].currency or ""
        return self.call.fee, self.call.currency or ""

    @property
    def profit(self) -> tuple[Decimal, str] | None:
        """Income less cost, and in which currency; None = they are in two."""
        income, paid_in = self.income
        cost_in = self.call.vendor_currency or paid_in
        return (income - self.call.cost, cost_in) if (paid_in or cost_in) == cost_in else None


@st.composite
def calls(draw):
    """A call of a customer through a vendor or to a phone, answered or not, or a test call."""
    customer = draw(st.sampled_from([*CUSTOMERS, None]))
    vendor = draw(st.sampled_from([*VENDORS, None] if customer else [*VENDORS]))
    is_answered = draw(st.booleans()) or customer is None
    paid_in, agent_in = CUSTOMERS.get(customer, (None, None))
    fee, share, cost = (draw(AMOUNTS) if is_answered else Decimal(0) for _ in range(3))
    started_at = draw(st.sampled_from([0, 900_000]))
    call = TrafficCall(
        started_at=started_at, ringing_at=None, answered_at=started_at + 9 if is_answered else None,
        customer_account=customer, vendor_account=vendor, mapping_gateway=customer and f"{customer}-pbx",
        routing_gateway=f"{vendor}-trunk" if vendor else "7001" if is_answered else None,
        billing_method=draw(st.sampled_from(["gateway", "phone"])), rate_prefix="44",
        rate_area=draw(st.sampled_from(["London", "Paris"])), rate_type=None, currency=paid_in,
        vendor_currency=VENDORS.get(vendor),
        end_reason="Normal" if is_answered else REASONS[vendor or ""], sip_code=200 if is_answered else 480,
        hangup_source="caller", pdd_ms=None, hold_time_ms=1, hold_time_s=1, billed_seconds=1, vendor_billed_seconds=1,
        fee=fee if customer else Decimal(0), tax=Decimal(0), cost=cost if vendor else Decimal(0), cost_tax=Decimal(0),
        loss=None, caller_in="1", callee_in="2", callee_billing=None,
    )  # fmt: skip
    agents = (TrafficCharge("agent", 1, 1, share, Decimal(0), agent_in),) if agent_in and is_answered else ()
    return Booked(call, agents)


def table(report, booked):
    """Make a report of calls, as it is made of their sums."""
    counted = TrafficSums()
    for each in booked:
        counted.add(each.call, (), each.agents)
    layout = layout_of(report, is_inside=True)
    lines = []
    for source in layout.sources(report):
        found = {}
        for (slot, key), values in counted.rows.items():
            if key.kind != source.kind or any(getattr(key, name) != value for name, value in report.only.items()):
                continue
            by = tuple(getattr(key, name) for name in source.by)
            sums = found.setdefault((slot, by), dict.fromkeys(source.measures, 0))
            for name, measure in source.measures.items():
                sums[name] += values[MEASURES.index(measure)] if measure in MEASURES else 0
        lines += [layout.line(source, slot, by, tuple(sums.values())) for (slot, by), sums in found.items()]
    return layout, table_of(report, layout, SPANS, lines, {})


def sums_of(layout, rows):
    """Add rows up by figure and its currency; those of no money have none."""
    found = defaultdict(Decimal)
    for row in rows:
        paid_in = dict(zip(layout.currencies, row.currencies, strict=True))
        for name, value in zip(layout.figures, row.figures, strict=True):
            figure = FIGURES[name]
            if value and (figure.kind is FigureKind.MONEY or name in {"calls", "answered"}):
                found[name, paid_in[figure.currency] if figure.currency else ""] += value
    return {place: value for place, value in found.items() if value}


def plain_sums(booked):
    """Add calls up as ``sums_of`` does rows."""
    found = defaultdict(Decimal)
    for each in booked:
        is_test = each.call.customer_account is None
        found["calls", ""] += not is_test
        found["answered", ""] += not is_test and each.call.answered_at is not None
        found["fee", each.call.currency] += each.call.fee
        found["cost", each.call.vendor_currency] += each.call.cost
        income, paid_in = each.income
        found["income", paid_in] += income
        if each.profit is not None:
            profit, known_in = each.profit
            found["profit", known_in] += profit
    return {place: value for place, value in found.items() if value}


@pytest.mark.parametrize("name", [name for name in REPORTS if name not in {"failures", "agents"}])
@given(booked=st.lists(calls(), max_size=14))
@settings(max_examples=examples(20, 200), deadline=None)
def test_a_report_has_the_money_of_its_calls_in_rows_and_in_totals(name, booked):
    report = REPORTS[name]
    wanted = [each for each in booked if not report.only or each.call.billing_method == "phone"]
    layout, found = table(report, booked)
    rows, totals = sums_of(layout, found.rows), sums_of(layout, found.totals)
    assert rows == totals
    plain = plain_sums(wanted)
    assert {place: value for place, value in rows.items() if place[0] in {name for name, _ in plain}} == {
        place: value for place, value in plain.items() if place[0] in layout.figures
    }


@given(booked=st.lists(calls(), max_size=14))
@settings(max_examples=examples(80, 1_000), deadline=None)
def test_calls_of_an_account_that_brings_money_are_in_one_row_where_costs_are_not_shown(booked):
    """Those that failed count with them, also below an agent of another currency."""
    layout, found = table(REPORTS["mapping-gateways"], booked)
    income = layout.figures.index("income")
    same = defaultdict(list)
    for row in found.rows:
        same[row.span, row.by].append(row.figures[income])
    assert all(len(some) == 1 for some in same.values() if any(some))


@given(booked=st.lists(calls(), max_size=14))
@settings(max_examples=examples(45, 1_000), deadline=None)
def test_what_agents_earn_is_the_same_in_rows_and_in_totals(booked):
    layout, found = table(REPORTS["agents"], booked)
    assert sums_of(layout, found.rows) == sums_of(layout, found.totals)


@pytest.mark.parametrize("name", ["revenue", "profit-vendors", "profit-gateways", "profit-areas", "profit-hours"])
@given(booked=st.lists(calls(), max_size=14))
@settings(max_examples=examples(20, 500), deadline=None)
def test_a_search_by_the_currencies_of_a_row_finds_its_calls_alone(name, booked):
    layout, found = table(REPORTS[name], booked)
    places = {"customer_account": "customer_account", "vendor_account": "vendor_account", "area": "rate_area"}
    counted = layout.figures.index("calls")
    for row in found.rows:
        if not row.apart:
            continue
        wanted = {places[each]: value for each, value in zip(layout.by, row.by, strict=True) if each in places}
        there = [
            each.call
            for each in booked
            if each.call.customer_account is not None
            and SPANS[each.call.started_at // 900_000].label == row.span
            and all((getattr(each.call, place) or "") == value for place, value in wanted.items())
            and all((getattr(each.call, place) or "") in some for place, some in row.apart.items())
        ]
        assert len(there) == row.figures[counted]
