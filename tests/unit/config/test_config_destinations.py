"""Classes of destinations and limits of their use in the configuration."""

from decimal import Decimal

import pytest

from vosd.billing.destinations import DestinationLimit
from vosd.billing.spending import SpendAction

CLASSES = 'destination_classes: [{name: premium, prefixes: ["4490", "1900"]}, {name: other, prefixes: "*"}]\n'


def file_with(limits: str, classes: str = CLASSES, account: str = "acme") -> str:
    return f"{classes}accounts:\n  - {{id: {account}, destination_limits: [{limits}]}}\n"


def test_classes_and_limits_are_read(site):
    keys = "destination: premium, factor: 3, spend: '2.50', max_minutes: 90, action: hang up, block_for: 3600"
    catalogue = site.load(file_with(f"{{{keys}}}, {{destination: other}}")).catalogue
    assert [catalogue.destinations.of(number) for number in ("449012", "33")] == ["premium", "other"]
    assert catalogue.accounts["acme"].destination_limits == (
        DestinationLimit("premium", 3, 30, Decimal("2.50"), 90, None, SpendAction.HANG_UP, 3_600),
        DestinationLimit("other"),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (file_with("{destination: premum}"), "accounts[acme].destination_limits[0].destination: value 'premum'"),
        (file_with("{destination: premium}", ""), "the name of a destination class; there is none yet"),
        (file_with("{destination: premium}, {destination: premium}"), "each destination once"),
        (file_with("{destination: premium, spend: 5, max_spend: 4}"), "at least 5, which is always allowed"),
        (file_with("{destination: premium, minutes: 31, max_minutes: 30}"), "at least 31, which is always allowed"),
        (file_with("{destination: premium}", account="a" * 57), "at most 64 characters with the id of the account"),
        (CLASSES.replace("other", "a/b"), "1 to 24 letters, digits, dots, dashes and underscores"),
        (CLASSES.replace('"*"', '"1900"'), "each prefix in one class; 'premium'"),
        (CLASSES.replace('"*"', "[]"), "one prefix or more"),
    ],
)
def test_mistakes_are_named(site, text, expected):
    (error,) = site.errors(text)
    assert expected in error


@pytest.mark.parametrize(
    ("kept", "warned"),
    [
        ("numbers: 13 days", ["retention.numbers: value '13 days': expected at least the 14 days of alarms.past_days"]),
        ("calls: 10 days", ["retention.calls: value '10 days': expected at least the 14 days of alarms.past_days"]),
        ("calls: 90 days, numbers: 14 days", []),
        ("numbers: 1 month", []),
    ],
)
def test_a_past_that_is_gone_before_calls_are_compared_with_it_is_a_warning(site, kept, warned):
    shown = site.warnings(f"{CLASSES}retention: {{{kept}}}\n")
    assert len(shown) == len(warned)
    assert all(expected in warning for warning, expected in zip(shown, warned, strict=True))
    assert site.warnings(f"retention: {{{kept}}}\n") == []  # nothing reads the past
