"""Free numbers, numbers without CDR, routing prefixes and emergency numbers, as they are written."""

import pytest

from vosd.routing.special_numbers import EMERGENCY, overlapping


def parameters(site, **written):
    lines = "\n".join(f"  {name}: '{value}'" for name, value in written.items())
    return site.load(f"parameters:\n{lines}\n")


def numbers(site, **written):
    return parameters(site, **written).catalogue.parameters.special_numbers


def test_lists_are_read_with_blanks_around_commas(site):
    found = numbers(site, SERVER_BILLING_FREE_E164S="1800*, 911 ,112", SERVER_BILLING_NO_CDR_E164S="5000*,7000")
    assert (found.free, found.no_cdr) == (("1800*", "911", "112"), ("5000*", "7000"))
    assert (found.strip_digits, found.emergency) == (0, EMERGENCY)
    assert numbers(site, SERVER_BILLING_FREE_E164S="").free == ()


def test_each_number_without_cdr_may_say_why_and_is_warned_of_where_it_does_not(site):
    loaded = parameters(site, SERVER_BILLING_NO_CDR_E164S="1800* (tests, by carriers), 7000 ,5000(lift)")
    found = loaded.catalogue.parameters.special_numbers
    assert found.no_cdr == ("1800*", "7000", "5000")
    assert [found.why_no_cdr(each) for each in ("18005", "7000", "5000", "6")] == ["tests, by carriers", "", "lift", ""]
    (warning,) = loaded.problems
    assert "value '7000': expected the reason in brackets" in str(warning)
    for text in ("7000 (a", "7000 a", "(a)", "7000,", "7000 (a) b"):
        (error,) = site.errors(f"parameters: {{SERVER_BILLING_NO_CDR_E164S: '{text}'}}")
        assert "a memo may stand in brackets" in error


@pytest.mark.parametrize("text", ["+1800*", "18 00*", "*", "1*800", "1800**", "abc", "1800*,,911", "1800;911"])
def test_anything_else_is_an_error_that_says_what_is_none(site, text):
    (error,) = site.errors(f"parameters: {{SERVER_BILLING_FREE_E164S: '{text}'}}")
    assert "SERVER_BILLING_FREE_E164S" in error
    assert "numbers with commas between" in error


@pytest.mark.parametrize(("pattern", "hidden"), [("911", "911"), ("9*", "911"), ("11*", "110"), ("1*", "110")])
def test_an_emergency_number_cannot_be_without_cdr(site, pattern, hidden):
    (error,) = site.errors(f"parameters: {{SERVER_BILLING_NO_CDR_E164S: '5000*,{pattern}'}}")
    assert f"'{pattern}'" in error
    assert f"calls to {hidden} must leave CDRs" in error


def test_which_numbers_are_emergency_numbers_is_configured(site):
    text = "routing: {emergency_numbers: ['112', '15']}\nparameters: {SERVER_BILLING_NO_CDR_E164S: '911'}"
    assert site.load(text).catalogue.parameters.special_numbers.emergency == {"112", "15"}
    (error,) = site.errors("routing: {emergency_numbers: '15'}\nparameters: {SERVER_BILLING_NO_CDR_E164S: '15*'}")
    assert "calls to 15 must" in error


def test_numbers_in_both_lists_are_warned_of(site):
    loaded = parameters(site, SERVER_BILLING_FREE_E164S="5000*", SERVER_BILLING_NO_CDR_E164S="50001 (lift)")
    (warning,) = loaded.problems
    assert "5000* is free, but what fits both leaves no CDR" in str(warning)


@pytest.mark.parametrize("name", ["SERVER_BILLING_FREE_E164S", "SERVER_BILLING_NO_CDR_E164S"])
def test_a_prefix_of_one_digit_is_warned_of(site, name):
    (warning,) = parameters(site, **{name: "4* (lift)" if "NO_CDR" in name else "4*"}).problems
    assert "fits the numbers of many countries" in str(warning)


def test_failed_calls_without_cdr_are_warned_of(site):
    loaded = parameters(site, SERVER_BILLING_RECORD_ZERO_HOLD_TIME="0", SERVER_BILLING_RECORD_ILLEGAL_CALL="1")
    (warning,) = loaded.problems
    assert "the reason cannot be found later" in str(warning)
    assert not loaded.catalogue.parameters.record_zero_hold_time
    assert loaded.catalogue.parameters.record_illegal_calls


def test_seconds_of_free_calls_are_rounded_by_the_parameters(site):
    policy = parameters(site, SERVER_BILLING_HOLD_TIME_PRECISION="0").catalogue.parameters.free_policy
    assert (policy.hold_time_precision_ms, policy.free_time_s) == (0, 0)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("5000*", "50001", True),
        ("50001", "5000*", True),
        ("50*", "5000*", True),
        ("5000*", "50*", True),
        ("5000", "5000", True),
        ("5000*", "5000", True),
        ("5000", "50000", False),
        ("5000*", "500", False),
        ("51*", "50*", False),
    ],
)
def test_patterns_overlap_where_some_number_fits_both(first, second, expected):
    assert overlapping(first, second) is expected


def test_emergency_services_have_numbers_of_the_emergency_numbers(site):
    loaded = site.load("routing: {emergency_services: {sos: 112, urn:service:sos.Police: '110'}}")
    assert loaded.catalogue.parameters.special_numbers.services == {"sos": "112", "sos.police": "110"}
    for written, expected in (
        ("{sos: 115}", "one of emergency_numbers for sos; 115 is none"),
        ("{police: 110}", "sos, or a kind of it such as sos.police"),
        ("{sos: police}", "one of emergency_numbers"),
    ):
        (error,) = site.errors(f"routing: {{emergency_services: {written}}}")
        assert expected in error
