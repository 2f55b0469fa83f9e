"""Called numbers that are free, leave no CDR, or are those of emergency services, and their routing prefix."""

import pytest

from vosd.routing.special_numbers import SpecialNumbers, overlapping

SERVICES = {"sos": "112", "sos.police": "110"}


@pytest.mark.parametrize(
    ("service", "number"),
    [("sos", "112"), ("sos.police", "110"), ("sos.fire", "112"), ("sos.police.traffic", "110"), ("counseling", None)],
)
def test_a_kind_of_a_service_that_has_no_number_is_called_as_what_it_is_a_kind_of(service: str, number: str | None):
    assert SpecialNumbers(services=SERVICES).number_of_service(f"urn:service:{service}") == number


def test_emergency_numbers_are_those_that_are_named_and_services_without_number():
    numbers = SpecialNumbers(emergency=frozenset({"112"}))
    found = [numbers.is_emergency(each) for each in ("112", "urn:service:sos.fire", "911", "1120", "")]
    assert found == [True, True, False, False, False]


@pytest.mark.parametrize("terms", [{"free": ("1800*",)}, {"no_cdr": ("1",)}, {"forward_prefix": "9"}])
def test_each_rule_is_one(terms):
    assert SpecialNumbers(**terms).has_rules
    assert not SpecialNumbers(strip_digits=3).has_rules


@pytest.mark.parametrize(
    ("number", "billed"), [("001112", "112"), ("00111", "00111"), ("000112", "000112"), ("0x1112", "0x1112")]
)
def test_three_digits_are_left_behind_a_routing_prefix_at_least(number: str, billed: str):
    assert SpecialNumbers(emergency=frozenset({"000112"})).billed(number, 3) == billed


def test_a_number_is_free_by_itself_or_with_its_routing_prefix_and_a_pattern_is_no_number():
    numbers = SpecialNumbers(free=("1800*", "5001800"))
    found = {each: numbers.free_by(*each) for each in (("18001", "9"), ("449", "5001800"), ("449", "1800*"))}
    assert [*found.values()] == ["1800*", "5001800", None]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("44*", "4420*", True), ("44*", "4420", True), ("44", "4420*", False), ("44", "44", True), ("44", "45", False),
        ("44*", "45*", False), ("4420", "45*", False), ("*", "44", True),
    ],
)  # fmt: skip
def test_patterns_overlap_where_some_number_fits_both(one: str, other: str, expected: bool):
    assert overlapping(one, other) is overlapping(other, one) is expected
