"""Prices of a vendor that differ from ours, and the terms that would give them."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from doubles.data.builders import applied_rate, rating_policy

from vosd.base.money import Rounding
from vosd.billing.rater import breakdown, rate_call
from vosd.billing.rates import AppliedRate
from vosd.billing.stored_rate import rate_of_steps
from vosd.clearing.calls import BillClass, BilledCall, SentCall
from vosd.clearing.explanations import FRUITLESS_MAX, Judge, PriceExplanation, PriceTerms
from vosd.clearing.sums import EXPLANATIONS_MAX, OTHERS, BillSums

VECTORS = Path(__file__).parents[2] / "vectors" / "billing.json"
RATE = applied_rate("0.0123", 1)
RINGS_MS = 20_000


def sent(seconds: float, rate: AppliedRate = RATE, **changes: Any) -> SentCall:
    ms = round(1_000 * seconds)
    charge = rate_call(rate, ms)
    call = SentCall(
        0, "4420", "c", "", ms, ms + RINGS_MS, charge.billed_seconds, charge.fee, "44", "carrier", 0, "4420"
    )  # fmt: skip
    return msgspec.structs.replace(call, **changes)


def billed(seconds: float, price: Decimal | str | None = None, billed_s: int | None = None) -> BilledCall:
    return BilledCall(0, "4420", 2, "", round(1_000 * seconds), billed_s, None if price is None else Decimal(price))


def verdict(ours: SentCall, theirs: BilledCall, rate: AppliedRate | None = RATE, **more: Any) -> tuple[BillClass, str]:
    judge = Judge(2_000, **more)
    assert not judge.is_equal(ours, theirs)
    return judge.verdict(ours, theirs, rate)[:2]


def by(rate: AppliedRate, seconds: float) -> Decimal:
    return rate_call(rate, round(1_000 * seconds)).fee


def test_another_unit_is_named():
    """The example of 65 s against 120 s, as the vector ``UNIT-RECON`` has it."""
    (vector,) = [each for each in json.loads(VECTORS.read_text())["vectors"] if each["id"] == "UNIT-RECON"]
    given, expected = vector["given"], vector["expect"]
    ours = sent(given["duration_s"], applied_rate("0.0123", given["vendor_unit_s"]))
    assert ours.billed_seconds == expected["vendor_billed_s"]
    theirs = billed(given["duration_s"], billed_s=expected["client_billed_s"])
    assert theirs.billed_seconds - ours.billed_seconds == expected["difference_s"]
    assert verdict(ours, theirs) == (BillClass.UNIT_DIFFERS, "their unit is 60 s")
    priced = billed(65, by(applied_rate("0.0123", 60), 65), 120)
    assert verdict(sent(65), priced) == (BillClass.UNIT_DIFFERS, "their unit is 60 s")


@pytest.mark.parametrize("exchange_rate", [None, "0.9215"])
@pytest.mark.parametrize(
    "more", [{}, {"connection_fee": "0.04"}, {"first_rate": "0.05", "first_duration": 30}, {"minimum_charge": "0.001"}]
)
def test_a_dearer_price_of_a_minute_is_the_same_for_calls_of_any_length(
    exchange_rate: str | None, more: dict[str, Any]
) -> None:
    """Connection fee, first period and minimum charge are in the currency of the rate, the bill in the account's."""
    ours, theirs = (applied_rate(price, 1, **more) for price in ("0.0100", "0.0120"))
    if exchange_rate is not None:
        converted = {"exchange_rate": Decimal(exchange_rate), "paid_in": "EUR"}
        ours, theirs = (msgspec.structs.replace(each, **converted) for each in (ours, theirs))
    for seconds in (187, 611, 1_801):  # one judge each: the explanation of another call is not tried
        found = verdict(sent(seconds, ours), billed(seconds, by(theirs, seconds)), ours)
        price = "0.012" if exchange_rate is None else "0.011058"
        assert found == (BillClass.RATE_DIFFERS, f"price of {price} a minute")


@pytest.mark.parametrize(
    ("seconds", "rate", "text"),
    [
        (20, applied_rate("0.0123", 6), "their unit is 6 s"),
        (20, applied_rate("0.0123", 6, first_duration=30), "their unit is 30/6 s"),
        (65, applied_rate("0.0123", 30), "their unit is 30 s"),
        (65, applied_rate("0.0123", 20), "their unit is 20 s"),
    ],
)
def test_a_price_alone_tells_the_unit(seconds, rate, text):
    assert verdict(sent(seconds), billed(seconds, by(rate, seconds))) == (BillClass.UNIT_DIFFERS, text)


