"""The worked examples of tests/vectors/billing.json, each through the functions that bill real calls.

Where a vector is marked as an error of its source, ``expect`` holds what follows from the rule.
"""

from decimal import ROUND_HALF_UP, Decimal

from doubles.data.builders import applied_rate, rating_policy

from golden.worked import of
from vosd.base.cause import EndReason
from vosd.base.errors import Refusal
from vosd.billing.accounts import Account, AccountType
from vosd.billing.holds import AccountCredit
from vosd.billing.rate_group import RateGroup
from vosd.billing.rate_rows import RateRows
from vosd.billing.rater import breakdown, rate_call, round_fee, total_at
from vosd.billing.rates import AppliedRate, Rate, RatingPolicy, hold_seconds


def policy_of(given: dict, fee_precision: int = 8) -> RatingPolicy:
    return rating_policy(
        hold_time_precision_ms=given.get("SERVER_BILLING_HOLD_TIME_PRECISION", 50),
        free_time_s=given.get("SERVER_BILLING_FREE_TIME", 0),
        fee_precision=given.get("SERVER_BILLING_FEE_PRECISTION", fee_precision),
        fee_unit=given.get("SERVER_BILLING_FEE_UNIT"),
    )


def rate_of(given: dict, fee_precision: int = 8) -> AppliedRate:
    return applied_rate(
        given.get("rate_per_min") or given["billing_rate"],
        given.get("billing_unit_s") or given.get("billing_cycle_s", 1),
        first_rate=given.get("first_time_rate"),
        first_duration=given.get("first_time_duration_s", 0),
        tax_rate=given.get("tax_rate_percent", "0"),
        policy=policy_of(given, fee_precision),
    )


@of("fee_formula")
def test_fee_is_begun_units_times_the_minute_price(given, expect):
    applied = rate_of(given, fee_precision=5)
    charge = rate_call(applied, given["duration_s"] * 1000)
    assert charge.billed_seconds == expect["billed_s"]
    assert charge.fee == Decimal(expect["fee_5dp"])
    raw_fee = next(step["raw"] for step in breakdown(applied, 1_000 * charge.hold_time_s) if step["step"] == "fee")
    if expect["fee_exact"] == "repeating":
        assert len(raw_fee.partition(".")[2]) == 8
    else:
        assert Decimal(raw_fee) == Decimal(expect["fee_exact"])


@of("fee_formula_round")
def test_fee_is_rounded_to_the_policys_places(given, expect):
    for places in (4, 2):
        charge = rate_call(rate_of(given, fee_precision=places), given["billed_s"] * 1000)
        assert charge.fee == Decimal(expect[f"fee_{places}dp"])


@of("fee_formula_compare")
def test_fee_by_the_second_and_by_the_minute(given, expect):
    by_second = rate_of(given | {"billing_unit_s": 1}, fee_precision=4)
    by_minute = rate_of(given | {"billing_unit_s": 60}, fee_precision=4)
    duration_ms = given["duration_s"] * 1000
    assert rate_call(by_second, duration_ms).fee == Decimal(expect["fee_unit1_4dp"])
    assert rate_call(by_minute, duration_ms).fee == Decimal(expect["fee_unit60_4dp"])
    assert rate_call(by_minute, duration_ms).billed_seconds == expect["billed_unit60_s"]
    exact_second = rate_call(rate_of(given | {"billing_unit_s": 1}), duration_ms).fee
    exact_minute = rate_call(rate_of(given | {"billing_unit_s": 60}), duration_ms).fee
    difference = ((exact_minute / exact_second - 1) * 100).quantize(Decimal(1), ROUND_HALF_UP)
    assert difference == Decimal(expect["difference_percent"])


@of("fee_round")
def test_fee_is_brought_to_precision_and_then_to_unit(given, expect):
    raw = Decimal(given["raw_fee"])
    policy = policy_of(given)
    assert round_fee(raw, policy) == Decimal(expect["fee"])
    if "fee_with_nonzero_floor_option" in expect:
        with_floor = rating_policy(fee_precision=2, nonzero_floor=True)
        assert round_fee(raw, with_floor) == Decimal(expect["fee_with_nonzero_floor_option"])
    if "single_rounding_would_be" in expect:
        assert round_fee(raw, rating_policy(fee_precision=2)) == Decimal(expect["single_rounding_would_be"])


@of("hold_time")
def test_hold_time_follows_the_threshold(given, expect):
    assert hold_seconds(given["duration_ms"], given["SERVER_BILLING_HOLD_TIME_PRECISION"]) == expect["hold_time_s"]


@of("hold_time_average")
def test_hold_time_threshold_moves_the_average_call(given, expect):
    extra_seconds = sum(
        hold_seconds(21_000 + fraction, given["threshold_low"])
        - hold_seconds(21_000 + fraction, given["threshold_high"])
        for fraction in range(1000)
    )
    assert Decimal(extra_seconds) / 1000 == Decimal(expect["avg_extra_seconds"])
    seconds_per_month = extra_seconds * given["calls_per_day"] * given["days"] // 1000
    assert total_at(rate_of(given), seconds_per_month) == Decimal(expect["monthly_revenue"])


@of("billing_unit")
def test_billed_seconds_are_whole_units(given, expect):
    unit, duration_s = given["billing_unit_s"], given["duration_s"]
    billed_s = rate_call(applied_rate(billing_cycle=unit), duration_s * 1000).billed_seconds
    assert billed_s == expect["billed_s"]
    if "increments" in expect:
        assert billed_s == expect["increments"] * unit


