"""Milliseconds to whole seconds."""

from vosd.billing.rates import hold_seconds


def test_fraction_at_the_threshold_is_one_more_second():
    assert [hold_seconds(ms, 50) for ms in (21_000, 21_049, 21_050, 21_999)] == [21, 21, 22, 22]


def test_exact_second_stays_with_threshold_zero():
    assert [hold_seconds(ms, 0) for ms in (0, 1, 999, 1_000, 1_001)] == [0, 1, 1, 1, 2]


def test_call_shorter_than_the_threshold_holds_no_second():
    assert hold_seconds(49, 50) == 0