def test_the_unit_is_told_from_a_rate_whose_price_is_that_of_a_cycle():
    ours = applied_rate("0.0246", 120, per_cycle=True)
    theirs = billed(65, by(applied_rate("0.0123", 1), 65))
    assert verdict(sent(65, ours), theirs, ours) == (BillClass.UNIT_DIFFERS, "their unit is 1 s")


def test_the_seconds_that_a_vendor_bills_say_its_price_where_the_file_says_none():
    theirs = billed(65, None, 120)
    assert Judge(2_000).verdict(sent(65), theirs, RATE).amount == by(applied_rate("0.0123", 60), 65)


def test_a_unit_explains_no_other_length():
    theirs = billed(90, by(applied_rate("0.0123", 60), 65))
    assert verdict(sent(65), theirs) == (BillClass.DURATION_DIFFERS, "")


def test_a_call_of_no_seconds_that_costs_something_has_another_rate():
    assert verdict(sent(0), billed(0, "0.01")) == (BillClass.RATE_DIFFERS, "")


def test_of_several_units_that_fit_that_of_the_call_before_holds():
    judge, rate = Judge(2_000), applied_rate("0.0123", 30)
    for seconds in (65, 20):
        found = judge.verdict(sent(seconds), billed(seconds, by(rate, seconds)), RATE)[:2]
        assert found == (BillClass.UNIT_DIFFERS, "their unit is 30 s")
    assert verdict(sent(20), billed(20, by(rate, 20))) == (BillClass.UNIT_DIFFERS, "their unit is 30/6 s")


def test_billed_seconds_in_the_place_of_the_duration_tell_the_unit():
    theirs = billed(120, by(applied_rate("0.0123", 60), 65))
    assert verdict(sent(65), theirs) == (BillClass.UNIT_DIFFERS, "their unit is 60 s")


@pytest.mark.parametrize(
    ("places", "rounding", "text"),
    [
        (4, Rounding.HALF_UP, "4 decimals, rounded half up"),
        (4, Rounding.UP, "4 decimals, rounded up"),
        (2, Rounding.DOWN, "2 decimals, rounded down"),
    ],
)
def test_another_rounding_is_named(places, rounding, text):
    policy = rating_policy(fee_precision=places, rounding=rounding)
    seconds = 89 if rounding is Rounding.HALF_UP else 88
    theirs = billed(seconds, by(msgspec.structs.replace(RATE, policy=policy), seconds))
    assert verdict(sent(seconds), theirs) == (BillClass.ROUNDING_DIFFERS, text)


def test_the_rounding_of_the_stored_charge_counts_and_not_that_of_now():
    now = applied_rate("0.0124")
    old = msgspec.structs.replace(now, policy=rating_policy(fee_precision=3))
    charge = rate_call(old, 61_000)
    stored = rate_of_steps(breakdown(old, 1_000 * charge.hold_time_s))
    assert stored.policy.fee_precision == 3
    theirs = billed(61, by(now, 61))
    assert verdict(sent(61, old), theirs, stored) == (BillClass.ROUNDING_DIFFERS, "6 decimals, rounded half up")


def test_a_begun_second_may_count_as_a_whole_one():
    policy = rating_policy(hold_time_precision_ms=0)
    theirs = billed(60.02, by(msgspec.structs.replace(RATE, policy=policy), 60.02))
    assert verdict(sent(60.02), theirs) == (BillClass.ROUNDING_DIFFERS, "a begun second is a whole one")


def test_another_duration_explains_the_price_also_within_the_tolerance():
    assert verdict(sent(60), billed(90, by(RATE, 90))) == (BillClass.DURATION_DIFFERS, "their duration")
    assert verdict(sent(60), billed(61, by(RATE, 61))) == (BillClass.DURATION_DIFFERS, "their duration")
    rate = applied_rate("0.0123", 60)
    assert verdict(sent(60, rate), billed(130, by(rate, 130)), rate) == (BillClass.DURATION_DIFFERS, "their duration")


def test_the_beginning_of_the_billing_is_recognised():
    theirs = billed(60 + RINGS_MS / 1_000, by(RATE, 60 + RINGS_MS / 1_000))
    assert verdict(sent(60), theirs) == (BillClass.DURATION_DIFFERS, "billed from the INVITE")
    theirs = billed(60, by(RATE, 80), 80)
    assert verdict(sent(60), theirs) == (BillClass.DURATION_DIFFERS, "billed from the INVITE")
    at_once = sent(60, from_invite_ms=60_000)
    assert verdict(at_once, billed(60, by(RATE, 61), 61)) == (BillClass.UNIT_DIFFERS, ""), "it has not rung"


