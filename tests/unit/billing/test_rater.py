"""Fee and tax in the order of rating, and a breakdown that gives them again."""

import json
from decimal import Decimal

import pytest
from doubles.data.builders import applied_rate, rating_policy
from doubles.recomputed import recompute

from vosd.base.money import Rounding
from vosd.billing.rater import Charge, breakdown, rate_call, round_fee, total_at


def test_every_begun_cycle_is_paid_in_full():
    applied = applied_rate("0.60", 6)
    assert rate_call(applied, 1_000) == Charge(1, 6, Decimal("0.06"), Decimal(0))
    assert rate_call(applied, 6_000) == Charge(6, 6, Decimal("0.06"), Decimal(0))
    assert rate_call(applied, 7_000) == Charge(7, 12, Decimal("0.12"), Decimal(0))


def test_interval_charges_the_first_period_whole_and_pro_rata_of_the_minute():
    thirty_six = applied_rate("0.010", 6, first_duration=30)
    assert rate_call(thirty_six, 1_000) == Charge(1, 30, Decimal("0.005"), Decimal(0))
    assert rate_call(thirty_six, 30_000) == Charge(30, 30, Decimal("0.005"), Decimal(0))
    assert rate_call(thirty_six, 31_000) == Charge(31, 36, Decimal("0.006"), Decimal(0))


def test_a_first_rate_without_duration_is_not_applied():
    assert rate_call(applied_rate("0.60", 1, first_rate="5", first_duration=0), 10_000).fee == Decimal("0.10")


def test_price_per_cycle_does_not_depend_on_the_length_of_the_cycle():
    assert rate_call(applied_rate("0.05", 30, per_cycle=True), 65_000).fee == Decimal("0.15")
    assert rate_call(applied_rate("0.05", 90, per_cycle=True), 65_000).fee == Decimal("0.05")


def test_call_within_the_free_time_costs_nothing_not_even_the_first_period():
    applied = applied_rate("0.15", 60, first_rate="0.21", first_duration=180, policy=rating_policy(free_time_s=6))
    assert rate_call(applied, 6_000) == Charge(6, 0, Decimal(0), Decimal(0))
    assert rate_call(applied, 6_050) == Charge(7, 180, Decimal("0.21"), Decimal(0))


def test_hold_time_in_the_charge_is_before_free_time():
    charge = rate_call(applied_rate("0.60", 60, policy=rating_policy(free_time_s=6)), 66_000)
    assert (charge.hold_time_s, charge.billed_seconds) == (66, 60)


def test_division_comes_last_so_small_rates_are_not_lost():
    # 0.01 / 60 rounded to four places first would give 0.0002 a second and 0.0130 for the call.
    assert rate_call(applied_rate("0.01", 1, policy=rating_policy(fee_precision=4)), 65_000).fee == Decimal("0.0108")


@pytest.mark.parametrize(
    ("rounding", "fee", "tax"),
    [(Rounding.HALF_UP, "0.02", "0.01"), (Rounding.UP, "0.02", "0.01"), (Rounding.DOWN, "0.01", "0.00")],
)
def test_rounding_of_the_group_holds_for_fee_and_tax(rounding, fee, tax):
    policy = rating_policy(fee_precision=2, rounding=rounding)
    charge = rate_call(applied_rate("0.90", 1, tax_rate="50", policy=policy), 1_000)
    assert (charge.fee, charge.tax) == (Decimal(fee), Decimal(tax))


def test_rounding_up_and_half_up_differ_below_the_middle():
    assert round_fee(Decimal("0.0101"), rating_policy(fee_precision=2, rounding=Rounding.UP)) == Decimal("0.02")
    assert round_fee(Decimal("0.0101"), rating_policy(fee_precision=2)) == Decimal("0.01")


def test_tax_is_taken_on_the_rounded_fee():
    # 0.0149 would be taxed with 0.00745; the rounded 0.01 is taxed with 0.005, which rounds up.
    charge = rate_call(applied_rate("0.894", 1, tax_rate="50", policy=rating_policy(fee_precision=2)), 1_000)
    assert (charge.fee, charge.tax) == (Decimal("0.01"), Decimal("0.01"))
    charge = rate_call(applied_rate("0.894", 1, tax_rate="49", policy=rating_policy(fee_precision=2)), 1_000)
    assert charge.tax == Decimal("0.00")


def test_unit_coarser_than_the_precision_rounds_twice():
    policy = rating_policy(fee_precision=3, fee_unit="0.05")
    assert round_fee(Decimal("0.0746"), policy) == Decimal("0.10")
    assert round_fee(Decimal("0.0744"), policy) == Decimal("0.05")


