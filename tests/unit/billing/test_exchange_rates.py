"""Rates of exchange by date, decimals by currency, and rate groups for accounts of another currency."""

from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from doubles.data.builders import applied_rate, rating_policy
from doubles.recomputed import recompute

from vosd.base.money import Rounding, unit_of
from vosd.billing.account_rates import AccountRounding
from vosd.billing.currencies import Currencies, FeeDecimals, rates_for
from vosd.billing.exchange import ExchangeRate, exchanged
from vosd.billing.holds import AccountCredit, AccountHold
from vosd.billing.rate_choice import RateCandidate, RateChoice, RateSelection, RateSource
from vosd.billing.rate_group import RateGroup
from vosd.billing.rate_rows import RateRows
from vosd.billing.rater import Charge, breakdown, rate_call, total_at
from vosd.billing.rates import Rate
from vosd.billing.sections import parse_sections
from vosd.billing.typical import TypicalPrices
from vosd.callcontrol.vendor_terms import price_in

NOTHING = AccountRounding()
YEN = {"JPY": FeeDecimals(0, Decimal(1)), "KWD": FeeDecimals(3, unit_of(3))}


def group(price: str = "0.60", currency: str = "USD", fee_precision: int = 6, **terms: object) -> RateGroup:
    rate = Rate("44", Decimal(price), 1, **terms)
    return RateGroup("sell", currency, rating_policy(fee_precision=fee_precision), RateRows([rate], "v"), "v")


def currencies(*rates: tuple[str, str, str, int | None], **more: object) -> Currencies:
    return Currencies([ExchangeRate(base, quote, Decimal(rate), since) for base, quote, rate, since in rates], **more)


def test_the_latest_rate_in_force_holds_to_the_millisecond():
    known = currencies(("USD", "EUR", "0.93", 2_000), ("USD", "EUR", "0.92", None), ("USD", "EUR", "0.94", 5_000))
    found = {at: known.rate("USD", "EUR", at) for at in (-1, 1_999, 2_000, 4_999, 5_000)}
    assert found == dict(zip(found, map(Decimal, ("0.92", "0.92", "0.93", "0.93", "0.94")), strict=True))


def test_only_the_written_direction_counts_and_no_chain_of_two():
    known = currencies(("USD", "EUR", "0.92", None), ("EUR", "GBP", "0.85", None))
    assert known.rate("EUR", "USD", 0) is None
    assert known.rate("USD", "GBP", 0) is None
    assert known.rate("USD", "USD", 0) == 1


def test_before_the_first_rate_there_is_none_and_no_price():
    known = currencies(("USD", "EUR", "0.92", 1_000))
    assert known.rate("USD", "EUR", 999) is None
    assert known.begins_at("USD", "EUR") == 1_000
    rates = rates_for(group(), "EUR", NOTHING, known)
    assert rates.find("4420", 999) is None
    assert rates.find("4420", 1_000) is not None
    assert rates.find("33", 1_000) is None


def test_a_group_in_the_currency_of_the_account_is_used_as_it_is():
    own = group()
    assert rates_for(own, "USD", NOTHING, currencies(("USD", "EUR", "0.92", None))) is own


def test_the_worked_example_of_the_manual():
    """0.60 dollars a minute for 61 s are 0.61; at 0.9215 these are 0.562115 euros, 0.56 with two decimals; 19 % tax."""
    known = currencies(("USD", "EUR", "0.9215", None), decimals={"EUR": FeeDecimals(2, unit_of(2))})
    applied = rates_for(group(tax_rate=Decimal(19)), "EUR", NOTHING, known).find("4420", 0)
    assert applied is not None
    charge = rate_call(applied, 61_000)
    assert charge == Charge(61, 61, Decimal("0.56"), Decimal("0.11"))
    steps = breakdown(applied, 1_000 * charge.hold_time_s)
    assert [step for step in steps if step["step"] in {"cycles", "exchange"}] == [
        {"step": "cycles", "cycles": 61, "cycle": 1, "raw": "0.61"},
        {"step": "exchange", "from": "USD", "to": "EUR", "rate": "0.9215", "raw": "0.562115"},
    ]
    assert (steps[-2]["raw"], steps[-2]["amount"], steps[-1]["raw"]) == ("0.562115", "0.56", "0.1064")
    assert recompute(steps) == charge
    assert applied.price_per_minute == Decimal("0.5529")


def test_a_tie_is_a_tie_also_where_the_sum_before_the_exchange_has_no_last_digit():
    """0.01 a minute for one second is 0.000166..., and at 0.03 exactly 0.000005."""
    applied = msgspec.structs.replace(
        applied_rate("0.01", policy=rating_policy(fee_precision=5)), exchange_rate=Decimal("0.03"), paid_in="EUR"
    )
    assert rate_call(applied, 1_000).fee == Decimal("0.00001")
    down = msgspec.structs.replace(applied.policy, rounding=Rounding.DOWN)
    exact = msgspec.structs.replace(applied, policy=msgspec.structs.replace(down, fee_precision=6, fee_unit=unit_of(6)))
    assert rate_call(exact, 1_000).fee == Decimal("0.000005")


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [
        (NOTHING, Decimal(96)),  # of the currency: the decimals of the group are those of dollars
        (AccountRounding(fee_precision=2), Decimal("95.59")),
        (AccountRounding(fee_precision=1, fee_unit=Decimal("0.5")), Decimal("95.5")),
        (AccountRounding(fee_rounding=Rounding.DOWN), Decimal(95)),
    ],
)
def test_the_account_s_rounding_wins_over_that_of_its_currency(rounding, expected):
    known = currencies(("USD", "JPY", "156.7", None), decimals=YEN)
    applied = rates_for(group("0.61"), "JPY", rounding, known).find("4420", 0)
    assert applied is not None
    assert rate_call(applied, 60_000).fee == expected  # 95.587