def test_another_price_is_another_rate_and_its_minute_is_said():
    theirs = billed(300, by(applied_rate("0.0147"), 300))
    assert verdict(sent(300), theirs) == (BillClass.RATE_DIFFERS, "price of 0.0147 a minute")


def test_prices_with_tax_are_compared_with_tax():
    taxed = applied_rate("0.0123", 1, tax_rate="20")
    charge = rate_call(taxed, 600_000)
    ours = sent(600, taxed, cost=charge.total)
    assert Judge(0, includes_tax=True).is_equal(ours, billed(600, charge.total))
    dearer = rate_call(applied_rate("0.02", 1, tax_rate="20"), 600_000)
    found = verdict(ours, billed(600, dearer.total), taxed, includes_tax=True)
    assert found == (BillClass.RATE_DIFFERS, "price of 0.02 a minute")
    without = verdict(sent(600, taxed, cost=charge.fee), billed(600, "0.237"), taxed)
    assert without == (BillClass.RATE_DIFFERS, "price of 0.0237 a minute")
    exempt = msgspec.structs.replace(taxed, policy=rating_policy(tax_exempt=True))
    untaxed = verdict(sent(600, exempt), billed(600, "0.237"), exempt, includes_tax=True)
    assert untaxed == (BillClass.RATE_DIFFERS, "price of 0.0237 a minute")


def test_the_price_of_before_a_correction_is_named_and_no_rounding_that_fits_it_by_chance():
    rate = applied_rate("0.30", 1)
    corrected = sent(60, rate, cost=Decimal("0.20"))
    assert verdict(corrected, billed(60, "0.30"), rate) == (BillClass.RATE_DIFFERS, "our price before it was corrected")
    with_tax = applied_rate("0.30", 1, tax_rate="10")
    assert verdict(corrected, billed(60, "0.33"), with_tax, includes_tax=True)[1] == "our price before it was corrected"
    assert verdict(corrected, billed(120, "0.60"), rate)[1] == "their duration"


def test_a_rate_that_another_room_knows_is_named():
    other = PriceExplanation(
        BillClass.RATE_DIFFERS,
        "rate group gold",
        lambda _r, ours, _t: PriceTerms(applied_rate("0.0131"), ours.duration_ms),
    )
    found = verdict(sent(200), billed(200, by(applied_rate("0.0131"), 200)), others=(other,))
    assert found == (BillClass.RATE_DIFFERS, "rate group gold")


def test_without_steps_the_class_follows_from_what_differs():
    assert verdict(sent(60), billed(90, "9"), None) == (BillClass.DURATION_DIFFERS, "")
    assert verdict(sent(60), billed(60, "9", 77), None) == (BillClass.UNIT_DIFFERS, "")
    assert verdict(sent(60), billed(60, "9"), None) == (BillClass.RATE_DIFFERS, "")


def test_equal_lengths_seconds_and_prices_are_equal():
    judge, ours = Judge(2_000), sent(60)
    assert judge.is_equal(ours, billed(62, ours.cost, 60))
    assert judge.is_equal(sent(65, applied_rate("0.6", 60)), billed(120, "1.2")), "the file has billed seconds alone"
    assert judge.is_equal(sent(65, applied_rate("0.6", 60)), billed(120, "1.2", 120)), "in both columns"
    assert judge.is_equal(sent(65, applied_rate("0.6", 60)), billed(120, None, 120))
    assert not judge.is_equal(sent(65, applied_rate("0.6", 60)), billed(120, None))
    assert not judge.is_equal(ours, billed(62.1, ours.cost))
    assert not judge.is_equal(ours, billed(60, ours.cost, 61))


def test_sums_of_many_explanations_are_bounded_and_none_is_lost():
    sums = BillSums()
    for each in range(EXPLANATIONS_MAX + 50):
        sums.add(BillClass.RATE_DIFFERS, f"price of {each} a minute", Decimal(1), Decimal(3))
    sheets = sums.sheets()
    assert len(sheets) == EXPLANATIONS_MAX + 1
    assert (sheets[0].explanation, sheets[0].calls, sheets[0].difference) == (OTHERS, 50, "100.00")
    assert sums.totals == (Decimal(250), Decimal(750))


def test_what_explained_a_call_is_tried_first_where_nothing_explains_many():
    calls = 0

    def counted(_rate: AppliedRate, _ours: SentCall, _theirs: BilledCall) -> None:
        nonlocal calls
        calls += 1

    judge = Judge(2_000, others=(PriceExplanation(BillClass.RATE_DIFFERS, "never", counted),))
    for _ in range(FRUITLESS_MAX + 50):
        judge.verdict(sent(60), billed(60, "-1"), RATE)
    assert calls == FRUITLESS_MAX
