"""The rate of a number in its group."""

from decimal import Decimal

from doubles.data.builders import applied_rate, rating_policy

from vosd.billing.rate_group import RateGroup
from vosd.billing.rate_rows import RateRows
from vosd.billing.rates import Rate

NOW = 1_790_000_000_000


def group(*prefixes: str) -> RateGroup:
    rates = [Rate(prefix=prefix, billing_rate=Decimal(1), billing_cycle=60) for prefix in prefixes]
    return RateGroup("sell", "EUR", rating_policy(), RateRows(rates, "v7"), "g3")


def test_a_number_with_a_plus_sign_has_the_same_rate():
    rates = group("44", "4420")
    assert rates.find("+442071234567", NOW) == rates.find("442071234567", NOW)
    assert rates.find("+442071234567", NOW).rate.prefix == "4420"


def test_a_number_that_no_prefix_fits_has_no_rate():
    assert group("4420").find("442", NOW) is None


def test_a_found_rate_carries_its_group_the_version_of_the_table_currency_and_rounding():
    applied = group("44").find("44", NOW)
    assert (applied.group, applied.version, applied.currency) == ("sell", "v7", "EUR")
    assert applied.policy == rating_policy()


def test_the_price_of_a_minute_follows_from_the_price_of_a_cycle():
    assert applied_rate("0.30", 60).price_per_minute == Decimal("0.30")
    assert applied_rate("0.02", 6, per_cycle=True).price_per_minute == Decimal("0.2")
    assert applied_rate("0.15", 60, first_rate="0.21", first_duration=180).price_per_minute == Decimal("0.15")


def test_a_rate_of_a_deck_names_the_version_of_the_deck_first():
    rates = group("44")
    rates.name_deck(3)
    assert rates.find("44", NOW).version == "3-v7"
    assert rates.find("44", NOW) is rates.find("44", NOW)
    assert rates.version == "g3"
