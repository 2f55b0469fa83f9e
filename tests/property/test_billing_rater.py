"""The rater against exact fractions, and the promises that holds and CDRs rest on."""

import json
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import ceil
from typing import NamedTuple

import msgspec
from doubles.data.builders import applied_rate, rating_policy
from doubles.recomputed import recompute
from hypothesis import given, strategies as st

from vosd.base.money import Rounding, unit_of
from vosd.billing.period_rates import multiplied
from vosd.billing.rater import breakdown, itemise, rate_call, total_at
from vosd.billing.rates import AppliedRate, RatingPolicy, hold_seconds
from vosd.billing.sections import format_sections, parse_sections

amounts = st.decimals(min_value=0, max_value=100, places=8)
durations_ms = st.integers(0, 7_200_000)

policies = st.builds(
    rating_policy,
    hold_time_precision_ms=st.integers(0, 999),
    free_time_s=st.sampled_from([0, 0, 6, 30]),
    fee_precision=st.integers(0, 8),
    rounding=st.sampled_from(Rounding),
    nonzero_floor=st.booleans(),
    section_cap=st.booleans(),
    tax_exempt=st.booleans(),
) | st.builds(rating_policy, fee_precision=st.integers(2, 8), fee_unit=st.sampled_from(["0.05", "0.01", "0.5"]))

some_sections = st.lists(st.tuples(st.integers(1, 90), amounts), min_size=1, max_size=4).map(
    lambda steps: ";".join(
        f"{sum(more for _, more in steps[: end + 1]):f}@{sum(seconds for seconds, _ in steps[: end + 1])}"
        for end in range(len(steps))
    )
)
"""Sections of which each is longer and not cheaper than the one before."""

plain_rates = st.builds(
    applied_rate,
    amounts,
    st.integers(1, 3_600),
    per_cycle=st.booleans(),
    first_rate=st.none() | amounts,
    first_duration=st.sampled_from([0, 1, 30, 60, 180]),
    tax_rate=st.decimals(min_value=0, max_value=100, places=4),
    policy=policies,
)
applied_rates = plain_rates | st.builds(
    applied_rate,
    amounts,
    st.integers(1, 120),
    per_cycle=st.booleans(),
    first_rate=amounts,
    first_duration=st.sampled_from([0, 60]),
    tax_rate=st.sampled_from(["0", "19", "7.7"]),
    connection_fee=st.just("0") | amounts,
    minimum_charge=st.just("0") | amounts,
    sections=st.just("") | some_sections,
    policy=policies,
)
exchange_rates = st.sampled_from(["0.75", "3", "0.03", "0.000000000007", "15890"]).map(Decimal) | st.decimals(
    min_value="0.000001", max_value=20_000, places=12
)


def converted(applied: AppliedRate, exchange_rate: Decimal) -> AppliedRate:
    return msgspec.structs.replace(applied, exchange_rate=exchange_rate, paid_in="EUR")


multipliers = st.sampled_from(["0", "0.333", "1.13", "0.12345679", "1000"]).map(Decimal) | st.decimals(
    min_value=0, max_value=10, places=8
)


def in_period(applied: AppliedRate, multiplier: Decimal) -> AppliedRate:
    return msgspec.structs.replace(applied, rate=multiplied(applied.rate, multiplier))


single_rates = applied_rates | st.builds(converted, applied_rates, exchange_rates)
"""Rates that no period has multiplied."""
applied_rates = single_rates | st.builds(in_period, single_rates, multipliers)


uncapped = st.builds(
    applied_rate,
    amounts,
    st.integers(1, 120),
    connection_fee=st.just("0") | amounts,
    sections=some_sections,
    policy=st.builds(rating_policy, free_time_s=st.sampled_from([0, 6]), section_cap=st.just(False)),
)


def is_monotone(applied: AppliedRate) -> bool:
    return applied.policy.section_cap or not applied.rate.sections


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


class Priced(NamedTuple):
    """The raw fee of a call in its parts, each an exact fraction."""

    paid_s: int
    """Seconds before the first cycle."""
    before: Fraction
    cycles: int
    usage: Fraction
    cap: Fraction
    connection: Fraction
    top_up: Fraction

    @property
    def raw(self) -> Fraction:
        return sum(self[4:], self.before + self.usage)


def priced(applied: AppliedRate, seconds: int) -> Priced:
    """Price billable seconds by going through the call: what is paid for lies before ``paid_s`` at each moment."""
    rate = applied.rate
    price_of_second = Fraction(rate.billing_rate) / (rate.billing_cycle if rate.per_cycle else 60)
    paid_s, before, ahead = 0, Fraction(0), None
    if rate.sections:
        for amount, until_s in rate.sections:
            if seconds >= until_s:
                paid_s, before = until_s, Fraction(amount)
            elif ahead is None:
                ahead = Fraction(amount)
    elif rate.first_duration:
        paid_s = rate.first_duration
        before = price_of_second * paid_s if rate.first_rate is None else Fraction(rate.first_rate)
    cycles = 0
    while paid_s + cycles * rate.billing_cycle < seconds:
        cycles += 1
    usage = cycles * rate.billing_cycle * price_of_second
    is_capped = applied.policy.section_cap and ahead is not None and before + usage > ahead
    cap = ahead - before - usage if is_capped else Fraction(0)
    connection = Fraction(rate.connection_fee)
    top_up = max(Fraction(rate.minimum_charge) - (before + usage + cap + connection), Fraction(0))
    return Priced(paid_s, before, cycles, usage, cap, connection, top_up)


