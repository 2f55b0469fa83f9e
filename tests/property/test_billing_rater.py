"""The rater against exact fractions, and the promises that holds and CDRs rest on."""

import json
from fractions import Fraction
from math import ceil

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from vosd.base.money import Rounding
from vosd.billing.increments import hold_seconds
from vosd.billing.rater import breakdown, itemise, rate_call, recompute, total_at
from vosd.billing.rates import AppliedRate, RatingPolicy
from vosd.testing.data.builders import applied_rate, rating_policy

amounts = st.decimals(min_value=0, max_value=100, places=8)
durations_ms = st.integers(0, 7_200_000)

policies = st.builds(
    rating_policy,
    hold_time_precision_ms=st.integers(0, 999),
    free_time_s=st.sampled_from([0, 0, 6, 30]),
    fee_precision=st.integers(0, 8),
    rounding=st.sampled_from(Rounding),
    nonzero_floor=st.booleans(),
) | st.builds(rating_policy, fee_precision=st.integers(2, 8), fee_unit=st.sampled_from(["0.05", "0.01", "0.5"]))

applied_rates = st.builds(
    applied_rate,
    amounts,
    st.integers(1, 3_600),
    per_cycle=st.booleans(),
    first_rate=st.none() | amounts,
    first_duration=st.sampled_from([0, 1, 30, 60, 180]),
    tax_rate=st.decimals(min_value=0, max_value=100, places=4),
    policy=policies,
)


