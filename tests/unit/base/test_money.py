"""Amounts are read, rounded and written without losing or inventing a digit."""

from decimal import Decimal

import pytest

from vosd.base.money import Rounding, comma_to_point, format_amount, format_price_in_full, parse_amount, round_to_unit


@pytest.mark.parametrize("text", ["0", "10.50", "-3", "+0.00000001", "999999999999.99999999"])
def test_amount_is_read_exactly(text):
    assert parse_amount(text) == Decimal(text)


@pytest.mark.parametrize(
    "text", ["", "1e3", "1,000", "1.", ".5", "0.123456789", "1000000000000", "NaN", "\u0661", "1\n", " 1"]
)
def test_text_that_is_no_amount_is_refused(text):
    with pytest.raises(ValueError, match="is not an amount"):
        parse_amount(text)


@pytest.mark.parametrize(
    ("text", "amount"),
    [("1.234,50", "1234.50"), ("-1234,5", "-1234.5"), ("1.234.567", "1234567"), ("0,012", "0.012"), ("7", "7")],
)
def test_amount_with_a_decimal_comma_is_read(text, amount):
    assert comma_to_point(text) == amount


@pytest.mark.parametrize(
    "text", ["12.50", "1.5", "1.23,45", "...7", "1234.500", "0.123", "1,234,5", "1,", ",5", "1.2345"]
)
def test_a_point_that_does_not_separate_thousands_is_refused(text):
    with pytest.raises(ValueError, match="is not an amount with a decimal comma"):
        comma_to_point(text)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "0.00"),
        ("0E-8", "0.00"),
        ("-0.00", "0.00"),
        ("-0.000000001", "0.00"),
        ("5", "5.00"),
        ("0.1", "0.10"),
        ("0.012300", "0.0123"),
        ("1E-8", "0.00000001"),
        ("-12.5", "-12.50"),
        ("1E+3", "1000.00"),
        ("999999999999.99999999", "999999999999.99999999"),
    ],
)
def test_amount_is_written_plainly_with_two_to_eight_places(amount, text):
    assert format_amount(Decimal(amount)) == text


def test_a_price_keeps_the_digits_that_a_multiplier_has_given_it():
    assert [format_price_in_full(Decimal(price)) for price in ("1", "0.0100", "0.0041108850", "0E-10")] == [
        "1.00", "0.01", "0.004110885", "0.00",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("amount", "unit", "half_up", "up", "down"),
    [
        ("0.025", "0.01", "0.03", "0.03", "0.02"),
        ("0.0249", "0.01", "0.02", "0.03", "0.02"),
        ("0.07", "0.05", "0.05", "0.10", "0.05"),
        ("0.075", "0.05", "0.10", "0.10", "0.05"),
        ("0.10", "0.05", "0.10", "0.10", "0.10"),
        ("7", "5", "5", "10", "5"),
    ],
)
def test_amount_is_brought_to_a_whole_number_of_units(amount, unit, half_up, up, down):
    rounded = [
        round_to_unit(Decimal(amount), Decimal(unit), mode) for mode in (Rounding.HALF_UP, Rounding.UP, Rounding.DOWN)
    ]
    assert rounded == [Decimal(half_up), Decimal(up), Decimal(down)]
