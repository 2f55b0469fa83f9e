"""The form of numbers that a trunk is sent: what is understood as an international number, and what stays as it is."""

import pytest

from vosd.trunks.number_format import NumberFormat, NumberNotation


@pytest.mark.parametrize("number", ["112", "alice", "*21", "", "000", "0", "00", "0800", "001199"])
@pytest.mark.parametrize("forms", [NumberFormat(), NumberFormat(country="61", international_prefix="0011")])
def test_names_and_short_numbers_stay_as_they_are(number, forms):
    assert {forms.written(number, form) for form in NumberNotation} == {number}


@pytest.mark.parametrize("number", ["00112233", "0112233", "1122334", "+112"])
def test_emergency_numbers_stay_as_they_are_however_long(number):
    forms = NumberFormat(country="44", emergency=frozenset({"00112233", "0112233", "1122334", "112"}))
    assert {forms.written(number, form) for form in NumberNotation} == {number}


@pytest.mark.parametrize("number", ["02079460000", "00442079460000", "+442079460000", "442079460000"])
def test_a_number_is_understood_however_it_was_dialled(number):
    forms = NumberFormat(country="44")
    assert forms.international(number) == "442079460000"


@pytest.mark.parametrize(
    ("number", "expected"), [("0123456", "44123456"), ("0044123", "44123"), ("1234567", "1234567"), ("+44123", "44123")]
)
def test_a_number_of_seven_digits_is_understood_and_a_shorter_one_with_a_plus_sign(number, expected):
    forms = NumberFormat(country="44")
    assert forms.international(number) == expected