def exchange_of(applied: AppliedRate) -> Fraction:
    return Fraction(1 if applied.exchange_rate is None else applied.exchange_rate)


def charged(applied: AppliedRate, duration_ms: int) -> tuple[Fraction, Fraction]:
    """Rate a call by the rules of docs/billing.md in exact fractions: fee and tax."""
    seconds = whole_seconds(applied, duration_ms) - applied.policy.free_time_s
    if seconds <= 0:
        return Fraction(0), Fraction(0)
    return fee_and_tax(applied, priced(applied, seconds).raw * exchange_of(applied))


def fee_and_tax(applied: AppliedRate, raw: Fraction) -> tuple[Fraction, Fraction]:
    """Round the exact sum of a call, and tax that."""
    rate, policy = applied.rate, applied.policy
    fee = rounded(raw, policy)
    if raw > 0 and fee == 0 and policy.nonzero_floor:
        fee = Fraction(policy.fee_unit)
    return fee, Fraction(0) if policy.tax_exempt else rounded(fee * Fraction(rate.tax_rate) / 100, policy)


def money(value: Fraction | Decimal) -> str:
    """Write an amount as JSON has money: rounded to eight places, without the zeros at its end beyond the second."""
    steps = round(abs(Fraction(value)) * 10**8)
    digits = f"{steps:09d}"
    written = f"{digits[:-8]}.{digits[-8:].rstrip('0').ljust(2, '0')}"
    return f"-{written}" if value < 0 and steps else written


def price(amount: Decimal) -> str:
    """Write a price as money, with all digits that a multiplier has given it."""
    whole, _, fraction = f"{amount:f}".partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"