def test_nonzero_floor_lifts_fees_but_neither_tax_nor_free_calls():
    policy = rating_policy(fee_precision=2, nonzero_floor=True)
    charge = rate_call(applied_rate("0.0045", 60, tax_rate="10", policy=policy), 1_000)
    assert (charge.fee, charge.tax) == (Decimal("0.01"), Decimal("0.00"))
    assert rate_call(applied_rate("0", 60, policy=policy), 1_000).fee == 0


def test_total_at_a_second_is_the_charge_of_a_call_of_exactly_that_length():
    applied = applied_rate("0.15", 60, first_rate="0.21", first_duration=180, tax_rate="10")
    assert [total_at(applied, seconds) for seconds in (0, 180, 181)] == [
        rate_call(applied, ms).total for ms in (0, 180_000, 181_000)
    ]


def test_sections_price_whole_calls_and_the_rest_by_the_regular_rate():
    applied = applied_rate("0.05", 60, sections="0.10@60;0.18@120;0.25@180")
    fees = {seconds: rate_call(applied, 1000 * seconds) for seconds in (1, 59, 60, 61, 119, 120, 150, 180, 181, 241)}
    assert {seconds: (str(charge.fee), charge.billed_seconds) for seconds, charge in fees.items()} == {
        1: ("0.050000", 60), 59: ("0.050000", 60), 60: ("0.100000", 60), 61: ("0.150000", 120), 119: ("0.150000", 120),
        120: ("0.180000", 120), 150: ("0.230000", 180), 180: ("0.250000", 180), 181: ("0.300000", 240),
        241: ("0.350000", 300),
    }  # fmt: skip


def test_a_call_within_a_section_costs_at_most_that_section_unless_the_group_says_otherwise():
    terms = {"billing_rate": "0.15", "billing_cycle": 60, "sections": "0.10@60;0.18@120;0.25@180"}
    capped = applied_rate(**terms)
    uncapped = applied_rate(**terms, policy=rating_policy(section_cap=False))
    assert (rate_call(capped, 150_000).fee, rate_call(uncapped, 150_000).fee) == (Decimal("0.25"), Decimal("0.33"))
    assert rate_call(uncapped, 180_000).fee == Decimal("0.25")
    assert [total_at(uncapped, seconds) for seconds in (150, 180, 240)] == [*map(Decimal, ("0.33", "0.33", "0.40"))]


def test_a_rate_with_sections_has_no_first_period():
    sections = {"sections": "0.10@60;0.18@120"}
    with_first = applied_rate("0.05", 60, first_rate="9", first_duration=30, **sections)
    for duration_ms in (1_000, 30_000, 60_000, 125_000):
        assert rate_call(with_first, duration_ms) == rate_call(applied_rate("0.05", 60, **sections), duration_ms)
    steps = [step["step"] for step in breakdown(with_first, 61_000)]
    assert steps == ["rate", "hold_time", "free_time", "sections", "cycles", "fee", "tax"]


def test_connection_fee_is_paid_once_by_calls_with_billable_seconds_and_taxed():
    terms = {"connection_fee": "0.015", "tax_rate": "10", "policy": rating_policy(fee_precision=2, free_time_s=6)}
    applied = applied_rate("0.60", 60, **terms)
    assert rate_call(applied, 6_000) == Charge(6, 0, Decimal(0), Decimal(0))
    # 0.60 + 0.015, rounded together; a fee that was rounded by itself would make 0.60 + 0.02.
    assert rate_call(applied, 66_000) == Charge(66, 60, Decimal("0.62"), Decimal("0.06"))
    assert rate_call(applied_rate("0.594", 1, **terms), 7_000).fee == Decimal("0.02")


def test_minimum_charge_is_the_least_before_tax_and_contains_the_connection_fee():
    terms = {"minimum_charge": "0.05", "connection_fee": "0.02", "tax_rate": "10"}
    applied = applied_rate("0.60", 1, **terms, policy=rating_policy(free_time_s=1))
    charges = {seconds: rate_call(applied, 1000 * seconds) for seconds in (1, 2, 4, 5)}
    assert {seconds: charge.fee for seconds, charge in charges.items()} == {
        1: 0, 2: Decimal("0.05"), 4: Decimal("0.05"), 5: Decimal("0.06"),
    }  # fmt: skip
    assert charges[2].tax == Decimal("0.005")
    assert [total_at(applied, seconds) for seconds in charges] == [charge.total for charge in charges.values()]