def test_currencies_without_decimals_of_their_own_have_those_of_the_parameters():
    default = FeeDecimals(4, unit_of(4))
    known = currencies(("USD", "EUR", "0.9215", None), decimals=YEN, default=default)
    applied = rates_for(group(fee_precision=2), "EUR", NOTHING, known).find("4420", 0)
    assert applied is not None
    assert rate_call(applied, 61_000).fee == Decimal("0.5621")
    assert known.decimals("KWD") == FeeDecimals(3, unit_of(3))


def test_a_call_whose_price_could_not_be_booked_has_none():
    known = currencies(("USD", "IRR", "1000000000", None), longest_s=43_200)
    rates = rates_for(group("10"), "IRR", NOTHING, known)
    assert rates.find("4420", 0) is None
    assert rates_for(group("0.01"), "IRR", NOTHING, known).find("4420", 0) is not None


def test_calls_of_one_rate_share_it_and_a_new_exchange_rate_makes_another():
    known = currencies(("USD", "EUR", "0.92", None), ("USD", "EUR", "0.93", 1_000))
    rates = rates_for(group(), "EUR", NOTHING, known)
    first, again, later = (rates.find("4420", at) for at in (0, 999, 1_000))
    assert first is again
    assert first is not None
    assert later is not None
    assert (first.exchange_rate, later.exchange_rate) == (Decimal("0.92"), Decimal("0.93"))


def test_candidates_of_several_currencies_are_compared_in_that_of_the_account():
    known = currencies(("JPY", "USD", "0.0064", None), ("EUR", "USD", "1.08", None))
    each = {RateSource.ACCOUNT: group("90", "JPY"), RateSource.MAIN: group("0.55", "EUR")}
    candidates = [RateCandidate(source, rates_for(one, "USD", NOTHING, known)) for source, one in each.items()]
    found = RateChoice(candidates, RateSelection.CHEAPEST, 60).find("4420", 0)
    assert found is not None
    assert (found.currency, rate_call(found, 60_000).fee) == ("JPY", Decimal("0.576"))
    assert found.price_per_minute == Decimal("0.576")
    steps = breakdown(found, 60_000)
    assert [step["total"] for step in steps if step["step"] == "candidate"] == ["0.576", "0.594"]


def test_what_is_held_covers_what_is_booked_and_is_in_the_account_s_currency():
    known = currencies(("USD", "JPY", "156.7", None), decimals=YEN)
    applied = rates_for(group("0.61", connection_fee=Decimal("0.02")), "JPY", NOTHING, known).find("4420", 0)
    assert applied is not None
    credit = AccountCredit("acme", limit=Decimal(0), balance=Decimal(200))
    hold = credit.hold(applied, 60, 10_000)
    assert isinstance(hold, AccountHold)
    assert hold.amount == total_at(applied, 60) == Decimal(99)
    credit.grant(hold, credit.reach(hold, 10_000), hold.granted_s)
    assert rate_call(applied, 1000 * hold.granted_s).total <= hold.amount <= 200
    assert total_at(applied, hold.granted_s + 1) > 200
    refusal = credit.hold(applied, 60, 10_000)
    assert refusal.detail.startswith(f"account acme has {200 - hold.amount}.00 JPY available")


def test_the_exchange_multiplies_every_amount_of_a_rate_and_nothing_else():
    rate = Rate(
        "44",
        Decimal("0.12345678"),
        6,
        first_rate=Decimal("0.5"),
        first_duration=30,
        tax_rate=Decimal(19),
        connection_fee=Decimal("0.02"),
        minimum_charge=Decimal("0.1"),
        sections=parse_sections("0.1@60;0.18@120"),
    )
    by = Decimal("0.000007301234")
    made = exchanged(rate, by)
    for name in ("billing_rate", "first_rate", "connection_fee", "minimum_charge"):
        assert Fraction(getattr(made, name)) == Fraction(getattr(rate, name)) * Fraction(by)
    assert (made.billing_cycle, made.first_duration, made.tax_rate) == (6, 30, 19)
    assert [each.amount for each in made.sections] == [Decimal("0.1") * by, Decimal("0.18") * by]
    assert [each.until_s for each in made.sections] == [60, 120]


def test_a_vendor_s_price_is_compared_in_the_customer_s_currency():
    known = currencies(("EUR", "USD", "1.08", None), ("GBP", "EUR", "1.2", None))
    euros = applied_rate("0.5")
    euros = msgspec.structs.replace(euros, currency="EUR")
    assert price_in(TypicalPrices(), known, "USD", 0, euros, 0) == Decimal("0.54")
    pounds = rates_for(group("0.5", "GBP"), "EUR", NOTHING, known).find("4420", 0)
    assert pounds is not None
    assert price_in(TypicalPrices(), known, "USD", 0, pounds, 0) == Decimal("0.648")
    assert price_in(TypicalPrices(), known, "CHF", 0, pounds, 0) is None
