"""The worked examples of sections, connection fees, volumes and profit in tests/vectors/billing.json.

Each through the functions that bill real calls.
"""

import json
from decimal import ROUND_HALF_UP, Decimal
from itertools import chain

from doubles.data.builders import applied_rate, rates_in, rating_policy

from golden.worked import of
from vosd.billing.period_rates import multiplied
from vosd.billing.rater import breakdown, rate_call
from vosd.billing.sections import RateSection
from vosd.config.assembly.rate_report import stored_by_vos3000
from vosd.config.load import load

CENT = Decimal("0.01")
DAYS_OF_A_YEAR = 365


def fee_of(rate: str | Decimal, seconds: int, cycle: int = 1, **terms) -> Decimal:
    """Rate a call exactly enough for a volume: without free time, to eight decimals."""
    return rate_call(applied_rate(rate, cycle, policy=rating_policy(fee_precision=8), **terms), 1_000 * seconds).fee


@of("section_rate")
def test_completed_sections_count_and_the_rest_is_billed_by_cycles(given, expect):
    sections = tuple(RateSection(Decimal(amount), seconds) for amount, seconds in given["sections"])
    applied = applied_rate(
        given["billing_rate"],
        given["billing_cycle_s"],
        sections=";".join(f"{each.amount}@{each.until_s}" for each in sections),
        policy=rating_policy(fee_precision=4, section_cap=given["cap_to_next_section"]),
    )
    charge = rate_call(applied, given["duration_s"] * 1_000)
    assert charge.fee == Decimal(expect["fee"])
    if "completed_sections_fee" in expect:
        steps = {step["step"]: step for step in breakdown(applied, 1_000 * charge.hold_time_s)}
        assert Decimal(steps["sections"]["raw"]) == Decimal(expect["completed_sections_fee"])
        assert given["duration_s"] - steps["sections"]["seconds"] == expect["remainder_s"]
        assert Decimal(steps["cycles"]["raw"]) == Decimal(expect["remainder_fee"])
        ends = [rate_call(applied, each.until_s * 1_000).fee for each in sections]
        assert [ends[0], ends[1] - ends[0]] == [*map(Decimal, expect["increments"])]


@of("connection_fee")
def test_a_connection_fee_is_paid_once_by_calls_that_last(given, expect):
    fee = fee_of(given["sell_rate_per_min"], given["duration_s"], given["billing_unit_s"],
                 connection_fee=given["connection_fee"])  # fmt: skip
    assert fee == Decimal(expect["fee"])
    assert given["answered"] or not given["duration_s"], "a call that is not answered has no seconds to bill"


@of("rate_quantise")
def test_a_rate_that_vos3000_would_have_changed_is_reported_and_kept(given, expect, tmp_path):
    places, rate = given["SERVER_BILLING_FEE_PRECISTION"], given["rate_per_min"]
    stored = stored_by_vos3000(Decimal(rate), places)
    assert (stored.rate, stored.is_lossless) == (Decimal(expect["stored_rate"]), expect["lossless"])
    path = tmp_path / "vosd.yaml"
    rows = [{"prefix": "44", "billing_rate": rate, "billing_cycle": 3_600}]
    path.write_text(json.dumps({"rate_groups": [{"name": "g", "fee_precision": places, "rates": rows}]}))
    loaded = load(path)
    assert [each.billing_rate for each in rates_in(loaded.catalogue.rate_groups["g"])] == [Decimal(rate)]
    kept = f"VOS3000 would have stored {expect['stored_rate']}" + ("" if stored.rate else ", a free rate")
    reported = [problem.expected for problem in chain.from_iterable(loaded.reports_by_group())]
    assert reported == ([] if expect["lossless"] else [f"at most {places} decimals; {kept}"])


@of("period_multiplier")
def test_a_period_multiplies_the_price(given, expect):
    rate = applied_rate(given["base_rate"], 60).rate
    assert multiplied(rate, Decimal(given["period_rate"])).billing_rate == Decimal(expect["rate"])


@of("profit")
def test_profit_is_what_a_call_earns_less_what_it_costs(given, expect):
    seconds, cycle = given["duration_s"], given["billing_unit_s"]
    income = fee_of(given["sell_rate_per_min"], seconds, cycle)
    cost = fee_of(given["buy_rate_per_min"], seconds, cycle)
    assert (income, cost) == (Decimal(expect["income"]), Decimal(expect["cost"]))
    assert income - cost == Decimal(expect["profit"])
    assert 100 * (income - cost) / income == Decimal(expect["margin_percent_of_income"])


@of("arith", having="agreed_rate_per_min")
def test_a_rate_that_was_rounded_when_it_was_stored_changes_the_revenue(given, expect):
    revenues = []
    for places in (2, 3):
        stored = stored_by_vos3000(Decimal(given["agreed_rate_per_min"]), places).rate
        revenues.append(fee_of(stored, 60 * int(given["minutes"])))
    assert revenues == [Decimal(expect["revenue_precision_2"]), Decimal(expect["revenue_precision_3"])]
    assert revenues[0] - revenues[1] == Decimal(expect["difference"])
    assert fee_of(given["agreed_rate_per_min"], 60 * int(given["minutes"])) == revenues[1], "rates are kept as entered"


@of("arith", having="avg_rounding_per_call")
def test_what_rounding_moves_over_many_calls(given, expect):
    # A call of 0.0095 is rounded by this much at a precision of two, whatever the number of calls.
    lost = fee_of_one_cent() - Decimal("0.0095")
    assert lost == Decimal(given["avg_rounding_per_call"])
    assert int(given["calls"]) * lost == Decimal(expect["monthly_impact"])


def fee_of_one_cent() -> Decimal:
    applied = applied_rate("0.0095", 60, policy=rating_policy(fee_precision=2))
    return rate_call(applied, 60_000).fee


@of("arith", having="extra_s")
def test_one_second_more_in_each_call_over_a_year(given, expect):
    per_day = fee_of(given["rate_per_min"], given["calls_per_day"] * given["extra_s"])
    assert per_day.quantize(CENT, ROUND_HALF_UP) == Decimal(expect["per_day"])
    exact_year = fee_of(given["rate_per_min"], DAYS_OF_A_YEAR * given["calls_per_day"] * given["extra_s"])
    assert exact_year.quantize(CENT, ROUND_HALF_UP) == Decimal(expect["per_year_365"])


@of("arith", having="avg_rounding_loss")
def test_a_loss_by_rounding_over_a_year(given, expect):
    # A call of 0.0051 rounded to whole tenths of a cent loses this much.
    applied = applied_rate("0.0051", 60, policy=rating_policy(fee_precision=3))
    lost = Decimal("0.0051") - rate_call(applied, 60_000).fee
    assert lost == Decimal(given["avg_rounding_loss"])
    assert given["calls_per_day"] * lost == Decimal(expect["per_day"])
    assert DAYS_OF_A_YEAR * given["calls_per_day"] * lost == Decimal(expect["per_year_365"])


@of("arith", having="off_peak_share")
def test_what_a_cheaper_rate_off_peak_saves(given, expect):
    off_peak_s = int(60 * Decimal(given["minutes_per_day"]) * Decimal(given["off_peak_share"]))
    dearer, cheaper = Decimal("0.010"), Decimal("0.010") - Decimal(given["rate_difference"])
    per_day = fee_of(dearer, off_peak_s) - fee_of(cheaper, off_peak_s)
    assert per_day == Decimal(expect["per_day"])
    assert 30 * per_day == Decimal(expect["per_month_30"])
    assert DAYS_OF_A_YEAR * per_day == Decimal(expect["per_year_365"])
