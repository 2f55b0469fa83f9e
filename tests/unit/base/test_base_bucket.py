"""The token bucket: a burst, then the rate, never more."""

import pytest
from hypothesis import given, strategies as st

from vosd.base.bucket import Bucket


def taken(bucket: Bucket, tries: int, now: float, rate: float = 10, burst: float = 5) -> int:
    return sum(bucket.take(1, rate, burst, now) for _ in range(tries))


def test_a_full_bucket_gives_its_burst_and_then_its_rate():
    bucket = Bucket(5, 100.0)
    assert taken(bucket, 20, 100.0) == 5
    assert taken(bucket, 20, 100.31) == 3
    assert taken(bucket, 20, 200.0) == 5


def test_what_is_not_there_is_not_taken_in_part():
    bucket = Bucket(5, 0.0)
    assert not bucket.take(6, 10, 5, 0.0)
    assert taken(bucket, 20, 0.0) == 5


def test_no_rate_is_no_limit():
    assert taken(Bucket(0, 0.0), 1_000, 0.0, rate=0) == 1_000


def test_a_clock_that_stands_still_or_goes_back_gives_nothing():
    bucket = Bucket(1, 10.0)
    assert taken(bucket, 5, 10.0) == 1
    assert taken(bucket, 5, 9.0) == 0
    assert taken(bucket, 5, 10.05) == 0


@given(st.lists(st.floats(0, 2), max_size=200), st.integers(1, 50), st.integers(1, 50))
def test_never_more_than_burst_and_rate_allow(pauses, rate, burst):
    bucket, now, served = Bucket(burst, 0.0), 0.0, 0
    for pause in pauses:
        now += pause
        served += bucket.take(1, rate, burst, now)
        assert served <= burst + rate * now + 1e-6


@pytest.mark.parametrize("burst", [1, 7])
def test_a_smaller_burst_holds_at_once(burst):
    """A reload changes the limits of buckets that are in use."""
    assert taken(Bucket(100, 0.0), 200, 0.0, burst=burst) == burst