@of("billing_unit_max_excess")
def test_billed_seconds_exceed_the_call_by_less_than_a_unit(given, expect):
    applied = applied_rate(billing_cycle=given["billing_unit_s"])
    excesses = [rate_call(applied, seconds * 1000).billed_seconds - seconds for seconds in range(1, 601)]
    assert max(excesses) == expect["max_excess_s"]
    assert min(excesses) == 0


@of("first_time")
def test_first_period_is_a_lump_sum(given, expect):
    assert rate_call(rate_of(given), given["duration_s"] * 1000).fee == Decimal(expect["fee"])


@of("first_time_tax")
def test_first_period_cycles_and_tax_add_up(given, expect):
    applied = rate_of(given)
    charge = rate_call(applied, given["duration_s"] * 1000)
    steps = {step["step"]: step for step in breakdown(applied, 1_000 * charge.hold_time_s)}
    assert Decimal(steps["first_period"]["raw"]) == Decimal(expect["first_part"])
    assert steps["cycles"]["cycles"] == expect["cycles"]
    assert Decimal(steps["cycles"]["raw"]) == Decimal(expect["cycle_part"])
    assert (charge.fee, charge.tax) == (Decimal(expect["fee"]), Decimal(expect["tax"]))
    assert charge.total == Decimal(expect["total"]) == Decimal(expect["report_shows"])
    assert charge.fee == Decimal(expect["cdr_shows"])


@of("first_time_tax_rounded")
def test_tax_is_rounded_like_the_fee(given, expect):
    charge = rate_call(rate_of(given), given["duration_s"] * 1000)
    assert (charge.fee, charge.tax) == (Decimal(expect["fee"]), Decimal(expect["tax"]))
    assert charge.total == Decimal(expect["total"])


@of("longest_prefix")
def test_longest_prefix_gives_the_rate(given, expect):
    rates = tuple(Rate(prefix=prefix, billing_rate=Decimal(1), billing_cycle=60) for prefix in given["prefixes"])
    applied = RateGroup("sell", "USD", rating_policy(), RateRows(rates, "v1"), "v1").find(given["called"], 0)
    assert (applied.rate.prefix if applied else None) == expect["matched_prefix"]
    if "end_reason" in expect:
        assert (applied is None, expect["call"]) == (True, "rejected")
        assert EndReason.NO_MATCHING_RATE.text == expect["end_reason"]


@of("overdraft_admit")
def test_calls_are_admitted_while_their_holds_fit(given, expect):
    advance_s = given["SERVER_BILLING_PREVENT_OVERDRAFT_ADVANCE_TIME"] * 60
    credit = AccountCredit("acme", Decimal(given["overdraft"]), Decimal(given["balance"]))
    answers = [credit.hold(rate_of(given), advance_s, 43_200) for _ in range(given["attempts"])]
    admitted = [answer for answer in answers if not isinstance(answer, Refusal)]
    refused = [answer for answer in answers if isinstance(answer, Refusal)]
    assert len(admitted) == expect["admitted"]
    assert answers[: len(admitted)] == admitted
    assert {hold.amount for hold in admitted} == {Decimal(expect["reservation_each"])}
    assert credit.available == Decimal(expect["left"])
    assert {(refusal.reason, refusal.status) for refusal in refused} == {(EndReason.INSUFFICIENT_BALANCE, 402)}
    if expect.get("third") == "rejected":
        assert isinstance(answers[2], Refusal)


@of("overdraft_settle")
def test_end_of_a_call_replaces_its_hold_by_its_charge(given, expect):
    credit = AccountCredit("acme", Decimal(0), Decimal(given["balance"]))
    hold = credit.hold(applied_rate("1", 60), 300, 43_200)
    assert hold.amount == Decimal(given["reservation"])
    available_during_call = credit.available
    credit.release(hold)
    credit.post(-Decimal(given["actual"]))
    assert credit.reserved == 0
    assert credit.available == Decimal(expect["balance_after"])
    assert max(credit.available - available_during_call, 0) == Decimal(expect["released"])


@of("overdraft_none")
def test_unlimited_account_is_never_refused(given, expect):
    account = Account("acme", AccountType.DIRECT, "sell", overdraft_limit=None, currency="USD")
    credit = AccountCredit(account.id, account.overdraft_limit, Decimal(given["balance"]))
    applied = rate_of(given)
    seconds = given["minutes_each"] * 60
    holds = [credit.hold(applied, seconds, seconds) for _ in range(given["concurrent_calls"])]
    assert credit.reserved == Decimal(expect["total"])
    charge = rate_call(applied, seconds * 1000)
    assert charge.total == Decimal(expect["charge_each"])
    for hold in holds:
        credit.release(hold)
        credit.post(-charge.total)
    assert credit.balance + credit.unbooked == Decimal(expect["final_balance"])


@of("cdr_fields")
def test_cdr_keeps_measured_and_billed_seconds_apart(given, expect):
    charge = rate_call(rate_of(given, fee_precision=4), given["duration_s"] * 1000)
    assert charge.hold_time_s == expect["duration_field_s"]
    assert charge.billed_seconds == expect["billed_duration_field_s"]
    assert charge.fee == Decimal(expect["fee"])
    assert charge.total == Decimal(expect["fee"])


@of("order")
def test_hold_time_comes_first_then_free_time_then_the_unit(given, expect):
    applied = rate_of(given | {"rate_per_min": "1"})
    charge = rate_call(applied, given["duration_ms"])
    steps = {step["step"]: step for step in breakdown(applied, 1_000 * charge.hold_time_s)}
    if "billed_s" in expect:
        assert charge.billed_seconds == expect["billed_s"]
    else:
        assert steps["free_time"]["seconds"] == charge.billed_seconds == expect["billable_s"]