def rounded(value: Fraction, policy: RatingPolicy) -> Fraction:
    for step in (Fraction(1, 10**policy.fee_precision), Fraction(policy.fee_unit)):
        steps = value / step
        match policy.rounding:
            case Rounding.HALF_UP:
                value = step * ((steps + Fraction(1, 2)) // 1)
            case Rounding.UP:
                value = step * ceil(steps)
            case Rounding.DOWN:
                value = step * (steps // 1)
    return value


def whole_seconds(applied: AppliedRate, duration_ms: int) -> int:
    seconds, fraction = divmod(duration_ms, 1000)
    return seconds + 1 if fraction > 0 and fraction >= applied.policy.hold_time_precision_ms else seconds


def charged(applied: AppliedRate, duration_ms: int) -> tuple[Fraction, Fraction]:
    """Rate a call by the rules of docs/rating.md in exact fractions: fee and tax."""
    rate, policy = applied.rate, applied.policy
    seconds = whole_seconds(applied, duration_ms) - policy.free_time_s
    if seconds <= 0:
        return Fraction(0), Fraction(0)
    price_of_second = Fraction(rate.billing_rate) / (rate.billing_cycle if rate.per_cycle else 60)
    raw = (
        price_of_second * rate.billing_cycle * ceil(Fraction(max(seconds - rate.first_duration, 0), rate.billing_cycle))
    )
    if rate.first_duration:
        pro_rata = price_of_second * rate.first_duration
        raw += pro_rata if rate.first_rate is None else Fraction(rate.first_rate)
    fee = rounded(raw, policy)
    if raw > 0 and fee == 0 and policy.nonzero_floor:
        fee = Fraction(policy.fee_unit)
    return fee, rounded(fee * Fraction(rate.tax_rate) / 100, policy)


def plain(value: Fraction, places_min: int) -> str:
    """Write an amount rounded to twelve places, without the zeros at its end beyond ``places_min``."""
    digits = f"{round(value * 10**12):013d}"
    fraction = digits[-12:].rstrip("0").ljust(places_min, "0")
    return f"{digits[:-12]}.{fraction}" if fraction else digits[:-12]


def written_out(applied: AppliedRate, duration_ms: int) -> list[dict[str, object]]:
    """List the steps of a call, each from the exact figures."""
    rate, policy = applied.rate, applied.policy
    seconds = whole_seconds(applied, duration_ms)
    billable = max(seconds - policy.free_time_s, 0)
    cycles = ceil(Fraction(max(billable - rate.first_duration, 0), rate.billing_cycle))
    price_of_second = Fraction(rate.billing_rate) / (rate.billing_cycle if rate.per_cycle else 60)
    raw_cycles = price_of_second * rate.billing_cycle * cycles
    raw_first = Fraction(0)
    steps: list[dict[str, object]] = [
        {
            "step": "rate",
            "group": applied.group,
            "version": applied.version,
            "currency": applied.currency,
            "prefix": rate.prefix,
            "billing_rate": f"{rate.billing_rate:f}",
            "price_per": "cycle" if rate.per_cycle else "minute",
            "billing_cycle": rate.billing_cycle,
            "first_rate": None if rate.first_rate is None else f"{rate.first_rate:f}",
            "first_duration": rate.first_duration,
            "tax_rate": f"{rate.tax_rate:f}",
        },
        {"step": "hold_time", "precision_ms": policy.hold_time_precision_ms, "seconds": seconds},
        {"step": "free_time", "free_s": policy.free_time_s, "seconds": billable},
    ]
    if billable and rate.first_duration:
        pro_rata = price_of_second * rate.first_duration
        raw_first = pro_rata if rate.first_rate is None else Fraction(rate.first_rate)
        steps.append({"step": "first_period", "seconds": rate.first_duration, "raw": plain(raw_first, 0)})
    fee, tax = charged(applied, duration_ms)
    steps += [
        {"step": "cycles", "cycles": cycles, "cycle": rate.billing_cycle, "raw": plain(raw_cycles, 0)},
        {
            "step": "fee",
            "raw": plain(raw_first + raw_cycles, 0),
            "precision": policy.fee_precision,
            "unit": f"{policy.fee_unit:f}",
            "rounding": policy.rounding.value,
            "nonzero_floor": policy.nonzero_floor,
            "amount": plain(fee, 2),
        },
        {"step": "tax", "raw": plain(fee * Fraction(rate.tax_rate) / 100, 0), "amount": plain(tax, 2)},
    ]
    return steps


@given(applied_rates, durations_ms)
def test_text_of_a_breakdown_is_the_json_of_steps_that_are_rated_one_by_one(applied, duration_ms):
    # Rates of equal names have equal content, except in generated ones: each gets a version of its own.
    applied = msgspec.structs.replace(applied, version=f'{hash(applied)} "%s"')
    charge, text = itemise(applied, duration_ms)
    assert text == json.dumps(written_out(applied, duration_ms), separators=(",", ":"))
    assert charge == rate_call(applied, duration_ms)


@given(applied_rates, durations_ms)
def test_charge_is_the_exact_fraction_rounded_once_a_step(applied, duration_ms):
    charge = rate_call(applied, duration_ms)
    assert (Fraction(charge.fee), Fraction(charge.tax)) == charged(applied, duration_ms)


@given(applied_rates, durations_ms, durations_ms)
def test_longer_call_never_costs_less(applied, one_ms, other_ms):
    shorter, longer = sorted((one_ms, other_ms))
    assert rate_call(applied, shorter).total <= rate_call(applied, longer).total


@given(applied_rates, st.integers(0, 7_200), st.data())
def test_total_at_a_second_covers_every_instant_up_to_it(applied, seconds, data):
    duration_ms = data.draw(st.integers(0, seconds * 1000))
    assert rate_call(applied, duration_ms).total <= total_at(applied, seconds)
    assert rate_call(applied, seconds * 1000).total == total_at(applied, seconds)


@given(applied_rates, durations_ms)
def test_billed_seconds_cover_the_billable_ones_by_less_than_a_period(applied, duration_ms):
    rate = applied.rate
    billed_seconds = rate_call(applied, duration_ms).billed_seconds
    billable = max(hold_seconds(duration_ms, applied.policy.hold_time_precision_ms) - applied.policy.free_time_s, 0)
    if billable == 0:
        assert billed_seconds == 0
    else:
        assert billable <= billed_seconds < billable + max(rate.first_duration, rate.billing_cycle)


@given(applied_rates, durations_ms)
def test_breakdown_alone_gives_the_charge_again(applied, duration_ms):
    charge = rate_call(applied, duration_ms)
    assert recompute(json.loads(json.dumps(breakdown(applied, charge)))) == charge