def test_a_breakdown_names_what_was_added_and_nothing_that_is_not_set():
    applied = applied_rate(
        "0.15", 60, sections="0.10@60;0.18@120", connection_fee="0.01", minimum_charge="0.50", tax_rate="10"
    )
    steps = breakdown(applied, 100_000)
    assert steps[0] | {
        "sections": "0.10@60;0.18@120", "section_cap": True, "connection_fee": "0.01", "minimum_charge": "0.50",
    } == steps[0]  # fmt: skip
    assert steps[3:8] == [
        {"step": "sections", "seconds": 60, "raw": "0.10"},
        {"step": "cycles", "cycles": 1, "cycle": 60, "raw": "0.15"},
        {"step": "section_cap", "raw": "-0.07"},
        {"step": "connection_fee", "raw": "0.01"},
        {"step": "minimum_charge", "raw": "0.31"},
    ]
    assert (steps[8]["raw"], steps[9]["raw"]) == ("0.50", "0.05")
    plain = applied_rate("0.15", 60)
    assert not {"sections", "section_cap", "connection_fee", "minimum_charge"} & set(
        json.dumps(breakdown(plain, 100_000)).split('"')
    )


def test_two_rates_of_one_prefix_and_version_are_itemised_apart():
    # An account's own rounding makes two rates of one row of a table.
    whole_cents = applied_rate("0.05", 7, policy=rating_policy(fee_precision=2))
    exact = applied_rate("0.05", 7)
    for _ in range(2):
        for applied in (whole_cents, exact):
            fee = breakdown(applied, 65_000)[-2]
            assert (fee["precision"], Decimal(fee["amount"])) == (
                applied.policy.fee_precision, rate_call(applied, 65_000).fee,
            )  # fmt: skip


def test_a_breakdown_has_every_step_in_the_order_of_rating():
    applied = applied_rate("0.15", 60, first_rate="0.21", first_duration=180, tax_rate="10")
    steps = breakdown(applied, 250_020)
    assert [step["step"] for step in steps] == [
        "rate", "hold_time", "free_time", "first_period", "cycles", "fee", "tax",
    ]  # fmt: skip
    assert steps[0] == {
        "step": "rate",
        "group": "sell",
        "version": "v1",
        "currency": "USD",
        "prefix": "44",
        "billing_rate": "0.15",
        "price_per": "minute",
        "billing_cycle": 60,
        "first_rate": "0.21",
        "first_duration": 180,
        "tax_rate": "10",
    }
    assert steps[3:5] == [
        {"step": "first_period", "seconds": 180, "raw": "0.21"},
        {"step": "cycles", "cycles": 2, "cycle": 60, "raw": "0.30"},
    ]
    assert steps[-1] == {"step": "tax", "raw": "0.051", "amount": "0.051"}


def test_breakdown_of_a_free_call_shows_no_period_and_no_money():
    applied = applied_rate("0.15", 60, first_rate="0.21", first_duration=180)
    steps = {step["step"]: step for step in breakdown(applied, 0)}
    assert "first_period" not in steps
    assert (steps["cycles"]["cycles"], steps["fee"]["amount"]) == (0, "0.00")


def test_breakdown_survives_json_and_gives_the_charge_again():
    policy = rating_policy(fee_precision=3, fee_unit="0.05", rounding=Rounding.UP, free_time_s=4, nonzero_floor=True)
    for applied in (
        applied_rate("0.123456", 7, tax_rate="7.7", policy=policy),
        applied_rate("0.05", 30, per_cycle=True, policy=policy),
        applied_rate("0.15", 60, first_rate="0.21", first_duration=180, policy=policy),
    ):
        charge = rate_call(applied, 199_960)
        assert recompute(json.loads(json.dumps(breakdown(applied, 1_000 * charge.hold_time_s)))) == charge


def test_breakdown_writes_no_exponents():
    applied = applied_rate("0.00000001", 1, policy=rating_policy(fee_precision=8))
    text = json.dumps(breakdown(applied, 70_000))
    assert '"billing_rate": "0.00000001"' in text
    assert '"raw": "0.00000001"' in text, "70 s are 0.0000000116 and more"


def test_money_in_a_breakdown_has_two_to_eight_decimals_and_percentages_have_as_many_as_were_written():
    applied = applied_rate("1", 7, first_rate="0.5", first_duration=30, tax_rate="7.7", connection_fee="2")
    steps = {step["step"]: step for step in breakdown(applied, 100_000)}
    rate = steps["rate"]
    assert (rate["billing_rate"], rate["first_rate"], rate["connection_fee"]) == ("1.00", "0.50", "2.00")
    assert [steps[name]["raw"] for name in ("first_period", "cycles", "connection_fee", "fee", "tax")] == [
        "0.50", "1.16666667", "2.00", "3.66666667", "0.28233336",
    ]  # fmt: skip
    assert (steps["fee"]["unit"], rate["tax_rate"]) == ("0.000001", "7.7")
    assert recompute([*steps.values()]) == rate_call(applied, 100_000)


def test_recompute_refuses_what_is_not_a_breakdown():
    with pytest.raises(KeyError):
        recompute([{"step": "rate"}])