def written_out(applied: AppliedRate, duration_ms: int) -> list[dict[str, object]]:
    """List the steps of a call, each from the exact figures."""
    rate, policy = applied.rate, applied.policy
    seconds = whole_seconds(applied, duration_ms)
    billable = max(seconds - policy.free_time_s, 0)
    parts = priced(applied, billable) if billable else Priced(0, *[Fraction(0)] * 6)
    row: dict[str, object] = {}
    if rate.sections:
        row |= {"sections": format_sections(rate.sections), "section_cap": policy.section_cap}
    if rate.connection_fee:
        row["connection_fee"] = money(rate.connection_fee)
    if rate.minimum_charge:
        row["minimum_charge"] = money(rate.minimum_charge)
    if policy.tax_exempt:
        row["tax_exempt"] = True
    raw_tax = Fraction(0) if policy.tax_exempt else charged(applied, duration_ms)[0] * Fraction(rate.tax_rate) / 100
    steps: list[dict[str, object]] = [
        {
            "step": "rate",
            "group": applied.group,
            "version": applied.version,
            "currency": applied.currency,
            "prefix": rate.prefix,
            "billing_rate": price(rate.billing_rate),
            "price_per": "cycle" if rate.per_cycle else "minute",
            "billing_cycle": rate.billing_cycle,
            "first_rate": None if rate.first_rate is None else price(rate.first_rate),
            "first_duration": rate.first_duration,
            "tax_rate": f"{rate.tax_rate:f}",
            **row,
        },
        {"step": "hold_time", "precision_ms": policy.hold_time_precision_ms, "seconds": seconds},
        {"step": "free_time", "free_s": policy.free_time_s, "seconds": billable},
    ]
    if parts.paid_s:
        name = "sections" if rate.sections else "first_period"
        steps.append({"step": name, "seconds": parts.paid_s, "raw": money(parts.before)})
    fee, tax = charged(applied, duration_ms)
    steps.append(
        {"step": "cycles", "cycles": int(parts.cycles), "cycle": rate.billing_cycle, "raw": money(parts.usage)}
    )
    more = {"section_cap": parts.cap, "connection_fee": parts.connection, "minimum_charge": parts.top_up}
    steps += [{"step": name, "raw": money(raw)} for name, raw in more.items() if raw]
    in_account = money(parts.raw * exchange_of(applied))
    if applied.exchange_rate is not None:
        pair = {"from": applied.currency, "to": applied.paid_in, "rate": f"{applied.exchange_rate:f}"}
        steps.append({"step": "exchange", **pair, "raw": in_account})
    steps += [
        {
            "step": "fee",
            "raw": in_account,
            "precision": policy.fee_precision,
            "unit": money(policy.fee_unit),
            "rounding": policy.rounding.value,
            "nonzero_floor": policy.nonzero_floor,
            "amount": money(fee),
        },
        {"step": "tax", "raw": money(raw_tax), "amount": money(tax)},
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


@given(single_rates, multipliers, durations_ms)
def test_a_multiplier_is_that_of_the_exact_sum_of_all_seconds(applied, multiplier, duration_ms):
    # With eight decimals, so that a price which lost a digit shows in nearly every example.
    finest = msgspec.structs.replace(applied.policy, fee_precision=8, fee_unit=unit_of(8))
    applied = msgspec.structs.replace(applied, policy=finest)
    expected = Fraction(0), Fraction(0)
    seconds = whole_seconds(applied, duration_ms) - applied.policy.free_time_s
    if seconds > 0:
        price = priced(applied, seconds)
        of_time = (price.before + price.usage + price.cap) * Fraction(multiplier)
        raw = max(of_time + price.connection, Fraction(applied.rate.minimum_charge))
        expected = fee_and_tax(applied, raw * exchange_of(applied))
    charge = rate_call(in_period(applied, multiplier), duration_ms)
    assert (Fraction(charge.fee), Fraction(charge.tax)) == expected


@given(applied_rates.filter(is_monotone), durations_ms, durations_ms)
def test_longer_call_never_costs_less(applied, one_ms, other_ms):
    shorter, longer = sorted((one_ms, other_ms))
    assert rate_call(applied, shorter).total <= rate_call(applied, longer).total


@given(applied_rates, durations_ms)
def test_neither_fee_nor_tax_is_negative(applied, duration_ms):
    charge = rate_call(applied, duration_ms)
    assert min(charge.fee, charge.tax) >= 0


@given(applied_rates | uncapped, st.integers(0, 7_200), st.integers(0, 7_200))
def test_what_is_held_never_falls_whatever_the_rate_says(applied, one_s, other_s):
    shorter, longer = sorted((one_s, other_s))
    assert total_at(applied, shorter) <= total_at(applied, longer)


@given(applied_rates, st.integers(0, 400) | st.integers(0, 7_200), st.data())
def test_total_at_a_second_covers_every_instant_up_to_it(applied, seconds, data):
    duration_ms = data.draw(st.integers(0, seconds * 1000))
    assert rate_call(applied, duration_ms).total <= total_at(applied, seconds)
    if is_monotone(applied):
        assert rate_call(applied, seconds * 1000).total == total_at(applied, seconds)


@given(uncapped, st.integers(0, 400))
def test_without_cap_no_more_is_held_than_the_dearest_call_costs(applied, seconds):
    dearest = max(rate_call(applied, 1000 * each).total for each in range(seconds + 1))
    assert total_at(applied, seconds) == dearest


@given(applied_rates, durations_ms)
def test_lines_of_a_breakdown_add_up_to_the_raw_fee(applied, duration_ms):
    *lines, fee, tax = breakdown(applied, duration_ms)
    assert (fee["step"], tax["step"]) == ("fee", "tax")
    exchanged = [line for line in lines if line["step"] == "exchange"]
    raw = sum((Fraction(str(line["raw"])) for line in lines if "raw" in line and line not in exchanged), Fraction(0))
    tolerance = Fraction(len(lines), 10**8) * max(exchange_of(applied), 1)
    assert abs(raw * exchange_of(applied) - Fraction(str(fee["raw"]))) <= tolerance
    assert [line["raw"] for line in exchanged] == [fee["raw"]] * (applied.exchange_rate is not None)


@given(applied_rates, durations_ms)
def test_billed_seconds_cover_the_billable_ones_by_less_than_a_period(applied, duration_ms):
    rate = applied.rate
    billed_seconds = rate_call(applied, duration_ms).billed_seconds
    billable = max(hold_seconds(duration_ms, applied.policy.hold_time_precision_ms) - applied.policy.free_time_s, 0)
    first_duration = 0 if rate.sections else rate.first_duration
    if billable == 0:
        assert billed_seconds == 0
    else:
        assert billable <= billed_seconds < billable + max(first_duration, rate.billing_cycle)


@given(applied_rates, durations_ms)
def test_breakdown_alone_gives_the_charge_again(applied, duration_ms):
    charge = rate_call(applied, duration_ms)
    assert recompute(json.loads(json.dumps(breakdown(applied, 1_000 * charge.hold_time_s)))) == charge


@given(some_sections)
def test_sections_are_written_as_they_are_read(text):
    assert format_sections(parse_sections(text)) == text


@given(st.text("0123456789.@;-+e ", max_size=24))
def test_text_that_is_no_list_of_sections_is_refused(text):
    try:
        sections = parse_sections(text)
    except ValueError:
        return
    assert parse_sections(format_sections(sections)) == sections
    assert all(one.until_s < other.until_s and one.amount <= other.amount for one, other in pairwise(sections))
