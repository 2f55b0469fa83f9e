"""The rate of a number in its group."""

from decimal import Decimal

from vosd.billing.rates import Rate, RateGroup
from vosd.testing.data.builders import rating_policy


def group(*prefixes: str) -> RateGroup:
    rates = tuple(Rate(prefix=prefix, billing_rate=Decimal(1), billing_cycle=60) for prefix in prefixes)
    return RateGroup("sell", "EUR", rating_policy(), rates, "v7")


def test_number_with_plus_finds_the_same_rate():
    rates = group("44", "4420")
    assert rates.find("+442071234567") is rates.find("442071234567")
    assert rates.find("+442071234567").rate.prefix == "4420"


def test_number_shorter_than_every_prefix_has_no_rate_rate_15():
    assert group("4420").find("442") is None


def test_catch_all_fits_even_an_empty_number_rate_11():
    assert group("*").find("").rate.prefix == "*"


def test_found_rate_carries_group_version_currency_and_policy():
    applied = group("44").find("44")
    assert (applied.group, applied.version, applied.currency) == ("sell", "v7", "EUR")
    assert applied.policy == rating_policy()
