"""Differences between prices of then and of now: sums, and the calls and prefixes that differ most."""

from decimal import Decimal

from vosd.admin.price_differences import CallName, PriceDifferences
from vosd.cdr.record import CUSTOMER


def test_the_calls_and_prefixes_that_differ_most_are_named_first() -> None:
    differences = PriceDifferences(2)
    changes = (("44", "1.50", "1.60"), ("49", "1.00", "0.60"), ("55", "2.00", None), ("44", "1.00", "1.40"))
    for number, (prefix, before, after) in enumerate(changes):
        name = CallName(number if number % 2 else f"call-{number}", 0, f"{prefix}20")
        differences.other(
            "acme", CUSTOMER, "USD", prefix, Decimal(before), None if after is None else Decimal(after), name
        )
    differences.same("acme", CUSTOMER, "USD", "44", Decimal(3))
    differences.free("acme", CUSTOMER, "USD")
    found = differences.to_json(2)
    assert [
        (each["call"], each["prefix"], each["currency"], each["before"], each["after"]) for each in found["greatest"]
    ] == [("call-2", "55", "USD", "2.00", None), ("line 1", "49", "USD", "1.00", "0.60")]
    assert [(each["prefix"], each["difference"], each["without_rate"]) for each in found["prefixes"]] == [
        ("55", "0.00", 1), ("44", "0.50", 0),
    ]  # fmt: skip
    assert (found["charges"], found["differ"], found["prefixes_differ"]) == (6, 4, 3)
    (sums,) = found["accounts"]
    assert (sums["calls"], sums["differ"], sums["without_rate"], sums["currency"]) == (6, 4, 2, "USD")
    assert (sums["before"], sums["before_without_rate"], sums["after"], sums["difference"]) == (
        "8.50", "2.00", "6.60", "0.10",
    )  # fmt: skip


def test_no_call_is_named_where_none_is_wanted_and_what_is_not_known_is_null() -> None:
    for most in (0, 1):
        differences = PriceDifferences(most)
        differences.other("acme", CUSTOMER, "", "", Decimal(1), Decimal(2), CallName("call", 0, "44"))
        found = differences.to_json(9)
        assert [(each["prefix"], each["currency"]) for each in found["greatest"]] == [(None, None)][:most]
        assert [(each["prefix"], each["currency"]) for each in found["prefixes"]] == [(None, None)]
